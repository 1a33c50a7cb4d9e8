"""Spike densities: trains smoothed with a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SHAPES = ("gauss", "boxcar", "triangle", "exponential", "alpha")


def smoothing_kernel(shape: str, low: int, high: int, samplerate: float) -> NDArray[np.float64]:
    """Kernel over the samples from `low` to `high` around a spike, of sum 1.

    Parameters
    ----------
    shape : {'gauss', 'boxcar', 'triangle', 'exponential', 'alpha'}
        'gauss' has a standard deviation of a quarter of the half width (FieldTrip's
        default). 'exponential' exp(-t / tau) and 'alpha' t exp(-t / tau) are causal,
        with tau a quarter of `high`.
    low, high : int
        First and last sample relative to the spike, low <= 0 <= high.
    samplerate : float
        Samples per second.
    """
    t = np.arange(low, high + 1) / samplerate
    reach = max(-low, high, 1) / samplerate
    if shape == "gauss":
        kernel = np.exp(-(t**2) / (2 * (reach / 4) ** 2))
    elif shape == "boxcar":
        kernel = np.ones(len(t))
    elif shape == "triangle":
        kernel = 1 - np.abs(t) / (reach + 1 / samplerate)
    else:
        tau = max(high, 1) / samplerate / 4
        after = np.where(t >= 0, np.exp(-np.maximum(t, 0) / tau), 0.0)
        kernel = after if shape == "exponential" else after * np.maximum(t, 0)
    total = kernel.sum()
    return kernel / total if total > 0 else np.where(t == 0, 1.0, 0.0)


def density(counts: Array, kernel: Array, low: int, correct: bool) -> NDArray[np.float64]:
    """Smooth the counts per sample of one trial.

    Parameters
    ----------
    counts : ndarray of shape (samples, cells)
        Spikes per sample.
    kernel : ndarray of shape (taps,)
        From `low` samples before a spike on (`low` <= 0).
    low : int
        Sample of the first tap relative to the spike.
    correct : bool
        Divide by the part of the kernel that lies in the trial, so that a constant
        rate stays constant up to the ends.

    Returns
    -------
    ndarray of float64, shape (samples, cells)
        Spikes per sample.
    """
    smooth = _spread(np.asarray(counts, dtype=np.float64), kernel, low)
    if not correct:
        return smooth
    inside = _spread(np.ones((len(counts), 1)), kernel, low)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(inside > 0, smooth / inside, np.nan)


def _spread(x: Array, kernel: Array, low: int) -> NDArray[np.float64]:
    """Sum over spikes of the kernel placed at each of them, tap by tap."""
    n, out = len(x), np.zeros(x.shape)
    for k, weight in enumerate(kernel.tolist()):
        shift = low + k
        if weight == 0 or abs(shift) >= n:
            continue
        target, source = (out[shift:], x[: n - shift]) if shift >= 0 else (out[:shift], x[-shift:])
        target += weight * source
    return out
