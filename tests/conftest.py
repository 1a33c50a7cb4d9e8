"""Every test has its own scratch folder; messages below a warning are not shown."""

from __future__ import annotations

import logging
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rayspy as spy


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest where several processes share the tests."""
    if hasattr(config, "workerinput"):
        sizes = Counter(item.path for item in items)
        items.sort(key=lambda item: (not _needs_slurm(item.nodeid), -sizes[item.path], item.path))


def _needs_slurm(nodeid: str) -> bool:
    return nodeid.startswith("tests/slurm/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all tests on SLURM, which take turns anyway, to one process, and others file by file."""
    from xdist.scheduler import LoadFileScheduling

    class OneForSlurm(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/slurm" if _needs_slurm(nodeid) else super()._split_scope(nodeid)

    return OneForSlurm(config, log)


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point the scratch folder at a fresh one and keep quiet."""
    folder = tmp_path_factory.mktemp("scratch")
    logging.getLogger("rayspy").setLevel(logging.WARNING)
    with spy.config.using(scratch_dir=str(folder), progress=False, dashboard=False):
        yield folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(autouse=True, scope="session")
def no_dashboards() -> Iterator[None]:
    """Scripts that tests start do without the dashboard and its ten processes unless they ask for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSPY_DASHBOARD", "0")
        yield


@pytest.fixture(autouse=True)
def no_ray_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a Ray that earlier tests left connected, unless `local_ray` is asked for; forget failed starts."""
    monkeypatch.setattr("rayspy.cluster.state.failure", "")
    monkeypatch.setattr("rayspy.executors.choose._ray_that_runs", lambda: None)


@pytest.fixture
def local_ray(no_ray_unasked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ray of three CPUs; stays up for the tests that follow."""
    pytest.importorskip("ray")
    from rayspy import cluster

    if not cluster.ray_is_ours():
        cluster.start_local_ray(num_cpus=3, dashboard=False)
    monkeypatch.setattr("rayspy.executors.choose._ray_that_runs", cluster.running_in_ray)


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Any]:
    """A client of two Dask workers that nobody finds unasked."""
    distributed = pytest.importorskip("distributed")
    from rayspy_compat import attach

    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=False,
            memory_limit="2GB",
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client
        attach.detach()


@pytest.fixture
def dask_side(local_ray: None, dask_cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """That client, found through the entry point, or put in place where the package is not installed."""
    from rayspy_compat import attach
    from rayspy_compat.outlook import foresee

    from rayspy.executors import choose, outlook

    if not choose._entry_points():
        monkeypatch.setattr(choose, "_plugins", lambda: [attach.detect])
    if not outlook._entry_points():
        monkeypatch.setattr(outlook, "_plugins", lambda: [foresee])
    return dask_cluster
