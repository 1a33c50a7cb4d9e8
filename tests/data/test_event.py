"""EventData: rows, trials, times, selections against a plain model, storage, repr."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

ROWS = np.array([[10, 1], [20, 2], [30, 31], [40, 1], [40, 2], [60, 111], [70, 1], [95, 2]])
TRL = np.array([[5, 35, -5, 1], [35, 65, -10, 2], [60, 90, 0, 3]], dtype=float)


def make(**options: Any) -> spy.EventData:
    return spy.EventData(ROWS, **{"samplerate": 10.0, "trialdefinition": TRL, **options})


def h5_file(folder: Path) -> Any:
    with h5py.File(folder / "e.h5", "w") as file:
        file["data"] = ROWS
    return folder / "e.h5"


def npy(folder: Path) -> Any:
    np.save(folder / "e.npy", ROWS.astype(np.int32))
    return folder / "e.npy"


@pytest.mark.parametrize("kind", [lambda folder: ROWS, h5_file, npy, lambda folder: spy.EventData(ROWS)])
@pytest.mark.parametrize("limit", [10, 10**6])
def test_kinds_of_data(kind: Any, limit: int, tmp_path: Path) -> None:
    with spy.config.using(inmemory_bytes=limit, block_bytes=32):
        events = spy.EventData(kind(tmp_path), samplerate=10)
    np.testing.assert_array_equal(events.data[()], ROWS)
    np.testing.assert_array_equal(events.sample, ROWS[:, 0])
    np.testing.assert_array_equal(events.eventid, [1, 2, 31, 111])
    np.testing.assert_array_equal(events.trialdefinition, [[10, 96, 0]])
    assert events.dimord == ["sample", "eventid"]
    np.testing.assert_array_equal(events.trials[0], ROWS)
    np.testing.assert_allclose(events.time[0], (ROWS[:, 0] - 10) / 10)


def test_trials_and_times() -> None:
    events = make()
    assert [t[:, 0].tolist() for t in events.trials] == [[10, 20, 30], [40, 40, 60], [60, 70]]
    np.testing.assert_allclose(events.time[1], [-0.5, -0.5, 1.5])
    np.testing.assert_allclose(events.trialintervals, [[-0.5, 2.4], [-1, 1.9], [0, 2.9]])
    np.testing.assert_array_equal(events.trialid, [0, 0, 0, 1, 1, 2, 2, -1])
    np.testing.assert_allclose(events.trialtime, [0, 1, 2, -0.5, -0.5, 0, 1, np.nan])
    np.testing.assert_array_equal(events.trialinfo, [[1], [2], [3]])
    assert (len(events.trials), len(events.time), len(events)) == (3, 3, 3)
    events.samplerate = None
    assert events.time is None
    assert events.trialtime is None
    with pytest.raises(InvalidValueError, match="trialdefinition"):
        events.trialid = np.zeros(8)
    with pytest.raises(ValueError, match="read-only"):
        events.sample[0] = 3


def test_further_columns() -> None:
    table = np.column_stack([np.arange(8), ROWS[:, 1], ROWS[:, 0]])
    events = spy.EventData(table, dimord=["chans", "eventid", "sample"], trialdefinition=TRL, samplerate=10)
    np.testing.assert_array_equal(events.sample, ROWS[:, 0])
    np.testing.assert_array_equal(events.trials[1], table[3:6])
    np.testing.assert_array_equal(events.selectdata(eventid=2).data[()], table[[1, 4]])
    assert "chans by eventid by sample" in repr(events)


def test_empty_object_and_assignment() -> None:
    events = spy.EventData(samplerate=10)
    assert (events.data, events.sample, events.eventid, events.trialid, events.trials, events.time) == (
        None,
    ) * 6
    assert "data : None" in repr(events)
    events.data = ROWS
    np.testing.assert_array_equal(events.sample, ROWS[:, 0])
    events.data = ROWS + np.array([1, 1])
    np.testing.assert_array_equal(events.sample, ROWS[:, 0] + 1)
    np.testing.assert_array_equal(events.eventid, [2, 3, 32, 112])
    with pytest.raises(InvalidValueError, match="ascending"):
        events.data = ROWS[::-1].copy()
    events.data = None
    assert events.sample is None


# -- selection ------------------------------------------------------------------------

codes = st.one_of(
    st.none(),
    st.just("all"),
    st.sampled_from([1, 2, 31, 111]),
    st.lists(st.sampled_from([1, 2, 31, 111]), min_size=1, max_size=4),
    st.just(range(1, 3)),
)
trial_lists = st.none() | st.integers(0, 2) | st.lists(st.integers(0, 2), min_size=1, max_size=4)
windows = st.none() | st.tuples(st.integers(-12, 32), st.integers(-12, 32)).map(
    lambda pair: [n / 10 for n in sorted(pair)]
)


def model(trials: Any, latency: Any, eventid: Any) -> list[tuple[int, list[int]]]:
    """Number and row numbers of each selected trial."""
    numbers = range(3) if trials is None else [trials] if isinstance(trials, int) else trials
    every = eventid is None or (isinstance(eventid, str) and eventid == "all")
    wanted = ROWS[:, 1] if every else np.atleast_1d(eventid)
    picked = []
    for k in numbers:
        start, stop, offset = TRL[k, :3]
        times = (ROWS[:, 0] - start + offset) / 10
        inside = (ROWS[:, 0] >= start) & (ROWS[:, 0] < stop) & np.isin(ROWS[:, 1], wanted)
        if latency is not None:
            if latency[0] < offset / 10 - 1e-9 or latency[1] > (stop - start - 1 + offset) / 10 + 1e-9:
                continue
            inside &= (times >= latency[0] - 1e-9) & (times <= latency[1] + 1e-9)
        picked.append((k, np.flatnonzero(inside).tolist()))
    return picked


@settings(deadline=None, max_examples=60)
@given(trial_lists, windows, codes)
def test_selections_do_what_the_model_does(trials: Any, latency: Any, eventid: Any) -> None:
    events = make()
    select = {"trials": trials, "latency": latency, "eventid": eventid}
    expected = model(trials, latency, eventid)
    if not any(rows for _, rows in expected):
        with pytest.raises(InvalidValueError, match=r"latency|at least one event"):
            events.selectdata(**select)
        return
    found = events.selectdata(**select)
    np.testing.assert_array_equal(found.data[()], ROWS[sorted({r for _, rows in expected for r in rows})])
    events.selectdata(**select, inplace=True)
    for k, (number, rows) in enumerate(expected):
        np.testing.assert_array_equal(found.trials[k], ROWS[rows])
        np.testing.assert_array_equal(events.selection.trials[number], ROWS[rows])
        times = (ROWS[rows, 0] - TRL[number, 0] + TRL[number, 2]) / 10
        np.testing.assert_allclose(found.time[k], times)
        np.testing.assert_allclose(events.selection.time[number], times)
        assert found.trialinfo[k, 0] == number + 1
    shown = events.show(eventid=eventid)
    for array, (_, rows) in zip(shown, model(None, None, eventid), strict=True):
        np.testing.assert_array_equal(array, ROWS[rows].squeeze())


def test_selection_words() -> None:
    events = make()
    for word, low, high in (("minperiod", 0, 1.9), ("poststim", 0, 2.9), ("prestim", -1, 0)):
        found = events.selectdata(latency=word)
        expected = model(None, [low, high], None)
        assert [t.tolist() for t in found.trials] == [ROWS[rows].tolist() for _, rows in expected]
    events.selection = {"eventid": [111, 1]}
    assert events.selection.eventid.tolist() == [1, 111]
    assert "2 eventids" in repr(events.selection)
    events.selectdata(clear=True)
    assert events.selection is None


def test_history_and_replay() -> None:
    found = make().selectdata(eventid=np.array([2, 1]), trials=[1])
    assert found.cfg["selectdata"]["eventid"] == [2, 1]
    again = spy.selectdata(make(), found.cfg)
    assert again == found
    assert "computed selectdata" in found.log
    assert spy.show(make(), trials=1, eventid=111, squeeze=False).tolist() == [[60, 111]]


# -- storage and the rest ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i2", "u8", ">i4", "i8"])
def test_round_trip(tmp_path: Path, dtype: str) -> None:
    events = spy.EventData(ROWS.astype(dtype), samplerate=10, trialdefinition=TRL)
    events.info["device"] = "box"
    reference = events.copy()
    events.save(container=tmp_path / "e", tag="x")
    loaded = spy.load(tmp_path / "e", dataclass="event")
    assert loaded.data.dtype == np.dtype(dtype).newbyteorder("=")
    assert loaded == reference
    assert loaded.log == reference.log
    assert spy.EventData(filename=tmp_path / "e.spy" / "e_x.event") == reference
    np.testing.assert_array_equal(loaded.trials[1], ROWS[3:6])


def test_copies_are_independent() -> None:
    events = make()
    twin = spy.copy(events)
    twin.data = ROWS + np.array([1, 0])
    twin.trialdefinition = TRL[:1]
    np.testing.assert_array_equal(events.sample, ROWS[:, 0])
    assert len(events) == 3
    assert twin != events


def test_repr() -> None:
    text = repr(make())
    names = [line.split(" : ")[0].strip() for line in text.splitlines() if " : " in line]
    expected = (
        "cfg container data dimord eventid filename info mode sample sampleinfo samplerate selection tag"
    )
    more = "time trial_ids trialid trialinfo trialintervals trials trialtime"
    assert names == f"{expected} {more}".split()
    assert "3 trials of length 30 defined on [8 x 2] int64" in text
    assert "1, 2, 31, 111" in text
    assert "<table>" in make()._repr_html_()


def test_many_trials_are_quick() -> None:
    n = 100_000
    table = np.column_stack([np.arange(n) * 10, np.arange(n) % 7])
    trl = np.column_stack([np.arange(n) * 10, np.arange(n) * 10 + 10, np.zeros(n)])
    began = time.process_time()
    events = spy.EventData(table, samplerate=1000, trialdefinition=trl)
    assert events.trialid[-1] == n - 1
    assert len(events.selectdata(eventid=[3, 4]).sample) == 2 * n // 7 + 1
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"data": ROWS.astype(float)}, InvalidTypeError, "data"),
        ({"data": ROWS.astype(bool)}, InvalidTypeError, "data"),
        ({"data": ROWS[:, :1]}, InvalidValueError, "data"),
        ({"data": np.ones((4, 3), int)}, InvalidValueError, "data"),
        ({"data": ROWS[0]}, InvalidValueError, "data"),
        ({"data": ROWS[:0]}, InvalidValueError, "data"),
        ({"data": ROWS[::-1].copy()}, InvalidValueError, "data"),
        ({"data": ROWS - 20}, InvalidValueError, "data"),
        ({"data": [ROWS, ROWS]}, InvalidTypeError, "data"),
        ({"data": iter([ROWS])}, InvalidTypeError, "data"),
        ({"data": [spy.EventData(ROWS)] * 2}, InvalidTypeError, "data"),
        ({"data": spy.AnalogData(np.ones((3, 2)))}, InvalidTypeError, "data"),
        ({"data": 3}, InvalidTypeError, "data"),
        ({"dimord": ["sample", "unit"]}, InvalidValueError, "dimord"),
        ({"dimord": ["sample", "eventid", "eventid"]}, InvalidValueError, "dimord"),
        ({"dimord": ["sample", "eventid", 3]}, InvalidValueError, "dimord"),
        ({"dimord": "sample"}, InvalidTypeError, "dimord"),
        ({"dimord": ["sample", "eventid", "x"], "data": ROWS}, InvalidValueError, "data"),
        ({"samplerate": 0}, InvalidValueError, "samplerate"),
        ({"trialdefinition": np.array([[0, 5]])}, InvalidValueError, "trialdefinition"),
        ({"trialdefinition": np.array([[-1, 5, 0]])}, InvalidValueError, "sampleinfo"),
        ({"trialdefinition": np.array([[0, np.inf, 0]])}, InvalidValueError, "sampleinfo"),
        ({"data": None}, InvalidValueError, "trialdefinition"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.EventData(**{"data": ROWS, "samplerate": 10, "trialdefinition": TRL, **options})
