"""`timelockanalysis` against NumPy and MNE: windows, gaps, covariance, bits, bad input."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.helpers import run_on

NAMES = ["a", "b", "c"]


def recording(lengths=(40, 40, 40, 40), offsets=(-10,), seed=0, scale=1.0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = (scale * (rng.standard_normal((sum(lengths), 3)) + 1000)).astype(dtype)
    stops = np.cumsum(lengths)
    trl = np.column_stack(
        [stops - lengths, stops, np.resize(offsets, len(lengths)), np.arange(len(lengths)) + 5]
    )
    return spy.AnalogData(x, samplerate=100, channel=NAMES, trialdefinition=trl)


@pytest.mark.parametrize("scale", [1.0, 1e-14])
@pytest.mark.parametrize("block_bytes", [1, 2**24])
def test_average_variance_and_covariance_are_those_of_numpy(scale, block_bytes):
    data = recording(scale=scale)
    with spy.config.using(block_bytes=block_bytes):
        result = spy.timelockanalysis(data, covariance=True, parallel=False)
    trials = np.array(list(data.trials))
    np.testing.assert_allclose(result.avg, trials.mean(0), rtol=1e-13)
    np.testing.assert_allclose(result.var, trials.var(0), rtol=1e-9)
    np.testing.assert_allclose(result.sem, trials.std(0, ddof=1) / 2, rtol=1e-9)
    np.testing.assert_allclose(result.cov, np.mean([np.cov(t.T) for t in trials], 0), rtol=1e-9, atol=0)
    assert list(result.channel) == NAMES
    np.testing.assert_array_equal(result.trialinfo[:, 0], [5, 6, 7, 8])
    each = spy.timelockanalysis(data, covariance=True, keeptrials=True, ddof=0, parallel=False)
    np.testing.assert_allclose(each.cov, [np.cov(t.T, ddof=0) for t in trials], rtol=1e-9, atol=0)


def test_average_is_that_of_mne():
    mne = pytest.importorskip("mne")
    data = recording()
    trials = np.array(list(data.trials)).transpose(0, 2, 1)
    epochs = mne.EpochsArray(trials, mne.create_info(NAMES, 100, "misc"), tmin=-0.1, verbose="error")
    result = spy.timelockanalysis(data, parallel=False)
    np.testing.assert_allclose(result.avg, epochs.average("all").data.T, rtol=1e-12)
    # its standard error has ddof 0
    np.testing.assert_allclose(np.sqrt(result.var / 4), epochs.standard_error("all").data.T, rtol=1e-9)
    np.testing.assert_allclose(result.time[0], epochs.times, atol=1e-12)


@pytest.mark.parametrize("block_bytes", [1, 2**24])
def test_maxperiod_keeps_all_trials_and_counts_those_that_exist(block_bytes):
    data = recording((40, 30, 20, 40), (-10, -10, -5, -20))
    with spy.config.using(block_bytes=block_bytes):
        result = spy.timelockanalysis(data, covariance=True, parallel=False)
    window = np.full((4, 50, 3), np.nan)
    for k, trial in enumerate(data.trials):
        first = int(data.trialdefinition[k, 2]) + 20
        window[k, first : first + len(trial)] = trial
    np.testing.assert_array_equal(np.array(list(result.trials)), window)
    np.testing.assert_allclose(result.avg, np.nanmean(window, 0), rtol=1e-13)
    np.testing.assert_allclose(result.var, np.nanvar(window, 0), rtol=1e-9, atol=1e-20)
    np.testing.assert_array_equal(result.dof, (~np.isnan(window)).sum(0))
    np.testing.assert_allclose(result.cov, np.mean([np.cov(t.T) for t in data.trials], 0), rtol=1e-9)
    np.testing.assert_allclose(result.time[0][[0, -1]], [-0.2, 0.29])


@pytest.mark.parametrize(
    ("latency", "kept", "span"),
    [
        ("minperiod", [5, 6, 7, 8], (-0.05, 0.14)),
        ([-0.1, 0.19], [5, 6, 8], (-0.1, 0.19)),
        ("poststim", [5], (0.0, 0.29)),
        ("prestim", [8], (-0.2, 0.0)),
    ],
)
def test_windows_leave_out_trials_that_do_not_cover_them(latency, kept, span):
    data = recording((40, 30, 20, 40), (-10, -10, -5, -20))
    result = spy.timelockanalysis(data, latency=latency, parallel=False)
    assert result.trialinfo[:, 0].tolist() == kept
    np.testing.assert_allclose(result.time[0][[0, -1]], span)
    np.testing.assert_allclose(result.avg, np.mean(list(result.trials), 0), rtol=1e-13)


def test_order_of_trials_selections_and_integers():
    data = recording(dtype=np.int16)
    result = spy.timelockanalysis(data, trials=[3, 1], select={"channel": ["c", "a"]}, parallel=False)
    assert list(result.channel) == ["c", "a"]
    assert result.trialinfo[:, 0].tolist() == [8, 6]
    np.testing.assert_array_equal(result.trials[0], data.trials[3][:, [2, 0]])
    np.testing.assert_allclose(result.avg, np.mean([data.trials[k][:, [2, 0]] for k in (3, 1)], 0))


@pytest.mark.parametrize("executor", ["local-2", "ray-2", "dask-2"])
def test_bits_do_not_depend_on_executors_and_channels_per_worker(executor, request):
    data = recording((40,) * 30, dtype=np.float32)
    with spy.config.using(block_bytes=2000):
        wanted = spy.timelockanalysis(data, parallel=False)
        with run_on(executor, request) as options:
            got = spy.timelockanalysis(data, chan_per_worker=1, **options)
    np.testing.assert_array_equal(got.avg, wanted.avg)
    np.testing.assert_array_equal(got.var, wanted.var)


def test_explained():
    told = spy.explain(spy.timelockanalysis, recording())
    assert (told.n_trials, told.shape, told.dtype) == (4, (40, 3), "float64")
    told = spy.explain(spy.timelockanalysis, recording((40, 30), (-10, -20)))
    assert told.shape == (100, 3)


def test_saved_with_its_statistics(tmp_path):
    result = spy.timelockanalysis(recording(), covariance=True, parallel=False)
    result.save(container=str(tmp_path / "kept"))
    loaded = spy.load(str(tmp_path / "kept"))
    for name in ("avg", "var", "dof", "cov"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result, name))


@pytest.mark.parametrize(
    ("error", "name", "settings"),
    [
        (InvalidValueError, "latency", {"latency": "foo"}),
        (InvalidValueError, "latency", {"latency": [5.0, 6.0]}),
        (InvalidValueError, "latency", {"latency": [0.2, 0.1]}),
        (InvalidValueError, "trials", {"trials": [0, 2], "select": {"trials": [1, 2]}}),
        (InvalidValueError, "latency", {"latency": [0, 0.1], "select": {"latency": [0, 0.2]}}),
        (InvalidValueError, "trials", {"trials": [9]}),
        (InvalidValueError, "ddof", {"ddof": -1}),
        (InvalidValueError, "ddof", {"ddof": 40, "covariance": True}),
        (InvalidTypeError, "ddof", {"ddof": "1"}),
        (InvalidTypeError, "covariance", {"covariance": 1}),
        (InvalidTypeError, "keeptrials", {"keeptrials": 1}),
    ],
)
def test_bad_input(error, name, settings):
    with pytest.raises(error, match=name):
        spy.timelockanalysis(recording(), **settings)
