"""Start a Ray on this machine that ends with this session."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rayspy.cluster import end, find, folders, state
from rayspy.cluster import environment as env
from rayspy.cluster.tell import ClusterInfo, describe, first_line
from rayspy.config import config
from rayspy.errors import ParallelError
from rayspy.limits import available_memory, usable_cpus
from rayspy.progress import message, waiting, warn

ATTEMPTS = 3
"""So many times a node of Ray is started: it gives up when its own helpers take too long to come up."""
_START_SECONDS = 180.0
"""After this time there is a Ray or an error, whatever happens."""
_ATTEMPT_SECONDS = 90.0
"""So long may one attempt take; Ray itself waits up to 30 s for each of its main processes."""
_PAUSES = (1.0, 3.0)
"""Before the second and the third attempt."""
_LOOK_SECONDS = 0.05
_PROCESS_LOOK_SECONDS = 0.5
NODE = (sys.executable, "-P", str(Path(__file__).with_name("head.py")))
"""Begins a command line that starts a node of Ray."""
_DASHBOARD_PATIENCE = {"RAY_DASHBOARD_STARTUP_TIMEOUT_S": "30"}
_DASHBOARD_MEMORY = 4 * 2**30
"""The dashboard takes about 1 GB; it is left out where less than this is available."""
_OWN_MEMORY = 256 * 2**20
"""What Ray's own processes take without the dashboard; workers and objects are not given it."""
_LOOPBACK = "127.0.0.1"
_STAY_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray takes another address of the machine instead unless there can be no other machines."""
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

    A start that failed is not tried again by later calls, until `retry_ray` is called.

    Parameters
    ----------
    num_cpus : int, optional
        Default: ``spy.config.num_cpus``, else all CPUs this process may run on.
    dashboard : bool, optional
        Start Ray's dashboard; if it does not come up Ray is started without.
        Default: ``spy.config.dashboard``, else where 4 GB of memory are available.
    dashboard_host : str
        Address the dashboard listens at; it asks for the token too.
    memory : int, optional
        Memory in bytes Ray may count on; default: what is available.
    node_ip : str, optional
        Address of this machine under which nodes on other machines find it. Left
        out: only this machine itself can reach it.

    Returns
    -------
    ClusterInfo
        Also where the Ray started earlier is still running; then nothing is started.

    Raises
    ------
    ParallelError
        Ray cannot run here; the message says why. It comes within three minutes,
        and nothing of Ray is left then.
    """
    if state.inherited:
        raise ParallelError(find.FORKED)
    with state.guard:
        if find.ray_is_ours():
            return describe()
        if find.ray_is_connected():
            raise ParallelError("cannot start a local Ray: this process is connected to another one")
        if state.failure:
            raise ParallelError(f"{state.failure}; `spy.retry_ray()` lets the next call try again")
        end.shutdown_local_ray()
        find.check_installed()
        left = available_memory()
        available = min(2**62 if memory is None else memory, max(left - _OWN_MEMORY, left // 2))
        store = store_size(available)
        options: dict[str, Any] = {
            "address": "local",
            "num_cpus": usable_cpus() if num_cpus is None else num_cpus,
            "object_store_memory": store,
            "_memory": max(available - store, available // 2) if memory is None else memory,
            "include_dashboard": _wants_dashboard(available) if dashboard is None else dashboard,
            "dashboard_host": dashboard_host,
            "log_to_driver": False,
            "_node_ip_address": node_ip or _LOOPBACK,
        }
        with waiting("start_local_ray", "starting Ray on this machine"):
            _start(options)
        info = describe()
    message(
        "start_local_ray",
        f"started Ray at {info.address} with {info.cpus:g} CPUs, dashboard: {info.dashboard or 'off'}",
    )
    return info


def retry_ray() -> None:
    """Let the next call that needs a Ray on this machine try to start it again.

    After a start that failed, later calls of the session do without Ray at once:
    each try may take minutes.
    """
    state.failure = ""
    state.tries += 1


def _wants_dashboard(available: int) -> bool:
    chosen: bool | None = config.dashboard
    return available >= _DASHBOARD_MEMORY if chosen is None else chosen


# --- attempts ----------------------------------------------------------------------------------------------


def _start(options: dict[str, Any]) -> None:
    """Start Ray, again where it did not come up, and then without its dashboard."""
    deadline = time.monotonic() + _START_SECONDS
    for pause in (*_PAUSES, None):
        try:
            return _start_once(options, min(deadline, time.monotonic() + _ATTEMPT_SECONDS))
        except ParallelError as error:
            if pause is None or time.monotonic() + pause > deadline:
                state.failure = str(error)
                raise
            _tell_again(options, error)
        time.sleep(pause)
        options = {**options, "include_dashboard": False}


def _tell_again(options: dict[str, Any], error: ParallelError) -> None:
    message("start_local_ray", str(error), logging.DEBUG)
    if options["include_dashboard"]:
        warn("start_local_ray", "Ray did not come up in time; it is started again, without its dashboard")
    else:
        message("start_local_ray", "Ray did not come up in time; it is started again")


def _start_once(options: dict[str, Any], deadline: float) -> None:
    local = None
    try:
        with end.undisturbed():
            local = _claim()
        with end.undisturbed():
            local = replace(local, head=_start_head(local.folder, options))
        find.import_ray_meanwhile()
        address = _wait_for_head(local, deadline)
        _connect(address, local.folder)
        state.local = local = replace(local, address=address)
    except BaseException as error:
        if local is not None:
            end.undo(local)
        if isinstance(error, ParallelError) or not isinstance(error, Exception):
            raise
        raise ParallelError(f"Ray cannot be started: {first_line(error)}") from error
    finally:
        state.starting = None
    end.restore_sigterm(local.sigterm, unless=signal.SIG_DFL)
    atexit.unregister(end.shutdown_local_ray)
    atexit.register(end.shutdown_local_ray)


def _claim() -> state.LocalRay:
    folder, lock = folders.claim_folder()
    state.starting = folder
    sigterm = signal.getsignal(signal.SIGTERM)
    return state.LocalRay(folder, lock, env.enable_token(folder), sigterm, os.getpid(), end.watch(folder))


def _connect(address: str, folder: Path) -> None:
    ray = find.import_ray()
    env.refresh_ray_environment()
    with _loopback_allowed(address):
        ray.init(
            address=address, _temp_dir=_sessions(folder), log_to_driver=False, logging_level=logging.CRITICAL
        )
    state.connected()


@contextlib.contextmanager
def _loopback_allowed(address: str) -> Iterator[None]:
    """Have Ray connect to this very address: it would take another one of this machine."""
    constants: Any = importlib.import_module("ray._private.ray_constants")
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = before and not address.startswith(f"{_LOOPBACK}:")
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


def _sessions(folder: Path) -> str:
    """Ray's own folder; short, as there are sockets in it."""
    return str(folder / "s")


def _start_head(folder: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    asked = {**options, "_temp_dir": _sessions(folder), "ready": str(folder / "ready"), "parent": os.getpid()}
    local = _STAY_ON_LOOPBACK if options["_node_ip_address"] == _LOOPBACK else {}
    with (folder / "out").open("wb") as out:
        return subprocess.Popen(
            [*NODE, json.dumps(asked)],
            env={**os.environ, **_DASHBOARD_PATIENCE, **env.node_environment(folder), **local},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the driver
        )


def _wait_for_head(local: state.LocalRay, deadline: float) -> str:
    """Address of the head; `ParallelError` when it has failed, lost a main process or takes too long."""
    ready, next_look, seen = local.folder / "ready", 0.0, set[str]()
    while not ready.exists():
        now = time.monotonic()
        if local.head is not None and local.head.poll() is not None:
            raise ParallelError(f"Ray cannot be started: {_last_words(local.folder)}")
        if now > deadline:
            raise ParallelError(f"Ray cannot be started: {_slowest(seen)} did not come up in time")
        if now >= next_look:
            next_look = now + _PROCESS_LOOK_SECONDS
            running, ended = end.main_processes(local.head)
            if gone := ended | (seen - running):
                raise ParallelError(f"Ray cannot be started: {_why_gone(local, gone)}")
            seen = running
        time.sleep(_LOOK_SECONDS)
    return ready.read_text()


def _why_gone(local: state.LocalRay, gone: set[str]) -> str:
    """What the head says, if it was the head that failed: it takes the main processes with it."""
    if local.head is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            local.head.wait(_PROCESS_LOOK_SECONDS)
            return _last_words(local.folder)
    busy = ", as happens where all CPUs are busy" if "raylet" in gone else ""
    return f"its {' and '.join(sorted(gone))} ended while it was started{busy}"


def _slowest(seen: set[str]) -> str:
    return next((f"its {name}" for name in end.MAIN_PROCESSES if name not in seen), "it")


def _last_words(folder: Path) -> str:
    """What the head printed last."""
    lines = (folder / "out").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


# --- sizes -------------------------------------------------------------------------------------------------


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
