"""Folders of Ray: short paths, for their owner only, removed when their owner is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rayspy.errors import ParallelError

_MAX_FOLDER = 38
"""Ray puts sockets 66 characters below this folder; the path of a socket ends at 107."""


def claim_folder() -> tuple[Path, IO[str]]:
    """Make a folder for one Ray; it is ours as long as the returned file is open.

    Folders of sessions that were killed are removed on the way.
    """
    root = ray_root()
    with _locked(root / "lock"):
        for folder in root.glob("r*"):
            _remove_if_abandoned(folder)
        folder = Path(tempfile.mkdtemp(prefix="r", dir=root))
        lock = (folder / "owner").open("w")
        _try_lock(lock)
    return folder, lock


def ray_root() -> Path:
    """Folder of the folders of all Rays of this user; made at first use."""
    name = f"rayspy-{os.getuid()}"
    root = Path(tempfile.gettempdir()) / name
    if len(str(root)) + len("/r12345678") > _MAX_FOLDER:
        root = Path("/tmp") / name
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    status = root.lstat()
    if root.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ParallelError(
            f"Ray cannot be started: {root} is not a private folder of yours; set TMPDIR to another"
        )
    return root


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_if_abandoned(folder: Path) -> None:
    try:
        file = (folder / "owner").open("a")
    except FileNotFoundError:
        remove_folder(folder)
        return
    with file:
        if _try_lock(file):
            remove_folder(folder)


def remove_folder(folder: Path, patience: float = 2.0) -> None:
    """Remove a folder in which processes that are ending may still write."""
    deadline = time.monotonic() + patience
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > deadline:
            return
        if folder.exists():
            time.sleep(0.05)
