"""Average, variance and number of trials at each time, and covariance between channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rayspy.kernels.statistics.timelocked import add_trial, covariances, merge_trials
from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of


@dataclass(frozen=True)
class Locked(Reduction):
    """Statistics of time-locked trials, in double precision; NaNs do not count.

    Parameters
    ----------
    covariance : bool
        Whether covariances between channels, over time, are averaged over trials.
    ddof : int
        For the covariance: sums are divided by the number of times less this.
    """

    name: ClassVar[str] = "locked"

    covariance: bool = False
    ddof: int = 1

    @property
    def crosses(self) -> frozenset[str]:  # type: ignore[override]
        """All channels for the covariance."""
        return frozenset({"channel"} if self.covariance else ())

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """`avg`, `var`, `dof`, and `cov`."""
        average = over_trials(each, np.float64)
        found = {"avg": average, "var": average, "dof": replace(average, dtype=np.dtype(np.int64))}
        if self.covariance:
            labels = {"channel_i": each.labels["channel"], "channel_j": each.labels["channel"]}
            dims = ("time", "channel_i", "channel_j")
            found["cov"] = replace(average, dims=dims, rows=np.ones(1, np.int64), labels=labels)
        return found

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Number, mean and squared distances per time and channel; sum of covariances."""
        double = np.dtype(np.float64)
        found = {name: Layout(shape_of(each), double) for name in ("count", "mean", "squares")}
        if self.covariance:
            n = len(each.labels["channel"])
            found["cov"] = Layout((n, n), double)
        return found

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add trials one by one."""
        for result in results:
            add_trial(state["count"], state["mean"], state["squares"], result.astype(np.float64))
            if self.covariance:
                state["cov"] += covariances(result[None], self.ddof)[0]

    def merge(self, state: State, later: State) -> None:
        """Put two groups of trials together."""
        other = later["count"], later["mean"], later["squares"]
        merge_trials(state["count"], state["mean"], state["squares"], other)
        if self.covariance:
            state["cov"] += later["cov"]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Divide; NaN where there is no trial."""
        count = state["count"]
        with np.errstate(invalid="ignore", divide="ignore"):
            var = state["squares"] / count
        avg = np.where(count > 0, state["mean"], np.nan)
        found = {"avg": avg, "var": var, "dof": count.astype(np.int64)}
        if self.covariance:
            found["cov"] = state["cov"][None] / len(each.rows)
        return found

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """A trial in double precision and what it adds, twice; and the results."""
        points = int(each.rows[0]) * each.row_bytes // each.dtype.itemsize
        n = len(each.labels["channel"]) if self.covariance else 0
        return 8 * (8 * points + 3 * n * n)
