"""Mean, variance and standard deviation over trials, without cancellation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rayspy.data.quantity import SAME, SQUARED, Meaning
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


def spread(statistic: str, meaning: Meaning) -> Meaning:
    """What a mean, median, variance or standard deviation of numbers is."""
    if statistic in ("mean", "median"):
        return meaning
    name = {"var": "variance", "std": "standard deviation"}[statistic]
    unit = meaning.unit if statistic == "std" else SQUARED if meaning.unit == SAME else ""
    return Meaning(f"{name} of {meaning.quantity or '{}'}", unit)


@dataclass(frozen=True)
class Moments(Reduction):
    """First two moments: count, mean and sum of squared distances from it.

    Trials are added as Welford does, states merged as in Chan, T. F., Golub, G. H.
    & LeVeque, R. J. (1983), The American Statistician 37, 242-247, equation 1.5.
    The variance of complex results is that of their distance from the mean.

    Parameters
    ----------
    wanted : tuple of str
        Results: 'mean', 'var', 'std'.
    ddof : int
        Variances are divided by the number of trials less this.
    omit : bool
        As for `Mean`.
    """

    name: ClassVar[str] = "moments"

    wanted: tuple[str, ...] = ("mean", "var", "std")
    ddof: int = 0
    omit: bool = False

    @property
    def omits(self) -> bool:
        """As said."""
        return self.omit

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """As the result of one trial each; variances are real."""
        found = {
            what: replace(over_trials(each, self._dtype(what, each)), meaning=spread(what, each.meaning))
            for what in self.wanted
        }
        counts = {N_TRIALS: counts_over_trials(each)} if self.omit else {}
        return {**(found if len(found) > 1 else {"": next(iter(found.values()))}), **counts}

    @staticmethod
    def _dtype(what: str, each: OutputSpec) -> np.dtype[np.generic]:
        return each.dtype if what == "mean" else np.empty(0, each.dtype).real.dtype

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Number of trials so far, mean, sum of squared distances."""
        shape = shape_of(each)
        return {
            "count": count_layout(each) if self.omit else Layout((1,), np.dtype(np.float64)),
            "mean": Layout(shape, wide(each.dtype)),
            "squares": Layout(shape, np.dtype(np.float64)),
        }

    def add(self, state: State, results: Array, trials: range) -> None:
        """Move the mean and add to the squares, trial by trial."""
        count, mean, squares = state["count"], state["mean"], state["squares"]
        for result in results:
            count += 1
            step = result - mean
            mean += step / count
            squares += (step * np.conj(result - mean)).real

    def add_present(self, state: State, results: Array, trials: range, present: Array) -> None:
        """The same with what is there."""
        count, mean, squares = state["count"], state["mean"], state["squares"]
        for result, there in zip(results, present, strict=True):
            count += there
            step = np.where(there, result - mean, 0)
            mean += step / np.maximum(count, 1)
            squares += (step * np.conj(np.where(there, result - mean, 0))).real

    def merge(self, state: State, later: State) -> None:
        """Put two groups of trials together."""
        n, m = state["count"], later["count"]
        both = np.maximum(n + m, 1)
        step = later["mean"] - state["mean"]
        state["mean"] += step * (m / both)
        state["squares"] += later["squares"]
        state["squares"] += (step * np.conj(step)).real * (n * m / both)
        state["count"] += m

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Divide the squares; NaN where no trial is left."""
        count = np.where(state["count"] > self.ddof, state["count"], np.nan) if self.omit else len(each.rows)
        var = state["squares"] / (count - self.ddof)
        mean = np.where(state["count"] > 0, state["mean"], np.nan) if self.omit else state["mean"]
        every = {"mean": mean, "var": var, "std": np.sqrt(var)}
        found = {what: every[what].astype(self._dtype(what, each)) for what in self.wanted}
        counts = {N_TRIALS: spread_counts(state["count"], each)} if self.omit else {}
        return {**(found if len(found) > 1 else {"": next(iter(found.values()))}), **counts}

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """Distances from the mean, before and after, and their product."""
        return (
            (6 if self.omit else 4)
            * int(each.rows[0])
            * each.row_bytes
            // each.dtype.itemsize
            * wide(each.dtype).itemsize
        )
