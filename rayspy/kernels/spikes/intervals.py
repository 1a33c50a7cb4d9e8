"""Intervals between spikes: histogram, variability, violations of the refractory period."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SUMS = 7
"""Numbers per cell that all measures come from, see `interval_sums`."""


def interval_sums(
    samples: Array, cells: Array, n_cells: int, width: float, n_bins: int, refractory: float
) -> NDArray[np.float64]:
    """Histogram of the intervals of each cell in one trial, and sums over them.

    Parameters
    ----------
    samples, cells : ndarray of int64, shape (spikes,)
        Ascending sample numbers, and cells; negative ones are left out.
    n_cells : int
        Number of cells.
    width : float
        Width of bins in samples; bin k has intervals from ``k * width`` on, below ``(k + 1) * width``.
    n_bins : int
        Number of bins; longer intervals are in the sums only.
    refractory : float
        Intervals below this many samples are violations.

    Returns
    -------
    ndarray of float64, shape (n_bins + 7, cells)
        Histogram, then number of intervals, their sum, the sum of their squares,
        violations, number of pairs of neighbouring intervals a and b, the sums of
        |a - b| / (a + b) and of its square. All add up over trials.
    """
    from rayspy.kernels.loops.spikes import intervals

    out = np.zeros((n_bins + SUMS, n_cells))
    last, before = (np.full(n_cells, -1, dtype=np.int64) for _ in range(2))
    intervals(samples, cells, float(width), float(refractory), last, before, out[:n_bins], out[n_bins:])
    return out


def measures(sums: Array) -> dict[str, NDArray[np.float64]]:
    """Turn the sums of `interval_sums` into measures of variability.

    Parameters
    ----------
    sums : ndarray of shape (7, ...)
        The last rows of `interval_sums`, added up over trials if so wanted.

    Returns
    -------
    dict of str to ndarray
        n : number of intervals.
        mean : mean interval in samples.
        cv : standard deviation (divided by n) over mean.
        cv2 : mean of 2 |a - b| / (a + b), Holt, G. R. et al. (1996), Journal of
            Neurophysiology 75, 1806-1814, equation 1.
        lv : mean of 3 ((a - b) / (a + b))^2, Shinomoto, S., Shima, K. & Tanji, J. (2003),
            Neural Computation 15, 2823-2842, equation 2.2.
        violations : share of intervals below the refractory period.
    """
    n, total, squares, short, pairs, contrast, contrast2 = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / n, np.nan)
        var = np.maximum(squares / n - mean**2, 0.0)
        return {
            "n": n,
            "mean": mean,
            "cv": np.where(n > 0, np.sqrt(var) / mean, np.nan),
            "cv2": np.where(pairs > 0, 2 * contrast / pairs, np.nan),
            "lv": np.where(pairs > 0, 3 * contrast2 / pairs, np.nan),
            "violations": np.where(n > 0, short / n, np.nan),
        }
