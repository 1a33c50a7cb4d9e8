"""A job that is killed and comes back goes on where it was; scratch that other hosts cannot see."""

import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.slurm.helpers import ROOT, read, wait_until

SBATCH = ROOT / "slurm" / "rayspy.sbatch"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

N_BLOCKS = 60
SCRIPT = """
    import sys
    sys.path.append({root!r})
    import numpy as np
    import rayspy as spy
    from rayspy.executors.driver import run_plan
    from rayspy.frontends.compute import plan_for, selected
    from rayspy.storage.sources import read_all
    from tests.executors.test_run import noise
    from tests.slurm.tallied import Tallied

    spy.config.resume_after, spy.config.inmemory_bytes = 0.5, 100
    data = noise({n})
    with spy.config.using(block_bytes=6000):
        plan = plan_for("tallied", data, Tallied({tally!r}), selected(data, None))
    assert plan.n_blocks == {n}
    source, _ = run_plan(plan, None)
    np.testing.assert_array_equal(read_all(source), data.data[()])
    print("the same bits", flush=True)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "tally").mkdir()
    path = tmp_path / "long.py"
    text = SCRIPT.format(root=str(ROOT), tally=str(tmp_path / "tally"), n=N_BLOCKS)
    path.write_text(textwrap.dedent(text))
    return path


def computed(folder):
    return [path.name.split("-")[0] for path in Path(folder, "tally").iterdir()]


def test_a_requeued_job_computes_only_what_was_not_finished(slurm, tmp_path, script):
    job = slurm.submit("--output=log", "--nodes=3", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: len(computed(tmp_path)) >= N_BLOCKS // 2, 100, "half of the run")
    subprocess.run(["scontrol", "requeue", job], check=True)
    wait_until(lambda: slurm.state(job)[0] == "PENDING", 30, "requeueing")
    assert slurm.wait_job(job, 100) == ("COMPLETED", "0"), read("log")
    n_done = int(re.search(rf"resuming: (\d+) of {N_BLOCKS} blocks done", read("log"))[1])
    assert n_done >= N_BLOCKS // 2 - 6
    assert len(computed(tmp_path)) <= N_BLOCKS + 6  # two in flight on each of three CPUs
    assert "the same bits" in read("log")
    slurm.clean()
    assert not list((tmp_path / "scratch").rglob("*.arrow"))


def hosts_of(job):
    listed = subprocess.run(
        ["squeue", "-h", "-j", job, "-o", "%N"], capture_output=True, text=True, check=True
    )
    words = ["scontrol", "show", "hostnames", listed.stdout.strip()]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def test_a_job_that_loses_its_first_host_is_run_again(slurm, tmp_path, script):
    """SLURM by itself lets it go on with nothing to run; it notices a lost host after two minutes here."""
    job = slurm.submit("--output=log", "--nodes=2", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: len(computed(tmp_path)) >= N_BLOCKS // 2, 100, "half of the run")
    first = hosts_of(job)[0]
    slurm.hosts[first].kill()
    subprocess.run(["scontrol", "update", f"nodename={first}", "state=down", "reason=lost"], check=True)
    assert slurm.wait_job(job, 150) == ("COMPLETED", "0"), read("log")
    assert "(restart 1)" in read("log")
    assert re.search(rf"resuming: \d+ of {N_BLOCKS} blocks done", read("log"))
    assert len(computed(tmp_path)) <= N_BLOCKS + 4
    assert "the same bits" in read("log")
    slurm.clean()


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_head_that_breaks_down_is_started_again_with_the_script(slurm, tmp_path, script, name):
    job = slurm.submit("--output=log", "--nodes=2", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: len(computed(tmp_path)) >= N_BLOCKS // 2, 100, "half of the run")
    (process,) = [p for p in slurm.hosts[hosts_of(job)[0]].processes() if p.name() == name]
    process.kill()
    assert slurm.wait_job(job, 100) == ("COMPLETED", "0"), read("log")
    assert f"Ray has ended: its {name} was killed or broke down" in read("log")
    assert "start 2 of 3 begins" in read("log")
    assert re.search(rf"resuming: \d+ of {N_BLOCKS} blocks done", read("log"))
    assert len(computed(tmp_path)) <= N_BLOCKS + 4
    assert "the same bits" in read("log")
    slurm.clean()


def test_a_job_killed_outright_and_submitted_again(slurm, tmp_path, script):
    options = ("--nodelist=n1", "--no-requeue", "--cpus-per-task=2", "--mem=2G", SBATCH, script)
    job = slurm.submit("--output=first", *options)
    wait_until(lambda: len(computed(tmp_path)) >= N_BLOCKS // 2, 100, "half of the run")
    subprocess.run(["scancel", "--full", "--signal=KILL", job], check=True)
    slurm.wait_job(job, 60)
    assert "the same bits" not in read("first")
    job = slurm.submit("--output=second", *options)
    assert slurm.wait_job(job, 100) == ("COMPLETED", "0"), read("second")
    assert f"of {N_BLOCKS} blocks done" in read("second")
    assert len(computed(tmp_path)) <= N_BLOCKS + 4
    assert "the same bits" in read("second")
    slurm.clean()


def test_scratch_of_the_first_host_only(slurm, tmp_path, script, monkeypatch):
    monkeypatch.setenv("RAYSPY_TMPDIR", "/dev/shm/scratch")
    job = slurm.submit("--output=log", "--nodes=3", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    assert slurm.wait_job(job, 100) == ("COMPLETED", "0"), read("log")
    assert "the same bits" in read("log")
    assert len(set(computed(tmp_path))) == 3
    assert re.search(r"/dev/shm/scratch.* is not visible on n[123]", read("log"))
    assert re.search(r"the input in the scratch folder /dev/shm/scratch.* is not visible", read("log"))
    slurm.clean()


LOCAL_INPUT = """
    import sys
    sys.path.append({root!r})
    import numpy as np
    import rayspy as spy
    from rayspy.executors.driver import run_plan
    from rayspy.frontends.compute import plan_for, selected
    from tests.slurm.tallied import Tallied

    np.zeros((100 * {n}, 4), "float32").tofile("/dev/shm/lfp.dat")
    raw = spy.raw_binary("/dev/shm/lfp.dat", "float32", 4)
    trl = np.array([[k * 100, k * 100 + 100, 0] for k in range({n})])
    data = spy.AnalogData(raw, samplerate=100.0, trialdefinition=trl)
    with spy.config.using(block_bytes=1600):
        plan = plan_for("tallied", data, Tallied({tally!r}), selected(data, None))
    run_plan(plan, None)
"""


def test_an_input_that_one_host_cannot_see(slurm, tmp_path):
    """Blocks take long enough for the other host to come to its turn."""
    (tmp_path / "tally").mkdir()
    script = tmp_path / "local.py"
    text = LOCAL_INPUT.format(root=str(ROOT), tally=str(tmp_path / "tally"), n=400)
    script.write_text(textwrap.dedent(text))
    options = ("--nodelist=n1,n2", "-N2", "--cpus-per-task=1", "--mem=1800M")
    job = slurm.submit("--output=log", *options, SBATCH, script)
    assert slurm.wait_job(job, 100) == ("FAILED", "1"), read("log")
    assert "/dev/shm/lfp.dat: object does not exist; seen from host n2" in read("log")
    slurm.clean()
