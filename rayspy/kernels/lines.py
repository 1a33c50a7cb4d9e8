"""Signals with time as the last axis: (trial, channel, time).

Operations along time with one number per line are faster in this layout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import pairwise_sum

Array = NDArray[Any]


_ROWS = 2048
"""Rows copied at a time: wide ones are then still in the processor's cache for the next channel."""


def as_lines(x: Array, dtype: np.dtype[Any]) -> Array:
    """Copy (trial, time, channel) into lines of the given type."""
    lines = np.empty((x.shape[0], x.shape[2], x.shape[1]), dtype)
    for row in range(0, x.shape[1], _ROWS):
        rows = slice(row, row + _ROWS)
        np.copyto(lines[..., rows], x[:, rows].transpose(0, 2, 1), casting="unsafe")
    return lines


def as_samples(lines: Array) -> Array:
    """View lines as (trial, time, channel), and the other way round."""
    return lines.transpose(0, 2, 1)


def line_means(lines: Array) -> Array:
    """Mean of each line, (trial, channel, 1); not finite where the line has a number that is not."""
    with np.errstate(invalid="ignore", over="ignore"):
        means: Array = as_samples(pairwise_sum(as_samples(lines))) / lines.dtype.type(lines.shape[2])
    return means


def counts_before(marks: Array) -> NDArray[np.int32]:
    """How many marks stand before each position of a line, the end included."""
    counts = np.zeros((*marks.shape[:2], marks.shape[2] + 1), np.int32)
    np.cumsum(marks, axis=2, dtype=np.int32, out=counts[..., 1:])
    return counts
