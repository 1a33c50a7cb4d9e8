"""EDF+ files, written record by record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.writers import whole
from rayspy.progress import warn
from rayspy.storage.region import pieces

Array = NDArray[Any]
_PIECE_BYTES = 2**24
_RECORD_BYTES = 61_440
"""Longest record that the description of EDF recommends."""
_LOW, _HIGH = -32768, 32767


def to_edf(data: AnalogData, path: Any, overwrite: bool = False) -> None:
    """Write AnalogData as an EDF+ file.

    Parameters
    ----------
    data : AnalogData
        Is not changed; an active selection does not count. All samples are written; trials are
        annotated as ``trial 0`` and so on, events with their names or codes.
    path : path
        The file; ``.edf`` is appended where it is missing.
    overwrite : bool
        Replace what is there.

    Notes
    -----
    The format has whole numbers of 16 bits: each channel is rounded to 1/65535 of its range. Where the
    samples do not fill whole records, the last one is repeated, which a warning tells.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not AnalogData with a samplerate and finite, real numbers.
    """
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None or data.samplerate is None or data.source.dtype.kind == "c":
        raise InvalidValueError("real numbers with a samplerate", "data", "other data")
    check_bool(overwrite, "overwrite")
    final = whole.target(path, ".edf", overwrite)
    n_channels = len(data.describe().labels["channel"])
    rate = float(data.samplerate)
    n = data.source.shape[data.dimord.index("time")]
    samples = _record_length(n, rate, n_channels)
    n_records = -(-n // samples)
    limits = _limits(data, n_channels)
    notes = _annotations(data, n_records, samples / rate)
    telling = whole.telling("to_edf", whole.bytes_of(data.source))
    with whole.building(final) as (wip,), wip.open("wb") as file, telling as seen:
        file.write(_header(data, limits, n_records, samples, len(notes[0])))
        _write_records(data, file, limits, samples, notes, seen)
    if n_records * samples > n:
        warn("to_edf", f"the last sample was repeated {n_records * samples - n} times to fill a record")


def _duration_text(samples: int, rate: float) -> str | None:
    """Duration of a record in at most 8 characters, None if it cannot be written exactly enough."""
    text = f"{samples / rate:.7g}"[:8]
    return text if "e" not in text and abs(float(text) * rate - samples) < 1e-6 * samples else None


def _record_length(n: int, rate: float, n_channels: int) -> int:
    """Samples per record: the most that fill the file, else about a second."""
    most = max(1, min(n, _RECORD_BYTES // (2 * n_channels), math.ceil(10 * rate)))
    fitting = [k for k in range(most, 0, -1) if _duration_text(k, rate) is not None]
    if not fitting:
        raise InvalidValueError("samplerate that EDF can state (8 characters)", "samplerate", rate)
    filling = next((k for k in fitting if n % k == 0), 0)
    return filling if filling >= min(n, most) / 10 else next((k for k in fitting if k <= rate), fitting[0])


def _blocks(data: AnalogData, step: int, seen: whole.Seen = np.asarray) -> Any:
    """Samples x channels, some at a time."""
    axis = data.dimord.index("time")
    shape = data.source.shape if axis == 0 else data.source.shape[::-1]
    rows = max(step, _PIECE_BYTES // (8 * shape[1]) // step * step)
    with data.source.reader() as read:
        for part, channels in pieces(shape, 1, rows * shape[1]):
            array = seen(read((part, channels) if axis == 0 else (channels, part)))
            yield part, (array if axis == 0 else array.T).astype(np.float64)


def _limits(data: AnalogData, n_channels: int) -> Array:
    """Physical minimum and maximum of each channel, as the header can state them."""
    low, high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
    for part, array in _blocks(data, 1):
        if not np.isfinite(array).all():
            raise InvalidValueError("finite numbers", "data", f"NaN or inf in samples {part.start} and on")
        low, high = np.minimum(low, array.min(axis=0)), np.maximum(high, array.max(axis=0))
    flat = high == low
    spread = np.where(low == 0, 1.0, np.abs(low))[flat]
    low[flat], high[flat] = low[flat] - spread, high[flat] + spread
    ends = zip(low, high, strict=True)
    found = np.array([(float(_number(a, math.floor)), float(_number(b, math.ceil))) for a, b in ends])
    coarse = np.flatnonzero(found[:, 1] - found[:, 0] > 1.02 * (high - low))
    if coarse.size:
        legal = "ranges that 8 characters can state (remove offsets, or take a smaller unit)"
        name = data.describe().labels["channel"][coarse[0]]
        raise InvalidValueError(legal, "data", f"{low[coarse[0]]:g} to {high[coarse[0]]:g} of {name}")
    return found


def _number(value: float, outward: Any) -> str:
    """At most 8 characters for a number that is not inside of it."""
    for digits in range(6, -1, -1):
        text = f"{outward(value * 10**digits) / 10**digits:.{digits}f}"
        if len(text) <= 8:
            return text
    raise InvalidValueError("numbers of up to 7 digits (convert the unit)", "data", value)


def _tal(onset: float, duration: float = 0.0, text: str = "") -> bytes:
    head = f"{onset:+.6f}".rstrip("0").rstrip(".")
    span = f"\x15{duration:.6f}".rstrip("0").rstrip(".") if duration else ""
    return f"{head}{span}\x14{text}\x14\0".encode()


def _annotations(data: AnalogData, n_records: int, duration: float) -> list[bytes]:
    """Annotations of each record, all of the same length."""
    found = [_tal(k * duration) for k in range(n_records)]
    rate = float(data.samplerate or 1)
    marks: list[tuple[float, float, str]] = []
    trl = data.describe().trialdefinition
    if len(trl) > 1 or trl[0, 2]:
        marks += [(a / rate, (b - a) / rate, f"trial {k}") for k, (a, b) in enumerate(trl[:, :2])]
    events = data.events
    if events is not None and events.data is not None:
        names = {code: label for label, code in events.info.get("names", {}).items()}
        columns = events.dimord
        for row in events.data[:]:
            code = int(row[columns.index("eventid")])
            span = row[columns.index("duration")] / rate if "duration" in columns else 0.0
            marks.append((row[columns.index("sample")] / rate, float(span), names.get(code, f"S{code:3d}")))
    for onset, span, text in marks:
        k = min(n_records - 1, int(onset / duration))
        found[k] += _tal(onset, span, text.replace("\x14", " ").replace("\0", " "))
    width = max(map(len, found))
    return [one.ljust(width + width % 2, b"\0") for one in found]


def _fields(values: list[str], width: int) -> bytes:
    return b"".join(v.replace("µ", "u").encode("ascii", "replace")[:width].ljust(width) for v in values)


def _header(data: AnalogData, limits: Array, n_records: int, samples: int, width: int) -> bytes:
    names = [str(name) for name in data.describe().labels["channel"]]
    if any(len(name) > 16 or not name.isascii() for name in names):
        warn("to_edf", "names of channels were cut to 16 ASCII characters")
    n = len(names)
    units = [str(u) for u in np.broadcast_to("" if data.unit is None else data.unit, n)]
    low = [_number(float(a), math.floor) for a, _ in limits]
    high = [_number(float(b), math.ceil) for _, b in limits]
    columns = [
        ([*names, "EDF Annotations"], 16), ([""] * (n + 1), 80), ([*units, ""], 8), ([*low, "-1"], 8),
        ([*high, "1"], 8), ([str(_LOW)] * (n + 1), 8), ([str(_HIGH)] * (n + 1), 8), ([""] * (n + 1), 80),
        ([*[str(samples)] * n, str(width // 2)], 8), ([""] * (n + 1), 32),
    ]  # fmt: skip
    duration = _duration_text(samples, float(data.samplerate or 1)) or ""
    fixed = [
        ("0", 8), ("X X X X", 80), ("Startdate X X X X", 80), ("01.01.85", 8), ("00.00.00", 8),
        (str(256 * (n + 2)), 8), ("EDF+C", 44), (str(n_records), 8), (duration, 8), (str(n + 1), 4),
    ]  # fmt: skip
    return b"".join(_fields([text], size) for text, size in fixed) + b"".join(
        _fields(values, size) for values, size in columns
    )


def _write_records(
    data: AnalogData, file: Any, limits: Array, samples: int, notes: list[bytes], seen: whole.Seen
) -> None:
    gain = (limits[:, 1] - limits[:, 0]) / (_HIGH - _LOW)
    bias = limits[:, 0] - gain * _LOW
    record = 0
    for _, array in _blocks(data, samples, seen):
        whole_numbers = np.clip(np.rint((array - bias) / gain), _LOW, _HIGH).astype("<i2")
        missing = -len(whole_numbers) % samples
        if missing:
            whole_numbers = np.concatenate([whole_numbers, np.repeat(whole_numbers[-1:], missing, axis=0)])
        for first in range(0, len(whole_numbers), samples):
            file.write(np.ascontiguousarray(whole_numbers[first : first + samples].T).data)
            file.write(notes[record])
            record += 1
