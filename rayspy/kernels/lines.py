"""Signals with time as the last axis: (trial, channel, time).

Operations along time with one number per line are faster in this layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    counts = np.zeros((*marks.shape[:-1], marks.shape[-1] + 1), np.int32)
    np.cumsum(marks, axis=-1, dtype=np.int32, out=counts[..., 1:])
    return counts


@dataclass(frozen=True, eq=False)
class Lines:
    """Samples (trial, time, channel) that are filtered side by side.

    Attributes
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals; line i is channel ``i % n_channels`` of trial ``i // n_channels``.
    levels : ndarray, floating point, shape (line,)
        About the mean of each line, to be subtracted: single precision is then
        enough for signals with a large offset.
    holes : ndarray of bool, shape (line,)
        Lines in which numbers that are not finite have been found.
    """

    x: Array
    levels: Array
    holes: NDArray[np.bool_]

    def mark(self, first: int, parts: int, bad: NDArray[np.bool_]) -> None:
        """Note which lanes, from number `first` on, have holes; `parts` of them belong to each line."""
        n_channels = self.x.shape[2]
        pieces, channels = np.divmod(first + np.flatnonzero(bad), n_channels)
        self.holes[pieces // parts * n_channels + channels] = True

    def spoil(self, reached: Callable[[Array], Array], out: Array) -> None:
        """Make NaN what holes have reached, told by a function of their marks (line, time)."""
        found = np.flatnonzero(self.holes)
        if len(found):
            place = np.divmod(found, self.x.shape[2])
            rows = reached(~np.isfinite(self.x[place[0], :, place[1]]))
            for trial, channel, bad in zip(*place, rows, strict=True):
                out[trial, bad, channel] = np.nan


def lines_of(x: Array, dtype: np.dtype[Any], means: bool = False) -> Lines:
    """Lines of samples (trial, time, channel), to be filtered in some precision.

    With `means` their levels are the means of all samples that are finite.
    """
    from rayspy.kernels.loops.rows import take_finite_means, take_levels

    x = readable(x)
    n_lines = x.shape[0] * x.shape[2]
    levels = np.empty(n_lines, dtype)
    (take_finite_means if means else take_levels)(x, levels)
    return Lines(x, levels, np.zeros(n_lines, bool))


def readable(x: Array) -> Array:
    """Samples as compiled loops take them: a read-only view, or a copy if they do not know the type."""
    kind, size = x.dtype.kind, x.dtype.itemsize
    if kind in "iu" or (kind == "f" and size in (4, 8)):
        known = x.dtype.newbyteorder("=")
    else:
        known = np.dtype(np.float32 if size <= 2 else np.float64)
    plain = x.astype(known, copy=False).view()
    plain.flags.writeable = False
    return plain
