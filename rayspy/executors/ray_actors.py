"""Run blocks in Ray actors: one single-threaded actor per CPU, fed with block indices.

The actors are kept between calls. Nothing here waits for an actor that Ray cannot
place: an actor gets blocks after it has answered, and not before.
"""

from __future__ import annotations

import collections
import contextlib
import math
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rayspy import cluster
from rayspy.config import config
from rayspy.errors import ParallelError, WorkerError
from rayspy.planning.memory import BLOCKS_AHEAD
from rayspy.progress import warn

if TYPE_CHECKING:
    from rayspy.executors.base import Collect
    from rayspy.planning.plan import Plan, Receipt

__all__ = ["RayExecutor", "Waiting", "blocks_per_task", "release_actors"]

RunBlock = Callable[..., "Receipt"]

_TASKS_PER_SECOND = 200
"""What one driver hands out and takes back with ease; it manages some 500 to 800."""
_MOST_BLOCKS = 256
"""No task has more blocks than this."""
_TASK_BYTES = 64 * 2**20
"""No more results than this come back with one task,"""
_TASK_SHARE = 8
"""nor more than this part of the memory a worker needs, unless it is little."""
_FEW_BYTES = 2**20
_PLANS_KEPT = 4
"""Plans an actor remembers."""
_POLL_SECONDS = 1.0
"""How often new and lost nodes are looked for."""
_IDLE_SECONDS = 30.0
"""After this time without work the actors leave a Ray that is not ours."""
MAX_DEATHS = 3
"""How many workers may die of one block, and how many may die while they start."""
_KILL_SECONDS = 2.0
"""How long to wait for killed actors to be gone."""


# --- in the worker -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Failure:
    """An exception on its way from a worker to the driver."""

    pickled: bytes | None
    text: str
    pid: int
    node: str

    def error(self, plan_name: str, block: int) -> Exception:
        """Return the exception as it was raised, with the worker's traceback as a note."""
        where = f"block {block} of {plan_name} failed on node {self.node} in process {self.pid}"
        if self.pickled is not None:
            with contextlib.suppress(Exception):
                error = pickle.loads(self.pickled)
                error.add_note(f"{where}:\n{self.text}")
                return error  # type: ignore[no-any-return]
        return WorkerError(f"{where}:\n{self.text}")


def _failure(error: BaseException) -> _Failure:
    import os
    import platform

    text = "".join(traceback.format_exception(error))
    return _Failure(_pickled(error), text, os.getpid(), platform.node())


def _pickled(error: BaseException) -> bytes | None:
    """Pickle an exception that survives it as what it is; None for all others."""
    from ray import cloudpickle

    if not isinstance(error, Exception):
        return None
    try:
        pickled: bytes = cloudpickle.dumps(error)
        return pickled if type(pickle.loads(pickled)).__name__ == type(error).__name__ else None
    except Exception:
        return None


def _run_block(plan: Plan, block: int, payload: Any) -> Receipt:
    from rayspy.executors.run import run_block

    return run_block(plan, block, payload)


def blocks_per_task(n_actors: int, seconds: float, n_left: int) -> int:
    """How many blocks an actor is given at a time, so that one driver can feed all actors.

    One, unless blocks are so short, or actors so many, that the driver would
    have to hand out more than `_TASKS_PER_SECOND`. Towards the end of a run fewer,
    so that no actor works long while others wait, but not so few that handing out
    the rest takes longer than a task.

    Parameters
    ----------
    n_actors : int
        Actors at work.
    seconds : float
        What a block takes.
    n_left : int
        Blocks that wait.
    """
    wanted = n_actors / (_TASKS_PER_SECOND * max(seconds, 1e-6))
    fair = n_left / (2 * BLOCKS_AHEAD * n_actors)
    brisk = math.sqrt(n_left / (_TASKS_PER_SECOND * max(seconds, 1e-6)))
    return max(1, int(min(math.ceil(wanted), max(fair, brisk), _MOST_BLOCKS)))


class _Actor:
    """Runs blocks, one after the other, of plans it was given once."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
        self._bound: collections.OrderedDict[str, tuple[Plan, RunBlock]] = collections.OrderedDict()

    def hello(self, path: Sequence[str]) -> tuple[str, int]:
        """Find modules where the driver finds them; return the ids of node and process."""
        import os

        import ray

        sys.path += [folder for folder in path if folder not in sys.path]
        return ray.get_runtime_context().get_node_id(), os.getpid()

    def run(
        self, plan_id: str, bound: list[Any], blocks: Sequence[int], payload: Any
    ) -> list[Receipt | _Failure]:
        """Run blocks up to the first that fails.

        `bound` holds a reference to the plan the first time an actor sees it.
        """
        done: list[Receipt | _Failure] = []
        try:
            if bound:
                self._bind(plan_id, bound[0])
            plan, run = self._bound[plan_id]
            for block in blocks:
                done.append(run(plan, block, payload))
        except BaseException as error:
            done.append(_failure(error))
        return done

    def _bind(self, plan_id: str, reference: Any) -> None:
        import ray

        self._bound[plan_id] = ray.get(reference)
        self._bound.move_to_end(plan_id)
        while len(self._bound) > _PLANS_KEPT:
            self._bound.popitem(last=False)


# --- the pool of actors ------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Slot:
    """One actor as the driver sees it."""

    actor: Any
    hello: Any
    """Reference to the answer that is waited for; None: the actor is ready."""
    node: str = ""
    pid: int = 0
    plan_id: str = ""
    tasks: dict[Any, _Task] = field(default_factory=dict)
    """Blocks in flight by reference, oldest first."""
    sent: int = 0
    returned: int = 0

    @property
    def busy(self) -> bool:
        return self.sent != self.returned


@dataclass(frozen=True)
class _Task:
    blocks: tuple[int, ...]
    payload_bytes: int


@dataclass
class _Pool:
    """The actors of one connection to Ray."""

    ray: Any
    key: tuple[str, str]
    slots: list[_Slot] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock)
    timer: threading.Timer | None = None

    def grow(self, n_slots: int) -> None:
        while len(self.slots) < n_slots:
            self.slots.append(self._start())

    def _start(self) -> _Slot:
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if not cluster.one_thread_per_worker():
            options["runtime_env"] = {"env_vars": dict(cluster.ONE_THREAD)}
        actor = self.ray.remote(_Actor).options(**options).remote()
        return _Slot(actor, actor.hello.remote(sys.path))

    def greet(self) -> None:
        """Ask all actors whether they are still there."""
        for slot in self.slots:
            slot.hello = slot.actor.hello.remote(sys.path)
            slot.plan_id = ""

    def drop(self, slots: Sequence[_Slot]) -> None:
        """Kill actors; returns when they are gone."""
        pending = [reference for slot in slots for reference in slot.tasks]
        for slot in slots:
            if slot in self.slots:
                self.slots.remove(slot)
            with contextlib.suppress(Exception):
                self.ray.kill(slot.actor)
        if pending:
            self.ray.wait(pending, num_returns=len(pending), timeout=_KILL_SECONDS)
        self._wait_gone([slot.pid for slot in slots if slot.pid and slot.node == self.key[0]])

    def _wait_gone(self, pids: Sequence[int]) -> None:
        import psutil

        deadline = time.monotonic() + _KILL_SECONDS
        while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.005)

    def release_later(self) -> None:
        """Free the CPUs of a Ray that is not ours when nothing happens for a while."""
        if cluster.ray_is_ours():
            return
        self.timer = threading.Timer(_IDLE_SECONDS, self.release)
        self.timer.daemon = True
        self.timer.start()

    def release(self) -> None:
        """Kill all actors unless a run is using them."""
        if self.lock.acquire(blocking=False):
            try:
                if _pool is self and cluster.ray_is_connected():
                    self.drop(list(self.slots))
            finally:
                self.lock.release()

    def keep(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


_pool: _Pool | None = None
_pool_guard = threading.Lock()


def _current_pool(ray: Any) -> _Pool:
    global _pool
    context = ray.get_runtime_context()
    key = (context.get_node_id(), context.get_job_id())
    with _pool_guard:
        if _pool is None or _pool.key != key:
            _pool = _Pool(ray, key)
        return _pool


def release_actors() -> None:
    """Kill the actors kept between calls, which frees their CPUs; the next call starts new ones."""
    if _pool is not None:
        _pool.keep()
        _pool.release()


# --- one run -----------------------------------------------------------------------------------------------


class RayExecutor:
    """Runs blocks in actors of the connected Ray.

    Parameters
    ----------
    n_workers : int, optional
        At most this many actors; default: one per CPU.
    run : callable, optional
        ``run(plan, block, payload) -> Receipt``; default: `rayspy.executors.run.run_block`.
    """

    name = "ray"

    def __init__(self, n_workers: int | None = None, run: RunBlock | None = None) -> None:
        self._cap = n_workers
        self._run_block = run or _run_block

    @property
    def n_workers(self) -> int:
        """How many blocks run at the same time on the nodes there are now."""
        return _team_size(cluster.require_ray().nodes(), self._cap)

    def run(self, plan: Plan, blocks: Sequence[int], collect: Collect) -> None:
        """Run the given blocks and hand every receipt to `collect`; see `Executor.run`."""
        if not len(blocks):
            return
        ray = cluster.require_ray()
        pool = _current_pool(ray)
        with pool.lock:
            pool.keep()
            try:
                _Run(pool, plan, self._run_block, blocks, collect, self._cap).finish()
            finally:
                pool.release_later()


def _alive(nodes: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, float]]]:
    return ((node["NodeID"], node["Resources"]) for node in nodes if node["Alive"])


def _team_size(nodes: Sequence[dict[str, Any]], cap: int | None) -> int:
    cpus = sum(int(resources.get("CPU", 0)) for _, resources in _alive(nodes))
    return max(1, cpus if cap is None else min(cap, cpus))


class Waiting:
    """Blocks of a plan that wait for a worker, and what those that came back tell of them.

    Parameters
    ----------
    plan : Plan
        The plan.
    blocks : sequence of int
        Its blocks that are to be computed.
    """

    def __init__(self, plan: Plan, blocks: Sequence[int]) -> None:
        self._plan = plan
        self._queue = collections.deque(blocks)
        self._deaths: collections.Counter[int] = collections.Counter()
        self._alone: set[int] = set()
        """Blocks a worker may have died of; they are sent one at a time."""
        self._seconds, self._value_bytes = math.inf, 0

    def __len__(self) -> int:
        return len(self._queue)

    def next_task(self, n_workers: int) -> tuple[int, ...]:
        """Take the blocks that one of so many workers is given."""
        n = 1
        if not self._plan.needs_payload:
            n = blocks_per_task(n_workers, self._seconds, len(self._queue))
            most = max(_FEW_BYTES, self._plan.memory.per_worker // _TASK_SHARE)
            n = max(1, min(n, min(most, _TASK_BYTES) // max(1, self._value_bytes)))
        blocks = [self._queue.popleft()]
        while self._queue and len(blocks) < n and not self._alone.intersection((blocks[0], self._queue[0])):
            blocks.append(self._queue.popleft())
        return tuple(blocks)

    def take_back(self, blocks: Sequence[int]) -> None:
        """Let blocks be the next ones."""
        self._queue.extendleft(reversed(blocks))

    def accept(self, blocks: Sequence[int], results: Sequence[Receipt | _Failure], collect: Collect) -> None:
        """Hand receipts to `collect`, as far as there are any; raises the error of a block that failed."""
        for block, result in zip(blocks, results, strict=False):
            if isinstance(result, _Failure):
                raise result.error(self._plan.name, block)
            known = result.seconds if math.isinf(self._seconds) else self._seconds
            self._seconds = 0.9 * known + 0.1 * result.seconds
            self._value_bytes = result.value_bytes
            collect(result)

    def blame(self, blocks: Sequence[int], what: str) -> None:
        """Count the loss of a worker against the block that ran; of several they are tried one at a time.

        Raises
        ------
        WorkerError
            It is the `MAX_DEATHS`-th of one block; `what` says so.
        """
        self._alone.update(blocks)
        if len(blocks) > 1:
            return
        (block,) = blocks
        self._deaths[block] += 1
        if self._deaths[block] >= MAX_DEATHS:
            raise WorkerError(
                f"block {block} of {self._plan.name}: {what}, probably because memory ran out (the plan "
                f"needs {self._plan.memory.per_worker / 1e6:.0f} MB per worker); a smaller "
                "`spy.config.memory_budget` or `chan_per_worker` makes the blocks smaller"
            )


class _Run:
    """One plan on its way through the pool."""

    def __init__(
        self, pool: _Pool, plan: Plan, run: RunBlock, blocks: Sequence[int], collect: Collect, cap: int | None
    ) -> None:
        self._ray = pool.ray
        self._pool = pool
        self._plan = plan
        self._collect = collect
        self._cap = cap
        self._waiting = Waiting(plan, blocks)
        self._team: list[_Slot] = []
        self._failed_starts = 0
        self._bound = self._ray.put((plan.for_workers(), run))
        self._node_limits: dict[str, int] = {}
        self._payload_limit = 0
        self._next_look = 0.0
        self._last_ready = time.monotonic()

    def finish(self) -> None:
        """Run all blocks; after an error nothing of this plan runs any more."""
        try:
            self._pool.drop([slot for slot in self._pool.slots if slot.busy])
            self._pool.greet()
            while self._waiting or self._in_flight():
                cluster.check_ray()
                self._look_at_nodes()
                self._feed()
                self._receive()
        except Exception:
            cluster.check_ray()
            raise
        finally:
            if not cluster.why_ended():
                self._pool.drop([slot for slot in self._pool.slots if slot.busy])

    def _in_flight(self) -> int:
        return sum(len(slot.tasks) for slot in self._team)

    # -- nodes and actors

    def _look_at_nodes(self) -> None:
        """Use nodes that appeared; forget actors that wait for nodes that went."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _POLL_SECONDS
        nodes = self._ray.nodes()
        need = self._plan.memory.per_worker
        self._node_limits = {
            node: max(1, int(resources.get("memory", 0)) // max(1, need)) for node, resources in _alive(nodes)
        }
        store = sum(resources.get("object_store_memory", 0) for _, resources in _alive(nodes))
        self._payload_limit = int(store) // 2
        wanted = _team_size(nodes, self._cap)
        waiting = [slot for slot in self._pool.slots if slot.hello is not None]
        self._pool.drop(waiting[: max(0, len(self._pool.slots) - max(wanted, len(self._team)))])
        self._pool.grow(min(wanted, len(self._waiting) + self._in_flight()))

    def _welcome(self, slot: _Slot) -> None:
        """Take an actor into the team when it has answered."""
        reference, slot.hello = slot.hello, None
        try:
            slot.node, slot.pid = self._ray.get(reference)
        except self._death_errors() as error:
            self._not_started(slot, error)
            return
        self._failed_starts = 0
        self._recruit()

    def _recruit(self) -> None:
        """Fill the team with actors that are ready."""
        for slot in self._pool.slots:
            if self._cap is not None and len(self._team) >= self._cap:
                return
            if slot.hello is None and slot not in self._team:
                self._team.append(slot)

    def _not_started(self, slot: _Slot, error: Exception) -> None:
        self._pool.drop([slot])
        self._next_look = 0.0
        if slot.pid:  # it worked before this run
            return
        self._failed_starts += 1
        if self._failed_starts >= MAX_DEATHS:
            raise ParallelError(
                f"Ray cannot start workers, {self._failed_starts} died at once: {error}"
            ) from error

    def _death_errors(self) -> tuple[type[Exception], ...]:
        errors = self._ray.exceptions
        return (
            errors.RayActorError,
            errors.OutOfMemoryError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.ObjectLostError,
        )

    # -- blocks out

    def _feed(self) -> None:
        """Give every actor a block, then a second one as long as there are enough for all."""
        for depth in range(1, BLOCKS_AHEAD + 1):
            if depth > 1 and len(self._waiting) < len(self._team):
                return
            for slot in self._team:
                if not self._waiting or self._payload_full():
                    return
                if len(slot.tasks) < depth and self._node_has_room(slot):
                    self._send(slot, self._waiting.next_task(len(self._team)))

    def _node_has_room(self, slot: _Slot) -> bool:
        if slot.tasks:
            return True
        working = sum(1 for other in self._team if other.tasks and other.node == slot.node)
        return working < self._node_limits.get(slot.node, 1)

    def _payload_full(self) -> bool:
        waiting = sum(task.payload_bytes for slot in self._team for task in slot.tasks.values())
        return waiting > 0 and waiting >= self._payload_limit

    def _send(self, slot: _Slot, blocks: tuple[int, ...]) -> None:
        payload, n_bytes = None, 0
        if self._plan.needs_payload:
            array = self._plan.payload(blocks[0])
            payload, n_bytes = self._ray.put(array), int(array.nbytes)
        bound = [] if slot.plan_id == self._plan.id else [self._bound]
        slot.sent += 1
        reference = slot.actor.run.remote(self._plan.id, bound, blocks, payload)
        slot.tasks[reference] = _Task(blocks, n_bytes)
        slot.plan_id = self._plan.id

    # -- receipts in

    def _receive(self) -> None:
        owners = {reference: slot for slot in self._team for reference in slot.tasks}
        owners.update({slot.hello: slot for slot in self._pool.slots if slot.hello is not None})
        self._check_patience()
        if not owners:
            time.sleep(_POLL_SECONDS / 10)
            return
        everything = list(owners)
        if not self._ray.wait(everything, num_returns=1, timeout=_POLL_SECONDS)[0]:
            return
        for reference in self._ray.wait(everything, num_returns=len(everything), timeout=0)[0]:
            slot = owners[reference]
            if reference == slot.hello:
                self._welcome(slot)
            elif reference in slot.tasks:
                self._take(slot, reference)

    def _take(self, slot: _Slot, reference: Any) -> None:
        blocks = slot.tasks[reference].blocks
        found, results = self._outcome(reference)
        if not found:
            self._bury(slot)
            return
        slot.returned += 1
        del slot.tasks[reference]
        self._waiting.accept(blocks, results, self._collect)

    def _outcome(self, reference: Any) -> tuple[bool, Any]:
        """Return whether a task was finished, and its receipts, of which the last may be a failure."""
        try:
            return True, self._ray.get(reference, timeout=_KILL_SECONDS)
        except (*self._death_errors(), self._ray.exceptions.GetTimeoutError):
            return False, None
        except self._ray.exceptions.RayError as error:
            raise WorkerError(f"a block of {self._plan.name} failed: {error}") from error

    def _bury(self, slot: _Slot) -> None:
        """Rerun the blocks of an actor that died, except those it had finished."""
        self._team.remove(slot)
        self._pool.drop([slot])
        self._recruit()
        self._next_look = 0.0
        lost = []
        for reference, task in slot.tasks.items():
            found, results = self._outcome(reference)
            if found:
                self._waiting.accept(task.blocks, results, self._collect)
            else:
                lost.append(task.blocks)
        slot.tasks.clear()
        if lost:
            warn(self._plan.name, f"worker {slot.pid} on node {slot.node[:8]} died; its blocks run again")
            self._waiting.blame(lost[0], f"the worker process died {MAX_DEATHS} times")
            for blocks in reversed(lost):
                self._waiting.take_back(blocks)

    def _check_patience(self) -> None:
        now = time.monotonic()
        if self._team:
            self._last_ready = now
        elif now - self._last_ready > config.worker_timeout:
            total, free = self._ray.cluster_resources(), self._ray.available_resources()
            raise ParallelError(
                f"no worker became ready within {config.worker_timeout:g} s: waited for "
                f"{len(self._pool.slots)} actor(s) of 1 CPU each; of the cluster's {total.get('CPU', 0):g} "
                f"CPUs {free.get('CPU', 0):g} are free. Other tasks or actors may hold them"
            )
