"""Runs a plan from beginning to end: target, executor, receipts, commit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rayspy import cluster
from rayspy.errors import PathError
from rayspy.executors.base import Collect
from rayspy.executors.choose import Choice, choose
from rayspy.executors.interrupts import heard
from rayspy.executors.outlook import advice
from rayspy.executors.reimport import end_if_imported_again
from rayspy.executors.resume import Journal
from rayspy.executors.sinks import sink_for
from rayspy.limits import inmemory_limit
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import Progress, message
from rayspy.storage.scratch import own_session
from rayspy.storage.sources import ArraySource


def run_plan(plan: Plan, parallel: bool | None, observe: Collect | None = None) -> tuple[ArraySource, Choice]:
    """Compute a plan that has one result and return it; see `run_results`."""
    found, choice = run_results(plan, parallel, observe)
    (source,) = found.values()
    return source, choice


def run_results(
    plan: Plan, parallel: bool | None, observe: Collect | None = None
) -> tuple[dict[str, ArraySource], Choice]:
    """Compute a plan and return its results by name.

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
    sources : dict of str to ArraySource
        The results, '' where there is only one: in memory if they are small, else in the scratch folder.
    choice : Choice
        Where it was computed.

    Raises
    ------
    MemoryBudgetError, ScratchSpaceError
        It would not fit; nothing was computed.
    """
    end_if_imported_again(plan.name)
    with heard():
        choice = choose(parallel, plan.memory, plan.name)
        return _run(plan, choice, observe), choice


def _run(plan: Plan, choice: Choice, observe: Collect | None) -> dict[str, ArraySource]:
    sink = sink_for(plan, in_memory=plan.memory.output <= inmemory_limit())
    journal = Journal(sink, observe or _ignore)
    try:
        done = journal.begin()
        sink.begin()
        _execute(choice, journal, done)
        return sink.finish(journal.key)
    except BaseException as error:
        journal.end(error)
        raise


def _intro(plan: Plan, choice: Choice) -> str:
    why = choice.reason + advice(plan, choice.executor.name, choice.executor.n_workers)
    return f"{_work(plan)} on {where(choice, plan.n_blocks)} ({why})"


def _work(plan: Plan) -> str:
    n, sizes = plan.n_blocks, plan.memory
    return f"{n} block{'s' * (n != 1)}, {sizes.input / 1e6:.1f} MB in, {sizes.output / 1e6:.1f} MB out"


def where(choice: Choice, n_blocks: int) -> str:
    """Say what so many blocks run on."""
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
    sizes = plan.memory
    progress = Progress(plan.name, plan.n_blocks, sizes.input + sizes.output, len(done), _intro(plan, choice))
    left = np.ones(plan.n_blocks, dtype=bool)
    left[list(done)] = False

    def collect(receipt: Receipt) -> None:
        sink.add(receipt)
        journal.note(receipt)
        left[receipt.block] = False
        progress.update(receipt.bytes_read)

    try:
        progress.start()
        with _watched(choice, journal):
            _where_it_can_be_read(choice, plan, left, collect)
    finally:
        progress.close()


def _watched(choice: Choice, journal: Journal) -> AbstractContextManager[None]:
    """Look after the Ray that blocks run on, if they do."""
    on_ray = choice.executor.name in ("ray", "dask-on-ray")
    return cluster.watched(journal.warn_of) if on_ray else nullcontext()


_unseen: set[Path] = set()
"""Folders of own scratch that some worker could not see."""


def _where_it_can_be_read(choice: Choice, plan: Plan, left: NDArray[np.bool_], collect: Collect) -> None:
    """Have the workers read the input, or read it for them if it is in scratch that they cannot see."""
    if own_session(plan.source.location) not in _unseen:
        try:
            choice.executor.run(plan, _blocks(left), collect)
            return
        except PathError as error:
            home = own_session(error.path)
            if plan.needs_payload or home is None or not Path(error.path).exists():
                raise
            _unseen.add(home)
            message(
                plan.name,
                f"the input in the scratch folder {home} is not visible on all nodes: it is sent over the "
                "network; set RAYSPY_TMPDIR to a folder that all nodes share to avoid that",
            )
    choice.executor.run(plan.relayed(), _blocks(left), collect)


def _blocks(left: NDArray[np.bool_]) -> Sequence[int]:
    return range(len(left)) if left.all() else np.flatnonzero(left).tolist()
