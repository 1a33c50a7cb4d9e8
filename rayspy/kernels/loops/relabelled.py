"""Weighted sums of observations under many relabellings, with the same bits however points are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

EPS = 2.0**-52
"""Relative spacing of numbers in double precision."""
_CLOSE = 1e-9
"""Squares this close to that of a threshold are looked at once more."""


@compiled
def prepared(
    x: Array, first: int, removed: int, basis: Array, unit_size: int, y: Array, total: Array
) -> None:
    """Take the nuisance out of observations.

    Parameters
    ----------
    x : ndarray, shape (observation, point)
        Observations as they were recorded; in C order, or this is slow.
    first : int
        First of the points that are wanted, as many as there is room for.
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
    n, n_points = len(x), len(total)
    largest, sums = np.zeros(n_points), np.zeros(n_points)
    given, before = np.empty(n_points), np.empty(n_points)
    # the second time takes what rounding left of a large mean
    n_steps = 2 * len(basis) if removed == 1 else 0
    for i in range(n):
        one = x[i, first : first + n_points]
        row = given if removed == 3 else y[i]
        for p in range(n_points):
            row[p] = one[p]
        for p in range(n_points):
            size = abs(row[p])
            largest[p] = size if size > largest[p] else largest[p]
        if removed == 3:
            pair = y[i // 2]
            if i % 2 == 0:
                for p in range(n_points):
                    pair[p] = row[p]
            else:
                for p in range(n_points):
                    pair[p] -= row[p]
        elif n_steps > 0:
            weight = basis[0, i]
            for p in range(n_points):
                sums[p] += weight * row[p]
    total[:] = 0.0
    for step in range(n_steps):
        before[:] = sums
        sums[:] = 0.0
        last = step == n_steps - 1
        b, after = step % len(basis), (step + 1) % len(basis)
        for i in range(n):
            row, weight, other_weight = y[i], basis[b, i], basis[after, i]
            if last:
                for p in range(n_points):
                    row[p] -= weight * before[p]
                    total[p] += row[p] * row[p]
            else:
                for p in range(n_points):
                    row[p] -= weight * before[p]
                    sums[p] += other_weight * row[p]
    if removed == 2:
        for begin in range(0, n, unit_size):
            sums[:] = 0.0
            for i in range(begin, begin + unit_size):
                row = y[i]
                for p in range(n_points):
                    sums[p] += row[p]
            for i in range(begin, begin + unit_size):
                row = y[i]
                for p in range(n_points):
                    row[p] -= sums[p] / unit_size
    if n_steps == 0:
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
    used = np.empty(n + 7, np.int64)
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
        while k + 8 <= count:
            i0, i1, i2, i3 = used[k], used[k + 1], used[k + 2], used[k + 3]
            i4, i5, i6, i7 = used[k + 4], used[k + 5], used[k + 6], used[k + 7]
            w0, w1, w2, w3, w4, w5, w6, w7 = w[i0], w[i1], w[i2], w[i3], w[i4], w[i5], w[i6], w[i7]
            y0, y1, y2, y3, y4, y5, y6, y7 = y[i0], y[i1], y[i2], y[i3], y[i4], y[i5], y[i6], y[i7]
            for p in range(n_points):
                s = row[p] + w0 * y0[p] + w1 * y1[p] + w2 * y2[p] + w3 * y3[p]
                row[p] = s + w4 * y4[p] + w5 * y5[p] + w6 * y6[p] + w7 * y7[p]
            k += 8
        while k < count:
            i0 = used[k]
            w0, y0 = w[i0], y[i0]
            for p in range(n_points):
                row[p] = row[p] + w0 * y0[p]
            k += 1


@compiled
def _shares(
    sums: Array,
    n_tested: int,
    total: Array,
    df1: float,
    df2: float,
    kind: int,
    explained: Array,
    left: Array,
) -> None:
    """Two numbers whose ratio is the square of t or r, or F; see `relabelled`."""
    n_points, tiny, ratio = len(total), 4.0 * EPS, df2 / df1
    first = sums[0]
    for p in range(n_points):
        left[p] = total[p]
        explained[p] = first[p] * first[p]
    for r in range(1, n_tested):
        more = sums[r]
        for p in range(n_points):
            explained[p] += more[p] * more[p]
    for r in range(n_tested, len(sums)):
        more = sums[r]
        for p in range(n_points):
            left[p] -= more[p] * more[p]
    if kind != 2:
        for p in range(n_points):
            rest = left[p] - explained[p]
            explained[p] *= ratio
            left[p] = 0.0 if rest <= tiny * left[p] else rest


@compiled
def _beyond(
    first: Array,
    explained: Array,
    left: Array,
    df2: float,
    kind: int,
    threshold: float,
    signs: int,
    number: int,
    points: Array,
    values: Array,
    count: int,
) -> int:
    """Add the points beyond a threshold to a list that has `count` of them; returns how many it has then.

    Roots are only taken where the square comes close to that of the threshold.
    """
    cut = (threshold if kind == 1 else threshold * threshold) * (1.0 - _CLOSE)
    root, end = np.sqrt(df2), count
    for p in range(len(left)):
        points[end] = p
        end += 1 if explained[p] > cut * left[p] else 0
    for q in range(count, end):
        p = points[q]
        if kind == 0:
            value = first[p] * root / np.sqrt(left[p])
        elif kind == 1:
            value = explained[p] / left[p]
        else:
            value = first[p] / np.sqrt(left[p])
        values[count] = value
        points[count] = number + p
        above, below = signs >= 0 and value > threshold, signs <= 0 and -value > threshold
        count += 1 if above or below else 0
    return count


@compiled
def relabelled(
    x: Array,
    removed: int,
    basis: Array,
    unit_size: int,
    weights: Array,
    n_tested: int,
    df1: float,
    df2: float,
    kind: int,
    width: int,
    everything: Array,
    threshold: float,
    signs: int,
    first: int,
    points: Array,
    values: Array,
    counts: Array,
) -> None:
    """Compute the statistic of draws: at all points, or a list of where it lies beyond a threshold.

    From the sums of each draw, see `rayspy.kernels.statistics.models.Model`.

    Parameters
    ----------
    x, removed, basis, unit_size
        As in `prepared`.
    weights : ndarray of double, shape (draw, row, observation)
        Weights of each draw: the tested rows, then covariates.
    n_tested : int
        How many rows are tested.
    df1, df2 : float
        Degrees of freedom.
    kind : int
        0: t, 1: F, 2: r.
    width : int
        Points that are computed together.
    everything : ndarray of double, shape (draw, point)
        Where the statistic goes; with no draws: nowhere.
    threshold, signs
        As in `rayspy.kernels.loops.clusters.roots`.
    first : int
        Number of the first point.
    points : ndarray of int, shape (draw, room)
        Numbers of the points beyond the threshold, in order; with no draws: not wanted. There is
        room for all points and one more.
    values : ndarray of double, shape (draw, room)
        Their statistic.
    counts : ndarray of int, shape (draw,)
        How many there are up to now.
    """
    n_points, n_rows, n_kept = x.shape[1], weights.shape[1], weights.shape[2]
    tile, total, sums = np.empty((n_kept, width)), np.empty(width), np.empty((n_rows, width))
    explained, left = np.empty(width), np.empty(width)
    root = np.sqrt(df2)
    for low in range(0, n_points, width):
        n = min(width, n_points - low)
        if n < width:
            tile, total, sums = np.empty((n_kept, n)), np.empty(n), np.empty((n_rows, n))
            explained, left = np.empty(n), np.empty(n)
        prepared(x, low, removed, basis, unit_size, tile, total)
        for d in range(len(weights)):
            weighted_sums(tile, weights[d], sums)
            _shares(sums, n_tested, total, df1, df2, kind, explained, left)
            one = sums[0]
            if len(points) > 0:
                counts[d] = _beyond(
                    one, explained, left, df2, kind, threshold, signs, first + low,
                    points[d], values[d], counts[d],
                )  # fmt: skip
            if len(everything) > 0:
                out = everything[d, low : low + n]
                if kind == 0:
                    for p in range(n):
                        out[p] = one[p] * root / np.sqrt(left[p])
                elif kind == 1:
                    for p in range(n):
                        out[p] = explained[p] / left[p]
                else:
                    for p in range(n):
                        out[p] = one[p] / np.sqrt(left[p])
