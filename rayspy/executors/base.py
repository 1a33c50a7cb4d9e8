"""What an executor is: something that maps `run_block` over the blocks of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rayspy.planning.plan import Plan, Receipt

Collect = Callable[["Receipt"], None]


class Executor(Protocol):
    """Maps `rayspy.executors.run.run_block` over block indices; nothing else."""

    @property
    def name(self) -> str:
        """Short name of the kind of executor."""
        ...

    @property
    def n_workers(self) -> int:
        """How many blocks run at the same time."""
        ...

    def run(self, plan: Plan, blocks: Sequence[int], collect: Collect) -> None:
        """Run the given blocks and hand every receipt to `collect`, in any order.

        `collect` is called in the thread that called `run`. Each block's receipt
        is handed over exactly once, also where a block had to run twice because
        its worker was lost. Returns when all blocks are done; raises the first
        error of a block, after which no block of this plan runs any more.
        """
        ...
