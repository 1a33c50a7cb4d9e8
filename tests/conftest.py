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

TOGETHER = ("tests/slurm/", "tests/executors/")
"""Folders whose tests one process each runs: on SLURM they take turns, executors share a running Ray."""
WAITING = (
    "tests/compat/",
    "tests/launch/",
    "tests/examples/",
    "tests/test_cluster.py",
    "tests/test_readme.py",
)
"""Tests that start clusters and scripts: few to a file, but each takes seconds."""
WEIGHT = 60
"""Tests that a file of these counts for, at least."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest where several processes share the tests."""
    if not hasattr(config, "workerinput"):
        return
    sizes = Counter(item.path for item in items)

    def order(item: pytest.Item) -> tuple[int, int, Path]:
        group, size = _group(item.nodeid), sizes[item.path]
        weight = max(size, WEIGHT) if item.nodeid.startswith(WAITING) else size
        return TOGETHER.index(group) if group else len(TOGETHER), -weight, item.path

    items.sort(key=order)


def _group(nodeid: str) -> str:
    return next((folder for folder in TOGETHER if nodeid.startswith(folder)), "")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give some folders to one process each, and what else there is file by file to the others."""
    from xdist.scheduler import LoadFileScheduling

    class FoldersOrFiles(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid) or super()._split_scope(nodeid)

    return FoldersOrFiles(config, log)


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
