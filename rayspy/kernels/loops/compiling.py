"""How loops are compiled: once per machine, kept on disk, anew whenever one of their files changes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba
import numba.core.event
from numba.core.caching import FunctionCache

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a function when it is first called; it runs without the interpreter lock.

    What is compiled is kept beside the source or, if that folder is read-only, in
    the user's cache folder. Where neither can be written each process compiles
    anew. Of several processes that need the same function one compiles and the
    others wait for it. Sums and products stay as they are written (no fused
    multiply-add, no reordering), so that every processor gives the same bits.
    """
    made: Any = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(loop)  # C calls none
    with contextlib.suppress(RuntimeError):  # Numba found no folder that it can write to
        made._cache = _Kept(loop)
    kept: Loop = made
    return kept


class _Kept(FunctionCache):  # type: ignore[misc]
    """Compiled functions on disk, which belong to the present text of all files beside their source.

    Numba looks at the file of a function alone, but what other files define is compiled into it.
    """

    def __init__(self, loop: Callable[..., object]) -> None:
        super().__init__(loop)
        self._cache_file._source_stamp = _text_of(str(Path(loop.__code__.co_filename).parent))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Read what is there; if nothing is, wait for a process that compiles, or be the one that does."""
        found = super().load_overload(sig, target_context)
        if found is not None:
            return found
        _turn.take(f"{self.cache_path}/{_LOCK}")
        found = super().load_overload(sig, target_context)
        if found is not None:
            _turn.give_back()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write what was compiled and let others go on."""
        try:
            super().save_overload(sig, data)
        finally:
            _turn.give_back()


_LOCK = "compiling.lock"


@lru_cache(maxsize=8)
def _text_of(folder: str) -> str:
    """Fingerprint of all sources in a folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


class _Turn:
    """One process of a machine compiles at a time; functions that call each other are one turn."""

    longest_wait = 120.0
    """Seconds after which a process compiles by itself."""

    def __init__(self) -> None:
        self._depth = 0
        self._descriptor: int | None = None

    def take(self, path: str) -> None:
        """Wait until no other process compiles."""
        self._depth += 1
        if self._depth == 1:
            self._descriptor = _locked(path, self.longest_wait)

    def give_back(self) -> None:
        """Let the next process go on."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(path: str, longest_wait: float) -> int | None:
    """Descriptor of a locked file; None where locks do not work, or somebody holds it for too long."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    deadline, told = time.monotonic() + longest_wait, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                break
            if not told and time.monotonic() > deadline - longest_wait + 1:
                told = True
                _say("waiting for another process that compiles inner loops ..")
            time.sleep(0.02)
            continue
        except OSError:
            break
        return descriptor
    os.close(descriptor)
    return None


_turn = _Turn()


def _say(text: str) -> None:
    logging.getLogger("rayspy").info("rayspy <loops> INFO: %s", text)


class _Told(numba.core.event.Listener):  # type: ignore[misc]
    """Says once per process that loops are compiled, which takes seconds; what is kept on disk is not."""

    told = False

    def on_start(self, event: Any) -> None:
        """Compiling begins."""
        if not self.told and _is_ours(event):
            self.told = True
            _say("compiling inner loops, once per machine ..")

    def on_end(self, event: Any) -> None:
        """What cannot be compiled will not be saved."""
        if sys.exc_info()[0] is not None and _is_ours(event):
            _turn.give_back()


def _is_ours(event: Any) -> bool:
    return isinstance(getattr(event.data["dispatcher"], "_cache", None), _Kept)


numba.core.event.register("numba:compile", _Told())
