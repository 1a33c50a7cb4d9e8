"""Noise without memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rayspy.data.analog import AnalogData
from rayspy.frontends.calling import accepts_cfg_only
from rayspy.synthdata.collect import Array, Seed, check_size, collect


def white_trial(n_samples: int, n_channels: int, seed: Seed) -> Array:
    """One trial of white noise."""
    return np.random.default_rng(seed).normal(size=(n_samples, n_channels)).astype(np.float32)


@accepts_cfg_only
def white_noise(
    nSamples: int = 1000,
    nChannels: int = 2,
    seed: int | None = None,
    nTrials: int | None = 100,
    samplerate: float = 1000,
    seed_per_trial: bool = True,
) -> AnalogData | Array:
    """White noise with mean 0 and standard deviation 1.

    Parameters
    ----------
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

    Examples
    --------
    >>> import rayspy as spy
    >>> spy.white_noise(nSamples=200, nChannels=3, nTrials=5, seed=1).data.shape
    (1000, 3)
    """
    n, c = check_size(nSamples, nChannels)

    def trials(seeds: Iterable[Seed]) -> Iterator[Any]:
        return (white_trial(n, c, one) for one in seeds)

    return collect(trials, nTrials, samplerate, seed, seed_per_trial)
