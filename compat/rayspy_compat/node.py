"""One Ray node inside a Dask worker; this runs on the workers."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rayspy import cluster

PLUGIN_NAME = "rayspy-ray-node"
_HEAD_SECONDS = 2.0
"""How often it is checked whether the head is still there."""
_HEAD_MISSES = 3
"""So many times without an answer: the driver is gone."""
_TERM_SECONDS = 1.0
"""How long a node may take to end by itself."""
_SHARE_OF_STORE = 10
"""The object store gets one part in so many of the worker's memory."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class NodeSpec:
    """What a worker must know to start its node."""

    address: str
    """Of the head, host:port."""
    token: str
    label: str
    """A resource of this name marks the nodes of one attachment."""


@dataclass(eq=False)
class RayNode:
    """A Ray node that was started here."""

    process: subprocess.Popen[bytes]
    folder: Path
    lock: IO[str]
    stopped: threading.Event

    def stop(self) -> None:
        """End the node with all its processes and remove its folder."""
        if self.stopped.is_set():
            return
        self.stopped.set()
        end_tree(self.process)
        cluster._remove_folder(self.folder)
        self.lock.close()

    def output(self) -> str:
        """Return the end of what it printed."""
        with contextlib.suppress(OSError):
            return (self.folder / "out").read_text()[-500:].strip()
        return ""


def start_node(spec: NodeSpec, host: str, threads: int, memory: int) -> RayNode:
    """Start a node of the size of a Dask worker.

    Parameters
    ----------
    spec : NodeSpec
        The cluster to join.
    host : str
        Address of this worker.
    threads, memory : int
        The worker's threads and memory limit in bytes; 0: no limit.
    """
    folder, lock = cluster._claim_folder()
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(
            _command(spec, host, threads, memory, folder),
            env=_environment(spec),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            preexec_fn=_die_with_parent,
        )
    node = RayNode(process, folder, lock, threading.Event())
    threading.Thread(target=_watch_head, args=(node, spec), name="rayspy-ray-node", daemon=True).start()
    return node


def _command(spec: NodeSpec, host: str, threads: int, memory: int, folder: Path) -> list[str]:
    available = min(memory or 2**62, cluster._available_memory())
    store = max(cluster._MIN_STORE, min(available // _SHARE_OF_STORE, cluster._store_size(available)))
    options = {
        "address": spec.address,
        "node-ip-address": host,
        "num-cpus": threads,
        "memory": max(available - store, available // 2),
        "object-store-memory": store,
        "temp-dir": folder / "s",
        "resources": json.dumps({spec.label: 1}),
    }
    named = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", *named, "--block", "--disable-usage-stats"]


def _environment(spec: NodeSpec) -> dict[str, str]:
    """Environment of the node: the token is here, where other users cannot read it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")
    }
    return {**kept, **cluster._worker_environment(), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": spec.token}


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Have the kernel kill this process when the Dask worker ends, however it ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_head(node: RayNode, spec: NodeSpec) -> None:
    """End the node when its driver is gone."""
    host, port = spec.address.rsplit(":", 1)
    misses = 0
    while not node.stopped.wait(_HEAD_SECONDS):
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_HEAD_SECONDS).close()
            misses = 0
        except OSError:
            misses += 1
        if misses >= _HEAD_MISSES or node.process.poll() is not None:
            node.stop()


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process and all its descendants: SIGTERM, and SIGKILL for those that take their time."""
    import psutil

    tree: list[Any] = []
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(process.pid)
        tree = [root, *root.children(recursive=True)]
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TERM_SECONDS)
    for survivor in tree:
        with contextlib.suppress(psutil.Error):
            survivor.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_TERM_SECONDS)
    psutil.wait_procs(tree, timeout=_TERM_SECONDS)


# --- the plugin --------------------------------------------------------------------------------------------


def make_plugin(spec: NodeSpec) -> Any:
    """Return a plugin that keeps one Ray node in every Dask worker, also in those that join later."""
    from distributed import WorkerPlugin

    class RayNodePlugin(WorkerPlugin):  # type: ignore[misc]
        """Never raises: an error here would stop the Dask worker."""

        def __init__(self, spec: NodeSpec) -> None:
            self.spec = spec
            self.node: Any = None
            self.error = ""

        def setup(self, worker: Any) -> None:
            try:
                from rayspy_compat.node import start_node

                host = self.spec.address.rsplit(":", 1)[0] if worker.ip.startswith("127.") else worker.ip
                memory = int(worker.memory_manager.memory_limit or 0)
                self.node = start_node(self.spec, host, worker.state.nthreads, memory)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"

        def teardown(self, worker: Any) -> Any:
            import asyncio

            if self.node is None:
                return None
            return asyncio.to_thread(self.node.stop)

    return RayNodePlugin(spec)


def node_problem(dask_worker: Any) -> str:
    """Say why the node of this worker does not run; empty if it does."""
    plugin = dask_worker.plugins.get(PLUGIN_NAME)
    if plugin is None:
        return "no plug-in"
    if plugin.node is None:
        return str(plugin.error)
    return f"ray start ended: {plugin.node.output()}" if plugin.node.process.poll() is not None else ""
