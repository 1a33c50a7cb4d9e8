"""Which pairs, in which places of the result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Entries:
    """Entries of a result: a matrix of channels or groups, or a list of pairs.

    Attributes
    ----------
    dims : tuple of str
        ('channel_i', 'channel_j') or ('channelcmb',).
    names : tuple of tuple of str
        Labels of these dimensions.
    first, second : bytes
        Channels i and j of the entries, as 64 bit numbers; see `i` and `j`.
    """

    dims: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    first: bytes
    second: bytes

    @property
    def i(self) -> NDArray[np.int64]:
        """First channel of each entry, in the order of memory."""
        return np.frombuffer(self.first, np.int64)

    @property
    def j(self) -> NDArray[np.int64]:
        """Second channel of each entry."""
        return np.frombuffer(self.second, np.int64)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Numbers of labels."""
        return tuple(len(names) for names in self.names)

    @property
    def labels(self) -> dict[str, Array]:
        """Labels per dimension."""
        return {dim: np.array(names) for dim, names in zip(self.dims, self.names, strict=True)}


def matrix(senders: Array, receivers: Array, names: Array) -> Entries:
    """Every sender with every receiver; numbers of channels, and the names of all channels."""
    i, j = np.meshgrid(senders, receivers, indexing="ij")
    labels = tuple(tuple(str(name) for name in names[side]) for side in (senders, receivers))
    return Entries(("channel_i", "channel_j"), labels, _packed(i), _packed(j))


def listed(pairs: Array, names: Array) -> Entries:
    """Pairs (pair, 2) one after the other, with labels ``a--b``."""
    labels = tuple(f"{names[i]}--{names[j]}" for i, j in pairs)
    return Entries(("channelcmb",), (labels,), _packed(pairs[:, 0]), _packed(pairs[:, 1]))


def _packed(numbers: Array) -> bytes:
    return np.ascontiguousarray(numbers, np.int64).tobytes()
