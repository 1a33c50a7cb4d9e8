"""Sums over trials for pairs of channels.

Spectra are laid out (channel, observation, taper, bin), so that bins lie side by
side; pairs come in the order of tiles of channels, so that the spectra of a tile
stay in the processor's cache. Products are single precision, sums double; every
observation is added to the sums by itself, so that their bits do not depend on
how many come at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

OBSERVATIONS = 8
"""So many are treated together, if there are."""
TILE = 8
"""Channels on each side of a tile of pairs."""
BINS = 128
"""Bins that are treated together."""
_ONE = np.float32(1)


@compiled
def peaks(z: Array, out: Array) -> None:
    """Largest finite real or imaginary part per channel of (row, channel); raises what is in `out`."""
    for row in range(z.shape[0]):
        for c in range(z.shape[1]):
            re, im = abs(z[row, c].real), abs(z[row, c].imag)
            if np.isfinite(re) and re > out[c]:
                out[c] = re
            if np.isfinite(im) and im > out[c]:
                out[c] = im


@compiled
def separate(z: Array, scales: Array, re: Array, im: Array) -> None:
    """Bring spectra into the order of the loops.

    Parameters
    ----------
    z : ndarray, complex, shape (observation, time, taper, freq, channel)
        Spectra.
    scales : ndarray of float32, shape (channel,)
        Powers of two that they are multiplied with.
    re, im : ndarray of float32, shape (channel, observation, taper, time x freq)
        Where they go.
    """
    n, n_times, n_tapers, n_freq, n_channels = z.shape
    for t in range(n):
        for r in range(n_times):
            for k in range(n_tapers):
                for low in range(0, n_freq, 16):
                    for c in range(n_channels):
                        for f in range(low, min(low + 16, n_freq)):
                            value = z[t, r, k, f, c]
                            re[c, t, k, r * n_freq + f] = value.real * scales[c]
                            im[c, t, k, r * n_freq + f] = value.imag * scales[c]


@compiled
def add_pairs(
    re: Array,
    im: Array,
    first: Array,
    second: Array,
    units: Array,
    weight: float,
    cross: Array,
    phase: Array,
    absolute: Array,
    square: Array,
    sign: Array,
) -> None:
    """Add what observations contribute to the sums of pairs.

    The cross spectrum of an observation is the mean over its tapers of X_i conj(X_j).

    Parameters
    ----------
    re, im : ndarray of float32, shape (channel, observation, taper, bin)
        Scaled spectra.
    first, second : ndarray of int, shape (pair,)
        Channels i and j of each pair.
    units : ndarray of double, shape (channel,)
        What one scaled unit of each channel is.
    weight : float
        One over the number of tapers.
    cross, phase : ndarray of complex128, shape (pair, bin)
        Sums of the cross spectra, and of those divided by their magnitude.
    absolute, square : ndarray of double, shape (pair, bin)
        Sums of the magnitude and of the square of their imaginary parts.
    sign : ndarray of int32, shape (pair, bin)
        Sums of the signs of their imaginary parts. Sums that are not wanted have no pairs.
    """
    n, n_tapers, n_bins = re.shape[1], re.shape[2], re.shape[3]
    wants_cross, wants_phase, wants_sign = len(cross) > 0, len(phase) > 0, len(sign) > 0
    wants_absolute, wants_square = len(absolute) > 0, len(square) > 0
    u, v = np.empty(BINS, np.float32), np.empty(BINS, np.float32)
    s, signs = np.empty((6, BINS)), np.empty(BINS, np.int32)
    for low in range(0, n_bins, BINS):
        high = min(low + BINS, n_bins)
        w = high - low
        for begin in range(0, n, OBSERVATIONS):
            end = min(begin + OBSERVATIONS, n)
            for p in range(len(first)):
                i, j = first[p], second[p]
                unit = units[i] * units[j] * weight
                unit_squared = unit * unit
                if wants_cross:
                    for f in range(w):
                        s[0, f], s[1, f] = cross[p, low + f].real, cross[p, low + f].imag
                if wants_phase:
                    for f in range(w):
                        s[2, f], s[3, f] = phase[p, low + f].real, phase[p, low + f].imag
                if wants_absolute:
                    s[4, :w] = absolute[p, low:high]
                if wants_square:
                    s[5, :w] = square[p, low:high]
                if wants_sign:
                    signs[:w] = sign[p, low:high]
                for t in range(begin, end):
                    a, b = re[i, t, 0, low:high], im[i, t, 0, low:high]
                    c, d = re[j, t, 0, low:high], im[j, t, 0, low:high]
                    for f in range(w):
                        u[f] = a[f] * c[f] + b[f] * d[f]
                        v[f] = b[f] * c[f] - a[f] * d[f]
                    for k in range(1, n_tapers):
                        a, b = re[i, t, k, low:high], im[i, t, k, low:high]
                        c, d = re[j, t, k, low:high], im[j, t, k, low:high]
                        for f in range(w):
                            u[f] += a[f] * c[f] + b[f] * d[f]
                            v[f] += b[f] * c[f] - a[f] * d[f]
                    if wants_cross:
                        for f in range(w):
                            s[0, f] += u[f] * unit
                            s[1, f] += v[f] * unit
                    if wants_phase:
                        for f in range(w):
                            r = _ONE / np.sqrt(u[f] * u[f] + v[f] * v[f])
                            s[2, f] += u[f] * r
                            s[3, f] += v[f] * r
                    if wants_absolute:
                        for f in range(w):
                            s[4, f] += abs(v[f]) * unit
                    if wants_square:
                        for f in range(w):
                            s[5, f] += v[f] * v[f] * unit_squared
                    if wants_sign:
                        for f in range(w):
                            signs[f] += np.int32(v[f] > 0) - np.int32(v[f] < 0)
                if wants_cross:
                    for f in range(w):
                        cross[p, low + f] = complex(s[0, f], s[1, f])
                if wants_phase:
                    for f in range(w):
                        phase[p, low + f] = complex(s[2, f], s[3, f])
                if wants_absolute:
                    absolute[p, low:high] = s[4, :w]
                if wants_square:
                    square[p, low:high] = s[5, :w]
                if wants_sign:
                    sign[p, low:high] = signs[:w]


@compiled
def leave_out(
    re: Array,
    im: Array,
    first: Array,
    second: Array,
    units: Array,
    weight: float,
    cross: Array,
    rest: Array,
    whole: Array,
    squared: bool,
    sums: Array,
    squares: Array,
) -> None:
    """Add how far the magnitude of coherency is from `whole` without each observation.

    Parameters
    ----------
    re, im, first, second, units, weight
        As in `add_pairs`.
    cross : ndarray of complex128, shape (pair, bin)
        Sums of the cross spectra of all observations.
    rest : ndarray of double, shape (channel, observation, bin)
        Power of all but one observation.
    whole : ndarray of double, shape (pair, bin)
        Magnitude of coherency of all of them, or its square.
    squared : bool
        Take the square.
    sums, squares : ndarray of double, shape (pair, bin)
        Where the distances and their squares are added.
    """
    n, n_tapers, n_bins = re.shape[1], re.shape[2], re.shape[3]
    u, v = np.empty(BINS, np.float32), np.empty(BINS, np.float32)
    s = np.empty((5, BINS))
    for low in range(0, n_bins, BINS):
        high = min(low + BINS, n_bins)
        w = high - low
        for p in range(len(first)):
            i, j = first[p], second[p]
            if i == j:
                continue
            unit = units[i] * units[j] * weight
            for f in range(w):
                s[0, f], s[1, f] = cross[p, low + f].real, cross[p, low + f].imag
            s[2, :w], s[3, :w], s[4, :w] = whole[p, low:high], sums[p, low:high], squares[p, low:high]
            for t in range(n):
                u[:w], v[:w] = 0, 0
                for k in range(n_tapers):
                    a, b = re[i, t, k, low:high], im[i, t, k, low:high]
                    c, d = re[j, t, k, low:high], im[j, t, k, low:high]
                    for f in range(w):
                        u[f] += a[f] * c[f] + b[f] * d[f]
                        v[f] += b[f] * c[f] - a[f] * d[f]
                one, two = rest[i, t, low:high], rest[j, t, low:high]
                for f in range(w):
                    x, y = s[0, f] - u[f] * unit, s[1, f] - v[f] * unit
                    h = min((x * x + y * y) / (one[f] * two[f]), 1.0)
                    step = (h if squared else np.sqrt(h)) - s[2, f]
                    s[3, f] += step
                    s[4, f] += step * step
            sums[p, low:high], squares[p, low:high] = s[3, :w], s[4, :w]
