"""Where a run would take place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rayspy import cluster
from rayspy.config import config
from rayspy.executors import choose
from rayspy.limits import usable_cpus
from rayspy.planning.memory import Memory, affordable_workers
from rayspy.planning.plan import Plan

OUTLOOK_GROUP = "rayspy.outlooks"
"""Entry points of this group tell, given the memory, what the engine of this name would return; or None."""


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
    for foresee_engine in _plugins():
        found = foresee_engine(memory)
        if found is not None:
            return found
    running = choose._ray_that_runs()
    if running is not None:
        return Outlook("ray", _actors(memory, name), running)
    n = affordable_workers(memory, usable_cpus(), name, elsewhere=bool(parallel))
    if parallel:
        return Outlook("ray", n, "parallel=True, a local Ray would be started")
    return Outlook("local", n, "no cluster running")


@lru_cache(maxsize=1)
def _entry_points() -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=OUTLOOK_GROUP))


def _plugins() -> list[Callable[[Memory], Outlook | None]]:
    """Those that might apply; none is imported unless the library it serves is in use."""
    return [point.load() for point in _entry_points() if point.name in sys.modules]


def _actors(memory: Memory, name: str) -> int | None:
    """How many actors a running Ray would get; None: not known before this process is connected to it."""
    wanted: int | None = config.num_cpus
    if not cluster.ray_is_connected():
        return wanted
    info = cluster.describe()
    cpus = max(1, int(info.cpus))
    return min(cpus, choose._fitting_actors(memory, info, name) or cpus)


def advice(plan: Plan, executor: str, n_workers: int | None) -> str:
    """Say, behind the reason for an executor, how the plan would be faster; mostly nothing."""
    waiting = plan.method.holds_gil and executor == "local" and n_workers != 1 and plan.n_blocks > 1
    return "; only one thread at a time can compute, parallel=True (Ray actors) is faster" if waiting else ""
