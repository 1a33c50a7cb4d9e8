"""Set up Dask clusters with the calls and parameters of ACME."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rayspy.checks import check_bool, check_scalar
from rayspy.config import parse_bytes
from rayspy.errors import InvalidTypeError, InvalidValueError, ParallelError
from rayspy.executors.reimport import end_if_imported_again
from rayspy.progress import message, warn
from rayspy_compat import client as clients

__all__ = ["cluster_cleanup", "esi_cluster_setup", "local_cluster_setup", "slurm_cluster_setup"]

_ALIASES = {
    "n_jobs": "n_workers",
    "mem_per_job": "mem_per_worker",
    "n_jobs_startup": "n_workers_startup",
    "workers_per_job": "processes_per_worker",
}
"""Older names of ACME's parameters, which Syncopy's manual uses."""
_DASHBOARD_PORT = 8787
_MB_PER_CORE = 8000
"""Memory that comes with one core in the partitions of the ESI cluster."""
_COMMAND_SECONDS = 30


def esi_cluster_setup(
    partition: str = "8GBXS",
    n_workers: int = 2,
    mem_per_worker: str | None = "auto",
    cores_per_worker: int | None = None,
    n_workers_startup: int = 1,
    timeout: float = 60,
    interactive: bool = False,
    interactive_wait: float = 120,
    start_client: bool = True,
    job_extra: Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """Start Dask workers as jobs of the ESI's SLURM cluster.

    A client that runs already is returned instead. Where SLURM does not answer
    the workers are processes on this machine.

    Parameters
    ----------
    partition : str
        SLURM partition.
    n_workers : int
        Number of jobs; also called `n_jobs`.
    mem_per_worker : str
        For example ``"8GB"``; ``"auto"``: what the partition gives.
    cores_per_worker : int, optional
        Default: what comes with the partition's memory.
    n_workers_startup : int
        Wait until this many workers are there.
    timeout : float
        How long to wait for them, in seconds.
    interactive : bool
        Ask at the keyboard what to do when they are not there in time.
    interactive_wait : float
        How long to wait for the answer; then go on with the workers there are.
    start_client : bool
        Return a client; otherwise the cluster.
    job_extra : sequence of str
        Further options of ``sbatch``.
    **kwargs
        Further options of `dask_jobqueue.SLURMCluster`.

    Returns
    -------
    distributed.Client
        Or the cluster, if `start_client` is False.
    """
    named = _renamed(
        kwargs, n_workers=n_workers, mem_per_worker=mem_per_worker, n_workers_startup=n_workers_startup
    )
    _check_waiting(timeout, interactive, interactive_wait, start_client)
    if cores_per_worker is not None:
        _check_count(cores_per_worker, "cores_per_worker")
    running = _running(start_client)
    if running is not None:
        return running
    if not _slurm_answers("esi_cluster_setup"):
        return local_cluster_setup(named["n_workers"], start_client=start_client, interactive=interactive)
    if cores_per_worker is None:
        cores_per_worker = max(1, int(_partition_value(partition, "DefMemPerCPU") or 0) // _MB_PER_CORE)
    kwargs.setdefault("job_directives_skip", ["-t", "--mem"])
    return slurm_cluster_setup(
        partition,
        cores_per_worker,
        timeout=timeout,
        interactive=interactive,
        interactive_wait=interactive_wait,
        start_client=start_client,
        job_extra=job_extra,
        **named,
        **kwargs,
    )


def slurm_cluster_setup(
    partition: str,
    n_cores: int = 1,
    n_workers: int = 1,
    processes_per_worker: int = 1,
    mem_per_worker: str | None = "1GB",
    n_workers_startup: int = 1,
    timeout: float = 60,
    interactive: bool = False,
    interactive_wait: float = 10,
    start_client: bool = True,
    job_extra: Sequence[str] = (),
    invalid_partitions: Sequence[str] = (),
    **kwargs: Any,
) -> Any:
    """Start Dask workers as jobs of any SLURM cluster.

    Parameters
    ----------
    partition : str
        SLURM partition.
    n_cores, processes_per_worker : int
        Cores and worker processes of one job.
    n_workers, mem_per_worker, n_workers_startup, timeout, interactive, interactive_wait
        See `esi_cluster_setup`.
    start_client, job_extra
        See `esi_cluster_setup`.
    invalid_partitions : sequence of str
        Partitions that are not offered.
    **kwargs
        Further options of `dask_jobqueue.SLURMCluster`.

    Returns
    -------
    distributed.Client
        Or the cluster, if `start_client` is False.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        A parameter cannot be used, e.g. there is no such partition.
    ParallelError
        No worker came up in time.
    """
    named = _renamed(
        kwargs,
        n_workers=n_workers,
        mem_per_worker=mem_per_worker,
        n_workers_startup=n_workers_startup,
        processes_per_worker=processes_per_worker,
    )
    _check_waiting(timeout, interactive, interactive_wait, start_client)
    running = _running(start_client)
    if running is not None:
        return running
    if not _slurm_answers("slurm_cluster_setup"):
        return local_cluster_setup(named["n_workers"], start_client=start_client, interactive=interactive)
    for name in ("n_workers", "processes_per_worker"):
        _check_count(named[name], name)
    _check_count(named["n_workers_startup"], "n_workers_startup", least=0)
    _check_count(n_cores, "n_cores")
    _check_partition(partition, invalid_partitions)
    cluster = _slurm_cluster(
        cores=n_cores,
        memory=_job_memory(partition, named["mem_per_worker"]),
        processes=named["processes_per_worker"],
        queue=partition,
        job_extra_directives=_job_options(job_extra),
        **kwargs,
    )
    jobs, wanted = named["n_workers"], min(named["n_workers"], named["n_workers_startup"])
    cluster.scale(jobs=jobs)
    _wait(cluster, wanted, timeout, interactive, interactive_wait)
    message("slurm_cluster_setup", f"parallel computing client ready, dashboard: {cluster.dashboard_link}")
    return _client_of(cluster) if start_client else cluster


def local_cluster_setup(
    n_workers: int | None = None,
    mem_per_worker: str | None = None,
    interactive: bool = False,
    start_client: bool = True,
    **kwargs: Any,
) -> Any:
    """Start Dask workers on this machine.

    Parameters
    ----------
    n_workers : int, optional
        Number of worker processes; default: one per core.
    mem_per_worker : str, optional
        For example ``"4GB"``; default: an equal share of what the machine has.
    interactive : bool
        Has no effect: there is nothing to ask.
    start_client : bool
        Return a client; otherwise the cluster.
    **kwargs
        Further options of `distributed.LocalCluster`.

    Returns
    -------
    distributed.Client
        Or the cluster, if `start_client` is False.
    """
    import distributed

    named = _renamed(kwargs, n_workers=n_workers, mem_per_worker=mem_per_worker)
    check_bool(interactive, "interactive")
    check_bool(start_client, "start_client")
    running = _running(start_client)
    if running is not None:
        return running
    if named["n_workers"] is not None:
        _check_count(named["n_workers"], "n_workers")
    from rayspy.limits import usable_cpus

    cpus, asked = usable_cpus(), named["n_workers"]
    count = min(asked or cpus, cpus)
    if asked is not None and asked > cpus:
        text = f"{asked} workers were asked for, {cpus} are started: one per CPU of this machine"
        warn("local_cluster_setup", text)
    memory = named["mem_per_worker"]
    limit = "auto" if _is_automatic(memory) else _worker_bytes(memory)
    settings = {"threads_per_worker": 1, "dashboard_address": _dashboard_address(), **kwargs}
    cluster = distributed.LocalCluster(n_workers=count, memory_limit=limit, **settings)
    message(
        "local_cluster_setup", f"LocalCluster of {count} workers ready, dashboard: {cluster.dashboard_link}"
    )
    return _client_of(cluster) if start_client else cluster


def cluster_cleanup(client: Any = None) -> None:
    """Stop a client, its workers and its jobs.

    Parameters
    ----------
    client : distributed.Client, optional
        Default: the one that runs; without any nothing happens.
    """
    found = client if client is not None else clients.running_client()
    if found is None:
        warn("cluster_cleanup", "no dangling parallel computing client found")
        return
    if not hasattr(found, "scheduler_info") or not hasattr(found, "cluster"):
        raise InvalidTypeError(found, "client", "distributed.Client")
    name, cluster = repr(found), found.cluster
    found.close()
    if cluster is not None:
        cluster.close()
    message("cluster_cleanup", f"shut down {name}")


# --- pieces ------------------------------------------------------------------------------------------------


def _renamed(kwargs: dict[str, Any], **named: Any) -> dict[str, Any]:
    """Take older names of parameters out of `kwargs`; they win over the newer ones."""
    for old, new in _ALIASES.items():
        if old in kwargs and new in named:
            named[new] = kwargs.pop(old)
    return named


def _running(start_client: bool) -> Any | None:
    """Return the client that runs already, or its cluster, instead of starting a second one."""
    end_if_imported_again("cluster_setup")
    client = clients.running_client()
    if client is None:
        return None
    message(
        "cluster_setup", f"found a running parallel computing client {client!r}, not starting a new cluster"
    )
    return client if start_client else client.cluster


def _client_of(cluster: Any) -> Any:
    import distributed

    return distributed.Client(cluster)


def _command(*words: str) -> str | None:
    """Output of a command of SLURM; None if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _slurm_answers(function: str) -> bool:
    if _command("sinfo") is not None:
        return True
    warn(function, "`sinfo` does not answer: no SLURM here; starting a LocalCluster on this machine instead")
    return False


def _check_count(value: Any, name: str, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(value, name, "whole number")
    if value < least:
        raise InvalidValueError(f"whole number, {least} or more", name, value)


def _check_waiting(timeout: Any, interactive: Any, interactive_wait: Any, start_client: Any) -> None:
    check_bool(interactive, "interactive")
    check_bool(start_client, "start_client")
    check_scalar(timeout, "timeout", 0)
    check_scalar(interactive_wait, "interactive_wait", 0)


def _check_partition(partition: str, invalid: Sequence[str]) -> None:
    if not isinstance(invalid, (list, tuple)) or not all(isinstance(name, str) for name in invalid):
        raise InvalidTypeError(invalid, "invalid_partitions", "list of names of partitions")
    listed = (_command("sinfo", "-h", "-o", "%P") or "").replace("*", "").split()
    offered = sorted(set(listed) - set(invalid))
    if not isinstance(partition, str) or partition not in offered:
        raise InvalidValueError(f"one of the SLURM partitions {', '.join(offered)}", "partition", partition)


def _partition_value(partition: str, name: str) -> str | None:
    """One number from the description of a partition, e.g. ``MaxMemPerCPU``."""
    if not isinstance(partition, str):
        raise InvalidTypeError(partition, "partition", "name of a SLURM partition")
    described = _command("scontrol", "-o", "show", "partition", partition) or ""
    for word in described.split():
        key, _, value = word.partition("=")
        if key == name and value.isdigit():
            return value
    return None


def _job_memory(partition: str, wanted: str | None) -> str:
    """Memory of one job, at most what the partition allows."""
    limit = _partition_value(partition, "MaxMemPerCPU")
    if _is_automatic(wanted):
        found = limit or _partition_value(partition, "DefMemPerCPU")
        if found is None:
            raise InvalidValueError(
                "size such as '8GB': the partition has no default", "mem_per_worker", wanted
            )
        return f"{found}MB"
    if not isinstance(wanted, str):
        raise InvalidTypeError(wanted, "mem_per_worker", "text such as '8GB'")
    size = _worker_bytes(wanted)
    if limit is not None and size > int(limit) * 10**6:
        warn(
            "slurm_cluster_setup",
            f"mem_per_worker={wanted} exceeds what {partition} allows: {limit}MB are used",
        )
        return f"{limit}MB"
    return wanted


def _is_automatic(memory: Any) -> bool:
    return memory is None or (isinstance(memory, str) and memory == "auto")


def _worker_bytes(wanted: Any) -> int:
    """Memory of one worker in bytes; a number without a unit may be meant otherwise."""
    size = parse_bytes(wanted, "mem_per_worker") or 0
    if size < _LEAST_MEMORY:
        raise InvalidValueError(
            f"at least {_LEAST_MEMORY // 10**6} MB, as text such as '8GB' (a number counts bytes)",
            "mem_per_worker",
            wanted,
        )
    return size


_LEAST_MEMORY = 100 * 10**6
"""A worker that has only loaded its libraries takes that."""


def _job_options(job_extra: Sequence[str]) -> list[str]:
    if isinstance(job_extra, str) or not isinstance(job_extra, Sequence):
        raise InvalidTypeError(job_extra, "job_extra", "list of options of sbatch")
    for option in job_extra:
        if not isinstance(option, str) or not option.startswith("-"):
            raise InvalidValueError("options of sbatch, which start with '-'", "job_extra", option)
    return list(job_extra)


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Put the handler of Ctrl-C back: importing dask_jobqueue replaces it by one that ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _slurm_cluster(**options: Any) -> Any:
    with _interrupts_kept():
        from dask_jobqueue import SLURMCluster

    defaults: dict[str, Any] = {
        "python": sys.executable,
        "local_directory": tempfile.gettempdir(),
        "job_directives_skip": ["-t"],
        "log_directory": None,
    }
    if options.get("dashboard_address") is None and _dashboard_address() == ":0":
        defaults["scheduler_options"] = {"dashboard_address": ":0"}
    return SLURMCluster(**{**defaults, **options})


def _dashboard_address() -> str:
    """Dask's usual port, or any where that is taken, as by another notebook: Dask would warn of it."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", _DASHBOARD_PORT))
        except OSError:
            return ":0"
    return f":{_DASHBOARD_PORT}"


def _online(cluster: Any) -> int:
    return len(cluster.scheduler_info["workers"])


def _wait(cluster: Any, wanted: int, timeout: float, interactive: bool, interactive_wait: float) -> None:
    """Wait for workers; the cluster is closed if none comes."""
    began, next_line = time.monotonic(), 2.0
    while _online(cluster) < wanted:
        elapsed = time.monotonic() - began
        if elapsed >= timeout:
            if _gives_up(cluster, timeout, interactive, interactive_wait):
                break
            began, next_line = time.monotonic(), 2.0
        elif elapsed >= next_line:
            text = f"{_online(cluster)}/{wanted} workers available, waiting.. {next_line:.0f}s"
            message("cluster_setup", text)
            next_line += 2.0
        time.sleep(0.1)


def _gives_up(cluster: Any, timeout: float, interactive: bool, interactive_wait: float) -> bool:
    """Whether to go on with the workers there are; False: wait once more."""
    n = _online(cluster)
    question = f"{n} workers after {timeout:g} s: [k]eep waiting, [a]bort or [c]ontinue with {n} workers? "
    choice = _ask_user(question, interactive_wait) if interactive else "c"
    if choice == "k":
        return False
    if choice == "a" or n == 0:
        cluster.close()
        raise ParallelError(
            f"SLURM workers could not be started within {timeout:g} s; is the partition full (`squeue`)? "
            "A larger `timeout` waits longer"
        )
    return True


def _ask_user(question: str, seconds: float) -> str:
    """Wait a while for an answer at the keyboard; without one: go on."""
    import select

    sys.stderr.write(question)
    sys.stderr.flush()
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return "c"
    return sys.stdin.readline().strip().lower()[:1] or "c"
