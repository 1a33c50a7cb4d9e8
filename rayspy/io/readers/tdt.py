"""Blocks of Tucker-Davis Technologies with a ``.sev`` file for each channel, used in place.

A block is a folder with an index (``.tsq``: a record of 40 bytes for each event and each piece of a
signal) and, for signals that were stored in files of their own, ``STORE_ch1.sev`` and so on: a header
of 40 bytes and the numbers. Blocks whose signals are in a ``.tev`` file are read through Neo.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import InvalidTypeError, InvalidValueError, PathError
from rayspy.io.readers.recording import Mark, Notes, Recording, Stream, damaged, rounded_rate
from rayspy.progress import warn
from rayspy.storage.sources import ArraySource, ConcatSource, RawSource

Array = NDArray[Any]
_HEADER = struct.Struct("<Q3sB4s4H2BH12x")
_RECORD = np.dtype([
    ("size", "<i4"), ("kind", "<i4"), ("store", "S4"), ("channel", "<u2"), ("sortcode", "<u2"),
    ("time", "<f8"), ("value", "<f8"), ("format", "<i4"), ("frequency", "<f4"),
])  # fmt: skip
_FORMATS = {0: "<f4", 1: "<i4", 2: "<i2", 3: "<i1", 4: "<f8"}
_STREAM, _MARK = 0x8101, 0x8801
_ONSET, _OFFSET, _SCALAR = 0x101, 0x102, 0x201
_KIND = 0xFF0F
_BEGIN, _END = b"\x01", b"\x02"
_NAME = re.compile(r"_([^_]{1,4})_ch(\d{1,5})(?:-\d+h)?$", re.IGNORECASE)
_CLOCK = 25_000_000 / 2**12
_MOST_EVENTS = 10_000_000


@dataclass(frozen=True)
class _Channel:
    """One ``.sev`` file."""

    store: str
    number: int
    source: RawSource
    rate: float | None


def is_tdt(folder: Path) -> bool:
    """Whether a folder is a block whose signals have files of their own."""
    suffixes = {child.suffix.lower() for child in folder.iterdir()}
    return {".tsq", ".sev"} <= suffixes


def folder_of(path: Any) -> Path | None:
    """Folder of a block, of which one of the files may be named; None if its signals are elsewhere."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(path, "path", "name of a folder;")
    full = Path(path).expanduser().resolve()
    if not full.exists():
        raise PathError(full, exists=False)
    folder = full if full.is_dir() else full.parent
    return folder if is_tdt(folder) else None


def open_tdt(path: Any) -> Recording:
    """Describe a block of Tucker-Davis Technologies with ``.sev`` files.

    Parameters
    ----------
    path : path
        The folder. Each store of signals is a stream; epoch and scalar stores are events
        ``STORE/value``, the ends of epochs ``STORE/value end``.
    """
    folder = folder_of(path)
    if folder is None:
        raise InvalidValueError("folder with a .tsq file and .sev files (else format='neo')", "path", path)
    notes = Notes(folder)
    index = read_index(folder)
    channels = [_channel(one) for one in sorted(folder.iterdir()) if one.suffix.lower() == ".sev"]
    stores = list(dict.fromkeys(one.store for one in channels))
    streams = [_stream([c for c in channels if c.store == store], index, notes) for store in stores]
    return Recording(str(folder), "TDT", streams, notes)


def read_index(folder: Path) -> Array:
    """Records of the index that tell something: what marks begin and end, and what has a time."""
    files = [one for one in folder.iterdir() if one.suffix.lower() == ".tsq"]
    if len(files) != 1:
        raise InvalidValueError("folder with one .tsq file", "path", f"{folder} with {len(files)}")
    n, rest = divmod(files[0].stat().st_size, _RECORD.itemsize)
    if n < 2 or n > _MOST_EVENTS * 10:
        raise damaged(files[0], f"{files[0].stat().st_size} bytes are no index of records of 40 bytes")
    records = np.memmap(files[0], _RECORD, "r", shape=(n,))[1:]
    if rest or not np.isfinite(records["time"]).all() or records["store"][0] != _BEGIN:
        raise damaged(files[0], "it does not begin with the record of a start, or has no whole records")
    return np.array(records)


def _channel(path: Path) -> _Channel:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise damaged(path, f"{size} bytes, a header has {_HEADER.size}")
    _, kind, version, name, number, _, _, _, form, decimate, rate = _HEADER.unpack(head)
    if kind != b"SEV" or form & 7 not in _FORMATS:
        raise damaged(path, "it does not begin with the header of a .sev file")
    stored = np.dtype(_FORMATS[form & 7])
    n = (size - _HEADER.size) // stored.itemsize
    if n < 1:
        raise damaged(path, "it has no samples")
    told = _NAME.search(path.stem)
    store = told.group(1) if told else (name[::-1] if version == 2 else name).decode("latin-1").strip("\0 ")
    known = version > 0 and decimate and rate < 64
    source = RawSource(str(path), stored, (n, 1), "C", _HEADER.size)
    hertz = 2.0**rate * _CLOCK / decimate if known else None
    return _Channel(store, int(told.group(2)) if told else int(number), source, hertz)


def _stream(channels: list[_Channel], index: Array, notes: Notes) -> Stream:
    store = channels[0].store
    channels = sorted(channels, key=lambda one: one.number)
    records = index[((index["kind"] & _KIND) == _STREAM) & (index["store"] == store.encode("latin-1"))]
    rate = channels[0].rate or (float(records["frequency"][0]) if len(records) else 0.0)
    if not 0 < rate < np.inf or any(one.rate not in (None, rate) for one in channels):
        raise damaged(notes.path, f"store {store} has no samplerate, or several")
    if len({one.source.stored for one in channels}) > 1:
        raise damaged(notes.path, f"channels of store {store} have different types of numbers")
    lengths = [one.source.shape[0] for one in channels]
    if min(lengths) < max(lengths):
        notes.add(
            f"files of {store} have {min(lengths)} to {max(lengths)} samples; the first are read of all"
        )
    begin = float(records["time"][0] if len(records) else index["time"][0])
    width = len(str(channels[-1].number))
    return Stream(
        name=store,
        source=_beside(channels, min(lengths)),
        samplerate=rounded_rate(rate),
        channel=[f"{store}_{one.number:0{width}d}" for one in channels],
        unit=None,
        marks=_marks(index, begin, rate),
        info={"starting_time": begin, **_times(index)},
    )


def _beside(channels: list[_Channel], n: int) -> ArraySource:
    each = [one.source for one in channels]
    cut = [RawSource(one.path, one.stored, (n, 1), one.order, one.offset) for one in each]
    return cut[0] if len(cut) == 1 else ConcatSource(tuple(cut), 1)


def _times(index: Array) -> dict[str, float]:
    """Seconds since 1970 when the block began and, if it is known, ended."""
    found = {"utc_start_time": float(index["time"][0])}
    if index["store"][-1] == _END:
        found["utc_stop_time"] = float(index["time"][-1])
    return found


def _marks(index: Array, begin: float, rate: float) -> list[Mark]:
    kinds = {_ONSET: "", _OFFSET: " end", _SCALAR: ""}
    wanted = index[np.isin(index["kind"] & _KIND, list(kinds))]
    samples = np.round((wanted["time"] - begin) * rate).astype(np.int64)
    marks = []
    for sample, row in zip(samples.tolist(), wanted, strict=True):
        end = kinds[int(row["kind"] & _KIND)]
        marks.append(Mark(sample, f"{row['store'].decode('latin-1')}/{row['value']:.15g}{end}"))
    return marks


# -- what Syncopy's `load_tdt` gives ---------------------------------------------------------------


def events_of_store(index: Array, store: bytes, kind: int = _ONSET) -> tuple[Array, Array]:
    """Seconds since the beginning of the block, and values, of the events of a store."""
    rows = index[((index["kind"] & _KIND) == kind) & (index["store"] == store)]
    return rows["time"] - index["time"][0], rows["value"]


def description(folder: Path, index: Array, stream: Stream) -> dict[str, Any]:
    """Times of the block, the photodiode (store PDio) and triggers (store Mark), by Syncopy's names."""
    begin, end = float(index["time"][0]), stream.info.get("utc_stop_time")
    onset, told = events_of_store(index, b"PDio")
    stamps, codes = events_of_store(index, b"Mark")
    first = stream.info["starting_time"] - begin
    return {
        "originalFiles": sorted(one.name for one in folder.iterdir() if one.suffix.lower() == ".sev"),
        "blockname": folder.name,
        "start_date": _date(begin),
        "stop_date": None if end is None else _date(end),
        "utc_start_time": begin,
        "utc_stop_time": end,
        "duration": None if end is None else end - begin,
        "PDio_onset": onset.tolist(),
        "PDio_offset": events_of_store(index, b"PDio", _OFFSET)[0].tolist(),
        "PDio_data": told.tolist(),
        "Trigger_timestamp": stamps.tolist(),
        "Trigger_sample": np.round((stamps - first) * stream.samplerate).astype(int).tolist(),
        "Trigger_code": codes.astype(int).tolist(),
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def trials_between(told: dict[str, Any], start_code: int, end_code: int, n: int) -> Array:
    """Trials from each trigger of one code to the next one of another code.

    Raises
    ------
    InvalidValueError
        There is no such pair.
    """
    codes, samples = np.array(told["Trigger_code"], int), np.array(told["Trigger_sample"], np.int64)
    starts, ends = samples[codes == start_code], samples[codes == end_code]
    places = np.searchsorted(ends, starts, side="right")
    following = np.append(starts[1:], np.iinfo(np.int64).max)
    stops = np.append(ends, np.iinfo(np.int64).max)[places]
    whole = (stops <= following) & (stops <= n) & (starts >= 0) & (places < len(ends))
    if not whole.any():
        known = ", ".join(map(str, np.unique(codes).tolist())) or "none"
        legal = f"codes of the store Mark ({known}) that follow each other within the recording"
        raise InvalidValueError(legal, "start_code/end_code", f"{start_code}, {end_code}")
    if not whole.all() or whole.sum() < len(ends):
        warn("load_tdt", f"{len(starts)} start codes and {len(ends)} end codes make {whole.sum()} trials")
    trl: Array = np.column_stack([starts, stops, np.zeros(len(starts))])[whole].astype(np.float64)
    return trl


def medians(source: ArraySource) -> tuple[float, ...]:
    """Median of each channel, which is in memory as a whole meanwhile."""
    n, n_channels = source.shape
    with source.reader() as read:
        return tuple(float(np.median(read((slice(0, n), slice(k, k + 1))))) for k in range(n_channels))
