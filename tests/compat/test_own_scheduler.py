"""Where Ray cannot run, the client's own scheduler does the same."""

import time

import numpy as np
import psutil
import pytest
from rayspy_compat import attach, on_dask, probe

import rayspy as spy
from rayspy import cluster
from rayspy.errors import ParallelError
from rayspy.planning.memory import Memory
from rayspy.storage.sources import read_all
from tests.compat.conftest import dask_client, distributed, wait_until
from tests.compat.test_attach import slow_plan
from tests.executors.test_matrix import make
from tests.executors.test_packs import SAMPLES, files_in, many_blocks


def refuse(*args, **kwargs):
    raise ParallelError("Ray cannot be started: deliberately")


def test_one_warning_then_the_same_bits(client, monkeypatch, caplog):
    attach.detach()
    monkeypatch.setattr(cluster, "start_local_ray", refuse)
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    for _ in range(2):
        np.testing.assert_array_equal(spy.freqanalysis(data, chan_per_worker=3).data[()], wanted)
    warnings = [
        record for record in caplog.records if record.levelname == "WARNING" and record.name == "rayspy"
    ]
    assert len(warnings) == 1
    assert "deliberately" in warnings[0].getMessage()
    spy.retry_ray()
    spy.freqanalysis(data)
    assert caplog.text.count("deliberately") == 2
    attach.detach()


def test_an_error_is_what_it_was(client, own_scheduler):
    from tests.executors.test_run import odd_plan

    plan = odd_plan("raises")
    choice = attach.detect(plan.memory)
    assert choice.executor.name == "dask"
    with pytest.raises(ZeroDivisionError, match="deliberate") as caught:
        choice.executor.run(plan, range(plan.n_blocks), lambda receipt: None)
    assert any("Traceback" in note and "odd" in note for note in caught.value.__notes__)


def test_short_blocks_go_several_at_a_time_into_packs(client, own_scheduler, monkeypatch, tmp_path):
    tasks, submit = [], on_dask._OnDask.submit
    monkeypatch.setattr(
        on_dask._OnDask, "submit", lambda self, found: tasks.extend(found) or submit(self, found)
    )
    with client.as_current():
        x, source = many_blocks(None, tmp_path)
    assert sorted(block for blocks in tasks for block in blocks) == list(range(len(x) // SAMPLES))
    assert len(tasks) < len(x) // SAMPLES // 3
    assert len(files_in(source.folder)) <= 2 + 2
    np.testing.assert_array_equal(read_all(source), x)


def test_a_killed_worker_costs_nothing_but_time(client, own_scheduler):
    plan = slow_plan(10)
    executor = attach.detect(plan.memory).executor
    seen = []

    def collect(receipt):
        seen.append(receipt.block)
        if len(seen) == 3:
            psutil.Process(receipt.pid).kill()

    executor.run(plan, range(plan.n_blocks), collect)
    assert sorted(seen) == list(range(plan.n_blocks))
    client.wait_for_workers(2, timeout=20)


def test_a_worker_that_joins_is_used(own_scheduler):
    plan = slow_plan(24)
    with dask_client(1) as other, other.as_current():
        executor = attach.detect(plan.memory).executor
        pids = []

        def collect(receipt):
            pids.append(receipt.pid)
            if len(pids) == 2:
                other.cluster.scale(2)

        executor.run(plan, range(plan.n_blocks), collect)
    assert len(set(pids)) == 2
    assert len(pids) == plan.n_blocks


def test_without_any_worker_left_it_ends_with_an_error(own_scheduler):
    plan = slow_plan(40)
    with dask_client(1) as other, other.as_current(), spy.config.using(worker_timeout=3):
        executor = attach.detect(plan.memory).executor
        with pytest.raises(ParallelError, match="lost all workers of the LocalCluster"):
            executor.run(plan, range(plan.n_blocks), lambda receipt: other.cluster.scale(0))


def test_closing_the_client_in_mid_run_is_one_clear_error(own_scheduler):
    plan = slow_plan(40)
    with dask_client(1) as other, other.as_current():
        executor = attach.detect(plan.memory).executor
        with pytest.raises(ParallelError, match="client was closed"):
            executor.run(plan, range(plan.n_blocks), lambda receipt: other.close())


def test_nothing_runs_after_an_error(client, own_scheduler):
    """Nor is a result kept by the error, which somebody may look at for long."""
    plan = slow_plan(40)
    executor = attach.detect(plan.memory).executor

    def collect(receipt):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full") as error:
        executor.run(plan, range(plan.n_blocks), collect)

    def blocks():
        everywhere = (*client.processing().values(), *client.has_what().values())
        return [key for keys in everywhere for key in keys if f"rayspy-block-{plan.id}" in str(key)]

    deadline = time.monotonic() + 10
    while blocks() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not blocks()
    assert error.traceback


def test_adaptive_cluster():
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    with dask_client(0) as other, other.as_current():
        other.cluster.adapt(minimum=0, maximum=1, interval="100ms")
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
        assert not cluster.ray_is_connected()


def test_async_client_from_a_thread(own_scheduler):
    import asyncio

    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]

    async def main():
        async with (
            distributed.LocalCluster(
                n_workers=1, processes=False, asynchronous=True, dashboard_address=":0", memory_limit="2GB"
            ) as cluster_,
            distributed.Client(cluster_, asynchronous=True),
        ):
            return await asyncio.to_thread(spy.freqanalysis, data)

    np.testing.assert_array_equal(asyncio.run(main()).data[()], wanted)
    wait_until(lambda: attach._current is None)


def test_workers_without_rayspy_are_named(client, monkeypatch):
    def versions():
        return {
            "host": "node7",
            "python": "3.11",
            "no rayspy": "ModuleNotFoundError: no",
            "rayspy_compat": "",
        }

    own = probe._versions_function()
    answers = iter([own, versions])
    monkeypatch.setattr(probe, "_versions_function", lambda: next(answers))
    with pytest.raises(ParallelError, match=r"node7 lacks rayspy \(ModuleNotFoundError"):
        probe.check_environments(client, with_ray=False)


def test_workers_with_another_version_are_named(client, monkeypatch):
    monkeypatch.setattr("rayspy.__version__", "9.9")
    with pytest.raises(ParallelError, match=r"has rayspy 0\..*, here is 9.9"):
        probe.check_environments(client, with_ray=False)


def test_one_worker_of_several_threads(own_scheduler):
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    with dask_client(1, threads_per_worker=3) as other, other.as_current():
        assert attach.detect(Memory(1, 1, 1, 1)).executor.n_workers == 3
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
