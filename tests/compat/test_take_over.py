"""No client, and Ray cannot start."""

import numpy as np
from rayspy_compat import attach

import rayspy as spy
from rayspy import cluster
from rayspy.errors import ParallelError
from rayspy.executors import choose
from tests.executors.test_matrix import make


def refuse(*args, **kwargs):
    raise ParallelError("Ray cannot be started: deliberately")


def test_a_local_cluster_takes_over_where_ray_cannot_start(monkeypatch, caplog):
    monkeypatch.setattr(cluster, "start_local_ray", refuse)
    if not choose._entry_points():
        monkeypatch.setattr(choose, "_without_ray", attach.take_over)
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    with spy.config.using(num_cpus=2):
        got = spy.freqanalysis(data, parallel=True)
    np.testing.assert_array_equal(got.data[()], wanted)
    assert [record.levelname for record in caplog.records if record.name == "rayspy"] == ["WARNING"]
    assert "LocalCluster of 2 threads takes over" in caplog.text
    local, attach._local = attach._local, None
    local.close()
    local.cluster.close()
