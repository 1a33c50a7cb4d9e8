"""Methods on signals at spikes: blocks are trials x channels of the signals, spikes are read beside them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.spectral.tapers import slepian, window
from rayspy.kernels.spikes.coherence import SUMS as COHERENCE_SUMS
from rayspy.kernels.spikes.coherence import spike_field_sums
from rayspy.kernels.spikes.triggered import SUMS as PHASE_SUMS
from rayspy.kernels.spikes.triggered import phase_sums, spectra_at, triggered_sums, windows_of
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.spikes.base import Cells
from rayspy.storage.sources import ArraySource

Array = NDArray[Any]
Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Beside:
    """Spikes that belong to trials of signals, matched by time relative to the trigger.

    Parameters
    ----------
    table : ArraySource
        Spikes.
    bounds : ndarray of int, shape (trials, 2)
        Rows of each trial.
    zero : ndarray of int, shape (trials,)
        Sample of the spikes at the trigger.
    cells : Cells
        Selected cells.
    spike_rate, rate : float
        Samplerates of spikes and signals, Hz.
    offsets : ndarray, shape (trials,)
        Number of the first sample of each trial of the signals relative to the trigger.
    """

    table: ArraySource
    bounds: Codes
    zero: Codes
    cells: Cells
    spike_rate: float
    rate: float
    offsets: NDArray[np.float64]

    def read(self, k: int, length: int) -> tuple[Codes, NDArray[np.float64], Codes]:
        """Nearest sample in the trial, seconds after it, and cell of each spike of trial k."""
        first, stop = (int(row) for row in self.bounds[k])
        with self.table.reader() as read:
            rows = np.asarray(read((slice(first, stop), slice(0, self.table.shape[1]))), dtype=np.int64)
        samples, cells = self.cells.found(rows)
        seconds = (samples - self.zero[k]) / self.spike_rate
        exact = seconds * self.rate - self.offsets[k]
        at = np.rint(exact).astype(np.int64)
        inside = (at >= 0) & (at < length)
        return at[inside], ((exact - at) / self.rate)[inside], cells[inside]

    @property
    def most(self) -> int:
        """Spikes of the trial that has most."""
        return int((self.bounds[:, 1] - self.bounds[:, 0]).max())


@dataclass(frozen=True, eq=False)
class FieldMethod(Method):
    """A method that computes one trial of some channels with the spikes of all cells."""

    beside: Beside

    @abstractmethod
    def trial(self, k: int, x: Array) -> Array:
        """Result ``(rows, ..., channel)`` of the k-th trial, given ``(time, channel)``."""

    def kernel(self, part: Part) -> Kernel:
        """Bind the number of the trial."""
        return partial(self._run, part.variant)

    def _run(self, k: int, x: Array, out: Array | None = None) -> Array:
        result = self.trial(k, x[0])
        if out is None:
            return result[np.newaxis]
        out[0] = result
        return out

    def promise(self, spec: InputSpec, n_rows: Any, dtype: Any, **labels: Any) -> OutputSpec:
        """Declare results with so many rows per trial."""
        n_trials = len(spec.trialdefinition)
        rows = np.broadcast_to(np.asarray(n_rows, dtype=np.int64), (n_trials,)).copy()
        stops = np.cumsum(rows).astype(np.float64)
        trl = np.column_stack([stops - rows, stops, np.zeros(n_trials), spec.trialdefinition[:, 3:]])
        named = {
            **{dim: np.asarray(values) for dim, values in labels.items()},
            "channel": spec.labels["channel"],
        }
        return OutputSpec("SpectralData", ("time", *named), np.dtype(dtype), rows, trl, None, named)

    @property
    def spike_bytes(self) -> int:
        """Spikes of a trial: rows, times, cells; and the table where workers get it with the plan."""
        table = self.beside.table
        whole = int(np.prod(table.shape)) * table.dtype.itemsize if table.in_memory else 0
        return 12 * 8 * self.beside.most + whole


@dataclass(frozen=True, eq=False)
class Triggered(FieldMethod):
    """Sums of the signals around spikes, of their squares, and numbers of spikes."""

    name: ClassVar[str] = "spike-triggered average"

    before: int
    after: int

    @property
    def n_lags(self) -> int:
        """Samples of the window."""
        return self.before + 1 + self.after

    def output(self, spec: InputSpec) -> OutputSpec:
        """Sums, squares and a row of numbers."""
        return self.promise(spec, 2 * self.n_lags + 1, np.float64, unit=self.beside.cells.names)

    def trial(self, k: int, x: Array) -> Array:
        """All cells at once."""
        at, _, cells = self.beside.read(k, len(x))
        n = len(self.beside.cells)
        sums, squares, counts = triggered_sums(x, at, cells, n, self.before, self.after)
        numbers = np.broadcast_to(counts[:, np.newaxis], (1, n, x.shape[1]))
        return np.concatenate([sums, squares, numbers])

    def work(self, length: int, itemsize: int) -> Work:
        """Signals in double precision, their squares, and sums; spikes."""
        return Work(24 * length + 5 * 8 * self.n_lags * len(self.beside.cells), self.spike_bytes)


@dataclass(frozen=True, eq=False)
class Phases(FieldMethod):
    """Sums over the phases of the signals at spikes, or the complex amplitude at each spike."""

    name: ClassVar[str] = "spike-triggered spectrum"

    foi: NDArray[np.float64]
    n_samples: Codes
    taper: str
    each: bool = False

    def output(self, spec: InputSpec) -> OutputSpec:
        """Nine sums per cell, or a row per spike."""
        if self.each:
            rows = self.beside.bounds[:, 1] - self.beside.bounds[:, 0]
            return self.promise(spec, rows, np.complex64, taper=[self.taper], freq=self.foi)
        return self.promise(spec, PHASE_SUMS, np.float64, freq=self.foi, unit=self.beside.cells.names)

    def trial(self, k: int, x: Array) -> Array:
        """Channel by channel."""
        at, late, cells = self.beside.read(k, len(x))
        windows = windows_of(self.foi, self.n_samples, self.beside.rate, self.taper)
        if not self.each:
            n = len(self.beside.cells)
            return phase_sums(x, at, late, cells, n, windows, self.foi)
        out = np.full((len(at), 1, len(self.foi), x.shape[1]), np.nan, dtype=np.complex64)
        for c in range(x.shape[1]):
            signal = np.asarray(x[:, c], dtype=np.float64)
            for f, (z, whole) in enumerate(spectra_at(signal - signal.mean(), at, windows)):
                turned = z * np.exp(2j * np.pi * self.foi[f] * late)
                out[:, 0, f, c] = np.where(whole, turned, np.nan)
        return out

    def work(self, length: int, itemsize: int) -> Work:
        """Pieces of the signal, their spectra, and those of one frequency; spikes."""
        longest = int(self.n_samples.max())
        n_cells = 1 if self.each else len(self.beside.cells)
        sums = 3 * 8 * PHASE_SUMS * n_cells * len(self.foi)
        return Work(90 * (length + 8 * longest) + sums, self.spike_bytes)


@dataclass(frozen=True, eq=False)
class SpikeField(FieldMethod):
    """Cross-spectra of binned spikes and signals."""

    name: ClassVar[str] = "spike-field coherence"

    n_fft: int
    first: int
    stop: int
    taper: str
    half_bandwidth: float
    n_tapers: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """Six sums per frequency and cell."""
        freq = np.arange(self.first, self.stop) * self.beside.rate / self.n_fft
        return self.promise(spec, COHERENCE_SUMS, np.float64, freq=freq, unit=self.beside.cells.names)

    def trial(self, k: int, x: Array) -> Array:
        """Bin the spikes at the samplerate of the signals."""
        at, _, cells = self.beside.read(k, len(x))
        n, known = len(self.beside.cells), cells >= 0
        counts = np.bincount(at[known] * n + cells[known], minlength=len(x) * n).reshape(len(x), n)
        tapers = self._tapers(len(x))
        return spike_field_sums(
            x, counts.astype(np.float64), tapers, self.n_fft, slice(self.first, self.stop)
        )

    def _tapers(self, length: int) -> NDArray[np.float64]:
        if self.taper == "dpss":
            return slepian(length, self.half_bandwidth * length / self.beside.rate, self.n_tapers)
        shape = window(self.taper, length, {})[np.newaxis]
        return np.asarray(shape / np.sqrt((shape**2).sum()))

    def work(self, length: int, itemsize: int) -> Work:
        """Tapered signal and spectra of one channel, and sums; tapers, counts and spectra of all cells."""
        n_freq, cells = self.stop - self.first, len(self.beside.cells)
        line = 3 * 16 * self.n_tapers * self.n_fft + 3 * 8 * COHERENCE_SUMS * n_freq * cells
        spectra = 16 * self.n_tapers * n_freq * cells + 3 * 8 * length * cells
        return Work(line, self.spike_bytes + 8 * self.n_tapers * length + spectra)
