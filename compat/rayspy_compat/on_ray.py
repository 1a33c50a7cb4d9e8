"""Dask-on-Ray: the plan as a Dask graph whose tasks run on Ray."""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rayspy import cluster
from rayspy.config import config
from rayspy.errors import ParallelError, WorkerError
from rayspy.executors.base import Collect
from rayspy.executors.ray_actors import release_actors
from rayspy.planning.plan import Plan
from rayspy.progress import waiting
from rayspy_compat.blocks import Outcome, StoredPlan, run_some
from rayspy_compat.flow import Flow, Lost

_LOOK_SECONDS = 1.0
"""How often nodes are counted."""
_SILENT_SECONDS = 0.5
_KILL_SECONDS = 5.0
"""How long to wait for cancelled blocks to be gone."""


def _not_shown(_: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True)
class DaskOnRayExecutor:
    """Runs blocks as a Dask graph on the connected Ray.

    Parameters
    ----------
    n_workers : int
        At most this many blocks at the same time.
    check : callable, optional
        Called now and then; raises when what Ray runs on is gone.
    elastic : bool
        Use all nodes there are, as many as their memory allows; they may come and go.
    lock : lock, optional
        Held while a plan runs.
    shown : callable, optional
        Returns a context manager that shows elsewhere that something of a name runs.
    """

    n_workers: int
    check: Callable[[], None] | None = None
    elastic: bool = False
    lock: Any = field(default_factory=threading.RLock)
    shown: Callable[[str], contextlib.AbstractContextManager[None]] = _not_shown
    name: ClassVar[str] = "dask-on-ray"

    def run(self, plan: Plan, blocks: Sequence[int], collect: Collect) -> None:
        """See `rayspy.executors.base.Executor.run`."""
        if len(blocks):
            with self.lock, self.shown(plan.name):
                self.check_there()
                release_actors()
                Flow(plan, _OnRay(plan, self), collect).finish(blocks)

    def check_there(self) -> None:
        """Raise `ParallelError` if what Ray runs on is gone, or Ray with it."""
        if self.check is not None:
            self.check()
        if not cluster.ray_is_connected():
            raise ParallelError(
                "the Ray that works for the Dask client has ended: the client was closed, or its "
                "scheduler was killed or lost; make a new client, or use parallel=False"
            )


@dataclass
class _OnRay:
    """Submits graphs through Dask-on-Ray; see `rayspy_compat.flow.Scheduler`."""

    plan: Plan
    executor: DaskOnRayExecutor
    _ray: Any = field(default_factory=cluster.require_ray)
    _get: Callable[..., Any] = field(default_factory=lambda: ray_dask_get())
    _payloads: dict[Any, int] = field(default_factory=dict)
    _options: dict[str, Any] = field(default_factory=dict)
    _payload_limit: int = 0
    _slots: int = 0
    _next_look: float = 0.0
    _last_seen: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._plan = StoredPlan(self.plan.id, self._ray.put(self.plan.for_workers()))
        self._options = {"max_retries": 0}
        if self.executor.elastic:
            self._options["memory"] = self.plan.memory.per_worker
        if not cluster.ray_is_ours():
            self._options["runtime_env"] = {"env_vars": dict(cluster.ONE_THREAD)}

    # -- how much

    def room(self) -> int:
        """Twice the slots, so that none waits for its next block; less where memory is short."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look(now)
        waiting = sum(self._payloads.values())
        return 0 if waiting and waiting >= self._payload_limit else self._slots

    def _look(self, now: float) -> None:
        cluster.check_ray()
        self.executor.check_there()
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cpus = int(sum(resources.get("CPU", 0) for resources in nodes))
        allowed = self.executor.n_workers
        self._slots = 2 * cpus if self.executor.elastic or allowed >= cpus else allowed
        self._payload_limit = int(sum(resources.get("object_store_memory", 0) for resources in nodes)) // 2
        if cpus:
            self._last_seen = now
        elif now - self._last_seen > config.worker_timeout:
            raise ParallelError(
                f"all Ray nodes of {self.plan.name} are gone and none came back within "
                f"{config.worker_timeout:g} s (spy.config.worker_timeout)"
            )

    # -- blocks out

    def submit(self, tasks: Sequence[tuple[int, ...]]) -> dict[Any, tuple[int, ...]]:
        """Submit one graph."""
        graph, keys, sizes = self._graph(tasks)
        references = contextvars.Context().run(
            self._get,
            graph,
            keys,
            ray_persist=True,
            ray_remote_args=self._options,
            pool=SameThread(),
            ray_callbacks=(),
            callbacks=(),
            cache={},
            rerun_exceptions_locally=False,
        )
        self._payloads.update(zip(references, sizes, strict=True))
        return dict(zip(references, tasks, strict=True))

    def _graph(self, tasks: Sequence[tuple[int, ...]]) -> tuple[dict[str, Any], list[str], list[int]]:
        from dask._task_spec import DataNode, Task, TaskRef

        graph: dict[str, Any] = {}
        keys, sizes = [], []
        for blocks in tasks:
            key, payload, size = f"rayspy-{self.plan.id}-{blocks[0]}", None, 0
            if self.plan.needs_payload:
                array = self.plan.payload(blocks[0])
                payload, size = TaskRef(f"{key}-input"), int(array.nbytes)
                graph[payload.key] = DataNode(payload.key, self._ray.put(array))
            graph[key] = Task(key, run_some, self._plan, blocks, payload)
            keys.append(key)
            sizes.append(size)
        return graph, keys, sizes

    # -- receipts in

    def finished(self, references: Sequence[Any], timeout: float) -> list[Any]:
        """Wait for one, return all that are done."""
        cluster.check_ray()
        if not references:
            time.sleep(timeout / 5)
            return []
        everything = list(references)
        if not self._ray.wait(everything, num_returns=1, timeout=timeout, fetch_local=False)[0]:
            return []
        done = self._ray.wait(everything, num_returns=len(everything), timeout=0, fetch_local=False)[0]
        return list(done)

    def outcome(self, reference: Any) -> list[Outcome]:
        """Fetch what a task returned."""
        self._payloads.pop(reference, None)
        try:
            result: list[Outcome] = self._ray.get(reference)
            return result
        except self._ray.exceptions.RayError as error:
            cluster.check_ray()
            if not isinstance(error, self._losses()):
                raise WorkerError(f"a block of {self.plan.name} failed: {error}") from error
            raise Lost(type(error).__name__) from error

    def _losses(self) -> tuple[type[Exception], ...]:
        errors = self._ray.exceptions
        return (
            errors.WorkerCrashedError,
            errors.OutOfMemoryError,
            errors.NodeDiedError,
            errors.ObjectLostError,
        )

    def cancel(self, references: Sequence[Any]) -> None:
        """Kill the workers of these blocks."""
        if not cluster.ray_is_connected() or cluster.why_ended():
            return
        for reference in references:
            with contextlib.suppress(Exception):
                self._ray.cancel(reference, force=True)
        with contextlib.suppress(Exception):
            n = len(references)
            self._ray.wait(list(references), num_returns=n, timeout=_KILL_SECONDS, fetch_local=False)


class SameThread:
    """Submits tasks in the calling thread; Dask-on-Ray would make a pool of threads and keep it for ever."""

    _pool = (None,)

    def apply_async(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwds: dict[str, Any] | None = None,
        callback: Callable[[Any], None] | None = None,
    ) -> None:
        """Call a function and hand over its result."""
        result = function(*args, **(kwds or {}))
        if callback is not None:
            callback(result)


def ray_dask_get() -> Callable[..., Any]:
    """Return Dask-on-Ray's scheduler; importing it leaves Dask as it is."""
    if "ray.util.dask" not in sys.modules:
        _import_quietly()
    get: Callable[..., Any] = sys.modules["ray.util.dask"].ray_dask_get
    return get


@contextlib.contextmanager
def importing_meanwhile() -> Iterator[None]:
    """Import Ray and Dask-on-Ray, which takes seconds, while something else is waited for."""
    failed: list[BaseException] = []

    def load() -> None:
        try:
            cluster.import_ray()
            ray_dask_get()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=load, name="rayspy-import", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(_SILENT_SECONDS)
        if thread.is_alive():
            with waiting("attach", "importing Dask-on-Ray"):
                thread.join()
    if failed:
        raise failed[0]


def _import_quietly() -> None:
    """Import ``ray.util.dask`` and take back its patch of ``dask.persist``."""
    import dask
    import dask.base

    before = dask.persist, dask.base.DaskMethodsMixin.persist
    try:
        importlib.import_module("ray.util.dask")
    except ImportError as error:
        raise ParallelError(
            f"Dask-on-Ray cannot be imported ({error}); run `pip install pandas pyarrow 'ray[default]'`"
        ) from error
    finally:
        dask.persist, dask.base.DaskMethodsMixin.persist = before
