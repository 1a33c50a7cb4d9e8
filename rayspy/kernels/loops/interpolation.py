"""Coefficients of a continuous filter at any time between two samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


@compiled
def fill_coefficients(fractions: Array, series: Array, out: Array) -> None:
    """Add up Chebyshev series (Clenshaw's recurrence), and make each row's sum 1.

    Parameters
    ----------
    fractions : ndarray of double, shape (row,)
        Where series are wanted between 0 and 1.
    series : ndarray of double, shape (term, coefficient)
        A series for each coefficient.
    out : ndarray of double, shape (row, coefficient)
        Where to put them.
    """
    n_terms, width = series.shape
    later, next_one = np.empty(width), np.empty(width)
    for row in range(len(fractions)):
        x, target = 2 * fractions[row] - 1, out[row]
        later[:], next_one[:] = 0, 0
        for m in range(n_terms - 1, 0, -1):
            for q in range(width):
                value = series[m, q] + 2 * x * next_one[q] - later[q]
                later[q], next_one[q] = next_one[q], value
        total = 0.0
        for q in range(width):
            target[q] = series[0, q] + x * next_one[q] - later[q]
            total += target[q]
        for q in range(width):
            target[q] /= total
