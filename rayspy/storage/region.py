"""Index arithmetic on n-dimensional regions (tuples of slices with step 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rayspy.errors import InvalidValueError

Region = tuple[slice, ...]


def full_region(shape: tuple[int, ...]) -> Region:
    """Region that covers an array of this shape."""
    return tuple(slice(0, n) for n in shape)


def region_shape(region: Region) -> tuple[int, ...]:
    """Shape of the array that a region cuts out."""
    return tuple(s.stop - s.start for s in region)


def overlap(a: Region, b: Region) -> Region | None:
    """Part that two regions have in common, or None."""
    common = tuple(slice(max(i.start, j.start), min(i.stop, j.stop)) for i, j in zip(a, b, strict=True))
    return common if all(s.start < s.stop for s in common) else None


def contains(outer: Region, inner: Region) -> bool:
    """Whether a region lies within another."""
    return all(o.start <= i.start and i.stop <= o.stop for o, i in zip(outer, inner, strict=True))


def shifted(region: Region, origin: tuple[int, ...]) -> Region:
    """Express a region relative to another origin."""
    return tuple(slice(s.start - o, s.stop - o) for s, o in zip(region, origin, strict=True))


def pieces(shape: tuple[int, ...], itemsize: int, limit: int) -> Iterator[Region]:
    """Cut an array into regions of at most `limit` bytes, in C order, long along the last axes."""
    inner = int(np.prod(shape[1:], dtype=np.int64)) * itemsize
    if len(shape) == 1 or inner <= limit:
        rows = max(1, limit // max(1, inner))
        rest = tuple(slice(0, n) for n in shape[1:])
        yield from ((slice(k, min(k + rows, shape[0])), *rest) for k in range(0, shape[0], rows))
        return
    for k in range(shape[0]):
        yield from ((slice(k, k + 1), *piece) for piece in pieces(shape[1:], itemsize, limit))


def bounding_slice(index: Any, n: int, axis: int) -> tuple[slice, Any]:
    """Split one index into the slice to read and the index to apply to what was read.

    Parameters
    ----------
    index : int, slice, sequence of int or of bool
        Index as a user writes it.
    n : int
        Length of the axis.
    axis : int
        Number of the axis, for messages.

    Raises
    ------
    InvalidValueError
        The index is out of bounds or of no usable kind.
    """
    if isinstance(index, slice):
        start, stop, step = index.indices(n)
        picked = range(start, stop, step)
        if len(picked) == 0:
            return slice(0, 0), slice(None)
        low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1])
        return slice(low, high + 1), slice(None, None, step)
    if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
        k = int(index)
        if not -n <= k < n:
            raise IndexError(f"index {k} is out of bounds for axis {axis} of length {n}")
        return slice(k % n, k % n + 1), 0
    wanted = np.asarray(index)
    if wanted.dtype == bool and wanted.shape == (n,):
        wanted = np.flatnonzero(wanted)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise InvalidValueError("integers, slices or lists of integers", f"index of axis {axis}", index)
    if wanted.size == 0:
        return slice(0, 0), slice(None)
    if wanted.min() < -n or wanted.max() >= n:
        raise IndexError(f"index out of bounds for axis {axis} of length {n}")
    wanted = np.where(wanted < 0, wanted + n, wanted)
    low = int(wanted.min())
    return slice(low, int(wanted.max()) + 1), wanted - low


def expand_index(key: Any, ndim: int) -> tuple[Any, ...]:
    """Write out an index so that it has one entry per axis."""
    entries = key if isinstance(key, tuple) else (key,)
    n_ellipsis = sum(entry is Ellipsis for entry in entries)
    if n_ellipsis > 1 or len(entries) - n_ellipsis > ndim:
        raise IndexError(f"too many indices: the array has {ndim} dimensions")
    if n_ellipsis:
        at = next(i for i, entry in enumerate(entries) if entry is Ellipsis)
        fill = (slice(None),) * (ndim - len(entries) + 1)
        return (*entries[:at], *fill, *entries[at + 1 :])
    return (*entries, *(slice(None),) * (ndim - len(entries)))
