"""Put a finished folder in the place of another one, so that there is always one under the name.

Where the file system can exchange two names in one step, it does. Elsewhere the
old folder is renamed first; a process that is killed before it renames the new
one leaves the old one behind, which `recover` gives its name again. Unfinished
folders are called ``.<name>.<random>.wip``, folders on their way out
``.<name>.<random>.old``; their process keeps them locked.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths are relative to the working directory."""
_EXCHANGE = 2
"""RENAME_EXCHANGE, see renameat2(2)."""


@contextlib.contextmanager
def under_construction(folder: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `folder` at the end of the ``with`` block, or goes if it fails.

    Parameters
    ----------
    folder : Path
        What is replaced; the folders above it are made, too.
    """
    made = _make_parents(folder.parent)
    try:
        recover(folder.parent)
        _remove_abandoned(folder)
        building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.wip")
        building.mkdir()
        with _locked(building):
            try:
                yield building
                _put_in_place(building, folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _make_parents(folder: Path) -> list[Path]:
    """Make folders; returns those that were not there, from the inside out."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _put_in_place(building: Path, folder: Path) -> None:
    """Give a finished folder its name; what had it before is called `building` then, or is gone."""
    if not folder.exists():
        building.rename(folder)
        return
    if exchange(building, folder):
        return
    old = building.with_suffix(".old")
    with _locked(folder):
        folder.rename(old)
        try:
            building.rename(folder)
        except BaseException:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step; False where that cannot be done."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return renameat2 is not None and renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0


def recover(parent: Path) -> None:
    """Give folders back their names if the process that was about to replace them was killed."""
    if not parent.is_dir():
        return
    for old in parent.iterdir():
        if old.name.startswith(".") and old.suffix == ".old":
            folder = old.with_name(old.name[1:].rsplit(".", 2)[0])
            if not folder.exists() and _is_abandoned(old):
                with contextlib.suppress(OSError):
                    old.rename(folder)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left that were writing the same folder."""
    for other in folder.parent.iterdir():
        ours = other.name.startswith(f".{folder.name}.") and other.suffix in (".wip", ".old")
        if ours and _is_abandoned(other):
            shutil.rmtree(other, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Show other processes that this one uses a folder, where the file system has locks."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_abandoned(folder: Path) -> bool:
    """Whether no process uses a folder; unknown counts as used."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
