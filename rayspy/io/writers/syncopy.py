"""Syncopy's containers: an HDF5 file and a JSON file (``.info``) per object, as of version 2023.9."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.base import BaseData
from rayspy.data.discrete import DiscreteData
from rayspy.data.spike import SpikeData
from rayspy.data.structdict import serializable
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.container import attached_arrays, besides, target_folder
from rayspy.io.writers import whole
from rayspy.progress import warn
from rayspy.storage.region import pieces
from rayspy.storage.sources import ArraySource

VERSION = "2023.9"
_PIECE_BYTES = 2**24
_CHUNK = 2**22
_MOST_ATTRIBUTE = 60_000
"""Bytes of an attribute of an HDF5 file, which are limited to 64 KiB."""
_EXTRA = {
    "AnalogData": (),
    "SpectralData": (),
    "CrossSpectralData": ("jack_var", "jack_bias"),
    "TimeLockData": ("avg", "var", "cov"),
    "SpikeData": ("waveform",),
    "EventData": (),
}


def to_syncopy(
    data: BaseData, container: Any = None, tag: Any = None, filename: Any = None, overwrite: bool = False
) -> None:
    """Write an object so that Syncopy 2023.9 can load it.

    Parameters
    ----------
    data : data object
        Is not changed; an active selection does not count.
    container, tag, filename, overwrite
        As of `save`.

    Notes
    -----
    Parameters of FOOOF models and names of silent units have no place in these files; a warning
    tells. Physical units and events of recordings are kept in the JSON file, where Syncopy does not
    look for them, and are there again after `load`.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        An argument cannot be used, or Syncopy has no such objects (lists of pairs).
    """
    if not isinstance(data, BaseData):
        raise InvalidTypeError(data, "data", "rayspy data object;")
    if data.data is None:
        raise InvalidValueError("non-empty object", "data", f"empty {type(data).__name__}")
    check_bool(overwrite, "overwrite")
    if "channelcmb" in data.dimord:
        raise InvalidValueError("dimensions that Syncopy knows", "data", data.dimord)
    place = target_folder(data, container, tag, filename)
    file = whole.target(place, place.suffix, overwrite, "filename")
    note = file.with_name(file.name + ".info")
    with whole.building(file, note) as (wip, wip_note):
        offset = _write_hdf5(data, wip)
        text = json.dumps(_description(data, file, wip, offset), indent=4)
        wip_note.write_text(text, encoding="utf-8")
    _tell_lost(data)


def _tell_lost(data: BaseData) -> None:
    if getattr(data, "metadata", None):
        warn("to_syncopy", "parameters of fitted models were not written")
    if isinstance(data, SpikeData) and len(data.codes("unit")) > len(_occurring(data, "unit")):
        warn("to_syncopy", "units without spikes were not written")


def _occurring(data: SpikeData, dim: str) -> Any:
    return np.isin(data.codes(dim), DiscreteData.codes(data, dim)).nonzero()[0]


def _labels(data: BaseData) -> dict[str, list[Any]]:
    """Labels in the order of Syncopy's files."""
    if isinstance(data, SpikeData):
        names = {"channel": data.channel, "unit": data.unit}
        return {dim: np.asarray(names[dim])[_occurring(data, dim)].tolist() for dim in names}
    if isinstance(data, DiscreteData):
        return {}
    order = ("channel_i", "channel_j", "channel", "taper", "freq")
    found = data.describe().labels
    return {dim: serializable(found[dim], dim) for dim in order if dim in found}


def _write_hdf5(data: BaseData, path: Path) -> int | None:
    """Write the data file; returns where its main array begins."""
    import h5py

    trl = data.trialdefinition
    if trl is None:
        raise InvalidValueError("object with a trialdefinition", "data", "trialdefinition None")
    with h5py.File(path, "w") as file:
        main = _write_array(file, "data", data.source)
        for name, source in _extras(data).items():
            _write_array(file, name, source)
        file.create_dataset("trialdefinition", data=trl, maxshape=(None, trl.shape[1]))
        labels = {dim: values for dim, values in _labels(data).items() if dim != "taper"}
        attributes: dict[str, Any] = {
            "dimord": data.dimord,
            "_version": VERSION,
            "_log": str(data.log),
            **labels,
        }
        if type(data).__name__ != "TimeLockData":
            attributes["samplerate"] = "None" if data.samplerate is None else data.samplerate
        else:
            attributes.pop("channel", None)
        for name, value in attributes.items():
            file.attrs[name] = _attribute(value)
        file.flush()
        found = main.id.get_offset()
    return None if found is None else int(found)


def _extras(data: BaseData) -> dict[str, ArraySource]:
    wanted = _EXTRA[type(data).__name__]
    if isinstance(data, TimeLockData) and (data.avg is None or data.var is None):
        return {}  # never: what asks for them has them computed
    found = dict(attached_arrays(data))
    return {name: found[name] for name in wanted if name in found}


def _attribute(value: Any) -> Any:
    """A value as Syncopy writes it: lists that are too long are cut short there too."""
    if isinstance(value, str):
        return value if len(value.encode()) < _MOST_ATTRIBUTE else value[-_MOST_ATTRIBUTE // 4 :]
    if isinstance(value, list) and value and isinstance(value[0], str):
        long = sum(len(one.encode()) + 16 for one in value) >= _MOST_ATTRIBUTE
        return [value[0], "...", value[-1]] if long else value
    if isinstance(value, list) and 8 * len(value) >= _MOST_ATTRIBUTE:
        return [str(value[0]), "...", str(value[-1])]
    return value


def _write_array(file: Any, name: str, source: ArraySource) -> Any:
    dataset = file.create_dataset(name, source.shape, source.dtype)
    with source.reader() as read, whole.telling("to_syncopy", whole.bytes_of(source)) as seen:
        for region in pieces(source.shape, source.dtype.itemsize, _PIECE_BYTES):
            dataset[region] = seen(read(region))
    return dataset


def _description(data: BaseData, file: Path, written: Path, offset: int | None) -> dict[str, Any]:
    trl = data.trialdefinition
    assert trl is not None
    extras = _EXTRA[type(data).__name__]
    known = [name for name in extras if name in _extras(data) or name == "waveform"]
    return {
        "filename": file.name,
        "dataclass": type(data).__name__,
        "data_dtype": data.source.dtype.name,
        "data_shape": list(data.source.shape),
        "data_offset": offset,
        "trl_dtype": trl.dtype.name,
        "trl_shape": list(trl.shape),
        "trl_offset": None,
        "file_checksum": sha1(written),
        "order": "C",
        "checksum_algorithm": "openssl_sha1",
        "dimord": data.dimord,
        "_version": VERSION,
        "_log": str(data.log),
        "cfg": serializable(data.cfg, "cfg"),
        "info": serializable(data.info, "info"),
        "samplerate": data.samplerate,
        **_labels(data),
        "_hdfFileDatasetProperties": ["data", *known],
        "rayspy": besides(data),
    }


def sha1(path: Path | os.PathLike[str]) -> str:
    """SHA-1 of a file as hexadecimal text, which is what Syncopy compares."""
    digest = hashlib.sha1(usedforsecurity=False)
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
