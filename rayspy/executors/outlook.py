"""What a run would be like: caught before it begins, and where it would take place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rayspy.config import config
from rayspy.executors import choose
from rayspy.limits import usable_cpus
from rayspy.planning.memory import Memory, affordable_workers
from rayspy.planning.plan import Plan

_planning_only: ContextVar[bool] = ContextVar("rayspy_planning_only", default=False)


class Planned(Exception):
    """A run ended before it began, because only its plan was wanted."""

    def __init__(self, plan: Plan, parallel: bool | None) -> None:
        self.plan = plan
        self.parallel = parallel
        super().__init__(plan.name)


@contextmanager
def planning_only() -> Iterator[None]:
    """Let runs end with `Planned` instead of beginning, for the length of a ``with`` block."""
    token = _planning_only.set(True)
    try:
        yield
    finally:
        _planning_only.reset(token)


def end_if_planning(plan: Plan, parallel: bool | None) -> None:
    """Raise `Planned` within `planning_only`."""
    if _planning_only.get():
        raise Planned(plan, parallel)


@dataclass(frozen=True)
class Outlook:
    """Where a plan would run.

    Attributes
    ----------
    executor : str
        Kind of executor.
    n_workers : int or None
        How many blocks would run at the same time; None: as many as the cluster has CPUs for.
    reason : str
        Why.
    """

    executor: str
    n_workers: int | None
    reason: str


def foresee(parallel: bool | None, memory: Memory, name: str) -> Outlook:
    """Tell what `rayspy.executors.choose.choose` would choose; nothing is started or connected.

    Raises
    ------
    MemoryBudgetError
        Not even one worker fits.
    """
    if parallel is False:
        return Outlook("local", affordable_workers(memory, 1, name), "parallel=False")
    loaded = [point.name for point in choose._entry_points() if point.name in sys.modules]
    running = choose._ray_that_runs()
    if running is not None:
        return Outlook("ray", config.num_cpus, running)
    n = affordable_workers(memory, usable_cpus(), name)
    if parallel:
        return Outlook("ray", n, "parallel=True, a local Ray would be started")
    if loaded:
        clients = " or ".join(loaded)
        return Outlook("local", n, f"unless a client of {clients} is running, whose workers would be used")
    return Outlook("local", n, "no cluster running")
