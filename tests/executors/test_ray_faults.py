"""Real plans on real actors while things go wrong."""

import contextlib
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

import rayspy as spy
from rayspy.cluster import describe
from rayspy.errors import MemoryBudgetError
from rayspy.executors.choose import _fitting_actors
from rayspy.executors.driver import run_plan
from rayspy.executors.ray_actors import RayExecutor
from rayspy.frontends.compute import plan_for, selected
from rayspy.planning.memory import Memory
from tests.executors.test_run import Odd, noise


def actors():
    """Processes of this session's actors."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if "ray::_Actor" in command or "_Actor." in command:
                found.append(process)
    return found


def slow_plan(data):
    with spy.config.using(block_bytes=2000):
        return plan_for("odd", data, Odd("slow"), selected(data, None))


@pytest.mark.parametrize("in_memory", [True, False], ids=["result in memory", "result on disk"])
def test_a_killed_actor_does_not_change_a_bit(local_ray, in_memory):
    data = noise(30)
    plan = slow_plan(data)
    killed = []

    def kill():
        time.sleep(1.0)
        victims = actors()
        assert victims
        victims[0].send_signal(signal.SIGKILL)
        killed.append(victims[0].pid)

    spy.freqanalysis(data, parallel=True)
    killer = threading.Thread(target=kill)
    killer.start()
    with spy.config.using(num_cpus=2, inmemory_bytes=2**26 if in_memory else 100):
        source, choice = run_plan(plan, True)
    killer.join()
    assert isinstance(choice.executor, RayExecutor)
    assert killed
    assert not psutil.pid_exists(killed[0]) or psutil.Process(killed[0]).status() == psutil.STATUS_ZOMBIE
    with source.reader() as read:
        got = read(tuple(slice(0, n) for n in source.shape))
    np.testing.assert_array_equal(got, data.data[()])


def test_an_error_in_a_block_arrives_as_it_was(local_ray, scratch):
    data = noise(30)
    with spy.config.using(block_bytes=2000, inmemory_bytes=100):
        plan = plan_for("odd", data, Odd("raises"), selected(data, None))
        with pytest.raises(ZeroDivisionError, match="deliberate") as caught:
            run_plan(plan, True)
    notes = "\n".join(caught.value.__notes__)
    assert "_raises" in notes
    assert "while odd computed block" in notes
    assert not list(scratch.rglob("array-*.wip"))


def test_ctrl_c_leaves_nothing_and_the_pool_usable(local_ray, scratch):
    data = noise(60)
    plan = slow_plan(data)
    timer = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with spy.config.using(inmemory_bytes=100):
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan, True)
    assert time.monotonic() - began < 20
    assert not list(scratch.rglob("*.arrow"))
    small = spy.freqanalysis(data, parallel=True)
    np.testing.assert_array_equal(small.data[()], spy.freqanalysis(data, parallel=False).data[()])


def test_the_choice_says_why(local_ray, caplog):
    with caplog.at_level("DEBUG", logger="rayspy"):
        spy.freqanalysis(noise())
        spy.freqanalysis(noise(), parallel=False)
    assert any("Ray actor" in m and "connected" in m for m in caplog.messages)
    assert any("1 local thread (parallel=False)" in m for m in caplog.messages)


def test_too_much_memory_is_refused_on_a_running_ray(local_ray, scratch):
    with spy.config.using(memory_budget=1000), pytest.raises(MemoryBudgetError, match="memory_budget"):
        spy.freqanalysis(noise())
    info = replace(describe(), started_here=False)
    fits, needed = Memory(1, 1, 10**6, 1), Memory(1, 1, 10**15, 1)
    assert _fitting_actors(fits, info, "f") is None
    with pytest.raises(MemoryBudgetError, match="largest node"):
        _fitting_actors(needed, info, "f")
