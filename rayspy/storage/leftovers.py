"""Unfinished arrays that a later run of the same call goes on with.

An array folder with a file ``resume.json`` is worth keeping when its owner ends
before its time. It waits in ``resume/<fingerprint of the call>``; whoever takes
it renames the folder, which only one can do.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rayspy.errors import DamagedDataError, PathError
from rayspy.storage.parts import read_json, write_json
from rayspy.storage.sources import META, TABLE

MARK = "resume.json"
RESUME = "resume"


@dataclass(frozen=True)
class Mark:
    """What ``resume.json`` says."""

    key: str
    """Fingerprint of the call."""
    name: str
    n_blocks: int


def mark(folder: Path, what: Mark) -> None:
    """Have a folder kept if its owner ends before its time."""
    write_json(folder / MARK, asdict(what))


def read_mark(folder: Path) -> Mark | None:
    """Return what a folder says, None if it is not to be kept."""
    try:
        found = read_json(folder / MARK)
        return Mark(str(found["key"]), str(found["name"]), int(found["n_blocks"]))
    except (PathError, DamagedDataError, KeyError, TypeError, ValueError):
        return None


def rescue(session: Path, resume: Path) -> None:
    """Keep the marked arrays of a session that is about to be removed."""
    for folder in sorted(session.glob("array-*")):
        keep(folder, resume)


def keep(folder: Path, resume: Path) -> bool:
    """Move a marked array to where a later run finds it; the one with more in it wins."""
    found = read_mark(folder)
    if found is None or Path(found.key).name != found.key:
        return False
    place = resume / found.key
    with contextlib.suppress(OSError):
        resume.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place.exists() and _n_bytes(place) < _n_bytes(folder):
            _remove(place)
        folder.rename(place)
        return True
    return False


def _remove(left: Path) -> None:
    """Remove a leftover unless somebody takes it just now: who renames it has it."""
    going = left.with_name(f"{left.name}.{secrets.token_hex(4)}")
    left.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def _n_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.arrow"))


def any_left(resume: Path, name: str, n_blocks: int) -> bool:
    """Whether there may be something that a call of this name goes on with; its key takes longer to find."""
    try:
        marks = (read_mark(folder) for folder in resume.iterdir())
        return any(left is None or (left.name, left.n_blocks) == (name, n_blocks) for left in marks)
    except OSError:
        return False


def claim(resume: Path, key: str, folder: Path) -> bool:
    """Take the leftover of a call over as `folder`; False if there is none."""
    try:
        (resume / key).rename(folder)
    except OSError:
        return False
    for described in (META, TABLE):
        (folder / described).unlink(missing_ok=True)
    for unfinished in folder.rglob("*.tmp"):
        unfinished.unlink(missing_ok=True)
    return True


def remove_expired(resume: Path, seconds: float) -> int:
    """Remove leftovers in which nothing changed for so long; returns how many."""
    removed = 0
    if not resume.is_dir():
        return removed
    for folder in resume.iterdir():
        with contextlib.suppress(OSError):
            newest = max(f.stat().st_mtime for f in (folder, *folder.iterdir()))
            if time.time() - newest >= seconds:
                _remove(folder)
                removed += 1
    return removed
