"""The same bits from every executor, for every way to cut the work."""

from itertools import product

import numpy as np
import pytest

import rayspy as spy
from tests.helpers import EXECUTORS, run_on

OUTPUTS = ["pow", "abs", "fourier", "complex", "real", "imag", "angle", "absreal", "absimag"]
N_CHANNELS = 7
SELECTIONS = {
    "all": None,
    "trials": {"trials": [9, 2, 2, 5]},
    "channels": {"channel": ["channel6", "channel2", "channel3"]},
    "both": {"trials": [1, 8, 3], "channel": [5, 0, 2, 4], "latency": [-0.8, -0.4]},
}


def make(unequal):
    rng = np.random.default_rng(1)
    lengths = [60 + 7 * (k % 4) * unequal for k in range(24)]
    trials = (rng.standard_normal((n, N_CHANNELS)).astype(np.float32) + 2 for n in lengths)
    return spy.AnalogData(trials, samplerate=100.0)


@pytest.fixture(autouse=True)
def small_blocks():
    with spy.config.using(block_bytes=12_000):
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


def settings_for(output, keeptrials, unequal, selection):
    settings = {"output": output, "keeptrials": keeptrials, "select": SELECTIONS[selection]}
    if unequal:
        settings["pad"] = 1.28
    return settings


def check(output, keeptrials, unequal, selection, baseline, options, widths=(None, 1, 3, N_CHANNELS)):
    settings = settings_for(output, keeptrials, unequal, selection)
    wanted = baseline(unequal, **settings)
    assert np.isfinite(wanted).all()
    assert (wanted != 0).any(axis=(1, 2)).all()
    data = make(unequal)
    for chan_per_worker in widths:
        got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings, **options)
        np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("output", OUTPUTS)
def test_same_bits_for_every_cut(output, baseline, request):
    with run_on("local-2", request) as options:
        for keeptrials, unequal, selection in product((True, False), (True, False), SELECTIONS):
            check(output, keeptrials, unequal, selection, baseline, options)


REPRESENTATIVES = [
    ("pow", True, False, "all"),
    ("fourier", True, True, "both"),
    ("angle", True, False, "trials"),
    ("pow", False, False, "channels"),
    ("complex", False, True, "both"),
]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_on_every_executor(executor, baseline, request):
    with run_on(executor, request) as options:
        for case in REPRESENTATIVES:
            check(*case, baseline, options)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_multitaper_on_disk(executor, baseline, request):
    data = make(False)
    for keeptapers in (True, False):
        settings = {"tapsmofrq": 5, "keeptapers": keeptapers, "foilim": [3, 40], "polyremoval": 1}
        wanted = baseline(False, **settings)
        with run_on(executor, request) as options, spy.config.using(inmemory_bytes=100):
            for chan_per_worker in (None, 3):
                got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings, **options)
                assert not got.source.in_memory
                np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_from_file(executor, baseline, request, tmp_path):
    """Input in files instead of memory: raw, HDF5, parts, swapped dimensions."""
    import h5py

    wanted = baseline(False, output="pow")
    data = make(False)
    array = data.data[()]
    array.tofile(tmp_path / "lfp.dat")
    with h5py.File(tmp_path / "lfp.h5", "w") as file:
        file["data"] = array
    inputs = {
        "raw": spy.raw_binary(tmp_path / "lfp.dat", "float32", N_CHANNELS),
        "hdf5": str(tmp_path / "lfp.h5"),
    }
    objects = [
        spy.AnalogData(d, samplerate=100.0, trialdefinition=data.trialdefinition) for d in inputs.values()
    ]
    swapped = spy.AnalogData(
        array.T.copy(), samplerate=100.0, trialdefinition=data.trialdefinition, dimord=["channel", "time"]
    )
    with spy.config.using(inmemory_bytes=100):
        objects.append(make(False))
    with run_on(executor, request) as options:
        for obj in (*objects, swapped):
            for chan_per_worker in (None, 3):
                got = spy.freqanalysis(obj, chan_per_worker=chan_per_worker, **options)
                np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_selected_data_are_the_same_bits(executor, request):
    data = make(True)
    with run_on(executor, request) as options:
        got = spy.selectdata(data, trials=[20, 3, 3], channel=["channel5", "channel1"], **options)
    for k, trial in enumerate((20, 3, 3)):
        np.testing.assert_array_equal(got.trials[k], data.trials[trial][:, [4, 0]])
