"""What errors of the operating system mean for stored arrays."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from rayspy.errors import PathError, RayspyError, ScratchSpaceError

REMOVED = "it was removed while it was in use; `save` keeps a result for later"
"""What to say of an array in the scratch folder that is gone."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def reason(error: OSError) -> str:
    """What an error says, and what can be done about it."""
    if error.errno == errno.EFBIG:
        return "file larger than this process may write (ulimit -f)"
    return error.strerror or str(error)


@contextlib.contextmanager
def told(path: str | os.PathLike[str], hint: str = "") -> Iterator[None]:
    """Have errors of the operating system name the path that is written to.

    Raises
    ------
    ScratchSpaceError
        There is no space left, or a file may not be as large.
    PathError
        Anything else; the folder is gone or cannot be written to.
    """
    try:
        yield
    except RayspyError:
        raise
    except OSError as error:
        after = f"; {hint}" if hint else ""
        if error.errno in _NO_SPACE:
            raise ScratchSpaceError(f"no space left to write {path}: {reason(error)}{after}") from error
        if error.errno == errno.EFBIG:
            raise ScratchSpaceError(f"cannot write {path}: {reason(error)}{after}") from error
        said = REMOVED if error.errno == errno.ENOENT else reason(error)
        raise PathError(path, hint=said + after) from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield another name to write a file under, which takes the place of `path` when it is whole.

    Raises
    ------
    PathError
        The file cannot be written; what was there is as it was.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        _remove_abandoned(path)
        with _locked(temporary):
            yield temporary
            temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PathError(path, hint=error.strerror or str(error)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_SETTLED_SECONDS = 1.0
"""A file of this age would be locked if somebody was writing it."""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Make a file, and show other processes that this one writes it, where the file system has locks."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left that were writing a file of this name."""
    unfinished = re.compile(re.escape(path.name) + r"\.[0-9a-f]{8}\.tmp")
    for other in path.parent.iterdir():
        if unfinished.fullmatch(other.name):
            with contextlib.suppress(OSError):
                _remove_unless_used(other)


def _remove_unless_used(path: Path) -> None:
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.time() - os.fstat(lock).st_mtime >= _SETTLED_SECONDS:
            path.unlink()
    finally:
        os.close(lock)
