"""Keeping finished blocks for a later run is a convenience: runs that need no scratch folder go on."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import PathError, ScratchSpaceError
from rayspy.frontends.compute import plan_for, selected
from rayspy.frontends.explain import _scratch_free
from rayspy.storage import scratch
from rayspy.storage.parts import PartsTarget
from rayspy.storage.sources import read_all
from tests.executors.test_resume import Counted, Telling, calls, data_of, go_on, leftovers, run, run_plan

__all__ = ["calls"]
WAYS = ["memory", "average"]


@pytest.fixture
def no_home(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    with spy.config.using(scratch_dir=""):
        yield


@pytest.fixture
def read_only(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with spy.config.using(scratch_dir=str(small_disk)):
        yield


@pytest.fixture
def full(small_disk):
    (small_disk / "filling").write_bytes(bytes(2**20 - 4096))
    with spy.config.using(scratch_dir=str(small_disk)):
        yield


@pytest.fixture
def not_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with spy.config.using(scratch_dir=str(tmp_path / "file")):
        yield


@pytest.fixture
def quota():
    with spy.config.using(scratch_quota=1000):
        yield


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["no_home", "read_only", "full", "not_a_folder", "quota"])
def test_one_warning_and_on(kind, way, calls, request, caplog):
    data = data_of()
    go_on(calls)
    with spy.config.using(resume=False):
        expected = run(way, calls, data)
    request.getfixturevalue(kind)
    found = run(way, calls, data)
    np.testing.assert_array_equal(found, expected)
    (text,) = warnings_in(caplog)
    assert "cannot be gone on with" in text
    assert not list(Path(spy.config.scratch_dir or "/nowhere").rglob("*.arrow"))


def test_results_that_need_the_folder_say_so(calls, no_home, capsys):
    go_on(calls)
    with pytest.raises(PathError, match="RAYSPY_TMPDIR"):
        run("disk", calls)
    assert _scratch_free() == 0
    spy.cluster_info()
    assert "no home folder" in capsys.readouterr().out


@pytest.mark.parametrize("way", WAYS)
def test_the_quota_bounds_what_is_written(way, calls, caplog):
    go_on(calls)
    largest = 0

    def watched(self, start, array):
        nonlocal largest
        part = write(self, start, array)
        largest = max(largest, scratch.folder_bytes(scratch.session().folder))
        return part

    with pytest.MonkeyPatch.context() as patch, spy.config.using(scratch_quota=10_000):
        write = PartsTarget.write
        patch.setattr(PartsTarget, "write", watched)
        run(way, calls)  # 21,600 bytes
    assert largest < 10_500
    assert (largest > 0) == (way == "average")
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_disk_that_fills_up_in_mid_run(way, calls, caplog, monkeypatch):
    written = []

    def filling(self, start, array):
        written.append(start)
        if len(written) > 5:
            raise ScratchSpaceError("no space left")
        return write(self, start, array)

    write = PartsTarget.write
    monkeypatch.setattr(PartsTarget, "write", filling)
    with pytest.raises(KeyboardInterrupt):
        run(way, calls)
    assert len(written) == 6
    assert len(warnings_in(caplog)) == 1
    assert leftovers() == []
    assert not list(scratch.session().folder.glob("array-*"))


def test_notes_that_cannot_be_written(calls, caplog, monkeypatch):
    def refuse(target, notes):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rayspy.executors.resume._append_notes", refuse)
    go_on(calls)
    data = data_of()
    with spy.config.using(block_bytes=720, inmemory_bytes=100, resume_after=0):
        plan = plan_for("counted", data, Telling(str(calls), 12), selected(data, None))
        found = read_all(run_plan(plan, False)[0])
    np.testing.assert_array_equal(found, data.data[()])
    assert len(warnings_in(caplog)) == 1


def test_scratch_that_is_removed_in_mid_run(calls, monkeypatch):
    def removing(self, x, out=None):
        if len(list(calls.iterdir())) == 5:
            scratch.shutil.rmtree(scratch.session().folder)
        return original(self, x, out)

    original = Counted._copy
    monkeypatch.setattr(Counted, "_copy", removing)
    go_on(calls)
    with pytest.raises(PathError, match="was removed while it was in use"):
        run("disk", calls)
