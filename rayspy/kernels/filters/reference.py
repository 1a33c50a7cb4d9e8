"""Another reference: subtract the mean or median of some channels from all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rereferenced(
    x: Array, channels: slice | NDArray[np.int64], statistic: str, out: Array | None = None
) -> Array:
    """Subtract at every time point a value that is common to all channels.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Signals with all channels that the reference is made of; not changed.
    channels : slice or ndarray of int
        Those channels.
    statistic : {'average', 'median'}
        What is taken of them.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (trial, time, channel)
        float32, complex64 for complex signals.
    """
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    picked = np.array(x[..., channels], dtype=wide, order="C")
    reference = _median(picked) if statistic == "median" else picked.mean(axis=-1, keepdims=True)
    if out is None:
        out = np.empty(x.shape, np.complex64 if x.dtype.kind == "c" else np.float32)
    np.subtract(x, reference, out=out, casting="same_kind")
    return out


def _median(x: Array) -> Array:
    """Median over the last axis, which is kept; NaN where there is one. Sorts `x`.

    Sorting short rows takes a tenth of the time that NumPy's median needs for them.
    """
    x.sort(axis=-1)
    n = x.shape[-1]
    middle: Array = (x[..., (n - 1) // 2, np.newaxis] + x[..., n // 2, np.newaxis]) / 2
    return np.where(np.isnan(x[..., -1:]), np.nan, middle)
