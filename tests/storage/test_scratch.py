from __future__ import annotations

import fcntl
import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, PathError, ScratchSpaceError
from rayspy.storage import scratch as module
from rayspy.storage.scratch import (
    check_space,
    free_bytes,
    new_target,
    remove_dead_sessions,
    scratch_root,
    session,
)

CHILD = """
import sys, numpy as np, rayspy as spy
spy.config.inmemory_bytes = 1000
kept = spy.AnalogData(np.ones((5000, 2)))
print(kept.filename, flush=True)
"""


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.endswith(".lock"))


def large() -> spy.AnalogData:
    with spy.config.using(inmemory_bytes=1000, block_bytes=2000):
        return spy.AnalogData(np.arange(4000.0).reshape(2000, 2))


@contextmanager
def child(scratch: Path, after: str = "sys.stdin.read()") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with an array in the scratch folder."""
    environment = {**os.environ, "RAYSPY_TMPDIR": str(scratch)}
    command = [sys.executable, "-c", CHILD + after]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_arrays_go_with_their_last_reference(scratch: Path) -> None:
    data = large()
    folder = Path(data.filename)
    assert folder.is_dir()
    assert scratch in folder.parents
    twin, view = data.copy(), data.data
    del data
    gc.collect()
    assert folder.is_dir()
    del twin
    gc.collect()
    assert view[1999, 1] == 3999
    del view
    gc.collect()
    assert not folder.exists()
    assert len(list(session().folder.iterdir())) == 1


def test_nothing_is_left_of_a_generator_that_fails() -> None:
    def failing() -> Iterator[Any]:
        for _ in range(20):
            yield np.zeros((100, 2))
        raise RuntimeError("no more")

    with spy.config.using(inmemory_bytes=1000, block_bytes=1000):
        with pytest.raises(RuntimeError, match="no more"):
            spy.AnalogData(failing())
        with pytest.raises(InvalidValueError):
            spy.AnalogData([*(np.zeros((100, 2)) for _ in range(20)), np.zeros((1, 2))])
    assert [p.name for p in session().folder.iterdir()] == ["owner.lock"]


def test_folders_are_private(scratch: Path) -> None:
    data = large()
    for folder in (scratch_root(), session().folder, Path(data.filename)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_open_root_is_closed(scratch: Path) -> None:
    scratch_root().mkdir(mode=0o777)
    scratch_root().chmod(0o777)
    session()
    assert stat.S_IMODE(scratch_root().stat().st_mode) == 0o700


def test_root_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    root = scratch_root()
    root.mkdir()
    monkeypatch.setattr(module.os, "getuid", lambda: root.stat().st_uid + 1)
    monkeypatch.setattr(module, "scratch_root", lambda: root)
    with pytest.raises(PathError, match="another user"):
        session()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a link to another user")
def test_link_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o700)
    link = tmp_path / f"rayspy-{os.getuid()}"
    link.symlink_to(tmp_path / "own")
    with spy.config.using(scratch_dir=str(tmp_path)):
        session()
        os.lchown(link, 65534, 65534)
        module._open.pop(link).close()
        with pytest.raises(PathError, match="another user"):
            session()


def test_scratch_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with spy.config.using(scratch_dir=tmp_path / "file"), pytest.raises(PathError, match="RAYSPY_TMPDIR"):
        session()


def test_changing_the_folder_takes_effect(tmp_path: Path) -> None:
    before = large()
    with spy.config.using(scratch_dir=tmp_path / "other"):
        after = large()
        assert tmp_path / "other" in Path(after.filename).parents
    assert before.data[0, 1] == 1
    assert scratch_root() in Path(large().filename).parents


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with spy.config.using(scratch_dir=""):
        assert scratch_root() == tmp_path / "rayspy" / "scratch"


def test_quota_and_free_space(monkeypatch: pytest.MonkeyPatch) -> None:
    with spy.config.using(scratch_quota=30_000, inmemory_bytes=1000, block_bytes=1000):
        kept = spy.AnalogData(np.zeros((1000, 2)))
        assert 0 < free_bytes() < 14_000
        with pytest.raises(ScratchSpaceError, match="scratch_quota"):
            spy.AnalogData(np.zeros((1000, 2)))
        with pytest.raises(ScratchSpaceError, match="the data set"):
            spy.AnalogData(np.zeros((100, 2)) for _ in range(20))
        assert [p for p in session().folder.iterdir() if p.suffix == ".wip"] == []
        assert kept.data[0, 0] == 0
    usage = module.shutil.disk_usage(session().folder)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=100))
    check_space(100, "x")
    with pytest.raises(ScratchSpaceError, match="x needs"):
        check_space(101, "x")
    with pytest.raises(ScratchSpaceError, match="the data set"):
        large()


def test_scratch_is_empty_after_exit(scratch: Path) -> None:
    with child(scratch, "sys.exit(3)") as (process, folder):
        assert process.wait(30) == 3
        assert not folder.parent.exists()
    assert files(scratch_root()) == []


def test_scratch_is_empty_after_an_error(scratch: Path) -> None:
    with child(scratch, "sys.stderr.close(); raise RuntimeError") as (process, folder):
        assert process.wait(30) != 0
        assert not folder.parent.exists()


def test_the_next_session_removes_what_a_killed_one_left(scratch: Path) -> None:
    with child(scratch) as (alive, kept), child(scratch) as (killed, left):
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait(30)
        assert left.is_dir()
        data = large()
        assert not left.parent.exists()
        assert kept.is_dir()
        assert alive.poll() is None
        assert Path(data.filename).is_dir()


def test_cleanup(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = large()
    with child(scratch) as (alive, kept):
        with child(scratch) as (killed, left):
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait(30)
        assert spy.cleanup() == 0
        assert spy.cleanup(older_than=0, only_current_session=True) == 0
        monkeypatch.setattr("builtins.input", lambda _: "n")
        assert spy.cleanup(older_than=0, interactive=True) == 0
        assert left.is_dir()
        monkeypatch.setattr("builtins.input", lambda _: "y")
        assert spy.cleanup(older_than=0, interactive=True) == 1
        assert not left.parent.exists()
        assert spy.cleanup(older_than=0) == 0
        assert kept.is_dir()
        assert alive.poll() is None
    assert own.data[0, 1] == 1


def age(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in (*folder.iterdir(), folder):
        os.utime(path, (then, then))


def leftover(name: str, seconds: float, lock: bool = True) -> Path:
    folder = scratch_root() / name
    folder.mkdir(parents=True)
    if lock:
        (folder / "owner.lock").touch()
    age(folder, seconds)
    return folder


def test_cleanup_keeps_what_is_younger() -> None:
    host = module._host()
    young, old = leftover(f"session-{host}-1-a", 3600), leftover(f"session-{host}-1-b", 30 * 3600)
    assert spy.cleanup() == 1
    assert (young.exists(), old.exists()) == (True, False)
    assert spy.cleanup(older_than=1) == 1
    assert not young.exists()


def test_sessions_of_other_hosts_are_kept_for_a_month() -> None:
    day = 24 * 3600
    recent, ancient = (
        leftover("session-else-where-1-a", 29 * day),
        leftover("session-else-where-1-b", 31 * day),
    )
    assert remove_dead_sessions() == 1
    assert (recent.exists(), ancient.exists()) == (True, False)


def test_sessions_that_are_just_being_made_are_kept() -> None:
    host = module._host()
    names = f"session-{host}-1-a", f".opening-session-{host}-1-b"
    young = [
        leftover(names[0], 5, lock=False),
        leftover(names[1], 5),
        leftover(names[1] + "c", 5, lock=False),
    ]
    assert remove_dead_sessions() == 0
    for folder in young:
        age(folder, 100)
    assert remove_dead_sessions() == 3


def test_somebody_who_looks_at_a_session_that_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """And has its lock for a moment."""
    opened, looking = os.open, []

    def look_first(path: Any, flags: int, *mode: int, **how: Any) -> int:
        lock = opened(path, flags, *mode, **how)
        if str(path).endswith("owner.lock") and flags & os.O_CREAT and not looking:
            other = opened(path, os.O_RDWR)
            fcntl.flock(other, fcntl.LOCK_EX)
            looking.append(threading.Timer(0.1, os.close, [other]))
            looking[0].start()
        return lock

    monkeypatch.setattr(os, "open", look_first)
    assert session().folder.is_dir()
    looking[0].join()


def test_other_folders_are_not_touched() -> None:
    other = leftover("something-else", 1e9)
    assert remove_dead_sessions() == 0
    assert other.exists()


def test_a_forked_child_has_its_own_session_and_leaves_ours_alone() -> None:
    data = large()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        try:
            folder = session().folder
            os.write(writing, str(folder).encode())
            module._open[scratch_root()].close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = Path(pipe.read())
    assert theirs.name.startswith("session-")
    assert theirs != session().folder
    assert not theirs.exists()
    assert data.data[0, 1] == 1


def test_a_child_does_not_keep_a_dead_parent_alive(scratch: Path) -> None:
    after = """
import os, time
if os.fork() == 0:
    print("forked", flush=True)
    time.sleep(8)
    os._exit(0)
sys.stdin.read()
"""
    with child(scratch, after) as (process, left):
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        deadline = time.monotonic() + 5
        while left.exists() and time.monotonic() < deadline:
            remove_dead_sessions()
            time.sleep(0.05)
        assert not left.exists()


def test_new_target_is_private_and_unfinished() -> None:
    target, final = new_target()
    assert target.folder.endswith(".wip")
    assert stat.S_IMODE(Path(target.folder).stat().st_mode) == 0o700
    assert not Path(final).exists()
    target.discard()


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"older_than": -1}, InvalidValueError, "older_than"),
        ({"older_than": 1.5}, InvalidValueError, "older_than"),
        ({"older_than": "1"}, InvalidTypeError, "older_than"),
        ({"interactive": 1}, InvalidTypeError, "interactive"),
        ({"only_current_session": 1}, InvalidTypeError, "only_current_session"),
    ],
)
def test_cleanup_arguments(settings: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        spy.cleanup(**settings)


def test_folders_that_are_made_are_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        with spy.config.using(scratch_dir=str(tmp_path / "a" / "b")):
            folder = session().folder
    finally:
        os.umask(before)
    made = [folder, *(one for one in folder.parents if tmp_path in one.parents)]
    assert len(made) == 4
    assert {stat.S_IMODE(one.stat().st_mode) for one in made} == {0o700}
