"""`mean`, `std`, `var`, `median`, `itc`: numbers, labels, NaN, types, cuts, errors."""

import warnings

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

FUNCTIONS = ["mean", "std", "var", "median"]
NAN = {"mean": np.nanmean, "std": np.nanstd, "var": np.nanvar, "median": np.nanmedian}
PLAIN = {"mean": np.mean, "std": np.std, "var": np.var, "median": np.median}


def analog(dtype=np.float32, dimord=None, lengths=(50, 50, 50)):
    rng = np.random.default_rng(0)
    trials = [(100 * rng.standard_normal((n, 4))).astype(dtype) for n in lengths]
    edges = np.cumsum([0, *lengths])
    trl = np.column_stack([edges[:-1], edges[1:], np.full(len(lengths), -10), 7 + np.arange(len(lengths))])
    data = np.concatenate(trials)
    return spy.AnalogData(
        data if dimord is None else data.T.copy(), trialdefinition=trl, samplerate=100.0, dimord=dimord
    )


def spectral(dtype=np.float32, with_nan=False):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((12, 2, 5, 3)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        x = x * np.exp(1j * rng.uniform(0, 6, x.shape)).astype(dtype)
    if with_nan:
        x[1, 0, 2, 1] = np.nan
        x[:, :, 4, 2] = np.nan
    trl = np.array([[0, 4, 0], [4, 8, 0], [8, 12, 0]])
    return spy.SpectralData(x, trialdefinition=trl, samplerate=10.0, freq=list(range(1, 6)))


def trials_of(data):
    return [np.asarray(trial) for trial in data.trials]


@pytest.mark.parametrize("with_nan", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_trials_as_numpy(name, with_nan):
    data = spectral(with_nan=with_nan)
    for axis, dim in enumerate(data.dimord):
        got = getattr(spy, name)(data, dim)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            wanted = [NAN[name](t.astype(np.float64), axis=axis, keepdims=True) for t in trials_of(data)]
        assert got.data.dtype == np.float32
        for one, two in zip(got.trials, wanted, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)
        averaged = getattr(spy, name)(data, dim, keeptrials=False)
        np.testing.assert_allclose(averaged.trials[0], np.mean(wanted, axis=0), rtol=2e-6, atol=1e-7)
        assert len(averaged.trials) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_over_trials_as_numpy(name, dtype):
    if name == "median" and dtype is np.complex64:
        pytest.skip("complex numbers have no median")
    for data in (spectral(dtype), analog(dtype if dtype is not np.complex64 else np.float32)):
        got = getattr(spy, name)(data, "trials")
        wide = np.complex128 if data.data.dtype.kind == "c" else np.float64
        wanted = PLAIN[name](np.stack(trials_of(data)).astype(wide), axis=0)
        np.testing.assert_allclose(got.trials[0], wanted, rtol=2e-6, atol=1e-6)
        real = np.empty(0, data.data.dtype).real.dtype
        assert got.data.dtype == (real if name in ("std", "var") else data.data.dtype)


@pytest.mark.parametrize(("dtype", "wanted"), [(np.int16, np.float32), (np.int32, np.float64)])
def test_whole_numbers_get_a_fraction(dtype, wanted):
    data = analog(dtype)
    for dim in ("trials", "time", "channel"):
        got = spy.mean(data, dim)
        assert got.data.dtype == wanted
        assert (got.data[()] % 1 != 0).any()


def test_labels_times_and_trialinfo():
    data = analog()
    over_time = spy.mean(data, "time")
    np.testing.assert_array_equal(over_time.trialdefinition, [[0, 1, 0, 7], [1, 2, 0, 8], [2, 3, 0, 9]])
    over_channels = spy.std(data, "channel")
    assert list(over_channels.channel) == ["std"]
    np.testing.assert_array_equal(over_channels.trialdefinition, data.trialdefinition)
    over_trials = spy.var(data, "trials")
    np.testing.assert_array_equal(over_trials.trialdefinition, [[0, 50, -10, 7]])
    assert list(over_trials.channel) == list(data.channel)
    spectra = spectral()
    assert list(spy.median(spectra, "taper").taper) == ["median"]
    assert list(spy.mean(spectra, "freq").freq) == [0.0]


def test_another_order_of_dimensions():
    got = spy.mean(analog(dimord=["channel", "time"]), "channel")
    np.testing.assert_array_equal(got.data[()].T, spy.mean(analog(), "channel").data[()])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dim", ["trials", "time", "channel"])
def test_cuts_change_no_bit(name, dim):
    data = analog(np.float64)
    with spy.config.using(block_bytes=1000):
        wanted = getattr(spy, name)(data, dim, parallel=False).data[()]
        for width in (None, 1, 3):
            got = getattr(spy, name)(data, dim, chan_per_worker=width)
            np.testing.assert_array_equal(got.data[()], wanted)


def test_selections_cfg_and_history():
    data = analog(lengths=(50, 40, 50))
    got = spy.mean(data, dim="trials", select={"trials": [0, 2], "channel": ["channel3", "channel1"]})
    x = np.stack([data.trials[0], data.trials[2]])[:, :, [2, 0]]
    np.testing.assert_allclose(got.data[()], x.mean(axis=0), rtol=1e-5)
    assert "mean" in got.cfg
    assert "dim" in got.log
    again = spy.mean(data, cfg=got.cfg)
    np.testing.assert_array_equal(again.data[()], got.data[()])
    repeated = spy.mean(data, "trials", select={"trials": [1, 1]})
    np.testing.assert_allclose(repeated.data[()], data.trials[1], rtol=1e-6)


def test_trials_at_different_times_are_told(caplog):
    data = analog()
    trl = data.trialdefinition.copy()
    trl[1, 2] = 0
    data.trialdefinition = trl
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.mean(data, "trials")
    assert "different times" in caplog.text


def test_inter_trial_coherence():
    data = spectral(np.complex64)
    x = np.stack(trials_of(data)).astype(np.complex128)
    wanted = np.abs((x / np.abs(x)).mean(axis=0).mean(axis=1, keepdims=True))
    got = spy.itc(data)
    np.testing.assert_allclose(got.trials[0], wanted, rtol=1e-6)
    assert list(got.taper) == ["taper1"]
    one = spy.itc(data, select={"trials": [1], "taper": [0]})
    np.testing.assert_allclose(one.data[()], 1, rtol=1e-6)
    np.testing.assert_allclose(spy.itc(data * 1e-15).data[()], got.data[()], rtol=1e-6)


BAD = {
    "a dimension that is not there": (lambda: spy.mean(analog(), "freq"), InvalidValueError, "dim"),
    "no dimension": (lambda: spy.mean(analog(), None), (InvalidTypeError, InvalidValueError), "dim"),
    "an array": (lambda: spy.mean(np.zeros((3, 3)), "time"), (InvalidTypeError, TypeError), "spy_data"),
    "an empty object": (lambda: spy.std(spy.AnalogData(), "time"), InvalidValueError, "empty"),
    "a table": (
        lambda: spy.mean(spy.EventData(np.array([[1, 1]]), samplerate=10.0), "sample"),
        InvalidTypeError,
        "spy_data",
    ),
    "unequal trials": (lambda: spy.mean(analog(lengths=(9, 8)), "trials"), InvalidValueError, "equal length"),
    "unequal trials averaged": (
        lambda: spy.mean(analog(lengths=(9, 8)), "channel", keeptrials=False),
        InvalidValueError,
        "equal length",
    ),
    "a complex median": (lambda: spy.median(spectral(np.complex64), "time"), InvalidTypeError, "median"),
    "keeptrials": (lambda: spy.var(analog(), "time", keeptrials=2), InvalidTypeError, "keeptrials"),
    "real spectra": (lambda: spy.itc(spectral()), InvalidValueError, "complex"),
    "signals": (lambda: spy.itc(analog()), InvalidTypeError, "spec_data"),
    "a selector": (lambda: spy.itc(spectral(np.complex64), select={"unit": 1}), InvalidValueError, "unit"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, error, text = BAD[case]
    with pytest.raises(error, match=text):
        call()
