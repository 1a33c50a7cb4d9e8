"""Runs a plan from beginning to end: target, executor, receipts, commit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.executors.choose import Choice, choose
from rayspy.executors.outlook import end_if_planning
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import Progress, message
from rayspy.storage.parts import PartsTarget
from rayspy.storage.scratch import StoredArray, check_space, new_target
from rayspy.storage.sources import ArraySource, MemorySource, Part, PartsSource

Array = NDArray[Any]


def run_plan(plan: Plan, parallel: bool | None) -> tuple[ArraySource, Choice]:
    """Compute a plan and return the result.

    Parameters
    ----------
    plan : Plan
        What to do, without a target.
    parallel : bool or None
        See `rayspy.executors.choose.choose`.

    Returns
    -------
    source : ArraySource
        The result: in memory if it is small, else in the scratch folder.
    choice : Choice
        Where it was computed.

    Raises
    ------
    MemoryBudgetError, ScratchSpaceError
        It would not fit; nothing was computed.
    """
    end_if_planning(plan, parallel)
    choice = choose(parallel, plan.memory, plan.name)
    message(plan.name, f"{_work(plan)} on {_workers(choice, plan.n_blocks)} ({choice.reason})")
    if plan.average or plan.memory.output <= config.inmemory_bytes:
        return _run_in_memory(plan, choice), choice
    return _run_to_scratch(plan, choice), choice


def _work(plan: Plan) -> str:
    n, sizes = plan.n_blocks, plan.memory
    return f"{n} block{'s' * (n != 1)}, {sizes.input / 1e6:.1f} MB in, {sizes.output / 1e6:.1f} MB out"


def _workers(choice: Choice, n_blocks: int) -> str:
    n = min(choice.executor.n_workers, n_blocks)
    kind = {"local": "local thread", "ray": "Ray actor"}.get(
        choice.executor.name, f"{choice.executor.name} worker"
    )
    return f"{n} {kind}{'s' * (n != 1)}"


def _execute(plan: Plan, choice: Choice, collect: Any) -> None:
    progress = Progress(plan.name, plan.n_blocks, plan.memory.input)

    def collected(receipt: Receipt) -> None:
        collect(receipt)
        progress.update(receipt.bytes_read)

    try:
        choice.executor.run(plan, range(plan.n_blocks), collected)
    finally:
        progress.close()


def _run_in_memory(plan: Plan, choice: Choice) -> ArraySource:
    sink = Averaged(plan) if plan.average else Assembled(plan)
    _execute(plan, choice, sink.add)
    order = plan.stored(plan.output.dims)
    return MemorySource(np.ascontiguousarray(sink.finish().transpose(order)))


def _run_to_scratch(plan: Plan, choice: Choice) -> ArraySource:
    check_space(plan.memory.output, f"the result of {plan.name}")
    target, final = new_target()
    parts: list[Part] = []

    def collect(receipt: Receipt) -> None:
        if receipt.part is not None:
            parts.append(receipt.part)

    try:
        _execute(replace(plan, target=target), choice, collect)
        return commit(plan, target, final, parts)
    except BaseException:
        target.discard()
        raise


def commit(plan: Plan, target: PartsTarget, final: str, parts: list[Part]) -> PartsSource:
    """Describe the finished parts, give the folder its final name and open it."""
    order = plan.stored(plan.output.dims)
    shape = tuple(plan.result_shape[axis] for axis in order)
    ordered = tuple(sorted(parts, key=lambda part: part.start))
    target.commit(final, shape, plan.output.dtype, ordered)
    return PartsSource(final, shape, plan.output.dtype, ordered, keep=StoredArray(final))


@dataclass
class Assembled:
    """Puts the results of blocks into one array in memory."""

    plan: Plan
    array: Array = field(init=False)

    def __post_init__(self) -> None:
        self.array = np.empty(self.plan.result_shape, self.plan.output.dtype)

    def add(self, receipt: Receipt) -> None:
        """Take the result of one block."""
        if receipt.value is None:
            raise RuntimeError(f"block {receipt.block} came back without its result")
        block = self.plan.blocks[receipt.block]
        start, shape = self.plan.block_start(block), self.plan.block_shape(block)
        self.array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))] = receipt.value

    def finish(self) -> Array:
        """Return the whole."""
        return self.array


@dataclass
class Averaged:
    """Adds the sums of blocks in the order of their numbers, whatever order they come in."""

    plan: Plan
    total: Array = field(init=False)
    _waiting: dict[int, Array] = field(default_factory=dict)
    _next: int = 0

    def __post_init__(self) -> None:
        wide = np.complex128 if self.plan.output.dtype.kind == "c" else np.float64
        self.total = np.zeros(self.plan.result_shape, wide)

    def add(self, receipt: Receipt) -> None:
        """Take the sum of one block."""
        if receipt.value is None:
            raise RuntimeError(f"block {receipt.block} came back without its result")
        self._waiting[receipt.block] = receipt.value
        while self._next in self._waiting:
            block = self.plan.blocks[self._next]
            self.total[..., block.first_channel : block.stop_channel] += self._waiting.pop(self._next)
            self._next += 1

    def finish(self) -> Array:
        """Divide by the number of trials."""
        mean: Array = (self.total / len(self.plan.spec.trialdefinition)).astype(self.plan.output.dtype)
        return mean
