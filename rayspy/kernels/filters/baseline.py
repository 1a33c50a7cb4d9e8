"""Baseline correction: signals relative to what they were in a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import pairwise_sum

Array = NDArray[Any]


_PIECE = 2**16
"""Numbers that are turned to double precision at a time."""

MODES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "absolute": lambda x, m, s: x - m,
    "relative": lambda x, m, s: np.divide(x, m),
    "relchange": lambda x, m, s: np.divide(x - m, m),
    "normchange": lambda x, m, s: np.divide(x - m, x + m),
    "db": lambda x, m, s: 10 * np.log10(x / m),
    "zscore": lambda x, m, s: np.divide(x - m, s),
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
    wide = np.complex128 if is_complex else np.float64
    if out is None:
        shape = (x.shape[0], x.shape[1] - n_window, *x.shape[2:])
        out = np.empty(shape, np.complex64 if is_complex else np.float32)
    window = x[:, :n_window].astype(wide)
    with np.errstate(all="ignore"):
        mean = _mean_over_time(window)
        deviation = np.sqrt(_mean_over_time((window - mean) ** 2)) if mode == "zscore" else mean
        step = max(1, _PIECE * out.shape[1] // max(1, out.size))
        for low in range(0, out.shape[1], step):
            piece = x[:, n_window + low : n_window + low + step].astype(wide)
            np.copyto(out[:, low : low + step], MODES[mode](piece, mean, deviation), casting="same_kind")
    return out


def _mean_over_time(x: Array) -> Array:
    """Mean over axis 1, which is kept, with bits that do not depend on what else is in the array."""
    flat = x.reshape(*x.shape[:2], -1)
    mean: Array = pairwise_sum(flat) / x.shape[1]
    return mean.reshape(x.shape[0], 1, *x.shape[2:])
