"""Clusters of points on a grid of times x frequencies x channels, by disjoint sets.

Points are numbered ``(time * n_freq + freq) * n_channels + channel``. Neighbours
are the points before and after in time and in frequency, and at the same time
and frequency the channels that a graph names: those of channel c are
``index[pointer[c] : pointer[c + 1]]``.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


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
def _own_root(parent: Array, v: int) -> int:
    while parent[v] != v:
        v = parent[v]
    return v


@compiled
def enhanced(
    t: Array,
    order: Array,
    extent: float,
    height: float,
    n_freq: int,
    pointer: Array,
    index: Array,
    parent: Array,
    size: Array,
    level: Array,
    held: Array,
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
    parent, size, level, held : ndarray, shape (point,)
        Room for the sets; `parent` is -1 everywhere and is so again at the end.
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
        now = t[v] ** above / above
        parent[v], size[v], level[v], held[v] = v, 1, now, 0.0
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
            if u < 0 or parent[u] < 0:
                continue
            a = _own_root(parent, u)
            if a == root:
                continue
            b = root
            if size[a] < size[b]:
                a, b = b, a
            if level[a] != now:
                held[a] += size[a] ** extent * (level[a] - now)
                level[a] = now
            if level[b] != now:
                held[b] += size[b] ** extent * (level[b] - now)
            parent[b] = a
            held[b] -= held[a]
            size[a] += size[b]
            root = a
    for q in range(len(order)):
        v = order[q]
        if parent[v] == v:
            held[v] += size[v] ** extent * level[v]
    for q in range(len(order)):
        v, total = order[q], 0.0
        while parent[v] != v:
            total += held[v]
            v = parent[v]
        out[order[q]] = total + held[v]
    for q in range(len(order)):
        parent[order[q]] = -1
