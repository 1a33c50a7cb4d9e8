"""What blocks read: from the source, or from what is sent along with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.methods.base import inner_dims
from rayspy.planning.geometry import Chunk, Geometry, Indices
from rayspy.planning.partition import Block
from rayspy.storage.region import bounding_slice
from rayspy.storage.sources import ArraySource, Read

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class BlockInput:
    """Reads samples of one block's channels in the engine's order (time, ..., channel)."""

    read: Read
    time_axis: int
    slices: tuple[slice, ...]
    picks: tuple[tuple[int, Any], ...]
    order: tuple[int, ...]

    def samples(self, start: int, stop: int) -> Array:
        """Read consecutive samples."""
        region = list(self.slices)
        region[self.time_axis] = slice(start, stop)
        array = self.read(tuple(region))
        for axis, pick in self.picks:
            array = array.take(pick, axis=axis)
        return array if self.time_axis == 0 and self._is_in_order else array.transpose(self.order)

    @cached_property
    def _is_in_order(self) -> bool:
        return self.order == tuple(range(len(self.order)))

    def trials(self, starts: Indices, length: int) -> Array:
        """Read trials of equal length, as (trial, time, ..., channel); in one go if they are adjacent."""
        n, first = len(starts), int(starts[0])
        if int(starts[-1]) - first == (n - 1) * length and (
            n == 1 or (starts[1:] - starts[:-1] == length).all()
        ):
            joined = self.samples(first, first + n * length)
            return joined.reshape(n, length, *joined.shape[1:])
        out: Array | None = None
        for k, start in enumerate(starts.tolist()):
            trial = self.samples(start, start + length)
            if out is None:
                out = np.empty((n, *trial.shape), trial.dtype)
            out[k] = trial
        if out is None:
            raise RuntimeError("no trials to read")
        return out


@dataclass(frozen=True, eq=False)
class Reading(Geometry):
    """Work on what is selected of a source.

    Attributes
    ----------
    source : ArraySource
        Where the input is.
    index : dict of str to ndarray
        Selected indices per dimension; dimensions left out are read whole.
    """

    source: ArraySource
    index: dict[str, Indices]

    def bounds(self, first: int, stop: int) -> tuple[Indices, int]:
        """Start samples and common length of trials."""
        starts = self._starts[first:stop]
        return starts, int(self.spec.lengths[first])

    @cached_property
    def _starts(self) -> Indices:
        return self.spec.trialdefinition[:, 0].astype(np.int64)

    def channels_of(self, block: Block) -> Indices:
        """Channels of a block as indices into the source."""
        every = self.index.get(self.spec.cut)
        span = range(block.first_channel, block.stop_channel)
        return np.array(span) if every is None else every[block.first_channel : block.stop_channel]

    def input_of(self, read: Read, block: Block) -> BlockInput:
        """Bind a source's ``read(region)`` to the selection of one block."""
        dims, channels = self.spec.dims, self.channels_of(block)
        slices, picks = [], []
        for axis, dim in enumerate(dims):
            n = self.source.shape[axis]
            wanted = channels if dim == self.spec.cut else self.index.get(dim)
            low_high, pick = (slice(0, n), None) if wanted is None else _span(wanted, n, axis)
            slices.append(low_high)
            if pick is not None and dim != "time":
                picks.append((axis, pick))
        order = tuple(dims.index(dim) for dim in ("time", *inner_dims(dims)))
        return BlockInput(read, dims.index("time"), tuple(slices), tuple(picks), order)

    def starts(self, chunk: Chunk) -> Indices:
        """First sample to read of each trial of a chunk."""
        starts: Indices = self._starts[chunk.first_trial : chunk.stop_trial] + chunk.start
        return starts

    @property
    def needs_payload(self) -> bool:
        """Whether the input of a block has to be sent along with it."""
        return self.source.in_memory

    def payload(self, i: int) -> Array:
        """Input of one block: whole trials stacked along time, or the samples of its pieces."""
        block = self.blocks[i]
        with self.source.reader() as read:
            bound = self.input_of(read, block)
            if block.stop_piece is not None:
                start, stop = self.payload_span(block)
                return bound.samples(start, stop)
            pieces = [
                bound.trials(*self.bounds(k, k + 1))[0] for k in range(block.first_trial, block.stop_trial)
            ]
        return np.concatenate(pieces)

    def payload_span(self, block: Block) -> tuple[int, int]:
        """Samples of the source that the pieces of a block need."""
        chunks = list(self.chunks(block))
        origin = int(self._starts[block.first_trial])
        return origin + min(c.start for c in chunks), origin + max(c.start + c.length for c in chunks)

    def in_payload(self, block: Block, chunk: Chunk) -> int:
        """Where the samples of a chunk begin in the payload of its block."""
        if block.stop_piece is not None:
            return int(self._starts[chunk.first_trial]) + chunk.start - self.payload_span(block)[0]
        return int(self.spec.lengths[block.first_trial : chunk.first_trial].sum()) + chunk.start


def _span(wanted: Indices, n: int, axis: int) -> tuple[slice, Any]:
    """What to read, and how to pick from it; None where the indices are consecutive."""
    if len(wanted) == 1 or (np.diff(wanted) == 1).all():
        return slice(int(wanted[0]), int(wanted[-1]) + 1), None
    return bounding_slice(wanted, n, axis)
