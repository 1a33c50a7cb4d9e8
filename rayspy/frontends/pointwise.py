"""The way of functions that treat every time point by itself: a recording is cut into short pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.quantity import Measured
from rayspy.data.selection import Selection
from rayspy.errors import InvalidValueError
from rayspy.frontends.compute import selected
from rayspy.methods.base import InputSpec, Method
from rayspy.planning.geometry import TILE_BYTES
from rayspy.planning.plan import Plan, make_plan
from rayspy.storage.derived import RunsSource
from rayspy.storage.sources import ArraySource


@dataclass(frozen=True, eq=False)
class Stacked:
    """What is selected of an object: its trials one behind the other, without gaps."""

    source: ArraySource
    trialdefinition: NDArray[np.float64]
    labels: Mapping[str, NDArray[Any]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples per trial."""
        return (self.trialdefinition[:, 1] - self.trialdefinition[:, 0]).astype(np.int64)


def stacked(data: BaseData, select: Any = None) -> Stacked:
    """Take what is selected of an object, its active selection included; reads no data."""
    return stack_of(data, selected(data, select))


def stack_of(data: BaseData, selection: Selection) -> Stacked:
    """Take a selection of an object; reads no data."""
    trl = selection.trialdefinition.copy()
    empty = np.flatnonzero(trl[:, 0] >= trl[:, 1])
    if empty.size:
        raise InvalidValueError(
            "trials with at least one sample", "trialdefinition", f"empty trial {empty[0]}"
        )
    stops = np.cumsum(trl[:, 1] - trl[:, 0])
    trl[:, 0], trl[:, 1] = stops - (trl[:, 1] - trl[:, 0]), stops
    labels = {dim: selection.labels(dim) for dim in selection.description.labels}
    return Stacked(runs_of(data, selection), trl, labels)


def runs_of(data: BaseData, selection: Selection) -> ArraySource:
    """Selected trials of an object as one array; the object's own where all of it is selected."""
    axis = data.dimord.index("time")
    starts, stops = (selection.trialdefinition[:, k].astype(np.int64) for k in (0, 1))
    whole = starts[0] == 0 and stops[-1] == data.source.shape[axis] and (starts[1:] == stops[:-1]).all()
    if whole and not selection.index:
        return data.source
    index = {data.dimord.index(dim): indices for dim, indices in selection.index.items()}
    return RunsSource(data.source, axis, starts, stops, index)


def like(
    base: BaseData,
    source: ArraySource,
    trl: NDArray[np.float64],
    labels: Mapping[str, NDArray[Any]],
    channels: NDArray[np.int64] | None = None,
) -> Any:
    """Make an object of a result that otherwise is like `base`, or like these channels of it."""
    made: BaseData = type(base).from_parts(source, trl, base.samplerate, labels, tuple(base.dimord))
    if isinstance(base, Measured) and isinstance(made, Measured):
        made.quantity, unit = base.quantity, base.unit_of(channels)
        fits = not isinstance(unit, np.ndarray) or len(unit) == len(labels["channel"])
        made.unit = unit if fits else None
    made.info.update(base.info)
    return made


def pointwise_plan(
    name: str,
    method: Method,
    template: BaseData,
    source: ArraySource,
    labels: Mapping[str, NDArray[Any]],
    chan_per_worker: int | None = None,
) -> Plan:
    """Plan a method that treats every time point by itself, in pieces that fit into the processor's cache.

    Parameters
    ----------
    name : str
        Front-end, for messages.
    method : Method
        What to do.
    template : BaseData
        Object whose class, order of dimensions and samplerate the result has.
    source : ArraySource
        Selected data, trials one behind the other; the result has the same rows. What
        the engine calls trials are the pieces here.
    labels : mapping of str to ndarray
        Labels of `source`.
    chan_per_worker
        As in `freqanalysis`.
    """
    dims = tuple(template.dimord)
    edges = _edges(source, dims.index("time")).astype(np.float64)
    pieces = np.column_stack([edges[:-1], edges[1:], np.zeros(len(edges) - 1)])
    kind = type(template).__name__
    spec = InputSpec(kind, dims, source.dtype, template.samplerate, pieces, dict(labels))
    return make_plan(name, method, source, spec, {}, chan_per_worker=chan_per_worker)


def _edges(source: ArraySource, axis: int) -> NDArray[np.int64]:
    """First row of each piece, and the row behind the last."""
    rows = source.shape[axis]
    row_bytes = int(np.prod(source.shape, dtype=np.int64)) // max(1, rows) * max(4, source.dtype.itemsize)
    return np.append(np.arange(0, rows, max(1, TILE_BYTES // max(1, row_bytes))), rows)


def places_with_nan(
    source: ArraySource, axis: int, trl: NDArray[np.float64], pieces: Iterable[int]
) -> list[int]:
    """Which trials have NaN, looked for in the pieces that do.

    Parameters
    ----------
    source : ArraySource
        Trials one behind the other.
    axis : int
        Axis of time.
    trl : ndarray
        First row of each trial and row behind its last.
    pieces : iterable of int
        Numbers of the pieces with NaN, as the run of a `pointwise_plan` tells.
    """
    edges, found = _edges(source, axis), set[int]()
    others = tuple(k for k in range(len(source.shape)) if k != axis)
    with source.reader() as read:
        for k in pieces:
            region = [slice(0, n) for n in source.shape]
            region[axis] = slice(int(edges[k]), int(edges[k + 1]))
            rows = np.flatnonzero(np.isnan(read(tuple(region))).any(axis=others)) + edges[k]
            found.update(np.searchsorted(trl[:, 1], rows, side="right").tolist())
    return sorted(found)
