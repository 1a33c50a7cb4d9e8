"""The same bits from the Dask side as from one thread, for every way to cut the work."""

import numpy as np
import pytest

import rayspy as spy
from tests.executors.test_matrix import N_CHANNELS, SELECTIONS, make, settings_for

BACKENDS = ["dask-on-ray", "dask"]


@pytest.fixture(params=BACKENDS)
def backend(request, client):
    if request.param == "dask":
        request.getfixturevalue("own_scheduler")
    return request.param


def ran_on(caplog):
    return [line for line in caplog.messages if " blocks" in line][-1]


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize(
    ("output", "keeptrials", "unequal"),
    [("pow", True, False), ("fourier", True, True), ("pow", False, False), ("fourier", False, True)],
)
def test_same_bits(backend, output, keeptrials, unequal, selection, caplog):
    settings = settings_for(output, keeptrials, unequal, selection)
    data = make(unequal)
    wanted = spy.freqanalysis(data, parallel=False, **settings).data[()]
    with caplog.at_level("INFO", logger="rayspy"):
        for chan_per_worker in (None, 1, 3):
            got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings)
            np.testing.assert_array_equal(got.data[()], wanted)
    assert f"{backend} worker" in ran_on(caplog)


def test_same_bits_multitaper_on_disk(backend):
    settings = {"tapsmofrq": 5, "keeptapers": True, "foilim": [3, 40], "polyremoval": 1}
    data = make(False)
    wanted = spy.freqanalysis(data, parallel=False, **settings).data[()]
    with spy.config.using(inmemory_bytes=100):
        for chan_per_worker in (None, 1, 3, N_CHANNELS):
            got = spy.freqanalysis(data, parallel=True, chan_per_worker=chan_per_worker, **settings)
            assert not got.source.in_memory
            np.testing.assert_array_equal(got.data[()], wanted)


def test_same_bits_from_file(backend, tmp_path):
    data = make(False)
    data.data[()].tofile(tmp_path / "lfp.dat")
    raw = spy.raw_binary(tmp_path / "lfp.dat", "float32", N_CHANNELS)
    stored = spy.AnalogData(raw, samplerate=100.0, trialdefinition=data.trialdefinition)
    wanted = spy.freqanalysis(data, parallel=False).data[()]
    np.testing.assert_array_equal(spy.freqanalysis(stored, chan_per_worker=3).data[()], wanted)


def test_selected_data_are_the_same_bits(backend):
    data = make(True)
    got = spy.selectdata(data, trials=[20, 3, 3], channel=["channel5", "channel1"], parallel=True)
    for k, trial in enumerate((20, 3, 3)):
        np.testing.assert_array_equal(got.trials[k], data.trials[trial][:, [4, 0]])


def test_handling_gives_the_same_bits(backend):
    data = make(True)
    weights = np.linspace(1, 2, N_CHANNELS)
    calls = [
        lambda d, **how: (1 - d) * weights / (d + d),
        lambda d, **how: spy.concat(d, d),
        lambda d, **how: spy.rereference(d, "median", **how),
        lambda d, **how: spy.rereference(d, "bipolar", **how),
        lambda d, **how: spy.baseline(d, (-0.9, -0.5), "zscore", **how),
    ]
    for call in calls:
        got = call(data).data[()]
        np.testing.assert_array_equal(got, call(data, parallel=False).data[()])
