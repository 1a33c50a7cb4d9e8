"""Native containers: folders of Arrow files with checksums.

``<name>.spy/<name>[_<tag>].<kind>/`` has the array as parts with ``meta.json``,
the trial definition as ``trials.arrow``, parameters of fitted models, if there are
any, as ``models.arrow``, further arrays (waveforms) in folders within it and
everything else in ``object.json``, which also lists size and SHA-256 of every
other file. ``object.sha256`` is the checksum of ``object.json`` itself. All of it is
data: nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_choice, check_path
from rayspy.config import config
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.classes import BY_EXTENSION
from rayspy.data.coupling import CouplingData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.discrete import DiscreteData
from rayspy.data.event import EventData
from rayspy.data.labels import tell_repeated
from rayspy.data.quantity import Measured
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.data.statistics import StatData
from rayspy.data.structdict import StructDict, serializable
from rayspy.data.timelock import STATISTICS, TimeLockData
from rayspy.data.trials import check_trialdefinition
from rayspy.errors import (
    DamagedDataError,
    InvalidTypeError,
    InvalidValueError,
    PathError,
    RayspyError,
    ScratchSpaceError,
)
from rayspy.io.models import check_models, read_models, write_models
from rayspy.io.readers.syncopy import is_syncopy, load_object
from rayspy.io.switch import recover, under_construction
from rayspy.progress import Progress
from rayspy.storage.faults import reason
from rayspy.storage.packs import pack_bytes
from rayspy.storage.parts import (
    MALFORMED,
    PartsTarget,
    open_parts,
    read_json,
    refuse_link,
    write_json,
    write_meta,
)
from rayspy.storage.region import pieces
from rayspy.storage.sources import (
    META,
    TABLE,
    ArraySource,
    MemorySource,
    Part,
    PartsBuilder,
    PartsSource,
    read_all,
)
from rayspy.storage.tables import read_table

FORMAT = "rayspy-object"
VERSION = 1
_DESCRIPTION = "object.json"
_TRIALS = "trials.arrow"
_MODELS = "models.arrow"
_CHUNK = 2**22
_PART_BYTES = 2**24


# -- names ---------------------------------------------------------------------


def target_folder(data: BaseData, container: Any, tag: Any, filename: Any) -> Path:
    """Folder that `save` writes, from its arguments."""
    if tag is not None:
        _check_tag(tag)
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
        folder = check_path(container, "container", "name of a container")
        folder = folder if folder.suffix == ".spy" else folder.with_name(folder.name + ".spy")
        stem = folder.stem if tag is None else f"{folder.stem}_{tag}"
        return (folder / f"{stem}{data.extension}").absolute()
    if tag is not None:
        raise InvalidValueError("no `tag` together with `filename`", "tag", tag)
    return _named_folder(data, check_path(filename, "filename", "name of a file"))


def _check_tag(tag: Any) -> None:
    if not isinstance(tag, str):
        raise InvalidTypeError(tag, "tag", "str;")
    if not tag or "/" in tag or "\0" in tag:
        raise InvalidValueError("text without '/', which becomes part of a file name", "tag", tag)


def _named_folder(data: BaseData, path: Path) -> Path:
    if path.suffix not in BY_EXTENSION:  # names may have dots
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
    check_models(_models_of(out))
    folder = target_folder(out, container, tag, filename)
    recover(folder.parent)
    own = container is None and tag is None and filename is None
    if folder.exists() and not (overwrite or own):
        raise PathError(folder, exists=True, hint="use overwrite=True to replace it")
    _check_room(out.source, folder)
    try:
        with (
            _told("save", _n_steps(out), f"writing {folder}") as step,
            under_construction(folder) as building,
        ):
            _write_object(out, building, folder, step)
    except ScratchSpaceError as error:
        cause = error.__cause__
        said = reason(cause) if isinstance(cause, OSError) else str(error)
        raise PathError(folder, hint=f"{said}; {_NOTHING_SAVED}") from error
    except OSError as error:
        if isinstance(error, RayspyError):
            raise
        raise PathError(folder, hint=f"{reason(error)}; {_NOTHING_SAVED}") from error
    out.moved_to(open_parts(folder), str(folder))
    _attach_arrays(out, folder, sorted(attached_arrays(out)))


_NOTHING_SAVED = "nothing was saved, and what was there before is still there"


def _check_room(source: ArraySource, folder: Path) -> None:
    """Refuse what does not fit on the disk, unless files are there already and only get another name."""
    parent = next(one for one in folder.parents if one.exists())
    if isinstance(source, PartsSource) and (source.keep is not None or Path(source.folder) == folder):
        with contextlib.suppress(OSError):
            if Path(source.folder).stat().st_dev == parent.stat().st_dev:
                return
    needed = math.prod(source.shape) * source.dtype.itemsize
    free = shutil.disk_usage(parent).free
    if needed > free:
        room = f"{needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are free in {parent}"
        raise PathError(folder, hint=f"no space left on the disk: {room}; {_NOTHING_SAVED}")


Step = Callable[[int], None]
"""Is called with the bytes of each file that was written or read."""


@contextlib.contextmanager
def _told(function: str, n_steps: int, intro: str) -> Iterator[Step]:
    """Say what is done, if it takes long enough to wonder, and how far it is."""
    progress = Progress(function, n_steps, 0, intro=intro, unit="files").start()
    try:
        yield progress.update
    finally:
        progress.close()


def _n_steps(data: BaseData) -> int:
    """Parts to write, and files to make checksums of: about as many, and the trial definition."""
    sources = [data.source, *attached_arrays(data).values()]
    return sum(_n_parts_and_files(source) for source in sources) + 2 * len(sources)


def _n_parts_and_files(source: ArraySource) -> int:
    if isinstance(source, PartsSource):
        return len(source.parts) + len(source.parts.files)
    return 2 * sum(1 for _ in pieces(source.shape, source.dtype.itemsize, _PART_BYTES))


def _write_object(data: BaseData, folder: Path, replaced: Path, step: Step) -> None:
    _write_array(data.source, folder, replaced, step)
    attached = attached_arrays(data)
    for name, source in attached.items():
        (folder / name).mkdir()
        _write_array(source, folder / name, replaced / name, step)
    _write_trials(folder / _TRIALS, data.trialdefinition)
    if models := _models_of(data):
        write_models(folder / _MODELS, models)
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        n_bytes = path.stat().st_size
        files[str(path.relative_to(folder))] = {"bytes": n_bytes, "sha256": sha256(path)}
        step(n_bytes)
    description = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(data).__name__,
        "dimord": data.dimord,
        "samplerate": data.samplerate,
        **besides(data),
        **({"coordinates": data.coordinates()} if isinstance(data, DiscreteData) else {}),
        "attached": sorted(attached),
        "labels": _labels_of(data),
        "cfg": serializable(data.cfg, "cfg"),
        "info": serializable(data.info, "info"),
        "log": data.log_entries(),
        "files": files,
    }
    write_json(folder / _DESCRIPTION, description)
    (folder / "object.sha256").write_text(sha256(folder / _DESCRIPTION) + "\n")


def _labels_of(data: BaseData) -> dict[str, Any]:
    """Labels per dimension of the array; those of codes are among the coordinates."""
    if isinstance(data, DiscreteData):
        return {}
    return {dim: serializable(values, dim) for dim, values in data.describe().labels.items()}


def besides(data: BaseData) -> dict[str, Any]:
    """What the numbers are, and events of recordings."""
    return {**_meaning_of(data), **_events_of(data)}


def _meaning_of(data: BaseData) -> dict[str, Any]:
    """What the numbers are."""
    if not isinstance(data, Measured):
        return {}
    return {"quantity": data.quantity, "unit": serializable(data.unit, "unit")}


def _events_of(data: BaseData) -> dict[str, Any]:
    """Events of a recording."""
    if not isinstance(data, AnalogData):
        return {}
    events = data.events
    return {"events": None if events is None or events.data is None else _event_table(events, events.data[:])}


def _event_table(events: EventData, rows: NDArray[Any]) -> dict[str, Any]:
    return {
        "dimord": events.dimord,
        "samplerate": events.samplerate,
        "rows": rows.tolist(),
        "trialdefinition": serializable(events.trialdefinition),
        "info": serializable(events.info),
    }


def _take_besides(data: BaseData, stored: dict[str, Any]) -> None:
    if isinstance(data, Measured):
        data.quantity, data.unit = stored.get("quantity"), stored.get("unit")
    if isinstance(data, AnalogData) and stored.get("events") is not None:
        data.events = _read_event_table(stored["events"])


def _read_event_table(table: dict[str, Any]) -> EventData:
    events = EventData(np.array(table["rows"]), None, None, table["samplerate"], table["dimord"])
    events.trialdefinition = np.array(table["trialdefinition"])
    events.info.update(table["info"])
    return events


def _write_array(source: ArraySource, folder: Path, replaced: Path, step: Step) -> None:
    parts = PartsBuilder(len(source.shape))
    for part in _write_parts(source, folder, replaced):
        parts.append(part)
        step(math.prod(part.shape) * source.dtype.itemsize)
    if isinstance(source, PartsSource) and Path(source.folder) == replaced.resolve():
        for name in descriptions(replaced):  # what other objects know of it stays true
            _take_over(replaced / name, folder / name, link=True)
    else:
        write_meta(str(folder), source.shape, source.dtype, parts.parts())


def descriptions(folder: Path) -> list[str]:
    """Names of the files that describe an array."""
    return [META, *([TABLE] if (folder / TABLE).is_file() else [])]


def attached_arrays(data: BaseData) -> dict[str, ArraySource]:
    """Further arrays of an object by name; each has a folder of its own within that of the object."""
    found = {"waveform": data.waveform_source} if isinstance(data, SpikeData) else {}
    if isinstance(data, TimeLockData):
        found |= data.attached
    if isinstance(data, CrossSpectralData):
        found |= {name: MemorySource(array) for name, array in data.jackknife.items()}
    return {name: source for name, source in found.items() if source is not None}


def _attach_arrays(data: BaseData, folder: Path, names: list[str]) -> None:
    if isinstance(data, TimeLockData):
        data.attach({name: open_parts(folder / name) for name in names if name in STATISTICS})
    if isinstance(data, SpikeData) and "waveform" in names:
        data.set_waveform_source(open_parts(folder / "waveform"))
    if isinstance(data, CrossSpectralData):
        data.jackknife = {name: read_all(open_parts(folder / name)) for name in names}


def _models_of(data: BaseData) -> dict[str, Any]:
    return data.metadata if isinstance(data, SpectralData) else {}


def _write_parts(source: ArraySource, folder: Path, replaced: Path) -> Iterator[Part]:
    """Write an array as parts; finished parts are taken over as they are.

    Parts that nobody else keeps (scratch data, and the object that is replaced)
    are linked, which costs nothing. Those of another saved object are copied, so
    that one copy survives damage to the other.
    """
    with source.reader() as read:
        if isinstance(source, PartsSource):
            link = source.keep is not None or Path(source.folder) == replaced.resolve()
            for name in source.parts.files:
                _take_over(Path(source.folder) / name, folder / name, link)
            yield from source.parts
            return
        n_bytes = math.prod(source.shape) * source.dtype.itemsize
        target = PartsTarget(str(folder), pack_bytes(n_bytes // _PART_BYTES, n_bytes))
        for region in pieces(source.shape, source.dtype.itemsize, _PART_BYTES):
            yield target.write(tuple(s.start for s in region), read(region))


def _take_over(original: Path, copy: Path, link: bool) -> None:
    if link:
        with contextlib.suppress(OSError):
            copy.hardlink_to(original)
            return
    shutil.copyfile(original, copy)
    status = original.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


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
    """Load what `save` or Syncopy wrote. Arrays stay in their files and are read as needed.

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
        ``spy.config.verify_bytes``, of descriptions and tables beyond. False: of
        descriptions and tables only; the files of arrays are checked for their sizes.
    mode : str
        'r', 'r+', 'w' or 'c', for compatibility.
    out : data object, optional
        Object to fill; nothing is returned then.

    Returns
    -------
    data object or dict of data objects
        The object; a dictionary if the container has several that fit. Of files of
        tests (``.stat``) and of coupling the `StatData` or `CouplingData`.

    Raises
    ------
    PathError
        There is no such container.
    DamagedDataError
        A file is missing, truncated or was altered.
    """
    if checksum is not None:
        check_bool(checksum, "checksum")
    check_choice(mode, "mode", ("r", "r+", "w", "c"))
    path = check_path(filename, "filename", "name of a container or an object in it").absolute()
    single = _single_file(path)
    if single is not None:
        if out is not None:
            raise InvalidTypeError(out, "out", f"None for {path.name}, which has no data object;")
        return single.load(path)
    found = _find(path, tag, dataclass)
    if out is not None:
        return _fill(out, found, checksum)
    loaded = {folder.name: _load_object(folder, checksum) for folder in found}
    for data in loaded.values():
        data.mode = mode
    return next(iter(loaded.values())) if len(loaded) == 1 else loaded


_SINGLE_FILES = (StatData, CouplingData)
"""Results that are a file of their own, not a folder."""


def _single_file(path: Path) -> type[StatData] | type[CouplingData] | None:
    """Class of a result that is one file; its extension may be left out if there is nothing else."""
    for kind in _SINGLE_FILES:
        if path.name.endswith(kind.extension):
            return kind
    if path.exists() or path.with_name(path.name + ".spy").exists():
        return None
    return next((k for k in _SINGLE_FILES if path.with_name(path.name + k.extension).is_file()), None)


def load_as(filename: Any, cls: type[BaseData]) -> BaseData:
    """Load one object of a known class."""
    path = check_path(filename, "filename", "name of a container or an object in it").absolute()
    if BY_EXTENSION.get(path.suffix, cls) is not cls:
        raise InvalidValueError(f"{cls.extension} folder for {cls.__name__}", "data", path)
    if path.suffix != cls.extension:
        path = path.with_name(path.name + cls.extension)
    if not path.exists():
        recover(path.parent)
    if not path.exists():
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


def _named_without_extension(path: Path, container: Path) -> list[Path]:
    """One object that was saved under this name, where there is no container of it."""
    recover(path.parent)
    found = [one for kind in BY_EXTENSION if (one := path.with_name(path.name + kind)).is_dir()]
    if not found:
        raise PathError(container, exists=False)
    if len(found) > 1:
        names = " and ".join(one.name for one in found)
        raise InvalidValueError(f"a name with its extension: there are {names}", "filename", path.name)
    return found


def _find(path: Path, tag: Any, dataclass: Any) -> list[Path]:
    if path.suffix == ".info" and path.with_suffix("").suffix in BY_EXTENSION:
        path = path.with_suffix("")
    if path.suffix in BY_EXTENSION:
        if tag is not None or dataclass is not None:
            raise InvalidValueError("a container together with `tag` or `dataclass`", "filename", path.name)
        if not path.exists():
            recover(path.parent)
        if not path.exists():
            raise PathError(path, exists=False)
        return [path]
    folder = path if path.suffix == ".spy" else path.with_name(path.name + ".spy")
    if not folder.is_dir():
        return _named_without_extension(path, folder)
    recover(folder)
    kinds = (
        ["." + word.lstrip(".") for word in _words(dataclass, "dataclass")] if dataclass is not None else []
    )
    for kind in kinds:
        if kind not in BY_EXTENSION:
            raise InvalidValueError(f"one of {', '.join(k[1:] for k in BY_EXTENSION)}", "dataclass", kind[1:])
    found = [
        f
        for f in sorted(folder.iterdir())
        if f.suffix in (kinds or BY_EXTENSION) and not f.name.startswith(".")
    ]
    if tag is not None:
        tags = _words(tag, "tag")
        found = [f for f in found if any(word in f.stem.removeprefix(folder.stem) for word in tags)]
    if not found:
        raise PathError(folder, exists=False, hint="no object in it fits `tag` and `dataclass`")
    return found


def _load_object(folder: Path, checksum: bool | None) -> BaseData:
    if is_syncopy(folder):
        data, more = load_object(folder, checksum)
        try:
            _take_besides(data, more)
        except MALFORMED as error:
            raise DamagedDataError(f"{folder}.info is damaged: {error!r}") from error
        return data
    description = _checked_description(folder)
    try:
        _check_files(folder, description["files"], checksum, description.get("attached", []))
        return _from_description(folder, description)
    except DamagedDataError:
        raise
    except MALFORMED as error:
        raise DamagedDataError(f"{folder / _DESCRIPTION} is damaged: {error!r}") from error


def _from_description(folder: Path, description: dict[str, Any]) -> BaseData:
    cls = BY_EXTENSION.get(folder.suffix)
    if cls is None or cls.__name__ != description["class"]:
        kind = folder.suffix[1:]
        raise DamagedDataError(f"{folder} does not hold a {kind} object but {description['class']!r}")
    source, dims = _listed_parts(folder, description["files"]), tuple(description["dimord"])
    labels = {dim: np.array(values) for dim, values in description["labels"].items()}
    for dim, values in labels.items():
        if values.shape != (source.shape[dims.index(dim)],) or values.dtype.kind not in "Uifu":
            raise ValueError(f"{values.shape} {dim} labels for an array of shape {source.shape}")
        tell_repeated(values, dim)
    if issubclass(cls, DiscreteData) and (source.dtype.kind not in "iu" or source.shape[1:] != (len(dims),)):
        raise ValueError(f"a table of shape {source.shape} and type {source.dtype} for {', '.join(dims)}")
    trl = _read_trials(folder / _TRIALS)
    data = cls.from_parts(source, trl, None, labels, dims)
    check_trialdefinition(trl, data.n_samples)
    data.samplerate = description["samplerate"]
    data.cfg = {
        key: StructDict(value) if isinstance(value, dict) else value
        for key, value in description["cfg"].items()
    }
    data.info.update(description["info"])
    data.continue_log(str(entry) for entry in description["log"])
    if isinstance(data, DiscreteData) and description.get("coordinates") is not None:
        data.set_coordinates(description["coordinates"])
    for name in description.get("attached", []):
        _listed_parts(folder, description["files"], name)
    _attach_arrays(data, folder, description.get("attached", []))
    _take_besides(data, description)
    if isinstance(data, SpectralData) and _MODELS in description["files"]:
        data.metadata = read_models(folder / _MODELS)
    return data


def _listed_parts(folder: Path, listed: dict[str, Any], name: str = "") -> PartsSource:
    """Open an array all of whose files are in the list of the object, which has their checksums."""
    source = open_parts(folder / name)
    for used in (*descriptions(folder / name), *source.parts.files, *(() if name else (_TRIALS,))):
        if str(Path(name, used)) not in listed:
            raise DamagedDataError(f"{folder / name / used} is not listed in {folder / _DESCRIPTION}")
    return source


def _checked_description(folder: Path) -> dict[str, Any]:
    path, sums = folder / _DESCRIPTION, folder / "object.sha256"
    for needed in (path, sums):
        refuse_link(needed)
        if not needed.is_file():
            raise DamagedDataError(f"{needed} is missing")
    if sums.read_bytes().strip() != sha256(path).encode():
        raise DamagedDataError(f"{path} was altered: its checksum is not that in {sums}")
    description = read_json(path)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise DamagedDataError(f"{path} does not describe a rayspy object")
    version = description.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise RayspyError(f"{folder} was written by a newer rayspy (format {version}); please update")
    return description


def _check_files(
    folder: Path, files: dict[str, Any], checksum: bool | None, attached: Sequence[str] = ()
) -> None:
    total = sum(int(entry["bytes"]) for entry in files.values())
    everything = total <= config.verify_bytes if checksum is None else checksum
    with _told("load", len(files), f"checking {folder}") as step:
        for name, entry in files.items():
            parents = Path(name).parent.parts
            plain = not parents or (len(parents) == 1 and parents[0] in attached and ".." not in parents)
            if not plain or any((folder / part).is_symlink() for part in (*parents, name)):
                raise DamagedDataError(f"{name!r} in {folder / _DESCRIPTION} points out of the folder")
            known = Path(name).name in (META, TABLE, _TRIALS, _MODELS)
            compare = everything or known
            _check_file(folder / name, entry, compare)
            step(int(entry["bytes"]) if compare else 0)


def _check_file(path: Path, entry: dict[str, Any], compare: bool) -> None:
    if not path.is_file():
        raise DamagedDataError(f"{path} is missing")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise DamagedDataError(f"{path} is truncated or altered: it has {size} bytes, not {entry['bytes']}")
    if compare and sha256(path) != entry["sha256"]:
        raise DamagedDataError(f"{path} was altered: its checksum is not that noted when it was saved")


def _read_trials(path: Path) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        table = read_table(path)
        if any(column.type != pa.float64() or column.null_count for column in table.columns):
            raise ValueError("columns of double precision were expected")
        return np.column_stack([column.to_numpy() for column in table.columns])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error


__all__ = ["load", "load_as", "save"]
