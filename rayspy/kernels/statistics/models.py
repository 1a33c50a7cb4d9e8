"""Statistics of many relabellings as weighted sums of observations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.relabelling import Relabelling

Array = NDArray[Any]

KINDS = ("t", "F", "r")
"""Statistics by their number in the loop."""
REMOVED = ("", "basis", "units", "pairs")
"""Nuisances by their number in the loop."""
_TILE_BYTES = 2**18
"""Observations of some points, which stay in the processor's cache while all draws of a batch use them."""


@dataclass(frozen=True, eq=False)
class Model:
    r"""A statistic of a linear model.

    With rows :math:`w_r` of weights and observations y from which the nuisance was
    removed, :math:`A = \sum (w_r y)^2` over the tested rows, C the same over the
    rows of covariates and :math:`S = \sum y^2`:

    - F = (A / df1) / ((S - C - A) / df2),
    - t = w y / sqrt((S - C - (w y)^2) / df2), with its sign,
    - r = w y / sqrt(S - C), the (partial) correlation.

    A relabelling changes w only, and S not at all. These are the pooled two-sample,
    paired and one-sample t, F of one factor between or within, and t of a regressor
    with covariates whose residuals are permuted (Freedman & Lane 1983, J. Bus.
    Econ. Stat. 1:292; Winkler et al. 2014, NeuroImage 92:381).

    Parameters
    ----------
    kind : {'t', 'F', 'r', 'function'}
        Which.
    weights : ndarray, shape (row, observation)
        Tested rows, then covariates; orthonormal.
    n_tested : int
        Number of tested rows.
    df1, df2 : int
        Degrees of freedom; df1 is for F only.
    removed : {'', 'basis', 'units', 'pairs'}
        Nuisance: nothing, the space of `basis`, the mean of each unit, or differences
        of the first and second of each pair take the place of the observations.
    basis : ndarray, shape (row, observation)
        Orthonormal.
    unit_size : int
        Consecutive observations of a unit.
    function : callable, optional
        The user's statistic ``function(data, design)`` for kind 'function'.
    labels : ndarray, optional
        What it gets as design.
    """

    kind: str
    weights: Array
    n_tested: int
    df1: int
    df2: int
    removed: str
    basis: Array
    unit_size: int = 1
    function: Callable[[Array, Array], Array] | None = None
    labels: Array | None = None


def tile_width(n_observations: int) -> int:
    """Points that are computed together; depends on the number of observations only."""
    return int(np.clip(_TILE_BYTES // (8 * n_observations) // 64 * 64, 64, 1024))


def statistics(model: Model, relabelling: Relabelling, draws: range, y: Array, out: Array) -> None:
    """Compute the statistic of some draws at some points.

    Parameters
    ----------
    model, relabelling
        What to compute.
    draws : range
        Numbers of the draws; 0 is the observed labelling.
    y : ndarray, shape (observation, point)
        Observations as they were recorded.
    out : ndarray of double, shape (draw, point)
        Where the results go. NaN where all observations are equal or one is NaN.
    """
    if model.function is not None:
        _of_function(model, relabelling, draws, y, out)
    elif len(draws):
        _relabelled(model, relabelling, draws, y, out, np.inf, 0, 0, Beyond.empty(0, 0))


@dataclass(frozen=True, eq=False)
class Beyond:
    """Points where the statistic of each draw lies beyond a threshold, in order.

    Attributes
    ----------
    points : ndarray of int, shape (draw, room)
        Their numbers.
    values : ndarray of double, shape (draw, room)
        Their statistic.
    counts : ndarray of int, shape (draw,)
        How many there are.
    """

    points: Array
    values: Array
    counts: Array

    @classmethod
    def empty(cls, n_draws: int, n_points: int) -> Beyond:
        """Room for all points of each draw; memory is used for those that there are only."""
        shape = (n_draws, n_points + 1 if n_draws else 0)
        number = np.int32 if n_points < 2**31 - 1 else np.int64
        return cls(np.empty(shape, number), np.empty(shape), np.zeros(n_draws, np.int64))

    def of_draw(self, d: int) -> tuple[Array, Array]:
        """Numbers and values of one draw."""
        n = int(self.counts[d])
        return self.points[d, :n], self.values[d, :n]


def add_beyond(
    model: Model,
    relabelling: Relabelling,
    draws: range,
    y: Array,
    limit: tuple[float, int],
    first: int,
    found: Beyond,
) -> None:
    """Add to the points where the statistic of draws lies beyond a threshold those of some more points.

    Parameters
    ----------
    model, relabelling, draws, y
        As in `statistics`; not for functions of users.
    limit : float and int
        Threshold, and its sign as in `Summary`.
    first : int
        Number of the first point.
    found : Beyond
        Where they are added.
    """
    _relabelled(model, relabelling, draws, y, np.empty((0, 0)), *limit, first, found)


def _relabelled(
    model: Model,
    relabelling: Relabelling,
    draws: range,
    y: Array,
    everything: Array,
    threshold: float,
    signs: int,
    first: int,
    found: Beyond,
) -> None:
    from rayspy.kernels.loops.relabelled import relabelled

    weights = np.stack([relabelling.weights(model.weights, k) for k in draws]).astype(np.float64)
    basis, removed = np.ascontiguousarray(model.basis), REMOVED.index(model.removed)
    how = model.n_tested, float(model.df1), float(model.df2), KINDS.index(model.kind), tile_width(len(y))
    where = found.points, found.values, found.counts
    # every layout of memory would be compiled anew, and what cannot be written to as well
    out, x = np.ascontiguousarray(everything), np.ascontiguousarray(y).view()
    x.flags.writeable = False
    relabelled(x, removed, basis, model.unit_size, weights, *how, out, threshold, signs, first, *where)
    if out is not everything:
        everything[...] = out


def _of_function(model: Model, relabelling: Relabelling, draws: range, y: Array, out: Array) -> None:
    if model.function is None or model.labels is None:
        raise ValueError("no function")
    data = np.array(y, dtype=np.float64)
    for row, k in zip(out, draws, strict=True):
        design = relabelling.design(model.labels, k)
        flipped = data * design[:, None] if relabelling.kind == "flip" else data
        row[:] = checked(
            model.function(flipped, np.ones(len(data)) if relabelling.kind == "flip" else design), data
        )


def checked(values: Any, data: Array) -> Array:
    """Accept what a user's function returned: a real number per point."""
    found = np.asarray(values)
    if found.shape != data.shape[1:] or found.dtype.kind not in "iuf":
        raise ValueError(
            f"the function given as `statistic` has to return {data.shape[1]} real numbers, one per point; "
            f"it returned {found.dtype} of shape {found.shape}"
        )
    return found


# -- models -----------------------------------------------------------------------------


def two_samples(groups: Array) -> Model:
    """Student's t of group 0 minus group 1, pooled variance; `groups` is 0 or 1 per observation."""
    n = np.bincount(groups, minlength=2)
    weights = np.where(groups == 0, np.sqrt(1 / n[0] + 1 / n[1]), 0.0)[None]
    return Model("t", weights, 1, 1, len(groups) - 2, "basis", _constant(len(groups)))


def one_sample(n: int) -> Model:
    """Student's t of the mean against 0."""
    return Model("t", _constant(n), 1, 1, n - 1, "", np.empty((0, n)))


def pairs(n: int) -> Model:
    """Student's t of the differences first minus second of n pairs; observations are a1, b1, a2, b2 ..."""
    return Model("t", _constant(n), 1, 1, n - 1, "pairs", np.empty((0, n)))


def one_way(groups: Array) -> Model:
    """F of one factor between observations."""
    counts = np.bincount(groups)
    weights = np.array([np.where(groups == g, 1 / np.sqrt(n), 0.0) for g, n in enumerate(counts)])
    k, n = len(counts), len(groups)
    return Model("F", weights, k, k - 1, n - k, "basis", _constant(n))


def repeated(n_units: int, n_conditions: int) -> Model:
    """F of one factor within units, sphericity assumed; units stand together, all in the same order."""
    eye = np.eye(n_conditions) / np.sqrt(n_units)
    df1, n = n_conditions - 1, n_units * n_conditions
    weights = np.tile(eye, n_units)
    return Model(
        "F", weights, n_conditions, df1, df1 * (n_units - 1), "units", np.empty((0, n)), n_conditions
    )


def regression(regressor: Array, covariates: Array, kind: str = "t") -> Model:
    """Student's t of a regressor ('t') or its partial correlation ('r'); a constant is always included.

    Parameters
    ----------
    regressor : ndarray, shape (observation,)
        Regressor.
    covariates : ndarray, shape (covariate, observation)
        Covariates, without the constant.
    kind : {'t', 'r'}
        Which.

    Raises
    ------
    ValueError
        The covariates are collinear (the message begins with 'covariates') or
        explain the regressor ('regressor').
    """
    n = len(regressor)
    nuisance = np.concatenate([np.ones((1, n)), covariates])
    basis = _orthonormal(nuisance)
    left = regressor - regressor.mean()
    size = np.sqrt((left**2).sum())
    for _ in range(2):
        left = left - basis.T @ (basis @ left)
    rest = np.sqrt((left**2).sum())
    if not rest > 1e-8 * size:
        raise ValueError("regressor")
    weights = np.concatenate([left[None] / rest, basis[1:]])
    return Model(kind, weights, 1, 1, n - len(nuisance) - 1, "basis", basis)


def _orthonormal(rows: Array) -> Array:
    """Gram-Schmidt, twice, in order: the first row stays a constant."""
    found: list[Array] = []
    for row in rows:
        left = row / np.sqrt((row**2).sum())
        for _ in range(2):
            for other in found:
                left = left - other * (other @ left)
        size = np.sqrt((left**2).sum())
        if not size > 1e-8:
            raise ValueError("covariates")
        found.append(left / size)
    return np.array(found)


def _constant(n: int) -> Array:
    return np.full((1, n), 1 / np.sqrt(n))
