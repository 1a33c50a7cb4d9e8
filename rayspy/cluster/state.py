"""What is known of the Ray that was started here."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class LocalRay:
    """What has to be undone when the Ray started here ends."""

    folder: Path
    lock: IO[str]
    environ: dict[str, str | None]
    sigterm: Any
    owner: int
    watch: subprocess.Popen[bytes] | None
    """Ends Ray when this process was killed."""
    head: subprocess.Popen[bytes] | None = None
    address: str = ""


local: LocalRay | None = None
starting: Path | None = None
"""Folder of a Ray that is just being started."""
tries = 0
"""How often it was asked to try again."""
failure = ""
"""Why Ray cannot be started here, once that was tried in vain."""
ended = ("", "")
"""Address of the last Ray that was seen to end, and why."""
guard = threading.RLock()
inherited = False
"""Whether this process was forked off one that a Ray was connected to: the connection is not its own."""


connected_by = 0
"""Process that rayspy connected to a Ray; one that its user connected is none of our business."""


def connected() -> None:
    """Note that this process was connected to a Ray by rayspy."""
    global connected_by
    connected_by = os.getpid()


def _in_child() -> None:
    """After a fork: locks that a thread of the parent held are held by nobody, and its Ray is left alone."""
    global guard, inherited, local, starting
    guard = threading.RLock()
    local = starting = None
    ray = sys.modules.get("ray")
    if ray is not None and hasattr(ray, "is_initialized") and ray.is_initialized():
        inherited = True
        atexit.unregister(ray.shutdown)
        if connected_by == os.getppid():
            with contextlib.suppress(Exception):
                _let_go(ray._private)


def _let_go(private: Any) -> None:
    """Forget the parent's connection without taking it down: that would break it off in the parent, too.

    When this process ends, neither may Python free what belongs to the connection, which
    crashes, nor may Ray's library clean up, which waits for threads that are not here.
    """
    worker = private.worker.global_worker
    held = (worker, worker.core_worker, private.state.state, private.worker._global_node)
    for one in (*held, getattr(sys.modules.get("ray.experimental.internal_kv"), "global_gcs_client", None)):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
    del worker.core_worker
    worker.set_is_connected(False)
    library = ctypes.CDLL(None)
    atexit.register(library.fflush, None)
    library.on_exit(library._exit, None)  # is called first, with the status this process ends with


os.register_at_fork(after_in_child=_in_child)
