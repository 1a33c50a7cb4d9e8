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
    if statistic == "median":
        reference = np.median(picked, axis=-1, keepdims=True)
    else:
        reference = picked.mean(axis=-1, keepdims=True)
    if out is None:
        out = np.empty(x.shape, np.complex64 if x.dtype.kind == "c" else np.float32)
    np.subtract(x, reference, out=out, casting="same_kind")
    return out
