"""Runs a plan from beginning to end: target, executor, receipts, commit."""

from __future__ import annotations

from collections.abc import Sequence

from rayspy.config import config
from rayspy.executors.base import Collect
from rayspy.executors.choose import Choice, choose
from rayspy.executors.outlook import end_if_planning
from rayspy.executors.resume import Journal
from rayspy.executors.sinks import OnDisk, sink_for
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import Progress, message
from rayspy.storage.sources import ArraySource


def run_plan(plan: Plan, parallel: bool | None, observe: Collect | None = None) -> tuple[ArraySource, Choice]:
    """Compute a plan and return the result.

    Parameters
    ----------
    plan : Plan
        What to do, without a target.
    parallel : bool or None
        See `rayspy.executors.choose.choose`.
    observe : callable, optional
        Is called with every receipt.

    Returns
    -------
    source : ArraySource
        The result: in memory if it is small, else in the scratch folder.
    choice : Choice
        Where it was computed.

    Raises
    ------
    MemoryBudgetError, ScratchSpaceError
        It would not fit; nothing was computed.
    """
    end_if_planning(plan, parallel)
    choice = choose(parallel, plan.memory, plan.name)
    message(plan.name, f"{_work(plan)} on {_workers(choice, plan.n_blocks)} ({choice.reason})")
    return _run(plan, choice, observe), choice


def _run(plan: Plan, choice: Choice, observe: Collect | None) -> ArraySource:
    sink = sink_for(plan, in_memory=plan.memory.output <= config.inmemory_bytes)
    journal = Journal(sink, observe or _ignore)
    try:
        done = journal.begin()
        if isinstance(sink, OnDisk):
            sink.begin()
        _execute(choice, journal, done)
        return sink.finish(journal.key)
    except BaseException as error:
        journal.end(error)
        raise


def _work(plan: Plan) -> str:
    n, sizes = plan.n_blocks, plan.memory
    return f"{n} block{'s' * (n != 1)}, {sizes.input / 1e6:.1f} MB in, {sizes.output / 1e6:.1f} MB out"


def _workers(choice: Choice, n_blocks: int) -> str:
    n = min(choice.executor.n_workers, n_blocks)
    kind = {"local": "local thread", "ray": "Ray actor"}.get(
        choice.executor.name, f"{choice.executor.name} worker"
    )
    return f"{n} {kind}{'s' * (n != 1)}"


def _ignore(receipt: Receipt) -> None:
    """Nobody wants to know."""


def _execute(choice: Choice, journal: Journal, done: set[int]) -> None:
    sink = journal.sink
    plan = sink.plan
    progress = Progress(plan.name, plan.n_blocks, plan.memory.input, len(done))

    def collect(receipt: Receipt) -> None:
        sink.add(receipt)
        journal.note(receipt)
        progress.update(receipt.bytes_read)

    try:
        choice.executor.run(plan, _left(plan.n_blocks, done), collect)
    finally:
        progress.close()


def _left(n_blocks: int, done: set[int]) -> Sequence[int]:
    return [i for i in range(n_blocks) if i not in done] if done else range(n_blocks)
