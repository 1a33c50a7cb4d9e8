"""Convolution of lines (trial, channel, time) with finite responses, by fast Fourier transforms.

What lies outside of a trial counts as zero. The mean is taken out before the
transform and its response, which is known, is added afterwards: so single
precision is enough for signals with a large offset.

Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd
ed., section 8.7 (linear convolution with the discrete Fourier transform).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    y = np.empty((*x.shape[:2], stop - first), x.dtype)
    _convolve(as_samples(x), x.dtype, response, slice(first - start, stop - start), as_samples(y))
    return y


def _convolve(x: Array, dtype: np.dtype[Any], response: Response, rows: slice, out: Array) -> None:
    """Put rows of the convolution of samples (trial, time, channel) into an array of that shape."""
    n = x.shape[1]
    ones = _of_ones(response, n, rows.start, rows.stop)[:: rows.step].astype(dtype)
    for batch in lines_of(x, dtype).batches(transform_length(response, n, rows)):
        batch.put(transformed(batch.padded, response, rows), ones, out)
        batch.spoil(lambda holes: _spread(holes, response, rows), out)


NOTHING = 1e-12
"""Gain at 0 below which there is none."""


def transform_length(response: Response, n: int, rows: slice) -> int:
    """Length of a transform in which the ends of n samples do not reach each other's rows."""
    from scipy.fft import next_fast_len

    needed = max(n, n + response.tail - rows.start, rows.stop + response.lead)
    return int(next_fast_len(needed, real=True))


def transformed(padded: Array, response: Response, rows: slice) -> Array:
    """Rows of the convolution of finite lines, which may go on after their end.

    Parameters
    ----------
    padded : ndarray, floating point, shape (..., time)
        Signals followed by zeros, as long as `transform_length` says.
    response : Response
        What to convolve with.
    rows : slice
        Rows wanted, the first one within the signal.
    """
    from scipy.fft import irfft, rfft

    n_fft = padded.shape[-1]
    spectra = rfft(padded, axis=-1)
    _times(spectra, _transfer(response, n_fft, padded.dtype.char))
    y: Array = irfft(spectra, n_fft, axis=-1, overwrite_x=True)[..., rows]
    return y


def _times(spectra: Array, transfer: Array) -> None:
    """Multiply in place; a real transfer function has every number twice, for real and imaginary parts."""
    if transfer.dtype.kind == "c":
        spectra *= transfer
    else:
        pairs = spectra.view(transfer.dtype)
        pairs *= transfer


@lru_cache(maxsize=16)
def _transfer(response: Response, n_fft: int, dtype: str) -> Array:
    """Transfer function at the bins of a transform; real, each number twice, for symmetric responses."""
    from scipy.fft import rfft

    wrapped = np.zeros(n_fft)
    wrapped[: response.tail + 1] = response.taps[response.lead :]
    if response.lead:
        wrapped[-response.lead :] = response.taps[: response.lead]
    spectrum = rfft(wrapped)
    if response.lead == response.tail and (response.taps == response.taps[::-1]).all():
        return np.repeat(spectrum.real, 2).astype(dtype)
    return np.asarray(spectrum, dtype="F" if dtype == "f" else "D")


@lru_cache(maxsize=16)
def _of_ones(response: Response, n: int, low: int, high: int) -> NDArray[np.float64]:
    """Response to n ones, rows low to high: a difference of two sums of taps."""
    sums = np.concatenate([[0.0], np.cumsum(response.taps)])
    rows = np.arange(low, high) + response.lead + 1
    ahead = np.clip(rows, 0, len(response.taps))
    behind = np.clip(rows - n, 0, len(response.taps))
    ones: NDArray[np.float64] = sums[ahead] - sums[behind]
    return ones


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


_LONG = 4
"""Two passes become one with corrected ends for trials this many times as long as the response."""


def filtered(
    x: Array, response: Response, passes: int, start: int, length: int, first: int, stop: int
) -> Array:
    """Rows of a trial that was convolved once or twice; after each time it is cut to its length.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, channel, time)
        Samples `start` and following of trials; at least those that `reach` names.
    response : Response
        What to convolve with; symmetric if twice.
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
    """`filtered` from samples to samples, without lines in between.

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
    if passes == 2 and length >= _LONG * len(response.taps):
        _convolve_twice(x, dtype, response, start, length, rows, out)
        return
    if passes == 2:
        low, high = reach(response, 1, length, rows.start, rows.stop)
        once = np.empty((x.shape[0], x.shape[2], high - low), dtype)
        _convolve(x, dtype, response, slice(low - start, high - start), as_samples(once))
        x, start = as_samples(once), low
    _convolve(x, dtype, response, _shifted(rows, start), out)


def _shifted(rows: slice, start: int) -> slice:
    return slice(rows.start - start, rows.stop - start, rows.step)


def _convolve_twice(
    x: Array, dtype: np.dtype[Any], response: Response, start: int, length: int, rows: slice, out: Array
) -> None:
    """Convolve with the response to the response, and take back what ran over the ends in between."""
    both, step, n = _squared(response), rows.step, x.shape[1]
    ones = _of_ones_twice(response, start, n, length, rows.start, rows.stop)[::step].astype(dtype)
    found, lines = _shifted(rows, start), lines_of(x, dtype)
    over = _over_ends(lines, response, length - start, rows.start, length - rows.stop)
    for batch in lines.batches(transform_length(both, n, found)):
        y = transformed(batch.padded, both, slice(found.start, found.stop))
        _take_back(y, over, slice(batch.low, batch.low + len(batch.means)))
        batch.put(y[:, ::step], ones, out)
        batch.spoil(lambda holes: _spread(holes, both, found), out)


def _over_ends(
    lines: Lines, response: Response, stop: int, before: int, after: int
) -> list[tuple[int, Array]]:
    """What ran over the ends of a trial: from the first row on (1), or from the last one back (-1).

    The trial ends with sample `stop` of the lines; so many rows of it stand
    before and after those that are wanted.
    """
    half = response.lead
    ends = ((1, slice(0, half), before), (-1, slice(stop - half, stop), after))
    near = [end for end in ends if end[2] < half]
    edges = np.empty((len(near), len(lines.means), half), lines.means.dtype)
    for edge, (way, samples, _) in zip(edges, near, strict=True):
        lines.gather(samples, 0, len(edge), edge[:, ::way])
    over = _over_end(edges, response) if near else edges
    return [(way, part[:, row:]) for part, (way, _, row) in zip(over, near, strict=True)]


def _take_back(y: Array, over: list[tuple[int, Array]], lines: slice) -> None:
    """Subtract what ran over the ends from rows of some lines."""
    for way, part in over:
        rows = y[: lines.stop - lines.start, ::way][:, : part.shape[1]]
        rows -= part[lines, : rows.shape[1]]


@lru_cache(maxsize=16)
def _of_ones_twice(
    response: Response, start: int, n: int, length: int, first: int, stop: int
) -> NDArray[np.float64]:
    """Rows of the twofold response to n ones from sample `start` of a trial on."""
    ones = _of_ones(_squared(response), n, first - start, stop - start).copy()
    half = response.lead
    over = _over_end(np.ones((1, half)), response)[0]
    if first < half:
        ones[: half - first] -= over[first : first + len(ones)]
    if stop > length - half:
        ones[::-1][: half - length + stop] -= over[length - stop :][: len(ones)]
    return ones


@lru_cache(maxsize=16)
def _squared(response: Response) -> Response:
    from scipy.signal import fftconvolve

    taps = fftconvolve(response.taps, response.taps)
    return Response((taps + taps[::-1]) / 2, 2 * response.lead)


@lru_cache(maxsize=16)
def _halves(response: Response) -> tuple[Response, Response]:
    """Taps that reach over the beginning of a trial, and those that reach back."""
    half = response.lead
    return Response(response.taps[:half], 0), Response(response.taps[half + 1 :], half - 1)


def _over_end(edges: Array, response: Response) -> Array:
    """What the first samples of trials, (..., time), give back from before, if nothing is cut in between."""
    out, back = _halves(response)
    half = response.lead
    rows = slice(0, half)
    padded = np.zeros((*edges.shape[:-1], transform_length(out, half, rows)), edges.dtype)
    padded[..., :half] = edges
    padded[..., :half] = transformed(padded, out, rows)
    return transformed(padded, back, rows)
