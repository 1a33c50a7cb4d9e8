"""Input files stay what they were when they were opened: size, time of change and header are compared."""

from __future__ import annotations

import os

from rayspy.errors import PathError, SourceChangedError

Stamp = tuple[int, int, bytes]
"""Size, time of change in nanoseconds, and the bytes before the numbers (no more than `HEADER`)."""
HEADER = 4096
NOT_WATCHED: Stamp = (-1, -1, b"")
"""For files that this process writes to itself, and those that are not there."""


def stamp_of(path: str, header: int = 0) -> Stamp:
    """Stamp of a file whose numbers begin behind `header` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return NOT_WATCHED
    try:
        return _stamp(descriptor, header)
    finally:
        os.close(descriptor)


def _stamp(file: int | str, header: int = 0) -> Stamp:
    """Stamp of a file by its descriptor, or without its header by its name."""
    status = os.stat(file)  # noqa: PTH116 - for each region: Path would take longer than the call
    head = os.pread(file, min(header, HEADER), 0) if header and isinstance(file, int) else b""
    return status.st_size, status.st_mtime_ns, head


def check_stamp(path: str, stamp: Stamp, header: int = 0, descriptor: int | None = None) -> None:
    """Refuse a file that is not what it was when it was opened.

    Parameters
    ----------
    path : str
        The file.
    stamp : Stamp
        What it was.
    header : int
        Bytes before its numbers.
    descriptor : int, optional
        The file if it is open.

    Raises
    ------
    PathError
        It was removed.
    SourceChangedError
        It was replaced or written to.
    """
    if stamp == NOT_WATCHED:
        return
    try:
        found = _stamp(path) if descriptor is None else _stamp(descriptor, header)
    except FileNotFoundError:
        raise PathError(path, exists=False, hint="it was removed while it was in use") from None
    if stamp != found:
        raise SourceChangedError(f"{path} was replaced or written to since it was opened; open it again")
