"""Median over trials."""

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
    counts_over_trials,
    over_trials,
    shape_of,
    spread_counts,
)


@dataclass(frozen=True)
class Median(Reduction):
    """Median of real results; NaN where any trial is NaN.

    Parameters
    ----------
    omit : bool
        As for `Mean`.
    """

    name: ClassVar[str] = "median"
    together: ClassVar[bool] = True

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
        """All trials, and which of them are there."""
        n, n_channels = len(each.rows), each.inner_shape[-1]
        present = {"present": Layout((n, n_channels), np.dtype(np.bool_))} if self.omit else {}
        return {"trials": Layout((n, *shape_of(each)), each.dtype), **present}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Put them in their places."""
        state["trials"][trials.start : trials.stop] = results

    def add_present(self, state: State, results: Array, trials: range, present: Array) -> None:
        """Put them in their places."""
        self.add(state, results, trials)
        state["present"][trials.start : trials.stop] = present

    def merge(self, state: State, later: State) -> None:
        """Not needed: all trials are in one state."""
        raise TypeError("medians of parts do not make a median")

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Middle one of the trials, or the mean of the two in the middle; the state is used up."""
        if not self.omit:
            return {"": np.median(state["trials"], axis=0, overwrite_input=True).astype(each.dtype)}
        median = np.full(shape_of(each), np.nan, each.dtype)
        for k, there in enumerate(state["present"].T):
            if there.any():
                median[..., k] = np.median(state["trials"][there][..., k], axis=0)
        return {"": median, N_TRIALS: spread_counts(state["present"].sum(axis=0), each)}

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """What `numpy.median` copies besides the state."""
        return len(each.rows) * int(each.rows[0]) * each.row_bytes
