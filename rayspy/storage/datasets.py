"""Many datasets of one HDF5 file, one behind the other: trials as MATLAB and EEGLAB store them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import DamagedDataError, SourceChangedError
from rayspy.storage.region import Region, region_shape
from rayspy.storage.sources import Read, open_hdf5
from rayspy.storage.stamps import NOT_WATCHED, Stamp, check_stamp, stamp_of

Array = NDArray[Any]


@dataclass(frozen=True)
class DatasetsSource:
    """Samples x channels out of several datasets of a file, one behind the other along time.

    Parameters
    ----------
    path : str
        The file.
    names : tuple of str
        Datasets of samples x channels, of samples, or of pages x samples x channels; all alike.
    lengths : tuple of int
        Samples of each; of each page where there are pages.
    n_channels : int
        Number of channels.
    stored : str
        Type of the numbers.
    pages : bool
        Whether there is one dataset of pages, which are put one behind the other.
    """

    path: str
    names: tuple[str, ...]
    lengths: tuple[int, ...]
    n_channels: int
    stored: str
    pages: bool = False
    stamp: Stamp | None = field(default=None, repr=False)
    """What the file was when it was opened."""

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", stamp_of(self.path))

    @cached_property
    def _edges(self) -> Array:
        return np.cumsum([0, *self.lengths])

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples x channels."""
        return int(self._edges[-1]), self.n_channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return np.dtype(self.stored).newbyteorder("=")

    @property
    def location(self) -> str:
        """The file."""
        return self.path

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with open_hdf5(self.path) as file:
            check_stamp(self.path, self.stamp or NOT_WATCHED)
            yield lambda region: self._read(file, region)

    def _read(self, file: Any, region: Region) -> Array:
        rows, channels = region
        out = np.empty(region_shape(region), self.dtype)
        begin = int(np.searchsorted(self._edges, rows.start, side="right")) - 1
        for k in range(max(begin, 0), len(self.lengths)):
            low = max(rows.start, int(self._edges[k]))
            high = min(rows.stop, int(self._edges[k + 1]))
            if low >= rows.stop:
                break
            if low < high:
                inner = slice(low - int(self._edges[k]), high - int(self._edges[k]))
                out[low - rows.start : high - rows.start] = self._piece(file, k, inner, channels)
        check_stamp(self.path, self.stamp or NOT_WATCHED)
        return out

    def _piece(self, file: Any, k: int, rows: slice, channels: slice) -> Array:
        name = self.names[0 if self.pages else k]
        try:
            dataset = file.get(name)
        except (KeyError, OSError, RuntimeError) as error:
            raise DamagedDataError(f"{self.path} cannot be read: {error}") from error
        shape: tuple[int, ...] = (self.lengths[k], self.n_channels)
        found = getattr(dataset, "shape", ())
        if self.pages:
            shape = (len(self.lengths), *shape)
        if found != shape and (self.n_channels != 1 or found != shape[:-1]):
            raise SourceChangedError(f"dataset {name!r} of {self.path} changed since it was opened")
        pick = (k, rows, channels) if self.pages else (rows, channels)
        try:
            array: Array = dataset[pick[: len(found)]]
        except (OSError, RuntimeError) as error:
            raise DamagedDataError(f"dataset {name!r} of {self.path} cannot be read: {error}") from error
        return array.reshape(rows.stop - rows.start, -1)
