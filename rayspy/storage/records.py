"""Files of records: every record has a run of samples of each channel, one channel after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.region import Region, region_shape
from rayspy.storage.sources import Read, open_descriptor, read_c_order
from rayspy.storage.stamps import NOT_WATCHED, Stamp, check_stamp, stamp_of

Array = NDArray[Any]

_CHUNK_BYTES = 2**19
"""How much of a file is taken apart at a time: it should stay in the processor's cache."""


@dataclass(frozen=True)
class RecordsSource:
    """Samples x channels in records of equal length, as in EDF, BDF and Intan's RHD.

    Parameters
    ----------
    path : str
        The file.
    offset : int
        Bytes before the first record.
    record_bytes : int
        Length of a record.
    n_records : int
        How many there are.
    samples : int
        Samples per channel in a record.
    starts : tuple of int
        Place of the samples of each channel within a record, in bytes.
    stored : str
        Type of the numbers; ``"<i3"`` are whole numbers of three bytes.
    """

    path: str
    offset: int
    record_bytes: int
    n_records: int
    samples: int
    starts: tuple[int, ...]
    stored: str
    stamp: Stamp | None = field(default=None, repr=False)
    """What the file was when it was opened."""

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", stamp_of(self.path, self.offset))

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples x channels."""
        return self.n_records * self.samples, len(self.starts)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements as read; int32 for three bytes."""
        return np.dtype(np.int32) if self.stored == "<i3" else np.dtype(self.stored).newbyteorder("=")

    @property
    def location(self) -> str:
        """The file."""
        return self.path

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    @cached_property
    def _itemsize(self) -> int:
        return 3 if self.stored == "<i3" else np.dtype(self.stored).itemsize

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        needed, stamp = self.offset + self.n_records * self.record_bytes, self.stamp or NOT_WATCHED
        with open_descriptor(self.path, needed) as descriptor:
            check_stamp(self.path, stamp, self.offset, descriptor)

            def read(region: Region) -> Array:
                array = self._read(descriptor, region)
                check_stamp(self.path, stamp, self.offset, descriptor)
                return array

            yield read

    def _read(self, descriptor: int, region: Region) -> Array:
        out = np.empty(region_shape(region), self.dtype)
        rows, channels = region
        if 0 in out.shape:
            return out
        starts = self.starts[channels]
        low, high = min(starts), max(starts) + self.samples * self._itemsize
        at_once = max(1, _CHUNK_BYTES // (high - low))
        last = (rows.stop - 1) // self.samples + 1
        for record in range(rows.start // self.samples, last, at_once):
            n = min(at_once, last - record)
            shape = (self.n_records, self.record_bytes)
            wanted = (slice(record, record + n), slice(low, high))
            taken = read_c_order(descriptor, self.path, np.dtype(np.uint8), shape, self.offset, wanted)
            self._take_apart(taken, low, starts, record * self.samples, rows, out)
        return out

    def _take_apart(
        self, taken: Array, low: int, starts: tuple[int, ...], first: int, rows: slice, out: Array
    ) -> None:
        """Copy the wanted samples of some records to their rows."""
        taken = np.ascontiguousarray(taken)
        n, size = len(taken), self.samples * self._itemsize
        begin, end = max(rows.start - first, 0), min(rows.stop - first, n * self.samples)
        place = slice(first + begin - rows.start, first + end - rows.start)
        whole = end - begin == n * self.samples
        shape = (n, self.samples, len(starts))
        target = out[place].reshape(shape) if whole else np.empty(shape, self.dtype)
        for k, count, start in _runs(starts, size):
            self._copy(taken, start - low, count, target[:, :, k : k + count])
        if not whole:
            out[place] = target.reshape(n * self.samples, -1)[begin:end]

    def _copy(self, taken: Array, start: int, count: int, target: Array) -> None:
        """Copy channels that stand one behind the other to (record, sample, channel)."""
        size, three = self.samples * self._itemsize, self.stored == "<i3"
        if three:
            # each number is the upper three bytes of a word that begins one byte before it
            padded = np.empty(1 + taken.size, np.uint8)
            padded[0], padded[1:] = 0, taken.reshape(-1)
            taken_bytes, strides = padded, (taken.shape[1], 3, size)
            stored = np.dtype("<i4")
        else:
            taken_bytes, stored = taken, np.dtype(self.stored)
            strides = (taken.shape[1], stored.itemsize, size)
        shape = (len(taken), self.samples, count)
        numbers: Array = np.ndarray(shape, stored, taken_bytes, start, strides)
        if three:
            np.right_shift(numbers, 8, out=target)
        else:
            target[...] = numbers


def _runs(starts: tuple[int, ...], size: int) -> Iterator[tuple[int, int, int]]:
    """First channel, number and place of channels that stand one behind the other."""
    k = 0
    while k < len(starts):
        count = 1
        while k + count < len(starts) and starts[k + count] == starts[k] + count * size:
            count += 1
        yield k, count, starts[k]
        k += count
