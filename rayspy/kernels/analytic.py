"""Standardised and analytic signals.

Gabor, D. (1946). Theory of communication. J. IEE 93(26), 429-457, part 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import detrended, pairwise_sum

Array = NDArray[Any]


def standardized(x: Array) -> Array:
    """Mean 0 and standard deviation 1 (of the population) along time.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, time, channel)
        Signals; a constant one becomes NaN.
    """
    centred: Array = detrended(x, 0)
    variance = pairwise_sum(centred * centred) / x.dtype.type(x.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        centred /= np.sqrt(variance)
    return centred


def analytic(x: Array) -> Array:
    """Add the Hilbert transform of each line as its imaginary part.

    All negative frequencies of the discrete Fourier transform over the whole
    line vanish, the positive ones double.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, time, channel)
        Signals.
    """
    from scipy.fft import irfft, rfft

    n = x.shape[1]
    spectra = rfft(x, axis=1)
    spectra[:, 0] = 0
    if n % 2 == 0:
        spectra[:, -1] = 0
    spectra *= spectra.dtype.type(-1j)
    signal = np.empty(x.shape, spectra.dtype)
    signal.real = x
    signal.imag = irfft(spectra, n, axis=1, overwrite_x=True)
    return signal
