"""EEGLAB's ``.set`` files, with their samples inside or in an ``.fdt`` file beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.builder import from_array
from rayspy.errors import InvalidValueError, PathError
from rayspy.io.readers import hdf5, matlab
from rayspy.io.readers.recording import (
    Mark,
    Notes,
    Recording,
    Stream,
    beside,
    check_counts,
    damaged,
    existing,
    unique_names,
    whole_rows,
)
from rayspy.storage.datasets import DatasetsSource
from rayspy.storage.sources import ArraySource, RawSource

_FIELDS = ("nbchan", "pnts", "trials", "srate", "xmin", "data", "datfile", "chanlocs", "event", "ref")


def open_eeglab(path: Any, outside: bool = False) -> Recording:
    """Describe an EEGLAB data set.

    Parameters
    ----------
    path : path
        The ``.set`` file. Samples in an ``.fdt`` file or a file of MATLAB's format 7.3 are read where
        they are; those inside older files are loaded. Epochs become trials; events ``boundary``
        separate pieces.
    outside : bool
        Whether the ``.fdt`` file may be in another folder.
    """
    full = existing(path)
    check_bool(outside, "outside")
    if full.suffix.lower() == ".fdt":
        raise InvalidValueError("the .set file, which describes the .fdt file", "path", full)
    notes = Notes(full)
    if matlab.is_hdf5(full):
        with hdf5.opened(full) as file:
            node = file["EEG"] if "EEG" in file and matlab.is_struct(file["EEG"]) else file
            fields = {key: _field(file, node, key, full) for key in _FIELDS if key in node}
            return _recording(full, fields, notes, outside)
    found = matlab.load_old(full)
    eeg = found.get("EEG", found)
    return _recording(full, eeg if isinstance(eeg, dict) else {}, notes, outside)


def _field(file: Any, node: Any, key: str, path: Path) -> Any:
    """A field of format 7.3; large arrays stay datasets."""
    value = node[key]
    if key == "data" and hasattr(value, "shape") and value.attrs.get("MATLAB_class") != b"char":
        matlab.check_inside(value, path)
        return value
    return matlab.plain(file, value, path)


def _recording(path: Path, eeg: dict[str, Any], notes: Notes, outside: bool) -> Recording:
    n_channels, points = _whole(eeg, "nbchan", path), _whole(eeg, "pnts", path)
    n_trials = _whole(eeg, "trials", path, 1)
    rate = eeg.get("srate")
    if not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
        raise damaged(path, f"EEG.srate is {rate!r}")
    source, n_trials, points = _samples(path, eeg, n_channels, points, n_trials, notes, outside)
    places = _rows(eeg.get("chanlocs"))
    names = [str(place.get("labels", "")) for place in places]
    if len(names) != n_channels:
        notes.add(f"{len(names)} channel locations for {n_channels} channels; names are numbers")
        names, places = [str(k + 1) for k in range(n_channels)], []
    names = unique_names(names, notes)
    marks = [mark for mark in (_mark(row) for row in _rows(eeg.get("event"))) if mark is not None]
    n = source.shape[0]
    stream = Stream(
        name=path.stem,
        source=source,
        samplerate=float(rate),
        channel=names,
        unit=["µV"] * n_channels,
        pieces=_pieces(_rows(eeg.get("event")), n) if n_trials == 1 else None,
        trialdefinition=_epochs(n_trials, points, eeg.get("xmin"), float(rate)) if n_trials > 1 else None,
        marks=marks,
        info={**_sensors(names, places), **({"reference": str(eeg["ref"])} if "ref" in eeg else {})},
    )
    return Recording(str(path), "EEGLAB", [stream], notes)


def _whole(eeg: dict[str, Any], key: str, path: Path, default: Any = None) -> int:
    value = eeg.get(key, default)
    if not isinstance(value, (int, float)) or not 1 <= value < 2**48 or value != int(value):
        raise damaged(path, f"EEG.{key} is {value!r}")
    return int(value)


def _samples(
    path: Path, eeg: dict[str, Any], n_channels: int, points: int, n_trials: int, notes: Notes, outside: bool
) -> tuple[ArraySource, int, int]:
    data = eeg.get("data")
    if isinstance(data, list):
        data = "".join(map(str, data))
    if isinstance(data, str):
        return _in_fdt(path, data, n_channels, points, n_trials, notes, outside)
    if data is None:
        raise damaged(path, "it has no field EEG.data")
    if hasattr(data, "file"):
        return _inside(path, data, n_channels, points, n_trials), n_trials, points
    array = np.asarray(data)
    if array.size != n_channels * points * n_trials or array.dtype.kind not in "iuf":
        raise damaged(path, f"EEG.data has shape {array.shape}, not {(n_channels, points, n_trials)}")
    flat = array.reshape((n_channels, points * n_trials), order="F")
    return from_array(flat.T, 2, 0), n_trials, points


def _in_fdt(
    path: Path, name: str, n_channels: int, points: int, n_trials: int, notes: Notes, outside: bool
) -> tuple[ArraySource, int, int]:
    try:
        file = beside(path.parent, name, f"EEG.data in {path}", notes, outside)
    except PathError:
        file = path.with_suffix(".fdt")
        if not file.is_file():
            raise
        notes.add(f"{name}, where its samples should be, does not exist; {file.name} is read")
    stored = np.dtype("<f4")
    if file.suffix.lower() == ".dat":
        raise InvalidValueError(".fdt file (channels x samples, float32)", f"{path}: EEG.data", name)
    rows = whole_rows(file, 0, n_channels * stored.itemsize, notes)
    if rows != points * n_trials:
        notes.add(f"{file.name} has {rows} samples; {path.name} states {points} x {n_trials}")
        n_trials = min(n_trials, rows // points)
        if n_trials < 1:
            n_trials, points = 1, rows
        rows = min(rows, points * n_trials)
    return RawSource(str(file), stored, (rows, n_channels)), n_trials, points


def _inside(path: Path, data: Any, n_channels: int, points: int, n_trials: int) -> DatasetsSource:
    paged = data.ndim == 3
    shape = (n_trials, points, n_channels) if paged else (points * n_trials, n_channels)
    if data.shape != shape or data.dtype.kind not in "iuf":
        raise damaged(path, f"EEG.data has shape {data.shape[::-1]}, not {shape[::-1]}")
    check_counts(path, channels=n_channels, trials=n_trials)
    lengths = (points,) * n_trials if paged else (points * n_trials,)
    return DatasetsSource(str(path), (data.name,), lengths, n_channels, data.dtype.str, paged)


def _rows(value: Any) -> list[dict[str, Any]]:
    """Structs of a struct array, which is a list, one struct, or a struct of lists."""
    if isinstance(value, dict):
        columns = {key: one for key, one in value.items() if isinstance(one, list)}
        lengths = {len(one) for one in columns.values()}
        if columns and len(lengths) == 1:
            return [{key: one[k] for key, one in columns.items()} for k in range(lengths.pop())]
        return [value]
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.number)) else math.nan


def _mark(row: dict[str, Any]) -> Mark | None:
    latency, duration = _number(row.get("latency")), _number(row.get("duration"))
    if not math.isfinite(latency):
        return None
    kind = row.get("type", "")
    label = str(int(kind)) if isinstance(kind, float) and kind == int(kind) else str(kind)
    return Mark(max(0, math.ceil(latency) - 1), label, int(duration) if 0 <= duration < 2**53 else 0)


def _pieces(events: list[dict[str, Any]], n: int) -> NDArray[np.float64] | None:
    """Pieces between boundaries, whose duration is the number of samples that were cut out."""
    cuts: dict[int, float] = {}
    for row in events:
        latency = _number(row.get("latency"))
        if str(row.get("type", "")) == "boundary" and math.isfinite(latency):
            at = math.ceil(latency) - 1
            if 0 < at < n:
                cuts[at] = cuts.get(at, 0.0) + _number(row.get("duration"))
    if not cuts:
        return None
    starts = [0, *sorted(cuts)]
    shifts = np.cumsum([0.0, *(cuts[at] for at in sorted(cuts))])
    return np.column_stack([starts, [*starts[1:], n], np.round(starts + shifts)])


def _epochs(n_trials: int, points: int, xmin: Any, rate: float) -> NDArray[np.float64]:
    starts = np.arange(n_trials, dtype=np.float64) * points
    first = _number(xmin)
    offset = round(first * rate) if math.isfinite(first) else 0
    return np.column_stack([starts, starts + points, np.full(n_trials, offset)])


def _sensors(names: list[str], places: list[dict[str, Any]]) -> dict[str, Any]:
    """Positions as x to the right ear, y to the nose (EEGLAB: x to the nose), types."""
    info: dict[str, Any] = {}
    positions = {}
    types = {}
    for name, place in zip(names, places, strict=False):
        x, y, z = (_number(place.get(axis)) for axis in "XYZ")
        if math.isfinite(x + y + z):
            positions[name] = [-y, x, z]
        if isinstance(place.get("type"), str) and place["type"]:
            types[name] = place["type"]
    if positions:
        info.update({"positions": positions, "positions_unit": "as in EEGLAB (mostly mm)"})
    if types:
        info["channel_types"] = types
    return info
