"""BrainVision recordings: header (``.vhdr``), markers (``.vmrk``) and samples, used in place.

Follows the BrainVision Core Data Format 1.0 of Brain Products for binary data
in the time domain. What the format allows but this reader does not understand
is refused by name, never skipped.
"""

from __future__ import annotations

import os
import re
from configparser import Error as ParsingError
from configparser import RawConfigParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_path
from rayspy.data.analog import AnalogData
from rayspy.errors import DamagedDataError, InvalidValueError, PathError
from rayspy.io.readers.recording import (
    Mark,
    Notes,
    Recording,
    Stream,
    arranged,
    beside,
    to_data,
    unique_names,
    whole_rows,
)
from rayspy.storage.sources import RawSource, raw_source

_FORMATS = {"INT_16": "i2", "UINT_16": "u2", "INT_32": "i4", "IEEE_FLOAT_32": "f4", "IEEE_FLOAT_64": "f8"}
_ORDERS = {"MULTIPLEXED": "C", "VECTORIZED": "F"}
_CODEPAGES = {"UTF-8": "utf-8", "ANSI": "cp1252", "LATIN-1": "latin-1", "ISO-8859-1": "latin-1"}
_UNREADABLE = ("ChannelOffset", "SegmentHeaderSize", "TrailerSize")
_DEFAULT_UNIT = "µV"
_LARGEST_TEXT = 2**26
_FIRST_LINE = r"Brain ?Vision(?: Core)? Data(?: Exchange)? %s File,? +Version +[12]\.0"


def open_brainvision(path: str | os.PathLike[str], outside: bool = False) -> Recording:
    """Describe a BrainVision recording; samples are read from its file when they are needed.

    Parameters
    ----------
    path : path
        The header file (``.vhdr``); it names the other two.
    outside : bool
        Whether these may be in other folders.

    Raises
    ------
    PathError
        A file is missing.
    InvalidValueError
        A key is missing or has a value that is not supported; the message names file and key.
    DamagedDataError
        The samples do not have the size that the header states.
    """
    full = _checked_path(path)
    notes = Notes(full)
    header = _Header(full, notes, outside=check_bool(outside, "outside"))
    n_channels = header.integer("Common Infos", "NumberOfChannels", low=1)
    interval = header.number("Common Infos", "SamplingInterval")
    if len(header.keys("Channel Infos")) < n_channels:
        k = next(k for k in range(1, n_channels + 1) if f"ch{k}" not in header.keys("Channel Infos"))
        raise header.error("Channel Infos", f"Ch{k}", "a value")
    channels = [_channel(header, k) for k in range(1, n_channels + 1)]
    if f"ch{n_channels + 1}" in header.keys("Channel Infos"):
        raise header.error(
            "Channel Infos", f"Ch{n_channels + 1}", f"no more than NumberOfChannels={n_channels} channels"
        )
    names, references, resolutions, units = (list(column) for column in zip(*channels, strict=True))
    source = _samples(header, n_channels, notes)
    markers = _markers(header, notes)
    segmented = header.text("Common Infos", "SegmentationType", "NOTSEGMENTED") != "NOTSEGMENTED"
    rate = 1e6 / interval
    stream = Stream(
        name=full.stem,
        source=source,
        samplerate=rate,
        channel=unique_names(names, notes),
        unit=units,
        scale=resolutions,
        pieces=None if segmented else _pieces(source.shape[0], markers, rate),
        trialdefinition=_segments(header, source.shape[0], markers) if segmented else None,
        marks=[_mark(marker) for marker in markers],
        info={"reference": references, "markers": markers},
    )
    return Recording(str(full), "BrainVision", [stream], notes)


def load_brainvision(path: str | os.PathLike[str]) -> AnalogData:
    """Open a BrainVision recording; samples are read from its file when they are needed.

    Parameters
    ----------
    path : path
        The header file (``.vhdr``); it names the other two.

    Returns
    -------
    AnalogData
        Values in the units of the header, which ``unit`` tells. Segmented files are cut into
        their segments, with time 0 at the segment's marker of type ``Time 0`` if it has one, others
        where the recording was interrupted (markers ``New Segment``). ``info`` has ``reference``
        (one per channel) and ``markers``, a list of dictionaries with ``type``,
        ``description``, ``sample`` (counted from 0), ``size``, ``channel`` (counted from 1; 0: all
        channels) and, where given, ``date``; ``events`` has the markers as `EventData`.

    Raises
    ------
    PathError
        A file is missing.
    InvalidValueError
        A key is missing or has a value that is not supported; the message names file and key.
    DamagedDataError
        The samples do not have the size that the header states.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.load_brainvision("recording.vhdr")  # doctest: +SKIP
    """
    recording = open_brainvision(path)
    return to_data(arranged(recording.streams[0], "trials", "keep"), recording)


def _checked_path(path: Any) -> Path:
    full = check_path(path, "path", "name of a .vhdr file").resolve()
    if full.suffix.lower() in (".eeg", ".vmrk", ".dat"):
        raise InvalidValueError("the header file (.vhdr), which names the others", "path", full)
    return full


class _Header:
    """One of the two text files: sections of ``key=value`` lines."""

    def __init__(self, path: Path, notes: Notes, kind: str = "Header", outside: bool = False) -> None:
        self.path = path
        self._notes, self._outside = notes, outside
        if not path.is_file():
            raise PathError(path, exists=False)
        if path.stat().st_size > _LARGEST_TEXT:
            raise InvalidValueError("text file of less than 64 MB", str(path), f"{path.stat().st_size} bytes")
        text = self._decoded(path.read_bytes()).lstrip("\ufeff")
        first, _, rest = text.partition("\n")
        if not re.match(_FIRST_LINE % kind, first.strip()):
            if not re.match(r"\s*[\[;]|\s*Brain ?Vision", first, re.IGNORECASE):
                legal = f"file that begins with 'Brain Vision Data Exchange {kind} File Version 1.0'"
                raise InvalidValueError(legal, f"{path}: first line", first.strip()[:80])
            notes.add(f"{path.name} does not begin with the line that the format asks for; read all the same")
            rest = text if first.strip().startswith("[") else rest
        self._parser = RawConfigParser(
            delimiters=("=",), comment_prefixes=(";",), empty_lines_in_values=False, default_section=""
        )
        text = re.split(r"(?im)^\[Comment\]", rest.replace("\r", ""))[0]
        try:
            self._parser.read_string("\n".join(line.strip() for line in text.split("\n")))
        except ParsingError as error:
            raise InvalidValueError("sections with key=value lines", f"{path}", error.message) from None

    def _decoded(self, raw: bytes) -> str:
        """Decode with the stated code page; without one as UTF-8, or as Latin-1 if it is not UTF-8."""
        stated = re.search(rb"(?im)^Codepage=(.*?)\s*$", raw)
        if stated is None:
            try:
                return raw.decode("utf-8")
            except UnicodeDecodeError:
                return raw.decode("latin-1")
        name = stated.group(1).decode("ascii", "replace")
        if name.upper() not in _CODEPAGES:
            raise self.error("Common Infos", "Codepage", "UTF-8 or ANSI", name)
        try:
            return raw.decode(_CODEPAGES[name.upper()])
        except UnicodeDecodeError:
            self._notes.add(f"{self.path.name} is not in its code page {name}; read as Latin-1")
            return raw.decode("latin-1")

    def error(self, section: str, key: str, legal: str, actual: Any = "missing") -> InvalidValueError:
        """Describe what is wrong with a key of this file."""
        return InvalidValueError(legal, f"{self.path}: [{section}] {key}", actual)

    def keys(self, section: str) -> list[str]:
        """Keys of a section, in lower case."""
        return self._parser.options(section) if self._parser.has_section(section) else []

    def text(self, section: str, key: str, default: str | None = None) -> str:
        """Value of a key."""
        value: str = self._parser.get(section, key, fallback="") or ""
        if value:
            return value
        if default is None:
            raise self.error(section, key, "a value")
        return default

    def choice(self, section: str, key: str, choices: Any, default: str | None = None) -> str:
        """Value of a key that has to be one of several words."""
        value = self.text(section, key, default)
        if value not in choices:
            raise self.error(section, key, f"one of {', '.join(choices)}", value)
        return value

    def number(self, section: str, key: str) -> float:
        """Value of a key that has to be a positive number."""
        return self.as_number(section, key, self.text(section, key))

    def as_number(self, section: str, key: str, text: str) -> float:
        """Turn text into a positive number."""
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise self.error(section, key, "a number greater than 0", text)
        return value

    def integer(self, section: str, key: str, default: str | None = None, low: int = 0) -> int:
        """Value of a key that has to be a whole number."""
        text = self.text(section, key, default)
        if not re.fullmatch(r"\d+", text) or int(text) < low:
            raise self.error(section, key, f"a whole number, {low} or more", text)
        return int(text)

    def sibling(self, key: str) -> Path:
        """Full name of another file of the recording."""
        name = self.text("Common Infos", key).replace("$b", self.path.stem)
        return beside(self.path.parent, name, f"{key} in {self.path}", self._notes, self._outside)


def _channel(header: _Header, k: int) -> tuple[str, str, float, str]:
    """Name, reference, resolution and unit of channel k."""
    key = f"Ch{k}"
    fields = [f.replace("\\1", ",").strip() for f in header.text("Channel Infos", key).split(",")]
    name, reference, resolution, unit = (*fields, "", "", "", "")[:4]
    if not name:
        raise header.error(
            "Channel Infos", key, "name of the channel before the first comma", ",".join(fields)
        )
    scale = header.as_number("Channel Infos", f"{key} (resolution)", resolution) if resolution else 1.0
    return name, reference, scale, unit or _DEFAULT_UNIT


def _samples(header: _Header, n_channels: int, notes: Notes) -> RawSource:
    """Describe the file with the samples."""
    header.choice("Common Infos", "DataFormat", ("BINARY",))
    header.choice("Common Infos", "DataType", ("TIMEDOMAIN",), "TIMEDOMAIN")
    order = _ORDERS[header.choice("Common Infos", "DataOrientation", _ORDERS)]
    code = _FORMATS[header.choice("Binary Infos", "BinaryFormat", _FORMATS)]
    big = header.choice("Binary Infos", "UseBigEndianOrder", ("YES", "NO"), "NO") == "YES"
    for key in _UNREADABLE:
        if header.integer("Binary Infos", key, "0"):
            raise header.error("Binary Infos", key, "0", header.text("Binary Infos", key))
    path = header.sibling("DataFile")
    offset = header.integer("Binary Infos", "DataOffset", "0")
    stored = (">" if big else "<") + code
    if order == "F":
        source = raw_source(path, stored, n_channels, order, offset)
    else:
        rows = whole_rows(path, offset, n_channels * np.dtype(stored).itemsize, notes)
        source = RawSource(str(path), np.dtype(stored), (rows, n_channels), order, offset)
    stated = header.integer("Common Infos", "DataPoints", str(source.shape[0]))
    if stated == source.shape[0]:
        return source
    text = f"{path} has {source.shape[0]} samples; {header.path} states DataPoints={stated}"
    if order == "F" or stated < 1:
        raise DamagedDataError(text)
    notes.add(f"{text}; the samples that are there are used")
    return source


def _markers(header: _Header, notes: Notes) -> list[dict[str, Any]]:
    """Read the marker file; recordings without one have no markers."""
    if not header.text("Common Infos", "MarkerFile", ""):
        return []
    file = _Header(header.sibling("MarkerFile"), notes, "Marker")
    section = "Marker Infos"
    keys = sorted(file.keys(section), key=lambda key: (len(key), key))
    return [_marker(file, section, f"Mk{key[2:]}", notes) for key in keys if re.fullmatch(r"mk\d+", key)]


def _marker(file: _Header, section: str, key: str, notes: Notes) -> dict[str, Any]:
    text = file.text(section, key)
    fields = [f.replace("\\1", ",").strip() for f in text.split(",")]
    kind, description, position, size, channel, date = (fields + [""] * 5)[:6]
    if not all(re.fullmatch(r"-?\d{0,18}", n) for n in (position, size, channel)) or not position:
        raise file.error(section, key, "type,description,position (1 or more),size,channel", text)
    if int(position) < 1 or int(channel or 0) < 0 or int(size or 1) < 0:
        notes.add(f"marker {key} ({text}): position {max(1, int(position))} and all channels are taken")
    place = {
        "sample": max(int(position), 1) - 1,
        "size": max(int(size or 1), 0),
        "channel": max(int(channel or 0), 0),
    }
    return {"type": kind, "description": description, **place, **({"date": date} if date else {})}


def _mark(marker: dict[str, Any]) -> Mark:
    return Mark(marker["sample"], f"{marker['type']}/{marker['description']}", marker["size"])


def _pieces(n_samples: int, markers: list[dict[str, Any]], samplerate: float) -> NDArray[np.float64] | None:
    """Pieces between pauses, which are marked by ``New Segment``; None if there were none."""
    begun = {m["sample"]: _seconds(m.get("date", "")) for m in markers if m["type"] == "New Segment"}
    starts = sorted({0, *(sample for sample in begun if sample < n_samples)})
    if len(starts) == 1:
        return None
    seconds = np.array([begun.get(sample, np.nan) for sample in starts])
    since = np.round((seconds - seconds[0]) * samplerate)
    ascending = bool((np.diff(since) >= np.diff(starts)).all())
    return np.column_stack([starts, [*starts[1:], n_samples], since if ascending else since * np.nan])


def _seconds(date: str) -> float:
    """Seconds of a date such as 20131113161403794232 (microseconds at its end); NaN if it is none."""
    try:
        when = datetime.strptime(date, "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return float("nan")
    return (when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def _segments(header: _Header, n_samples: int, markers: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Trial definition of a file with segments of equal length."""
    section = "Common Infos"
    header.choice(section, "SegmentationType", ("MARKERBASED", "FIXTIME"))
    length = header.integer(section, "SegmentDataPoints", low=1)
    if n_samples % length:
        raise header.error(
            section, "SegmentDataPoints", f"divisor of the {n_samples} samples of the file", length
        )
    starts = np.arange(0, n_samples, length, dtype=np.float64)
    trl = np.column_stack([starts, starts + length, np.zeros(len(starts))])
    for marker in markers:
        if marker["type"] == "Time 0" and marker["sample"] < n_samples:
            k = marker["sample"] // length
            trl[k, 2] = starts[k] - marker["sample"]
    return trl
