"""ACME's calls; SLURM's commands are stood in for by scripts that start the job on this machine."""

import inspect
import os
import signal
import socket
import stat
import sys
from importlib.metadata import entry_points

import psutil
import pytest
from rayspy_compat import setups

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, ParallelError
from tests.compat.conftest import distributed, wait_until

SCRIPTS = {
    "sinfo": 'if [ $# -gt 0 ]; then printf "8GBXS*\\n16GBXL\\nDEV\\n"; fi',
    "scontrol": 'echo "PartitionName=8GBXS DefMemPerCPU=8000 MaxMemPerCPU=9000 State=UP"',
    "sbatch": 'cp "$1" {folder}/job; setsid bash {folder}/job >{folder}/log 2>&1 & echo $! >> {folder}/pids; '
    'echo "Submitted batch job $!"',
    "scancel": 'for job in "$@"; do kill -- -$job 2>/dev/null; done; true',
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in SCRIPTS.items():
        script = folder / name
        script.write_text(f"#!/bin/bash\n{text.format(folder=tmp_path)}\n")
        script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    yield tmp_path
    pids = tmp_path / "pids"
    for pid in pids.read_text().split() if pids.exists() else ():
        if psutil.pid_exists(int(pid)):
            os.killpg(int(pid), signal.SIGKILL)


@pytest.fixture
def no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_parameters_are_those_of_acme():
    names = "partition n_workers mem_per_worker cores_per_worker n_workers_startup timeout interactive"
    names += " interactive_wait start_client job_extra kwargs"
    assert list(inspect.signature(setups.esi_cluster_setup).parameters) == names.split()
    assert inspect.signature(setups.slurm_cluster_setup).parameters["interactive"].default is False


def test_without_slurm_a_local_cluster_is_started_and_it_says_so(no_slurm, caplog, monkeypatch):
    monkeypatch.setattr("rayspy.limits.usable_cpus", lambda: 1)
    client = setups.esi_cluster_setup(partition="16GBXL", n_jobs=10)
    try:
        assert "10 workers were asked for, 1 are started: one per CPU" in caplog.text
        assert isinstance(client, distributed.Client)
        assert "`sinfo` does not answer" in caplog.text
        assert len(client.scheduler_info()["workers"]) == 1
        assert client.submit(sum, [1, 2]).result() == 3
        again = setups.slurm_cluster_setup("8GBXS", n_workers=7)
        assert again is client
        assert setups.local_cluster_setup(start_client=False) is client.cluster
    finally:
        setups.cluster_cleanup(client)
    assert client.status == "closed"
    assert client.cluster.status.name == "closed"


def test_a_dashboard_port_that_is_taken_is_no_warning(no_slurm, monkeypatch):
    with socket.create_server(("", 0)) as taken:
        monkeypatch.setattr(setups, "_DASHBOARD_PORT", taken.getsockname()[1])
        assert setups._dashboard_address() == ":0"
    assert setups._dashboard_address() == f":{setups._DASHBOARD_PORT}"


def test_cleanup_without_a_client_says_so(caplog):
    setups.cluster_cleanup()
    assert "no dangling" in caplog.text
    with pytest.raises(InvalidTypeError, match="client"):
        setups.cluster_cleanup("client")


def test_slurm_jobs_become_workers(slurm):
    interrupt = signal.getsignal(signal.SIGINT)
    client = setups.esi_cluster_setup(
        partition="8GBXS",
        n_jobs=1,
        mem_per_job="1GB",
        timeout=40,
        job_extra=["--comment=x"],
        dashboard_address=None,
    )
    try:
        assert type(client.cluster).__name__ == "SLURMCluster"
        assert signal.getsignal(signal.SIGINT) is interrupt
        assert client.submit(sum, [1, 2]).result(30) == 3
        job = (slurm / "job").read_text()
        assert "#SBATCH -p 8GBXS" in job
        assert "#SBATCH --comment=x" in job
        assert "#SBATCH --mem" not in job
    finally:
        setups.cluster_cleanup(client)
    pids = [int(pid) for pid in (slurm / "pids").read_text().split()]
    wait_until(lambda: not any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids))


def test_workers_that_do_not_come_are_an_error(slurm):
    (slurm / "bin" / "sbatch").write_text("#!/bin/bash\necho Submitted batch job 1\n")
    (slurm / "bin" / "scancel").write_text("#!/bin/bash\n")
    with pytest.raises(ParallelError, match="within 1 s"):
        setups.slurm_cluster_setup("8GBXS", timeout=1)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"partition": "nowhere"}, InvalidValueError, "16GBXL, 8GBXS"),
        ({"n_workers": 0}, InvalidValueError, "n_workers"),
        ({"n_workers": "two"}, InvalidTypeError, "n_workers"),
        ({"mem_per_worker": "much"}, InvalidValueError, "mem_per_worker"),
        ({"mem_per_worker": 8}, InvalidTypeError, "mem_per_worker"),
        ({"job_extra": ["comment"]}, InvalidValueError, "job_extra"),
        ({"job_extra": "--comment"}, InvalidTypeError, "job_extra"),
        ({"n_cores": 0}, InvalidValueError, "n_cores"),
    ],
)
def test_parameters_are_checked_before_anything_starts(slurm, settings, error, match):
    with pytest.raises(error, match=match):
        setups.slurm_cluster_setup(**{"partition": "8GBXS", "invalid_partitions": ["DEV"], **settings})
    assert not (slurm / "job").exists()


def test_memory_is_capped_at_the_partitions_limit(slurm, caplog):
    assert setups._job_memory("8GBXS", "12GB") == "9000MB"
    assert "9000MB are used" in caplog.text
    assert setups._job_memory("8GBXS", "auto") == "9000MB"
    assert setups._job_memory("8GBXS", "2GB") == "2GB"


def test_they_are_found_through_rayspy(monkeypatch):
    if not entry_points(group="rayspy.helpers"):
        pytest.skip("rayspy is not installed")
    for name in setups.__all__:
        assert getattr(spy, name) is getattr(setups, name)
        assert name in dir(spy)
    with pytest.raises(AttributeError, match="no attribute 'nothing_setup'"):
        spy.nothing_setup  # noqa: B018
