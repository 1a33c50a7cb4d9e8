"""`run_block`: read, compute, check the promise, write. The same on every executor."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import RayspyError
from rayspy.planning.partition import Block
from rayspy.planning.plan import Plan, Receipt, tile_channels

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
        With the result itself if the plan has no target, or averages.
    """
    began = time.perf_counter()
    block = plan.blocks[i]
    try:
        value = (_summed if plan.average else _stacked)(plan, block, payload)
    except Exception as error:
        error.add_note(f"while {plan.name} computed block {i} ({block}) on {socket.gethostname()}")
        raise
    part = None
    if plan.target is not None and not plan.average:
        order = plan.stored(plan.output.dims)
        start = plan.block_start(block)
        part = plan.target.write(tuple(start[axis] for axis in order), value.transpose(order))
    samples = int(plan.spec.lengths[block.first_trial : block.stop_trial].sum())
    return Receipt(
        block=i,
        seconds=time.perf_counter() - began,
        bytes_read=samples * block.n_channels * plan.spec.dtype.itemsize,
        bytes_written=value.nbytes if part is not None else 0,
        host=socket.gethostname(),
        pid=os.getpid(),
        value=value if part is None else None,
        part=part,
    )


def _stacked(plan: Plan, block: Block, payload: Array | None) -> Array:
    """Results of all trials of a block, one after the other."""
    out = np.empty(plan.block_shape(block), plan.output.dtype)
    origin = plan.row_edges[block.first_trial]
    for first, stop, x in _inputs(plan, block, payload):
        rows = slice(int(plan.row_edges[first] - origin), int(plan.row_edges[stop] - origin))
        n_rows = int(plan.output.rows[first])
        view = out[rows].reshape(stop - first, n_rows, *out.shape[1:])
        _compute(plan, first, x, view)
    return out


def _summed(plan: Plan, block: Block, payload: Array | None) -> Array:
    """Sum of the results over the trials of a block, trial by trial in double precision."""
    shape = (int(plan.output.rows[0]), *plan.output.inner_shape[:-1], block.n_channels)
    wide = np.complex128 if plan.output.dtype.kind == "c" else np.float64
    total = np.zeros(shape, wide)
    for first, stop, x in _inputs(plan, block, payload):
        results = np.empty((stop - first, *shape), plan.output.dtype)
        _compute(plan, first, x, results)
        for result in results:
            total += result
        del results, result
    return total


def _inputs(plan: Plan, block: Block, payload: Array | None) -> Iterator[tuple[int, int, Array]]:
    """Runs of trials of equal length with their data, read-only."""
    if payload is not None:
        for first, stop in plan.chunks(block):
            yield first, stop, _read_only(_from_payload(plan, block, payload, first, stop))
        return
    with plan.source.reader() as read:
        bound = plan.input_of(read, block)
        for first, stop in plan.chunks(block):
            yield first, stop, _read_only(bound.trials(*plan.bounds(first, stop)))


def _read_only(x: Array) -> Array:
    x.flags.writeable = False
    return x


def _from_payload(plan: Plan, block: Block, payload: Array, first: int, stop: int) -> Array:
    lengths = plan.spec.lengths
    begin = int(lengths[block.first_trial : first].sum())
    n, length = stop - first, int(lengths[first])
    view = payload[begin : begin + n * length]
    return view.reshape(n, length, *payload.shape[1:])


def _compute(plan: Plan, first: int, x: Array, out: Array) -> None:
    """Run the kernel on trials from `first` on; long ones go through it a few channels at a time."""
    kernel = plan.kernel_for(first)
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
