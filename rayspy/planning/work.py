"""What methods may tell about their work besides what every method declares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.methods.base import Divisible, Kernel, Method

Sizes = NDArray[np.int64]

_SMALL_SUM = 2**18
"""Sums of fewer bytes than this are sent as often as it takes."""


def weighted_sizes(
    method: Method, lengths: Sizes, input_bytes: Sizes, output_bytes: Sizes, average: bool
) -> Sizes:
    """Size of each trial for the partitioner.

    The larger of input and output, times the method's ``weight(length)`` where it
    has one: the work per byte of output, compared to a plain transform. What is
    averaged counts as its input alone for methods without a weight.
    """
    weight = getattr(method, "weight", None)
    if weight is None:
        return input_bytes if average else np.asarray(np.maximum(input_bytes, output_bytes))
    known = {int(n): float(weight(int(n))) for n in np.unique(lengths)}
    factors = np.array([known[int(n)] for n in lengths])
    return np.asarray(np.maximum(input_bytes, (output_bytes * factors).astype(np.int64)))


def block_bytes(sum_bytes: int) -> int:
    """Size of block to aim for: of a large sum, what comes back is at most a quarter of what was read."""
    wanted: int = config.block_bytes
    return wanted if sum_bytes < _SMALL_SUM else max(wanted, 4 * sum_bytes)


def shared_bytes(method: Method, length: int) -> int:
    """Memory of a kernel call that does not grow with the number of lines: ``shared_bytes(length)``."""
    declared: Any = getattr(method, "shared_bytes", None)
    return 0 if declared is None else int(declared(length))


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
    """Trials that are best computed together, to fill the ``lanes`` of a method that has any."""
    return max(1, int(getattr(method, "lanes", 1)) // max(1, n_channels))


def holds_gil(method: Method) -> bool:
    """Whether threads of one process wait for each other: the method's ``holds_gil``, else False."""
    return bool(getattr(method, "holds_gil", False))
