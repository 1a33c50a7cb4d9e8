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
    n_bins = len(edges) - 1
    rows = np.searchsorted(samples, edges)
    inside = cells[rows[0] : rows[-1]]
    places = np.repeat(np.arange(n_bins) * n_cells, np.diff(rows)) + inside
    if len(inside) and inside.min() < 0:
        places = places[inside >= 0]
    return np.bincount(places, minlength=n_bins * n_cells).reshape(n_bins, n_cells)


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
