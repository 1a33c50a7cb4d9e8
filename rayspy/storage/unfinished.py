"""Unfinished files and folders, which whoever makes them keeps locked.

So others can tell what killed processes left. Where a file system has no locks, everything counts as used.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def _open(path: Path) -> int:
    """Open what is to be locked; files for writing, as network file systems want it."""
    kind = os.O_RDONLY | os.O_DIRECTORY if path.is_dir() else os.O_RDWR
    return os.open(path, kind | os.O_CLOEXEC | os.O_NOFOLLOW)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Show other processes that this one uses a file or folder; yields whether it is still there."""
    lock = _open(path)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield path.exists()
    finally:
        os.close(lock)


@contextlib.contextmanager
def made(new_name: Callable[[], Path], make: Callable[[Path], None]) -> Iterator[Path]:
    """Make a file or folder that is locked until the end of the ``with`` block.

    Somebody may take it for left behind before it is locked; then another one is made.

    Parameters
    ----------
    new_name : callable
        Gives a name that nobody else has.
    make : callable
        Makes it.
    """
    with contextlib.ExitStack() as stack:
        while True:
            path = new_name()
            make(path)
            with contextlib.suppress(FileNotFoundError):
                if stack.enter_context(locked(path)):
                    break
            stack.close()
        yield path


@contextlib.contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Tell whether no process uses a file or folder, and let nobody use it within the ``with`` block."""
    try:
        lock = _open(path)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)
