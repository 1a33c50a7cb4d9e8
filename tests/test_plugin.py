"""A method and a reduction made by following CONTRIBUTING.md are as good as those of the package."""

import numpy as np

import rayspy as spy
from tests.contract import MethodContract, ReductionContract
from tests.plugin import Largest, teager


class TestTeager(MethodContract):
    def call(self, data, **options):
        return teager(data, **options)


class TestLargest(ReductionContract):
    reduction = Largest()


def test_as_by_hand():
    data = spy.synthdata.white_noise(nTrials=5, nSamples=50, nChannels=2, seed=1)
    x = np.stack(list(data.trials)).astype(np.float64)
    inner = x[:, 1:-1] ** 2 - x[:, :-2] * x[:, 2:]
    found = teager(data)
    np.testing.assert_allclose(np.stack(list(found.trials))[:, 1:-1], inner, rtol=1e-5)
    assert found.quantity == "Teager energy"
    largest = teager(data, keeptrials=False, select={"channel": [1]})
    np.testing.assert_allclose(largest.trials[0][1:-1, 0], inner[..., 1].max(axis=0), rtol=1e-5)
    again = teager(data, cfg=largest.cfg)
    np.testing.assert_array_equal(again.data[()], largest.data[()])
