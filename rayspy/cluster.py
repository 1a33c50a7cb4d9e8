"""Find, connect, start and describe Ray.

Importing this module does not import Ray. A Ray started here needs a token for
every connection, lives in a folder of its own that only the user can enter, and
is gone - processes and folder - when the session ends.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from rayspy.config import config
from rayspy.errors import ParallelError
from rayspy.limits import available_memory, usable_cpus
from rayspy.progress import message

__all__ = [
    "ClusterInfo",
    "NodeInfo",
    "connect_existing",
    "describe",
    "ray_is_connected",
    "ray_is_ours",
    "require_ray",
    "running_in_ray",
    "shutdown_local_ray",
    "start_local_ray",
]

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

ATTEMPTS = 3
"""So many times a node of Ray is started.

It gives up when its own helpers take more than some 15 s to come up, as on a machine whose CPUs are all busy.
"""
_TOO_BUSY = "timed out during startup"

STARTED_BY_US = "RAYSPY_RAY"
"""Address of a Ray whose nodes were all started by `start_local_ray` or `rayspy.launch`."""

_MIN_STORE = 80 * 2**20
_MAX_STORE = 2 * 10**9
_DASHBOARD_MEMORY = 4 * 2**30
"""The dashboard takes about 1 GB; it is left out where less than this is available."""
_MAX_FOLDER = 38
"""Ray puts sockets 66 characters below this folder; the path of a socket ends at 107."""


@dataclass(frozen=True)
class NodeInfo:
    """One machine of a Ray cluster; sizes in bytes."""

    node_id: str
    host: str
    cpus: float
    memory: int
    object_store: int


@dataclass(frozen=True)
class ClusterInfo:
    """The Ray this session is connected to."""

    address: str
    dashboard: str
    ray_version: str
    started_here: bool
    nodes: tuple[NodeInfo, ...]

    @property
    def cpus(self) -> float:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def memory(self) -> int:
        """Memory of all nodes in bytes."""
        return sum(node.memory for node in self.nodes)


@dataclass(frozen=True)
class _LocalRay:
    """What has to be undone when the Ray started here ends."""

    folder: Path
    lock: IO[str]
    environ: dict[str, str | None]
    sigterm: Any
    owner: int
    address: str = ""
    watch: subprocess.Popen[bytes] | None = None


_local: _LocalRay | None = None
_starting: Path | None = None
"""Folder of a Ray that is just being started."""
_guard = threading.RLock()


# --- finding -----------------------------------------------------------------------------------------------


def ray_is_connected() -> bool:
    """Whether this process is connected to a Ray; imports nothing."""
    ray = sys.modules.get("ray")
    return bool(ray is not None and hasattr(ray, "is_initialized") and ray.is_initialized())


def running_in_ray() -> str | None:
    """Why a Ray that runs already should be used, or None.

    Returns
    -------
    str or None
        For example ``"RAY_ADDRESS is set"``.
    """
    if ray_is_connected():
        return "Ray is connected already"
    if os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR"):
        return "this is a Ray job"
    if os.environ.get("RAY_ADDRESS", "local") not in ("", "local"):
        return "RAY_ADDRESS is set"
    return None


def one_thread_per_worker() -> bool:
    """Whether the workers of the connected Ray have `ONE_THREAD` in their environment already."""
    return ray_is_ours() or os.environ.get(STARTED_BY_US) == _context().gcs_address


def ray_is_ours() -> bool:
    """Whether the connected Ray was started by `start_local_ray` in this process."""
    if _local is None or _local.owner != os.getpid() or not ray_is_connected():
        return False
    return bool(_context().gcs_address == _local.address)


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


def describe() -> ClusterInfo:
    """Describe the connected Ray."""
    ray = require_ray()
    return ClusterInfo(
        address=_context().gcs_address,
        dashboard=_dashboard(),
        ray_version=ray.__version__,
        started_here=ray_is_ours(),
        nodes=tuple(_node_info(node) for node in ray.nodes() if node["Alive"]),
    )


def _node_info(node: dict[str, Any]) -> NodeInfo:
    resources = node["Resources"]
    return NodeInfo(
        node_id=node["NodeID"],
        host=node["NodeManagerHostname"],
        cpus=float(resources.get("CPU", 0)),
        memory=int(resources.get("memory", 0)),
        object_store=int(resources.get("object_store_memory", 0)),
    )


def _context() -> Any:
    return sys.modules["ray"].get_runtime_context()


def _dashboard() -> str:
    from ray._private.worker import get_dashboard_url

    url = get_dashboard_url()
    return f"http://{url}" if url and "://" not in url else url or ""


# --- connecting --------------------------------------------------------------------------------------------


def connect_existing(address: str | None = None, *, temp_dir: str | None = None) -> ClusterInfo:
    """Connect to a Ray that runs already.

    Parameters
    ----------
    address : str, optional
        ``"host:port"``; default: ``RAY_ADDRESS``. A Ray that happens to run on this
        machine is never joined without being asked for.
    temp_dir : str, optional
        Folder of the node on this machine to go through; default: any of that Ray.

    Raises
    ------
    ParallelError
        There is no address, or no Ray answers there.
    """
    if ray_is_connected():
        require_ray()
        return describe()
    address = address or os.environ.get("RAY_ADDRESS")
    if not address or address == "local":
        raise ParallelError("no address of a Ray cluster: pass one or set RAY_ADDRESS, e.g. to 'host:6379'")
    if "://" in address:
        raise ParallelError(f"cannot connect to '{address}': only a direct address 'host:port' is supported")
    ray = _import_ray()
    through = {} if temp_dir is None else {"_temp_dir": temp_dir}
    try:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False, **through)
    except Exception as error:
        raise ParallelError(
            f"cannot connect to Ray at '{address}': {_first_line(error)}; if that Ray uses tokens, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error
    info = describe()
    n = len(info.nodes)
    message(
        "connect_existing",
        f"connected to Ray at {info.address}: {n} node{'s' * (n != 1)}, {info.cpus:g} CPUs, "
        f"dashboard: {info.dashboard or 'off'}",
    )
    return info


def disconnect_from(address: str) -> None:
    """Disconnect from the Ray at this address, if this process is connected to it."""
    if ray_is_connected() and _context().gcs_address == address:
        sys.modules["ray"].shutdown()


def refresh_token() -> None:
    """Have Ray use the token that the environment names now."""
    if "ray" in sys.modules:
        _refresh_ray_environment()


# --- starting ----------------------------------------------------------------------------------------------


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
    with _guard:
        if ray_is_ours():
            return describe()
        if ray_is_connected():
            raise ParallelError("cannot start a local Ray: this process is connected to another one")
        shutdown_local_ray()
        ray = _import_ray()
        available = min(2**62 if memory is None else memory, available_memory())
        store = _store_size(available)
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


def shutdown_local_ray() -> None:
    """End the Ray that `start_local_ray` started and remove its folder; else do nothing."""
    global _local
    with _guard:
        local = _local
        if local is None or local.owner != os.getpid():
            return
        ours = ray_is_ours()
        _local = None
        _undo(local, disconnect=ours)


def kill_local_ray() -> Path | None:
    """End the Ray that `start_local_ray` started at once; this process has to end next.

    Shutting Ray down takes many seconds when some of its processes got a signal already.

    Returns
    -------
    Path or None
        Its folder, which is removed, unless a process is left that writes there.
    """
    global _local
    local, _local = _local, None
    if local is None or local.owner != os.getpid():
        return None
    atexit.unregister(shutdown_local_ray)
    _end_watch(local.watch)
    _end_processes(_ray_processes(), patience=0.0)
    _remove_folder(local.folder)
    local.lock.close()
    return local.folder


def remove_unfinished() -> None:
    """Remove the folder of a Ray whose start hangs; its processes must be gone."""
    if _starting is not None:
        _remove_folder(_starting)


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
    global _local, _starting
    folder, lock = _claim_folder()
    _starting = folder
    sigterm = signal.getsignal(signal.SIGTERM)
    local = _LocalRay(folder, lock, _enable_token(folder), sigterm, os.getpid())
    try:
        with _environment(_worker_environment()):
            _in_lasting_thread(lambda: ray.init(_temp_dir=str(folder / "s"), **options))
        _local = local = replace(local, address=_context().gcs_address, watch=_watch(folder))
    except BaseException as error:
        _undo(local, disconnect=True)
        _starting = None
        if isinstance(error, Exception):
            raise ParallelError(f"Ray cannot be started: {_first_line(error)}") from error
        raise
    _starting = None
    _restore_sigterm(local.sigterm, unless=signal.SIG_DFL)
    atexit.unregister(shutdown_local_ray)
    atexit.register(shutdown_local_ray)


# Ray's processes have the folder in their command line, or a title there and open files in the folder.
_WHEN_WE_ARE_GONE = """
read -r _
for found in /proc/[0-9]*; do
    [ "${found#/proc/}" = $$ ] && continue
    if grep -q -a '^ray::' "$found/cmdline"; then ls -l "$found/fd"; else cat "$found/cmdline"; fi |
        grep -q -a -F -e "$0/" && kill -9 "${found#/proc/}"
done
sleep 0.2
rm -rf "$0"
"""


def _watch(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start a process that ends Ray when this one was killed; Ray's own agents would take a minute."""
    if not Path("/proc/self/cmdline").exists():
        return None
    return subprocess.Popen(
        ["/bin/sh", "-c", _WHEN_WE_ARE_GONE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def _end_watch(watch: subprocess.Popen[bytes] | None) -> None:
    if watch is not None:
        watch.kill()
        watch.communicate()


def _worker_environment() -> dict[str, str]:
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


def _undo(local: _LocalRay, disconnect: bool) -> None:
    processes = _ray_processes() if disconnect else []
    try:
        if disconnect:
            sys.modules["ray"].shutdown()
    finally:
        _end_watch(local.watch)
        _end_processes(processes)
        for name, value in local.environ.items():
            _set_environ(name, value)
        _refresh_ray_environment()
        _restore_sigterm(local.sigterm)
        _remove_folder(local.folder)
        local.lock.close()


def _ray_processes() -> list[Any]:
    """Return the processes of the Ray started here, with all their descendants."""
    import psutil

    node = getattr(sys.modules["ray"]._private.worker, "_global_node", None)
    found: list[Any] = []
    for infos in list(getattr(node, "all_processes", {}).values()):
        for info in infos:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(info.process.pid)
                found += [process, *process.children(recursive=True)]
    return found


def _end_processes(processes: list[Any], patience: float = 0.1) -> None:
    """Kill what is still there of Ray's processes a moment after Ray was shut down."""
    import psutil

    alive = psutil.wait_procs(processes, timeout=patience)[1]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ParallelError(
            f"Ray cannot be imported in Python {version} ({error}); run `pip install 'ray[default]'`"
        ) from error
    return ray


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


def _restore_sigterm(handler: Any, unless: Any = None) -> None:
    """Put back a handler of SIGTERM, which ``ray.init`` replaces by one that exits."""
    if handler is None or handler == unless or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, handler)


# --- token -------------------------------------------------------------------------------------------------


def _enable_token(folder: Path) -> dict[str, str | None]:
    """Turn tokens on, with one of our own unless the user has one; return the environment before."""
    changes = {"RAY_AUTH_MODE": "token"}
    if not _user_has_token():
        changes["RAY_AUTH_TOKEN_PATH"] = str(_write_token(folder))
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    _refresh_ray_environment()
    return before


def _user_has_token() -> bool:
    """Whether the user chose a token; one that Ray left in the home folder may be readable by others."""
    return bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))


def _write_token(folder: Path) -> Path:
    path = folder / "token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def _refresh_ray_environment() -> None:
    """Make Ray read its variables again: it keeps those it found at import."""
    raylet: Any = importlib.import_module("ray._raylet")
    with contextlib.suppress(AttributeError):
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            _set_environ(name, value)


def _set_environ(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


# --- folders -----------------------------------------------------------------------------------------------


def _claim_folder() -> tuple[Path, IO[str]]:
    """Make a folder for one Ray; it is ours as long as the returned file is open.

    Folders of sessions that were killed are removed on the way.
    """
    root = _root()
    with _locked(root / "lock"):
        for folder in root.glob("r*"):
            _remove_if_abandoned(folder)
        folder = Path(tempfile.mkdtemp(prefix="r", dir=root))
        lock = (folder / "owner").open("w")
        _try_lock(lock)
    return folder, lock


def _root() -> Path:
    name = f"rayspy-{os.getuid()}"
    root = Path(tempfile.gettempdir()) / name
    if len(str(root)) + len("/r12345678") > _MAX_FOLDER:
        root = Path("/tmp") / name
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    status = root.lstat()
    if root.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ParallelError(
            f"Ray cannot be started: {root} is not a private folder of yours; set TMPDIR to another"
        )
    return root


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_if_abandoned(folder: Path) -> None:
    try:
        file = (folder / "owner").open("a")
    except FileNotFoundError:
        _remove_folder(folder)
        return
    with file:
        if _try_lock(file):
            _remove_folder(folder)


def _remove_folder(folder: Path, patience: float = 2.0) -> None:
    """Remove a folder in which processes that are ending may still write."""
    deadline = time.monotonic() + patience
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        if folder.exists():
            time.sleep(0.05)


# --- sizes -------------------------------------------------------------------------------------------------


def _store_size(available: int) -> int:
    size = min(_MAX_STORE, available // 10)
    shared = Path("/dev/shm")
    if shared.is_dir():
        free = shutil.disk_usage(shared).free
        if free < _MIN_STORE:
            raise ParallelError(
                f"Ray cannot be started: /dev/shm has {free // 2**20} MB free, "
                f"{_MIN_STORE // 2**20} MB are needed"
            )
        size = min(size, free // 2)
    return max(size, _MIN_STORE)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
