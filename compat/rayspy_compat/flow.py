"""Blocks out, receipts in: the same loop for every scheduler that takes a Dask graph."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rayspy.executors.base import Collect
from rayspy.executors.ray_actors import MAX_DEATHS, Waiting
from rayspy.planning.plan import Plan
from rayspy_compat.blocks import Outcome

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
"""How often the cluster is looked at while no block finishes."""


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
    _flying: dict[Hashable, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._waiting = Waiting(self.plan, ())

    def finish(self, blocks: Sequence[int]) -> None:
        """Run all blocks; after an error nothing of this plan runs any more."""
        self._waiting.take_back(blocks)
        try:
            while self._waiting or self._flying:
                self._fill()
                for reference in self.scheduler.finished(list(self._flying), _POLL_SECONDS):
                    self._take(reference)
        finally:
            if self._flying:
                self.scheduler.cancel(list(self._flying))

    def _fill(self) -> None:
        room = self.scheduler.room()
        tasks: list[tuple[int, ...]] = []
        while self._waiting and len(self._flying) + len(tasks) < room:
            tasks.append(self._waiting.next_task(max(1, room // 2)))
        if tasks:
            self._flying.update(self.scheduler.submit(tasks))

    def _take(self, reference: Hashable) -> None:
        blocks = self._flying[reference]  # cancelled too if `collect` raises: errors hold on to it
        try:
            outcomes = self.scheduler.outcome(reference)
        except Lost as lost:
            del self._flying[reference]
            self._again(blocks, lost)
            return
        self._waiting.accept(blocks, outcomes, self.collect)
        self._waiting.take_back(blocks[len(outcomes) :])
        del self._flying[reference]

    def _again(self, blocks: tuple[int, ...], lost: Lost) -> None:
        self._waiting.blame(blocks, f"its worker was lost {MAX_DEATHS} times ({lost})")
        _log.warning("A worker was lost (%s); block %d of %s runs again", lost, blocks[0], self.plan.name)
        self._waiting.take_back(blocks)
