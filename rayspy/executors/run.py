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
from rayspy.planning.partition import Block
from rayspy.planning.plan import Chunk, Plan, Receipt, tile_channels

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
        With the result itself if the plan has no target that can be seen from here, or averages.

    Raises
    ------
    PathError
        The input cannot be seen from here; names the host.
    """
    began = time.perf_counter()
    block = plan.blocks[i]
    nan_trials: list[int] = []
    writes = plan.target is not None and not plan.average and plan.target.is_visible()
    try:
        if plan.average:
            value = _summed(plan, block, payload, nan_trials)
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
        order = plan.stored(plan.output.dims)
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
        _compute(plan, chunk, x, rows.reshape(chunk.n_trials, chunk.n_rows, *out.shape[1:]))
        nan_trials += _with_nan(plan, chunk, x)


def _with_nan(plan: Plan, chunk: Chunk, x: Array) -> list[int]:
    """Places of trials with NaNs, if the method wants to know."""
    if not getattr(plan.method, "tells_nan", False) or x.dtype.kind not in "fc":
        return []
    with np.errstate(invalid="ignore", over="ignore"):
        if not np.isnan(x.sum()):
            return []
    found = np.isnan(x).any(axis=tuple(range(1, x.ndim)))
    return (chunk.first_trial + np.flatnonzero(found)).tolist()


def _summed(plan: Plan, block: Block, payload: Array | None, nan_trials: list[int]) -> Array:
    """Sum of the results over the trials of a block, trial by trial in double precision."""
    shape = (int(plan.output.rows[0]), *plan.output.inner_shape[:-1], block.n_channels)
    wide = np.complex128 if plan.output.dtype.kind == "c" else np.float64
    total = np.zeros(shape, wide)
    for chunk, x in _inputs(plan, block, payload):
        results = np.empty((chunk.n_trials, *shape), plan.output.dtype)
        _compute(plan, chunk, x, results)
        nan_trials += _with_nan(plan, chunk, x)
        for result in results:
            total += result
        del results, result
    return total


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
    kernel = plan.kernel(chunk)
    width = x.shape[-1] if x.shape[0] > 1 else tile_channels(plan, x.shape[1], x.shape[-1])
    for low in range(0, x.shape[-1], width):
        view = out[..., low : low + width]
        result = kernel(x[..., low : low + width], out=view)
        if result.shape != view.shape or result.dtype != view.dtype:
            raise PromiseError(
                f"{plan.method.name} promised {view.dtype} {view.shape} "
                f"and returned {result.dtype} {result.shape}"
            )


class PromiseError(RayspyError, RuntimeError):
    """A kernel returned something else than its method declared."""
