"""Autoregressive processes and networks of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_integer, check_room, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.calling import accepts_cfg_only
from rayspy.progress import warn
from rayspy.synthdata.collect import Array, Seed, check_seed, check_size, collect

_BATCH_BYTES = 2**24
_BATCH_TRIALS = 256


def run_network(
    coupling: NDArray[np.float32], alphas: tuple[float, float], noise: NDArray[np.float64]
) -> Array:
    """Run a network of AR(2) processes, several trials at once.

    Parameters
    ----------
    coupling : ndarray of float32, shape (channels, channels)
        Entry (i, j) is the strength from channel i to channel j.
    alphas : tuple of float
        Weights of the last and the last but one value of the same channel.
    noise : ndarray of shape (samples, trials, channels)
        The first two samples start the processes, the others drive them.

    Returns
    -------
    ndarray of float32
        Same shape as `noise`. Values are rounded to single precision after each
        step, as in Syncopy.
    """
    signal = np.empty(noise.shape, np.float32)
    signal[:2] = noise[:2]
    coupled = bool(coupling.any())
    weights = np.diag(np.full(len(coupling), alphas[0])) + coupling.T
    second = np.float32(alphas[1])
    state = np.empty((*noise.shape[1:], 1))
    for i in range(2, len(signal)):
        last = signal[i - 1, :, :, None]
        if coupled:
            np.matmul(weights, last, out=state)  # one column at a time: the sums are those of a single trial
        else:
            np.multiply(last, alphas[0], out=state, dtype=np.float64)
        np.add(state[..., 0], second * signal[i - 2], out=signal[i], casting="same_kind")
        np.add(signal[i], noise[i], out=signal[i], casting="same_kind")
    return signal


def network_trials(
    coupling: NDArray[np.float32], alphas: tuple[float, float], n_samples: int, seeds: Iterable[Seed]
) -> Iterator[Array]:
    """Trials of a network, computed in batches so that a step costs the same for one trial and for many."""
    n = len(coupling)
    n_batch = int(np.clip(_BATCH_BYTES // (8 * n * n_samples), 1, _BATCH_TRIALS))
    remaining = iter(seeds)
    while batch := list(islice(remaining, n_batch)):
        noise = np.empty((n_samples, len(batch), n))
        for k, seed in enumerate(batch):
            noise[:, k] = np.random.default_rng(seed).normal(size=(n_samples, n))
        signal = run_network(coupling, alphas, noise)
        for k in range(len(batch)):
            yield np.ascontiguousarray(signal[:, k])


def _check_coupling(value: Any) -> NDArray[np.float32]:
    if value is None:
        return np.array([[0, 0], [0.25, 0]], dtype=np.float32)
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, "AdjMat", "numpy.ndarray")
    try:
        matrix = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        raise InvalidValueError("array of real numbers", "AdjMat", value) from None
    check_room(8 * float(max(matrix.shape, default=0)) ** 2, "AdjMat", "array", "its matrix")
    if matrix.ndim == 1:  # one strength per sending channel, as Syncopy's sum of matrices broadcasts it
        matrix = np.tile(matrix[:, None], len(matrix))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise InvalidValueError(
            "square array of shape (nChannels, nChannels)", "AdjMat", f"shape {matrix.shape}"
        )
    if not np.isfinite(matrix).all():
        raise InvalidValueError("finite numbers", "AdjMat", "array with NaN or inf entries")
    return matrix


def _check_alphas(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list, np.ndarray)):
        raise InvalidTypeError(value, "alphas", "two numbers (tuple, list or numpy.ndarray)")
    if len(value) != 2:
        raise InvalidValueError("two numbers", "alphas", value)
    return check_scalar(value[0], "alphas[0]"), check_scalar(value[1], "alphas[1]")


_MOST_GROWTH = 80.0
"""Natural logarithm by which values may grow: single precision ends at 88.7."""


def growth(coupling: NDArray[np.float32], alphas: tuple[float, float]) -> float:
    """Factor by which a network grows per sample in the long run: its spectral radius.

    An eigenvalue m of what lag 1 does gives two of the network: x^2 = m x + alphas[1].
    """
    first = np.linalg.eigvals(np.diag(np.full(len(coupling), alphas[0])) + coupling.T.astype(np.float64))
    root = np.sqrt(first.astype(np.complex128) ** 2 + 4 * alphas[1])
    return float(np.abs([first + root, first - root]).max() / 2)


def _check_growth(coupling: NDArray[np.float32], alphas: tuple[float, float], n_samples: int) -> None:
    """Tell of networks that are not stable, refuse those that overflow."""
    factor = growth(coupling, alphas)
    if factor <= 1 + _ROUNDING:
        return
    given = f"a network that grows {factor:.4g}-fold per sample"
    if n_samples * np.log(factor) > _MOST_GROWTH:
        raise InvalidValueError("stable network: weaker coupling or other weights", "AdjMat/alphas", given)
    warn("ar2_network", f"AdjMat and alphas give {given}: it is not stationary")


_ROUNDING = 1e-6


@accepts_cfg_only
def ar2_network(
    AdjMat: NDArray[Any] | None = None,
    nSamples: int = 1000,
    alphas: tuple[float, float] = (0.55, -0.8),
    seed: int | None = None,
    nTrials: int | None = 100,
    samplerate: float = 1000,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    """Network of coupled autoregressive processes of order 2.

    Each channel is ``x[n] = alphas[0] x[n-1] + alphas[1] x[n-2] + noise`` plus what
    the others feed into it with lag 1. The defaults are those of Dhamala (2008),
    with a spectral peak at one fifth of the sampling rate.

    Parameters
    ----------
    AdjMat : ndarray of shape (nChannels, nChannels), optional
        Entry (i, j) is the strength from channel i to channel j; a vector has one
        strength per sending channel, to all channels. Left out: two
        channels with a coupling of 0.25 from the second to the first. See also
        `mk_RandomAdjMat`.
    nSamples : int
        Samples per trial.
    alphas : two floats
        Weights of lag 1 and lag 2. A network that grows without bound is told, or refused where its
        numbers would leave the range of single precision.
    seed : int, optional
        Number for reproducible trials.
    nTrials : int or None
        Number of trials; None returns one trial as an array.
    samplerate : float
        Sampling rate in Hz.
    seed_per_trial : bool
        False: all trials are equal.

    Returns
    -------
    AnalogData or ndarray
        Trials start at -1 s.

    Examples
    --------
    >>> import rayspy as spy
    >>> spy.ar2_network(nTrials=4, nSamples=500, samplerate=200, seed=1).data.shape
    (2000, 2)
    """
    n, _ = check_size(nSamples, 1)
    coupling, weights = _check_coupling(AdjMat), _check_alphas(alphas)
    _check_growth(coupling, weights, n)
    return collect(
        lambda seeds: network_trials(coupling, weights, n, seeds), nTrials, samplerate, seed, seed_per_trial
    )


@accepts_cfg_only
def red_noise(
    alpha: float,
    nSamples: int = 1000,
    nChannels: int = 2,
    seed: int | None = None,
    nTrials: int | None = 100,
    samplerate: float = 1000,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    """Uncoupled autoregressive processes of order 1, for example as a 1/f background.

    Parameters
    ----------
    alpha : float
        Weight of the previous sample, from 0 (white) to 1 (random walk).
    nSamples : int
        Samples per trial.
    nChannels : int
        Number of channels.
    seed : int, optional
        Number for reproducible trials.
    nTrials : int or None
        Number of trials; None returns one trial as an array.
    samplerate : float
        Sampling rate in Hz.
    seed_per_trial : bool
        False: all trials are equal.

    Returns
    -------
    AnalogData or ndarray
        Trials start at -1 s.
    """
    n, c = check_size(nSamples, nChannels)
    check_room(16 * c**2, "nChannels", c, "the matrix of their couplings")
    weights = check_scalar(alpha, "alpha", -1, 1), 0.0
    uncoupled = np.zeros((c, c), np.float32)
    return collect(
        lambda seeds: network_trials(uncoupled, weights, n, seeds), nTrials, samplerate, seed, seed_per_trial
    )


def _weights(value: Any, name: str) -> Any:
    """A number, or an array of numbers, as it is."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        check_scalar(value, name)
        return value
    array = as_array(value, name)
    if array.dtype.kind not in "iuf":
        raise InvalidTypeError(value, name, "number or array of numbers;")
    return array


def ar2_peak_freq(a1: Any, a2: Any, samplerate: float = 1) -> Any:
    """Frequency at which the spectrum of an AR(2) process peaks.

    Parameters
    ----------
    a1, a2 : float or ndarray
        Weights of lag 1 and lag 2.
    samplerate : float
        Sampling rate in Hz.

    Returns
    -------
    float or ndarray
        Frequency in Hz.

    Raises
    ------
    InvalidValueError
        The process does not oscillate: ``a1 ** 2 + 4 * a2 > 0``.

    Examples
    --------
    >>> import rayspy as spy
    >>> round(float(spy.synthdata.ar2_peak_freq(0.55, -0.8, samplerate=200)), 2)
    39.99
    """
    a1, a2 = _weights(a1, "a1"), _weights(a2, "a2")
    check_scalar(samplerate, "samplerate", 0)
    if np.any(np.asarray(a1) ** 2 + 4 * np.asarray(a2) > 0):
        raise InvalidValueError("a1 ** 2 + 4 * a2 <= 0 (no complex roots otherwise)", "a1, a2", f"{a1}, {a2}")
    return np.arccos(a1 * (a2 - 1) / (4 * a2)) / (2 * np.pi) * samplerate


def mk_RandomAdjMat(
    nChannels: int = 3, conn_thresh: float = 0.25, max_coupling: float = 0.25, seed: int | None = None
) -> NDArray[np.float64]:
    """Random coupling matrix for `ar2_network`.

    Parameters
    ----------
    nChannels : int
        Number of channels.
    conn_thresh : float
        Probability of each connection, 0 to 1.
    max_coupling : float
        Sum of all inputs into one channel; less than 0.5 is stable with the default `alphas`.
    seed : int, optional
        Number for a reproducible matrix.

    Returns
    -------
    ndarray of shape (nChannels, nChannels)
        Entry (i, j) is the strength from channel i to channel j; 0 on the diagonal.
    """
    n = check_integer(nChannels, "nChannels", 1)
    check_room(24 * n**2, "nChannels", n, "the matrix of their couplings")
    probability = check_scalar(conn_thresh, "conn_thresh", 0, 1)
    strength = check_scalar(max_coupling, "max_coupling")
    rng = np.random.default_rng(check_seed(seed))
    connected = (rng.random((n, n)) < probability).astype(float)
    np.fill_diagonal(connected, 0)
    inputs = connected.sum(axis=0)
    inputs[inputs == 0] = 1
    matrix: NDArray[np.float64] = connected / inputs * strength
    return matrix
