"""Clusters, threshold-free enhancement, and the largest of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.models import Beyond

Array = NDArray[Any]

MASS = ("maxsum", "maxsize", "wcm")
"""Statistics of clusters, by their number in the loop."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Times x frequencies x channels, and which channels are neighbours.

    `index[pointer[c]:pointer[c + 1]]` are the neighbours of channel c.
    """

    n_time: int
    n_freq: int
    pointer: NDArray[np.int64]
    index: NDArray[np.int64]

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.n_time * self.n_freq * (len(self.pointer) - 1)


@dataclass(frozen=True)
class Summary:
    """What is taken from the statistic of a draw.

    Parameters
    ----------
    kind : {'cluster', 'tfce', 'max'}
        Largest cluster, largest enhanced value or largest value.
    signs : int
        1: the largest positive, -1: the largest negative one, 0: the largest of both.
    threshold : float
        For clusters.
    mass : {'maxsum', 'maxsize', 'wcm'}
        Cluster statistic.
    weight : float
        Exponent of 'wcm'.
    extent, height : float
        Exponents E and H of 'tfce'.
    step : float, optional
        'tfce' as a sum over thresholds instead of the integral.
    start : float
        Its first threshold.
    """

    kind: str
    signs: int
    threshold: float = 0.0
    mass: str = "maxsum"
    weight: float = 1.0
    extent: float = 0.5
    height: float = 2.0
    step: float | None = None
    start: float = 0.0


def largest(values: Array, grid: Grid, summary: Summary) -> float:
    """Largest cluster, enhanced value or value of one draw, as a number that is not negative."""
    if summary.kind == "cluster":
        return cluster_masses(values, grid, summary)[2]
    if summary.kind == "tfce":
        values = enhanced_values(values, grid, summary)
    sided = {0: np.abs(values), 1: values, -1: -values}[summary.signs]
    return float(np.max(sided, initial=0.0, where=~np.isnan(sided)))


def cluster_masses(values: Array, grid: Grid, summary: Summary) -> tuple[Array, Array, float]:
    """First point of the cluster of each point (-1: none), masses at the first points, and the largest."""
    from rayspy.kernels.loops.clusters import masses, roots

    parent, mass = np.empty(values.size, np.int64), np.zeros(values.size)
    roots(values, summary.threshold, summary.signs, grid.n_freq, grid.pointer, grid.index, parent)
    kind = MASS.index(summary.mass)
    return parent, mass, masses(values, summary.threshold, kind, summary.weight, parent, mass)


def heaviest_clusters(found: Beyond, grid: Grid, summary: Summary) -> Array:
    """Largest cluster mass of each draw, from the points beyond the threshold."""
    from rayspy.kernels.loops.clusters import heaviest

    most = int(found.counts.max(initial=0))
    place = np.full(grid.n_points, -1, np.int32 if grid.n_points < 2**31 else np.int64)
    parent, mass = np.empty(most, place.dtype), np.empty(most)
    kind, weight = MASS.index(summary.mass), float(summary.weight)
    where = grid.n_freq, grid.pointer, grid.index, place, parent, mass
    draws = (found.of_draw(d) for d in range(len(found.counts)))
    return np.array([heaviest(p, v, summary.threshold, kind, weight, *where) for p, v in draws])


def enhanced_values(values: Array, grid: Grid, summary: Summary) -> Array:
    """Threshold-free cluster enhancement of both signs by themselves, with the sign of the values."""
    from rayspy.kernels.loops.clusters import enhanced

    if summary.step is not None:
        return _stepped(values, grid, summary, summary.step)
    n = values.size
    out, sets = np.zeros(n), np.empty((n, 4))
    jump = np.full(n, -1, np.int32 if n < 2**31 else np.int64)
    for sign in (1.0, -1.0):
        if summary.signs == -sign:
            continue
        heights = sign * values
        points = np.flatnonzero(heights > 0)
        order = points[np.argsort(-heights[points])]
        extent, height = summary.extent, summary.height
        enhanced(heights, order, extent, height, grid.n_freq, grid.pointer, grid.index, jump, sets, out)
        if sign < 0:
            out[order] *= -1.0
    out[np.isnan(values)] = np.nan
    return out


def _stepped(values: Array, grid: Grid, summary: Summary, step: float) -> Array:
    """Sum over thresholds start, start + step ... below the largest value."""
    from rayspy.kernels.loops.clusters import masses, roots

    out = np.zeros(values.size)
    parent, mass = np.empty(values.size, np.int64), np.zeros(values.size)
    top = np.max(np.abs(values), initial=0.0, where=~np.isnan(values))
    for i, threshold in enumerate(np.arange(summary.start, top, step)):
        roots(values, threshold, summary.signs, grid.n_freq, grid.pointer, grid.index, parent)
        masses(values, threshold, MASS.index("maxsize"), 1.0, parent, mass)
        inside = np.flatnonzero(parent >= 0)
        width = step if i else abs(summary.start)
        out[inside] += mass[parent[inside]] ** summary.extent * threshold**summary.height * width
    out[np.isnan(values)] = np.nan
    return np.where(values < 0, -out, out)
