"""Moments over the trials that are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of


@dataclass(frozen=True)
class Present(Reduction):
    """Mean and variance over the trials that are not NaN, and how many they are.

    Welford's updates, merged as in Chan, T. F., Golub, G. H. & LeVeque, R. J. (1983),
    The American Statistician 37, 242-247, equation 1.5.
    """

    name: ClassVar[str] = "present"

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """Three results in double precision."""
        return {name: over_trials(each, np.float64) for name in ("avg", "var", "dof")}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Number of trials, mean and sum of squared distances at each place."""
        layout = Layout(shape_of(each), np.dtype(np.float64))
        return {"count": layout, "mean": layout, "squares": layout}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Trial by trial."""
        from rayspy.kernels.loops.moments import add_present

        flat = [state[name].reshape(-1) for name in ("count", "mean", "squares")]
        for result in results:
            add_present(np.ascontiguousarray(result).reshape(-1), *flat)

    def merge(self, state: State, later: State) -> None:
        """Put two groups of trials together."""
        from rayspy.kernels.loops.moments import merge_present

        names = ("count", "mean", "squares")
        merge_present(*(one[name].reshape(-1) for one in (state, later) for name in names))

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Divide by the number of trials that are there."""
        there = state["count"] > 0
        var = state["squares"] / np.maximum(state["count"], 1)
        return {
            "avg": np.where(there, state["mean"], np.nan),
            "var": np.where(there, var, np.nan),
            "dof": state["count"],
        }

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """A copy of a result that is not in one piece."""
        return int(each.rows[0]) * each.row_bytes
