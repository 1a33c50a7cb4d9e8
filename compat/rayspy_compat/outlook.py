"""Tell where a plan would run while a Dask client is running; nothing is attached to or started."""

from __future__ import annotations

from typing import Any

from rayspy import cluster
from rayspy.executors.outlook import Outlook
from rayspy.planning.memory import Memory, affordable_workers
from rayspy_compat import attach
from rayspy_compat import client as clients
from rayspy_compat.client import Workers


def foresee(memory: Memory) -> Outlook | None:
    """Tell what `rayspy_compat.attach.detect` would choose; None without a running client.

    The scheduler is asked for its workers, and these where they are.

    Raises
    ------
    ParallelError
        The client cannot be used.
    MemoryBudgetError
        A block does not fit into its workers.
    """
    client = clients.running_client()
    if client is None:
        return None
    workers = clients.workers_now(client)
    kind, reason = _attachment(client, workers)
    executor = "dask" if kind is attach.OnDask else "dask-on-ray"
    if not workers.workers:
        return Outlook(executor, None, f"{reason}, as soon as it has workers")
    n = attach.slots(workers, memory)
    if kind is attach.OnLocalRay:
        n = affordable_workers(memory, min(n, _ray_cpus(workers)), attach.CALL, True)
    return Outlook(executor, n, reason)


def _attachment(client: Any, workers: Workers) -> tuple[type[attach.Attachment], str]:
    """How the client is, or would be, attached, and why."""
    known = attach.attached(client, workers)
    if known is not None:
        return type(known), known.reason
    without_ray = attach.why_without_ray(client)
    if without_ray:
        return attach.OnDask, without_ray
    kind: type[attach.Attachment] = attach.OnNodes if attach.needs_nodes(client) else attach.OnLocalRay
    return kind, kind.reason


def _ray_cpus(workers: Workers) -> int:
    """CPUs of the local Ray that serves the client: the one there is, or one as large as the client."""
    if cluster.ray_is_connected():
        cpus = int(cluster.describe().cpus)
        if attach.ray_of_user() or cpus >= workers.threads:
            return max(1, cpus)
    return max(1, workers.threads)
