"""Environment variables of Ray's processes, and the token that lets in."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
"""Environment of a worker that computes one block at a time."""
PATIENCE = {"RAY_health_check_failure_threshold": "3"}
"""How long Ray waits for a node that does not answer: about 36 s instead of more than a minute.

A node is asked every 3 s and may take 10 s: a busy one that manages that is never given up.
"""
_NO_METRICS = {
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "65536",
    "DASHBOARD_METRIC_PORT": "65536",
}
"""Autoscaler and dashboard have no switch for their metrics: no port has that number, they go on without."""
_ON_BUSY_MACHINES = {"RAY_worker_niceness": "0", "RAY_agent_register_timeout_ms": "120000"}
"""Ray's workers get as much of a CPU as threads and Dask's workers: it would give them a thirtieth beside
other work. A call that needs another environment waits for the agent that makes it, longer than 30 s."""
STARTED_BY_US = "RAYSPY_RAY"
"""Address of a Ray whose nodes were all started by `start_local_ray` or `rayspy.launch`."""


FOLDER = "RAYSPY_RAY_FOLDER"
"""Names the folder of their Ray in the environment of all processes that come from its head."""


def worker_environment() -> dict[str, str]:
    """Environment for Ray's processes: one thread each, modules found where this process finds them.

    `PATIENCE` is as the user has set it, if at all.
    """
    installed = (Path(sys.prefix), Path(sys.base_prefix))
    own = [path or str(Path.cwd()) for path in sys.path if not {*installed} & {*Path(path).parents}]
    return {
        **ONE_THREAD,
        **{name: os.environ.get(name, value) for name, value in PATIENCE.items()},
        "PYTHONPATH": os.pathsep.join(own),
    }


def node_environment(folder: Path) -> dict[str, str]:
    """Environment for a node of Ray with a folder of its own, where its temporary files go as well.

    ``/metrics``, which would answer without a token, is off.
    """
    temporary = folder / "t"
    temporary.mkdir(mode=0o700, exist_ok=True)
    return {
        **worker_environment(),
        **{name: os.environ.get(name, value) for name, value in (_NO_METRICS | _ON_BUSY_MACHINES).items()},
        FOLDER: str(folder),
        "TMPDIR": str(temporary),
    }


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Change variables for the length of a ``with`` block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            set_environ(name, value)


def set_environ(name: str, value: str | None) -> None:
    """Set a variable; None: delete it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def enable_token(folder: Path) -> dict[str, str | None]:
    """Turn tokens on, with one of our own unless the user has one; return the environment before."""
    changes = {"RAY_AUTH_MODE": "token"}
    if not _user_has_token():
        changes["RAY_AUTH_TOKEN_PATH"] = str(_write_token(folder))
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    return before


def _user_has_token() -> bool:
    """Whether the user chose a token; one that Ray left in the home folder may be readable by others."""
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))


def _write_token(folder: Path) -> Path:
    path = folder / "token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def refresh_ray_environment() -> None:
    """Make Ray, if it is imported, read its variables again: it keeps those it found at import."""
    if "ray" not in sys.modules:
        return
    raylet: Any = importlib.import_module("ray._raylet")
    with contextlib.suppress(AttributeError):
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()
