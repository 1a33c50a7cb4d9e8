"""Memory that a plan will need, from what methods and reductions tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rayspy.limits import inmemory_limit
from rayspy.methods.reductions.base import state_bytes
from rayspy.planning.geometry import Chunk, Indices
from rayspy.planning.memory import Memory
from rayspy.planning.partition import Block, Blocks
from rayspy.planning.reading import Reading
from rayspy.storage.derived import copies

_RANGES_IN_FLIGHT = 2
"""Ranges whose states are in the calling process at the same time, where one follows the other."""
_FIXED_BYTES = 2**19
"""What blocks take however small they are: descriptions, open files, loops that are loaded."""


def projected(plan: Reading, input_bytes: int, output_bytes: int) -> Memory:
    """Sizes of a plan whose selected input and results per trial have so many bytes."""
    blocks = _extreme_blocks(plan)
    sizes = Memory(
        input_bytes,
        output_bytes,
        worker_peak(plan, blocks),
        0,
        plan.crosses_channels,
        payload=max(_payload_bytes(plan, block) for block in blocks),
    )
    if plan.reduction is None:
        if output_bytes > inmemory_limit():
            return sizes
        return replace(sizes, driver=output_bytes, value=max(_result_bytes(plan, block) for block in blocks))
    results = sum(int(spec.rows.sum()) * spec.row_bytes for spec in plan.results.values())
    in_memory = results if results <= inmemory_limit() else 0
    if plan.ends_in_blocks:
        value = max(state_bytes(plan.layouts_of_results(block)) for block in blocks)
        return replace(sizes, output=results, driver=in_memory, value=value)
    one_range = state_bytes(plan.reduction.state(plan.each(plan.blocks[0])))
    in_flight = _RANGES_IN_FLIGHT if plan.blocks.ranges_first else plan.blocks.per_group
    states = one_range * min(in_flight, plan.blocks.per_group)
    return replace(sizes, output=results, driver=2 * states + in_memory, value=one_range)


def _extreme_blocks(plan: Reading) -> list[Block]:
    """Blocks with the most rows and with the longest trial; none takes more of anything than some of them."""
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
        found += widest_runs(blocks, whole)
    starts = np.flatnonzero((blocks.stop_piece > 0) & (blocks.first_piece == 0))
    lengths = {int(plan.spec.lengths[blocks.first_trial[group]]): int(group) for group in starts}
    inner = [group + 1 for group in lengths.values() if group + 1 < len(blocks.first_trial)]
    groups = dict.fromkeys(int(group) for group in (*found, *lengths.values(), *inner))
    return blocks.widest(list(groups))


def widest_runs(blocks: Blocks, whole: Indices) -> list[int]:
    """Of each trial that is cut into runs of frequencies, and of each group of others, the largest run."""
    if blocks.freqs is None:
        return []
    first, stop = blocks.freqs[whole].T
    order = np.lexsort((first - stop, blocks.first_trial[whole]))
    _, places = np.unique(blocks.first_trial[whole][order], return_index=True)
    return [int(group) for group in whole[order[places]]]


def worker_peak(plan: Reading, blocks: Iterable[Block]) -> int:
    """Projected peak of a worker that computes such blocks one after the other.

    What one block needed for its result, and another one for its kernel, is there for those
    that follow, so that the largest of each are added.
    """
    each = np.array([_needs(plan, block) for block in blocks], dtype=np.int64)
    return _FIXED_BYTES + int(each.max(axis=0).sum()) + _kept_bytes(plan)


def _kept_bytes(plan: Reading) -> int:
    """What the method keeps of the kinds of trials that are not computed at the moment."""
    lengths, variants = plan.spec.lengths, plan.spec.variants
    kinds = lengths if variants is None else np.column_stack([lengths, variants])
    n_others = len(np.unique(kinds, axis=0)) - 1
    return plan.method.kept_bytes(n_others, int(lengths.min()), int(lengths.max())) if n_others else 0


def block_peak(plan: Reading, block: Block) -> int:
    """Projected peak of one block, in a process that computed no other."""
    return _FIXED_BYTES + sum(_needs(plan, block))


def _needs(plan: Reading, block: Block) -> tuple[int, int, int, int]:
    """Memory of one block for what is read, for the kernel, for the result and for a payload."""
    kinds = {(chunk.length, chunk.n_trials): chunk for chunk in plan.chunks(block)}
    sample_bytes = plan.sample_bytes(_columns_read(plan, block))
    read = max(n_trials * length for length, n_trials in kinds) * sample_bytes
    computed = max(_kernel_bytes(plan, block, chunk) for chunk in kinds.values())
    result = _result_bytes(plan, block) if plan.reduction is None else 0
    held = max(2, 1 + copies(plan.source))
    return held * read, computed, result, _payload_bytes(plan, block)


def _result_bytes(plan: Reading, block: Block) -> int:
    return int(np.prod(plan.block_shape(block), dtype=np.int64)) * plan.output.dtype.itemsize


def _kernel_bytes(plan: Reading, block: Block, chunk: Chunk) -> int:
    """What one call of the kernel takes, and what follows from its result in a reduction."""
    c = block.n_channels
    lines = chunk.n_trials * c if chunk.n_trials > 1 else plan.tile_channels(chunk.length, c)
    work = plan.work(chunk.length)
    working = lines * work.line_bytes + work.shared_bytes
    if plan.reduction is None:
        return working
    each = plan.each(block)
    state = state_bytes(plan.reduction.state(each))
    result = chunk.n_trials * int(each.rows[0]) * each.row_bytes
    after = result + plan.reduction.working_bytes(each, chunk.n_trials)
    return working + state + max(after, 2 * state if plan.ends_in_blocks else 0)


def _payload_bytes(plan: Reading, block: Block) -> int:
    if not plan.needs_payload:
        return 0
    if block.stop_piece is not None:
        start, stop = plan.payload_span(block)
        return (stop - start) * plan.sample_bytes(block.n_channels)
    samples = int(plan.spec.lengths[block.first_trial : block.stop_trial].sum())
    return samples * plan.sample_bytes(block.n_channels)


def _columns_read(plan: Reading, block: Block) -> int:
    """Channels that are read to get those of a block: whole rows unless only few are wanted."""
    channels = plan.channels_of(block)
    span = int(channels.max()) - int(channels.min()) + 1
    total = plan.source.shape[plan.spec.dims.index(plan.spec.cut)]
    return total if 2 * span >= total else span
