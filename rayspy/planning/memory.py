"""Memory: what a plan will need, what may be used, and the refusal in between."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rayspy.config import config
from rayspy.errors import MemoryBudgetError


@dataclass(frozen=True)
class Memory:
    """Projected sizes of a plan in bytes."""

    input: int
    """Selected input, all of it."""
    output: int
    """Result, all of it."""
    per_worker: int
    """Largest peak of one worker, for one block at a time."""
    driver: int
    """What the calling process holds: results that stay in memory, or the accumulator."""


def available_memory() -> int:
    """Memory that this process could still use, job and container limits included."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit = cgroup_limit()
    return free if limit is None else min(free, max(0, limit - cgroup_usage()))


def _cgroup_number(name_v2: str, name_v1: str) -> int | None:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, name = Path("/sys/fs/cgroup"), name_v2
        elif "memory" in controllers.split(","):
            base, name = Path("/sys/fs/cgroup/memory"), name_v1
        else:
            continue
        folder = base / path.lstrip("/")
        for candidate in (folder, *folder.parents):
            if base not in (candidate, *candidate.parents):
                break
            try:
                text = (candidate / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                found.append(int(text))
    return min(found) if found else None


@lru_cache(maxsize=1)
def cgroup_limit() -> int | None:
    """Tightest memory limit of the control groups of this process, if any."""
    limit = _cgroup_number("memory.max", "memory.limit_in_bytes")
    return None if limit is None or limit > 2**60 else limit


def cgroup_usage() -> int:
    """Memory that counts against `cgroup_limit`, file cache left out where that is known."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def memory_budget() -> int:
    """Bytes that all workers of this host may use together."""
    return config.memory_budget or available_memory() // 2


def affordable_workers(memory: Memory, wanted: int, name: str) -> int:
    """Largest number of workers, up to `wanted`, that fits into the budget.

    Raises
    ------
    MemoryBudgetError
        Not even one worker fits.
    """
    budget = memory_budget()
    left = budget - memory.driver
    fitting = left // max(1, memory.per_worker)
    if fitting < 1:
        needed = -(-(memory.per_worker + memory.driver) // 10**6)
        raise MemoryBudgetError(
            f"{name} needs {_megabytes(memory.per_worker)} per worker and {_megabytes(memory.driver)} in the "
            f"calling process, the memory budget is {_megabytes(budget)}; lower chan_per_worker (fewer "
            "channels at a time), select fewer trials, channels or a shorter latency, or raise "
            f'spy.config.memory_budget (RAYSPY_MEMORY_BUDGET) to "{needed}MB"'
        )
    return int(min(wanted, fitting))


def _megabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 10**9 else f"{n / 1e6:.1f} MB"
