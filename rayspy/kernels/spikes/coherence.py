"""Multitaper coherence of spike trains and signals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SUMS = 6
"""Numbers per frequency, cell and channel, see `spike_field_sums`."""


def spike_field_sums(x: Array, counts: Array, tapers: Array, n_fft: int, bins: slice) -> NDArray[np.float64]:
    """Cross-spectra of binned spikes with signals in one trial, averaged over tapers.

    Parameters
    ----------
    x : ndarray of shape (samples, channels)
        Signals; their mean is subtracted.
    counts : ndarray of shape (samples, cells)
        Spikes per sample; their mean is subtracted, so that the rate leaves no peak at
        0 Hz (Jarvis, M. R. & Mitra, P. P. (2001), Neural Computation 13, 717-749).
    tapers : ndarray of shape (tapers, samples)
        Of unit energy.
    n_fft : int
        Length that trials are padded to.
    bins : slice
        Frequencies of ``rfft`` that are wanted.

    Returns
    -------
    ndarray of float64, shape (6, frequencies, cells, channels)
        Re and Im of S_xn = Z_x conj(Z_n), S_xx, S_nn, the rate in spikes per sample, 1:
        all add up over trials. S_nn of a Poisson train is its rate.
    """
    spikes = counts - counts.mean(axis=0)
    z_n = np.stack([_transform(spikes[:, k], tapers, n_fft, bins) for k in range(counts.shape[1])])
    n_freq = z_n.shape[-1]
    out = np.empty((SUMS, n_freq, counts.shape[1], x.shape[1]))
    s_nn = _mean_over_tapers(z_n, np.conj(z_n)).real
    out[3] = s_nn.T[:, :, np.newaxis]
    out[4] = counts.mean(axis=0)[np.newaxis, :, np.newaxis]
    out[5] = 1.0
    for c in range(x.shape[1]):
        signal = np.asarray(x[:, c], dtype=np.float64)
        z_x = _transform(signal - signal.mean(), tapers, n_fft, bins)[np.newaxis]
        cross = _mean_over_tapers(z_x, np.conj(z_n))
        out[0, :, :, c], out[1, :, :, c] = cross.real.T, cross.imag.T
        out[2, :, :, c] = _mean_over_tapers(z_x, np.conj(z_x)).real.T
    return out


def _transform(x: Array, tapers: Array, n_fft: int, bins: slice) -> NDArray[np.complex128]:
    """Spectra (taper, frequency) of one line."""
    from scipy.fft import rfft

    found: NDArray[np.complex128] = rfft(tapers * x, n_fft, axis=1)[:, bins]
    return found


def _mean_over_tapers(a: Array, b: Array) -> NDArray[np.complex128]:
    """Mean of products over the middle axis of (line, taper, frequency), taper by taper."""
    total = a[:, 0] * b[:, 0]
    for k in range(1, a.shape[1]):
        total = total + a[:, k] * b[:, k]
    found: NDArray[np.complex128] = total / a.shape[1]
    return found


def coherency(sums: Array, rate: float | None = None) -> NDArray[np.complex128]:
    """Coherency of spikes and signals from sums over trials.

    Parameters
    ----------
    sums : ndarray of shape (6, frequencies, cells, channels)
        Of `spike_field_sums`.
    rate : float, optional
        Spikes per sample that all cells are brought to, as if their spikes were
        thinned (or, above their own rate, came more often with the same modulation).

    Returns
    -------
    ndarray of complex128, shape (frequencies, cells, channels)
        <S_xn> / sqrt(<S_xx> <S_nn>); its angle is that of the signal relative to the spikes.

    Notes
    -----
    Coherence grows with the rate of a cell whose coupling stays the same. Thinning a
    train of rate r to a r turns S_nn into a^2 S_nn + a (1 - a) r and S_xn into a S_xn
    (Aoi, M. C. et al. (2015), Journal of Neuroscience Methods 240, 141-153): the
    coherency is multiplied by (1 + (1 / a - 1) r / S_nn)^(-1/2).
    """
    re, im, s_xx, s_nn, r, n = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (re + 1j * im) / np.sqrt(s_xx * s_nn)
        if rate is not None:
            share = rate / (r / n)
            factor = 1 + (1 / share - 1) * (r / s_nn)
            found = found / np.sqrt(np.where(factor > 0, factor, np.nan))
    return np.asarray(found)
