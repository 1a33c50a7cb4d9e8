import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from rayspy import cluster
from rayspy.errors import ParallelError

pytest.importorskip("ray")


def in_python(code, **environ):
    """Run code in a fresh interpreter without any Ray token."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=90,
    )


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


CONNECT = """
    import ray
    ray.init(address={address!r}, logging_level="ERROR")
    print("connected", ray.cluster_resources()["CPU"])
"""


@pytest.mark.slow
def test_a_client_needs_the_token(local_ray):
    code = CONNECT.format(address=local_ray.address)
    wrong = Path(cluster.state.local.folder) / "wrong"
    wrong.write_text("0" * 64)
    with_token = in_python(code, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=os.environ["RAY_AUTH_TOKEN_PATH"])
    assert "connected 2.0" in with_token.stdout, with_token.stderr
    for environ in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(wrong)}):
        refused = in_python(code, **environ)
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
        assert not folder.exists() and not psutil.wait_procs(processes, timeout=1)[1]
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
    assert not [pid for pid in pids if psutil.pid_exists(int(pid))]


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


def test_failed_start_leaves_nothing(no_ray, monkeypatch):
    import ray

    def fail(**options):
        raise RuntimeError("no port is free\nmore")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(cluster.environment, "refresh_ray_environment", lambda: None)
    monkeypatch.setattr(cluster.end, "ray_processes", lambda: [])
    claimed = []
    claim = cluster.folders.claim_folder
    monkeypatch.setattr(cluster.folders, "claim_folder", lambda: claimed.append(claim()) or claimed[-1])
    environ = dict(os.environ)
    with pytest.raises(ParallelError, match=r"RuntimeError: no port is free$"):
        cluster.start_local_ray(1)
    assert len(claimed) == 1
    assert not claimed[0][0].exists()
    assert dict(os.environ) == environ


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "http://10.0.0.1:8265"])
def test_only_direct_addresses(no_ray, address):
    with pytest.raises(ParallelError, match="direct address"):
        cluster.connect_existing(address)


def test_no_cluster_is_joined_without_being_asked(no_ray):
    with pytest.raises(ParallelError, match="RAY_ADDRESS"):
        cluster.connect_existing()


def test_ray_client_is_refused(local_ray, monkeypatch):
    client = SimpleNamespace(ray=SimpleNamespace(is_connected=lambda: True))
    monkeypatch.setitem(sys.modules, "ray.util.client", client)
    with pytest.raises(ParallelError, match="Ray Client"):
        cluster.require_ray()


@pytest.mark.parametrize("failures", [2, 3])
def test_a_machine_that_is_too_busy_at_first(monkeypatch, caplog, failures):
    """Ray's own helpers come up too late; the Ray of other tests is ended, they start it anew."""
    import ray

    cluster.shutdown_local_ray()
    calls, claimed, init, claim = [], [], ray.init, cluster.folders.claim_folder

    def late(**options):
        calls.append(options)
        if len(calls) <= failures:
            raise RuntimeError("The current node timed out during startup. This could happen because ...")
        return init(**options)

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(cluster.folders, "claim_folder", lambda: claimed.append(claim()) or claimed[-1])
    with caplog.at_level("INFO", logger="rayspy"):
        if failures < cluster.ATTEMPTS:
            assert cluster.start_local_ray(1, dashboard=False).cpus == 1
            cluster.shutdown_local_ray()
        else:
            with pytest.raises(ParallelError, match="timed out during startup"):
                cluster.start_local_ray(1, dashboard=False)
    assert len(calls) == cluster.ATTEMPTS
    assert caplog.text.count("started again") == cluster.ATTEMPTS - 1
    assert not [folder for folder, _ in claimed if folder.exists()]
