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

from rayspy.kernels.lines import counts_before, line_means

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
    low, high = first - start, stop - start
    mean = line_means(x)
    if np.isfinite(mean).all():
        return _convolved(x, mean, response, low, high)
    holes = ~np.isfinite(x)
    clean = np.where(holes, x.dtype.type(0), x)
    y = _convolved(clean, line_means(clean), response, low, high)
    y[_spread(holes, response, low, high)] = np.nan
    return y


def _convolved(x: Array, mean: Array, response: Response, low: int, high: int) -> Array:
    y = _through(x, mean, response, slice(low, high))
    n = x.shape[2]
    ones = _of_ones(response, n, low, high)
    front, back = max(0, response.tail - low), max(0, high + response.lead - n)
    _add_steady(y, mean, ones, float(response.taps.sum()), front, back)
    return y


def _through(x: Array, mean: Array | np.floating[Any], response: Response, rows: slice) -> Array:
    """Rows of the convolution of finite lines less their means."""
    n = x.shape[2]
    padded = np.empty((*x.shape[:2], transform_length(response, n, rows)), x.dtype)
    np.subtract(x, mean, out=padded[..., :n])
    padded[..., n:] = 0
    return transformed(padded, response, rows)


NOTHING = 1e-12
"""Gain at 0 below which there is none."""


def _add_steady(y: Array, mean: Array, ones: Array, gain: float, front: int, back: int) -> None:
    """Add the mean times `ones`, which is the gain but for some rows at the front and at the back."""
    gain = gain if abs(gain) > NOTHING else 0.0
    if gain:
        y += mean * y.dtype.type(gain)
    rows = y.shape[2]
    front = min(front, rows)
    for part in (slice(0, front), slice(max(front, rows - back), rows)):
        y[..., part] += mean * (ones[part] - gain).astype(y.dtype)


def transform_length(response: Response, n: int, rows: slice) -> int:
    """Length of a transform in which the ends of n samples do not reach each other's rows."""
    from scipy.fft import next_fast_len

    needed = max(n, n + response.tail - rows.start, rows.stop + response.lead)
    return int(next_fast_len(needed, real=True))


def transformed(padded: Array, response: Response, rows: slice) -> Array:
    """Rows of the convolution of finite lines, which may go on after their end.

    Parameters
    ----------
    padded : ndarray, floating point, shape (trial, channel, time)
        Signals followed by zeros, as long as `transform_length` says; lost.
    response : Response
        What to convolve with.
    rows : slice
        Rows wanted, the first one within the signal.
    """
    from scipy.fft import irfft, rfft

    n_fft = padded.shape[2]
    spectra = rfft(padded, axis=-1, overwrite_x=True)
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


def _spread(holes: Array, response: Response, low: int, high: int) -> Array:
    """Rows that the response reaches from any hole."""
    counts, n = counts_before(holes), holes.shape[2]
    rows = np.arange(low, high)
    begin = np.clip(rows - response.tail, 0, n)
    end = np.clip(rows + response.lead + 1, 0, n)
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
    if passes == 1:
        return convolved(x, response, start, first, stop)
    if length < _LONG * len(response.taps):
        low, high = reach(response, 1, length, first, stop)
        return convolved(convolved(x, response, start, low, high), response, low, first, stop)
    mean = line_means(x)
    if np.isfinite(mean).all():
        return _twice(x, mean, response, start, length, first, stop)
    holes = ~np.isfinite(x)
    clean = np.where(holes, x.dtype.type(0), x)
    y = _twice(clean, line_means(clean), response, start, length, first, stop)
    y[_spread(holes, _squared(response), first - start, stop - start)] = np.nan
    return y


def _twice(
    x: Array, mean: Array, response: Response, start: int, length: int, first: int, stop: int
) -> Array:
    """Convolve with the response to the response, and take back what ran over the ends in between."""
    both, half = _squared(response), response.lead
    y = _through(x, mean, both, slice(first - start, stop - start))
    ends = []
    if first < half:
        ends.append((y[..., : half - first], x[..., :half], first))
    if stop > length - half:
        back = x[..., ::-1][..., start + x.shape[2] - length :][..., :half]
        ends.append((y[..., ::-1][..., : half - length + stop], back, length - stop))
    if ends:
        over = _over_end(np.concatenate([edge - mean for _, edge, _ in ends]), response)
        for (rows, _, row), part in zip(ends, np.split(over, len(ends)), strict=True):
            rows -= part[..., row : row + rows.shape[2]]
    ones = _of_ones_twice(response, start, x.shape[2], length, first, stop)
    front, back_rows = max(0, both.tail - first), max(0, stop - length + both.lead)
    _add_steady(y, mean, ones, float(both.taps.sum()), front, back_rows)
    return y


@lru_cache(maxsize=16)
def _of_ones_twice(
    response: Response, start: int, n: int, length: int, first: int, stop: int
) -> NDArray[np.float64]:
    """Rows of the twofold response to n ones from sample `start` of a trial on."""
    ones = _of_ones(_squared(response), n, first - start, stop - start).copy()
    half = response.lead
    over = _over_end(np.ones((1, 1, half)), response)[0, 0]
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


def _over_end(edge: Array, response: Response) -> Array:
    """What the samples at the beginning of a trial give back from before it, if nothing is cut in between."""
    out, back = _halves(response)
    rows, nothing = slice(0, response.lead), edge.dtype.type(0)
    return _through(_through(edge, nothing, out, rows), nothing, back, rows)
