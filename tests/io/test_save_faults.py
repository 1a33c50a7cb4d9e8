"""`save` on full disks, and killed at every step: nothing half written, nothing lost."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import PathError
from rayspy.io import container, switch
from rayspy.storage.scratch import session


def make(value: float, n: int = 100) -> spy.AnalogData:
    return spy.AnalogData(np.full((n, 2), value), samplerate=100)


def large(n: int = 100_000) -> spy.AnalogData:
    with spy.config.using(inmemory_bytes=1000, block_bytes=100_000):
        return spy.AnalogData(np.ones((n, 2)), samplerate=100)


def value_in(path: Path) -> float:
    return float(spy.load(path).data[50, 1])


@pytest.fixture
def no_early_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes fill the disk in the meantime."""
    monkeypatch.setattr(container, "_check_room", lambda source, folder: None)


def test_what_does_not_fit_is_refused_before(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_write_object", pytest.fail)
    for data in (large(), make(1, 100_000)):
        with pytest.raises(PathError, match=r"1\.6 MB are needed, 1\.0 MB are free"):
            data.save(container=small_disk / "x")
    assert list(small_disk.iterdir()) == []
    assert data.data[0, 0] == 1


@pytest.mark.usefixtures("no_early_check")
def test_a_disk_that_fills_up(small_disk: Path) -> None:
    make(1).save(container=small_disk / "there")
    before = sorted(small_disk.rglob("*"))
    for data in (large(), make(1, 100_000)):
        for target in ("there", "a/b/new"):
            with pytest.raises(PathError, match="No space left on device; nothing was saved"):
                data.save(container=small_disk / target, overwrite=True)
            assert sorted(small_disk.rglob("*")) == before
    assert value_in(small_disk / "there") == 1
    assert data.data[0, 0] == 1


@contextmanager
def file_size_limit(n: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_files_beyond_the_limit_of_size(tmp_path: Path) -> None:
    data = make(1, 10_000)
    with file_size_limit(50_000), pytest.raises(PathError, match="ulimit -f"):
        data.save(container=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_somebody_who_saves_in_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And looks for what killed processes left before the new folder is locked."""
    mkdir, seen = Path.mkdir, []

    def look(path: Path, *args: Any, **how: Any) -> None:
        mkdir(path, *args, **how)
        if path.suffix == ".wip" and path.parent.name == "x.spy" and not seen:
            seen.append(path)
            switch._remove_abandoned(path.with_name("x.analog"))

    monkeypatch.setattr(Path, "mkdir", look)
    make(1).save(container=tmp_path / "x")
    assert seen
    assert value_in(tmp_path / "x") == 1


def test_scratch_that_was_removed(tmp_path: Path) -> None:
    data = large()
    shutil.rmtree(session().folder)
    with pytest.raises(PathError, match="was removed while it was in use"):
        data.save(container=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def killed_at(step: int, names: list[tuple[Any, str]]) -> None:
    """Have this process end like a killed one at the n-th call of any of some functions."""
    left = [step]

    def ends(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
            return original(*args, **kwargs)

        return called

    for owner, name in names:
        setattr(owner, name, ends(getattr(owner, name)))


@pytest.mark.parametrize("swaps", [True, False], ids=["one step", "two renames"])
def test_killed_at_every_step(swaps: bool, tmp_path: Path) -> None:
    path = tmp_path / "x"
    make(0).save(container=path)
    found = []
    for step in range(20):
        pid = os.fork()
        if pid == 0:  # pragma: no cover - in the child
            if not swaps:
                switch.exchange = lambda one, other: False
            killed_at(step, [(switch, "exchange"), (Path, "rename"), (shutil, "rmtree"), (Path, "mkdir")])
            make(step + 1).save(container=path, overwrite=True)
            os._exit(0)
        done = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        if swaps:
            assert (tmp_path / "x.spy" / "x.analog").is_dir()
        found.append(value_in(path))
        if done:
            break
    assert found[-1] == len(found) > 4
    assert all(b in (a, k + 1) for k, (a, b) in enumerate(zip([0, *found], found, strict=False)))
    make(77).save(container=path, overwrite=True)
    assert [p.name for p in (tmp_path / "x.spy").iterdir()] == ["x.analog"]


@pytest.mark.parametrize("read", ["container", "tag", "object"])
def test_found_again_between_two_renames(read: str, tmp_path: Path) -> None:
    make(3).save(container=tmp_path / "x", tag="a")
    folder = tmp_path / "x.spy" / "x_a.analog"
    folder.rename(folder.with_name(".x_a.analog.0123abcd.old"))
    found = {
        "container": lambda: spy.load(tmp_path / "x"),
        "tag": lambda: spy.load(tmp_path / "x", tag="a"),
        "object": lambda: spy.load(folder),
    }[read]()
    assert found.data[0, 0] == 3


def test_a_live_save_is_left_alone(tmp_path: Path) -> None:
    make(3).save(container=tmp_path / "x")
    parent = tmp_path / "x.spy"
    with switch.under_construction(parent / "x.analog") as building:
        (building / "y").touch()
        make(4).save(container=tmp_path / "x", overwrite=True)
        assert (building / "y").exists()
        shutil.copytree(parent / "x.analog", building, dirs_exist_ok=True)
    assert [p.name for p in parent.iterdir()] == ["x.analog"]
