"""Method `baseline`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from rayspy.data.quantity import BASELINES
from rayspy.kernels.filters.baseline import baseline_corrected
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.filters.reference import single


@dataclass(frozen=True)
class Baseline(Method):
    """Relates trials to their baseline. Each trial of the input begins with the samples of its baseline."""

    name: ClassVar[str] = "baseline"

    n_window: int
    mode: str

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input without what was put before the trials, in single precision."""
        rows = spec.lengths - self.n_window
        trl = spec.trialdefinition.copy()
        stops = np.cumsum(rows)
        trl[:, 0], trl[:, 1] = stops - rows, stops
        dtype, meaning = single(spec.dtype), BASELINES[self.mode]
        return OutputSpec(spec.kind, spec.dims, dtype, rows, trl, spec.samplerate, spec.labels, meaning)

    def kernel(self, part: Part) -> Kernel:
        """Bind the length of the baseline."""
        bound: Kernel = partial(baseline_corrected, n_window=self.n_window, mode=self.mode)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """The baseline in double precision, three times; what follows goes in small pieces."""
        return Work(3 * self.n_window * (16 if itemsize > 8 else 8))
