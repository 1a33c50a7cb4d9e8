"""Ray in a SLURM allocation: head in the batch script, one node per further host, all gone at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rayspy import cluster
from rayspy.errors import InvalidValueError, ParallelError
from rayspy.launch.connection import (
    Connection,
    find_connection,
    own_versions,
    write_connection,
    write_token,
)
from rayspy.launch.node import READY, RELEASE, NodeSpec, memory_and_store
from rayspy.launch.processes import (
    Patience,
    adopt_orphans,
    die_with_parent,
    end_descendants,
    end_on_signals,
    removed_when_killed,
)
from rayspy.launch.sizes import Allocation, Share, own_address, read_allocation
from rayspy.progress import message, warn

_LOOK_SECONDS = 0.2
_HEAD_LOOK_SECONDS = 2.0
_NODES_LOOK_SECONDS = 3.0
_END_SECONDS = 5.0
"""How long a script or a step may take to end after a signal."""
_LOST_SECONDS = 20.0
"""How long a script may go on whose Ray has ended."""
_STARTS = 3
"""So many times a script is started where Ray ends before it does."""
_START = "RAYSPY_JOB_START"
_GUARDS = 2
"""So many hosts beside the first look whether that is lost,"""
_GUARD_SECONDS = 3600.0
"""and wait so long for SLURM to notice."""
_HOSTS_NAMED = 8
_DASHBOARD, _DRIVER = 10**9, 5 * 10**8
"""Memory in bytes that is left for them on the first host."""
_NO_BINDING = "lacks support for cpu binding"
"""srun says so where it does what was asked for anyway."""


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise InvalidValueError("number of seconds", name, text) from None


def _head_seconds() -> float:
    return _seconds("RAYSPY_HEAD_TIMEOUT", 120.0)


def _node_seconds() -> float:
    return _seconds("RAYSPY_NODE_TIMEOUT", 120.0)


# --- what the batch scripts call ---------------------------------------------------------------------------


def run_script(command: Sequence[str]) -> int:
    """Run a Python script on a Ray of all hosts of this job; returns its exit status.

    As with `run_cluster`, this process has to end with `os._exit` afterwards.

    Parameters
    ----------
    command : sequence of str
        The script and its arguments.

    Raises
    ------
    ParallelError
        Ray does not come up on this host.
    """
    script = Path(command[0])
    if not script.is_file():
        raise InvalidValueError("path of a Python script", "script", script)
    allocation = _begin(script.name)
    status, lost = _run_once(allocation, command)
    start = int(os.environ.get(_START, "1"))
    if status and lost and start < _STARTS:
        warn("job", f"the head of Ray ended before {script.name} did: start {start + 1} of {_STARTS} begins")
        os.environ[_START] = str(start + 1)
        os.execv(sys.executable, [sys.executable, "-m", "rayspy", "job", *command])
    message("job", f"{script.name} ended with status {status}")
    return status


def _run_once(allocation: Allocation, command: Sequence[str]) -> tuple[int, bool]:
    """Exit status of the script, and whether Ray had ended before it did."""
    with _ray_on(allocation, dashboard=False) as (info, token, nodes):
        nodes.wait(_node_seconds())
        environ = {**os.environ, **_way_to(info, token), "PYTHONUNBUFFERED": "1"}
        with _started([sys.executable, *command], environ) as process:
            head = _Head()
            while process.poll() is None and head.lost_for() < _LOST_SECONDS:
                if not head.lost_for():
                    nodes.report_losses()
                time.sleep(_LOOK_SECONDS)
        lost = not cluster.ray_lives()
        if not lost:
            nodes.report_losses(now=True)
        status = process.returncode
    return status if status >= 0 else 128 - status, lost


def run_cluster() -> int:
    """Keep a Ray on all hosts of this job until the job ends; others find it by its connection file."""
    allocation = _begin("a standing cluster")
    with _ray_on(allocation, dashboard=True) as (info, token, nodes):
        started = Connection(
            job=allocation.job,
            address=info.address,
            dashboard=info.dashboard,
            token_file=str(token),
            host=allocation.own.host,
            started=time.time(),
            **own_versions(),
        )
        path = write_connection(started)
        try:
            nodes.wait(_node_seconds())
            message("job", f"the cluster is up: spy.connect(job={allocation.job}), {path}")
            while cluster.ray_lives():
                nodes.report_losses()
                time.sleep(_HEAD_LOOK_SECONDS)
        finally:
            path.unlink(missing_ok=True)
    message("job", "the head of this Ray ended by itself")
    return 1


def run_workers(job: str | None) -> int:
    """Add all hosts of this job to the standing cluster of another one, until either ends.

    Parameters
    ----------
    job : str, optional
        Job of the cluster; default: the newest one.
    """
    allocation = _begin("more nodes")
    connection = find_connection(job, _head_seconds())
    os.environ.update(connection.environment())
    nodes = Nodes(connection.address, allocation.own.host)
    try:
        for share in allocation.shares:
            nodes.start(share)
        nodes.wait(_node_seconds(), least=1)
        while nodes.running():
            nodes.report_losses()
            time.sleep(_LOOK_SECONDS)
    finally:
        nodes.stop()
        end_descendants()
    message("job", f"the nodes of this job have left the cluster of job {connection.job}")
    return 0


# --- pieces ------------------------------------------------------------------------------------------------


def _begin(what: str) -> Allocation:
    adopt_orphans()
    end_on_signals()
    allocation = read_allocation()
    message("job", _described(allocation, what, os.environ.get("SLURM_RESTART_COUNT", "")))
    return allocation


def _described(allocation: Allocation, what: str, restarts: str) -> str:
    hosts, own = [share.host for share in allocation.shares], allocation.own
    again = f" (restart {restarts})" if restarts not in ("", "0") else ""
    named = " ".join(hosts[:_HOSTS_NAMED]) + (" ..." if len(hosts) > _HOSTS_NAMED else "")
    cpus = f"{own.cpus} CPU{'s' * (own.cpus != 1)}"
    memory = f"{own.memory / 2**30:.1f} GiB" if own.memory else "no memory limit"
    where = f"{len(hosts)} host{'s' * (len(hosts) != 1)} ({named})"
    return f"job {allocation.job}{again}: {what} on {where}, {cpus} and {memory} on the first"


def _way_to(info: cluster.ClusterInfo, token: Path) -> dict[str, str]:
    """Environment with which Ray is found and entered."""
    found = {
        "RAY_ADDRESS": info.address,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        cluster.STARTED_BY_US: info.address,
    }
    return {**found, "RAY_API_SERVER_ADDRESS": info.dashboard} if info.dashboard else found


@contextlib.contextmanager
def _ray_on(allocation: Allocation, dashboard: bool) -> Iterator[tuple[cluster.ClusterInfo, Path, Nodes]]:
    token = write_token(allocation.job)
    nodes: Nodes | None = None
    watch = removed_when_killed(token)
    try:
        info = _start_head(allocation, token, dashboard)
        os.environ.update(_way_to(info, token))
        nodes = Nodes(info.address, allocation.own.host, _hosts_alive)
        for share in allocation.shares[1:]:
            nodes.start(share)
        yield info, token, nodes
    finally:
        _end(nodes, token)
        watch.communicate()


def _end(nodes: Nodes | None, token: Path) -> None:
    """Leave nothing: first what would stay if SLURM lost patience."""
    token.unlink(missing_ok=True)
    if nodes is not None:
        nodes.release()
    folder = cluster.kill_local_ray()
    if nodes is not None:
        nodes.stop()
    end_descendants()
    if folder is not None:
        cluster.remove_folder(folder)


def _start_head(allocation: Allocation, token: Path, dashboard: bool) -> cluster.ClusterInfo:
    began, seconds, own = time.monotonic(), _head_seconds(), allocation.own
    address = own_address(tuple(share.host for share in allocation.shares[1:]))
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    def give_up() -> None:
        warn("job", f"the head of Ray on {own.host} did not come up within {seconds:g} s")
        token.unlink(missing_ok=True)
        cluster.remove_unfinished()

    with Patience(seconds, give_up):
        info = cluster.start_local_ray(
            num_cpus=own.cpus,
            memory=memory_and_store(own.memory, _DASHBOARD if dashboard else _DRIVER)[0],
            dashboard=dashboard,
            dashboard_host=address,
            node_ip=address,
        )
    message("job", f"the head of Ray is up on {own.host} at {info.address} after {_since(began)}")
    return info


def _hosts_alive() -> set[str]:
    return {node.host.split(".")[0] for node in cluster.describe().nodes}


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


class _Head:
    """Tells now and then whether the Ray started here still runs."""

    def __init__(self) -> None:
        self._seen = self._looked = time.monotonic()
        self._lives = True

    def lost_for(self) -> float:
        """Seconds since it ran, 0 if it does."""
        now = time.monotonic()
        if now - self._looked >= _HEAD_LOOK_SECONDS:
            self._looked, self._lives = now, cluster.ray_lives()
        if self._lives:
            self._seen = now
        return now - self._seen


@contextlib.contextmanager
def _started(command: Sequence[str], environ: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process; it is asked to end, and given a moment for it, when the block is left early."""
    process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()


# --- nodes on the other hosts ------------------------------------------------------------------------------


@dataclass(eq=False)
class _Step:
    """One node in a job step of its own, so that it fails alone."""

    host: str
    process: subprocess.Popen[str]
    ready: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    last: str = ""
    seen: bool = False
    """Whether the head knew it."""
    reported: bool = False

    def follow(self, said: Callable[[], None]) -> None:
        """Read what the step prints until it ends."""
        for line in self.process.stdout or ():
            if line.startswith(READY):
                self.ready.set()
            elif line.strip() and _NO_BINDING not in line:
                self.last = line.strip()
                sys.stderr.write(f"[{self.host}] {line}")
            said()
        self.process.wait()
        self.ended.set()
        said()


class Nodes:
    """Ray nodes on the hosts of this job.

    Parameters
    ----------
    address : str
        Of the head, host:port. The token is in the environment.
    first : str
        First host of this job.
    alive : callable, optional
        Returns the names of the hosts whose nodes the head knows: srun does not
        notice that a host is gone.
    """

    def __init__(self, address: str, first: str, alive: Callable[[], set[str]] | None = None) -> None:
        self._address = address
        self._first = first
        self._alive = alive
        self._next_look = 0.0
        self._steps: list[_Step] = []
        self._news = threading.Event()
        self._began = time.monotonic()

    def start(self, share: Share) -> None:
        """Start a node on one host; returns at once."""
        first = self._first if share.host != self._first and len(self._steps) < _GUARDS + 1 else ""
        patience = 0.0 if self._alive is None else _GUARD_SECONDS
        spec = NodeSpec(
            self._address, "", share.cpus, share.memory, leash=True, first=first, patience=patience
        )
        process = subprocess.Popen(
            [*_srun(share.host), *spec.arguments()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        step = _Step(share.host, process)
        self._steps.append(step)
        threading.Thread(target=step.follow, args=(self._news.set,), daemon=True).start()

    def running(self) -> int:
        """How many nodes have joined and not ended."""
        return sum(step.ready.is_set() and not step.ended.is_set() for step in self._steps)

    def wait(self, seconds: float, least: int = 0) -> None:
        """Wait until all nodes have joined, or as many as there are after a while.

        Parameters
        ----------
        seconds : float
            How long to wait.
        least : int
            So many are needed.
        """
        deadline = time.monotonic() + seconds
        while any(not step.ready.is_set() and not step.ended.is_set() for step in self._steps):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._news.wait(min(left, _LOOK_SECONDS))
            self._news.clear()
        self._tell(seconds)
        if self.running() < least:
            raise ParallelError(f"no node could join the Ray at {self._address}")

    def _tell(self, seconds: float) -> None:
        missing = [step for step in self._steps if not step.ready.is_set()]
        for step in missing:
            step.reported = True
            why = f"failed: {step.last}" if step.ended.is_set() else f"is not up after {seconds:g} s"
            warn("job", f"the Ray node on {step.host} {why}")
        if missing:
            warn(
                "job",
                f"{len(missing)} of {len(self._steps)} nodes beside the head are missing; going on without",
            )
        elif self._steps:
            message("job", f"all {len(self._steps)} nodes have joined after {_since(self._began)}")

    def report_losses(self, now: bool = False) -> None:
        """Say once which nodes are gone; the head is asked now and then, or `now`."""
        if now or time.monotonic() >= self._next_look:
            self._ask_head()
        for step in self._steps:
            if step.ended.is_set() and not step.reported:
                self._report(step)

    def _ask_head(self) -> None:
        if self._alive is None:
            return
        self._next_look = time.monotonic() + _NODES_LOOK_SECONDS
        hosts = self._alive()
        for step in self._steps:
            there = step.host.split(".")[0] in hosts
            if step.seen and not there and not step.reported:
                self._report(step)
            step.seen = step.seen or there

    def _report(self, step: _Step) -> None:
        step.reported = True
        warn("job", f"the Ray node on {step.host} is gone; its blocks run elsewhere")

    def release(self) -> None:
        """Have all steps end, by a word to them: srun answers a signal by killing them at once."""
        for step in self._steps:
            step.reported = True
            if step.process.stdin is not None and not step.process.stdin.closed:
                with contextlib.suppress(OSError):
                    step.process.stdin.write(f"{RELEASE}\n")
                    step.process.stdin.close()

    def stop(self) -> None:
        """End all steps; returns when they have ended."""
        self.release()
        deadline = time.monotonic() + _END_SECONDS
        for step in self._steps:
            if not step.ended.wait(max(0.0, deadline - time.monotonic())):
                step.process.send_signal(signal.SIGTERM)


def _srun(host: str) -> list[str]:
    """Command that starts something on one host of this job, beside what runs there already."""
    return [
        "srun",
        "--overlap",
        "--nodes=1",
        "--ntasks=1",
        f"--nodelist={host}",
        "--no-kill",
        "--kill-on-bad-exit=0",
        "--cpu-bind=none",
        "--mpi=none",
        "--unbuffered",
        "--quiet",
    ]
