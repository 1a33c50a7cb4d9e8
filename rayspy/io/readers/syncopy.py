"""Objects in Syncopy's containers: an HDF5 file and a JSON file (``.info``) each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.builder import from_array
from rayspy.data.classes import BY_EXTENSION, BY_NAME
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.discrete import DiscreteData
from rayspy.data.spike import SpikeData
from rayspy.data.structdict import StructDict
from rayspy.data.timelock import TimeLockData
from rayspy.errors import DamagedDataError, PathError, RayspyError
from rayspy.io.readers import hdf5
from rayspy.io.readers.recording import damaged
from rayspy.progress import warn
from rayspy.storage.sources import ArraySource, Hdf5Source, is_storable, read_all

_LARGEST = 2**28
_CHUNK = 2**22
_MOST_NUMBERS = 2**24
"""In the table of trials."""
_UNREADABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError
)  # fmt: skip
_STATISTICS = ("avg", "var", "cov")
_JACKKNIFE = ("jack_var", "jack_bias")


def is_syncopy(path: Path) -> bool:
    """Whether a file is the data file of an object that Syncopy saved."""
    return path.suffix in BY_EXTENSION and path.is_file()


def load_object(path: Path, checksum: bool | None) -> tuple[BaseData, dict[str, Any]]:
    """Load one object; its array is read from the file when it is needed.

    Parameters
    ----------
    path : Path
        Data file, whose description has the same name with ``.info`` behind it.
    checksum : bool or None
        Compare the checksum; only if asked for: Syncopy itself changes files that it has saved.

    Returns
    -------
    data : data object
        With labels, trials, ``cfg``, ``info`` and history.
    besides : dict
        What rayspy noted in addition.
    """
    full = path.resolve()
    told = _description(full)
    if checksum and _sha1(full) != told.get("file_checksum"):
        raise DamagedDataError(f"{full} was altered: its checksum is not that in its .info file")
    try:
        return _object(full, told), _besides(told)
    except _UNREADABLE as error:
        if isinstance(error, RayspyError):
            raise
        raise damaged(full, f"it does not fit its .info file ({type(error).__name__}: {error})") from error


def _besides(told: dict[str, Any]) -> dict[str, Any]:
    found = told.get("rayspy")
    return found if isinstance(found, dict) else {}


def _description(path: Path) -> dict[str, Any]:
    file = path.with_name(path.name + ".info")
    if not file.is_file():
        raise PathError(file, exists=False, hint=f"it describes {path.name}")
    if file.stat().st_size > _LARGEST:
        raise damaged(file, "it is larger than descriptions are")
    try:
        told = json.loads(file.read_bytes())
    except ValueError as error:
        raise damaged(file, f"no JSON: {error}") from error
    if not isinstance(told, dict) or told.get("dataclass") not in BY_NAME:
        raise damaged(file, "it does not describe an object of Syncopy")
    return told


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _source(file: Any, name: str, path: Path) -> Hdf5Source:
    dataset = file[name]
    hdf5.check_inside(dataset, path)
    if not is_storable(dataset.dtype):
        raise damaged(path, f"{name} holds {dataset.dtype}")
    return Hdf5Source(str(path), name, dataset.shape, dataset.dtype.newbyteorder("="))


def _trials(dataset: Any, path: Path) -> NDArray[np.float64]:
    hdf5.check_inside(dataset, path)
    if dataset.ndim != 2 or dataset.dtype.kind not in "iuf" or dataset.size > _MOST_NUMBERS:
        raise damaged(path, f"trialdefinition is {dataset.dtype} of shape {dataset.shape}")
    return np.asarray(dataset[()], np.float64)


def _object(path: Path, told: dict[str, Any]) -> BaseData:
    cls = BY_NAME[told["dataclass"]]
    dims = tuple(told["dimord"])
    with hdf5.opened(path) as file:
        source: ArraySource = _source(file, "data", path)
        trl = _trials(file["trialdefinition"], path)
        extra = {
            name: _source(file, name, path)
            for name in (*_STATISTICS, *_JACKKNIFE, "waveform")
            if name in file and name in told.get("_hdfFileDatasetProperties", ())
        }
    if issubclass(cls, DiscreteData):
        source = _in_order(source, dims)
        labels: dict[str, NDArray[Any]] = {}
    else:
        labels = {dim: np.array(told[dim]) for dim in cls.label_dims if told.get(dim) is not None}
        for dim, values in labels.items():
            if values.shape != (source.shape[dims.index(dim)],):
                raise damaged(path, f"{len(values)} {dim} labels for an array of shape {source.shape}")
    data = cls.from_parts(source, trl, None, labels, dims)
    data.samplerate = told["samplerate"]
    data.trialdefinition = trl
    _attach(data, extra, path)
    if isinstance(data, SpikeData):
        _name_spikes(data, told)
    data.cfg = {
        key: StructDict(value) if isinstance(value, dict) else value
        for key, value in (told.get("cfg") or {}).items()
    }
    data.info.update(told.get("info") or {})
    data.continue_log([str(told.get("_log", ""))])
    return data


def _in_order(source: ArraySource, dims: tuple[str, ...]) -> ArraySource:
    """Rows in ascending order of their samples; only tables in another order are read for it."""
    column = dims.index("sample")
    with source.reader() as read:
        samples = read((slice(0, source.shape[0]), slice(column, column + 1)))[:, 0]
    if (np.diff(samples) >= 0).all():
        return source
    rows = read_all(source)
    return from_array(rows[np.argsort(samples, kind="stable")], 2, 0)


def _attach(data: BaseData, extra: dict[str, Hdf5Source], path: Path) -> None:
    if isinstance(data, TimeLockData):
        data.attach({name: extra[name] for name in _STATISTICS if name in extra})
    if isinstance(data, CrossSpectralData):
        data.jackknife = {name: read_all(extra[name]) for name in _JACKKNIFE if name in extra}
    if isinstance(data, SpikeData) and "waveform" in extra:
        if extra["waveform"].shape[0] != data.source.shape[0]:
            raise damaged(path, "it does not have one waveform per spike")
        data.set_waveform_source(extra["waveform"])


def _name_spikes(data: SpikeData, told: dict[str, Any]) -> None:
    for dim in ("channel", "unit"):
        names, codes = told.get(dim), data.codes(dim)
        if isinstance(names, list) and len(names) == len(codes):
            setattr(data, dim, [str(name) for name in names])
        elif names is not None:
            warn("load", f"{len(names)} names for {len(codes)} {dim}s; names are numbers")
