"""However a client closes, the user's process goes on and Ray is gone."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import gc, sys, threading, time
import distributed as dd
import rayspy as spy
from rayspy import cluster
from rayspy.executors import choose
from rayspy_compat import attach

if not choose._entry_points():
    choose._plugins = lambda: [attach.detect]


def by_thread(client):
    thread = threading.Thread(target=client.close)
    thread.start()
    thread.join()


def by_reference(client):
    client.cluster.close()


if __name__ == "__main__":
    spy.config.progress = False
    data = spy.synthdata.white_noise(nTrials=5, nChannels=2, seed=1)
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 40}
    client = dd.Client(dd.LocalCluster(n_workers=1, **options))
    spy.freqanalysis(data)
    assert cluster.ray_is_ours()
    kept = client.cluster
    globals()[sys.argv[1]](client)
    del client
    gc.collect()
    deadline = time.monotonic() + 20
    while cluster.ray_is_connected() and time.monotonic() < deadline:
        sum(range(1000))
        time.sleep(0.01)
    kept.close()
    time.sleep(0.5)
    print("connected" if cluster.ray_is_connected() else "still here", flush=True)
    print(spy.freqanalysis(data, parallel=False).data.shape[0], flush=True)
"""


@pytest.mark.parametrize("way", ["by_thread", "by_reference"])
def test_the_process_goes_on(way, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    environment["RAYSPY_TMPDIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), way],
        env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "still here\n5\n"
