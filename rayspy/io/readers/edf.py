"""EDF, EDF+ and BDF: records of whole numbers with a gain per channel.

Follows Kemp et al. 1992 (EDF), Kemp and Olivan 2003 (EDF+: annotations, discontinuous records) and
BioSemi's description of BDF (three bytes per number, status channel).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import (
    Mark,
    Notes,
    Recording,
    Stream,
    damaged,
    existing,
    step_marks,
    unique_names,
)
from rayspy.storage.records import RecordsSource

_FIELDS = (
    ("label", 16), ("transducer", 80), ("unit", 8), ("phys_min", 8), ("phys_max", 8), ("dig_min", 8),
    ("dig_max", 8), ("filter", 80), ("samples", 8), ("reserved", 32),
)  # fmt: skip
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_MOST_CHANNELS = 100_000
_TRIGGERS = ("Status", "STATUS", "TRIGGER")
_STATUS_BITS = 0xFFFF


@dataclass(frozen=True)
class _Signal:
    """What the header says about one signal."""

    label: str
    unit: str
    filter: str
    samples: int
    gain: float
    bias: float
    start: int
    """Place in a record, in bytes."""


@dataclass(frozen=True)
class _Header:
    path: Path
    bytes_per_number: int
    kind: str
    date: str
    header_bytes: int
    duration: float
    n_records: int
    discontinuous: bool
    signals: tuple[_Signal, ...]

    @property
    def record_bytes(self) -> int:
        return sum(signal.samples for signal in self.signals) * self.bytes_per_number


def open_edf(path: Any) -> Recording:
    """Describe an EDF, EDF+ or BDF file.

    Parameters
    ----------
    path : path
        The file. Signals of different samplerates become streams of their own; annotations and the
        changes of BDF's status channel become events; records that do not follow each other
        (EDF+D) become pieces.

    Raises
    ------
    DamagedDataError
        The header cannot be right.
    """
    full = existing(path)
    notes = Notes(full)
    header = _read_header(full, notes)
    texts = [s for s in header.signals if s.label in _ANNOTATIONS]
    signals = [s for s in header.signals if s.label not in _ANNOTATIONS]
    if not signals:
        raise damaged(full, "it has annotations only, no signals")
    begun, marks = _annotations(header, texts, notes)
    streams = []
    for samples in dict.fromkeys(s.samples for s in signals):
        some = [s for s in signals if s.samples == samples]
        streams.append(_stream(header, some, begun, marks, notes))
    return Recording(str(full), header.kind, streams, notes)


def _text(raw: bytes) -> str:
    return raw.decode("latin-1").replace("\0", " ").strip()


def _number(text: str, what: str, path: Path) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise damaged(path, f"{what} is {text!r} in its header")
    return value


def _read_header(path: Path, notes: Notes) -> _Header:
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(256)
        if len(fixed) < 256:
            raise damaged(path, f"{size} bytes are too few for a header")
        three = fixed[:8] == b"\xffBIOSEMI"
        if not three and fixed[:8].strip() != b"0":
            raise damaged(path, "it does not begin as EDF and BDF files do")
        n_signals = int(_number(_text(fixed[252:256]), "number of signals", path))
        if not 1 <= n_signals <= _MOST_CHANNELS or size < 256 * (n_signals + 1):
            raise damaged(path, f"its header states {n_signals} signals, for which it is too short")
        block = file.read(256 * n_signals)
    columns: dict[str, list[str]] = {}
    at = 0
    for name, width in _FIELDS:
        columns[name] = [_text(block[at + k * width : at + (k + 1) * width]) for k in range(n_signals)]
        at += width * n_signals
    width = 3 if three else 2
    signals = _signals(columns, n_signals, width, path, notes)
    header_bytes = 256 * (n_signals + 1)
    stated = _text(fixed[184:192])
    if stated != str(header_bytes):
        notes.add(f"its header states a length of {stated!r} bytes; {header_bytes} follow from its signals")
    duration = _number(_text(fixed[244:252]), "duration of a record", path)
    record_bytes = sum(signal.samples for signal in signals) * width
    n_records = _count_records(path, size - header_bytes, record_bytes, _text(fixed[236:244]), notes)
    kind, reserved = "BDF" if three else "EDF", _text(fixed[192:236])
    plus = reserved[:5] in ("EDF+C", "EDF+D", "BDF+C", "BDF+D")
    date = f"{_text(fixed[168:176])} {_text(fixed[176:184])}"
    return _Header(
        path,
        width,
        kind + "+" * plus,
        date,
        header_bytes,
        duration,
        n_records,
        reserved[3:5] == "+D",
        signals,
    )


def _signals(
    columns: dict[str, list[str]], n_signals: int, width: int, path: Path, notes: Notes
) -> tuple[_Signal, ...]:
    signals, start = [], 0
    for k in range(n_signals):
        label = columns["label"][k]
        samples = int(_number(columns["samples"][k], f"number of samples of {label!r}", path))
        if not 0 < samples < 2**31 // width:
            raise damaged(path, f"{samples} samples of {label!r} per record")
        limits = [0.0, 1.0, 0.0, 1.0]
        if label not in _ANNOTATIONS:
            names = ("phys_min", "phys_max", "dig_min", "dig_max")
            limits = [_number(columns[name][k], f"{name} of {label!r}", path) for name in names]
        low, high, dig_low, dig_high = limits
        if dig_high == dig_low or high == low:
            notes.add(f"{label!r} has an empty range in the header: numbers are those stored, without unit")
            low, high, dig_low, dig_high, columns["unit"][k] = 0.0, 1.0, 0.0, 1.0, ""
        gain = (high - low) / (dig_high - dig_low)
        bias = low - gain * dig_low
        bias = 0.0 if abs(bias) < 1e-9 * max(abs(low), abs(high)) else bias
        signals.append(_Signal(label, columns["unit"][k], columns["filter"][k], samples, gain, bias, start))
        start += samples * width
    return tuple(signals)


def _count_records(path: Path, n_bytes: int, record_bytes: int, stated: str, notes: Notes) -> int:
    there, rest = divmod(n_bytes, record_bytes)
    if there < 1:
        raise damaged(path, f"{n_bytes} bytes of data, one record has {record_bytes}")
    wanted = int(stated) if re.fullmatch(r"-?\d+", stated) else -1
    if rest:
        notes.add(f"{rest} bytes behind the last whole record are left out")
    if wanted not in (-1, there):
        notes.add(f"its header states {stated} records; it has {there}")
    return there if wanted < 1 else min(there, wanted)


def _stream(
    header: _Header,
    signals: list[_Signal],
    begun: NDArray[np.float64] | None,
    marks: list[_Annotation],
    notes: Notes,
) -> Stream:
    samples = signals[0].samples
    if header.duration > 0:
        rate = samples / header.duration
    else:
        raise InvalidValueError(
            "duration of records greater than 0", f"{header.path}: header", header.duration
        )
    nearest = round(rate)
    if nearest and abs(rate - nearest) < 1e-6 * nearest:
        rate = float(nearest)
    stored = "<i3" if header.bytes_per_number == 3 else "<i2"
    starts = tuple(signal.start for signal in signals)
    source = RecordsSource(
        str(header.path), header.header_bytes, header.record_bytes, header.n_records, samples, starts, stored
    )
    names = unique_names((signal.label for signal in signals), notes)
    pieces = None if begun is None else _pieces(begun, header.duration, samples, rate)
    status = [k for k, signal in enumerate(signals) if signal.label in _TRIGGERS]
    triggers = partial(step_marks, source, status[0], _STATUS_BITS) if stored == "<i3" and status else None
    info: dict[str, Any] = {"start": header.date}
    info["filters"] = {n: s.filter for n, s in zip(names, signals, strict=True) if s.filter}
    if status:
        info["channel_types"] = {names[k]: "stim" for k in status}
    return Stream(
        name=f"{rate:g} Hz",
        source=source,
        samplerate=rate,
        channel=names,
        unit=["" if signal.label in _TRIGGERS else signal.unit for signal in signals],
        scale=[signal.gain for signal in signals],
        bias=[signal.bias for signal in signals],
        pieces=pieces,
        marks=[_placed(mark, pieces, rate) for mark in marks],
        more_marks=triggers,
        info=info,
    )


# -- annotations ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Annotation:
    onset: float
    duration: float
    text: str


def _annotations(
    header: _Header, texts: Sequence[_Signal], notes: Notes
) -> tuple[NDArray[np.float64] | None, list[_Annotation]]:
    """Start of each record where they do not follow each other, and what is annotated."""
    if not texts:
        return None, []
    width = header.bytes_per_number
    found: list[_Annotation] = []
    begun = np.full(header.n_records, np.nan)
    wrong = 0
    with header.path.open("rb") as file:
        for record in range(header.n_records):
            for k, signal in enumerate(texts):
                file.seek(header.header_bytes + record * header.record_bytes + signal.start)
                for at, entry in enumerate(file.read(signal.samples * width).split(b"\0")):
                    parsed = _parsed(entry)
                    wrong += parsed is None and bool(entry.strip(b"\0 "))
                    if parsed is None:
                        continue
                    if k == 0 and at == 0:
                        begun[record] = parsed[0].onset
                    found += [one for one in parsed if one.text]
    if wrong:
        notes.add(f"{wrong} annotations that cannot be understood are left out")
    first = begun[0] if np.isfinite(begun[0]) else 0.0
    marks = [_Annotation(a.onset - first, a.duration, a.text) for a in found]
    if not header.discontinuous:
        return None, marks
    if not np.isfinite(begun).all():
        raise damaged(header.path, "it is discontinuous (EDF+D) and records do not say when they begin")
    return begun - first, marks


def _parsed(entry: bytes) -> list[_Annotation] | None:
    r"""Annotations of one time: ``+onset[\x15duration]\x14text\x14...``."""
    head, _, rest = entry.partition(b"\x14")
    found = re.fullmatch(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?", head)
    if found is None:
        return None
    onset, duration = float(found.group(1)), float(found.group(2) or 0)
    words = [word.decode("utf-8", "replace") for word in rest.split(b"\x14")]
    return [_Annotation(onset, duration, word) for word in ([w for w in words if w] or [""])]


def _pieces(
    begun: NDArray[np.float64], duration: float, samples: int, rate: float
) -> NDArray[np.float64] | None:
    """Runs of records that follow each other."""
    first = np.round(begun * rate)
    breaks = np.flatnonzero(np.abs(np.diff(begun) - duration) > 0.5 / rate) + 1
    starts = np.concatenate([[0], breaks])
    stops = np.concatenate([breaks, [len(begun)]])
    return np.column_stack([starts * samples, stops * samples, first[starts]])


def _placed(mark: _Annotation, pieces: NDArray[np.float64] | None, rate: float) -> Mark:
    """Sample of an annotation: its time counts pauses."""
    sample = round(mark.onset * rate)
    if pieces is not None:
        k = max(0, int(np.searchsorted(pieces[:, 2], sample, side="right")) - 1)
        sample = int(min(pieces[k, 0] + sample - pieces[k, 2], pieces[k, 1] - 1))
    return Mark(sample, mark.text, round(mark.duration * rate))
