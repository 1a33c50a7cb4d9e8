from __future__ import annotations

import numpy as np
import pytest

import rayspy as spy
from rayspy.data.trials import TrialIndexer, check_trialdefinition
from rayspy.errors import InvalidTypeError, InvalidValueError


@pytest.mark.parametrize(
    ("table", "error", "name"),
    [
        ([[0, 10, 0]], InvalidTypeError, "trialdefinition"),
        (np.array([0, 10, 0]), InvalidValueError, "trialdefinition"),
        (np.array([[0, 10]]), InvalidValueError, "trialdefinition"),
        (np.empty((0, 3)), InvalidValueError, "trialdefinition"),
        (np.array([["0", "10", "0"]]), InvalidValueError, "trialdefinition"),
        (np.array([[0, 10.5, 0]]), InvalidValueError, "sampleinfo"),
        (np.array([[-1, 10, 0]]), InvalidValueError, "sampleinfo"),
        (np.array([[0, 101, 0]]), InvalidValueError, "sampleinfo"),
        (np.array([[20, 10, 0]]), InvalidValueError, "sampleinfo"),
        (np.array([[0, np.nan, 0]]), InvalidValueError, "sampleinfo"),
        (np.array([[0, 10, np.inf]]), InvalidValueError, "sampleinfo"),
    ],
)
def test_wrong_trial_definitions(table: object, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        check_trialdefinition(table, 100)
    data = spy.AnalogData(np.zeros((100, 2)), samplerate=10)
    before = data.trialdefinition
    with pytest.raises(error, match=f"`{name}`"):
        data.trialdefinition = table
    np.testing.assert_array_equal(data.trialdefinition, before)


def test_trial_definition_is_copied_in_and_out() -> None:
    table = np.array([[0, 10, -5, 7.5], [10, 30, 0, 8.5]])
    data = spy.AnalogData(np.arange(60.0).reshape(30, 2), trialdefinition=table, samplerate=10)
    table[:] = 0
    data.trialdefinition[:] = 0
    data.sampleinfo[:] = 0
    data.trialinfo[:] = 0
    np.testing.assert_array_equal(data.trialdefinition, [[0, 10, -5, 7.5], [10, 30, 0, 8.5]])
    np.testing.assert_array_equal(data.sampleinfo, [[0, 10], [10, 30]])
    np.testing.assert_array_equal(data.trialinfo, [[7.5], [8.5]])
    np.testing.assert_array_equal(data.trial_ids, [0, 1])
    np.testing.assert_allclose(data.trialintervals, [[-0.5, 0.4], [0, 1.9]])
    np.testing.assert_allclose(data.time[0], np.arange(-5, 5) / 10)
    np.testing.assert_allclose(data.time[1], np.arange(20) / 10)
    np.testing.assert_array_equal(data.trials[1], np.arange(60.0).reshape(30, 2)[10:30])
    assert not data.is_time_locked
    for name in ("sampleinfo", "trialinfo"):
        with pytest.raises(InvalidValueError, match="trialdefinition"):
            setattr(data, name, table)


def test_overlapping_and_repeated_trials() -> None:
    table = np.array([[0, 20, 0], [10, 30, 0], [10, 30, 0]])
    data = spy.AnalogData(np.arange(30.0)[:, None], trialdefinition=table)
    np.testing.assert_array_equal(data.trials[1], data.trials[2])
    assert data.is_time_locked
    assert data.time is None
    assert data.trialintervals is None


def test_definetrial() -> None:
    data = spy.AnalogData(np.zeros((100, 2)), samplerate=10)
    data.definetrial(np.array([[0, 50, -10], [50, 100, -10]]))
    assert len(data.trials) == len(data) == 2
    assert "updated trial-definition with [2 x 3]" in data.log
    data.definetrial()
    np.testing.assert_array_equal(data.trialdefinition, [[0, 100, 0]])


@pytest.mark.parametrize("index", [3, -1, 1.5, np.nan, np.inf])
def test_unknown_trials(index: float) -> None:
    data = spy.white_noise(nTrials=3, nSamples=5, seed=1)
    for lazy in (data.trials, data.time):
        with pytest.raises(InvalidValueError, match="trial index"):
            lazy[index]


@pytest.mark.parametrize("index", [slice(0, 1), [0], "0", None, True])
def test_trial_index_of_wrong_type(index: object) -> None:
    data = spy.white_noise(nTrials=3, nSamples=5, seed=1)
    with pytest.raises(InvalidTypeError, match="trial index"):
        data.trials[index]


def test_indexer_is_a_lazy_sequence() -> None:
    asked: list[int] = []

    def get(k: int) -> int:
        asked.append(k)
        return 10 * k

    lazy = TrialIndexer(get, range(200_000))
    assert (len(lazy), repr(lazy), asked) == (200_000, "200000 element iterable", [])
    assert (lazy[199_999], lazy[np.int64(3)], lazy[2.0]) == (1_999_990, 30, 20)
    assert next(iter(lazy)) == 0
    assert asked == [199_999, 3, 2, 0]
