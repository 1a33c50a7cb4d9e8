"""Removal of means and linear trends along the time axis of (trial, time, channel) arrays.

Sums are built by repeated folding, element by element. That makes them accurate
(errors grow with the logarithm of the length) and independent of how many
trials and channels are in the same array.

Higham, N. J. (1993). The accuracy of floating point summation. SIAM J. Sci.
Comput. 14(4), 783-799, section 2 (pairwise summation).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


_FOLD = 4
"""Fewer than 8: NumPy adds that many numbers one after the other in any memory layout."""


def pairwise_sum(x: Array) -> Array:
    """Sum over axis 1, which is kept with length 1."""
    while x.shape[1] > 1:
        fold = min(_FOLD, x.shape[1])
        rows = x.shape[1] // fold
        head, rest = x[:, : fold * rows], x[:, fold * rows :]
        x = np.add.reduce(head.reshape(x.shape[0], fold, rows, x.shape[2]), axis=1)
        if rest.shape[1]:
            x[:, :1] += np.add.reduce(rest, axis=1, keepdims=True)
    return x


def detrended(x: Array, polyremoval: int | None, out: Array | None = None) -> Array:
    """Subtract nothing (None), the mean (0) or a straight line (1) from every line.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, time, channel)
        Signals; not changed unless `out` is `x`.
    polyremoval : int or None
        Order of the polynomial.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray
        The residuals; `x` itself if there is nothing to remove.
    """
    if polyremoval is None:
        return x
    n = x.shape[1]
    rest = _minus_rows(x, pairwise_sum(x) / x.dtype.type(n), out)
    if polyremoval == 1 and n > 1:
        ramp = np.arange(n, dtype=np.float64) - (n - 1) / 2
        unit = (ramp / np.sqrt((ramp**2).sum())).astype(x.dtype)[:, np.newaxis]
        rest -= pairwise_sum(rest * unit) * unit
    return rest


def detrended_inside(x: Array, polyremoval: int, inside: NDArray[np.bool_]) -> Array:
    """Subtract from some samples of every line the mean (0) or the straight line (1) that fits them best.

    Parameters
    ----------
    x : ndarray, floating point, shape (group, line, time, channel)
        Signals, zero at all other samples; not changed.
    polyremoval : int
        Order of the polynomial. A single sample is removed as mean.
    inside : ndarray of bool, shape (line, time)
        Which samples of each line there are, at least one.

    Returns
    -------
    ndarray
        The residuals; all other samples stay zero.
    """
    count = inside.sum(axis=1, keepdims=True)
    weight = inside.astype(x.dtype)[..., np.newaxis]
    rest: Array = x - _sums(x) / count[..., np.newaxis].astype(x.dtype) * weight
    if polyremoval == 1:
        times = np.arange(inside.shape[1], dtype=np.float64)
        ramp = np.where(inside, times - (inside * times).sum(axis=1, keepdims=True) / count, 0)
        length = np.sqrt((ramp**2).sum(axis=1, keepdims=True))
        unit = (ramp / np.where(count > 1, length, 1)).astype(x.dtype)[..., np.newaxis]
        rest -= _sums(rest * unit) * unit
    return rest


def _sums(x: Array) -> Array:
    """Sum over time of (group, line, time, channel), which is kept with length 1."""
    return pairwise_sum(x.reshape(-1, *x.shape[2:])).reshape(*x.shape[:2], 1, x.shape[3])


_ROWS = 8


def _minus_rows(x: Array, row: Array, out: Array | None) -> Array:
    """``x - row`` for a row of shape (trial, 1, channel), several rows at a time where memory allows."""
    out = np.empty_like(x) if out is None else out
    n, length, c = x.shape
    head = length - length % _ROWS if x.flags.c_contiguous and out.flags.c_contiguous else 0
    if head:
        wide = np.broadcast_to(row, (n, _ROWS, c)).reshape(n, _ROWS * c)
        shape = (head // _ROWS, _ROWS * c)
        for k in range(n):
            np.subtract(x[k, :head].reshape(shape), wide[k], out=out[k, :head].reshape(shape))
    if head < length:
        np.subtract(x[:, head:], row, out=out[:, head:])
    return out
