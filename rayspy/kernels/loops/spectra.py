"""Spectra of real lines, side by side.

The even and the odd samples of a line go through one complex transform of half
the length (Sorensen, H. V. et al. (1987). Real-valued fast Fourier transform
algorithms. IEEE Trans. Acoust. Speech Signal Process. 35(6), 849-863).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import aligned, forward, kept, transform
from rayspy.kernels.loops.real import turns
from rayspy.kernels.loops.rows import Segments, take

Array = NDArray[Any]

_WHOLE = Segments(parts=1, begin=0, hop=0, first=0, stride=0, rows=0)


def empty_slab(n: int) -> Array:
    """Memory for spectra of 32 lines by transforms of this length: (frequency, 2, 32)."""
    n_bins = n // 2 + 1
    return aligned(n_bins * 2 * LANES).reshape(n_bins, 2, LANES)


def fill_slab(x: Array, levels: Array, scales: Array, lines: range, n_bins: int, slab: Array) -> None:
    """Transform up to 32 lines in double precision; fewer are repeated for several filters at a time.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals that are continued with zeros.
    levels, scales : ndarray of double, shape (trial * channel,)
        What is subtracted from each line, and by what the rest is divided.
    lines : range
        Numbers of the lines: trials slowest and channels fastest.
    n_bins : int
        So many frequencies are wanted, at least.
    slab : ndarray of float32, shape (n // 2 + 1, 2, 32)
        Where real and imaginary parts of half of the frequencies go; n is twice the
        length of a transform.
    """
    n = 2 * (len(slab) - 1)
    z = kept(n * LANES, np.dtype("f8"))
    samples = z.reshape(n, LANES)
    take(x, (lines.start, len(lines)), _WHOLE, levels, samples[np.newaxis], 0)
    if (scales != 1).any():
        samples[:, : len(lines)] /= scales[lines.start : lines.stop]
    rows = z.reshape(n // 2, 2 * LANES)
    forward(rows)
    _separate(rows, transform(n // 2, "d").place, turns(n, "d"), n_bins, slab)
    if len(lines) <= LANES // 2:
        _repeat(slab[:n_bins], len(lines))


@compiled
def _separate(z: Array, place: Array, w: Array, n_bins: int, slab: Array) -> None:
    """Spectra of even plus those of odd samples, two frequencies at a time, which mirror each other."""
    n, half = len(z), z.dtype.type(0.5)
    for k in range(min(n_bins, n // 2 + 1)):
        a, b = z[place[k]], z[place[(n - k) % n]]
        low, high = slab[k], slab[n - k]
        wr, wi = half * w[k].real, half * w[k].imag
        for q in range(LANES):
            ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
            er, ei, odd_r, odd_i = half * (ar + br), half * (ai - bi), ai + bi, br - ar
            tr, ti = odd_r * wr - odd_i * wi, odd_r * wi + odd_i * wr
            low[0, q], low[1, q] = er + tr, -(ei + ti)
            high[0, q], high[1, q] = er - tr, ei - ti


@compiled
def _repeat(slab: Array, n_lines: int) -> None:
    for k in range(len(slab)):
        for part in range(2):
            row = slab[k, part]
            for lane in range(n_lines, LANES // n_lines * n_lines):
                row[lane] = row[lane - n_lines]
