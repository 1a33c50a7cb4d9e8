"""`definetrial` and `redefinetrial`: trial definitions by hand, from events, and from trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.data.definition import find_marks
from rayspy.errors import InvalidValueError

ROWS = np.array([[10, 1], [20, 2], [30, 3], [40, 1], [50, 2], [60, 3], [70, 1], [80, 2]])


def events(**options: Any) -> spy.EventData:
    return spy.EventData(ROWS, **{"samplerate": 100.0, **options})


def recording(rate: float = 1000.0, n: int = 1000) -> spy.AnalogData:
    return spy.AnalogData(np.arange(2.0 * n).reshape(n, 2), samplerate=rate)


FROM_EVENTS: list[tuple[dict[str, Any], list[list[float]]]] = [
    ({"trigger": 2, "pre": 0.05, "post": 0.1}, [[15, 30, -5], [45, 60, -5], [75, 90, -5]]),
    ({"trigger": 2, "pre": -0.05, "post": 0.1}, [[25, 30, 5], [55, 60, 5], [85, 90, 5]]),
    ({"start": 1, "stop": 3}, [[10, 30, 10], [40, 60, 40]]),
    ({"start": 1, "stop": 1}, [[10, 40, 10]]),
    ({"start": 1, "trigger": 2, "stop": 3}, [[10, 30, -10], [40, 60, -10]]),
    ({"start": 1, "trigger": 2, "stop": 3, "pre": 0.05, "post": 0.02}, [[5, 32, -15], [35, 62, -15]]),
    ({"trigger": 2, "pre": 0.05, "stop": 3}, [[15, 30, -5], [45, 60, -5]]),
    ({"start": [1, 2], "stop": [3, 3]}, [[10, 30, 10], [50, 60, 50]]),
    ({"trigger": [1, 2], "pre": [0.01, 0.02], "post": 0.01}, [[9, 11, -1], [18, 21, -2]]),
    ({"trigger": [1, 2], "pre": np.array([0.01, 0.02]), "post": 0.01}, [[9, 11, -1], [18, 21, -2]]),
    ({"trigger": np.array([1, 1, 2]), "pre": 0.0, "post": 0.03}, [[10, 13, 0], [40, 43, 0], [50, 53, 0]]),
    (
        {"trigger": 1, "pre": 0.15, "post": 0.05, "clip_edges": True},
        [[0, 15, -10], [25, 45, -15], [55, 75, -15]],
    ),
]
"""Numbers as Syncopy gives them, with offsets of the sign that they have everywhere else."""


@pytest.mark.parametrize(("keywords", "expected"), FROM_EVENTS)
def test_trials_from_events(keywords: dict[str, Any], expected: list[list[float]]) -> None:
    own = events()
    assert spy.definetrial(own, **keywords) is None
    np.testing.assert_array_equal(own.trialdefinition, expected)
    method = events()
    method.definetrial(**keywords)
    np.testing.assert_array_equal(method.trialdefinition, expected)
    data = recording(1000.0)
    before = data.cfg
    data.definetrial(events(), **keywords)
    np.testing.assert_array_equal(data.trialdefinition, 10 * np.array(expected))
    assert data.cfg is before
    assert f"[{len(expected)} x 3]" in data.log


def test_time_zero_is_the_trigger() -> None:
    data = recording(330.0)
    data.definetrial(events(), start=1, trigger=2, stop=3)
    own = events()
    own.definetrial(start=1, trigger=2, stop=3)
    for k, number in enumerate((1, 4)):
        trigger = ROWS[number, 0] / 100
        times = np.arange(1000) / 330
        start, stop = data.sampleinfo[k].astype(int)
        np.testing.assert_allclose(data.time[k], times[start:stop] - trigger, atol=0.5 / 330)
        np.testing.assert_allclose(own.time[k], [-0.1, 0.0])


def test_trials_of_events_for_a_recording() -> None:
    trl = np.array([[15, 30, -5, 7], [45, 60, -5, 8]])
    data = recording(1000.0)
    data.definetrial(events(trialdefinition=trl))
    np.testing.assert_array_equal(data.trialdefinition, [[150, 300, -50, 7], [450, 600, -50, 8]])
    data = recording(333.0)
    data.definetrial(events(trialdefinition=trl))
    np.testing.assert_array_equal(data.trialdefinition, [[50, 100, -17, 7], [150, 200, -17, 8]])


def test_halves_of_samples_do_not_depend_on_the_trigger() -> None:
    codes = np.array([[1000, 1], [1501, 1], [2002, 1], [2503, 1]])
    data = recording(250.0, 4000)
    for rate, scale in ((250.0, 1), (25_000.0, 100)):
        marks = spy.EventData(codes * [scale, 1], samplerate=rate)
        data.definetrial(marks, trigger=1, pre=0.25, post=0.5)
        wanted = np.column_stack([codes[:, 0] - 63, codes[:, 0] + 125, np.full(4, -63)])
        np.testing.assert_array_equal(data.trialdefinition, wanted)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.integers(500_000, 900_000), min_size=2, max_size=8, unique=True),
    st.sampled_from([(25_000.0, 1000.0), (1000.0, 512.0), (250.0, 250.0), (24_414.0625, 1017.2526)]),
    st.integers(0, 3000).map(lambda k: k / 4000),
    st.integers(20, 3000).map(lambda k: k / 4000),
)
def test_trials_around_a_trigger_are_alike(
    samples: list[int], rates: tuple[float, float], pre: float, post: float
) -> None:
    """Whichever way trials come from events; the trigger is off by half a sample at most."""
    theirs, ours = rates
    rows = np.array([[n, 1] for n in sorted(samples)])
    data = spy.AnalogData(np.zeros((1_000_000, 1), "i1"), samplerate=ours)
    data.definetrial(spy.EventData(rows, samplerate=theirs), trigger=1, pre=pre, post=post)
    trl = data.trialdefinition
    before, after = (float(np.floor(t * ours + 0.5 + 1e-6)) for t in (pre, post))
    assert set(trl[:, 2]) == {-before}
    assert set(trl[:, 1] - trl[:, 0]) == {before + after}
    assert np.abs(trl[:, 0] + before - rows[:, 0] * ours / theirs).max() <= 0.5 + 1e-6
    n_pre, n_post = (int(t * theirs) for t in (pre, post))
    table = np.column_stack([rows[:, 0] - n_pre, rows[:, 0] + n_post + 1, np.full(len(rows), -n_pre)])
    data.definetrial(spy.EventData(rows, samplerate=theirs, trialdefinition=table))
    converted = data.trialdefinition
    assert len(set(converted[:, 2])) == len(set(converted[:, 1] - converted[:, 0])) == 1
    np.testing.assert_array_equal(converted[:, 0] - converted[:, 2], trl[:, 0] + before)


def test_clipping_keeps_time_zero() -> None:
    data = recording()
    data.definetrial(events(), trigger=2, pre=0.3, post=0.5, clip_edges=True)
    np.testing.assert_array_equal(
        data.trialdefinition, [[0, 700, -200], [200, 1000, -300], [500, 1000, -300]]
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 3), min_size=3, max_size=25), st.permutations([1, 2, 3]))
def test_sequences_against_a_plain_search(codes: list[int], order: list[int]) -> None:
    found, want = [], []
    for row, code in enumerate(codes):
        if code == order[len(want)]:
            want.append(row)
        if len(want) == 3:
            found.append(want)
            want = []
    wanted = dict(zip(("start", "trigger", "stop"), order, strict=True))
    if not found:
        with pytest.raises(InvalidValueError, match=r"existing event-id|follow each other"):
            find_marks(np.array(codes), wanted)
        return
    marks = find_marks(np.array(codes), wanted)
    np.testing.assert_array_equal(np.column_stack([marks.rows[k] for k in wanted]), found)


def test_without_arguments_all_is_one_trial() -> None:
    own = events(trialdefinition=np.array([[0, 5, 0]]))
    own.definetrial()
    np.testing.assert_array_equal(own.trialdefinition, [[10, 81, 0]])


# -- redefinetrial -------------------------------------------------------------------------

TRL = np.array([[0, 120, -20, 7], [120, 200, -20, 8], [200, 480, -20, 9]], dtype=float)


def trials() -> spy.AnalogData:
    array = np.random.default_rng(0).normal(size=(480, 2)).astype(np.float32)
    return spy.AnalogData(array, samplerate=100, trialdefinition=TRL, channel=["a", "b"])


SAME_ARRAY: list[tuple[dict[str, Any], Any]] = [
    ({}, TRL),
    ({"offset": 3}, [[0, 120, 3, 7], [120, 200, 3, 8], [200, 480, 3, 9]]),
    ({"offset": np.array([1, 2, 3])}, [[0, 120, 1, 7], [120, 200, 2, 8], [200, 480, 3, 9]]),
    ({"begsample": 10, "endsample": 60}, [[10, 60, -10, 7], [130, 180, -10, 8], [210, 260, -10, 9]]),
    (
        {"begsample": [1, 2, 3], "endsample": [10, 20, 30]},
        [[1, 10, -19, 7], [122, 140, -18, 8], [203, 230, -17, 9]],
    ),
    ({"begsample": 2, "endsample": 5, "offset": 1}, [[2, 5, 1, 7], [122, 125, 1, 8], [202, 205, 1, 9]]),
    ({"trl": [[5, 50, -5, 1], [60, 90, 0, 2]]}, [[5, 50, -5, 1], [60, 90, 0, 2]]),
    ({"trl": [5, 50, -5]}, [[5, 50, -5]]),
    ({"minlength": 0.8}, TRL),
]


@pytest.mark.parametrize(("keywords", "expected"), SAME_ARRAY)
def test_trials_are_redefined_on_the_same_array(keywords: dict[str, Any], expected: Any) -> None:
    data = trials()
    found = spy.redefinetrial(data, **keywords)
    np.testing.assert_array_equal(found.trialdefinition, expected)
    assert found.source is data.source
    assert found.channel.tolist() == ["a", "b"]
    np.testing.assert_array_equal(data.trialdefinition, TRL)
    assert data.cfg == {}
    again = spy.redefinetrial(data, found.cfg)
    assert again == found
    assert again.cfg == found.cfg
    assert list(found.cfg) == ["redefinetrial"]


def test_times_stay_what_they_were() -> None:
    data = trials()
    found = spy.redefinetrial(data, begsample=10, endsample=60)
    for k in range(3):
        np.testing.assert_array_equal(found.time[k], data.time[k][10:60])
        np.testing.assert_array_equal(found.trials[k], data.trials[k][10:60])


@pytest.mark.parametrize(
    ("keywords", "numbers", "cut", "offset"),
    [
        ({"minlength": 1.0}, [0, 2], slice(None), -20),
        ({"minlength": "maxperlen"}, [2], slice(None), -20),
        ({"trials": [2, 0]}, [2, 0], slice(None), -20),
        ({"trials": 1}, [1], slice(None), -20),
        ({"trials": [2, 0], "begsample": 5, "endsample": 20}, [2, 0], slice(5, 20), -15),
        ({"toilim": [0, 0.2]}, [0, 1, 2], slice(20, 41), 0),
        ({"toilim": [0, 0.2], "offset": 1, "trials": [2]}, [2], slice(20, 41), 1),
        ({"toilim": [0, 0.7]}, [0, 2], slice(20, 91), 0),
    ],
)
def test_trials_are_taken(keywords: dict[str, Any], numbers: list[int], cut: slice, offset: int) -> None:
    data = trials()
    found = spy.redefinetrial(data, **keywords)
    assert found.trialinfo[:, 0].tolist() == [TRL[k, 3] for k in numbers]
    for k, number in enumerate(numbers):
        np.testing.assert_array_equal(found.trials[k], data.trials[number][cut])
    np.testing.assert_array_equal(found.trialdefinition[:, 2], offset)
    assert spy.redefinetrial(cfg=spy.StructDict(found.cfg["redefinetrial"], data_obj=data)) == found


def test_nothing_is_long_enough(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="rayspy"):
        found = spy.redefinetrial(trials(), minlength=99)
    assert found.data is None
    assert "no trial is 99 s long" in caplog.text


def test_minlength_is_not_a_matter_of_rounding() -> None:
    data = spy.AnalogData(np.zeros((29, 1)), samplerate=100)
    assert len(spy.redefinetrial(data, minlength=0.29)) == 1
    assert spy.redefinetrial(data, minlength=0.3).data is None


def test_spectra_can_be_redefined() -> None:
    array = np.random.default_rng(0).normal(size=(60, 1, 3, 2))
    trl = np.array([[0, 30, -10, 1], [30, 60, -10, 2]])
    data = spy.SpectralData(array, samplerate=10, trialdefinition=trl, freq=[1, 2, 4])
    found = spy.redefinetrial(data, toilim=[-0.5, 0.5])
    np.testing.assert_array_equal(found.trials[1], array[35:46])
    assert found.freq.tolist() == [1, 2, 4]
    assert spy.redefinetrial(data, trials=1, begsample=10, endsample=20).time[0][0] == 0


def test_events_can_be_redefined() -> None:
    own = events(trialdefinition=np.array([[5, 35, -5, 1], [35, 65, -5, 2]]))
    found = spy.redefinetrial(own, begsample=10, endsample=26)
    assert [t[:, 0].tolist() for t in found.trials] == [[20, 30], [50, 60]]
    np.testing.assert_allclose(found.time[1], own.time[1][1:])
    found = spy.redefinetrial(own, toilim=[0, 0.1])
    assert [t[:, 0].tolist() for t in found.trials] == [[10, 20], [40, 50]]
    found = spy.redefinetrial(own, trl=[[0, 500, 0]])
    assert len(found.trials[0]) == len(ROWS)
    assert spy.redefinetrial(own, offset=100).time[0][0] == 1.05
