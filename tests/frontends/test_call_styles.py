"""Every way to hand settings to the functions that take a `cfg`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rayspy as spy

TRL = np.array([[0, 30, -10, 1], [30, 60, -10, 2]], dtype=float)
FUNCTIONS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[Any, ...]]] = {
    "selectdata": (spy.selectdata, {"trials": [1], "channel": ["b", "a"]}, ([1], ["b", "a"])),
    "redefinetrial": (spy.redefinetrial, {"trials": [1, 0], "minlength": 0.2, "offset": 3}, ([1, 0], 0.2, 3)),
    "rereference": (
        spy.rereference,
        {"reference": ["a", "c"], "refmethod": "median"},
        (["a", "c"], "median"),
    ),
    "baseline": (spy.baseline, {"baseline": [-0.5, 0], "mode": "relchange"}, ([-0.5, 0], "relchange")),
}


def make() -> spy.AnalogData:
    array = np.random.default_rng(0).uniform(1, 2, size=(60, 3))
    return spy.AnalogData(array, samplerate=10, trialdefinition=TRL, channel=list("abc"))


STYLES: dict[str, Callable[..., Any]] = {
    "f(data, ...)": lambda f, d, cfg, given: f(d, *given),
    "f(data=, key=)": lambda f, d, cfg, given: f(data=d, **cfg),
    "f(dataset=, key=)": lambda f, d, cfg, given: f(dataset=d, **cfg),
    "f(cfg, data)": lambda f, d, cfg, given: f(cfg, d),
    "f(data, cfg)": lambda f, d, cfg, given: f(d, cfg),
    "f(data, StructDict)": lambda f, d, cfg, given: f(d, spy.StructDict(**cfg)),
    "f(data, cfg=)": lambda f, d, cfg, given: f(d, cfg=cfg),
    "f(cfg=, data=)": lambda f, d, cfg, given: f(cfg=cfg, data=d),
    "f(cfg with data)": lambda f, d, cfg, given: f(spy.StructDict({**cfg, "data": d})),
    "f(cfg=cfg with dataset)": lambda f, d, cfg, given: f(cfg={**cfg, "dataset": d}),
    "defaults": lambda f, d, cfg, given: f(spy.get_defaults(f) | cfg, d),
    "one key apart": lambda f, d, cfg, given: f(
        d, {k: cfg[k] for k in list(cfg)[1:]}, **{k: cfg[k] for k in list(cfg)[:1]}
    ),
    "empty cfg": lambda f, d, cfg, given: f(d, {}, **cfg),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_call_style(name: str, style: str) -> None:
    function, cfg, given = FUNCTIONS[name]
    before = dict(cfg)
    wanted = function(make(), **cfg)
    found = STYLES[style](function, make(), cfg, given)
    assert found == wanted
    assert found.cfg[name].keys() == wanted.cfg[name].keys() or style == "defaults"
    assert cfg == before
    again = function(make(), found.cfg)
    assert again == wanted
    assert again.cfg == found.cfg


def test_a_chain_is_replayed_step_by_step() -> None:
    first = spy.baseline(spy.rereference(spy.selectdata(make(), channel=["c", "a"]), "bipolar"), (-0.5, 0))
    assert list(first.cfg) == ["selectdata", "rereference", "baseline"]
    again = make()
    for name in first.cfg:
        again = getattr(spy, name)(again, first.cfg)
    assert again == first


def test_what_cannot_be_mixed() -> None:
    with pytest.raises(ValueError, match="cfg/mode"):
        spy.baseline(make(), {"mode": "db"}, mode="db")
    with pytest.raises(ValueError, match="either `data` or `dataset`"):
        spy.redefinetrial(data_obj=make(), data=make())
    with pytest.raises(TypeError, match="data_obj"):
        spy.redefinetrial({"offset": 3})
    with pytest.raises(TypeError, match="multiple values"):
        spy.rereference(make(), "a", reference="b")


def test_defaults() -> None:
    assert spy.get_defaults(spy.baseline)["mode"] == "absolute"
    assert spy.get_defaults(spy.redefinetrial).keys() == {
        *("trials", "minlength", "offset", "toilim", "begsample", "endsample", "trl"),
    }
    assert list(spy.get_defaults(spy.selectdata))[:9] == [
        *("trials", "channel", "channel_i", "channel_j", "latency", "frequency", "taper", "unit", "eventid"),
    ]
    assert "dim" in spy.get_defaults(spy.concat)
    assert spy.get_defaults(spy.EventData).dimord is None
