"""Standardised and analytic signals, as lines (trial, channel, time).

Gabor, D. (1946). Theory of communication. J. IEE 93(26), 429-457, part 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lines import line_means

Array = NDArray[Any]


def standardized(lines: Array) -> Array:
    """Mean 0 and standard deviation 1 (of the population) along time.

    Parameters
    ----------
    lines : ndarray, floating point, shape (trial, channel, time)
        Signals; a constant one becomes NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        centred: Array = lines - line_means(lines)
        centred /= np.sqrt(line_means(centred * centred))
    return centred


def analytic(lines: Array) -> Array:
    """Add the Hilbert transform of each line as its imaginary part.

    All negative frequencies of the discrete Fourier transform over the whole
    line vanish, the positive ones double.

    Parameters
    ----------
    lines : ndarray, floating point, shape (trial, channel, time)
        Signals.
    """
    from scipy.fft import irfft, rfft

    n = lines.shape[2]
    spectra = rfft(lines, axis=-1)
    spectra[..., 0] = 0
    if n % 2 == 0:
        spectra[..., -1] = 0
    spectra *= spectra.dtype.type(-1j)
    signal = np.empty(lines.shape, spectra.dtype)
    signal.real = lines
    signal.imag = irfft(spectra, n, axis=-1, overwrite_x=True)
    return signal
