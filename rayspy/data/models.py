"""Parameters of fitted models that go along when spectra are selected or joined.

They are a dictionary per parameter, with keys ``name__trial_taper`` and arrays
whose last axis is the channel, or lists with an array per channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Models = dict[str, dict[str, Any]]


def select_models(
    models: Mapping[str, Mapping[str, Any]],
    trials: Iterable[int],
    tapers: Iterable[int],
    channels: Sequence[int],
) -> Models:
    """Parameters of some trials, tapers and channels, which are counted anew.

    Parameters
    ----------
    models : mapping
        Not changed. Entries with other keys are left out.
    trials, tapers, channels : sequence of int
        What is kept, in this order.
    """
    pairs = [((i, old), (j, layer)) for i, old in enumerate(trials) for j, layer in enumerate(tapers)]
    found: Models = {}
    for name, entries in models.items():
        kept = {
            f"{name}__{i}_{j}": _channels_of(entries[f"{name}__{old}_{layer}"], channels)
            for (i, old), (j, layer) in pairs
            if f"{name}__{old}_{layer}" in entries
        }
        if kept:
            found[name] = kept
    return found


def _channels_of(value: Any, channels: Sequence[int]) -> Any:
    if isinstance(value, list):
        return [value[c].copy() for c in channels]
    return np.asarray(value)[..., channels]


def join_models(parts: Sequence[tuple[Mapping[str, Mapping[str, Any]], int]]) -> Models:
    """Parameters of objects whose trials are put one after the other.

    Parameters
    ----------
    parts : sequence of (mapping, int)
        Parameters and number of trials of each object. Parameters that not every object has
        and entries with other keys are left out.
    """
    names = [name for name in parts[0][0] if all(name in models for models, _ in parts)]
    found: Models = {name: {} for name in names}
    first = 0
    for models, n_trials in parts:
        for name in names:
            for key, value in models[name].items():
                place = re.fullmatch(rf"{re.escape(name)}__(\d+)_(\d+)", key)
                if place is not None:
                    found[name][f"{name}__{first + int(place[1])}_{place[2]}"] = value
        first += n_trials
    return {name: entries for name, entries in found.items() if entries}
