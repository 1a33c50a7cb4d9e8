"""Ray on the workers of a Dask cluster on other machines: the head here, one node in every worker."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path
from typing import Any

from rayspy import cluster
from rayspy.errors import MemoryBudgetError, ParallelError
from rayspy.planning.memory import Memory
from rayspy.progress import waiting
from rayspy_compat import client as clients
from rayspy_compat.node import PLUGIN_NAME, Invitation, make_plugin, node_problem

_START_SECONDS = 120.0
"""How long the first node may take: on a busy machine Ray gives up after some 20 s and is started again."""
_LOOK_SECONDS = 0.1
_CONNECT_SECONDS = 3


class RayNodes:
    """The head and the nodes of one client.

    Parameters
    ----------
    client : distributed.Client
        Its workers get the nodes.
    """

    def __init__(self, client: Any) -> None:
        self.address = clients.address_of(client)
        self.security = client.security
        self.label = f"rayspy-{secrets.token_hex(4)}"

    def start(self, client: Any) -> cluster.ClusterInfo:
        """Start everything; returns when the first node is there.

        Raises
        ------
        ParallelError
            Ray cannot run here or on the workers; nothing is left running.
        """
        cluster.shutdown_local_ray()
        info = cluster.start_local_ray(num_cpus=0, node_ip=_own_address(client))
        try:
            invitation = Invitation(info.address, _token(), self.label)
            plugin = make_plugin(invitation)
            with waiting("attach", "starting Ray inside the Dask workers"):
                clients.ask(
                    client, client._register_worker_plugin, plugin, PLUGIN_NAME, False, timeout=_START_SECONDS
                )
                self._wait(client)
        except BaseException:
            self.stop()
            raise
        return cluster.describe()

    def _wait(self, client: Any) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.alive():
            problems = self._problems(client) if self._time_to_ask() else {}
            if problems and all(problems.values()):
                raise ParallelError(f"no Ray node could be started: {_listed(problems)}")
            if time.monotonic() > deadline:
                raise ParallelError(f"no Ray node came up within {_START_SECONDS:g} s; {_listed(problems)}")
            time.sleep(_LOOK_SECONDS)

    _next_ask = 0.0

    def _time_to_ask(self) -> bool:
        now = time.monotonic()
        if now < self._next_ask:
            return False
        self._next_ask = now + 1.0
        return True

    def _problems(self, client: Any) -> dict[str, Any]:
        found: dict[str, Any] = clients.ask(client, client._run, node_problem, on_error="return")
        return found

    def alive(self) -> list[dict[str, float]]:
        """Resources of the nodes that run."""
        nodes = cluster.require_ray().nodes()
        return [node["Resources"] for node in nodes if node["Alive"] and self.label in node["Resources"]]

    def check_memory(self, memory: Memory) -> None:
        """Refuse a plan whose blocks no node could ever run."""
        largest = max((resources.get("memory", 0.0) for resources in self.alive()), default=None)
        if largest is not None and memory.per_worker > largest:
            raise MemoryBudgetError(
                f"a block needs {memory.per_worker / 1e6:.1f} MB, the largest Ray node in a Dask worker has "
                f"{largest / 1e6:.1f} MB; {memory.advice}, lower spy.config.block_bytes, or start workers "
                "with more memory"
            )

    def stop(self) -> None:
        """End all nodes, then the head."""
        with contextlib.suppress(Exception):
            self._unregister()
        cluster.shutdown_local_ray()

    def _unregister(self) -> None:
        """Take the plug-in away; the user's client may be closed already."""
        import distributed

        with distributed.Client(
            self.address, security=self.security, set_as_default=False, timeout=_CONNECT_SECONDS
        ) as client:
            client.unregister_worker_plugin(PLUGIN_NAME)


def _listed(problems: dict[str, Any]) -> str:
    return "; ".join(f"{where}: {what}" for where, what in problems.items()) or "its workers say nothing"


def _own_address(client: Any) -> str:
    """Address of this machine as the Dask scheduler's hosts see it."""
    from distributed.comm import get_address_host
    from distributed.utils import get_ip

    host = get_address_host(clients.address_of(client))
    found: str = get_ip(host) if host and not host.startswith("127.") else get_ip()
    return found


def _token() -> str:
    """Token of the Ray that was just started."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return os.environ["RAY_AUTH_TOKEN"]
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return Path(path).read_text().strip()
