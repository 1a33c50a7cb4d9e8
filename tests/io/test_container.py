from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.errors import (
    DamagedDataError,
    InvalidTypeError,
    InvalidValueError,
    PathError,
    RayspyError,
    SourceChangedError,
)
from rayspy.io import container as module
from rayspy.io import switch

TRL = np.array([[0, 20, -5, 1.5], [20, 50, 0, 2.5]])


def make(seed: int = 0) -> spy.AnalogData:
    array = np.random.default_rng(seed).normal(size=(50, 3)).astype(np.float32)
    data = spy.AnalogData(array, samplerate=100, trialdefinition=TRL, channel=["a", "ü", "c"])
    data.cfg = {"preprocessing": spy.StructDict(freq=[1.0, 2.5], order=4, taper=None, on=True)}
    data.info["note"] = {"probe": [1, 2.5, "x"]}
    data.log = "made"
    return data


def without_times(log: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", log)


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    np.testing.assert_array_equal(a.data[()], b.data[()])
    assert a.data.dtype == b.data.dtype
    np.testing.assert_array_equal(a.trialdefinition, b.trialdefinition)
    assert (a.samplerate, a.dimord, a.cfg, a.info) == (b.samplerate, b.dimord, b.cfg, b.info)
    assert without_times(a.log) == without_times(b.log)
    for dim in a.label_dims:
        np.testing.assert_array_equal(getattr(a, dim), getattr(b, dim))


# -- round trips -------------------------------------------------------------------


@pytest.mark.parametrize("large", [False, True])
def test_round_trip(tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PART_BYTES", 100)
    with spy.config.using(inmemory_bytes=100 if large else 10**6, block_bytes=200):
        data = make()
    reference = data.copy()
    data.save(container=tmp_path / "x")
    for checksum in (None, True, False):
        same(spy.load(tmp_path / "x", checksum=checksum), reference)
    same(data, reference)
    assert data.filename == str(tmp_path / "x.spy" / "x.analog")
    assert len(list((tmp_path / "x.spy" / "x.analog").glob("part-*"))) > 1
    assert isinstance(spy.load(tmp_path / "x").cfg["preprocessing"], spy.StructDict)
    assert [p.name for p in (tmp_path / "x.spy").iterdir()] == ["x.analog"]


@pytest.mark.parametrize("dtype", ["i2", "f8", "c8", "c16", "f2", "u1"])
def test_every_kind_of_numbers(tmp_path: Path, dtype: str) -> None:
    array = np.arange(24).reshape(2, 1, 4, 3).astype(dtype)
    if array.dtype.kind == "c":
        array += (1j * array[::-1]).astype(dtype)
    data = spy.SpectralData(array, samplerate=7, freq=[0.1, 0.2, 1 / 3, 1], taper=["dpss0"])
    reference = data.copy()
    data.save(filename=tmp_path / "s.spectral")
    same(spy.load(tmp_path / "s.spectral"), reference)


@pytest.mark.parametrize("dimord", [["channel", "time"], ["time", "channel"]])
def test_dimord_and_parts_of_any_shape(
    tmp_path: Path, dimord: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART_BYTES", 64)
    array = np.arange(210.0).reshape(3, 70)
    data = spy.AnalogData(array if dimord[0] == "channel" else array.T, dimord=dimord)
    reference = data.copy()
    data.save(container=tmp_path / "x")
    parts = list((tmp_path / "x.spy" / "x.analog").glob("part-*"))
    assert max(p.stat().st_size for p in parts) < 600
    same(spy.load(tmp_path / "x"), reference)


def test_without_samplerate_and_with_many_trialinfo_columns(tmp_path: Path) -> None:
    data = spy.AnalogData(np.zeros((5, 2)), trialdefinition=np.array([[0, 5, 0, 1, 2, np.nan, 4]]))
    data.save(filename=tmp_path / "x")
    loaded = spy.load(tmp_path / "x.analog")
    assert loaded.samplerate is None
    np.testing.assert_array_equal(loaded.trialdefinition, [[0, 5, 0, 1, 2, np.nan, 4]])


def test_sources_of_all_kinds_are_streamed(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(60.0).reshape(30, 2))
    joined = spy.AnalogData([spy.AnalogData(tmp_path / "x.npy"), spy.AnalogData(np.ones((4, 2)))])
    reference = joined.data[()]
    joined.save(container=tmp_path / "all")
    (tmp_path / "x.npy").unlink()
    np.testing.assert_array_equal(spy.load(tmp_path / "all").data[()], reference)
    np.testing.assert_array_equal(joined.data[()], reference)


def test_results_of_computations(tmp_path: Path) -> None:
    power = spy.freqanalysis(make(), foilim=[10, 40], keeptrials=False, parallel=False)
    reference = power.copy()
    power.save(container=tmp_path / "x", tag="power")
    loaded = spy.load(tmp_path / "x", tag="power")
    same(loaded, reference)
    again = spy.freqanalysis(make(), loaded.cfg)
    np.testing.assert_array_equal(again.data[()], reference.data[()])


def test_loading_through_the_constructor(tmp_path: Path) -> None:
    reference = make()
    make().save(filename=tmp_path / "x")
    for loaded in (
        spy.AnalogData(filename=tmp_path / "x"),
        spy.AnalogData(filename=str(tmp_path / "x.analog")),
        spy.AnalogData(tmp_path / "x.analog"),
    ):
        same(loaded, reference)
    with pytest.raises(PathError, match=r"x\.spectral"):
        spy.SpectralData(filename=tmp_path / "x")
    shutil.copytree(tmp_path / "x.analog", tmp_path / "x.spectral")
    with pytest.raises(DamagedDataError, match="does not hold a spectral object"):
        spy.SpectralData(filename=tmp_path / "x")
    with pytest.raises(InvalidValueError, match=r"\.spectral folder"):
        spy.SpectralData(tmp_path / "x.analog")
    saved = spy.AnalogData(reference.data[()], filename=tmp_path / "deep" / "er" / "y")
    assert saved.filename == str(tmp_path / "deep" / "er" / "y.analog")


def test_saved_data_outlive_scratch_and_object(tmp_path: Path) -> None:
    with spy.config.using(inmemory_bytes=10):
        data = make()
    before = Path(data.filename)
    data.save(container=tmp_path / "x")
    del data
    assert not before.exists()
    assert spy.load(tmp_path / "x").data.shape == (50, 3)


# -- names ---------------------------------------------------------------------------


def test_containers_tags_and_kinds(tmp_path: Path) -> None:
    data, spectra = make(), spy.SpectralData(np.zeros((1, 1, 2, 2)))
    box = tmp_path / "box"
    data.save(container=box)
    data.save(container=str(box) + ".spy", tag="first")
    data.save(tag="second")
    spectra.save(container=box, tag="first")
    assert (data.tag, data.container) == ("second", str(tmp_path / "box.spy"))
    every = spy.load(box)
    assert sorted(every) == ["box.analog", "box_first.analog", "box_first.spectral", "box_second.analog"]
    assert sorted(spy.load(box, tag="first")) == ["box_first.analog", "box_first.spectral"]
    assert sorted(spy.load(box, tag=["sec", "fir"])) == sorted(every)[1:]
    assert isinstance(spy.load(box, tag="first", dataclass="spectral"), spy.SpectralData)
    assert isinstance(spy.load(box, tag="first", dataclass=".analog"), spy.AnalogData)
    assert len(spy.load(box, dataclass=["analog", "spectral"])) == 4
    assert spy.load(tmp_path / "box.spy" / "box.analog").tag is None
    loaded = spy.load(tmp_path / "box.spy" / "box_second.analog")
    assert (loaded.tag, loaded.mode) == ("second", "r+")
    assert spy.load(tmp_path / "box.spy" / "box_second.analog", mode="r").mode == "r"


def test_save_again(tmp_path: Path) -> None:
    data = make()
    with pytest.raises(InvalidValueError, match="never saved"):
        data.save()
    with pytest.raises(InvalidValueError, match="never saved"):
        data.save(tag="x")
    data.save(container=tmp_path / "x")
    data.info["more"] = 1
    data.samplerate = 50
    data.save()
    loaded = spy.load(tmp_path / "x")
    assert (loaded.info["more"], loaded.samplerate) == (1, 50)
    np.testing.assert_array_equal(loaded.data[()], make().data[()])


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"container": "a", "filename": "b"}, InvalidValueError, "container/filename"),
        ({"filename": "b", "tag": "c"}, InvalidValueError, "tag"),
        ({"filename": "b.spike"}, InvalidValueError, "filename"),
        ({"filename": 3}, InvalidTypeError, "filename"),
        ({"container": 3}, InvalidTypeError, "container"),
        ({"container": "a", "tag": 3}, InvalidTypeError, "tag"),
        ({"container": "a", "tag": "../../b"}, InvalidValueError, "tag"),
        ({"container": "a", "tag": ""}, InvalidValueError, "tag"),
        ({"container": "a", "overwrite": 1}, InvalidTypeError, "overwrite"),
    ],
)
def test_save_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, error: type[Exception], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=f"`{name}`"):
        make().save(**settings)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="non-empty"):
        spy.AnalogData().save(container=tmp_path / "x")
    with pytest.raises(InvalidTypeError, match="out"):
        spy.save(3, container=tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(PathError, match="file"):
        make().save(container=tmp_path / "file" / "x")
    data = make()
    data.cfg = {"x": {"y": object()}}
    with pytest.raises(InvalidTypeError, match="serializable"):
        data.save(container=tmp_path / "x")
    assert not (tmp_path / "x.spy").exists()


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"filename": 3}, InvalidTypeError, "`filename`"),
        ({"filename": "nope"}, PathError, "nope"),
        ({"filename": "x.spy/nope.analog"}, PathError, "nope"),
        ({"filename": "x", "tag": "nope"}, PathError, "fits `tag`"),
        ({"filename": "x", "dataclass": "spectral"}, PathError, "fits `tag`"),
        ({"filename": "x", "dataclass": "foo"}, InvalidValueError, "`dataclass`"),
        ({"filename": "x", "dataclass": 3}, InvalidTypeError, "`dataclass`"),
        ({"filename": "x", "tag": 3}, InvalidTypeError, "`tag`"),
        ({"filename": "x", "checksum": 1}, InvalidTypeError, "`checksum`"),
        ({"filename": "x", "mode": "x"}, InvalidValueError, "`mode`"),
        ({"filename": "x.spy/x.analog", "tag": "a"}, InvalidValueError, "`filename`"),
        ({"filename": "x", "out": 3}, InvalidTypeError, "`out`"),
        ({"filename": "x", "out": spy.SpectralData()}, InvalidTypeError, "`out`"),
    ],
)
def test_load_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, error: type[Exception], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make().save(container="x")
    with pytest.raises(error, match=name):
        spy.load(**settings)


def test_loading_into_an_object(tmp_path: Path) -> None:
    make().save(container=tmp_path / "x")
    target = spy.AnalogData()
    assert spy.load(tmp_path / "x", out=target) is None
    same(target, make())


# -- overwriting ----------------------------------------------------------------------


def test_overwriting(tmp_path: Path) -> None:
    make(0).save(container=tmp_path / "x")
    with pytest.raises(PathError, match="overwrite=True"):
        make(1).save(container=tmp_path / "x")
    same(spy.load(tmp_path / "x"), make(0))
    before = spy.load(tmp_path / "x")
    make(1).save(container=tmp_path / "x", overwrite=True)
    same(spy.load(tmp_path / "x"), make(1))
    with pytest.raises(SourceChangedError, match="replaced"):
        before.data[()]
    assert [p.name for p in (tmp_path / "x.spy").iterdir()] == ["x.analog"]


def test_failing_to_overwrite_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(0).save(container=tmp_path / "x")

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_trials", fail)
    with pytest.raises(KeyboardInterrupt):
        make(1).save(container=tmp_path / "x", overwrite=True)
    monkeypatch.undo()
    same(spy.load(tmp_path / "x"), make(0))
    assert [p.name for p in (tmp_path / "x.spy").iterdir()] == ["x.analog"]


def test_failing_to_rename_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(0).save(container=tmp_path / "x")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.suffix == ".wip":
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr(switch, "exchange", lambda one, other: False)
    with pytest.raises(OSError, match="no"):
        make(1).save(container=tmp_path / "x", overwrite=True)
    monkeypatch.undo()
    same(spy.load(tmp_path / "x"), make(0))
    assert [p.name for p in (tmp_path / "x.spy").iterdir()] == ["x.analog"]


def test_saving_a_loaded_object_elsewhere_makes_an_independent_copy(tmp_path: Path) -> None:
    make().save(container=tmp_path / "x")
    loaded = spy.load(tmp_path / "x")
    loaded.save(container=tmp_path / "backup")
    original = next((tmp_path / "x.spy" / "x.analog").glob("part-*"))
    backup = next((tmp_path / "backup.spy" / "backup.analog").glob("part-*"))
    assert original.stat().st_ino != backup.stat().st_ino
    original.write_bytes(b"")
    same(spy.load(tmp_path / "backup"), make())


# -- damage ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("stored")
    make().save(filename=folder / "x")
    return {path.name: path.read_bytes() for path in (folder / "x.analog").iterdir()}


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    shutil.rmtree(folder / "x.analog", ignore_errors=True)
    (folder / "x.analog").mkdir()
    for name, content in contents.items():
        (folder / "x.analog" / name).write_bytes(content)
    return folder / "x.analog"


def test_what_is_stored(stored: dict[str, bytes]) -> None:
    fixed = {"meta.json", "object.json", "object.sha256", "trials.arrow"}
    assert fixed < set(stored)
    assert all(name.startswith("part-") for name in set(stored) - fixed)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_noticed(
    data: Any, stored: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = data.draw(st.sampled_from(sorted(stored)))
    content = bytearray(stored[name])
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    if name == "object.sha256" and bytes(content).strip() == stored[name].strip():
        return
    folder = put(tmp_path_factory.mktemp("flip"), {**stored, name: bytes(content)})
    with pytest.raises(DamagedDataError) as caught:
        spy.load(folder)
    assert str(folder) in str(caught.value)
    assert name in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_truncated_file_is_noticed(
    data: Any, stored: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = data.draw(st.sampled_from(sorted(stored)))
    length = data.draw(st.integers(0, len(stored[name].rstrip()) - 1))
    checksum = data.draw(st.sampled_from([None, True, False]))
    folder = put(tmp_path_factory.mktemp("cut"), {**stored, name: stored[name][:length]})
    with pytest.raises(DamagedDataError) as caught:
        spy.load(folder, checksum=checksum)
    assert name in str(caught.value)


def test_a_missing_file_is_noticed(stored: dict[str, bytes], tmp_path: Path) -> None:
    for name in stored:
        folder = put(tmp_path, {k: v for k, v in stored.items() if k != name})
        for checksum in (None, False):
            with pytest.raises(DamagedDataError, match="missing") as caught:
                spy.load(folder, checksum=checksum)
            assert name in str(caught.value)


def test_large_containers_are_checked_for_their_sizes(stored: dict[str, bytes], tmp_path: Path) -> None:
    part = next(name for name in stored if name.startswith("part-"))
    flipped = bytes([*stored[part][:-1], stored[part][-1] ^ 1])
    folder = put(tmp_path, {**stored, part: flipped})
    with spy.config.using(verify_bytes=10):
        spy.load(folder)
        with pytest.raises(DamagedDataError, match="altered"):
            spy.load(folder, checksum=True)
        folder = put(tmp_path, {**stored, "trials.arrow": stored["trials.arrow"][:-1] + b"!"})
        with pytest.raises(DamagedDataError, match="trials"):
            spy.load(folder)
    spy.load(put(tmp_path, {**stored, part: flipped}), checksum=False)


def forged(stored: dict[str, bytes], change: Any) -> dict[str, bytes]:
    """Change the description of an object and make its checksum fit again."""
    description = json.loads(stored["object.json"])
    change(description)
    text = json.dumps(description).encode()
    return {**stored, "object.json": text, "object.sha256": hashlib.sha256(text).hexdigest().encode()}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["files"].update({"../secret": d["files"]["meta.json"]}),
        lambda d: d["files"].update({"/etc/passwd": {"bytes": 1, "sha256": ""}}),
        lambda d: d["files"].update({"..": {"bytes": 1, "sha256": ""}}),
        lambda d: d.update(files=3),
        lambda d: d.update(format="else"),
        lambda d: d.pop("labels"),
        lambda d: d.pop("class"),
        lambda d: d.update({"class": "SpectralData"}),
        lambda d: d.update({"class": "__import__('os')"}),
        lambda d: d["labels"].update(channel=["a"]),
        lambda d: d["labels"].update(nonsense=["a"]),
        lambda d: d.update(dimord=["a", "b"]),
        lambda d: d.update(dimord="time"),
        lambda d: d.update(cfg=3),
        lambda d: d.update(info=[3]),
    ],
)
def test_forged_descriptions_are_refused(stored: dict[str, bytes], tmp_path: Path, change: Any) -> None:
    (tmp_path / "secret").write_bytes(stored["meta.json"])
    folder = put(tmp_path, forged(stored, change))
    with pytest.raises(DamagedDataError):
        spy.load(folder)


def test_newer_formats_are_refused(stored: dict[str, bytes], tmp_path: Path) -> None:
    folder = put(tmp_path, forged(stored, lambda d: d.update(version=99)))
    with pytest.raises(RayspyError, match="newer rayspy"):
        spy.load(folder)


def test_links_out_of_the_folder_are_refused(stored: dict[str, bytes], tmp_path: Path) -> None:
    folder = put(tmp_path, stored)
    part = next(folder.glob("part-*"))
    part.rename(tmp_path / "outside")
    part.symlink_to(tmp_path / "outside")
    with pytest.raises(DamagedDataError, match="points out"):
        spy.load(folder)


def test_nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pickle

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    make().save(container=tmp_path / "x")
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    same(spy.load(tmp_path / "x"), make())
    assert spy.AnalogData(tmp_path / "x.npy").data.shape == (3, 2)
    monkeypatch.undo()
    np.save(tmp_path / "o.npy", np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    monkeypatch.setattr(pickle, "loads", refuse)
    with pytest.raises(InvalidTypeError):
        spy.AnalogData(tmp_path / "o.npy")


@pytest.mark.parametrize("kind", ["memory", "parts"])
def test_what_takes_long_is_told_file_by_file(kind, tmp_path, monkeypatch):
    told = []

    class Told(module.Progress):
        def start(self):
            told.append([self.function, self.n_blocks, 0, self.unit])
            return self

        def update(self, n_bytes):
            told[-1][2] += 1

    monkeypatch.setattr(module, "Progress", Told)
    with spy.config.using(inmemory_bytes=100 if kind == "parts" else 2**26, block_bytes=400):
        data = spy.white_noise(nTrials=5, nSamples=50, nChannels=2)
        data = spy.freqanalysis(data, parallel=False)
    data.save(filename=tmp_path / "x")
    spy.load(tmp_path / "x")
    (save, n_steps, n_done, unit), (load, n_files, n_read, _) = told
    assert (save, load, unit) == ("save", "load", "files")
    assert n_steps == n_done > 3
    assert n_files == n_read > 2
