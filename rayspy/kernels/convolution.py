"""Convolution of signals with finite responses, by fast Fourier transforms of 32 lines side by side.

What lies outside of a trial counts as zero. The mean is taken out before the
transform and its response, which is known, is added afterwards: so single
precision is enough for signals with a large offset. Long trials are cut into
overlapping segments (overlap-save).

Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd
ed., section 8.7 (linear convolution with the discrete Fourier transform).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import fast_length
from rayspy.kernels.lines import Lines, as_samples, counts_before, lines_of

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


LONGEST = 2**14
"""Rows of a segment with its margins, if these are not longer than a quarter of it."""


def convolved(x: Array, response: Response, start: int, first: int, stop: int) -> Array:
    """Rows `first` to `stop` of a convolution.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, channel, time)
        Samples `start` and following; all before and after are zero. Numbers
        that are not finite spread over the length of the response.
    response : Response
        What to convolve with.
    start, first, stop : int
        Positions, counted from the same origin; the rows lie within `x`.

    Returns
    -------
    ndarray, shape (trial, channel, stop - first)
        In the precision of `x`.
    """
    return filtered(x, response, 1, start, start + x.shape[2], first, stop)


def filtered(
    x: Array, response: Response, passes: int, start: int, length: int, first: int, stop: int
) -> Array:
    """Rows of a trial that was convolved once or twice; after each time it is cut to its length.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, channel, time)
        Samples `start` and following of trials; at least those that `reach` names.
    response : Response
        What to convolve with.
    passes : int
        1 or 2.
    start, length, first, stop : int
        First sample of `x`, samples of a trial, and the rows wanted.
    """
    y = np.empty((*x.shape[:2], stop - first), x.dtype)
    put_filtered(as_samples(x), x.dtype, response, passes, start, length, slice(first, stop), as_samples(y))
    return y


def put_filtered(
    x: Array,
    dtype: np.dtype[Any],
    response: Response,
    passes: int,
    start: int,
    length: int,
    rows: slice,
    out: Array,
) -> None:
    """`filtered` from samples to samples.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Samples `start` and following of trials.
    dtype : dtype
        Precision of the computation, floating point.
    response, passes, start, length
        See `filtered`.
    rows : slice
        Rows wanted, in steps if it has any.
    out : ndarray, floating point, shape (trial, row, channel)
        Where to put them.
    """
    lines, step = lines_of(x, dtype), rows.step or 1
    for segment in _segments(response, passes, rows):
        done = slice((segment.start - rows.start) // step, (segment.stop - rows.start - 1) // step + 1)
        _put_segment(lines, response, passes, start, length, segment, out[:, done])


def _segments(response: Response, passes: int, rows: slice) -> list[slice]:
    """Cut rows into parts of about the same length."""
    step, margin = rows.step or 1, passes * (len(response.taps) - 1)
    n_rows = -(-(rows.stop - rows.start) // step)
    most = max(LONGEST, 4 * margin) - margin
    n_parts = -(-n_rows * step // most)
    each = -(-n_rows // n_parts) * step
    return [slice(k, min(k + each, rows.stop), step) for k in range(rows.start, rows.stop, each)]


def room_in_bytes(response: Response, passes: int, length: int) -> int:
    """Memory for a segment with its margins in double precision, whatever the number of lines."""
    margin = passes * (len(response.taps) - 1)
    longest = min(length + 2 * margin, max(LONGEST, 4 * margin) + margin)
    return 8 * 36 * 2 * fast_length(-(-longest // 2)) + 64 * longest


def _put_segment(
    lines: Lines, response: Response, passes: int, start: int, length: int, rows: slice, out: Array
) -> None:
    from rayspy.kernels.loops.lanes import line_groups, time_rows
    from rayspy.kernels.loops.real import clean_rows, convolve, put_rows, take_rows

    dtype = lines.means.dtype
    edges = [reach(response, k, length, rows.start, rows.stop) for k in range(passes, -1, -1)]
    first = edges[0][0]
    n_fft = _transform_length(response, [(low - first, high - first) for low, high in edges])
    transfer = _transfer(response, n_fft, dtype.char)
    ones = _of_ones(response, passes, length, rows.start, rows.stop)[:: rows.step].astype(dtype)
    z = time_rows(n_fft, dtype)
    for group in line_groups(len(lines.means)):
        here = (group.start, len(group), lines.means)
        take_rows(lines.x, *here, first - start, edges[0][1] - start, z)
        if lines.holes[group.start : group.stop].any():
            clean_rows(z)
        convolve(z, transfer)
        for _, high in edges[1:passes]:
            z[high - first :] = 0
            convolve(z, transfer)
        put_rows(z[rows.start - first :], rows.step or 1, *here, ones, out)
    lines.spoil(lambda holes: _reached(holes, response, passes, start, length, rows), out)


def _transform_length(response: Response, edges: list[tuple[int, int]]) -> int:
    """Length in which the ends of what goes into each pass do not reach each other's rows."""
    needed = 1
    for (_, stop), (low, high) in pairwise(edges):
        needed = max(needed, stop, stop + response.tail - low, high + response.lead)
    return 2 * fast_length(-(-needed // 2))


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
    gain = float(response.taps.sum()) ** passes
    return np.where(np.abs(ones) < NOTHING, 0.0, ones) if abs(gain) < NOTHING else ones


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
