"""Change of the sampling rate of lines (trial, channel, time) by a rational factor.

Crochiere, R. E. & Rabiner, L. R. (1983). Multirate digital signal processing,
ch. 2: the signal is thought of with up - 1 zeros after each sample, low-pass
filtered, and every down-th sample of that is kept. Row k stands where sample
k * down / up of the input stands; before and after a trial there are zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lines import as_lines, as_samples, counts_before, lines_of

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
    def by_transform(self) -> bool:
        """Whether a Fourier transform is faster than adding up the products for each row."""
        small = self.up <= _LARGEST_UP and self.down <= _LARGEST_DOWN
        return small and len(self.taps) > _MANY_TAPS * self.up


_MANY_TAPS = 24
_LARGEST_UP = 32
_LARGEST_DOWN = 512


def n_rows(length: int, up: int, down: int) -> int:
    """Rows that a trial of `length` samples has afterwards."""
    return -(-length * up // down)


def samples_for_rows(factor: Polyphase, length: int, first: int, stop: int) -> tuple[int, int]:
    """Samples on which rows depend."""
    low = (first * factor.down - factor.half) // factor.up
    high = ((stop - 1) * factor.down + factor.half) // factor.up + 1
    return max(0, low), min(length, high)


def resampled(x: Array, factor: Polyphase, start: int, first: int, stop: int) -> Array:
    """Rows `first` to `stop` of resampled trials.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, channel, time)
        Samples `start` and following, all others are zero. Numbers that are not
        finite spread over the length of the filter.
    factor : Polyphase
        Factor and filter.
    start, first, stop : int
        First sample in `x` and the rows wanted.
    """
    y = np.empty((*x.shape[:2], stop - first), x.dtype)
    put_resampled(as_samples(x), x.dtype, factor, start, first, stop, as_samples(y))
    return y


def put_resampled(
    x: Array, dtype: np.dtype[Any], factor: Polyphase, start: int, first: int, stop: int, out: Array
) -> None:
    """`resampled` from samples to samples.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Samples `start` and following of trials.
    dtype : dtype
        Precision of the computation, floating point.
    factor, start, first, stop
        See `resampled`.
    out : ndarray, floating point, shape (trial, row, channel)
        Where to put the rows.
    """
    if factor.by_transform:
        _put_transformed(x, dtype, factor, start, first, stop, out)
    else:
        summed = _summed(as_lines(x, dtype), factor, start, first, stop)
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
    x: Array, dtype: np.dtype[Any], factor: Polyphase, start: int, first: int, stop: int, out: Array
) -> None:
    """Products of transfer function and spectra, folded to the new rate."""
    from scipy.fft import irfft, rfft

    n_fft, origin = _frame(factor, x.shape[1], start, first, stop)
    n_out = n_fft // factor.down * factor.up
    row = first - origin // factor.down * factor.up
    ones = _of_ones(factor, start, x.shape[1], first, stop).astype(dtype)
    lines = lines_of(x, dtype)
    for batch in lines.batches(n_fft, start - origin):
        folded = _folded(rfft(batch.padded, axis=-1), factor, n_fft)
        y = irfft(folded, n_out, axis=-1, overwrite_x=True)[:, row : row + stop - first]
        batch.put(y, ones, out)
    lines.spoil(lambda holes: _reached(holes, factor, start, first, stop), out)


def _frame(factor: Polyphase, n: int, start: int, first: int, stop: int) -> tuple[int, int]:
    """Length of the transform and the sample where it begins, both multiples of `down`.

    Long enough that what runs over one end does not reach the rows at the other.
    """
    from scipy.fft import next_fast_len

    up, down, half = factor.up, factor.down, factor.half
    origin = start // down * down
    end = (start - origin + n - 1) * up + half
    over_end = end - (first * down - origin * up) + 1
    over_start = half - (start - origin) * up + (stop - 1) * down - origin * up + 1
    needed = max(-(-over_end // up), -(-over_start // up), start - origin + n)
    return down * int(next_fast_len(-(-needed // down), real=True)), origin


def _folded(spectra: Array, factor: Polyphase, n_fft: int) -> Array:
    """Spectra times transfer function at the high rate, all frequencies that fall on one another added."""
    from rayspy.kernels.loops.lines import fold

    real = spectra.real.dtype
    transfer = _transfer(factor, n_fft, real.char)
    folded = np.empty((len(spectra), transfer.shape[1]), real)
    fold(spectra, transfer, n_fft, n_fft // factor.down * factor.up, folded)
    return folded.view(spectra.dtype)


@lru_cache(maxsize=4)
def _transfer(factor: Polyphase, n_fft: int, dtype: str) -> Array:
    """Transfer function per alias and frequency, divided by `down`; every number twice, for both parts."""
    from scipy.fft import rfft

    n_high = n_fft * factor.up
    n_out = n_high // factor.down
    wrapped = np.zeros(n_high)
    wrapped[: factor.half + 1] = factor.taps[factor.half :]
    wrapped[n_high - factor.half :] = factor.taps[: factor.half]
    half = rfft(wrapped).real / factor.down
    spectrum = np.concatenate([half, half[n_high - len(half) : 0 : -1]])
    aliases = spectrum.reshape(factor.down, n_out)[:, : n_out // 2 + 1]
    return np.repeat(aliases, 2, axis=1).astype(dtype)


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
