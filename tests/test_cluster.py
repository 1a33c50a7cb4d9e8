import contextlib
import http.client
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from rayspy import cluster
from rayspy.cluster import connect, head
from rayspy.errors import ParallelError

ray = pytest.importorskip("ray")


def in_python(code, **environ):
    """Run code in a fresh interpreter without any Ray token."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=270,
    )


def runs(process):
    """Whether a process has not ended; init may take a while to forget one that has."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def local_ray():
    cluster.shutdown_local_ray()
    default = Path.home() / ".ray" / "auth_token"
    before = default.exists()
    info = cluster.start_local_ray(2, dashboard=True)
    assert default.exists() == before
    yield info
    cluster.shutdown_local_ray()


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setattr(cluster.find, "ray_is_connected", lambda: False)
    monkeypatch.setattr(cluster.state, "local", None)
    for name in ("RAY_ADDRESS", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        monkeypatch.delenv(name, raising=False)


def test_import_is_free():
    done = in_python(
        """
        import sys
        from rayspy import cluster
        import rayspy.executors.ray_actors
        assert cluster.running_in_ray() is None and not cluster.ray_is_ours()
        cluster.shutdown_local_ray()
        assert not {"ray", "psutil", "dask"} & set(sys.modules)
        """
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("RAY_ADDRESS", "10.0.0.1:6379", "RAY_ADDRESS is set"),
        ("RAY_ADDRESS", "local", None),
        ("RAY_ADDRESS", "", None),
        ("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}", "this is a Ray job"),
    ],
)
def test_reason_to_use_ray(no_ray, monkeypatch, name, value, reason):
    monkeypatch.setenv(name, value)
    assert cluster.running_in_ray() == reason


def test_description(local_ray):
    assert cluster.running_in_ray() == "Ray is connected already"
    assert local_ray.started_here
    assert local_ray.cpus == 2
    assert local_ray.memory > 0
    assert local_ray.dashboard.startswith("http://127.0.0.1:")
    assert pickle.loads(pickle.dumps(local_ray)) == local_ray
    assert cluster.start_local_ray() == cluster.connect_existing() == cluster.describe()


def test_nothing_is_waited_for_that_is_not_needed(local_ray):
    (node,) = ray.nodes()
    assert node["MetricsAgentPort"] == node["MetricsExportPort"] == -1
    assert {node["RuntimeEnvAgentPort"], node["DashboardAgentListenPort"]} <= set(head._PORTS)
    running = " ".join(word for process in cluster.ray_processes() for word in process.cmdline())
    assert "/monitor.py" in running
    assert "/log_monitor.py" not in running


def test_workers_are_no_nicer_than_this_process(local_ray):
    assert ray.get(ray.remote(lambda: os.nice(0)).remote()) == os.nice(0)


def test_token_is_private(local_ray):
    folder = cluster.state.local.folder
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert token.parent == folder
    assert token.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    secret = token.read_bytes()
    for process in cluster.ray_processes():
        assert secret.decode() not in " ".join(process.cmdline())
    logs = [path for path in folder.rglob("*") if path.is_file() and path != token]
    assert len(logs) > 5
    assert not [path for path in logs if secret in path.read_bytes()]


def test_only_this_machine_can_reach_it(local_ray):
    """Neither its processes nor the driver's own listen elsewhere; ``/metrics`` is not there at all."""
    ours = [*cluster.ray_processes(), psutil.Process()]
    listening = [
        (process.name(), connection.laddr)
        for process in ours
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 5
    assert not [
        found for found in listening if found[1].ip.removeprefix("::ffff:") not in ("127.0.0.1", "::1")
    ]
    for _, address in listening:
        with contextlib.suppress(OSError, http.client.HTTPException):
            url = f"http://127.0.0.1:{address.port}/metrics"
            with urllib.request.urlopen(url, timeout=2) as answer:
                assert b"# HELP" not in answer.read()


CONNECT = """
    import ray
    ray.init(address={address!r}, logging_level="ERROR")
    print("connected", ray.cluster_resources()["CPU"])
"""


@pytest.mark.slow
def test_a_client_needs_the_token(local_ray):
    code = CONNECT.format(address=local_ray.address)
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # Ray takes another address instead
    wrong = Path(cluster.state.local.folder) / "wrong"
    wrong.write_text("0" * 64)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": os.environ["RAY_AUTH_TOKEN_PATH"]}
    with_token = in_python(code, **token, **loopback)
    assert "connected 2.0" in with_token.stdout, with_token.stderr
    for environ in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)}):
        refused = in_python(code, **environ, **loopback)
        assert refused.returncode != 0
        assert "connected" not in refused.stdout


def test_job_api_needs_the_token(local_ray):
    url = f"{local_ray.dashboard}/api/jobs/"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=10)
    assert caught.value.code == 401
    caught.value.close()
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.slow
def test_folder_environment_and_processes_are_gone_after_shutdown_and_exit():
    done = in_python(
        """
        import os, signal, threading
        import psutil
        before = dict(os.environ)
        handler = lambda *_: None
        signal.signal(signal.SIGTERM, handler)
        import ray
        from rayspy import cluster

        def start(**options):
            cluster.start_local_ray(1, dashboard=False, **options)
            return cluster.state.local.folder, cluster.ray_processes()

        # a thread that ends must not take Ray with it
        thread = threading.Thread(target=start)
        thread.start(); thread.join()
        assert ray.get(ray.remote(lambda: 7).remote()) == 7
        folder, processes = start()
        assert len(processes) > 4
        cluster.shutdown_local_ray()
        ended = lambda process: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        assert not folder.exists() and all(map(ended, processes))
        changed = {k: v for k, v in os.environ.items() if before.get(k) != v}
        assert not {k for k in changed if "AUTH" in k or "THREADS" in k or "PYTHONPATH" in k}, changed
        assert signal.getsignal(signal.SIGTERM) is handler

        # the user's own shutdown, then another start
        folder, _ = start()
        ray.shutdown()
        assert not cluster.ray_is_ours()
        again, processes = start(memory=2**30)
        assert cluster.describe().memory == 2**30
        assert again != folder and not folder.exists()
        print(again, *[process.pid for process in processes])
        """
    )
    assert done.returncode == 0, done.stderr
    folder, *pids = done.stdout.split()
    assert not Path(folder).exists()
    assert not [process for process in psutil.process_iter() if str(process.pid) in pids and runs(process)]


@pytest.mark.slow
def test_the_users_token_is_used(tmp_path):
    token = tmp_path / "token"
    token.write_text("1" * 64)
    done = in_python(
        """
        import os
        from rayspy import cluster
        cluster.start_local_ray(1, dashboard=False)
        from ray._raylet import AuthenticationTokenLoader
        print(AuthenticationTokenLoader.instance().get_token_for_http_header())
        assert not (cluster.state.local.folder / "token").exists()
        """,
        RAY_AUTH_TOKEN_PATH=str(token),
    )
    assert done.returncode == 0, done.stderr
    assert "1" * 64 in done.stdout


def test_abandoned_folders_are_removed_and_live_ones_kept(monkeypatch, tmp_path):
    short = Path("/tmp") / f"rt{os.getpid()}"
    short.mkdir(mode=0o700)
    monkeypatch.setattr(cluster.folders.tempfile, "gettempdir", lambda: str(short))
    try:
        live, live_lock = cluster.folders.claim_folder()
        dead, dead_lock = cluster.folders.claim_folder()
        dead_lock.close()  # what the kernel does when a process is killed
        (dead / "session").mkdir()
        half = dead.with_name("rhalf")
        half.mkdir()
        new, new_lock = cluster.folders.claim_folder()
        assert live.exists()
        assert new.exists()
        assert not dead.exists()
        assert not half.exists()
        live_lock.close()
        new_lock.close()
    finally:
        shutil.rmtree(short)


def test_folder_of_somebody_else_is_refused(monkeypatch):
    short = Path("/tmp") / f"ru{os.getpid()}"
    root = short / f"rayspy-{os.getuid()}"
    root.mkdir(parents=True)
    root.chmod(0o777)
    monkeypatch.setattr(cluster.folders.tempfile, "gettempdir", lambda: str(short))
    try:
        with pytest.raises(ParallelError, match="not a private folder"):
            cluster.folders.claim_folder()
    finally:
        shutil.rmtree(short)


def test_long_temporary_folder_is_avoided(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster.folders.tempfile, "gettempdir", lambda: str(tmp_path / ("x" * 60)))
    assert len(str(cluster.folders.ray_root())) < 31


@pytest.mark.parametrize(
    ("available", "free", "size"),
    [(64 * 10**9, 64 * 10**9, 2 * 10**9), (8 * 10**9, 10**9, 5 * 10**8), (10**8, 10**9, 80 * 2**20)],
)
def test_object_store_is_bounded(monkeypatch, available, free, size):
    monkeypatch.setattr(cluster.start.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert cluster.store_size(available) == size


def test_small_shared_memory_is_named(no_ray, monkeypatch):
    monkeypatch.setattr(cluster.start.shutil, "disk_usage", lambda path: SimpleNamespace(free=64 * 2**20))
    with pytest.raises(ParallelError, match="/dev/shm has 64 MB free, 80 MB"):
        cluster.start_local_ray(1)


def test_missing_ray_is_named(no_ray, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParallelError, match="pip install"):
        cluster.start_local_ray(1)


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "http://10.0.0.1:8265"])
def test_only_direct_addresses(no_ray, address):
    with pytest.raises(ParallelError, match="direct address"):
        cluster.connect_existing(address)


def test_a_ray_that_has_ended_is_not_waited_for(no_ray, monkeypatch):
    monkeypatch.setattr(connect, "_ANSWER_SECONDS", 0.1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ParallelError, match=r"nothing answers there .*refused"):
            cluster.connect_existing(address)


def test_no_cluster_is_joined_without_being_asked(no_ray):
    with pytest.raises(ParallelError, match="RAY_ADDRESS"):
        cluster.connect_existing()


def test_ray_client_is_refused(local_ray, monkeypatch):
    client = SimpleNamespace(ray=SimpleNamespace(is_connected=lambda: True))
    monkeypatch.setitem(sys.modules, "ray.util.client", client)
    with pytest.raises(ParallelError, match="Ray Client"):
        cluster.require_ray()


# -- starts that fail, with a stand-in for Ray's head


@pytest.fixture
def failing(no_ray, monkeypatch):
    """Make the head a script; returns a function that starts Ray and tells what was tried."""
    monkeypatch.setattr(cluster.state, "failure", "")
    monkeypatch.setattr(cluster.start, "_PAUSES", (0.0, 0.0))
    claimed, claim = [], cluster.folders.claim_folder
    monkeypatch.setattr(cluster.folders, "claim_folder", lambda: claimed.append(claim()) or claimed[-1])

    def attempt(code, seconds=20.0, dashboard=False):
        head = "import json, os, subprocess, sys, time\noptions = json.loads(sys.argv[1])\n" + code
        monkeypatch.setattr(cluster.start, "NODE", (sys.executable, "-S", "-c", head))
        monkeypatch.setattr(cluster.start, "_ATTEMPT_SECONDS", seconds)
        environ = dict(os.environ)
        with pytest.raises(ParallelError) as caught:
            cluster.start_local_ray(1, dashboard=dashboard)
        assert dict(os.environ) == environ
        for folder, _ in claimed:
            assert not folder.exists()
        return str(caught.value), len(claimed)

    return attempt


def test_failed_start_says_why_and_is_remembered(failing):
    said, attempts = failing("print('Traceback'); sys.exit('RuntimeError: no port is free')")
    assert said == "Ray cannot be started: RuntimeError: no port is free"
    assert attempts == cluster.ATTEMPTS
    with pytest.raises(ParallelError, match=r"no port is free; `spy.retry_ray\(\)`"):
        cluster.start_local_ray(1)
    cluster.retry_ray()
    assert failing("sys.exit('again')")[1] == 2 * cluster.ATTEMPTS


LEAKS = """
folder = options["_temp_dir"]
subprocess.Popen(["sh", "-c", "sleep 600; : gcs_server", folder + "/"], start_new_session=True)
subprocess.Popen(["sh", "-c", "sleep 601 & exit"], start_new_session=True)
time.sleep(600)
"""


def test_a_start_that_hangs_leaves_no_process(failing):
    before = {p.pid for p in psutil.process_iter()}
    said, attempts = failing(LEAKS, seconds=0.5)
    assert "its gcs_server did not come up in time" in said
    assert attempts == cluster.ATTEMPTS
    left = [p for p in psutil.process_iter(["cmdline"]) if p.pid not in before and p.info["cmdline"]]
    assert not [p for p in left if {"600", "601"} & set(p.info["cmdline"])]


DIES = """
link = os.path.join(os.path.dirname(options["ready"]), "raylet")
os.symlink("/bin/sleep", link)
subprocess.Popen([link, "0.8"])
time.sleep(600)
"""


def test_a_main_process_that_dies_is_noticed(failing):
    said, _ = failing(DIES)
    assert "its raylet ended while it was started" in said


def test_the_dashboard_does_not_cost_ray(failing, monkeypatch, caplog):
    tried = []
    once = cluster.start._start_once
    monkeypatch.setattr(
        cluster.start,
        "_start_once",
        lambda options, deadline: tried.append(options["include_dashboard"]) or once(options, deadline),
    )
    with caplog.at_level("INFO", logger="rayspy"):
        failing("sys.exit('Failed to start the dashboard')", dashboard=True)
    assert tried == [True, False, False]
    assert caplog.text.count("without its dashboard") == 1
    assert "ERROR" not in caplog.text


def test_a_start_that_is_interrupted_leaves_nothing(failing, monkeypatch):
    sleep = time.sleep

    def interrupted(seconds):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        else:
            sleep(seconds)

    monkeypatch.setattr(cluster.start.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        failing(LEAKS)
    assert cluster.state.starting is None


SPAWNS = """
import os, subprocess, sys, time
for k in range(6):
    subprocess.Popen(["sleep", "600.75"], start_new_session=True)
    time.sleep(0.1)
    os.makedirs(os.path.join(sys.argv[1], f"again{k}"), exist_ok=True)
"""


def test_what_a_killed_session_was_just_starting_is_ended_too(tmp_path):
    """Also what has the folder of that Ray in its environment only, and what comes while others are ended."""
    folder = tmp_path / "r1"
    folder.mkdir()
    (folder / "sleep").symlink_to(shutil.which("sleep"))
    watch = cluster.end.watch(folder)
    marked = {**os.environ, cluster.environment.FOLDER: str(folder)}
    found = [
        subprocess.Popen([folder / "sleep", "600.75"], start_new_session=True),
        subprocess.Popen(["sleep", "600.75"], env=marked, start_new_session=True),
        subprocess.Popen([sys.executable, "-S", "-c", SPAWNS, str(folder)], env=marked),
    ]
    watch.stdin.close()  # what the kernel does when a process is killed
    assert watch.wait(20) == 0
    assert not folder.exists()
    for process in found:
        process.wait(5)
    left = [p for p in psutil.process_iter(["cmdline"]) if "600.75" in (p.info["cmdline"] or ())]
    assert not [process for process in left if runs(process)]
