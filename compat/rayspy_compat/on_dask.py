"""The plan as a Dask graph on the client's own scheduler, where Ray cannot run."""

from __future__ import annotations

import contextlib
import pickle
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rayspy.config import config
from rayspy.errors import ParallelError, WorkerError
from rayspy.executors.base import Collect
from rayspy.planning.plan import Plan
from rayspy_compat.blocks import Outcome, run_some, stop_here, unpickle_plan
from rayspy_compat.client import Workers, ask, describe_cluster, wake, workers_now
from rayspy_compat.flow import Flow, Lost

_LOOK_SECONDS = 1.0
"""How often workers are counted."""
_SCATTER_SECONDS = 2
"""How long a block's input waits for a worker before workers are counted again."""
_CANCEL_SECONDS = 10.0
"""How long to wait for cancelled blocks to be gone."""


_AT_ONCE = 4
"""Arrays that travel in one message."""


def _few(things: Sequence[Any]) -> Iterator[list[Any]]:
    return (list(things[k : k + _AT_ONCE]) for k in range(0, len(things), _AT_ONCE))


@dataclass(frozen=True)
class DaskExecutor:
    """Runs blocks on the scheduler and workers of a Dask client.

    Parameters
    ----------
    client : distributed.Client
        The client.
    n_workers : int
        How many blocks run at the same time, to begin with.
    limit : callable
        Returns how many blocks these workers may run at the same time.
    """

    client: Any
    n_workers: int
    limit: Callable[[Workers], int]
    name: ClassVar[str] = "dask"

    def run(self, plan: Plan, blocks: Sequence[int], collect: Collect) -> None:
        """See `rayspy.executors.base.Executor.run`."""
        if len(blocks):
            Flow(plan, _OnDask(plan, self), collect).finish(blocks)


@dataclass
class _OnDask:
    """Submits graphs to a client; see `rayspy_compat.flow.Scheduler`."""

    plan: Plan
    executor: DaskExecutor
    _done: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    _inputs: dict[Any, Any] = field(default_factory=dict)
    _outcomes: dict[Any, list[Outcome]] = field(default_factory=dict)
    _run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    _nudge: Any = None
    _room: int = 0
    _next_look: float = 0.0
    _last_seen: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        pickled = pickle.dumps(self.plan.for_workers())
        self._client = self.executor.client
        key = f"rayspy-plan-{self.plan.id}"
        self._plan = self._client.submit(unpickle_plan, pickled, key=key, pure=False)

    # -- how much

    def room(self) -> int:
        """Twice the slots of the workers there are, so that none waits for its next block."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look(now)
        return self._room

    def _look(self, now: float) -> None:
        self._check_open()
        workers = workers_now(self._client)
        allowed = self.executor.limit(workers)
        self._room = 2 * allowed if allowed >= workers.threads else allowed
        if workers.workers:
            self._last_seen, self._nudge = now, None
        else:
            self._nudge = self._nudge or wake(self._client)
        if now - self._last_seen > config.worker_timeout:
            raise ParallelError(
                f"{self.plan.name} lost all workers of the {describe_cluster(self._client)} and none came "
                f"back within {config.worker_timeout:g} s (spy.config.worker_timeout)"
            )

    # -- blocks out

    def submit(self, tasks: Sequence[tuple[int, ...]]) -> dict[Any, tuple[int, ...]]:
        """Submit one graph."""
        from dask._task_spec import Task

        attempt = time.monotonic_ns()
        keys = [f"rayspy-block-{self.plan.id}-{blocks[0]}-{attempt}" for blocks in tasks]
        inputs = [payload for few in _few(tasks) for payload in self._payloads(few)]
        graph = {
            key: Task(key, run_some, self._plan, blocks, payload, self._run_id)
            for key, blocks, payload in zip(keys, tasks, inputs, strict=True)
        }
        futures = self._client.get(graph, keys, sync=False)
        for future, payload in zip(futures, inputs, strict=True):
            self._inputs[future] = payload
            future.add_done_callback(self._done.put)
        return dict(zip(futures, tasks, strict=True))

    def _payloads(self, tasks: Sequence[tuple[int, ...]]) -> Sequence[Any]:
        """Inputs of some tasks of one block, sent to the workers in one go."""
        if not self.plan.needs_payload:
            return [None] * len(tasks)
        arrays = [self.plan.payload(blocks[0]) for blocks in tasks]
        while True:
            try:
                sent: Sequence[Any] = self._client.scatter(
                    arrays, hash=False, asynchronous=False, timeout=_SCATTER_SECONDS
                )
                return sent
            except Exception as error:
                self._look(time.monotonic())  # raises when there is no hope
                if not isinstance(error, (TimeoutError, OSError)):
                    raise

    # -- receipts in

    def finished(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Wait for one, return all that are done."""
        done = []
        with contextlib.suppress(queue.Empty):
            done.append(self._done.get(timeout=timeout))
            while True:
                done.append(self._done.get_nowait())
        for few in _few([future for future in done if future.status == "finished"]):
            with contextlib.suppress(Exception):  # `outcome` finds out which one it was
                self._outcomes.update(zip(few, self._client.gather(few, asynchronous=False), strict=True))
        return done

    def outcome(self, reference: Any) -> list[Outcome]:
        """Fetch what a task returned."""
        self._inputs.pop(reference, None)
        if reference in self._outcomes:
            return self._outcomes.pop(reference)
        if reference.status == "finished":
            return self._fetch(reference)
        if reference.status == "error":
            error = ask(self._client, reference._exception)
            if type(error).__name__ == "KilledWorker":
                raise Lost(type(error).__name__) from error
            raise WorkerError(f"a block of {self.plan.name} failed on the Dask cluster: {error!r}") from error
        self._check_open()
        raise Lost(f"its task was {reference.status}")

    def _fetch(self, reference: Any) -> list[Outcome]:
        try:
            outcome: list[Outcome] = self._client.gather([reference], asynchronous=False)[0]
            return outcome
        except Exception as error:
            self._check_open()
            raise Lost(f"its result is gone, {type(error).__name__}") from error

    def _check_open(self) -> None:
        if self._client.status in ("closing", "closed"):
            raise ParallelError(f"the Dask client was closed while {self.plan.name} was running on it")

    def cancel(self, references: Sequence[Any]) -> None:
        """Cancel blocks and wait for those that run already: Dask cannot stop a thread."""
        self._inputs.clear()
        if self._client.status != "running":
            return
        with contextlib.suppress(Exception):
            self._client.cancel(list(references), asynchronous=False, force=True)
        deadline = time.monotonic() + _CANCEL_SECONDS
        while time.monotonic() < deadline and self._still_running():
            time.sleep(0.05)

    def _still_running(self) -> bool:
        with contextlib.suppress(Exception):
            counts = self._client.run(stop_here, self._run_id, on_error="ignore", asynchronous=False)
            return any(counts.values())
        return False
