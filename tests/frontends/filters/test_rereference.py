"""`rereference` against NumPy and MNE, on all executors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
from rayspy.kernels.filters.reference import rereferenced
from rayspy.methods.filters.reference import Rereference
from rayspy.storage.sources import read_all
from tests.helpers import EXECUTORS, run_on

NAMES = list("abcde")
TRL = np.array([[0, 60, -20, 7], [60, 150, -20, 8], [160, 200, 0, 9]], dtype=float)
ARRAY = np.random.default_rng(0).normal(size=(200, 5)) * 50 + 1000 * np.arange(5)


def make(dtype: str = "f8", dimord: Any = None) -> spy.AnalogData:
    array = ARRAY.astype(dtype)
    array = array.T if dimord else array
    return spy.AnalogData(array, samplerate=100, trialdefinition=TRL, channel=NAMES, dimord=dimord)


WAYS: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "average": ({}, lambda x: x - x.mean(1, keepdims=True), NAMES),
    "median": ({"reference": "median"}, lambda x: x - np.median(x, 1, keepdims=True), NAMES),
    "one": ({"reference": "c"}, lambda x: x - x[:, [2]], NAMES),
    "number": ({"reference": 2}, lambda x: x - x[:, [2]], NAMES),
    "some": ({"reference": ["b", "e"]}, lambda x: x - x[:, [1, 4]].mean(1, keepdims=True), NAMES),
    "median of some": (
        {"reference": ["a", "b", "e"], "refmethod": "median"},
        lambda x: x - np.median(x[:, [0, 1, 4]], 1, keepdims=True),
        NAMES,
    ),
    "bipolar": ({"reference": "bipolar"}, lambda x: x[:, :-1] - x[:, 1:], ["a-b", "b-c", "c-d", "d-e"]),
    "chain": (
        {"reference": "bipolar", "order": ["e", "a", "c"]},
        lambda x: x[:, [4, 0]] - x[:, [0, 2]],
        ["e-a", "a-c"],
    ),
    "pairs": ({"reference": [["a", "d"], [4, "b"]]}, lambda x: x[:, [0, 4]] - x[:, [3, 1]], ["a-d", "e-b"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "c16"])
@pytest.mark.parametrize("dimord", [None, ["channel", "time"]])
def test_against_numpy(way: str, dtype: str, dimord: Any) -> None:
    options, model, labels = WAYS[way]
    data = make(dtype, dimord)
    if dtype == "c16" and "median" in way:
        with pytest.raises(ValueError, match="median"):
            spy.rereference(data, **options)
        return
    found = spy.rereference(data, **options)
    assert found.data.dtype == (np.complex64 if dtype == "c16" else np.float32)
    assert found.channel.tolist() == labels
    for got, trial in zip(found.trials, make(dtype).trials, strict=True):
        wanted = model(trial.astype(np.complex128 if dtype == "c16" else float))
        np.testing.assert_allclose(got.T if dimord else got, wanted, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(found.trialdefinition[:, 2:], TRL[:, 2:])
    np.testing.assert_array_equal(found.sampleinfo, [[0, 60], [60, 150], [150, 190]])
    assert f"computed rereference ({'bipolar' if '-' in labels[0] else 'rereference'})" in found.log


def test_against_mne() -> None:
    mne = pytest.importorskip("mne")
    info = mne.create_info(NAMES, 100.0, "eeg")
    raw = mne.io.RawArray(ARRAY.T * 1e-6, info, verbose="error")
    data = spy.AnalogData(ARRAY * 1e-6, samplerate=100, channel=NAMES)
    for channels, reference in (("average", "average"), (["b", "e"], ["b", "e"]), (["c"], "c")):
        wanted, _ = mne.set_eeg_reference(raw.copy(), channels, verbose="error")
        got = spy.rereference(data, reference)
        np.testing.assert_allclose(got.data[()], wanted.get_data().T, rtol=1e-6, atol=1e-10)
    pairs = mne.set_bipolar_reference(raw, ["a", "d"], ["b", "e"], copy=True, verbose="error")
    got = spy.rereference(data, [["a", "b"], ["d", "e"]])
    wanted = pairs.get_data(picks=["a-b", "d-e"])
    np.testing.assert_allclose(got.data[()], wanted.T, rtol=1e-6, atol=1e-10)
    assert got.channel.tolist() == ["a-b", "d-e"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("way", ["median", "some", "chain"])
def test_same_bits(executor: str, way: str, request: Any, tmp_path: Path) -> None:
    options = WAYS[way][0]
    select = {"trials": [2, 0, 0], "channel": ["e", "b", "a", "c"], "latency": [0, 0.3]}
    array = make("f4").data[()]
    array.tofile(tmp_path / "x.raw")
    raw = spy.AnalogData(
        spy.raw_binary(tmp_path / "x.raw", "float32", 5), samplerate=100, trialdefinition=TRL, channel=NAMES
    )
    for chosen in (None, select):
        wanted = spy.rereference(make("f4"), **options, select=chosen, parallel=False)
        if chosen:
            other = spy.rereference(spy.selectdata(make("f4"), **select), **options)
            np.testing.assert_array_equal(other.data[()], wanted.data[()])
        with run_on(executor, request) as run:
            for limit, width, data in ((10**7, None, make("f4")), (100, 1, raw), (100, 3, make("f4"))):
                with spy.config.using(block_bytes=2000, inmemory_bytes=limit):
                    found = spy.rereference(data, **options, select=chosen, chan_per_worker=width, **run)
                np.testing.assert_array_equal(found.data[()], wanted.data[()])


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_nan_in_one_channel(n: int) -> None:
    array = np.random.default_rng(0).normal(size=(1, 6, n))
    array[0, 2, 0] = np.nan
    for statistic, take in (("average", np.mean), ("median", np.median)):
        found = rereferenced(array, slice(None), statistic)
        np.testing.assert_allclose(found, array - take(array, axis=-1, keepdims=True), atol=1e-6)
        assert np.isnan(found[0, 2]).all()
        assert not np.isnan(found[0, [0, 1, 3, 4, 5]]).any()


def test_long_trials_are_not_split_by_channels() -> None:
    array = np.random.default_rng(1).normal(size=(70_000, 12)).astype("f4")
    data = spy.AnalogData(array, samplerate=1000)
    with spy.config.using(block_bytes=100_000):
        found = spy.rereference(data)
    wanted = array - array.mean(1, keepdims=True, dtype=float)
    np.testing.assert_allclose(found.data[()], wanted, rtol=1e-6, atol=1e-6)
    assert len(found.trials) == 1


@pytest.mark.parametrize("width", [None, 1, 5])
def test_a_plan_of_long_trials_keeps_the_channels_together(width: int | None) -> None:
    array = np.random.default_rng(1).normal(size=(70_000, 12)).astype("f4")
    data = spy.AnalogData(array, samplerate=1000)
    with spy.config.using(block_bytes=100_000):
        plan = plan_for("rereference", data, Rereference(), selected(data, None), chan_per_worker=width)
        found, _ = run_plan(plan, False)
    assert plan.n_blocks == 1
    wanted = array - array.mean(1, keepdims=True, dtype=float)
    np.testing.assert_allclose(read_all(found), wanted, rtol=1e-6, atol=1e-6)


def test_history_and_replay() -> None:
    data = make()
    data.info["x"] = 1
    first = spy.rereference(data, [["a", "b"]], select={"trials": [1]})
    again = spy.rereference(make(), first.cfg)
    assert again.cfg == first.cfg
    np.testing.assert_array_equal(again.data[()], first.data[()])
    assert first.info == {"x": 1}
    data.selection = {"channel": ["d", "a"]}
    active = spy.rereference(data, "bipolar")
    assert active.channel.tolist() == ["d-a"]
    assert data.selection is not None


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["average", "median"]), st.data()
)
def test_kernel(n: int, length: int, n_channels: int, statistic: str, data: Any) -> None:
    """Referring once more to the same changes nothing; a common signal vanishes; trials do not matter."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, length, n_channels)).astype("f4")
    picked = data.draw(st.lists(st.integers(0, n_channels - 1), min_size=1, unique=True))
    once = rereferenced(x, np.array(picked), statistic)
    np.testing.assert_allclose(rereferenced(once, np.array(picked), statistic), once, atol=1e-5)
    common = (x + rng.normal(size=(n, length, 1))).astype("f4")
    np.testing.assert_allclose(rereferenced(common, np.array(picked), statistic), once, atol=1e-5)
    alone = rereferenced(np.asfortranarray(x[:1]), np.array(picked), statistic)
    np.testing.assert_array_equal(alone, once[:1])
