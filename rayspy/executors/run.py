"""`run_block`: read, compute, check the promise, write. The same on every executor."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import PathError, RayspyError
from rayspy.methods.reductions.base import Reduction, new_state, packed, shape_of, state_in
from rayspy.planning.geometry import Chunk
from rayspy.planning.partition import Block
from rayspy.planning.plan import Plan, Receipt

Array = NDArray[Any]


def run_block(plan: Plan, i: int, payload: Array | None = None) -> Receipt:
    """Run one block of a plan.

    Parameters
    ----------
    plan : Plan
        The plan.
    i : int
        Number of the block.
    payload : ndarray, optional
        Input of the block, where the input is in the memory of another process.

    Returns
    -------
    Receipt
        With the result itself if the plan has no target that can be seen from here, or with a state.

    Raises
    ------
    PathError
        The input cannot be seen from here; names the host.
    """
    began = time.perf_counter()
    block = plan.blocks[i]
    nan_trials: list[int] = []
    writes = plan.target is not None and plan.reduction is None and plan.target.is_visible()
    try:
        if plan.reduction is not None:
            value = _reduced(plan, plan.reduction, block, payload, nan_trials)
        else:
            shape, dtype = plan.block_shape(block), plan.output.dtype
            value = _room(shape, dtype) if writes else np.empty(shape, dtype)
            _stack(plan, block, payload, nan_trials, value)
    except PathError as error:
        raise _seen_from_here(error) from error
    except Exception as error:
        error.add_note(f"while {plan.name} computed block {i} ({block}) on {socket.gethostname()}")
        raise
    part = None
    if writes and plan.target is not None:
        order = plan.output.stored
        start = plan.block_start(block)
        part = plan.target.write(tuple(start[axis] for axis in order), value.transpose(order))
    return Receipt(
        block=i,
        seconds=time.perf_counter() - began,
        bytes_read=plan.samples_of(block) * plan.spec.dtype.itemsize,
        bytes_written=value.nbytes if part is not None else 0,
        host=socket.gethostname(),
        pid=os.getpid(),
        value=value if part is None else None,
        part=part,
        nan_trials=tuple(sorted(set(nan_trials))),
    )


def _seen_from_here(error: PathError) -> PathError:
    here = f"seen from host {socket.gethostname()}; all nodes must find it under this path"
    return PathError(error.path, error.exists, f"{error.hint}; {here}" if error.hint else here)


_kept = threading.local()


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Memory for a result that is written before the next block begins, used again by each thread.

    Fresh memory from the operating system costs as much time as writing the result.
    """
    size = math.prod(shape) * dtype.itemsize
    if getattr(_kept, "memory", np.empty(0, np.uint8)).size < size:
        forget_room()
        _kept.memory = np.empty(size, np.uint8)
    memory: Array = _kept.memory
    return memory[:size].view(dtype).reshape(shape)


def forget_room() -> None:
    """Give back what this thread keeps for results."""
    _kept.memory = np.empty(0, np.uint8)


def _stack(plan: Plan, block: Block, payload: Array | None, nan_trials: list[int], out: Array) -> None:
    """Put the results of all trials of a block into `out`, one after the other."""
    origin = plan.block_rows(block)[0]
    for chunk, x in _inputs(plan, block, payload):
        begin = int(plan.row_edges[chunk.first_trial]) + chunk.first_row - origin
        rows = out[begin : begin + chunk.n_trials * chunk.n_rows]
        results = rows.reshape(chunk.n_trials, chunk.n_rows, *out.shape[1:])
        _compute(plan, chunk, x, results)
        nan_trials += _with_nan(plan, chunk, x, results)


def _with_nan(plan: Plan, chunk: Chunk, x: Array, results: Array) -> list[int]:
    """Places of trials with NaNs, if the method wants to know."""
    if not plan.method.tells_nan or x.dtype.kind not in "fc":
        return []
    if plan.method.nan_fills:  # one number per line is looked at, instead of all of the input
        lines = results.reshape(len(results), -1, results.shape[-1])[:, 0]
        if not np.isnan(lines).any():
            return []
    if not _any_nan(x):
        return []
    found = np.isnan(x).any(axis=tuple(range(1, x.ndim)))
    return (chunk.first_trial + np.flatnonzero(found)).tolist()


def _reduced(
    plan: Plan, reduction: Reduction, block: Block, payload: Array | None, nan_trials: list[int]
) -> Array:
    """State of the trials of a block in one piece of memory; the results where those are all trials."""
    each = plan.each(block)
    shape = shape_of(each)
    memory, state = new_state(reduction.state(each))
    for chunk, x in _inputs(plan, block, payload):
        results = np.empty((chunk.n_trials, *shape), each.dtype)
        _compute(plan, chunk, x, results)
        nan_trials += _with_nan(plan, chunk, x, results)
        trials = range(chunk.first_trial, chunk.stop_trial)
        if reduction.omits:
            reduction.add_present(state, results, trials, _present(x, shape[-1]))
        else:
            reduction.add(state, results, trials)
        del results
    return packed(checked(plan, block, reduction.finalize(state, each))) if plan.ends_in_blocks else memory


def _any_nan(x: Array) -> bool:
    """Whether there may be any NaN: the largest number is NaN then, and found four times as fast as a sum."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isnan(x.max() if x.dtype.kind == "f" else x.sum()))


def _present(x: Array, n_channels: int) -> Array:
    """Whether trials are without NaN, for each channel; for all together where results are of other ones."""
    present = np.ones((x.shape[0], x.shape[-1]), np.bool_)
    if x.dtype.kind in "fc" and _any_nan(x):
        for one, trial in zip(present, x, strict=True):
            one[:] = ~np.isnan(trial).any(axis=tuple(range(trial.ndim - 1)))
    if x.shape[-1] != n_channels:
        present = np.repeat(present.all(axis=1, keepdims=True), n_channels, axis=1)
    return present


def results_in(plan: Plan, i: int, value: Array) -> dict[str, Array]:
    """Results of the trials of one block alone, from what came back of it."""
    if plan.reduction is None:
        return {"": value}
    block = plan.blocks[i]
    if plan.ends_in_blocks:
        return state_in(value, plan.layouts_of_results(block))
    each = plan.each(block)
    return plan.reduction.finalize(state_in(value, plan.reduction.state(each)), each)


def checked(plan: Plan, block: Block, results: dict[str, Array]) -> dict[str, Array]:
    """Compare what a reduction made of a range of channels and frequencies with what it declared."""
    for name, layout in plan.layouts_of_results(block).items():
        got = results[name]
        if got.shape != layout.shape or got.dtype != layout.dtype:
            promised, returned = f"{layout.dtype} {layout.shape}", f"{got.dtype} {got.shape}"
            raise PromiseError(f"{plan.reduction} promised {promised} and returned {returned}")
    return {name: results[name] for name in plan.results}


def _inputs(plan: Plan, block: Block, payload: Array | None) -> Iterator[tuple[Chunk, Array]]:
    """Chunks of a block with their data, read-only."""
    if payload is not None:
        for chunk in plan.chunks(block):
            yield chunk, _read_only(_from_payload(plan, block, payload, chunk))
        return
    with plan.source.reader() as read:
        bound = plan.input_of(read, block)
        for chunk in plan.chunks(block):
            yield chunk, _read_only(bound.trials(plan.starts(chunk), chunk.length))


def _read_only(x: Array) -> Array:
    x.flags.writeable = False
    return x


def _from_payload(plan: Plan, block: Block, payload: Array, chunk: Chunk) -> Array:
    begin = plan.in_payload(block, chunk)
    view = payload[begin : begin + chunk.n_trials * chunk.length]
    return view.reshape(chunk.n_trials, chunk.length, *payload.shape[1:])


def _compute(plan: Plan, chunk: Chunk, x: Array, out: Array) -> None:
    """Run the kernel on a chunk; long trials go through it a few channels at a time."""
    kernel = plan.method.kernel(chunk.part)
    width = x.shape[-1] if x.shape[0] > 1 else plan.tile_channels(x.shape[1], x.shape[-1])
    for low in range(0, x.shape[-1], width):
        view = out if width >= x.shape[-1] else out[..., low : low + width]
        result = kernel(x[..., low : low + width], out=view)
        if result.shape != view.shape or result.dtype != view.dtype:
            raise PromiseError(
                f"{plan.method.name} promised {view.dtype} {view.shape} "
                f"and returned {result.dtype} {result.shape}"
            )


class PromiseError(RayspyError, RuntimeError):
    """A kernel returned something else than its method declared."""
