"""Attach to the running Dask client: Ray on its resources, or its own scheduler where Ray cannot run."""

from __future__ import annotations

import logging
import threading
import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from rayspy import cluster
from rayspy.errors import MemoryBudgetError, ParallelError
from rayspy.executors.base import Executor
from rayspy.executors.choose import Choice
from rayspy.limits import usable_cpus
from rayspy.planning.memory import Memory, affordable_workers
from rayspy.progress import message, warn
from rayspy_compat import client as clients
from rayspy_compat.client import Workers
from rayspy_compat.ending import InUse, when_closed
from rayspy_compat.nodes import RayNodes
from rayspy_compat.on_dask import DaskExecutor
from rayspy_compat.on_ray import DaskOnRayExecutor, importing_meanwhile
from rayspy_compat.probe import check_environments, workers_elsewhere
from rayspy_compat.shown import shown_on_dask

CALL = "this computation"


def detect(memory: Memory) -> Choice | None:
    """Return an executor on the running Dask client's resources, or None without a client.

    Raises
    ------
    ParallelError
        The client has no workers, or cannot be used.
    MemoryBudgetError
        A block does not fit into its workers.
    """
    _forget_closed()
    client = clients.running_client()
    if client is None:
        return None
    level = logging.DEBUG if _current is not None and _current.client_id == client.id else logging.INFO
    workers = clients.check_workers_available(client, level=level)
    message("check_workers_available", f"..attaching to running Dask client:\n\t{client!r}", level)
    return attach(client, workers).choice(workers, memory)


# --- what a client is attached by --------------------------------------------------------------------------


@dataclass(eq=False)
class Attachment:
    """How the plans of this process get to one Dask client's resources.

    Parameters
    ----------
    client : distributed.Client
        Only a weak reference is kept: a client nobody holds is closed.
    workers : Workers
        The workers it had.
    """

    client: Any
    workers: Workers
    lock: InUse = field(default_factory=InUse)
    """Held by a run."""
    reason = ""
    """Why a plan runs there, for the user."""

    def __post_init__(self) -> None:
        self._client = weakref.ref(self.client)
        self.client_id = str(self.client.id)
        self.client = None

    def choice(self, workers: Workers, memory: Memory) -> Choice:
        """Return the executor for one plan."""
        raise NotImplementedError

    def fits(self, workers: Workers) -> bool:
        """Whether it also serves these workers."""
        return workers.addresses <= self.workers.addresses

    def is_open(self) -> bool:
        """Whether the client is still there."""
        client = self._client()
        return client is not None and client.status not in ("closing", "closed")

    def check(self) -> None:
        """Raise unless the client is still there."""
        if not self.is_open():
            raise ParallelError(
                "the Dask client was closed, or its scheduler was killed or lost, while a computation was "
                "running on its resources; make a new client, or use parallel=False"
            )

    def shown(self, name: str) -> AbstractContextManager[None]:
        """Show on the client's dashboard that something runs."""
        return shown_on_dask(self._client(), name)

    def dashboards(self, info: cluster.ClusterInfo) -> str:
        """Say which dashboard shows what."""
        client = self._client()
        own = f"; Dask's, {client.dashboard_link}, has one task per computation" if client is not None else ""
        blocks = f"{info.dashboard}, shows the blocks" if info.dashboard else "off"
        return f"dashboard: {blocks}{own}"

    def close(self) -> None:
        """Free what was started for the client."""


def slots(workers: Workers, memory: Memory) -> int:
    """How many blocks fit into the workers at the same time.

    Raises
    ------
    MemoryBudgetError
        Not even one.
    """
    n = workers.blocks_at_once(memory.per_worker)
    if n < 1:
        largest = max(worker.memory for worker in workers.workers)
        raise MemoryBudgetError(
            f"a block needs {memory.per_worker / 1e6:.1f} MB, the Dask workers are limited to "
            f"{largest / 1e6:.1f} MB each; {memory.advice}, lower spy.config.block_bytes, or start workers "
            "with more memory"
        )
    return n


class OnLocalRay(Attachment):
    """A Ray in this process's reach: started here for the client, or the user's own."""

    reason = "attached to the running Dask client"
    ours = False
    """Whether this Ray was started for the client."""
    cpus = 0.0

    def choice(self, workers: Workers, memory: Memory) -> Choice:
        """Return Dask-on-Ray."""
        n = affordable_workers(memory, min(slots(workers, memory), max(1, int(self.cpus))), CALL, True)
        check = self.check if self.ours else None
        executor: Executor = DaskOnRayExecutor(n, check, lock=self.lock, shown=self.shown)
        return Choice(executor, self.reason)

    def fits(self, workers: Workers) -> bool:
        """Whether Ray is still there and large enough."""
        if not cluster.ray_is_connected():
            return False
        if not self.ours or super().fits(workers):
            return not self.ours or workers.threads <= self.cpus
        if workers.threads > self.cpus or workers_elsewhere(self._client()):
            return False
        self.workers = workers
        return True

    def start(self) -> None:
        """Use the connected Ray, or start one as large as the client's workers."""
        with importing_meanwhile():
            info = self._connected() or self._start_ours()
        self.cpus = info.cpus
        message("attach", f"Ray has {info.cpus:g} CPUs for this client, {self.dashboards(info)}")

    def _connected(self) -> cluster.ClusterInfo | None:
        """Describe a Ray the user connected to, if any."""
        return cluster.describe() if ray_of_user() else None

    def _start_ours(self) -> cluster.ClusterInfo:
        if cluster.ray_is_ours() and cluster.describe().cpus >= self.workers.threads:
            return cluster.describe()
        cluster.shutdown_local_ray()
        self.ours = True
        return cluster.start_local_ray(num_cpus=self.workers.threads, memory=self.workers.memory)

    def close(self) -> None:
        """End the Ray that was started for the client."""
        if self.ours and cluster.ray_is_ours():
            cluster.shutdown_local_ray()


class OnNodes(Attachment):
    """A Ray whose nodes run inside the workers."""

    reason = "Ray nodes inside the workers of the running Dask client"
    nodes: RayNodes

    def choice(self, workers: Workers, memory: Memory) -> Choice:
        """Return Dask-on-Ray, on whatever nodes there are."""
        self.nodes.check_memory(memory)
        n = slots(workers, memory)
        executor = DaskOnRayExecutor(n, self.check, elastic=True, lock=self.lock, shown=self.shown)
        return Choice(executor, self.reason)

    def fits(self, workers: Workers) -> bool:
        """Whether Ray is still there: nodes follow the workers."""
        return cluster.ray_is_ours()

    def start(self, client: Any) -> None:
        """Start the head here and a node in every worker."""
        self.nodes = RayNodes(client)
        with importing_meanwhile():
            info = self.nodes.start(client)
        message("attach", f"Ray runs inside the Dask workers, {self.dashboards(info)}")

    def close(self) -> None:
        """End the nodes and the head."""
        self.nodes.stop()


class OnDask(Attachment):
    """The client's own scheduler."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tries = cluster.state.tries

    def choice(self, workers: Workers, memory: Memory) -> Choice:
        """Return the executor that uses Dask alone."""
        n = slots(workers, memory)
        executor = DaskExecutor(self._client(), n, lambda now: now.blocks_at_once(memory.per_worker))
        return Choice(executor, self.reason)

    def fits(self, workers: Workers) -> bool:
        """Whether all workers are known to have what is needed, and nobody wants Ray to be tried again."""
        return super().fits(workers) and self.tries == cluster.state.tries


# --- attaching ---------------------------------------------------------------------------------------------

_current: Attachment | None = None
_guard = threading.RLock()
_force = ""
"""For tests: 'dask' or 'nodes'."""


def attach(client: Any, workers: Workers) -> Attachment:
    """Return the attachment to a client; made at first use, and again when it is outgrown."""
    global _current
    with _guard:
        known = attached(client, workers)
        if known is not None:
            return known
        detach()
        made = _current = _make(client, workers)
        when_closed(client, lambda: _current is not made, _forget_closed)
        return made


def detach() -> None:
    """Free what was started for the client that is attached, if any."""
    global _current
    with _guard:
        if _current is not None:
            with _current.lock:
                try:
                    _current.close()
                finally:
                    _current = None


def attached(client: Any, workers: Workers) -> Attachment | None:
    """Return the attachment that a plan would use as it is, if there is one."""
    with _guard:
        known = _current is not None and _current.client_id == client.id and _current.fits(workers)
        return _current if known else None


def _forget_closed() -> None:
    """Free what belongs to a client that was closed, unless a run is just about to notice."""
    if not _guard.acquire(blocking=False):
        return
    try:
        if _current is not None and not _current.is_open() and not _current.lock.busy:
            detach()
    finally:
        _guard.release()


def _make(client: Any, workers: Workers) -> Attachment:
    without_ray = why_without_ray(client)
    if without_ray:
        return _on_dask(client, workers, without_ray)
    try:
        return _on_ray(client, workers)
    except (ParallelError, OSError) as error:
        warn("attach", f"Ray cannot be used ({error}); the Dask client's own scheduler runs this instead")
        return _on_dask(client, workers, own_scheduler("Ray cannot run on this Dask client's resources"))


def why_without_ray(client: Any) -> str:
    """Say why the client's own scheduler is used rather than Ray; '' if Ray is."""
    if _force == "dask":
        return own_scheduler("Ray is not wanted")
    if clients.is_adaptive(client):
        return own_scheduler("the cluster is adaptive, it follows Dask's own tasks")
    return ""


def own_scheduler(why: str) -> str:
    """Reason for the client's own scheduler."""
    return f"the Dask client's own scheduler: {why}"


def ray_of_user() -> bool:
    """Whether a Ray is connected that was not started here."""
    return cluster.ray_is_connected() and not cluster.ray_is_ours()


def needs_nodes(client: Any) -> bool:
    """Whether Ray has to run inside the workers: they are elsewhere, and there is no other Ray."""
    return not ray_of_user() and (_force == "nodes" or bool(workers_elsewhere(client)))


def _on_dask(client: Any, workers: Workers, reason: str) -> OnDask:
    check_environments(client, with_ray=False)
    made = OnDask(client, workers)
    made.reason = reason
    return made


def _on_ray(client: Any, workers: Workers) -> Attachment:
    if needs_nodes(client):
        check_environments(client, with_ray=True)
        remote = OnNodes(client, workers)
        remote.start(client)
        return remote
    local = OnLocalRay(client, workers)
    local.start()
    return local


# --- no client, and no Ray either --------------------------------------------------------------------------


def take_over(memory: Memory, why: Exception) -> Choice | None:
    """Return an executor on a Dask cluster of this process, where a local Ray cannot start.

    Its workers are threads: processes would import the user's script again.
    """
    client = _local_client()
    workers = clients.workers_now(client)
    n = affordable_workers(memory, workers.threads, CALL)
    warn("attach", f"Ray cannot be used ({why}); a Dask LocalCluster of {workers.threads} threads takes over")
    executor = DaskExecutor(client, n, lambda now: min(n, now.threads))
    return Choice(executor, "Ray cannot start here")


_local: Any = None


def _local_client() -> Any:
    """Return the client of a LocalCluster that is kept until the process ends."""
    global _local
    if _local is None or _local.status != "running":
        import distributed

        logging.getLogger("distributed").setLevel(logging.WARNING)
        cluster_ = distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=usable_cpus(),
            processes=False,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=False,
        )
        _local = distributed.Client(cluster_, set_as_default=False)
    return _local
