"""Packs: files with many parts of an array, so that a result of a million blocks is no million files.

A pack is a row of Arrow tensors, each of which says in the names of its dimensions where
it begins in the array. One thread of one process appends to a pack and nobody else, ever:
what it was killed at is at the end, and everything before is complete.
"""

from __future__ import annotations

import math
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.storage.faults import told
from rayspy.storage.sources import Part

_MOST_PARTS = 1000
"""An array of more parts than this is packed."""
_MOST_PACKS = 1000
"""So many packs are filled; each writer leaves one more that is not full."""
_LEAST_BYTES = 64 * 2**20
_ALIGNED = 64
_PACKS_KEPT = 16
"""Packs, of as many arrays, that a thread goes on with."""
PACK = "pack-"


def pack_bytes(n_parts: int, n_bytes: int) -> int:
    """Bytes after which a pack is full, for an array of so many parts; 0: each part is a file of its own."""
    return max(_LEAST_BYTES, -(-n_bytes // _MOST_PACKS)) if n_parts > _MOST_PARTS else 0


def tensor_of(array: NDArray[Any], start: tuple[int, ...] | None = None) -> Any:
    """Arrow tensor of a contiguous array; `start` goes into the names of its dimensions."""
    import pyarrow as pa

    complex_ = array.dtype.kind == "c"
    # along axes of length 1 NumPy allows any stride; Arrow then takes a tensor for none that has names
    stored = array.reshape(-1).view(array.real.dtype).reshape(*array.shape, *([2] if complex_ else []))
    names = None if start is None else [*map(str, start), *(["complex"] if complex_ else [])]
    return pa.Tensor.from_numpy(stored, dim_names=names)


_mine = threading.local()


def append_part(folder: str, start: tuple[int, ...], array: NDArray[Any], full: int) -> Part:
    """Append a part to the pack of this thread; see `rayspy.storage.parts.write_part`.

    Parameters
    ----------
    folder, start, array
        As for `write_part`.
    full : int
        The next part goes to a new pack when this one has so many bytes.
    """
    import pyarrow as pa

    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    names: dict[tuple[str, int], str] = _mine.__dict__.setdefault("names", {})
    key = folder, os.getpid()
    # forgotten until the part is complete: nothing is appended behind a part that was cut off
    name = names.pop(key, None) or f"{PACK}{secrets.token_hex(8)}.arrow"
    path = f"{folder}/{name}"
    with told(path), pa.OSFile(path, "ab") as file:
        file.write(bytes(-file.tell() % _ALIGNED))
        pa.ipc.write_tensor(tensor_of(array, start), file)
        end = file.tell()
    if end < full:
        while len(names) >= _PACKS_KEPT:
            names.pop(next(iter(names)))
        names[key] = name
    return Part(name, tuple(start), array.shape, end - array.nbytes)


def parts_of_pack(path: Path, itemsize: int) -> Iterator[Part]:
    """Yield the finished parts of a pack; one that was cut off is the last, and left out."""
    import pyarrow as pa

    if path.stat().st_size == 0:
        return
    with pa.memory_map(str(path)) as file:
        size = file.size()
        while file.tell() < size:
            file.seek(min(size, file.tell() + -file.tell() % _ALIGNED))
            try:
                tensor = pa.ipc.read_tensor(file)
            except (pa.ArrowException, OSError, EOFError):
                return
            start = tuple(int(name) for name in tensor.dim_names if name.isdecimal())
            shape = tuple(tensor.shape)[: len(start)]
            offset = file.tell() - math.prod(shape) * itemsize
            if start and tensor.to_numpy().nbytes == math.prod(shape) * itemsize:
                yield Part(path.name, start, shape, offset)
