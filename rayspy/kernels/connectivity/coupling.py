"""Phase-amplitude coupling: sums over time per pair of frequencies, measures made of them, surrogates.

Sums have the shape (component, phase frequency, column): components are bins of
phase, or real and imaginary part; columns are amplitude frequencies, and for bins
one more with the number of times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MEASURES = ("tort", "mvl", "plv")
_TIE = 1e-12
"""Surrogates that are smaller by no more than rounding count as equal."""


def n_components(measure: str, n_bins: int) -> int:
    """Numbers per pair of frequencies that are summed over time."""
    return n_bins if measure == "tort" else 2


def n_columns(measure: str, n_amplitudes: int) -> int:
    """Columns of the sums."""
    return n_amplitudes + 1 if measure == "tort" else n_amplitudes


def phase_weights(low: Array, measure: str, n_bins: int) -> Any:
    """What amplitudes are multiplied by: a sparse matrix (component x phase frequency, time).

    Parameters
    ----------
    low : ndarray of complex, shape (time, phase frequency)
        Analytic signals at the phase frequencies, nowhere 0 or NaN.
    measure : {'tort', 'mvl'}
        Ones at the times whose phase is in a bin, or cosine and sine of the phase.
    n_bins : int
        Bins of phase, the first one from -pi.
    """
    from scipy.sparse import csr_array

    n_times, n_freq = low.shape
    phase = np.angle(low.astype(np.complex128))
    if measure == "mvl":
        rows = np.concatenate([np.cos(phase.T), np.sin(phase.T)])
        columns = np.tile(np.arange(n_times), 2 * n_freq)
        return csr_array((rows.ravel(), columns, np.arange(2 * n_freq + 1) * n_times), shape=rows.shape)
    bins = np.minimum(((phase + np.pi) / (2 * np.pi) * n_bins).astype(np.int64), n_bins - 1)
    row, column = bins * n_freq + np.arange(n_freq), np.broadcast_to(np.arange(n_times)[:, None], bins.shape)
    ones = np.ones(bins.size)
    return csr_array((ones, (row.ravel(), column.ravel())), shape=(n_bins * n_freq, n_times))


def with_counts(amplitude: Array, measure: str) -> Array:
    """Amplitudes (time, amplitude frequency) in double precision, and for bins a column of ones."""
    wide = amplitude.astype(np.float64)
    return np.column_stack([wide, np.ones(len(wide))]) if measure == "tort" else wide


def directions(values: Array, out: Array | None = None) -> Array:
    """Unit vectors; NaN where a value is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(values, np.abs(values), out=out))


def locking_sums(low: Array, envelope: Array) -> Array:
    """Sums over time of low conj(envelope), real and imaginary part.

    Parameters
    ----------
    low : ndarray of complex, shape (time, phase frequency)
        Unit vectors.
    envelope : ndarray of complex, shape (time, phase frequency, amplitude frequency)
        Unit vectors: phases of the amplitudes at the phase frequencies.
    """
    found = np.einsum("tp,tpa->pa", low.conj(), envelope)
    return np.stack([found.real, -found.imag])


def strength(sums: Array, measure: str, n_times: float) -> Array:
    """Coupling of sums (..., component, phase frequency, column).

    'tort': Tort et al. (2010), Journal of Neurophysiology 104, 1195-1210;
    'mvl': Canolty et al. (2006), Science 313, 1626-1628; 'plv': Mormann et al. (2005),
    Hippocampus 15, 890-900. Shape (..., phase frequency, amplitude frequency).
    """
    if measure != "tort":
        return np.asarray(np.hypot(sums[..., 0, :, :], sums[..., 1, :, :]) / n_times)
    share = shares(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        entropy = -np.where(share == 0, 0.0, share * np.log(share)).sum(axis=-3)
    most = np.log(sums.shape[-3])
    return np.asarray((most - entropy) / most)


def shares(sums: Array) -> Array:
    """Mean amplitude per bin of phase, as a share of all bins; NaN where a bin has no times."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[..., :-1] / sums[..., -1:]
        return np.asarray(means / means.sum(axis=-3, keepdims=True))


def preferred_phase(sums: Array, measure: str) -> Array:
    """Phase, in radians, at which the amplitude is largest: angle of the mean vector."""
    if measure != "tort":
        return np.asarray(np.arctan2(sums[..., 1, :, :], sums[..., 0, :, :]))
    share, n = shares(sums), sums.shape[-3]
    centres = (np.arange(n) + 0.5) / n * 2 * np.pi - np.pi
    return np.asarray(np.angle((share * np.exp(1j * centres)[:, None, None]).sum(axis=-3)))


def outcome(sums: Array, measure: str, n_times: float) -> dict[str, Array]:
    """Coupling, its phase, and where it lies among surrogates.

    Parameters
    ----------
    sums : ndarray, shape (1 + surrogate, component, phase frequency, column)
        Of what was observed, and of surrogates.

    Returns
    -------
    dict of str to ndarray, shape (phase frequency, amplitude frequency)
        'value' and 'phase'; 'mean' and 'std' (ddof 1) of surrogates, NaN where there are
        too few; 'prob', (1 + count) / (1 + n): Phipson & Smyth (2010), Stat. Appl. Genet.
        Mol. Biol. 9:39.
    """
    values = strength(sums, measure, n_times)
    observed, others = values[0], values[1:]
    none, n = np.full_like(observed, np.nan), len(others)
    count = (others >= observed - _TIE * np.abs(observed)).sum(axis=0)
    return {
        "value": observed,
        "phase": np.where(np.isnan(observed), np.nan, preferred_phase(sums[0], measure)),
        "mean": others.mean(axis=0) if n else none,
        "std": others.std(axis=0, ddof=1) if n > 1 else none,
        "prob": np.where(np.isnan(observed), np.nan, (1.0 + count) / (1.0 + n)) if n else none,
    }


OUTCOMES = ("value", "phase", "mean", "std", "prob")


def random_number(seed: int, draw: int, place: int, low: int, high: int) -> int:
    """Whole number from `low` to `high` - 1; depends on nothing else."""
    return int(_random(seed, draw, place).integers(low, high))


def random_order(seed: int, draw: int, place: int, n: int) -> list[int]:
    """Numbers from 0 to n - 1 in random order."""
    return [int(k) for k in _random(seed, draw, place).permutation(n)]


def _random(seed: int, draw: int, place: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(draw, place))))
