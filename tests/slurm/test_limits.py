"""A job that SLURM holds to its share with control groups: Ray stays inside it, on a larger host."""

import json
import textwrap

import pytest

from tests.slurm.helpers import ROOT, read

BED = {"names": ("n1",), "cgroups": True}
LIMIT = 1500 * 2**20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

SCRIPT = """
    import json, sys
    import rayspy as spy
    from rayspy import cluster, limits

    group = limits._groups(limits._ROOT, "memory")[0]
    found = {"group": str(group), "cpus": limits.usable_cpus(), "memory": limits.available_memory()}
    spy.cluster_info()
    spec = spy.freqanalysis(spy.white_noise(nTrials=4, nChannels=2), parallel=True)
    (node,) = cluster.describe().nodes
    found |= {"ray_cpus": node.cpus, "ray_memory": node.memory + node.object_store, "shape": spec.data.shape}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "measure.py"
    path.write_text(textwrap.dedent(SCRIPT))
    return path


def check(found):
    assert found["cpus"] == found["ray_cpus"] == 1
    assert 0.5 * LIMIT < found["memory"] <= LIMIT
    assert 0.3 * LIMIT < found["ray_memory"] < LIMIT
    assert found["shape"] == [4, 1, 501, 2]


def test_a_script_without_ray_in_a_job(slurm, tmp_path, script):
    """Only the control groups tell: what SLURM says in the environment is taken away."""
    batch = tmp_path / "plain.sbatch"
    batch.write_text(
        "#!/bin/bash\nunset ${!SLURM_*}\n"
        f'PYTHONPATH={ROOT}:{ROOT}/compat exec "$RAYSPY_PYTHON" {script} {tmp_path}/found\n'
    )
    job = slurm.submit("--output=log", "-c1", "--mem=1500M", batch)
    assert slurm.wait_job(job) == ("COMPLETED", "0"), read("log")
    found = json.loads(read("found"))
    assert "/job_" in found["group"]
    check(found)
    slurm.clean()


def test_a_script_on_the_ray_of_its_job(slurm, tmp_path, script):
    job = slurm.submit("--output=log", "-c1", "--mem=1500M", ROOT / "slurm/rayspy.sbatch", script, "found")
    assert slurm.wait_job(job) == ("COMPLETED", "0"), read("log")
    check(json.loads(read("found")))
    slurm.clean()
