"""Process trees that end as a whole, whatever ends first."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that `end_descendants` finds them."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends; for a `preexec_fn`."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def removed_when_killed(path: Path) -> subprocess.Popen[bytes]:
    """Have a file removed when this process is killed; what is returned has to be kept until then."""
    return subprocess.Popen(
        ["/bin/sh", "-c", "trap '' INT TERM HUP; read -r _; rm -f -- \"$0\"", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def end_descendants(patience: float = 5.0) -> None:
    """Kill all descendants of this process; returns when they are gone, or after `patience` seconds.

    Nothing is asked to end by itself: Ray's processes take up to half a minute for it.
    """
    import psutil

    deadline = time.monotonic() + patience
    while tree := psutil.Process().children(recursive=True):
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(tree, timeout=0.2)
        if time.monotonic() > deadline:
            return


def end_on_signals() -> None:
    """Raise SystemExit in the main thread at SIGTERM, SIGINT and SIGHUP; once, tidying is not disturbed."""

    def end(number: int, frame: FrameType | None) -> None:
        ignore_signals()
        raise SystemExit(128 + number)

    for number in _ENDING:
        signal.signal(number, end)


def ignore_signals() -> None:
    """Do not be disturbed any more: tidying has begun."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


class Patience:
    """Ends the whole process tree if a ``with`` block takes too long: Ray's library cannot be interrupted.

    Parameters
    ----------
    seconds : float
        How long the block may take.
    give_up : callable
        Called before the process ends with status 1; its descendants are gone then.
    """

    def __init__(self, seconds: float, give_up: Callable[[], None]) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._give_up = give_up

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        try:
            end_descendants()
            self._give_up()
        finally:
            os._exit(1)
