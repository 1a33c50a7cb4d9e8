"""Arrays as folders: Arrow tensors, one file per part or many in a pack, plus ``meta.json``.

A part is written under a temporary name and renamed, so a part that is there
is complete; for packs see `rayspy.storage.packs`. Arrow tensors have no complex
type: complex numbers are stored with a trailing axis of length 2, and
``meta.json`` says so.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import DamagedDataError, PathError
from rayspy.storage.faults import told
from rayspy.storage.packs import PACK, append_part, parts_of_pack, tensor_of
from rayspy.storage.region import overlap
from rayspy.storage.sources import META, Part, PartsSource, folder_stamp, is_storable

FORMAT = "rayspy-array"
VERSION = 2
_WITHOUT_PACKS = 1
"""What arrays without packs say, so that every rayspy can read them."""


def part_name(start: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """File name of a part; says which indices it covers."""
    return "part-" + "_".join(f"{a}+{n}" for a, n in zip(start, shape, strict=True)) + ".arrow"


def write_part(folder: str, start: tuple[int, ...], array: NDArray[Any]) -> Part:
    """Write one part and return its description.

    Parameters
    ----------
    folder : str
        Folder of the array, which must exist.
    start : tuple of int
        Index of the first element of the part in the whole array.
    array : ndarray
        Any numeric type.
    """
    import pyarrow as pa

    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    name = part_name(start, array.shape)
    final = f"{folder}/{name}"
    temporary = f"{final}.{os.getpid()}.tmp"
    try:
        with told(final):
            with pa.OSFile(temporary, "wb") as file:
                pa.ipc.write_tensor(tensor_of(array), file)
            offset = Path(temporary).stat().st_size - array.nbytes
            Path(temporary).replace(final)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    return Part(name, tuple(start), array.shape, offset)


_PART_NAME = re.compile(r"part-(\d+\+\d+(?:_\d+\+\d+)*)\.arrow")


def find_parts(folder: str, itemsize: int) -> list[Part]:
    """Finished parts in a folder that has no description yet."""
    if not Path(folder).is_dir():
        return []
    found: list[Part] = []
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith(PACK):
            found.extend(parts_of_pack(path, itemsize))
        elif part := _part_of_file(path, itemsize):
            found.append(part)
    return found


def _part_of_file(path: Path, itemsize: int) -> Part | None:
    match = _PART_NAME.fullmatch(path.name)
    if match is None or not path.is_file():
        return None
    pairs = [pair.split("+") for pair in match[1].split("_")]
    start, shape = tuple(int(a) for a, _ in pairs), tuple(int(n) for _, n in pairs)
    offset = path.stat().st_size - math.prod(shape) * itemsize
    return Part(path.name, start, shape, offset) if offset > 0 else None


def read_part(folder: str, part: Part, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read one part."""
    flat = np.fromfile(f"{folder}/{part.file}", dtype, math.prod(part.shape), offset=part.offset)
    return flat.reshape(part.shape)


def write_meta(folder: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[Part]) -> None:
    """Write the description of an array of parts into its folder."""
    parts = tuple(parts)
    packed = any(part.file.startswith(PACK) for part in parts)
    meta = {
        "format": FORMAT,
        "version": VERSION if packed else _WITHOUT_PACKS,
        "shape": list(shape),
        "dtype": dtype.newbyteorder("<").str if dtype.byteorder != "|" else dtype.str,
        "complex_as_last_axis": dtype.kind == "c",
        "parts": [
            {"file": p.file, "start": list(p.start), "shape": list(p.shape), "offset": p.offset}
            for p in parts
        ],
    }
    write_json(Path(folder) / META, meta, indent=None if packed else 1)


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write JSON under a temporary name and rename it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with told(path):
            temporary.write_text(json.dumps(content, indent=indent))
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> Any:
    """Read JSON with an error that names the file."""
    if not path.is_file():
        raise PathError(path, exists=False)
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error


MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RecursionError, SyntaxError, TypeError, ValueError
)  # fmt: skip
"""What comes of taking apart a description that is not what it should be."""


def open_parts(folder: str | os.PathLike[str], keep: Any = None) -> PartsSource:
    """Open an array that was stored as parts.

    Raises
    ------
    PathError
        There is no such folder.
    DamagedDataError
        A file is missing, truncated or not what the description says.
    """
    base = Path(folder).resolve()
    refuse_link(base / META)
    meta = read_json(base / META)
    try:
        if meta["format"] != FORMAT or meta["version"] > VERSION:
            raise DamagedDataError(
                f"{base} has format {meta['format']} {meta['version']}, not {FORMAT} {VERSION}"
            )
        shape, dtype = tuple(map(int, meta["shape"])), np.dtype(meta["dtype"])
        if not is_storable(dtype):
            raise DamagedDataError(f"{base / META} is damaged: arrays of type {dtype} are not stored")
        parts = tuple(_part(entry) for entry in meta["parts"])
        _check_cover(base, shape, parts)
    except MALFORMED as error:
        if isinstance(error, DamagedDataError):
            raise
        raise DamagedDataError(f"{base / META} is damaged: {error!r}") from error
    _check_sizes(base, dtype, parts)
    return PartsSource(str(base), shape, dtype, parts, keep, folder_stamp(str(base)))


def _part(entry: dict[str, Any]) -> Part:
    name = str(entry["file"])
    if Path(name).name != name or name == "..":
        raise DamagedDataError(f"part name {name!r} points out of its folder")
    if int(entry["offset"]) < 0 or min(map(int, entry["shape"])) < 0:
        raise DamagedDataError(f"part {name!r} has a negative offset or shape")
    return Part(name, tuple(map(int, entry["start"])), tuple(map(int, entry["shape"])), int(entry["offset"]))


def _check_cover(base: Path, shape: tuple[int, ...], parts: tuple[Part, ...]) -> None:
    """Refuse parts that leave something out, overlap, or reach beyond the array."""
    inside = min(shape, default=0) >= 0 and all(
        a >= 0 and a + n <= size for p in parts for a, n, size in zip(p.start, p.shape, shape, strict=True)
    )
    if not inside or sum(math.prod(p.shape) for p in parts) != math.prod(shape) or _any_overlap(parts):
        raise DamagedDataError(
            f"{base / META} is damaged: the parts do not make up an array of shape {shape}"
        )


def _any_overlap(parts: tuple[Part, ...]) -> bool:
    """Whether two parts have an element in common; looks at those side by side along one axis."""
    filled = [part for part in parts if 0 not in part.shape]
    n_starts = [len(set(starts)) for starts in zip(*(part.start for part in filled), strict=True)]
    axis = n_starts.index(max(n_starts)) if filled else 0
    beside: list[Part] = []
    for part in sorted(filled, key=lambda p: p.start[axis]):
        beside = [p for p in beside if p.start[axis] + p.shape[axis] > part.start[axis]]
        if any(overlap(p.region, part.region) is not None for p in beside):
            return True
        beside.append(part)
    return False


def refuse_link(path: Path) -> None:
    """Refuse a link, which may point out of its folder."""
    try:
        is_link = path.is_symlink()
    except OSError as error:  # of names that are too long
        raise DamagedDataError(f"{path} cannot be a file: {error.strerror}") from error
    if is_link:
        raise DamagedDataError(f"{path} is a link, which points out of its folder")


def _check_sizes(base: Path, dtype: np.dtype[Any], parts: tuple[Part, ...]) -> None:
    ends: dict[str, int] = {}
    for part in parts:
        end = part.offset + math.prod(part.shape) * dtype.itemsize
        ends[part.file] = max(end, ends.get(part.file, 0))
    for name, needed in ends.items():
        path = base / name
        refuse_link(path)
        if not path.is_file():
            raise DamagedDataError(f"{path} is missing")
        size = path.stat().st_size
        packed = name.startswith(PACK)  # may end with a part that was cut off
        if size < needed or (size > needed and not packed):
            raise DamagedDataError(f"{path} is truncated or altered: it has {size} bytes instead of {needed}")


@dataclass(frozen=True)
class PartsTarget:
    """A folder under construction; workers write parts into ``folder``."""

    folder: str
    pack_bytes: int = 0
    """See `rayspy.storage.packs.pack_bytes`."""

    def write(self, start: tuple[int, ...], array: NDArray[Any]) -> Part:
        """Write one part."""
        if self.pack_bytes:
            return append_part(self.folder, start, array, self.pack_bytes)
        return write_part(self.folder, start, array)

    def is_visible(self) -> bool:
        """Whether the folder can be seen from here: its name is unlike any other."""
        return os.path.isdir(self.folder)  # noqa: PTH112 - for each block: Path would take longer

    def discard(self) -> None:
        """Remove the folder and everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def commit(self, final: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[Part]) -> None:
        """Describe the parts and give the folder its final name."""
        write_meta(self.folder, shape, dtype, parts)
        with told(final):
            Path(self.folder).rename(final)
