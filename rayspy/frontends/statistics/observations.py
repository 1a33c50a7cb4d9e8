"""Observations of a test: trials of objects, or objects, as rows of an array of points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.selection import Selection
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.compute import selected
from rayspy.limits import inmemory_limit
from rayspy.methods.statistics.draws import Observations
from rayspy.storage.leases import StoredArray
from rayspy.storage.parts import PartsTarget
from rayspy.storage.scratch import check_space, new_target
from rayspy.storage.sources import MemorySource, Parts, PartsSource

Array = NDArray[Any]

PIECE_BYTES = 2**24
"""Observations are stored and read in pieces of points of about this size."""


@dataclass(frozen=True, eq=False)
class Observation:
    """One trial of one object."""

    data: BaseData
    selection: Selection
    trial: int
    origin: str
    """Where it comes from, for messages."""


@dataclass(frozen=True, eq=False)
class Space:
    """What the points of a test are.

    Attributes
    ----------
    dims : tuple of str
        Dimensions of the result.
    coords : dict of str to ndarray
        Times in seconds, frequencies in Hz, labels of channels.
    averaged : tuple of str
        Dimensions that are averaged over.
    """

    kind: str
    dims: tuple[str, ...]
    coords: dict[str, Array]
    averaged: tuple[str, ...]
    samplerate: float | None
    pairs: tuple[Array, Array] | None = None
    """Places of the first and second channel of each pair, where matrices are tested pair by pair."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        return tuple(len(self.coords[dim]) for dim in self.dims)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Groups:
    """Observations in the order given, and which argument each belongs to."""

    observations: tuple[Observation, ...]
    group: NDArray[np.int64]
    space: Space = field(repr=False)

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def about(self) -> str:
        """How many observations of how many points."""
        return f"{len(self)} observations x {self.space.n_points} points"


def collect(
    data: Sequence[Any],
    kinds: tuple[type[BaseData], ...],
    select: Callable[[BaseData], dict[str, Any]],
    averaged: tuple[str, ...],
    directed: bool = False,
) -> Groups:
    """Find the observations of a call; reads no data.

    Parameters
    ----------
    data : sequence
        Per argument an object, whose trials are observations, or a list of objects
        with one trial each.
    kinds : tuple of type
        Classes of objects that are accepted.
    select : callable
        Gives the selection from an object.
    averaged : tuple of str
        Dimensions to average over.
    directed : bool
        Of matrices of channels both [i, j] and [j, i] are taken.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        The objects are no such observations, or do not fit together.
    """
    if not data:
        raise InvalidValueError("at least one data object or list of objects", "data", "nothing")
    names = " or ".join(kind.__name__ for kind in kinds)
    found: list[Observation] = []
    group: list[int] = []
    for number, argument in enumerate(data):
        items = list(argument) if isinstance(argument, (list, tuple)) else [argument]
        if not items:
            raise InvalidValueError("list with at least one object", f"data[{number}]", "empty list")
        for k, item in enumerate(items):
            origin = f"data[{number}]" + (f"[{k}]" if isinstance(argument, (list, tuple)) else "")
            if not isinstance(item, kinds):
                raise InvalidTypeError(item, origin, f"{names}, or list of such objects;")
            if item.data is None:
                raise InvalidValueError("object with data", origin, f"empty {type(item).__name__}")
            selection = selected(item, select(item) or None)
            n = len(selection.trial_numbers)
            if len(items) > 1 and n > 1:
                raise InvalidValueError(
                    "objects with one trial each where a list of objects (subjects) is given: average over "
                    "trials first, for example with keeptrials=False",
                    origin,
                    f"object with {n} trials",
                )
            found += [Observation(item, selection, j, origin) for j in range(n)]
            group += [number] * n
    return Groups(tuple(found), np.array(group, dtype=np.int64), _common_space(found, averaged, directed))


def _common_space(found: list[Observation], averaged: tuple[str, ...], directed: bool) -> Space:
    first = found[0]
    for other in found[1:]:
        _check_alike(first, other)
    kind, dims = type(first.data).__name__, _dims_of(first.data)
    if first.data.source.dtype.kind == "c":
        raise InvalidValueError(
            "real data; tests compare real numbers: output='pow', or `coh`, of complex results",
            first.origin,
            f"{first.data.source.dtype} data",
        )
    pairs, names = None, np.empty(0)
    if "channel_i" in dims:
        pairs, names = _pairs_of(first, directed)
        dims = (*dims[:-2], "channelcmb")
    coords: dict[str, Array] = {}
    for dim in dims:
        if pairs is not None and dim == "channelcmb":
            values = names
        else:
            values = _times(first) if dim == "time" else first.selection.labels(dim)
        coords[dim] = _mean_label(values, dim) if dim in averaged else values
    return Space(kind, dims, coords, averaged, first.data.samplerate, pairs)


def _pairs_of(one: Observation, directed: bool) -> tuple[tuple[Array, Array], Array]:
    """Places and names of the pairs of a matrix; each once, unless directed, if channels are the same."""
    first, second = one.selection.labels("channel_i"), one.selection.labels("channel_j")
    apart = first[:, None] != second[None]
    if not directed and np.array_equal(first, second):
        apart = np.triu(apart, 1)
    i, j = np.nonzero(apart)
    if not len(i):
        raise InvalidValueError("at least two channels", one.origin, f"{len(first)} x {len(second)} channels")
    return (i, j), np.array([f"{first[a]}--{second[b]}" for a, b in zip(i, j, strict=True)])


def _stored_dims(data: BaseData) -> tuple[str, ...]:
    """All dimensions of an object, in their usual order."""
    listed = "channelcmb" in data.dimord
    return ("time", "freq", "channelcmb") if listed else type(data).default_dimord


def _dims_of(data: BaseData) -> tuple[str, ...]:
    """Dimensions that observations have in common; tapers are averaged over."""
    return tuple(dim for dim in _stored_dims(data) if dim != "taper")


def _mean_label(values: Array, dim: str) -> Array:
    if values.dtype.kind in "iuf":
        return np.array([values.mean()])
    return np.array([f"mean of {len(values)} {dim}s"])


def _times(one: Observation) -> Array:
    times = one.selection.time if one.data.selection is None else one.data.selection.time
    if one.selection.clock is None and getattr(one.data, "info", {}).get("toi") is not None:
        known = one.data.time
        if known is not None and len(known[int(one.selection.trial_numbers[one.trial])]) == _length(one):
            return np.asarray(known[int(one.selection.trial_numbers[one.trial])])
    if times is None:
        return np.arange(_length(one), dtype=np.float64)
    return np.asarray(times[int(one.selection.trial_numbers[one.trial])], dtype=np.float64)


def _length(one: Observation) -> int:
    row = one.selection.trialdefinition[one.trial]
    return int(row[1] - row[0])


def _check_alike(first: Observation, other: Observation) -> None:
    """Refuse observations that do not have the same points."""
    where = f"{other.origin}, trial {other.selection.trial_numbers[other.trial]}"
    if type(other.data) is not type(first.data):
        raise InvalidTypeError(other.data, other.origin, f"{type(first.data).__name__} as {first.origin};")
    if _length(other) != _length(first):
        raise InvalidValueError(
            f"observations of equal length ({_length(first)} time points in {first.origin}); "
            "cut them with latency=[t0, t1]",
            where,
            f"{_length(other)} time points",
        )
    same_object = other.data is first.data
    if not same_object and other.data.source.dtype.kind == "c" and first.data.source.dtype.kind != "c":
        raise InvalidValueError("real data", where, f"{other.data.source.dtype} data")
    if not same_object and other.data.samplerate != first.data.samplerate:
        raise InvalidValueError(
            f"objects with samplerate {first.data.samplerate} Hz", where, other.data.samplerate
        )
    offsets = [one.selection.trialdefinition[one.trial, 2] for one in (first, other)]
    if _length(first) > 1 and abs(offsets[0] - offsets[1]) > 0.5:
        rate = first.data.samplerate
        late = f"{(offsets[1] - offsets[0]) / (rate or 1):g} {'s' if rate else 'samples'}"
        raise InvalidValueError(
            "time-locked observations, which begin at the same time; cut them with latency=[t0, t1]",
            where,
            f"begins {late} after the first",
        )
    if not same_object:
        _check_labels(first, other, where)


def _check_labels(first: Observation, other: Observation, where: str) -> None:
    for dim in _dims_of(first.data):
        if dim == "time":
            continue
        a, b = first.selection.labels(dim), other.selection.labels(dim)
        numbers = a.dtype.kind in "iuf" and b.dtype.kind in "iuf"
        if len(a) != len(b) or not (
            np.allclose(a, b, rtol=1e-6, atol=0.0) if numbers else np.array_equal(a, b)
        ):
            raise InvalidValueError(
                f"the same {dim} labels in the same order as {first.origin} ({_some(a)})", where, _some(b)
            )


def _some(labels: Array) -> str:
    shown = ", ".join(str(label) for label in labels[:4])
    return f"{len(labels)}: {shown}{' ...' if len(labels) > 4 else ''}"


# -- reading ------------------------------------------------------------------------------


def gathered(groups: Groups, order: NDArray[np.int64], name: str) -> Observations:
    """Read the observations, in an order, into memory or, where they are large, into the scratch folder.

    Parameters
    ----------
    groups : Groups
        Observations.
    order : ndarray of int
        Number of the observation that is row i.
    name : str
        Front-end, for messages.
    """
    rows = [groups.observations[int(k)] for k in order]
    space, dtype = groups.space, _dtype(groups)
    row_bytes = len(rows) * dtype.itemsize
    n_bytes = row_bytes * space.n_points
    if n_bytes <= inmemory_limit():
        array = np.empty((len(rows), space.n_points), dtype)
        for out, row in zip(array, rows, strict=True):
            out[:] = read_points(row, space)
        return Observations(MemorySource(array), (0, space.n_points))
    check_space(n_bytes, f"the observations of {name}")
    target, final = new_target()
    try:
        return _stored(rows, space, dtype, target, final)
    except BaseException:
        target.discard()
        raise


def _stored(
    rows: list[Observation], space: Space, dtype: np.dtype[Any], target: PartsTarget, final: str
) -> Observations:
    edges, parts = [0], []
    for piece in _pieces(space, len(rows) * dtype.itemsize):
        width = space.n_points // space.shape[piece[0]] * (piece[2] - piece[1])
        block = np.empty((len(rows), width), dtype)
        for out, row in zip(block, rows, strict=True):
            out[:] = read_points(row, space, piece)
        parts.append(target.write((0, edges[-1]), block))
        edges.append(edges[-1] + width)
    shape = (len(rows), space.n_points)
    table = Parts.of(parts, len(shape))
    target.commit(final, shape, dtype, table)
    keep = StoredArray(str(Path(final)))
    return Observations(PartsSource(final, shape, dtype, table, keep), tuple(edges))


def _pieces(space: Space, point_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Axis of the result and a range along it; all axes before it have length 1."""
    axis = next((k for k, n in enumerate(space.shape) if n > 1), 0)
    n = space.shape[axis]
    step = max(1, PIECE_BYTES * n // (point_bytes * space.n_points))
    for low in range(0, n, step):
        yield axis, low, min(low + step, n)


def _dtype(groups: Groups) -> np.dtype[Any]:
    """Single precision where nothing is averaged and all objects have it."""
    space = groups.space
    single = not space.averaged and all(
        one.data.source.dtype in (np.float32, np.float16, np.int16, np.int8, np.uint8)
        and ("taper" not in one.data.dimord or _n_tapers(one) == 1)
        for one in {id(one.data): one for one in groups.observations}.values()
    )
    return np.dtype(np.float32 if single else np.float64)


def _n_tapers(one: Observation) -> int:
    return len(one.selection.labels("taper"))


def read_points(one: Observation, space: Space, piece: tuple[int, int, int] | None = None) -> Array:
    """Points of one observation, flat; `piece` is a range along one dimension of the result."""
    data, selection = one.data, one.selection
    start, stop = (int(s) for s in selection.trialdefinition[one.trial, :2])
    index: dict[str, Any] = {"time": slice(start, stop), **selection.index}
    late = piece is not None and space.pairs is not None and space.dims[piece[0]] == "channelcmb"
    if piece is not None and not late and space.dims[piece[0]] not in space.averaged:
        dim, low, high = space.dims[piece[0]], piece[1], piece[2]
        if dim == "time":
            index["time"] = slice(start + low, start + high)
        else:
            index[dim] = index[dim][low:high] if dim in index else slice(low, high)
    array = ArrayView(data.source)[tuple(index.get(dim, slice(None)) for dim in data.dimord)]
    default = _stored_dims(data)
    array = array.transpose([data.dimord.index(dim) for dim in default])
    if space.pairs is not None:
        first, second = space.pairs
        array, default = array[..., first, second], (*default[:-2], "channelcmb")
    averaged = tuple(
        k for k, dim in enumerate(default) if dim in space.averaged or (dim == "taper" and array.shape[k] > 1)
    )
    if averaged:
        array = array.mean(axis=averaged, dtype=np.float64)
    flat: Array = array.reshape(-1)
    return flat[piece[1] : piece[2]] if late and piece is not None else flat
