"""The front-end: bad input, call styles, coordinates, selections, history."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError


def make(n_trials=4, n_samples=120, n_channels=3):
    rng = np.random.default_rng(0)
    data = spy.AnalogData(
        rng.standard_normal((n_trials * n_samples, n_channels)).astype(np.float32),
        samplerate=100.0,
        channel=list("abcdefgh")[:n_channels],
    )
    starts = np.arange(n_trials) * n_samples
    data.definetrial(np.column_stack([starts, starts + n_samples, starts * 0 - 20, 7 + np.arange(n_trials)]))
    return data


@pytest.fixture(scope="module")
def data():
    return make()


VALUE, TYPE = InvalidValueError, InvalidTypeError
BAD = [
    ({"method": "foo"}, VALUE, "method"),
    ({"method": 3}, TYPE, "method"),
    ({"output": "phase"}, VALUE, "output"),
    ({"output": None}, VALUE, "output"),
    ({"output": 1}, TYPE, "output"),
    ({"keeptrials": 1}, TYPE, "keeptrials"),
    ({"keeptrials": "maybe"}, TYPE, "keeptrials"),
    ({"keeptapers": None}, TYPE, "keeptapers"),
    ({"demean_taper": 0}, TYPE, "demean_taper"),
    ({"ft_compat": "x"}, TYPE, "ft_compat"),
    ({"foi": 10}, TYPE, "foi"),
    ({"foi": "x"}, VALUE, "foi"),
    ({"foi": (10, 20)}, TYPE, "foi"),
    ({"foi": []}, VALUE, "foi"),
    ({"foi": [np.nan, 2]}, VALUE, "foi"),
    ({"foi": [1, np.inf]}, VALUE, "foi"),
    ({"foi": [-1, 2]}, VALUE, "foi"),
    ({"foi": [10, 51]}, VALUE, "foi"),
    ({"foi": ["a"]}, VALUE, "foi"),
    ({"foi": [[1, 2]]}, VALUE, "foi"),
    ({"foi": [10], "foilim": [1, 20]}, VALUE, "foi/foilim"),
    ({"foilim": 10}, TYPE, "foilim"),
    ({"foilim": "x"}, VALUE, "foilim"),
    ({"foilim": [-np.inf, 10]}, VALUE, "foilim"),
    ({"foilim": [1, 2, 3]}, VALUE, "foilim"),
    ({"foilim": [10, 60]}, VALUE, "foilim"),
    ({"foilim": [1.0, 1.2]}, VALUE, "foi/foilim"),
    ({"pad": True}, VALUE, "pad"),
    ({"pad": "x"}, VALUE, "pad"),
    ({"pad": None}, VALUE, "pad"),
    ({"pad": 0.1}, VALUE, "pad"),
    ({"pad": -3}, VALUE, "pad"),
    ({"pad": np.nan}, VALUE, "pad"),
    ({"polyremoval": 2}, VALUE, "polyremoval"),
    ({"polyremoval": 0.5}, VALUE, "polyremoval"),
    ({"polyremoval": "a"}, TYPE, "polyremoval"),
    ({"polyremoval": True}, TYPE, "polyremoval"),
    ({"taper": "foo"}, VALUE, "taper"),
    ({"taper": "dpss"}, VALUE, "taper"),
    ({"taper": 5}, TYPE, "taper"),
    ({"taper": "hamming", "tapsmofrq": 3}, VALUE, "taper"),
    ({"taper": None, "tapsmofrq": 3}, VALUE, "taper"),
    ({"taper": None, "taper_opt": {"beta": 1}}, VALUE, "taper_opt"),
    ({"taper": "kaiser"}, VALUE, "taper_opt"),
    ({"taper": "kaiser", "taper_opt": {"x": 1}}, VALUE, "taper_opt key"),
    ({"taper": "kaiser", "taper_opt": {"beta": "x"}}, VALUE, "taper_opt"),
    ({"taper": "kaiser", "taper_opt": [1]}, TYPE, "taper_opt"),
    ({"taper": "taylor", "taper_opt": {"nbar": 4}}, VALUE, "taper_opt"),
    ({"taper": "hann", "taper_opt": {"x": 1}}, VALUE, "taper_opt"),
    ({"tapsmofrq": -1}, VALUE, "tapsmofrq"),
    ({"tapsmofrq": "x"}, TYPE, "tapsmofrq"),
    ({"tapsmofrq": True}, TYPE, "tapsmofrq"),
    ({"tapsmofrq": np.inf}, VALUE, "tapsmofrq"),
    ({"tapsmofrq": 3, "taper_opt": {"a": 1}}, VALUE, "taper_opt"),
    ({"tapsmofrq": 3, "output": "fourier"}, VALUE, "output|keeptapers"),
    ({"tapsmofrq": 3, "nTaper": 0}, VALUE, "nTaper"),
    ({"tapsmofrq": 3, "nTaper": 2.5}, VALUE, "nTaper"),
    ({"tapsmofrq": 3, "nTaper": 10_000}, VALUE, "nTaper"),
    ({"nTaper": 0}, VALUE, "nTaper"),
    ({"parallel": "foo"}, TYPE, "parallel"),
    ({"parallel": 1}, TYPE, "parallel"),
    ({"chan_per_worker": 0}, VALUE, "chan_per_worker"),
    ({"chan_per_worker": -2}, VALUE, "chan_per_worker"),
    ({"chan_per_worker": 1.5}, TYPE, "chan_per_worker"),
    ({"chan_per_worker": True}, TYPE, "chan_per_worker"),
    ({"select": "foo"}, VALUE, "select"),
    ({"select": 3}, TYPE, "select"),
    ({"select": {"foo": 1}}, VALUE, "select"),
    ({"select": {"frequency": 10}}, VALUE, "select"),
    ({"select": {"trials": [9]}}, VALUE, "select: trials"),
    ({"select": {"trials": []}}, VALUE, "select: trials"),
    ({"select": {"channel": ["zz"]}}, VALUE, "select: channel"),
    ({"select": {"channel": -1}}, VALUE, "select: channel"),
    ({"select": {"latency": "minperiod"}}, VALUE, "select: latency"),
    ({"select": {"latency": [5, 6]}}, VALUE, "select: latency"),
    ({"select": {"latency": [0.5, 0.1]}}, VALUE, "select: latency"),
    ({"select": {"latency": 0.1}}, TYPE, "select: latency"),
]


@pytest.mark.parametrize(("settings", "error", "name"), BAD, ids=lambda v: str(v)[:60])
def test_bad_input_is_refused_by_name(data, settings, error, name, scratch):
    before = data.log, data.selection, dict(data.cfg)
    with pytest.raises(error) as caught:
        spy.freqanalysis(data, **settings)
    assert caught.value.varname == name
    assert f"`{name}`" in str(caught.value)
    assert isinstance(caught.value, ValueError if error is VALUE else TypeError)
    assert (data.log, data.selection, data.cfg) == before
    assert not list(scratch.rglob("array-*"))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (spy.AnalogData(), VALUE),
        (spy.AnalogData(np.zeros((10, 2))), VALUE),
        (spy.AnalogData(np.zeros((10, 2), complex), samplerate=1.0), VALUE),
        (spy.SpectralData(np.zeros((1, 1, 5, 2)), samplerate=1.0), TYPE),
        (3, TYPE),
        (None, TYPE),
        (np.zeros((10, 2)), TYPE),
    ],
    ids=["empty", "no samplerate", "complex", "spectral", "number", "None", "array"],
)
def test_wrong_data_is_refused(wrong, error):
    with pytest.raises(error) as caught:
        spy.freqanalysis(wrong)
    assert caught.value.varname == "data"


def test_trials_too_short_for_the_taper():
    data = spy.AnalogData(np.ones((20, 1)), samplerate=10.0)
    data.definetrial(np.array([[0, 2, 0], [2, 20, 0]]))
    with pytest.raises(InvalidValueError, match="hann window of 2 samples"):
        spy.freqanalysis(data)
    assert np.isfinite(spy.freqanalysis(data, taper=None).data[()]).all()


@pytest.mark.parametrize(("lengths", "tapsmofrq"), [([2], 3), ([1], 3), ([3, 100], 4.9), ([8, 100, 100], 4)])
def test_trials_too_short_for_the_smoothing(lengths, tapsmofrq):
    data = spy.AnalogData((np.ones((n, 1)) for n in lengths), samplerate=10.0)
    with pytest.raises(InvalidValueError, match="tapsmofrq") as caught:
        spy.freqanalysis(data, tapsmofrq=tapsmofrq)
    assert caught.value.varname == "tapsmofrq"


def test_empty_trials_are_refused(data):
    data = make()
    data.definetrial(np.array([[0, 50, 0], [60, 60, 0]]))
    with pytest.raises(InvalidValueError, match="trial"):
        spy.freqanalysis(data)


def test_coordinates(data):
    spectra = spy.freqanalysis(data, foilim=[10, 20])
    assert spectra.dimord == ["time", "taper", "freq", "channel"]
    assert list(spectra.channel) == ["a", "b", "c"]
    assert list(spectra.taper) == ["hann"]
    np.testing.assert_allclose(spectra.freq, np.arange(12, 25) * 100 / 120)
    np.testing.assert_array_equal(spectra.trialdefinition[1], [1, 2, -20, 8])
    assert spectra.time[2][0] == -0.2
    np.testing.assert_array_equal(spectra.trialinfo[:, 0], [7, 8, 9, 10])
    average = spy.freqanalysis(data, keeptrials=False)
    np.testing.assert_array_equal(average.trialdefinition, [[0, 1, 0]])


def test_limits_of_foilim_belong_to_it():
    data = spy.AnalogData(np.random.default_rng(0).standard_normal((700, 1)), samplerate=1000.0)
    freq = spy.freqanalysis(data, foilim=[30, 40]).freq
    assert freq[0] == pytest.approx(30)
    assert freq[-1] == pytest.approx(40)
    np.testing.assert_array_equal(spy.freqanalysis(data, foilim=[40, 30]).freq, freq)


def test_smoothing_is_clipped_to_what_is_possible(data, caplog):
    with caplog.at_level("INFO", logger="rayspy"):
        spectra = spy.freqanalysis(data, tapsmofrq=0, keeptapers=True)
    assert len(spectra.taper) == 1
    assert any("tapsmofrq" in m for m in caplog.messages)


def test_options_without_effect_are_told(data, caplog):
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.freqanalysis(data, nTaper=3, keeptapers=True, order_max=3)
    for name in ("nTaper", "keeptapers", "order_max"):
        assert any(f"`{name}`" in m for m in caplog.messages)


def test_average_is_the_mean_over_trials(data):
    for output in ("pow", "fourier", "angle"):
        single = spy.freqanalysis(data, output=output).data[()]
        average = spy.freqanalysis(data, output=output, keeptrials=False).data[0]
        np.testing.assert_allclose(average, single.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_averaging_unequal_trials_needs_only_equal_spectra():
    trials = [np.random.default_rng(k).standard_normal((100 + 10 * k, 2)) for k in range(3)]
    data = spy.AnalogData((t for t in trials), samplerate=100.0)
    assert spy.freqanalysis(data, keeptrials=False).data.shape == (1, 1, 61, 2)


# -- call styles ----------------------------------------------------------------------------


def reference(data):
    return spy.freqanalysis(data, method="mtmfft", output="abs", foilim=[5, 30]).data[()]


def styles():
    cfg = {"method": "mtmfft", "output": "abs", "foilim": [5, 30]}
    return {
        "f(cfg, data)": lambda d: spy.freqanalysis(cfg, d),
        "f(data, cfg)": lambda d: spy.freqanalysis(d, cfg),
        "f(data, cfg=cfg)": lambda d: spy.freqanalysis(d, cfg=cfg),
        "f(cfg) with data": lambda d: spy.freqanalysis(spy.StructDict({**cfg, "data": d})),
        "f(cfg=cfg) with dataset": lambda d: spy.freqanalysis(cfg={**cfg, "dataset": d}),
        "f(data=)": lambda d: spy.freqanalysis(data=d, **cfg),
        "f(dataset=)": lambda d: spy.freqanalysis(dataset=d, **cfg),
        "positional": lambda d: spy.freqanalysis(d, "mtmfft", "abs", foilim=[5, 30]),
        "mixed": lambda d: spy.freqanalysis({"output": "abs"}, d, foilim=[5, 30]),
        "get_defaults": lambda d: spy.freqanalysis(spy.get_defaults(spy.freqanalysis) | cfg, d),
    }


@pytest.mark.parametrize("style", styles())
def test_call_styles(data, style):
    np.testing.assert_array_equal(styles()[style](data).data[()], reference(data))


@pytest.mark.parametrize(
    ("call", "error", "name"),
    [
        (lambda d: spy.freqanalysis(d, {}, {}), VALUE, "cfg"),
        (lambda d: spy.freqanalysis(d, {}, cfg={}), VALUE, "cfg"),
        (lambda d: spy.freqanalysis(d, {"foi": [1]}, foi=[2]), VALUE, "cfg/foi"),
        (lambda d: spy.freqanalysis(d, cfg=3), TYPE, "cfg"),
        (lambda d: spy.freqanalysis({"data": d}, d), VALUE, "cfg/data"),
        (lambda d: spy.freqanalysis(d, d), VALUE, "data"),
        (lambda d: spy.freqanalysis(data=d, dataset=d), VALUE, "data"),
    ],
)
def test_wrong_call_styles(data, call, error, name):
    with pytest.raises(error) as caught:
        call(data)
    assert caught.value.varname == name


def test_no_data_is_pythons_own_error():
    with pytest.raises(TypeError, match="data"):
        spy.freqanalysis()


def test_yes_and_no_of_a_cfg_are_bools(data):
    assert len(spy.freqanalysis({"keeptrials": "no"}, data).trials) == 1


def test_the_users_cfg_is_not_changed(data):
    cfg = spy.StructDict(output="abs", foilim=[5, 30])
    spy.freqanalysis(cfg, data)
    assert cfg == {"output": "abs", "foilim": [5, 30]}


def test_replay(data):
    settings = {"tapsmofrq": 2.5, "foi": [10.0, 20.5, 7], "select": {"trials": [2, 0], "channel": ["c"]}}
    first = spy.freqanalysis(data, chan_per_worker=1, **settings)
    assert first.cfg["freqanalysis"]["foi"] == [10.0, 20.5, 7]
    again = spy.freqanalysis(data, first.cfg)
    np.testing.assert_array_equal(again.data[()], first.data[()])
    assert again.cfg == first.cfg


def test_history_is_carried_on(data):
    selected = spy.selectdata(data, trials=[1])
    spectra = spy.freqanalysis(selected)
    assert list(spectra.cfg) == ["selectdata", "freqanalysis"]
    assert "selectdata" in spectra.log
    assert "method = mtmfft" in spectra.log


# -- selections -------------------------------------------------------------------------------


def test_selection_gives_what_the_selected_data_give(data):
    select = {"trials": [3, 1], "channel": ["c", "a"], "latency": [-0.1, 0.4]}
    direct = spy.freqanalysis(data, select=select)
    copied = spy.freqanalysis(spy.selectdata(data, **select))
    np.testing.assert_array_equal(direct.data[()], copied.data[()])
    assert list(direct.channel) == ["c", "a"]
    assert direct.time[0][0] == pytest.approx(-0.1)


def test_an_attached_selection_is_used_and_kept():
    data = make()
    spy.selectdata(data, trials=[1, 2], inplace=True)
    spectra = [spy.freqanalysis(data) for _ in range(2)]
    for spectrum in spectra:
        assert spectrum.data.shape == (2, 1, 61, 3)
    assert list(data.selection.trial_ids) == [1, 2]
    with pytest.raises(InvalidValueError, match="select"):
        spy.freqanalysis(data, select={"trials": [0]})
    assert list(data.selection.trial_ids) == [1, 2]


def test_select_all(data):
    np.testing.assert_array_equal(
        spy.freqanalysis(data, select="all").data[()], spy.freqanalysis(data).data[()]
    )


def test_results_outlive_their_temporaries():
    with spy.config.using(inmemory_bytes=100):
        assert np.isfinite(spy.freqanalysis(make()).data[()]).all()
        trials = spy.freqanalysis(make()).trials
    assert np.isfinite(trials[1]).all()
