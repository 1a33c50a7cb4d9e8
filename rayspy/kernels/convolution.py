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
    y = transformed(x, response, low, high, mean)
    _add_constant(y, mean, response, x.shape[2], low)
    return y


_NOTHING = 1e-12
"""Gain at 0 below which there is none."""


def _add_constant(y: Array, mean: Array, response: Response, n: int, low: int) -> None:
    """Add the response to n samples of the mean: constant but for the rows at the ends."""
    rows = y.shape[2]
    ones = _of_ones(response, n, low, low + rows)
    gain = float(response.taps.sum())
    gain = gain if abs(gain) > _NOTHING else 0.0
    if gain:
        y += mean * y.dtype.type(gain)
    front = min(max(0, response.tail - low), rows)
    back = min(max(front, n - response.lead - low), rows)
    for part in (slice(0, front), slice(back, rows)):
        y[..., part] += mean * (ones[part] - gain).astype(y.dtype)


def transformed(x: Array, response: Response, low: int, high: int, mean: Array | None = None) -> Array:
    """Rows `low` to `high` of the convolution of finite lines, which may go on after their end.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, channel, time)
        Signals; zero before and after.
    response : Response
        What to convolve with.
    low, high : int
        Rows wanted, the first one within `x`.
    mean : ndarray, shape (trial, channel, 1), optional
        Is subtracted from the signals.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = x.shape[2]
    n_fft = int(next_fast_len(max(n, n + response.tail - low, high + response.lead), real=True))
    padded = np.empty((*x.shape[:2], n_fft), x.dtype)
    np.subtract(x, x.dtype.type(0) if mean is None else mean, out=padded[..., :n])
    padded[..., n:] = 0
    spectra = rfft(padded, axis=-1, overwrite_x=True)
    del padded
    _times(spectra, _transfer(response, n_fft, x.dtype.char))
    y: Array = irfft(spectra, n_fft, axis=-1, overwrite_x=True)[..., low:high]
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
    return _twice(x, response, start, length, first, stop)


def _twice(x: Array, response: Response, start: int, length: int, first: int, stop: int) -> Array:
    """Convolve with the response to the response, and take back what ran over the ends in between."""
    y = convolved(x, _squared(response), start, first, stop)
    half, end = response.lead, start + x.shape[2]
    ends = []
    if first < half:
        ends.append((y[..., : half - first], x[..., :half], first))
    if stop > length - half:
        back = x[..., ::-1][..., end - length : end - length + half]
        ends.append((y[..., ::-1][..., : half - length + stop], back, length - stop))
    if ends:
        over = _over_end(np.concatenate([edge for _, edge, _ in ends]), response)
        for (rows, _, row), part in zip(ends, np.split(over, len(ends)), strict=True):
            rows -= part[..., row : row + rows.shape[2]]
    return y


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
    half = response.lead
    return convolved(convolved(edge, out, 0, 0, half), back, 0, 0, half)
