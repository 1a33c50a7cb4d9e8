"""Methods on spike trains alone: counts, rates, intervals, correlograms, densities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.selection import SAMPLE_SLACK
from rayspy.kernels.spikes.correlograms import correlogram, jittered, shift_predictor
from rayspy.kernels.spikes.counts import counts_in_bins, proportions
from rayspy.kernels.spikes.density import density, smoothing_kernel
from rayspy.kernels.spikes.intervals import SUMS, interval_sums
from rayspy.methods.base import InputSpec, OutputSpec, Work
from rayspy.methods.spikes.base import Codes, SpikeMethod

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Psth(SpikeMethod):
    """Counts in bins around the trigger.

    Parameters
    ----------
    edges : ndarray
        Edges of bins in seconds; the last bin includes its right edge.
    kind : {'rate', 'spikecount', 'proportion'}
        What becomes of counts.
    whole : bool
        Bins that a trial does not cover as a whole are NaN; otherwise those that
        begin before it, or after its end (Syncopy's rule).
    """

    name: ClassVar[str] = "psth"

    edges: NDArray[np.float64]
    kind: str = "rate"
    whole: bool = False

    def output(self, spec: InputSpec) -> OutputSpec:
        """Bins x cells; the time of a bin is its middle."""
        width = float(np.mean(np.diff(self.edges)))
        middle = (self.edges[0] + self.edges[1]) / 2
        n_bins = len(self.edges) - 1
        return self.promise(n_bins, middle / width, 1 / width, np.float32, channel=self.cells.names)

    def of_rows(self, k: int, rows: Codes) -> Array:
        """Count, scale, and mark what was not recorded."""
        start, _, offset = self.trl[k, :3].astype(np.int64)
        found = self._scaled(self.cells.counts(rows, self._sample_edges + (start - offset)))
        missing = self._missing(k)
        if missing.any():
            found[missing] = np.nan
        return found

    @cached_property
    def _sample_edges(self) -> Codes:
        edges = np.ceil(self.edges * self.samplerate - SAMPLE_SLACK)
        edges[-1] = np.floor(self.edges[-1] * self.samplerate + SAMPLE_SLACK) + 1
        return edges.astype(np.int64)

    def _scaled(self, counts: Array) -> Array:
        from rayspy.kernels.loops.spikes import divide_rows

        if self.kind == "proportion":
            return proportions(counts.astype(np.float64)).astype(np.float32)
        if self.kind == "rate" and counts.dtype == np.float32:
            divide_rows(counts, np.diff(self.edges))
        elif self.kind == "rate":
            counts = counts / np.diff(self.edges)[:, np.newaxis]
        return counts.astype(np.float32, copy=False)

    def _missing(self, k: int) -> NDArray[np.bool_]:
        start, stop, offset = self.trl[k, :3]
        first, last = offset, offset + stop - start - 1
        lefts, rights = self.edges[:-1] * self.samplerate, self.edges[1:] * self.samplerate
        rights[-1] += 1.0
        if self.whole:
            return np.asarray((lefts < first - SAMPLE_SLACK) | (rights > last + 1 + SAMPLE_SLACK))
        return np.asarray((lefts < first - SAMPLE_SLACK) | (lefts > last + SAMPLE_SLACK))


@dataclass(frozen=True, eq=False)
class Rate(SpikeMethod):
    """Spikes per second, or spikes, of each trial as a whole."""

    name: ClassVar[str] = "rate"

    kind: str
    window: tuple[float, float]

    def output(self, spec: InputSpec) -> OutputSpec:
        """One row per trial, at the middle of the window."""
        length = max(self.window[1] - self.window[0], 1 / self.samplerate)
        middle = (self.window[0] + self.window[1]) / 2
        return self.promise(1, middle / length, 1 / length, channel=self.cells.names)

    def of_rows(self, k: int, rows: Codes) -> Array:
        """Count, and divide by the time that was recorded."""
        n_samples = float(self.trl[k, 1] - self.trl[k, 0])
        if n_samples <= 0:
            return np.full((1, len(self.cells)), np.nan)
        edges = self.trl[k, :2].astype(np.int64)
        counts = self.cells.counts(rows, edges).astype(np.float64)
        return counts if self.kind == "spikecount" else counts * (self.samplerate / n_samples)


@dataclass(frozen=True, eq=False)
class Intervals(SpikeMethod):
    """Histogram of the intervals of a trial, and sums over them in seven more rows."""

    name: ClassVar[str] = "isi"

    width: float
    n_bins: int
    refractory: float

    def output(self, spec: InputSpec) -> OutputSpec:
        """Bins and sums x cells."""
        return self.promise(self.n_bins + SUMS, 0.5, 1 / self.width, channel=self.cells.names)

    def trial(self, k: int, samples: Codes, cells: Codes) -> Array:
        """In samples of the spikes."""
        rate = self.samplerate
        width, refractory = self.width * rate, self.refractory * rate
        return interval_sums(samples, cells, len(self.cells), width, self.n_bins, refractory)


@dataclass(frozen=True, eq=False)
class Correlogram(SpikeMethod):
    """Pairs of spikes by distance: of a trial, of a trial and another one, or of jittered trials.

    Parameters
    ----------
    width, n_lags : int
        Width of bins in samples, and bins on either side.
    partner : ndarray of int or None
        For shift predictors: the trial that follows each in the input.
    jitter, n_jitter, seed : int
        Window in samples, number of surrogates, seed; 0: none.
    ids : ndarray of int
        Numbers of the trials in the object, which with the seed make the surrogates.
    """

    name: ClassVar[str] = "xcorr"

    width: int
    n_lags: int
    ids: Codes
    partner: Codes | None = None
    jitter: int = 0
    n_jitter: int = 0
    seed: int = 0

    def output(self, spec: InputSpec) -> OutputSpec:
        """Lags x cells x cells."""
        n, rate = 2 * self.n_lags + 1, self.samplerate / self.width
        names = self.cells.names
        return self.promise(n, -self.n_lags, rate, freq=np.zeros(1), channel_i=names, channel_j=names)

    def trial(self, k: int, samples: Codes, cells: Codes) -> Array:
        """Count pairs."""
        if self.partner is not None:
            counts = self._shifted(k, samples, cells)
        elif self.n_jitter:
            counts = self._jittered(k, samples, cells)
        else:
            counts = correlogram(samples, cells, len(self.cells), self.width, self.n_lags)
        return counts[:, np.newaxis]

    def _shifted(self, k: int, samples: Codes, cells: Codes) -> Array:
        end = int(np.flatnonzero(samples == -1)[0])
        other = int(self.partner[k]) if self.partner is not None else k
        first = self.relative(k, samples[:end]), cells[:end]
        second = self.relative(other, samples[end + 1 :]), cells[end + 1 :]
        return shift_predictor(first, second, len(self.cells), self.width, self.n_lags)

    def _jittered(self, k: int, samples: Codes, cells: Codes) -> Array:
        start, stop = (int(edge) for edge in self.trl[k, :2])
        total = np.zeros((2 * self.n_lags + 1, len(self.cells), len(self.cells)))
        for draw in range(self.n_jitter):
            rng = np.random.default_rng((self.seed, int(self.ids[k]), draw))
            moved = jittered(samples - start, self.jitter, rng, stop - start)
            order = np.argsort(moved, kind="stable")
            total += correlogram(moved[order], cells[order], len(self.cells), self.width, self.n_lags)
        return total / self.n_jitter


@dataclass(frozen=True, eq=False)
class Density(SpikeMethod):
    """Smoothed trains on a regular grid.

    Parameters
    ----------
    step : int
        Samples of the spikes per sample of the result.
    first, n_rows : int
        First sample of the result relative to the trigger, in steps, and how many.
    shape, low, high
        Kernel, and its first and last step around a spike.
    correct : bool
        Whether ends of trials are corrected.
    kind : {'rate', 'spikecount'}
        Spikes per second, or per sample of the result.
    """

    name: ClassVar[str] = "density"

    step: float
    first: int
    n_rows: int
    shape: str
    low: int
    high: int
    correct: bool
    kind: str

    def output(self, spec: InputSpec) -> OutputSpec:
        """Times x cells."""
        return self.promise(
            self.n_rows, self.first, self.samplerate / self.step, np.float32, channel=self.cells.names
        )

    def trial(self, k: int, samples: Codes, cells: Codes) -> Array:
        """Count per step within the trial, smooth, and put it into its place."""
        start, stop, offset = self.trl[k, :3]
        fsample = self.samplerate / self.step
        low = int(np.ceil(offset / self.step - SAMPLE_SLACK))
        high = int(np.floor((offset + stop - start - 1) / self.step + SAMPLE_SLACK)) + 1
        out = np.full((self.n_rows, len(self.cells)), np.nan, dtype=np.float32)
        begin, end = max(low, self.first), min(high, self.first + self.n_rows)
        if begin >= end:
            return out
        edges = np.ceil((np.arange(low, high + 1) - 0.5) * self.step - SAMPLE_SLACK).astype(np.int64)
        counts = counts_in_bins(self.relative(k, samples), cells, edges, len(self.cells))
        kernel = smoothing_kernel(self.shape, self.low, self.high, fsample)
        smooth = density(counts, kernel, self.low, self.correct)
        scale = fsample if self.kind == "rate" else 1.0
        out[begin - self.first : end - self.first] = smooth[begin - low : end - low] * scale
        return out

    def work(self, length: int, itemsize: int) -> Work:
        """Also counts and what they are smoothed to, of the longest trial."""
        steps = int((self.trl[:, 1] - self.trl[:, 0]).max() / self.step) + 2
        return replace(super().work(length, itemsize), shared_bytes=4 * 8 * steps * len(self.cells))
