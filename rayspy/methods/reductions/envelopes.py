"""Correlation of envelopes within trials, averaged over trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rayspy.data.quantity import Meaning
from rayspy.kernels.connectivity.envelopes import envelope_correlation
from rayspy.methods.base import OutputSpec
from rayspy.methods.connectivity.entries import Entries
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials

_MEANING = Meaning("envelope correlation", "1")


@dataclass(frozen=True)
class EnvelopeCorrelation(Reduction):
    """Mean over trials of the correlation of envelopes over time, and how it varies.

    Parameters
    ----------
    wanted : str
        'powcorr' or 'powcorr_ortho'.
    entries : Entries
        Pairs.
    centre : float
        Frequency of the result in Hz, where the input has none.
    varies : bool
        Also the jackknife, which for a mean is its sample variance.
    """

    name: ClassVar[str] = "envelope correlation"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel"})

    wanted: str
    entries: Entries
    centre: float = 0.0
    varies: bool = False

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """The mean, and bias and variance."""
        freq = each.labels["freq"] if "freq" in each.dims else np.array([self.centre])
        spec = replace(
            over_trials(each, np.float32),
            kind="CrossSpectralData",
            dims=("time", "freq", *self.entries.dims),
            rows=np.ones(1, np.int64),
            meaning=_MEANING,
            trialdefinition=np.array([[0.0, 1.0, 0.0]]),
            labels={"freq": freq, **self.entries.labels},
        )
        names = [self.wanted, *(f"{self.wanted} {what}" for what in ("bias", "var") if self.varies)]
        return dict.fromkeys(names, spec)

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Sums of correlations and of their squares, (freq, pair)."""
        n_freq = len(each.labels["freq"]) if "freq" in each.dims else 1
        layout = Layout((n_freq, len(self.entries.i)), np.dtype(np.float64))
        return {"sum": layout, "squares": layout}

    def add(self, state: State, results: Array, trials: range) -> None:
        """Correlate within each trial."""
        orthogonal, i, j = self.wanted == "powcorr_ortho", self.entries.i, self.entries.j
        flat = results.reshape(len(results), results.shape[1], -1, results.shape[-1])
        for trial in flat:
            for k in range(flat.shape[2]):
                found = envelope_correlation(np.ascontiguousarray(trial[:, k]), i, j, orthogonal)
                state["sum"][k] += found
                state["squares"][k] += found**2

    def merge(self, state: State, later: State) -> None:
        """Add."""
        for name, total in state.items():
            total += later[name]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Mean and sample variance."""
        n = len(each.rows)
        shape = (1, -1, *self.entries.shape)
        mean = state["sum"] / n
        found = {self.wanted: mean.reshape(shape).astype(np.float32)}
        if self.varies:
            var = np.maximum(state["squares"] - n * mean**2, 0) / (n - 1)
            found[f"{self.wanted} bias"] = np.zeros_like(found[self.wanted])
            found[f"{self.wanted} var"] = var.reshape(shape).astype(np.float32)
        return found

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """One trial of one frequency in double precision, and its envelopes."""
        return 2 * int(each.rows[0]) * each.row_bytes * 4
