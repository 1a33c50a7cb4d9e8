"""Find the Dask client that is already running and wait for its workers; nothing is imported to do so."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rayspy.config import config
from rayspy.errors import ParallelError
from rayspy.progress import message, warn

_LOOK_SECONDS = 0.1
"""How often the scheduler is asked while there is no worker."""
_LINE_SECONDS = 2
"""How often a line is logged meanwhile."""
_ANSWER_SECONDS = 15.0
"""How long the scheduler may take to answer."""


FORKED = (
    "the Dask client of the process that this one was forked off cannot be used from both: local threads "
    "are used instead; start processes with multiprocessing.get_context('spawn'), or make a client in them"
)


@dataclass(frozen=True)
class DaskWorker:
    """One worker of a Dask cluster."""

    address: str
    host: str
    threads: int
    memory: int
    """Limit in bytes; 0: none."""


@dataclass(frozen=True)
class Workers:
    """The workers a client has at one moment."""

    workers: tuple[DaskWorker, ...]

    @property
    def addresses(self) -> frozenset[str]:
        """Addresses of all workers."""
        return frozenset(worker.address for worker in self.workers)

    @property
    def threads(self) -> int:
        """Threads of all workers."""
        return sum(worker.threads for worker in self.workers)

    @property
    def memory(self) -> int | None:
        """Sum of the workers' limits in bytes; None if one of them has none."""
        limits = [worker.memory for worker in self.workers]
        return sum(limits) if all(limits) else None

    def blocks_at_once(self, n_bytes: int) -> int:
        """How many blocks of this size fit into the workers' threads and limits."""
        return sum(
            min(worker.threads, worker.memory // max(1, n_bytes)) if worker.memory else worker.threads
            for worker in self.workers
        )


def running_client() -> Any | None:
    """Return the client that runs in this process, or None.

    A call from inside a Dask task sees none: the task has a worker's thread already.
    """
    distributed = sys.modules.get("distributed")
    find = getattr(getattr(distributed, "client", None), "_get_global_client", None)
    if find is None or _inside_a_task():
        return None
    client = find()
    if client is not None and _is_of_the_parent(client):
        warn("check_workers_available", FORKED)
        return None
    return None if client is None or client.status in ("closed", "closing") else client


def _is_of_the_parent(client: Any) -> bool:
    """Whether the thread that a client's event loop runs in is none of this process, which was forked off."""
    loop = getattr(getattr(client, "loop", None), "asyncio_loop", None)
    thread = getattr(loop, "_thread_id", None)
    return thread is not None and thread not in sys._current_frames()


def _inside_a_task() -> bool:
    worker = sys.modules.get("distributed.worker")
    return bool(getattr(getattr(worker, "thread_state", None), "key", None))


def address_of(client: Any) -> str:
    """Address of a client's scheduler."""
    scheduler = getattr(client, "scheduler", None)
    address = getattr(scheduler, "address", None) or getattr(client, "_start_arg", None)
    return str(address or "unknown address")


def describe_cluster(client: Any) -> str:
    """Name a client's cluster and scheduler, for messages."""
    cluster = getattr(client, "cluster", None)
    where = f"Dask scheduler at {address_of(client)}"
    return where if cluster is None else f"{type(cluster).__name__} '{cluster.name}' with the {where}"


def ask(
    client: Any, call: Callable[..., Any], *args: Any, timeout: float = _ANSWER_SECONDS, **kwargs: Any
) -> Any:
    """Run a coroutine function in the client's event loop and wait for its result.

    Raises
    ------
    ParallelError
        The loop is the one that is waiting, or the scheduler does not answer.
    """
    from distributed.utils import sync

    _refuse_own_loop(client)
    try:
        return sync(client.loop, call, *args, callback_timeout=timeout, **kwargs)
    except (TimeoutError, OSError, RuntimeError) as error:
        raise ParallelError(
            f"the {describe_cluster(client)} does not answer ({type(error).__name__}: {error}); close the "
            "client (`client.close()`), connect to a running cluster, or use parallel=False"
        ) from error


def _refuse_own_loop(client: Any) -> None:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if running is client.loop.asyncio_loop:
        raise ParallelError(
            "the Dask client is asynchronous and its event loop is the one this call blocks; use "
            "`await asyncio.to_thread(spy.freqanalysis, data, ...)`, a client made with asynchronous=False, "
            "or parallel=False"
        )


def workers_now(client: Any) -> Workers:
    """Ask the scheduler for its workers."""
    if client.status not in ("running", "connecting") or client.scheduler is None:
        raise ParallelError(
            f"the Dask client is {client.status}, its {describe_cluster(client)} is gone; make a new client, "
            "or use parallel=False"
        )
    identity = ask(client, client.scheduler.identity, n_workers=-1)
    client._scheduler_identity = type(client._scheduler_identity)(identity)
    found = identity["workers"].items()
    return Workers(
        tuple(
            DaskWorker(address, str(info["host"]), int(info["nthreads"]), int(info["memory_limit"] or 0))
            for address, info in found
            if info.get("status", "running") == "running"
        )
    )


def requested_workers(client: Any) -> int | None:
    """How many workers the client's cluster was asked for; None where it cannot be known."""
    cluster = getattr(client, "cluster", None)
    lists = [getattr(cluster, name, None) for name in ("plan", "requested")]
    sizes = [len(found) for found in lists if found is not None]
    return max(sizes, default=None)


def is_adaptive(client: Any) -> bool:
    """Whether the client's cluster starts and stops workers as Dask tasks come and go."""
    adaptive = getattr(getattr(client, "cluster", None), "_adaptive", None)
    return adaptive is not None and getattr(adaptive, "state", "running") != "stopped"


def wake(client: Any) -> Any | None:
    """Give an adaptive cluster, which may have no workers at all, a reason to start one."""
    if not is_adaptive(client):
        return None
    return client.submit(int, pure=False, key=f"rayspy-wake-{time.monotonic_ns()}")


def check_workers_available(client: Any, timeout: float | None = None, level: int = logging.INFO) -> Workers:
    """Wait until a client has at least one worker.

    Parameters
    ----------
    client : distributed.Client
        The client.
    timeout : float, optional
        In seconds; default: ``spy.config.worker_timeout``.
    level : int
        Of the line that tells how many there are.

    Raises
    ------
    ParallelError
        There was no worker in all that time, or the scheduler is gone; names the cluster.
    """
    patience = config.worker_timeout if timeout is None else timeout
    began, lines = time.monotonic(), 0
    nudge = None
    while not (found := workers_now(client)).workers:
        elapsed = time.monotonic() - began
        if elapsed >= patience:
            raise ParallelError(_no_worker(client, patience))
        if elapsed >= lines * _LINE_SECONDS:
            _log_waiting(client, lines * _LINE_SECONDS)
            lines += 1
        nudge = nudge or wake(client)
        time.sleep(_LOOK_SECONDS)
    n = len(found.workers)
    total = max(n, requested_workers(client) or n)
    message("check_workers_available", f"{n}/{total} workers available, starting computation..", level)
    return found


def _log_waiting(client: Any, seconds: int) -> None:
    total = requested_workers(client)
    text = f"0/{'?' if total is None else total} workers available, waiting.. {seconds}s"
    message("check_workers_available", text)


def _no_worker(client: Any, patience: float) -> str:
    return (
        f"no worker appeared within {patience:g} s on the {describe_cluster(client)}; are its jobs still in "
        "the queue (`squeue`)? Request workers with `cluster.scale(n)`, wait longer (RAYSPY_WORKER_TIMEOUT "
        "or spy.config.worker_timeout, in seconds), or use parallel=False"
    )
