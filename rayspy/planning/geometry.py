"""What goes where: trials, rows, pieces and ranges of what is computed; knows of no source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rayspy.methods.base import InputSpec, Method, OutputSpec, Part, Work, inner_dims
from rayspy.methods.reductions.base import Layout, Reduction
from rayspy.planning.partition import LINE_CHANNELS, Block, Blocks
from rayspy.planning.work import trials_per_step

Indices = NDArray[np.int64]

TILE_BYTES = 2**19
"""Input or result of one kernel call: temporaries of this size stay in the processor's cache."""


@dataclass(frozen=True)
class Chunk:
    """What goes through the kernel in one call: whole trials of equal length, or rows of one trial.

    `start` and `length` are the samples of each trial that are read, `part` is what
    the kernel is bound to.
    """

    first_trial: int
    stop_trial: int
    first_row: int
    stop_row: int
    start: int
    length: int
    part: Part

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.stop_trial - self.first_trial

    @property
    def n_rows(self) -> int:
        """Rows of the result per trial."""
        return self.stop_row - self.first_row


@dataclass(frozen=True, eq=False)
class Geometry:
    """Work on trials, in blocks.

    Attributes
    ----------
    method : Method
        What is computed.
    spec : InputSpec
        Selected input; its trial definition has the samples to read.
    output : OutputSpec
        What is promised per trial.
    reduction : Reduction or None
        What becomes of the results of trials; None: they are kept.
    blocks : Blocks
        The work.
    """

    method: Method
    spec: InputSpec
    output: OutputSpec
    reduction: Reduction | None
    blocks: Blocks

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @property
    def takes_rows(self) -> bool:
        """Whether trials can be cut along time."""
        return self.method.takes_rows and self.reduction is None

    @property
    def wants_many_lines(self) -> bool:
        """Whether the method filters all lines of a call at once; those with bands make their own batches."""
        return self.takes_rows and not self.method.takes_freqs

    def work(self, length: int) -> Work:
        """What calls of the kernel take that get so many samples."""
        known = self._works.get(length)
        if known is None:
            known = self._works[length] = self.method.work(length, self.spec.dtype.itemsize)
        return known

    @cached_property
    def _works(self) -> dict[int, Work]:
        return {}

    @property
    def n_channels(self) -> int:
        """Number of selected channels, or of what else blocks are cut along."""
        return len(self.spec.labels[self.spec.cut])

    @cached_property
    def results(self) -> dict[str, OutputSpec]:
        """What comes of all trials; one result without a name if they are kept."""
        return {"": self.output} if self.reduction is None else self.reduction.outputs(self.output)

    @property
    def ends_in_blocks(self) -> bool:
        """Whether a block has all trials of its range, so that it makes the results itself."""
        return self.reduction is not None and self.blocks.n_groups == 1

    def each(self, block: Block) -> OutputSpec:
        """The result per trial, in the range of channels and frequencies of one block."""
        labels = dict(self.output.labels)
        if not self.crosses_channels and block.n_channels < self.n_channels:
            labels[self.output.cut] = labels[self.output.cut][block.first_channel : block.stop_channel]
        if block.stop_freq is not None:
            labels["freq"] = labels["freq"][block.first_freq : block.stop_freq]
        return replace(self.output, labels=labels)

    @property
    def crosses_channels(self) -> bool:
        """Whether kernels or the reduction need all that blocks could be cut along."""
        needs = self.method.crosses | (self.reduction.crosses if self.reduction else frozenset())
        return bool({self.spec.cut, self.output.cut} & needs)

    def place_of(self, name: str, block: Block) -> tuple[slice, ...]:
        """Where the results of the range of one block lie in a result, in the engine's order."""
        spec = self.results[name]
        places = [slice(0, int(spec.rows.sum()))]
        for dim in spec.inner:
            n = len(spec.labels[dim])
            if dim == "freq" and block.stop_freq is not None:
                places.append(slice(block.first_freq, block.stop_freq))
            elif dim == self.output.cut and not self.crosses_channels:
                places.append(slice(block.first_channel, block.stop_channel))
            else:
                places.append(slice(0, n))
        return tuple(places)

    @cached_property
    def row_edges(self) -> Indices:
        """First row of each trial in the stored result, and the end."""
        return np.concatenate([[0], np.cumsum(self.output.rows)])

    def layouts_of_results(self, block: Block) -> dict[str, Layout]:
        """Shapes and types of what the range of one block contributes to each result."""
        found = {}
        for name, spec in self.results.items():
            shape = tuple(place.stop - place.start for place in self.place_of(name, block))
            found[name] = Layout(shape, spec.dtype)
        return found

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the results of all trials in the engine's order (time, ..., channel)."""
        return (int(self.row_edges[-1]), *self.output.inner_shape)

    def block_shape(self, block: Block) -> tuple[int, ...]:
        """Shape of the result of one block in the engine's order."""
        low, high = self.block_rows(block)
        inner = list(self.output.inner_shape)
        if not self.crosses_channels:
            inner[-1] = block.n_channels
        if block.stop_freq is not None:
            inner[self.output.inner.index("freq")] = block.stop_freq - block.first_freq
        return (high - low, *inner)

    def block_rows(self, block: Block) -> tuple[int, int]:
        """Rows of the stored result that one block makes."""
        first = int(self.row_edges[block.first_trial])
        if block.stop_piece is None:
            return first, int(self.row_edges[block.stop_trial])
        low, _ = self._piece(block.first_trial, block.first_piece)
        _, high = self._piece(block.first_trial, block.stop_piece - 1)
        return first + low, first + high

    def block_start(self, block: Block) -> tuple[int, ...]:
        """First index of one block in the result, in the engine's order."""
        firsts = {"freq": block.first_freq, self.output.cut: block.first_channel}
        return (self.block_rows(block)[0], *(firsts.get(dim, 0) for dim in self.output.inner))

    def n_pieces(self, k: int) -> int:
        """Into how many pieces trial k is cut; 1 if it is not."""
        return max(1, -(-int(self.output.rows[k]) // self._piece_rows(k)))

    def _piece_rows(self, k: int) -> int:
        step = self.method.piece_rows(int(self.spec.lengths[k])) if self.takes_rows else None
        return max(1, int(self.output.rows[k])) if step is None else step

    def _piece(self, k: int, i: int) -> tuple[int, int]:
        """First and last row (exclusive) of piece i of trial k."""
        step = self._piece_rows(k)
        return i * step, min((i + 1) * step, int(self.output.rows[k]))

    def band_edges(self, k: int, at_most: int) -> list[int]:
        """Edges of up to `at_most` runs of frequencies of trial k."""
        n_lines = len(self.spec.lengths) * self.n_channels
        return self.method.band_edges(int(self.spec.lengths[k]), at_most, n_lines)

    def samples_of(self, block: Block) -> int:
        """Samples of the input, all channels counted, that a block stands for; no margins, nothing twice."""
        samples = int(self.spec.lengths[block.first_trial : block.stop_trial].sum()) * block.n_channels
        if block.stop_piece is None and block.stop_freq is None:
            return samples
        rows = int(self.output.rows[block.first_trial])
        low, high = self.block_rows(block)
        n_freq, stop = self.n_freq, block.stop_freq
        freqs = n_freq if stop is None else stop - block.first_freq
        return max(1, samples * (high - low) * freqs // (rows * n_freq))

    @property
    def n_freq(self) -> int:
        """Number of frequencies; 1 for results without."""
        return len(self.output.labels["freq"]) if "freq" in self.output.inner else 1

    def chunks(self, block: Block) -> Iterator[Chunk]:
        """Runs of trials of equal length, or pieces of trials, that are read and computed together."""
        if block.stop_piece is not None:
            yield from self._piece_chunks(block.first_trial, block.first_piece, block.stop_piece)
            return
        lengths = self.spec.lengths[block.first_trial : block.stop_trial]
        changes = np.diff(lengths) != 0
        if self.spec.variants is not None:
            changes |= np.diff(self.spec.variants[block.first_trial : block.stop_trial]) != 0
        edges = [0, *(np.flatnonzero(changes) + 1).tolist(), len(lengths)]
        for low, high in pairwise(edges):
            first, stop = block.first_trial + low, block.first_trial + high
            at_once = self.trials_at_once(first, block.n_channels)
            n_pieces = self.n_pieces(first)
            for k in range(first, stop, 1 if n_pieces > 1 else at_once):
                if n_pieces > 1:
                    yield from self._piece_chunks(k, 0, n_pieces)
                else:
                    yield self._whole(k, min(k + at_once, stop), block)

    def _whole(self, first: int, stop: int, block: Block) -> Chunk:
        freqs = None if block.stop_freq is None else range(block.first_freq, block.stop_freq)
        part = self._part(first, freqs=freqs)
        return Chunk(first, stop, 0, int(self.output.rows[first]), 0, part.length, part)

    def _piece_chunks(self, k: int, first: int, stop: int) -> Iterator[Chunk]:
        for i in range(first, stop):
            low, high = self._piece(k, i)
            part = self._part(k, rows=range(low, high))
            start, end = self.method.samples(part)
            yield Chunk(k, k + 1, low, high, start, end - start, part)

    def _part(self, k: int, rows: range | None = None, freqs: range | None = None) -> Part:
        """Some of the result of trials like trial k."""
        variant = 0 if self.spec.variants is None else int(self.spec.variants[k])
        return Part(int(self.spec.lengths[k]), variant, rows, freqs)

    def trials_at_once(self, k: int, n_channels: int) -> int:
        """How many trials like trial k go through the kernel in one call."""
        read = int(self.spec.lengths[k]) * self.sample_bytes(n_channels)
        written = int(self.output.rows[k]) * self._row_bytes(n_channels)
        step = trials_per_step(self.method, n_channels)
        return max(step, self._tile_bytes // max(1, read, written) // step * step)

    def _row_bytes(self, n_channels: int) -> int:
        return self.output.row_bytes // max(1, self.n_channels) * n_channels

    def sample_bytes(self, n_channels: int) -> int:
        """Size of one time point of the input with so many channels."""
        inner = [len(self.spec.labels[dim]) for dim in inner_dims(self.spec.dims)[:-1]]
        return int(np.prod(inner, dtype=np.int64)) * n_channels * self.spec.dtype.itemsize

    def tile_channels(self, length: int, n_channels: int) -> int:
        """Channels of one long trial, or of a piece of it, that go through the kernel at a time."""
        if self.spec.cut in self.method.crosses:
            return n_channels
        if self.work(length).all_lines:
            return n_channels
        least = LINE_CHANNELS if self.wants_many_lines else 1
        return min(n_channels, max(least, self._tile_bytes // max(1, length * self.sample_bytes(1))))

    @property
    def _tile_bytes(self) -> int:
        """Twice as much for filters: transforms are faster with more lines at a time."""
        return 2 * TILE_BYTES if self.wants_many_lines else TILE_BYTES
