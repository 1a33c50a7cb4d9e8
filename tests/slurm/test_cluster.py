"""A standing cluster: ``ray_cluster.sbatch``, Ray jobs, ``spy.connect``, more workers, who is kept out."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from rayspy.launch.connection import connections
from tests.slurm.helpers import BLOCK_BYTES, ROOT, SIZE, read, same_bits, wait_until

SLURM = ROOT / "slurm"
EXAMPLES = ROOT / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def standing(bed, tmp_path_factory):
    """A cluster on two hosts, one CPU each; yields its connection and the environment of its users."""
    folder = tmp_path_factory.mktemp("standing")
    (folder / "env").touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environ |= {
        "RAYSPY_PYTHON": sys.executable,
        "RAYSPY_ENV": str(folder / "env"),
        "RAYSPY_TMPDIR": str(folder / "scratch"),
        "RAYSPY_CLUSTER_DIR": str(folder / "clusters"),
        "RAYSPY_BLOCK_BYTES": BLOCK_BYTES,
    }
    log = folder / "cluster.log"
    job = bed.submit(
        f"--output={log}", "--nodelist=n1,n2", "-N2", "-c1", "--mem=2500M", SLURM / "ray_cluster.sbatch",
        environ=environ,
    )  # fmt: skip
    try:
        wait_until(lambda: "the cluster is up" in read(log), 100, "the cluster", log)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAYSPY_CLUSTER_DIR", environ["RAYSPY_CLUSTER_DIR"])
            (connection,) = connections()
        yield connection, environ
    finally:
        subprocess.run(["scancel", job], check=False)
        bed.wait_job(job)
    bed.clean()
    assert not list((folder / "clusters").iterdir())
    assert connection.job == job


def run(command, environ, folder, timeout=100):
    return subprocess.run(
        [str(word) for word in command],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def test_the_files_are_the_users_alone(standing):
    connection, environ = standing
    folder = Path(environ["RAYSPY_CLUSTER_DIR"])
    for name in (f"{connection.job}.json", f"{connection.job}.token"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert read(connection.token_file) not in read(folder / f"{connection.job}.json")


def test_a_script_as_a_ray_job(standing, tmp_path):
    """Started with the shell script; the plain command of Ray tells about it afterwards."""
    _, environ = standing
    output = tmp_path / "x.spectral"
    done = run(
        [SLURM / "ray_job_submit.sh", EXAMPLES / "spectra.py", *SIZE, "--output", output], environ, tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nodes   2 with 2 CPUs" in done.stdout
    assert "2 Ray actors" in done.stdout
    same_bits(output)
    shell = (
        f'eval "$({sys.executable} -m rayspy connection)" && {sys.executable} -m ray.scripts.scripts job list'
    )
    listed = run(["bash", "-c", shell], environ, tmp_path)
    assert "SUCCEEDED" in listed.stdout + listed.stderr, listed


def test_nobody_gets_in_without_the_token(standing, tmp_path):
    connection, environ = standing
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{connection.dashboard}/api/jobs/", timeout=10)
    assert caught.value.code == 401
    caught.value.close()
    (tmp_path / "wrong").write_text("0" * 64)
    without = {**environ, "HOME": str(tmp_path)}
    wrong = {**without, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "wrong")}
    submit = ["-m", "ray.scripts.scripts", "job", "submit", "--address", connection.dashboard, "--", "true"]
    init = ["-c", f"import ray; ray.init(address={connection.address!r}); print('connected')"]
    with ThreadPoolExecutor() as pool:
        tries = [(submit, without), (init, without), (init, wrong)]
        refused = [pool.submit(run, [sys.executable, *words], known, tmp_path) for words, known in tries]
    for each in refused:
        assert each.result().returncode != 0
        assert "connected" not in each.result().stdout
    assert "authentication" in refused[0].result().stderr


def near_here(address):
    """Processes on this machine, outside the hosts, that belong to a Ray."""
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        try:
            here = Path(f"/proc/{process.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
        except OSError:
            continue
        if here and any(address in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_connect_and_more_workers(standing, bed, tmp_path):
    """A session on the login node; meanwhile a job array brings a third node."""
    connection, environ = standing
    log = tmp_path / "workers.log"
    array = bed.submit(
        f"--output={log}", "--array=3", "--nodelist=n3", "-c1", "--mem=1500M", SLURM / "ray_workers.sbatch",
        "--job", connection.job, environ=environ,
    )  # fmt: skip
    wait_until(lambda: "all 1 nodes have joined" in read(log), 60, "the third node", log)
    output = tmp_path / "x.spectral"
    script = [
        sys.executable,
        EXAMPLES / "spectra_connect.py",
        "--job",
        connection.job,
        *SIZE,
        "--output",
        output,
    ]
    done = run(script, environ, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nodes   3 with 3 CPUs" in done.stdout
    same_bits(output)
    wait_until(lambda: not near_here(connection.address), 10, "the end of the session's node")
    subprocess.run(["scancel", array], check=True)
    wait_until(lambda: not bed.hosts["n3"].litter(), 20, "the end of the third node")


KILLED = """
import rayspy as spy, sys
print(spy.connect().cpus, flush=True)
sys.stdin.read()
"""


def test_a_killed_session_leaves_no_node(standing, tmp_path):
    connection, environ = standing
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    ) as session:
        assert float(session.stdout.readline()) >= 2  # workers of an earlier job may be about to leave
        (node,) = [p for p in near_here(connection.address) if "node" in p.cmdline()]
        tree = [node, *node.children(recursive=True)]
        assert len(tree) > 4
        session.send_signal(signal.SIGKILL)
    assert not psutil.wait_procs(tree, timeout=15)[1]
    assert not near_here(connection.address)
