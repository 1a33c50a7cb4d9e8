"""Array sources: small picklable values that say where an array is and read regions of it.

A source is opened with ``with source.reader() as read:`` for the length of one
block; ``read(region)`` returns a new or read-only array. Nothing of a source
stays open in between, so that it can travel to any worker.
"""

from __future__ import annotations

import array as arrays
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice, check_integer, check_path, check_scalar
from rayspy.errors import DamagedDataError, InvalidValueError, PathError, SourceChangedError
from rayspy.storage.faults import REMOVED
from rayspy.storage.region import Region, contains, full_region, overlap, region_shape, shifted
from rayspy.storage.stamps import NOT_WATCHED, Stamp, check_stamp, stamp_of

Array = NDArray[Any]
Read = Callable[[Region], Array]

_MAPPED_BYTES = 2**26
"""How much of a file is mapped at a time,"""
_READ_BYTES = 2**19
"""and how much is read where less is wanted: it should stay in the processor's cache."""
_MOST_OF_A_ROW = 0.5
"""From this share of a row on, whole rows are read,"""
_SMALL_SHARE = 1 / 16
"""and below this one they are mapped."""
_LONG_ROW = 2**18
"""Of rows that have more bytes, only what is wanted is read."""


@runtime_checkable
class ArraySource(Protocol):
    """Where an array is and how regions of it are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements as they are read."""
        ...

    @property
    def location(self) -> str:
        """File or folder as text, empty for arrays in memory."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether reading needs the process that holds the array."""
        ...

    def reader(self) -> Any:
        """Context manager that yields ``read(region)``."""
        ...


@dataclass(frozen=True, eq=False)
class MemorySource:
    """An array in memory, never written to again."""

    array: Array
    keep: Any = field(default=None, repr=False)
    """Whatever must stay alive as long as the array (not sent to other processes)."""

    def __getstate__(self) -> dict[str, Any]:
        return {"array": self.array, "keep": None}

    def __copy__(self) -> MemorySource:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> MemorySource:
        return self

    def __post_init__(self) -> None:
        view = self.array.view()
        view.flags.writeable = False
        object.__setattr__(self, "array", view)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.array.dtype

    @property
    def location(self) -> str:
        """Empty: there is no file."""
        return ""

    @property
    def in_memory(self) -> bool:
        """True."""
        return True

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that returns read-only views."""
        yield self.array.__getitem__


@dataclass(frozen=True)
class AbsentSource:
    """Stands for an array in the driver's memory; workers get its blocks as arguments."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    location: str = ""
    in_memory: bool = True

    def reader(self) -> Any:
        """Refuse: the block's data has to be handed over with the block."""
        raise SourceChangedError("the array is in the memory of another process and was not sent along")


@dataclass(frozen=True, eq=False)
class RelayedSource:
    """An array in files that only the driver can see, which reads them for the workers."""

    source: ArraySource

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.source.dtype

    @property
    def location(self) -> str:
        """Location of the source."""
        return self.source.location

    @property
    def in_memory(self) -> bool:
        """True: it takes this process to read it."""
        return True

    def reader(self) -> Any:
        """Context manager that yields ``read(region)``."""
        return self.source.reader()


_FILES_OPEN = 8
"""Files of one array that a reader has open at a time."""
_READERS_OPEN = 4
"""Arrays of a row of arrays that a reader has open at a time."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Opened(Generic[Key, Value]):
    """What was opened last, at most `limit` at a time; closed at the end of a ``with`` block."""

    def __init__(self, opener: Callable[[Key], AbstractContextManager[Value]], limit: int) -> None:
        self._opener = opener
        self._limit = limit
        self._held: dict[Key, tuple[Value, ExitStack]] = {}

    def __getitem__(self, key: Key) -> Value:
        found = self._held.pop(key, None)
        if found is None:
            while len(self._held) >= self._limit:
                self._held.pop(next(iter(self._held)))[1].close()
            stack = ExitStack()
            found = stack.enter_context(self._opener(key)), stack
        self._held[key] = found
        return found[0]

    def __enter__(self) -> _Opened[Key, Value]:
        return self

    def __exit__(self, *error: object) -> None:
        for _, stack in self._held.values():
            stack.close()
        self._held.clear()


@contextmanager
def open_descriptor(path: str, needed: int, hint: str = "") -> Iterator[int]:
    """Open a file for reading and check that it holds at least `needed` bytes; `hint` if it is missing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise PathError(path, exists=False, hint=hint) from None
    except OSError as error:
        raise PathError(path, hint=error.strerror or str(error)) from error
    try:
        size = os.fstat(descriptor).st_size
        if size < needed:
            raise DamagedDataError(f"{path} is truncated: it has {size} bytes, {needed} are needed")
        yield descriptor
    finally:
        os.close(descriptor)


def _pread_into(descriptor: int, buffer: Array, offset: int, path: str) -> None:
    view = buffer.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        n = os.preadv(descriptor, [view[done:]], offset + done)
        if n == 0:
            raise DamagedDataError(f"{path} is truncated: nothing to read at byte {offset + done}")
        done += n


def read_c_order(
    descriptor: int, path: str, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int, region: Region
) -> Array:
    """Read a region of a C-ordered array from an open file.

    Whole rows are read in one go. Where only a share of each row is wanted, rows are
    read some at a time, and of very long ones what is wanted. Where that share is
    small, rows are mapped, which moves fewer bytes, again some at a time: a file never
    adds up in memory, and whether it is still whole is looked at before each piece, as
    one that is cut off while it is mapped ends the process.
    """
    if 0 in region_shape(region):
        return np.empty(region_shape(region), dtype)
    rows, inner = region[0], region[1:]
    row_items = math.prod(shape[1:])
    wanted = math.prod(region_shape(inner))
    first = offset + rows.start * row_items * dtype.itemsize
    if wanted >= _MOST_OF_A_ROW * row_items:
        buffer = np.empty((rows.stop - rows.start, *shape[1:]), dtype)
        _pread_into(descriptor, buffer, first, path)
        return buffer if wanted == row_items else buffer[(slice(None), *inner)]
    out = np.empty(region_shape(region), dtype)
    row_bytes = row_items * dtype.itemsize
    if row_bytes > _LONG_ROW and len(inner) == 1:
        for k in range(len(out)):
            _pread_into(descriptor, out[k], first + k * row_bytes + inner[0].start * dtype.itemsize, path)
        return out
    mapped = wanted < _SMALL_SHARE * row_items
    at_once = max(1, (_MAPPED_BYTES if mapped else _READ_BYTES) // row_bytes)
    buffer = np.empty((0 if mapped else min(at_once, len(out)), *shape[1:]), dtype)
    for k in range(0, len(out), at_once):
        n, begin = min(at_once, len(out) - k), first + k * row_bytes
        if mapped:
            out[k : k + n] = _mapped(descriptor, path, dtype, (n, *shape[1:]), begin)[(slice(None), *inner)]
        else:
            _pread_into(descriptor, buffer[:n], begin, path)
            out[k : k + n] = buffer[(slice(n), *inner)]
    return out


def _mapped(
    descriptor: int, path: str, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int
) -> np.memmap[Any, Any]:
    """Map some rows of an open file that has them."""
    needed = offset + math.prod(shape) * dtype.itemsize
    if os.fstat(descriptor).st_size < needed:
        raise DamagedDataError(f"{path} is truncated: {needed} bytes are needed")
    with open(descriptor, "rb", closefd=False) as file:
        try:
            return np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=shape)
        except ValueError as error:  # it has become shorter just now
            raise DamagedDataError(f"{path} is truncated: {error}") from error


@dataclass(frozen=True)
class RawSource:
    """A raw binary file that holds nothing but one array, possibly after a header.

    Parameters
    ----------
    path : str
        The file.
    dtype : numpy.dtype
        Type of the numbers in the file, byte order included.
    shape : tuple of int
        Shape of the array.
    order : {'C', 'F'}
        Whether the last ('C') or the first ('F') index changes fastest in the file.
    offset : int
        Bytes before the first number.
    scale : float, tuple of float or None
        Factor from stored numbers to physical units, one for all or one per
        column; the array then is float32, or float64 if the stored numbers are
        32-bit integers or wider.
    """

    path: str
    stored: np.dtype[Any]
    shape: tuple[int, ...]
    order: str = "C"
    offset: int = 0
    scale: float | tuple[float, ...] | None = None
    stamp: Stamp | None = field(default=None, repr=False)
    """What the file was when it was opened: every block looks whether it still is."""

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", stamp_of(self.path, self.offset))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements as read."""
        native = self.stored.newbyteorder("=")
        return native if self.scale is None else np.result_type(native, np.float32)

    @property
    def location(self) -> str:
        """The file."""
        return self.path

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    @property
    def n_bytes(self) -> int:
        """Smallest size of the file."""
        return self.offset + math.prod(self.shape) * self.stored.itemsize

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        stamp = self.stamp or NOT_WATCHED
        with open_descriptor(self.path, self.n_bytes) as descriptor:
            check_stamp(self.path, stamp, self.offset, descriptor)

            def read(region: Region) -> Array:
                array = self._read(descriptor, region)
                check_stamp(self.path, stamp, self.offset, descriptor)
                return array

            yield read

    def _read(self, descriptor: int, region: Region) -> Array:
        if self.order == "F":
            flipped = read_c_order(
                descriptor, self.path, self.stored, self.shape[::-1], self.offset, region[::-1]
            )
            array = flipped.transpose()
        else:
            array = read_c_order(descriptor, self.path, self.stored, self.shape, self.offset, region)
        if self.scale is not None:
            columns = region[-1] if isinstance(self.scale, tuple) else ()
            factors = np.asarray(self.scale, self.dtype)[columns]
            return np.asarray(np.multiply(array, factors, dtype=self.dtype))
        return array.astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Hdf5Source:
    """A dataset of an HDF5 file, opened where and when it is read."""

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: Stamp | None = field(default=None, repr=False)
    """As for `RawSource`."""

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", stamp_of(self.path))

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
            try:
                dataset = file.get(self.name)
            except (KeyError, OSError, RuntimeError) as error:
                raise DamagedDataError(f"{self.path} cannot be read: {error}") from error
            if getattr(dataset, "shape", None) != self.shape or dataset.dtype.newbyteorder("=") != self.dtype:
                raise SourceChangedError(f"dataset {self.name!r} of {self.path} changed since it was opened")
            check_stamp(self.path, self.stamp or NOT_WATCHED)

            def read(region: Region) -> Array:
                array = self._read(dataset, region)
                check_stamp(self.path, self.stamp or NOT_WATCHED)
                return array

            yield read

    def _read(self, dataset: Any, region: Region) -> Array:
        try:
            array: Array = dataset[region]
        except (OSError, RuntimeError) as error:
            raise DamagedDataError(f"dataset {self.name!r} of {self.path} cannot be read: {error}") from error
        return array.astype(self.dtype, copy=False)


@contextmanager
def open_hdf5(path: str) -> Iterator[Any]:
    """Open an HDF5 file for reading, with an error that names the file.

    The file is not locked, so that it can be read on file systems without locks
    and while another process writes to it. A file that this process has open
    already can only be opened again in the same manner as before, locks included.
    """
    import h5py

    if not Path(path).is_file():
        raise PathError(path, exists=False)
    try:
        try:
            file = h5py.File(path, "r", locking=False)
        except OSError:
            file = h5py.File(path, "r")
    except OSError as error:
        raise DamagedDataError(f"{path} cannot be read as HDF5 file: {error}") from error
    with file:
        yield file


@dataclass(frozen=True)
class Part:
    """One stored piece of an array: file name, first index, shape, bytes before the numbers."""

    file: str
    start: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int

    @cached_property
    def region(self) -> Region:
        """The indices this part covers."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.shape, strict=True))


class Parts:
    """Pieces of an array, as rows of numbers, as a million objects would take some hundred megabytes.

    Parameters
    ----------
    files : tuple of str
        Names of files.
    rows : ndarray of int64
        For each part the number of its file, its offset, start and shape.
    """

    def __init__(self, files: tuple[str, ...], rows: NDArray[np.int64]) -> None:
        self.files = files
        self.rows = rows

    @classmethod
    def of(cls, parts: Iterable[Part], n_dims: int) -> Parts:
        """The same parts as rows."""
        if isinstance(parts, Parts):
            return parts
        gathered = PartsBuilder(n_dims)
        for part in parts:
            gathered.append(part)
        return gathered.parts()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int) -> Part:
        file, offset, *place = self.rows[k].tolist()
        n_dims = len(place) // 2
        return Part(self.files[file], tuple(place[:n_dims]), tuple(place[n_dims:]), offset)

    def __iter__(self) -> Iterator[Part]:
        return (self[k] for k in range(len(self)))

    @property
    def starts(self) -> NDArray[np.int64]:
        """Index of the first element of each."""
        return self.rows[:, 2 : 1 + self.rows.shape[1] // 2]

    @property
    def shapes(self) -> NDArray[np.int64]:
        """Shape of each."""
        return self.rows[:, 1 + self.rows.shape[1] // 2 :]

    def ordered(self) -> Parts:
        """The same in the order of their first elements."""
        return Parts(self.files, self.rows[np.lexsort(self.starts.T[::-1])]) if len(self) else self


class PartsBuilder:
    """Gathers parts of an array that has so many dimensions."""

    def __init__(self, n_dims: int) -> None:
        self._n_dims = n_dims
        self._files: dict[str, int] = {}
        self._numbers = arrays.array("q")

    def append(self, part: Part) -> None:
        """Take one more."""
        if not len(part.start) == len(part.shape) == self._n_dims:
            raise ValueError(f"{part} of an array with {self._n_dims} dimensions")
        file = self._files.setdefault(part.file, len(self._files))
        self._numbers.extend((file, part.offset, *part.start, *part.shape))

    def parts(self) -> Parts:
        """All of them."""
        return Parts(tuple(self._files), np.array(self._numbers, np.int64).reshape(-1, 2 + 2 * self._n_dims))


@dataclass(frozen=True, eq=False)
class PartsSource:
    """An array stored as a folder of Arrow tensors, one file per part."""

    folder: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Parts
    keep: Any = field(default=None, repr=False)
    """Whatever must stay alive while the folder is in use; see `without_keep`."""
    stamp: tuple[int, int] | None = None
    """Time and size of the description when it was read, to notice that the folder was replaced."""
    identity: str = ""
    """The same for the same contents, in any process; empty if that is not known."""

    def __getstate__(self) -> dict[str, Any]:
        names = ("folder", "shape", "dtype", "parts", "stamp", "identity")
        state = {name: self.__dict__[name] for name in names}
        loan = None if self.keep is None else self.keep.lend()
        return {**state, "keep": loan} | ({} if loan is None else {"folder": loan.folder})

    def __copy__(self) -> PartsSource:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> PartsSource:
        return self

    @property
    def location(self) -> str:
        """The folder."""
        return self.folder

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        return self.parts.starts, self.parts.starts + self.parts.shapes

    @cached_property
    def _longest(self) -> int | None:
        """Length of the longest part along the first axis, if parts are in the order of that."""
        if not self.shape or not len(self.parts) or (np.diff(self.parts.starts[:, 0]) < 0).any():
            return None
        return int(self.parts.shapes[:, 0].max())

    def _near(self, low: int, high: int) -> slice:
        """Which parts may hold something between two indices of the first axis."""
        if self._longest is None:
            return slice(0, len(self.parts))
        firsts = self.parts.starts[:, 0]
        return slice(
            int(np.searchsorted(firsts, low - self._longest, "right")), int(np.searchsorted(firsts, high))
        )

    def _check_stamp(self) -> None:
        if self.stamp is None:
            return
        found = folder_stamp(self.folder)
        if found is None:
            raise PathError(self.folder, exists=False, hint=REMOVED)
        if found != self.stamp:
            raise SourceChangedError(f"{self.folder} was replaced since it was opened; load it again")

    def parts_in(self, region: Region) -> list[Part]:
        """Parts that hold something of a region."""
        starts, stops = self._bounds
        low = np.array([s.start for s in region])
        high = np.array([s.stop for s in region])
        near = self._near(region[0].start, region[0].stop) if region else slice(0, len(self.parts))
        hit = (starts[near] < high).all(axis=1) & (stops[near] > low).all(axis=1)
        return [self.parts[near.start + i] for i in np.flatnonzero(hit).tolist()]

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions; the files read last stay open until the end of the block."""
        self._check_stamp()
        with _Opened(self._open_part, _FILES_OPEN) as opened:
            last: Part | None = None

            def read(region: Region) -> Array:
                nonlocal last
                if last is None or not contains(last.region, region):
                    found = self.parts_in(region)
                    if len(found) != 1:
                        return self._gather(opened, found, region)
                    last = found[0]
                return self._read_part(opened, last, region)

            def read_unchanged(region: Region) -> Array:
                array = read(region)
                self._check_stamp()
                return array

            yield read_unchanged

    def _gather(self, opened: _Opened[Part, int], found: list[Part], region: Region) -> Array:
        out = np.empty(region_shape(region), self.dtype)
        origin = tuple(s.start for s in region)
        for part in found:
            common = overlap(part.region, region)
            if common is not None:
                out[shifted(common, origin)] = self._read_part(opened, part, common)
        return out

    def _read_part(self, opened: _Opened[Part, int], part: Part, region: Region) -> Array:
        inner = shifted(region, part.start)
        path = f"{self.folder}/{part.file}"
        return read_c_order(opened[part], path, self.dtype, part.shape, part.offset, inner)

    def _open_part(self, part: Part) -> AbstractContextManager[int]:
        path = f"{self.folder}/{part.file}"
        needed = part.offset + math.prod(part.shape) * self.dtype.itemsize
        return open_descriptor(path, needed, "" if os.path.isdir(self.folder) else REMOVED)  # noqa: PTH112


def without_keep(source: Any) -> Any:
    """The same source for workers: the caller keeps its arrays, pickles of it need not."""
    if isinstance(source, PartsSource):
        return source if source.keep is None else replace(source, keep=None)
    if isinstance(source, tuple):
        made = tuple(without_keep(one) for one in source)
        return made if any(a is not b for a, b in zip(made, source, strict=True)) else source
    if not is_dataclass(source) or isinstance(source, type):
        return source
    before = {f.name: getattr(source, f.name) for f in fields(source)}
    after = {name: without_keep(value) for name, value in before.items()}
    changed = {name: after[name] for name in before if after[name] is not before[name]}
    return replace(source, **changed) if changed else source


META = "meta.json"
"""File that describes a folder of parts."""
TABLE = "parts.npy"
"""File with the rows of `Parts`, where there are very many."""


def folder_stamp(folder: str) -> tuple[int, int] | None:
    """Time and size of the description of a folder of parts; None if there is none."""
    try:
        status = os.stat(f"{folder}/{META}")  # noqa: PTH116 - for each block: Path would take longer than the call
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@dataclass(frozen=True, eq=False)
class ConcatSource:
    """Several sources one after the other along one axis."""

    sources: tuple[ArraySource, ...]
    axis: int = 0

    @cached_property
    def _edges(self) -> Array:
        return np.cumsum([0] + [s.shape[self.axis] for s in self.sources])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole."""
        shape = list(self.sources[0].shape)
        shape[self.axis] = int(self._edges[-1])
        return tuple(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds the elements of all sources."""
        return np.result_type(*(s.dtype for s in self.sources))

    @property
    def location(self) -> str:
        """Location of the first source that has one."""
        return next((s.location for s in self.sources if s.location), "")

    @property
    def in_memory(self) -> bool:
        """Whether any of the sources is."""
        return any(s.in_memory for s in self.sources)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        opened: _Opened[int, Read] = _Opened(lambda k: self.sources[k].reader(), _READERS_OPEN)
        with opened as readers:

            def read(region: Region) -> Array:
                out = np.empty(region_shape(region), self.dtype)
                wanted = region[self.axis]
                for k in range(len(self.sources)):
                    low = max(int(self._edges[k]), wanted.start)
                    high = min(int(self._edges[k + 1]), wanted.stop)
                    if low >= high:
                        continue
                    inner, place = list(region), [slice(None)] * out.ndim
                    inner[self.axis] = slice(low - int(self._edges[k]), high - int(self._edges[k]))
                    place[self.axis] = slice(low - wanted.start, high - wanted.start)
                    out[tuple(place)] = readers[k](tuple(inner))
                return out

            yield read


def read_all(source: ArraySource) -> Array:
    """Read a whole array into memory."""
    with source.reader() as read:
        array: Array = read(full_region(source.shape))
    return array


def _check_scale(
    scale: float | tuple[float, ...] | None, stored: np.dtype[Any], n_columns: int
) -> float | tuple[float, ...] | None:
    if scale is None:
        return None
    if stored.kind == "c":
        raise InvalidValueError("no scale for complex numbers", "scale", scale)
    if not isinstance(scale, tuple):
        return _check_factor(scale)
    if len(scale) != n_columns:
        raise InvalidValueError(f"one factor, or one for each of {n_columns} channels", "scale", scale)
    return tuple(_check_factor(factor) for factor in scale)


def _check_factor(factor: Any) -> float:
    number = check_scalar(factor, "scale")
    if number == 0:
        raise InvalidValueError("factor that is not 0", "scale", factor)
    return number


def raw_source(
    path: str | os.PathLike[str],
    dtype: Any,
    n_columns: int,
    order: str = "C",
    offset: int = 0,
    scale: float | tuple[float, ...] | None = None,
) -> RawSource:
    """Describe a raw binary file of samples x columns; the number of samples follows from its size.

    Parameters
    ----------
    path : path
        The file.
    dtype : data type
        Type of the numbers in the file, for example ``"int16"`` or ``">f4"``.
    n_columns : int
        Number of channels.
    order : {'C', 'F'}
        'C': all channels of a sample stand together (multiplexed), 'F': all
        samples of a channel stand together.
    offset : int
        Bytes before the first number.
    scale : float or tuple of float, optional
        Factor from stored numbers to physical units, one for all or one per column.

    Raises
    ------
    PathError
        There is no such file.
    InvalidValueError
        The size of the file does not fit, or an argument is off.
    """
    full = check_path(path, "path", "name of a file").resolve()
    if not full.is_file():
        raise PathError(full, exists=False)
    stored = _check_dtype(dtype)
    n_columns = check_integer(n_columns, "channels", 1)
    offset = check_integer(offset, "offset", 0)
    check_choice(order, "order", ("C", "F"))
    scale = _check_scale(scale, stored, n_columns)
    n_bytes = full.stat().st_size - offset
    row = stored.itemsize * n_columns
    if n_bytes <= 0 or n_bytes % row:
        raise InvalidValueError(
            f"file size of a whole number of samples ({n_columns} channels x {stored.itemsize} bytes = "
            f"{row} bytes each); check dtype, channels and offset",
            "raw binary file",
            f"{full.name} with {max(n_bytes, 0)} bytes of data",
        )
    return RawSource(str(full), stored, (n_bytes // row, n_columns), order, offset, scale)


def _check_dtype(dtype: Any) -> np.dtype[Any]:
    legal = "numeric data type such as 'int16' or 'float32'"
    if dtype is None:  # which NumPy takes for double precision
        raise InvalidValueError(legal, "dtype", "None")
    try:
        stored: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        raise InvalidValueError(legal, "dtype", dtype) from None
    if not is_storable(stored):
        raise InvalidValueError(legal, "dtype", dtype)
    return stored


def is_storable(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of this type can be stored: whole, real and complex ones up to double precision."""
    return dtype.kind in "iufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)
