"""Change of the sampling rate of signals (trial, time, channel) by a rational factor.

Crochiere, R. E. & Rabiner, L. R. (1983). Multirate digital signal processing,
ch. 2: the signal is thought of with up - 1 zeros after each sample, low-pass
filtered, and every down-th sample of that is kept. Row k stands where sample
k * down / up of the input stands. Before and after a trial there are zeros, or what
`rayspy.kernels.padding` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.design import kaiser_half, kaiser_sinc
from rayspy.kernels.lengths import LANES, fast_length
from rayspy.kernels.lines import as_lines, as_samples, counts_before, lines_of
from rayspy.kernels.padding import end_lines, extended

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Polyphase:
    """A rational factor and its anti-alias filter.

    Attributes
    ----------
    up, down : int
        The factor up / down, without common divisors.
    taps : ndarray of float
        Symmetric low-pass at `up` times the rate of the input, odd length, gain `up` at 0.
    """

    up: int
    down: int
    taps: NDArray[np.float64]

    @property
    def half(self) -> int:
        """Taps on either side of the middle one."""
        return len(self.taps) // 2

    @property
    def gain(self) -> float:
        """What becomes of a constant of 1."""
        return float(self.taps.sum()) / self.up

    @property
    def by_transform(self) -> bool:
        """Whether a Fourier transform is faster than adding up the products for each row."""
        return is_small(self.up, self.down) and len(self.taps) > _MANY_TAPS * self.up

    def reached(self, first: int, stop: int) -> tuple[int, int]:
        """Samples on which rows depend, also those before and after the trial."""
        low = (first * self.down - self.half) // self.up
        return low, ((stop - 1) * self.down + self.half) // self.up + 1


@dataclass(frozen=True)
class Interpolation:
    """A factor of large numbers: coefficients of a continuous filter are made for each row.

    Smith, J. O. & Gossett, P. (1984). A flexible sampling-rate conversion method. Proc.
    ICASSP 9, 112-115. The coefficients of every row add up to 1.

    Attributes
    ----------
    up, down : int
        The factor up / down, without common divisors.
    cutoff : float
        Frequency of half amplitude in cycles per sample of the input.
    """

    up: int
    down: int
    cutoff: float

    gain: ClassVar[float] = 1.0
    by_transform: ClassVar[bool] = False

    @property
    def half(self) -> int:
        """Samples of the input on either side of a row on which it depends."""
        return math.ceil(kaiser_half(self.cutoff))

    @property
    def width(self) -> int:
        """Coefficients of a row."""
        return 2 * self.half

    def reached(self, first: int, stop: int) -> tuple[int, int]:
        """Samples on which rows depend, also those before and after the trial."""
        low = first * self.down // self.up - self.half + 1
        return low, (stop - 1) * self.down // self.up + self.half + 1


Factor = Polyphase | Interpolation


def default_factor(up: int, down: int, cutoff: float) -> Factor:
    """Factor with a filter as long as it has to be; the cutoff is in cycles per sample of the input."""
    if not is_small(up, down):
        return Interpolation(up, down, cutoff)
    half = kaiser_half(cutoff)
    reach = math.floor(half * up)
    taps = kaiser_sinc(np.arange(-reach, reach + 1) / up, cutoff, half)
    for phase in range(min(up, len(taps))):
        taps[phase::up] /= taps[phase::up].sum()
    return Polyphase(up, down, taps)


def is_small(up: int, down: int) -> bool:
    """Whether there are few enough phases to transform them all."""
    return up <= _LARGEST_UP and down <= _LARGEST_DOWN


_MANY_TAPS = 24
_LARGEST_UP = 32
_LARGEST_DOWN = 512


def n_rows(length: int, up: int, down: int) -> int:
    """Rows that a trial of `length` samples has afterwards."""
    return -(-length * up // down)


def samples_for_rows(factor: Factor, length: int, first: int, stop: int) -> tuple[int, int]:
    """Samples on which rows depend."""
    low, high = factor.reached(first, stop)
    return max(0, low), min(length, high)


def put_resampled(
    x: Array,
    dtype: np.dtype[Any],
    factor: Factor,
    start: int,
    first: int,
    stop: int,
    out: Array,
    padtype: str = "constant",
    length: int | None = None,
) -> None:
    """Rows `first` to `stop` of resampled trials.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Samples `start` and following, at least those that `samples_for_rows` names; all
        of them for 'line'. Numbers that are not finite spread over the length of the filter.
    dtype : dtype
        Precision of the computation, floating point.
    factor : Polyphase or Interpolation
        Factor and filter.
    start, first, stop : int
        First sample in `x` and the rows wanted.
    out : ndarray, floating point, shape (trial, row, channel)
        Where to put the rows.
    padtype : str
        What trials are beyond their ends, one of `rayspy.kernels.padding.PADTYPES`.
        'mean', 'line': zero, but without the mean of `x` or the line, which are put back.
    length : int, optional
        Samples of a trial; by default it ends with `x`.
    """
    if padtype == "line":
        _put_with_line(x, dtype, factor, first, stop, out)
    elif padtype not in ("mean", "constant"):
        length = start + x.shape[1] if length is None else length
        low, high = factor.reached(first, stop)
        before, after = max(0, -low), max(0, high - length)
        longer = extended(x.astype(dtype, copy=False), padtype, before, after)
        put_resampled(longer, dtype, factor, start - before, first, stop, out)
    elif isinstance(factor, Interpolation):
        _put_interpolated(x, dtype, factor, start, first, stop, out, padtype == "mean")
    elif factor.by_transform:
        _put_transformed(x, dtype, factor, start, first, stop, out, padtype == "mean")
    else:
        _put_summed(x, dtype, factor, start, first, stop, out, padtype == "mean")


def _put_with_line(x: Array, dtype: np.dtype[Any], factor: Factor, first: int, stop: int, out: Array) -> None:
    """Resample what is left without the line from the first to the last sample, which goes on for ever."""
    level, slope = end_lines(x)
    rest = (x - (level + slope * np.arange(x.shape[1])[:, np.newaxis])).astype(dtype, copy=False)
    put_resampled(rest, dtype, factor, 0, first, stop, out)
    at = np.arange(first, stop)[:, np.newaxis] * factor.down / factor.up
    np.add(out, factor.gain * (level + slope * at), out=out, casting="same_kind")


def _put_interpolated(
    x: Array,
    dtype: np.dtype[Any],
    factor: Interpolation,
    start: int,
    first: int,
    stop: int,
    out: Array,
    without_means: bool,
) -> None:
    """Rows as products of sparse matrices, some rows at a time; means are taken out before and put back."""
    n, n_channels = x.shape[1:]
    low, high = factor.reached(first, stop)
    samples = np.zeros((len(x), high - low, n_channels), dtype)
    inside = slice(max(low, start), min(high, start + n))
    some = x[:, inside.start - start : inside.stop - start]
    levels = np.zeros((len(x), 1, n_channels), dtype)
    if without_means:
        levels = lines_of(some, dtype, means=True).levels.reshape(levels.shape)
    np.subtract(some, levels, out=samples[:, inside.start - low : inside.stop - low], casting="unsafe")
    step = _rows_at_once(factor)
    for begin in range(first - first % step, stop, step):
        rows = max(begin, first), min(begin + step, stop)
        matrix = _coefficients(factor, rows[0] * factor.down % factor.up, rows[1] - rows[0], dtype.char)
        at = factor.reached(rows[0], rows[1])[0] - low
        for target, source, level in zip(out, samples, levels, strict=True):
            found = matrix @ source[at : at + matrix.shape[1]]
            np.add(found, level, out=target[rows[0] - first : rows[1] - first], casting="same_kind")


_MATRIX = 2**17
"""Coefficients, about, of the rows that are made at a time."""
_MATRICES = 16
"""So many matrices are kept: enough for a piece of a long trial."""


def _rows_at_once(factor: Interpolation) -> int:
    """Whole rounds of phases, if they fit: their coefficients are the same over and over again."""
    rows = max(1, _MATRIX // factor.width)
    return rows - rows % factor.up if rows > factor.up else rows


@lru_cache(maxsize=_MATRICES)
def _coefficients(factor: Interpolation, phase: int, n_rows: int, dtype: str) -> Any:
    """Coefficients as a sparse matrix, (row, sample), of rows of which the first has some phase."""
    from scipy.sparse import csr_array

    from rayspy.kernels.loops.interpolation import fill_coefficients

    whole, rest = np.divmod(phase + np.arange(n_rows) * factor.down, factor.up)
    values = np.empty((n_rows, factor.width))
    fill_coefficients(rest / factor.up, _series(factor), values)
    places = whole.astype(np.int32)[:, np.newaxis] + np.arange(factor.width, dtype=np.int32)
    ends = np.arange(n_rows + 1, dtype=np.int32) * np.int32(factor.width)
    shape = n_rows, int(places[-1, -1]) + 1
    return csr_array((values.astype(dtype).ravel(), places.ravel(), ends), shape=shape)


def _n_terms(cutoff: float) -> int:
    """Terms of a series for a filter between two samples, which make it exact to about 1e-13.

    What oscillates up to z radians to either side has coefficients of about (z / 2)^n / n!.
    """
    size, n = 1.0, 0
    while size > 1e-13 or n < 3:
        n += 1
        size *= 0.6 * math.pi * cutoff / n
    return n + 1


@lru_cache(maxsize=16)
def _series(factor: Interpolation) -> NDArray[np.float64]:
    """Chebyshev series of each coefficient from one sample (0) to the next (1), (term, coefficient)."""
    n = _n_terms(factor.cutoff)
    angles = np.pi * (np.arange(n) + 0.5) / n
    times = (np.cos(angles)[:, np.newaxis] + 1) / 2 + factor.half - 1 - np.arange(factor.width)
    values = kaiser_sinc(times, factor.cutoff, factor.half)
    waves = np.cos(np.outer(np.arange(n), angles)) * 2 / n
    waves[0] /= 2
    series = np.zeros((n, factor.width))
    for wave, value in zip(waves.T, values, strict=True):
        series += wave[:, np.newaxis] * value
    return series


def interpolation_bytes(factor: Interpolation, n_rows: int) -> int:
    """Memory for coefficients of up to so many rows, also kept ones, whatever the number of lines."""
    rows = min(n_rows, _rows_at_once(factor))
    return factor.width * (12 * _MATRICES * rows + 48 * rows + 64 * _n_terms(factor.cutoff))


def _put_summed(
    x: Array,
    dtype: np.dtype[Any],
    factor: Polyphase,
    start: int,
    first: int,
    stop: int,
    out: Array,
    without_means: bool,
) -> None:
    """Rows as sums of products; means are taken out before and put back after."""
    lines, levels = as_lines(x, dtype), np.zeros((), dtype)
    if without_means:
        levels = lines_of(x, dtype, means=True).levels.reshape(len(x), -1, 1)
        lines -= levels
    summed = _summed(lines, factor, start, first, stop)
    if without_means:
        summed += levels * dtype.type(factor.gain)
    np.copyto(out, as_samples(summed), casting="same_kind")


def _summed(x: Array, factor: Polyphase, start: int, first: int, stop: int) -> Array:
    """Products of taps and samples added up for each row."""
    from scipy.signal import upfirdn

    ahead = first * factor.down - start * factor.up + factor.half
    shift = -ahead % factor.down
    taps = np.concatenate([np.zeros(shift), factor.taps])
    row = (ahead + shift) // factor.down
    with np.errstate(invalid="ignore", over="ignore"):
        every = upfirdn(taps, x, factor.up, factor.down, axis=-1)
    y = np.zeros((*x.shape[:2], stop - first), x.dtype)
    found = every[..., row : row + stop - first]
    y[..., : found.shape[2]] = found
    return y


def _put_transformed(
    x: Array,
    dtype: np.dtype[Any],
    factor: Polyphase,
    start: int,
    first: int,
    stop: int,
    out: Array,
    without_means: bool = False,
) -> None:
    """Filter all phases of the input for each phase of the output, by Fourier transforms."""
    from rayspy.kernels.loops.lanes import backward, forward, kept, line_groups
    from rayspy.kernels.loops.polyphase import combine
    from rayspy.kernels.loops.rows import Segments, clean, put, take

    up, down = factor.up, factor.down
    frame = _frame(factor, stop - first)
    sample, phase = divmod(first * down, up)
    begin, hop = sample - start - frame.reach * down, frame.rows // up * down
    halves = [
        (
            Segments(frame.pairs, begin + k * hop, 2 * hop, k * frame.rows, 2 * frame.rows, frame.rows),
            k * LANES,
        )
        for k in (0, 1)
    ]
    transfer = _transfer(factor, frame, phase, dtype.char)
    if without_means:
        ones = np.full(stop - first, factor.gain, dtype)
    else:
        ones = _of_ones(factor, start, x.shape[1], first, stop).astype(dtype)
    lines = lines_of(x, dtype, without_means)
    shape = down + up, frame.n_fft, 2 * LANES
    memory = kept(math.prod(shape), dtype).reshape(shape)
    phases, results = memory[:down], memory[down:]
    for some in line_groups(len(lines.levels) * frame.pairs):
        lanes = some.start, len(some)
        for cleaned in (False, True):
            for cut, side in halves:
                take(lines.x, lanes, cut, lines.levels, phases, side)
            if cleaned:
                had = clean(phases.reshape(-1, 2 * LANES))
                lines.mark(some.start, frame.pairs, had[:LANES] | had[LANES:])
            forward(phases)
            combine(phases, transfer, results)
            if np.isfinite(results[0, 0]).all():
                break
        backward(results)
        for cut, side in halves:
            put(results[:, frame.reach :], 1, lanes, cut, lines.levels, ones, out, side)
    lines.spoil(lambda holes: _reached(holes, factor, start, first, stop), out)


_FIT = 5000
"""Samples of a segment that stay, with those beside it, in the processor's cache."""
_MARGINS = 16
"""A segment is at least this many times as long as one of its margins."""


class Frame(NamedTuple):
    """Segments of a trial and the transforms of their phases.

    The filters are real, so two segments make the real and the imaginary part of
    one. They are of the same line, whose bits then do not depend on others.

    Attributes
    ----------
    pairs, rows : int
        Pairs of segments, and rows that come from each segment.
    reach : int
        Samples of a phase on which the first and the last row of a segment depend.
    n_fft : int
        Length of the transform of a phase.
    """

    pairs: int
    rows: int
    reach: int
    n_fft: int


def _frame(factor: Polyphase, n_rows: int) -> Frame:
    """Frame for so many rows."""
    reach, most = _reach_and_most(factor)
    wanted = max(1, -(-n_rows // factor.up))
    pairs = -(-wanted // (2 * most))
    each = -(-wanted // (2 * pairs))
    return Frame(pairs, each * factor.up, reach, fast_length(each + 2 * reach))


def _reach_and_most(factor: Polyphase) -> tuple[int, int]:
    """Reach, and most rows of a phase that come from a segment."""
    up, down, half = factor.up, factor.down, factor.half
    farthest = half + max((up - 1) * (down + 1), (down - 1) * up)
    reach = farthest // (up * down)
    return reach, max(_FIT // down, _MARGINS * reach, 4) - 2 * reach


def room_in_bytes(factor: Polyphase, n_rows: int) -> int:
    """Memory that up to so many rows take in double precision, whatever the number of lines."""
    reach, most = _reach_and_most(factor)
    n_fft = fast_length(min(most, n_rows // (2 * factor.up) + 1) + 2 * reach)
    return 8 * n_fft * ((factor.down + factor.up) * 64 + 6 * factor.up * factor.down) + 64 * n_rows


@lru_cache(maxsize=4)
def _transfer(factor: Polyphase, frame: Frame, phase: int, dtype: str) -> Array:
    """Transfer functions between phases, (frequency, output, input), in the order of transforms.

    The middle tap stands at row 0 of the result if `phase` is 0, else so many taps after it.
    """
    from scipy.fft import fft

    from rayspy.kernels.loops.lanes import transform

    up, down, n_fft = factor.up, factor.down, frame.n_fft
    lags = np.arange(-frame.reach, frame.reach + 1)
    phases = phase + np.arange(up)[:, np.newaxis] * down - np.arange(down) * up
    taps = factor.half + phases[..., np.newaxis] + up * down * lags
    inside = (taps >= 0) & (taps < len(factor.taps))
    wrapped = np.zeros((up, down, n_fft))
    wrapped[..., lags] = np.where(inside, factor.taps[np.clip(taps, 0, len(factor.taps) - 1)], 0)
    spectra = np.conj(fft(wrapped, axis=-1)) / n_fft
    order = np.argsort(transform(n_fft, dtype).place)
    return np.ascontiguousarray(spectra[..., order].transpose(2, 0, 1), dtype.upper())


@lru_cache(maxsize=16)
def _of_ones(factor: Polyphase, start: int, n: int, first: int, stop: int) -> NDArray[np.float64]:
    """Rows of the response to n ones from sample `start` on."""
    up, width = factor.up, -(-len(factor.taps) // factor.up)
    sums = np.zeros((width + 1) * up)
    sums[up : up + len(factor.taps)] = factor.taps
    sums = np.cumsum(sums.reshape(width + 1, up), axis=0).reshape(-1)
    ahead = np.arange(first, stop) * factor.down + factor.half - start * up
    ones: NDArray[np.float64] = sums[_within(ahead, up, width)] - sums[_within(ahead - n * up, up, width)]
    return ones


def _within(index: NDArray[np.int64], up: int, width: int) -> NDArray[np.int64]:
    """Places in the table of sums: before the first tap its first row, after the last its last one."""
    return np.clip(index // up + 1, 0, width) * up + index % up


def _reached(holes: Array, factor: Polyphase, start: int, first: int, stop: int) -> Array:
    """Rows that any hole reaches."""
    counts = counts_before(holes)
    middle = np.arange(first, stop) * factor.down
    low = -(-(middle - factor.half) // factor.up) - start
    high = (middle + factor.half) // factor.up + 1 - start
    begin, end = np.clip([low, high], 0, holes.shape[-1])
    reached: Array = counts[..., end] > counts[..., begin]
    return reached
