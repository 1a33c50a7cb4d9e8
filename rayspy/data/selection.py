"""Selections: from labels and seconds to indices. Pure functions of a description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import SLACK, as_array, is_number, is_whole
from rayspy.data.trials import TrialIndexer
from rayspy.errors import InvalidTypeError, InvalidValueError

T = TypeVar("T")
Indices = NDArray[np.int64]
LATENCY_WORDS = ("maxperiod", "minperiod", "prestim", "poststim")
SAMPLE_SLACK = 1e-6
"""Rounding of seconds to samples: a time this close to a sample (in samples) is that sample."""


@dataclass(frozen=True, eq=False)
class Description:
    """What a selection needs to know about an object; no data."""

    kind: str
    keys: tuple[str, ...]
    dims: tuple[str, ...]
    trialdefinition: NDArray[np.float64]
    samplerate: float | None
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Labels per dimension: channel, taper (text), freq (Hz) and eventid (codes)."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A resolved selection.

    Attributes
    ----------
    select : dict
        The selection as given.
    trial_numbers : ndarray of int
        Selected trials in the order asked for.
    trialdefinition : ndarray
        Rows of the selected trials: samples in the unselected recording, cut to the latency window.
    index : dict of str to ndarray
        Selected indices per dimension, in the order asked for.
    """

    select: dict[str, Any]
    description: Description
    trial_numbers: Indices
    trialdefinition: NDArray[np.float64]
    index: dict[str, Indices]
    read: Callable[[int], NDArray[Any]] | None = field(default=None, repr=False)
    """Reads the k-th selected trial; set where the selection is taken from an object."""
    clock: Callable[[int], NDArray[np.float64]] | None = field(default=None, repr=False)
    """Gives the times of the k-th selected trial where they are not on a regular grid."""

    @property
    def trial_ids(self) -> list[int]:
        """Selected trials in the order asked for."""
        found: list[int] = self.trial_numbers.tolist()
        return found

    @property
    def trials(self) -> TrialIndexer[NDArray[Any]] | None:
        """Selected parts of the selected trials, by the number that a trial has in the object."""
        return None if self.read is None else self._by_number(self.read)

    @property
    def time(self) -> TrialIndexer[NDArray[np.float64]] | None:
        """Time axes in seconds, by the number that a trial has in the object."""
        rate = self.description.samplerate
        if rate is None:
            return None
        return self._by_number(self.clock or (lambda k: trial_times(self.trialdefinition[k], rate)))

    def _by_number(self, get: Callable[[int], T]) -> TrialIndexer[T]:
        places = {int(number): k for k, number in reversed(list(enumerate(self.trial_numbers)))}
        return TrialIndexer(lambda number: get(places[number]), [int(k) for k in self.trial_numbers], places)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Samples per selected trial."""
        n: NDArray[np.float64] = self.trialdefinition[:, 1] - self.trialdefinition[:, 0]
        return n

    @property
    def sampleinfo(self) -> NDArray[np.float64]:
        """Start and stop sample per selected trial."""
        return self.trialdefinition[:, :2].copy()

    @property
    def trialintervals(self) -> NDArray[np.float64] | None:
        """First and last time per selected trial in seconds."""
        return trial_intervals(self.trialdefinition, self.description.samplerate)

    def labels(self, dim: str) -> NDArray[Any]:
        """Labels of one dimension that are selected."""
        labels = self.description.labels[dim]
        return labels[self.index[dim]] if dim in self.index else labels

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.description.labels:
            return self.labels(name)
        raise AttributeError(name)

    def __repr__(self) -> str:
        words = [_count_words(self, dim) for dim in self.description.dims if dim in self.description.labels]
        n = len(self.trial_numbers)
        times = "cut times" if "latency" in self.select else "all times"
        parts = ", ".join([*words, times, f"{n} trial{'s' * (n != 1)}"])
        return f"rayspy {self.description.kind} selection with {parts}"


def _count_words(selection: Selection, dim: str) -> str:
    if dim not in selection.index:
        return f"all {dim}s"
    n = len(selection.index[dim])
    return f"one {dim}" if n == 1 else f"{n} {dim}s"


def trial_times(row: NDArray[np.float64], samplerate: float) -> NDArray[np.float64]:
    """Time of each sample of a trial in seconds."""
    times: NDArray[np.float64] = (np.arange(int(row[1] - row[0])) + row[2]) / samplerate
    return times


def trial_intervals(trl: NDArray[np.float64], samplerate: float | None) -> NDArray[np.float64] | None:
    """Time of the first and last sample of each trial in seconds."""
    if samplerate is None:
        return None
    lengths = trl[:, 1] - trl[:, 0]
    return np.column_stack([trl[:, 2], trl[:, 2] + lengths - 1]) / samplerate


def check_keys(select: Any, keys: tuple[str, ...], kind: str) -> dict[str, Any]:
    """Check the form of a selection and that its keys exist for this class."""
    if select is None or (isinstance(select, str) and select == "all"):
        return {}
    if isinstance(select, str):
        raise InvalidValueError("'all', None or a dictionary", "select", select)
    if not isinstance(select, Mapping):
        raise InvalidTypeError(select, "select", "dictionary, 'all' or None")
    for key in select:
        if key not in keys:
            raise InvalidValueError(
                f"one of {', '.join(keys)} (no `{key}` selection available for {kind})", "select", key
            )
    return dict(select)


def resolve(select: Any, description: Description, covering: bool = False) -> Selection:
    """Turn a selection into indices.

    Parameters
    ----------
    select : dict, 'all' or None
        Keys are those of the class: trials, channel, latency, frequency, taper, eventid.
    description : Description
        What is selected from.
    covering : bool
        False: trials are cut to the latency window, however little of it they
        have. True: trials that do not cover the whole window are left out, and
        the words 'maxperiod', 'minperiod', 'prestim' and 'poststim' are allowed.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        Names the selector and what it accepts.
    """
    chosen = check_keys(select, description.keys, description.kind)
    trials = _trial_indices(chosen.get("trials"), len(description.trialdefinition))
    index = {}
    for key in description.keys:
        if key not in ("trials", "latency") and _is_given(chosen, key):
            dim, find = _finder(key)
            index[dim] = find(chosen[key], description.labels[dim])
    trl = description.trialdefinition[trials]
    if _is_given(chosen, "latency"):
        trials, trl = _cut(chosen["latency"], trials, trl, description.samplerate, covering)
    return Selection(chosen, description, trials, trl, index)


def _is_given(select: dict[str, Any], key: str) -> bool:
    value = select.get(key)
    return value is not None and not (isinstance(value, str) and value == "all")


def _trial_indices(value: Any, n_trials: int) -> Indices:
    if value is None or (isinstance(value, str) and value == "all"):
        return np.arange(n_trials)
    if isinstance(value, str):
        raise InvalidValueError("'all', None, a trial number or a list of them", "select: trials", value)
    if is_number(value):
        value = [value]
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, "select: trials", "array_like (list or numpy.ndarray)")
    numbers = as_array(value, "select: trials")
    if numbers.ndim != 1 or numbers.size == 0:
        raise InvalidValueError("at least one trial number", "select: trials", value)
    if numbers.dtype.kind not in "iuf" or (numbers != np.round(numbers)).any():
        raise InvalidValueError("whole trial numbers", "select: trials", value)
    if numbers.min() < 0 or numbers.max() >= n_trials:
        wrong = numbers[(numbers < 0) | (numbers >= n_trials)][0]
        raise InvalidValueError(f"existing trial numbers, 0 to {n_trials - 1}", "select: trials", wrong)
    return numbers.astype(np.int64)


def label_indices(value: Any, labels: NDArray[Any], key: str, name: str | None = None) -> Indices:
    """Find labels given by name or number, in the order asked for; `name` is that of the parameter."""
    varname = name or f"select: {key}"
    legal = f"list/array of {key} existing names or indices (0 to {len(labels) - 1})"
    items = _listed(value, len(labels), varname, legal)
    places: dict[str, list[int]] = {}
    for k, label in enumerate(labels):
        places.setdefault(str(label), []).append(k)
    found = []
    for item in items:
        if isinstance(item, str) and item in places:
            found.append(_only(places[item], item, key, varname))
        elif is_whole(item) and 0 <= item < len(labels):
            found.append(int(item))
        else:
            raise InvalidValueError(legal, varname, item)
    return np.array(found, dtype=np.int64)


def _only(places: list[int], item: str, key: str, varname: str) -> int:
    """Refuse a name that occurs more than once."""
    if len(places) > 1:
        raise InvalidValueError(
            f"name that only one {key} has; choose by position: {', '.join(map(str, places))}", varname, item
        )
    return places[0]


def _listed(value: Any, n_labels: int, varname: str, legal: str) -> list[Any]:
    """Names and numbers as a list."""
    if isinstance(value, slice):
        try:
            value = range(*value.indices(n_labels))
        except (TypeError, ValueError):
            raise InvalidValueError(legal, varname, value) from None
    if isinstance(value, str) or is_number(value):
        return [value]
    if not isinstance(value, (list, np.ndarray, range)):
        raise InvalidTypeError(value, varname, "str, int, list, numpy.ndarray, slice or range")
    if (isinstance(value, np.ndarray) and value.ndim != 1) or not len(value):
        raise InvalidValueError(legal, varname, value)
    return list(value)


def _frequency_indices(value: Any, freq: NDArray[Any]) -> Indices:
    low, high = float(freq.min()), float(freq.max())
    below, above = _overhang(freq)
    name, legal = "select: frequency", "[fmin, fmax] with fmin < fmax"
    if is_number(value):
        if isinstance(value, (complex, np.complexfloating)) or not low - below <= value <= high + above:
            raise InvalidValueError(f"frequency between {low:g} and {high:g} Hz", name, value)
        return np.array([int(np.abs(freq - value).argmin())])
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, name, "number or [fmin, fmax]")
    limits = _pair(value, name, legal)
    if limits.shape != (2,) or np.isnan(limits).any() or not limits[0] < limits[1]:
        raise InvalidValueError(legal, name, value)
    if any(np.isfinite(f) and not low - below <= f <= high + above for f in limits):
        raise InvalidValueError(f"limits between {low:g} and {high:g} Hz", name, value)
    found = bins_within(freq, limits[0], limits[1])
    if found.size == 0:
        nearest = freq[np.abs(freq - limits.mean()).argmin()]
        raise InvalidValueError(f"interval with at least one bin (nearest: {nearest:g} Hz)", name, value)
    return found


def _code_indices(value: Any, codes: NDArray[Any]) -> Indices:
    """Positions of the given codes among those that exist, in ascending order."""
    name = "select: eventid"
    if isinstance(value, range) or is_number(value):
        value = list(value) if isinstance(value, range) else [value]
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, name, "number, list, numpy.ndarray or range of event codes")
    places = {int(code): k for k, code in enumerate(codes)}
    legal = f"existing event codes ({_some(codes)})"
    if (isinstance(value, np.ndarray) and value.ndim != 1) or not len(value):
        raise InvalidValueError(legal, name, value)
    for item in value:
        if not is_whole(item) or int(item) not in places:
            raise InvalidValueError(legal, name, item)
    return np.array(sorted({places[int(item)] for item in value}), dtype=np.int64)


def _some(items: NDArray[Any], most: int = 8) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} ..."


_FINDERS: dict[str, tuple[str, Callable[[Any, NDArray[Any]], Indices]]] = {
    "frequency": ("freq", _frequency_indices),
    "eventid": ("eventid", _code_indices),
}
"""Selectors whose values are numbers: the dimension they act on, and how a value becomes indices."""


def _finder(key: str) -> tuple[str, Callable[[Any, NDArray[Any]], Indices]]:
    """The dimension that a selector acts on, and how its value becomes indices: names, or as said above."""
    return _FINDERS.get(key) or (key, partial(label_indices, key=key))


def _pair(value: Any, name: str, legal: str) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        raise InvalidValueError(legal, name, value) from None


def _overhang(freq: NDArray[Any]) -> tuple[float, float]:
    """How far beyond the lowest and the highest bin a frequency may be: half of the way to the next one.

    So Nyquist is a limit also of spectra of an odd number of samples, which do not have it.
    """
    ascending = np.sort(freq)
    steps = np.diff(ascending) if len(freq) > 1 else np.zeros(1)
    below, above = SLACK * abs(float(ascending[0])), SLACK * abs(float(ascending[-1]))
    half = (1 + SLACK) / 2
    return max(below, half * float(steps[0])), max(above, half * float(steps[-1]))


def bins_within(freq: NDArray[Any], low: float, high: float) -> Indices:
    """Bins of the closed interval; a bin that differs from a limit by rounding only belongs to it."""
    steps = np.diff(np.sort(freq))
    most = float(steps.min()) / 2 if len(steps) else np.inf
    below, above = (min(SLACK * abs(limit), most) if np.isfinite(limit) else 0.0 for limit in (low, high))
    return np.flatnonzero((freq >= low - below) & (freq <= high + above))


def sample_slack(place: float) -> float:
    """Rounding of a place in samples: relative, as samplerates in files are, and much less than a sample."""
    return float(np.clip(SLACK * abs(place), SAMPLE_SLACK, 0.1))


def _cut(
    value: Any, trials: Indices, trl: NDArray[np.float64], samplerate: float | None, covering: bool
) -> tuple[Indices, NDArray[np.float64]]:
    intervals = trial_intervals(trl, samplerate)
    if intervals is None or samplerate is None:
        raise InvalidValueError("object with a samplerate", "select: latency", "samplerate is None")
    low, high = _window(value, intervals, covering)
    first = np.ceil(low * samplerate - trl[:, 2] - sample_slack(low * samplerate))
    stop = np.floor(high * samplerate - trl[:, 2] + sample_slack(high * samplerate)) + 1
    lengths = trl[:, 1] - trl[:, 0]
    if covering:
        keep = (first >= 0) & (stop <= lengths) & (first < stop)
        if not keep.any():
            raise InvalidValueError(
                "window that at least one trial covers; trials span "
                f"{intervals.min():g} to {intervals.max():g} s",
                "latency",
                f"[{low:g}, {high:g}]",
            )
        trials, trl, first, stop = trials[keep], trl[keep], first[keep], stop[keep]
    else:
        first, stop = np.maximum(first, 0), np.minimum(stop, lengths)
        if (first >= stop).any():
            k = int(np.flatnonzero(first >= stop)[0])
            raise InvalidValueError(
                f"window that overlaps every selected trial; trial {trials[k]} spans "
                f"{intervals[k, 0]:g} to {intervals[k, 1]:g} s",
                "select: latency",
                f"[{low:g}, {high:g}]",
            )
    cut = trl.copy()
    cut[:, 0], cut[:, 1], cut[:, 2] = trl[:, 0] + first, trl[:, 0] + stop, trl[:, 2] + first
    return trials, cut


def latency_window(value: Any, intervals: NDArray[np.float64]) -> tuple[float, float]:
    """First and last time of a window given as [t0, t1] or as a word, for trials with these intervals."""
    return _window(value, intervals, True)


def _window(value: Any, intervals: NDArray[np.float64], covering: bool) -> tuple[float, float]:
    name = "latency" if covering else "select: latency"
    if isinstance(value, str):
        if not covering or value not in LATENCY_WORDS:
            words = f", or one of {', '.join(LATENCY_WORDS)}" if covering else ""
            raise InvalidValueError(f"'all', [t0, t1] in seconds{words}", name, value)
        return _named_window(value, intervals)
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, name, "[t0, t1] in seconds (list or numpy.ndarray)")
    limits = _pair(value, name, "[t0, t1] in seconds")
    if limits.shape != (2,) or np.isnan(limits).any() or limits[0] > limits[1]:
        raise InvalidValueError("[t0, t1] in seconds with t0 <= t1", name, value)
    return float(limits[0]), float(limits[1])


def _named_window(word: str, intervals: NDArray[np.float64]) -> tuple[float, float]:
    starts, ends = intervals[:, 0], intervals[:, 1]
    low, high = {
        "maxperiod": (starts.min(), ends.max()),
        "minperiod": (starts.max(), ends.min()),
        "prestim": (starts.min(), 0.0),
        "poststim": (0.0, ends.max()),
    }[word]
    if low > high:
        raise InvalidValueError("window that exists in the data", "latency", f"{word}: [{low:g}, {high:g}]")
    return float(low), float(high)
