"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba

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
