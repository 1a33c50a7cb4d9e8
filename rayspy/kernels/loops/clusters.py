"""Clusters of points on a grid of times x frequencies x channels, by disjoint sets.

Points are numbered ``(time * n_freq + freq) * n_channels + channel``. Neighbours
are the points before and after in time and in frequency, and at the same time
and frequency the channels that a graph names: those of channel c are
``index[pointer[c] : pointer[c + 1]]``.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

PARENT, SIZE, LEVEL, HELD = 0, 1, 2, 3
"""Columns of the sets of `enhanced`."""


@compiled
def _root(parent: Array, v: int) -> int:
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@compiled
def _join(parent: Array, a: int, b: int) -> None:
    """Put two sets together; the root of a set is its first point."""
    a, b = _root(parent, a), _root(parent, b)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@compiled
def roots(
    t: Array, threshold: float, signs: int, n_freq: int, pointer: Array, index: Array, parent: Array
) -> None:
    """Find the clusters of points whose statistic lies beyond the threshold, of either sign by itself.

    Parameters
    ----------
    t : ndarray of double, shape (point,)
        Statistic.
    threshold : float
        Points belong to a cluster where ``t > threshold`` or ``-t > threshold``.
    signs : int
        1: positive clusters only, -1: negative only, 0: both.
    n_freq : int
        Number of frequencies.
    pointer, index : ndarray of int
        Graph of the channels.
    parent : ndarray of int, shape (point,)
        Becomes the first point of each point's cluster, -1 for points in none.
    """
    n_channels = len(pointer) - 1
    step = n_freq * n_channels
    for v in range(len(t)):
        if signs >= 0 and t[v] > threshold:
            s = 1.0
        elif signs <= 0 and -t[v] > threshold:
            s = -1.0
        else:
            parent[v] = -1
            continue
        parent[v] = v
        c = v % n_channels
        if v >= step and s * t[v - step] > threshold:
            _join(parent, v - step, v)
        if (v // n_channels) % n_freq > 0 and s * t[v - n_channels] > threshold:
            _join(parent, v - n_channels, v)
        for k in range(pointer[c], pointer[c + 1]):
            w = v - c + index[k]
            if w < v and s * t[w] > threshold:
                _join(parent, w, v)
    for v in range(len(t)):
        if parent[v] >= 0:
            parent[v] = parent[parent[v]]


@compiled
def masses(t: Array, threshold: float, kind: int, exponent: float, parent: Array, mass: Array) -> float:
    """Sum over each cluster, in the order of its points; returns the largest.

    Parameters
    ----------
    t, threshold, parent
        As in `roots`, which was called before.
    kind : int
        0: sum of ``|t|``; 1: number of points; 2: sum of ``(|t| - threshold) ** exponent``.
    exponent : float
        For kind 2.
    mass : ndarray of double, shape (point,)
        The sums go to the first point of each cluster; other points are not written.
    """
    best = 0.0
    for v in range(len(t)):
        r = parent[v]
        if r < 0:
            continue
        if r == v:
            mass[v] = 0.0
        if kind == 0:
            mass[r] += abs(t[v])
        elif kind == 1:
            mass[r] += 1.0
        else:
            mass[r] += (abs(t[v]) - threshold) ** exponent
        best = max(best, mass[r])
    return best


@compiled
def heaviest(
    points: Array,
    values: Array,
    threshold: float,
    kind: int,
    exponent: float,
    n_freq: int,
    pointer: Array,
    index: Array,
    place: Array,
    parent: Array,
    mass: Array,
) -> float:
    """Largest mass of the clusters of points that are known to lie beyond the threshold.

    The same number, bit for bit, as that of `roots` and `masses` on all points.

    Parameters
    ----------
    points : ndarray of int
        Numbers of the points, in order.
    values : ndarray of double
        Their statistic.
    threshold, kind, exponent
        As in `masses`.
    n_freq, pointer, index
        As in `roots`.
    place : ndarray of int, shape (all points,)
        Room for the places of points in the list; -1 everywhere, and so again at the end.
    parent : ndarray of int
        Room for as many numbers as there are points in the list.
    mass : ndarray of double
        The same.
    """
    n_channels = len(pointer) - 1
    step = n_freq * n_channels
    best = 0.0
    for q in range(len(points)):
        v = points[q]
        above = values[q] > 0.0
        row = v // n_channels
        c = v - row * n_channels
        parent[q] = q
        u = place[v - step] if v >= step else -1
        if u >= 0 and (values[u] > 0.0) == above:
            _join(parent, u, q)
        u = place[v - n_channels] if row % n_freq > 0 else -1
        if u >= 0 and (values[u] > 0.0) == above:
            _join(parent, u, q)
        for k in range(pointer[c], pointer[c + 1]):
            if index[k] < c:
                u = place[v - c + index[k]]
                if u >= 0 and (values[u] > 0.0) == above:
                    _join(parent, u, q)
        place[v] = q
    for q in range(len(points)):
        r = parent[parent[q]]
        parent[q] = r
        if r == q:
            mass[q] = 0.0
        size = abs(values[q])
        if kind == 0:
            mass[r] += size
        elif kind == 1:
            mass[r] += 1.0
        else:
            mass[r] += (size - threshold) ** exponent
        best = max(best, mass[r])
        place[points[q]] = -1
    return best


@compiled
def _power(x: float, exponent: float) -> float:
    """Powers that are usual without the general function, which is slow."""
    if exponent == 0.5:
        return math.sqrt(x)
    if exponent == 1.0:
        return x
    if exponent == 3.0:
        return x * x * x
    general: float = x**exponent
    return general


@compiled
def enhanced(
    t: Array,
    order: Array,
    extent: float,
    height: float,
    n_freq: int,
    pointer: Array,
    index: Array,
    jump: Array,
    sets: Array,
    out: Array,
) -> None:
    """Integrate ``e(h)**extent * h**height dh`` from 0 to the value of each point, exactly.

    e(h) is the number of points in the point's cluster at threshold h. Points are
    taken from the largest down; a set keeps what its points have gathered and the
    level to which this was counted, and settles up when it is joined with another.
    A joined set hangs below the larger one, whose sum up to then it subtracts.

    Parameters
    ----------
    t : ndarray of double, shape (point,)
        Statistic, times -1 for negative clusters.
    order : ndarray of int
        Points with ``t > 0``, the largest first.
    extent, height : float
        Exponents E and H.
    n_freq, pointer, index
        As in `roots`.
    jump : ndarray of int, shape (point,)
        Room for short ways to the roots; -1 everywhere, and so again at the end.
    sets : ndarray of double, shape (point, 4)
        Room for parent, size, level and sum of each set, side by side in a cache line.
    out : ndarray of double, shape (point,)
        The integrals of the points in `order`; others are not written.

    Notes
    -----
    Smith & Nichols 2009, NeuroImage 44:83, equation 1; disjoint sets for it: Chen,
    Weeda, Nichols & Goeman 2026, arXiv:2603.03004.
    """
    n_channels, n, above = len(pointer) - 1, len(t), height + 1.0
    step = n_freq * n_channels
    for q in range(len(order)):
        v = order[q]
        now = _power(t[v], above) / above
        sets[v, PARENT], sets[v, SIZE], sets[v, LEVEL], sets[v, HELD] = v, 1.0, now, 0.0
        jump[v] = v
        c, f = v % n_channels, (v // n_channels) % n_freq
        first = pointer[c]
        n_near = pointer[c + 1] - first
        root = v
        for k in range(n_near + 4):
            if k < n_near:
                u = v - c + index[first + k]
            elif k == n_near:
                u = v - n_channels if f > 0 else -1
            elif k == n_near + 1:
                u = v + n_channels if f < n_freq - 1 else -1
            elif k == n_near + 2:
                u = v - step
            else:
                u = v + step if v + step < n else -1
            if u < 0 or jump[u] < 0:
                continue
            a = _root(jump, u)
            if a == root:
                continue
            b = root
            if sets[a, SIZE] < sets[b, SIZE]:
                a, b = b, a
            if sets[a, LEVEL] != now:
                sets[a, HELD] += _power(sets[a, SIZE], extent) * (sets[a, LEVEL] - now)
                sets[a, LEVEL] = now
            if sets[b, LEVEL] != now:
                sets[b, HELD] += _power(sets[b, SIZE], extent) * (sets[b, LEVEL] - now)
            jump[b] = a
            sets[b, PARENT] = a
            sets[b, HELD] -= sets[a, HELD]
            sets[a, SIZE] += sets[b, SIZE]
            root = a
    for q in range(len(order)):
        v = order[q]
        if sets[v, PARENT] == v:
            sets[v, HELD] += _power(sets[v, SIZE], extent) * sets[v, LEVEL]
    for q in range(len(order)):
        v, total = order[q], 0.0
        up = int(sets[v, PARENT])
        while up != v:
            total += sets[v, HELD]
            v = up
            up = int(sets[v, PARENT])
        out[order[q]] = total + sets[v, HELD]
    for q in range(len(order)):
        jump[order[q]] = -1
