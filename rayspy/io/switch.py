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
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from rayspy.storage.unfinished import abandoned, locked, made

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
    parents = _make_parents(folder.parent)
    try:
        recover(folder.parent)
        _remove_abandoned(folder)
        with made(
            lambda: folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.wip"), Path.mkdir
        ) as building:
            try:
                yield building
                _put_in_place(building, folder)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    except BaseException:
        for parent in parents:
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
    with locked(folder):
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
            if folder.exists():
                continue
            with contextlib.suppress(OSError), abandoned(old) as nobody_has_it:
                if nobody_has_it:
                    old.rename(folder)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left that were writing the same folder."""
    for other in folder.parent.iterdir():
        ours = other.name.startswith(f".{folder.name}.") and other.suffix in (".wip", ".old")
        if ours:
            with abandoned(other) as nobody_has_it:
                if nobody_has_it:
                    shutil.rmtree(other, ignore_errors=True)
