"""Average over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import (
    N_TRIALS,
    Array,
    Layout,
    Reduction,
    State,
    count_layout,
    counts_over_trials,
    over_trials,
    shape_of,
    spread_counts,
    wide,
)


@dataclass(frozen=True)
class Mean(Reduction):
    """Arithmetic mean, summed trial by trial in double precision.

    Parameters
    ----------
    omit : bool
        Leave trials with NaN out, each channel by itself; a second result then has
        the numbers of trials that entered.
    """

    name: ClassVar[str] = "mean"

    omit: bool = False

    @property
    def omits(self) -> bool:
        """As said."""
        return self.omit

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial."""
        counts = {N_TRIALS: counts_over_trials(each)} if self.omit else {}
        return {"": over_trials(each), **counts}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """The sum, and the number of trials in it where that is not always all."""
        counts = {"count": count_layout(each)} if self.omit else {}
        return {"sum": Layout(shape_of(each), wide(each.dtype)), **counts}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add."""
        for result in results:
            state["sum"] += result

    def add_present(self, state: State, results: Array, trials: range, present: Array) -> None:
        """Add what is there."""
        for result, there in zip(results, present, strict=True):
            np.add(state["sum"], result, out=state["sum"], where=there)
            state["count"] += there

    def merge(self, state: State, later: State) -> None:
        """Add."""
        for name, array in state.items():
            array += later[name]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Divide; NaN where no trial is left."""
        if not self.omit:
            return {"": (state["sum"] / len(each.rows)).astype(each.dtype)}
        count = state["count"]
        mean = state["sum"] / np.where(count > 0, count, np.nan)
        return {"": mean.astype(each.dtype), N_TRIALS: spread_counts(count, each)}
