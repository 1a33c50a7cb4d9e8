"""`SpikeData`: names, trials, selections, waveforms, storage, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError
from rayspy.storage import rows as tables
from rayspy.storage.sources import RawSource

TABLE = np.array(
    [
        [10, 0, 5],
        [12, 2, 5],
        [20, 0, 7],
        [20, 2, 5],
        [35, 0, 5],
        [40, 2, 9],
        [41, 0, 7],
        [60, 0, 5],
        [90, 2, 9],
    ]
)
TRL = np.array([[10, 40, -10, 1], [35, 70, 0, 2], [70, 80, 0, 3]])


def make(**options: Any) -> spy.SpikeData:
    return spy.SpikeData(**{"data": TABLE, "samplerate": 10, "trialdefinition": TRL, **options})


def on_disk(folder: Path, table: Any = TABLE) -> spy.SpikeData:
    np.save(folder / "spikes.npy", table)
    return spy.SpikeData(folder / "spikes.npy", samplerate=10, trialdefinition=TRL)


def test_names_and_codes() -> None:
    spikes = make()
    assert spikes.channel.tolist() == ["channel1", "channel3"]
    assert spikes.unit.tolist() == ["unit6", "unit8", "unit10"]
    assert spikes.unit_idx.tolist() == [5, 7, 9]
    assert spikes.pairs.tolist() == [[0, 5], [0, 7], [2, 5], [2, 9]]
    spikes.unit = ["a", "b", "c"]
    spikes.channel = {0: "left", 2: "right", 3: "none"}
    assert spikes.channel.tolist() == ["left", "right", "none"]
    assert spikes.selectdata(unit="b").sample.tolist() == [20, 41]
    assert spikes.selectdata(unit=1).sample.tolist() == [20, 41]
    spikes.unit = {5: "a", 6: "silent", 7: "b", 9: "c"}
    assert spikes.selectdata(trials=0).unit.tolist() == ["a", "silent", "b", "c"]
    assert spikes.selectdata(channel="right").unit.tolist() == ["a", "silent", "c"]


def test_memory_is_surveyed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spikes = make()
    monkeypatch.setattr("rayspy.data.discrete.survey", None)
    assert spikes.copy().unit.tolist() == ["unit6", "unit8", "unit10"]
    assert spikes.selectdata(unit=1).unit.tolist() == ["unit8"]
    assert "unit6, unit8, unit10" in repr(spikes)


def test_trials_and_times() -> None:
    spikes = make()
    assert [t[:, 0].tolist() for t in spikes.trials] == [[10, 12, 20, 20, 35], [35, 40, 41, 60], []]
    np.testing.assert_allclose(spikes.time[0], [-1, -0.8, 0, 0, 1.5])
    assert spikes.trialid.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, -1]
    assert spikes.count_outside() == 1


def test_outside_of_trials_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="rayspy")
    spy.definetrial(make(trialdefinition=None), TRL)
    assert "1 of 9 spikes are in no trial" in caplog.text


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=900),
    st.lists(st.integers(-5, 3100), min_size=1, max_size=6),
)
def test_files_are_searched(tmp_path_factory: Any, rows: Any, values: Any) -> None:
    table = np.unique(np.array(sorted(set(rows))), axis=0)
    path = tmp_path_factory.mktemp("t") / "t.dat"
    table.tofile(path)
    source = RawSource(str(path), table.dtype, table.shape)
    wanted = np.searchsorted(table[:, 0], values)
    np.testing.assert_array_equal(tables._search_few(source, 0, np.array(values)), wanted)
    np.testing.assert_array_equal(tables._search_all(source, 0, np.array(values)), wanted)
    np.testing.assert_array_equal(tables.search_rows(source, 0, values), wanted)
    with spy.config.using(block_bytes=24 * 7):
        found = tables.survey(source, 0, [1, 2], once=True)
    codes, counts = np.unique(table[:, 1:], axis=0, return_counts=True)
    np.testing.assert_array_equal(found.codes, codes)
    np.testing.assert_array_equal(found.counts, counts)


def test_a_trial_is_found_with_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n = 200_000
    table = np.column_stack([np.arange(n) * 3, np.zeros(n, int), np.arange(n) % 4])
    spikes = on_disk(tmp_path, table)
    spikes.trialdefinition = np.array([[150_000, 150_090, 0.0]])
    read: list[int] = []
    original = RawSource._read

    def counted(self: Any, descriptor: int, region: Any) -> Any:
        read.append(region[0].stop - region[0].start)
        return original(self, descriptor, region)

    monkeypatch.setattr(RawSource, "_read", counted)
    assert len(spikes.trials[0]) == 30
    assert sum(read) < 1000


@pytest.mark.parametrize("stored", [False, True])
def test_selections(tmp_path: Path, stored: bool) -> None:
    spikes = on_disk(tmp_path) if stored else make()
    found = spikes.selectdata(trials=[1, 0], channel=1)
    assert found.data[()].tolist() == [[12, 2, 5], [20, 2, 5], [40, 2, 9]]
    assert [t[:, 0].tolist() for t in found.trials] == [[40], [12, 20]]
    assert found.trialinfo.tolist() == [[2], [1]]
    assert spikes.selectdata(latency=[0, 1.5]).sample.tolist() == [20, 20, 35, 40, 41]
    np.testing.assert_array_equal(spikes.show(trials=1, unit="unit8"), [41, 0, 7])
    spikes.selectdata(unit=[0, 2], inplace=True)
    assert spikes.selection.trials[0][:, 0].tolist() == [10, 12, 20, 35]
    assert spikes.selection.unit.tolist() == ["unit6", "unit10"]


def test_redefined_trials() -> None:
    spikes = make()
    assert spy.redefinetrial(spikes, trials=[1]).sample.tolist() == [35, 40, 41, 60]
    assert spy.redefinetrial(spikes, offset=3).time[0][0] == pytest.approx(0.3)
    assert len(spy.redefinetrial(spikes, minlength=3)) == 2
    trials = spy.redefinetrial(spikes, trl=[[0, 100, 0]]).trials
    assert trials[0].tolist() == TABLE.tolist()


def test_waveforms_follow_their_spikes(tmp_path: Path) -> None:
    spikes = make()
    assert spikes.waveform is None
    shapes = np.arange(9 * 4, dtype=np.float32).reshape(9, 4)
    spikes.waveform = shapes
    found = spikes.selectdata(channel=1)
    np.testing.assert_array_equal(found.waveform[()], shapes[[1, 3, 5]])
    spikes.save(container=tmp_path / "s")
    loaded = spy.load(tmp_path / "s")
    np.testing.assert_array_equal(loaded.waveform[2:4], shapes[2:4])
    assert loaded == spikes
    loaded.waveform = shapes + 1
    assert loaded != spikes
    loaded.waveform = None
    assert loaded != spikes


def test_waveforms_are_covered_by_checksums(tmp_path: Path) -> None:
    spikes = make()
    spikes.waveform = np.ones((9, 3))
    spikes.save(container=tmp_path / "s")
    part = next((tmp_path / "s.spy" / "s.spike" / "waveform").glob("part*"))
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    with pytest.raises(DamagedDataError, match="altered"):
        spy.load(tmp_path / "s")
    part.unlink()
    with pytest.raises(DamagedDataError, match="missing"):
        spy.load(tmp_path / "s")


def test_round_trip_keeps_silent_units(tmp_path: Path) -> None:
    spikes = make(unit={5: "a", 7: "b", 8: "quiet", 9: "c"}, channel=["l", "r"])
    spikes.save(filename=tmp_path / "x")
    loaded = spy.SpikeData(filename=tmp_path / "x.spike")
    assert (loaded.unit.tolist(), loaded.channel.tolist()) == (["a", "b", "quiet", "c"], ["l", "r"])
    assert loaded == make(unit={5: "a", 7: "b", 8: "quiet", 9: "c"}, channel=["l", "r"])
    assert loaded != make(unit={5: "a", 7: "b", 9: "c"}, channel=["l", "r"])


def test_large_tables_are_neither_shown_nor_selected_in_memory(tmp_path: Path) -> None:
    n = 30_000
    table = np.column_stack([np.arange(n), np.zeros(n, int), np.arange(n) % 5])
    spikes = on_disk(tmp_path, table)
    assert "not known before the file is read" in repr(spikes)
    spikes.trialdefinition = np.array([[0, 20_000, 0], [10_000, 30_000, 0]])
    with spy.config.using(inmemory_bytes=100_000, block_bytes=50_000):
        found = spikes.selectdata(unit=[1, 2])
        assert not found.source.in_memory
        joined = spy.concat(spikes, spikes, "unit")
        assert not joined.source.in_memory
    np.testing.assert_array_equal(found.data[()], table[np.isin(table[:, 2], [1, 2])])
    doubled = np.concatenate([table, table + np.array([0, 0, 5])])
    np.testing.assert_array_equal(joined.data[()], doubled[np.argsort(doubled[:, 0], kind="stable")])


def test_concat() -> None:
    other = spy.SpikeData(np.array([[5, 0, 1], [20, 1, 2]]), samplerate=10, trialdefinition=TRL)
    by_unit = spy.concat(make(), other, "unit")
    assert by_unit.unit.tolist() == ["unit6", "unit8", "unit10", "unit2", "unit3"]
    assert by_unit.channel.tolist() == ["channel1", "channel2", "channel3"]
    assert by_unit.selectdata(unit="unit3").data[()].tolist() == [[20, 1, 12]]
    by_channel = spy.concat(make(), other, "channel")
    assert by_channel.channel.tolist() == ["channel1", "channel3", "channel1-2", "channel2"]
    assert by_channel.data.shape == (11, 3)


# -- other things to begin with ----------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sets(st.integers(0, 50), max_size=8), min_size=1, max_size=4).filter(any))
def test_times_there_and_back(trains: Any) -> None:
    times = {f"u{k}": np.array(sorted(train)) / 8.0 for k, train in enumerate(trains)}
    spikes = spy.spikes_from_times(times, samplerate=1000)
    back = spy.spikes_to_times(spikes)
    assert list(back) == list(times)
    for name, train in times.items():
        np.testing.assert_allclose(back[name], train, atol=1e-12)
    table = spy.spikes_to_pandas(spikes)
    again = spy.spikes_from_pandas(table.sample(frac=1, random_state=1), 1000, channel="channel")
    silent = [name for name, train in times.items() if not len(train)]
    assert [name for name in again.unit if name not in silent] == again.unit.tolist()
    np.testing.assert_array_equal(again.sample, spikes.sample)


def test_times_in_samples_and_channels() -> None:
    spikes = spy.spikes_from_times(
        [[3, 9], [4]], 1000, unit=["a", "b"], channel=["x", "y"], time_unit="samples"
    )
    assert spikes.data[()].tolist() == [[3, 0, 0], [4, 1, 1], [9, 0, 0]]
    assert spikes.channel.tolist() == ["x", "y"]
    assert spy.spikes_to_times(spikes, "samples")["a"].tolist() == [3, 9]
    assert list(spy.spikes_to_pandas(spikes).columns) == [
        "sample",
        "channel",
        "unit",
        "time",
        "trial",
        "trialtime",
    ]
    one = spy.SpikeData(np.array([[1, 0, 0], [2, 1, 0]]), samplerate=1)
    assert list(spy.spikes_to_times(one)) == ["channel1/unit1", "channel2/unit1"]


def phy(folder: Path, **files: Any) -> Path:
    arrays = {
        "spike_times": np.array([[3], [5], [5], [9]], dtype=np.uint64),
        "spike_clusters": np.array([2, 7, 7, 2]),
    }
    for name, array in {**arrays, **files}.items():
        if isinstance(array, str):
            (folder / name.replace("__", ".")).write_text(array)
        elif array is not None:
            np.save(folder / f"{name}.npy", array)
    return folder


def test_phy(tmp_path: Path) -> None:
    templates = np.zeros((8, 5, 3))
    templates[2, 1, 2] = templates[7, 2, 1] = 1
    folder = phy(
        tmp_path,
        params__py="dat_path = 'x.dat'\nsample_rate = 30000.0  # Hz\n",
        cluster_KSLabel__tsv="cluster_id\tKSLabel\n2\tmua\n7\tgood\n",
        cluster_group__tsv="cluster_id\tgroup\n2\tgood\n",
        templates=templates, spike_templates=np.array([2, 7, 7, 2]),
    )  # fmt: skip
    with pytest.raises(InvalidValueError, match="again"):
        spy.load_phy(folder)
    spikes = spy.load_phy(folder, drop_repeated=True)
    assert (spikes.samplerate, spikes.unit.tolist()) == (30000, ["cluster2", "cluster7"])
    assert spikes.data[()].tolist() == [[3, 2, 2], [5, 1, 7], [9, 2, 2]]
    assert spikes.info["group"] == {"cluster2": "good", "cluster7": "good"}
    phy(folder, cluster_group__tsv="cluster_id\tgroup\n2\tnoise\n")
    assert spy.load_phy(folder, groups="good", drop_repeated=True).unit.tolist() == ["cluster7"]
    with pytest.raises(InvalidValueError, match="`groups`"):
        spy.load_phy(folder, groups="excellent")


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"spike_times": None}, PathError),
        ({"spike_times": np.array([3, 5])}, DamagedDataError),
        ({"spike_times": np.array([5, 3, 6, 9])}, DamagedDataError),
        ({"spike_times": np.array([-5, 3, 6, 9])}, DamagedDataError),
        ({"spike_times": np.ones((2, 2), int)}, DamagedDataError),
        ({"spike_times": np.array([{}, 1, 2, 3], dtype=object)}, DamagedDataError),
        ({"params__py": "sample_rate = __import__('os').getpid()"}, InvalidValueError),
        ({"cluster_group__tsv": "cluster_id\tgroup\nx\tgood\n"}, DamagedDataError),
    ],
)
def test_damaged_phy_folders(tmp_path: Path, files: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        spy.load_phy(phy(tmp_path, **{"params__py": "sample_rate = 10\n", **files}), drop_repeated=True)


# -- refusals ------------------------------------------------------------------------------

TWICE = np.array([[1, 0, 0], [3, 0, 1], [3, 1, 1], [3, 0, 1]])


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"data": TABLE.astype(float)}, InvalidTypeError, "data"),
        ({"data": TABLE[:, :2]}, InvalidValueError, "data"),
        ({"data": TABLE[:0]}, InvalidValueError, "data"),
        ({"data": TABLE[::-1].copy()}, InvalidValueError, "data"),
        ({"data": TABLE - np.array([11, 0, 0])}, InvalidValueError, "data"),
        ({"data": TWICE}, InvalidValueError, "data"),
        ({"data": [TABLE]}, InvalidTypeError, "data"),
        ({"dimord": ["sample", "channel"]}, InvalidValueError, "dimord"),
        ({"unit": ["a", "b"]}, InvalidValueError, "unit"),
        ({"unit": "a"}, InvalidTypeError, "unit"),
        ({"unit": [1, 2, 3]}, InvalidValueError, "unit"),
        ({"unit": {5: "a", 7: "b"}}, InvalidValueError, "unit"),
        ({"unit": {5: "a", 7: "b", 9: 3}}, InvalidValueError, "unit"),
        ({"unit": {5: "a", 7: "b", 9: "c", 1.5: "d"}}, InvalidValueError, "unit"),
        ({"channel": ["a"]}, InvalidValueError, "channel"),
        ({"samplerate": -3}, InvalidValueError, "samplerate"),
        ({"data": None, "trialdefinition": None, "unit": ["a"]}, InvalidValueError, "unit"),
        ({"trialdefinition": np.array([[5, 2, 0]])}, InvalidValueError, "sampleinfo"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        make(**options)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"times": 3}, InvalidTypeError, "times"),
        ({"times": []}, InvalidValueError, "times"),
        ({"times": [[], []]}, InvalidValueError, "times"),
        ({"times": [[0.2, 0.1]]}, InvalidValueError, "times of unit1"),
        ({"times": [[-0.2, 0.1]]}, InvalidValueError, "times of unit1"),
        ({"times": [[0.1, np.nan]]}, InvalidValueError, "times of unit1"),
        ({"times": [[0.1, 0.10001]]}, InvalidValueError, "times of unit1"),
        ({"times": [["a"]]}, InvalidTypeError, "times of unit1"),
        ({"times": [[[0.1]]]}, InvalidValueError, "times of unit1"),
        ({"times": [[1.5]], "time_unit": "samples"}, InvalidValueError, "times of unit1"),
        ({"time_unit": "ms"}, InvalidValueError, "time_unit"),
        ({"samplerate": 0}, InvalidValueError, "samplerate"),
        ({"samplerate": "fast"}, InvalidTypeError, "samplerate"),
        ({"unit": ["a", "b"]}, InvalidValueError, "unit"),
        ({"times": [[0.1], [0.1]], "unit": ["a", "a"]}, InvalidValueError, "unit"),
        ({"times": {"a": [0.1]}, "unit": ["a"]}, InvalidValueError, "unit"),
        ({"channel": ["a", "b"]}, InvalidValueError, "channel"),
        ({"trialdefinition": np.array([[0, 5]])}, InvalidValueError, "trialdefinition"),
    ],
)
def test_wrong_times(options: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.spikes_from_times(**{"times": [[0.1, 0.2]], "samplerate": 1000, **options})


def test_wrong_use(tmp_path: Path) -> None:
    import pandas as pd

    spikes = make()
    for value, error in (
        (np.ones(9), InvalidValueError),
        (np.ones((8, 3)), InvalidValueError),
        ([1], InvalidTypeError),
    ):
        with pytest.raises(error, match="`waveform`"):
            spikes.waveform = value
    with pytest.raises(InvalidValueError, match="`waveform`"):
        spy.SpikeData().waveform = np.ones((3, 3))
    for select in (
        {"unit": 3},
        {"unit": "unit1"},
        {"channel": [2]},
        {"eventid": 1},
        {"latency": [9, 10]},
        {"trials": 3},
    ):
        with pytest.raises(InvalidValueError):
            spikes.selectdata(**select)
    for other, dim in (
        (3, "unit"),
        (spikes, "time"),
        (make(samplerate=20), "unit"),
        (spy.SpikeData(), "unit"),
    ):
        with pytest.raises((InvalidTypeError, InvalidValueError)):
            spy.concat(spikes, other, dim)
    frame = pd.DataFrame({"time": [0.1, np.nan], "unit": [1, 2]})
    for options in ({}, {"time": "t"}, {"unit": "u"}, {"channel": "c"}):
        with pytest.raises(InvalidValueError):
            spy.spikes_from_pandas(frame, 1000, **options)
    with pytest.raises(InvalidValueError, match="`data`"):
        spy.spikes_to_times(make(samplerate=None))


def test_files_out_of_order_are_refused_when_they_are_read(tmp_path: Path) -> None:
    table = TABLE.copy()
    table[[3, 4]] = table[[4, 3]]
    spikes = on_disk(tmp_path, table)
    with pytest.raises(InvalidValueError, match="row 4 with sample 20 behind 35"):
        _ = spikes.unit
    with pytest.raises(InvalidValueError, match="again"):
        _ = on_disk(tmp_path, TWICE).unit
