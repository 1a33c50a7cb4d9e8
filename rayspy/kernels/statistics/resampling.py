"""Bootstrap and jackknife of averages and differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.statistics.models import tile_width

Array = NDArray[Any]


def resampled_weights(groups: tuple[int, ...], signs: tuple[float, ...], seed: int, n: int) -> Array:
    """Weights of the observations in n bootstrap samples, shape (sample, observation).

    Parameters
    ----------
    groups : tuple of int
        Number of observations of each group; each is resampled by itself.
    signs : tuple of float
        Factor of each group's mean.
    seed : int
        Sample k depends on it and on k only.
    n : int
        Number of samples.
    """
    found = np.empty((n, sum(groups)))
    for k, row in enumerate(found):
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(k,))))
        first = 0
        for size, sign in zip(groups, signs, strict=True):
            picked = np.bincount(random.integers(0, size, size), minlength=size)
            row[first : first + size] = sign * picked / size
            first += size
    return found


def left_out_weights(groups: tuple[int, ...], signs: tuple[float, ...]) -> Array:
    """Weights with one observation left out at a time, shape (observation, observation)."""
    whole = mean_weights(groups, signs)
    found = np.tile(whole, (len(whole), 1))
    first = 0
    for size, sign in zip(groups, signs, strict=True):
        for i in range(first, first + size):
            found[i, first : first + size] = sign / (size - 1)
            found[i, i] = 0.0
        first += size
    return found


def mean_weights(groups: tuple[int, ...], signs: tuple[float, ...]) -> Array:
    """Weights of the mean, or of a difference of means."""
    return np.concatenate([np.full(n, sign / n) for n, sign in zip(groups, signs, strict=True)])


def intervals(
    y: Array,
    pairs: bool,
    weights: Array,
    groups: tuple[int, ...] | None,
    level: float,
    quantile: float,
    out: Array,
) -> None:
    """Estimate, standard error and limits at each point.

    Parameters
    ----------
    y : ndarray, shape (observation, point)
        Observations; with `pairs` first and second of each pair by turns, whose difference counts.
    weights : ndarray, shape (1 + sample, observation)
        Of the estimate, then of the samples.
    groups : tuple of int or None
        None: samples are those of a bootstrap. Else of a jackknife of groups of these sizes.
    level : float
        Probability that the interval covers.
    quantile : float
        Of Student's t, for the jackknife.
    out : ndarray of double, shape (point, 4)
        Becomes estimate, standard error, lower and upper limit.

    Notes
    -----
    Bootstrap: standard deviation of the samples, and their quantiles (Efron & Tibshirani
    1993, chapter 13). Jackknife: ``(n - 1) / n`` times the sum of squared distances from
    the mean of the samples of a group (their equation 11.5), summed over groups.
    """
    from rayspy.kernels.loops.relabelled import weighted_sums

    width, alpha = tile_width(len(y)), (1.0 - level) / 2
    for low in range(0, y.shape[1], width):
        tile = np.array(y[:, low : low + width], dtype=np.float64, order="C")
        if pairs:
            tile = np.ascontiguousarray(tile[0::2] - tile[1::2])
        sums = np.empty((len(weights), tile.shape[1]))
        weighted_sums(tile, weights, sums)
        rows, samples = out[low : low + width], sums[1:]
        rows[:, 0] = sums[0]
        if groups is None:
            rows[:, 1] = samples.std(axis=0, ddof=1)
            rows[:, 2], rows[:, 3] = np.quantile(samples, [alpha, 1.0 - alpha], axis=0)
        else:
            rows[:, 1] = np.sqrt(_jackknife_variance(samples, groups))
            rows[:, 2] = rows[:, 0] - quantile * rows[:, 1]
            rows[:, 3] = rows[:, 0] + quantile * rows[:, 1]


def _jackknife_variance(samples: Array, groups: tuple[int, ...]) -> Array:
    total, first = np.zeros(samples.shape[1]), 0
    for n in groups:
        part = samples[first : first + n]
        total += ((part - part.mean(axis=0)) ** 2).sum(axis=0) * (n - 1) / n
        first += n
    return total
