"""Geometric means of the powers of filtered signals, by transforms side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import LANES, transform, workspace
from rayspy.kernels.loops.powers import FEW, filter_lines, last_powers, put, same_length

Array = NDArray[Any]

_MOST_FACTORS = 8
"""So many powers, of lines of magnitude 1, are multiplied in double precision: they do not underflow."""
_DONE_BYTES = 2**22
"""Results of this size are gathered before they are put in place."""
_HELD_BYTES = 2**23
"""Powers of this size are held until they are multiplied."""


def geometric_means(
    slab: Callable[[int], Array],
    lines: range,
    response: Callable[[int], Array],
    members: Sequence[Sequence[int]],
    lengths: Sequence[int],
    finish: tuple[Array, int],
    out: Array,
) -> None:
    """Geometric means of squared magnitudes of filtered lines, as long as the trials.

    Parameters
    ----------
    slab, lines
        See `rayspy.kernels.loops.powers.powers`; the lines are of magnitude 1.
    response : callable
        Gives the transfer function of a filter, divided by the length of its transform.
    members : sequence of sequences of int
        Numbers of the filters per frequency, whose lengths do not fall.
    lengths : sequence of int
        Length of the transform per filter.
    finish : tuple of (ndarray of float64, shape (line,)) and int
        Factors for the result, and the power of the magnitudes that is wanted: 1 or 2.
    out : ndarray of float32, shape (trial, time, frequency, channel)
        Where the result goes; see `rayspy.kernels.loops.powers.can_be_put`.
    """
    n_rows, width = out.shape[1], _width(len(lines))
    at_once, n_held, n_done = _at_once(n_rows, len(lines), lengths, max(map(len, members)))
    z, held, product, done = _memory(max(lengths), n_rows, width, n_held, n_done)
    factors = np.ones(width)
    factors[: len(lines)] = finish[0]

    def fill(some: Sequence[Sequence[int]], target: Array) -> None:
        for first in range(0, max(map(len, some)), _MOST_FACTORS):
            few = [numbers[first : first + _MOST_FACTORS] for numbers in some]
            starts = _hold_powers(z, held, slab, response, few, lengths, len(lines))
            for f, numbers in enumerate(few):
                if numbers:
                    _multiply_together(held.reshape(-1), starts[f], product)
                    last = first + _MOST_FACTORS >= len(some[f])
                    degree = len(some[f]) * (3 - finish[1])
                    _put_root(product, degree, factors if last else np.ones(width), first == 0, target[f])

    for low in range(0, len(members), n_done):
        gathered = members[low : low + n_done]
        for k in range(0, len(gathered), at_once):
            fill(gathered[k : k + at_once], done[k:])
        firsts = [f * done[0].size for f in range(len(gathered))]
        put(done, width, firsts, lines, out[:, :, low : low + len(gathered)])


def _memory(n: int, n_rows: int, width: int, n_held: int, n_done: int) -> tuple[Array, Array, Array, Array]:
    """Rows to transform, powers, a product of them in double precision, and results that are gathered."""
    sizes = [n_held * (n_rows + 1) * LANES, 2 * n_rows * width, n_done * n_rows * width]
    z, more = workspace(n, sum(sizes))
    held, product, done = np.split(more, np.cumsum(sizes[:-1]))
    shape = (n_rows, width)
    return (
        z, held.reshape(n_held, -1, LANES), product.view(np.float64).reshape(shape), done.reshape(n_done, *shape)
    )


def _at_once(n_rows: int, n_lines: int, lengths: Sequence[int], order: int) -> tuple[int, int, int]:
    """Frequencies that are made together, powers that are held for them, and results that are gathered."""
    repeats, factors = LANES // n_lines, min(order, _MOST_FACTORS)
    n_held = max(_MOST_FACTORS, _HELD_BYTES // (4 * n_rows * LANES))
    at_once = 1 if repeats == 1 else max(1, n_held * repeats // factors)
    n_held = min(at_once * factors, at_once * factors // repeats + len(set(lengths)))
    return at_once, n_held, at_once * max(1, _DONE_BYTES // (4 * n_rows * _width(n_lines) * at_once))


def _hold_powers(
    z: Array,
    held: Array,
    slab: Callable[[int], Array],
    response: Callable[[int], Array],
    members: Sequence[Sequence[int]],
    lengths: Sequence[int],
    n_lines: int,
) -> list[Array]:
    """Powers of all members; where those of the first line begin, per frequency."""
    starts = [np.zeros(len(numbers), np.int64) for numbers in members]
    for job, target in zip(_jobs(members, lengths, n_lines), held, strict=False):
        n = lengths[members[job[0][0]][job[0][1]]]
        filter_lines(z[:n], slab(n), [response(members[f][k]) for f, k in job], n_lines)
        last_powers(z[:n], transform(n).place, target)
        begin = (target.ctypes.data - held.ctypes.data) // held.itemsize
        for j, (f, k) in enumerate(job):
            starts[f][k] = begin + j * n_lines
    return starts


def _jobs(
    members: Sequence[Sequence[int]], lengths: Sequence[int], n_lines: int
) -> list[list[tuple[int, int]]]:
    """Members, by frequency and number, that are transformed together: those of one length where lines are few."""
    every = [(f, k) for f, numbers in enumerate(members) for k in range(len(numbers))]
    every.sort(key=lambda one: lengths[members[one[0]][one[1]]])
    together = same_length([lengths[members[f][k]] for f, k in every], LANES // n_lines)
    return [every[some.start : some.stop] for some in together]


def _put_root(product: Array, degree: int, factors: Array, is_first: bool, target: Array) -> None:
    """Root of a product, which is overwritten; times factors, or times what `target` has already."""
    halvings = 0
    if degree & (degree - 1) == 0:
        halvings = degree.bit_length() - 1
    elif degree == 3:
        np.cbrt(product, out=product)
    else:
        np.power(product, 1 / degree, out=product)
    _put_scaled(product, halvings, factors, is_first, target)


def shared_bytes(length: int, lengths: Sequence[int], order: int) -> int:
    """Memory for powers, products and results.

    Parameters
    ----------
    length : int
        Samples of a line.
    lengths : sequence of int
        Length of the transform of each filter.
    order : int
        Largest number of filters of a frequency.
    """
    sizes = []
    for n_lines in range(1, LANES + 1):
        _, n_held, n_done = _at_once(length, n_lines, lengths, order)
        sizes.append(4 * n_held * (length + 1) * LANES + 4 * (n_done + 2) * length * _width(n_lines))
    return max(sizes)


def _width(n_lines: int) -> int:
    return LANES if n_lines > LANES // 2 else -(-n_lines // FEW) * FEW


@compiled
def _multiply_together(held: Array, starts: Array, product: Array) -> None:
    """Products in double precision; what lanes there are more than lines is of no use."""
    n_rows, width = product.shape
    for t in range(n_rows):
        y = product[t]
        for k in range(len(starts)):
            first = starts[k] + t * LANES
            if width == LANES:
                x = held[first : first + LANES]
                if k == 0:
                    for q in range(LANES):
                        y[q] = x[q]
                else:
                    for q in range(LANES):
                        y[q] *= x[q]
            else:
                x = held[first : first + width]
                if k == 0:
                    for q in range(width):
                        y[q] = x[q]
                else:
                    for q in range(width):
                        y[q] *= x[q]


@compiled
def _put_scaled(product: Array, halvings: int, factors: Array, is_first: bool, target: Array) -> None:
    """Square roots, so many times, times factors; or times what is in the target."""
    row = np.zeros(product.shape[1])
    for t in range(len(product)):
        x, y = product[t], target[t]
        for q in range(len(row)):
            row[q] = x[q]
        for _ in range(halvings):
            for q in range(len(row)):
                row[q] = math.sqrt(row[q])
        if is_first:
            for q in range(len(row)):
                y[q] = row[q] * factors[q]
        else:
            for q in range(len(row)):
                y[q] *= row[q] * factors[q]
