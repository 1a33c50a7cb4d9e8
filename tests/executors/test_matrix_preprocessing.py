"""The same bits of filtered and resampled signals from every executor, for every way to cut the work."""

from itertools import product

import numpy as np
import pytest

import rayspy as spy
from tests.helpers import EXECUTORS, run_on

N_CHANNELS = 7
CALLS = {
    "but": ("preprocessing", {"freq": [10, 20], "filter_type": "bp"}),
    "but_onepass": ("preprocessing", {"freq": 10, "filter_type": "hp", "direction": "onepass"}),
    "firws": ("preprocessing", {"filter_class": "firws", "freq": 20, "order": 10}),
    "firws_long": (
        "preprocessing",
        {"filter_class": "firws", "freq": 20, "direction": "onepass", "padtype": "line"},
    ),
    "minphase": (
        "preprocessing",
        {"filter_class": "firws", "freq": 20, "order": 30, "direction": "onepass-minphase"},
    ),
    "hilbert": ("preprocessing", {"freq": [10, 20], "filter_type": "bp", "hilbert": "complex"}),
    "zscore": ("preprocessing", {"filter_class": None, "zscore": True, "polyremoval": 1}),
    "rectify": ("preprocessing", {"freq": 5, "filter_type": "hp", "rectify": True, "polyremoval": 0}),
    "notch": ("notchfilter", {"freq": 20}),
    "line": ("linefilter", {"freq": 20, "window": 0.3}),
    "resample": ("resampledata", {"resamplefs": 30.0, "order": 100}),
    "resample_few_taps": ("resampledata", {"resamplefs": 37.0}),
    "downsample": ("resampledata", {"resamplefs": 25, "method": "downsample"}),
    "downsample_lpfreq": (
        "resampledata",
        {"resamplefs": 25, "method": "downsample", "lpfreq": 10, "padtype": "odd"},
    ),
}
SELECTIONS = {
    "all": None,
    "trials": {"trials": [9, 2, 2, 5]},
    "channels": {"channel": ["channel6", "channel2", "channel3"]},
    "both": {"trials": [1, 8, 3], "channel": [5, 0, 2, 4], "latency": [-0.8, -0.3]},
}


def make(unequal, dimord=None):
    rng = np.random.default_rng(1)
    lengths = [60 + 7 * (k % 4) * unequal for k in range(24)]
    trials = [rng.standard_normal((n, N_CHANNELS)).astype(np.float32) + 2 for n in lengths]
    data = spy.AnalogData((trial for trial in trials), samplerate=100.0)
    if dimord is None:
        return data
    array = data.data[()].T.copy()
    return spy.AnalogData(array, samplerate=100.0, trialdefinition=data.trialdefinition, dimord=dimord)


@pytest.fixture(autouse=True)
def small_blocks():
    with spy.config.using(block_bytes=12_000):
        yield


def compute(call, data, **options):
    function, settings = CALLS[call]
    return getattr(spy, function)(data, **settings, **options)


def check(call, unequal, selection, options, widths=(None, 1, 3, N_CHANNELS)):
    select = SELECTIONS[selection]
    wanted = compute(call, make(unequal), parallel=False, select=select).data[()]
    assert np.isfinite(wanted).all()
    assert (wanted != 0).any()
    for chan_per_worker in widths:
        got = compute(call, make(unequal), chan_per_worker=chan_per_worker, select=select, **options)
        np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("call", CALLS)
def test_same_bits_for_every_cut(call, request):
    with run_on("local-2", request) as options:
        for unequal, selection in product((False, True), SELECTIONS):
            check(call, unequal, selection, options)


CASES = [(False, "all", None), (True, "all", 3), (True, "both", None)]


@pytest.mark.parametrize("executor", [name for name in EXECUTORS if name != "local-2"])
def test_same_bits_on_every_executor(executor, request):
    with run_on(executor, request) as options:
        for k, call in enumerate(CALLS):
            unequal, selection, width = CASES[k % len(CASES)]
            check(call, unequal, selection, options, (width,))


@pytest.mark.parametrize("call", CALLS)
def test_same_bits_from_disk_to_disk_and_with_swapped_dimensions(call, request, tmp_path):
    data = make(True)
    data.data[()].tofile(tmp_path / "lfp.dat")
    raw = spy.AnalogData(
        spy.raw_binary(tmp_path / "lfp.dat", "float32", N_CHANNELS),
        samplerate=100.0,
        trialdefinition=data.trialdefinition,
    )
    wanted = compute(call, data, parallel=False)
    swapped = compute(call, make(True, ["channel", "time"]), chan_per_worker=3)
    assert swapped.dimord == ["channel", "time"]
    np.testing.assert_array_equal(swapped.data[()].T, wanted.data[()])
    with spy.config.using(inmemory_bytes=100, num_cpus=2):
        stored = compute(call, raw, chan_per_worker=2)
        assert not stored.source.in_memory
        np.testing.assert_array_equal(stored.data[()], wanted.data[()])
    np.testing.assert_array_equal(stored.trialdefinition, wanted.trialdefinition)


@pytest.mark.parametrize("call", CALLS)
def test_one_trial_alone_gives_the_bits_it_has_among_others(call):
    data = make(False)
    every = compute(call, data, parallel=False)
    for trial, channel in ((0, 0), (23, 6), (11, 3)):
        alone = compute(call, data, parallel=False, select={"trials": [trial], "channel": [channel]})
        np.testing.assert_array_equal(alone.data[()][:, 0], every.trials[trial][:, channel])


@pytest.mark.parametrize("call", CALLS)
def test_replay(call):
    data = make(False)
    done = compute(call, data, select={"trials": [3, 1], "channel": ["channel2"]})
    function = CALLS[call][0]
    again = getattr(spy, function)(data, done.cfg)
    np.testing.assert_array_equal(again.data[()], done.data[()])
    assert list(again.cfg) == [function]


def test_chains_keep_all_settings():
    data = make(False)
    chain = spy.resampledata(spy.preprocessing(data, zscore=True, freq=20), resamplefs=50)
    assert list(chain.cfg) == ["preprocessing", "resampledata"]
    again = spy.resampledata(spy.preprocessing(data, chain.cfg), chain.cfg)
    np.testing.assert_array_equal(again.data[()], chain.data[()])
    assert "resampledata" in chain.log
    assert "preprocessing" in chain.log
