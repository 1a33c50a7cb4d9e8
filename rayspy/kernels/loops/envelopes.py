"""Correlations of envelopes over the samples of a trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

_LANES = 8
"""Partial sums that lie side by side; their order does not depend on the processor."""


@compiled
def correlate(re: Array, im: Array, first: Array, second: Array, orthogonal: bool, out: Array) -> None:
    """Pearson correlation of the magnitudes of pairs of analytic signals.

    Parameters
    ----------
    re, im : ndarray of double, shape (channel, time)
        Analytic signals.
    first, second : ndarray of int, shape (pair,)
        Channels i and j.
    orthogonal : bool
        Take the part of j that is at right angles to i, |Im(z_j conj(z_i)) / |z_i||, instead of |z_j|.
    out : ndarray of double, shape (pair,)
        The correlations; NaN where an envelope is constant.
    """
    n_channels, n = re.shape
    size, means, spreads = np.empty((n_channels, n)), np.empty(n_channels), np.empty(n_channels)
    other = np.empty(n)
    for c in range(n_channels):
        for t in range(n):
            size[c, t] = np.sqrt(re[c, t] * re[c, t] + im[c, t] * im[c, t])
        means[c] = _total(size[c]) / n
        for t in range(n):
            other[t] = size[c, t] - means[c]
        spreads[c] = _inner(other, other)
    for p in range(len(first)):
        i, j = first[p], second[p]
        if orthogonal:
            for t in range(n):
                other[t] = abs((im[j, t] * re[i, t] - re[j, t] * im[i, t]) / size[i, t])
            mean = _total(other) / n
            for t in range(n):
                other[t] -= mean
            spread = _inner(other, other)
        else:
            for t in range(n):
                other[t] = size[j, t] - means[j]
            spread = spreads[j]
        out[p] = (_inner(other, size[i]) - _total(other) * means[i]) / np.sqrt(spread) / np.sqrt(spreads[i])


@compiled
def _total(a: Array) -> float:
    lanes = np.zeros(_LANES)
    whole = len(a) - len(a) % _LANES
    for low in range(0, whole, _LANES):
        for q in range(_LANES):
            lanes[q] += a[low + q]
    total = 0.0
    for q in range(_LANES):
        total += lanes[q]
    for t in range(whole, len(a)):
        total += a[t]
    return total


@compiled
def _inner(a: Array, b: Array) -> float:
    lanes = np.zeros(_LANES)
    whole = len(a) - len(a) % _LANES
    for low in range(0, whole, _LANES):
        for q in range(_LANES):
            lanes[q] += a[low + q] * b[low + q]
    total = 0.0
    for q in range(_LANES):
        total += lanes[q]
    for t in range(whole, len(a)):
        total += a[t] * b[t]
    return total
