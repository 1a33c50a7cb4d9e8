"""Average over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of, wide


@dataclass(frozen=True)
class Mean(Reduction):
    """Arithmetic mean, summed trial by trial in double precision."""

    name: ClassVar[str] = "mean"

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial."""
        return {"": over_trials(each)}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """The sum."""
        return {"sum": Layout(shape_of(each), wide(each.dtype))}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add."""
        for result in results:
            state["sum"] += result

    def merge(self, state: State, later: State) -> None:
        """Add."""
        state["sum"] += later["sum"]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Divide."""
        return {"": (state["sum"] / len(each.rows)).astype(each.dtype)}
