"""Phase-amplitude coupling over all trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rayspy.kernels.connectivity import coupling
from rayspy.methods.base import OutputSpec
from rayspy.methods.connectivity.coupling import Coupling
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials, shape_of


@dataclass(frozen=True)
class PooledCoupling(Reduction):
    """Sums over trials, of which the coupling is made.

    Parameters
    ----------
    method : Coupling
        What the trials' sums come from.
    n_trials : int
        Trials in all, which the engine gets in runs.
    """

    name: ClassVar[str] = "pooled coupling"
    crosses: ClassVar[frozenset[str]] = frozenset({"channelcmb", "freq", "taper"})

    method: Coupling
    n_trials: int

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """Coupling, its place among surrogates, and for 'tort' the distribution over phase."""
        one = over_trials(each, np.float64, 0.0)
        labels = {"freq": np.arange(self.method.n_points), "channelcmb": each.labels["channelcmb"]}
        spec = replace(one, dims=("time", "freq", "channelcmb"), labels=labels)
        found = dict.fromkeys(coupling.OUTCOMES, spec)
        if self.method.measure == "tort":
            every = {**labels, "freq": np.arange(self.method.n_bins * self.method.n_points)}
            found["shares"] = replace(spec, labels=every)
        return found

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """The sums."""
        return {"sum": Layout(shape_of(each), np.dtype(np.float64))}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add."""
        for result in results:
            state["sum"] += result

    def merge(self, state: State, later: State) -> None:
        """Add."""
        state["sum"] += later["sum"]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Measures of the sums, pair by pair."""
        measure, n_times = self.method.measure, self.method.n_times * self.n_trials
        found: dict[str, list[Array]] = {}
        for pair in range(len(self.method.pairs)):
            sums = state["sum"][0, ..., pair].reshape(self.method.shape)
            one = coupling.outcome(sums, measure, n_times)
            if measure == "tort":
                one["shares"] = coupling.shares(sums[0])
            for name, array in one.items():
                found.setdefault(name, []).append(array.ravel())
        return {name: np.stack(arrays, axis=-1)[np.newaxis] for name, arrays in found.items()}

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """Nothing but the sums of one pair, a few times, at the end."""
        return 4 * int(each.rows[0]) * each.row_bytes // max(1, len(self.method.pairs))
