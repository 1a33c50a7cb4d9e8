"""Which executor runs a plan, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rayspy import cluster
from rayspy.config import config
from rayspy.errors import InvalidTypeError, MemoryBudgetError, ParallelError
from rayspy.executors.base import Executor
from rayspy.executors.local import LocalExecutor
from rayspy.limits import usable_cpus
from rayspy.planning.memory import Memory, affordable_workers

PLUGIN_GROUP = "rayspy.executors"
"""Entry points of this group are functions that return a choice, or None if they have nothing to run on."""

FALLBACK_GROUP = "rayspy.fallbacks"
"""Entry points of this group are called with the memory and the error where Ray cannot start."""


@dataclass(frozen=True)
class Choice:
    """An executor and the reason for it."""

    executor: Executor
    reason: str


def check_parallel(parallel: Any) -> bool | None:
    """Accept True, False or None."""
    if parallel is not None and not isinstance(parallel, bool):
        raise InvalidTypeError(parallel, "parallel", "True, False or None;")
    return parallel


def choose(parallel: bool | None, memory: Memory, name: str) -> Choice:
    """Choose the executor.

    `parallel=False`: one local thread. Otherwise the first of: what a plug-in
    offers (a running Dask client), a Ray that is connected or advertised. With
    nothing running `parallel=True` starts a local Ray, `None` uses local threads.
    """
    if parallel is False:
        affordable_workers(memory, 1, name)
        return Choice(LocalExecutor(1), "parallel=False")
    cluster.forget_ended()
    for detect in _plugins():
        found = detect(memory)
        if found is not None:
            return found
    reason = _ray_that_runs()
    if reason is not None:
        info = cluster.connect_existing()
        return Choice(_ray_executor(_fitting_actors(memory, info, name)), reason)
    if parallel:
        n = affordable_workers(memory, usable_cpus(), name, elsewhere=True)
        try:
            cluster.start_local_ray(num_cpus=usable_cpus())
        except ParallelError as error:
            return _without_ray(memory, error)
        return Choice(_ray_executor(n), "parallel=True, nothing was running")
    n = affordable_workers(memory, usable_cpus(), name)
    return Choice(LocalExecutor(n), "no cluster running")


def _without_ray(memory: Memory, error: ParallelError) -> Choice:
    """Ask plug-ins for another engine; raise the error again if there is none."""
    from importlib.metadata import entry_points

    for point in entry_points(group=FALLBACK_GROUP):
        found: Choice | None = point.load()(memory, error)
        if found is not None:
            return found
    raise error


def _ray_that_runs() -> str | None:
    """Why to use a Ray that runs already, or None."""
    return cluster.running_in_ray()


def _fitting_actors(memory: Memory, info: cluster.ClusterInfo, name: str) -> int | None:
    """Most actors that the memory of a running Ray allows; None: one per CPU.

    Raises
    ------
    MemoryBudgetError
        Not even one worker fits, here or on the node with the most memory.
    """
    if info.started_here or config.memory_budget is not None:
        wanted = config.num_cpus or max(1, int(info.cpus))
        return affordable_workers(memory, wanted, name, elsewhere=True)
    largest = max((node.memory for node in info.nodes if node.cpus), default=0)
    if memory.per_worker > largest > 0:
        raise MemoryBudgetError(
            f"{name} needs {memory.per_worker / 1e9:.2f} GB per worker, the largest node of this Ray has "
            f"{largest / 1e9:.2f} GB; {memory.advice}, or add nodes with more memory"
        )
    wanted_at_most: int | None = config.num_cpus
    return wanted_at_most


def _ray_executor(n_workers: int | None) -> Executor:
    from rayspy.executors.ray_actors import RayExecutor

    return RayExecutor(n_workers)


@lru_cache(maxsize=1)
def _entry_points() -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=PLUGIN_GROUP))


def _plugins() -> list[Callable[[Memory], Choice | None]]:
    """Plug-ins that might apply; none is imported unless the library it serves is in use."""
    return [point.load() for point in _entry_points() if point.name in sys.modules]
