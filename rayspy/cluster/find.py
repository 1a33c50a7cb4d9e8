"""Find Ray: the one this process is connected to, or one that is advertised. Nothing is imported to look."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import socket
import sys
import threading
import warnings
from typing import Any

from rayspy.cluster import state
from rayspy.cluster.environment import STARTED_BY_US
from rayspy.errors import ParallelError
from rayspy.progress import in_notebook, warn

FORKED = (
    "this process was forked off one that is connected to a Ray, which cannot be used from both; start it "
    "with multiprocessing.get_context('spawn'), or before Ray, or use parallel=False"
)


def ray_is_connected() -> bool:
    """Whether this process is connected to a Ray; imports nothing."""
    if state.inherited:
        return False
    ray = sys.modules.get("ray")
    return bool(ray is not None and hasattr(ray, "is_initialized") and ray.is_initialized())


def unreachable(address: str, seconds: float) -> OSError | None:
    """Why nothing can be reached at ``host:port``, or None; `seconds` are waited for an answer."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
    except OSError as error:
        return error
    return None


def running_in_ray() -> str | None:
    """Why a Ray that runs already should be used, or None.

    Returns
    -------
    str or None
        For example ``"RAY_ADDRESS is set"``.
    """
    if state.inherited:
        warn("cluster", FORKED)
        return None
    if ray_is_connected():
        return "Ray is connected already"
    if os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        return "this is a Ray job"
    if os.environ.get("RAY_ADDRESS", "local") not in ("", "local"):
        return "RAY_ADDRESS is set"
    return None


def one_thread_per_worker() -> bool:
    """Whether the workers of the connected Ray have `ONE_THREAD` in their environment already."""
    return ray_is_ours() or os.environ.get(STARTED_BY_US) == context().gcs_address


def ray_is_ours() -> bool:
    """Whether the connected Ray was started by `start_local_ray` in this process."""
    if state.local is None or state.local.owner != os.getpid() or not ray_is_connected():
        return False
    return bool(context().gcs_address == state.local.address)


def require_ray() -> Any:
    """Return the module ``ray``; raise `ParallelError` unless it is connected directly."""
    if not ray_is_connected():
        raise ParallelError("Ray is not connected; call `ray.init(...)` or let rayspy start it")
    client = sys.modules.get("ray.util.client")
    if client is not None and client.ray.is_connected():
        raise ParallelError(
            "Ray Client (an address starting with 'ray://') is not supported; run the script on a node "
            "of the cluster, submit it with `ray job submit`, or connect to 'host:6379'"
        )
    return sys.modules["ray"]


def context() -> Any:
    """Return Ray's description of this process."""
    return sys.modules["ray"].get_runtime_context()


def import_ray() -> Any:
    """Import Ray; raise `ParallelError` where it is not installed, or belongs to the parent process."""
    if state.inherited:
        raise ParallelError(FORKED)
    if in_notebook():  # what Ray says there of missing widgets is shown in red
        warnings.filterwarnings("ignore", "IProgress not found")
        logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
    try:
        import ray
    except ImportError as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ParallelError(
            f"Ray cannot be imported in Python {version} ({error}); run `pip install 'ray[default]'`"
        ) from error
    with contextlib.suppress(AttributeError, ImportError):  # the end of a raylet would print pages of its log
        output: Any = importlib.import_module("ray._private.ray_logging").stdout_deduplicator
        output.skip_re = output.skip_re or re.compile("^Raylet is terminated")
    return ray


def import_ray_meanwhile() -> None:
    """Begin to import Ray, which takes a second or more, while something else is waited for."""
    threading.Thread(target=_try_import, name="rayspy-import-ray", daemon=True).start()


def _try_import() -> None:
    with contextlib.suppress(ParallelError):
        import_ray()


def check_installed() -> None:
    """Raise `ParallelError` where Ray is not installed; does not import it."""
    if importlib.util.find_spec("ray") is None:
        import_ray()
