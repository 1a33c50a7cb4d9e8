"""``sbatch slurm/rayspy.sbatch analysis.py``: same bits, exit status, failures, nothing left."""

import time

import pytest

from tests.slurm.helpers import BLOCK_BYTES, ROOT, SIZE, blocks_done, read, same_bits, slow_script, wait_until
from tests.slurm.hosts import run

SBATCH = ROOT / "slurm" / "rayspy.sbatch"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setenv("RAYSPY_BLOCK_BYTES", BLOCK_BYTES)


def command_lines(slurm):
    return [line for host in slurm.hosts.values() for line in host.litter()]


def test_two_jobs_at_once_on_the_same_hosts(slurm, tmp_path):
    """On three and on two hosts; neither sees the other."""
    jobs = {}
    for n in (3, 2):
        script = (ROOT / "examples" / "spectra.py", *SIZE, "--output", tmp_path / f"{n}.spectral")
        options = (f"--nodes={n}", "--cpus-per-task=1", "--mem=1800M", f"--output={tmp_path}/{n}.log")
        jobs[n] = slurm.submit(*options, SBATCH, *script)
    tokens = [tmp_path / "clusters" / f"{job}.token" for job in jobs.values()]
    wait_until(lambda: all("the head of Ray is up" in read(tmp_path / f"{n}.log") for n in jobs), 100)
    assert {slurm.state(job)[0] for job in jobs.values()} == {"RUNNING"}
    secrets = [token.read_text() for token in tokens]
    assert [token.stat().st_mode & 0o777 for token in tokens] == [0o600, 0o600]
    assert not [line for line in command_lines(slurm) for secret in secrets if secret in line]
    for n, job in jobs.items():
        log = tmp_path / f"{n}.log"
        assert slurm.wait_job(job) == ("COMPLETED", "0"), read(log)
        same_bits(tmp_path / f"{n}.spectral")
        assert f"{n} nodes, {n} CPUs" in read(log)
        assert f"all {n - 1} nodes have joined" in read(log)
        assert "spectra.py ended with status 0" in read(log)
        assert not [secret for secret in secrets if secret in read(log)]
    slurm.clean()
    assert not list((tmp_path / "clusters").iterdir())


def test_exit_status_and_traceback_on_one_node(slurm, tmp_path):
    (tmp_path / "env").write_text("export GREETING='from the file'\n")
    script = tmp_path / "fails.py"
    script.write_text(
        "import os, sys, rayspy as spy\n"
        "print(os.environ['GREETING'])\n"
        "spec = spy.freqanalysis(spy.white_noise(nTrials=4, nChannels=2))\n"
        "print(sys.argv[1:], spec.data.shape)\n"
        "try:\n    1 / 0\nfinally:\n    sys.exit(7)\n"
    )
    job = slurm.submit("--output=log", "--cpus-per-task=2", "--mem=2G", SBATCH, script, "a b", "--trials")
    assert slurm.wait_job(job) == ("FAILED", "7"), read("log")
    assert "['a b', '--trials'] (4, 1, 501, 2)" in read("log")
    assert "1 node, 2 CPUs" in read("log")
    assert "from the file" in read("log")
    slurm.clean()


def test_a_host_is_lost_in_mid_run(slurm, tmp_path, monkeypatch):
    """Its slurmd, its steps and its network are gone at once; Ray is told to notice 13 s earlier."""
    monkeypatch.setenv("RAY_health_check_failure_threshold", "2")
    script = slow_script(tmp_path, 24)
    job = slurm.submit("--output=log", "--nodes=3", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: blocks_done("log") >= 30, 100, "a third of the run", "log")
    slurm.hosts["n3"].kill()
    wait_until(lambda: "ended with status" in read("log"), 100, "the end", "log")
    assert "the same bits" in read("log"), read("log")
    assert "its blocks run again" in read("log")
    slurm.clean()
    slurm.start_host("n3")
    assert slurm.wait_job(job) == ("COMPLETED", "0")


def test_the_network_of_a_host_is_cut_in_mid_run(slurm, tmp_path):
    """Its processes live on, and end by themselves; Ray's own patience would be more than a minute."""
    script = slow_script(tmp_path, 24)
    job = slurm.submit("--output=log", "--nodes=3", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: blocks_done("log") >= 30, 100, "a third of the run", "log")
    with slurm.unplugged("n3"):
        cut = time.monotonic()
        wait_until(lambda: "ended with status" in read("log"), 60, "the end", "log")
        took = time.monotonic() - cut
        wait_until(lambda: not slurm.hosts["n3"].litter(), 30, "the end of the lost host's node")
    assert "the same bits" in read("log"), read("log")
    assert "its blocks run again" in read("log")
    assert "the Ray node on n3 is gone" in read("log")
    assert took > 25, "a busy node may need half a minute to answer"
    slurm.clean()
    slurm.hosts["n3"].kill()
    run("scontrol", "update", "nodename=n3", "state=down", "reason=lost")  # it would wait for another minute
    slurm.start_host("n3")
    assert slurm.wait_job(job) == ("COMPLETED", "0")


def test_a_network_that_comes_back_is_forgiven(slurm, tmp_path):
    script = slow_script(tmp_path, 24)
    job = slurm.submit("--output=log", "--nodes=2", "--cpus-per-task=1", "--mem=1800M", SBATCH, script)
    wait_until(lambda: blocks_done("log") >= 30, 100, "a third of the run", "log")
    with slurm.unplugged("n2"):
        time.sleep(12)
        assert "ended with status" not in read("log")
    assert slurm.wait_job(job) == ("COMPLETED", "0"), read("log")
    assert "the same bits" in read("log")
    assert "gone" not in read("log")
    assert "run again" not in read("log")
    slurm.clean()


def test_a_host_that_never_comes(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("RAYSPY_NODE_TIMEOUT", "3")
    with slurm.unplugged("n2"):
        script = (ROOT / "examples" / "spectra.py", *SIZE, "--output", tmp_path / "x.spectral")
        job = slurm.submit("--output=log", "--nodelist=n1,n2", "-N2", "--mem=2G", SBATCH, *script)
        wait_until(lambda: "ended with status" in read("log"), 60, "the end", "log")
    assert slurm.wait_job(job) == ("COMPLETED", "0"), read("log")
    assert "the Ray node on n2 is not up after 3 s" in read("log")
    assert "1 of 1 nodes beside the head are missing; going on without" in read("log")
    same_bits(tmp_path / "x.spectral")
    slurm.clean()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("RAYSPY_HEAD_TIMEOUT", "0.5", "the head of Ray on n1 did not come up within 0.5 s"),
        ("RAYSPY_INTERFACE", "ib7", "no network interface 'ib7' with an IPv4 address; it has"),
        ("RAYSPY_HEAD_TIMEOUT", "soon", "RAYSPY_HEAD_TIMEOUT"),
    ],
)
def test_a_head_that_cannot_start(slurm, tmp_path, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    script = slow_script(tmp_path, 3)
    job = slurm.submit("--output=log", "--nodelist=n1,n2", "-N2", "--mem=2G", SBATCH, script)
    assert slurm.wait_job(job, 40) == ("FAILED", "1"), read("log")
    assert words in read("log")
    assert "Traceback" not in read("log")
    slurm.clean()
    assert not list((tmp_path / "clusters").iterdir())
