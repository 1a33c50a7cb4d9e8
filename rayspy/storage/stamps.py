"""Input files stay what they were when they were opened: size, time of change, inode and header are compared.

A stamp is taken before anything is read, travels with the source, and is compared
whenever a reader opens the file and after every region. The key under which a run
is resumed is made of it, too.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from rayspy.errors import PathError, SourceChangedError


class Stamp(NamedTuple):
    """What a file, or a folder with all its files, was at some time."""

    size: int
    """Bytes; of a folder all its files together."""
    changed: int
    """Time of change in nanoseconds; of a folder the latest."""
    inode: int
    """Number of the file on its disk: another one of the same name has another; of a folder their sum."""
    host: str
    """Where the stamp was taken: some network file systems number files anew on each host."""
    head: bytes
    """Bytes before the numbers, no more than `HEADER`."""
    files: tuple[str, ...] = ()
    """Files of a folder that were there; others may come."""

    def is_of(self, other: Stamp) -> bool:
        """Whether two stamps are those of the same file, unchanged."""
        same_inode = self.inode == other.inode or self.host != other.host
        return same_inode and (self.size, self.changed, self.head) == (other.size, other.changed, other.head)

    @property
    def identity(self) -> tuple[int, int, int, bytes]:
        """What tells the file from others in any process."""
        return self.size, self.changed, self.inode, self.head


HEADER = 4096
NOT_WATCHED = Stamp(-1, -1, -1, "", b"")
"""For files that this process writes to itself, and those that are not there."""
_MOST_FILES = 1000
"""So many files of a folder are looked at."""


@lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()


def stamp_of(path: str, header: int = 0) -> Stamp:
    """Stamp of a folder, or of a file whose numbers begin behind `header` bytes."""
    if os.path.isdir(path):  # noqa: PTH112 - a plain string
        return _stamp_of_folder(_files_in(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return NOT_WATCHED
    try:
        return stamp_of_open(descriptor, header)
    finally:
        os.close(descriptor)


def stamp_of_open(descriptor: int, header: int = 0) -> Stamp:
    """Stamp of an open file."""
    status = os.fstat(descriptor)
    head = os.pread(descriptor, min(header, HEADER), 0) if header else b""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino, _host(), head)


def _files_in(path: str) -> tuple[str, ...]:
    found = (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)  # noqa: PTH118
    return tuple(sorted(islice(found, _MOST_FILES)))


def _stamp_of_folder(files: tuple[str, ...]) -> Stamp:
    size = changed = inodes = 0
    for name in files:
        status = os.stat(name)  # noqa: PTH116 - there may be many
        size, inodes = size + status.st_size, inodes + status.st_ino
        changed = max(changed, status.st_mtime_ns)
    return Stamp(size, changed, inodes, _host(), b"", files)


def check_stamp(path: str, stamp: Stamp, header: int = 0, descriptor: int | None = None) -> None:
    """Refuse a file or folder that is not what it was when it was opened.

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
        found = _found_now(path, stamp, header, descriptor)
    except FileNotFoundError:
        raise PathError(path, exists=False, hint="it was removed while it was in use") from None
    if not found.is_of(stamp):
        raise SourceChangedError(f"{path} was replaced or written to since it was opened; open it again")


def _found_now(path: str, stamp: Stamp, header: int, descriptor: int | None) -> Stamp:
    """What is there now, as far as it is compared."""
    if descriptor is not None:
        return stamp_of_open(descriptor, header)
    if stamp.files:
        return _stamp_of_folder(stamp.files)
    status = os.stat(path)  # noqa: PTH116 - for each region: Path would take longer than the call
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino, _host(), stamp.head)
