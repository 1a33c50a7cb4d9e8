"""Time-frequency methods: the same bits from every executor, for every way to cut the work."""

from itertools import product

import numpy as np
import pytest

import rayspy as spy
from tests.helpers import EXECUTORS, run_on

N_CHANNELS = 5
METHODS = {
    "mtmconvol": {"method": "mtmconvol", "t_ftimwin": 0.3, "toi": 0.5},
    "mtmconvol-toi": {
        "method": "mtmconvol", "t_ftimwin": 0.3, "toi": [-0.9, -0.83, -0.6], "output": "fourier",
    },
    "mtmconvol-tapers": {
        "method": "mtmconvol", "t_ftimwin": 0.4, "toi": "all", "tapsmofrq": 7, "keeptapers": True,
        "foi": [10, 20],
    },
    "mtmconvol-dense": {"method": "mtmconvol", "t_ftimwin": 0.2, "toi": "all", "foi": [10]},
    "welch": {"method": "welch", "t_ftimwin": 0.2, "toi": 0.6, "polyremoval": 1},
    "wavelet": {"method": "wavelet"},
    "wavelet-toi": {
        "method": "wavelet", "foi": [8, 20], "toi": [-0.9, -0.8, -0.7, -0.6], "output": "fourier",
    },
    "wavelet-toi-power": {"method": "wavelet", "foi": [20, 8], "toi": [-0.9, -0.8, -0.7, -0.6]},
    "superlet-toi": {"method": "superlet", "order_max": 3, "foi": [8, 20], "toi": [-0.9, -0.8, -0.7, -0.6]},
    "wavelet-uneven": {"method": "wavelet", "foi": [8, 20], "toi": [-0.9, -0.85, -0.6], "output": "angle"},
    "wavelet-real": {"method": "wavelet", "wavelet": "Ricker", "foi": [8, 20, 30], "output": "real"},
    "superlet": {"method": "superlet", "order_max": 3, "foilim": [6, 12]},
    "superlet-adaptive": {
        "method": "superlet", "order_max": 6, "adaptive": True, "foi": [8, 15, 30], "output": "fourier",
    },
}  # fmt: skip
SELECTIONS = {
    "all": None,
    "some": {"trials": [1, 8, 3], "channel": [3, 0, 2, 4], "latency": [-0.95, -0.5]},
}
FEW_WIDTHS = {"all": (None,), "some": (3,)}
"""Where a call takes longer."""


def make(unequal, n_trials=10):
    rng = np.random.default_rng(1)
    lengths = [60 + 7 * (k % 4) * unequal for k in range(n_trials)]
    trials = (rng.standard_normal((n, N_CHANNELS)).astype(np.float32) + 2 for n in lengths)
    return spy.AnalogData(trials, samplerate=100.0)


@pytest.fixture(autouse=True)
def small_blocks():
    with spy.config.using(block_bytes=20_000):
        yield


@pytest.fixture(scope="module")
def baseline():
    """Results of one thread with the default split, computed once per setting."""
    known = {}

    def get(unequal, **settings):
        key = (unequal, repr(sorted(settings.items())))
        if key not in known:
            known[key] = spy.freqanalysis(make(unequal), parallel=False, **settings).data[()]
        return known[key]

    return get


KINDS = ("equal", "unequal", "average")


def check(method, kind, selection, baseline, options, widths):
    settings = {**METHODS[method], "keeptrials": kind != "average", "select": SELECTIONS[selection]}
    unequal = kind == "unequal"
    wanted = baseline(unequal, **settings)
    assert np.isfinite(wanted).all()
    data = make(unequal)
    for chan_per_worker in widths:
        got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings, **options)
        np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_every_cut(method, baseline, request):
    with run_on("local-2", request) as options:
        for kind, selection in product(KINDS, SELECTIONS):
            check(method, kind, selection, baseline, options, (None, 1, 3, N_CHANNELS))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_on_every_executor(executor, baseline, request):
    with run_on(executor, request) as options:
        for k, method in enumerate(METHODS):
            selection = ("all", "some")[k % 2]
            check(method, KINDS[k % 3], selection, baseline, options, FEW_WIDTHS[selection])


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_on_disk_and_in_larger_blocks(method, baseline):
    settings = METHODS[method]
    wanted = baseline(True, **settings)
    with spy.config.using(inmemory_bytes=100):
        on_disk = spy.freqanalysis(make(True), **settings)
        assert not on_disk.source.in_memory
        np.testing.assert_array_equal(on_disk.data[()], wanted)
    with spy.config.using(block_bytes=10**8):
        np.testing.assert_array_equal(spy.freqanalysis(make(True), **settings).data[()], wanted)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_of_models(executor, request):
    pytest.importorskip("specparam")
    settings = {"output": "fooof", "foilim": [2, 45], "select": {"channel": [0, 3]}}
    data = make(False, 2)
    wanted = spy.freqanalysis(data, parallel=False, **settings)
    with run_on(executor, request) as options:
        for chan_per_worker in (None, 1):
            got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings, **options)
            np.testing.assert_array_equal(got.data[()], wanted.data[()])
            for name, values in wanted.metadata["n_peaks"].items():
                np.testing.assert_array_equal(got.metadata["n_peaks"][name], values)
