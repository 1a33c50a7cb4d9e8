"""Spectra of real lines side by side: filters between a forward and a backward transform.

Rows hold time points, so a row of a transform, real and imaginary parts of 32
lanes, is two time points of 32 real lines: the even and the odd samples go
through one complex transform of half the length (Sorensen, H. V. et al. (1987).
Real-valued fast Fourier transform algorithms. IEEE Trans. Acoust. Speech Signal
Process. 35(6), 849-863).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import LANES, backward, forward, transform

Array = NDArray[Any]


def convolve(z: Array, transfer: Array) -> None:
    """Convolve real lines with a response, in a circle and in place.

    Parameters
    ----------
    z : ndarray of float32 or double, shape (n, LANES)
        Time points of lines side by side; n is twice the length of a transform.
    transfer : ndarray of complex, shape (n // 2 + 1,)
        Conjugate of the transfer function, divided by 2 n.
    """
    rows = z.reshape(-1, 2 * LANES)
    forward(rows)
    place = transform(len(rows), z.dtype.char).place
    _times(rows, place, transfer, turns(len(z), z.dtype.char))
    backward(rows)


@lru_cache(maxsize=32)
def turns(n: int, dtype: str) -> Array:
    """exp(2 pi i k / n) for a quarter of the circle: what is between even and odd samples."""
    return np.asarray(np.exp(2j * np.pi * np.arange(n // 4 + 1) / n), dtype.upper())


@compiled
def _times(z: Array, place: Array, h: Array, w: Array) -> None:
    """Multiply with a transfer function two frequencies at a time, which mirror each other."""
    n = len(z)
    for k in range(n // 2 + 1):
        mirrored = (n - k) % n
        a, b = z[place[k]], z[place[mirrored]]
        wr, wi = w[k].real, w[k].imag
        pr, pi, qr, qi = h[k].real, h[k].imag, h[n - k].real, h[n - k].imag
        for q in range(LANES):
            ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
            er, ei, odd_r, odd_i = ar + br, ai - bi, ai + bi, br - ar
            tr, ti = odd_r * wr - odd_i * wi, odd_r * wi + odd_i * wr
            sr, si, dr, di = er + tr, ei + ti, er - tr, ei - ti
            ur, ui = sr * pr - si * pi, sr * pi + si * pr
            vr, vi = dr * qr + di * qi, di * qr - dr * qi
            er, ei, tr, ti = ur + vr, ui + vi, ur - vr, ui - vi
            odd_r, odd_i = tr * wr + ti * wi, ti * wr - tr * wi
            a[q], a[q + LANES] = er - odd_i, ei + odd_r
            b[q], b[q + LANES] = er + odd_i, odd_r - ei


@compiled
def take_rows(x: Array, line: int, n_lines: int, means: Array, begin: int, stop: int, z: Array) -> None:
    """Put samples of lines side by side, less their means.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals; line i is channel i % n of trial i // n.
    line, n_lines : int
        First line, and number of lines.
    means : ndarray, floating point, shape (line,)
        Means of all lines.
    begin, stop : int
        Samples that are taken.
    z : ndarray, floating point, shape (stop - begin or more, LANES)
        Where they go from row 0 on; the rest becomes zero, and so do numbers that are not finite.
    """
    n_channels = x.shape[2]
    for t in range(len(z)):
        row = z[t]
        for q in range(LANES):
            row[q] = 0
    at = line
    while at < line + n_lines:
        trial, channel, lane = at // n_channels, at % n_channels, at - line
        width = min(n_channels - channel, line + n_lines - at)
        some = means[at : at + width]
        for t in range(begin, stop):
            source, row = x[trial, t, channel : channel + width], z[t - begin, lane : lane + width]
            for q in range(width):
                row[q] = source[q] - some[q]
        at += width


@compiled
def clean_rows(z: Array) -> None:
    """Replace numbers that are not finite by zero."""
    for t in range(len(z)):
        row = z[t]
        for q in range(LANES):
            if not np.isfinite(row[q]):
                row[q] = 0


@compiled
def put_rows(z: Array, step: int, line: int, n_lines: int, means: Array, ones: Array, out: Array) -> None:
    """Put every `step`-th row back among the samples, plus the response to the means.

    Parameters
    ----------
    z : ndarray, floating point, shape (row, LANES)
        Rows of lines side by side, from the first that is wanted on.
    step : int
        Distance of the rows that are wanted.
    line, n_lines, means
        As in `take_rows`.
    ones : ndarray, floating point, shape (row wanted,)
        What becomes of ones.
    out : ndarray, floating point, shape (trial, row wanted, channel)
        Where the sums go.
    """
    n_channels, at = out.shape[2], line
    while at < line + n_lines:
        trial, channel, lane = at // n_channels, at % n_channels, at - line
        width = min(n_channels - channel, line + n_lines - at)
        some = means[at : at + width]
        for t in range(out.shape[1]):
            row, target = z[t * step, lane : lane + width], out[trial, t, channel : channel + width]
            steady = ones[t]
            for q in range(width):
                target[q] = row[q] + some[q] * steady
        at += width
