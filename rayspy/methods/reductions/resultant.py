"""Inter-trial coherence: how much the phases of trials agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rayspy.data.quantity import Meaning
from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of

_COHERENCE = Meaning("inter-trial coherence", "1")


@dataclass(frozen=True)
class Resultant(Reduction):
    """Length of the mean of unit vectors over trials and tapers: |mean_k x_k / |x_k||, from 0 to 1.

    Tallon-Baudry, C. et al. (1996), Journal of Neuroscience 16, 4240-4249 (phase-locking factor).
    """

    name: ClassVar[str] = "itc"

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial, real, with one taper."""
        labels = {**each.labels, "taper": np.array(["taper1"])} if "taper" in each.labels else each.labels
        return {"": replace(over_trials(each, np.float32), labels=labels, meaning=_COHERENCE)}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """The sum of unit vectors."""
        return {"sum": Layout(shape_of(each), np.dtype(np.complex128))}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add the directions."""
        for result in results:
            wide = result.astype(np.complex128)
            with np.errstate(invalid="ignore", divide="ignore"):
                state["sum"] += wide / np.abs(wide)

    def merge(self, state: State, later: State) -> None:
        """Add."""
        state["sum"] += later["sum"]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Length of the mean."""
        mean = state["sum"] / len(each.rows)
        if "taper" in each.inner:
            mean = mean.mean(axis=1 + each.inner.index("taper"), keepdims=True)
        return {"": np.abs(mean).astype(np.float32)}

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """One trial in double precision, its directions and magnitudes."""
        return 5 * int(each.rows[0]) * each.row_bytes
