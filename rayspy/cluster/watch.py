"""Notice that a main process of the connected Ray has ended.

Ray's library does not raise then: without its raylet it ends this process, without
its gcs_server it does so after a minute of silence.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rayspy.cluster import find, state
from rayspy.cluster.end import MAIN_PROCESSES, lives, shutdown_local_ray
from rayspy.errors import ParallelError

_LOOK_SECONDS = 0.1
"""How often processes are looked at where the kernel cannot tell that one ends,"""
_PATIENCE_SECONDS = 5.0
"""and where it can: it does so at once."""


@contextlib.contextmanager
def watched(tell: Callable[[str], None]) -> Iterator[None]:
    """Look after the connected Ray for the length of a ``with`` block.

    Parameters
    ----------
    tell : callable
        Called at once, in another thread, with what has happened: there may be no time for more.
    """
    watch = _current_watch()
    if watch is None:
        yield
        return
    watch.listeners.append(tell)
    try:
        yield
    finally:
        watch.listeners.remove(tell)
        if threading.current_thread() is threading.main_thread():
            forget_ended()  # it would end this process a minute later


@dataclass
class _Watch:
    """Looks after one Ray in a thread of its own, as long as this process is connected to it."""

    address: str
    owner: int
    processes: dict[str, Any]
    listeners: list[Callable[[str], None]] = field(default_factory=list)

    def look(self) -> None:
        with _ends_of(self.processes) as wait:
            while self is _watch:
                wait()
                gone = [name for name, process in self.processes.items() if not lives(process)]
                if gone:
                    state.ended = (
                        self.address,
                        f"Ray has ended: its {' and '.join(gone)} was killed or broke down",
                    )
                    for tell in list(self.listeners):
                        tell(state.ended[1])
                    return


_watch: _Watch | None = None


def _current_watch() -> _Watch | None:
    """The watch of the connected Ray; begins at first use."""
    global _watch
    if not find.ray_is_connected():
        return None
    address = find.context().gcs_address
    if _watch is None or (_watch.address, _watch.owner) != (address, os.getpid()):
        state.ended = "", ""
        _watch = _Watch(address, os.getpid(), _main_processes())
        threading.Thread(target=_watch.look, name="rayspy-watch", daemon=True).start()
    return _watch


@contextlib.contextmanager
def _ends_of(processes: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Yield what waits a while, or until a process ends: every millisecond may count."""
    with contextlib.ExitStack() as stack:
        numbers = []
        for process in processes.values():
            with contextlib.suppress(OSError, AttributeError):
                numbers.append(os.pidfd_open(process.pid))
                stack.callback(os.close, numbers[-1])

        def wait() -> None:
            if len(numbers) == len(processes):
                select.select(numbers, [], [], _PATIENCE_SECONDS)
            else:
                time.sleep(_LOOK_SECONDS)

        yield wait


def why_ended() -> str:
    """Why the connected Ray has ended; empty if it has not, as far as is known."""
    address, why = state.ended
    return why if address and find.ray_is_connected() and find.context().gcs_address == address else ""


def forget_ended() -> None:
    """Let go of a Ray that has ended, so that another one can be used."""
    if not why_ended():
        return
    if find.ray_is_ours():
        shutdown_local_ray()
    else:
        sys.modules["ray"].shutdown()


def check_ray() -> None:
    """Raise `ParallelError` if the connected Ray is known to have ended."""
    if why := why_ended():
        raise ParallelError(why)


def _main_processes() -> dict[str, Any]:
    """Those of the connected Ray that are on this machine."""
    import psutil

    node: Any = getattr(sys.modules["ray"]._private.worker, "_global_node", None)
    signs = (getattr(node, "session_name", None), getattr(node, "raylet_socket_name", None))
    found: dict[str, Any] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            name = process.name()
            if name in MAIN_PROCESSES:
                sign = signs[MAIN_PROCESSES.index(name)]
                if sign and any(word.endswith(sign) for word in process.cmdline()):
                    found[name] = process
    return found
