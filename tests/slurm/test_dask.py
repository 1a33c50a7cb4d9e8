"""Scripts with a ``SLURMCluster``: Ray inside its workers, which are jobs, several on one host."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

import rayspy as spy
from rayspy import cluster as ray_cluster
from tests.executors.test_run import Odd, noise
from tests.slurm.helpers import BLOCK_BYTES, ROOT, SIZE, expected, same_bits, wait_until

attach = pytest.importorskip("rayspy_compat.attach")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    """Found through the entry point where the package is installed, else put in place here."""
    from rayspy.executors import choose

    if not choose._entry_points():
        monkeypatch.setattr(choose, "_plugins", lambda: [attach.detect])


@pytest.fixture(scope="module")
def cluster(bed):
    """The cluster of the issue's script; nothing is requested yet."""
    from rayspy_compat.setups import _interrupts_kept

    with _interrupts_kept():
        from dask_jobqueue import SLURMCluster
    ray_cluster.shutdown_local_ray()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}:{ROOT}/compat")
        patch.setenv("RAYSPY_TMPDIR", f"{folder}/scratch")
        running = SLURMCluster(
            cores=1,
            memory="1200 MB",
            processes=1,
            local_directory=folder,
            log_directory=folder,
            queue="debug",
            job_extra_directives=["--exclude=n3"],
            scheduler_options={"dashboard_address": ":0"},
        )
        with running:
            yield running
        wait_until(lambda: not jobs(), 20, "the end of the jobs")
        bed.clean()


@pytest.fixture(scope="module")
def client(cluster):
    import dask.distributed as dd

    before = set(psutil.Process().children(recursive=True))
    running = dd.Client(cluster)
    yield running
    running.close()
    assert not ray_cluster.ray_is_connected()
    wait_until(lambda: not strangers(before), 10, "the end of Ray's head")


def strangers(before):
    """Processes of Ray that this one started since then."""
    return [
        p for p in set(psutil.Process().children(recursive=True)) - before if "ray" in " ".join(p.cmdline())
    ]


def jobs():
    done = subprocess.run(["squeue", "-h", "-o", "%A %N"], capture_output=True, text=True, check=True)
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())


def nodes():
    return attach._current.nodes.alive()


def slow_plan(n_trials):
    from rayspy.frontends.compute import plan_for, selected

    with spy.config.using(block_bytes=2000):
        return plan_for("odd", noise(n_trials), Odd("slow"), selected(noise(n_trials), None))


def run_slowly(n_trials, after_block):
    """Run a plan of 5 blocks of 0.2 s per trial, which has to give its input back, block by block."""
    plan = slow_plan(n_trials)
    values, seen = np.empty(plan.result_shape, plan.output.dtype), []

    def collect(receipt):
        block = plan.blocks[receipt.block]
        corner = zip(plan.block_start(block), plan.block_shape(block), strict=True)
        values[tuple(slice(a, a + n) for a, n in corner)] = receipt.value
        seen.append(receipt.block)
        after_block(len(seen))

    attach.detect(plan.memory).executor.run(plan, range(plan.n_blocks), collect)
    assert sorted(seen) == list(range(plan.n_blocks))
    values = values.transpose(plan.output.stored)
    np.testing.assert_array_equal(values, noise(n_trials).data[()])


def test_it_waits_starts_with_what_is_there_and_uses_what_comes(slurm, cluster, client, caplog):
    """No job can start for the first five seconds."""
    subprocess.run(["scontrol", "update", "partition=debug", "state=down"], check=True)
    cluster.scale(3)
    opening = ["scontrol", "update", "partition=debug", "state=up"]
    timer = threading.Timer(5, subprocess.run, (opening,))
    timer.start()
    data = spy.synthdata.white_noise(nTrials=24, nChannels=6, seed=1)
    with spy.config.using(block_bytes=int(BLOCK_BYTES)), caplog.at_level("DEBUG", logger="rayspy"):
        spec = spy.freqanalysis(
            data, method="mtmfft", foilim=[1, 150], tapsmofrq=10, parallel=True, chan_per_worker=4
        )
    timer.join()
    np.testing.assert_array_equal(spec.data[()], expected())
    lines = [line for line in caplog.messages if "check_workers_available" in line]
    assert lines[:2] == [
        f"rayspy <check_workers_available> INFO: 0/3 workers available, waiting.. {k}s" for k in (0, 2)
    ]
    assert "Ray nodes inside the workers" in caplog.text
    wait_until(lambda: len(nodes()) == 3, 60, "the third node")
    raylets = {
        name: len([p for p in host.processes() if p.name() == "raylet"]) for name, host in slurm.hosts.items()
    }
    assert sorted(raylets.values()) == [0, 1, 2]
    assert all(found["memory"] + found["object_store_memory"] <= 1.2e9 for found in nodes())
    secret = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
    for host in slurm.hosts.values():
        assert not [line for line in host.litter() if secret in line]


def test_a_cancelled_job_in_mid_run(bed, client):
    """Its worker and the node inside are gone; the rest does the work."""

    def cancel_one(n_done):
        if n_done == 10:
            subprocess.run(["scancel", sorted(jobs())[0]], check=True)

    run_slowly(16, cancel_one)
    wait_until(lambda: len(nodes()) <= 2, 40, "the end of a node")


def test_all_jobs_gone_is_an_error_after_a_while(bed, cluster, client):
    with spy.config.using(worker_timeout=4), pytest.raises(spy.errors.ParallelError, match="within 4 s"):
        run_slowly(40, lambda n_done: cluster.workers and cluster.scale(0))
    with spy.config.using(worker_timeout=2.5), pytest.raises(spy.errors.ParallelError, match="SLURMCluster"):
        spy.freqanalysis(spy.white_noise(nTrials=1, nChannels=1))


def test_nothing_is_left_when_the_workers_are_gone(bed, client):
    wait_until(lambda: not jobs(), 30, "the end of the jobs")
    bed.clean()


def test_the_example(slurm, tmp_path, monkeypatch):
    """As a user starts it; ends by itself and leaves nothing."""
    monkeypatch.setenv("RAYSPY_BLOCK_BYTES", BLOCK_BYTES)
    output = tmp_path / "x.spectral"
    command = [sys.executable, ROOT / "examples" / "spectra_dask_slurm.py", "--queue", "debug", "--jobs", "1"]
    command += ["--memory", "1200 MB", *SIZE, "--output", output]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Ray nodes inside the workers" in done.stderr
    same_bits(output)
    wait_until(lambda: not jobs(), 20, "the end of the jobs")
    slurm.clean()


KILLED = """
import sys
import dask.distributed as dd
from dask_jobqueue import SLURMCluster
import rayspy as spy

cluster = SLURMCluster(cores=1, memory="1200 MB", processes=1, local_directory=sys.argv[1], queue="debug")
cluster.scale(1)
client = dd.Client(cluster)
spy.freqanalysis(spy.white_noise(nTrials=2, nChannels=2))
print("ready", flush=True)
sys.stdin.read()
"""


def rays(host):
    """What is left of Ray on a host: the Dask worker itself ends after a minute without its scheduler."""
    return [line for line in host.litter() if "rayspy" in line or "/ray/" in line or "ray::" in line]


def test_a_killed_driver_leaves_nothing(slurm, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(driver.kill)
        assert driver.stdout.readline() == "ready\n"
        tree = psutil.Process(driver.pid).children(recursive=True)
        assert len(tree) > 4
        assert len([line for host in slurm.hosts.values() for line in rays(host)]) > 4
        driver.kill()
    assert not psutil.wait_procs(tree, timeout=30)[1]
    wait_until(lambda: not any(rays(host) for host in slurm.hosts.values()), 20, "the end of the node")
    subprocess.run(["scancel", "--quiet", "--me"], check=False)  # the worker may have left by itself
    wait_until(lambda: not jobs(), 30, "the end of the job")
    slurm.clean()
