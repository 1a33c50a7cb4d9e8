"""Arrays as folders: Arrow tensors, one file per part or many in a pack, plus ``meta.json``.

Where there are packs, their parts are in a table in ``parts.npy``, as a million of them
would make ``meta.json`` too long.

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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import DamagedDataError, PathError
from rayspy.storage.faults import told
from rayspy.storage.npy import describe_npy
from rayspy.storage.packs import PACK, append_part, parts_of_pack, tensor_of
from rayspy.storage.region import overlap
from rayspy.storage.sources import META, TABLE, Part, Parts, PartsSource, folder_stamp, is_storable

FORMAT = "rayspy-array"
VERSION = 3
"""Of arrays with packs, whose parts are in a table; version 2 listed them like version 1."""
_WITHOUT_PACKS = 1
"""What arrays without packs say, so that every rayspy can read them."""
_MOST_BYTES = 2**62
"""An array has less, so that sums of sizes and places are whole numbers of 64 bits."""


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


def find_parts(folder: str, itemsize: int) -> Iterator[Part]:
    """Yield the finished parts in a folder that has no description yet."""
    if not Path(folder).is_dir():
        return
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith(PACK):
            yield from parts_of_pack(path, itemsize)
        elif part := _part_of_file(path, itemsize):
            yield part


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
    table = Parts.of(parts, len(shape))
    packed = any(file.startswith(PACK) for file in table.files)
    meta = {
        "format": FORMAT,
        "version": VERSION if packed else _WITHOUT_PACKS,
        "shape": list(shape),
        "dtype": dtype.newbyteorder("<").str if dtype.byteorder != "|" else dtype.str,
        "complex_as_last_axis": dtype.kind == "c",
    }
    if packed:
        _write_table(Path(folder) / TABLE, table)
        meta["files"] = table.files
    else:
        meta["parts"] = [
            {"file": p.file, "start": list(p.start), "shape": list(p.shape), "offset": p.offset}
            for p in table
        ]
    write_json(Path(folder) / META, meta)


def _write_table(path: Path, table: Parts) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with told(path):
            with temporary.open("wb") as file:
                np.save(file, table.rows.astype("<i8", copy=False), allow_pickle=False)
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _read_table(path: Path, files: Any, n_dims: int) -> Parts:
    """Rows of parts, as many as the file has room for."""
    refuse_link(path)
    if not path.is_file():
        raise DamagedDataError(f"{path} is missing")
    (shape, fortran, dtype), offset, _ = describe_npy(path)
    if len(shape) != 2 or shape[1] != 2 + 2 * n_dims or dtype != np.dtype("<i8") or fortran:
        raise DamagedDataError(f"{path} is no table of parts: it has shape {shape} and type {dtype}")
    if path.stat().st_size != offset + math.prod(shape) * dtype.itemsize:
        raise DamagedDataError(f"{path} is truncated or altered")
    rows = np.fromfile(path, dtype, math.prod(shape), offset=offset).astype(np.int64, copy=False)
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise TypeError("names of files")
    return Parts(tuple(files), rows.reshape(shape))


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
        if "files" in meta:
            parts = _read_table(base / TABLE, meta["files"], len(shape))
        else:
            parts = Parts.of((_part(entry) for entry in meta["parts"]), len(shape))
        _check_names(base, parts)
        _check_cover(base, shape, dtype, parts)
    except MALFORMED as error:
        if isinstance(error, DamagedDataError):
            raise
        raise DamagedDataError(f"{base / META} is damaged: {error!r}") from error
    _check_sizes(base, dtype, parts)
    return PartsSource(str(base), shape, dtype, parts, keep, folder_stamp(str(base)))


def _part(entry: dict[str, Any]) -> Part:
    start, shape = tuple(map(int, entry["start"])), tuple(map(int, entry["shape"]))
    return Part(str(entry["file"]), start, shape, int(entry["offset"]))


def _check_names(base: Path, parts: Parts) -> None:
    for name in parts.files:
        if Path(name).name != name or name == "..":
            raise DamagedDataError(f"part name {name!r} points out of its folder")
    numbers = parts.rows[:, 0]
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(parts.files):
        raise DamagedDataError(f"{base / TABLE} is damaged: it names files that are not in {base / META}")
    if (parts.rows[:, 1] < 0).any() or (parts.shapes < 0).any():
        raise DamagedDataError(f"a part in {base / META} has a negative offset or shape")


def _check_cover(base: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Parts) -> None:
    """Refuse parts that leave something out, overlap, or reach beyond the array."""
    damaged = DamagedDataError(
        f"{base / META} is damaged: the parts do not make up an array of shape {shape}"
    )
    n_items = math.prod(shape)
    if min(shape, default=0) < 0 or n_items * dtype.itemsize >= _MOST_BYTES:
        raise damaged
    starts, shapes, sizes = parts.starts, parts.shapes, np.array(shape, np.int64)
    if (starts < 0).any() or (shapes > sizes).any() or (starts > sizes - shapes).any():
        raise damaged
    if sum(np.prod(shapes, axis=1).tolist()) != n_items or _any_overlap(parts):
        raise damaged


def _any_overlap(parts: Parts) -> bool:
    """Whether two parts have an element in common; looks at those side by side along one axis."""
    if _is_grid(parts):
        return False
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


def _is_grid(parts: Parts) -> bool:
    """Whether no two parts are in the same rows, columns ... between any two edges."""
    cells, n_cells = np.zeros(len(parts), np.int64), 1
    for starts, lengths in zip(parts.starts.T, parts.shapes.T, strict=True):
        edges = np.unique(starts)
        k = np.searchsorted(edges, starts)
        ends = np.append(edges[1:], np.iinfo(np.int64).max)
        if (starts + lengths > ends[k]).any():
            return False
        cells, n_cells = cells * len(edges) + k, n_cells * len(edges)
        if n_cells >= _MOST_BYTES:
            return False
    return len(np.unique(cells)) == len(parts)


def refuse_link(path: Path) -> None:
    """Refuse a link, which may point out of its folder."""
    try:
        is_link = path.is_symlink()
    except OSError as error:  # of names that are too long
        raise DamagedDataError(f"{path} cannot be a file: {error.strerror}") from error
    if is_link:
        raise DamagedDataError(f"{path} is a link, which points out of its folder")


def _check_sizes(base: Path, dtype: np.dtype[Any], parts: Parts) -> None:
    ends = np.zeros(len(parts.files), np.uint64)
    reached = parts.rows[:, 1].astype(np.uint64) + np.prod(parts.shapes, axis=1).astype(
        np.uint64
    ) * np.uint64(dtype.itemsize)
    np.maximum.at(ends, parts.rows[:, 0], reached)
    for name, needed in zip(parts.files, ends.tolist(), strict=True):
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
