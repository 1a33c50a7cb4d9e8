"""What a user sees who has a Dask client running."""

import asyncio
import contextvars
import copy
import signal
import threading
import time
import tomllib
from pathlib import Path

import numpy as np
import psutil
import pytest
from rayspy_compat import attach
from rayspy_compat import client as clients

import rayspy as spy
from rayspy import cluster
from rayspy.planning.memory import Memory
from tests.compat.conftest import children, dask_client, distributed, raylets, wait_until
from tests.executors.test_matrix import make


@pytest.fixture(scope="module")
def data():
    return make(False)


@pytest.fixture(scope="module")
def wanted(data):
    with spy.config.using(block_bytes=12_000):
        return spy.freqanalysis(data, parallel=False).data[()]


def test_the_entry_points_are_declared():
    import rayspy_compat.attach as found

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    points = tomllib.loads(text)["project"]["entry-points"]
    assert points["rayspy.executors"]["distributed"] == "rayspy_compat.attach:detect"
    assert points["rayspy.fallbacks"]["dask"] == "rayspy_compat.attach:take_over"
    assert callable(found.detect)
    assert callable(found.take_over)


def test_log_lines_and_reuse(client, data, wanted, caplog):
    with caplog.at_level("DEBUG", logger="rayspy"):
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
    lines = "\n".join(caplog.messages)
    assert "rayspy <check_workers_available> INFO: 2/2 workers available" in lines
    assert f"..attaching to running Dask client:\n\t{client!r}" in lines
    assert "2 dask-on-ray workers (attached to the running Dask client)" in lines
    assert "dashboard: " in lines
    assert cluster.ray_is_ours()
    assert cluster.describe().cpus == 2
    assert cluster.describe().memory <= 4e9
    before = {process.pid for process in children()}
    small = spy.synthdata.white_noise(nTrials=1, nChannels=1)
    caplog.clear()
    times = []
    for _ in range(7):
        began = time.perf_counter()
        spy.freqanalysis(small)
        times.append(time.perf_counter() - began)
    assert np.median(times) < 0.15  # 0.03 s where nothing else runs
    assert caplog.messages == []
    assert {process.pid for process in children()} >= before


def test_parallel_false_ignores_the_client(client, data, wanted, caplog):
    with caplog.at_level("DEBUG", logger="rayspy"):
        np.testing.assert_array_equal(spy.freqanalysis(data, parallel=False).data[()], wanted)
    assert "Dask" not in caplog.text


def test_users_own_dask_is_left_alone(client, data, wanted):
    import dask
    import dask.array

    config = copy.deepcopy(dask.config.config)
    persist = dask.persist, dask.base.DaskMethodsMixin.persist
    held = client.submit(np.arange, 7)
    array = dask.array.ones((100, 100), chunks=50)
    failures = []

    def keep_computing():
        for _ in range(5):
            if array.sum().compute() != 10_000:
                failures.append("sum")

    thread = threading.Thread(target=keep_computing)
    thread.start()
    with dask.annotate(resources={"GPU": 1}):
        np.testing.assert_array_equal(spy.freqanalysis(data, chan_per_worker=1).data[()], wanted)
    thread.join()
    assert not failures
    assert dask.config.config == config
    assert (dask.persist, dask.base.DaskMethodsMixin.persist) == persist
    assert dask.base.get_scheduler() == client.get
    assert distributed.get_client() is client
    assert client.status == "running"
    assert len(client.scheduler_info()["workers"]) == 2
    np.testing.assert_array_equal(held.result(), np.arange(7))
    persisted = client.persist(array)
    assert persisted.sum().compute() == 10_000


def test_dask_callbacks_of_the_user_do_not_see_the_plan(client, data):
    from dask.callbacks import Callback

    seen = []
    with Callback(start=seen.append):
        spy.freqanalysis(data)
    assert seen == []


def test_an_error_is_what_it_was_with_the_workers_traceback(client):
    from tests.executors.test_run import odd_plan

    plan = odd_plan("raises")
    choice = attach.detect(plan.memory)
    with pytest.raises(ZeroDivisionError, match="deliberate") as caught:
        choice.executor.run(plan, range(plan.n_blocks), lambda receipt: None)
    assert any("Traceback" in note and "odd" in note for note in caught.value.__notes__)
    assert choice.executor.name == "dask-on-ray"


def test_a_block_that_does_not_fit_is_refused(client):
    with pytest.raises(spy.errors.MemoryBudgetError, match="limited to"):
        attach.detect(Memory(1, 1, 3 * 10**9, 1))


def test_memory_decides_how_many_blocks_run(client):
    assert attach.detect(Memory(1, 1, 10**6, 1)).executor.n_workers == 2
    with spy.config.using(memory_budget="1GB"):
        assert attach.detect(Memory(1, 1, 700 * 10**6, 1)).executor.n_workers == 1


def slow_plan(n_trials=40):
    from tests.executors.test_run import Odd, noise, plan_for, selected

    with spy.config.using(block_bytes=2000):
        return plan_for("odd", noise(n_trials), Odd("slow"), selected(noise(n_trials), None))


def test_a_killed_ray_worker_costs_nothing_but_time(client):
    plan = slow_plan(10)
    executor = attach.detect(plan.memory).executor
    seen, killed = [], []

    def collect(receipt):
        seen.append(receipt.block)
        if len(seen) == 3:
            killed.append(receipt.pid)
            psutil.Process(receipt.pid).kill()

    executor.run(plan, range(plan.n_blocks), collect)
    assert sorted(seen) == list(range(plan.n_blocks))
    assert killed


def test_a_killed_dask_worker_does_not_matter(client, data, wanted):
    pid = next(iter(client.run(lambda: __import__("os").getpid()).values()))
    psutil.Process(pid).kill()
    np.testing.assert_array_equal(spy.freqanalysis(data, chan_per_worker=1).data[()], wanted)
    client.wait_for_workers(2, timeout=20)
    np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)


def test_ctrl_c_stops_and_nothing_runs_afterwards(client):
    plan = slow_plan(60)
    executor = attach.detect(plan.memory).executor
    seen = []

    def collect(receipt):
        seen.append(receipt)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        executor.run(plan, range(plan.n_blocks), collect)
    assert time.monotonic() - began < 20
    assert len(seen) == 2


def test_from_another_thread(client, data, wanted):
    results = []
    run = contextvars.copy_context().run  # with the settings of the test
    thread = threading.Thread(target=lambda: results.append(run(lambda: spy.freqanalysis(data).data[()])))
    thread.start()
    thread.join(60)
    np.testing.assert_array_equal(results[0], wanted)


def test_a_call_inside_a_dask_task_stays_there(client):
    def task(k):
        import distributed
        from rayspy_compat.client import running_client

        import rayspy as spy

        distributed.get_client()
        assert running_client() is None
        data = spy.synthdata.white_noise(nTrials=2, nChannels=2, seed=k)
        return spy.freqanalysis(data).data[()].shape

    assert client.submit(task, 1).result(60)[-1] == 2


def test_a_client_made_from_an_address(client, data, wanted):
    with distributed.Client(client.scheduler.address) as other:
        assert other.cluster is None
        assert clients.requested_workers(other) is None
        with other.as_current():
            np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
    wait_until(lambda: not cluster.ray_is_connected())


def test_closing_the_client_ends_ray(data, wanted):
    before = {process.pid for process in children()}
    with dask_client() as other, other.as_current():
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
        assert raylets()
    wait_until(lambda: not cluster.ray_is_connected())
    wait_until(lambda: {process.pid for process in children()} <= before)


def test_closing_the_client_in_mid_run_is_one_clear_error():
    plan = slow_plan(60)
    with dask_client() as other, other.as_current():
        executor = attach.detect(plan.memory).executor
        with pytest.raises(spy.errors.ParallelError, match="client was closed"):
            executor.run(plan, range(plan.n_blocks), lambda receipt: other.close())
    wait_until(lambda: not cluster.ray_is_connected())


def test_waiting_says_so_and_ends_with_an_error(caplog):
    with (
        dask_client(0) as other,
        other.as_current(),
        spy.config.using(worker_timeout=4.5),
        caplog.at_level("INFO", logger="rayspy"),
        pytest.raises(spy.errors.ParallelError, match=r"within 4.5 s on the LocalCluster .*tcp://"),
    ):
        spy.freqanalysis(make(False))
    assert [line for line in caplog.messages if line.startswith("rayspy")] == [
        f"rayspy <check_workers_available> INFO: 0/0 workers available, waiting.. {k}s" for k in (0, 2, 4)
    ]


def test_workers_that_come_while_waiting_are_used():
    with dask_client(0) as other, other.as_current():
        threading.Timer(0.5, other.cluster.scale, [1]).start()
        found = clients.check_workers_available(other)
        assert len(found.workers) == 1
        assert clients.requested_workers(other) == 1


def test_a_finished_cluster_is_no_longer_attached_to(data, wanted, caplog):
    with dask_client(1) as other:
        other.cluster.close()
        with caplog.at_level("DEBUG", logger="rayspy"):
            np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
    assert "no cluster running" in caplog.text


def test_threads_only_client(data, wanted):
    with dask_client(1, processes=False, threads_per_worker=2) as other, other.as_current():
        assert attach.detect(Memory(1, 1, 1, 1)).executor.n_workers == 2
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)


def test_async_client(data, wanted):
    async def main():
        async with (
            distributed.LocalCluster(
                n_workers=1, processes=False, asynchronous=True, dashboard_address=":0", memory_limit="2GB"
            ) as cluster_,
            distributed.Client(cluster_, asynchronous=True),
        ):
            with pytest.raises(spy.errors.ParallelError, match=r"asyncio\.to_thread"):
                spy.freqanalysis(data)
            return await asyncio.to_thread(spy.freqanalysis, data)

    np.testing.assert_array_equal(asyncio.run(main()).data[()], wanted)
    wait_until(lambda: attach._current is None)


def test_the_users_own_ray_is_used_and_kept(data, wanted):
    attach.detach()
    with dask_client(1) as other, other.as_current():
        cluster.start_local_ray(2, dashboard=False)
        np.testing.assert_array_equal(spy.freqanalysis(data).data[()], wanted)
    assert cluster.ray_is_connected()
    cluster.shutdown_local_ray()


def test_a_running_computation_is_a_task_on_the_cluster(client):
    from rayspy_compat.shown import shown_on_dask

    def tasks():
        return [key for key in client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))
                if str(key).startswith("rayspy-freqanalysis")]  # fmt: skip

    with shown_on_dask(client, "freqanalysis"):
        wait_until(tasks)
        assert sum(client.submit(lambda: 1, pure=False).result() for _ in range(4)) == 4  # takes no slot
    wait_until(lambda: not tasks())
    with shown_on_dask(client, "freqanalysis"):
        pass
    assert not tasks()
