"""BrainVision recordings: header, markers and float32 samples, written piece by piece."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.writers import whole
from rayspy.progress import warn
from rayspy.storage.region import pieces

_PIECE_BYTES = 2**24


def to_brainvision(data: AnalogData, path: Any, overwrite: bool = False) -> None:
    """Write trials of AnalogData, one behind the other, as a BrainVision recording.

    Parameters
    ----------
    data : AnalogData
        Is not changed; an active selection does not count. Trials of equal length become segments with
        markers ``Time 0``, others are separated by markers ``New Segment``; events become markers
        ``Stimulus``.
    path : path
        The header file; ``.vhdr`` is appended where it is missing. Files ``.eeg`` and ``.vmrk`` are
        written beside it.
    overwrite : bool
        Replace what is there.

    Notes
    -----
    Numbers are float32, trialinfo has no place in these files: a warning tells what is lost.

    Raises
    ------
    PathError
        A file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not AnalogData with a samplerate and real numbers.
    """
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None or data.samplerate is None or data.source.dtype.kind == "c":
        raise InvalidValueError("real numbers with a samplerate", "data", "other data")
    check_bool(overwrite, "overwrite")
    header = whole.target(path, ".vhdr", overwrite)
    samples = whole.target(header.with_suffix(".eeg"), ".eeg", overwrite)
    markers = whole.target(header.with_suffix(".vmrk"), ".vmrk", overwrite)
    with whole.building(samples, markers, header) as (wip_samples, wip_markers, wip_header):
        _write_samples(data, wip_samples)
        names = samples.name, markers.name
        wip_markers.write_text("\r\n".join(_marker_lines(data, names[0])) + "\r\n", encoding="utf-8")
        wip_header.write_text("\r\n".join(_header_lines(data, *names)) + "\r\n", encoding="utf-8")
    if np.result_type(data.source.dtype, np.float32) != np.float32:
        warn("to_brainvision", f"{data.source.dtype} was rounded to float32")
    if data.trialinfo is not None and data.trialinfo.shape[1]:
        warn("to_brainvision", "trialinfo was not written")


def _write_samples(data: AnalogData, path: Any) -> None:
    axis = data.dimord.index("time")
    n_channels = data.source.shape[1 - axis]
    trl = data.describe().trialdefinition[:, :2].astype(np.int64)
    n_bytes = int((trl[:, 1] - trl[:, 0]).sum()) * n_channels * data.source.dtype.itemsize
    telling = whole.telling("to_brainvision", n_bytes)
    with path.open("wb") as file, data.source.reader() as read, telling as seen:
        for start, stop in trl:
            for rows, _ in pieces((int(stop - start), n_channels), 4, max(_PIECE_BYTES, 4 * n_channels)):
                part = slice(rows.start + int(start), rows.stop + int(start)), slice(0, n_channels)
                array = seen(read(part if axis == 0 else part[::-1]))
                file.write(np.ascontiguousarray(array if axis == 0 else array.T, "<f4").data)


def _coded(text: str) -> str:
    return text.replace(",", r"\1").replace("\r", " ").replace("\n", " ")


def _header_lines(data: AnalogData, samples: str, markers: str) -> list[str]:
    trl = data.describe().trialdefinition
    lengths = trl[:, 1] - trl[:, 0]
    names = data.describe().labels["channel"]
    units = np.broadcast_to("" if data.unit is None else data.unit, len(names))
    segmented = len(trl) > 1 and (lengths == lengths[0]).all()
    rate = float(data.samplerate or 1)
    return [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={samples}",
        f"MarkerFile={markers}",
        "DataFormat=BINARY",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(names)}",
        f"DataPoints={int(lengths.sum())}",
        f"SamplingInterval={1e6 / rate!r}",
        *(["SegmentationType=MARKERBASED", f"SegmentDataPoints={int(lengths[0])}"] if segmented else []),
        "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_32",
        "[Channel Infos]",
        *(
            f"Ch{k}={_coded(str(name))},,1,{_coded(str(unit)) or 'n/a'}"
            for k, (name, unit) in enumerate(zip(names, units, strict=True), 1)
        ),
    ]


def _marker_lines(data: AnalogData, samples: str) -> list[str]:
    trl = data.describe().trialdefinition
    lengths = (trl[:, 1] - trl[:, 0]).astype(int)
    edges = np.cumsum([0, *lengths])
    found: list[tuple[int, int, str]] = []
    for k, (_, _, offset) in enumerate(trl[:, :3].astype(int)):
        found.append((int(edges[k]), 1, "New Segment,"))
        if 0 <= -offset < lengths[k] and len(trl) > 1 and (lengths == lengths[0]).all():
            found.append((int(edges[k] - offset), 1, "Time 0,"))
    found += _events(data, edges)
    found.sort(key=lambda one: one[0])
    return [
        "Brain Vision Data Exchange Marker File, Version 1.0",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={samples}",
        "[Marker Infos]",
        *(f"Mk{k}={text},{at + 1},{size},0" for k, (at, size, text) in enumerate(found, 1)),
    ]


def _events(data: AnalogData, edges: Any) -> list[tuple[int, int, str]]:
    events = data.events
    if events is None or events.data is None:
        return []
    names = {code: label for label, code in events.info.get("names", {}).items()}
    columns, rows = events.dimord, events.data[:]
    found = []
    for (start, stop), edge in zip(data.describe().trialdefinition[:, :2].astype(int), edges, strict=False):
        for row in rows:
            sample, code = int(row[columns.index("sample")]), int(row[columns.index("eventid")])
            if start <= sample < stop:
                size = int(row[columns.index("duration")]) if "duration" in columns else 1
                label = names.get(code, f"S{code:3d}").removeprefix("Stimulus/")
                if label.startswith(("New Segment/", "Time 0/")):
                    continue
                found.append((sample - start + int(edge), size, f"Stimulus,{_coded(label)}"))
    return found
