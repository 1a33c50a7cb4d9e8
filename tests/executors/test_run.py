"""One block, one plan, the driver: promises, memory, errors, litter."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import PathError
from rayspy.executors import driver
from rayspy.executors.choose import Choice, choose
from rayspy.executors.driver import run_plan
from rayspy.executors.local import LocalExecutor
from rayspy.executors.run import PromiseError, run_block
from rayspy.frontends.compute import plan_for, selected
from rayspy.frontends.spectral.fourier import mtmfft
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Mean
from rayspy.planning.memory import Memory, affordable_workers
from rayspy.storage.sources import read_all


def noise(n_trials=12, n_samples=300, n_channels=5, dtype=np.float32):
    rng = np.random.default_rng(0)
    return spy.AnalogData(
        (rng.standard_normal((n_samples, n_channels)).astype(dtype) for _ in range(n_trials)),
        samplerate=100.0,
    )


def plan_of(data, keeptrials=True, chan_per_worker=None, select=None, **settings):
    defaults = spy.get_defaults(spy.freqanalysis)
    selection = selected(data, select)
    method = mtmfft(data, selection, {**defaults, **settings}).method
    return plan_for("freqanalysis", data, method, selection, None if keeptrials else Mean(), chan_per_worker)


@dataclass(frozen=True)
class Odd(Copying):
    """Does something wrong in its kernel."""

    fault: str
    name: ClassVar[str] = "odd"

    def kernel(self, part):
        return getattr(self, f"_{self.fault}")

    def _shape(self, x, out=None):
        return x[:, :-1]

    def _dtype(self, x, out=None):
        return x.astype(np.float64)

    def _writes(self, x, out=None):
        x += 1
        return x

    def _raises(self, x, out=None):
        raise ZeroDivisionError("deliberate")

    def _slow(self, x, out=None):
        time.sleep(0.2)
        np.copyto(out, x)
        return out


def odd_plan(fault, block_bytes=2000):
    data = noise()
    with spy.config.using(block_bytes=block_bytes):
        return plan_for("odd", data, Odd(fault), selected(data, None))


@pytest.mark.parametrize("fault", ["shape", "dtype"])
def test_a_kernel_that_breaks_its_promise_is_found_out(fault):
    with pytest.raises(PromiseError, match="promised"):
        run_block(odd_plan(fault), 0)


def test_kernels_cannot_write_to_their_input():
    with pytest.raises(ValueError, match="read-only"):
        run_block(odd_plan("writes"), 0)


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_says_which_block_it_was(n):
    with pytest.raises(ZeroDivisionError, match="deliberate") as caught:
        LocalExecutor(n).run(odd_plan("raises"), range(6), lambda receipt: None)
    assert any("trials" in note and "odd" in note for note in caught.value.__notes__)


def test_no_block_starts_after_an_error():
    plan = odd_plan("raises")
    seen = []
    with pytest.raises(ZeroDivisionError):
        LocalExecutor(2).run(plan, range(plan.n_blocks), seen.append)
    assert seen == []


def test_receipts_come_once_each():
    data = noise(40)
    with spy.config.using(block_bytes=5000):
        plan = plan_of(data)
    for n in (1, 2, 5):
        seen = []
        LocalExecutor(n).run(
            plan, range(plan.n_blocks), lambda receipt, seen=seen: seen.append(receipt.block)
        )
        assert sorted(seen) == list(range(plan.n_blocks))


def test_payload_gives_the_same_as_reading():
    data = noise(7, dtype=np.float64)
    with spy.config.using(block_bytes=9000):
        plan = plan_of(data, chan_per_worker=2, select={"trials": [6, 0, 3, 3], "channel": [4, 1, 2]})
    sent = plan.for_workers()
    for i in range(plan.n_blocks):
        np.testing.assert_array_equal(run_block(sent, i, plan.payload(i)).value, run_block(plan, i).value)


@pytest.mark.parametrize("keeptrials", [True, False])
@pytest.mark.parametrize(
    ("n_trials", "n_samples", "n_channels", "dtype", "settings"),
    [
        (200, 1000, 16, np.float32, {}),
        (20_000, 51, 22, np.float32, {}),
        (3, 400_000, 8, np.float32, {}),
        (40, 2000, 16, np.float64, {"polyremoval": 1}),
        (40, 2000, 16, np.int16, {"tapsmofrq": 0.5}),
        (20, 1000, 16, np.float32, {"tapsmofrq": 1, "keeptapers": True, "output": "fourier"}),
        (40, 1000, 16, np.float32, {"pad": "nextpow2", "select": {"channel": [0, 5, 15]}}),
        (200, 1000, 16, np.float32, {"chan_per_worker": 1}),
    ],
)
def test_measured_memory_is_at_most_the_projected(
    n_trials, n_samples, n_channels, dtype, settings, keeptrials, tmp_path
):
    array = (np.random.default_rng(0).standard_normal((n_trials * n_samples, n_channels)) * 100).astype(dtype)
    array.tofile(tmp_path / "x.dat")
    stops = np.arange(1, n_trials + 1) * n_samples
    trl = np.column_stack([stops - n_samples, stops, stops * 0])
    raw = spy.raw_binary(tmp_path / "x.dat", dtype, n_channels)
    data = spy.AnalogData(raw, samplerate=100.0, trialdefinition=trl)
    plan = plan_of(data, keeptrials=keeptrials, **settings)
    run_block(plan, 0)
    tracemalloc.start()
    try:
        for i in (0, plan.n_blocks // 2, plan.n_blocks - 1):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            run_block(plan, i)
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak <= plan.memory.per_worker + 200_000
    finally:
        tracemalloc.stop()
    assert plan.memory.per_worker < 400e6


def test_too_much_memory_is_refused_with_what_helps():
    memory = Memory(10**10, 10**10, 3 * 10**9, 10**6)
    with (
        spy.config.using(memory_budget="1GB"),
        pytest.raises(spy.errors.MemoryBudgetError, match="chan_per_worker"),
    ):
        affordable_workers(memory, 4, "freqanalysis")
    with (
        spy.config.using(memory_budget="20MB"),
        pytest.raises(spy.errors.MemoryBudgetError, match="every block needs all channels") as caught,
    ):
        spy.connectivityanalysis(noise(120, 400, 100), method="granger")
    assert "chan_per_worker" not in str(caught.value)
    with spy.config.using(memory_budget="7GB"):
        assert affordable_workers(memory, 4, "freqanalysis") == 2


def test_refusal_comes_before_computing_and_writes_nothing(tmp_path):
    data = noise(50, 2000, 8)
    with (
        spy.config.using(memory_budget=1000, inmemory_bytes=100),
        pytest.raises(spy.errors.MemoryBudgetError, match=r"spy\.config\.memory_budget"),
    ):
        spy.freqanalysis(data)
    with (
        spy.config.using(scratch_quota=1000, inmemory_bytes=100),
        pytest.raises(spy.errors.ScratchSpaceError, match="RAYSPY_TMPDIR"),
    ):
        spy.freqanalysis(data)
    assert not [f for f in tmp_path.rglob("*") if f.name.startswith("array-")]


@pytest.mark.parametrize("n", [1, 2])
def test_nothing_is_left_after_an_error(n, tmp_path):
    data = noise(50)
    with spy.config.using(inmemory_bytes=100, block_bytes=3000):
        plan = replace(plan_for("odd", data, Odd("raises"), selected(data, None)))
        with spy.config.using(num_cpus=n), pytest.raises(ZeroDivisionError):
            run_plan(plan, None)
    assert not [f for f in tmp_path.rglob("*") if f.name.startswith("array-")]


def test_choice_without_a_cluster():
    memory = Memory(1, 1, 1, 1)
    assert choose(False, memory, "f").executor == LocalExecutor(1)
    assert choose(False, memory, "f").reason == "parallel=False"
    with spy.config.using(num_cpus=3):
        assert choose(None, memory, "f").executor == LocalExecutor(3)


def test_the_choice_is_logged_with_its_reason(caplog):
    with caplog.at_level("DEBUG", logger="rayspy"):
        spy.freqanalysis(noise(), parallel=False)
    assert any("1 local thread (parallel=False)" in message for message in caplog.messages)
    assert all(message.startswith("rayspy <freqanalysis> DEBUG: ") for message in caplog.messages)


def test_parallel_takes_only_bools():
    with pytest.raises(spy.errors.InvalidTypeError, match="parallel"):
        spy.freqanalysis(noise(), parallel="foo")


SCRIPT = """
import sys, time, numpy as np, rayspy as spy
from tests.executors.test_run import Odd
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
spy.config.block_bytes, spy.config.inmemory_bytes = 2000, 100
data = spy.AnalogData(np.zeros((100_000, 4), np.float32), samplerate=100.)
data.definetrial(np.array([[k * 100, k * 100 + 100, 0] for k in range(1000)]))
plan = plan_for("odd", data, Odd("slow"), selected(data, None))
print("running", flush=True)
run_plan(plan, None)
"""


def start_slow_run(scratch):
    environment = {
        **os.environ,
        "RAYSPY_TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join(["", *sys.path]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"running\n"
    deadline = time.monotonic() + 20
    while not list(scratch.rglob("*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    return process


def left_over(scratch):
    return [f for f in scratch.rglob("*") if f.is_file()]


def test_ctrl_c_stops_promptly_and_leaves_nothing(tmp_path):
    process = start_slow_run(tmp_path)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 15
    assert b"KeyboardInterrupt" in errors
    assert process.returncode != 0
    assert left_over(tmp_path) == []


def test_what_a_killed_driver_leaves_is_removed_at_the_next_start(tmp_path):
    process = start_slow_run(tmp_path)
    process.kill()
    process.communicate(timeout=20)
    assert left_over(tmp_path)
    code = "import rayspy as spy; from rayspy.storage.scratch import session; session()"
    environment = {
        **os.environ,
        "RAYSPY_TMPDIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(["", *sys.path]),
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert left_over(tmp_path) == []


def test_result_on_disk_is_described(tmp_path):
    with spy.config.using(inmemory_bytes=100, block_bytes=4000):
        spectra = spy.freqanalysis(noise(), output="fourier")
    meta = json.loads((Path(spectra.source.location) / "meta.json").read_text())
    assert meta["shape"] == list(spectra.data.shape)
    assert meta["complex_as_last_axis"] is True


class Farsighted:
    """Stands in for an executor on other hosts, which do not see the scratch folder of this one."""

    name, n_workers, elastic = "ray", 1, False

    def __init__(self, seen=0):
        self.seen = seen
        self.runs = []

    def run(self, plan, blocks, collect):
        self.runs.append((plan.needs_payload, list(blocks)))
        for n, i in enumerate(blocks):
            if not plan.needs_payload and n >= self.seen:
                raise PathError(plan.source.location, exists=False, hint="seen from host n2")
            collect(run_block(plan.for_workers(), i, plan.payload(i) if plan.needs_payload else None))


@pytest.fixture
def in_scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "_unseen", set())
    with spy.config.using(scratch_dir=str(tmp_path), inmemory_bytes=100, block_bytes=6000):
        yield noise(8)


def compute_on(executor, data, monkeypatch):
    plan = plan_for("copying", data, Copying(), selected(data, None))
    monkeypatch.setattr(driver, "choose", lambda *args: Choice(executor, "a test"))
    return driver.run_plan(plan, None)[0]


def test_input_in_scratch_that_workers_do_not_see_is_sent(in_scratch, monkeypatch):
    told = []
    monkeypatch.setattr(driver, "message", lambda name, text: told.append(text))
    first, second = Farsighted(3), Farsighted(3)
    for executor in (first, second):
        result = compute_on(executor, in_scratch, monkeypatch)
        np.testing.assert_array_equal(read_all(result), in_scratch.data[()])
    assert first.runs == [(False, list(range(8))), (True, list(range(3, 8)))]
    assert second.runs == [(True, list(range(8)))]
    assert sum("is not visible on all nodes" in text for text in told) == 1


def test_input_in_scratch_that_is_gone_is_an_error(in_scratch, monkeypatch):
    executor = Farsighted()
    plan = plan_for("copying", in_scratch, Copying(), selected(in_scratch, None))
    shutil.rmtree(plan.source.location)
    with pytest.raises(PathError, match="does not exist"):
        compute_on(executor, in_scratch, monkeypatch)
    assert len(executor.runs) == 1
