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

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import backward, forward, transform

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
