"""One Ray node that joins a running Ray, and the small process that looks after it.

The process ends with its node, with its parent, with the head, or at a signal,
and leaves neither processes nor files.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rayspy import cluster
from rayspy.launch.guard import end_job_without
from rayspy.launch.processes import (
    adopt_orphans,
    die_with_parent,
    end_descendants,
    end_on_signals,
    ignore_signals,
)
from rayspy.limits import available_memory

READY = "rayspy-node-ready "
"""Begins the line that is printed when the node has joined; its folder follows."""
RELEASE = "end"
"""Said to a node on a leash that is to end."""
SESSIONS = "s"
"""Ray's own folder within that of the node; short, as there are sockets in it."""
_LOOK_SECONDS = 0.2
_HEAD_SECONDS = 2.0
"""How often it is checked whether the head is still there."""
_HEAD_MISSES = 3
"""Refused so many times: the head has ended."""
_HEAD_SILENCE = 30.0
"""So many seconds without any answer, as when the network is cut: the head is gone."""
_SHARE_OF_STORE = 10
"""The object store gets one part in so many of the memory."""
_OWN_SHARE = 20
"""Ray's own processes get one part in so many of the memory, at most 1 GB."""


@dataclass(frozen=True)
class NodeSpec:
    """A node to start."""

    address: str
    """Of the head, host:port."""
    host: str
    """Address of this machine."""
    cpus: int
    memory: int = 0
    """Bytes for blocks and object store together; 0: what is available."""
    label: str = ""
    """A resource of this name marks the node."""
    parent: int = 0
    """Process the node must not outlive; 0: the one that starts it."""
    leash: bool = False
    """End at a word on standard input, or when that is closed."""
    first: str = ""
    """First host of the SLURM job, if this node is to end the job when that is lost."""
    patience: float = 0.0
    """How long to wait, in seconds, for SLURM to notice that."""

    def arguments(self) -> list[str]:
        """Return a command line that starts this node."""
        return [sys.executable, "-m", "rayspy", "node", json.dumps(asdict(self))]


def memory_and_store(wanted: int, others: int = 0) -> tuple[int, int]:
    """Split memory into what blocks may use and the object store.

    Parameters
    ----------
    wanted : int
        Bytes the whole node may use; 0: all there is.
    others : int
        Bytes to leave for other processes on the node, at most a quarter of it.
    """
    available = min(wanted or 2**62, available_memory())
    size = cluster.store_size(available)
    store = max(cluster.MIN_STORE, min(available // _SHARE_OF_STORE, size))
    own = min(10**9, available // _OWN_SHARE) + min(others, available // 4)
    return max(available - store - own, available // 2), store


def ray_command(spec: NodeSpec, folder: Path) -> list[str]:
    """Return the command that starts Ray; ports are left to the kernel, nodes may share a host."""
    memory, store = memory_and_store(spec.memory)
    options = {
        "address": spec.address,
        "node-ip-address": spec.host,
        "num-cpus": spec.cpus,
        "memory": memory,
        "object-store-memory": store,
        "temp-dir": folder / SESSIONS,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "dashboard-agent-listen-port": 0,
    }
    if spec.label:
        options["resources"] = json.dumps({spec.label: 1})
    named = [f"--{name}={value}" for name, value in options.items()]
    return [*cluster.NODE, "start", *named, "--block", "--disable-usage-stats"]


def run_node(spec: NodeSpec, say: Callable[[str], None]) -> int:
    """Start a node and look after it until it or something it needs ends.

    Parameters
    ----------
    spec : NodeSpec
        The node.
    say : callable
        Called with `READY` and the node's folder, and with the reason at the end.

    Returns
    -------
    int
        Exit status: 0 unless Ray ended by itself, or could not be started.
    """
    adopt_orphans()
    end_on_signals()
    parent = spec.parent or os.getppid()

    def tell(text: str) -> None:
        with contextlib.suppress(OSError):  # whoever listened may be gone
            say(text)

    end = _run_and_tidy(spec, parent, tell)
    if end.alone and spec.first:
        tell(end_job_without(spec.first, spec.patience, lambda: spec.leash and _leash() == RELEASE))
    return end.status


def _run_and_tidy(spec: NodeSpec, parent: int, say: Callable[[str], None]) -> _End:
    folder, lock = cluster.claim_folder()
    try:
        try:
            for _ in range(cluster.ATTEMPTS - 1):
                end = _look_after(_started(spec, folder), spec, folder, parent, say)
                if end.status == 0 or end.joined:
                    return end
                end_descendants()
                shutil.rmtree(folder / SESSIONS, ignore_errors=True)
            return _look_after(_started(spec, folder), spec, folder, parent, say)
        finally:  # whoever hears why the node ends may send a signal right then
            ignore_signals()
    finally:
        end_descendants()
        cluster.remove_folder(folder)
        lock.close()


@dataclass(frozen=True)
class _End:
    """How a node ended."""

    status: int
    joined: bool
    alone: bool = False
    """Whether nobody had said that it should."""


def _started(spec: NodeSpec, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "out").open("wb") as out:
        return subprocess.Popen(
            ray_command(spec, folder),
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            preexec_fn=die_with_parent,
        )


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return {**kept, **cluster.node_environment(folder)}


def _look_after(
    ray: subprocess.Popen[bytes], spec: NodeSpec, folder: Path, parent: int, say: Callable[[str], None]
) -> _End:
    ready, next_look, head = False, time.monotonic(), _Head(spec.address)
    while os.getppid() == parent:
        if spec.leash and (leash := _leash()):
            return _End(0, ready, leash != RELEASE)
        if not ready and "Ray runtime started" in _output(folder):
            ready = True
            say(f"{READY}{folder}")
        if ray.poll() is not None:
            say(f"Ray ended with status {ray.returncode}: {_output(folder)[-500:].strip()}")
            return _End(1, ready)
        if time.monotonic() >= next_look:
            next_look += _HEAD_SECONDS
            if head.is_gone():
                say("the head of this Ray is gone")
                return _End(0, ready, alone=True)
        time.sleep(_LOOK_SECONDS)
    return _End(0, ready)


class _Head:
    """Tells an end of the head from a network that is away for a moment."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._refused = 0
        self._heard = time.monotonic()

    def is_gone(self) -> bool:
        """Try once to reach it."""
        fault = cluster.unreachable(self._address, _HEAD_SECONDS)
        self._refused = self._refused + 1 if isinstance(fault, ConnectionRefusedError) else 0
        if fault is None:
            self._heard = time.monotonic()
        return self._refused >= _HEAD_MISSES or time.monotonic() - self._heard > _HEAD_SILENCE


def _leash() -> str:
    """What came from standard input: nothing, `RELEASE`, or that it was closed without a word."""
    if not select.select([0], [], [], 0)[0]:
        return ""
    return RELEASE if os.read(0, 1024) else "closed"


def _output(folder: Path) -> str:
    return (folder / "out").read_text(errors="replace")


def answers(address: str, seconds: float = _HEAD_SECONDS) -> bool:
    """Whether something listens at ``host:port``."""
    return cluster.unreachable(address, seconds) is None
