"""Local threads over blocks: NumPy and SciPy release the interpreter lock while they compute."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import ClassVar

from rayspy.executors.base import Collect
from rayspy.executors.run import forget_room, run_block
from rayspy.planning.plan import Plan, Receipt


@dataclass(frozen=True)
class LocalExecutor:
    """Runs blocks on a number of threads of this process; one thread: in the caller's."""

    n_workers: int
    name: ClassVar[str] = "local"

    def run(self, plan: Plan, blocks: Sequence[int], collect: Collect) -> None:
        """See `rayspy.executors.base.Executor.run`."""
        if self.n_workers == 1 or len(blocks) == 1:
            try:
                for i in blocks:
                    collect(run_block(plan, i))
            finally:
                forget_room()
            return
        run = _ThreadedRun(plan, iter(blocks), min(self.n_workers, len(blocks)))
        try:
            for _ in blocks:
                collect(run.next_receipt())
        finally:
            run.stop()


class _ThreadedRun:
    """Threads that take block numbers from one iterator and put receipts into one queue."""

    def __init__(self, plan: Plan, blocks: Iterator[int], n_threads: int) -> None:
        self._plan = plan
        self._blocks = blocks
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._done: queue.Queue[Receipt | BaseException] = queue.Queue(2 * n_threads)
        self._threads = [
            threading.Thread(target=copy_context().run, args=(self._work,), name=f"rayspy-{k}", daemon=True)
            for k in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def _next_block(self) -> int | None:
        with self._lock:
            return None if self._stopped.is_set() else next(self._blocks, None)

    def _work(self) -> None:
        while (i := self._next_block()) is not None:
            try:
                outcome: Receipt | BaseException = run_block(self._plan, i)
            except BaseException as error:
                self._stopped.set()
                outcome = error
            self._done.put(outcome)

    def next_receipt(self) -> Receipt:
        outcome = self._done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def stop(self) -> None:
        """Let no further block start and wait for those that run."""
        self._stopped.set()
        for thread in self._threads:
            while thread.is_alive():
                with contextlib.suppress(queue.Empty):
                    self._done.get_nowait()
                thread.join(timeout=0.005)
