"""Blocks out, receipts in: the same loop for every scheduler that takes a Dask graph."""

from __future__ import annotations

import collections
import logging
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rayspy.errors import WorkerError
from rayspy.executors.base import Collect
from rayspy.executors.ray_actors import TASK_BYTES, _Failure, blocks_per_task
from rayspy.planning.plan import Plan
from rayspy_compat.blocks import Outcome

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
"""How often the cluster is looked at while no block finishes."""
_MAX_DEATHS = 3
"""How many workers may die of one block."""


class Lost(Exception):
    """The worker or the result of a task is gone; its blocks can run again."""


class Scheduler(Protocol):
    """Something that runs a Dask graph of tasks, each of one or several blocks."""

    def room(self) -> int:
        """How many tasks may be in flight now; raises when the cluster is gone."""
        ...

    def submit(self, tasks: Sequence[tuple[int, ...]]) -> dict[Any, tuple[int, ...]]:
        """Submit one graph with these tasks; returns the blocks of each reference."""
        ...

    def finished(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Wait until one is done; return all that are."""
        ...

    def outcome(self, reference: Any) -> list[Outcome]:
        """Return the receipts of a task that is done, of which the last may be a failure; raises `Lost`."""
        ...

    def cancel(self, references: Sequence[Any]) -> None:
        """Stop tasks; returns when they do not run any more."""
        ...


@dataclass
class Flow:
    """One plan on its way through a scheduler."""

    plan: Plan
    scheduler: Scheduler
    collect: Collect
    _queue: collections.deque[int] = field(default_factory=collections.deque)
    _flying: dict[Hashable, tuple[int, ...]] = field(default_factory=dict)
    _deaths: collections.Counter[int] = field(default_factory=collections.Counter)
    _alone: set[int] = field(default_factory=set)
    """Blocks a worker may have died of; they are sent one at a time."""
    _seconds: float = math.inf
    _value_bytes: int = 0

    def finish(self, blocks: Sequence[int]) -> None:
        """Run all blocks; after an error nothing of this plan runs any more."""
        self._queue.extend(blocks)
        try:
            while self._queue or self._flying:
                self._fill()
                for reference in self.scheduler.finished(list(self._flying), _POLL_SECONDS):
                    self._take(reference)
        finally:
            if self._flying:
                self.scheduler.cancel(list(self._flying))

    def _fill(self) -> None:
        room = self.scheduler.room()
        tasks: list[tuple[int, ...]] = []
        while self._queue and len(self._flying) + len(tasks) < room:
            tasks.append(self._next_blocks(room))
        if tasks:
            self._flying.update(self.scheduler.submit(tasks))

    def _next_blocks(self, room: int) -> tuple[int, ...]:
        n = 1
        if not self.plan.needs_payload:
            n = blocks_per_task(max(1, room // 2), self._seconds, len(self._queue))
            n = max(1, min(n, TASK_BYTES // max(1, self._value_bytes)))
        blocks = [self._queue.popleft()]
        while self._queue and len(blocks) < n and not self._alone.intersection((blocks[0], self._queue[0])):
            blocks.append(self._queue.popleft())
        return tuple(blocks)

    def _take(self, reference: Hashable) -> None:
        blocks = self._flying[reference]  # cancelled too if `collect` raises: errors hold on to it
        try:
            outcomes = self.scheduler.outcome(reference)
        except Lost as lost:
            del self._flying[reference]
            self._again(blocks, lost)
            return
        for block, outcome in zip(blocks, outcomes, strict=False):
            if isinstance(outcome, _Failure):
                raise outcome.error(self.plan.name, block)
            known = outcome.seconds if math.isinf(self._seconds) else self._seconds
            self._seconds = 0.9 * known + 0.1 * outcome.seconds
            self._value_bytes = outcome.value_bytes
            self.collect(outcome)
        self._queue.extendleft(reversed(blocks[len(outcomes) :]))
        del self._flying[reference]

    def _again(self, blocks: tuple[int, ...], lost: Lost) -> None:
        """Count a loss against the block that ran; of several they are tried one at a time."""
        block, *others = blocks
        self._alone.update(blocks)
        self._deaths[block] += not others
        if self._deaths[block] >= _MAX_DEATHS:
            raise WorkerError(
                f"block {block} of {self.plan.name}: its worker was lost {_MAX_DEATHS} times ({lost}), "
                "probably because memory ran out (the plan needs "
                f"{self.plan.memory.per_worker / 1e6:.0f} MB per worker); a smaller "
                "`spy.config.memory_budget` or `chan_per_worker` makes the blocks smaller"
            )
        _log.warning("A worker was lost (%s); block %d of %s runs again", lost, block, self.plan.name)
        self._queue.extendleft(reversed(blocks))
