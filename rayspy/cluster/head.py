"""A node of Ray, in a process of its own; imports nothing of rayspy.

``python -P head.py OPTIONS`` is the head: what goes wrong with Ray, or hangs, goes
wrong there and not in the user's session. Ray's processes end with it, and it with its
standard input. ``python -P head.py start ...`` is ``ray start ...``, a further node.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import select
import socket
import sys
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.5
_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to connections, above those that Ray gives to workers."""


def run(options: dict[str, Any]) -> None:
    """Start Ray, write its address into the file ``ready``, and stay until nobody needs it."""
    import ray

    begin_quickly(options["include_dashboard"])
    ready, parent = Path(options.pop("ready")), options.pop("parent")
    context = ray.init(**options)
    made = ready.with_name("ready-")
    made.write_text(str(context.address_info["gcs_address"]))
    made.replace(ready)
    while os.getppid() == parent and not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        pass


def join(words: list[str]) -> None:
    """Do what ``ray start`` does."""
    from ray.scripts import scripts

    begin_quickly(dashboard=False)
    sys.argv = ["ray", *words]
    scripts.main()


def begin_quickly(dashboard: bool) -> None:
    """Leave out processes that nobody needs here, and have the raylet wait for none of its agents.

    It would wait for them to name their ports, give up after 15 s, which on a busy
    machine are soon over, and end. It takes a port from its command line or from a
    file of its session, so these are there before: free ones, and none for metrics,
    which are off.

    Parameters
    ----------
    dashboard : bool
        Whether there is one. Left out with it: its server, which would only send
        usage statistics, and the autoscaler, which has nothing to do but to describe the
        cluster there. What workers print is read by nobody in any case.
    """
    with contextlib.suppress(ImportError, AttributeError):  # another release of Ray: it takes longer
        names: Any = importlib.import_module("ray._raylet")
        node: Any = importlib.import_module("ray._private.node").Node
        params: Any = importlib.import_module("ray._private.parameter").RayParams
        metrics = names.METRICS_AGENT_PORT_NAME, names.METRICS_EXPORT_PORT_NAME
        listen = names.DASHBOARD_AGENT_LISTEN_PORT_NAME
        persist, make, start = names.persist_port, params.__init__, node.start_raylet

        def made(self: Any, *args: Any, **options: Any) -> None:
            make(self, *args, **options)
            self.no_monitor = not dashboard
            self.include_log_monitor = False
            self.runtime_env_agent_port, self.dashboard_agent_listen_port = free_ports(2)

        def started(self: Any, *args: Any, **options: Any) -> None:
            with contextlib.suppress(Exception):  # of another release: the raylet waits as ever
                ports = {**dict.fromkeys(metrics, -1), listen: self._ray_params.dashboard_agent_listen_port}
                for name, port in ports.items():
                    persist(self._session_dir, self._node_id, name, port)
            start(self, *args, **options)

        params.__init__, node.start_raylet = made, started
        if not dashboard:
            node.start_api_server = lambda self, *args, **options: None


def free_ports(n: int) -> list[int]:
    """Ports that nothing listens at, as far as can be told."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("", port))
            found.append(port)
        if len(found) == n:
            break
    return found


if __name__ == "__main__":
    if sys.argv[1] == "start":
        join(sys.argv[1:])
    else:
        run(json.loads(sys.argv[1]))
