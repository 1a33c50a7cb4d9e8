"""Method `intervals`: how sure averages are, for ranges of points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.models import tile_width
from rayspy.kernels.statistics.resampling import intervals
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.statistics.draws import Observations

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Intervals(Method):
    """Estimate, standard error and limits of each point, see `rayspy.kernels.statistics.resampling`.

    The input is the numbers of the points, a range of them in place of a trial.
    """

    name: ClassVar[str] = "intervals"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel"})

    observations: Observations
    pairs: bool
    weights: Array
    groups: tuple[int, ...] | None
    level: float
    quantile: float

    def output(self, spec: InputSpec) -> OutputSpec:
        """Four numbers per point."""
        labels = {"channel": np.arange(4)}
        dtype = np.dtype(np.float64)
        return OutputSpec(spec.kind, spec.dims, dtype, spec.lengths, spec.trialdefinition, None, labels)

    def kernel(self, part: Part) -> Kernel:
        """Bind the observations."""
        bound: Kernel = partial(_computed, self)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """The observations of the points, a tile of them, and all samples of a tile, sorted."""
        n = self.observations.source.shape[0]
        width = min(length, tile_width(n))
        read = 2 * n * length * self.observations.source.dtype.itemsize
        shared = read + 8 * width * (2 * n + 4 * len(self.weights))
        return Work(shared_bytes=shared, weight=max(1.0, self.weights.size / 64))


def _computed(method: Intervals, x: Array, out: Array | None = None) -> Array:
    if out is None:
        out = np.empty((*x.shape[:2], 4))
    source = method.observations.source
    with source.reader() as read:
        for rows, numbers in zip(out, x, strict=True):
            low, high = int(numbers[0, 0]), int(numbers[-1, 0]) + 1
            y = read((slice(0, source.shape[0]), slice(low, high)))
            intervals(y, method.pairs, method.weights, method.groups, method.level, method.quantile, rows)
    return out
