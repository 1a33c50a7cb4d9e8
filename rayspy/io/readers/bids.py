"""BIDS: the side files of a recording, and finding it by subject, task and run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rayspy.errors import DamagedDataError, InvalidValueError
from rayspy.io.readers.recording import Mark, Notes, Recording, Stream

_DATATYPES = ("eeg", "ieeg", "meg", "nirs", "emg")
_SUFFIXES = (
    ".vhdr",
    ".edf",
    ".bdf",
    ".set",
    ".fif",
    ".nwb",
    ".mefd",
    ".ds",
    ".mff",
    ".sqd",
    ".con",
    ".snirf",
)
_ENTITIES = {"session": "ses", "task": "task", "run": "run", "acquisition": "acq"}
_LARGEST = 2**26
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "um": 1e-6, "µm": 1e-6}


def entities(path: Path) -> dict[str, str]:
    """Parts of a BIDS name: ``sub-01_task-rest_eeg.edf`` has sub and task."""
    pairs = (part.split("-", 1) for part in path.name.split(".")[0].split("_"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def is_bids(path: Path) -> bool:
    """Whether a file is a recording of a BIDS data set."""
    stem = path.name.split(".")[0]
    return path.name.startswith("sub-") and stem.rsplit("_", 1)[-1] in _DATATYPES


def find(folder: Path, wanted: dict[str, Any]) -> Path | None:
    """The one recording in a folder of a subject or session that has the wanted entities.

    Raises
    ------
    InvalidValueError
        None or several fit; the message lists them.
    """
    found = [path for path in _recordings(folder) if _fits(path, wanted)]
    if not found and not wanted:
        return None
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in (found or _recordings(folder))[:20])
    legal = f"{', '.join(_ENTITIES)} that fit one recording of {names or 'none'}"
    raise InvalidValueError(legal, "path", f"{folder} with {wanted}")


def _recordings(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("sub-*")
        if path.suffix.lower() in _SUFFIXES and is_bids(path) and path.suffix not in path.parent.suffixes
    )


def _fits(path: Path, wanted: dict[str, Any]) -> bool:
    has = entities(path)
    return all(
        str(value).lstrip("0") == has.get(_ENTITIES[key], "").lstrip("0")
        or str(value) == has.get(_ENTITIES[key])
        for key, value in wanted.items()
    )


def is_entity(name: str) -> bool:
    """Whether an option of `read` tells a BIDS recording from others."""
    return name in _ENTITIES


def with_sidecars(recording: Recording, path: Path) -> Recording:
    """Add what channels.tsv, events.tsv, electrodes.tsv and the ``.json`` file say."""
    notes = Notes(path)
    channels = _table(path, "channels", notes)
    events = _table(path, "events", notes)
    electrodes = _table(path, "electrodes", notes)
    told = _json(path, notes)
    scale = _METRES.get(str(_json_of(path, "coordsystem", notes).get(_coordinates(path), "m")), 1.0)
    streams = [
        _with_events(_with_channels(stream, channels, electrodes, scale, told, notes), events, notes)
        for stream in recording.streams
    ]
    made = f"BIDS, {recording.format}"
    return replace(recording, streams=streams, format=made, notes=[*recording.notes, *notes])


def _coordinates(path: Path) -> str:
    kind = {"ieeg": "iEEG", "eeg": "EEG", "meg": "MEG"}.get(path.name.split(".")[0].rsplit("_", 1)[-1], "EEG")
    return f"{kind}CoordinateUnits"


def _sidecar(path: Path, what: str) -> Path | None:
    """The side file that is nearest: the same entities, or fewer of them, here or in a folder above."""
    has = entities(path)
    for folder in _folders(path):
        fitting = [
            one
            for one in sorted(folder.glob(f"*{what}"))
            if set(entities(one).items()) <= {*has.items(), ("space", entities(one).get("space", ""))}
        ]
        if fitting:
            return max(fitting, key=lambda one: len(entities(one)))
    return None


def _folders(path: Path) -> list[Path]:
    """Folder of a recording and those above it up to the data set's own."""
    above = list(path.parents[:5])
    root = next((k for k, folder in enumerate(above) if (folder / "dataset_description.json").is_file()), 0)
    return above[: root + 1]


def _read(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise DamagedDataError(f"{path} is larger than side files are")
    return path.read_bytes().decode("utf-8-sig", "replace")


def _table(path: Path, what: str, notes: Notes) -> list[dict[str, str]]:
    file = _sidecar(path, f"_{what}.tsv")
    if file is None:
        return []
    rows = csv.DictReader(_read(file).splitlines(), delimiter="\t")
    return [{str(key): str(value or "") for key, value in row.items() if key} for row in rows]


def _json_of(path: Path, what: str, notes: Notes) -> dict[str, Any]:
    file = _sidecar(path, f"_{what}.json")
    if file is None:
        return {}
    try:
        found = json.loads(_read(file))
    except ValueError as error:
        notes.add(f"{file.name} is no JSON ({error}) and is left out")
        return {}
    return found if isinstance(found, dict) else {}


def _json(path: Path, notes: Notes) -> dict[str, Any]:
    return _json_of(path, path.name.split(".")[0].rsplit("_", 1)[-1], notes)


def _with_channels(
    stream: Stream,
    channels: Sequence[dict[str, str]],
    electrodes: Sequence[dict[str, str]],
    scale: float,
    told: dict[str, Any],
    notes: Notes,
) -> Stream:
    info = dict(stream.info)
    rows = {row.get("name", ""): row for row in channels}
    types = {name: rows[name]["type"].lower() for name in stream.channel if rows.get(name, {}).get("type")}
    bad = [name for name in stream.channel if rows.get(name, {}).get("status") == "bad"]
    missing = [name for name in stream.channel if channels and name not in rows]
    if missing:
        notes.add(f"channels.tsv does not have {', '.join(missing[:10])}")
    if types:
        info["channel_types"] = {**info.get("channel_types", {}), **types}
    if bad:
        info["bad_channels"] = sorted({*info.get("bad_channels", []), *bad})
    positions = {}
    for row in electrodes:
        place = [_float(row.get(axis, "")) * scale for axis in "xyz"]
        if row.get("name") in stream.channel and all(map(math.isfinite, place)):
            positions[row["name"]] = place
    if positions:
        info["positions"] = positions
    info["bids"] = told
    units = list(stream.unit) if stream.unit is not None else [""] * len(stream.channel)
    for k, name in enumerate(stream.channel):
        stated = rows.get(name, {}).get("units", "")
        if not units[k] and stated not in ("", "n/a"):
            units[k] = stated
    rate = told.get("SamplingFrequency")
    if isinstance(rate, (int, float)) and abs(rate - stream.samplerate) > 1e-3 * stream.samplerate:
        notes.add(f"the .json file states {rate:g} Hz, the recording {stream.samplerate:g} Hz, which is used")
    return replace(stream, info=info, unit=units if any(units) else stream.unit)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _with_events(stream: Stream, events: Sequence[dict[str, str]], notes: Notes) -> Stream:
    """Events of events.tsv take the place of those of the recording, which they describe."""
    if not events:
        return stream
    marks, wrong = [], 0
    for row in events:
        onset, duration = _float(row.get("onset", "")), _float(row.get("duration", ""))
        if not math.isfinite(onset):
            wrong += 1
            continue
        sample = round(onset * stream.samplerate)
        value = row.get("value", "")
        code = int(_float(value)) if math.isfinite(_float(value)) else None
        label = next((row[key] for key in ("trial_type", "value") if row.get(key, "n/a") != "n/a"), "")
        span = round(duration * stream.samplerate) if math.isfinite(duration) else 0
        marks.append(Mark(_in_pieces(sample, stream), label, max(0, span), code))
    if wrong:
        notes.add(f"{wrong} rows of events.tsv without onset are left out")
    return replace(stream, marks=marks, more_marks=None)


def _in_pieces(sample: int, stream: Stream) -> int:
    """Sample in the array of a time since the recording began, which counts pauses if they are known."""
    if stream.pieces is None or not all(math.isfinite(first) for first in stream.pieces[:, 2]):
        return sample
    k = max(0, int((stream.pieces[:, 2] <= sample).sum()) - 1)
    return int(stream.pieces[k, 0] + sample - stream.pieces[k, 2])
