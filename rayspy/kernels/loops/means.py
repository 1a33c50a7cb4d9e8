"""Geometric means of the powers of filtered signals, by transforms side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import FEW, workspace
from rayspy.kernels.loops.powers import fill_powers, put, spectra_bytes, stack

if TYPE_CHECKING:
    from rayspy.kernels.spectral.filterbank import Band

Array = NDArray[Any]

_MOST_FACTORS = 8
"""So many powers, of lines of magnitude 1, are multiplied in double precision: they do not underflow."""
_DONE_BYTES = 2**22
"""Results of this size are gathered before they are put in place."""
_TILE = 64
"""Time points whose products stay in the processor's first cache."""
_HELD_BYTES = 2**20
"""Powers of this size are held until they are multiplied."""


def geometric_means(
    slabs: Mapping[int, Array],
    lines: range,
    band: Callable[[int], Band],
    members: Sequence[Sequence[int]],
    lengths: Sequence[int],
    finish: tuple[Array, int],
    out: Array,
) -> None:
    """Geometric means of squared magnitudes of filtered lines, as long as the trials.

    Parameters
    ----------
    slabs, lines
        See `rayspy.kernels.loops.powers.powers`; the lines are of magnitude 1.
    band : callable
        Gives a filter, whose transform has one part.
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
    shape = n_rows, len(lines), len(set(lengths)), max(map(len, members)), len(members)
    at_once, _, n_done = _at_once(*shape)
    z, held, product, done = _memory(max(lengths), *shape)
    factors = np.ones(width)
    factors[: len(lines)] = finish[0]

    def fill(some: Sequence[Sequence[int]], target: Array) -> None:
        for first in range(0, max(map(len, some)), _MOST_FACTORS):
            few = [numbers[first : first + _MOST_FACTORS] for numbers in some]
            starts = _hold_powers(z, held, slabs, band, few, lengths, len(lines))
            for f, numbers in enumerate(few):
                if numbers:
                    last = first + _MOST_FACTORS >= len(some[f])
                    degree = len(some[f]) * (3 - finish[1])
                    scale = factors if last else np.ones(width)
                    _put_root(held, starts[f], degree, scale, first == 0, product, target[f])

    for low in range(0, len(members), n_done):
        gathered = members[low : low + n_done]
        for k in range(0, len(gathered), at_once):
            fill(gathered[k : k + at_once], done[k:])
        firsts = [f * done[0].size for f in range(len(gathered))]
        put(done, width, firsts, lines, out[:, :, low : low + len(gathered)])


def _memory(
    n: int, n_rows: int, n_lines: int, n_lengths: int, order: int, n_freqs: int
) -> tuple[Array, Array, Array, Array]:
    """Rows to transform, powers, a product of them in double precision, and results that are gathered."""
    _, n_held, n_done = _at_once(n_rows, n_lines, n_lengths, order, n_freqs)
    size = n_rows * _width(n_lines)
    z, more = workspace(n, _most_numbers(n_rows, n_lengths, order, n_freqs))
    held, product, done, _ = np.split(
        more, np.cumsum([n_held * (n_rows + 1) * LANES, 2 * size, n_done * size])
    )
    shape = (n_rows, _width(n_lines))
    wide = product.view(np.float64).reshape(shape)
    return z, held.reshape(n_held, -1, LANES), wide, done.reshape(n_done, *shape)


@lru_cache(maxsize=256)
def _at_once(n_rows: int, n_lines: int, n_lengths: int, order: int, n_freqs: int) -> tuple[int, int, int]:
    """Frequencies that are made together, powers that are held for them, and results that are gathered."""
    repeats, factors = LANES // n_lines, min(order, _MOST_FACTORS)
    n_held = max(_MOST_FACTORS, _HELD_BYTES // (4 * n_rows * LANES))
    at_once = 1 if repeats == 1 else min(n_freqs, max(1, n_held * repeats // factors))
    n_held = min(at_once * factors, at_once * factors // repeats + n_lengths)
    n_done = at_once * max(1, _DONE_BYTES // (4 * n_rows * _width(n_lines) * at_once))
    return at_once, n_held, min(n_freqs, n_done)


@lru_cache(maxsize=256)
def _most_numbers(n_rows: int, n_lengths: int, order: int, n_freqs: int) -> int:
    """Memory for any number of lines, so that it need not grow, in numbers of single precision."""
    largest = 0
    for n_lines in range(1, LANES + 1):
        _, n_held, n_done = _at_once(n_rows, n_lines, n_lengths, order, n_freqs)
        size = n_held * (n_rows + 1) * LANES + (n_done + 2) * n_rows * _width(n_lines)
        largest = max(largest, size)
    return largest


def _hold_powers(
    z: Array,
    held: Array,
    slabs: Mapping[int, Array],
    band: Callable[[int], Band],
    members: Sequence[Sequence[int]],
    lengths: Sequence[int],
    n_lines: int,
) -> list[Array]:
    """Powers of all members; where those of the first line begin, per frequency."""
    starts = [np.zeros(len(numbers), np.int64) for numbers in members]
    for number, job in enumerate(_jobs(members, lengths, n_lines)):
        filters = stack([band(members[f][k]) for f, k in job])
        rows, slab = held[number : number + 1], slabs[filters.n_fft]
        fill_powers(z[: filters.n_part], slab, filters, 0, n_lines, held.shape[1] - 1, rows)
        for j, (f, k) in enumerate(job):
            starts[f][k] = number * held[0].size + j * n_lines
    return starts


def _jobs(
    members: Sequence[Sequence[int]], lengths: Sequence[int], n_lines: int
) -> list[list[tuple[int, int]]]:
    """Members, by frequency and number, that are transformed together: for few lines those of a length."""
    every = [(f, k) for f, numbers in enumerate(members) for k in range(len(numbers))]
    every.sort(key=lambda one: lengths[members[one[0]][one[1]]])
    together = _same_length([lengths[members[f][k]] for f, k in every], LANES // n_lines)
    return [every[some.start : some.stop] for some in together]


def _same_length(lengths: Sequence[int], at_most: int) -> list[range]:
    """Consecutive filters with the same length of transform, up to some number together."""
    found: list[range] = []
    for f, n in enumerate(lengths):
        if found and len(found[-1]) < at_most and lengths[found[-1].start] == n:
            found[-1] = range(found[-1].start, f + 1)
        else:
            found.append(range(f, f + 1))
    return found


def _put_root(
    held: Array, starts: Array, degree: int, factors: Array, is_first: bool, product: Array, target: Array
) -> None:
    """Root of a product of powers, times factors, times what `target` has already unless it is the first."""
    flat = held.reshape(-1)
    if degree & (degree - 1) == 0:
        _put_halved(flat, starts, degree.bit_length() - 1, factors, is_first, target)
        return
    _multiply_together(flat, starts, 0, product)
    if degree == 3:
        np.cbrt(product, out=product)
    else:
        np.power(product, 1 / degree, out=product)
    product *= factors
    if is_first:
        target[...] = product
    else:
        np.multiply(product, target, out=target, casting="same_kind")


def shared_bytes(n_rows: int, lengths: Sequence[int], order: int, n_freqs: int) -> int:
    """Memory that `geometric_means` and the spectra of one group of lines take at most.

    Parameters
    ----------
    n_rows : int
        Time points of a line.
    lengths : sequence of int
        Length of the transform of each filter.
    order : int
        Largest number of filters of a frequency.
    n_freqs : int
        Frequencies.
    """
    numbers = _most_numbers(n_rows, len(set(lengths)), order, n_freqs)
    return spectra_bytes(lengths, 4 * numbers) + 16 * LANES * n_rows


def _width(n_lines: int) -> int:
    return LANES if n_lines > LANES // 2 else -(-n_lines // FEW) * FEW


@compiled
def _multiply_together(held: Array, starts: Array, first: int, product: Array) -> None:
    """Products from one time point on; what lanes there are more than lines is of no use."""
    n_rows, width = product.shape
    if width == LANES:
        flat = product.reshape(-1)
        for k in range(len(starts)):
            begin = starts[k] + first * LANES
            x = held[begin : begin + len(flat)]
            if k == 0:
                for q in range(len(flat)):
                    flat[q] = x[q]
            else:
                for q in range(len(flat)):
                    flat[q] *= x[q]
        return
    for t in range(n_rows):
        y = product[t]
        for k in range(len(starts)):
            begin = starts[k] + (first + t) * LANES
            x = held[begin : begin + width]
            if k == 0:
                for q in range(width):
                    y[q] = x[q]
            else:
                for q in range(width):
                    y[q] *= x[q]


@compiled
def _put_halved(
    held: Array, starts: Array, halvings: int, factors: Array, is_first: bool, target: Array
) -> None:
    """Square roots of products, so many times, times factors, and times what is in the target."""
    n_rows, width = target.shape
    memory = np.empty((_TILE, width))
    for low in range(0, n_rows, _TILE):
        product = memory[: min(_TILE, n_rows - low)]
        _multiply_together(held, starts, low, product)
        flat = product.reshape(-1)
        for _ in range(halvings):
            for q in range(len(flat)):
                flat[q] = math.sqrt(flat[q])
        for t in range(len(product)):
            x, y = product[t], target[low + t]
            if is_first:
                for q in range(width):
                    y[q] = x[q] * factors[q]
            else:
                for q in range(width):
                    y[q] *= x[q] * factors[q]
