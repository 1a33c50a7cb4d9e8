"""Trial definitions from events, and from other trial definitions. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import is_whole
from rayspy.data.selection import SAMPLE_SLACK
from rayspy.data.trials import Trialdefinition
from rayspy.errors import InvalidValueError

Numbers = NDArray[np.int64]
EVENT_KEYS = ("start", "trigger", "stop")


@dataclass(frozen=True, eq=False)
class Marks:
    """Events that make up trials: row numbers per trial for each kind that was asked for."""

    rows: Mapping[str, Numbers]
    n_trials: int


# -- searching sequences of events -------------------------------------------------


def find_marks(codes: Numbers, wanted: Mapping[str, Any]) -> Marks:
    """Find sequences start - trigger - stop of event codes; each event is used once.

    Parameters
    ----------
    codes : ndarray of int
        Code of each event, in the order of time.
    wanted : mapping of str to int or list of int
        Codes per kind (`EVENT_KEYS`). Single codes are searched again and again
        until the events are used up; with a list there is one trial per entry.

    Raises
    ------
    InvalidValueError
        A code does not occur, lists differ in length, or not all trials that
        were asked for are there.
    """
    kinds = [kind for kind in EVENT_KEYS if kind in wanted]
    for kind in kinds:
        _check_codes(codes, wanted[kind], kind)
    listed = {kind: list(wanted[kind]) for kind in kinds if np.ndim(wanted[kind])}
    n_asked = _common_length(listed)
    every = {kind: [wanted[kind]] * (n_asked or 1) for kind in kinds} | listed
    patterns = [[int(every[kind][k]) for kind in kinds] for k in range(n_asked or 1)]
    found = _sequences(codes, patterns, repeat=n_asked is None)
    if len(found) < (n_asked or 1):
        raise InvalidValueError(
            f"event codes that follow each other in the order {', '.join(kinds)}, {n_asked or 1} times",
            "/".join(kinds),
            f"{len(found)} such sequences",
        )
    table = np.array(found, dtype=np.int64)
    return Marks({kind: table[:, k] for k, kind in enumerate(kinds)}, len(found))


def _check_codes(codes: Numbers, value: Any, kind: str) -> None:
    known = set(codes.tolist())
    for code in np.atleast_1d(value).tolist():
        if not is_whole(code) or int(code) not in known:
            raise InvalidValueError(f"existing event-id ({_listed(known)})", kind, code)


def _listed(codes: set[int], most: int = 8) -> str:
    shown = ", ".join(str(code) for code in sorted(codes)[:most])
    return shown if len(codes) <= most else f"{shown} ..."


def _common_length(listed: Mapping[str, Sequence[Any]]) -> int | None:
    lengths = {len(values) for values in listed.values()}
    if len(lengths) > 1:
        text = ", ".join(f"{kind}: {len(values)}" for kind, values in listed.items())
        raise InvalidValueError("arrays of equal length", "/".join(listed), text)
    return lengths.pop() if lengths else None


def _sequences(codes: Numbers, patterns: list[list[int]], repeat: bool) -> list[list[int]]:
    """Rows of the codes of each pattern, one pattern behind the other; stops at the first that is missing."""
    places = {code: np.flatnonzero(codes == code) for pattern in patterns for code in pattern}
    found: list[list[int]] = []
    cursor = 0
    while repeat or len(found) < len(patterns):
        rows = _one_sequence(places, patterns[0 if repeat else len(found)], cursor)
        if rows is None:
            break
        found.append(rows)
        cursor = rows[-1] + 1
    return found


def _one_sequence(places: Mapping[int, Numbers], pattern: list[int], cursor: int) -> list[int] | None:
    rows = []
    for code in pattern:
        k = int(np.searchsorted(places[code], cursor))
        if k == len(places[code]):
            return None
        rows.append(int(places[code][k]))
        cursor = rows[-1] + 1
    return rows


# -- from events to trials ------------------------------------------------------------


def nearest_samples(places: Any) -> NDArray[np.float64]:
    """Whole samples nearest to places in samples; halves are rounded away from zero.

    A place within `SAMPLE_SLACK` of a half counts as one, so that products of
    seconds and samplerates that are halves on paper are halves here.
    """
    numbers = np.asarray(places, dtype=np.float64)
    return np.asarray(np.sign(numbers) * np.floor(np.abs(numbers) + 0.5 + SAMPLE_SLACK) + 0.0)


def trials_of_marks(marks: Mapping[str, Numbers], ratio: float, pre: Any, post: Any) -> Trialdefinition:
    """Trials from the samples of their events.

    A trial begins with its start event, or else its trigger, minus `pre`, and
    ends with its stop event, or else its trigger, plus `post`. Time zero is the
    trigger: the offset is the number of the first sample relative to it, negative
    if the trial starts before. Without a trigger time counts from the start of
    the recording.

    Every event is rounded to a sample once, `pre` and `post` are whole numbers of
    samples: trials around a trigger have the same length and offset wherever
    between two samples their trigger was.

    Parameters
    ----------
    marks : mapping of str to ndarray of int
        Samples of start, trigger, stop.
    ratio : float
        Samples of the trial definition that is made per sample of the events.
    pre, post : float, ndarray or None
        Samples before and after, of the trial definition that is made.
    """
    samples = {kind: nearest_samples(places * ratio) for kind, places in marks.items()}
    begin = samples["start"] if "start" in samples else samples["trigger"]
    end = samples["stop"] if "stop" in samples else samples["trigger"]
    first = begin - nearest_samples(0.0 if pre is None else pre)
    stop = end + nearest_samples(0.0 if post is None else post)
    return np.column_stack([first, stop, first - samples.get("trigger", 0.0)])


def clipped(trl: Trialdefinition, low: float, high: float) -> Trialdefinition:
    """Cut trials to the samples there are; time zero stays where it is."""
    cut = trl.copy()
    cut[:, 0] = np.clip(trl[:, 0], low, high)
    cut[:, 1] = np.clip(trl[:, 1], low, high)
    cut[:, 2] += cut[:, 0] - trl[:, 0]
    return cut


def check_trials(trl: Trialdefinition, n_samples: float, hint: str) -> Trialdefinition:
    """Refuse trials that are empty or reach beyond the recording."""
    outside = (trl[:, 0] < 0) | (trl[:, 1] > n_samples)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        legal = f"all samples to be bounded by 0 and {n_samples:g}{hint}"
        raise InvalidValueError(legal, "sampleinfo", f"trial {k}: {trl[k, 0]:g} to {trl[k, 1]:g}")
    empty = trl[:, 0] >= trl[:, 1]
    if empty.any():
        k = int(np.flatnonzero(empty)[0])
        legal = "trials with at least one sample"
        raise InvalidValueError(legal, "sampleinfo", f"trial {k}: {trl[k, 0]:g} to {trl[k, 1]:g}")
    return trl


def rescaled(trl: Trialdefinition, ratio: float) -> Trialdefinition:
    """Trial definition at another samplerate; further columns stay as they are.

    Time zero of each trial is rounded to a sample once. Begin and end relative to
    it are whole numbers of samples, the same for trials that had them equal.
    """
    zero = trl[:, 0] - trl[:, 2]
    begin, end = nearest_samples(trl[:, 2] * ratio), nearest_samples((trl[:, 1] - zero) * ratio)
    table = trl.copy()
    table[:, 0] = nearest_samples(zero * ratio) + begin
    table[:, 1] = table[:, 0] + end - begin
    table[:, 2] = begin
    return table


# -- from trials to trials --------------------------------------------------------------


def shortened(trl: Trialdefinition, begin: NDArray[Any], end: NDArray[Any]) -> Trialdefinition:
    """Trials from sample `begin` to sample `end` (exclusive) of each; time zero stays where it is."""
    table = trl.copy()
    table[:, 0] = trl[:, 0] + begin
    table[:, 1] = trl[:, 0] + end
    table[:, 2] = trl[:, 2] + begin
    return table


def with_offset(trl: Trialdefinition, offset: Any) -> Trialdefinition:
    """Trials whose first sample has another number relative to time zero."""
    table = trl.copy()
    table[:, 2] = offset
    return table
