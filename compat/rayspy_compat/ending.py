"""Do something when a Dask client closes, in the main thread where possible.

Ray's library sometimes ends the whole process when Ray is shut down in another
thread than the main one, so that is avoided.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable
from typing import Any

_WATCH_SECONDS = 0.2
"""How often it is checked whether a client is still open."""

_CallBack = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class InUse:
    """A lock that one thread can take several times, and that tells whether it is taken."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._count = 0

    def __enter__(self) -> None:
        self._lock.acquire()
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        self._lock.release()

    @property
    def busy(self) -> bool:
        """Whether a thread has it, this one included."""
        return self._count > 0


def when_closed(client: Any, is_done: Callable[[], bool], end: Callable[[], None]) -> None:
    """Call `end` when a client is closed, however that happens.

    Parameters
    ----------
    client : distributed.Client
        Only a weak reference is kept.
    is_done : callable
        Whether there is nothing to end any more.
    end : callable
        Does nothing while the client is open; may be called several times.
    """
    _end_after_close(client, end)
    watched = weakref.ref(client)

    def watch() -> None:
        while not is_done():
            found = watched()
            if found is None or found.status in ("closing", "closed"):
                in_main_thread(end)
            del found
            _pause.wait(_WATCH_SECONDS)

    threading.Thread(target=watch, name="rayspy-dask-client", daemon=True).start()


_pause = threading.Event()
"""Never set."""


def _end_after_close(client: Any, end: Callable[[], None]) -> None:
    """Have ``client.close()`` call `end` before it returns, if it is called in the main thread."""
    original = client.close

    def close(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if result is None and threading.current_thread() is threading.main_thread():
            end()
        return result

    client.close = close


_pending: list[Any] = []
"""Calls the main thread has not made yet; they must not be garbage-collected before."""


def in_main_thread(call: Callable[[], None]) -> None:
    """Have the main thread call a function between two steps of what it does; returns at once."""
    if threading.current_thread() is threading.main_thread():
        call()
        return
    if _pending:
        return

    def made(_: Any) -> int:
        try:
            call()
        finally:
            _pending.clear()
        return 0

    _pending.append(_CallBack(made))
    if ctypes.pythonapi.Py_AddPendingCall(_pending[0], None):
        _pending.clear()  # the queue is full; the next look tries again
