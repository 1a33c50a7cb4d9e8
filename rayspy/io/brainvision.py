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
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.analog import AnalogData
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError
from rayspy.storage.sources import RawSource, raw_source

_FORMATS = {"INT_16": "i2", "UINT_16": "u2", "INT_32": "i4", "IEEE_FLOAT_32": "f4", "IEEE_FLOAT_64": "f8"}
_ORDERS = {"MULTIPLEXED": "C", "VECTORIZED": "F"}
_CODEPAGES = {"UTF-8": "utf-8", "ANSI": "cp1252", "LATIN-1": "latin-1", "ISO-8859-1": "latin-1"}
_UNREADABLE = ("ChannelOffset", "SegmentHeaderSize", "TrailerSize")
_DEFAULT_UNIT = "µV"
_FIRST_LINE = r"Brain ?Vision(?: Core)? Data(?: Exchange)? %s File,? +Version +[12]\.0"


def load_brainvision(path: str | os.PathLike[str]) -> AnalogData:
    """Open a BrainVision recording; samples are read from its file when they are needed.

    Parameters
    ----------
    path : path
        The header file (``.vhdr``); it names the other two.

    Returns
    -------
    AnalogData
        Values in the units of the header; if it states a resolution other than
        1, float32, or float64 for INT_32 and IEEE_FLOAT_64. Segmented files are cut into their segments,
        with time 0 at the segment's marker of type ``Time 0`` if it has one.
        ``info`` has ``unit`` and ``reference`` (one per channel) and
        ``markers``, a list of dictionaries with ``type``, ``description``,
        ``sample`` (counted from 0), ``size``, ``channel`` (counted from 1;
        0: all channels) and, where given, ``date``.

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
    header = _Header(_checked_path(path))
    n_channels = header.integer("Common Infos", "NumberOfChannels", low=1)
    interval = header.number("Common Infos", "SamplingInterval")
    channels = [_channel(header, k) for k in range(1, n_channels + 1)]
    if f"ch{n_channels + 1}" in header.keys("Channel Infos"):
        raise header.error(
            "Channel Infos", f"Ch{n_channels + 1}", f"no more than NumberOfChannels={n_channels} channels"
        )
    names, references, resolutions, units = (list(column) for column in zip(*channels, strict=True))
    source = _samples(header, n_channels, resolutions)
    markers = _markers(header)
    data = AnalogData(source, samplerate=1e6 / interval, channel=names)
    if header.text("Common Infos", "SegmentationType", "NOTSEGMENTED") != "NOTSEGMENTED":
        data.trialdefinition = _segments(header, source.shape[0], markers)
    data.info.update({"unit": units, "reference": references, "markers": markers})
    data.log = f"loaded BrainVision recording {header.path}"
    return data


def _checked_path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(path, "path", "name of a .vhdr file;")
    full = Path(path).expanduser().resolve()
    if full.suffix.lower() in (".eeg", ".vmrk", ".dat"):
        raise InvalidValueError("the header file (.vhdr), which names the others", "path", full)
    return full


class _Header:
    """One of the two text files: sections of ``key=value`` lines."""

    def __init__(self, path: Path, kind: str = "Header") -> None:
        self.path = path
        if not path.is_file():
            raise PathError(path, exists=False)
        raw = path.read_bytes()
        first, _, rest = self._decoded(raw).partition("\n")
        if not re.match(_FIRST_LINE % kind, first.strip().lstrip("\ufeff")):
            legal = f"file that begins with 'Brain Vision Data Exchange {kind} File Version 1.0'"
            raise InvalidValueError(legal, f"{path}: first line", first.strip()[:80])
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
        except UnicodeDecodeError as error:
            raise self.error("Common Infos", "Codepage", f"code page of the file ({error})", name) from None

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
            value = float(text)
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
        path = self.path.parent / name
        if not path.is_file():
            raise PathError(path, exists=False, hint=f"named by {key} in {self.path}")
        return path


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


def _samples(header: _Header, n_channels: int, resolutions: list[float]) -> RawSource:
    """Describe the file with the samples."""
    header.choice("Common Infos", "DataFormat", ("BINARY",))
    header.choice("Common Infos", "DataType", ("TIMEDOMAIN",), "TIMEDOMAIN")
    order = _ORDERS[header.choice("Common Infos", "DataOrientation", _ORDERS)]
    code = _FORMATS[header.choice("Binary Infos", "BinaryFormat", _FORMATS)]
    big = header.choice("Binary Infos", "UseBigEndianOrder", ("YES", "NO"), "NO") == "YES"
    for key in _UNREADABLE:
        if header.integer("Binary Infos", key, "0"):
            raise header.error("Binary Infos", key, "0", header.text("Binary Infos", key))
    one = len(set(resolutions)) == 1
    scale = None if one and resolutions[0] == 1 else resolutions[0] if one else tuple(resolutions)
    path = header.sibling("DataFile")
    offset = header.integer("Binary Infos", "DataOffset", "0")
    source = raw_source(path, (">" if big else "<") + code, n_channels, order, offset, scale)
    stated = header.integer("Common Infos", "DataPoints", str(source.shape[0]))
    if stated != source.shape[0]:
        raise DamagedDataError(
            f"{path} has {source.shape[0]} samples; {header.path} states DataPoints={stated}"
        )
    return source


def _markers(header: _Header) -> list[dict[str, Any]]:
    """Read the marker file; recordings without one have no markers."""
    if not header.text("Common Infos", "MarkerFile", ""):
        return []
    file = _Header(header.sibling("MarkerFile"), "Marker")
    section = "Marker Infos"
    keys = sorted(file.keys(section), key=lambda key: (len(key), key))
    return [_marker(file, section, f"Mk{key[2:]}") for key in keys if re.fullmatch(r"mk\d+", key)]


def _marker(file: _Header, section: str, key: str) -> dict[str, Any]:
    text = file.text(section, key)
    fields = [f.replace("\\1", ",").strip() for f in text.split(",")]
    kind, description, position, size, channel, date = (fields + [""] * 5)[:6]
    if not all(re.fullmatch(r"\d*", n) for n in (position, size, channel)) or not int(position or 0):
        raise file.error(section, key, "type,description,position (1 or more),size,channel", text)
    place = {"sample": int(position) - 1, "size": int(size or 1), "channel": int(channel or 0)}
    return {"type": kind, "description": description, **place, **({"date": date} if date else {})}


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
