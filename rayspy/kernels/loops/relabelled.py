"""Weighted sums of observations under many relabellings, with the same bits however points are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

EPS = 2.0**-52
"""Relative spacing of numbers in double precision."""


@compiled
def prepared(x: Array, removed: int, basis: Array, unit_size: int, y: Array, total: Array) -> None:
    """Take the nuisance out of observations.

    Parameters
    ----------
    x : ndarray, shape (observation, point)
        Observations as they were recorded.
    removed : int
        0: nothing; 1: the space of `basis`; 2: the mean of each unit; 3: the first
        minus the second of each pair takes the place of the observations.
    basis : ndarray of double, shape (row, observation)
        Orthonormal.
    unit_size : int
        Consecutive observations of a unit.
    y : ndarray of double, shape (observation or pair, point)
        Where they go.
    total : ndarray of double, shape (point,)
        Becomes the sum of their squares; NaN where they are equal up to rounding, or not finite.
    """
    n, n_points = x.shape
    largest, sums = np.zeros(n_points), np.empty(n_points)
    for i in range(n):
        row = x[i]
        for p in range(n_points):
            value = abs(np.float64(row[p]))
            largest[p] = value if not value <= largest[p] else largest[p]
    for i in range(len(y)):
        row = y[i]
        if removed == 3:
            one, other = x[2 * i], x[2 * i + 1]
            for p in range(n_points):
                row[p] = np.float64(one[p]) - np.float64(other[p])
        else:
            one = x[i]
            for p in range(n_points):
                row[p] = one[p]
    if removed == 1:
        for _ in range(2):  # the second time takes what rounding left of a large mean
            for b in range(len(basis)):
                sums[:] = 0.0
                for i in range(n):
                    weight, row = basis[b, i], y[i]
                    for p in range(n_points):
                        sums[p] += weight * row[p]
                for i in range(n):
                    weight, row = basis[b, i], y[i]
                    for p in range(n_points):
                        row[p] -= weight * sums[p]
    elif removed == 2:
        for first in range(0, n, unit_size):
            sums[:] = 0.0
            for i in range(first, first + unit_size):
                row = y[i]
                for p in range(n_points):
                    sums[p] += row[p]
            for i in range(first, first + unit_size):
                row = y[i]
                for p in range(n_points):
                    row[p] -= sums[p] / unit_size
    total[:] = 0.0
    for i in range(len(y)):
        row = y[i]
        for p in range(n_points):
            total[p] += row[p] * row[p]
    for p in range(n_points):
        least = 2.0 * n * EPS * largest[p]
        if not total[p] > n * least * least or total[p] == np.inf:
            total[p] = np.nan


@compiled
def weighted_sums(y: Array, weights: Array, out: Array) -> None:
    """Sum observations with the weights of each row, in the order of the observations.

    Weights of zero are left out. Each sum is made by itself, so it does not depend
    on how many points or rows there are.

    Parameters
    ----------
    y : ndarray of double, shape (observation, point)
        Observations; few enough points that they stay in the processor's cache.
    weights : ndarray of double, shape (row, observation)
        Weights.
    out : ndarray of double, shape (row, point)
        Where the sums go.
    """
    n_rows, n, n_points = weights.shape[0], y.shape[0], y.shape[1]
    used = np.empty(n + 3, np.int64)
    for r in range(n_rows):
        row, w = out[r], weights[r]
        count = 0
        for i in range(n):
            if w[i] != 0.0:
                used[count] = i
                count += 1
        for p in range(n_points):
            row[p] = 0.0
        k = 0
        while k + 4 <= count:
            i0, i1, i2, i3 = used[k], used[k + 1], used[k + 2], used[k + 3]
            w0, w1, w2, w3 = w[i0], w[i1], w[i2], w[i3]
            y0, y1, y2, y3 = y[i0], y[i1], y[i2], y[i3]
            for p in range(n_points):
                row[p] = row[p] + w0 * y0[p] + w1 * y1[p] + w2 * y2[p] + w3 * y3[p]
            k += 4
        while k < count:
            i0 = used[k]
            w0, y0 = w[i0], y[i0]
            for p in range(n_points):
                row[p] = row[p] + w0 * y0[p]
            k += 1


@compiled
def from_sums(
    sums: Array, n_rows: int, n_tested: int, total: Array, df1: float, df2: float, kind: int, out: Array
) -> None:
    """Statistic from the sums of each draw; see `rayspy.kernels.statistics.models.Model`.

    Parameters
    ----------
    sums : ndarray of double, shape (draw * n_rows, point)
        Weighted sums: of each draw the tested rows, then covariates.
    n_rows, n_tested : int
        How many of them per draw.
    total : ndarray of double, shape (point,)
        Sum of squares; NaN where there is no statistic.
    df1, df2 : float
        Degrees of freedom.
    kind : int
        0: t, 1: F, 2: r.
    out : ndarray of double, shape (draw, point)
        Where the result goes.
    """
    n_points = total.shape[0]
    left, explained = np.empty(n_points), np.empty(n_points)
    tiny, ratio, root = 4.0 * EPS, df2 / df1, np.sqrt(df2)
    for d in range(out.shape[0]):
        row, first = out[d], sums[d * n_rows]
        for p in range(n_points):
            left[p] = total[p]
            explained[p] = first[p] * first[p]
        for r in range(1, n_tested):
            more = sums[d * n_rows + r]
            for p in range(n_points):
                explained[p] += more[p] * more[p]
        for r in range(n_tested, n_rows):
            more = sums[d * n_rows + r]
            for p in range(n_points):
                left[p] -= more[p] * more[p]
        if kind == 2:
            for p in range(n_points):
                row[p] = first[p] / np.sqrt(left[p])
        else:
            for p in range(n_points):
                rest = left[p] - explained[p]
                explained[p] *= ratio
                left[p] = 0.0 if rest <= tiny * left[p] else rest
            if kind == 1:
                for p in range(n_points):
                    row[p] = explained[p] / left[p]
            else:
                for p in range(n_points):
                    row[p] = first[p] * root / np.sqrt(left[p])
