"""Trends and oscillations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rayspy.checks import check_bool, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.frontends.calling import accepts_cfg_only
from rayspy.synthdata.collect import Array, Seed, check_rate, check_size, collect
from rayspy.synthdata.noise import white_trial

_LARGEST_PHASE = 2.0**12
"""Phases up to this one, in rad, are exact enough in single precision (2e-4 rad)."""


def _phase_type(largest: float) -> Any:
    return np.float32 if abs(largest) <= _LARGEST_PHASE else np.float64


def _on_all_channels(wave: Array, n_channels: int) -> Array:
    return np.tile(wave.astype(np.float32)[:, None], n_channels)


def harmonic_wave(freq: float, samplerate: float, n_samples: int) -> Array:
    """One channel of a harmonic."""
    phase = 2 * np.pi * freq * (np.arange(n_samples) * 1 / samplerate)
    wave: Array = np.cos(phase.astype(_phase_type(phase[-1])))
    return wave


def diffusing_phase(
    freq: float, eps: float, samplerate: float, n_samples: int, n_channels: int, rand_ini: bool, seed: Seed
) -> Array:
    """One trial of phases in rad that advance with `freq` and diffuse."""
    omega = 2 * np.pi * freq
    kind = _phase_type(omega * n_samples / samplerate)
    times = np.linspace(0, n_samples / samplerate, n_samples, dtype=kind)
    phase = np.tile((omega * times)[:, None], n_channels)
    if rand_ini:
        phase += 2 * np.pi * np.random.default_rng(seed).uniform(size=n_channels).astype(np.float32)
    step = float(np.sqrt(omega / samplerate * eps))
    diffused: Array = phase + np.cumsum(step * white_trial(n_samples, n_channels, seed).astype(kind), axis=0)
    return diffused


@accepts_cfg_only
def linear_trend(
    y_max: float,
    nSamples: int = 1000,
    nChannels: int = 2,
    nTrials: int | None = 100,
    samplerate: float = 1000,
    seed: int | None = None,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    """Straight line from 0 to `y_max`, the same on all channels.

    Parameters
    ----------
    y_max : float
        Value of the last sample.
    nSamples : int
        Samples per trial.
    nChannels : int
        Number of channels.
    nTrials : int or None
        Number of trials; None returns one trial as an array.
    samplerate : float
        Sampling rate in Hz.
    seed, seed_per_trial : optional
        Accepted like everywhere; nothing here is random.

    Returns
    -------
    AnalogData or ndarray
        Trials start at -1 s.
    """
    n, c = check_size(nSamples, nChannels)
    trial = _on_all_channels(np.linspace(0, check_scalar(y_max, "y_max"), n, dtype=np.float32), c)
    return collect(lambda seeds: (trial for _ in seeds), nTrials, samplerate, seed, seed_per_trial)


@accepts_cfg_only
def harmonic(
    freq: float,
    samplerate: float,
    nSamples: int = 1000,
    nChannels: int = 2,
    nTrials: int | None = 100,
    seed: int | None = None,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    """Cosine of amplitude 1 and phase 0 at the first sample, the same on all channels.

    Parameters
    ----------
    freq : float
        Frequency in Hz, 0 to Nyquist.
    samplerate : float
        Sampling rate in Hz.
    nSamples : int
        Samples per trial.
    nChannels : int
        Number of channels.
    nTrials : int or None
        Number of trials; None returns one trial as an array.
    seed, seed_per_trial : optional
        Accepted like everywhere; nothing here is random.

    Returns
    -------
    AnalogData or ndarray
        Trials start at -1 s.

    Notes
    -----
    The phase is rounded to single precision as in Syncopy, which is harmless in
    trials of some hundred cycles. Longer ones are computed in double precision.

    Examples
    --------
    >>> import rayspy as spy
    >>> signal = 2 * spy.harmonic(40, 1000, nTrials=None) + spy.white_noise(nTrials=None, seed=1)
    >>> signal.shape
    (1000, 2)
    """
    n, c = check_size(nSamples, nChannels)
    rate = check_rate(samplerate)
    trial = _on_all_channels(harmonic_wave(check_scalar(freq, "freq", 0, rate / 2), rate, n), c)
    return collect(lambda seeds: (trial for _ in seeds), nTrials, samplerate, seed, seed_per_trial)


@accepts_cfg_only
def phase_diffusion(
    freq: float,
    eps: float = 0.1,
    samplerate: float = 1000,
    nChannels: int = 2,
    nSamples: int = 1000,
    rand_ini: bool = False,
    return_phase: bool = False,
    seed: int | None = None,
    nTrials: int | None = 100,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    r"""Oscillation whose phase diffuses.

    The phase advances by :math:`2 \pi f / f_s` per sample, plus a random step of
    variance :math:`2 \pi f / f_s \cdot \epsilon`.

    Parameters
    ----------
    freq : float
        Frequency in Hz.
    eps : float
        Strength of the diffusion, 0 or more; with 1 the variance of a random
        step is as large as the regular one.
    samplerate : float
        Sampling rate in Hz.
    nChannels : int
        Number of channels; their phases diffuse independently.
    nSamples : int
        Samples per trial.
    rand_ini : bool
        Start at a random phase on each channel.
    return_phase : bool
        Return the unwrapped phases in rad instead of their cosine.
    seed : int, optional
        Number for reproducible trials.
    nTrials : int or None
        Number of trials; None returns one trial as an array.
    seed_per_trial : bool
        False: all trials are equal.

    Returns
    -------
    AnalogData or ndarray
        Trials start at -1 s.

    Notes
    -----
    The time axis is that of Syncopy: it spreads `nSamples` samples over the
    whole duration with both ends, so that the frequency is higher than `freq`
    by a factor of ``nSamples / (nSamples - 1)``.

    Examples
    --------
    >>> import rayspy as spy
    >>> phases = spy.phase_diffusion(60, eps=0.01, nTrials=None, return_phase=True, seed=1)
    >>> phases.shape
    (1000, 2)
    """
    n, c = check_size(nSamples, nChannels)
    rate, strength = check_rate(samplerate), check_scalar(eps, "eps", 0)
    f = check_scalar(freq, "freq", 0, rate / 2)
    check_bool(rand_ini, "rand_ini")
    check_bool(return_phase, "return_phase")

    def trials(seeds: Iterable[Seed]) -> Iterator[Array]:
        for one in seeds:
            phase = diffusing_phase(f, strength, rate, n, c, rand_ini, one)
            yield (phase if return_phase else np.cos(phase)).astype(np.float32, copy=False)

    return collect(trials, nTrials, samplerate, seed, seed_per_trial)
