"""Averages over trials that may have gaps, and covariances within trials."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def add_trial(count: Array, mean: Array, squares: Array, trial: Array) -> None:
    """Take one trial, in place (Welford 1962, Technometrics 4:419); NaNs do not count."""
    there = ~np.isnan(trial)
    count += there
    step = np.where(there, trial - mean, 0.0)
    mean += step / np.maximum(count, 1.0)
    squares += np.where(there, step * (trial - mean), 0.0)


def merge_trials(count: Array, mean: Array, squares: Array, later: tuple[Array, Array, Array]) -> None:
    """Put two groups of trials together, in place (Chan, Golub & LeVeque 1983, Am. Stat. 37:242)."""
    n, other_mean, other_squares = later
    total = np.maximum(count + n, 1.0)
    step = other_mean - mean
    mean += step * (n / total)
    squares += other_squares + step * step * (count * n / total)
    count += n


def covariances(trials: Array, ddof: int) -> Array:
    """Covariance between channels over time, trial by trial.

    Parameters
    ----------
    trials : ndarray, shape (trial, time, channel)
        Trials. Times at which all channels are NaN are left out.
    ddof : int
        Sums are divided by the number of times less this.

    Returns
    -------
    ndarray of double, shape (trial, channel, channel)
        NaN where there are not more than `ddof` times.
    """
    found = np.empty((len(trials), trials.shape[2], trials.shape[2]))
    for out, trial in zip(found, trials, strict=True):
        x = np.array(trial, dtype=np.float64)
        x = x[~np.isnan(x).all(axis=1)]
        if len(x) <= ddof or not len(x):
            out[:] = np.nan
            continue
        x -= x.mean(axis=0)
        np.matmul(x.T, x, out=out)
        out /= len(x) - ddof
    return found
