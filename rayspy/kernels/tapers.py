"""Taper functions (windows) and their normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_PARAMETERS: dict[str, tuple[str, ...]] = {
    "barthann": (), "bartlett": (), "blackman": (), "blackmanharris": (), "bohman": (), "boxcar": (),
    "chebwin": ("at",), "cosine": (), "flattop": (), "gaussian": ("std",), "general_cosine": ("a",),
    "general_gaussian": ("p", "sig"), "general_hamming": ("alpha",), "hamming": (), "hann": (),
    "kaiser": ("beta",), "kaiser_bessel_derived": ("beta",), "lanczos": (), "nuttall": (), "parzen": (),
    "taylor": ("nbar", "sll", "norm"), "triang": (), "tukey": ("alpha",),
}  # fmt: skip
"""Windows of `scipy.signal.windows` with the parameters that each needs."""


def window(name: str, n: int, options: Mapping[str, Any]) -> NDArray[np.float64]:
    """Symmetric window of n samples from `scipy.signal.windows`."""
    from scipy.signal import windows

    taper: NDArray[np.float64] = getattr(windows, name)(n, **options)
    return taper


def slepian(n: int, half_bandwidth: float, n_tapers: int, periodic: bool = False) -> NDArray[np.float64]:
    """Discrete prolate spheroidal sequences of unit energy, tapers x samples.

    Parameters
    ----------
    n : int
        Samples.
    half_bandwidth : float
        Time-half-bandwidth product NW = W * n / samplerate.
    n_tapers : int
        Number of tapers.
    periodic : bool
        Return those of n + 1 samples without their last one.
    """
    from scipy.signal.windows import dpss

    tapers: NDArray[np.float64] = dpss(n, half_bandwidth, n_tapers, sym=not periodic)
    return tapers


def power_norm(kind: str, taper_sum: float, n: int, n_fft: int, ft_compat: bool) -> float:
    r"""Factor c that turns \|FFT\|^2 of a tapered signal into power per bin.

    One-sided: every bin counts twice, 0 Hz and Nyquist as well (Syncopy's
    convention). The 4/3 for windows other than boxcar and Slepian is exact for
    the Hann window.

    Parameters
    ----------
    kind : {'boxcar', 'dpss', 'window'}
        Family of the taper.
    taper_sum : float
        Sum of the taper.
    n, n_fft : int
        Samples without and with zero padding.
    ft_compat : bool
        Keep the sum over bins independent of padding, as FieldTrip does, instead
        of the level of a bin.
    """
    length = n_fft if ft_compat else n
    if kind == "dpss":
        return 2.0 / length
    if kind == "boxcar":
        return 2.0 / (n * length)
    return 2.0 * 4.0 / 3.0 / (length * taper_sum)
