"""Measures of groups of channels: maximised imaginary coherency and canonical coherency.

Ewald, A. et al. (2012). Estimating true brain connectivity from EEG/MEG data
invariant to linear and static transformations in sensor space. NeuroImage 60,
476-488. Vidaurre, C. et al. (2019). Canonical maximization of coherence.
NeuroImage 201, 116009.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_RANK_TOL = 1e-7
"""Products are in single precision: smaller eigenvalues, relative to the largest, are rounding errors."""


def rank_of(s: Array) -> Array:
    """Numerical rank of the real part of standardised cross spectra (..., channel, channel)."""
    values = np.linalg.eigvalsh(_correlations(s))
    found: Array = (values > _RANK_TOL * values[..., -1:]).sum(axis=-1)
    return found


def _correlations(s: Array) -> Array:
    amplitude = np.sqrt(np.diagonal(s, axis1=-2, axis2=-1).real)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = s.real / amplitude[..., :, np.newaxis] / amplitude[..., np.newaxis, :]
    return found


def whitener(s: Array, rank: int | None = None) -> Array:
    """Matrix W (..., rank, channel) with W Re(S) W^T = 1, along the strongest components of the group."""
    amplitude = np.sqrt(np.diagonal(s, axis1=-2, axis2=-1).real)
    values, vectors = np.linalg.eigh(_correlations(s))
    n = s.shape[-1] if rank is None else rank
    values, vectors = values[..., ::-1][..., :n], vectors[..., ::-1][..., :n]
    found: Array = (
        np.swapaxes(vectors, -1, -2) / np.sqrt(values)[..., np.newaxis] / amplitude[..., np.newaxis, :]
    )
    return found


def whitened(s: Array, a: Array, b: Array, ranks: tuple[int | None, int | None] = (None, None)) -> Array:
    """Coherency between the whitened components of two groups (..., component of a, component of b).

    Parameters
    ----------
    s : ndarray, complex, shape (..., channel, channel)
        Cross spectra.
    a, b : ndarray of int
        Channels of the groups.
    ranks : tuple of int or None
        To how many components the groups are reduced.
    """
    wa = whitener(s[..., a[:, np.newaxis], a], ranks[0])
    wb = whitener(s[..., b[:, np.newaxis], b], ranks[1])
    found: Array = wa @ s[..., a[:, np.newaxis], b] @ np.swapaxes(wb, -1, -2)
    return found


def mic(white: Array) -> Array:
    """Maximised imaginary coherency: the largest singular value of the imaginary part (Ewald 2012, eq. 7)."""
    found: Array = np.linalg.svd(white.imag, compute_uv=False)[..., 0]
    return found


def mim(white: Array) -> Array:
    """Multivariate interaction measure: the sum of all squared singular values (Ewald 2012, eq. 14)."""
    found: Array = (white.imag**2).sum(axis=(-1, -2))
    return found


def cacoh(white: Array, n_angles: int = 37, n_steps: int = 60) -> Array:
    """Canonical coherency: the largest magnitude of the coherency of two real projections.

    Vidaurre et al. (2019). It is the largest singular value of Re(exp(-i phi) C) over all angles phi; a
    grid of angles is refined by golden section.
    """
    angles = np.linspace(0, np.pi, n_angles, endpoint=False)
    values = np.stack([_projected(white, np.full(white.shape[:-2], phi)) for phi in angles])
    best = angles[values.argmax(axis=0)]
    step = np.pi / n_angles
    low, high = best - step, best + step
    ratio = (np.sqrt(5) - 1) / 2
    x, y = high - ratio * (high - low), low + ratio * (high - low)
    fx, fy = _projected(white, x), _projected(white, y)
    for _ in range(n_steps):
        left = fx > fy
        low, high = np.where(left, low, x), np.where(left, y, high)
        nx, ny = high - ratio * (high - low), low + ratio * (high - low)
        probe = np.where(left, nx, ny)
        value = _projected(white, probe)
        fx, fy = np.where(left, value, fy), np.where(left, fx, value)
        x, y = nx, ny
        if (high - low).max(initial=0.0) < 1e-9:
            break
    found: Array = np.maximum(_projected(white, (low + high) / 2), values.max(axis=0))
    return found


def _projected(white: Array, phi: Array) -> Array:
    rotated = (white * np.exp(-1j * phi)[..., np.newaxis, np.newaxis]).real
    found: Array = np.linalg.svd(rotated, compute_uv=False)[..., 0]
    return found
