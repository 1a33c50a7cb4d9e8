"""Running mean and sum of squared distances, of numbers that may be missing."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


@compiled
def add_present(values: Array, count: Array, mean: Array, squares: Array) -> None:
    """Take one more number at each place, unless it is NaN (Welford's update).

    Parameters
    ----------
    values : ndarray of floating point, shape (n,)
        The numbers.
    count, mean, squares : ndarray of float64, shape (n,)
        Are brought up to date: how many there were, their mean, and the sum of the
        squared distances from it.
    """
    for i in range(len(values)):
        value = float(values[i])
        if value == value:
            count[i] += 1.0
            step = value - mean[i]
            mean[i] += step / count[i]
            squares[i] += step * (value - mean[i])


@compiled
def merge_present(
    count: Array, mean: Array, squares: Array, later_count: Array, later_mean: Array, later_squares: Array
) -> None:
    """Add what `add_present` made of later numbers to what it made of earlier ones (Chan et al., eq. 1.5)."""
    for i in range(len(count)):
        total = count[i] + later_count[i]
        share = later_count[i] / max(total, 1.0)
        step = later_mean[i] - mean[i]
        mean[i] += step * share
        squares[i] += later_squares[i] + step * step * count[i] * share
        count[i] = total
