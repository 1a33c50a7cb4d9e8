"""Fingerprints: the same text for the same data and settings, in any process.

Files are told by path and by what they were when they were opened (see
`rayspy.storage.stamps`), arrays in memory and in the scratch folder by their contents.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from rayspy.storage.datasets import DatasetsSource
from rayspy.storage.reading import ReaderSource
from rayspy.storage.records import RecordsSource
from rayspy.storage.sources import (
    ArraySource,
    ConcatSource,
    Hdf5Source,
    MemorySource,
    Part,
    PartsSource,
    RawSource,
)
from rayspy.storage.stamps import NOT_WATCHED, stamp_of

_SOURCES = (
    MemorySource, RawSource, RecordsSource, Hdf5Source, DatasetsSource, ReaderSource, PartsSource,
    ConcatSource,
)  # fmt: skip
_CHUNK = 2**24
"""Bytes of a file that are read at a time."""


class NoIdentityError(TypeError):
    """There is no way to tell whether a value is the same in another process."""


def fingerprint(*things: Any) -> str:
    """Digest of plain values, arrays, frozen dataclasses and array sources.

    Raises
    ------
    NoIdentityError
        Something else is among them, for example a function.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, things)
    return digest.hexdigest()


def _feed(digest: Any, thing: Any) -> None:
    digest.update(f"<{type(thing).__qualname__}>".encode())
    if isinstance(thing, _SOURCES):
        _feed_source(digest, thing)
    elif isinstance(thing, np.ndarray):
        _feed_array(digest, thing)
    elif isinstance(thing, Mapping):
        _feed_all(digest, sorted(thing.items(), key=repr))
    elif isinstance(thing, (tuple, list)):
        _feed_all(digest, thing)
    elif is_dataclass(thing) and not isinstance(thing, type):
        _feed_all(digest, [(f.name, getattr(thing, f.name)) for f in fields(thing)])
    elif thing is None or isinstance(thing, (bool, int, float, complex, str, bytes, np.generic, np.dtype)):
        digest.update(repr(thing).encode())
    else:
        raise NoIdentityError(f"no fingerprint of {type(thing).__name__}")


def _feed_all(digest: Any, things: Any) -> None:
    digest.update(str(len(things)).encode())
    for thing in things:
        _feed(digest, thing)


def _feed_array(digest: Any, array: np.ndarray[Any, Any]) -> None:
    digest.update(f"{array.dtype.str}{array.shape}".encode())
    if array.dtype.kind == "O":
        _feed_all(digest, array.ravel().tolist())
    else:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _feed_source(digest: Any, source: ArraySource) -> None:
    if isinstance(source, MemorySource):
        _feed_array(digest, source.array)
    elif isinstance(source, ConcatSource):
        _feed_all(digest, (source.axis, *source.sources))
    elif isinstance(source, PartsSource):
        _feed(digest, _identity_of_parts(source))
    else:
        description = tuple(getattr(source, f.name) for f in fields(source) if f.repr)  # type: ignore[arg-type]
        stamp = getattr(source, "stamp", None) or NOT_WATCHED
        if stamp == NOT_WATCHED:
            stamp = stamp_of(source.location)
        if stamp == NOT_WATCHED:
            raise NoIdentityError(f"{source.location} is not there")
        _feed_all(digest, (*description, *stamp.identity))


def _identity_of_parts(source: PartsSource) -> tuple[Any, ...]:
    if source.identity:
        return (source.identity,)
    if source.keep is None:
        return (source.folder, source.stamp)
    digests = ((part.start, part.shape, _digest_of_part(source, part)) for part in source.parts)
    return source.dtype.str, *digests


def _digest_of_part(source: PartsSource, part: Part) -> str:
    """Digest of the numbers of a part, wherever they are in whichever file."""
    digest, left = hashlib.blake2b(digest_size=16), math.prod(part.shape) * source.dtype.itemsize
    with open(f"{source.folder}/{part.file}", "rb") as file:  # noqa: PTH123 - a plain string
        file.seek(part.offset)
        while chunk := file.read(min(_CHUNK, left)):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
