"""The one partitioner: runs of trials x channel ranges, and long trials in parts.

Parts are pieces along time or runs of frequencies, as the method can.

Depends on the data, on ``block_bytes`` and on ``chan_per_worker``, never on how
many workers there are. The split into trials does not depend on the split into
channels, so sums over trials are the same for every ``chan_per_worker``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray

_FEWEST_BLOCKS = 64
_SMALLEST_BLOCK = 2**20
LINE_CHANNELS = 16
"""Channels that share a cache line in float32: narrower ranges read the same memory again."""
_LARGEST_FACTOR = 4


@dataclass(frozen=True)
class Block:
    """A run of consecutive selected trials x a range of selected channels.

    One trial may be cut along time; the block then has some of its pieces. The
    result of one trial may be cut into runs of frequencies; the block then has one.
    """

    first_trial: int
    stop_trial: int
    first_channel: int
    stop_channel: int
    first_piece: int = 0
    stop_piece: int | None = None
    """None: the trials are not cut."""
    first_freq: int = 0
    stop_freq: int | None = None
    """None: all frequencies."""

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.stop_channel - self.first_channel

    def __str__(self) -> str:
        pieces = "" if self.stop_piece is None else f", pieces {self.first_piece} to {self.stop_piece - 1}"
        freqs = "" if self.stop_freq is None else f", frequencies {self.first_freq} to {self.stop_freq - 1}"
        return (
            f"trials {self.first_trial} to {self.stop_trial - 1}, "
            f"channels {self.first_channel} to {self.stop_channel - 1}{pieces}{freqs}"
        )


Indices = NDArray[np.int64]
_Span = tuple[int, int, int, int]
"""First and last (exclusive) trial and piece of a group of blocks."""


@dataclass(frozen=True, eq=False)
class Blocks(Sequence[Block]):
    """All blocks of a plan; made when asked for, so that a million of them take little memory.

    Parameters
    ----------
    first_trial, stop_trial, first_piece, stop_piece : ndarray of int
        Per group of trials, or of pieces of a trial; `stop_piece` is -1 where trials are not cut.
    n_channels, width : int
        Each group has a block for every `width` of the channels.
    freqs : ndarray of int, shape (group, 2), optional
        First and last (exclusive) frequency of each group; the last is -1 where it
        has all, and without `freqs` every group has.
    bands : tuple of (int, int), optional
        Runs of frequencies that every group is computed in, one after the other.
    ranges_first : bool
        All groups of the first range of channels and frequencies come first.
    """

    first_trial: Indices
    stop_trial: Indices
    first_piece: Indices
    stop_piece: Indices
    n_channels: int
    width: int
    freqs: Indices | None = None
    bands: tuple[tuple[int, int], ...] = ()
    ranges_first: bool = False

    @property
    def n_groups(self) -> int:
        """Number of groups of trials, or of pieces of a trial."""
        return len(self.first_trial)

    @property
    def per_group(self) -> int:
        """Number of ranges of channels and frequencies."""
        return -(-self.n_channels // self.width) * max(1, len(self.bands))

    def __len__(self) -> int:
        return self.n_groups * self.per_group

    def place(self, i: int) -> tuple[int, int]:
        """Group and range of block i."""
        if self.ranges_first:
            part, group = divmod(i, self.n_groups)
            return group, part
        group, part = divmod(i, self.per_group)
        return group, part

    def number(self, group: int, part: int) -> int:
        """Block of a group and range."""
        return part * self.n_groups + group if self.ranges_first else group * self.per_group + part

    @overload
    def __getitem__(self, i: int) -> Block: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Block]: ...
    def __getitem__(self, i: int | slice) -> Block | Sequence[Block]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        group, part = self.place(i % len(self))
        stop_piece = int(self.stop_piece[group])
        first_freq, stop_freq = (0, -1) if self.freqs is None else self.freqs[group].tolist()
        if self.bands:
            part, band = divmod(part, len(self.bands))
            first_freq, stop_freq = self.bands[band]
        return Block(
            int(self.first_trial[group]),
            int(self.stop_trial[group]),
            part * self.width,
            min((part + 1) * self.width, self.n_channels),
            int(self.first_piece[group]),
            None if stop_piece < 0 else stop_piece,
            first_freq,
            None if stop_freq < 0 else stop_freq,
        )

    def __iter__(self) -> Iterator[Block]:
        return (self[i] for i in range(len(self)))

    def widest(self, groups: Sequence[int]) -> list[Block]:
        """First block, which has the most channels, of each of these groups."""
        return [self[self.number(group, 0)] for group in groups]


def no_blocks() -> Blocks:
    """Blocks of a plan that is not partitioned yet."""
    none = np.empty(0, dtype=np.int64)
    return Blocks(none, none, none, none, 1, 1)


def block_target(total_bytes: int, block_bytes: int) -> int:
    """Size to aim for: `block_bytes`, less for small data so that there are enough blocks for all cores."""
    return int(np.clip(total_bytes // _FEWEST_BLOCKS, min(_SMALLEST_BLOCK, block_bytes), block_bytes))


def trial_groups(
    trial_bytes: NDArray[np.int64], target: int, multiple: int = 1, even: bool = False
) -> list[tuple[int, int]]:
    """Group consecutive trials up to `target` bytes, at least one trial each.

    Of trials of equal size a multiple of `multiple`, if so many are within the target;
    if `even`, about as many in each group, so that none is waited for.
    """
    n = len(trial_bytes)
    if n and (trial_bytes == trial_bytes[0]).all():
        step = max(1, target // max(1, int(trial_bytes[0])))
        step -= step % multiple if step > multiple else 0
        if even:
            step = -(-n // -(-n // step))
            step += -step % multiple if step > multiple else 0
        return [(first, min(first + step, n)) for first in range(0, n, step)]
    edges = np.concatenate([[0], np.cumsum(trial_bytes)])
    groups, first = [], 0
    while first < n:
        stop = int(np.searchsorted(edges, edges[first] + target, side="right")) - 1
        stop = min(max(stop, first + 1), n)
        groups.append((first, stop))
        first = stop
    return groups


def channel_width(n_channels: int, largest_trial: int, target: int, chan_per_worker: int | None) -> int:
    """Channels per block: as asked for, else all unless single trials are much larger than a block."""
    if chan_per_worker is not None:
        return min(chan_per_worker, n_channels)
    if largest_trial <= 2 * target:
        return n_channels
    per_channel = max(1, largest_trial // n_channels)
    width = max(1, target // per_channel)
    aligned = -(-width // LINE_CHANNELS) * LINE_CHANNELS
    if aligned * per_channel <= _LARGEST_FACTOR * target:
        width = aligned
    return min(width, n_channels)


def piece_groups(n_pieces: int, trial_bytes: int, target: int) -> list[tuple[int, int | None]]:
    """Group consecutive pieces of a trial up to `target` bytes; (0, None) where it is not cut."""
    if n_pieces == 1 or trial_bytes <= target:
        return [(0, None)]
    at_once = max(1, target * n_pieces // trial_bytes)
    return [(k, min(k + at_once, n_pieces)) for k in range(0, n_pieces, at_once)]


def partition(
    trial_bytes: NDArray[np.int64],
    n_channels: int,
    block_bytes: int,
    chan_per_worker: int | None = None,
    n_pieces: NDArray[np.int64] | None = None,
    band_edges: Callable[[int, int], Sequence[int]] | None = None,
    trials_per_step: int = 1,
) -> Blocks:
    """Split the work into blocks.

    Parameters
    ----------
    trial_bytes : ndarray of int
        Size of each selected trial with all selected channels: the larger of input and output.
    n_channels : int
        Selected channels.
    block_bytes : int
        Size to aim for.
    chan_per_worker : int, optional
        Channels per block.
    n_pieces : ndarray of int, optional
        Into how many pieces along time each trial may be cut; 1 if left out.
    band_edges : callable, optional
        ``band_edges(k, n)``: edges of up to n runs of frequencies of trial k.
    trials_per_step : int, optional
        Trials of equal size that are best computed together.
    """
    pieces = np.ones_like(trial_bytes) if n_pieces is None else n_pieces
    target = block_target(int(trial_bytes.sum()), block_bytes)
    width = channel_width(n_channels, int((trial_bytes // pieces).max()), target, chan_per_worker)
    spans = [
        (first, stop, first_piece, -1 if stop_piece is None else stop_piece)
        for first, stop in trial_groups(trial_bytes, target, trials_per_step)
        for first_piece, stop_piece in _spans(pieces, trial_bytes, target, first, stop)
    ]
    freqs = None
    if band_edges is not None and len(spans) * -(-n_channels // width) < _FEWEST_BLOCKS:
        range_bytes = trial_bytes * width // n_channels
        runs = [_in_bands(span, int(range_bytes[span[0]]) // target, band_edges) for span in spans]
        spans = [span for span, some in zip(spans, runs, strict=True) for _ in some]
        freqs = np.array([run for some in runs for run in some], dtype=np.int64)
    first, stop, first_piece, stop_piece = np.ascontiguousarray(np.array(spans, dtype=np.int64).T)
    return Blocks(first, stop, first_piece, stop_piece, n_channels, width, freqs)


def partition_reduced(
    trial_bytes: NDArray[np.int64],
    n_channels: int,
    block_bytes: int,
    width: int,
    bands: Sequence[int],
    together: bool = False,
    trials_per_step: int = 1,
    ranges_first: bool = False,
    least: int = 0,
) -> Blocks:
    """Split the work of a reduction: groups of trials, each in the same ranges of channels and frequencies.

    Parameters
    ----------
    trial_bytes, block_bytes, trials_per_step
        As for `partition`.
    n_channels, width : int
        Selected channels, and how many a range has.
    bands : sequence of int
        Edges of the runs of frequencies; of one run, blocks have all frequencies.
    together : bool
        All trials are one group.
    ranges_first : bool
        See `Blocks`.
    least : int
        Groups are not made smaller than this for the sake of more blocks, within `block_bytes`.
    """
    target = max(block_target(int(trial_bytes.sum()), block_bytes), min(least, block_bytes))
    groups = (
        [(0, len(trial_bytes))] if together else trial_groups(trial_bytes, target, trials_per_step, even=True)
    )
    first, stop = np.ascontiguousarray(np.array(groups, dtype=np.int64).T)
    whole = np.full(len(first), -1, dtype=np.int64)
    runs = tuple(pairwise(bands)) if len(bands) > 2 else ()
    return Blocks(first, stop, np.zeros_like(whole), whole, n_channels, width, None, runs, ranges_first)


def even_edges(n: int, n_runs: int) -> list[int]:
    """Edges of runs of about equal length."""
    return [int(edge) for edge in np.linspace(0, n, max(1, min(n, n_runs)) + 1).round()]


def _in_bands(
    span: _Span, wanted: int, band_edges: Callable[[int, int], Sequence[int]]
) -> list[tuple[int, int]]:
    """Runs of frequencies of a group: up to `wanted` if it is one whole trial, (0, -1) if it is not cut."""
    first, stop, _, stop_piece = span
    if stop - first > 1 or stop_piece >= 0 or wanted < 2:
        return [(0, -1)]
    edges = band_edges(first, wanted)
    return list(pairwise(edges)) if len(edges) > 2 else [(0, -1)]


def _spans(
    pieces: NDArray[np.int64], trial_bytes: NDArray[np.int64], target: int, first: int, stop: int
) -> list[tuple[int, int | None]]:
    if stop - first > 1:
        return [(0, None)]
    return piece_groups(int(pieces[first]), int(trial_bytes[first]), target)
