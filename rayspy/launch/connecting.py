"""Connect this session to a standing cluster."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from rayspy import cluster
from rayspy.checks import check_scalar
from rayspy.config import LONGEST_WAIT
from rayspy.errors import InvalidTypeError, ParallelError
from rayspy.launch.connection import Connection, check_versions, find_connection
from rayspy.launch.node import READY, SESSIONS, NodeSpec
from rayspy.launch.sizes import own_address

_START_SECONDS = 120.0
_END_SECONDS = 10.0


@dataclass
class _Joined:
    """The Ray node of this session."""

    connection: Connection
    process: subprocess.Popen[str]
    environ: dict[str, str | None]
    owner: int


_joined: _Joined | None = None
_guard = threading.RLock()


def connect(job: int | str | None = None, timeout: float = 60.0) -> cluster.ClusterInfo:
    """Connect to a Ray cluster that ``slurm/ray_cluster.sbatch`` started.

    Ray needs a node on the machine of every session: one without CPUs is
    started, and ends with this process.

    Parameters
    ----------
    job : int or str, optional
        SLURM job of the cluster. Default: the newest one of this user.
    timeout : float
        How long to wait for the cluster to come up, in seconds.

    Returns
    -------
    ClusterInfo
        Address, dashboard and nodes. The computing functions use the cluster
        from now on, unless ``parallel=False``.

    Raises
    ------
    ParallelError
        No such cluster answers, it runs other versions, or this process is
        connected to another Ray.
    """
    global _joined
    if job is not None and (isinstance(job, bool) or not isinstance(job, (int, str))):
        raise InvalidTypeError(job, "job", "number of a SLURM job")
    patience = check_scalar(timeout, "timeout", 0, LONGEST_WAIT)
    with _guard:
        connection = find_connection(job, patience)
        if cluster.ray_is_connected():
            return _still_connected(connection)
        check_versions(connection)
        _leave()
        _joined = _join(connection)
        atexit.unregister(_leave)
        atexit.register(_leave)
        return cluster.describe()


def _still_connected(connection: Connection) -> cluster.ClusterInfo:
    info = cluster.describe()
    if info.address != connection.address:
        raise ParallelError(
            f"this session is connected to the Ray at {info.address} already, the cluster of job "
            f"{connection.job} is at {connection.address}; call `ray.shutdown()` first"
        )
    return info


def _join(connection: Connection) -> _Joined:
    head = connection.address.rsplit(":", 1)[0]
    spec = NodeSpec(connection.address, own_address((head,)), cpus=0, parent=os.getpid())
    changes = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": connection.token_file,
        cluster.STARTED_BY_US: connection.address,
    }
    before = {name: os.environ.get(name) for name in (*changes, "RAY_AUTH_TOKEN")}
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ.update(changes)
    process = subprocess.Popen(
        spec.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    joined = _Joined(connection, process, before, os.getpid())
    try:
        folder = _folder_of(process)
        cluster.refresh_token()
        cluster.connect_existing(connection.address, temp_dir=str(folder / SESSIONS))
    except BaseException:
        _undo(joined)
        raise
    return joined


def _folder_of(process: subprocess.Popen[str]) -> Path:
    """Wait until the node has joined and return its folder."""
    deadline, said = time.monotonic() + _START_SECONDS, ""
    output = process.stdout
    while output is not None and select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
        line = output.readline()
        if line.startswith(READY):
            return Path(line.removeprefix(READY).strip())
        if not line:
            raise ParallelError(f"the Ray node of this session ended: {said.strip() or 'no reason given'}")
        said += line
    raise ParallelError(f"the Ray node of this session did not come up within {_START_SECONDS:g} s")


def _leave() -> None:
    """End the node of this session, if any."""
    global _joined
    with _guard:
        joined, _joined = _joined, None
        if joined is not None and joined.owner == os.getpid():
            _undo(joined)


def _undo(joined: _Joined) -> None:
    cluster.disconnect_from(joined.connection.address)
    joined.process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        joined.process.wait(_END_SECONDS)
    if joined.process.stdout is not None:
        joined.process.stdout.close()
    for name, value in joined.environ.items():
        cluster.set_environ(name, value)
    cluster.refresh_token()
