"""Median over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of


@dataclass(frozen=True)
class Median(Reduction):
    """Median of real results; NaN where any trial is NaN."""

    name: ClassVar[str] = "median"
    together: ClassVar[bool] = True

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial."""
        return {"": over_trials(each)}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """All trials."""
        return {"trials": Layout((len(each.rows), *shape_of(each)), each.dtype)}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Put them in their places."""
        state["trials"][trials.start : trials.stop] = results

    def merge(self, state: State, later: State) -> None:
        """Not needed: all trials are in one state."""
        raise TypeError("medians of parts do not make a median")

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Middle one of the trials, or the mean of the two in the middle; the state is used up."""
        return {"": np.median(state["trials"], axis=0, overwrite_input=True).astype(each.dtype)}

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """What `numpy.median` copies besides the state."""
        return len(each.rows) * int(each.rows[0]) * each.row_bytes
