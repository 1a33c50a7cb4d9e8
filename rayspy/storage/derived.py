"""Sources that are computed from other sources while they are read, region by region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.region import Region, bounding_slice, region_shape
from rayspy.storage.sources import (
    ArraySource,
    ConcatSource,
    MemorySource,
    PartsSource,
    Read,
    RelayedSource,
)

Array = NDArray[Any]
Indices = NDArray[np.int64]

OPERATIONS: dict[str, np.ufunc] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "**": np.power,
}


class OverSource:
    """What sources that read another one have in common: they are where that is."""

    source: ArraySource

    @property
    def location(self) -> str:
        """Location of the source."""
        return self.source.location

    @property
    def in_memory(self) -> bool:
        """Whether the source is."""
        return self.source.in_memory


@dataclass(frozen=True, eq=False)
class RunsSource(OverSource):
    """Runs of rows of a source, one behind the other, and picked indices along its other axes.

    Parameters
    ----------
    source : ArraySource
        What is read.
    axis : int
        Axis of the rows.
    starts, stops : ndarray of int
        First row of each run, and row behind its last.
    index : dict of int to ndarray of int
        Indices per other axis, in any order, repetitions included.
    """

    source: ArraySource
    axis: int
    starts: Indices
    stops: Indices
    index: dict[int, Indices]

    @cached_property
    def _edges(self) -> Indices:
        edges: Indices = np.concatenate([[0], np.cumsum(self.stops - self.starts)])
        return edges

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is picked."""
        shape = list(self.source.shape)
        shape[self.axis] = int(self._edges[-1])
        for axis, wanted in self.index.items():
            shape[axis] = len(wanted)
        return tuple(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.source.dtype

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with self.source.reader() as read:
            yield lambda region: self._read(read, region)

    def _read(self, read: Read, region: Region) -> Array:
        inner, picks = list(region), []
        for axis, wanted in self.index.items():
            inner[axis], pick = bounding_slice(wanted[region[axis]], self.source.shape[axis], axis)
            picks.append((axis, pick))
        found = []
        for low, high in self._runs(region[self.axis].start, region[self.axis].stop):
            inner[self.axis] = slice(low, high)
            array = read(tuple(inner))
            for axis, pick in picks:
                array = array.take(pick, axis=axis) if isinstance(pick, np.ndarray) else array
            found.append(array)
        if not found:
            return np.empty(region_shape(region), self.dtype)
        return found[0] if len(found) == 1 else np.concatenate(found, axis=self.axis)

    def _runs(self, first: int, stop: int) -> list[tuple[int, int]]:
        """Rows of the source that make up a range of rows, adjacent runs joined."""
        if first >= stop:
            return []
        k = int(np.searchsorted(self._edges, first, side="right")) - 1
        end = int(np.searchsorted(self._edges, stop, side="left"))
        low, high = self.starts[k:end].copy(), self.stops[k:end].copy()
        low[0] += first - self._edges[k]
        high[-1] -= self._edges[end] - stop
        breaks = np.flatnonzero(low[1:] != high[:-1])
        lows, highs = low[np.r_[0, breaks + 1]], high[np.r_[breaks, len(high) - 1]]
        return [(int(a), int(b)) for a, b in zip(lows, highs, strict=True) if a < b]


def copies(source: Any) -> int:
    """How many arrays of the size of a region there are at most while it is read, itself included."""
    if isinstance(source, Computed):
        return copies(source.left) + copies(source.right) + 1
    if isinstance(source, RunsSource):
        return copies(source.source) + 2
    if isinstance(source, ConcatSource):
        return max(copies(one) for one in source.sources) + 1
    if isinstance(source, RelayedSource):
        return copies(source.source)
    if isinstance(source, (Constant, MemorySource)):
        return 0
    return 2 if isinstance(source, PartsSource) or getattr(source, "scale", None) is not None else 1


class Operand(Protocol):
    """One side of an operation: read for a region, it can be broadcast to the region's shape."""

    @property
    def in_memory(self) -> bool:
        """Whether reading needs the process that holds the numbers."""
        ...

    def reader(self) -> Any:
        """Context manager that yields ``read(region)``."""
        ...


@dataclass(frozen=True)
class Constant:
    """The same number everywhere."""

    value: complex
    in_memory: bool = False

    @contextmanager
    def reader(self) -> Iterator[Any]:
        """Yield a function that returns the number."""
        yield lambda region: self.value


@dataclass(frozen=True, eq=False)
class Repeated:
    """An array that is laid over every trial.

    `array` has all axes of the data; along each it has the length of a trial, or 1.
    """

    array: Array
    axis: int
    in_memory: bool = False

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        yield self._read

    def _read(self, region: Region) -> Array:
        index = tuple(slice(0, 1) if n == 1 else s for n, s in zip(self.array.shape, region, strict=True))
        length = self.array.shape[self.axis]
        if length == 1:
            return self.array[index]
        first, n = region[self.axis].start % length, region[self.axis].stop - region[self.axis].start
        whole = first + n > length
        rows = slice(None) if whole else slice(first, first + n)
        found: Array = self.array[(*index[: self.axis], rows, *index[self.axis + 1 :])]
        return found.take(np.arange(first, first + n) % length, axis=self.axis) if whole else found


@dataclass(frozen=True, eq=False)
class Computed:
    """Result of an operation between two operands, element by element."""

    operation: str
    left: Operand
    right: Operand
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    location: str = ""

    @property
    def in_memory(self) -> bool:
        """Whether one of the operands is."""
        return self.left.in_memory or self.right.in_memory

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that computes regions."""
        with self.left.reader() as left, self.right.reader() as right:
            yield lambda region: self._compute(left(region), right(region))

    def _compute(self, left: Any, right: Any) -> Array:
        with np.errstate(all="ignore"):
            result = OPERATIONS[self.operation](left, right, dtype=self.dtype, casting="same_kind")
        return np.asarray(result)
