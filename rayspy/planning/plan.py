"""The plan of one call: frozen, picklable, printable."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.errors import InvalidValueError
from rayspy.methods.base import InputSpec, Method, OutputSpec, Part, Work, inner_dims
from rayspy.methods.reductions.base import Layout, Reduction, state_bytes
from rayspy.planning.memory import Memory
from rayspy.planning.partition import (
    LINE_CHANNELS,
    Block,
    Blocks,
    block_target,
    channel_width,
    even_edges,
    no_blocks,
    partition,
    partition_reduced,
)
from rayspy.planning.work import (
    block_bytes,
    largest_state,
    least_block,
    trials_per_step,
    weighted_sizes,
)
from rayspy.storage.derived import copies
from rayspy.storage.parts import PartsTarget
from rayspy.storage.region import bounding_slice
from rayspy.storage.sources import AbsentSource, ArraySource, Read, RelayedSource, without_keep
from rayspy.storage.sources import Part as StoredPart

Array = NDArray[Any]
Indices = NDArray[np.int64]

TILE_BYTES = 2**19
"""Input or result of one kernel call: temporaries of this size stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Receipt:
    """What a finished block reports; small results travel in `value`."""

    block: int
    seconds: float
    bytes_read: int
    bytes_written: int
    host: str
    pid: int
    value: Array | None = None
    part: StoredPart | None = None
    nan_trials: tuple[int, ...] = ()
    """Places of the trials whose input has NaNs, where the method tells."""

    @property
    def value_bytes(self) -> int:
        """Size of the result that travels with the receipt."""
        return 0 if self.value is None else self.value.nbytes


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
class Plan:
    """Everything that `run_block` needs to know.

    Attributes
    ----------
    id : str
        Unique name of this plan.
    name : str
        Front-end, for messages.
    method : Method
        What is computed.
    source : ArraySource
        Where the input is.
    spec : InputSpec
        Selected input; its trial definition has the samples to read.
    index : dict of str to ndarray
        Selected indices per dimension; dimensions left out are read whole.
    output : OutputSpec
        What is promised per trial.
    reduction : Reduction or None
        What becomes of the results of trials; None: they are kept.
    blocks : Blocks
        The work.
    memory : Memory
        Projected sizes.
    target : PartsTarget or None
        Where parts go; None: results travel in the receipts.
    """

    id: str
    name: str
    method: Method
    source: ArraySource
    spec: InputSpec
    index: dict[str, Indices]
    output: OutputSpec
    reduction: Reduction | None
    blocks: Blocks
    memory: Memory
    target: PartsTarget | None = None

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

    def bounds(self, first: int, stop: int) -> tuple[Indices, int]:
        """Start samples and common length of trials."""
        starts = self._starts[first:stop]
        return starts, int(self.spec.lengths[first])

    @cached_property
    def _starts(self) -> Indices:
        return self.spec.trialdefinition[:, 0].astype(np.int64)

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

    def block_start(self, block: Block) -> tuple[int, ...]:
        """First index of one block in the result, in the engine's order."""
        firsts = {"freq": block.first_freq, self.output.cut: block.first_channel}
        return (self.block_rows(block)[0], *(firsts.get(dim, 0) for dim in self.output.inner))

    # -- reading ---------------------------------------------------------------

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

    def starts(self, chunk: Chunk) -> Indices:
        """First sample to read of each trial of a chunk."""
        starts: Indices = self._starts[chunk.first_trial : chunk.stop_trial] + chunk.start
        return starts

    def trials_at_once(self, k: int, n_channels: int) -> int:
        """How many trials like trial k go through the kernel in one call."""
        read = int(self.spec.lengths[k]) * self._sample_bytes(n_channels)
        written = int(self.output.rows[k]) * self._row_bytes(n_channels)
        step = trials_per_step(self.method, n_channels)
        return max(step, _tile_bytes(self) // max(1, read, written) // step * step)

    def _row_bytes(self, n_channels: int) -> int:
        return self.output.row_bytes // max(1, self.n_channels) * n_channels

    def _sample_bytes(self, n_channels: int) -> int:
        inner = [len(self.spec.labels[dim]) for dim in inner_dims(self.spec.dims)[:-1]]
        return int(np.prod(inner, dtype=np.int64)) * n_channels * self.spec.dtype.itemsize

    # -- workers that do not share memory with the caller ------------------------

    @property
    def needs_payload(self) -> bool:
        """Whether the input of a block has to be sent along with it."""
        return self.source.in_memory

    def relayed(self) -> Plan:
        """Return the same work with input that the caller reads and sends."""
        return replace(self, id=f"{self.id}-relayed", source=RelayedSource(self.source))

    def for_workers(self) -> Plan:
        """Return a copy that can be sent to other processes."""
        if not self.needs_payload:
            return replace(self, source=without_keep(self.source))
        return replace(self, source=AbsentSource(self.source.shape, self.source.dtype))

    def payload(self, i: int) -> Array:
        """Input of one block: whole trials stacked along time, or the samples of its pieces."""
        block = self.blocks[i]
        with self.source.reader() as read:
            bound = self.input_of(read, block)
            if block.stop_piece is not None:
                start, stop = self._payload_span(block)
                return bound.samples(start, stop)
            pieces = [
                bound.trials(*self.bounds(k, k + 1))[0] for k in range(block.first_trial, block.stop_trial)
            ]
        return np.concatenate(pieces)

    def _payload_span(self, block: Block) -> tuple[int, int]:
        """Samples of the source that the pieces of a block need."""
        chunks = list(self.chunks(block))
        origin = int(self._starts[block.first_trial])
        return origin + min(c.start for c in chunks), origin + max(c.start + c.length for c in chunks)

    def in_payload(self, block: Block, chunk: Chunk) -> int:
        """Where the samples of a chunk begin in the payload of its block."""
        if block.stop_piece is not None:
            return int(self._starts[chunk.first_trial]) + chunk.start - self._payload_span(block)[0]
        return int(self.spec.lengths[block.first_trial : chunk.first_trial].sum()) + chunk.start

    def __str__(self) -> str:
        shape = " + ".join(str(list(spec.shape)).replace(", ", " x ") for spec in self.results.values())
        dtypes = " + ".join(str(spec.dtype) for spec in self.results.values())
        where = self.target.folder if self.target else "memory"
        n_trials = len(self.spec.trialdefinition)
        return "\n".join(
            [
                f"{self.name}: {self.method.name} of {n_trials} trials x {self.n_channels} channels",
                f"  result   : {shape} {dtypes}, {self.memory.output / 1e6:.1f} MB, in {where}",
                f"  read     : {self.memory.input / 1e6:.1f} MB in {self.n_blocks} blocks",
                f"  memory   : {self.memory.per_worker / 1e6:.1f} MB per worker",
            ]
        )


def _span(wanted: Indices, n: int, axis: int) -> tuple[slice, Any]:
    """What to read, and how to pick from it; None where the indices are consecutive."""
    if len(wanted) == 1 or (np.diff(wanted) == 1).all():
        return slice(int(wanted[0]), int(wanted[-1]) + 1), None
    return bounding_slice(wanted, n, axis)


def make_plan(
    name: str,
    method: Method,
    source: ArraySource,
    spec: InputSpec,
    index: dict[str, Indices],
    reduction: Reduction | None = None,
    chan_per_worker: int | None = None,
) -> Plan:
    """Partition the work and project its memory.

    Raises
    ------
    InvalidValueError
        Trials are empty, or cannot be put together because their results differ in length.
    """
    if len(spec.lengths) == 0 or (spec.lengths < 1).any():
        empty = int(np.flatnonzero(spec.lengths < 1)[0]) if len(spec.lengths) else 0
        raise InvalidValueError("trials with at least one sample", "trialdefinition", f"empty trial {empty}")
    output = method.output(spec)
    if reduction is not None and (output.rows != output.rows[0]).any():
        raise InvalidValueError(
            "trials of equal length, or keeptrials=True",
            "keeptrials",
            f"results of {output.rows.min()} to {output.rows.max()} time points",
        )
    none = Memory(0, 0, 0, 0)
    bare = Plan(secrets.token_hex(8), name, method, source, spec, index, output, reduction, no_blocks(), none)
    inner = [len(spec.labels[dim]) for dim in inner_dims(spec.dims)]
    sample_bytes = int(np.prod(inner, dtype=np.int64)) * spec.dtype.itemsize
    input_bytes = spec.lengths * sample_bytes
    output_bytes = output.rows * output.row_bytes
    sizes = weighted_sizes(bare.work, spec.lengths, input_bytes, output_bytes, reduction is not None)
    width = bare.n_channels if bare.crosses_channels else chan_per_worker
    if reduction is None:
        bands = bare.band_edges if method.takes_freqs else None
        step = trials_per_step(method, min(bare.n_channels, width or bare.n_channels))
        target = block_bytes(0)
        blocks = partition(sizes, bare.n_channels, target, width, _piece_counts(bare), bands, step)
    else:
        blocks = _ranges_of_trials(bare, reduction, sizes, width)
    cut = replace(bare, blocks=blocks)
    return replace(cut, memory=_project(cut, int(input_bytes.sum()), int(output_bytes.sum())))


def _ranges_of_trials(
    plan: Plan, reduction: Reduction, sizes: Indices, chan_per_worker: int | None
) -> Blocks:
    """Groups of trials, in ranges whose states are not too large; groups do not depend on the ranges."""
    whole = state_bytes(reduction.state(plan.output))
    n, most = plan.n_channels, largest_state()
    target = block_bytes(whole)
    width = chan_per_worker
    if width is None:
        width = channel_width(n, int(sizes.max()), block_target(int(sizes.sum()), target), None)
        if whole > most:
            width = min(width, max(1, n * most // whole))
    width = min(width, n)
    can_be_banded = plan.method.takes_freqs and "freq" not in plan.method.crosses | reduction.crosses
    n_bands = -(-whole * width // (n * most)) if can_be_banded else 1
    return partition_reduced(
        sizes,
        n,
        target,
        width,
        even_edges(plan.n_freq, n_bands),
        reduction.together,
        trials_per_step(plan.method, width),
        ranges_first=whole > config.inmemory_bytes,
        least=least_block(whole),
    )


def _piece_counts(plan: Plan) -> Indices | None:
    """Into how many pieces each trial is cut; None if the method never cuts."""
    if not plan.takes_rows:
        return None
    _, trials, places = np.unique(plan.spec.lengths, return_index=True, return_inverse=True)
    return np.array([plan.n_pieces(int(k)) for k in trials], dtype=np.int64)[places]


def _project(plan: Plan, input_bytes: int, output_bytes: int) -> Memory:
    peak = max(_block_bytes(plan, block) for block in _extreme_blocks(plan))
    if plan.reduction is None:
        in_memory = output_bytes if output_bytes <= config.inmemory_bytes else 0
        return Memory(input_bytes, output_bytes, peak, in_memory)
    results = sum(int(spec.rows.sum()) * spec.row_bytes for spec in plan.results.values())
    in_memory = results if results <= config.inmemory_bytes else 0
    if plan.ends_in_blocks:
        return Memory(input_bytes, results, peak, in_memory)
    one_range = state_bytes(plan.reduction.state(plan.each(plan.blocks[0])))
    in_flight = _RANGES_IN_FLIGHT if plan.blocks.ranges_first else plan.blocks.per_group
    states = one_range * min(in_flight, plan.blocks.per_group)
    return Memory(input_bytes, results, peak, 2 * states + in_memory)


_RANGES_IN_FLIGHT = 2
"""Ranges whose states are in the calling process at the same time, where one follows the other."""


def _extreme_blocks(plan: Plan) -> list[Block]:
    """Blocks with the most rows and with the longest trial; one of them has the largest peak."""
    blocks = plan.blocks
    whole = np.flatnonzero(blocks.stop_piece < 0)
    found = []
    if len(whole):
        first, stop = blocks.first_trial[whole], blocks.stop_trial[whole]
        uncut = plan.spec.lengths.copy()
        uncut[blocks.first_trial[blocks.stop_piece >= 0]] = 0
        samples = np.concatenate([[0], np.cumsum(uncut)])
        longest = np.maximum.reduceat(uncut, first)
        edges = plan.row_edges
        for size in (edges[stop] - edges[first], longest, samples[stop] - samples[first]):
            found.append(whole[int(np.argmax(size))])
        found += _widest_runs(blocks, whole)
    starts = np.flatnonzero((blocks.stop_piece > 0) & (blocks.first_piece == 0))
    lengths = {int(plan.spec.lengths[blocks.first_trial[group]]): int(group) for group in starts}
    inner = [group + 1 for group in lengths.values() if group + 1 < len(blocks.first_trial)]
    return blocks.widest(np.array([*found, *lengths.values(), *inner], dtype=np.int64))


def _widest_runs(blocks: Blocks, whole: Indices) -> list[int]:
    """Of each trial that is cut into runs of frequencies, and of each group of others, the largest run."""
    if blocks.freqs is None:
        return []
    first, stop = blocks.freqs[whole].T
    order = np.lexsort((first - stop, blocks.first_trial[whole]))
    _, places = np.unique(blocks.first_trial[whole][order], return_index=True)
    return [int(group) for group in whole[order[places]]]


def _block_bytes(plan: Plan, block: Block) -> int:
    """Projected peak of one block: what is read, the kernel's memory, the result, and a payload."""
    kinds = {(chunk.length, chunk.n_trials): chunk for chunk in plan.chunks(block)}
    sample_bytes = plan._sample_bytes(_columns_read(plan, block))
    read = max(n_trials * length for length, n_trials in kinds) * sample_bytes
    computed = max(_kernel_bytes(plan, block, chunk) for chunk in kinds.values())
    result = 0
    if plan.reduction is None:
        result = int(np.prod(plan.block_shape(block), dtype=np.int64)) * plan.output.dtype.itemsize
    held = max(2, 1 + copies(plan.source))
    return _FIXED_BYTES + held * read + computed + result + _payload_bytes(plan, block)


_FIXED_BYTES = 2**19
"""What blocks take however small they are: descriptions, open files, loops that are loaded."""


def _kernel_bytes(plan: Plan, block: Block, chunk: Chunk) -> int:
    """What one call of the kernel takes, and what follows from its result in a reduction."""
    c = block.n_channels
    lines = chunk.n_trials * c if chunk.n_trials > 1 else tile_channels(plan, chunk.length, c)
    work = plan.work(chunk.length)
    working = lines * work.line_bytes + work.shared_bytes
    if plan.reduction is None:
        return working
    each = plan.each(block)
    state = state_bytes(plan.reduction.state(each))
    result = chunk.n_trials * int(each.rows[0]) * each.row_bytes
    after = result + plan.reduction.working_bytes(each, chunk.n_trials)
    return working + state + max(after, 2 * state if plan.ends_in_blocks else 0)


def _payload_bytes(plan: Plan, block: Block) -> int:
    if not plan.needs_payload:
        return 0
    if block.stop_piece is not None:
        start, stop = plan._payload_span(block)
        return (stop - start) * plan._sample_bytes(block.n_channels)
    samples = int(plan.spec.lengths[block.first_trial : block.stop_trial].sum())
    return samples * plan._sample_bytes(block.n_channels)


def _columns_read(plan: Plan, block: Block) -> int:
    """Channels that are read to get those of a block: whole rows unless only few are wanted."""
    channels = plan.channels_of(block)
    span = int(channels.max()) - int(channels.min()) + 1
    total = plan.source.shape[plan.spec.dims.index(plan.spec.cut)]
    return total if 2 * span >= total else span


def _tile_bytes(plan: Plan) -> int:
    """Twice as much for filters: transforms are faster with more lines at a time."""
    return 2 * TILE_BYTES if plan.wants_many_lines else TILE_BYTES


def tile_channels(plan: Plan, length: int, n_channels: int) -> int:
    """Channels of one long trial, or of a piece of it, that go through the kernel at a time."""
    if plan.spec.cut in plan.method.crosses:
        return n_channels
    if plan.work(length).all_lines:
        return n_channels
    least = LINE_CHANNELS if plan.wants_many_lines else 1
    return min(n_channels, max(least, _tile_bytes(plan) // max(1, length * plan._sample_bytes(1))))
