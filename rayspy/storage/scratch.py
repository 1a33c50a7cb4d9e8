"""The scratch folder: one subfolder per process, removed with its last reference.

Layout: ``<scratch>/rayspy-<user id>/session-<host>-<pid>-<random>/`` with a
file ``owner.lock`` that the owner keeps locked. A session whose lock can be
taken, on the host that made it, belongs to a process that is gone and is
removed by the next session that starts. Arrays in it that are marked to be
resumed go to ``<scratch>/rayspy-<user id>/resume/`` first; see
`rayspy.storage.leftovers`.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rayspy.config import config, default_scratch
from rayspy.errors import PathError, ScratchSpaceError
from rayspy.storage.faults import told
from rayspy.storage.leases import FOREIGN_AGE, own_bytes, remove_read, remove_unused
from rayspy.storage.leases import host as _host
from rayspy.storage.leftovers import MARK, RESUME, remove_expired, rescue
from rayspy.storage.parts import PartsTarget

_LOCK = "owner.lock"
_SILENT_AGE = 300.0
"""A session of another host with something to resume is over when its owner was silent for so long."""
_BEAT_SECONDS = 30.0
"""How often the owner of such a session shows that it is alive."""
_OPENING_AGE = 60.0
"""A session without a lock that is younger than this, in seconds, is just being made."""


def scratch_root() -> Path:
    """Folder that holds all sessions of this user."""
    base = config.settings.scratch_dir
    if not base:
        with _named_home():
            return Path(default_scratch())
    return Path(base) / f"rayspy-{os.getuid()}"


@contextlib.contextmanager
def _named_home() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PathError("~", hint=f"this user has no home folder; {_OTHER_FOLDER}") from error


def _make_private(folder: Path) -> None:
    """Make a folder that only this user can look into."""
    try:
        make_folders(folder)
        status = folder.stat()
        if {status.st_uid, folder.lstat().st_uid} != {os.getuid()}:  # the second is that of a link
            raise PathError(folder, hint=f"it belongs to another user; {_OTHER_FOLDER}")
        if status.st_mode & 0o077:
            folder.chmod(0o700)
    except PathError:
        raise
    except OSError as error:
        raise PathError(folder, hint=f"{error.strerror}; {_OTHER_FOLDER}") from error


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing; nobody else can enter one, whatever the umask."""
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


_OTHER_FOLDER = "set RAYSPY_TMPDIR or spy.config.scratch_dir to a folder you can write to"


@dataclass(frozen=True)
class Session:
    """The scratch folder of this process."""

    folder: Path
    lock: int
    pid: int

    def close(self) -> None:
        """Remove the folder and everything in it."""
        if os.getpid() != self.pid:
            return
        if self.pid in _ended_early:
            rescue(self.folder, self.folder.parent / RESUME)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self.lock)


_ended_early: set[int] = set()


def ended_early(pid: int) -> None:
    """Have a process keep at its exit what can be resumed."""
    _ended_early.add(pid)


_guard = threading.Lock()
_open: dict[Path, Session] = {}
"""Session of this process per scratch root: more than one if the setting was changed in between."""


def session() -> Session:
    """Scratch folder of this process, made at first use."""
    with _guard:
        root = scratch_root()
        current = _open.get(root)
        if current is None or not current.folder.is_dir():
            if not _open:
                os.register_at_fork(after_in_child=_forget)
            _make_private(root)
            remove_dead_sessions(root)
            remove_expired(root / RESUME, config.resume_keep)
            remove_unused(root, config.pickle_keep)
            current = _open[root] = _new_session(root)
            atexit.register(current.close)
        return current


def _forget() -> None:
    """In a forked child: let go of the parent's sessions, so that they end with the parent."""
    global _guard
    _guard = threading.Lock()
    for inherited in _open.values():
        with contextlib.suppress(OSError):
            os.close(inherited.lock)
    _open.clear()


def _new_session(root: Path) -> Session:
    folder = root / f"session-{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    opening = root / f".opening-{folder.name}"
    with told(root, _OTHER_FOLDER):
        opening.mkdir(mode=0o700)
        lock = -1
        try:
            lock = os.open(opening / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)  # which somebody who looks for dead sessions has for a moment
            os.write(lock, json.dumps(_slurm_job()).encode())
            opening.rename(folder)
        except BaseException:
            if lock >= 0:
                os.close(lock)
            shutil.rmtree(opening, ignore_errors=True)
            raise
    return Session(folder, lock, os.getpid())


def _slurm_job() -> tuple[str, int]:
    """Job of this process and how many times it was started again."""
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return os.environ.get("SLURM_JOB_ID", ""), int(count) if count.isdigit() else 0


def _is_earlier_run_of_this_job(folder: Path) -> bool:
    """Whether a session belongs to this SLURM job as it was before it was requeued."""
    job, count = _slurm_job()
    if not job:
        return False
    try:
        found = json.loads((folder / _LOCK).read_text())
        return bool(found[0] == job and int(found[1]) < count)
    except (OSError, ValueError, TypeError, IndexError):
        return False


def stay_alive(current: Session) -> None:
    """Show other hosts from now on that a session is in use."""
    if current.folder in _beating:
        return
    _beating.add(current.folder)

    def beat() -> None:
        while _open.get(current.folder.parent) is current and current.pid == os.getpid():
            with contextlib.suppress(OSError):
                os.utime(current.folder / _LOCK)
            _never.wait(_BEAT_SECONDS)

    threading.Thread(target=beat, name="rayspy-scratch", daemon=True).start()


_beating: set[Path] = set()
_never = threading.Event()


def _host_of(folder: Path) -> str:
    return folder.name.removeprefix(".opening-").removeprefix("session-").rsplit("-", 2)[0]


def _age(folder: Path) -> float:
    """Seconds since something in a session changed."""
    newest = max(f.stat().st_mtime for f in (folder, *folder.iterdir()))
    return time.time() - newest


def _is_over_elsewhere(folder: Path) -> bool:
    """Whether a session of another host is over, as far as can be told from here."""
    if _is_earlier_run_of_this_job(folder):
        return True
    resumable = any(folder.glob(f"array-*/{MARK}"))
    return _age(folder) > (_SILENT_AGE if resumable else FOREIGN_AGE)


def _is_dead(folder: Path) -> bool:
    """Whether the owner of a session is gone for sure; of other hosts' sessions only the age is known."""
    if _host_of(folder) != _host() and not _is_over_elsewhere(folder):
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _age(folder) > _OPENING_AGE
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return not folder.name.startswith(".opening-") or _age(folder) > _OPENING_AGE


def _sessions(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from (f for f in root.iterdir() if f.name.startswith(("session-", ".opening-session-")))


def remove_dead_sessions(root: Path | None = None, older_than: float = 0.0) -> int:
    """Remove what processes left that are gone.

    Parameters
    ----------
    root : Path, optional
        Folder with sessions; that of the current settings if left out.
    older_than : float
        Keep sessions in which something changed within this many seconds.

    Returns
    -------
    int
        Number of sessions removed.
    """
    removed = 0
    for folder in _sessions(root or scratch_root()):
        with contextlib.suppress(OSError):
            if _is_dead(folder) and _age(folder) >= older_than:
                rescue(folder, folder.parent / RESUME)
                shutil.rmtree(folder, ignore_errors=True)
                removed += not folder.exists()
    return removed


def rescue_from_dead(root: Path) -> None:
    """Remove dead sessions unless this process did so before."""
    if root not in _open:
        remove_dead_sessions(root)


def folder_bytes(folder: Path) -> int:
    """Total size of the files in a folder."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(base) / name).stat().st_size
    return total


def free_bytes() -> int:
    """Bytes that can still be written to the scratch folder: free disk space, or less by the quota."""
    current = session()
    free = shutil.disk_usage(current.folder).free
    quota: int | None = config.scratch_quota
    if quota is None:
        return free
    return min(free, quota - folder_bytes(current.folder) - own_bytes(current.folder.parent))


def check_space(needed: int, what: str) -> None:
    """Refuse before anything runs if `needed` bytes cannot be written.

    Raises
    ------
    ScratchSpaceError
        Names what is needed, what is there and the settings that help.
    """
    free = free_bytes()
    if needed > free and remove_read(session().folder.parent):
        free = free_bytes()
    if needed > free:
        raise ScratchSpaceError(
            f"{what} needs {needed / 1e9:.3g} GB of scratch space, {max(free, 0) / 1e9:.3g} GB are free in "
            f"{session().folder.parent}; set RAYSPY_TMPDIR or spy.config.scratch_dir to a larger disk, "
            "raise spy.config.scratch_quota, or call spy.cleanup()"
        )


def own_session(path: str) -> Path | None:
    """Scratch folder of this process that a path is in."""
    folders = [current.folder for current in _open.values()] if path else []
    return next((folder for folder in folders if Path(path).is_relative_to(folder)), None)


def new_name() -> Path:
    """Name for the folder of an array."""
    return session().folder / f"array-{secrets.token_hex(6)}"


def new_target(pack_bytes: int = 0) -> tuple[PartsTarget, str]:
    """Make a folder under construction; returns it and the name it gets when done.

    Parameters
    ----------
    pack_bytes : int
        See `rayspy.storage.packs.pack_bytes`.
    """
    final = new_name()
    building = final.with_suffix(".wip")
    with told(building, _OTHER_FOLDER):
        building.mkdir(mode=0o700)
    return PartsTarget(str(building), pack_bytes), str(final)


def sessions() -> list[tuple[Path, int, bool]]:
    """All sessions of this user: folder, size in bytes, and whether its process is gone."""
    listed = []
    for folder in _sessions(scratch_root()):
        with contextlib.suppress(OSError):
            listed.append((folder, folder_bytes(folder), _is_dead(folder)))
    return listed
