"""Which time points a time-frequency result has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.spectral.filterbank import Points
from rayspy.methods.base import InputSpec

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class TimePoints:
    """Time points of each trial.

    Either every `step`-th sample of a trial from its first one on (`offsets` is
    None), or a list of samples, counted from the first of them. Which sample of a
    trial that is, is the trial's variant (`InputSpec.variants`).
    """

    step: int = 1
    """Samples from one point to the next; 0: they are not equidistant."""
    offsets: tuple[int, ...] | None = None

    def samples(self, length: int, first: int = 0) -> Indices:
        """All points as samples of the trial."""
        if self.offsets is None:
            return np.arange(0, length, self.step)
        return np.array(self.offsets, dtype=np.int64) + first

    def rows(self, lengths: Indices) -> Indices:
        """Number of points per trial."""
        if self.offsets is None:
            return -(-lengths // self.step)
        return np.full(len(lengths), len(self.offsets))

    def samplerate(self, rate: float | None) -> float | None:
        """Points per second; None if they are not equidistant."""
        return None if rate is None or self.step == 0 else rate / self.step

    def trialdefinition(self, spec: InputSpec) -> NDArray[np.float64]:
        """Trials counted anew in time points, at the times they had."""
        trl = spec.trialdefinition.copy()
        stops = np.cumsum(self.rows(spec.lengths))
        trl[:, 0], trl[:, 1] = stops - self.rows(spec.lengths), stops
        if self.step == 0:
            trl[:, 2] = 0
            return trl
        if spec.variants is not None:
            trl[:, 2] += spec.variants
        trl[:, 2] /= self.step
        return trl


def points_of(times: TimePoints, length: int) -> Points:
    """Time points as samples of a line."""
    if times.offsets is None:
        return Points(times.step, -(-length // times.step))
    if times.step:
        return Points(times.step, len(times.offsets))
    return Points(1, times.offsets[-1] + 1, times.offsets)
