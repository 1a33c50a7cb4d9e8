"""Values that nothing accepts: the error is one of rayspy's own and names the parameter."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

RAGGED = [[1], [1, 2]]
HUGE = 10**400
ZERO_D = np.array(1)
NAME = np.array("channel1")
ERRORS = (InvalidTypeError, InvalidValueError)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return spy.AnalogData([rng.standard_normal((60, 3)) for _ in range(3)], samplerate=100)


@pytest.fixture(scope="module")
def spectra():
    return spy.SpectralData(np.ones((4, 1, 3, 2)), samplerate=10, freq=[1, 2, 3])


@pytest.fixture(scope="module")
def events():
    return spy.EventData(np.array([[10, 1], [30, 2], [50, 1], [80, 2]]), samplerate=100)


def refused(name, function, *args, **kwargs):
    with pytest.raises(ERRORS) as caught:
        function(*args, **kwargs)
    assert name in caught.value.varname.split("/")
    assert f"`{caught.value.varname}`" in str(caught.value)


@pytest.mark.parametrize("value", [RAGGED, HUGE, [HUGE], ZERO_D, np.array([{}])], ids=str)
def test_trials(data, spectra, events, value):
    for obj in (data, spectra, events):
        refused("select: trials", spy.selectdata, obj, trials=value)
        refused("select: trials", spy.show, obj, trials=value)
    refused("trials", spy.redefinetrial, data, trials=value)


@pytest.mark.parametrize(
    "value",
    [RAGGED, HUGE, ZERO_D, NAME, slice("a"), slice(0, 2, 0), slice(3, 3), range(0), range(-1, 1), np.eye(2)],
    ids=str,
)
def test_names(data, spectra, value):
    refused("select: channel", spy.selectdata, data, channel=value)
    refused("select: channel", spy.show, data, channel=value)
    refused("select: channel", spy.preprocessing, data, freq=20, select={"channel": value})
    refused("select: taper", spy.selectdata, spectra, taper=value)


@pytest.mark.parametrize("value", [RAGGED, HUGE, [0, HUGE], ZERO_D, [1], "x", np.eye(2)], ids=str)
def test_windows(data, spectra, events, value):
    for obj in (data, spectra, events):
        refused("latency", spy.selectdata, obj, latency=value)
    refused("toilim", spy.redefinetrial, data, toilim=value)
    refused("select: frequency", spy.selectdata, spectra, frequency=value if value is not ZERO_D else [1])


@pytest.mark.parametrize("value", [RAGGED, HUGE, [HUGE], ZERO_D, NAME, np.eye(2), []], ids=str)
def test_codes(events, value):
    refused("select: eventid", spy.selectdata, events, eventid=value)


@pytest.mark.parametrize("name", ["pre", "post", "start", "trigger", "stop"])
@pytest.mark.parametrize("value", [RAGGED, HUGE, [HUGE], NAME, np.array(0.1), np.eye(2)], ids=str)
def test_definitions(data, events, name, value):
    obj = data.copy()
    given = {"trigger": 1, "pre": 0.1, "post": 0.1, name: value}
    if name == "start":
        del given["pre"]
    if name == "stop":
        del given["post"]
    refused(name, spy.definetrial, obj, events, **given)
    np.testing.assert_array_equal(obj.trialdefinition, data.trialdefinition)


def test_margins_need_a_samplerate_of_the_events(data):
    timeless = spy.EventData(np.array([[10, 1]]))
    refused("trialdefinition", spy.definetrial, data.copy(), timeless, trigger=1, pre=0.1, post=0.1)


@pytest.mark.parametrize("name", ["minlength", "offset", "begsample", "endsample", "trl"])
@pytest.mark.parametrize("value", [RAGGED, HUGE, [HUGE], NAME, np.ones((2, 2, 2)), 1j, set()], ids=str)
def test_redefinitions(data, name, value):
    given = {name: value}
    if name in ("begsample", "endsample"):
        given = {"begsample": 0, "endsample": 10, name: value}
    refused(name, spy.redefinetrial, data, **given)


@pytest.mark.parametrize(
    ("function", "name", "others"),
    [
        (spy.preprocessing, "freq", {}),
        (spy.preprocessing, "order", {"freq": 20}),
        (spy.preprocessing, "polyremoval", {"freq": 20}),
        (spy.resampledata, "resamplefs", {}),
        (spy.resampledata, "lpfreq", {"resamplefs": 50}),
        (spy.notchfilter, "freq", {}),
        (spy.notchfilter, "width", {"freq": 20}),
        (spy.linefilter, "window", {"freq": 20}),
    ],
)
def test_numbers(data, function, name, others):
    for value in (HUGE, -HUGE, RAGGED, 1j, np.nan):
        refused(name, function, data, **{name: value}, **others)


@pytest.mark.parametrize("value", [ZERO_D[np.newaxis], NAME, np.array([]), np.eye(2), 1.5, True], ids=str)
def test_channels_per_worker(data, value):
    refused("chan_per_worker", spy.preprocessing, data, freq=20, chan_per_worker=value)


@pytest.mark.parametrize("operand", [HUGE, -HUGE, RAGGED, 1e400])
def test_operands(data, operand):
    for function in (lambda: data + operand, lambda: operand - data, lambda: data**operand):
        refused("operand", function)


def test_labels():
    for value in (RAGGED, NAME, [["a"], ["b", "c"]]):
        refused("channel", spy.AnalogData, np.zeros((4, 2)), channel=value)
        refused("freq", spy.SpectralData, np.zeros((1, 1, 2, 2)), freq=value)
    refused("samplerate", spy.AnalogData, np.zeros((4, 2)), samplerate=HUGE)


@pytest.mark.parametrize("order", [400, 1000, 10**6])
def test_orders_beyond_any_recursive_filter(data, order):
    refused("order", spy.preprocessing, data, freq=20, order=order)


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (spy.preprocessing, {"filter_class": "firws", "freq": 20}),
        (spy.resampledata, {"resamplefs": 30}),
        (spy.resampledata, {"resamplefs": 50, "method": "downsample", "lpfreq": 20}),
    ],
)
def test_orders_beyond_all_memory(data, function, settings):
    for order in (10**7 + 1, 10**15):
        refused("order", function, data, order=order, **settings)


def test_harmonics_without_end(data):
    for function in (spy.notchfilter, spy.linefilter):
        refused("n_harmonics", function, data, freq=1e-9)
        refused("n_harmonics", function, data, freq=1e-9, n_harmonics=10**6)


def test_windows_longer_than_all_numbers(data):
    wanted = spy.linefilter(data, freq=20, window=10, parallel=False).data[()]
    for window in (1e12, 1e300):
        got = spy.linefilter(data, freq=20, window=window, parallel=False).data[()]
        np.testing.assert_array_equal(got, wanted)


def test_settings_of_a_filter_that_is_not_there(data, caplog):
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.preprocessing(data, filter_class=None, zscore=True, freq=20, order=3, parallel=False)
        assert ["`freq`" in caplog.messages[0], "`order`" in caplog.messages[1]] == [True, True]
        caplog.clear()
        spy.preprocessing(data, filter_class=None, zscore=True, parallel=False)
    assert not caplog.messages


@pytest.mark.parametrize(
    "function",
    [
        lambda data: spy.resampledata(data, resamplefs=330),
        lambda data: spy.resampledata(data, resamplefs=250, method="downsample", lpfreq=80),
        lambda data: spy.preprocessing(data, filter_class="firws", freq=40),
        lambda data: spy.notchfilter(data, freq=50),
        lambda data: spy.baseline(data, (None, 0.1)),
        lambda data: spy.freqanalysis(data, method="wavelet", foi=[20]),
    ],
    ids=["resample", "downsample", "filter", "notch", "baseline", "wavelet"],
)
def test_half_precision_is_computed_in_single(function):
    values = np.random.default_rng(0).normal(size=(600, 2)).astype(np.float16)
    half, single = (function(spy.AnalogData(v, samplerate=1000)) for v in (values, values.astype("f4")))
    assert half.data.dtype == np.float32
    np.testing.assert_array_equal(half.data[()], single.data[()])
