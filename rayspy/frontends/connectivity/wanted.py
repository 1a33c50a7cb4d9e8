"""Which pairs, groups and bands are wanted: from names to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_integer, is_whole
from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError
from rayspy.limits import memory_budget
from rayspy.methods.connectivity.entries import Entries, listed, matrix
from rayspy.methods.connectivity.estimators import Band

Labels = NDArray[Any]


def check_pairs(channelcmb: Any, channel: Labels) -> Entries:
    """Entries for all pairs (None), [senders, receivers], or a list of pairs (tuples or labels ``a--b``).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        It has another form, or names a channel that there is not.
    MemoryBudgetError
        There are too many pairs.
    """
    if channelcmb is None:
        every = np.arange(len(channel))
        return _matrix(every, every, channel)
    if not isinstance(channelcmb, list):
        raise InvalidTypeError(channelcmb, "channelcmb", "list [senders, receivers] or list of tuples;")
    if not channelcmb:
        raise InvalidValueError("[senders, receivers] or list of pairs", "channelcmb", "empty list")
    if all(isinstance(pair, str) for pair in channelcmb):
        return _listed([_named_pair(pair, channel) for pair in channelcmb], channel)
    if all(isinstance(pair, tuple) for pair in channelcmb):
        return _listed(channelcmb, channel)
    if len(channelcmb) != 2:
        raise InvalidValueError("two lists, [senders, receivers]", "channelcmb", f"{len(channelcmb)} entries")
    senders, receivers = channelcmb
    return _matrix(_side(senders, channel, "senders"), _side(receivers, channel, "receivers"), channel)


_PAIR_BYTES = 100
"""What the list of pairs takes for each, while they are sorted."""


def _matrix(senders: NDArray[np.int64], receivers: NDArray[np.int64], channel: Labels) -> Entries:
    """Every sender with every receiver, unless the list of pairs alone is too much."""
    n, budget = len(senders) * len(receivers), memory_budget()
    if n * _PAIR_BYTES > budget:
        raise MemoryBudgetError(
            f"{n:.1e} pairs of channels take {n * _PAIR_BYTES / 1e9:.1f} GB by themselves, the budget is "
            f"{budget / 1e9:.2f} GB; name the channels or pairs that are wanted with channelcmb= or "
            "select={'channel': ...}, or raise spy.config.memory_budget"
        )
    return matrix(senders, receivers, channel)


def _side(side: Any, channel: Labels, name: str) -> NDArray[np.int64]:
    if not isinstance(side, (list, np.ndarray)):
        raise InvalidTypeError(side, f"channelcmb[{name}]", "list of channel names or numbers;")
    if not len(side):
        raise InvalidValueError("at least one channel", f"channelcmb[{name}]", "empty list")
    kinds = {isinstance(item, str) for item in side}
    if len(kinds) > 1:
        raise InvalidTypeError(side, f"channelcmb[{name}]", "list of names or list of numbers;")
    found = np.array([channel_number(item, channel, f"channelcmb[{name}]") for item in side], np.int64)
    if len(np.unique(found)) < len(found):
        raise InvalidValueError("each channel once", f"channelcmb[{name}]", side)
    return found


def _named_pair(pair: str, channel: Labels) -> tuple[str, str]:
    """Find the channels of a label ``a--b``, in which names themselves may have dashes."""
    parts = pair.split("--")
    for k in range(1, len(parts)):
        first, second = "--".join(parts[:k]), "--".join(parts[k:])
        if first in channel and second in channel:
            return first, second
    raise InvalidValueError(f"pairs a--b of existing channels ({_some(channel)})", "channelcmb", pair)


def _listed(pairs: list[Any], channel: Labels) -> Entries:
    for pair in pairs:
        if len(pair) != 2:
            raise InvalidValueError("pairs of two channels", "channelcmb", pair)
    found = np.array([[channel_number(item, channel, "channelcmb") for item in pair] for pair in pairs])
    if len(np.unique(found, axis=0)) < len(found):
        raise InvalidValueError("each pair once", "channelcmb", pairs)
    return listed(found, channel)


def channel_number(item: Any, channel: Labels, name: str) -> int:
    """Find a channel by name or number."""
    if isinstance(item, str):
        places = np.flatnonzero(channel == item)
        if not len(places):
            raise InvalidValueError(f"existing channels ({_some(channel)})", name, item)
        if len(places) > 1:
            raise InvalidValueError("name of only one channel", name, item)
        return int(places[0])
    if not is_whole(item):
        raise InvalidTypeError(item, f"item of {name}", "str or int;")
    if not 0 <= item < len(channel):
        raise InvalidValueError(f"channel numbers from 0 to {len(channel) - 1}", name, item)
    return int(item)


def _some(labels: Labels) -> str:
    shown = ", ".join(str(label) for label in labels[:6])
    return shown if len(labels) <= 6 else f"{shown}, ..."


def check_groups(groups: Any, channel: Labels) -> dict[str, tuple[int, ...]]:
    """Accept a dictionary of two or more lists of channels that have none in common."""
    if not isinstance(groups, Mapping):
        raise InvalidTypeError(groups, "groups", "dictionary such as {'V1': [...], 'V4': [...]};")
    if len(groups) < 2:
        raise InvalidValueError("two groups of channels or more", "groups", f"{len(groups)} groups")
    found: dict[str, tuple[int, ...]] = {}
    taken: dict[int, str] = {}
    for name, members in groups.items():
        if not isinstance(name, str):
            raise InvalidTypeError(name, "name in groups", "str;")
        if not isinstance(members, (list, tuple, np.ndarray)):
            raise InvalidTypeError(members, f"groups[{name!r}]", "list of channel names or numbers;")
        if not len(members):
            raise InvalidValueError("at least one channel", f"groups[{name!r}]", "empty list")
        found[name] = tuple(channel_number(item, channel, f"groups[{name!r}]") for item in members)
        for number in found[name]:
            if number in taken:
                legal = f"each channel once; {channel[number]} is in {taken[number]!r} already"
                raise InvalidValueError(legal, f"groups[{name!r}]", channel[number])
            taken[number] = name
    return found


def check_ranks(rank: Any, groups: Mapping[str, tuple[int, ...]]) -> tuple[int | None, ...]:
    """Components per group: None (all), one number, or a dictionary with one per group."""
    if rank is None:
        return (None,) * len(groups)
    if isinstance(rank, Mapping):
        for name in rank:
            if name not in groups:
                raise InvalidValueError(f"names of groups ({', '.join(groups)})", "rank", name)
        each = {name: rank.get(name) for name in groups}
    else:
        each = dict.fromkeys(groups, rank)
    return tuple(
        None if value is None else check_integer(value, "rank", 1, len(groups[name]))
        for name, value in each.items()
    )


def check_bands(bands: Any, freq: NDArray[np.float64], least: int) -> tuple[Band, ...]:
    """Accept a dictionary of closed intervals in Hz with so many frequencies, at least, in each."""
    if bands is None:
        return ()
    if not isinstance(bands, Mapping):
        raise InvalidTypeError(bands, "bands", "dictionary such as {'beta': [13, 30]};")
    if not bands:
        raise InvalidValueError("at least one band", "bands", "empty dictionary")
    found = []
    for name, limits in bands.items():
        if not isinstance(name, str):
            raise InvalidTypeError(name, "name in bands", "str;")
        low, high = check_array(
            list(limits) if isinstance(limits, tuple) else limits, f"bands[{name!r}]", 0, length=2
        )
        if not low < high:
            raise InvalidValueError("[low, high] with low < high", f"bands[{name!r}]", limits)
        band = Band(name, float(low), float(high))
        n_bins = len(band.bins(freq))
        if n_bins < least:
            legal = f"interval with {least} frequencies or more of those from {freq[0]:g} to {freq[-1]:g} Hz"
            raise InvalidValueError(legal, f"bands[{name!r}]", f"{limits}, which has {n_bins}")
        found.append(band)
    return tuple(found)
