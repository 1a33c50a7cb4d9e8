"""Method `collapse`: a statistic over one dimension within trials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from rayspy.data.quantity import KEPT
from rayspy.kernels.statistics.collapse import collapsed
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work, inner_dims
from rayspy.methods.copying import Copying, floating
from rayspy.methods.reductions.moments import spread


@dataclass(frozen=True)
class Collapse(Method):
    """A statistic over one dimension, of which one place is left.

    Parameters
    ----------
    statistic : str
        'mean', 'std', 'var' or 'median'.
    dim : str
        The dimension.
    dims : tuple of str
        Dimensions of the input.
    """

    name: ClassVar[str] = "collapse"

    statistic: str
    dim: str
    dims: tuple[str, ...]

    @property
    def crosses(self) -> frozenset[str]:
        """What is reduced."""
        return frozenset({self.dim}) - {"time"}

    def output(self, spec: InputSpec) -> OutputSpec:
        """One place instead of many, named after the statistic; frequencies become 0 Hz."""
        out = replace(Copying().output(spec), meaning=spread(self.statistic, KEPT))
        dtype = floating(spec.dtype)
        if self.statistic in ("std", "var"):
            dtype = np.empty(0, dtype).real.dtype
        if self.dim == "time":
            n = len(spec.trialdefinition)
            trl = spec.trialdefinition.copy()
            trl[:, 0], trl[:, 1], trl[:, 2] = np.arange(n), np.arange(1, n + 1), 0
            return replace(out, dtype=dtype, rows=np.ones(n, np.int64), trialdefinition=trl)
        label: Any = np.array([0.0]) if self.dim == "freq" else np.array([self.statistic])
        return replace(out, dtype=dtype, labels={**out.labels, self.dim: label})

    def kernel(self, part: Part) -> Kernel:
        """Bind the axis of (trial, time, ..., channel)."""
        axis = 1 + ("time", *inner_dims(self.dims)).index(self.dim)
        bound: Kernel = partial(_collapsed, statistic=self.statistic, axis=axis)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """Lines in double precision, their distances from the mean, and what medians are partitioned in."""
        return Work(4 * length * max(itemsize, 8) * (2 if itemsize > 8 else 1))


def _collapsed(x: Any, out: Any = None, *, statistic: str, axis: int) -> Any:
    return collapsed(x, statistic, axis, out)
