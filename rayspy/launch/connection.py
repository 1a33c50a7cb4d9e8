"""How to get to a standing cluster: ``~/.rayspy/clusters/<job>.json``, readable by its owner only."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import secrets
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rayspy.cluster import STARTED_BY_US
from rayspy.errors import ParallelError
from rayspy.launch.node import answers
from rayspy.progress import message
from rayspy.storage.scratch import make_folders

_LOOK_SECONDS = 0.5
_LINE_SECONDS = 10.0
_OLD = 30 * 24 * 3600.0
"""Files of clusters that were killed are removed after this many seconds."""


@dataclass(frozen=True)
class Connection:
    """A cluster that can be connected to."""

    job: str
    """SLURM job of the head."""
    address: str
    """Of Ray, host:port."""
    dashboard: str
    """URL, also of job submission; may be empty."""
    token_file: str
    host: str
    started: float
    """Seconds since 1970."""
    python: str
    ray: str
    rayspy: str

    def environment(self) -> dict[str, str]:
        """Variables with which Ray's own commands find and enter the cluster."""
        return {
            "RAY_ADDRESS": self.address,
            "RAY_API_SERVER_ADDRESS": self.dashboard,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": self.token_file,
            STARTED_BY_US: self.address,
        }


def own_versions() -> dict[str, str]:
    """Versions that must agree within one cluster."""
    try:
        ray = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        ray = "missing"
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "ray": ray,
        "rayspy": str(sys.modules["rayspy"].__version__),
    }


def check_versions(connection: Connection) -> None:
    """Refuse a cluster whose programs are other versions than those here.

    Raises
    ------
    ParallelError
        Lists what differs.
    """
    own = own_versions()
    there = asdict(connection)
    pairs = [(name, there[name], found) for name, found in own.items()]
    different = [f"{name} {a} (here {b})" for name, a, b in pairs if a != b]
    if different:
        raise ParallelError(
            f"the cluster of job {connection.job} runs {', '.join(different)}; use the environment it was "
            "started with, or start one with this environment"
        )


# --- files -------------------------------------------------------------------------------------------------


def cluster_folder() -> Path:
    """Folder of the connection and token files; made at first use, for its owner only."""
    chosen = os.environ.get("RAYSPY_CLUSTER_DIR")
    folder = Path(chosen) if chosen else Path.home() / ".rayspy" / "clusters"
    make_folders(folder)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ParallelError(
            f"{folder} is not a private folder of yours (`chmod 700 {folder}`); RAYSPY_CLUSTER_DIR "
            "names another"
        )
    return folder


def write_token(job: str) -> Path:
    """Write a new token for a job's Ray."""
    folder = cluster_folder()
    _remove_old(folder)
    path = folder / f"{job}.token"
    _write_private(path, secrets.token_hex(32))
    return path


def write_connection(connection: Connection) -> Path:
    """Write the connection file."""
    path = cluster_folder() / f"{connection.job}.json"
    _write_private(path, json.dumps(asdict(connection), indent=1))
    return path


def _write_private(path: Path, text: str) -> None:
    made = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    made.replace(path)


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.suffix in (".json", ".token") and time.time() - path.stat().st_mtime > _OLD:
                path.unlink()


def connections() -> list[Connection]:
    """All connection files, the newest first."""
    found = []
    for path in cluster_folder().glob("*.json"):
        with contextlib.suppress(OSError, TypeError, ValueError):
            found.append(Connection(**json.loads(path.read_text())))
    return sorted(found, key=lambda connection: connection.started, reverse=True)


# --- finding -----------------------------------------------------------------------------------------------


def find_connection(job: int | str | None = None, timeout: float = 0.0) -> Connection:
    """Wait for a cluster that answers.

    Parameters
    ----------
    job : int or str, optional
        SLURM job of the cluster; default: the newest one.
    timeout : float
        In seconds: its job may still be in the queue.

    Raises
    ------
    ParallelError
        There is none; says which ones there are.
    """
    began, next_line = time.monotonic(), _LINE_SECONDS
    while True:
        for connection in connections():
            wanted = job is None or str(job) == connection.job
            if wanted and answers(connection.address):
                return connection
        elapsed = time.monotonic() - began
        if elapsed >= timeout:
            raise ParallelError(_nothing_found(job, timeout))
        if elapsed >= next_line:
            message("connect", f"{_name(job)} is not up yet, waiting.. {next_line:.0f}s")
            next_line += _LINE_SECONDS
        time.sleep(_LOOK_SECONDS)


def _name(job: int | str | None) -> str:
    return "a cluster" if job is None else f"the cluster of job {job}"


def _told(job: int | str | None) -> str:
    if job is None:
        return "`job` = None, which is the newest: no cluster of this user answered"
    return f"`job`: {_name(job)} did not answer"


def _nothing_found(job: int | str | None, timeout: float) -> str:
    listed = ", ".join(f"{c.job} ({c.address})" for c in connections())
    return (
        f"{_told(job)} within `timeout` = {timeout:g} s; start one with "
        f"`sbatch slurm/ray_cluster.sbatch`, see `squeue --me` for its state. {cluster_folder()} lists "
        + (f"clusters of jobs {listed}" if listed else "none")
    )
