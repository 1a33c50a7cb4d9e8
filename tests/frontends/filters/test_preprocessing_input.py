"""Bad input to filters and resampling: the right error, by name, before anything is computed."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

VALUE, TYPE = InvalidValueError, InvalidTypeError
FIR = {"filter_class": "firws", "freq": 30}
PREPROCESSING = [
    ({}, TYPE, "freq"),
    ({"freq": "x"}, TYPE, "freq"),
    ({"freq": True}, TYPE, "freq"),
    ({"freq": [30, 60]}, TYPE, "freq"),
    ({"freq": np.nan}, VALUE, "freq"),
    ({"freq": -1}, VALUE, "freq"),
    ({"freq": 0}, VALUE, "freq"),
    ({"freq": 100}, VALUE, "freq"),
    ({"filter_type": "hp", "freq": 300}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": 30}, TYPE, "freq"),
    ({"filter_type": "bp"}, TYPE, "freq"),
    ({"filter_type": "bs", "freq": [30, 30]}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": [30, 40, 50]}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": [30, np.nan]}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": [30, 101]}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": [0, 30]}, VALUE, "freq"),
    ({"filter_type": "bp", "freq": ["a", "b"]}, VALUE, "freq"),
    ({"filter_class": "firws", "freq": 0}, VALUE, "freq"),
    ({"filter_type": "foo", "freq": 30}, VALUE, "filter_type"),
    ({"filter_type": None, "freq": 30}, VALUE, "filter_type"),
    ({"filter_type": 3, "freq": 30}, TYPE, "filter_type"),
    ({"filter_class": "foo", "freq": 30}, VALUE, "filter_class"),
    ({"filter_class": 1, "freq": 30}, TYPE, "filter_class"),
    ({"filter_class": None}, VALUE, "filter_class/polyremoval/zscore"),
    ({"filter_class": None, "rectify": True}, VALUE, "filter_class/polyremoval/zscore"),
    ({"filter_class": None, "hilbert": "abs"}, VALUE, "filter_class/polyremoval/zscore"),
    ({"freq": 30, "order": -1}, VALUE, "order"),
    ({"freq": 30, "order": 0}, VALUE, "order"),
    ({"freq": 30, "order": 2.5}, VALUE, "order"),
    ({"freq": 30, "order": "x"}, TYPE, "order"),
    ({**FIR, "order": -3}, VALUE, "order"),
    ({**FIR, "order": [3]}, TYPE, "order"),
    ({"freq": 30, "direction": "onepass-minphase"}, VALUE, "direction"),
    ({"freq": 30, "direction": "forward"}, VALUE, "direction"),
    ({**FIR, "direction": 2}, TYPE, "direction"),
    ({"freq": 30, "window": "hann"}, VALUE, "window"),
    ({"freq": 30, "window": "foo"}, VALUE, "window"),
    ({**FIR, "window": "kaiser"}, VALUE, "window"),
    ({**FIR, "window": None}, VALUE, "window"),
    ({**FIR, "padtype": "zeros"}, VALUE, "padtype"),
    ({**FIR, "padtype": None}, VALUE, "padtype"),
    ({"freq": 30, "padtype": 3}, TYPE, "padtype"),
    ({"freq": 30, "polyremoval": 2}, VALUE, "polyremoval"),
    ({"freq": 30, "polyremoval": "x"}, TYPE, "polyremoval"),
    ({"freq": 30, "zscore": 1}, VALUE, "zscore"),
    ({"freq": 30, "zscore": None}, VALUE, "zscore"),
    ({"freq": 30, "rectify": "x"}, VALUE, "rectify"),
    ({"freq": 30, "hilbert": True}, VALUE, "hilbert"),
    ({"freq": 30, "hilbert": "pow"}, VALUE, "hilbert"),
    ({"freq": 30, "hilbert": 3}, VALUE, "hilbert"),
    ({"freq": 30, "hilbert": "angle", "rectify": True}, VALUE, "rectify/hilbert"),
    ({"freq": 30, "order": 50}, VALUE, "data"),
    ({"freq": 1e-7, "order": 8, "direction": "onepass"}, VALUE, "order/freq"),
    ({"freq": 30, "parallel": "foo"}, TYPE, "parallel"),
    ({"freq": 30, "chan_per_worker": 0}, VALUE, "chan_per_worker"),
    ({"freq": 30, "select": {"frequency": 3}}, VALUE, "select"),
    ({"freq": 30, "select": {"latency": [-0.9, -0.87]}}, VALUE, "data"),
]
RESAMPLEDATA = [
    ({"resamplefs": 0.5}, VALUE, "resamplefs"),
    ({"resamplefs": 600}, VALUE, "resamplefs"),
    ({"resamplefs": "x"}, TYPE, "resamplefs"),
    ({"resamplefs": None}, TYPE, "resamplefs"),
    ({"resamplefs": [50]}, TYPE, "resamplefs"),
    ({"resamplefs": np.inf}, VALUE, "resamplefs"),
    ({"resamplefs": 133, "method": "downsample"}, VALUE, "resamplefs"),
    ({"resamplefs": 100, "method": "foo"}, VALUE, "method"),
    ({"resamplefs": 100, "method": 4}, TYPE, "method"),
    ({"resamplefs": 100, "method": None}, VALUE, "method"),
    ({"resamplefs": 100, "lpfreq": 51}, VALUE, "lpfreq"),
    ({"resamplefs": 100, "lpfreq": -1}, VALUE, "lpfreq"),
    ({"resamplefs": 100, "lpfreq": 0}, VALUE, "lpfreq"),
    ({"resamplefs": 100, "lpfreq": "x"}, TYPE, "lpfreq"),
    ({"resamplefs": 100, "padtype": "median"}, VALUE, "padtype"),
    ({"resamplefs": 100, "order": -1}, VALUE, "order"),
    ({"resamplefs": 100, "order": 1.5}, VALUE, "order"),
    ({"resamplefs": 100, "order": "x"}, TYPE, "order"),
    ({"resamplefs": 100, "chan_per_worker": "x"}, TYPE, "chan_per_worker"),
    ({"resamplefs": 100, "select": {"trials": [99]}}, VALUE, "select: trials"),
]
NOTCH = [
    ({"freq": 0}, VALUE, "freq"),
    ({"freq": 100}, VALUE, "freq"),
    ({"freq": "x"}, TYPE, "freq"),
    ({"freq": None}, TYPE, "freq"),
    ({"freq": [50]}, TYPE, "freq"),
    ({"n_harmonics": 2}, VALUE, "n_harmonics"),
    ({"n_harmonics": 0}, VALUE, "n_harmonics"),
    ({"n_harmonics": 1.5}, VALUE, "n_harmonics"),
    ({"width": 0}, VALUE, "width"),
    ({"width": -1}, VALUE, "width"),
    ({"width": 51}, VALUE, "width"),
    ({"width": "x"}, TYPE, "width"),
    ({"direction": "onepass-minphase"}, VALUE, "direction"),
    ({"direction": None}, VALUE, "direction"),
    ({"select": {"latency": [-0.9, -0.88]}}, VALUE, "data"),
]
LINE = [
    ({"freq": np.nan}, VALUE, "freq"),
    ({"freq": -50}, VALUE, "freq"),
    ({"n_harmonics": 3}, VALUE, "n_harmonics"),
    ({"window": 0.03}, VALUE, "window"),
    ({"window": None}, TYPE, "window"),
    ({"window": np.inf}, VALUE, "window"),
    ({"select": {"latency": [-0.9, -0.88]}}, VALUE, "data/freq"),
]
BAD = [("preprocessing", *bad) for bad in PREPROCESSING] + [("resampledata", *bad) for bad in RESAMPLEDATA]
BAD += [("notchfilter", *bad) for bad in NOTCH] + [("linefilter", *bad) for bad in LINE]


@pytest.fixture(scope="module")
def data():
    return spy.synthdata.white_noise(nTrials=3, nSamples=120, nChannels=3, samplerate=200, seed=1)


@pytest.mark.parametrize(("function", "settings", "error", "name"), BAD, ids=lambda v: str(v)[:60])
def test_bad_input_is_refused_by_name(data, function, settings, error, name, scratch):
    before = data.log, data.selection, dict(data.cfg)
    with pytest.raises(error) as caught:
        getattr(spy, function)(data, **settings)
    assert caught.value.varname == name
    assert f"`{name}`" in str(caught.value)
    assert (data.log, data.selection, data.cfg) == before
    assert not list(scratch.rglob("array-*"))


@pytest.mark.parametrize("function", ["preprocessing", "resampledata"])
def test_only_real_analog_data_with_a_rate(data, function):
    run = getattr(spy, function)
    settings = {"freq": 30} if function == "preprocessing" else {"resamplefs": 50}
    spectra = spy.freqanalysis(data)
    for wrong, error in (
        (spectra, TYPE),
        (spy.AnalogData(), VALUE),
        (spy.AnalogData(np.ones((50, 2))), VALUE),
        (spy.AnalogData(np.ones((50, 2), complex), samplerate=200), VALUE),
    ):
        with pytest.raises(error, match="`data`"):
            run(wrong, **settings)
    with pytest.raises(TYPE, match="data"):
        run(np.ones((50, 2)), **settings)


def test_ratios_beyond_small_fractions():
    fast = spy.AnalogData(np.ones((100, 1)), samplerate=3e6)
    slow = spy.resampledata(fast, resamplefs=1000)
    assert (slow.samplerate, slow.data.shape) == (1000, (1, 1))
    assert slow.data[0, 0] == pytest.approx(1, rel=1e-12)
    with pytest.raises(VALUE, match="denominator") as caught:
        spy.resampledata(fast, resamplefs=1, order=1000)
    assert caught.value.varname == "resamplefs"
    with spy.config.using(memory_budget="1GB"), pytest.raises(spy.errors.MemoryBudgetError):
        spy.resampledata(fast, resamplefs=1)


ORDERS = [(1000, 333, 1332), (999.9, 500, 20_000), (1000, 300, 12)]


@pytest.mark.parametrize(("rate", "new", "needed"), ORDERS)
def test_orders_with_fewer_than_four_taps_per_phase(rate, new, needed):
    data = spy.AnalogData(np.ones((100, 1)), samplerate=rate)
    with pytest.raises(VALUE, match=f"{needed} or more") as caught:
        spy.resampledata(data, resamplefs=new, order=needed - 2)
    assert caught.value.varname == "order"
    spy.set_loglevel("ERROR")
    assert len(spy.resampledata(data, resamplefs=new, order=needed).trials) == 1


def test_options_without_effect_are_reported(data, caplog):
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.preprocessing(data, freq=30, resamplefs=3)
        spy.resampledata(data, resamplefs=50, taper=3)
        spy.resampledata(data, resamplefs=50, method="downsample", order=4)
        spy.resampledata(data, resamplefs=50, method="downsample", lpfreq=20, order=50)
        spy.resampledata(data, resamplefs=61.3, order=2452)
    words = "resamplefs", "taper", "order` has no effect", "order 50 is short", "will alias"
    for word, text in zip(words, caplog.messages, strict=True):
        assert word in text
