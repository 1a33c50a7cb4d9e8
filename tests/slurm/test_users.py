"""Two users on one host at the same time: both finish, and neither can look at or get into the other's."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.slurm.helpers import BLOCK_BYTES, ROOT, read, same_bits, wait_until
from tests.slurm.hosts import OTHER

SLURM = ROOT / "slurm"
THIRD = 1
"""User id of neither of the two."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

SCRIPT = """
    import sys, time
    from pathlib import Path
    import rayspy as spy

    here = Path(sys.argv[1])
    if len(sys.argv) > 2:
        spy.connect(job=sys.argv[2])
    spy.config.inmemory_bytes = 100
    data = spy.synthdata.white_noise(nTrials=24, nChannels=6, seed=1)

    def compute():
        return spy.freqanalysis(data, foilim=[1, 150], tapsmofrq=10)

    first = compute()
    (here / "ready").touch()
    while not (here / "go").exists():
        time.sleep(0.1)
    compute().save(filename=str(here / "x.spectral"))
"""

PROBE = """
import json, os, sys
opened = []
for path in json.load(sys.stdin):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
    except PermissionError:
        continue
    except FileNotFoundError:
        opened.append(path)
    else:
        opened.append(path)
json.dump(opened, sys.stdout)
"""

ENTER = """
import sys, ray
ray.init(address=sys.argv[1])
print("connected")
"""

CONNECT = """
import sys, rayspy as spy
spy.connect(job=sys.argv[1], timeout=1)
print("connected")
"""


def run(command, environ, **options):
    return subprocess.run(
        [str(word) for word in command],
        env=environ, cwd="/", capture_output=True, text=True, timeout=100, **options,
    )  # fmt: skip


def environment(slurm):
    """In which the interpreter of the hosts finds its library and its packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own = [path for path in sys.path if path and Path(sys.base_prefix) not in Path(path).parents]
    return {
        **kept,
        "RAYSPY_PYTHON": str(slurm.python),
        "RAYSPY_BLOCK_BYTES": BLOCK_BYTES,
        "PYTHONPATH": os.pathsep.join(own),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": str(slurm.root / "python" / "lib"),
    }


def settings(home):
    """What a user sets to work in their own folder."""
    return {
        "HOME": str(home),
        "RAYSPY_TMPDIR": str(home / "scratch"),
        "RAYSPY_CLUSTER_DIR": str(home / "clusters"),
        "RAYSPY_ENV": str(home / "env"),
    }


@pytest.fixture
def homes(slurm):
    """A folder for each of the two users, where all may enter; yields them with their environments."""
    base = Path(tempfile.mkdtemp(prefix="rayspy-users-"))
    base.chmod(0o755)
    found = {}
    for uid in (0, OTHER):
        home = base / str(uid)
        home.mkdir(mode=0o755)
        (home / "env").touch()
        (home / "script.py").write_text(textwrap.dedent(SCRIPT))
        os.chown(home, uid, uid)
        found[uid] = home, {**environment(slurm), **settings(home)}
    try:
        command = slurm.hosts["n1"].command(OTHER, slurm.python, "-c", "import rayspy, ray")
        tried = run(command, found[OTHER][1])
        if tried.returncode:
            pytest.skip(f"another user cannot import rayspy and Ray from here: {tried.stderr[-200:]}")
        yield found
    finally:
        shutil.rmtree(base, ignore_errors=True)


def private_paths(host, uid, home):
    """What belongs to one user's Ray and sessions, as named on the host."""
    inside = Path(f"/proc/{host.first()}/root")
    roots = [home / f"scratch/rayspy-{uid}", home / "clusters", inside / f"tmp/rayspy-{uid}"]
    found = [path for root in roots for path in (root, *root.rglob("*"))]
    found += [path for path in (inside / "dev/shm").iterdir() if path.lstat().st_uid == uid]
    keep = [path for path in found if stat.S_ISREG(path.lstat().st_mode) or path.is_dir()]
    return [f"/{path.relative_to(inside)}" if inside in path.parents else str(path) for path in keep]


def open_to(slurm, uid, paths):
    """Those that a user can really open or list on the host."""
    command = slurm.hosts["n1"].command(uid, slurm.python, "-c", PROBE)
    done = run(command, environment(slurm), input=json.dumps(paths))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextlib.contextmanager
def standing(slurm, home, environ):
    log = home / "cluster.log"
    job = slurm.submit(
        f"--output={log}", "--nodelist=n1", "-c1", "--mem=2500M", SLURM / "ray_cluster.sbatch",
        environ=environ,
    )  # fmt: skip
    try:
        wait_until(lambda: "the cluster is up" in read(log), 100, "the cluster", log)
        yield json.loads((home / "clusters" / f"{job}.json").read_text())
    finally:
        subprocess.run(["scancel", job], check=False)
        slurm.wait_job(job)


def submitted(home, environ):
    """Submit the other user's job; returns its number."""
    options = [f"--output={home / 'log'}", f"--chdir={home}", "--nodelist=n1", "-c1", "--mem=2500M"]
    script = [SLURM / "rayspy.sbatch", home / "script.py", home]
    user = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
    done = run([*user, "sbatch", "--parsable", *options, *script], environ)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def attempts(slurm, connection, homes):
    """Try to get into the first user's Ray as the other one; returns the tries and why each must fail."""
    host = slurm.hosts["n1"]
    environ = {**homes[OTHER][1], "RAY_NUM_REDIS_GET_RETRIES": "3"}  # it would try for 20 s or more
    address, job = connection["address"], connection["job"]
    wrong = homes[OTHER][0] / "wrong"
    wrong.write_text("0" * 64)
    forged = homes[OTHER][0] / "forged"
    forged.mkdir(mode=0o700)
    (forged / f"{job}.json").write_text(json.dumps({**connection, "token_file": str(wrong)}))
    for path in (forged, *forged.iterdir()):
        os.chown(path, OTHER, OTHER)
    token = {"RAY_AUTH_MODE": "token"}
    tries = [
        ([ENTER, address], {}, "Failed to connect to Ray"),
        ([ENTER, address], {**token, "RAY_AUTH_TOKEN_PATH": str(wrong)}, "Failed to connect to Ray"),
        ([ENTER, address], {**token, "RAY_AUTH_TOKEN_PATH": connection["token_file"]}, "token"),
        ([CONNECT, job], {"RAYSPY_CLUSTER_DIR": homes[0][1]["RAYSPY_CLUSTER_DIR"]}, "not a private folder"),
        ([CONNECT, job], {"RAYSPY_CLUSTER_DIR": str(forged)}, "the Ray node of this session"),
    ]
    with ThreadPoolExecutor() as pool:
        return [
            (pool.submit(run, host.command(OTHER, slurm.python, "-c", *words), {**environ, **changes}), why)
            for words, changes, why in tries
        ]


def test_two_users_on_one_host(slurm, homes):
    """The first has a standing cluster and a session on it, the other a job of one script."""
    (home, environ), (other_home, other_environ) = homes[0], homes[OTHER]
    job = submitted(other_home, other_environ)
    with standing(slurm, home, environ) as connection:
        command = [sys.executable, home / "script.py", home, connection["job"]]
        session = subprocess.Popen([str(word) for word in command], env=environ, cwd=home)
        for folder in (home, other_home):
            wait_until((folder / "ready").exists, 30, f"half of {folder}", other_home / "log")
        host = slurm.hosts["n1"]
        assert slurm.state(job)[0] == slurm.state(connection["job"])[0] == "RUNNING"
        for uid, stranger, folder in ((0, OTHER, home), (OTHER, THIRD, other_home)):
            paths = private_paths(host, uid, folder)
            kinds = (f"/tmp/rayspy-{uid}/", "/scratch/", ".token", *([".json"] if uid == 0 else []))
            assert all(any(kind in path for path in paths) for kind in kinds), paths
            assert open_to(slurm, uid, paths) == paths
            assert open_to(slurm, stranger, paths) == []
        for attempt, why in attempts(slurm, connection, homes):
            done = attempt.result()
            assert done.returncode != 0, done
            assert why in done.stderr, done
            assert "connected" not in done.stdout
            assert read(connection["token_file"]) not in done.stdout + done.stderr
        for folder in (home, other_home):
            (folder / "go").touch()
        assert session.wait(60) == 0
        assert slurm.wait_job(job) == ("COMPLETED", "0"), read(other_home / "log")
    for folder in (home, other_home):
        same_bits(folder / "x.spectral")
    slurm.clean()
    assert not list((home / "clusters").iterdir())
    assert not list((other_home / "clusters").iterdir())
