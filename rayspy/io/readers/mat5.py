"""MATLAB's files of level 5 (``-v6`` and ``-v7``), every size checked against what is there.

After *MAT-File Format* (The MathWorks), chapter 1. Libraries in C read them faster but end the process on
some damaged files; here nothing is believed: sizes, counts and kinds come from the bytes that exist.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.io.readers.recording import damaged

Array = NDArray[Any]
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_STORED = {order: {kind: np.dtype(order + one) for kind, one in _TYPES.items()} for order in "<>"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_TAGS = {order: struct.Struct(order + "2I") for order in "<>"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR = 1, 2, 3, 4
_COMPLEX, _LOGICAL = 0x08, 0x02
_DEEPEST = 32
_EXPANDS = 1100
"""Deflate makes no more than 1032 bytes of one."""


def is_level_5(head: bytes) -> bool:
    """Whether a file begins like one of level 5."""
    return len(head) >= 128 and head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def load(path: Path) -> dict[str, Any]:
    """Variables of a file; structs become dictionaries (lists of them where they are arrays), cells lists.

    Numbers have the type that they have in MATLAB, single ones are plain, dimensions of length 1 are left
    out; sparse matrices, functions and objects of classes are None.

    Raises
    ------
    DamagedDataError
        The file does not end where it says, or is something else.
    """
    with path.open("rb") as file:
        raw = file.read()
    if not is_level_5(raw[:128]):
        raise damaged(path, "it is no recognizable .mat file")
    order = "<" if raw[126:128] == b"IM" else ">"
    found: dict[str, Any] = {}
    try:
        reader = _Reader(memoryview(raw)[128:], order)
        while reader.rest():
            name, value = _variable(reader)
            if name:
                found[name] = value
    except (_BrokenError, zlib.error, struct.error, UnicodeDecodeError) as error:
        raise damaged(path, f"it cannot be read as a recognizable .mat file: {error}") from error
    return found


class _BrokenError(Exception):
    """Something that cannot be."""


@dataclass
class _Reader:
    """Elements one after the other."""

    buffer: memoryview
    order: str
    at: int = 0

    def rest(self) -> int:
        return len(self.buffer) - self.at

    def element(self) -> tuple[int, memoryview]:
        """Type and bytes of the next element."""
        if self.rest() < 8:
            raise _BrokenError(f"{self.rest()} bytes where an element should begin")
        kind, n = _TAGS[self.order].unpack_from(self.buffer, self.at)
        small = kind >> 16
        if small:
            kind, n, begin = kind & 0xFFFF, small, self.at + 4
            if n > 4:
                raise _BrokenError(f"{n} bytes in a small element")
            self.at += 8
        else:
            begin = self.at + 8
            self.at = begin + n + (0 if kind == _COMPRESSED else -n % 8)
        if begin + n > len(self.buffer):
            raise _BrokenError(f"an element of {n} bytes where {len(self.buffer) - begin} are left")
        self.at = min(self.at, len(self.buffer))
        return kind, self.buffer[begin : begin + n]

    def numbers(self) -> Array:
        """Numbers of the next element as they are stored."""
        kind, data = self.element()
        stored = _STORED[self.order].get(kind)
        if stored is None:
            raise _BrokenError(f"type {kind} where numbers should be")
        if len(data) % stored.itemsize:
            raise _BrokenError(f"{len(data)} bytes of numbers of {stored.itemsize}")
        return np.frombuffer(data, stored)

    def text(self) -> str:
        """Text of the next element."""
        kind, data = self.element()
        if kind not in _TEXTS:
            raise _BrokenError(f"type {kind} where a text should be")
        coding = _TEXTS[kind]
        if coding.startswith("utf-") and coding != "utf-8":
            coding += "-le" if self.order == "<" else "-be"
        return bytes(data).decode(coding, "replace")


def _variable(reader: _Reader) -> tuple[str, Any]:
    kind, data = reader.element()
    if kind == _COMPRESSED:
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(data, _EXPANDS * len(data) + 1024)
        kind, data = _Reader(memoryview(whole), reader.order).element()
    if kind != _MATRIX:
        return "", None
    return _matrix(_Reader(data, reader.order), 0)


def _matrix(reader: _Reader, depth: int) -> tuple[str, Any]:
    """Name and value of an array."""
    if not reader.rest():
        return "", np.empty(0)
    if depth > _DEEPEST:
        raise _BrokenError("arrays within arrays without end")
    flags = reader.numbers()
    if flags.dtype.itemsize != 4 or flags.size < 1:
        raise _BrokenError("an array without its kind")
    what, more = int(flags[0]) & 0xFF, int(flags[0]) >> 8
    if what > 15:
        return "", None
    shape = tuple(int(n) for n in reader.numbers())
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise _BrokenError(f"an array of shape {shape[:8]}")
    name, n = reader.text(), math.prod(shape)
    if what in _CLASSES:
        return name, _numbers(reader, shape, np.dtype(_CLASSES[what]), more)
    if what == _CHAR:
        return name, _chars(reader.text(), shape) if n else ""
    if what in (_STRUCT, _OBJECT):
        return name, _structs(reader, n, what == _OBJECT, depth)
    return name, _cells(reader, shape, depth) if what == _CELL else None


def _numbers(reader: _Reader, shape: tuple[int, ...], kind: np.dtype[Any], more: int) -> Any:
    values = reader.numbers()
    if values.size != math.prod(shape):
        raise _BrokenError(f"{values.size} numbers for an array of shape {shape}")
    made = values.astype(kind, copy=False)
    if more & _COMPLEX:
        imaginary = reader.numbers()
        if imaginary.size != values.size:
            raise _BrokenError("a complex array with other numbers of imaginary parts")
        made = made + 1j * imaginary.astype(kind)
    if more & _LOGICAL:
        made = made.astype(bool)
    array = made.reshape(shape, order="F").squeeze()
    if array.size == 0:
        return np.empty(0, array.dtype)
    return array.item() if array.ndim == 0 else array


def _chars(text: str, shape: tuple[int, ...]) -> Any:
    """A text, or one for each row."""
    rows = shape[0]
    if rows == 1 or len(text) != math.prod(shape):
        return text
    return ["".join(text[k::rows]).rstrip() for k in range(rows)]


def _member(reader: _Reader, depth: int) -> Any:
    kind, data = reader.element()
    if kind != _MATRIX:
        raise _BrokenError(f"type {kind} where an array should be")
    return _matrix(_Reader(data, reader.order), depth + 1)[1]


def _cells(reader: _Reader, shape: tuple[int, ...], depth: int) -> list[Any]:
    n = math.prod(shape)
    if 8 * n > reader.rest():
        raise _BrokenError(f"{n} cells in {reader.rest()} bytes")
    found = np.empty(n, object)
    for k in range(n):
        found[k] = _member(reader, depth)
    return list(found.reshape(shape, order="F").ravel())


def _structs(reader: _Reader, n: int, named: bool, depth: int) -> Any:
    if named:
        reader.text()
    width = reader.numbers()
    names = reader.element()[1]
    if width.size != 1 or width[0] < 1 or len(names) % int(width[0]):
        raise _BrokenError("a struct with broken names of fields")
    step = int(width[0])
    keys = [bytes(names[k : k + step]).split(b"\0")[0].decode("latin-1") for k in range(0, len(names), step)]
    if 8 * n * len(keys) > reader.rest() or (n > 1 and not keys):
        raise _BrokenError(f"{n} structs of {len(keys)} fields in {reader.rest()} bytes")
    found = [{key: _member(reader, depth) for key in keys} for _ in range(n)]
    return found[0] if n == 1 else found
