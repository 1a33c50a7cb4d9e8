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

    if len(taper_groups(n, n_tapers)) == 1:
        tapers: NDArray[np.float64] = dpss(n, half_bandwidth, n_tapers, sym=not periodic)
        return tapers
    whole = n + periodic
    made = [some_slepian(whole, half_bandwidth, group) for group in taper_groups(n, n_tapers)]
    return np.concatenate(made)[:, :n]


GROUP_BYTES = 2**23
"""Slepian tapers of more bytes are made some at a time."""


def taper_groups(n: int, n_tapers: int) -> list[range]:
    """Numbers of the tapers that are made together: each group of at most `GROUP_BYTES`, or one taper."""
    at_once = max(1, GROUP_BYTES // (8 * n))
    return [range(k, min(k + at_once, n_tapers)) for k in range(0, n_tapers, at_once)]


def some_slepian(n: int, half_bandwidth: float, which: range) -> NDArray[np.float64]:
    """Some of the tapers of `slepian`, by number.

    Eigenvectors of a tridiagonal matrix that commutes with the one that defines
    them. Even ones have a positive mean, odd ones begin with a positive lobe.

    References
    ----------
    Slepian, D. (1978). Prolate spheroidal wave functions, Fourier analysis, and
    uncertainty V. Bell System Technical Journal 57(5), 1371-1430, eq. 13.
    """
    from scipy.linalg import eigh_tridiagonal

    k = np.arange(n, dtype=np.float64)
    diagonal = ((n - 1 - 2 * k) / 2) ** 2 * np.cos(2 * np.pi * half_bandwidth / n)
    positions = n - which.stop, n - 1 - which.start
    _, vectors = eigh_tridiagonal(diagonal, k[1:] * (n - k[1:]) / 2, select="i", select_range=positions)
    tapers = np.asarray(vectors.T[::-1], dtype=np.float64)
    for number, taper in zip(which, tapers, strict=True):
        tells = taper[taper**2 > max(1e-7, 1 / n)][0] if number % 2 else taper.sum()
        if tells < 0:
            np.negative(taper, out=taper)
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
