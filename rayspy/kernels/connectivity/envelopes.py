"""Correlation of envelopes, also of the parts that are at right angles.

Hipp, J. F. et al. (2012). Large-scale cortical correlation structure of
spontaneous oscillatory activity. Nature Neuroscience 15, 884-890.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def envelope_correlation(z: Array, i: Array, j: Array, orthogonal: bool) -> Array:
    """Correlation of the magnitudes of analytic signals over time.

    Parameters
    ----------
    z : ndarray, complex, shape (time, channel)
        Analytic signals, or complex spectra at one frequency.
    i, j : ndarray of int, shape (pair,)
        Channels.
    orthogonal : bool
        Correlate |z_i| with the part of z_j at right angles to z_i, and the other way round, and average.

    Returns
    -------
    ndarray, shape (pair,)
        From -1 to 1; `orthogonal`: 0 for a channel and itself.
    """
    from rayspy.kernels.loops.envelopes import correlate

    unit = np.abs(z.view(z.real.dtype)).max(initial=0.0)
    scaled = (z / unit if unit > 0 else z).T
    re, im = np.ascontiguousarray(scaled.real, np.float64), np.ascontiguousarray(scaled.imag, np.float64)
    found = np.empty(len(i))
    correlate(re, im, i, j, orthogonal, found)
    if orthogonal:
        back = np.empty(len(i))
        correlate(re, im, j, i, orthogonal, back)
        found = (found + back) / 2
        found[i == j] = 0.0
    return np.clip(found, -1.0, 1.0)
