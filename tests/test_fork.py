"""A process that was forked off one with a Ray does not touch it: both would hang."""

import os
import subprocess
import sys

SCRIPT = """
import atexit, os, sys, threading, types
import rayspy as spy
from rayspy import cluster
from rayspy.cluster import state
from rayspy.errors import ParallelError

def touched(*args, **kwargs):
    print("touched", flush=True)

stub = types.ModuleType("ray")
stub.is_initialized = lambda: True
stub.shutdown = touched
stub.get_runtime_context = stub.init = stub.nodes = touched
sys.modules["ray"] = stub
atexit.register(stub.shutdown)
held = threading.Event()
release = threading.Event()

def hold():
    with state.guard:
        held.set()
        release.wait()

threading.Thread(target=hold, daemon=True).start()
held.wait()
data = spy.white_noise(nTrials=2, nSamples=50, seed=1)
child = os.fork()
if child == 0:
    state.guard.acquire()
    assert spy.freqanalysis(data).data.shape == (2, 1, 26, 2)
    try:
        cluster.start_local_ray()
    except ParallelError as error:
        print("refused:", error, flush=True)
    sys.exit()
_, status = os.waitpid(child, 0)
release.set()
assert not state.inherited and status == 0, status
print("parent", flush=True)
"""


def test_a_forked_process_leaves_the_parents_ray_alone() -> None:
    """The Ray is a stand-in that tells when it is used; a thread of the parent holds the lock."""
    environment = {**os.environ, "RAYSPY_LOG_LEVEL": "ERROR", "RAYSPY_PROGRESS": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    by_parent = "touched"
    assert [line.split(":")[0] for line in lines] == ["refused", "parent", by_parent]
    assert "spawn" in lines[0]
