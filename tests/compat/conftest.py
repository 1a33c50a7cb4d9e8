"""A Dask cluster of two workers per module; rayspy finds its client as if the package were installed."""

import contextlib
import time
from contextlib import contextmanager

import psutil
import pytest
from rayspy_compat import attach

import rayspy as spy
from rayspy import cluster
from rayspy.executors import choose

distributed = pytest.importorskip("distributed")


def children():
    """Live processes this one started, the helper of `multiprocessing` left out."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
            if process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in line:
                found.append(process)
        except psutil.Error:
            continue
    return found


def raylets():
    """Those of them that are Ray nodes."""
    found = []
    for process in children():
        with contextlib.suppress(psutil.Error):
            if "raylet" in process.name():
                found.append(process)
    return found


def command_lines():
    found = []
    for process in children():
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


def wait_until(condition, timeout=15.0):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


@contextmanager
def dask_client(n_workers=2, **options):
    """Yield a client of a fresh LocalCluster; Ray is gone with it."""
    settings = {
        "threads_per_worker": 1,
        "dashboard_address": ":0",
        "silence_logs": False,
        "memory_limit": "2GB",
    }
    with (
        distributed.LocalCluster(n_workers=n_workers, **{**settings, **options}) as local,
        distributed.Client(local) as client,
    ):
        yield client
    wait_until(lambda: attach._current is None)


@pytest.fixture(scope="module", autouse=True)
def no_ray_of_others():
    """End a Ray that other tests of this process left."""
    attach.detach()
    cluster.shutdown_local_ray()


@pytest.fixture(scope="module")
def client(no_ray_of_others):
    with dask_client() as running:
        yield running


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    """Found through the entry point where the package is installed, else put in place here."""
    if not choose._entry_points():
        monkeypatch.setattr(choose, "_plugins", lambda: [attach.detect])


@pytest.fixture
def own_scheduler(monkeypatch):
    """Ray cannot be used."""
    attach.detach()
    monkeypatch.setattr(attach, "_force", "dask")
    yield
    attach.detach()


@pytest.fixture(autouse=True)
def small_blocks():
    with spy.config.using(block_bytes=12_000):
        yield
