"""What every reader returns, and how data objects are made of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_path
from rayspy.data.analog import AnalogData
from rayspy.data.event import EventData
from rayspy.data.spike import SpikeData
from rayspy.errors import DamagedDataError, InvalidValueError, MissingPackageError, PathError
from rayspy.io.readers.units import canonical, check_unit, conversion
from rayspy.progress import warn
from rayspy.storage.scaled import ApartSource, ScaledSource
from rayspy.storage.sources import ArraySource

_STEPS = 2**20
"""Samples of a trigger channel that are read at a time."""
MOST_NAMED = 1_000_000
"""Channels or trials of a recording."""
Trials = NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """An event of a recording."""

    sample: int
    """Counted from 0 in the array of its stream."""
    label: str
    duration: int = 0
    """In samples."""
    code: int | None = None
    """Number of the event where the file has one."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Channels that were recorded together.

    Attributes
    ----------
    name : str
        What the file calls them.
    source : ArraySource
        Samples x channels as stored.
    samplerate : float
        Hz.
    channel : sequence of str
        Names.
    unit : sequence of str or None
        Per channel, after `scale` and `bias` are applied.
    scale, bias : sequence of float or None
        Gain and offset per channel.
    pieces : ndarray of (pieces, 3) or None
        Uninterrupted pieces: first sample, sample behind the last, and number of the first since
        the recording began, which counts pauses (NaN: unknown).
    trialdefinition : ndarray or None
        Trials that the file itself has.
    marks : sequence of Mark
        Events.
    more_marks : callable or None
        Finds further events, which takes reading the samples: done when they are asked for.
    info : dict
        Goes into ``.info``.
    """

    name: str
    source: ArraySource
    samplerate: float
    channel: Sequence[str]
    unit: Sequence[str] | None = None
    scale: Sequence[float] | None = None
    bias: Sequence[float] | None = None
    pieces: Trials | None = None
    trialdefinition: Trials | None = None
    marks: Sequence[Mark] = ()
    more_marks: Callable[[], Sequence[Mark]] | None = None
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recording:
    """What a file or folder holds."""

    path: str
    format: str
    streams: Sequence[Stream]
    notes: Sequence[str] = ()
    """What was put right, in words."""
    spikes: Callable[[], SpikeData | None] | None = None
    """Makes the spikes of sorted units."""


class Notes(list[str]):
    """What a reader put right or left out; each is a warning that names the file."""

    def __init__(self, path: Any) -> None:
        super().__init__()
        self.path = path

    def add(self, text: str) -> None:
        """Warn, and keep the text for ``.info["notes"]``."""
        self.append(text)
        warn("read", f"{self.path}: {text}")


def existing(path: Any) -> Path:
    """Full name of a file that has to be there."""
    full = check_path(path, "path", "name of a file").resolve()
    if not full.is_file():
        raise PathError(full, exists=False)
    return full


def beside(folder: Path, name: str, named_by: str, notes: Notes, outside: bool = False) -> Path:
    """A file that a header names, which has to be in the header's folder or below it.

    Headers that were moved with their files still name the old place: a file of that name beside the
    header is taken, and told.

    Parameters
    ----------
    folder : path
        Of the header.
    name : str
        As in the header.
    named_by : str
        Key and header, for messages.
    notes : Notes
        What is told.
    outside : bool
        Whether the name may lead out of the folder.

    Raises
    ------
    InvalidValueError
        The name leads out of the folder.
    PathError
        There is no such file.
    """
    plain = name.replace("\\", "/")
    path = folder / plain
    if "\0" in plain:
        raise InvalidValueError("name of a file beside the header", named_by, name)
    if outside and path.is_file():
        return path
    if plain.startswith("/") or re.match("[A-Za-z]:", plain) or ".." in Path(plain).parts:
        path = folder / Path(plain).name
        if not path.is_file():
            legal = "name of a file beside the header (outside=True allows any)"
            raise InvalidValueError(legal, named_by, name)
        notes.add(f"{named_by} is {name}; {path.name} beside it is read")
    if not path.is_file():
        raise PathError(path, exists=False, hint=f"named by {named_by}")
    return path


def required(package: str, what: str) -> MissingPackageError:
    """Error for a library that is not installed."""
    return MissingPackageError(
        f"{what} needs {package}: pip install {package}  (or pip install 'rayspy[formats]')"
    )


def damaged(path: Any, problem: str) -> DamagedDataError:
    """Error for a file that cannot be what its name says."""
    return DamagedDataError(f"{path}: {problem}")


def check_counts(path: Any, **counts: int) -> None:
    """Refuse numbers of channels or trials that no recording has: a file of a few bytes may state any."""
    for what, n in counts.items():
        if n > MOST_NAMED:
            raise damaged(path, f"it states {n} {what}")


def whole_rows(path: Path, offset: int, row_bytes: int, notes: Notes) -> int:
    """Samples of a multiplexed file; what is left over at its end is told."""
    n_bytes = path.stat().st_size - offset
    rows, rest = divmod(max(n_bytes, 0), row_bytes)
    if rows < 1:
        raise damaged(path, f"{max(n_bytes, 0)} bytes of data, one sample of all channels has {row_bytes}")
    if rest:
        notes.add(f"{rest} bytes behind the last whole sample of {path.name} are left out")
    return rows


def rounded_rate(rate: float) -> float:
    """Samplerate without the rounding of whoever wrote it as an interval or duration."""
    nearest = round(rate)
    return float(nearest) if nearest and abs(rate - nearest) < 1e-6 * nearest else rate


def unique_names(names: Iterable[str], notes: Notes) -> list[str]:
    """Names of channels, numbered where they occur more than once."""
    plain = [name.strip() or f"channel{k}" for k, name in enumerate(names, 1)]
    counts: dict[str, int] = {}
    found: list[str] = []
    for name in plain:
        counts[name] = counts.get(name, -1) + 1
        new = name if plain.count(name) == 1 else f"{name}-{counts[name]}"
        while new in found:
            new += "-"
        found.append(new)
    if found != plain:
        repeated = sorted({name for name in plain if plain.count(name) > 1})
        notes.add(f"channels with the same name were numbered: {', '.join(repeated)}")
    return found


# -- events ----------------------------------------------------------------------------------


def codes_of(labels: Iterable[str]) -> dict[str, int]:
    """Number of each text: the number at its end where that is its own, else 10001 and on.

    Examples
    --------
    >>> codes_of(["Stimulus/S  2", "Stimulus/S  1", "boundary"])
    {'Stimulus/S  1': 1, 'Stimulus/S  2': 2, 'boundary': 10001}
    """
    codes: dict[str, int] = {}
    rest = []
    for label in sorted(set(labels)):
        number = re.fullmatch(r"\D*?(\d{1,9})", label.strip())
        code = int(number.group(1)) if number else 0
        if 0 < code <= 10000 and code not in codes.values():
            codes[label] = code
        else:
            rest.append(label)
    return codes | {label: 10001 + k for k, label in enumerate(rest)}


def step_marks(source: ArraySource, channel: int, mask: int = 0xFFFFFFFF) -> list[Mark]:
    """Changes of a trigger channel to other than 0; its value is the code of the event."""
    marks: list[Mark] = []
    last, n = 0, source.shape[0]
    with source.reader() as read:
        for first in range(0, n, _STEPS):
            region = (slice(first, min(first + _STEPS, n)), slice(channel, channel + 1))
            codes = read(region)[:, 0].astype(np.int64) & mask
            before = np.concatenate([[last], codes[:-1]])
            changes = np.flatnonzero((codes != before) & (codes != 0))
            marks += [Mark(first + int(k), "", 0, int(codes[k])) for k in changes]
            last = int(codes[-1])
    return marks


def events_of(stream: Stream) -> EventData | None:
    """Table of the events within a stream; None if there are none."""
    n = stream.source.shape[0]
    every = [*stream.marks, *(stream.more_marks() if stream.more_marks is not None else ())]
    marks = sorted((m for m in every if 0 <= m.sample < n), key=lambda mark: mark.sample)
    if not marks:
        return None
    names = codes_of(mark.label for mark in marks if mark.code is None)
    rows = [[m.sample, names[m.label] if m.code is None else m.code, m.duration] for m in marks]
    events = EventData(
        np.array(rows, np.int64), None, None, stream.samplerate, ["sample", "eventid", "duration"]
    )
    events.trialdefinition = np.array([[0.0, n, 0.0]])
    known = {mark.label: int(mark.code) for mark in marks if mark.code is not None and mark.label}
    events.info.update({"names": {**names, **known}})
    return events


# -- pieces and bad stretches ------------------------------------------------------------------


def one_piece(n: int) -> Trials:
    """A recording without pauses."""
    return np.array([[0.0, n, 0.0]])


def is_bad(label: str) -> bool:
    """Whether an annotation says that the data are not to be used."""
    return label.split("/")[-1].lower().startswith("bad") or label.lower().startswith("bad")


def without(pieces: Trials, bad: Sequence[tuple[int, int]]) -> Trials:
    """Pieces with stretches of samples cut out."""
    for low, high in bad:
        kept = []
        for start, stop, first in pieces:
            ends = ((start, min(stop, low)), (max(start, high), stop))
            kept += [(a, b, first + a - start) for a, b in ends if a < b]
        pieces = np.array(kept, np.float64).reshape(-1, 3)
    return pieces


def _as_trials(stream: Stream, pieces: Trials, cut: Sequence[tuple[int, int]]) -> Stream:
    pieces = without(pieces, cut)
    if not len(pieces):
        raise InvalidValueError("recording that is not bad throughout; bad='keep' reads it", "bad", "trials")
    offsets = np.where(np.isfinite(pieces[:, 2]), pieces[:, 2], 0.0)
    return replace(stream, trialdefinition=np.column_stack([pieces[:, :2], offsets]))


def _with_nan(stream: Stream, pieces: Trials, cut: Sequence[tuple[int, int]], fill: bool) -> Stream:
    if fill and not np.isfinite(pieces).all():
        raise InvalidValueError("'trials': the file does not say how long its pauses are", "gaps", "nan")
    whole = pieces if fill else np.column_stack([pieces[:, :2], pieces[:, 0]])
    length = int((whole[:, 2] + whole[:, 1] - whole[:, 0]).max()) if fill else stream.source.shape[0]
    runs = without(whole, cut).astype(np.int64)
    source = ApartSource(stream.source, runs[:, 0], runs[:, 1], runs[:, 2], length)
    moved = [replace(mark, sample=_moved(mark.sample, whole)) for mark in stream.marks]
    return replace(stream, source=source, marks=moved, pieces=None if fill else pieces)


def _moved(sample: int, pieces: Trials) -> int:
    k = int(np.searchsorted(pieces[:, 0], sample, side="right")) - 1
    return int(sample - pieces[k, 0] + pieces[k, 2]) if k >= 0 else sample


def arranged(stream: Stream, gaps: str, bad: str) -> Stream:
    """Cut or fill a stream where the recording paused and where it is marked as bad.

    Parameters
    ----------
    stream : Stream
        As in the file.
    gaps : {'trials', 'nan'}
        Pieces become trials, or what is missing between them becomes NaN.
    bad : {'keep', 'trials', 'nan'}
        Stretches marked ``BAD ...`` stay as they are, separate trials, or become NaN.
    """
    if stream.trialdefinition is not None and bad != "nan":
        return stream
    pieces = stream.pieces if stream.pieces is not None else one_piece(stream.source.shape[0])
    stretches = [(m.sample, m.sample + max(1, m.duration)) for m in stream.marks if is_bad(m.label)]
    if bad == "nan" or (gaps == "nan" and len(pieces) > 1):
        fill = gaps == "nan" and len(pieces) > 1
        stream = _with_nan(stream, pieces, stretches if bad == "nan" else [], fill)
        pieces = stream.pieces if stream.pieces is not None else one_piece(stream.source.shape[0])
        marks = stream.marks
        stretches = [(m.sample, m.sample + max(1, m.duration)) for m in marks if is_bad(m.label)]
    cut = stretches if bad == "trials" else []
    if stream.trialdefinition is not None or (len(pieces) == 1 and not cut and pieces[0, 2] == 0):
        return stream
    return _as_trials(stream, pieces, cut)


# -- units and objects ---------------------------------------------------------------------------


def in_unit(stream: Stream, unit: str | None) -> Stream:
    """Convert channels that measure the same thing to a unit; others keep theirs."""
    if unit is None:
        return stream
    check_unit(unit)
    old = list(stream.unit or [""] * len(stream.channel))
    factors = [conversion(one, unit) for one in old]
    if all(factor is None for factor in factors):
        found = ", ".join(sorted({one or "unknown" for one in old}))
        raise InvalidValueError(f"unit that fits those of the file ({found})", "unit", unit)
    by = np.array([1.0 if factor is None else factor for factor in factors])
    new = [one if factor is None else canonical(unit) for one, factor in zip(old, factors, strict=True)]
    scale = np.multiply(np.ones(len(by)) if stream.scale is None else stream.scale, by)
    bias = None if stream.bias is None else np.multiply(stream.bias, by).tolist()
    return replace(stream, unit=new, scale=scale.tolist(), bias=bias)


def scaled(stream: Stream) -> ArraySource:
    """Samples in physical units; stored numbers themselves where no gain is stated."""
    scale = tuple(float(s) for s in (stream.scale if stream.scale is not None else ()))
    bias = tuple(float(b) for b in (stream.bias if stream.bias is not None else ()))
    if all(s == 1 for s in scale) and not any(bias):
        return stream.source
    if not np.isfinite([*scale, *bias]).all():
        raise damaged(stream.source.location, "gain or offset of a channel is not a finite number")
    return ScaledSource(stream.source, _one_or_all(scale, 1.0), _one_or_all(bias, 0.0))


def _one_or_all(factors: tuple[float, ...], default: float) -> float | tuple[float, ...]:
    return factors if len(set(factors)) > 1 else next(iter(factors), default)


def to_data(stream: Stream, recording: Recording) -> AnalogData:
    """Data object of a stream."""
    data = AnalogData(scaled(stream), samplerate=stream.samplerate, channel=list(stream.channel))
    if stream.trialdefinition is not None:
        data.trialdefinition = stream.trialdefinition
    if stream.unit is not None and any(stream.unit):
        data.unit = [canonical(unit) for unit in stream.unit]
    if stream.more_marks is None:
        data.events = events_of(stream)
    else:
        data.find_events(partial(events_of, stream))
    data.info.update({"format": recording.format, "file": recording.path, **stream.info})
    if recording.notes:
        data.info["notes"] = list(recording.notes)
    data.log = f"read {recording.format} recording {recording.path}"
    return data
