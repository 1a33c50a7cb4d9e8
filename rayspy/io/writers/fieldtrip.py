"""FieldTrip's structures in ``.mat`` files of format 7.3, trial by trial."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.writers import whole
from rayspy.storage.region import pieces
from rayspy.storage.sources import read_all

Array = NDArray[Any]
_PIECE_BYTES = 2**24
_CLASSES = {
    "f8": "double", "f4": "single", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8",
    "u2": "uint16", "u4": "uint32", "u8": "uint64", "c8": "single", "c16": "double",
}  # fmt: skip
_SPECTRA = {"csd": "crsspctrm", "granger": "grangerspctrm", "corr": "xcorr"}


def to_fieldtrip(data: BaseData, path: Any, name: str = "data", overwrite: bool = False) -> None:
    """Write an object as a structure of FieldTrip into a ``.mat`` file of format 7.3.

    Parameters
    ----------
    data : AnalogData, TimeLockData, SpectralData, CrossSpectralData or SpikeData
        Is not changed; an active selection does not count. AnalogData become raw data (``trial``, ``time``,
        ``label``, ``fsample``, ``trialinfo``, ``sampleinfo``), read and written piece by piece; TimeLockData
        ``avg``, ``var``, ``dof`` and ``trial``; spectra ``powspctrm`` or ``fourierspctrm`` with ``dimord``
        ``rpt_chan_freq_time`` (tapers: ``rpttap_...`` and ``cumtapcnt``); connectivity ``cohspctrm`` and so
        on with ``chan_chan_freq``; spikes ``timestamp``, ``time`` and ``trial`` per unit.
    path : path
        The file; ``.mat`` is appended where it is missing.
    name : str
        Name of the variable.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        There is no such structure, trials do not fit on one axis, or the name is none of MATLAB.
    MemoryBudgetError
        Spectra, which FieldTrip keeps in one array, would not fit.
    """
    import h5py

    if not isinstance(data, (AnalogData, TimeLockData, SpectralData, CrossSpectralData, SpikeData)):
        raise InvalidTypeError(data, "data", "data object other than EventData;")
    if data.data is None:
        raise InvalidValueError("non-empty object", "data", f"empty {type(data).__name__}")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z]\w{0,62}", name):
        raise InvalidValueError("name of a variable in MATLAB", "name", name)
    check_bool(overwrite, "overwrite")
    final = whole.target(path, ".mat", overwrite)
    if not isinstance(data, AnalogData):
        needed = 16.0 * float(np.prod(data.source.shape))
        whole.check_memory(needed, "the structure of FieldTrip", "select a part of the data")
    telling = whole.telling("to_fieldtrip", whole.bytes_of(data.source))
    with whole.building(final) as (wip,):
        with h5py.File(wip, "w", userblock_size=512) as file, telling as seen:
            _Mat(file, seen).put(file, name, _structure(data))
        _write_head(wip)


def _write_head(path: Path) -> None:
    """Text and marks of MATLAB's format in the first 512 bytes."""
    text = f"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: {clock.ctime()} HDF5 schema 1.00 ."
    with path.open("r+b") as file:
        file.write(text.encode().ljust(116) + bytes(8) + b"\x00\x02IM")


class _Streamed:
    """A trial that is copied piece by piece: time x channel, which MATLAB sees as channel x time."""

    def __init__(self, data: BaseData, start: int, stop: int) -> None:
        self.data, self.start, self.stop = data, start, stop


class _Column(list[Any]):
    """A cell array that stands upright."""


class _Mat:
    """Writes nested values as MATLAB stores them; arrays are given in MATLAB's order of dimensions."""

    def __init__(self, file: Any, seen: whole.Seen) -> None:
        self._file, self._seen = file, seen
        self._count = 0

    def put(self, group: Any, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            made = group.create_group(name)
            made.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, one in value.items():
                self.put(made, key, one)
            return made
        if isinstance(value, str):
            return self._text(group, name, value)
        if isinstance(value, list):
            return self._cell(group, name, value)
        if isinstance(value, _Streamed):
            return self._streamed(group, name, value)
        return self._numbers(group, name, np.atleast_2d(np.asarray(value)))

    def _text(self, group: Any, name: str, value: str) -> Any:
        if not value:
            return self._empty(group, name, "char")
        codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
        made = group.create_dataset(name, data=codes[:, None])
        made.attrs["MATLAB_class"] = np.bytes_("char")
        made.attrs["MATLAB_int_decode"] = np.int32(2)
        return made

    def _empty(self, group: Any, name: str, kind: str) -> Any:
        made = group.create_dataset(name, data=np.zeros(2, np.uint64))
        made.attrs["MATLAB_class"] = np.bytes_(kind)
        made.attrs["MATLAB_empty"] = np.uint8(1)
        return made

    def _cell(self, group: Any, name: str, values: list[Any]) -> Any:
        import h5py

        shape = (1, len(values)) if isinstance(values, _Column) else (len(values), 1)
        made = group.create_dataset(name, shape, h5py.ref_dtype)
        made.attrs["MATLAB_class"] = np.bytes_("cell")
        references = np.empty(len(values), object)
        for k, value in enumerate(values):
            self._count += 1
            references[k] = self.put(self._file.require_group("#refs#"), f"r{self._count}", value).ref
        made[...] = references.reshape(shape)
        return made

    def _numbers(self, group: Any, name: str, array: Array) -> Any:
        if array.size == 0:
            return self._empty(group, name, "double")
        if array.dtype.kind == "b":
            array = array.astype(np.uint8)
        kind = _CLASSES[array.dtype.str[1:]]
        stored = np.ascontiguousarray(array.T)
        if stored.dtype.kind == "c":
            parts = stored.real.dtype
            stored = stored.view(np.dtype([("real", parts), ("imag", parts)]))
        made = group.create_dataset(name, data=stored)
        made.attrs["MATLAB_class"] = np.bytes_(kind)
        return made

    def _streamed(self, group: Any, name: str, value: _Streamed) -> Any:
        data, source = value.data, value.data.source
        axis = data.dimord.index("time")
        n_channels = source.shape[1 - axis]
        stored = source.dtype
        made = group.create_dataset(name, (value.stop - value.start, n_channels), stored)
        made.attrs["MATLAB_class"] = np.bytes_(_CLASSES[stored.str[1:]])
        with source.reader() as read:
            for rows, channels in pieces(made.shape, stored.itemsize, _PIECE_BYTES):
                inner = (slice(rows.start + value.start, rows.stop + value.start), channels)
                array = self._seen(read(inner if axis == 0 else inner[::-1]))
                made[rows, channels] = array if axis == 0 else array.T
        return made


def _texts(values: Any) -> _Column:
    return _Column(str(value) for value in values)


def _structure(data: BaseData) -> dict[str, Any]:
    if isinstance(data, AnalogData):
        return _raw(data)
    if isinstance(data, TimeLockData):
        return _timelock(data)
    if isinstance(data, SpectralData):
        return _freq(data)
    if isinstance(data, SpikeData):
        return _spike(data)
    return _connectivity(data)


def _common(data: BaseData) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if data.trialinfo is not None and data.trialinfo.shape[1]:
        made["trialinfo"] = data.trialinfo
    return made


def _raw(data: AnalogData) -> dict[str, Any]:
    if data.samplerate is None or data.time is None:
        raise InvalidValueError("object with a samplerate", "data", "samplerate None")
    if data.source.dtype.kind == "c":
        raise InvalidValueError("real numbers", "data", f"dtype {data.source.dtype}")
    trl = data.describe().trialdefinition
    bounds = trl[:, :2].astype(np.int64)
    names = [str(name) for name in data.describe().labels["channel"]]
    units = np.broadcast_to(data.unit if data.unit is not None else "unknown", len(names))
    types = data.info.get("channel_types", {})
    return {
        "label": _texts(names),
        "fsample": float(data.samplerate),
        "trial": [_Streamed(data, int(start), int(stop)) for start, stop in bounds],
        "time": [data.time[k][None] for k in range(len(trl))],
        "sampleinfo": bounds + np.array([1, 0]),
        **_common(data),
        "hdr": {
            "Fs": float(data.samplerate),
            "nChans": float(len(names)),
            "label": _texts(names),
            "chanunit": _texts("uV" if unit == "µV" else unit for unit in units),
            "chantype": _texts(types.get(name, "unknown") for name in names),
        },
    }


def _axis_of(data: BaseData) -> Array:
    if data.time is None or not data.is_time_locked:
        raise InvalidValueError("trials of equal length and offset", "data", "other trials")
    return data.time[0][None]


def _timelock(data: TimeLockData) -> dict[str, Any]:
    turn = data.dimord.index("time") == 0
    trials = np.stack([trial.T if turn else trial for trial in data.trials])  # type: ignore[union-attr]
    made = {name: np.asarray(getattr(data, name)) for name in ("avg", "var", "dof")}
    return {
        "label": _texts(data.describe().labels["channel"]),
        "time": _axis_of(data),
        **{name: array.T for name, array in made.items()},
        "trial": trials,
        "dimord": "rpt_chan_time",
        **_common(data),
    }


def _freq(data: SpectralData) -> dict[str, Any]:
    order = [data.dimord.index(dim) for dim in ("taper", "channel", "freq", "time")]
    trials = np.stack([trial.transpose(order) for trial in data.trials])  # type: ignore[union-attr]
    n_trials, n_tapers, n_times = trials.shape[0], trials.shape[1], trials.shape[4]
    several = n_tapers > 1
    array = trials.reshape(n_trials * n_tapers, *trials.shape[2:])
    dimord = "rpttap_chan_freq" if several or array.dtype.kind == "c" else "rpt_chan_freq"
    made: dict[str, Any] = {
        "label": _texts(data.describe().labels["channel"]),
        "freq": np.asarray(data.freq)[None],
        "fourierspctrm" if array.dtype.kind == "c" else "powspctrm": array[..., 0] if n_times == 1 else array,
        "dimord": dimord if n_times == 1 else f"{dimord}_time",
        **_common(data),
    }
    if dimord.startswith("rpttap"):
        made["cumtapcnt"] = np.full((n_trials, 1), float(n_tapers))
    if n_times > 1:
        made["time"] = _axis_of(data) if data.samplerate is not None else np.asarray(data.time[0])[None]  # type: ignore[index]
    return made


def _connectivity(data: BaseData) -> dict[str, Any]:
    if "channelcmb" in data.dimord:
        raise InvalidValueError("matrix of channels", "data", data.dimord)
    labels = data.describe().labels
    if not np.array_equal(labels["channel_i"], labels["channel_j"]):
        raise InvalidValueError("the same channels on both sides", "data", "other channels")
    method = str(data.cfg.get("connectivityanalysis", {}).get("method", "coh"))
    order = [data.dimord.index(dim) for dim in ("channel_i", "channel_j", "freq", "time")]
    trials = np.stack([trial.transpose(order) for trial in data.trials])  # type: ignore[union-attr]
    one, still = len(trials) == 1, trials.shape[4] == 1
    array = trials[..., 0] if still else trials
    made = {
        "label": _texts(data.describe().labels["channel_i"]),
        "freq": np.asarray(data.describe().labels["freq"])[None],
        _SPECTRA.get(method, f"{method}spctrm"): array[0] if one else array,
        "dimord": ("" if one else "rpt_") + "chan_chan_freq" + ("" if still else "_time"),
    }
    if not still:
        made["time"] = _axis_of(data)
    return made


def _spike(data: SpikeData) -> dict[str, Any]:
    if data.samplerate is None or data.trialid is None or data.trialtime is None:
        raise InvalidValueError("object with a samplerate", "data", "samplerate None")
    rows = read_all(data.source)
    column = rows[:, data.dimord.index("unit")]
    inside = data.trialid >= 0
    masks = [column == code for code in data.codes("unit")]
    trl = data.describe().trialdefinition
    ends = (trl[:, 1] - trl[:, 0] + trl[:, 2]) / data.samplerate
    return {
        "label": [str(name) for name in data.unit],  # type: ignore[union-attr]
        "timestamp": [rows[mask, data.dimord.index("sample")][None].astype(float) for mask in masks],
        "time": [data.trialtime[mask & inside][None] for mask in masks],
        "trial": [data.trialid[mask & inside][None] + 1.0 for mask in masks],
        "trialtime": np.column_stack([trl[:, 2] / data.samplerate, ends]),
        "dimord": "{chan}_lead_time_spike",
    }
