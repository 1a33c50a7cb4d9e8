"""From observations to p values: the engine behind the three front-ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.statistics import StatData
from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError, PathError
from rayspy.frontends.call import Steps
from rayspy.frontends.statistics.designs import Design
from rayspy.frontends.statistics.observations import Space
from rayspy.frontends.statistics.options import MOST_RELABELLINGS, Options
from rayspy.kernels.statistics import probabilities
from rayspy.kernels.statistics.clusters import Grid, Summary, cluster_masses, enhanced_values
from rayspy.limits import memory_budget
from rayspy.methods.reductions import Reduction, Total
from rayspy.methods.statistics.draws import (
    Counts,
    Draws,
    Observations,
    Relabelled,
    batch_size,
    draws_spec,
    sided,
)
from rayspy.planning.plan import make_plan
from rayspy.progress import message, warn
from rayspy.storage.scratch import own_session
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class StatTest:
    """Everything that decides on a result but the number of relabellings."""

    name: str
    options: Options
    design: Design
    space: Space
    grid: Grid
    observations: Observations

    def relabelled(self, exact: bool) -> Relabelled:
        """The test with its relabellings."""
        swap = replace(self.design.relabelling, seed=self.options.seed, exact=exact)
        return Relabelled(self.observations, self.design.model, swap)

    def summary(self) -> Summary:
        """What is taken from each relabelling."""
        o = self.options
        kind = o.correctm if o.correctm in ("cluster", "tfce") else "max"
        return Summary(
            kind,
            o.signs,
            o.threshold or 0.0,
            o.clusterstatistic,
            o.wcm_weight,
            o.tfce_e,
            o.tfce_h,
            o.step,
            o.start,
        )


def completed(options: Options, design: Design) -> Options:
    """Fill in what depends on the statistic: its tail and the threshold of clusters."""
    model = design.model
    options = options.with_tail(model.kind)
    if model.function is not None and options.method == "analytic":
        raise InvalidValueError("method='montecarlo' for a function of your own", "method", options.method)
    if options.correctm == "cluster" and options.threshold is None:
        if model.function is not None:
            raise InvalidValueError(
                "a number: the distribution of a function of your own is not known",
                "clusterthreshold",
                "parametric",
            )
        limit = probabilities.critical(model.kind, model.df1, model.df2, options.signs, options.clusteralpha)
        return replace(options, threshold=limit)
    return options


def check_room(name: str, space: Space) -> None:
    """Refuse points that the calling process cannot hold a dozen numbers of."""
    needed, budget = 12 * 8 * space.n_points, memory_budget()
    if needed > budget:
        raise MemoryBudgetError(
            f"{name} needs {needed / 1e9:.3g} GB for {space.n_points} points, the memory budget is "
            f"{budget / 1e9:.3g} GB; select fewer channels, frequencies or times, average over some, or "
            "raise spy.config.memory_budget (RAYSPY_MEMORY_BUDGET)"
        )


def number_of_draws(design: Design, wanted: int | None) -> tuple[int, bool]:
    """How many relabellings to make besides the observed one, and whether these are all.

    Raises
    ------
    InvalidValueError
        All are wanted and there are too many.
    """
    total = design.relabelling.total
    if wanted is None and total > MOST_RELABELLINGS:
        raise InvalidValueError(
            f"a number: {float(total):.3g} relabellings are too many to make all of them",
            "numrandomization",
            "all",
        )
    if wanted is None or total - 1 <= wanted:
        return total - 1, True
    return wanted, False


def result_of(test: StatTest, wanted: int | None, before: StatData | None = None) -> Steps[StatData]:
    """Make the result; draws, if there are any, are a step.

    Parameters
    ----------
    test : StatTest
        What to test.
    wanted : int or None
        Relabellings besides the observed one; None: all.
    before : StatData, optional
        A result of the same test with fewer relabellings.
    """
    observed = test.relabelled(False).values(range(1))[0] if before is None else before.stat.ravel()
    result = _blank(test, observed) if before is None else replace(before)
    if before is None:
        _warn_of_missing(test, observed)
    if test.options.method == "analytic":
        model = test.design.model
        p = probabilities.of_model(observed, model.kind, model.df1, model.df2, test.options.signs)
        return _with_prob(result, test, probabilities.corrected(p, test.options.correctm))
    n, exact = number_of_draws(test.design, wanted)
    _warn_of_few(test, n)
    done = 0 if before is None or before.exact != exact else before.n_permutations
    result.n_permutations, result.exact = n, exact
    if test.options.correctm in ("cluster", "tfce", "max"):
        found = yield from _largest(test, done + 1, n + 1, exact)
        earlier = result.distribution if done and result.distribution is not None else np.empty(0)
        result.distribution = np.concatenate([earlier, found])
        return _from_distribution(result, test, observed)
    reference = sided(observed, test.options.signs)
    counts = yield from _counted(test, reference, done + 1, n + 1, exact)
    result.counts = counts + (result.counts if done and result.counts is not None else 0)
    p = np.where(np.isnan(observed), np.nan, (1.0 + result.counts) / (1.0 + n))
    return _with_prob(result, test, probabilities.corrected(p, test.options.correctm))


def check_extensible(result: Any) -> StatData:
    """Accept a result that relabellings can be added to."""
    if not isinstance(result, StatData):
        raise InvalidTypeError(result, "result", "StatData;")
    if result.settings.get("method") == "analytic":
        raise InvalidValueError("result of method='montecarlo'", "n", "analytic result")
    if result.exact:
        raise InvalidValueError("result that has not all relabellings yet", "n", "exact result")
    return result


def check_test(result: StatData) -> StatTest:
    """Test of a result that still has its observations."""
    if result.test is None:
        raise InvalidValueError(
            "the objects that the result was computed from, which are not in its file: "
            "result.extend(n, data=(first, second))",
            "data",
            "None, for a result that was loaded",
        )
    test: StatTest = result.test
    return test


def same_test(result: StatData, test: StatTest) -> StatTest:
    """Refuse a test of other data than those of a result."""
    same = test.space.dims == result.dimord and test.space.shape == result.stat.shape
    if same:
        observed = test.relabelled(False).values(range(1))[0]
        same = np.array_equal(observed, result.stat.ravel(), equal_nan=True)
    if not same:
        raise InvalidValueError(
            "the objects that the result was computed from, in the same order",
            "data",
            "others: their statistic differs",
        )
    return test


def extended(result: StatData, test: StatTest, n: int) -> Steps[StatData]:
    """Add relabellings to a result of this test."""
    return result_of(test, result.n_permutations + n, replace(result, test=test))


# -- runs ------------------------------------------------------------------------------------


def _largest(test: StatTest, first: int, stop: int, exact: bool) -> Steps[Array]:
    """Largest cluster or value of draws `first` to `stop` - 1."""
    if first == stop:
        return np.empty(0)
    method = Draws(test.relabelled(exact), test.grid, test.summary())
    found = yield from _drawn(test, method, first, stop)
    return found[:, 0]


def _counted(test: StatTest, reference: Array, first: int, stop: int, exact: bool) -> Steps[Array]:
    """How many of draws `first` to `stop` - 1 reach the observed statistic, per point."""
    if first == stop:
        return np.zeros(test.space.n_points, np.int64)
    method = Counts(test.relabelled(exact), reference, test.options.signs)
    found = yield from _drawn(test, method, first, stop, Total())
    return found[0, :, 0]


def _drawn(
    test: StatTest, method: Draws | Counts, first: int, stop: int, reduction: Reduction | None = None
) -> Steps[Array]:
    numbers, spec = draws_spec(first, stop, batch_size(test.space.n_points, stop - first))
    plan = make_plan(test.name, method, MemorySource(numbers), spec, {}, reduction)
    try:
        done = yield plan
    except PathError as error:
        near = _sent_along(test, method, error)
        done = yield make_plan(test.name, near, plan.source, spec, {}, reduction)
    return read_all(done.source)


def _sent_along(test: StatTest, method: Draws | Counts, error: PathError) -> Draws | Counts:
    """The same with observations that travel with it, where workers do not see those in the scratch."""
    observations = method.test.observations
    home = own_session(error.path)
    if observations.source.in_memory or home is None or not Path(error.path).exists():
        raise error
    n_bytes = math.prod(observations.source.shape) * observations.source.dtype.itemsize
    if 2 * n_bytes > memory_budget():
        raise MemoryBudgetError(
            f"{test.name} has {n_bytes / 1e9:.3g} GB of observations in the scratch folder {home}, which is "
            "not visible on all nodes, and they are too large to be sent: set RAYSPY_TMPDIR or "
            "spy.config.scratch_dir to a folder that all nodes share"
        ) from error
    message(
        test.name,
        f"the observations in the scratch folder {home} are not visible on all nodes: they are sent over the "
        "network; set RAYSPY_TMPDIR to a folder that all nodes share to avoid that",
    )
    near = replace(observations, source=MemorySource(read_all(observations.source)))
    return replace(method, test=replace(method.test, observations=near))


# -- results ---------------------------------------------------------------------------------


def _blank(test: StatTest, observed: Array) -> StatData:
    model, o = test.design.model, test.options
    settings = {
        "statistic": test.design.statistic,
        "method": o.method,
        "correctm": o.correctm,
        "alpha": o.alpha,
        "tail": o.signs,
        "seed": o.seed,
        "cells": list(test.design.cells),
        "clusterstatistic": o.clusterstatistic,
    }
    shape = test.space.shape
    df = (model.df1, model.df2) if model.kind == "F" else (model.df2,)
    return StatData(
        dimord=test.space.dims,
        coords=dict(test.space.coords),
        stat=observed.reshape(shape),
        prob=np.ones(shape),
        mask=np.zeros(shape, dtype=bool),
        settings=settings,
        words=test.design.words,
        df=df if model.function is None else (),
        threshold=float("nan") if o.threshold is None else o.threshold,
        test=test,
    )


def _with_prob(result: StatData, test: StatTest, p: Array) -> StatData:
    result.prob = p.reshape(result.stat.shape)
    with np.errstate(invalid="ignore"):
        result.mask = result.prob <= test.options.alpha
    return result


def _from_distribution(result: StatData, test: StatTest, observed: Array) -> StatData:
    if result.distribution is None:
        raise RuntimeError("no distribution")
    summary, distribution = test.summary(), result.distribution
    if summary.kind == "cluster":
        return _with_clusters(result, test, observed, distribution)
    values = observed
    if summary.kind == "tfce":
        values = enhanced_values(observed, test.grid, summary)
        result.enhanced = values.reshape(result.stat.shape)
    return _with_prob(result, test, probabilities.p_of_largest(sided(values, summary.signs), distribution))


def _with_clusters(result: StatData, test: StatTest, observed: Array, distribution: Array) -> StatData:
    parent, mass, _ = cluster_masses(observed, test.grid, test.summary())
    firsts = np.flatnonzero(parent == np.arange(len(parent)))
    firsts = firsts[np.argsort(-mass[firsts], kind="stable")]
    number = np.zeros(len(parent) + 1, np.int64)
    number[firsts] = np.arange(1, len(firsts) + 1)
    cluster = number[parent]
    p = probabilities.p_of_largest(mass[firsts], distribution)
    result.cluster = cluster.reshape(result.stat.shape)
    result.rows = _table(result, mass[firsts], p)
    prob = np.append(1.0, p)[cluster]
    prob[np.isnan(observed)] = np.nan
    return _with_prob(result, test, prob)


def _table(result: StatData, mass: Array, p: Array) -> list[dict[str, Any]]:
    """A row per cluster; sorted points of all clusters are cut into runs, so each is looked at once."""
    if result.cluster is None:
        return []
    flat = result.cluster.ravel()
    inside = np.flatnonzero(flat)
    inside = inside[np.argsort(flat[inside], kind="stable")]
    runs = np.split(inside, np.flatnonzero(np.diff(flat[inside])) + 1) if len(inside) else []
    return [_row(result, points, mass[k], p[k]) for k, points in enumerate(runs)]


def _row(result: StatData, points: Array, mass: float, p: float) -> dict[str, Any]:
    values = result.stat.ravel()[points]
    places = np.unravel_index(points, result.stat.shape)
    sign = 1 if values[0] > 0 else -1
    peak = int(np.argmax(np.abs(values)))
    row: dict[str, Any] = {"sign": sign, "mass": sign * float(mass), "p": float(p), "n_points": len(points)}
    for dim, where in zip(result.dimord, places, strict=True):
        found = result.coords[dim][np.unique(where)]
        if found.dtype.kind in "iuf":
            row[f"{dim}_first"], row[f"{dim}_last"] = float(found[0]), float(found[-1])
        else:
            row[f"n_{dim}"], row[dim] = len(found), [str(label) for label in found]
    row["peak"] = float(values[peak])
    for dim, where in zip(result.dimord, places, strict=True):
        label = result.coords[dim][where[peak]]
        row[f"peak_{dim}"] = float(label) if result.coords[dim].dtype.kind in "iuf" else str(label)
    return row


# -- warnings --------------------------------------------------------------------------------


def _warn_of_missing(test: StatTest, observed: Array) -> None:
    n = int(np.isnan(observed).sum())
    if n == len(observed):
        raise InvalidValueError(
            "observations that differ", "data", "all points are constant over observations, or have NaNs"
        )
    if n:
        warn(test.name, f"{n} of {len(observed)} points are constant or have NaNs: they have no statistic")


def _warn_of_few(test: StatTest, n: int) -> None:
    least = 1.0 / (1.0 + n)
    if least > test.options.alpha:
        warn(
            test.name,
            f"with {n} relabellings besides the observed one no p value is below {least:.3g}, "
            f"which is above alpha={test.options.alpha:g}",
        )


__all__ = [
    "StatTest",
    "check_extensible",
    "check_room",
    "check_test",
    "completed",
    "extended",
    "number_of_draws",
    "result_of",
    "same_test",
]
