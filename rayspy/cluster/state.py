"""What is known of the Ray that was started here."""

from __future__ import annotations

import atexit
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


def _in_child() -> None:
    """After a fork: locks that a thread of the parent held are held by nobody, and its Ray is left alone."""
    global guard, inherited, local, starting
    guard = threading.RLock()
    local = starting = None
    ray = sys.modules.get("ray")
    if ray is not None and hasattr(ray, "is_initialized") and ray.is_initialized():
        inherited = True
        atexit.unregister(ray.shutdown)


os.register_at_fork(after_in_child=_in_child)
