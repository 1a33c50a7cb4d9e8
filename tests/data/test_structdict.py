from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import rayspy as spy
from rayspy.data.structdict import serializable
from rayspy.errors import InvalidTypeError


def test_keys_are_attributes() -> None:
    cfg = spy.StructDict(method="mtmfft")
    cfg.foi = [1, 2]
    cfg["pad"] = None
    assert (cfg["foi"], cfg.pad, dict(cfg)) == (
        [1, 2],
        None,
        {"method": "mtmfft", "foi": [1, 2], "pad": None},
    )
    del cfg.pad
    assert "pad" not in cfg
    assert "foi" in dir(cfg)
    with pytest.raises(AttributeError, match="pad"):
        _ = cfg.pad
    with pytest.raises(AttributeError, match="pad"):
        del cfg.pad


def test_copies_are_full_and_independent() -> None:
    cfg = spy.StructDict(a={"b": [1]})
    for twin in (cfg.copy(), cfg.deepcopy(), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert type(twin) is spy.StructDict
        assert dict(twin) == dict(cfg)
        twin.a["b"].append(2)
        assert cfg.a["b"] == [1]
    for shallow in (cfg.copy(deep=False), copy.copy(cfg)):
        assert dict(shallow) == dict(cfg)
        assert shallow.a is cfg.a


def test_text() -> None:
    text = str(spy.StructDict(method="x", taper=None))
    assert text.startswith("rayspy StructDict\n")
    assert "    method : x" in text
    assert str(spy.StructDict()) == "{}"


def test_serializable_keeps_numbers_as_they_are() -> None:
    value = {
        "a": [10.0, 20.5],
        "b": np.array([1, 2.7]),
        "c": np.int16(3),
        "d": range(2),
        "e": (1, None, True),
    }
    assert serializable(value) == {
        "a": [10.0, 20.5],
        "b": [1.0, 2.7],
        "c": 3,
        "d": [0, 1],
        "e": [1, None, True],
    }
    for wrong in (slice(1, 2), object(), {1}, [np]):
        with pytest.raises(InvalidTypeError, match="serializable"):
            serializable(wrong)


def test_defaults_of_functions_and_classes() -> None:
    assert spy.get_defaults(spy.white_noise)["nTrials"] == 100
    assert spy.get_defaults(spy.AnalogData).samplerate is None
    assert "cfg" not in spy.get_defaults(spy.freqanalysis)
    with pytest.raises(InvalidTypeError, match="obj"):
        spy.get_defaults(3)
