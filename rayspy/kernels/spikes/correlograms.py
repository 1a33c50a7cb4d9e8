"""Correlograms of spike trains, and what is to be expected of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def correlogram(samples: Array, cells: Array, n_cells: int, width: int, n_lags: int) -> NDArray[np.float64]:
    """Count pairs of spikes of one trial by their distance.

    C_ab(k) = number of pairs with t_b - t_a in bin k: a peak at positive lags says that
    b fires after a (as Elephant; Perkel, D. H., Gerstein, G. L. & Moore, G. P. (1967),
    Biophysical Journal 7, 419-440). Distances are exact: trains are not binned first.

    Parameters
    ----------
    samples, cells : ndarray of int64, shape (spikes,)
        Ascending sample numbers, and cells; negative ones are left out.
    n_cells : int
        Number of cells.
    width : int
        Width of bins in samples. Bin k is centred on ``k * width``; a distance halfway
        between two centres is in the one further from zero, so that
        C_ab(k) = C_ba(-k).
    n_lags : int
        Bins on either side of the one around zero.

    Returns
    -------
    ndarray of float64, shape (2 * n_lags + 1, cells, cells)
        Spikes do not count with themselves.
    """
    from rayspy.kernels.loops.spikes import close_pairs

    counts = np.zeros((2 * n_lags + 1, n_cells, n_cells))
    close_pairs(samples, cells, width, n_lags, counts)
    return counts


def shift_predictor(
    first: tuple[Array, Array], second: tuple[Array, Array], n_cells: int, width: int, n_lags: int
) -> NDArray[np.float64]:
    """Correlogram of the spikes of one trial with those of another trial.

    What remains of it is locked to the stimulus (Perkel et al. 1967). Each of `first`
    and `second` is a pair of samples, relative to the trigger, and cells.
    """
    from rayspy.kernels.loops.spikes import close_pairs_of_two

    counts = np.zeros((2 * n_lags + 1, n_cells, n_cells))
    close_pairs_of_two(*first, *second, width, n_lags, counts)
    return counts


def jittered(samples: Array, window: int, rng: np.random.Generator, stop: int) -> Array:
    """Move each spike to anywhere in its window; not in the order of time.

    Interval jitter: windows are fixed, so that counts in them stay what they are
    (Amarasingham, A. et al. (2012), Journal of Neurophysiology 107, 517-531).
    Samples count from the start of the trial, which has `stop` of them.
    """
    begin = samples // window * window
    size = np.minimum(begin + window, stop) - begin
    moved: Array = begin + np.floor(rng.random(len(samples)) * size).astype(np.int64)
    return moved


def overlap(lengths: Array, width: int, n_lags: int) -> NDArray[np.float64]:
    """Share of trials of these lengths that overlaps with itself at each lag; NaN where nothing does."""
    lags = np.abs(np.arange(-n_lags, n_lags + 1)) * width
    common = np.maximum(np.asarray(lengths, dtype=np.float64)[:, np.newaxis] - lags, 0.0).sum(axis=0)
    return np.where(common > 0, common / np.sum(lengths), np.nan)
