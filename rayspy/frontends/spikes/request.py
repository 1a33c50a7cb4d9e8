"""What front-ends for spikes share: which trials, which cells, which window; how plans run and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.base import BaseData
from rayspy.data.quantity import Measured
from rayspy.data.selection import SAMPLE_SLACK, Selection, latency_window, trial_intervals
from rayspy.data.spike import SpikeData, default_code_names
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Steps
from rayspy.frontends.compute import selected
from rayspy.methods.base import Method, OutputSpec
from rayspy.methods.reductions import Reduction
from rayspy.methods.spikes.base import Cells, rows_of_trials
from rayspy.planning.plan import Plan, make_plan
from rayspy.progress import message
from rayspy.storage.sources import ArraySource

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Spikes:
    """Selected spikes.

    Attributes
    ----------
    data : SpikeData
        Where they are.
    ids : ndarray of int
        Numbers of the trials.
    trl : ndarray
        Selected trials as they are.
    cells : Cells
        Selected cells.
    samplerate : float
        Hz.
    window : tuple of float
        First and last time in seconds.
    """

    data: SpikeData
    ids: NDArray[np.int64]
    trl: NDArray[np.float64]
    cells: Cells
    samplerate: float
    window: tuple[float, float]

    @property
    def cut(self) -> NDArray[np.float64]:
        """Trials cut to the window; without samples where they have none in it."""
        low, high = (time * self.samplerate for time in self.window)
        first = np.maximum(np.ceil(low - self.trl[:, 2] - SAMPLE_SLACK), 0)
        lengths = self.trl[:, 1] - self.trl[:, 0]
        stop = np.minimum(np.floor(high - self.trl[:, 2] + SAMPLE_SLACK) + 1, lengths)
        first, stop = np.minimum(first, lengths), np.maximum(stop, np.minimum(first, lengths))
        trl = self.trl.copy()
        trl[:, 0], trl[:, 1] = self.trl[:, 0] + first, self.trl[:, 0] + stop
        trl[:, 2] += first
        return trl

    def only(self, keep: NDArray[np.bool_]) -> Spikes:
        """Some of the trials."""
        return replace(self, ids=self.ids[keep], trl=self.trl[keep])

    def covering(self, window: tuple[float, float]) -> NDArray[np.bool_]:
        """Which trials have the whole window."""
        low, high = (time * self.samplerate for time in window)
        lengths = self.trl[:, 1] - self.trl[:, 0]
        starts = low - self.trl[:, 2] >= -SAMPLE_SLACK
        return np.asarray(starts & (high - self.trl[:, 2] <= lengths - 1 + SAMPLE_SLACK))


def check_spikes(data: Any, name: str = "data") -> SpikeData:
    """Accept spikes with a samplerate."""
    if not isinstance(data, SpikeData):
        raise InvalidTypeError(data, name, "SpikeData;")
    if data.data is None:
        raise InvalidValueError("object with spikes", name, "empty SpikeData")
    if data.samplerate is None:
        raise InvalidValueError("object with a samplerate", name, "samplerate None")
    return data


def spikes_of(function: str, data: SpikeData, select: Any, latency: Any, vartriallen: Any) -> Spikes:
    """Resolve what a call is about; reads nothing but the codes of a file that was never read."""
    check_bool(vartriallen, "vartriallen")
    selection = selected(check_spikes(data), select)
    trl = selection.trialdefinition
    filled = trl[:, 1] > trl[:, 0]
    if not filled.any():
        raise InvalidValueError("trials with at least one sample", "trialdefinition", "empty trials only")
    rate = float(data.samplerate or np.nan)
    intervals = trial_intervals(trl[filled], rate)
    word = "maxperiod" if latency is None or _is_all(latency) else latency
    window = latency_window(word, np.asarray(intervals))
    _check_overlap(np.asarray(intervals), window)
    found = Spikes(data, selection.trial_numbers, trl, cells_of(data, selection), rate, window)
    _tell_outside(function, data)
    if not vartriallen:
        found = _only_covering(function, found)
    return found


def _is_all(latency: Any) -> bool:
    return isinstance(latency, str) and latency == "all"


def _check_overlap(intervals: Array, window: tuple[float, float]) -> None:
    if window[0] > intervals.max() or window[1] < intervals.min():
        legal = f"window within the trials, {intervals.min():g} to {intervals.max():g} s"
        raise InvalidValueError(legal, "latency", f"[{window[0]:g}, {window[1]:g}]")


def _only_covering(function: str, spikes: Spikes) -> Spikes:
    keep = spikes.covering(spikes.window)
    if not keep.any():
        low, high = spikes.window
        legal = "window that at least one trial covers, or vartriallen=True"
        raise InvalidValueError(legal, "latency/vartriallen", f"[{low:g}, {high:g}]")
    if not keep.all():
        message(function, f"left out {int((~keep).sum())} trials that do not cover the window")
    return spikes.only(keep)


def _tell_outside(function: str, data: SpikeData) -> None:
    if n := data.count_outside():
        message(function, f"{n} of {data.source.shape[0]} spikes are in no trial and do not count")


def cells_of(data: SpikeData, selection: Selection) -> Cells:
    """Selected cells, in the order of their codes."""
    pairs = data.pairs
    for k, dim in enumerate(data.code_dims):
        pairs = pairs[np.isin(pairs[:, k], data.selected_codes(selection, dim))]
    if not len(pairs):
        raise InvalidValueError("selection with at least one unit", "select", dict(selection.select))
    columns = tuple(data.dimord.index(name) for name in data.default_dimord)
    return Cells(pairs, columns, tuple(_names(data, pairs)))


def _names(data: SpikeData, pairs: Array) -> list[str]:
    """Names ``channel_unit``: codes as Syncopy has them, names where the user gave any."""
    parts = []
    for k, dim in enumerate(data.code_dims):
        codes, labels = data.codes(dim), data.describe().labels[dim]
        if np.array_equal(labels, default_code_names(dim, codes)):
            parts.append([f"{dim}{code}" for code in pairs[:, k].tolist()])
        else:
            parts.append([str(labels[place]) for place in np.searchsorted(codes, pairs[:, k])])
    return [f"{channel}_{unit}" for channel, unit in zip(*parts, strict=True)]


_COUNTED = {
    "rate": ("firing rate", "spikes/s"),
    "spikecount": ("spike count", "1"),
    "proportion": ("proportion of spikes", "1"),
}
_MEANINGS = {
    "spike_fano": ("Fano factor", "1"),
    "spike_xcorr": ("cross-correlation", None),
    "spikefieldcoherence": ("spike-field coherence", "1"),
}


def _meaning(name: str, output: Any) -> tuple[str | None, str | None]:
    """Quantity and unit of the result of a function with this output."""
    if name in _MEANINGS:
        return _MEANINGS[name]
    if isinstance(output, str) and output in _COUNTED:
        return _COUNTED[output]
    return (output, None) if isinstance(output, str) else (None, None)


@dataclass(frozen=True, eq=False)
class Finished:
    """Results of a step, still to be made objects."""

    data: BaseData
    meaning: tuple[str | None, str | None]
    sources: Mapping[str, ArraySource]
    specs: Mapping[str, OutputSpec]

    def make(self, cls: type[BaseData], source: ArraySource, spec: OutputSpec) -> Any:
        """Make an object of a result."""
        made = cls.from_parts(source, spec.trialdefinition, spec.samplerate, spec.labels, spec.dims)
        if isinstance(made, Measured):
            made.quantity, made.unit = self.meaning
        made.info.update(self.data.info)
        return made


def plan_of(
    name: str, method: Method, spikes: Spikes, reduction: Reduction | None, trl: Array | None = None
) -> Plan:
    """Plan a method over the spikes of trials, or of the given trials."""
    bounds = spikes.data.row_bounds(spikes.cut if trl is None else trl)
    source, spec = rows_of_trials(spikes.data.source, bounds, spikes.data.dimord)
    return make_plan(name, method, source, spec, {}, reduction)


def finished(plan: Plan, data: BaseData, output: Any = None) -> Steps[Finished]:
    """One step; `output` is the setting that says what the numbers are."""
    done = yield plan
    return Finished(data, _meaning(plan.name, output), done.sources, plan.results)
