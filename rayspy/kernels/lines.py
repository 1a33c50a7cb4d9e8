"""Signals with time as the last axis: (trial, channel, time).

Operations along time with one number per line are faster in this layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


BATCH_BYTES = 2**18
"""Lines of this size are transformed at a time.

They and their spectra stay in the processor's cache, and the memory of threads
stays with them: larger arrays are given back to the system, page by page, and
asked for again with every batch.
"""
_LANE_BYTES = 16
"""Transforms take four lines of single precision at a time, or two of double, and the rest one by one."""
_LANES = 4
"""Batches are multiples of this."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Some lines of signals without their means, for transforms.

    Attributes
    ----------
    low : int
        Number of the first line.
    padded : ndarray, floating point, shape (line or more, time)
        The lines, with zeros before and after. Further lines are of no meaning.
    means : ndarray, shape (line,)
        What was subtracted.
    """

    low: int
    padded: Array
    means: Array

    def put(self, y: Array, ones: Array, out: Array) -> None:
        """Put what became of the lines, and of their means, into ``out`` (trial, row, channel).

        `y` is (line, row), `ones` are the rows that ones become.
        """
        from rayspy.kernels.loops.lines import scatter

        scatter(y, self.low, self.means, ones, out)


@dataclass(frozen=True, eq=False)
class Lines:
    """Samples (trial, time, channel) with the means of their lines, and marks of those with holes."""

    x: Array
    means: Array
    holes: NDArray[np.bool_]

    def spoil(self, reached: Callable[[Array], Array], out: Array) -> None:
        """Make NaN what holes have reached, told by a function of their marks (line, time)."""
        found = np.flatnonzero(self.holes)
        if len(found):
            place = np.divmod(found, self.x.shape[2])
            rows = reached(~np.isfinite(self.x[place[0], :, place[1]]))
            for trial, channel, bad in zip(*place, rows, strict=True):
                out[trial, bad, channel] = np.nan

    def batches(self, n_fft: int, first: int = 0) -> Iterator[Batch]:
        """Batches of lines of length `n_fft`, their first sample at place `first`.

        The next batch takes the memory of the one before.
        """
        from rayspy.kernels.loops.lines import gather

        dtype, n_lines = self.means.dtype, len(self.means)
        at_once = lines_at_once(n_lines, n_fft * dtype.itemsize)
        padded = np.zeros((at_once, n_fft), dtype)
        for low in range(0, n_lines, at_once or 1):
            n = min(at_once, n_lines - low)
            some = slice(low, low + n)
            gather(self.x, low, self.means[some], self.holes[some], padded, first)
            filled = min(at_once, _filled_up(n, _LANE_BYTES // dtype.itemsize))
            yield Batch(low, padded[:filled], self.means[some])


def lines_of(x: Array, dtype: np.dtype[Any]) -> Lines:
    """Take the means of samples (trial, time, channel), for lines of a floating point type."""
    from rayspy.kernels.loops.lines import take_means

    x = _readable(x, dtype)
    n_lines = x.shape[0] * x.shape[2]
    means, holes = np.empty(n_lines, dtype), np.empty(n_lines, bool)
    take_means(x, 0, means, holes)
    return Lines(x, means, holes)


def lines_at_once(n_lines: int, line_bytes: int) -> int:
    """Lines in a batch: as many in each, if it is not one that holds them all."""
    most = max(_LANES, BATCH_BYTES // line_bytes // _LANES * _LANES)
    if n_lines <= most:
        return n_lines
    each = -(-n_lines // -(-n_lines // most))
    return -(-each // _LANES) * _LANES


def _filled_up(n: int, lanes: int) -> int:
    """A multiple of the lanes, unless no more than one line would be over."""
    return n if n % lanes <= 1 else -(-n // lanes) * lanes


def _readable(x: Array, dtype: np.dtype[Any]) -> Array:
    """Samples of a type that is known to compiled loops."""
    plain = x.dtype.kind in "iu" or (x.dtype.kind == "f" and x.dtype.itemsize in (4, 8))
    return x if plain and x.dtype.isnative else x.astype(dtype)
