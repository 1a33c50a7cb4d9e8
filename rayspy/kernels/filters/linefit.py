"""Sinusoids of known frequency, fitted in overlapping windows and subtracted.

In each window the sinusoids and a constant are fitted together by least squares
(the discrete Fourier transform at these frequencies, made exact for windows that
are not a whole number of periods). Windows overlap by half; what they find is
blended with weights sin^2, so that amplitude and phase may change slowly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import pairwise_sum
from rayspy.kernels.lines import as_samples
from rayspy.kernels.remember import remembered

Array = NDArray[Any]


def window_starts(length: int, window: int) -> NDArray[np.int64]:
    """First sample of each window; the last one ends with the trial."""
    if length <= window:
        return np.zeros(1, dtype=np.int64)
    starts = np.arange(0, length - window + 1, max(1, window // 2))
    return starts if starts[-1] + window == length else np.append(starts, length - window)


def windows_for(length: int, window: int, first: int, stop: int) -> NDArray[np.int64]:
    """First samples of the windows that touch some rows of a trial."""
    starts = window_starts(length, window)
    return starts[(starts < stop) & (starts + window > first)]


KEPT_BYTES = 2**20
"""Sinusoids that are kept per process."""


@remembered(KEPT_BYTES, 2**25)
def sinusoids(freqs: tuple[float, ...], window: int) -> Array:
    """Cosines and sines at the given frequencies, and what finds their amplitudes.

    Parameters
    ----------
    freqs : tuple of float
        Cycles per sample.
    window : int
        Samples.

    Returns
    -------
    ndarray, shape (2, 2 * freq, window)
        Waves and finders: the amplitude of wave k that fits best is the product of finder k and the signal.
    """
    phase = 2 * np.pi * np.outer(freqs, np.arange(window) - (window - 1) / 2)
    waves = np.concatenate([np.cos(phase), np.sin(phase)])
    design = np.concatenate([np.ones((1, window)), waves])
    return np.stack([waves, np.linalg.pinv(design).T[1:]])


def sinusoids_bytes(n_freqs: int, window: int) -> int:
    """Memory for the sinusoids that are kept, and for making one set of them."""
    made = 8 * window * (2 * n_freqs + 1)
    return KEPT_BYTES + 10 * made


def without_lines(
    lines: Array, freqs: tuple[float, ...], window: int, start: int, length: int, first: int, stop: int
) -> Array:
    """Rows `first` to `stop` of trials less the sinusoids in them.

    Parameters
    ----------
    lines : ndarray of double, shape (trial, channel, time)
        Samples `start` and following; all of the windows that touch the rows.
    freqs : tuple of float
        Cycles per sample.
    window : int
        Samples per window; shorter trials are one window.
    start, length, first, stop : int
        First sample in `lines`, samples per trial, and the rows wanted.
    """
    width = min(window, length)
    waves, finders = sinusoids(freqs, width)
    weight = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 2
    starts = windows_for(length, width, first, stop) - start
    total = np.zeros(lines.shape[2])
    for begin in starts.tolist():
        total[begin : begin + width] += weight
    rest = lines.copy()
    for begin in starts.tolist():
        rows = slice(begin, begin + width)
        rest[..., rows] -= _fit(lines[..., rows], waves, finders) * (weight / total[rows])
    return rest[..., first - start : stop - start]


def _fit(lines: Array, waves: Array, finders: Array) -> Array:
    """Sum of the sinusoids that fit best."""
    fit = np.zeros(lines.shape)
    for wave, finder in zip(waves, finders, strict=True):
        amplitude = as_samples(pairwise_sum(as_samples(lines * finder)))
        fit += amplitude * wave
    return fit
