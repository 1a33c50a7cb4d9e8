"""Factors of spectral matrices.

Wilson, G. T. (1972). The factorization of matricial spectral densities. SIAM J.
Appl. Math. 23(4), 420-426: Newton's iteration psi <- psi (g+ + skew part), where
g = psi^-1 S psi^-* + 1 and g+ keeps half of its lag 0 and all positive lags.
Spectra of real signals are known from their frequencies up to Nyquist.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ENOUGH = 1e-6
"""Relative error up to which a factorisation counts as converged."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Factorisation S = H Sigma H^* with H = 1 at lag 0.

    Attributes
    ----------
    transfer : ndarray, complex, shape (..., bin, channel, channel)
        H at the frequencies from 0 to Nyquist.
    noise : ndarray, shape (..., channel, channel)
        Sigma, the covariance of the innovations.
    error : ndarray, shape (...)
        Largest difference between the product of the factors and S, relative to the largest entry of S
        of channels of equal power. NaN where S has no factors.
    psi : ndarray, complex, shape (..., bin, channel, channel)
        What the iteration for similar spectra can begin with.
    """

    transfer: Array
    noise: Array
    error: Array
    psi: Array

    @property
    def converged(self) -> Array:
        """Whether the factors are those of S."""
        found: Array = self.error < ENOUGH
        return found


def adjoint(a: Array) -> Array:
    """Conjugate transpose of matrices."""
    return np.conj(np.swapaxes(a, -1, -2))


def product(a: Array, b: Array) -> Array:
    """Product of matrices; written out for two channels, where that is faster."""
    if a.shape[-1] != 2:
        found: Array = a @ b
        return found
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    for i in range(2):
        for j in range(2):
            np.multiply(a[..., i, 0], b[..., 0, j], out=out[..., i, j])
            out[..., i, j] += a[..., i, 1] * b[..., 1, j]
    return out


def inverse(a: Array) -> Array:
    """Inverse of matrices, NaN where there is none; in closed form for two channels."""
    if a.shape[-1] != 2:
        try:
            return np.linalg.inv(a)
        except np.linalg.LinAlgError:
            return _inverse_one_by_one(a)
    found = np.empty_like(a)
    det = a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    found[..., 0, 0], found[..., 1, 1] = a[..., 1, 1] / det, a[..., 0, 0] / det
    found[..., 0, 1], found[..., 1, 0] = -a[..., 0, 1] / det, -a[..., 1, 0] / det
    return found


def _inverse_one_by_one(a: Array) -> Array:
    flat = a.reshape(-1, *a.shape[-2:])
    found = np.full_like(flat, np.nan)
    for k, matrix in enumerate(flat):
        with contextlib.suppress(np.linalg.LinAlgError):
            found[k] = np.linalg.inv(matrix)
    return found.reshape(a.shape)


def lag_zero(a: Array, n_fft: int) -> Array:
    """Mean over all frequencies of what is known up to Nyquist; real."""
    total: Array = 2 * a.real.sum(axis=-3) - a[..., 0, :, :].real
    return np.asarray(total - a[..., -1, :, :].real if n_fft % 2 == 0 else total) / n_fft


def factorize(
    s: Array, n_fft: int, rtol: float = 1e-9, n_iter: int = 100, start: Array | None = None
) -> Factors:
    """Factorise cross spectra.

    Parameters
    ----------
    s : ndarray, complex, shape (..., bin, channel, channel)
        Cross spectra at the frequencies from 0 to Nyquist, positive definite.
    n_fft : int
        Length of the transform, even or odd.
    rtol : float
        Relative error at which the iteration stops; it stops too when the error does not get smaller.
    n_iter : int
        Iterations at most.
    start : ndarray, optional
        `Factors.psi` of similar spectra.
    """
    scale = np.sqrt(np.diagonal(lag_zero(s, n_fft), axis1=-2, axis2=-1))[..., np.newaxis, :]
    with np.errstate(all="ignore"):
        wanted = (s / scale[..., :, np.newaxis] / scale[..., np.newaxis, :]).reshape(-1, *s.shape[-3:])
        psi = _first_guess(wanted, n_fft) if start is None else start.reshape(wanted.shape).copy()
        error = _iterated(psi, wanted, n_fft, rtol, n_iter)
        root = lag_zero(psi, n_fft)
        root[~np.isfinite(root).all(axis=(-1, -2))] = np.nan
        transfer = product(psi, inverse(root)[..., np.newaxis, :, :]).reshape(s.shape)
        noise = (root @ np.swapaxes(root, -1, -2)).reshape(*s.shape[:-3], *s.shape[-2:])
        row, column = scale[..., :, np.newaxis], scale[..., np.newaxis, :]
        transfer, noise = transfer * row / column, noise * (row * column)[..., 0, :, :]
    return Factors(transfer, noise, error.reshape(s.shape[:-3]), psi)


def _iterated(psi: Array, s: Array, n_fft: int, rtol: float, n_iter: int) -> Array:
    """Improve factors in place until each is good enough; returns their errors."""
    size = np.abs(s).max(axis=(-1, -2, -3))
    error = np.where(np.isfinite(psi).all(axis=(-1, -2, -3)), np.inf, np.nan)
    active = np.flatnonzero(~np.isnan(error))
    for _ in range(n_iter):
        if not len(active):
            break
        new = _step(psi[active], s[active], n_fft)
        off = np.abs(product(new, adjoint(new)) - s[active]).max(axis=(-1, -2, -3)) / size[active]
        better = (off < error[active]) | (error[active] > ENOUGH)
        psi[active[better]], before = new[better], error[active]
        error[active[better]] = off[better]
        done = (off < rtol) | ~np.isfinite(off) | ((off > before / 2) & (before <= ENOUGH))
        active = active[~done]
    error[~np.isfinite(error)] = np.nan
    return error


def _first_guess(s: Array, n_fft: int) -> Array:
    """Cholesky factor of the covariance, at all frequencies; NaN where there is none."""
    covariance = lag_zero(s, n_fft)
    covariance = (covariance + np.swapaxes(covariance, -1, -2)) / 2
    roots = np.full_like(covariance, np.nan)
    good = np.asarray(np.isfinite(s).all(axis=(-1, -2, -3)))
    good[good] = np.linalg.eigvalsh(covariance[good])[:, 0] > 1e-10
    roots[good] = np.linalg.cholesky(covariance[good])
    return np.broadcast_to(roots[:, np.newaxis], s.shape).astype(np.complex128)


def _step(psi: Array, s: Array, n_fft: int) -> Array:
    """One step of Newton's iteration."""
    inv = inverse(psi)
    g = product(product(inv, s), adjoint(inv))
    places = np.arange(s.shape[-1])
    g[..., places, places] += 1
    causal, zero = _causal(g, n_fft)
    upper = np.triu(zero / 2, 1)
    causal += (np.swapaxes(upper, -1, -2) - upper)[..., np.newaxis, :, :]
    return product(psi, causal)


def _causal(g: Array, n_fft: int) -> tuple[Array, Array]:
    """Part of positive lags, half of lag 0 and of the lag at half the length; and lag 0."""
    from scipy.fft import irfft, rfft

    lags = irfft(g, n=n_fft, axis=-3)
    zero = lags[..., 0, :, :].copy()
    lags[..., 0, :, :] *= 0.5
    lags[..., n_fft // 2 + 1 :, :, :] = 0
    if n_fft % 2 == 0:
        lags[..., n_fft // 2, :, :] *= 0.5
    return rfft(lags, axis=-3, overwrite_x=True), zero
