"""``obj.data``: looks like an array, reads only what is indexed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.region import bounding_slice, expand_index
from rayspy.storage.sources import ArraySource, read_all


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
        entries = expand_index(key, self.ndim)
        pairs = [
            bounding_slice(e, n, axis) for axis, (e, n) in enumerate(zip(entries, self.shape, strict=True))
        ]
        with self.source.reader() as read:
            array = read(tuple(pair[0] for pair in pairs))
        for axis in reversed(range(self.ndim)):
            array = array[(slice(None),) * axis + (pairs[axis][1],)]
        return array[()] if array.ndim == 0 else _owned(array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a lazy array cannot become a NumPy array without a copy")
        array = _owned(read_all(self.source))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, self.shape))
        where = self.source.location or "memory"
        return f"<rayspy array [{sizes}] {self.dtype}, {self.nbytes / 2**20:.2f} MB, in {where}>"


def _owned(array: NDArray[Any]) -> NDArray[Any]:
    """Array that nobody else sees and that holds on to nothing else; copied only if it is not one already."""
    return array if array.flags.owndata and array.flags.writeable else np.array(array)
