"""Parameters of fitted models are saved, copied, selected and joined with their spectra."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError
from rayspy.io.models import read_models, write_models

NAMES = ("aperiodic_params", "error", "n_peaks", "peak_params")


def models(n_trials: int, n_channels: int = 3, n_tapers: int = 1) -> dict[str, dict[str, Any]]:
    """Parameters as of FOOOF results; every number says where it belongs."""
    found: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    for trial, taper in np.ndindex(n_trials, n_tapers):
        mark = 100.0 * trial + 10 * taper + np.arange(n_channels)
        values = (
            np.stack([mark, mark + 0.1]),
            np.where(mark == 1, np.nan, 1 / (mark + 3)),
            mark.astype(np.int32),
            [np.full((c % 3, 3), m) for c, m in enumerate(mark)],
        )
        for name, value in zip(NAMES, values, strict=True):
            found[name][f"{name}__{trial}_{taper}"] = value
    return found


def make(n_trials: int = 4, n_channels: int = 3, n_tapers: int = 1) -> spy.SpectralData:
    array = np.random.default_rng(0).random((n_trials, n_tapers, 5, n_channels)).astype(np.float32)
    trl = np.array([[k, k + 1, 0] for k in range(n_trials)])
    data = spy.SpectralData(array, samplerate=1.0, trialdefinition=trl)
    data.metadata = models(n_trials, n_channels, n_tapers)
    return data


def assert_same(got: Any, wanted: Any) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
        for key in wanted:
            assert_same(got[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other)
    else:
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("checksum", [None, True, False])
def test_round_trip(tmp_path: Path, checksum: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("load", "loads", "Unpickler", "dump", "dumps"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("pickled"))
    data = make()
    data.save(container=tmp_path / "x")
    loaded = spy.load(tmp_path / "x", checksum=checksum)
    assert_same(loaded.metadata, models(4))
    loaded.metadata["error"]["error__0_0"][0] = 7
    opened = spy.SpectralData(filename=tmp_path / "x.spy" / "x.spectral")
    assert_same(opened.metadata, models(4))
    opened.save(container=tmp_path / "y")
    assert_same(spy.load(tmp_path / "y").metadata, models(4))
    filled = spy.SpectralData()
    spy.load(tmp_path / "x", out=filled)
    assert_same(filled.metadata, models(4))


@pytest.mark.parametrize("mode", ["fixed", "knee"])
def test_round_trip_of_fits(tmp_path: Path, mode: str) -> None:
    pytest.importorskip("specparam")
    data = spy.synthdata.red_noise(alpha=0.8, nTrials=2, nSamples=400, nChannels=2, samplerate=200, seed=3)
    options = {"max_n_peaks": 2, "aperiodic_mode": mode}
    fits = spy.freqanalysis(data, output="fooof", foilim=[2, 40], fooof_opt=options, parallel=False)
    wanted = fits.metadata
    assert set(wanted["r_squared"]) == {"r_squared__0_0", "r_squared__1_0"}
    fits.save(container=tmp_path / "x")
    assert_same(spy.load(tmp_path / "x").metadata, wanted)


def test_objects_without_models_have_no_such_file_and_load(tmp_path: Path) -> None:
    data = make()
    data.metadata = {}
    data.save(container=tmp_path / "x")
    assert not (tmp_path / "x.spy" / "x.spectral" / "models.arrow").exists()
    assert spy.load(tmp_path / "x").metadata == {}
    data.metadata = models(4)
    data.save()
    assert_same(spy.load(tmp_path / "x").metadata, models(4))


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"note": "text"}, "metadata['note']"),
        ({"error": {}}, "metadata['error']"),
        ({3: {"a": np.zeros(2)}}, "metadata[3]"),
        ({"error": {0: np.zeros(2)}}, "key of metadata['error']"),
        ({"error": {"a": "text"}}, "metadata['error']['a']"),
        ({"error": {"a": []}}, "metadata['error']['a']"),
        ({"error": {"a": [np.zeros(2), None]}}, "metadata['error']['a']"),
        ({"error": {"a": np.array([{}])}}, "metadata['error']['a']"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_written(
    tmp_path: Path, metadata: Any, name: str
) -> None:
    data = make()
    data.metadata = metadata
    with pytest.raises(InvalidTypeError) as caught:
        data.save(container=tmp_path / "x")
    assert caught.value.varname == name
    assert not list(tmp_path.iterdir())


def test_metadata_is_a_dictionary() -> None:
    with pytest.raises(InvalidTypeError, match="metadata"):
        make().metadata = [1]  # type: ignore[assignment]


# -- damage -------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make().save(container=tmp_path / "x")
    return tmp_path / "x.spy" / "x.spectral" / "models.arrow"


def test_a_missing_file_is_noticed(saved: Path) -> None:
    saved.unlink()
    with pytest.raises(DamagedDataError, match=r"models\.arrow is missing"):
        spy.load(saved.parent, checksum=False)


def test_altered_bytes_are_noticed_even_in_large_objects(saved: Path) -> None:
    stored = bytearray(saved.read_bytes())
    stored[len(stored) // 2] ^= 1
    saved.write_bytes(stored)
    with (
        spy.config.using(verify_bytes=1),
        pytest.raises(DamagedDataError, match=r"models\.arrow was altered"),
    ):
        spy.load(saved.parent)


def refresh(path: Path) -> None:
    """Make the checksums of an object fit a changed file."""
    description = json.loads((path.parent / "object.json").read_bytes())
    content = path.read_bytes()
    description["files"][path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(description).encode()
    (path.parent / "object.json").write_bytes(text)
    (path.parent / "object.sha256").write_text(hashlib.sha256(text).hexdigest())


def test_other_content_under_a_right_checksum_is_refused(saved: Path) -> None:
    for content in (
        b"",
        b"nonsense",
        saved.read_bytes()[:-200],
        (saved.parent / "trials.arrow").read_bytes(),
    ):
        saved.write_bytes(content)
        refresh(saved)
        with pytest.raises(DamagedDataError, match=r"models\.arrow is damaged"):
            spy.load(saved.parent)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("dtype", ["|O", "<f8"]),
        ("dtype", ["nonsense", "<f8"]),
        ("dtype", [None, "<f8"]),
        ("shape", [[-1], [2]]),
        ("shape", [[3], [2]]),
        ("shape", [None, [2]]),
        ("place", [1, 2]),
        ("place", [0, 2]),
        ("place", [None, 1]),
        ("values", [None, b""]),
    ],
)
def test_forged_tables_are_refused(tmp_path: Path, column: str, values: list[Any]) -> None:
    import pyarrow as pa

    path = tmp_path / "models.arrow"
    write_models(path, {"a": {"k": [np.zeros(2), np.ones(2)]}})
    with pa.OSFile(str(path), "rb") as file:
        table = pa.ipc.open_file(file).read_all()
    number = table.column_names.index(column)
    kind = {"dtype": pa.string()}.get(column, table.schema.field(number).type)
    table = table.set_column(number, column, pa.array(values, kind))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DamagedDataError, match="damaged"):
        read_models(path)


# -- copying, selecting, joining ----------------------------------------------------


def test_copies_are_independent() -> None:
    data = make()
    for twin in (data.copy(), spy.copy(data), spy.SpectralData(data)):
        assert_same(twin.metadata, models(4))
        twin.metadata["error"]["error__0_0"][0] = 7
        del twin.metadata["n_peaks"]
        assert_same(data.metadata, models(4))


def test_selections_take_their_models_along(tmp_path: Path) -> None:
    data = make(n_tapers=2)
    part = spy.selectdata(data, trials=[3, 0, 3], channel=[2, 0], taper=[1], frequency=[1, 2])
    assert list(part.metadata) == list(NAMES)
    assert list(part.metadata["error"]) == ["error__0_0", "error__1_0", "error__2_0"]
    for new, mark in enumerate((310.0, 10.0, 310.0)):
        got = {name: part.metadata[name][f"{name}__{new}_0"] for name in NAMES}
        np.testing.assert_array_equal(got["n_peaks"], [mark + 2, mark])
        np.testing.assert_array_equal(got["aperiodic_params"][0], [mark + 2, mark])
        np.testing.assert_array_equal(got["peak_params"][0], np.full((2, 3), mark + 2))
        assert got["peak_params"][1].shape == (0, 3)
    part.save(container=tmp_path / "x")
    assert_same(spy.load(tmp_path / "x").metadata, part.metadata)
    assert_same(data.metadata, models(4, n_tapers=2))


def test_selected_models_are_those_of_the_selected_data() -> None:
    pytest.importorskip("specparam")
    data = spy.synthdata.red_noise(alpha=0.8, nTrials=3, nSamples=400, nChannels=3, samplerate=200, seed=3)
    settings = {"output": "fooof", "foilim": [2, 40], "fooof_opt": {"max_n_peaks": 2}, "parallel": False}
    select = {"trials": [2, 0], "channel": ["channel3", "channel1"]}
    first = spy.freqanalysis(spy.selectdata(data, **select), **settings)
    last = spy.selectdata(spy.freqanalysis(data, **settings), **select)
    assert_same(last.metadata, first.metadata)


def test_joined_objects_count_trials_on() -> None:
    first, second = spy.selectdata(make(), trials=[0, 1]), spy.selectdata(make(), trials=[2, 3])
    assert_same(spy.SpectralData([first, second]).metadata, models(4))
    second.metadata = {}
    assert spy.SpectralData([first, second]).metadata == {}


def test_new_numbers_have_no_models() -> None:
    data = make()
    assert (data + 1).metadata == {}
    assert spy.concat(data, data).metadata == {}
    data.data = None
    data.data = np.ones((2, 1, 5, 3))
    assert data.metadata == {}
