"""FieldTrip's structures in ``.mat`` files: raw and time-locked data with their trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.builder import from_trials
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers import hdf5, matlab
from rayspy.io.readers.recording import (
    Notes,
    Recording,
    Stream,
    check_counts,
    damaged,
    existing,
    rounded_rate,
    unique_names,
)
from rayspy.storage.datasets import DatasetsSource
from rayspy.storage.sources import ArraySource

_NEEDED = ("trial", "time", "label")
_DESCRIBING = ("fsample", "trialinfo", "elec", "grad", "hdr")
_FEW = 2**16
"""Times that are read at once."""
_TO_METRES = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001}


def open_fieldtrip(path: Any, include_fields: Any = None) -> Recording:
    """Describe the structures of a ``.mat`` file that hold trials; each is a stream.

    Parameters
    ----------
    path : path
        The file. Trials of format 7.3 are read where they are; of older formats, all
        is loaded. Links to other files are not followed: MATLAB writes none.
    include_fields : sequence of str, optional
        Further fields that go into ``.info``.
    """
    full = existing(path)
    notes = Notes(full)
    fields = words(include_fields, "include_fields")
    streams = _new_format(full, fields, notes) if matlab.is_hdf5(full) else _old_format(full, fields, notes)
    if not streams:
        raise InvalidValueError(
            "file with a FieldTrip structure (fields trial, time and label)", "path", full
        )
    return Recording(str(full), "FieldTrip", streams, notes)


def structures(path: Any) -> list[str]:
    """Names of the structures of a ``.mat`` file."""
    full = existing(path)
    if not matlab.is_hdf5(full):
        return [name for name, value in matlab.load_old(full).items() if isinstance(value, dict)]
    with hdf5.opened(full) as file:
        return [name for name in file if not name.startswith("#") and matlab.is_struct(file[name])]


def words(value: Any, name: str) -> list[str]:
    """A list of texts; empty for None."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(word, str) for word in value
    ):
        raise InvalidTypeError(value, name, "sequence of str;")
    return list(value)


# -- format 7.3 -------------------------------------------------------------------------------


def _new_format(path: Path, fields: list[str], notes: Notes) -> list[Stream]:
    with hdf5.opened(path) as file:
        names = [name for name in file if not name.startswith("#") and matlab.is_struct(file[name])]
        return [
            _new_stream(file, name, path, fields, notes)
            for name in names
            if all(field in file[name] for field in _NEEDED)
        ]


def _new_stream(file: Any, name: str, path: Path, fields: list[str], notes: Notes) -> Stream:
    struct = file[name]
    trial, time = struct["trial"], struct["time"]
    for one in (trial, time):
        hdf5.check_inside(one, path)
    labels = matlab.texts(file, struct["label"], path)
    source: ArraySource
    if trial.dtype.kind == "O":
        trials = matlab.cells(file, trial, path)
        times = [_ends(one, path) for one in matlab.cells(file, time, path)]
        source = _cells_source(file, trials, len(labels), path)
        lengths = [one.shape[0] for one in trials]
    else:
        pages = trial.shape[::-1]
        if trial.ndim != 3 or pages[1] != len(labels):
            raise damaged(path, f"{name}.trial has shape {pages}, for {len(labels)} labels")
        if time.size != pages[2]:
            raise damaged(path, f"{name}.time has {time.size} times for trials of {pages[2]}")
        check_counts(path, trials=pages[0])
        lengths = [pages[2]] * pages[0]
        times = [_ends(time, path)] * pages[0]
        source, _ = from_trials((trial[:, :, k] for k in range(pages[0])), 2, 0, equal=True)
    small = {
        key: matlab.plain(file, struct[key], path)
        for key in struct
        if key not in _NEEDED
        and key in ("fsample", "trialinfo", "sampleinfo", "elec", "grad", "hdr", *fields)
    }
    return _stream(name, source, lengths, labels, times, small, fields, path, notes)


def _cells_source(file: Any, trials: list[Any], n_channels: int, path: Path) -> DatasetsSource:
    for k, one in enumerate(trials):
        shape: tuple[int, ...] = tuple(getattr(one, "shape", ()))
        if len(shape) != 2 or shape[1] != n_channels or one.dtype.kind not in "iuf" or shape[0] == 0:
            what = f"trial {k} is {getattr(one, 'dtype', 'a struct')} of shape {shape[::-1]}"
            raise damaged(path, f"{what}, for {n_channels} labels")
    if not trials:
        raise damaged(path, "no trials")
    stored = np.result_type(*{one.dtype.newbyteorder("=") for one in trials})
    names = tuple(name for name in hdf5.names_of(file, trials) if name is not None)
    if len(names) < len(trials):
        raise damaged(path, "a trial is in no place that has a name")
    return DatasetsSource(str(path), names, tuple(one.shape[0] for one in trials), n_channels, stored.str)


def _ends(time: Any, path: Path) -> NDArray[np.float64]:
    """Number of times, first and last one."""
    if time.dtype.kind != "f" or time.size < 1:
        raise damaged(path, f"{time.name} holds no times")
    if time.size > _FEW:
        first, last = (0,) * time.ndim, tuple(n - 1 for n in time.shape)
        return np.array([time.size, time[first], time[last]], np.float64)
    flat = time[()].ravel()
    return np.array([time.size, flat[0], flat[-1]], np.float64)


# -- older formats -----------------------------------------------------------------------------


def _old_format(path: Path, fields: list[str], notes: Notes) -> list[Stream]:
    found = matlab.load_old(path)
    structs = {
        name: value
        for name, value in found.items()
        if isinstance(value, dict) and all(field in value for field in _NEEDED)
    }
    return [_old_stream(name, struct, path, fields, notes) for name, struct in structs.items()]


def _old_stream(name: str, struct: dict[str, Any], path: Path, fields: list[str], notes: Notes) -> Stream:
    labels = [str(one) for one in matlab.listed(struct["label"])]
    trial = struct["trial"]
    several = isinstance(trial, np.ndarray) and trial.ndim == 3
    arrays = [_two(one, len(labels), path) for one in (list(trial) if several else matlab.listed(trial))]
    times = [
        np.atleast_1d(one)
        for one in ([struct["time"]] * len(arrays) if several else matlab.listed(struct["time"]))
    ]
    ends = [np.array([t.size, t[0], t[-1]], np.float64) for t in times]
    source, lengths = from_trials(_transposed(arrays), 2, 0, equal=False)
    return _stream(name, source, lengths, labels, ends, struct, fields, path, notes)


def _two(array: Any, n_channels: int, path: Path) -> NDArray[Any]:
    two = np.asarray(array)
    two = two.reshape(n_channels, -1) if two.ndim < 2 else two
    if two.ndim != 2 or two.shape[0] != n_channels or two.dtype.kind not in "iuf" or two.size == 0:
        raise damaged(path, f"a trial is {two.dtype} of shape {two.shape}, for {n_channels} labels")
    return two


def _transposed(arrays: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    stored = np.result_type(*{array.dtype for array in arrays})
    for array in arrays:
        yield array.T.astype(stored, copy=False)


# -- both --------------------------------------------------------------------------------------


def _stream(
    name: str,
    source: ArraySource,
    lengths: list[int],
    labels: list[str],
    times: list[NDArray[np.float64]],
    struct: dict[str, Any],
    fields: list[str],
    path: Path,
    notes: Notes,
) -> Stream:
    if len(times) != len(lengths) or any(t[0] != n for t, n in zip(times, lengths, strict=True)):
        raise damaged(path, f"{name}.time does not fit {name}.trial")
    rate = _rate(struct, times, path)
    edges = np.cumsum([0, *lengths])
    offsets = [round(float(t[1]) * rate) for t in times]
    trl = np.column_stack([edges[:-1], edges[1:], offsets]).astype(np.float64)
    trialinfo = struct.get("trialinfo")
    if trialinfo is not None and np.asarray(trialinfo).dtype.kind in "iufb" and np.asarray(trialinfo).size:
        rows = np.asarray(trialinfo, np.float64)
        rows = rows.reshape(len(trl), -1) if rows.size % len(trl) == 0 and rows.ndim < 2 else rows
        if rows.shape[0] == len(trl):
            trl = np.column_stack([trl, rows])
        else:
            notes.add(f"trialinfo of shape {rows.shape} does not fit {len(trl)} trials and is left out")
    info: dict[str, Any] = {"structure": name, **_sensors(struct, labels)}
    for field in fields:
        if field in struct:
            info[field] = _storable(struct[field])
        else:
            notes.add(f"{name} has no field {field!r}")
    unique = unique_names(labels, notes)
    units = _units(struct, labels)
    return Stream(name, source, rate, unique, units, trialdefinition=trl, info=info)


def _rate(struct: dict[str, Any], times: list[NDArray[np.float64]], path: Path) -> float:
    stated = struct.get("fsample")
    if isinstance(stated, (int, float)) and np.isfinite(stated) and stated > 0:
        return float(stated)
    longest = max(times, key=lambda t: float(t[0]))
    if longest[0] < 2 or not longest[2] > longest[1]:
        raise damaged(path, "it has no fsample, and its times tell no samplerate")
    return rounded_rate(float((longest[0] - 1) / (longest[2] - longest[1])))


def _by_channel(struct: dict[str, Any], field: str) -> dict[str, str]:
    for holder in ("hdr", "elec", "grad"):
        part = struct.get(holder)
        if isinstance(part, dict) and field in part and "label" in part:
            names, values = matlab.listed(part["label"]), matlab.listed(part[field])
            if len(names) == len(values):
                return {str(n): str(v) for n, v in zip(names, values, strict=True)}
    return {}


def _units(struct: dict[str, Any], labels: list[str]) -> list[str] | None:
    known = _by_channel(struct, "chanunit")
    return [known.get(label, "") for label in labels] if known else None


def _sensors(struct: dict[str, Any], labels: list[str]) -> dict[str, Any]:
    info: dict[str, Any] = {}
    types = _by_channel(struct, "chantype")
    if types:
        info["channel_types"] = {label: types[label] for label in labels if label in types}
    positions: dict[str, list[float]] = {}
    for holder in ("elec", "grad"):
        part = struct.get(holder)
        if not isinstance(part, dict) or not {"label", "chanpos"} <= set(part):
            continue
        names, places = matlab.listed(part["label"]), np.atleast_2d(part["chanpos"])
        if len(names) == len(places):
            factor = _TO_METRES.get(str(part.get("unit", "")), 1.0)
            found = {str(n): (p * factor).tolist() for n, p in zip(names, places, strict=True)}
            positions |= {label: found[label] for label in labels if label in found}
    if positions:
        info["positions"] = positions
    return info


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _storable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
