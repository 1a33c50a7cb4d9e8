"""ACME's calls on a real SLURM; tests/compat checks their parameters."""

import os
import subprocess

import pytest

import rayspy as spy
from tests.slurm.helpers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


def jobs():
    return subprocess.run(["squeue", "-h"], capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True)
def installed():
    if not hasattr(spy, "esi_cluster_setup"):
        pytest.skip("rayspy is not installed: its entry points are missing")


def test_esi_cluster_setup(slurm):
    options = {"scheduler_options": {"dashboard_address": ":0"}}
    client = spy.esi_cluster_setup(partition="debug", n_jobs=1, mem_per_worker="900MB", timeout=90, **options)
    try:
        assert type(client.cluster).__name__ == "SLURMCluster"
        assert client.submit(os.uname).result(30).nodename in slurm.hosts
        assert spy.slurm_cluster_setup("debug") is client
    finally:
        spy.cluster_cleanup(client)
    wait_until(lambda: not jobs(), 20, "the end of the jobs")
    with pytest.raises(spy.errors.InvalidValueError, match="debug"):
        spy.slurm_cluster_setup("16GBXL")
    slurm.clean()
