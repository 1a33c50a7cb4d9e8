"""Inputs that cannot be used: the right error, naming parameter and value, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

TYPE, VALUE = InvalidTypeError, InvalidValueError
TRL = np.array([[0, 20, -5, 1], [20, 45, -5, 2], [45, 60, 0, 3]], dtype=float)
ROWS = np.array([[10, 1], [20, 2], [30, 3], [40, 1], [50, 2]])
Call = Callable[[], Any]


def analog(n_channels: int = 3, trl: Any = TRL, **options: Any) -> spy.AnalogData:
    array = np.ones((60, n_channels), "f4")
    names = list("abcdefgh")[:n_channels]
    return spy.AnalogData(array, **{"samplerate": 10, "trialdefinition": trl, "channel": names, **options})


def spectral(dtype: str = "f4") -> spy.SpectralData:
    return spy.SpectralData(
        np.ones((60, 1, 4, 3), dtype), samplerate=10, trialdefinition=TRL, freq=[1, 2, 4, 8]
    )


def events(**options: Any) -> spy.EventData:
    return spy.EventData(ROWS, **{"samplerate": 10, **options})


def selecting(data: Any, **select: Any) -> Any:
    data.selection = select
    return data


ARITHMETIC: list[tuple[str, Call, type[Exception], str, str]] = [
    ("zero", lambda: analog() / 0, VALUE, "operand", "0"),
    ("complex zero", lambda: analog() / 0j, VALUE, "operand", "0j"),
    ("infinite", lambda: analog() * np.inf, VALUE, "operand", "inf"),
    ("nan", lambda: np.nan - analog(), VALUE, "operand", "nan"),
    ("too large", lambda: analog() + 2**70, VALUE, "operand", str(2**70)),
    ("text", lambda: analog() + "s", TYPE, "operand", "str"),
    ("None", lambda: analog() + None, TYPE, "operand", "NoneType"),
    ("bool", lambda: analog() + True, TYPE, "operand", "bool"),
    ("tuple", lambda: analog().__add__((1, 2, 3)), TYPE, "operand", "tuple"),
    ("longdouble", lambda: analog() * np.longdouble(2), TYPE, "operand", "longdouble"),
    ("array of text", lambda: analog() + np.array(["a", "b", "c"]), TYPE, "operand", "U1"),
    ("array of bool", lambda: analog() + np.ones(3, bool), TYPE, "operand", "bool"),
    ("ragged", lambda: analog().__add__([[1, 2], [3]]), VALUE, "operand", "lists"),
    ("length", lambda: analog() + np.ones(2), VALUE, "operand", "(2,)"),
    ("empty array", lambda: np.ones((0, 3)) + analog(), VALUE, "operand", "(0, 3)"),
    ("3d", lambda: analog() + np.ones((1, 1, 3)), VALUE, "operand", "(1, 1, 3)"),
    ("time axis", lambda: analog() + np.ones((20, 3)), VALUE, "operand", "(20, 3)"),
    ("class", lambda: analog() + spectral(), TYPE, "operand", "SpectralData"),
    (
        "dimord",
        lambda: analog() + spy.AnalogData(np.ones((3, 60)), samplerate=10, dimord=["channel", "time"]),
        VALUE,
        "operand",
        "channel",
    ),
    ("samplerate", lambda: analog() + analog(samplerate=11), VALUE, "operand", "11"),
    ("trials", lambda: analog() - analog(trl=TRL[:2]), VALUE, "operand", "2 trials"),
    ("lengths", lambda: analog() - analog(trl=TRL[::-1].copy()), VALUE, "operand", "15 samples"),
    ("channels", lambda: analog() - analog(2), VALUE, "operand", "(60, 2)"),
    ("selected", lambda: selecting(analog(), channel=["a"]) - analog(), VALUE, "operand", "(60, 3)"),
    ("empty object", lambda: analog() - spy.AnalogData(), VALUE, "operand", "empty"),
    ("empty base", lambda: 1 - spy.AnalogData(), VALUE, "base", "empty"),
    ("events", lambda: events() + 1, TYPE, "base", "EventData"),
]

TRIALS: list[tuple[str, Call, type[Exception], str, str]] = [
    ("no object", lambda: spy.definetrial(3), TYPE, "obj", "int"),
    ("no data", lambda: spy.definetrial(spy.AnalogData()), VALUE, "obj", "empty"),
    ("list", lambda: spy.definetrial(analog(), [[0, 50, 0]]), TYPE, "trialdefinition", "list"),
    ("beyond", lambda: spy.definetrial(analog(), np.array([[0, 61, 0]])), VALUE, "sampleinfo", "61"),
    (
        "no events",
        lambda: spy.definetrial(analog(), trigger=1, pre=0, post=1),
        VALUE,
        "trialdefinition",
        "None",
    ),
    (
        "keywords and array",
        lambda: spy.definetrial(analog(), TRL, trigger=1, pre=0, post=1),
        VALUE,
        "trialdefinition",
        "ndarray",
    ),
    (
        "no samplerate",
        lambda: spy.definetrial(analog(), events(samplerate=None)),
        VALUE,
        "trialdefinition",
        "None",
    ),
    (
        "no samplerate for pre",
        lambda: events(samplerate=None).definetrial(trigger=1, pre=0.1, post=0.1),
        VALUE,
        "obj",
        "None",
    ),
    ("no trigger", lambda: events().definetrial(pre=0.1, post=0.1), VALUE, "trigger", "None"),
    ("no end", lambda: events().definetrial(start=1), VALUE, "post/stop", "neither"),
    ("no begin", lambda: events().definetrial(stop=1), VALUE, "pre/start", "neither"),
    ("pre without trigger", lambda: events().definetrial(start=1, stop=3, pre=0.1), VALUE, "trigger", "None"),
    ("unknown code", lambda: events().definetrial(start=9, stop=3), VALUE, "start", "9"),
    ("code of text", lambda: events().definetrial(start="a", stop=3), TYPE, "start", "str"),
    ("fractional code", lambda: events().definetrial(start=1.5, stop=3), VALUE, "start", "1.5"),
    (
        "wrong order",
        lambda: events().definetrial(start=3, trigger=2, stop=1),
        VALUE,
        "start/trigger/stop",
        "0 such",
    ),
    (
        "too many",
        lambda: events().definetrial(start=[1, 1, 1], stop=[2, 2, 2]),
        VALUE,
        "start/stop",
        "2 such",
    ),
    (
        "unequal arrays",
        lambda: events().definetrial(start=[1, 1], stop=[2, 2, 2]),
        VALUE,
        "start/stop",
        "stop: 3",
    ),
    (
        "unequal pre",
        lambda: events().definetrial(trigger=1, pre=[0, 0, 0], post=0.1),
        VALUE,
        "pre",
        "[0. 0. 0.]",
    ),
    ("pre of text", lambda: events().definetrial(trigger=1, pre="a", post=0.1), TYPE, "pre", "str"),
    ("post infinite", lambda: events().definetrial(trigger=1, pre=0, post=np.inf), VALUE, "post", "inf"),
    (
        "beyond the recording",
        lambda: analog().definetrial(events(), trigger=2, pre=0, post=9),
        VALUE,
        "sampleinfo",
        "20 to 110",
    ),
    (
        "nothing left",
        lambda: analog().definetrial(events(samplerate=1), trigger=2, pre=0, post=1, clip_edges=True),
        VALUE,
        "sampleinfo",
        "60 to 60",
    ),
    (
        "clip_edges",
        lambda: events().definetrial(trigger=1, pre=0, post=1, clip_edges=1),
        TYPE,
        "clip_edges",
        "int",
    ),
]

REDEFINED: list[tuple[str, Call, type[Exception], str, str]] = [
    ("no object", lambda: spy.redefinetrial(3), TYPE, "data_obj", "int"),
    ("no data", lambda: spy.redefinetrial(spy.AnalogData(), offset=1), VALUE, "data_obj", "empty"),
    ("minlength word", lambda: spy.redefinetrial(analog(), minlength="foo"), VALUE, "minlength", "foo"),
    ("minlength list", lambda: spy.redefinetrial(analog(), minlength=[1]), TYPE, "minlength", "list"),
    ("minlength negative", lambda: spy.redefinetrial(analog(), minlength=-1), VALUE, "minlength", "-1"),
    ("window", lambda: spy.redefinetrial(analog(), toilim=[-9, -8]), VALUE, "toilim", "[-9, -8]"),
    (
        "begsample alone",
        lambda: spy.redefinetrial(analog(), begsample=3),
        VALUE,
        "begsample/endsample",
        "begsample",
    ),
    (
        "begsample negative",
        lambda: spy.redefinetrial(analog(), begsample=-1, endsample=5),
        VALUE,
        "begsample",
        "-1",
    ),
    ("endsample", lambda: spy.redefinetrial(analog(), begsample=1, endsample=18), VALUE, "endsample", "18"),
    (
        "order",
        lambda: spy.redefinetrial(analog(), begsample=9, endsample=9),
        VALUE,
        "begsample/endsample",
        "9/9",
    ),
    ("fraction", lambda: spy.redefinetrial(analog(), begsample=1.5, endsample=9), VALUE, "begsample", "1.5"),
    (
        "number of begsamples",
        lambda: spy.redefinetrial(analog(), begsample=[1, 2], endsample=9),
        VALUE,
        "begsample",
        "(2,)",
    ),
    ("offset text", lambda: spy.redefinetrial(analog(), offset="a"), TYPE, "offset", "str"),
    ("offset nan", lambda: spy.redefinetrial(analog(), offset=np.nan), VALUE, "offset", "nan"),
    ("trl beyond", lambda: spy.redefinetrial(analog(), trl=[[0, 99, 0]]), VALUE, "trl", "99"),
    ("trl columns", lambda: spy.redefinetrial(analog(), trl=[[0, 9]]), VALUE, "trl", "(1, 2)"),
    ("trl text", lambda: spy.redefinetrial(analog(), trl=[["a", 9, 0]]), VALUE, "trl", "a"),
    ("trl type", lambda: spy.redefinetrial(analog(), trl="all"), TYPE, "trl", "str"),
    (
        "trl and offset",
        lambda: spy.redefinetrial(analog(), trl=[[0, 9, 0]], offset=1),
        VALUE,
        "trl/offset",
        "both",
    ),
    (
        "two ways",
        lambda: spy.redefinetrial(analog(), minlength=1, toilim=[0, 1]),
        VALUE,
        "minlength/toilim",
        "all",
    ),
    ("keyword", lambda: spy.redefinetrial(analog(), foo=3), ValueError, "", "foo"),
]

SELECTED: list[tuple[str, Call, type[Exception], str, str]] = [
    (
        "eventid of a recording",
        lambda: analog().selectdata(eventid=1),
        VALUE,
        "selection arguments",
        "eventid",
    ),
    ("unit", lambda: analog().selectdata(unit=1), VALUE, "selection arguments", "unit"),
    ("channel_i", lambda: spectral().selectdata(channel_i=1), VALUE, "selection arguments", "channel_i"),
    ("channel of events", lambda: events().selectdata(channel=1), VALUE, "selection arguments", "channel"),
    ("unknown eventid", lambda: events().selectdata(eventid=100), VALUE, "select: eventid", "100"),
    ("one unknown eventid", lambda: events().selectdata(eventid=[1, 0]), VALUE, "select: eventid", "0"),
    ("no eventid", lambda: events().selectdata(eventid=[]), VALUE, "select: eventid", "[]"),
    ("fractional eventid", lambda: events().selectdata(eventid=1.5), VALUE, "select: eventid", "1.5"),
    ("eventid of text", lambda: events().selectdata(eventid="a"), TYPE, "select: eventid", "str"),
    ("eventid slice", lambda: events().selectdata(eventid=slice(0, 2)), TYPE, "select: eventid", "slice"),
    ("latency of events", lambda: events().selectdata(latency=[0, 9]), VALUE, "latency", "[0, 9]"),
    ("parallel", lambda: analog().selectdata(trials=0, parallel="foo"), TYPE, "parallel", "str"),
    ("no data", lambda: spy.AnalogData().selectdata(trials=0), VALUE, "data", "empty"),
    ("show", lambda: events().show(trials=[0], channel=1), VALUE, "selection kwargs", "channel"),
]

CONCAT: list[tuple[str, Call, type[Exception], str, str]] = [
    ("dim", lambda: spy.concat(analog(), analog(), dim="sth"), VALUE, "dim", "sth"),
    ("time", lambda: spy.concat(analog(), analog(), dim="time"), VALUE, "dim", "time"),
    ("dim type", lambda: spy.concat(analog(), analog(), dim=3), TYPE, "dim", "int"),
    ("lengths", lambda: spy.concat(analog(), analog(trl=TRL[:2])), VALUE, "spy_obj2", "2 trials"),
    ("samplerate", lambda: spy.concat(analog(), analog(samplerate=9)), VALUE, "spy_obj2", "9"),
    ("class", lambda: spy.concat(analog(), spectral()), TYPE, "spy_obj2", "SpectralData"),
    ("no object", lambda: spy.concat(analog(), np.ones((60, 3))), TYPE, "spy_obj2", "ndarray"),
    ("events", lambda: spy.concat(events(), events()), TYPE, "spy_obj1", "EventData"),
    ("empty", lambda: spy.concat(analog(), spy.AnalogData()), VALUE, "spy_obj2", "empty"),
    (
        "channels",
        lambda: spy.concat(spectral(), selecting(spectral(), channel=[0]), dim="freq"),
        VALUE,
        "spy_obj2",
        "1",
    ),
]

CORRECTED: list[tuple[str, Call, type[Exception], str, str]] = [
    ("unknown channel", lambda: spy.rereference(analog(), "z"), VALUE, "reference", "z"),
    ("number", lambda: spy.rereference(analog(), [0, 3]), VALUE, "reference", "3"),
    ("none", lambda: spy.rereference(analog(), None), TYPE, "reference", "NoneType"),
    ("empty list", lambda: spy.rereference(analog(), []), VALUE, "reference", "[]"),
    ("twice", lambda: spy.rereference(analog(), ["a", "a"]), VALUE, "reference", "a"),
    (
        "not selected",
        lambda: spy.rereference(analog(), "c", select={"channel": ["a", "b"]}),
        VALUE,
        "reference",
        "c",
    ),
    ("refmethod", lambda: spy.rereference(analog(), ["a"], refmethod="max"), VALUE, "refmethod", "max"),
    ("order", lambda: spy.rereference(analog(), "bipolar", order=["a", "z"]), VALUE, "order", "z"),
    ("order alone", lambda: spy.rereference(analog(), order=["a", "b"]), VALUE, "order", "a"),
    ("one channel", lambda: spy.rereference(analog(1), "bipolar"), VALUE, "order", ""),
    ("pair", lambda: spy.rereference(analog(), [["a", "b", "c"]]), VALUE, "reference", "c"),
    ("pair with itself", lambda: spy.rereference(analog(), [["a", "a"]]), VALUE, "reference", "a twice"),
    ("mixed", lambda: spy.rereference(analog(), [["a", "b"], "c"]), VALUE, "reference", "c"),
    ("spectra", lambda: spy.rereference(spectral()), TYPE, "data", "SpectralData"),
    ("no data", lambda: spy.rereference(spy.AnalogData()), VALUE, "data", "without data"),
    ("select", lambda: spy.rereference(analog(), select={"foo": 1}), VALUE, "select", "foo"),
    ("chan_per_worker", lambda: spy.rereference(analog(), chan_per_worker=0), VALUE, "chan_per_worker", "0"),
    ("window number", lambda: spy.baseline(analog(), 0.1), TYPE, "baseline", "float"),
    ("window of three", lambda: spy.baseline(analog(), [0, 1, 2]), VALUE, "baseline", "[0, 1, 2]"),
    ("window order", lambda: spy.baseline(analog(), [0.2, 0]), VALUE, "baseline", "0.2"),
    ("window nan", lambda: spy.baseline(analog(), [np.nan, 0]), VALUE, "baseline", "nan"),
    ("window text", lambda: spy.baseline(analog(), ["a", 0]), VALUE, "baseline", "a"),
    ("window outside", lambda: spy.baseline(analog(), (-0.5, 0)), VALUE, "baseline", "-0.5"),
    ("window empty", lambda: spy.baseline(analog(), (0.01, 0.09)), VALUE, "baseline", "0.01"),
    ("window of one", lambda: spy.baseline(analog(), (0, 0), "zscore"), VALUE, "baseline", "(0, 0)"),
    ("mode", lambda: spy.baseline(analog(), (0, 1), "foo"), VALUE, "mode", "foo"),
    ("mode type", lambda: spy.baseline(analog(), (0, 1), 3), TYPE, "mode", "int"),
    ("complex", lambda: spy.baseline(spectral("c8"), (0, 1), "db"), VALUE, "mode", "db"),
    ("no samplerate", lambda: spy.baseline(analog(samplerate=None), (0, 1)), VALUE, "data", "None"),
    ("events", lambda: spy.baseline(events(), (0, 1)), TYPE, "data", "EventData"),
    ("two objects", lambda: spy.baseline(analog(), analog()), VALUE, "data", "2 objects"),
    ("parallel", lambda: spy.baseline(analog(), (0, 1), parallel=1), TYPE, "parallel", "int"),
]

CASES = {
    f"{group}: {case[0]}": case[1:]
    for group, cases in {
        "arithmetic": ARITHMETIC,
        "definetrial": TRIALS,
        "redefinetrial": REDEFINED,
        "select": SELECTED,
        "concat": CONCAT,
        "correct": CORRECTED,
    }.items()
    for case in cases
}


@pytest.fixture
def nothing_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr("rayspy.frontends.call.run_results", refuse)


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, scratch: Path) -> None:
    call, error, parameter, value = CASES[name]
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert f"`{parameter}`" in text or not parameter
    assert value in text
    assert not list(scratch.rglob("*"))


def test_there_are_enough() -> None:
    assert len(CASES) > 120


@pytest.mark.parametrize("operate", [lambda d: -d, lambda d: d @ 2, lambda d: d % 2, lambda d: d // 2])
def test_operators_that_are_not_there(operate: Any) -> None:
    with pytest.raises(TypeError):
        operate(analog())


def test_a_failing_definetrial_changes_nothing() -> None:
    data, before = analog(), analog().log
    for wrong in ({"trigger": 9, "pre": 0, "post": 1}, {"trigger": 2, "pre": 0, "post": 99}):
        with pytest.raises(InvalidValueError):
            data.definetrial(events(), **wrong)
    np.testing.assert_array_equal(data.trialdefinition, TRL)
    assert data.log == before
