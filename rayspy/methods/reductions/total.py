"""Sum over trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of, wide


@dataclass(frozen=True)
class Total(Reduction):
    """Sum: exact in 64-bit integers of counts, trial by trial in double precision of other numbers."""

    name: ClassVar[str] = "total"

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial."""
        return {"": over_trials(each, _dtype(each))}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """The sum."""
        return {"sum": Layout(shape_of(each), _dtype(each))}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add."""
        for result in results:
            state["sum"] += result

    def merge(self, state: State, later: State) -> None:
        """Add."""
        state["sum"] += later["sum"]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Return the sum."""
        return {"": state["sum"]}


def _dtype(each: OutputSpec) -> np.dtype[Any]:
    return np.dtype(np.int64) if each.dtype.kind in "biu" else wide(each.dtype)
