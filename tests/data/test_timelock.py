"""`TimeLockData`: statistics over trials, by themselves and after selections and storage."""

from pathlib import Path

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError


def make() -> spy.TimeLockData:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 10, 3))
    values[1, 7:] = np.nan
    trl = np.column_stack([np.arange(4) * 10, np.arange(1, 5) * 10, np.full(4, -3.5), np.arange(4)])
    return spy.TimeLockData(
        values.reshape(40, 3), samplerate=20, trialdefinition=trl, channel=["a", "b", "c"]
    )


def test_statistics_leave_nan_out() -> None:
    data = make()
    trials = np.stack(list(data.trials))
    np.testing.assert_allclose(data.avg, np.nanmean(trials, axis=0), rtol=1e-13)
    np.testing.assert_allclose(data.var, np.nanvar(trials, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(data.dof[:, 0], [4] * 7 + [3] * 3)
    assert data.cov is None
    assert "[10 x 3] element ndarray" in repr(make())
    np.testing.assert_allclose(data.time[0], (np.arange(10) - 3.5) / 20)
    with pytest.raises(AttributeError):
        data.avg = np.ones(3)


def test_selections_keep_or_renew_statistics() -> None:
    data = make()
    data.attach({"var": np.full((10, 3), 7.0), "avg": data.avg, "cov": np.arange(9.0).reshape(3, 3)})
    found = data.selectdata(channel=["c", "a"], latency=[0, 0.2])
    np.testing.assert_array_equal(found.var, np.full((4, 2), 7.0))
    np.testing.assert_array_equal(found.avg, data.avg[4:8, [2, 0]])
    assert found.cov is None
    np.testing.assert_array_equal(data.selectdata(channel=[2, 0]).cov, [[8, 6], [2, 0]])
    fewer = data.selectdata(trials=[0, 2])
    np.testing.assert_allclose(fewer.avg, (data.trials[0] + data.trials[2]) / 2)


def test_round_trip(tmp_path: Path) -> None:
    data = make()
    data.attach({"avg": data.avg, "cov": np.eye(3)})
    data.save(container=tmp_path / "t")
    loaded = spy.load(tmp_path / "t")
    assert loaded == data
    np.testing.assert_array_equal(loaded.cov, np.eye(3))
    np.testing.assert_array_equal(loaded.avg, data.avg)
    np.testing.assert_allclose((loaded + 1).avg, data.avg + 1)


def test_wrong_trials_are_not_stored() -> None:
    data = make()
    before = data.trialdefinition
    for trl in ([[0, 10, 0], [10, 21, 0]], [[0, 10, 0], [10, 20, 1]]):
        with pytest.raises(InvalidValueError, match="`trialdefinition`"):
            data.trialdefinition = np.array(trl)
        np.testing.assert_array_equal(data.trialdefinition, before)
    with pytest.raises(InvalidTypeError, match="`trialdefinition`"):
        data.trialdefinition = [[0, 10, 0]]
    with pytest.raises(InvalidValueError, match="`channel`"):
        data.channel = ["a"]
