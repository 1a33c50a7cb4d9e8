"""Methods `draws` and `counts`: what relabelled observations give, for ranges of draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.clusters import Grid, Summary, heaviest_clusters, largest
from rayspy.kernels.statistics.models import Beyond, Model, add_beyond, statistics, tile_width
from rayspy.kernels.statistics.probabilities import at_least
from rayspy.kernels.statistics.relabelling import Relabelling
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.storage.sources import ArraySource

Array = NDArray[Any]

BATCH_BYTES = 2**27
"""Statistics of so many draws are in memory at a time; the observations are read once for them."""
MOST_DRAWS = 64
"""Draws per batch at most."""
_FEWEST_DRAWS, _BATCHES = 16, 32
"""Where batches are fewer than this they become smaller, for many workers, but not below so many draws."""


@dataclass(frozen=True, eq=False)
class Observations:
    """Observations by points, read in pieces of points.

    Parameters
    ----------
    source : ArraySource
        Array of shape (observation, point).
    edges : tuple of int
        First point of each piece, and the end.
    """

    source: ArraySource
    edges: tuple[int, ...]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.edges[-1]

    @property
    def piece_bytes(self) -> int:
        """Size of the largest piece."""
        return int(np.diff(self.edges).max()) * self.source.shape[0] * self.source.dtype.itemsize

    def pieces(self) -> Iterator[tuple[slice, Array]]:
        """Read one piece after the other."""
        rows = slice(0, self.source.shape[0])
        with self.source.reader() as read:
            for low, high in zip(self.edges[:-1], self.edges[1:], strict=True):
                yield slice(low, high), read((rows, slice(low, high)))


@dataclass(frozen=True, eq=False)
class Relabelled:
    """Observations, the statistic to compute, and how labels are exchanged."""

    observations: Observations
    model: Model
    relabelling: Relabelling

    def values(self, draws: range) -> Array:
        """Statistic of some draws, shape (draw, point)."""
        out = np.empty((len(draws), self.observations.n_points))
        for points, y in self.observations.pieces():
            statistics(self.model, self.relabelling, draws, y, out[:, points])
        return out

    def beyond(self, draws: range, threshold: float, signs: int) -> Beyond:
        """Points where the statistic of some draws lies beyond a threshold."""
        found = Beyond.empty(len(draws), self.observations.n_points)
        for points, y in self.observations.pieces():
            add_beyond(self.model, self.relabelling, draws, y, (threshold, signs), points.start, found)
        return found


def batch_size(n_points: int, n_draws: int) -> int:
    """Draws per batch: no more than leave many batches, and as many as share reading and preparing."""
    most = int(np.clip(BATCH_BYTES // (8 * n_points), 1, MOST_DRAWS))
    return min(most, max(_FEWEST_DRAWS, -(-n_draws // _BATCHES)))


@dataclass(frozen=True, eq=False)
class Draws(Method):
    """The largest cluster, or value, of each draw.

    The input is the numbers of the draws, a batch of them in place of a trial.
    """

    name: ClassVar[str] = "draws"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel"})

    test: Relabelled
    grid: Grid
    summary: Summary

    def output(self, spec: InputSpec) -> OutputSpec:
        """Declare one number per draw."""
        dtype = np.dtype(np.float64)
        return OutputSpec(
            spec.kind, spec.dims, dtype, spec.lengths, spec.trialdefinition, None, {"channel": np.arange(1)}
        )

    def kernel(self, part: Part) -> Kernel:
        """Bind the test."""
        bound: Kernel = partial(_largest, self)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """Numbers of draws and their weights; statistics, a piece of the observations, finding clusters."""
        n_points = self.grid.n_points
        per_point = {"cluster": 24, "tfce": 80, "max": 24}[self.summary.kind]
        numbers = 8 * length * n_points if self.summary.kind == "cluster" else 0
        shared = _batch_bytes(self.test, length) + per_point * n_points + numbers
        return Work(16 * length, shared, _weight(self.test) * (8 if self.summary.kind == "tfce" else 1))


@dataclass(frozen=True, eq=False)
class Counts(Method):
    """How many draws reach the observed statistic, per point; a number per batch of draws.

    The points stand along the frequency axis of the result.
    """

    name: ClassVar[str] = "counts"
    crosses: ClassVar[frozenset[str]] = frozenset({"freq", "channel"})

    test: Relabelled
    observed: Array
    tail: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """Declare one row per batch."""
        n = len(spec.lengths)
        labels = {"freq": np.arange(len(self.observed)), "channel": np.arange(1)}
        trl = np.column_stack([np.arange(n), np.arange(1, n + 1), np.zeros(n)]).astype(np.float64)
        rows = np.ones(n, np.int64)
        dtype = np.dtype(np.int32)
        return OutputSpec(spec.kind, ("time", "freq", "channel"), dtype, rows, trl, None, labels)

    def kernel(self, part: Part) -> Kernel:
        """Bind the test."""
        bound: Kernel = partial(_counted, self)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """Numbers of draws and their weights; statistics, a piece of the observations, the comparison."""
        n_points = len(self.observed)
        weight = max(1.0, _weight(self.test) * length / (4 * n_points))
        return Work(16 * length, _batch_bytes(self.test, length) + 40 * n_points, weight)


def _batch_bytes(test: Relabelled, length: int) -> int:
    n_rows, n = test.model.weights.shape
    values = test.observations.n_points + 2 * n_rows * n
    read = 0 if test.observations.source.in_memory else 2 * test.observations.piece_bytes
    tile = 16 * int(n) * tile_width(test.observations.source.shape[0])
    return int(8 * length * values) + read + tile


def _weight(test: Relabelled) -> float:
    size = int(test.model.weights.size)
    return max(1.0, test.observations.n_points * (64 + size) / 64)


def _largest(method: Draws, x: Array, out: Array | None = None) -> Array:
    if out is None:
        out = np.empty(x.shape)
    for row, numbers in zip(out, x, strict=True):
        row[:, 0] = _largest_of(method, _as_range(numbers))
    return out


def _largest_of(method: Draws, draws: range) -> Array:
    """Largest cluster or value of each draw; of clusters only their points are kept."""
    test, grid, summary = method.test, method.grid, method.summary
    if summary.kind == "cluster" and test.model.function is None:
        return heaviest_clusters(test.beyond(draws, summary.threshold, summary.signs), grid, summary)
    return np.array([largest(value, grid, summary) for value in test.values(draws)])


def _counted(method: Counts, x: Array, out: Array | None = None) -> Array:
    if out is None:
        out = np.empty((x.shape[0], 1, len(method.observed), 1), np.int32)
    out[:] = 0
    for row, numbers in zip(out[:, 0, :, 0], x, strict=True):
        for value in method.test.values(_as_range(numbers)):
            row += at_least(sided(value, method.tail), method.observed)
    return out


def sided(values: Array, tail: int) -> Array:
    """Values such that large ones speak against the null hypothesis."""
    found: Array = np.abs(values) if tail == 0 else values * tail
    return found


def _as_range(numbers: Array) -> range:
    """Consecutive numbers of draws, as (draw, 1)."""
    return range(int(numbers[0, 0]), int(numbers[-1, 0]) + 1)


def draws_spec(first: int, stop: int, batch: int) -> tuple[Array, InputSpec]:
    """Numbers of draws as an array, and its description with a batch in place of a trial."""
    edges = np.append(np.arange(0, stop - first, batch), stop - first).astype(np.float64)
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(len(edges) - 1)])
    numbers = np.arange(first, stop, dtype=np.int64)[:, None]
    labels = {"channel": np.arange(1)}
    return numbers, InputSpec("Draws", ("time", "channel"), numbers.dtype, None, trl, labels)
