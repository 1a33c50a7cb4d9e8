"""Convolution of signals with finite responses, by fast Fourier transforms of 32 lines side by side.

What lies outside of a trial counts as zero, or as what `rayspy.kernels.padding` says.
About the mean is taken out before the transform and the response to it, which is known,
is added afterwards: so single precision is enough for signals with a large offset. Long trials are cut into
overlapping segments (overlap-save). A number that is not finite shows in all
that comes from a transform; only then its signals are looked through.

Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd
ed., section 8.7 (linear convolution with the discrete Fourier transform).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES, fast_length
from rayspy.kernels.lines import Lines, counts_before, lines_of
from rayspy.kernels.padding import end_lines, extended

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Response:
    """A finite impulse response.

    Attributes
    ----------
    taps : ndarray of float
        The response.
    lead : int
        How many of the taps stand before time zero: half of them for a response
        without delay, none for a causal one.
    """

    taps: NDArray[np.float64]
    lead: int

    @property
    def tail(self) -> int:
        """How many of the taps stand after time zero."""
        return len(self.taps) - 1 - self.lead

    @property
    def is_symmetric(self) -> bool:
        """Whether it has no delay and treats past and future alike."""
        return self.lead == self.tail and np.allclose(self.taps, self.taps[::-1], rtol=0, atol=1e-12)


LONGEST = 2**14
"""Rows of a segment with its margins, if these are not longer than a quarter of it."""


def put_filtered(
    x: Array,
    dtype: np.dtype[Any],
    response: Response,
    passes: int,
    start: int,
    length: int,
    rows: slice,
    out: Array,
    padtype: str = "constant",
) -> None:
    """Rows of trials that were convolved once or twice.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Samples `start` and following of trials, at least those that `reach` names; all
        of them for 'line'. Numbers that are not finite spread over the length of the
        response.
    dtype : dtype
        Precision of the computation, floating point.
    response : Response
        What to convolve with.
    passes : int
        1 or 2; a response that is used twice is symmetric.
    start, length : int
        First sample of `x`, and samples of a trial.
    rows : slice
        Rows wanted, in steps if it has any.
    out : ndarray, floating point, shape (trial, row, channel)
        Where to put them.
    padtype : str
        One of `rayspy.kernels.padding.PADTYPES`. 'constant': all before and after a trial
        is zero, also what a first pass brings there. 'mean', 'line': the same for what is
        left without the mean of `x` or the line, which come back times the gain at 0. Others:
        both passes run over what is added to the trial.

    Raises
    ------
    ValueError
        A response without symmetry is to be used twice.
    """
    if passes == 2 and not response.is_symmetric:
        raise ValueError("a response that is used twice has to be symmetric")
    total = response if passes == 1 else _squared(response)
    if padtype == "line":
        _put_with_line(x, dtype, response, passes, length, rows, out)
        return
    if padtype not in ("mean", "constant"):
        _put_extended(x, dtype, total, padtype, start, length, rows, out)
        return
    low, high = reach(response, passes, length, rows.start, rows.stop)
    lines = lines_of(x[:, low - start : high - start], dtype, padtype == "mean")
    if padtype == "mean":
        ones = np.full(len(range(rows.start, rows.stop, rows.step or 1)), gain(response, passes), dtype)
    else:
        ones = _of_ones(response, passes, length, rows.start, rows.stop)[:: rows.step].astype(dtype)
    _convolve(lines, total, low, rows, ones, out)
    if passes == 2:
        _cut_in_between(lines, response, low, length, rows, out)
    lines.spoil(lambda holes: _reached(holes, response, passes, low, length, rows), out)


def gain(response: Response, passes: int) -> float:
    """What becomes of a constant."""
    found = float(response.taps.sum()) ** passes
    return 0.0 if abs(found) < NOTHING else found


def _put_with_line(
    x: Array, dtype: np.dtype[Any], response: Response, passes: int, length: int, rows: slice, out: Array
) -> None:
    """Filter what is left without the line from the first to the last sample, which goes on for ever."""
    level, slope = end_lines(x)
    rest = (x - (level + slope * np.arange(length)[:, np.newaxis])).astype(dtype, copy=False)
    put_filtered(rest, dtype, response, passes, 0, length, rows, out)
    lags = np.arange(len(response.taps)) - response.lead
    delay = float(lags @ response.taps) if passes == 1 else 0.0
    at = np.arange(rows.start, rows.stop, rows.step or 1)[:, np.newaxis]
    np.add(out, gain(response, passes) * (level + slope * at) - delay * slope, out=out, casting="same_kind")


def _put_extended(
    x: Array,
    dtype: np.dtype[Any],
    total: Response,
    padtype: str,
    start: int,
    length: int,
    rows: slice,
    out: Array,
) -> None:
    """Filter trials to which as many samples as are needed have been added."""
    before = max(0, total.tail - rows.start)
    after = max(0, rows.stop + total.lead - length)
    longer = extended(x.astype(dtype, copy=False), padtype, before, after)
    moved = slice(rows.start + before, rows.stop + before, rows.step)
    put_filtered(longer, dtype, total, 1, start, length + before + after, moved, out)


def _convolve(lines: Lines, response: Response, start: int, rows: slice, ones: Array, out: Array) -> None:
    """Rows of one convolution of lines that begin with sample `start`, in segments side by side."""
    from rayspy.kernels.loops.lanes import kept, line_groups
    from rayspy.kernels.loops.real import convolve
    from rayspy.kernels.loops.rows import Segments, clean, put, take

    step, dtype = rows.step or 1, lines.levels.dtype
    count, each = _segments(response, len(ones), step)
    first = max(start, rows.start - response.tail) if count == 1 else rows.start - response.tail
    cut = Segments(count, first - start, each * step, 0, each, each)
    stop = min(start + lines.x.shape[1], rows.start + each * step + response.lead) - first
    span = rows.start - first, min(rows.start + each * step, rows.stop) - first
    n_fft = _transform_length(response, stop, span)
    transfer = _transfer(response, n_fft, dtype.char)
    z = kept(n_fft * LANES, dtype).reshape(n_fft, LANES)
    for some in line_groups(len(lines.levels) * count):
        lanes = some.start, len(some)
        take(lines.x, lanes, cut, lines.levels, z[np.newaxis], 0)
        convolve(z, transfer)
        if not np.isfinite(z[0]).all():
            take(lines.x, lanes, cut, lines.levels, z[np.newaxis], 0)
            lines.mark(some.start, count, clean(z))
            convolve(z, transfer)
        put(z[np.newaxis, span[0] :], step, lanes, cut, lines.levels, ones, out, 0)


def _segments(response: Response, n_rows: int, step: int) -> tuple[int, int]:
    """How many segments there are, and the rows of each."""
    margin = len(response.taps) - 1
    most = max(LONGEST, 4 * margin) - margin
    count = -(-n_rows * step // most)
    return count, -(-n_rows // count)


def _transform_length(response: Response, stop: int, span: tuple[int, int]) -> int:
    """Length in which what `stop` samples become does not reach the rows `span` from the other end."""
    needed = max(stop, stop + response.tail - span[0], span[1] + response.lead)
    return 2 * fast_length(-(-needed // 2))


def _cut_in_between(
    lines: Lines, response: Response, start: int, length: int, rows: slice, out: Array
) -> None:
    """Take back what a second pass brings from outside of trials, which are cut after the first.

    At the end of a trial of n samples the first pass leaves u[k] = sum over l of
    h[k + l + 1] x[n - 1 - l] in sample n + k, of which the second one brings the sum over
    k of h[k + l + 1] u[k] to sample n - 1 - l: twice the same. At the beginning time
    runs the other way.
    """
    from rayspy.kernels.loops.ends import put_ends, reflect, take_ends, times
    from rayspy.kernels.loops.lanes import backward, forward, kept, line_groups
    from rayspy.kernels.loops.rows import clean

    n, lead, step = lines.x.shape[1], response.lead, rows.step or 1
    begins, ends = rows.start < lead, rows.stop > length - lead
    if not (begins or ends):
        return
    n_fft, dtype = fast_length(2 * lead), lines.levels.dtype
    beyond = _beyond(response, n_fft, dtype.char)
    z = kept(n_fft * 2 * LANES, dtype).reshape(n_fft, 2 * LANES)
    for some in line_groups(len(lines.levels)):
        lanes = some.start, len(some)
        take_ends(lines.x, lanes, lines.levels, begins, ends, min(lead, n), z)
        if lines.holes.any():
            clean(z)
        for again in (True, False):
            forward(z)
            times(z, beyond)
            backward(z)
            if again:
                reflect(z, lead)
        put_ends(z, lanes, lead, rows.start, step, length - 1 - rows.start, out)


@lru_cache(maxsize=16)
def _beyond(response: Response, n_fft: int, dtype: str) -> Array:
    """Conjugate of the transfer function of the taps after the middle one, in the order of transforms."""
    from scipy.fft import fft

    from rayspy.kernels.loops.lanes import transform

    taps = np.concatenate([[0], response.taps[response.lead + 1 :]])
    spectrum = np.conj(fft(taps, n_fft)) / n_fft
    return np.asarray(spectrum[np.argsort(transform(n_fft, dtype).place)], dtype.upper())


@lru_cache(maxsize=16)
def _squared(response: Response) -> Response:
    """Response of two passes."""
    from scipy.signal import fftconvolve

    return Response(fftconvolve(response.taps, response.taps), 2 * response.lead)


def room_in_bytes(response: Response, passes: int, length: int) -> int:
    """Memory for a segment with its margins in double precision, whatever the number of lines."""
    margin = passes * (len(response.taps) - 1)
    longest = min(length + 2 * margin, max(LONGEST, 4 * margin) + margin)
    n_fft = max(2 * fast_length(-(-longest // 2)), 2 * fast_length(2 * response.lead))
    return 8 * 36 * n_fft + 64 * longest


@lru_cache(maxsize=16)
def _transfer(response: Response, n_fft: int, dtype: str) -> Array:
    """Conjugate of the transfer function, divided by twice the length: see `loops.real.convolve`."""
    from scipy.fft import rfft

    wrapped = np.zeros(n_fft)
    wrapped[: response.tail + 1] = response.taps[response.lead :]
    if response.lead:
        wrapped[-response.lead :] = response.taps[: response.lead]
    return np.asarray(np.conj(rfft(wrapped)) / (2 * n_fft), dtype.upper())


@lru_cache(maxsize=16)
def _of_ones(response: Response, passes: int, length: int, first: int, stop: int) -> NDArray[np.float64]:
    """Rows of the response to a trial of ones."""
    from scipy.signal import oaconvolve

    low, high = reach(response, passes, length, first, stop)
    ones, at = np.ones(high - low), low
    for k in range(passes - 1, -1, -1):
        low, high = reach(response, k, length, first, stop)
        begin = low - at + response.lead
        ones, at = oaconvolve(ones, response.taps)[begin : begin + high - low], low
    return np.where(np.abs(ones) < NOTHING, 0.0, ones) if gain(response, passes) == 0 else ones


NOTHING = 1e-12
"""Gain at 0 below which there is none."""


def _reached(holes: Array, response: Response, passes: int, start: int, length: int, rows: slice) -> Array:
    """Rows that are reached from any hole in lines (..., time) that begin with sample `start`."""
    at = start
    for k in range(passes - 1, -1, -1):
        low, high = reach(response, k, length, rows.start, rows.stop)
        holes, at = _spread(holes, response, slice(low - at, high - at)), low
    reached: Array = holes[..., :: rows.step]
    return reached


def _spread(holes: Array, response: Response, rows: slice) -> Array:
    """Rows that the response reaches from any hole in lines (..., time)."""
    counts, n = counts_before(holes), holes.shape[-1]
    places = np.arange(rows.start, rows.stop)[:: rows.step]
    begin = np.clip(places - response.tail, 0, n)
    end = np.clip(places + response.lead + 1, 0, n)
    reached: Array = counts[..., end] > counts[..., begin]
    return reached


def reach(response: Response, passes: int, length: int, first: int, stop: int) -> tuple[int, int]:
    """Samples of a trial on which the given rows depend."""
    return max(0, first - passes * response.tail), min(length, stop + passes * response.lead)
