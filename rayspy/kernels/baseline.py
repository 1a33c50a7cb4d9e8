"""Baseline correction: signals relative to what they were in a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import pairwise_sum

Array = NDArray[Any]


def _absolute(x: Array, mean: Array, window: Array) -> Array:
    return x - mean


def _relative(x: Array, mean: Array, window: Array) -> Array:
    return np.asarray(x / mean)


def _relchange(x: Array, mean: Array, window: Array) -> Array:
    return np.asarray((x - mean) / mean)


def _normchange(x: Array, mean: Array, window: Array) -> Array:
    return np.asarray((x - mean) / (x + mean))


def _decibel(x: Array, mean: Array, window: Array) -> Array:
    return np.asarray(10 * np.log10(x / mean))


def _zscore(x: Array, mean: Array, window: Array) -> Array:
    variance = _mean_over_time((window - mean) ** 2)
    return np.asarray((x - mean) / np.sqrt(variance))


MODES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "absolute": _absolute,
    "relative": _relative,
    "relchange": _relchange,
    "normchange": _normchange,
    "db": _decibel,
    "zscore": _zscore,
}
"""What becomes of a signal x with mean m and population standard deviation s in the baseline:
x - m, x / m, (x - m) / m, (x - m) / (x + m), 10 log10(x / m), (x - m) / s."""


def baseline_corrected(x: Array, n_window: int, mode: str, out: Array | None = None) -> Array:
    """Relate every trial to its baseline.

    Parameters
    ----------
    x : ndarray, shape (trial, n_window + time, ..., channel)
        Samples of the baseline, followed by those of the trial; not changed.
    n_window : int
        Samples of the baseline.
    mode : str
        One of `MODES`.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (trial, time, ..., channel)
        float32, complex64 for complex numbers; infinite or NaN where a baseline is 0.
    """
    is_complex = x.dtype.kind == "c"
    wide = x.astype(np.complex128 if is_complex else np.float64)
    window, rest = wide[:, :n_window], wide[:, n_window:]
    if out is None:
        out = np.empty(rest.shape, np.complex64 if is_complex else np.float32)
    with np.errstate(all="ignore"):
        np.copyto(out, MODES[mode](rest, _mean_over_time(window), window), casting="same_kind")
    return out


def _mean_over_time(x: Array) -> Array:
    """Mean over axis 1, which is kept, with bits that do not depend on what else is in the array."""
    flat = x.reshape(*x.shape[:2], -1)
    mean: Array = pairwise_sum(flat) / x.shape[1]
    return mean.reshape(x.shape[0], 1, *x.shape[2:])
