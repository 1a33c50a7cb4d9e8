from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

ARRAY = np.random.default_rng(0).normal(size=(6, 5, 2, 3)).astype(np.float32)
TABLE = np.array([[0, 2, 0], [2, 6, 1]])


def made(**settings: Any) -> Any:
    return spy.CrossSpectralData(
        **{
            "data": ARRAY, "samplerate": 10, "channel_i": ["a", "b"], "channel_j": ["c", "d", "e"],
            "freq": [1, 2, 4, 8, 16], "trialdefinition": TABLE, **settings,
        }
    )  # fmt: skip


def listed(**settings: Any) -> Any:
    dimord = ["time", "freq", "channelcmb"]
    return spy.CrossSpectralData(
        **{"data": ARRAY[..., 0], "channelcmb": ["a--c", "b--c"], "dimord": dimord, **settings}
    )


def test_labels_given_to_the_constructor_count() -> None:
    data = made()
    assert (data.channel_i.tolist(), data.channel_j.tolist()) == (["a", "b"], ["c", "d", "e"])
    np.testing.assert_array_equal(data.freq, [1, 2, 4, 8, 16])
    assert data.channelcmb is None
    data.channel_i = data.freq = None
    assert data.channel_i.tolist() == ["channel_i1", "channel_i2"]
    np.testing.assert_array_equal(data.freq, np.arange(5))
    assert spy.CrossSpectralData().channel_i is None


def test_trials_are_stacked_along_time_wherever_it_stands() -> None:
    data = spy.CrossSpectralData(
        ARRAY.transpose(3, 1, 2, 0), dimord=["channel_j", "freq", "channel_i", "time"], trialdefinition=TABLE
    )
    np.testing.assert_array_equal(data.trials[1], ARRAY.transpose(3, 1, 2, 0)[..., 2:])
    assert (len(data.channel_i), len(data.channel_j)) == (2, 3)


def test_selection_of_both_channels_and_of_frequencies() -> None:
    data = made()
    found = data.selectdata(channel_i="b", channel_j=["e", "c"], frequency=[2, 8], trials=1)
    np.testing.assert_array_equal(found.data[()], ARRAY[2:6, 1:4, 1:2][..., [2, 0]])
    assert (found.channel_i.tolist(), found.channel_j.tolist()) == (["b"], ["e", "c"])
    np.testing.assert_array_equal(data.show(channel_i=0, channel_j=1, trials=0), ARRAY[:2, :, 0, 1])
    with pytest.raises(InvalidValueError, match="channel_i"):
        data.selectdata(channel_i="z")
    with pytest.raises(InvalidValueError, match="channel"):
        data.selectdata(channel="a")


def test_lists_of_pairs() -> None:
    data = listed()
    assert data.channelcmb.tolist() == ["a--c", "b--c"]
    assert data.channel_i is None
    found = data.selectdata(channelcmb="b--c")
    np.testing.assert_array_equal(found.data[()], ARRAY[:, :, 1:2, 0])
    assert found.channelcmb.tolist() == ["b--c"]
    assert "channelcmb" in repr(data)
    with pytest.raises(InvalidValueError, match="channel_i"):
        data.selectdata(channel_i="a")
    with pytest.raises(InvalidValueError, match="channel_i"):
        data.channel_i = ["a"]
    with pytest.raises(InvalidValueError, match="channelcmb"):
        made().channelcmb = ["a"]


def test_arithmetic_and_concat() -> None:
    data = made()
    np.testing.assert_array_equal((2 * data - data).data[()], ARRAY)
    assert (data + 1).channel_j.tolist() == ["c", "d", "e"]
    both = spy.concat(data, made(channel_j=["f", "g", "h"]), dim="channel_j")
    assert both.data.shape == (6, 5, 2, 6)
    assert both.channel_j.tolist() == ["c", "d", "e", "f", "g", "h"]
    after = spy.CrossSpectralData([data, data])
    np.testing.assert_array_equal(after.data[()], np.concatenate([ARRAY, ARRAY]))
    with pytest.raises(InvalidValueError, match="dim"):
        spy.concat(data, data, dim="channelcmb")
    pairs = spy.concat(listed(), listed(channelcmb=["c--a", "c--b"]), dim="channelcmb")
    assert pairs.data.shape == (6, 5, 4)


@pytest.mark.parametrize("make", [made, listed])
def test_save_and_load(make: Any, tmp_path: Any) -> None:
    data = make()
    data.jackknife = {"jack_var": data.data[()] ** 2, "jack_bias": data.data[()] / 7}
    data.info["n_observations"] = 4
    data.save(filename=str(tmp_path / "one"))
    found = spy.load(tmp_path / "one.crossspectral")
    assert found == data
    assert found.dimord == data.dimord
    np.testing.assert_array_equal(found.jack_var, data.data[()] ** 2)
    np.testing.assert_allclose(found.jack_se, np.abs(data.data[()]) / 2, rtol=1e-6)
    assert spy.CrossSpectralData(filename=str(tmp_path / "one.crossspectral")) == data


def test_the_jackknife_goes_along_with_selections_and_copies() -> None:
    data = made()
    data.jackknife = {"jack_var": ARRAY**2, "jack_bias": ARRAY / 7}
    found = data.selectdata(channel_i="b", trials=[1], frequency=[2, 4])
    np.testing.assert_array_equal(found.jack_var, ARRAY[2:6, 1:3, 1:2] ** 2)
    twin = data.copy()
    twin.jackknife["jack_bias"][:] = 0
    np.testing.assert_array_equal(data.jack_bias, ARRAY / 7)
    assert (data * 2).jack_var is None
    with pytest.raises(InvalidValueError, match="jack_var"):
        data.jackknife = {"jack_var": ARRAY[:1]}


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"freq": [1, 2]}, InvalidValueError, "freq"),
        ({"channel_i": ["a"]}, InvalidValueError, "channel_i"),
        ({"channel_j": 3}, InvalidTypeError, "channel_j"),
        ({"channelcmb": ["a"]}, InvalidValueError, "channelcmb"),
        ({"data": np.zeros((2, 2))}, InvalidValueError, "data"),
        ({"dimord": ["time", "freq", "channel"]}, InvalidValueError, "dimord"),
        ({"data": None, "channel_i": ["a"]}, InvalidValueError, "channel_i"),
    ],
)
def test_wrong_labels(settings: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.CrossSpectralData(**{"data": ARRAY, **settings})
