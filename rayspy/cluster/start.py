"""Start a Ray on this machine that ends with this session."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rayspy.cluster import end, find, folders, state
from rayspy.cluster import environment as env
from rayspy.cluster.tell import ClusterInfo, describe, first_line
from rayspy.config import config
from rayspy.errors import ParallelError
from rayspy.limits import available_memory, usable_cpus
from rayspy.progress import message

ATTEMPTS = 3
"""So many times a node of Ray is started.

It gives up when its own helpers take more than some 15 s to come up, as on a machine whose CPUs are all busy.
"""
_TOO_BUSY = "timed out during startup"
_DASHBOARD_MEMORY = 4 * 2**30
"""The dashboard takes about 1 GB; it is left out where less than this is available."""
MIN_STORE = 80 * 2**20
_MAX_STORE = 2 * 10**9


def start_local_ray(
    num_cpus: int | None = None,
    *,
    dashboard: bool | None = None,
    dashboard_host: str = "127.0.0.1",
    memory: int | None = None,
    node_ip: str | None = None,
) -> ClusterInfo:
    """Start a Ray on this machine that ends with this session.

    Parameters
    ----------
    num_cpus : int, optional
        Default: ``spy.config.num_cpus``, else all CPUs this process may run on.
    dashboard : bool, optional
        Start Ray's dashboard. Default: ``spy.config.dashboard``, else where 4 GB
        of memory are available.
    dashboard_host : str
        Address the dashboard listens at; it asks for the token too.
    memory : int, optional
        Memory in bytes Ray may count on; default: what is available.
    node_ip : str, optional
        Address of this machine under which nodes on other machines find it.

    Returns
    -------
    ClusterInfo
        Also where the Ray started earlier is still running; then nothing is started.

    Raises
    ------
    ParallelError
        Ray cannot run here; the message says why.
    """
    with state.guard:
        if find.ray_is_ours():
            return describe()
        if find.ray_is_connected():
            raise ParallelError("cannot start a local Ray: this process is connected to another one")
        end.shutdown_local_ray()
        ray = find.import_ray()
        available = min(2**62 if memory is None else memory, available_memory())
        store = store_size(available)
        options: dict[str, Any] = {
            "address": "local",
            "num_cpus": usable_cpus() if num_cpus is None else num_cpus,
            "object_store_memory": store,
            "_memory": max(available - store, available // 2) if memory is None else memory,
            "include_dashboard": _wants_dashboard(available) if dashboard is None else dashboard,
            "dashboard_host": dashboard_host,
            "log_to_driver": False,
            "logging_level": logging.ERROR,
        }
        if node_ip is not None:
            options["_node_ip_address"] = node_ip
        _start(ray, options)
        info = describe()
    message(
        "start_local_ray",
        f"started Ray at {info.address} with {info.cpus:g} CPUs, dashboard: {info.dashboard or 'off'}",
    )
    return info


def _wants_dashboard(available: int) -> bool:
    chosen: bool | None = config.dashboard
    return available >= _DASHBOARD_MEMORY if chosen is None else chosen


def _start(ray: Any, options: dict[str, Any]) -> None:
    for _ in range(ATTEMPTS - 1):
        try:
            return _start_once(ray, options)
        except ParallelError as error:
            if _TOO_BUSY not in str(error.__cause__):
                raise
        message("start_local_ray", "Ray did not come up in time; it is started again")
    return _start_once(ray, options)


def _start_once(ray: Any, options: dict[str, Any]) -> None:
    folder, lock = folders.claim_folder()
    state.starting = folder
    sigterm = signal.getsignal(signal.SIGTERM)
    local = state.LocalRay(folder, lock, env.enable_token(folder), sigterm, os.getpid())
    try:
        with env.environment(env.worker_environment()):
            _in_lasting_thread(lambda: ray.init(_temp_dir=str(folder / "s"), **options))
        state.local = local = replace(local, address=find.context().gcs_address, watch=end.watch(folder))
    except BaseException as error:
        end.undo(local, disconnect=True)
        state.starting = None
        if isinstance(error, Exception):
            raise ParallelError(f"Ray cannot be started: {first_line(error)}") from error
        raise
    state.starting = None
    end.restore_sigterm(local.sigterm, unless=signal.SIG_DFL)
    atexit.unregister(end.shutdown_local_ray)
    atexit.register(end.shutdown_local_ray)


def _in_lasting_thread(start: Callable[[], Any]) -> None:
    """Call `start` in a thread that lives as long as the process.

    Ray's processes are killed by the kernel when the *thread* that started them ends.
    """
    if threading.current_thread() is threading.main_thread():
        start()
        return
    done = threading.Event()
    failed: list[BaseException] = []

    def target() -> None:
        try:
            start()
        except BaseException as error:
            failed.append(error)
        done.set()
        if not failed:
            threading.Event().wait()

    threading.Thread(target=target, name="rayspy-ray", daemon=True).start()
    done.wait()
    if failed:
        raise failed[0]


def store_size(available: int) -> int:
    """Size of an object store where so many bytes of memory are available."""
    size = min(_MAX_STORE, available // 10)
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        if free < MIN_STORE:
            raise ParallelError(
                f"Ray cannot be started: /dev/shm has {free // 2**20} MB free, "
                f"{MIN_STORE // 2**20} MB are needed"
            )
        size = min(size, free // 2)
    return max(size, MIN_STORE)
