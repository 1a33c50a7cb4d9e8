"""Memory: what a plan will need, what may be used, and the refusal in between."""

from __future__ import annotations

from dataclasses import dataclass

from rayspy.errors import MemoryBudgetError
from rayspy.limits import memory_budget

BLOCKS_AHEAD = 2
"""Blocks that a worker of another process is given at a time, so that it never waits for the next one."""


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
    value: int = 0
    """Largest result that comes back with a block; none where workers write it."""
    payload: int = 0
    """Most input that is sent with a block."""

    def of_workers(self, n: int, elsewhere: bool = False) -> int:
        """What so many threads take, or, if `elsewhere`, so many other processes.

        Of each thread a result may wait for those of earlier trials. What is sent to other
        processes and comes back is in memory they share, for each block they are given.
        """
        if elsewhere:
            return n * (self.per_worker + BLOCKS_AHEAD * (self.value + self.payload))
        return n * (self.per_worker + (self.value if n > 1 else 0))

    @property
    def advice(self) -> str:
        """What makes blocks smaller."""
        if self.all_channels:
            return "select fewer channels, frequencies or a shorter latency (every block needs all channels)"
        fewer = "lower chan_per_worker (fewer channels at a time)"
        return f"{fewer}, select fewer trials, channels or a shorter latency"


def affordable_workers(memory: Memory, wanted: int, name: str, elsewhere: bool = False) -> int:
    """Largest number of threads, or of other processes, up to `wanted`, that fits into the budget.

    Raises
    ------
    MemoryBudgetError
        Not even one worker fits.
    """
    budget = memory_budget()
    left = budget - memory.driver
    one, two = memory.of_workers(1, elsewhere), memory.of_workers(2, elsewhere)
    fitting = max(2 * left // max(1, two), int(left >= one))
    if fitting < 1:
        needed = -(-(one + memory.driver) // 10**6)
        raise MemoryBudgetError(
            f"{name} needs {_megabytes(one)} per worker and {_megabytes(memory.driver)} in the "
            f"calling process, the memory budget is {_megabytes(budget)}; {memory.advice}, or raise "
            f'spy.config.memory_budget (RAYSPY_MEMORY_BUDGET) to "{needed}MB"'
        )
    return int(min(wanted, fitting))


def _megabytes(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 10**9 else f"{n / 1e6:.1f} MB"
