"""Powers of many filtered signals, by transforms side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import FEW, filtered_powers, transform, workspace

if TYPE_CHECKING:
    from rayspy.kernels.spectral.filterbank import Band

Array = NDArray[Any]

_DONE_BYTES = 2**20
"""Squared magnitudes of this size are gathered before they are put in place."""
_TABLE_BYTES = 2**17
"""Small things, such as tables of what is put where."""


class Stack(NamedTuple):
    """Filters whose transforms are alike.

    Attributes
    ----------
    firsts, widths : ndarray of int64, shape (filter,)
        First bin of each response, and how many there are.
    values : ndarray of complex64, shape (filter, part, bin)
        Responses, divided by the length of the whole transform and turned for each part.
    n_fft, n_part : int
        Length of the whole transform and of that of a part.
    """

    firsts: NDArray[np.int64]
    widths: NDArray[np.int64]
    values: Array
    n_fft: int
    n_part: int


def stack(bands: Sequence[Band]) -> Stack:
    """Put filters with transforms of the same lengths together."""
    widths = np.array([band.values.shape[1] for band in bands])
    if len(bands) == 1:
        values = bands[0].values[np.newaxis]
    elif (widths == widths[0]).all():
        values = np.stack([band.values for band in bands])
    else:
        values = np.zeros((len(bands), len(bands[0].values), widths.max()), np.complex64)
        for k, band in enumerate(bands):
            values[k, :, : widths[k]] = band.values
    return Stack(np.array([band.first for band in bands]), widths, values, bands[0].n_fft, bands[0].n_part)


def bins_used(stacks: Sequence[Stack]) -> dict[int, int]:
    """How many frequencies of real lines are looked at, per length of the transform."""
    found: dict[int, int] = {}
    for filters in stacks:
        n = filters.n_fft
        highest = int(filters.firsts.max()) + filters.values.shape[2]  # narrower ones end in zeros
        found[n] = max(found.get(n, 0), min(highest, n // 2 + 1))
    return found


def powers(slabs: Mapping[int, Array], lines: range, stacks: Sequence[Stack], out: Array) -> None:
    """Squared magnitudes of filtered lines.

    Parameters
    ----------
    slabs : mapping
        Spectra of these lines for each length of transform, see `rayspy.kernels.loops.spectra`.
    lines : range
        Up to 32 lines of the result: trials slowest and channels fastest.
    stacks : sequence of Stack
        All filters.
    out : ndarray of float32, shape (trial, time, filter, channel)
        Where the result goes; see `can_be_put`.
    """
    n_rows, first = out.shape[1], 0
    longest = max(stack.n_part for stack in stacks)
    z_memory, memory = workspace(longest, _most_done(n_rows, stacks, len(lines)))
    for some in _gathered(stacks, n_rows, len(lines)):
        parts, counts = some[0].values.shape[1], [len(stack.values) for stack in some]
        size = (-(-n_rows // parts) + 1) * LANES
        done = memory[: len(memory) // size * size].reshape(-1, size // LANES, LANES)
        starts = _starts(counts, len(lines), size)
        for r in range(min(parts, n_rows)):
            target, k = out[:, r::parts, first : first + sum(counts)], 0
            for stack in some:
                rows, z = done[k : k + _n_groups(len(stack.values), len(lines))], z_memory[: stack.n_part]
                fill_powers(z, slabs[stack.n_fft], stack, r, len(lines), target.shape[1], rows)
                k += len(rows)
            put(done, LANES, starts, lines, target)
        first += sum(counts)


def _n_groups(n_filters: int, n_lines: int) -> int:
    """How often the lanes are filled."""
    return -(-n_filters // (LANES // n_lines))


def _starts(counts: Sequence[int], n_lines: int, size: int) -> list[int]:
    """Where the first line begins for each filter of some stacks."""
    together, group, found = LANES // n_lines, 0, []
    for n_filters in counts:
        found += [(group + f // together) * size + f % together * n_lines for f in range(n_filters)]
        group += _n_groups(n_filters, n_lines)
    return found


def _gathered(stacks: Sequence[Stack], n_rows: int, n_lines: int) -> Iterator[list[Stack]]:
    """Filters in as many parts whose powers are put in place together."""
    for parts, some in groupby(stacks, lambda stack: stack.values.shape[1]):
        room = most = _groups_at_once(n_rows, parts)
        found: list[Stack] = []
        for stack in some:
            low = 0
            while low < len(stack.values):
                high = min(len(stack.values), low + room * (LANES // n_lines))
                found.append(_cut(stack, low, high))
                room -= _n_groups(high - low, n_lines)
                low = high
                if room == 0:
                    yield found
                    room, found = most, []
        if found:
            yield found


def _cut(stack: Stack, low: int, high: int) -> Stack:
    return stack._replace(
        firsts=stack.firsts[low:high], widths=stack.widths[low:high], values=stack.values[low:high]
    )


def _groups_at_once(n_rows: int, parts: int) -> int:
    return max(4, _DONE_BYTES // (4 * -(-n_rows // parts) * LANES))


def _most_done(n_rows: int, stacks: Sequence[Stack], n_lines: int) -> int:
    """Numbers that are gathered."""
    needed: dict[int, int] = {}
    for stack in stacks:
        parts = stack.values.shape[1]
        needed[parts] = needed.get(parts, 0) + _n_groups(len(stack.values), n_lines)
    return max(
        min(groups, _groups_at_once(n_rows, parts)) * (-(-n_rows // parts) + 1) * LANES
        for parts, groups in needed.items()
    )


def shared_bytes(n_rows: int, lengths: Sequence[int]) -> int:
    """Memory that `powers` and the spectra of one group of lines take at most.

    Parameters
    ----------
    n_rows : int
        Time points of a line.
    lengths : sequence of int
        Length of the transform of each filter.
    """
    at_once = max(_groups_at_once(n_rows, 1) * (n_rows + 1), 5 * _DONE_BYTES // 16 // LANES)  # in parts
    return spectra_bytes(lengths, 4 * LANES * min(len(lengths) * (n_rows + 1), at_once))


def spectra_bytes(lengths: Sequence[int], more: int) -> int:
    """Memory for spectra of 32 lines, and for rows to transform and what else is kept with them."""
    rows = 8 * LANES * max(lengths)
    return _TABLE_BYTES + 4 * LANES * sum(n + 2 for n in set(lengths)) + rows + more


def can_be_put(out: Array) -> bool:
    """Whether channels stand side by side and nothing stands in reverse."""
    steps = [step for size, step in zip(out.shape, out.strides, strict=True) if size > 1]
    adjacent = out.shape[-1] == 1 or out.strides[-1] == out.itemsize
    return adjacent and all(step > 0 and step % out.itemsize == 0 for step in steps)


def put(done: Array, step: int, starts: Sequence[int], lines: range, out: Array) -> None:
    """Put what was made of some lines where it belongs.

    Parameters
    ----------
    done : ndarray of float32, contiguous
        Where lines stand side by side.
    step : int
        Numbers in `done` from one time point to the next.
    starts : sequence of int
        Place of the first time point of the first line in `done` for each filter.
    lines, out
        See `powers`.
    """
    strides = tuple(stride // out.itemsize for stride in out.strides)
    sources, targets, widths = _runs(lines, tuple(starts), out.shape[3], strides)
    _put(done.reshape(-1), sources, targets, widths, out.shape[1], step, strides[1], _flat(out))


def _flat(out: Array) -> Array:
    """All memory from the first number to the last, with what may stand between them."""
    n = 1 + sum((size - 1) * step for size, step in zip(out.shape, out.strides, strict=True)) // out.itemsize
    return as_strided(out, (n,), (out.itemsize,))


@lru_cache(maxsize=64)
def _runs(
    lines: range, starts: tuple[int, ...], n_channels: int, strides: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Where the first row of powers that belong side by side stands, where it goes, and how many they are."""
    runs = []
    for f, start in enumerate(starts):
        line = lines.start
        while line < lines.stop:
            trial, channel = divmod(line, n_channels)
            width = min(FEW, n_channels - channel, lines.stop - line)
            target = trial * strides[0] + f * strides[2] + channel
            runs.append((target, start + line - lines.start, width))
            line += width
    targets, sources, widths = np.array(sorted(runs), np.int64).T.copy()
    return sources, targets, widths


def fill_powers(
    z: Array, slab: Array, stack: Stack, part: int, n_lines: int, n_times: int, done: Array
) -> None:
    """Powers for one part of the time points, as many filters at a time as the lanes have room for.

    Parameters
    ----------
    z : ndarray of float32, shape (stack.n_part, 2 * 32)
        Memory for transforms.
    slab : ndarray of float32, shape (stack.n_fft // 2 + 1, 2, 32)
        Spectra of lines side by side.
    stack : Stack
        Filters.
    part : int
        Number of the part.
    n_lines : int
        So many lanes hold lines.
    n_times : int
        So many time points are wanted; what is beyond ends up in the row after them.
    done : ndarray of float32, shape (group, more than n_times, 32)
        Where the powers go. Lanes ``j * n_lines`` and after hold filter j of the group.
    """
    room = np.empty((2, LANES + FEW), np.float32)
    plan = transform(len(z))
    filtered_powers(
        z, slab, stack.firsts, stack.widths, stack.values, part, n_lines, plan, room, n_times, done
    )


@compiled
def _put(
    done: Array,
    sources: Array,
    targets: Array,
    widths: Array,
    n_rows: int,
    step: int,
    stride: int,
    out: Array,
) -> None:
    """Time by time, so that what stands side by side is written at a time."""
    for t in range(n_rows):
        for k in range(len(sources)):
            source, target = sources[k] + t * step, targets[k] + t * stride
            if widths[k] == FEW:
                x, y = done[source : source + FEW], out[target : target + FEW]
                for q in range(FEW):
                    y[q] = x[q]
            else:
                for q in range(widths[k]):
                    out[target + q] = done[source + q]
