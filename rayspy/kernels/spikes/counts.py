"""Spike counts in bins, and what depends on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Samples = NDArray[np.int64]


def counts_in_bins(samples: Samples, cells: Samples, edges: Samples, n_cells: int) -> Samples:
    """Count the spikes of each cell in each bin.

    Parameters
    ----------
    samples : ndarray of int, shape (spikes,)
        Ascending.
    cells : ndarray of int, shape (spikes,)
        Number of the cell; spikes with a negative one are left out.
    edges : ndarray of int, shape (bins + 1,)
        First sample of each bin, and the first one behind the last bin; ascending.
    n_cells : int
        Number of cells.

    Returns
    -------
    ndarray of int64, shape (bins, cells)
    """
    from rayspy.kernels.loops.spikes import count_in_bins

    counts = np.zeros((len(edges) - 1, n_cells), dtype=np.int64)
    count_in_bins(samples, cells, np.asarray(edges, dtype=np.int64), counts)
    return counts


def proportions(counts: Array) -> NDArray[np.float64]:
    """Share of each bin in the spikes of a cell; 0 for cells without spikes."""
    totals = counts.sum(axis=0)
    found: NDArray[np.float64] = counts / np.where(totals > 0, totals, 1)
    return found


def fano(mean: Array, var: Array) -> NDArray[np.float64]:
    """Variance of counts over trials, divided by their mean; NaN without spikes.

    Fano, U. (1947), Physical Review 72, 26-29. With the variance divided by the
    number of trials as in Elephant, or by one less for an unbiased one.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.where(mean > 0, var / mean, np.nan)
    return found
