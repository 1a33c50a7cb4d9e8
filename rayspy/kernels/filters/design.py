"""Design of filters: windowed sinc, minimum phase, Butterworth.

Oppenheim, A. V. & Schafer, R. W. (2010). Discrete-time signal processing, 3rd
ed., sections 7.2 (Butterworth), 7.5 (windows) and 13.5 (minimum phase).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.spectral.tapers import window

Array = NDArray[Any]
Taps = NDArray[np.float64]


def windowed_sinc(cutoff: float, order: int, name: str) -> Taps:
    """Low-pass with unit gain at 0: an ideal response of finite length times a window.

    Parameters
    ----------
    cutoff : float
        Frequency of half amplitude in cycles per sample, above 0 and up to 0.5.
    order : int
        Even; the filter has ``order + 1`` coefficients, symmetric about its middle.
    name : str
        Window of `scipy.signal.windows`.
    """
    m = np.arange(order + 1) - order // 2
    options = {"beta": KAISER_BETA} if name == "kaiser" else {}
    taps: Taps = np.sinc(2 * cutoff * m) * window(name, order + 1, options)
    taps /= taps.sum()
    return taps


_ATTENUATION = 72.0
"""dB; of low-passes that change the sampling rate."""
_WIDTH = 0.2
"""Width of their transition in cutoffs: from 0.9 to 1.1 of it."""
KAISER_BETA = 0.1102 * (_ATTENUATION - 8.7)
"""Parameter of Kaiser's window with this attenuation (Oppenheim & Schafer, eq. 7.75)."""


def kaiser_half(cutoff: float) -> float:
    """Length in samples of half of a Kaiser-windowed sinc with that transition (eq. 7.76).

    Up to 0.9 of the cutoff, in cycles per sample, its gain is 1 to within 3e-4, from 1.1 of
    it on less than that.
    """
    return (_ATTENUATION - 7.95) / (2 * 2.285 * 2 * math.pi * _WIDTH * cutoff)


_TERMS = [(KAISER_BETA**2 / 4) ** k / math.factorial(k) ** 2 for k in range(24)]
"""Power series of the modified Bessel function in Kaiser's window."""


def kaiser_sinc(times: Array, cutoff: float, half: float) -> Array:
    """Kaiser-windowed sinc at any times in samples; zero farther than `half` from 0.

    Parameters
    ----------
    times : ndarray of double
        Where it is wanted.
    cutoff : float
        Frequency of half amplitude in cycles per sample.
    half : float
        Half of its length.
    """
    inner = 1 - (times / half) ** 2
    shape = np.full(times.shape, _TERMS[-1])
    for term in _TERMS[-2::-1]:
        shape *= inner
        shape += term
    shape *= np.sinc(2 * cutoff * times)
    shape[inner < 0] = 0
    return shape


def sinc_filter(kind: str, cutoffs: tuple[float, ...], order: int, name: str) -> Taps:
    """Coefficients of a low-pass, high-pass, band-pass or band-stop.

    Parameters
    ----------
    kind : {'lp', 'hp', 'bp', 'bs'}
        Kind of filter.
    cutoffs : tuple of float
        One frequency, or two in ascending order, in cycles per sample.
    order : int
        Even order.
    name : str
        Window.
    """
    low = windowed_sinc(cutoffs[0], order, name)
    if kind == "lp":
        return low
    if kind == "hp":
        return _delta(order) - low
    high = windowed_sinc(cutoffs[1], order, name)
    return high - low if kind == "bp" else low + _delta(order) - high


def _delta(order: int) -> Taps:
    taps = np.zeros(order + 1)
    taps[order // 2] = 1
    return taps


_OVERSAMPLING = 1000
_FLOOR = 1e-8
"""Smallest magnitude in a minimum-phase design; the logarithm needs one."""


def minimum_phase(taps: Taps) -> Taps:
    """Causal coefficients with the same magnitude response and the least delay.

    The logarithm of the magnitude is the real part of the transform of a causal
    sequence; folding its cepstrum gives that sequence (homomorphic method).
    """
    from scipy.fft import irfft, rfft

    n = 2 ** math.ceil(math.log2(_OVERSAMPLING * len(taps)))
    magnitude = np.maximum(np.abs(rfft(taps, n)), _FLOOR)
    cepstrum = irfft(np.log(magnitude), n)
    cepstrum[1 : n // 2] *= 2
    cepstrum[n // 2 + 1 :] = 0
    causal: Taps = irfft(np.exp(rfft(cepstrum)), n)[: len(taps)].copy()
    return causal


@dataclass(frozen=True, eq=False)
class Sections:
    """A recursive filter as second-order sections.

    Attributes
    ----------
    sos : ndarray, shape (section, 6)
        Coefficients as in SciPy.
    steady : ndarray, shape (section, 2)
        State in which a constant input of 1 goes on for ever.
    padding : int
        Samples that are added at either end before filtering in both directions.
    decay : int
        Samples after which a disturbance has died down to `RESIDUE`.
    """

    sos: Array
    steady: Array
    padding: int
    decay: int


RESIDUE = 1e-12
"""What is left of a disturbance after `Sections.decay` samples, relative to its start."""


_Band = Literal["lowpass", "highpass", "bandpass", "bandstop"]
_NAMES: dict[str, _Band] = {"lp": "lowpass", "hp": "highpass", "bp": "bandpass", "bs": "bandstop"}


def butterworth(kind: str, cutoffs: tuple[float, ...], order: int) -> Sections:
    """Butterworth filter.

    Parameters
    ----------
    kind : {'lp', 'hp', 'bp', 'bs'}
        Kind of filter.
    cutoffs : tuple of float
        One frequency, or two in ascending order, in cycles per sample, between 0 and 0.5.
    order : int
        Order; band-pass and band-stop have twice as many poles.
    """
    from scipy.signal import butter

    edges = cutoffs[0] if len(cutoffs) == 1 else list(cutoffs)
    return _described(np.asarray(butter(order, edges, _NAMES[kind], output="sos", fs=1.0)))


def notch(freqs: tuple[float, ...], width: float) -> Sections:
    """Zeros on the unit circle with poles close by, one pair per frequency; gain 1 at 0 and Nyquist.

    Orfanidis, S. J. (1996). Introduction to signal processing, section 11.3.2.

    Parameters
    ----------
    freqs : tuple of float
        Frequencies to take out in cycles per sample, between 0 and 0.5.
    width : float
        Distance between the two frequencies with half power, in cycles per sample.
    """
    gain = 1 / (1 + math.tan(math.pi * width))
    cosines = [math.cos(2 * math.pi * f) for f in freqs]
    rows = [[gain, -2 * gain * c, gain, 1, -2 * gain * c, 2 * gain - 1] for c in cosines]
    return _described(np.array(rows))


def _described(sos: Array) -> Sections:
    from scipy.signal import sosfilt_zi

    return Sections(sos, np.asarray(sosfilt_zi(sos)), _padding(sos), _decay(sos))


def _padding(sos: Array) -> int:
    """Three times the length of the equivalent single section, as `scipy.signal.sosfiltfilt` has it."""
    n = 2 * len(sos) + 1
    n -= min(int((sos[:, 2] == 0).sum()), int((sos[:, 5] == 0).sum()))
    return 3 * n


def _decay(sos: Array) -> int:
    radius = max(float(np.abs(np.roots(section[3:])).max()) for section in sos)
    if radius <= 0:
        return len(sos) * 2
    return math.ceil(math.log(RESIDUE) / math.log(min(radius, 1 - 1e-12))) + 2 * len(sos)
