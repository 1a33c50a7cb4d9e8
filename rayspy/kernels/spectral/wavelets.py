"""Wavelets as sampled filters, and the frequencies that belong to their scales.

Torrence, C. & Compo, G. P. (1998). A practical guide to wavelet analysis. Bull.
Am. Meteorol. Soc. 79(1), 61-78, table 1. Moca, V. V., Barzan, H., Nagy-Dabacan,
A. & Muresan, R. C. (2021). Time-frequency super-resolution with superlets.
Nature Communications 12, 337, equations 1-7.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SUPPORT = 10.0
"""Length of a sampled wavelet in scales."""
_FAR = 5.3
"""So many spreads from its middle a Gaussian is less than 1e-6 of its largest value."""
_SPREAD = 5.0
"""Number of standard deviations in a superlet's cycles."""


def fourier_factor(family: str, parameter: float) -> float:
    """Fourier period that belongs to a scale of 1.

    Parameters
    ----------
    family : {'Morlet', 'Paul', 'DOG', 'superlet'}
        Kind of wavelet.
    parameter : float
        Central frequency w0 of Morlet, order m of Paul and DOG; superlets have none.
    """
    if family == "Morlet":
        return 4 * math.pi / (parameter + math.sqrt(2 + parameter**2))
    if family == "Paul":
        return 4 * math.pi / (2 * parameter + 1)
    if family == "DOG":
        return 2 * math.pi / math.sqrt(parameter + 0.5)
    return 2 * math.pi


def automatic_periods(samplerate: float, n_samples: int, factor: float) -> Array:
    """Periods in seconds, four per octave, from the trial length down to two samples.

    Parameters
    ----------
    samplerate : float
        Hz.
    n_samples : int
        Length of the shortest trial.
    factor : float
        `fourier_factor` of the wavelet.
    """
    shortest = 2 / samplerate
    steps = max(0, int(4 * math.log2(n_samples / (samplerate * shortest / factor))))
    return np.asarray(shortest * 2.0 ** (np.arange(steps, -1, -1) / 4))


def morlet(u: Array, w0: float) -> Array:
    """Morlet's wavelet with w0 / (2 pi) cycles per unit; u is time over scale."""
    wave = np.exp(1j * w0 * u) - math.exp(-(w0**2) / 2)
    return np.asarray(math.pi**-0.25 * wave * np.exp(-(u**2) / 2))


def morlet_limits(w0: float, scale: float, samplerate: float) -> tuple[float, float]:
    """Frequencies, per sample, between which Morlet's wavelet is more than 1e-6 of its largest value.

    Its spectrum is a Gaussian around w0 / (2 pi s), less one around 0, both of spread 1 / (2 pi s).
    """
    lowest = w0 if w0 > _FAR else 0.0
    spread = 1 / (2 * math.pi * scale * samplerate)
    return (lowest - _FAR) * spread, (w0 + _FAR) * spread


def paul(u: Array, order: float) -> Array:
    """Paul's wavelet of some order."""
    log_norm = order * math.log(2) + math.lgamma(order + 1)
    log_norm -= 0.5 * (math.log(math.pi) + math.lgamma(2 * order + 1))
    return np.asarray(math.exp(log_norm) * 1j**order * (1 - 1j * u) ** -(order + 1))


def gauss_derivative(u: Array, order: float) -> Array:
    """Derivative of a Gaussian (DOG), real; order 2 is the Mexican hat."""
    hermite = np.polynomial.hermite_e.hermeval(u, [0] * int(order) + [1])
    sign = (-1) ** (int(order) + 1)
    return np.asarray(sign * math.exp(-0.5 * math.lgamma(order + 0.5)) * hermite * np.exp(-(u**2) / 2))


def sample_times(duration: float, reach: int) -> tuple[Array, int]:
    """Times in samples at which a filter of some duration is sampled, and the lag of the first.

    They are symmetric about 0 and need not be whole numbers: the middle one of
    all n, index (n - 1) // 2, is lag 0. Lags beyond `reach` are left out.
    """
    begin = (-duration + 1) / 2
    n = math.ceil((duration + 1) / 2 - begin)
    middle = (n - 1) // 2
    first = max(0, middle - reach)
    return begin + np.arange(first, min(n, middle + reach + 1)), first - middle


def samples_needed(duration: float) -> tuple[int, int]:
    """How many samples before and after a time point a filter of some duration needs."""
    begin = (-duration + 1) / 2
    n = math.ceil((duration + 1) / 2 - begin)
    middle = (n - 1) // 2
    return n - 1 - middle, middle


def sampled_wavelet(
    family: str, parameter: float, scale: float, samplerate: float, reach: int
) -> tuple[Array, int]:
    """Taps of a wavelet filter, sqrt(dt) / (8 pi s) psi(t / s), and the lag of the first.

    Parameters
    ----------
    family, parameter
        See `fourier_factor`.
    scale : float
        Seconds.
    samplerate : float
        Hz.
    reach : int
        Largest lag that can matter: the length of the signal less one.
    """
    shapes = {"Morlet": morlet, "Paul": paul, "DOG": gauss_derivative}
    times, first = sample_times(SUPPORT * scale * samplerate, reach)
    norm = 1 / (8 * math.pi * scale * math.sqrt(samplerate))
    return norm * shapes[family](times / (scale * samplerate), parameter), first


def sampled_superlet(cycles: float, scale: float, samplerate: float, reach: int) -> tuple[Array, int]:
    r"""Taps of one wavelet of a superlet, and the lag of the first.

    A Gaussian with a number of cycles at f = 1 / (2 pi s): with spread
    B = 2 pi cycles s / 5, exp(i t / s - t^2 / (2 B^2)) / (B \sqrt{2 pi}), times
    sqrt(dt) / (4 pi).
    """
    times, first = sample_times(SUPPORT * scale * cycles * samplerate, reach)
    u = times / (scale * samplerate)
    width = 2 * math.pi * cycles / _SPREAD
    norm = 1 / (4 * math.pi * math.sqrt(samplerate) * scale * width * math.sqrt(2 * math.pi))
    return norm * np.exp(1j * u - 0.5 * (u / width) ** 2), first


def fractional_orders(freqs: Array, order_min: int, order_max: int) -> Array:
    """Order per frequency, rising linearly from the lowest to the highest (Moca et al., eq. 7)."""
    low, high = float(freqs.min()), float(freqs.max())
    return np.asarray(order_min + (order_max - order_min) * (freqs - low) / (high - low))


def order_weights(order: float, order_min: int) -> list[tuple[int, float]]:
    """Whole orders that make up a fractional one, with their weights in the geometric mean (eq. 6)."""
    whole = math.floor(order + 1e-9)
    weights = [(k, 1.0) for k in range(order_min, whole + 1)]
    rest = order - whole
    return [*weights, (whole + 1, rest)] if rest > 1e-9 else weights
