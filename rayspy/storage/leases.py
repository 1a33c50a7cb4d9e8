"""Arrays in the scratch folder: they stay as long as somebody refers to them, pickles included.

An array that is pickled gets a second folder of hard links, which takes no
space: ``<scratch>/rayspy-<user id>/pickled/<array>/``. Beside the parts are

- ``held-<host>-<pid>-<random>``, locked by a process that unpickled the array,
  for as long as it refers to it;
- ``pickles-<host>-<pid>-<start>.json``: how many pickles a process made, how
  many of them were read by processes it descends from or that descend from it.

The folder is removed when nobody holds it and its pickles are of no more use:
all of them were handed on within a family of processes (a pool and its workers)
whose elder has ended, or they were not used for ``spy.config.pickle_keep``
seconds.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
import weakref
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from rayspy.config import config
from rayspy.errors import PathError
from rayspy.storage.faults import REMOVED, told
from rayspy.storage.parts import write_json

PICKLED = "pickled"
FOREIGN_AGE = 30 * 24 * 3600.0
"""What processes of other hosts have is removed when nothing in it changed for this long, in seconds."""
_LOCK = ".lock"
_UNFINISHED_AGE = 60.0
_CLOCK_SECONDS = 2.0
"""By how much the same start of a process may seem to differ."""

Relative = tuple[int, float]
"""A process of this host: its number and when it started."""


def host() -> str:
    """Name of this host."""
    return socket.gethostname().split(".")[0]


# --- what keeps an array -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loan:
    """What a pickle knows of the array it stands for; unpickling it takes hold of the array."""

    folder: str
    ticket: str

    def __reduce__(self) -> tuple[Any, ...]:
        return HeldArray, (self.folder, self.ticket)


class StoredArray:
    """Keeps the folder of a stored array until nobody refers to it any more."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._finalizer = weakref.finalize(self, _remove, folder, os.getpid())

    def lend(self) -> Loan:
        """Let the array outlive this object for the sake of a pickle."""
        return _lend(Path(self.folder))


def _remove(folder: str, pid: int) -> None:
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)


class HeldArray:
    """Holds an array that was unpickled, if it is still there; reading it says so if it is not."""

    def __init__(self, folder: str, ticket: str = "") -> None:
        self.folder = folder
        with contextlib.suppress(OSError):
            holder = _hold(Path(folder), ticket)
            self._finalizer = weakref.finalize(self, holder.let_go)
            _holders.add(holder)
            _sweep_at_exit(Path(folder).parent.parent)

    def lend(self) -> Loan:
        """Let the array outlive this object for the sake of a pickle."""
        return _lend(Path(self.folder))


@dataclass(frozen=True)
class _Holder:
    """A file that this process keeps locked."""

    path: Path
    lock: int
    pid: int

    def let_go(self) -> None:
        """Remove the file; the array stays until somebody tidies up."""
        if os.getpid() == self.pid and self in _holders:
            _holders.discard(self)
            self.path.unlink(missing_ok=True)
            os.close(self.lock)


_holders: set[_Holder] = set()


def _hold(folder: Path, ticket: str) -> _Holder:
    with _locked(folder.parent):
        path = folder / f"held-{host()}-{os.getpid()}-{secrets.token_hex(4)}"
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if ticket and (found := _read_ticket(folder / ticket)) is not None:
            _write_ticket(folder / ticket, found.read_by(_family()))
        return _Holder(path, lock, os.getpid())


# --- pickles -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ticket:
    """The pickles that one process made of an array."""

    host: str
    family: tuple[Relative, ...]
    """The process and those it descends from."""
    made: int = 0
    read: int = 0
    """How many were read by processes it descends from, or that descend from it."""
    elders: tuple[Relative, ...] = ()
    """The elder one of each such pair."""

    def read_by(self, family: tuple[Relative, ...]) -> Ticket:
        """Note that a process read one, given that process and those it descends from."""
        maker, reader = self.family[0], family[0]
        if self.host != host() or _same(maker, reader):
            return self
        elder = reader if _is_among(reader, self.family) else maker
        if not _is_among(elder, family):
            return self
        elders = self.elders if _is_among(elder, self.elders) else (*self.elders, elder)
        return replace(self, read=self.read + 1, elders=elders)

    @property
    def was_read(self) -> bool:
        """Whether all pickles that were made were handed on within the family."""
        return self.read >= self.made

    def in_use(self, leaving: bool) -> bool:
        """Whether a process is alive that may still read one; this one does not count if it is `leaving`."""
        own = _family()[0]
        waiting = self.elders if self.was_read else (self.family[0], *self.elders)
        others = [one for one in waiting if not (leaving and _same(one, own))]
        return self.host == host() and any(_is_alive(one) for one in others)

    def worth_keeping(self, age: float, keep: float, leaving: bool) -> bool:
        """Whether the array has to stay because of it."""
        if self.in_use(leaving):
            return True
        return age < keep and (self.host != host() or not self.was_read)


def _read_ticket(path: Path) -> Ticket | None:
    try:
        found = json.loads(path.read_text())
        family, elders = (tuple((int(p), float(t)) for p, t in found[key]) for key in ("family", "elders"))
        return Ticket(str(found["host"]), family, int(found["made"]), int(found["read"]), elders)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _write_ticket(path: Path, ticket: Ticket) -> None:
    write_json(path, asdict(ticket))


def _family() -> tuple[Relative, ...]:
    """Return this process and those it descends from."""
    return _family_of(os.getpid())


@lru_cache(maxsize=1)
def _family_of(pid: int) -> tuple[Relative, ...]:
    import psutil

    own = psutil.Process(pid)
    found = [(pid, own.create_time())]
    with contextlib.suppress(psutil.Error):
        found += [(parent.pid, parent.create_time()) for parent in own.parents()]
    return tuple(found)


def _same(one: Relative, other: Relative) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) < _CLOCK_SECONDS


def _is_among(process: Relative, family: tuple[Relative, ...]) -> bool:
    return any(_same(process, one) for one in family)


def _is_alive(process: Relative) -> bool:
    import psutil

    try:
        found = psutil.Process(process[0])
        return _same((found.pid, found.create_time()), process) and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _lend(folder: Path) -> Loan:
    """Make the links if there are none yet, and note one more pickle."""
    lent = folder if folder.parent.name == PICKLED else folder.parent.parent / PICKLED / folder.name
    pid, start = _family()[0]
    name = f"pickles-{host()}-{pid}-{start:.0f}.json"
    with told(lent, "save the result with `save` and pickle what `load` returns"):
        lent.parent.mkdir(mode=0o700, exist_ok=True)
        with _locked(lent.parent):
            if not lent.is_dir():
                _link(folder, lent)
            known = _read_ticket(lent / name) or Ticket(host(), _family())
            _write_ticket(lent / name, replace(known, made=known.made + 1))
    _sweep_at_exit(lent.parent.parent)
    return Loan(str(lent), name)


def _link(folder: Path, lent: Path) -> None:
    """Give the files of an array a second name; copy them where the file system has no links."""
    if not folder.is_dir():
        raise PathError(folder, exists=False, hint=REMOVED)
    building = lent.with_name(f".making-{lent.name}-{secrets.token_hex(4)}")
    building.mkdir(mode=0o700)
    try:
        for original in folder.iterdir():
            if original.suffix == ".arrow" or original.name == "meta.json":
                _link_file(original, building / original.name)
        building.rename(lent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _link_file(original: Path, name: Path) -> None:
    try:
        name.hardlink_to(original)
    except OSError:
        shutil.copy2(original, name)


# --- tidying up --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from adding to and removing from the pickled arrays meanwhile."""
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_UN)  # a fork that was made meanwhile has the file open, too
        os.close(lock)


_roots: set[Path] = set()
"""Where this process pickled or unpickled arrays."""


def _sweep_at_exit(root: Path) -> None:
    if not _roots:
        atexit.register(_leave)
    _roots.add(root)


def _leave() -> None:
    """At the end of this process: let go of everything, and remove what nobody else needs."""
    for holder in tuple(_holders):
        holder.let_go()
    for root in _roots:
        remove_unused(root, config.pickle_keep, leaving=True)


def remove_unused(root: Path, keep: float, leaving: bool = False) -> int:
    """Remove pickled arrays that nobody needs; returns how many.

    Parameters
    ----------
    root : Path
        Folder that has the sessions.
    keep : float
        How long pickles that were not read are kept, in seconds.
    leaving : bool
        This process is about to end.
    """
    return _remove_arrays(root, lambda folder: not _is_wanted(folder, keep, leaving))


def remove_read(root: Path) -> int:
    """To make room: remove arrays that nobody holds and whose pickles were all read."""
    return _remove_arrays(root, lambda folder: not _is_held(folder) and _was_read(folder))


def _remove_arrays(root: Path, unwanted: Any) -> int:
    folder = root / PICKLED
    going = []
    with contextlib.suppress(OSError):
        if not folder.is_dir():
            return 0
        with _locked(folder):
            for array in folder.iterdir():
                if array.name.startswith(".") and array.is_dir() and _age(array) > _UNFINISHED_AGE:
                    going.append(array)
                elif array.name.startswith("array-") and unwanted(array):
                    going.append(array.rename(folder / f".going-{array.name}-{secrets.token_hex(4)}"))
    for array in going:
        shutil.rmtree(array, ignore_errors=True)
    return sum(not array.exists() for array in going)


def _is_wanted(folder: Path, keep: float, leaving: bool) -> bool:
    return _is_held(folder) or any(
        ticket.worth_keeping(_age(path), keep, leaving) for path, ticket in _tickets(folder)
    )


def _tickets(folder: Path) -> list[tuple[Path, Ticket]]:
    found = [(path, _read_ticket(path)) for path in folder.glob("pickles-*.json")]
    return [(path, ticket) for path, ticket in found if ticket is not None]


def _was_read(folder: Path) -> bool:
    return all(ticket.was_read for _, ticket in _tickets(folder))


def _is_held(folder: Path) -> bool:
    return any(_is_locked(path) for path in folder.glob("held-*"))


def _is_locked(holder: Path) -> bool:
    """Whether the process that made a file is alive; of other hosts' processes only the age is known."""
    if not holder.name.startswith(f"held-{host()}-"):
        return _age(holder) < FOREIGN_AGE
    try:
        lock = os.open(holder, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _age(path: Path) -> float:
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0.0


def own_bytes(root: Path) -> int:
    """Bytes of pickled arrays that are in this process's account and in no session's folder."""
    own = _family()[0]
    total = 0
    with contextlib.suppress(OSError):
        for folder in (root / PICKLED).glob("array-*"):
            related = any(_is_among(own, (t.family[0], *t.elders)) for _, t in _tickets(folder))
            if related or any(folder.glob(f"held-{host()}-{os.getpid()}-*")):
                total += sum(_bytes_of_its_own(path) for path in folder.iterdir())
    return total


def _bytes_of_its_own(path: Path) -> int:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_size if status.st_nlink == 1 else 0
    return 0
