"""Methods of time-locked trials: `locked` puts them into one window, `covariance` is that of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.timelocked import covariances
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.copying import floating

Array = NDArray[Any]


@dataclass(frozen=True)
class Window(Method):
    """Puts trials, whose variants are their places in it, into one window; NaN where they have no samples.

    Parameters
    ----------
    rows : int
        Samples of the window.
    offset : int
        Number of its first sample, relative to the trigger.
    """

    name: ClassVar[str] = "window"

    rows: int
    offset: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """Every trial is as long as the window."""
        n = len(spec.trialdefinition)
        trl = spec.trialdefinition.copy()
        trl[:, 0], trl[:, 1] = np.arange(n) * self.rows, np.arange(1, n + 1) * self.rows
        trl[:, 2] = self.offset
        rows = np.full(n, self.rows, np.int64)
        return OutputSpec(spec.kind, spec.dims, floating(spec.dtype), rows, trl, spec.samplerate, spec.labels)

    def kernel(self, part: Part) -> Kernel:
        """Bind the place of the first sample."""
        return partial(_placed, self.rows, part.variant)

    def work(self, length: int, itemsize: int) -> Work:
        """Nothing but input and output."""
        return Work()


def _placed(rows: int, first: int, x: Array, out: Array | None = None) -> Array:
    if out is None:
        out = np.empty((x.shape[0], rows, *x.shape[2:]), floating(x.dtype))
    out[:, :first] = np.nan
    out[:, first : first + x.shape[1]] = x
    out[:, first + x.shape[1] :] = np.nan
    return out


@dataclass(frozen=True)
class Covariance(Method):
    """Covariance between channels over the times of each trial."""

    name: ClassVar[str] = "covariance"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel", "channel_i", "channel_j"})

    ddof: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """One row per trial."""
        n = len(spec.trialdefinition)
        trl = np.column_stack([np.arange(n), np.arange(1, n + 1), np.zeros(n)]).astype(np.float64)
        channel = spec.labels["channel"]
        labels = {"channel_i": channel, "channel_j": channel}
        dims, rows = ("time", "channel_i", "channel_j"), np.ones(n, np.int64)
        return OutputSpec(spec.kind, dims, np.dtype(np.float64), rows, trl, None, labels)

    def kernel(self, part: Part) -> Kernel:
        """Bind the divisor."""
        bound: Kernel = partial(_covariances, self.ddof)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """A trial in double precision, three times; a multiplication and an addition per sample."""
        return Work(24 * length, weight=max(1.0, length / 64))


def _covariances(ddof: int, x: Array, out: Array | None = None) -> Array:
    found = covariances(x, ddof)[:, None]
    if out is None:
        return found
    out[:] = found
    return out


def placed_spec(spec: InputSpec, offsets: NDArray[np.int64]) -> InputSpec:
    """Describe trials that begin at different places of a window."""
    return replace(spec, variants=offsets)
