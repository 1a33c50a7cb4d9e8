"""Selections against a plain NumPy model, through `selectdata`, `show` and in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

RATE = 10.0
CHANNELS = ["a", "b", "c", "d"]
ARRAY = np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32)
TRL = np.array([[0, 20, -5, 1], [20, 45, -5, 2], [45, 60, 0, 3], [60, 100, -10, 4]], dtype=float)


def make(dimord: list[str] | None = None) -> spy.AnalogData:
    array = ARRAY.T if dimord else ARRAY
    return spy.AnalogData(array, samplerate=RATE, trialdefinition=TRL, channel=CHANNELS, dimord=dimord)


trial_lists = (
    st.none() | st.just("all") | st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=1, max_size=6)
)
channel_lists = st.one_of(
    st.none(),
    st.just("all"),
    st.sampled_from(CHANNELS),
    st.integers(0, 3),
    st.lists(st.integers(0, 3) | st.sampled_from(CHANNELS), min_size=1, max_size=6),
    st.builds(range, st.integers(0, 1), st.integers(2, 4)),
    st.builds(slice, st.integers(0, 1), st.integers(2, 4)),
)
seconds = st.integers(-15, 40).map(lambda n: n / 10) | st.floats(-1.5, 4)
windows = st.none() | st.just("all") | st.tuples(seconds, seconds).map(lambda pair: sorted(pair))


def model(
    trials: Any, channel: Any, latency: Any
) -> list[tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Number, data and time axis of each selected trial."""
    numbers = range(4) if trials in (None, "all") else [trials] if isinstance(trials, int) else trials
    if channel is None or (isinstance(channel, str) and channel == "all"):
        columns = list(range(4))
    elif isinstance(channel, slice):
        columns = list(range(4))[channel]
    else:
        items = [channel] if isinstance(channel, (str, int)) else list(channel)
        columns = [CHANNELS.index(c) if isinstance(c, str) else c for c in items]
    picked = []
    for k in numbers:
        start, stop, offset = TRL[k, :3].astype(int)
        samples = np.arange(start, stop)
        times = (samples - start + offset) / RATE
        if isinstance(latency, list):
            low, high = latency
            inside = (times >= low - 1e-7) & (times <= high + 1e-7)
            grid = np.arange(-1000, 1000) / RATE
            wanted = grid[(grid >= low - 1e-7) & (grid <= high + 1e-7)]
            if not len(wanted) or wanted[0] < times[0] - 1e-7 or wanted[-1] > times[-1] + 1e-7:
                continue
            samples, times = samples[inside], times[inside]
        picked.append((k, ARRAY[samples][:, columns], times))
    return picked


@settings(deadline=None, max_examples=150)
@given(trial_lists, channel_lists, windows, st.sampled_from([None, ["channel", "time"]]))
def test_selectdata_does_what_the_model_does(trials: Any, channel: Any, latency: Any, dimord: Any) -> None:
    data = make(dimord)
    select = {"trials": trials, "channel": channel, "latency": latency}
    expected = model(trials, channel, latency)
    if not expected:
        with pytest.raises(InvalidValueError, match="latency"):
            data.selectdata(**select, parallel=False)
        return
    found = data.selectdata(**select, parallel=False)
    assert found.data.dtype == ARRAY.dtype
    assert len(found.trials) == len(expected)
    for k, (number, array, times) in enumerate(expected):
        np.testing.assert_array_equal(found.trials[k], array.T if dimord else array)
        np.testing.assert_allclose(found.time[k], times, atol=1e-9)
        assert found.trialinfo[k, 0] == number + 1
    np.testing.assert_array_equal(found.sampleinfo[:, 0], np.r_[0, found.sampleinfo[:-1, 1]])
    assert found.sampleinfo[-1, 1] == found.data.shape[found.dimord.index("time")]
    assert data.selection is None
    assert found.cfg["selectdata"].keys() >= {key for key, value in select.items() if value is not None}


@settings(deadline=None, max_examples=100)
@given(trial_lists, channel_lists, windows)
def test_in_place_selection_shows_the_same(trials: Any, channel: Any, latency: Any) -> None:
    expected = model(trials, channel, latency)
    if not expected:
        return
    data = make()
    select = {"trials": trials, "channel": channel, "latency": latency}
    assert data.selectdata(**select, inplace=True) is None
    assert list(data.selection.trial_ids) == [number for number, _, _ in expected]
    for number, array, times in expected:
        np.testing.assert_array_equal(data.selection.trials[number], array)
        np.testing.assert_allclose(data.selection.time[number], times, atol=1e-9)
    for found, (_, array, _) in zip(data.selection.trials, expected, strict=True):
        np.testing.assert_array_equal(found, array)
    assert data.data.shape == ARRAY.shape
    assert data.selectdata(clear=True) is None
    assert data.selection is None


@pytest.mark.parametrize(
    ("word", "low", "high"),
    [("maxperiod", -1, 2.9), ("minperiod", 0, 1.4), ("prestim", -1, 0), ("poststim", 0, 2.9)],
)
def test_latency_words(word: str, low: float, high: float) -> None:
    found = make().selectdata(latency=word, parallel=False)
    expected = model(None, None, [low, high])
    assert found.trialinfo[:, 0].tolist() == [number + 1 for number, _, _ in expected]
    np.testing.assert_array_equal(found.trials[0], expected[0][1])


def test_latency_word_refers_to_the_selected_trials() -> None:
    found = make().selectdata(trials=[0, 1], latency="minperiod", parallel=False)
    np.testing.assert_allclose(found.trialintervals, [[-0.5, 1.4]] * 2)


def test_dropped_trials_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="rayspy"):
        found = make().selectdata(latency=[-0.5, 0.5], parallel=False)
    assert len(found.trials) == 3
    assert "left out 1 trials that do not cover latency" in caplog.text


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"trials": [-1]}, InvalidValueError, "select: trials"),
    ({"trials": [9]}, InvalidValueError, "select: trials"),
    ({"trials": "foo"}, InvalidValueError, "select: trials"),
    ({"trials": range(2)}, InvalidTypeError, "select: trials"),
    ({"trials": (1, 2)}, InvalidTypeError, "select: trials"),
    ({"trials": True}, InvalidTypeError, "select: trials"),
    ({"trials": [True, False]}, InvalidValueError, "select: trials"),
    ({"trials": [1.5]}, InvalidValueError, "select: trials"),
    ({"trials": [np.nan]}, InvalidValueError, "select: trials"),
    ({"trials": []}, InvalidValueError, "select: trials"),
    ({"channel": -1}, InvalidValueError, "select: channel"),
    ({"channel": [-1]}, InvalidValueError, "select: channel"),
    ({"channel": ["foo"]}, InvalidValueError, "select: channel"),
    ({"channel": [9]}, InvalidValueError, "select: channel"),
    ({"channel": [np.nan]}, InvalidValueError, "select: channel"),
    ({"channel": np.inf}, InvalidValueError, "select: channel"),
    ({"channel": 1j}, InvalidValueError, "select: channel"),
    ({"channel": []}, InvalidValueError, "select: channel"),
    ({"channel": {"a"}}, InvalidTypeError, "select: channel"),
    ({"latency": [0.1, -0.2]}, InvalidValueError, "latency"),
    ({"latency": [-0.2]}, InvalidValueError, "latency"),
    ({"latency": [0, np.nan]}, InvalidValueError, "latency"),
    ({"latency": ["a", "b"]}, InvalidValueError, "latency"),
    ({"latency": 0.1}, InvalidTypeError, "latency"),
    ({"latency": (-0.2, 0.1)}, InvalidTypeError, "latency"),
    ({"latency": "foo"}, InvalidValueError, "latency"),
    ({"latency": [-np.inf, 0]}, InvalidValueError, "latency"),
    ({"latency": [-10, 10]}, InvalidValueError, "latency"),
    ({"frequency": [1, 2]}, InvalidValueError, "selection arguments"),
    ({"taper": 0}, InvalidValueError, "selection arguments"),
    ({"foo": 1}, InvalidValueError, "option of selectdata"),
    ({"toilim": [0, 1]}, InvalidValueError, "selection kwargs"),
    ({"select": {"trials": [0]}}, InvalidValueError, "selection kwargs"),
    ({"chan_per_worker": 1}, InvalidValueError, "selection kwargs"),
    ({"inplace": 1}, InvalidTypeError, "inplace"),
    ({"clear": "yes please"}, InvalidTypeError, "clear"),
    ({"clear": True, "trials": [0]}, InvalidValueError, "select"),
]


@pytest.mark.parametrize(("select", "error", "name"), WRONG)
def test_wrong_selections(select: dict[str, Any], error: type[Exception], name: str) -> None:
    data = make()
    data.selection = {"trials": [1]}
    before = data.selection.trial_ids
    for extra in ({}, {"inplace": True}):
        with pytest.raises(error, match=f"`{name}`"):
            data.selectdata(**{**extra, **select})
    assert data.selection.trial_ids == before
    assert data.cfg == {}


def test_latency_needs_a_samplerate() -> None:
    with pytest.raises(InvalidValueError, match="samplerate"):
        spy.AnalogData(ARRAY).selectdata(latency=[0, 1])


def test_selection_attribute() -> None:
    data = make()
    data.selection = {"channel": slice(1, 3), "latency": [-0.5, 0.5], "trials": [0, 1]}
    selection = data.selection
    assert selection.channel.tolist() == ["b", "c"]
    np.testing.assert_array_equal(selection.trials[1], ARRAY[20:31, 1:3])
    np.testing.assert_array_equal(selection.trialdefinition, [[0, 11, -5, 1], [20, 31, -5, 2]])
    np.testing.assert_array_equal(selection.sampleinfo, [[0, 11], [20, 31]])
    np.testing.assert_allclose(selection.trialintervals, [[-0.5, 0.5]] * 2)
    assert "2 channels" in repr(selection)
    assert "2 trials" in repr(selection)
    assert "selection : rayspy AnalogData selection" in repr(data)
    for wrong in (3, -1):
        with pytest.raises(InvalidValueError, match="trial index"):
            selection.trials[wrong]
    with pytest.raises(AttributeError):
        _ = selection.foo
    data.selection = "all"
    assert "all channels, all times, 4 trials" in repr(data.selection)
    data.selection = None
    assert data.selection is None
    for value, error in (("foo", InvalidValueError), ({"foo": 1}, InvalidValueError), (3, InvalidTypeError)):
        with pytest.raises(error, match="select"):
            data.selection = value
    with pytest.raises(InvalidValueError, match="latency"):
        data.selection = {"latency": "minperiod"}
    with pytest.raises(InvalidValueError, match="overlaps every selected trial"):
        data.selection = {"latency": [2.5, 2.9]}


def test_selection_goes_with_its_trials() -> None:
    data = make()
    data.selection = {"trials": [3]}
    data.trialdefinition = TRL[:2]
    assert data.selection is None


def test_a_failing_call_leaves_no_selection_behind() -> None:
    data = make()
    with pytest.raises(InvalidValueError):
        spy.freqanalysis(data, select={"trials": [0]}, foi=[1000])
    assert data.selection is None
    data.selectdata(trials=[1], inplace=True)
    with pytest.raises(InvalidValueError, match="select"):
        spy.freqanalysis(data, select={"trials": [0]})
    assert data.selection.trial_ids == [1]


def test_the_active_selection_is_used_and_kept() -> None:
    data = make()
    data.selectdata(trials=[1, 0], channel=["d", "a"], inplace=True)
    power = spy.freqanalysis(data, parallel=False)
    assert power.channel.tolist() == ["d", "a"]
    assert power.trialinfo[:, 0].tolist() == [2, 1]
    assert data.selection.trial_ids == [1, 0]


def test_in_place_selection_is_recorded_and_replayed() -> None:
    data = make()
    data.selectdata(trials=np.array([2, 1]), channel=slice(0, 2), latency=[0, 0.5], inplace=True)
    assert data.cfg["selectdata"] == {"trials": [2, 1], "channel": [0, 1], "latency": [0, 0.5]}
    again = spy.selectdata(make(), data.cfg)
    np.testing.assert_array_equal(again.data[()], np.concatenate(list(data.selection.trials)))


@pytest.mark.parametrize("dimord", [None, ["channel", "time"]])
def test_long_trials_are_cut_along_time(dimord: list[str] | None) -> None:
    wanted = make(dimord).selectdata(trials=[3, 1], channel=["d", "b"], latency=[-0.5, 1.5])
    with spy.config.using(block_bytes=50, inmemory_bytes=200):
        found = make(dimord).selectdata(trials=[3, 1], channel=["d", "b"], latency=[-0.5, 1.5])
    assert found.source.parts
    np.testing.assert_array_equal(found.data[()], wanted.data[()])
    np.testing.assert_array_equal(found.trialdefinition, wanted.trialdefinition)
    assert found.cfg == wanted.cfg
    assert found.channel.tolist() == ["d", "b"]


def test_history_of_a_copy() -> None:
    found = make().selectdata(trials=[1], channel="b", parallel=False)
    assert "computed selectdata" in found.log
    assert "trials = [1]" in found.log


# -- show ------------------------------------------------------------------------


def test_show() -> None:
    data = make()
    every = data.show()
    assert len(every) == 4
    np.testing.assert_array_equal(every[1], ARRAY[20:45])
    np.testing.assert_array_equal(data.show(trials=1), ARRAY[20:45])
    np.testing.assert_array_equal(data.show(trials=1, channel="b"), ARRAY[20:45, 1])
    np.testing.assert_array_equal(data.show(trials=1, channel="b", squeeze=False), ARRAY[20:45, [1]])
    np.testing.assert_array_equal(spy.show(data, trials=[0, 1], channel=[0, 2])[1], ARRAY[20:45, [0, 2]])
    np.testing.assert_array_equal(data.show(trials=0, latency=[-0.2, 0.2]), ARRAY[3:8])
    assert len(data.show(latency=[-0.5, 0.2])) == 3
    assert len(data.show(latency="minperiod")) == 4
    flipped = make(["channel", "time"])
    np.testing.assert_array_equal(flipped.show(trials=2, channel=[1, 3]), ARRAY[45:60, [1, 3]].T)
    assert data.selection is None


def test_show_takes_names_in_the_order_of_the_data() -> None:
    data = spy.AnalogData(ARRAY, channel=["z", "y", "x", "w"])
    np.testing.assert_array_equal(data.show(channel=["z", "x"]), ARRAY[:, [0, 2]])
    with pytest.raises(InvalidValueError, match="unique and sorted"):
        data.show(channel=["x", "z"])


@pytest.mark.parametrize(
    ("select", "error", "name"),
    [
        ({"trials": 0, "channel": [2, 1]}, InvalidValueError, "show kwargs"),
        ({"trials": 0, "channel": [1, 1]}, InvalidValueError, "show kwargs"),
        ({"trials": [1, 0]}, InvalidValueError, "show kwargs"),
        ({"channel": ["c", "a"]}, InvalidValueError, "show kwargs"),
        ({"latency": 0.1}, InvalidTypeError, "latency"),
        ({"squeeze": 1}, InvalidTypeError, "squeeze"),
        ({"foo": 1}, InvalidValueError, "selection kwargs"),
        ({"latency": [5, 6]}, InvalidValueError, "latency"),
    ],
)
def test_show_errors(select: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        make().show(**select)


def test_show_of_nothing() -> None:
    assert spy.AnalogData().show() is None
    with pytest.raises(InvalidTypeError, match="data"):
        spy.show(3)


def repeated() -> spy.AnalogData:
    array = np.arange(400.0).reshape(100, 4)
    return spy.AnalogData(array, samplerate=100, channel=["EEG", "EEG", "EOG", "EEG"])


CHOOSING: list[Callable[[spy.AnalogData, Any], Any]] = [
    lambda data, name: data.show(channel=name),
    lambda data, name: data.selectdata(channel=[name]),
    lambda data, name: setattr(data, "selection", {"channel": name}),
    lambda data, name: spy.freqanalysis(data, select={"channel": [name]}, parallel=False),
    lambda data, name: spy.preprocessing(data, freq=20, select={"channel": name}, parallel=False),
    lambda data, name: spy.resampledata(data, 50, select={"channel": name}, parallel=False),
    lambda data, name: spy.notchfilter(data, freq=20, select={"channel": name}, parallel=False),
    lambda data, name: spy.linefilter(data, freq=20, select={"channel": name}, parallel=False),
    lambda data, name: spy.baseline(data, select={"channel": name}, parallel=False),
    lambda data, name: spy.rereference(data, name, parallel=False),
    lambda data, name: spy.rereference(data, [[name, 2]], parallel=False),
    lambda data, name: spy.rereference(data, "bipolar", order=[2, name], parallel=False),
    lambda data, name: spy.singlepanelplot(data, channel=name),
]


@pytest.mark.parametrize("k", range(len(CHOOSING)))
def test_names_that_occur_more_than_once_are_not_chosen_from(k: int) -> None:
    """In every front-end the first of several channels of a name is not taken for all; positions work."""
    with pytest.raises(InvalidValueError, match=r"by position: 0, 1, 3"):
        CHOOSING[k](repeated(), "EEG")
    CHOOSING[k](repeated(), "EOG" if k not in (10, 11) else 0)
    CHOOSING[k](repeated(), 1)


def test_opening_tells_of_names_that_occur_more_than_once(caplog: Any, tmp_path: Path) -> None:
    data = repeated()
    assert "'EEG' (3 times)" in caplog.text
    data.save(filename=str(tmp_path / "x"))
    caplog.clear()
    assert spy.load(tmp_path / "x.analog").channel.tolist() == data.channel.tolist()
    assert "'EEG' (3 times)" in caplog.text
    np.testing.assert_array_equal(data.show(channel=[1, 3]), data.data[:, [1, 3]])
