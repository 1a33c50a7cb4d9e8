"""Recordings that another library reads: opened once per process, read by ranges of samples."""

from __future__ import annotations

import importlib
import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import DamagedDataError, SourceChangedError
from rayspy.storage.region import Region, region_shape
from rayspy.storage.sources import Read
from rayspy.storage.stamps import Stamp, check_stamp, stamp_of

Array = NDArray[Any]

_PIECE_BYTES = 2**22
"""What is asked of a library at once that has channels in rows: turned around in the cache."""
_HEADER_BYTES = 2**22
"""Arrays of what travels to other processes."""
_KEPT = 8
"""Recordings that a process keeps open."""
_open: OrderedDict[Any, Any] = OrderedDict()
_lock = threading.RLock()


class Opened(Protocol):
    """A recording that was opened by a library."""

    def read(self, first: int, stop: int, channels: slice) -> Array:
        """Return samples x channels."""
        ...


@dataclass(frozen=True)
class ReaderSource:
    """Samples x channels that a library reads.

    Parameters
    ----------
    path : str
        File or folder.
    module, function : str
        What opens it: ``function(path, **options)`` of a module of ``rayspy.io.readers``.
    options : tuple of (str, value)
        Plain keyword arguments.
    shape : tuple of int
        Samples x channels.
    stored : str
        Type of the numbers.
    stamp : Stamp
        What the file, or the folder with its files, was when it was opened.
    header : bytes
        What was opened, for processes that have not opened it yet; empty if it does not travel.
    """

    path: str
    module: str
    function: str
    options: tuple[tuple[str, Any], ...]
    shape: tuple[int, ...]
    stored: str
    stamp: Stamp = field(repr=False)
    header: bytes = field(default=b"", repr=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return np.dtype(self.stored)

    @property
    def location(self) -> str:
        """File or folder."""
        return self.path

    @property
    def in_memory(self) -> bool:
        """False."""
        return False

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions, one at a time in a process."""
        opened = self.opened()
        yield lambda region: self._read(opened, region)

    def _read(self, opened: Opened, region: Region) -> Array:
        if 0 in region_shape(region):
            return np.empty(region_shape(region), self.dtype)
        rows, channels = region
        step = max(2, _PIECE_BYTES // ((channels.stop - channels.start) * self.dtype.itemsize))
        array = self._piece(opened, rows.start, min(rows.start + step, rows.stop), channels)
        if array.flags.c_contiguous or len(array) == rows.stop - rows.start:
            whole = len(array) == rows.stop - rows.start
            return array if whole else self._piece(opened, rows.start, rows.stop, channels)
        out = np.empty(region_shape(region), self.dtype)
        for first in range(0, len(out), step):
            stop = min(first + step, len(out))
            part = (
                array if not first else self._piece(opened, rows.start + first, rows.start + stop, channels)
            )
            out[first:stop] = part
        return out

    def _piece(self, opened: Opened, first: int, stop: int, channels: slice) -> Array:
        try:
            with _lock:
                array = opened.read(first, stop, channels)
        except Exception as error:  # whatever a library raises for a file that is damaged behind its header
            check_stamp(self.path, self.stamp)
            raise DamagedDataError(f"{self.path} cannot be read: {type(error).__name__}: {error}") from error
        check_stamp(self.path, self.stamp)
        wanted = stop - first, channels.stop - channels.start
        if array.shape != wanted:
            raise SourceChangedError(f"{self.path}: {array.shape} was read for {wanted}")
        return np.asarray(array, self.dtype)

    def opened(self) -> Opened:
        """Open the recording, or take it over if this process has done so before."""
        check_stamp(self.path, self.stamp)
        key = (self.path, self.module, self.function, repr(self.options), self.stamp)
        with _lock:
            if key not in _open:
                keep(key, pickle.loads(self.header) if self.header else self._open_anew())
            _open.move_to_end(key)
            found: Opened = _open[key]
        return found

    def _open_anew(self) -> Any:
        if not self.module.startswith("rayspy.io.readers."):
            raise SourceChangedError(f"{self.module} is no reader")
        return getattr(importlib.import_module(self.module), self.function)(self.path, **dict(self.options))


def keep(key: Any, opened: Any) -> None:
    """Remember what was opened; the one that was used least recently goes."""
    _open[key] = opened
    while len(_open) > _KEPT:
        _open.popitem(last=False)


class _Pickler(pickle.Pickler):
    """Refuses objects that have much of a file in arrays: a memory map is pickled as all that it maps."""

    n_bytes = 0

    def reducer_override(self, one: Any) -> Any:
        """Count arrays; pickle everything as usual."""
        if isinstance(one, np.ndarray):
            self.n_bytes += one.nbytes
            if self.n_bytes > _HEADER_BYTES:
                raise pickle.PicklingError("more than a header")
        return NotImplemented


def _pickled(opened: Opened) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(opened)
    return file.getvalue()


def reader_source(
    opened: Opened,
    shape: tuple[int, ...],
    dtype: Any,
    path: str,
    module: str,
    function: str,
    options: dict[str, Any],
    stamp: Stamp | None = None,
) -> ReaderSource:
    """Describe a recording that was just opened; it stays open in this process.

    Parameters
    ----------
    opened : Opened
        What was opened; goes along with the source if it can be pickled and has few numbers in it.
    shape : tuple of int
        Samples x channels.
    dtype : data type
        Type of the numbers that it returns.
    path, module, function, options
        As in `ReaderSource`.
    stamp : Stamp, optional
        What was there before it was opened.
    """
    try:
        header = _pickled(opened)
    except Exception:  # whatever a library's object raises: it is opened anew elsewhere
        header = b""
    plain = tuple(sorted(options.items()))
    stamp = stamp_of(path) if stamp is None else stamp
    source = ReaderSource(path, module, function, plain, shape, np.dtype(dtype).str, stamp, header)
    with _lock:
        keep((path, module, function, repr(plain), stamp), opened)
    return source
