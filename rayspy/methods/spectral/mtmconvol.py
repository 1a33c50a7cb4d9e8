"""Methods `mtmconvol` and `welch`: tapered spectra of sliding windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import SPECTRA
from rayspy.kernels.detrend import detrended
from rayspy.kernels.spectral.filterbank import BUFFER_BYTES, Spectra, row_bytes, segments, transform_length
from rayspy.kernels.spectral.mtmconvol import (
    BATCH_BYTES,
    convolved_spectra,
    edge_response,
    end_sums,
    end_weights,
    mean_window_power,
    whole_windows,
    window_filter,
    window_spectra,
    window_wave,
)
from rayspy.kernels.spectral.tapers import power_norm
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.spectral.banks import BESIDE_BYTES, KEPT_BYTES, FilterBank, band_edges, kept_bank
from rayspy.methods.spectral.mtmfft import Taper
from rayspy.methods.spectral.timepoints import TimePoints, points_of

_PIECE_SAMPLES = 2**19
"""Windows with so many samples, all added, are a piece of a trial."""
_ENDS_KEPT = 8
"""Lengths of trials for which it is kept what outputs of filters lack at the ends."""


@dataclass(frozen=True)
class Mtmconvol(Method):
    """Parameters of `mtmconvol`, all resolved: see `rayspy.freqanalysis`."""

    name: ClassVar[str] = "mtmconvol"
    takes_rows: ClassVar[bool] = True
    takes_freqs: ClassVar[bool] = True

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
    edges: str = "zero"
    """What becomes of windows that reach beyond the trial."""

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
            meaning=SPECTRA[self.output_kind],
        )

    def kernel(self, part: Part) -> Kernel:
        """Bind windows, or the filters of bins, to trials whose first time point is sample `variant`."""
        if part.freqs is None and not self.by_convolution(part.length):
            origin = self.samples(part)[0] if part.rows else 0
            return partial(_windows_of, self, self._starts_of(part) - origin)
        freqs = part.freqs or range(len(self.freq))
        return partial(_convolved, self, part.length, part.variant, freqs)

    def band_edges(self, length: int, at_most: int, n_lines: int) -> list[int]:
        """Runs of bins of about the same work where there is a filter for each."""
        n_freq = len(self.freq)
        if not self.by_convolution(length):
            return []
        members = [range(f, n_freq * self.taper.n_tapers, n_freq) for f in range(n_freq)]
        return band_edges(_bank(self, length, 0), members, at_most, n_lines)

    def by_convolution(self, length: int) -> bool:
        """Whether a convolution per taper and bin is much less work than a transform per window."""
        n, rows = self.n_window, len(self.times.samples(length))
        points = points_of(self.times, length)
        n_fft = transform_length(length, min(n, length - 1), points.step)
        inverse = n_fft // points.step
        per_filter = (6 * n_fft + 2 * inverse * math.log2(inverse + 1)) * segments(length, n_fft)[0]
        return 2 * len(self.freq) * per_filter < rows * n * (math.log2(n) + 8)

    def starts(self, length: int, first: int) -> NDArray[np.int64]:
        """First sample of each window: they are centred on the time points."""
        return self.times.samples(length, first) - self.n_window // 2

    def _starts_of(self, part: Part) -> NDArray[np.int64]:
        rows = part.rows
        starts = self.starts(part.length, part.variant)
        return starts if rows is None else starts[rows.start : rows.stop]

    def piece_rows(self, length: int) -> int | None:
        """So many windows that reading a piece is little work; None where there is a filter for each bin."""
        return None if self.by_convolution(length) else max(1, _PIECE_SAMPLES // self.n_window)

    def samples(self, part: Part) -> tuple[int, int]:
        """Samples in these windows."""
        starts = self._starts_of(part)
        return max(0, int(starts[0])), min(part.length, int(starts[-1]) + self.n_window)

    def work(self, length: int, itemsize: int) -> Work:
        """About the work of a plain transform."""
        return Work(self._line_bytes(length, itemsize), self._shared_bytes(length), weight=1.0)

    def _line_bytes(self, length: int, itemsize: int) -> int:
        """Trial with zeros at its ends and, of one window at least, samples and transforms."""
        wide = 8 if itemsize > 4 else 4
        if not self.by_convolution(length):
            return (length + self.n_window) * itemsize + 8 * (self.n_window + 2) * wide
        n_fft = transform_length(length, min(self.n_window, length - 1), self.times.step or 1)
        return (
            (48 + 24 * (self.polyremoval == 1)) * length + 8 * row_bytes(length, n_fft) + 96 * self.n_window
        )

    def kept_bytes(self, n_others: int, shortest: int, longest: int) -> int:
        """Filters for other lengths, and what their outputs lack at the ends."""
        if not (self.by_convolution(shortest) or self.by_convolution(longest)):
            return 0
        bank = _bank(self, longest, 0)
        ends = 16 * len(bank.lengths) * min(self.n_window + 2, len(self.times.samples(longest)))
        filters = min(BESIDE_BYTES, n_others * 8 * sum(bank.lengths))
        return filters + min(_ENDS_KEPT - 1, n_others) * ends

    @property
    def _taper_bytes(self) -> int:
        """Tapers, also while they are made and while they get their normalisation."""
        return 24 * self.n_window * self.taper.n_tapers

    def _shared_bytes(self, length: int) -> int:
        """Samples and transforms of a batch of windows, and its result."""
        if not self.by_convolution(length):
            return self._taper_bytes + 12 * BATCH_BYTES
        n_fft = transform_length(length, min(self.n_window, length - 1), self.times.step or 1)
        n_filters = len(self.freq) * self.taper.n_tapers
        edges = 24 * n_filters * min(self.n_window + 2, len(self.times.samples(length)))
        return (
            self._taper_bytes
            + min(KEPT_BYTES, 8 * n_filters * n_fft)
            + edges
            + 7 * BATCH_BYTES
            + 4 * BUFFER_BYTES
        )


@dataclass(frozen=True)
class Welch(Mtmconvol):
    """Power averaged over the windows of each trial: from its first sample on in steps, all of them whole."""

    name: ClassVar[str] = "welch"
    takes_rows: ClassVar[bool] = False
    takes_freqs: ClassVar[bool] = False

    def windows(self, length: int) -> NDArray[np.int64]:
        """First sample of each window: those that lie whole in the trial."""
        return np.arange(0, length - self.n_window + 1, self.times.step)

    def by_convolution(self, length: int) -> bool:
        """All windows are transformed."""
        return False

    def output(self, spec: InputSpec) -> OutputSpec:
        """One row per trial."""
        n = len(spec.trialdefinition)
        trl = spec.trialdefinition.copy()
        trl[:, 0], trl[:, 1], trl[:, 2] = np.arange(n), np.arange(1, n + 1), 0
        return replace(super().output(spec), rows=np.ones(n, dtype=np.int64), trialdefinition=trl)

    def kernel(self, part: Part) -> Kernel:
        """Bind tapers and windows to this trial length."""
        return partial(_mean_of, self, self.windows(part.length))

    def work(self, length: int, itemsize: int) -> Work:
        """Also the sum in double precision; the work of all windows."""
        line = self._line_bytes(length, itemsize) + 24 * len(self.freq)
        return Work(line, self._shared_bytes(length), weight=float(len(self.windows(length))))


@lru_cache(maxsize=64)
def _tapers(method: Mtmconvol) -> NDArray[np.float64]:
    """Tapers with the power normalisation in them."""
    n = method.n_window
    tapers = method.taper.sample(n, periodic=True)
    return np.asarray(tapers * np.sqrt(power_norm(method.taper.kind, float(tapers.sum()), n, n, False)))


def _bins(method: Mtmconvol) -> slice | NDArray[np.int64]:
    return slice(None) if method.bins is None else np.array(method.bins)


def _wave(method: Mtmconvol, i: int) -> NDArray[Any]:
    """Taper and exponential of filter number i."""
    taper, f = divmod(i, len(method.freq))
    return window_wave(_tapers(method)[taper], f if method.bins is None else method.bins[f])


def _filter(method: Mtmconvol, i: int) -> tuple[NDArray[Any], int]:
    """Filter of taper and bin number i."""
    return window_filter(_wave(method, i), method.polyremoval, method.n_window // 2)


def _cut_filter(method: Mtmconvol, reach: int, shift: int, i: int) -> tuple[NDArray[Any], int]:
    """Filter as far as it matters, so that sample `shift` becomes output 0."""
    taps, first = _filter(method, i)
    low, high = max(0, -reach - first), min(len(taps), reach + 1 - first)
    return taps[low:high], first + low - shift


class _Ends:
    """What outputs of filters lack; each is made when it is first asked for.

    Where no trend is removed that is the response to the mean of the trial, which is the
    sum of the filter where the window lies whole in the trial. Else it is something at
    the ends only, where the trend is that of fewer samples.
    """

    def __init__(self, method: Mtmconvol, length: int, first: int) -> None:
        self._method, self._length = method, length
        self._samples = method.times.samples(length, first)
        self._starts = method.starts(length, first)
        head, tail = whole_windows(self._starts, method.n_window, length)
        self._parts = slice(0, head), slice(tail, len(self._starts))
        self._known: dict[int, tuple[complex, list[NDArray[np.complex64]]]] = {}

    def __call__(self, spectra: Spectra, numbers: Sequence[int], values: NDArray[Any]) -> None:
        """Add it to the outputs of some filters, (line, filter, window)."""
        known = [self._one(i) for i in numbers]
        mean, (head, tail) = spectra.mean.astype(np.float32), self._parts
        for k, (inner, ends) in enumerate(known):
            if self._method.polyremoval is None:
                values[:, k, head.stop : tail.start] += mean * np.complex64(inner)
            for part, weights in zip(self._parts, ends, strict=True):
                if part.stop > part.start:
                    values[:, k, part] += self._missing(spectra, part, weights)

    def _missing(self, spectra: Spectra, part: slice, weights: NDArray[Any]) -> NDArray[Any]:
        if self._method.polyremoval is None:
            return np.asarray(spectra.mean.astype(np.float32) * weights[0])
        starts, n = self._starts[part], self._method.n_window
        sums = spectra.once(
            ("end", part.start), lambda: end_sums(spectra.lines, starts, n).astype(np.float32)
        )
        missing = sums[0] * weights[0]
        if self._method.polyremoval == 1:
            missing += sums[1] * weights[1]
        return np.asarray(missing)

    def _one(self, i: int) -> tuple[complex, list[NDArray[np.complex64]]]:
        """Sum of the filter, and per end what outputs are multiplied with, (1 or 2, window)."""
        if i not in self._known:
            self._known[i] = self._made(i)
        return self._known[i]

    def _made(self, i: int) -> tuple[complex, list[NDArray[np.complex64]]]:
        method, length = self._method, self._length
        if method.polyremoval is not None:
            wave = _wave(method, i)
            weights = [end_weights(wave, method.polyremoval, self._starts[p], length) for p in self._parts]
            return 0, [each.astype(np.complex64) for each in weights]
        taps, first = _filter(method, i)
        ends = [edge_response(taps, first, length, self._samples[p])[np.newaxis] for p in self._parts]
        return complex(np.cumsum(taps)[-1]), [each.astype(np.complex64) for each in ends]


@lru_cache(maxsize=_ENDS_KEPT)
def _ends(method: Mtmconvol, length: int, first: int) -> _Ends:
    return _Ends(method, length, first)


def _bank(method: Mtmconvol, length: int, first: int) -> FilterBank:
    """All filters; sample `first` becomes output 0."""
    n_filters = method.taper.n_tapers * len(method.freq)
    reach = min(method.n_window, length - 1)
    taps = partial(_cut_filter, method, length - 1, first)
    return FilterBank(length, points_of(method.times, length), [reach] * n_filters, taps)


def _convolved(
    method: Mtmconvol,
    length: int,
    first: int,
    freqs: range,
    x: NDArray[Any],
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    n_tapers, output = len(_tapers(method)), method.output_kind
    bank = kept_bank((method, length, first), partial(_bank, method, length, first))
    if out is None:
        out = _empty(method, x, bank.points.n_rows, len(freqs))
    ends, average = _ends(method, length, first), not method.keeptapers
    rows = out.reshape(*out.shape[:2], -1, out.shape[4])
    if method.polyremoval == 1:  # makes no difference but to rounding
        x = detrended(x.astype(np.float64), 1)
    convolved_spectra(x, bank, ends, n_tapers, freqs, output, average, rows)
    if not np.may_share_memory(rows, out):
        out[...] = rows.reshape(out.shape)
    if method.edges == "nan":
        head, tail = whole_windows(method.starts(length, first), method.n_window, length)
        out[:, :head] = np.nan
        out[:, tail:] = np.nan
    return out


def _empty(method: Mtmconvol, x: NDArray[Any], n_rows: int, n_freq: int) -> NDArray[Any]:
    n_tapers = len(_tapers(method)) if method.keeptapers else 1
    dtype = np.complex64 if method.output_kind == "fourier" else np.float32
    return np.empty((len(x), n_rows, n_tapers, n_freq, x.shape[2]), dtype)


def _windows_of(
    method: Mtmconvol, starts: NDArray[np.int64], x: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    tapers = _tapers(method)
    if out is None:
        out = _empty(method, x, len(starts), len(method.freq))
    window_spectra(
        x,
        tapers,
        starts,
        _bins(method),
        method.output_kind,
        method.keeptapers,
        method.polyremoval,
        out,
        method.edges,
    )
    return out


def _mean_of(
    method: Mtmconvol, starts: NDArray[np.int64], x: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    if out is None:
        out = np.empty((len(x), 1, 1, len(method.freq), x.shape[2]), np.float32)
    mean_window_power(x, _tapers(method), starts, _bins(method), method.polyremoval, out)
    return out
