from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


DIMS = ["time", "taper", "freq", "channel"]
ROWS = np.array([[0, 3, -1, 5], [3, 6, 0, 6]], dtype=float)
orders = st.permutations(DIMS)


def picks(n: int, names: list[str]) -> st.SearchStrategy[Any]:
    lists = st.lists(st.integers(0, n - 1) | st.sampled_from(names), min_size=1, max_size=n + 1)
    return st.none() | st.just("all") | st.integers(0, n - 1) | st.sampled_from(names) | lists


@settings(deadline=None, max_examples=40)
@given(
    orders,
    st.sampled_from([None, 1, [1, 0, 1]]),
    picks(3, ["a", "b", "c"]),
    picks(2, ["s", "t"]),
    st.sampled_from([None, "all", 4, 5.9, [2, 8], [-np.inf, 4], [8, np.inf]]),
    st.sampled_from([None, "all", [0, 0.1]]),
)
def test_selections_in_any_order_of_dimensions(
    dimord: list[str], trials: Any, channel: Any, taper: Any, frequency: Any, latency: Any
) -> None:
    freq = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    order = [DIMS.index(dim) for dim in dimord]
    data = spy.SpectralData(
        ARRAY.transpose(order), samplerate=10, trialdefinition=ROWS, dimord=dimord,
        channel=list("abc"), taper=["s", "t"], freq=freq,
    )  # fmt: skip
    select = {
        "trials": trials,
        "channel": channel,
        "taper": taper,
        "frequency": frequency,
        "latency": latency,
    }
    found = data.selectdata(**select, parallel=False)
    data.selection = select

    def places(value: Any, names: list[str]) -> list[int]:
        if value is None or value == "all":
            return list(range(len(names)))
        items = value if isinstance(value, list) else [value]
        return [names.index(item) if isinstance(item, str) else item for item in items]

    if frequency in (None, "all"):
        bins = list(range(5))
    elif isinstance(frequency, list):
        bins = np.flatnonzero((freq >= frequency[0]) & (freq <= frequency[1])).tolist()
    else:
        bins = [2]
    numbers = places(trials, ["0", "1"])
    for k, number in enumerate(numbers):
        cut = latency not in (None, "all")
        rows = (
            list(range(1, 3) if number == 0 else range(3, 5))
            if cut
            else list(range(3 * number, 3 * number + 3))
        )
        model = ARRAY[np.ix_(rows, places(taper, ["s", "t"]), bins, places(channel, list("abc")))]
        np.testing.assert_array_equal(found.trials[k], model.transpose(order))
        np.testing.assert_array_equal(data.selection.trials[number], model.transpose(order))
        np.testing.assert_allclose(found.time[k], data.selection.time[number])
    np.testing.assert_array_equal(found.freq, freq[bins])
    np.testing.assert_array_equal(data.selection.freq, freq[bins])
    assert found.channel.tolist() == data.selection.channel.tolist()
    assert found.trialinfo[:, 0].tolist() == [5 + number for number in numbers]


def test_repr_has_all_fields() -> None:
    text = repr(spy.SpectralData(ARRAY))
    assert "time by taper by freq by channel" in text
    assert "freq" in text
