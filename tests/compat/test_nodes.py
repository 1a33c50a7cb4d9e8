"""One Ray node inside every Dask worker, tried with workers on this machine."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import psutil
import pytest
from rayspy_compat import attach, nodes

import rayspy as spy
from rayspy import cluster
from tests.compat.conftest import children, command_lines, dask_client, raylets, wait_until
from tests.compat.test_attach import slow_plan
from tests.executors.test_matrix import make


@pytest.fixture(scope="module")
def on_nodes():
    attach.detach()
    attach._force = "nodes"
    yield
    attach._force = ""


@pytest.fixture(scope="module")
def remote(on_nodes):
    with dask_client() as running:
        yield running


def test_same_bits_and_a_node_in_each_worker(remote, caplog):
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    with caplog.at_level("DEBUG", logger="rayspy"):
        np.testing.assert_array_equal(spy.freqanalysis(data, chan_per_worker=3).data[()], wanted)
    assert "Ray nodes inside the workers" in caplog.text
    wait_until(lambda: len(attach._current.nodes.alive()) == 2, 30)
    assert [found["CPU"] for found in attach._current.nodes.alive()] == [1, 1]
    assert all(
        found["memory"] + found["object_store_memory"] <= 2e9 for found in attach._current.nodes.alive()
    )
    workers = set(remote.run(os.getpid).values())
    parents = [{parent.pid for parent in raylet.parents()} for raylet in raylets()]
    assert sum(bool(found & workers) for found in parents) == 2
    np.testing.assert_array_equal(
        spy.freqanalysis(data, keeptrials=False).data[()],
        spy.freqanalysis(data, keeptrials=False, parallel=False).data[()],
    )


def test_the_token_is_on_no_command_line(remote):
    spy.freqanalysis(make(False))
    token = nodes._token()
    lines = command_lines()
    assert any("head.py" in line and "--address" in line for line in lines)
    assert not any(token in line for line in lines)


def test_a_killed_dask_worker_in_mid_run(remote):
    plan = slow_plan(20)
    executor = attach.detect(plan.memory).executor
    seen = []

    def collect(receipt):
        seen.append(receipt.block)
        if len(seen) == 5:
            raylet = psutil.Process(receipt.pid).parent()
            victims = [p for p in raylet.parents() if p.pid in remote.run(os.getpid).values()]
            victims[0].kill()

    executor.run(plan, range(plan.n_blocks), collect)
    assert sorted(seen) == list(range(plan.n_blocks))


def test_workers_that_join_get_a_node_and_those_that_go_lose_it(remote):
    spy.freqanalysis(make(False))
    remote.cluster.scale(3)
    wait_until(lambda: len(attach._current.nodes.alive()) == 3, 60)
    remote.cluster.scale(1)
    wait_until(lambda: len(raylets()) == 2, 60)  # one and the head


def test_nothing_is_left_when_the_client_closes(on_nodes):
    before = {process.pid for process in children()}
    with dask_client(1) as other:
        with other.as_current():
            spy.freqanalysis(make(False))
        address = other.scheduler.address
        assert len({process.pid for process in children()} - before) > 5
        other.close()
        wait_until(lambda: not cluster.ray_is_connected(), 30)
        assert address
    wait_until(lambda: {process.pid for process in children()} <= before)


SCRIPT = """
import os, sys
sys.path[:0] = {path!r}
import rayspy as spy, distributed
from rayspy.executors import choose
from rayspy_compat import attach
attach._force = "nodes"
choose._plugins = lambda: [attach.detect]
client = distributed.Client(sys.argv[1])
spy.freqanalysis(spy.synthdata.white_noise(nTrials=2, nChannels=2))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_driver_leaves_no_node(on_nodes, tmp_path):
    before = {process.pid for process in children()}
    with dask_client(1) as other:
        with_cluster = {process.pid for process in children()}
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(SCRIPT.format(path=sys.path)))
        environment = {**os.environ, "RAYSPY_TMPDIR": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, str(script), other.scheduler.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        ) as process:
            assert process.stdout.readline() == "ready\n"
            assert len({child.pid for child in children()} - with_cluster) > 8
            process.kill()
        wait_until(lambda: {child.pid for child in children()} <= with_cluster, 60)
    assert {child.pid for child in children()} <= before
