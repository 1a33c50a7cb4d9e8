"""Removal of means and linear trends along the last axis.

Sums run along contiguous lines, so the result of a line does not depend on how
many others are in the same array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def detrended(x: Array, polyremoval: int | None) -> Array:
    """Subtract nothing (None), the mean (0) or a straight line (1), in place.

    Parameters
    ----------
    x : ndarray, floating point, C-contiguous
        Lines along the last axis; is overwritten.
    polyremoval : int or None
        Order of the polynomial.

    Returns
    -------
    ndarray
        The same array.
    """
    if polyremoval is None:
        return x
    n = x.shape[-1]
    x -= np.add.reduce(x, axis=-1, keepdims=True) / x.dtype.type(n)
    if polyremoval == 1 and n > 1:
        ramp = np.arange(n, dtype=np.float64) - (n - 1) / 2
        unit = (ramp / np.sqrt((ramp**2).sum())).astype(x.dtype)
        x -= np.add.reduce(x * unit, axis=-1, keepdims=True) * unit
    return x
