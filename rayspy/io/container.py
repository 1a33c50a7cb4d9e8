"""Native containers: folders of Arrow files with checksums.

``<name>.spy/<name>[_<tag>].<kind>/`` has the array as parts with ``meta.json``,
the trial definition as ``trials.arrow`` and everything else in ``object.json``,
which also lists size and SHA-256 of every other file. ``object.sha256`` is the
checksum of ``object.json`` itself. All of it is data: nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.config import config
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.spectral import SpectralData
from rayspy.data.structdict import StructDict, serializable
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError, RayspyError
from rayspy.storage.parts import open_parts, read_json, write_json, write_meta, write_part
from rayspy.storage.sources import ArraySource, Part, PartsSource, read_all

FORMAT = "rayspy-object"
VERSION = 1
_CHUNK = 2**22
_PART_BYTES = 2**24
CLASSES: dict[str, type[BaseData]] = {cls.extension: cls for cls in (AnalogData, SpectralData)}


# -- names ---------------------------------------------------------------------


def _text(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidTypeError(value, name, "str;")
    return str(value)


def target_folder(data: BaseData, container: Any, tag: Any, filename: Any) -> Path:
    """Folder that `save` writes, from its arguments."""
    if tag is not None and not isinstance(tag, str):
        raise InvalidTypeError(tag, "tag", "str;")
    if container is None and filename is None:
        if data.container is None:
            raise InvalidValueError(
                "a `container` or a `filename`: the object was never saved", "container/filename"
            )
        if tag is None:
            return Path(str(data.filename))
        container = data.container
    if container is not None and filename is not None:
        raise InvalidValueError("either `container` or `filename`", "container/filename", "both")
    if container is not None:
        folder = Path(_text(container, "container")).expanduser()
        folder = folder if folder.suffix == ".spy" else folder.with_name(folder.name + ".spy")
        stem = folder.stem if tag is None else f"{folder.stem}_{tag}"
        return (folder / f"{stem}{data.extension}").absolute()
    if tag is not None:
        raise InvalidValueError("no `tag` together with `filename`", "tag", tag)
    return _named_folder(data, Path(_text(filename, "filename")).expanduser())


def _named_folder(data: BaseData, path: Path) -> Path:
    if path.suffix == "":
        path = path.with_name(path.name + data.extension)
    if path.suffix != data.extension:
        raise InvalidValueError(
            f"extension {data.extension} for {type(data).__name__}", "filename", path.name
        )
    return path.absolute()


# -- saving ----------------------------------------------------------------------


def save(
    out: BaseData, container: Any = None, tag: Any = None, filename: Any = None, overwrite: bool = False
) -> None:
    """Save an object.

    Parameters
    ----------
    out : data object
        Refers to what was saved afterwards.
    container : str, optional
        Name of a container ``X``; writes ``X.spy/X[_tag].<kind>``.
    tag : str, optional
        Distinguishes several objects in one container.
    filename : str, optional
        Path to write instead of a container; the extension of the class is appended.
    overwrite : bool
        Replace what is there. The old object stays until the new one is complete.

    Raises
    ------
    PathError
        The path exists, or cannot be written.
    InvalidValueError, InvalidTypeError
        An argument cannot be used.
    """
    if not isinstance(out, BaseData):
        raise InvalidTypeError(out, "out", "rayspy data object;")
    if out.data is None:
        raise InvalidValueError("non-empty object", "out", f"empty {type(out).__name__}")
    check_bool(overwrite, "overwrite")
    folder = target_folder(out, container, tag, filename)
    own = container is None and tag is None and filename is None
    if folder.exists() and not (overwrite or own):
        raise PathError(folder, exists=True, hint="use overwrite=True to replace it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(folder.parent, hint=error.strerror or str(error)) from error
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.wip")
    try:
        building.mkdir()
        _write_object(out, building)
        _replace(building, folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    out._source = open_parts(folder)
    out._filename = str(folder)


def _replace(building: Path, folder: Path) -> None:
    if not folder.exists():
        building.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    folder.rename(old)
    building.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _write_object(data: BaseData, folder: Path) -> None:
    parts = list(_write_parts(data.source, folder))
    write_meta(str(folder), data.source.shape, data.source.dtype, parts)
    _write_trials(folder / "trials.arrow", data.trialdefinition)
    files = sorted(path for path in folder.iterdir())
    description = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(data).__name__,
        "dimord": data.dimord,
        "samplerate": data.samplerate,
        "labels": {dim: serializable(labels, dim) for dim, labels in data.describe().labels.items()},
        "cfg": serializable(data.cfg, "cfg"),
        "info": serializable(data.info, "info"),
        "log": data._log,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files},
    }
    write_json(folder / "object.json", description)
    (folder / "object.sha256").write_text(sha256(folder / "object.json") + "\n")


def _write_parts(source: ArraySource, folder: Path) -> Iterator[Part]:
    """Link finished parts where possible, copy them otherwise; other sources are streamed."""
    if isinstance(source, PartsSource):
        for part in source.parts:
            original, copy = Path(source.folder) / part.file, folder / part.file
            try:
                os.link(original, copy)
            except OSError:
                shutil.copyfile(original, copy)
            yield part
        return
    row_bytes = int(np.prod(source.shape[1:], dtype=np.int64)) * source.dtype.itemsize
    rows = max(1, _PART_BYTES // max(1, row_bytes))
    with source.reader() as read:
        for first in range(0, source.shape[0], rows):
            stop = min(first + rows, source.shape[0])
            region = (slice(first, stop), *(slice(0, n) for n in source.shape[1:]))
            yield write_part(str(folder), (first, *(0,) * (len(source.shape) - 1)), read(region))


def _write_trials(path: Path, trl: NDArray[np.float64] | None) -> None:
    import pyarrow as pa

    if trl is None:
        raise InvalidValueError("object with a trialdefinition", "out", "trialdefinition None")
    names = ["start", "stop", "offset", *(f"trialinfo{k}" for k in range(trl.shape[1] - 3))]
    table = pa.table({name: trl[:, k] for k, name in enumerate(names)})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


# -- loading ------------------------------------------------------------------------


def load(
    filename: Any,
    tag: Any = None,
    dataclass: Any = None,
    checksum: bool | None = None,
    mode: str = "r+",
    out: BaseData | None = None,
) -> Any:
    """Load what `save` wrote. Arrays stay in their files and are read as needed.

    Parameters
    ----------
    filename : str
        A container (``.spy``, may be left out) or one object in it.
    tag : str or list of str, optional
        Only objects of a container with these tags (parts of the name are enough).
    dataclass : str or list of str, optional
        Only objects of these kinds, e.g. 'analog'.
    checksum : bool, optional
        Compare checksums of everything. Left out: of everything up to
        ``spy.config.verify_bytes``, of descriptions and trial tables beyond, where
        arrays are only checked for their sizes.
    mode : str
        'r', 'r+', 'w' or 'c', for compatibility.
    out : data object, optional
        Object to fill; nothing is returned then.

    Returns
    -------
    data object or dict of data objects
        The object; a dictionary if the container has several that fit.

    Raises
    ------
    PathError
        There is no such container.
    DamagedDataError
        A file is missing, truncated or was altered.
    """
    if checksum is not None:
        check_bool(checksum, "checksum")
    if mode not in ("r", "r+", "w", "c"):
        raise InvalidValueError("one of 'r', 'r+', 'w', 'c'", "mode", mode)
    path = Path(_text(filename, "filename")).expanduser().absolute()
    found = _find(path, tag, dataclass)
    if out is not None:
        return _fill(out, found, checksum)
    loaded = {folder.name: _load_object(folder, checksum) for folder in found}
    for data in loaded.values():
        data.mode = mode
    return next(iter(loaded.values())) if len(loaded) == 1 else loaded


def load_as(filename: Any, cls: type[BaseData]) -> BaseData:
    """Load one object of a known class."""
    path = Path(_text(filename, "filename")).expanduser().absolute()
    if path.suffix != cls.extension:
        path = path.with_name(path.name + cls.extension)
    if not path.is_dir():
        raise PathError(path, exists=False)
    return _load_object(path, None)


def _fill(out: Any, found: list[Path], checksum: bool | None) -> None:
    if not isinstance(out, BaseData):
        raise InvalidTypeError(out, "out", "rayspy data object;")
    if len(found) != 1 or found[0].suffix != out.extension:
        raise InvalidTypeError(out, "out", f"object for {', '.join(f.name for f in found)};")
    out.__dict__.update(_load_object(found[0], checksum).__dict__)


def _words(value: Any, name: str) -> list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidTypeError(value, name, "str or list of str;")
    return words


def _find(path: Path, tag: Any, dataclass: Any) -> list[Path]:
    if path.suffix in CLASSES:
        if tag is not None or dataclass is not None:
            raise InvalidValueError("a container together with `tag` or `dataclass`", "filename", path.name)
        if not path.is_dir():
            raise PathError(path, exists=False)
        return [path]
    folder = path if path.suffix == ".spy" else path.with_name(path.name + ".spy")
    if not folder.is_dir():
        raise PathError(folder, exists=False)
    kinds = (
        ["." + word.lstrip(".") for word in _words(dataclass, "dataclass")] if dataclass is not None else []
    )
    for kind in kinds:
        if kind not in CLASSES:
            raise InvalidValueError(f"one of {', '.join(k[1:] for k in CLASSES)}", "dataclass", kind[1:])
    found = [
        f for f in sorted(folder.iterdir()) if f.suffix in (kinds or CLASSES) and not f.name.startswith(".")
    ]
    if tag is not None:
        tags = _words(tag, "tag")
        found = [f for f in found if any(word in f.stem.removeprefix(folder.stem) for word in tags)]
    if not found:
        raise PathError(folder, exists=False, hint="no object in it fits `tag` and `dataclass`")
    return found


def _load_object(folder: Path, checksum: bool | None) -> BaseData:
    description = _checked_description(folder)
    files: dict[str, Any] = description["files"]
    total = sum(int(entry["bytes"]) for entry in files.values())
    everything = total <= config.verify_bytes if checksum is None else checksum
    small = {"meta.json", "trials.arrow"}
    for name, entry in files.items():
        _check_file(folder / name, entry, everything or (checksum is None and name in small))
    source = open_parts(folder)
    cls = next((c for c in CLASSES.values() if c.__name__ == description["class"]), None)
    if cls is None or cls.extension != folder.suffix:
        raise DamagedDataError(
            f"{folder} does not hold a {folder.suffix[1:]} object but {description['class']!r}"
        )
    labels = {dim: np.array(values) for dim, values in description["labels"].items()}
    dims = tuple(description["dimord"])
    data = cls.from_parts(
        source, _read_trials(folder / "trials.arrow"), description["samplerate"], labels, dims
    )
    data.cfg = {
        key: StructDict(value) if isinstance(value, dict) else value
        for key, value in description["cfg"].items()
    }
    data.info.update(description["info"])
    data._log = [str(entry) for entry in description["log"]]
    return data


def _checked_description(folder: Path) -> dict[str, Any]:
    path, sums = folder / "object.json", folder / "object.sha256"
    description = read_json(path)
    if not sums.is_file():
        raise DamagedDataError(f"{sums} is missing")
    if sums.read_text().strip() != sha256(path):
        raise DamagedDataError(f"{path} was altered: its checksum is not that of {sums.name}")
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise DamagedDataError(f"{path} does not describe a rayspy object")
    if description["version"] > VERSION:
        raise RayspyError(
            f"{folder} was written by a newer rayspy (format {description['version']}); please update"
        )
    return description


def _check_file(path: Path, entry: dict[str, Any], compare: bool) -> None:
    if path.parent.resolve() != path.resolve().parent:
        raise DamagedDataError(f"{path} points out of its container")
    if not path.is_file():
        raise DamagedDataError(f"{path} is missing")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise DamagedDataError(
            f"{path} is truncated or altered: it has {size} bytes instead of {entry['bytes']}"
        )
    if compare and sha256(path) != entry["sha256"]:
        raise DamagedDataError(f"{path} was altered: its checksum is not that noted when it was saved")


def _read_trials(path: Path) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)


__all__ = ["load", "load_as", "read_all", "save"]
