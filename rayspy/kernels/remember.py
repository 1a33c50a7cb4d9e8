"""Arrays that are made once and used again, as long as they are not too large together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
P = ParamSpec("P")


def remembered(n_bytes: int, largest: int) -> Callable[[Callable[P, Array]], Callable[P, Array]]:
    """Keep arrays that a function returned.

    Parameters
    ----------
    n_bytes : int
        The last ones are kept up to this size together, and of every thread the last one.
    largest : int
        Larger arrays than this are not kept.

    Returns
    -------
    callable
        Decorator for functions of hashable arguments.
    """

    def decorate(function: Callable[P, Array]) -> Callable[P, Array]:
        store = _Store(n_bytes, largest)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> Array:
            key = (args, tuple(sorted(kwargs.items())))
            found = store.get(key)
            if found is None:
                found = np.asarray(function(*args, **kwargs))
                store.put(key, found)
            return found

        return called

    return decorate


class _Store:
    def __init__(self, n_bytes: int, largest: int) -> None:
        self._n_bytes, self._largest = n_bytes, largest
        self._kept: OrderedDict[Hashable, Array] = OrderedDict()
        self._last: dict[int | None, Hashable] = {}
        """What each thread used last."""
        self._guard = threading.Lock()

    def get(self, key: Hashable) -> Array | None:
        with self._guard:
            if key in self._kept:
                self._kept.move_to_end(key)
                self._last[threading.get_ident()] = key
            return self._kept.get(key)

    def put(self, key: Hashable, array: Array) -> None:
        with self._guard:
            if array.nbytes <= self._largest:
                self._kept[key] = array
                self._last[threading.get_ident()] = key
            alive = {thread.ident for thread in threading.enumerate()}
            self._last = {thread: one for thread, one in self._last.items() if thread in alive}
            in_use = set(self._last.values())
            excess = sum(one.nbytes for one in self._kept.values()) - self._n_bytes
            for one in [one for one in self._kept if one not in in_use]:
                if excess <= 0:
                    break
                excess -= self._kept.pop(one).nbytes
