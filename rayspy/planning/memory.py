"""Memory: what a plan will need, what may be used, and the refusal in between."""

from __future__ import annotations

from dataclasses import dataclass

from rayspy.errors import MemoryBudgetError
from rayspy.limits import memory_budget


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
    all_channels: bool = False
    """Every block needs all channels."""

    @property
    def advice(self) -> str:
        """What makes blocks smaller."""
        if self.all_channels:
            return "select fewer channels, frequencies or a shorter latency (every block needs all channels)"
        fewer = "lower chan_per_worker (fewer channels at a time)"
        return f"{fewer}, select fewer trials, channels or a shorter latency"


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
            f"calling process, the memory budget is {_megabytes(budget)}; {memory.advice}, or raise "
            f'spy.config.memory_budget (RAYSPY_MEMORY_BUDGET) to "{needed}MB"'
        )
    return int(min(wanted, fitting))


def _megabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 10**9 else f"{n / 1e6:.1f} MB"
