"""Ctrl-C that comes where Python drops exceptions, heard a moment later."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
from collections.abc import Iterator
from types import CodeType, FrameType

_AGAIN_SECONDS = 0.02
_DEPTH = 12
"""So many frames are looked at: functions that are called back do little."""
_CALLED_BACK = {"__del__": "", "cb": "importlib._bootstrap", "remove": "weakref", "_remove": "_weakrefset"}
"""Functions whose exceptions are printed and forgotten, and where they are; '': anywhere."""


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Lose no Ctrl-C in a callback, such as Dask's of the collector, for the length of a ``with`` block."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if _is_dropped(frame):
            timer = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
            timer.daemon = True
            timer.start()
        else:
            handler(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _is_dropped(frame: FrameType | None) -> bool:
    """Whether an exception that is raised in a frame would get no further than to the interpreter."""
    collecting = {_code_of(callback) for callback in gc.callbacks}
    for _ in range(_DEPTH):
        if frame is None:
            return False
        code = frame.f_code
        where = _CALLED_BACK.get(code.co_name)
        if code in collecting or (where is not None and where in code.co_filename):
            return True
        frame = frame.f_back
    return False


def _code_of(callback: object) -> CodeType | None:
    function = getattr(callback, "__func__", callback)
    found: CodeType | None = getattr(function, "__code__", None)
    return found
