"""Sums over trials for pairs of channels.

Spectra are laid out (run of bins, channel, observation, taper, part, bin), so that
bins lie side by side and a run of them is found without a computation; the parts
are the real and the imaginary one. Pairs come in the order of tiles of channels,
so that the spectra of a tile stay in the processor's cache. Products are single
precision, sums double; where products are all that is wanted, their sums over a group
of trials are single precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

OBSERVATIONS = 16
"""So many are treated together at most, so that sums are fetched from memory once for all of them,"""
TILE_BYTES = 3 * 2**18
"""as long as their spectra in a tile of pairs are not larger than this and stay in the cache."""
TILE = 8
"""Channels on each side of a tile of pairs."""
BINS = 128
"""Bins of a run, at most."""
WHOLE = 16
"""Runs have a multiple of so many bins, since loops are slow at what is left over."""
_SIDE = 16
"""Bins that are brought into another order together."""
_ONE = np.float32(1)


@compiled
def separate(z: Array, scales: Array, out: Array) -> None:
    """Bring spectra into the order of the loops.

    Parameters
    ----------
    z : ndarray, complex, shape (observation, time, taper, freq, channel)
        Spectra.
    scales : ndarray of float32, shape (channel,)
        Powers of two that they are multiplied with.
    out : ndarray of float32, shape (run, channel, observation, taper, 2, bin)
        Where they go; bins are times x frequencies, what is left of the last run becomes 0.
    """
    n, n_times, n_tapers, n_freq, n_channels = z.shape
    n_bins, width = n_times * n_freq, out.shape[5]
    for t in range(n):
        for k in range(n_tapers):
            low = 0
            while low < n_bins:
                r, at = low // width, low % width
                time, freq = low // n_freq, low % n_freq
                count = min(_SIDE, width - at, n_freq - freq)
                rows = z[t, time, k]
                for c in range(n_channels):
                    scale, re, im = scales[c], out[r, c, t, k, 0], out[r, c, t, k, 1]
                    for f in range(count):
                        value = rows[freq + f, c]
                        re[at + f] = value.real * scale
                        im[at + f] = value.imag * scale
                low += count
            out[-1, :, t, k, :, n_bins - (len(out) - 1) * width :] = 0


@compiled
def _products(x: Array, y: Array, u: Array, v: Array) -> None:
    """Real and imaginary part of X_i conj(X_j), summed over tapers (taper, 2, bin), four at a time."""
    k = (len(x) - 1) % 4 + 1
    w = len(u)
    if k == 1:
        for f in range(w):
            a, b, c, d = x[0, 0, f], x[0, 1, f], y[0, 0, f], y[0, 1, f]
            u[f] = a * c + b * d
            v[f] = b * c - a * d
    elif k == 2:
        for f in range(w):
            a, b, c, d = x[0, 0, f], x[0, 1, f], y[0, 0, f], y[0, 1, f]
            p, q, r, s = x[1, 0, f], x[1, 1, f], y[1, 0, f], y[1, 1, f]
            u[f] = (a * c + b * d) + (p * r + q * s)
            v[f] = (b * c - a * d) + (q * r - p * s)
    else:
        for f in range(w):
            a, b, c, d = x[0, 0, f], x[0, 1, f], y[0, 0, f], y[0, 1, f]
            p, q, r, s = x[1, 0, f], x[1, 1, f], y[1, 0, f], y[1, 1, f]
            re, im = (a * c + b * d) + (p * r + q * s), (b * c - a * d) + (q * r - p * s)
            a, b, c, d = x[2, 0, f], x[2, 1, f], y[2, 0, f], y[2, 1, f]
            u[f] = re + (a * c + b * d)
            v[f] = im + (b * c - a * d)
        if k == 4:
            for f in range(w):
                a, b, c, d = x[3, 0, f], x[3, 1, f], y[3, 0, f], y[3, 1, f]
                u[f] += a * c + b * d
                v[f] += b * c - a * d
    while k < len(x):
        s4, t4 = x[k : k + 4], y[k : k + 4]
        for f in range(w):
            a, b, c, d = s4[0, 0, f], s4[0, 1, f], t4[0, 0, f], t4[0, 1, f]
            p, q, r, s = s4[1, 0, f], s4[1, 1, f], t4[1, 0, f], t4[1, 1, f]
            re, im = u[f] + (a * c + b * d) + (p * r + q * s), v[f] + (b * c - a * d) + (q * r - p * s)
            a, b, c, d = s4[2, 0, f], s4[2, 1, f], t4[2, 0, f], t4[2, 1, f]
            p, q, r, s = s4[3, 0, f], s4[3, 1, f], t4[3, 0, f], t4[3, 1, f]
            u[f] = re + (a * c + b * d) + (p * r + q * s)
            v[f] = im + (b * c - a * d) + (q * r - p * s)
        k += 4


@compiled
def _four_products(x: Array, x2: Array, y: Array, y2: Array, sums: Array) -> None:
    """Like `_products`, to the last bit, of two channels with two channels, since fetching takes longest.

    Sums (8, bin) are those of x with y, x with y2, x2 with y, x2 with y2, real and imaginary parts.
    """
    w = sums.shape[1]
    for f in range(w):
        a, b, c, d = x[0, 0, f], x[0, 1, f], x2[0, 0, f], x2[0, 1, f]
        p, q, r, s = y[0, 0, f], y[0, 1, f], y2[0, 0, f], y2[0, 1, f]
        sums[0, f], sums[1, f] = a * p + b * q, b * p - a * q
        sums[2, f], sums[3, f] = a * r + b * s, b * r - a * s
        sums[4, f], sums[5, f] = c * p + d * q, d * p - c * q
        sums[6, f], sums[7, f] = c * r + d * s, d * r - c * s
    for k in range(1, len(x)):
        for f in range(w):
            a, b, c, d = x[k, 0, f], x[k, 1, f], x2[k, 0, f], x2[k, 1, f]
            p, q, r, s = y[k, 0, f], y[k, 1, f], y2[k, 0, f], y2[k, 1, f]
            sums[0, f] += a * p + b * q
            sums[1, f] += b * p - a * q
            sums[2, f] += a * r + b * s
            sums[3, f] += b * r - a * s
            sums[4, f] += c * p + d * q
            sums[5, f] += d * p - c * q
            sums[6, f] += c * r + d * s
            sums[7, f] += d * r - c * s


@compiled
def add_products(
    z: Array,
    squares: Array,
    places: Array,
    units: Array,
    weight: float,
    n_bins: int,
    group: int,
    cross: Array,
) -> None:
    """Add cross spectra of observations, which are means over tapers of X_i conj(X_j), to sums of pairs.

    Parameters
    ----------
    z : ndarray of float32, shape (run, channel, observation, taper, 2, bin)
        Scaled spectra.
    squares : ndarray of int, shape (square, 4)
        Channels i, i2, j, j2: two by two, or i = i2 and j = j2.
    places : ndarray of int, shape (square, 4)
        Pair of i and j, i and j2, i2 and j, i2 and j2; -1: not wanted.
    units : ndarray of double, shape (channel,)
        What one scaled unit of each channel is.
    weight : float
        One over the number of tapers.
    n_bins : int
        Number of bins.
    group : int
        So many observations are summed in single precision.
    cross : ndarray of complex128, shape (pair, bin)
        The sums.
    """
    n, width, n_tapers = z.shape[2], z.shape[5], z.shape[3]
    some, sums = np.empty((8, width), np.float32), np.empty((8, width))
    fit = TILE_BYTES // (2 * TILE * n_tapers * 8 * width)
    together = max(1, min(OBSERVATIONS, fit) // group) * group
    for run in range(len(z)):
        low = run * width
        high = min(low + width, n_bins)
        for begin in range(0, n, together):
            end = min(begin + together, n)
            for square in range(len(squares)):
                i, i2, j, j2 = squares[square]
                single = i == i2 and j == j2
                for k in range(4):
                    if places[square, k] >= 0:
                        _fetch(cross[places[square, k], low:high], sums[2 * k], sums[2 * k + 1])
                for t in range(begin, end, group):
                    stop = min(t + group, end)
                    shape = ((stop - t) * n_tapers, 2, width)
                    x, y = z[run, i, t:stop].reshape(shape), z[run, j, t:stop].reshape(shape)
                    if single:
                        _products(x, y, some[0], some[1])
                    else:
                        x2, y2 = z[run, i2, t:stop].reshape(shape), z[run, j2, t:stop].reshape(shape)
                        _four_products(x, x2, y, y2, some)
                    for k in range(1 if single else 4):
                        unit = weight * (units[i if k < 2 else i2] * units[j2 if k % 2 else j])
                        for f in range(width):
                            sums[2 * k, f] += some[2 * k, f] * unit
                            sums[2 * k + 1, f] += some[2 * k + 1, f] * unit
                for k in range(4):
                    if places[square, k] >= 0:
                        _store(sums[2 * k], sums[2 * k + 1], cross[places[square, k], low:high])


@compiled
def _fetch(row: Array, re: Array, im: Array) -> None:
    """Separate real and imaginary parts."""
    for f in range(len(row)):
        re[f], im[f] = row[f].real, row[f].imag


@compiled
def _store(re: Array, im: Array, row: Array) -> None:
    """Put real and imaginary parts together."""
    for f in range(len(row)):
        row[f] = complex(re[f], im[f])


@compiled
def add_pairs(
    z: Array,
    first: Array,
    second: Array,
    units: Array,
    weight: float,
    n_bins: int,
    cross: Array,
    phase: Array,
    absolute: Array,
    square: Array,
    sign: Array,
) -> None:
    """Add what observations contribute to the sums of pairs.

    Every observation is added by itself, so that bits do not depend on how many come
    at a time, and what is small beside the spectra keeps its digits.

    Parameters
    ----------
    z, units, weight, n_bins
        As in `add_products`.
    first, second : ndarray of int, shape (pair,)
        Channels i and j of each pair.
    cross, phase : ndarray of complex128, shape (pair, bin)
        Sums of the cross spectra, and of those divided by their magnitude.
    absolute, square : ndarray of double, shape (pair, bin)
        Sums of the magnitude and of the square of their imaginary parts.
    sign : ndarray of int32, shape (pair, bin)
        Sums of the signs of their imaginary parts. Sums that are not wanted have no pairs.
    """
    n, width = z.shape[2], z.shape[5]
    wants_cross, wants_phase, wants_sign = len(cross) > 0, len(phase) > 0, len(sign) > 0
    wants_absolute, wants_square = len(absolute) > 0, len(square) > 0
    u, v = np.empty(width, np.float32), np.empty(width, np.float32)
    s, signs = np.empty((6, width)), np.empty(width, np.int32)
    together = max(1, min(OBSERVATIONS, TILE_BYTES // (2 * TILE * z.shape[3] * 8 * width)))
    for run in range(len(z)):
        low = run * width
        high = min(low + width, n_bins)
        w = high - low
        for begin in range(0, n, together):
            end = min(begin + together, n)
            for p in range(len(first)):
                i, j = first[p], second[p]
                unit = units[i] * units[j] * weight
                unit_squared = unit * unit
                if wants_cross:
                    row = cross[p, low:high]
                    for f in range(w):
                        s[0, f], s[1, f] = row[f].real, row[f].imag
                if wants_phase:
                    row = phase[p, low:high]
                    for f in range(w):
                        s[2, f], s[3, f] = row[f].real, row[f].imag
                if wants_absolute:
                    s[4, :w] = absolute[p, low:high]
                if wants_square:
                    s[5, :w] = square[p, low:high]
                if wants_sign:
                    signs[:w] = sign[p, low:high]
                for t in range(begin, end):
                    _products(z[run, i, t], z[run, j, t], u, v)
                    if wants_cross:
                        for f in range(width):
                            s[0, f] += u[f] * unit
                            s[1, f] += v[f] * unit
                    if wants_phase:
                        for f in range(width):
                            r = _ONE / np.sqrt(u[f] * u[f] + v[f] * v[f])
                            s[2, f] += u[f] * r
                            s[3, f] += v[f] * r
                    if wants_absolute:
                        for f in range(width):
                            s[4, f] += abs(v[f]) * unit
                    if wants_square:
                        for f in range(width):
                            s[5, f] += v[f] * v[f] * unit_squared
                    if wants_sign:
                        for f in range(width):
                            signs[f] += np.int32(v[f] > 0) - np.int32(v[f] < 0)
                if wants_cross:
                    row = cross[p, low:high]
                    for f in range(w):
                        row[f] = complex(s[0, f], s[1, f])
                if wants_phase:
                    row = phase[p, low:high]
                    for f in range(w):
                        row[f] = complex(s[2, f], s[3, f])
                if wants_absolute:
                    absolute[p, low:high] = s[4, :w]
                if wants_square:
                    square[p, low:high] = s[5, :w]
                if wants_sign:
                    sign[p, low:high] = signs[:w]


@compiled
def own_power(z: Array, out: Array) -> None:
    """Power of each channel and observation, summed over tapers, as `add_pairs` has it.

    Parameters
    ----------
    z : ndarray of float32, shape (run, channel, observation, taper, 2, bin)
        Scaled spectra.
    out : ndarray of double, shape (channel, observation, bin)
        Where it goes.
    """
    width = z.shape[5]
    u, v = np.empty(width, np.float32), np.empty(width, np.float32)
    for run in range(len(z)):
        for c in range(out.shape[0]):
            for t in range(out.shape[1]):
                row = out[c, t, run * width : (run + 1) * width]
                _products(z[run, c, t], z[run, c, t], u, v)
                for f in range(len(row)):
                    row[f] = u[f]


@compiled
def leave_out(
    z: Array,
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
    z, first, second, units, weight
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
    n, width, n_bins = z.shape[2], z.shape[5], whole.shape[1]
    u, v = np.empty(width, np.float32), np.empty(width, np.float32)
    x, y, h = np.empty(width), np.empty(width), np.empty(width)
    for run in range(len(z)):
        low = run * width
        high = min(low + width, n_bins)
        w = high - low
        for p in range(len(first)):
            i, j = first[p], second[p]
            if i == j:
                continue
            unit = units[i] * units[j] * weight
            row, all_of_them = cross[p, low:high], whole[p, low:high]
            total, total_of_squares = sums[p, low:high], squares[p, low:high]
            for f in range(w):
                x[f], y[f] = row[f].real, row[f].imag
            for t in range(n):
                _products(z[run, i, t], z[run, j, t], u, v)
                one, two = rest[i, t, low:high], rest[j, t, low:high]
                for f in range(w):  # short loops, which the processor does many bins at a time
                    a, b = x[f] - u[f] * unit, y[f] - v[f] * unit
                    h[f] = a * a + b * b
                for f in range(w):
                    ratio = h[f] / (one[f] * two[f])
                    h[f] = 1.0 if ratio > 1.0 else ratio
                if not squared:
                    for f in range(w):
                        h[f] = np.sqrt(h[f])
                for f in range(w):
                    h[f] -= all_of_them[f]
                    total[f] += h[f]
                for f in range(w):
                    total_of_squares[f] += h[f] * h[f]
