"""A SLURM of three hosts for the tests of a file; skipped, with the reason, where it cannot run."""

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm import hosts

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bed(request: pytest.FixtureRequest) -> Iterator[hosts.Bed]:
    """Only one at a time, also where several test processes run; a module may set ``BED``, options of it."""
    options = getattr(request.module, "BED", {})
    if reason := hosts.missing() or (hosts.missing_cgroups() if options.get("cgroups") else ""):
        pytest.skip(reason)
    with Path(tempfile.gettempdir(), "rayspy-tests-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with hosts.started(**options) as running:
            yield running


@pytest.fixture(autouse=True)
def keep_ctrl_c() -> Iterator[None]:
    """Importing dask_jobqueue replaces the handler of Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def slurm(bed: hosts.Bed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> hosts.Bed:
    """The cluster, all hosts free; scripts run in this environment and write to `tmp_path`."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    for name, host in bed.hosts.items():
        if not host.alive():
            bed.start_host(name)
    bed.wait_idle()
    monkeypatch.setenv("RAYSPY_PYTHON", sys.executable)
    monkeypatch.setenv("RAYSPY_TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setenv("RAYSPY_CLUSTER_DIR", str(tmp_path / "clusters"))
    (tmp_path / "env").touch()
    monkeypatch.setenv("RAYSPY_ENV", str(tmp_path / "env"))
    monkeypatch.chdir(tmp_path)
    return bed
