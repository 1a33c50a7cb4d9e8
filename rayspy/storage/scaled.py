"""Sources that turn stored whole numbers into physical units, or put pieces apart, while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.derived import OverSource
from rayspy.storage.region import Region, region_shape
from rayspy.storage.sources import ArraySource, Read

Array = NDArray[Any]
_CACHED_BYTES = 2**18
Factors = float | tuple[float, ...]


def real_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Real type that holds all numbers of a stored type: float32 up to 16 bits, float64 beyond."""
    if stored.kind == "c":
        return stored.newbyteorder("=")
    return np.dtype(np.result_type(stored, np.float16 if stored.kind in "iu" else np.float32))


@dataclass(frozen=True)
class ScaledSource(OverSource):
    """An array of samples x columns times a gain plus an offset, one for all or one per column.

    Parameters
    ----------
    source : ArraySource
        Stored numbers.
    scale, bias : float or tuple of float
        Gain and offset: number in physical units = stored number x scale + bias.
    """

    source: ArraySource
    scale: Factors = 1.0
    bias: Factors = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 for stored numbers of up to 16 bits and for float32, float64 for all others."""
        return real_type(self.source.dtype)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with self.source.reader() as read:
            yield lambda region: self._scaled(read(region), region)

    def _scaled(self, array: Array, region: Region) -> Array:
        scale, bias = self._columns(self.scale, region), self._columns(self.bias, region)
        zero = self._whole_zero
        out = np.empty(array.shape, self.dtype)
        rows = max(1, _CACHED_BYTES // max(1, out[:1].nbytes))
        for first in range(0, len(out), rows):
            part = out[first : first + rows]
            if zero is not None:
                np.subtract(array[first : first + rows], zero, out=part, dtype=self.dtype)
                np.multiply(part, scale, out=part)
                continue
            np.multiply(array[first : first + rows], scale, out=part)
            if bias.any():
                np.add(part, bias, out=part)
        return out

    @cached_property
    def _whole_zero(self) -> Array | None:
        """The stored number that stands for 0 in all columns, if it is one and whole.

        Subtracted first it leaves no rounding behind, which two large products do: unsigned
        numbers around 32768, as amplifiers write them.
        """
        if self.source.dtype.kind not in "iu" or not np.any(self.bias) or not np.all(self.scale):
            return None
        zeros = np.unique(-np.asarray(self.bias, np.float64) / np.asarray(self.scale, np.float64))
        nearest = np.round(zeros[0])
        if np.abs(zeros - nearest).max() > 1e-6 or abs(nearest) > 2**16:
            return None
        return np.asarray(nearest, self.dtype)

    def _columns(self, factors: Factors, region: Region) -> Array:
        every = np.asarray(factors, self.dtype)
        return every[region[-1]] if isinstance(factors, tuple) else every


@dataclass(frozen=True, eq=False)
class ApartSource(OverSource):
    """Runs of rows of an array at new places, with NaN between them.

    Parameters
    ----------
    source : ArraySource
        Array of samples x columns.
    starts, stops : ndarray of int
        First row of each run, and row behind its last.
    places : ndarray of int
        Row of the result at which each run begins; ascending, without overlap.
    length : int
        Rows of the result.
    """

    source: ArraySource
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    places: NDArray[np.int64]
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result."""
        return (self.length, *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """A real type, which has NaN."""
        return real_type(self.source.dtype)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with self.source.reader() as read:
            yield lambda region: self._read(read, region)

    def _read(self, read: Read, region: Region) -> Array:
        out = np.full(region_shape(region), np.nan, self.dtype)
        first, stop = region[0].start, region[0].stop
        ends = self.places + (self.stops - self.starts)
        begin, end = np.searchsorted(ends, first, side="right"), np.searchsorted(self.places, stop)
        for k in range(int(begin), int(end)):
            low, high = max(first, int(self.places[k])), min(stop, int(ends[k]))
            if low < high:
                shift = int(self.starts[k] - self.places[k])
                out[low - first : high - first] = read((slice(low + shift, high + shift), *region[1:]))
        return out


@dataclass(frozen=True)
class TransposedSource(OverSource):
    """A two-dimensional array with its dimensions exchanged."""

    source: ArraySource

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.source.shape[::-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.source.dtype

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with self.source.reader() as read:
            yield lambda region: np.ascontiguousarray(read(region[::-1]).T)
