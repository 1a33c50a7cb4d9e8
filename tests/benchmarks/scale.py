"""What many cores would need: a discrete simulation of one driver and its actors, fed with measured costs.

The driver hands out tasks and takes receipts one after the other; actors work on two
tasks at most, as `rayspy.executors.ray_actors` does, with its own rule for how many
blocks a task has. Start: python -m tests.benchmarks.scale
"""

import argparse
import heapq
import random
from dataclasses import dataclass

from rayspy.executors import ray_actors
from rayspy.planning.memory import BLOCKS_AHEAD


@dataclass(frozen=True)
class Costs:
    """Seconds of the driver."""

    task: float = 1 / 750
    """To hand out a task and to take its answer."""
    block: float = 5e-5
    """To note the receipt of a block."""
    actor: float = 2e-6
    """To wait for answers, per actor and round."""


@dataclass
class Outcome:
    seconds: float
    tasks: int
    longest: int


def simulate(n_actors, n_blocks, seconds, costs, alone=False, seed=0):
    """Time until all blocks are done, blocks that take `seconds` give or take a fifth."""
    draw = random.Random(seed)
    now, left, tasks, longest = 0.0, n_blocks, 0, 0
    free_at = [0.0] * n_actors
    answers = []
    waiting = list(range(n_actors)) * BLOCKS_AHEAD
    waiting.reverse()
    while left or answers:
        while waiting and left:
            slot = waiting.pop()
            n = 1 if alone else min(left, ray_actors.blocks_per_task(n_actors, seconds, left))
            left, tasks, longest = left - n, tasks + 1, max(longest, n)
            now += costs.task
            work = seconds * n * draw.uniform(0.8, 1.2)
            free_at[slot] = max(free_at[slot], now) + work
            heapq.heappush(answers, (free_at[slot], slot, n))
        if not answers:
            break
        now = max(now, answers[0][0]) + costs.actor * n_actors
        while answers and answers[0][0] <= now:
            _, slot, n = heapq.heappop(answers)
            now += costs.block * n
            waiting.insert(0, slot)
    return Outcome(now, tasks, longest)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-second", type=float, default=750, help="tasks of one block, see driver.py")
    parser.add_argument("--block-seconds", type=float, nargs="+", default=[0.02, 0.1, 0.5])
    parser.add_argument("--terabytes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--block-mb", type=float, default=16)
    options = parser.parse_args()
    costs = Costs(task=1 / options.per_second)
    print(
        f"{'cores':>7} {'TB':>4} {'blocks':>8} {'s/block':>8} {'ideal':>8} "
        f"{'one by one':>11} {'now':>8} {'files/s':>8}"
    )
    for n_actors in (100, 1000, 10_000):
        for terabytes in options.terabytes:
            n_blocks = int(terabytes * 1e6 / options.block_mb)
            for seconds in options.block_seconds:
                ideal = max(seconds, n_blocks * seconds / n_actors)
                single = simulate(n_actors, n_blocks, seconds, costs, alone=True).seconds
                now = simulate(n_actors, n_blocks, seconds, costs)
                print(
                    f"{n_actors:7d} {terabytes:4g} {n_blocks:8d} {seconds:8g} {ideal:7.1f}s {single:10.1f}s "
                    f"{now.seconds:7.1f}s {n_blocks / now.seconds:8.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
