"""One task on the Dask cluster for each computation that runs beside it on Ray: its dashboard shows that."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

_DELAY_SECONDS = 0.5
"""Computations that are over sooner are not shown."""


def _stand_in() -> Callable[[str, str], None]:
    """Return a function that travels by value and lasts until an event is set, without taking a slot."""

    def running_on_ray(event: str, key: str) -> None:
        from distributed import Event, get_worker, secede

        worker, ended = get_worker(), Event(event)
        secede()
        while not ended.wait(timeout=1):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":  # whoever computed is gone
                return

    return running_on_ray


@contextlib.contextmanager
def shown_on_dask(client: Any, name: str) -> Iterator[None]:
    """Show a task called ``rayspy-<name>`` on a client's cluster for the length of a ``with`` block."""
    key = f"rayspy-{name}-{secrets.token_hex(4)}"
    futures: list[Any] = []

    def show() -> None:
        with contextlib.suppress(Exception):  # it is only a picture
            futures.append(client.submit(_stand_in(), key, key, key=key, pure=False))

    timer = threading.Timer(_DELAY_SECONDS, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if futures:
            with contextlib.suppress(Exception):
                _end(client, key)
            futures.clear()


def _end(client: Any, key: str) -> None:
    from distributed import Event

    if client.status == "running":
        Event(key, client=client).set()
