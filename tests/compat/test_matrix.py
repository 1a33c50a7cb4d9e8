"""Files and selections give the same bits on the Dask side; tests/executors/test_matrix.py has the rest."""

import numpy as np
import pytest

import rayspy as spy
from tests.executors.test_matrix import N_CHANNELS, make

BACKENDS = ["dask-on-ray", "dask"]


@pytest.fixture(params=BACKENDS)
def backend(request, client):
    if request.param == "dask":
        request.getfixturevalue("own_scheduler")
    return request.param


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


@pytest.mark.parametrize("toi", ["all", [-0.9, -0.8, -0.7, -0.6]], ids=["all", "toi"])
@pytest.mark.parametrize("method", ["wavelet", "superlet"])
def test_powers_over_time_are_the_same_bits(backend, method, toi):
    data, order = make(True), {"order_max": 3} if method == "superlet" else {}
    settings = {"method": method, "foi": [8, 20], "toi": toi, **order}
    wanted = spy.freqanalysis(data, parallel=False, **settings).data[()]
    for width in (None, 1, 3):
        got = spy.freqanalysis(data, chan_per_worker=width, **settings).data[()]
        np.testing.assert_array_equal(got, wanted)
