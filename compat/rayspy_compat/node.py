"""One Ray node inside a Dask worker; this runs on the workers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from typing import IO, Any

from rayspy import cluster
from rayspy.launch.node import NodeSpec

PLUGIN_NAME = "rayspy-ray-node"
_END_SECONDS = 8.0
"""How long a node may take to end."""


@dataclass(frozen=True)
class Invitation:
    """What a worker must know to start its node."""

    address: str
    """Of the head, host:port."""
    token: str
    label: str
    """A resource of this name marks the nodes of one attachment."""


@dataclass(eq=False)
class RayNode:
    """A Ray node in the process tree of this worker, looked after by a process of its own.

    That process ends the node also when this one is killed.
    """

    process: subprocess.Popen[bytes]
    printed: IO[bytes]

    def stop(self) -> None:
        """End the node with all its processes and files."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_END_SECONDS)
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        """Return the end of what it printed."""
        size = self.printed.seek(0, os.SEEK_END)
        self.printed.seek(max(0, size - 500))
        return self.printed.read().decode(errors="replace").strip()


def start_node(invitation: Invitation, host: str, threads: int, memory: int) -> RayNode:
    """Start a node of the size of a Dask worker.

    Parameters
    ----------
    invitation : Invitation
        The cluster to join.
    host : str
        Address of this worker.
    threads, memory : int
        The worker's threads and memory limit in bytes; 0: no limit.
    """
    spec = NodeSpec(invitation.address, host, threads, memory, invitation.label, parent=os.getpid())
    printed = tempfile.TemporaryFile()  # noqa: SIM115
    process = subprocess.Popen(
        spec.arguments(),
        env=_environment(invitation),
        stdin=subprocess.DEVNULL,
        stdout=printed,
        stderr=subprocess.STDOUT,
    )
    return RayNode(process, printed)


def _environment(invitation: Invitation) -> dict[str, str]:
    """Environment of the node: the token is here, where other users cannot read it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")
    }
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": invitation.token}
    return {**kept, **cluster.worker_environment(), **token}


# --- the plugin --------------------------------------------------------------------------------------------


def make_plugin(invitation: Invitation) -> Any:
    """Return a plugin that keeps one Ray node in every Dask worker, also in those that join later."""
    from distributed import WorkerPlugin

    class RayNodePlugin(WorkerPlugin):  # type: ignore[misc]
        """Never raises: an error here would stop the Dask worker."""

        def __init__(self, invitation: Invitation) -> None:
            self.invitation = invitation
            self.node: Any = None
            self.error = ""

        def setup(self, worker: Any) -> None:
            try:
                from rayspy_compat.node import start_node

                head = self.invitation.address.rsplit(":", 1)[0]
                host = head if worker.ip.startswith("127.") else worker.ip
                memory = int(worker.memory_manager.memory_limit or 0)
                self.node = start_node(self.invitation, host, worker.state.nthreads, memory)
            except Exception as error:
                self.error = f"{type(error).__name__}: {error}"

        def teardown(self, worker: Any) -> Any:
            import asyncio

            if self.node is None:
                return None
            return asyncio.to_thread(self.node.stop)

    return RayNodePlugin(invitation)


def node_problem(dask_worker: Any) -> str:
    """Say why the node of this worker does not run; empty if it does."""
    plugin = dask_worker.plugins.get(PLUGIN_NAME)
    if plugin is None:
        return "no plug-in"
    if plugin.node is None:
        return str(plugin.error)
    return f"the Ray node ended: {plugin.node.output()}" if plugin.node.process.poll() is not None else ""
