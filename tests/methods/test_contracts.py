"""Every method and every reduction keeps the contract."""

import pytest

import rayspy as spy
from rayspy.methods.reductions import Mean, Median, Moments, Resultant
from rayspy.methods.reductions.locked import Locked
from tests.contract import MethodContract, ReductionContract

FOI = {"foi": [10, 20, 30]}
CALLS = {
    "mtmfft": (spy.freqanalysis, {"tapsmofrq": 2}),
    "mtmconvol": (spy.freqanalysis, {"method": "mtmconvol", "t_ftimwin": 0.5, "toi": 0.5, **FOI}),
    "welch": (spy.freqanalysis, {"method": "welch", "t_ftimwin": 0.5, "toi": 0.5}),
    "wavelet": (spy.freqanalysis, {"method": "wavelet", **FOI}),
    "superlet": (spy.freqanalysis, {"method": "superlet", "order_max": 3, **FOI}),
    "butterworth": (spy.preprocessing, {"freq": 20}),
    "sinc": (spy.preprocessing, {"freq": 20, "filter_class": "firws", "order": 40}),
    "resample": (spy.resampledata, {"resamplefs": 40}),
    "downsample": (spy.resampledata, {"resamplefs": 25, "method": "downsample"}),
    "notch": (spy.notchfilter, {"freq": 20}),
    "line": (spy.linefilter, {"freq": 20}),
    "baseline": (spy.baseline, {"baseline": (-0.9, -0.5)}),
    "mean": (spy.mean, {"dim": "time"}),
    "median": (spy.median, {"dim": "channel"}),
}


@pytest.mark.parametrize("name", CALLS)
class TestMethods(MethodContract):
    @pytest.fixture(autouse=True)
    def _choose(self, name):
        self.function, self.settings = CALLS[name]

    def call(self, data, **options):
        return self.function(data, **self.settings, **options)


class TestMean(ReductionContract):
    reduction = Mean()


class TestMoments(ReductionContract):
    reduction = Moments()


class TestMedian(ReductionContract):
    reduction = Median()


class TestResultant(ReductionContract):
    reduction, output = Resultant(), "fourier"


class TestLocked(ReductionContract):
    reduction = Locked()
