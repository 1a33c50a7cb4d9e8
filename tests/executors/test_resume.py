"""A run that was ended before its time goes on with the blocks it had finished."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import rayspy as spy
from rayspy.executors.driver import run_plan
from rayspy.executors.resume import key_of
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Mean
from rayspy.storage import scratch
from rayspy.storage.leftovers import RESUME
from rayspy.storage.sources import read_all

WAYS = ["disk", "memory", "average"]
REDUCTIONS = {"average": Mean()}


@dataclass(frozen=True)
class Counted(Copying):
    """Copies, notes each call in a folder and stops the run at the n-th."""

    folder: str
    stop_at: int
    error: str = "KeyboardInterrupt"
    name: ClassVar[str] = "counted"

    def kernel(self, part):
        return self._copy

    def _copy(self, x, out=None):
        calls = Path(self.folder)
        n = len(list(calls.iterdir()))
        limit = calls.parent / "limit"
        if n >= (int(limit.read_text()) if limit.exists() else self.stop_at):
            raise {"KeyboardInterrupt": KeyboardInterrupt, "ZeroDivisionError": ZeroDivisionError}[self.error]
        (calls / f"{n}-{time.monotonic_ns()}").touch()
        np.copyto(out, x)
        return out


@pytest.fixture
def calls(tmp_path):
    (tmp_path / "calls").mkdir()
    return tmp_path / "calls"


def data_of(seed=0):
    rng = np.random.default_rng(seed)
    return spy.AnalogData(
        (rng.standard_normal((60, 3)).astype(np.float32) for _ in range(30)), samplerate=100.0
    )


def run(way, calls, data=None, error="KeyboardInterrupt", parallel=False, chan_per_worker=None):
    """One run in blocks of one trial; returns the array."""
    data = data or data_of()
    limit = 100 if way == "disk" else 2**20
    with spy.config.using(block_bytes=720, inmemory_bytes=limit, resume_after=0):
        method = Counted(str(calls), 12, error)
        plan = plan_for("counted", data, method, selected(data, None), REDUCTIONS.get(way), chan_per_worker)
        assert plan.n_blocks >= 30
        return read_all(run_plan(plan, parallel)[0])


def go_on(calls):
    """Let the kernel run to the end; forget the calls so far."""
    (calls.parent / "limit").write_text("1000")
    for call in calls.iterdir():
        call.unlink()


def leftovers():
    folder = scratch.scratch_root() / RESUME
    return list(folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("way", WAYS)
def test_only_what_was_not_finished_is_computed(way, calls, caplog):
    with pytest.raises(KeyboardInterrupt):
        run(way, calls)
    assert len(leftovers()) == 1
    go_on(calls)
    with caplog.at_level("INFO", logger="rayspy"):
        resumed = run(way, calls)
    assert len(list(calls.iterdir())) == 30 - 12
    assert "resuming: 12 of 30 blocks done" in caplog.text
    assert leftovers() == []
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(resumed, run(way, calls))


@pytest.mark.parametrize("way", WAYS)
def test_interrupted_again_and_again(way, calls):
    for limit in (7, 25, 29):
        (calls.parent / "limit").write_text(str(limit))
        with pytest.raises(KeyboardInterrupt):
            run(way, calls)
        assert len(list(calls.iterdir())) == limit
    (calls.parent / "limit").write_text("1000")
    resumed = run(way, calls)
    assert len(list(calls.iterdir())) == 30
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(resumed, run(way, calls))


@pytest.mark.parametrize("way", WAYS)
def test_anything_changed_starts_afresh(way, calls):
    with pytest.raises(KeyboardInterrupt):
        run(way, calls)
    go_on(calls)
    run(way, calls, data_of(1))
    assert len(list(calls.iterdir())) == 30
    go_on(calls)
    run(way, calls, chan_per_worker=2)
    assert len(list(calls.iterdir())) == 60
    assert len(leftovers()) == 1


def test_what_other_calls_left_costs_no_key(calls, monkeypatch):
    """Which takes as long as reading all data."""
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    go_on(calls)
    monkeypatch.setattr("rayspy.executors.resume.key_of", lambda plan: pytest.fail("a key was made"))
    with spy.config.using(resume_after=1000):
        spy.freqanalysis(data_of(), parallel=False)
    assert len(leftovers()) == 1


def test_an_error_of_a_block_leaves_nothing(calls):
    for way in WAYS:
        with pytest.raises(ZeroDivisionError):
            run(way, calls, error="ZeroDivisionError")
    assert leftovers() == []
    assert not list(scratch.session().folder.glob("array-*"))


def test_a_short_run_leaves_nothing(calls):
    data = data_of()
    with spy.config.using(block_bytes=720, inmemory_bytes=100):
        plan = plan_for("counted", data, Counted(str(calls), 12), selected(data, None))
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, False)
    assert leftovers() == []
    assert not list(scratch.session().folder.glob("array-*"))


@pytest.mark.parametrize("way", WAYS)
def test_a_setting_turns_it_off(way, calls):
    with spy.config.using(resume=False), pytest.raises(KeyboardInterrupt):
        run(way, calls)
    assert leftovers() == []


def test_leftovers_expire(calls):
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    (left,) = leftovers()
    old = time.time() - 8 * 86400
    for path in (left, *left.iterdir()):
        os.utime(path, (old, old))
    scratch.remove_expired(left.parent, spy.config.resume_keep)
    assert leftovers() == []


def test_cleanup_removes_them(calls):
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    spy.cleanup(older_than=1)
    assert len(leftovers()) == 1
    spy.cleanup(older_than=0)
    assert leftovers() == []


def test_half_written_files_do_not_count(calls):
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    (left,) = leftovers()
    parts = sorted(left.glob("part-*.arrow"))
    parts[0].rename(parts[0].with_suffix(".arrow.123.tmp"))
    parts[1].write_bytes(parts[1].read_bytes()[:100])
    go_on(calls)
    resumed = run("disk", calls)
    assert len(list(calls.iterdir())) == 30 - 10
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(resumed, run("disk", calls))


def test_the_fingerprint_follows_contents_not_objects(tmp_path):
    def key(data, **settings):
        from tests.executors.test_run import plan_of

        return key_of(plan_of(data, **settings))

    assert key(data_of()) == key(data_of())
    assert key(data_of()) != key(data_of(1))
    assert key(data_of()) != key(data_of(), taper="hamming")
    assert key(data_of()) != key(data_of(), chan_per_worker=1)
    assert key(data_of()) != key(data_of(), keeptrials=False)
    assert key(data_of()) != key(data_of(), select={"trials": [1, 2]})
    with spy.config.using(inmemory_bytes=100):
        assert key(data_of()) == key(data_of())
        assert key(data_of()) != key(data_of(1))
        spectra = [spy.freqanalysis(data_of()) for _ in range(2)]
        copies = [plan_for("copy", s, Copying(), selected(s, None)) for s in spectra]
        assert key_of(copies[0]) == key_of(copies[1])
    np.zeros((100, 2), np.float32).tofile(tmp_path / "x.dat")

    def raw():
        return spy.AnalogData(spy.raw_binary(tmp_path / "x.dat", "float32", 2), samplerate=1.0)

    before = key(raw())
    assert before == key(raw())
    os.utime(tmp_path / "x.dat", (1, 1))
    assert key(raw()) != before


SCRIPT = """
import sys, time, numpy as np, rayspy as spy
from dataclasses import dataclass
from pathlib import Path
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Mean
from rayspy.storage.sources import read_all

@dataclass(frozen=True)
class Slow(Copying):
    def kernel(self, part):
        return slowly

def slowly(x, out=None):
    time.sleep(0.05)
    np.copyto(out, x * np.float32(1.5))
    return out

spy.config.block_bytes, spy.config.resume_after, spy.config.num_cpus = 720, 0.2, 2
spy.config.inmemory_bytes = 100 if sys.argv[1] == "disk" else 2**20
data = spy.synthdata.white_noise(nTrials=60, nSamples=60, nChannels=3, seed=1)
plan = plan_for("slow", data, Slow(), selected(data, None), Mean() if sys.argv[1] == "average" else None)
array = read_all(run_plan(plan, None)[0])
np.save(sys.argv[2], array)
"""


def start(way, scratch_dir, out):
    environment = {
        **os.environ,
        "RAYSPY_TMPDIR": str(scratch_dir),
        "PYTHONPATH": os.pathsep.join(["", *sys.path]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, way, str(out)], env=environment, stderr=subprocess.PIPE, text=True
    )


def n_parts_of_the_run(folder):
    return sum(len(list(mark.parent.glob("**/part-*.arrow"))) for mark in folder.rglob("resume.json"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_killed_process(way, number, tmp_path):
    process = start(way, tmp_path, tmp_path / "x.npy")
    deadline = time.monotonic() + 30
    while n_parts_of_the_run(tmp_path) < 15 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=30)
    second = start(way, tmp_path, tmp_path / "resumed.npy")
    errors = second.communicate(timeout=60)[1]
    assert second.returncode == 0, errors
    n_done = int(re.search(r"resuming: (\d+) of 60 blocks done", errors)[1])
    assert n_done >= (15 if way == "disk" else 8), errors
    fresh = start(way, tmp_path / "other", tmp_path / "fresh.npy")
    assert "resuming" not in fresh.communicate(timeout=60)[1]
    np.testing.assert_array_equal(np.load(tmp_path / "resumed.npy"), np.load(tmp_path / "fresh.npy"))
    assert [f for f in tmp_path.rglob("*") if f.suffix in (".arrow", ".json")] == []


def requeued(monkeypatch, job, count):
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", count)


def foreign_session(age):
    """A session of another host, of job 7, with an array that can be resumed."""
    root = scratch.scratch_root()
    folder = root / "session-elsewhere-1-abcdef"
    array = folder / "array-1.wip"
    array.mkdir(parents=True)
    (folder / "owner.lock").write_text(json.dumps(["7", 0]))
    (array / "resume.json").write_text(json.dumps({"key": "k" * 32, "name": "f", "n_blocks": 3}))
    (array / "part-0+1.arrow").touch()
    then = time.time() - age
    for path in (array, folder / "owner.lock", folder):
        os.utime(path, (then, then))
    return folder


@pytest.mark.parametrize(
    ("job", "count", "age", "rescued"),
    [("7", "1", 1, True), ("7", "0", 1, False), ("8", "1", 1, False), ("8", "0", 1000, True)],
)
def test_sessions_of_other_hosts(job, count, age, rescued, monkeypatch):
    requeued(monkeypatch, job, count)
    folder = foreign_session(age)
    scratch.remove_dead_sessions(scratch.scratch_root())
    assert folder.exists() is not rescued
    assert len(leftovers()) == rescued


def test_a_mark_cannot_point_elsewhere():
    folder = foreign_session(1000)
    marked = {"key": "../../outside", "name": "f", "n_blocks": 3}
    (folder / "array-1.wip" / "resume.json").write_text(json.dumps(marked))
    old = time.time() - 1000
    for path in folder.rglob("*"):
        os.utime(path, (old, old))
    os.utime(folder, (old, old))
    scratch.remove_dead_sessions(scratch.scratch_root())
    assert not folder.exists()
    assert leftovers() == []
    assert not list(scratch.scratch_root().parent.glob("outside"))


def test_scratch_that_workers_cannot_see(calls, caplog, monkeypatch):
    monkeypatch.setattr("rayspy.storage.parts.PartsTarget.is_visible", lambda self: False)
    go_on(calls)
    with caplog.at_level("INFO", logger="rayspy"):
        found = run("disk", calls)
    assert caplog.text.count("is not visible on") == 1
    monkeypatch.undo()
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(found, run("memory", calls))


def test_what_receipts_told_is_told_again(calls):
    data = data_of()
    trials = [np.array(trial) for trial in data.trials]
    trials[3][5, 1] = trials[20][0, 0] = np.nan
    with_nan = spy.AnalogData(trials, samplerate=100.0)
    seen = []
    with spy.config.using(block_bytes=720, inmemory_bytes=100, resume_after=0):
        method = Telling(str(calls), 12)
        plan = plan_for("counted", with_nan, method, selected(with_nan, None))
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, False)
        go_on(calls)
        run_plan(plan, False, seen.append)
    assert sorted(receipt.block for receipt in seen) == list(range(30))
    assert sorted(k for receipt in seen for k in receipt.nan_trials) == [3, 20]
    assert len(list(calls.iterdir())) == 30 - 12


class Telling(Counted):
    """Wants to know about NaNs."""

    tells_nan: ClassVar[bool] = True
