"""``obj.data``: looks like an array, reads only what is indexed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.region import bounding_slice, expand_index
from rayspy.storage.sources import ArraySource, Read, read_all

Pairs = list[tuple[slice, Any]]
"""Per axis: the range to read, and how to pick from it."""

_LARGE_BYTES = 2**24


class ArrayView:
    """Lazy array over a source. Lists of indices act per axis, as in h5py.

    Holds on to its source: it stays valid when the data object is gone.
    """

    def __init__(self, source: ArraySource) -> None:
        self.source = source

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.source.dtype

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Size in bytes once read."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        entries = zip(expand_index(key, self.ndim), self.shape, strict=True)
        pairs = [bounding_slice(entry, n, axis) for axis, (entry, n) in enumerate(entries)]
        with self.source.reader() as read:
            axis = self._scattered_axis(pairs)
            array = _picked(read, pairs) if axis is None else _picked_in_runs(read, pairs, axis)
        return array[()] if array.ndim == 0 else _owned(array)

    def _scattered_axis(self, pairs: Pairs) -> int | None:
        """Axis along which only a small part of a large range is wanted, so that it is read in runs."""
        spans = [s.stop - s.start for s, _ in pairs]
        if math.prod(spans) * self.dtype.itemsize <= _LARGE_BYTES:
            return None
        shares = [_count(pick, n) / n for n, (_, pick) in zip(spans, pairs, strict=True)]
        axis = int(np.argmin(shares))
        return axis if shares[axis] < 0.5 and not isinstance(pairs[axis][1], int) else None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a lazy array cannot become a NumPy array without a copy")
        array = _owned(read_all(self.source))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        where = self.source.location or "memory"
        return f"<rayspy array [{sizes}] {self.dtype}, {self.nbytes / 2**20:.2f} MB, in {where}>"


def _offsets(pick: Any, n: int) -> Any:
    """Return the indices within a range of length n that are picked from it."""
    if isinstance(pick, slice):
        return range(n)[pick]
    return [pick] if isinstance(pick, int) else pick.tolist()


def _count(pick: Any, n: int) -> int:
    return len(range(n)[pick]) if isinstance(pick, slice) else len(set(_offsets(pick, n)))


def _picked(read: Read, pairs: Pairs) -> NDArray[Any]:
    """Read the bounding box of an index and pick from it."""
    array = read(tuple(box for box, _ in pairs))
    for axis in reversed(range(len(pairs))):
        array = array[(slice(None),) * axis + (pairs[axis][1],)]
    return array


def _picked_in_runs(read: Read, pairs: Pairs, axis: int) -> NDArray[Any]:
    """Read only runs of consecutive indices of one axis, so that what lies between them costs nothing."""
    box, pick = pairs[axis]
    wanted = np.asarray(_offsets(pick, box.stop - box.start)) + box.start
    unique, places = np.unique(wanted, return_inverse=True)
    runs = np.split(unique, np.flatnonzero(np.diff(unique) > 1) + 1)
    found = []
    for run in runs:
        within: Pairs = list(pairs)
        within[axis] = (slice(int(run[0]), int(run[-1]) + 1), slice(None))
        found.append(_picked(read, within))
    kept = sum(not isinstance(pick, int) for _, pick in pairs[:axis])
    return np.concatenate(found, axis=kept).take(places, axis=kept)


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    """Array that nobody else sees and that holds on to nothing else; copied only if it is not one already."""
    return array if array.flags.owndata and array.flags.writeable else np.array(array)
