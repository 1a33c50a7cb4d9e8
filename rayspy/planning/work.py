"""How much work there is, and how large blocks should be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.methods.base import Method, Work

Sizes = NDArray[np.int64]

_SMALL_STATE = 2**18
"""States of fewer bytes than this are sent as often as it takes."""


def weighted_sizes(
    work: Callable[[int], Work], lengths: Sizes, input_bytes: Sizes, output_bytes: Sizes, reduced: bool
) -> Sizes:
    """Size of each trial for the partitioner.

    The larger of input and output, times the weight that `work` of trials of a length has.
    What is reduced counts as its input alone for methods without a weight.
    """
    if (lengths == lengths[0]).all():
        weight = work(int(lengths[0])).weight
        known = np.array([weight], dtype=np.float64)
    else:
        each, places = np.unique(lengths, return_inverse=True)
        known = np.array([work(int(n)).weight for n in each], dtype=np.float64)[places]
    if np.isnan(known).any():
        return input_bytes if reduced else np.asarray(np.maximum(input_bytes, output_bytes))
    return np.asarray(np.maximum(input_bytes, (output_bytes * known).astype(np.int64)))


def block_bytes(state_bytes: int) -> int:
    """Size of block to aim for: of a large state, what comes back is at most a quarter of what was read."""
    wanted: int = config.block_bytes
    return wanted if state_bytes < _SMALL_STATE else max(wanted, 4 * min(state_bytes, largest_state()))


def least_block(state_bytes: int) -> int:
    """Size that blocks should have for any number of cores: four times what they send back, if it is much."""
    return 0 if state_bytes < _SMALL_STATE else 4 * state_bytes


def largest_state() -> int:
    """Size that states of one range of channels and frequencies should not exceed."""
    return 4 * int(config.block_bytes)


def trials_per_step(method: Method, n_channels: int) -> int:
    """Trials that are best computed together, to fill the lanes of a method."""
    return max(1, method.lanes // max(1, n_channels))
