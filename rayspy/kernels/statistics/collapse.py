"""Statistics over one axis that pass over NaN.

Numbers are gathered in double precision along the axis, which makes the result
of a line independent of how many others there are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STATISTICS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "mean": (np.mean, np.nanmean),
    "std": (np.std, np.nanstd),
    "var": (np.var, np.nanvar),
    "median": (np.median, np.nanmedian),
}
"""Per name: the plain function, and the one that passes over NaN."""


def collapsed(x: Array, statistic: str, axis: int, out: Array | None = None) -> Array:
    """Reduce an axis to length 1.

    Parameters
    ----------
    x : ndarray
        Numbers; not changed.
    statistic : str
        'mean', 'std', 'var' (divided by the number of values) or 'median'. NaN is
        passed over; where there is nothing else the result is NaN.
    axis : int
        Which axis.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray
        As `x` with one value along the axis, in double precision unless `out` says otherwise.
    """
    wide = np.dtype(np.complex128 if x.dtype.kind == "c" else np.float64)
    lines = np.ascontiguousarray(np.moveaxis(x, axis, -1), dtype=wide)
    plain, careful = STATISTICS[statistic]
    with np.errstate(invalid="ignore", over="ignore"):
        result = plain(lines, axis=-1)
    if np.isnan(result).any():
        with warnings.catch_warnings(), np.errstate(invalid="ignore", over="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            result = careful(lines, axis=-1)
    result = np.expand_dims(result, axis % x.ndim)
    if out is None:
        return np.asarray(result)
    np.copyto(out, result, casting="same_kind")
    return out
