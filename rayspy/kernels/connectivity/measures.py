"""Normalised measures of pairs, as functions of sums over observations.

S_ij is the mean over observations of the cross spectrum c_ij = X_i conj(X_j);
its phase is positive where i leads j. Nothing here depends on the scale of a
channel, and nothing is added to a denominator: where it is zero the result is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.connectivity.sums import Pairs, Sums
from rayspy.kernels.connectivity.wilson import inverse

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Wanted:
    """Pairs that a measure is wanted of, within the pairs that there are sums of.

    Attributes
    ----------
    places : ndarray of int, shape (wanted,)
        Where the pair, or its mirror image, is.
    mirrored : ndarray of bool, shape (wanted,)
        Whether it is the mirror image.
    first, second : ndarray of int, shape (wanted,)
        Where the channels are paired with themselves.
    """

    places: Array
    mirrored: Array
    first: Array
    second: Array

    @property
    def same(self) -> Array:
        """Pairs of a channel with itself."""
        found: Array = self.first == self.second
        return found

    def take(self, sums: Sums, name: str) -> Array:
        """Sums of the pairs, turned round where they are mirrored: (wanted, bin)."""
        values = sums[name][self.places]
        if not self.mirrored.any():
            return values
        flip = self.mirrored[:, np.newaxis]
        if name in ("cross", "phase"):
            return np.where(flip, values.conj(), values)
        return np.where(flip, -values, values) if name == "sign" else values


def wanted(pairs: Pairs, i: Array, j: Array) -> Wanted:
    """Find pairs i, j among those of the sums."""
    i, j = np.asarray(i, np.int64), np.asarray(j, np.int64)
    places, mirrored = pairs.find(i, j)
    return Wanted(places, mirrored, pairs.diagonal(i), pairs.diagonal(j))


Measure = Callable[[Sums, Wanted, Any], Array]
"""Sums, which pairs, number of observations -> values of shape (wanted, bin)."""


Number = int | Array
"""Number of observations; (wanted, 1) where pairs have different ones."""


def _powers(sums: Sums, of: Wanted) -> tuple[Array, Array]:
    """Sums of the power of both channels over the observations that the pair has."""
    power = sums["cross"].real
    first, second = power[of.first], power[of.second]
    if "first alone" not in sums:
        return first, second
    flip = of.mirrored[:, np.newaxis]
    a, b = sums["first alone"][of.places], sums["second alone"][of.places]
    return first - np.where(flip, b, a), second - np.where(flip, a, b)


def csd(sums: Sums, of: Wanted, n: Number) -> Array:
    """Cross-spectral density S_ij."""
    return of.take(sums, "cross") / n


def coherency(sums: Sums, of: Wanted, n: Number) -> Array:
    """S_ij / sqrt(S_ii S_jj)."""
    first, second = _powers(sums, of)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = of.take(sums, "cross") / np.sqrt(first) / np.sqrt(second)
    found[of.same] = np.where(np.isnan(found[of.same]), np.nan, 1.0)
    return found


def plv(sums: Sums, of: Wanted, n: Number) -> Array:
    """Phase locking value, the length of the mean unit phasor.

    Lachaux, J.-P. et al. (1999). Hum. Brain Mapp. 8, 194-208: abs(mean of exp(i phase difference)).
    """
    return np.minimum(np.abs(of.take(sums, "phase")) / n, 1.0)


def ciplv(sums: Sums, of: Wanted, n: Number) -> Array:
    """Corrected imaginary phase locking value: Im / sqrt(1 - Re^2) of the mean phasor, as magnitude.

    Bruna, R., Maestu, F. & Pereda, E. (2018). J. Neural Eng. 15, 056011.
    """
    mean = of.take(sums, "phase") / n
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.abs(mean.imag) / np.sqrt((1 - mean.real) * (1 + mean.real))
    found[of.same] = np.where(np.isnan(mean[of.same]), np.nan, 0.0)
    return np.minimum(found, 1.0)


def ppc(sums: Sums, of: Wanted, n: Number) -> Array:
    """Pairwise phase consistency, unbiased squared phase locking value; may be negative.

    Vinck, M. et al. (2010). NeuroImage 51, 112-122: the mean cosine of the difference between all pairs
    of observations; closed form in their number n, (abs(sum)^2 - n) / (n (n - 1)).
    """
    total = of.take(sums, "phase")
    found: Array = (total.real**2 + total.imag**2 - n) / (n * (n - 1.0))
    return found


def pli(sums: Sums, of: Wanted, n: Number) -> Array:
    """Phase lag index, the magnitude of the mean sign of Im(c).

    Stam, C. J., Nolte, G. & Daffertshofer, A. (2007). Hum. Brain Mapp. 28, 1178-1193.
    """
    return np.abs(of.take(sums, "sign")) / n


def pli_debiased(sums: Sums, of: Wanted, n: Number) -> Array:
    """Unbiased squared phase lag index, (n PLI^2 - 1) / (n - 1); may be negative.

    Vinck, M. et al. (2011). NeuroImage 55, 1548-1565.
    """
    found: Array = (n * (of.take(sums, "sign") / n) ** 2 - 1) / (n - 1)
    found[of.same] = 0.0
    return found


def dpli(sums: Sums, of: Wanted, n: Number) -> Array:
    """Directed phase lag index, the mean of H(Im(c)) with H(0) = 1/2; above 1/2 where i leads j.

    Stam, C. J. & van Straaten, E. C. W. (2012). NeuroImage 62, 1415-1428.
    """
    return (1 + of.take(sums, "sign") / n) / 2


def wpli(sums: Sums, of: Wanted, n: Number) -> Array:
    """Weighted phase lag index, abs(sum Im(c)) / sum abs(Im(c)).

    Vinck, M. et al. (2011). NeuroImage 55, 1548-1565: E of Im over E of abs(Im), as magnitude.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.abs(sums["cross"].imag[of.places]) / sums["absolute"][of.places]
    return np.minimum(_off_diagonal(found, sums, of), 1.0)


def wpli_debiased(sums: Sums, of: Wanted, n: Number) -> Array:
    """Debiased estimator of the squared weighted phase lag index; may be negative.

    Vinck, M. et al. (2011). NeuroImage 55, 1548-1565: sum over pairs of different observations of
    Im Im' over that of abs(Im Im').
    """
    imag, square = sums["cross"].imag[of.places], sums["square"][of.places]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = (imag**2 - square) / (sums["absolute"][of.places] ** 2 - square)
    return _off_diagonal(found, sums, of)


def _off_diagonal(found: Array, sums: Sums, of: Wanted) -> Array:
    """Zero for a channel and itself, unless it is dead."""
    own = sums["cross"].real[of.first[of.same]]
    found[of.same] = np.where(own > 0, 0.0, np.nan)
    return found


@dataclass(frozen=True)
class PairMeasure:
    """A measure of pairs and what it needs.

    Attributes
    ----------
    value : callable
        Its function.
    sums : tuple of str
        Sums it needs.
    least : int
        Observations it needs.
    signed : bool
        Whether [i, j] and [j, i] differ.
    """

    value: Measure
    sums: tuple[str, ...]
    least: int = 2
    is_complex: bool = False


MEASURES: dict[str, PairMeasure] = {
    "csd": PairMeasure(csd, ("cross",), 1, True),
    "coh": PairMeasure(coherency, ("cross",), 2, True),
    "plv": PairMeasure(plv, ("phase",)),
    "ciplv": PairMeasure(ciplv, ("phase",)),
    "ppc": PairMeasure(ppc, ("phase",)),
    "pli": PairMeasure(pli, ("sign",)),
    "pli_debiased": PairMeasure(pli_debiased, ("sign",)),
    "dpli": PairMeasure(dpli, ("sign",)),
    "wpli": PairMeasure(wpli, ("cross", "absolute")),
    "wpli_debiased": PairMeasure(wpli_debiased, ("cross", "absolute", "square")),
}
"""Measures of single bins of pairs."""


def converted(values: Array, output: str) -> Array:
    """Part of a complex measure that is wanted: abs, pow, complex, fourier, angle, real or imag."""
    convert: dict[str, Callable[[Array], Array]] = {
        "abs": lambda z: np.minimum(np.abs(z), 1.0),
        "pow": lambda z: np.minimum(z.real**2 + z.imag**2, 1.0),
        "angle": np.angle,
        "real": np.real,
        "imag": np.imag,
    }
    return convert[output](values) if output in convert else values


def matrices(cross: Array, pairs: Pairs, n_channels: int) -> Array:
    """Hermitian matrices (bin, channel, channel) from all pairs (pair, bin)."""
    found = np.zeros((cross.shape[1], n_channels, n_channels), np.complex128)
    found[:, pairs.first, pairs.second] = cross.T
    found[:, pairs.second, pairs.first] = cross.T.conj()
    places = np.arange(n_channels)
    found[:, places, places] = found[:, places, places].real
    return found


def partial_coherency(s: Array) -> Array:
    """Coherency of each pair given all other channels, -G_ij / sqrt(G_ii G_jj) with G the inverse of S.

    Dahlhaus, R. (2000). Metrika 51, 157-172, theorem 2.4. Diagonal 1.

    Parameters
    ----------
    s : ndarray, complex, shape (..., channel, channel)
        Cross spectra of full rank.
    """
    scaled, _ = standardised(s)
    inverted = inverse(scaled)
    d = np.sqrt(np.diagonal(inverted, axis1=-2, axis2=-1).real)
    found: Array = -inverted / (d[..., :, np.newaxis] * d[..., np.newaxis, :])
    places = np.arange(s.shape[-1])
    found[..., places, places] = 1.0
    return found


def standardised(s: Array) -> tuple[Array, Array]:
    """Cross spectra of channels of unit power, and their former amplitudes; powers of zero give NaN."""
    amplitude = np.sqrt(np.diagonal(s, axis1=-2, axis2=-1).real)
    with np.errstate(invalid="ignore", divide="ignore"):
        return s / amplitude[..., :, np.newaxis] / amplitude[..., np.newaxis, :], amplitude


def phase_slope(coherencies: Array) -> Array:
    """Phase slope index over a run of neighbouring bins; positive where i leads j.

    Nolte, G. et al. (2008). Phys. Rev. Lett. 100, 234101: Im sum conj(C(f)) C(f + df) over
    the bins of a closed band, not divided by its standard deviation.

    Parameters
    ----------
    coherencies : ndarray, complex, shape (..., bin)
        Complex coherencies, neighbouring bins of the band.
    """
    slope: Array = (coherencies[..., :-1].conj() * coherencies[..., 1:]).sum(axis=-1).imag
    return slope
