"""`concat`: objects side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy

TRL = np.array([[0, 20, -5, 1], [20, 45, -5, 2], [50, 65, 0, 3]], dtype=float)


def make(names: str, dtype: str = "f4", dimord: Any = None, trl: Any = TRL) -> spy.AnalogData:
    array = np.random.default_rng(len(names)).normal(size=(70, len(names))).astype(dtype)
    array = array.T if dimord else array
    return spy.AnalogData(array, samplerate=10, trialdefinition=trl, channel=list(names), dimord=dimord)


@pytest.mark.parametrize("dimord", [None, ["channel", "time"]])
@pytest.mark.parametrize("limit", [100, 10**6])
def test_channels_side_by_side(dimord: Any, limit: int) -> None:
    a, b = make("ab", dimord=dimord), make("xyz", "f8", dimord=dimord)
    b.trialdefinition = TRL + np.array([3, 3, 1, 0])
    with spy.config.using(inmemory_bytes=limit, block_bytes=300):
        found = spy.concat(a, b)
    axis = found.dimord.index("channel")
    assert found.data.dtype == np.float64
    assert found.channel.tolist() == list("abxyz")
    for k in range(3):
        np.testing.assert_array_equal(found.trials[k], np.concatenate([a.trials[k], b.trials[k]], axis))
    np.testing.assert_array_equal(found.trialdefinition[:, 2:], TRL[:, 2:])
    np.testing.assert_array_equal(found.sampleinfo, [[0, 20], [20, 45], [45, 60]])
    assert found.samplerate == 10
    assert found.cfg == {}
    assert "dim = channel" in found.log


def test_labels_that_occur_twice_start_anew() -> None:
    data = make("ab")
    assert spy.concat(data, data).channel.tolist() == ["channel1", "channel2", "channel3", "channel4"]


@pytest.mark.parametrize("dim", ["taper", "freq"])
def test_other_labels_are_matched_by_name(dim: str) -> None:
    array = np.random.default_rng(0).normal(size=(4, 2, 3, 2))
    a = spy.SpectralData(array, channel=["a", "b"])
    b = spy.SpectralData(array[..., ::-1], channel=["b", "a"])
    found = spy.concat(a, b, dim=dim)
    np.testing.assert_array_equal(found.data[()], np.concatenate([array, array], found.dimord.index(dim)))
    b.channel = ["b", "c"]
    with pytest.raises(ValueError, match="only in the first object: a"):
        spy.concat(a, b, dim=dim)
    b.channel = ["x", "y"]
    with pytest.raises(ValueError, match="only in the first object: a, b"):
        spy.concat(a, b, dim=dim)


def test_other_times_are_told(caplog: pytest.LogCaptureFixture) -> None:
    a, b = make("ab"), make("xyz")
    spy.concat(a, b)
    assert not caplog.messages
    b.trialdefinition = TRL + np.array([3, 3, 1, 0])
    spy.concat(a, b)
    assert "trial 0 begins at -0.4 s instead of -0.5 s" in caplog.text


def test_active_selections_count() -> None:
    a, b = make("abc"), make("wxyz")
    a.selection = {"channel": ["c"], "trials": [2, 0]}
    b.selection = {"channel": [3, 1], "trials": [2, 0]}
    found = spy.concat(a, b)
    assert found.channel.tolist() == ["c", "z", "x"]
    np.testing.assert_array_equal(found.trials[1], np.c_[a.trials[0][:, 2:], b.trials[0][:, [3, 1]]])


@pytest.mark.parametrize("dim", ["taper", "freq", "channel"])
def test_spectra_along_any_labelled_dimension(dim: str) -> None:
    array = np.random.default_rng(0).normal(size=(4, 2, 3, 2))
    labels = {"taper": ["s", "t"], "freq": [1.0, 2.0, 3.0], "channel": ["a", "b"]}
    other = {"taper": ["u", "v"], "freq": [4.0, 5.0, 6.0], "channel": ["c", "d"]}
    a = spy.SpectralData(array, samplerate=1, **labels)
    b = spy.SpectralData(array + 1, samplerate=1, **{**labels, dim: other[dim]})
    found = spy.concat(a, b, dim=dim)
    axis = found.dimord.index(dim)
    np.testing.assert_array_equal(found.data[()], np.concatenate([array, array + 1], axis))
    assert getattr(found, dim).tolist() == labels[dim] + other[dim]
