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
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rayspy.cluster import find, state
from rayspy.cluster.end import MAIN_PROCESSES, lives, shutdown_local_ray
from rayspy.errors import ParallelError

_LOOK_SECONDS = 0.1


@contextlib.contextmanager
def watched(tell: Callable[[str], None]) -> Iterator[None]:
    """Look after the connected Ray for the length of a ``with`` block.

    Parameters
    ----------
    tell : callable
        Called at once, in another thread, with what has happened: there may be no time for more.
    """
    if not find.ray_is_connected():
        yield
        return
    address, processes, over = find.context().gcs_address, _main_processes(), threading.Event()

    def look() -> None:
        with _ends_of(processes.values()) as wait:
            while not over.is_set():
                wait(_LOOK_SECONDS)
                gone = [name for name, process in processes.items() if not lives(process)]
                if gone and not over.is_set():
                    state.ended = address, f"Ray has ended: its {' and '.join(gone)} was killed or broke down"
                    tell(state.ended[1])
                    return

    thread = threading.Thread(target=look, name="rayspy-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _ends_of(processes: Iterable[Any]) -> Iterator[Callable[[float], None]]:
    """Yield what waits for so many seconds, or until a process ends: every millisecond may count."""
    with contextlib.ExitStack() as stack:
        numbers = []
        for process in processes:
            with contextlib.suppress(OSError, AttributeError):
                numbers.append(os.pidfd_open(process.pid))
                stack.callback(os.close, numbers[-1])

        def wait(seconds: float) -> None:
            select.select(numbers, [], [], seconds)

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
