from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

ARRAY = np.random.default_rng(0).normal(size=(6, 2, 5, 3))


def test_labels_given_to_the_constructor_count() -> None:
    data = spy.SpectralData(
        ARRAY, samplerate=10, channel=list("abc"), taper=["s", "t"], freq=[1, 2, 4, 8, 16]
    )
    assert (data.channel.tolist(), data.taper.tolist()) == (list("abc"), ["s", "t"])
    np.testing.assert_array_equal(data.freq, [1, 2, 4, 8, 16])
    data.freq = data.taper = data.channel = None
    np.testing.assert_array_equal(data.freq, np.arange(5))
    assert data.taper.tolist() == ["taper1", "taper2"]
    assert spy.SpectralData().freq is None


def test_trials_are_stacked_along_time_wherever_it_stands() -> None:
    dimord = ["channel", "freq", "time", "taper"]
    table = np.array([[0, 2, 0], [2, 6, 1]])
    data = spy.SpectralData(ARRAY.transpose(3, 2, 0, 1), dimord=dimord, trialdefinition=table)
    np.testing.assert_array_equal(data.trials[1], ARRAY.transpose(3, 2, 0, 1)[:, :, 2:6])
    assert (len(data.freq), len(data.channel), len(data.taper)) == (5, 3, 2)


def test_complex_spectra_keep_their_type() -> None:
    data = spy.SpectralData((ARRAY + 1j).astype(np.complex64))
    assert data.data.dtype == np.complex64
    with spy.config.using(inmemory_bytes=10, block_bytes=100):
        stored = spy.SpectralData((ARRAY + 1j).astype(np.complex64))
    np.testing.assert_array_equal(stored.data[()], data.data[()])


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"freq": [1, 2]}, InvalidValueError, "freq"),
        ({"freq": [1, 2, 3, 4, np.nan]}, InvalidValueError, "freq"),
        ({"freq": ["a"] * 5}, InvalidValueError, "freq"),
        ({"freq": 3}, InvalidTypeError, "freq"),
        ({"taper": ["a"]}, InvalidValueError, "taper"),
        ({"channel": 3}, InvalidTypeError, "channel"),
        ({"data": None, "taper": ["a"]}, InvalidValueError, "taper"),
        ({"data": None, "freq": [1]}, InvalidValueError, "freq"),
        ({"data": np.zeros((2, 2))}, InvalidValueError, "data"),
    ],
)
def test_wrong_labels(settings: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.SpectralData(**{"data": ARRAY, **settings})


def test_selecting_frequencies_and_tapers() -> None:
    freq = [1.0, 2.0, 4.0, 8.0, 16.0]
    data = spy.SpectralData(ARRAY, samplerate=10, freq=freq, taper=["s", "t"])
    part = data.selectdata(frequency=[2, 8], taper="t", channel=[2, 0], parallel=False)
    np.testing.assert_array_equal(part.data[()], ARRAY[:, [1], 1:4][..., [2, 0]])
    np.testing.assert_array_equal(part.freq, freq[1:4])
    assert part.taper.tolist() == ["t"]
    assert data.selectdata(frequency=5, parallel=False).freq.tolist() == [4.0]
    assert data.selectdata(frequency=[-np.inf, 2], parallel=False).freq.tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(data.show(frequency=[2, 4], taper=0), ARRAY[:, 0, 1:3])
    for wrong in ([20, 10], [1, 2, 3], 100, [1, 100], [5, 6], [5, "a"], np.nan, 1j, [np.nan, 3]):
        with pytest.raises(InvalidValueError, match="frequency"):
            data.selectdata(frequency=wrong)
    with pytest.raises(InvalidTypeError, match="frequency"):
        data.selectdata(frequency=(1, 2))


def test_repr_has_all_fields() -> None:
    text = repr(spy.SpectralData(ARRAY))
    assert "time by taper by freq by channel" in text
    assert "freq" in text
