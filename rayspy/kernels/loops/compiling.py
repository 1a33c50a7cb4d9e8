"""How loops are compiled."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numba.core.event

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a function when it is first called; it runs without the interpreter lock.

    What is compiled is kept beside the source or, if that folder is read-only, in
    the user's cache folder. Where neither can be written each process compiles
    anew. Sums and products stay as they are written (no fused multiply-add, no
    reordering), so that every processor gives the same bits.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        kept: Loop = numba.njit(cache=True, **options)(loop)
    except RuntimeError:  # Numba found no folder that it can write to
        fresh: Loop = numba.njit(**options)(loop)
        return fresh
    return kept


class _Told(numba.core.event.Listener):  # type: ignore[misc]
    """Says once per process that loops are compiled, which takes seconds; what is kept on disk is not."""

    told = False

    def on_start(self, event: Any) -> None:
        """Compiling begins."""
        if not self.told and event.data["dispatcher"].py_func.__module__.startswith(__package__):
            self.told = True
            text = "rayspy <loops> INFO: compiling inner loops, once per machine .."
            logging.getLogger("rayspy").info(text)

    def on_end(self, event: Any) -> None:
        """Do nothing."""


numba.core.event.register("numba:compile", _Told())
