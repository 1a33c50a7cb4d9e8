"""The scripts that users have, run as they run them: in a process of their own."""

import os
import re
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed")

FIND = """
from rayspy.executors import choose
from rayspy_compat import attach
if not choose._entry_points():
    choose._plugins = lambda: [attach.detect]
"""
"""What the entry point does where the package is not installed."""

LOCAL = f"""
import socket
from urllib.parse import urlparse
import dask.distributed as dd
import numpy as np
import rayspy as spy
{FIND}

if __name__ == "__main__":
    spy.config.dashboard = True
    cluster = dd.LocalCluster(n_workers=3)
    client = dd.Client(cluster)
    data = spy.synthdata.white_noise(nTrials=500, nChannels=8)
    spec = spy.freqanalysis(data)
    print("first", spec.data.shape)
    again = spy.freqanalysis(data)
    assert (again.data[()] == spec.data[()]).all()
    link = urlparse(client.dashboard_link)
    socket.create_connection((link.hostname, link.port), timeout=10).close()
    assert dd.get_client() is client
    print(len(client.scheduler_info()["workers"]), client.status)
    print(client.submit(sum, [1, 2]).result())
    client.close()
    cluster.close()
    print("done")
"""

CLUSTER = """
import sys, time
import dask.distributed as dd

if __name__ == "__main__":
    cluster = dd.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    client = dd.Client(cluster)
    client.write_scheduler_file(sys.argv[1] + ".part")
    __import__("os").rename(sys.argv[1] + ".part", sys.argv[1])
    sys.stdin.readline()
    client.close()
    cluster.close()
"""

CONNECT = f"""
import sys
import dask.distributed as dd
import rayspy as spy
{FIND}
client = dd.Client(sys.argv[1]) if "://" in sys.argv[1] else dd.Client(scheduler_file=sys.argv[1])
assert client.cluster is None
data = spy.synthdata.white_noise(nTrials=50, nChannels=4, seed=1)
spec = spy.freqanalysis(data)
print((spec.data[()] == spy.freqanalysis(data, parallel=False).data[()]).all(), client.scheduler.address)
"""


def start(folder, name, text, *arguments):
    script = folder / name
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path]), "RAYSPY_TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], env=environment, cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process, timeout=120):
    out, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors
    return out, errors


def test_a_local_cluster(tmp_path):
    out, errors = finish(start(tmp_path, "local.py", LOCAL))
    assert out.split("\n")[:4] == ["first (500, 1, 501, 8)", "3 running", "3", "done"]
    assert "<check_workers_available> INFO: 3/3 workers available" in errors
    assert "..attaching to running Dask client:\n\t<Client: 'tcp://127.0.0.1" in errors
    assert re.search(r"Ray has \d+ CPUs for this client, dashboard: http://127", errors)
    assert errors.count("Ray has") == 1


def test_a_cluster_that_was_set_up_elsewhere(tmp_path):
    file = tmp_path / "scheduler.json"
    cluster = start(tmp_path, "cluster.py", CLUSTER, str(file))
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        out, errors = finish(start(tmp_path, "connect.py", CONNECT, str(file)))
        same, address = out.split()
        assert same == "True", errors
        out, _ = finish(start(tmp_path, "connect.py", CONNECT, address))
        assert out.split() == ["True", address]
    finally:
        finish(cluster)


UNGUARDED = """
import dask.distributed as dd
import syncopy as spy

cluster = dd.LocalCluster(n_workers=1, dashboard_address=":0")
client = dd.Client(cluster)
print("once", __name__, __file__, spy.__name__)


def length(n):
    return len(spy.synthdata.white_noise(nTrials=n, nChannels=1).trials)


print(client.submit(length, 3).result())
cluster.close()
"""


def test_a_script_that_workers_would_run_again(tmp_path):
    script = tmp_path / "manual.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "-m", "rayspy_compat", str(script)], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["once", "__main__", str(script), "syncopy", "3"], done.stderr


AGAIN = """
import multiprocessing
import rayspy as spy
spy.white_noise(nTrials=2)
process = multiprocessing.get_context("spawn").Process(target=print)
process.start()
process.join()
print(process.exitcode)
"""


def test_running_it_again_is_told_in_two_lines(tmp_path):
    out, errors = finish(start(tmp_path, "again.py", AGAIN))
    assert out.split() == ["1"]
    assert len(errors.strip().splitlines()) == 2
    assert "if __name__ ==" in errors
    assert "python -m rayspy_compat again.py" in errors
