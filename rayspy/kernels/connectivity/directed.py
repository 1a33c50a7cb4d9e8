"""Directed measures from factorised spectra; entry [..., i, j] goes from channel i to channel j.

With S = H Sigma H^* (see `wilson`) and A = H^-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.connectivity.measures import partial_coherency
from rayspy.kernels.connectivity.wilson import Factors, adjoint, factorize, inverse

Array = NDArray[Any]


def granger(s: Array, factors: Factors) -> Array:
    """Spectral Granger causality of all pairs, from factors of these channels.

    Geweke, J. (1982). J. Am. Stat. Assoc. 77, 304-313; Dhamala, M., Rangarajan, G. & Ding, M.
    (2008). NeuroImage 41, 354-362: ln(S_jj / (S_jj - (Sigma_ii - Sigma_ij^2 / Sigma_jj) |H_ji|^2)).

    Parameters
    ----------
    s : ndarray, complex, shape (..., bin, channel, channel)
        Cross spectra.
    factors : Factors
        Of them.

    Returns
    -------
    ndarray, shape (..., bin, channel, channel)
        Diagonal 0.
    """
    noise = factors.noise
    own = np.diagonal(noise, axis1=-2, axis2=-1)
    partial = own[..., :, np.newaxis] - noise**2 / own[..., np.newaxis, :]
    gain = np.abs(np.swapaxes(factors.transfer, -1, -2)) ** 2
    power = np.diagonal(s, axis1=-2, axis2=-1).real[..., np.newaxis, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = -np.log1p(-partial[..., np.newaxis, :, :] * gain / power)
    places = np.arange(s.shape[-1])
    found[..., places, places] = np.where(np.isfinite(own[..., np.newaxis, :]), 0.0, np.nan)
    return found


def pairwise_granger(s: Array, n_fft: int, start: Array | None = None) -> tuple[Array, Factors]:
    """Both directions of Granger causality of pairs.

    Parameters
    ----------
    s : ndarray, complex, shape (pair, bin, 2, 2)
        Cross spectra of pairs (i, j).
    n_fft : int
        Length of the transform.
    start : ndarray, optional
        As in `factorize`.

    Returns
    -------
    values : ndarray, shape (pair, bin, 2)
        From i to j, and from j to i.
    factors : Factors
        Of the pairs.
    """
    factors = factorize(s, n_fft, start=start)
    both = granger(s, factors)
    return np.stack([both[..., 0, 1], both[..., 1, 0]], axis=-1), factors


def group_granger(s: Array, groups: Sequence[Array], n_fft: int) -> tuple[Array, Array]:
    """Granger causality between groups of channels, each pair of groups factorised by itself.

    Geweke (1982): ln(det S_bb / det(S_bb - H_ba Sigma_a|b H_ba^*)), with the
    innovations of a that are not those of b.

    Parameters
    ----------
    s : ndarray, complex, shape (bin, channel, channel)
        Cross spectra.
    groups : sequence of ndarray of int
        Channels of the groups.
    n_fft : int
        Length of the transform.

    Returns
    -------
    values : ndarray, shape (bin, group, group)
        Diagonal 0.
    error : ndarray, shape (group, group)
        Of the factorisations, see `Factors`.
    """
    n = len(groups)
    found, error = np.zeros((len(s), n, n)), np.zeros((n, n))
    for a in range(n):
        for b in range(a + 1, n):
            both = np.concatenate([groups[a], groups[b]])
            pair = s[:, both[:, np.newaxis], both]
            factors = factorize(pair, n_fft)
            first, second = np.arange(len(groups[a])), np.arange(len(groups[a]), len(both))
            found[:, a, b] = block_causality(pair, factors, first, second)
            found[:, b, a] = block_causality(pair, factors, second, first)
            error[a, b] = error[b, a] = factors.error
    return found, error


def block_causality(s: Array, factors: Factors, source: Array, target: Array) -> Array:
    """Granger causality from a group to another that make up the factorised channels: (bin,)."""
    if not np.isfinite(factors.noise).all():
        return np.full(len(s), np.nan)
    across = factors.noise[np.ix_(source, target)]
    own = factors.noise[np.ix_(source, source)]
    partial = own - across @ np.linalg.solve(factors.noise[np.ix_(target, target)], across.T)
    gain = factors.transfer[:, target[:, np.newaxis], source]
    power = s[:, target[:, np.newaxis], target]
    intrinsic = power - gain @ partial @ adjoint(gain)
    whole, rest = np.linalg.slogdet(power)[1], np.linalg.slogdet(intrinsic)[1]
    found: Array = whole - rest
    return found


def conditional_granger(s: Array, n_fft: int, full: Factors) -> tuple[Array, Array]:
    """Granger causality of each pair given all other channels.

    Geweke, J. (1984). J. Am. Stat. Assoc. 79, 907-915; Chen, Y., Bressler, S. L. & Ding, M. (2006).
    J. Neurosci. Methods 150, 228-237: the channels without the source are factorised anew,
    their innovations stand in for them, and what the innovation of the target in the full model leaves of
    its power in the reduced one is what the others add: ln(Sigma_jj reduced / |Q_jj|^2 Sigma_jj).

    Parameters
    ----------
    s : ndarray, complex, shape (bin, channel, channel)
        Cross spectra, of three channels or more.
    n_fft : int
        Length of the transform.
    full : Factors
        Of them.

    Returns
    -------
    values : ndarray, shape (bin, channel, channel)
        Diagonal 0.
    error : ndarray, shape (channel,)
        Of the factorisation without each channel.
    """
    n = s.shape[-1]
    found, errors = np.zeros(s.shape), np.zeros(n)
    for source in range(n):
        rest = np.delete(np.arange(n), source)
        reduced = factorize(s[:, rest[:, np.newaxis], rest], n_fft)
        errors[source] = reduced.error
        for k, target in enumerate(rest):
            found[:, source, target] = _given_others(full, reduced, source, int(target), k, rest)
    return found, errors


def _given_others(
    full: Factors, reduced: Factors, source: int, target: int, place: int, rest: Array
) -> Array:
    """Causality of a source for a target, (bin,)."""
    n = len(rest) + 1
    order = np.concatenate([[target], rest[rest != target], [source]])
    within = np.concatenate([[place], np.delete(np.arange(n - 1), place)])
    h = full.transfer[:, order[:, np.newaxis], order]
    noise = full.noise[np.ix_(order, order)]
    few = np.zeros_like(h)
    few[:, : n - 1, : n - 1] = reduced.transfer[:, within[:, np.newaxis], within]
    few[:, n - 1, n - 1] = 1
    if not (np.isfinite(noise).all() and np.isfinite(few).all()):
        return np.full(len(h), np.nan)
    q = np.linalg.solve(few, h)
    # innovations made independent of each other, the target's first: its part of the others stays with it
    own = (q @ np.linalg.cholesky(noise))[:, 0, 0]
    found: Array = np.log(reduced.noise[place, place] / np.abs(own) ** 2)
    return found


def transfer_ratio(factors: Factors) -> Array:
    """Directed transfer function, squared: |H_ji|^2 / sum_k |H_jk|^2; the sources of a target sum to 1.

    Kaminski, M. J. & Blinowska, K. J. (1991). Biol. Cybern. 65, 203-210.
    """
    gain = np.abs(factors.transfer) ** 2
    return np.swapaxes(gain / gain.sum(axis=-1, keepdims=True), -1, -2)


def partial_directed(factors: Factors, generalized: bool = False) -> Array:
    """Partial directed coherence, squared: |A_ji|^2 / sum_k |A_ki|^2; the targets of a source sum to 1.

    Baccala, L. A. & Sameshima, K. (2001). Biol. Cybern. 84, 463-474. `generalized`: with |A_ji|^2
    divided by Sigma_jj (Baccala, L. A., Sameshima, K. & Takahashi, D. Y. (2007). 15th Int. Conf. Digital
    Signal Processing, 163-166), which does not depend on the scale of channels.
    """
    size = np.abs(inverse(factors.transfer)) ** 2
    if generalized:
        size = size / np.diagonal(factors.noise, axis1=-2, axis2=-1)[..., np.newaxis, :, np.newaxis]
    return np.swapaxes(size / size.sum(axis=-2, keepdims=True), -1, -2)


def direct_transfer(factors: Factors, s: Array) -> Array:
    """Direct directed transfer function, squared: full-frequency DTF times partial coherence.

    Korzeniewska, A. et al. (2003). J. Neurosci. Methods 125, 195-207:
    |H_ji|^2 / (sum over k and frequencies of |H_jk|^2) times the squared magnitude of the partial coherency.
    """
    gain = np.abs(factors.transfer) ** 2
    full = np.swapaxes(gain / gain.sum(axis=(-1, -3), keepdims=True), -1, -2)
    found: Array = full * np.abs(partial_coherency(s)) ** 2
    return found


__all__ = [
    "block_causality",
    "conditional_granger",
    "direct_transfer",
    "granger",
    "group_granger",
    "pairwise_granger",
    "partial_directed",
    "transfer_ratio",
]
