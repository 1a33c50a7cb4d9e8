"""A process that was forked off one with a Ray does not touch it: both would hang."""

import os
import subprocess
import sys


def ran(script: str, log_level: str = "ERROR") -> subprocess.CompletedProcess[str]:
    """Run a script that forks; its children are given a minute by it."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "RAYSPY_LOG_LEVEL": log_level, "RAYSPY_PROGRESS": "0"},
        stdin=subprocess.DEVNULL,
        timeout=240,
        check=False,
    )


COMPUTED = """
data = spy.white_noise(nTrials=2, nSamples=50, seed=1)
wanted = spy.freqanalysis(data, parallel=PARALLEL).data[()]

def child_computes():
    child = os.fork()
    if child == 0:
        assert (spy.freqanalysis(data).data[()] == wanted).all()
        print("computed", flush=END is not sys.exit)
        END(3)
    deadline = time.monotonic() + 60
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    if not ended[0]:
        os.kill(child, 9)
    return os.waitstatus_to_exitcode(ended[1])
"""
"""A child that computes what its parent did, and has a minute for it."""

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
    done = ran(SCRIPT)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    by_parent = "touched"
    assert [line.split(":")[0] for line in lines] == ["refused", "parent", by_parent]
    assert "spawn" in lines[0]


WITH_RAY = f"""
import os, sys, time
import rayspy as spy
from rayspy import cluster
spy.config.dashboard = False
cluster.start_local_ray(num_cpus=1)
import ray
{COMPUTED.replace("PARALLEL", "None").replace("END", "sys.exit")}
kept = ray.put(3)
print(child_computes(), len(ray.nodes()), ray.get(kept), flush=True)
assert (spy.freqanalysis(data).data[()] == wanted).all()
"""


def test_a_forked_process_ends_like_any_other_and_the_parents_ray_goes_on() -> None:
    done = ran(WITH_RAY)
    assert (done.returncode, done.stdout) == (0, "computed\n3 1 3\n"), done.stderr


WITH_DASK = f"""
import os, sys, time
import distributed
import rayspy as spy
from rayspy_compat.client import running_client
{COMPUTED.replace("PARALLEL", "False").replace("END", "os._exit")}
client = distributed.Client(n_workers=1, processes=False, dashboard_address=":0")
assert running_client() is client
print(child_computes(), client.submit(int).result(60), flush=True)
client.close()
"""


def test_a_forked_process_leaves_the_parents_dask_client_alone() -> None:
    done = ran(WITH_DASK, "WARNING")
    assert (done.returncode, done.stdout) == (0, "computed\n3 0\n"), done.stderr
    assert "cannot be used from both" in done.stderr
