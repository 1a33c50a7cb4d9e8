"""Methods `mtmconvol` and `welch`: tapered spectra of sliding windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.mtmconvol import BATCH_BYTES, mean_window_power, window_spectra
from rayspy.kernels.tapers import power_norm
from rayspy.methods.base import InputSpec, Kernel, OutputSpec
from rayspy.methods.mtmfft import Taper
from rayspy.methods.timepoints import TimePoints


@dataclass(frozen=True)
class Mtmconvol:
    """Parameters of `mtmconvol`, all resolved: see `rayspy.freqanalysis`."""

    name: ClassVar[str] = "mtmconvol"

    samplerate: float
    n_window: int
    times: TimePoints
    bins: tuple[int, ...] | None
    """Bins of the transform in the order wanted; None: all."""
    taper: Taper
    taper_labels: tuple[str, ...]
    output_kind: str = "pow"
    keeptapers: bool = False
    polyremoval: int | None = 0

    @property
    def freq(self) -> NDArray[np.float64]:
        """Frequencies of the result in Hz."""
        every = np.fft.rfftfreq(self.n_window, 1 / self.samplerate).astype(np.float64)
        return every if self.bins is None else every[list(self.bins)]

    def output(self, spec: InputSpec) -> OutputSpec:
        """As many rows per trial as there are windows."""
        return OutputSpec(
            kind="SpectralData",
            dims=("time", "taper", "freq", "channel"),
            dtype=np.dtype(np.complex64 if self.output_kind == "fourier" else np.float32),
            rows=self.times.rows(spec.lengths),
            trialdefinition=self.times.trialdefinition(spec),
            samplerate=self.times.samplerate(spec.samplerate),
            labels={
                "taper": np.array(self.taper_labels),
                "freq": self.freq,
                "channel": spec.labels["channel"],
            },
        )

    def kernel(self, length: int) -> Kernel:
        """Bind tapers and windows to this trial length."""
        return self.kernel_at(length, 0)

    def kernel_at(self, length: int, variant: int) -> Kernel:
        """Bind them to trials whose first time point is sample `variant`."""
        bound: Kernel = partial(_windows_of, self, self.starts(length, variant))
        return bound

    def starts(self, length: int, first: int) -> NDArray[np.int64]:
        """First sample of each window: they are centred on the time points."""
        return self.times.samples(length, first) - self.n_window // 2

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Trial with zeros at its ends and, of one window at least, samples and transforms."""
        wide = 8 if itemsize > 4 else 4
        return (length + self.n_window) * itemsize + 8 * (self.n_window + 2) * wide

    def shared_bytes(self, length: int) -> int:
        """Samples and transforms of a batch of windows, and its result."""
        return 10 * BATCH_BYTES

    def weight(self, length: int) -> float:
        """Work per byte of result: about that of a plain transform."""
        return 1.0


@dataclass(frozen=True)
class Welch(Mtmconvol):
    """Power of `mtmconvol` averaged over the windows of each trial."""

    name: ClassVar[str] = "welch"

    def output(self, spec: InputSpec) -> OutputSpec:
        """One row per trial."""
        n = len(spec.trialdefinition)
        trl = spec.trialdefinition.copy()
        trl[:, 0], trl[:, 1], trl[:, 2] = np.arange(n), np.arange(1, n + 1), 0
        return replace(super().output(spec), rows=np.ones(n, dtype=np.int64), trialdefinition=trl)

    def kernel(self, length: int) -> Kernel:
        """Bind tapers and windows to this trial length."""
        bound: Kernel = partial(_mean_of, self, self.starts(length, 0))
        return bound

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Also the sum in double precision."""
        return super().working_bytes(length, itemsize) + 24 * len(self.freq)

    def weight(self, length: int) -> float:
        """Work per byte of result: that of all windows."""
        return float(len(self.times.samples(length)))


@lru_cache(maxsize=64)
def _tapers(method: Mtmconvol) -> NDArray[np.float64]:
    """Tapers with the power normalisation in them."""
    n = method.n_window
    tapers = method.taper.sample(n, periodic=True)
    return np.asarray(tapers * np.sqrt(power_norm(method.taper.kind, float(tapers.sum()), n, n, False)))


def _bins(method: Mtmconvol) -> slice | NDArray[np.int64]:
    return slice(None) if method.bins is None else np.array(method.bins)


def _windows_of(
    method: Mtmconvol, starts: NDArray[np.int64], x: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    tapers = _tapers(method)
    if out is None:
        n_tapers = len(tapers) if method.keeptapers else 1
        dtype = np.complex64 if method.output_kind == "fourier" else np.float32
        out = np.empty((len(x), len(starts), n_tapers, len(method.freq), x.shape[2]), dtype)
    window_spectra(
        x, tapers, starts, _bins(method), method.output_kind, method.keeptapers, method.polyremoval, out
    )
    return out


def _mean_of(
    method: Mtmconvol, starts: NDArray[np.int64], x: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    if out is None:
        out = np.empty((len(x), 1, 1, len(method.freq), x.shape[2]), np.float32)
    mean_window_power(x, _tapers(method), starts, _bins(method), method.polyremoval, out)
    return out
