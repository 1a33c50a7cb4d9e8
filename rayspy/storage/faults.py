"""What errors of the operating system mean for stored arrays."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from rayspy.errors import PathError, RayspyError, ScratchSpaceError
from rayspy.storage.unfinished import abandoned, made

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
    try:
        _remove_abandoned(path)
        with made(
            lambda: path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}"), Path.touch
        ) as wip:
            try:
                yield wip
                wip.replace(path)
            finally:
                wip.unlink(missing_ok=True)
    except OSError as error:
        raise PathError(path, hint=error.strerror or str(error)) from error


_TEMPORARY = ".rayspy.tmp"
_OLD_SECONDS = 3600.0
"""Files of other names go when nothing was written to them for so long: some locks hold on one host only."""


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes left that were writing a file of this name, or another one long ago."""
    unfinished = re.compile(r"(.*)\.[0-9a-f]{8}" + re.escape(_TEMPORARY), re.DOTALL)
    for other in path.parent.iterdir():
        match = unfinished.fullmatch(other.name)
        if match is None:
            continue
        with contextlib.suppress(OSError), abandoned(other) as nobody_has_it:
            age = time.time() - other.lstat().st_mtime
            if nobody_has_it and (match[1] == path.name or age >= _OLD_SECONDS):
                other.unlink()
