"""From a function that makes one trial to a data object with many."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_integer, check_room, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.executors.reimport import end_if_imported_again
from rayspy.frontends.calling import accepts_cfg_only
from rayspy.progress import Progress

Array = NDArray[Any]
Seed = int | None
_LARGEST_SEED = 1_000_000
_TRIAL_BYTES = 16
"""Memory per sample and channel while a trial is made."""
_SEED_BYTES = 64


def check_seed(seed: Any) -> Seed:
    """Accept None or a whole number, 0 or more."""
    return None if seed is None else check_integer(seed, "seed", 0)


def check_rate(samplerate: Any) -> float:
    """Accept a sampling rate in Hz."""
    rate = check_scalar(samplerate, "samplerate")
    if rate <= 0:
        raise InvalidValueError("value to be greater than 0 (Hz)", "samplerate", samplerate)
    return rate


def check_size(n_samples: Any, n_channels: Any) -> tuple[int, int]:
    """Accept numbers of samples and channels, of which one trial fits into memory."""
    n, c = check_integer(n_samples, "nSamples", 1), check_integer(n_channels, "nChannels", 1)
    name = "nSamples" if n >= c else "nChannels"
    check_room(_TRIAL_BYTES * n * (c + 1), name, max(n, c), "a trial")
    return n, c


def trial_seeds(seed: Seed, n_trials: int, per_trial: bool) -> Iterable[Seed]:
    """Seed of each trial: drawn from `seed`, or the same for all trials, or None for none at all."""
    if seed is None or not per_trial:
        return [seed] * n_trials
    drawn = np.random.default_rng(seed).integers(_LARGEST_SEED, size=n_trials)
    return [int(one) for one in drawn]


def collect(
    trials: Callable[[Iterable[Seed]], Iterator[Array]],
    n_trials: Any,
    samplerate: Any,
    seed: Any = None,
    seed_per_trial: Any = True,
) -> AnalogData | Array:
    """Make trials and put them into a data object, one by one.

    Parameters
    ----------
    trials : callable
        Turns seeds into trials, arrays of samples x channels.
    n_trials : int or None
        How many; None: one, returned as an array.
    samplerate : float
        Hz.
    seed : int or None
        Where the seeds of the trials come from; None: different each time.
    seed_per_trial : bool
        Whether trials differ from each other.
    """
    seed = check_seed(seed)
    check_bool(seed_per_trial, "seed_per_trial")
    rate = check_rate(samplerate)
    if n_trials is None:
        return next(trials([seed]))
    n = check_integer(n_trials, "nTrials", 1)
    check_room(_SEED_BYTES * n, "nTrials", n, "their seeds")
    end_if_imported_again("synthdata")
    progress = Progress("synthdata", n, 0, unit="trials")
    try:
        made = trials(trial_seeds(seed, n, seed_per_trial))
        return AnalogData(_counted(made, progress.start()), samplerate=rate)
    finally:
        progress.close()


def _counted(trials: Iterator[Array], progress: Progress) -> Iterator[Array]:
    for trial in trials:
        progress.update(trial.nbytes)
        yield trial


def collect_trials(trial_func: Callable[..., Array]) -> Callable[..., AnalogData | Array]:
    """Turn a function that makes one trial into one that makes a data object.

    Parameters
    ----------
    trial_func : callable
        Returns an array of samples x channels. If it has a parameter `seed` it
        is called with another seed for each trial, if it has one called
        `samplerate` it gets the sampling rate.

    Returns
    -------
    callable
        Takes what `trial_func` takes, and

        - `nTrials` : number of trials (100); None returns one trial as array;
        - `samplerate` : sampling rate in Hz (1000);
        - `seed` : number for reproducible trials (None);
        - `seed_per_trial` : False makes all trials equal (True).

    Examples
    --------
    >>> import numpy as np
    >>> import rayspy as spy
    >>> @spy.synthdata.collect_trials
    ... def ramp(nSamples=100, nChannels=2):
    ...     return np.tile(np.arange(nSamples, dtype="f4")[:, None], nChannels)
    >>> len(ramp(nSamples=50, nTrials=3).trials)
    3
    """
    if not callable(trial_func):
        raise InvalidTypeError(trial_func, "trial_func", "function that returns one trial;")
    try:
        own = inspect.signature(trial_func)
    except ValueError:
        raise InvalidTypeError(trial_func, "trial_func", "function with a signature;") from None
    signature = _extended(own)

    @wraps(trial_func)
    def collected(*args: Any, **kwargs: Any) -> AnalogData | Array:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        settings = {name: given[name] for name in _EXTRA}
        for name in _EXTRA.keys() - own.parameters.keys():
            del given[name]

        def trials(seeds: Iterable[Seed]) -> Iterator[Array]:
            for seed in seeds:
                if "seed" in own.parameters:
                    given["seed"] = seed
                call = inspect.BoundArguments(own, given)
                yield trial_func(*call.args, **call.kwargs)

        return collect(
            trials, settings["nTrials"], settings["samplerate"], settings["seed"], settings["seed_per_trial"]
        )

    collected.__signature__ = signature  # type: ignore[attr-defined]
    return accepts_cfg_only(collected)


_EXTRA = {"nTrials": 100, "samplerate": 1000, "seed": None, "seed_per_trial": True}


def _extended(own: inspect.Signature) -> inspect.Signature:
    """Signature with the parameters that every generator has; those the function has stay where they are."""
    kind = inspect.Parameter
    extra = [
        kind(name, kind.POSITIONAL_OR_KEYWORD, default=default)
        for name, default in _EXTRA.items()
        if name not in own.parameters
    ]
    before = [p for p in own.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    after = [p for p in own.parameters.values() if p not in before]
    if any(p.kind is p.VAR_POSITIONAL for p in after):
        extra = [p.replace(kind=kind.KEYWORD_ONLY) for p in extra]
        middle = [p for p in after if p.kind is p.VAR_POSITIONAL]
        return own.replace(parameters=[*before, *middle, *extra, *(p for p in after if p not in middle)])
    return own.replace(parameters=[*before, *extra, *after])
