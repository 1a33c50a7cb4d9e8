"""What methods may tell about their work besides what every method declares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.methods.base import Divisible, Kernel, Method

Sizes = NDArray[np.int64]

_SMALL_STATE = 2**18
"""States of fewer bytes than this are sent as often as it takes."""


def weighted_sizes(
    method: Method, lengths: Sizes, input_bytes: Sizes, output_bytes: Sizes, reduced: bool
) -> Sizes:
    """Size of each trial for the partitioner.

    The larger of input and output, times the method's weight where it has one. What is
    reduced counts as its input alone for methods without a weight.
    """
    known = {int(n): method.weight(int(n)) for n in np.unique(lengths)}
    if None in known.values():
        return input_bytes if reduced else np.asarray(np.maximum(input_bytes, output_bytes))
    factors = np.array([known[int(n)] for n in lengths], dtype=np.float64)
    return np.asarray(np.maximum(input_bytes, (output_bytes * factors).astype(np.int64)))


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


def kernel_at(method: Method, length: int, variant: int) -> Kernel:
    """Kernel for trials of a length and a variant: the method's ``kernel_at(length, variant)``."""
    made: Any = method
    kernel: Kernel = made.kernel_at(length, variant)
    return kernel


def samples_at(method: Divisible, length: int, first: int, stop: int, variant: int) -> tuple[int, int]:
    """`Divisible.samples_for` for a variant: the method's ``samples_at(length, first, stop, variant)``."""
    made: Any = method
    start, end = made.samples_at(length, first, stop, variant)
    return int(start), int(end)


def piece_kernel_at(method: Divisible, length: int, first: int, stop: int, variant: int) -> Kernel:
    """`Divisible.piece_kernel` for a variant: ``piece_kernel_at(length, first, stop, variant)``."""
    made: Any = method
    kernel: Kernel = made.piece_kernel_at(length, first, stop, variant)
    return kernel


def trials_per_step(method: Method, n_channels: int) -> int:
    """Trials that are best computed together, to fill the lanes of a method."""
    return max(1, method.lanes // max(1, n_channels))
