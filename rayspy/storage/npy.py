"""NumPy's ``.npy`` and ``.npz`` files, which somebody else may have made: headers are checked before use."""

from __future__ import annotations

import math
import os
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rayspy.limits import memory_budget
from rayspy.storage.stamps import Stamp, stamp_of_open

Array = NDArray[Any]
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
UNREADABLE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError,
    TypeError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What the libraries raise for such files."""


def read_header(file: IO[bytes]) -> Header:
    """Shape, whether the first index changes fastest, and type, from the beginning of an open ``.npy`` file.

    Raises
    ------
    ValueError
        It is no such header.
    """
    try:
        old = np.lib.format.read_magic(file) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except UNREADABLE as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape}")
    return tuple(map(int, shape)), bool(fortran), dtype


def describe_npy(path: Path) -> tuple[Header, int, Stamp]:
    """Header of an ``.npy`` file, place of its first number, and what the file is.

    Raises
    ------
    ValueError
        It is no such file, or it has less numbers than its header says.
    """
    with path.open("rb") as file:
        header = read_header(file)
        shape, _, dtype = header
        size, offset = os.fstat(file.fileno()).st_size, file.tell()
        if offset + math.prod(shape) * dtype.itemsize > size:
            raise ValueError(f"an array of shape {shape} and type {dtype} in {size} bytes")
        return header, offset, stamp_of_open(file.fileno(), offset)


def read_archive(path: Path) -> dict[str, Array]:
    """Read all arrays of an ``.npz`` file; none is larger than its header and the archive say.

    Raises
    ------
    ValueError
        Arrays do not fit their headers, or not into memory.
    """
    found = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if total > memory_budget():
            raise ValueError(f"{total / 1e9:.3g} GB of arrays do not fit into memory")
        for member in members:
            with archive.open(member) as file:
                shape, fortran, dtype = read_header(file)
                if dtype.hasobject or file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
                    raise ValueError(f"{member.filename} has {member.file_size} bytes for {shape} {dtype}")
                flat = np.frombuffer(file.read(), dtype)
            array = flat.reshape(shape, order="F" if fortran else "C")
            found[member.filename.removesuffix(".npy")] = array
    return found
