"""Blocks out, receipts in: the same loop for every scheduler that takes a Dask graph."""

from __future__ import annotations

import collections
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rayspy.errors import WorkerError
from rayspy.executors.base import Collect
from rayspy.executors.ray_actors import _Failure
from rayspy.planning.plan import Plan
from rayspy_compat.blocks import Outcome

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
"""How often the cluster is looked at while no block finishes."""
_MAX_DEATHS = 3
"""How many workers may die of one block."""


class Lost(Exception):
    """A block's worker or result is gone; the block can run again."""


class Scheduler(Protocol):
    """Something that runs a Dask graph of blocks."""

    def room(self) -> int:
        """How many blocks may be in flight now; raises when the cluster is gone."""
        ...

    def submit(self, blocks: Sequence[int]) -> dict[Any, int]:
        """Submit one graph with these blocks; returns the block of each reference."""
        ...

    def finished(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Wait until one is done; return all that are."""
        ...

    def outcome(self, reference: Any) -> Outcome:
        """Return the receipt or the failure of a block that is done; raises `Lost`."""
        ...

    def cancel(self, references: Sequence[Any]) -> None:
        """Stop blocks; returns when they do not run any more."""
        ...


@dataclass
class Flow:
    """One plan on its way through a scheduler."""

    plan: Plan
    scheduler: Scheduler
    collect: Collect
    _queue: collections.deque[int] = field(default_factory=collections.deque)
    _flying: dict[Hashable, int] = field(default_factory=dict)
    _deaths: collections.Counter[int] = field(default_factory=collections.Counter)

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
        n = min(len(self._queue), self.scheduler.room() - len(self._flying))
        if n > 0:
            self._flying.update(self.scheduler.submit([self._queue.popleft() for _ in range(n)]))

    def _take(self, reference: Hashable) -> None:
        block = self._flying[reference]  # cancelled too if `collect` raises: errors hold on to it
        try:
            outcome = self.scheduler.outcome(reference)
        except Lost as lost:
            del self._flying[reference]
            self._again(block, lost)
            return
        if isinstance(outcome, _Failure):
            raise outcome.error(self.plan.name, block)
        self.collect(outcome)
        del self._flying[reference]

    def _again(self, block: int, lost: Lost) -> None:
        self._deaths[block] += 1
        if self._deaths[block] >= _MAX_DEATHS:
            raise WorkerError(
                f"block {block} of {self.plan.name}: its worker was lost {_MAX_DEATHS} times ({lost}), "
                "probably because memory ran out (the plan needs "
                f"{self.plan.memory.per_worker / 1e6:.0f} MB per worker); a smaller "
                "`spy.config.memory_budget` or `chan_per_worker` makes the blocks smaller"
            )
        _log.warning("A worker was lost (%s); block %d of %s runs again", lost, block, self.plan.name)
        self._queue.appendleft(block)
