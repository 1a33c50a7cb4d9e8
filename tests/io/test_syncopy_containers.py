"""Syncopy's containers: files that version 2023.9 wrote, and files written here in the same layout."""

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError

KEPT = Path(__file__).parent / "syncopy_2023_9" / "kept.spy"
NAMES = [
    "kept.crossspectral",
    "kept.event",
    "kept.spectral",
    "kept.spike",
    "kept.timelock",
    "kept_raw.analog",
]


@pytest.fixture
def kept(tmp_path):
    shutil.copytree(KEPT, tmp_path / "kept.spy")
    return tmp_path / "kept.spy"


def test_whole_container(kept):
    found = spy.load(kept)
    assert list(found) == NAMES
    for name, data in found.items():
        told = json.loads((kept / f"{name}.info").read_text())
        with h5py.File(kept / name) as file:
            np.testing.assert_array_equal(data.data[:], file["data"][()])
            np.testing.assert_array_equal(data.trialdefinition, file["trialdefinition"][()])
        assert type(data).__name__ == told["dataclass"]
        assert data.samplerate == told["samplerate"]
        assert data.dimord == told["dimord"]
        assert data.cfg == told["cfg"]
        assert data.info == told["info"]
        assert "AnalogData" in data.log or name in ("kept.event", "kept.spike", "kept.timelock")
        for dim in ("channel", "freq", "taper", "channel_i", "channel_j"):
            if dim in told:
                assert list(getattr(data, dim)) == told[dim]


def test_what_comes_with_the_arrays(kept):
    spikes = spy.load(kept, dataclass="spike")
    assert (list(spikes.channel), list(spikes.unit)) == (["p", "q"], ["u", "v"])
    timelock, cross = spy.load(kept / "kept.timelock"), spy.load(kept / "kept.crossspectral.info")
    with (
        h5py.File(kept / "kept.spike") as a,
        h5py.File(kept / "kept.timelock") as b,
        h5py.File(kept / "kept.crossspectral") as c,
    ):
        np.testing.assert_array_equal(spikes.waveform[:], a["waveform"][()])
        for name in ("avg", "var", "cov"):
            np.testing.assert_array_equal(getattr(timelock, name), b[name][()])
        np.testing.assert_array_equal(cross.jack_var, c["jack_var"][()])
    raw = spy.load(kept, tag="raw")
    np.testing.assert_allclose(raw.time[2][0], -0.1)
    np.testing.assert_array_equal(raw.trialinfo[:, 0], [0.5, 1.5, 2.5, 3.5])


def test_analysis_of_a_loaded_object_equals_syncopys(kept):
    raw = spy.load(kept, tag="raw")
    spec = spy.freqanalysis(raw, tapsmofrq=5, foilim=[1, 40], output="fourier", keeptapers=True)
    theirs = spy.load(kept, dataclass="spectral").data[:]
    np.testing.assert_allclose(spec.data[:], theirs, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("name", NAMES)
def test_written_here_has_the_same_layout_and_comes_back(kept, tmp_path, name):
    data = spy.load(kept / name)
    spy.to_syncopy(data, filename=tmp_path / name)
    theirs, ours = (json.loads((folder / f"{name}.info").read_text()) for folder in (kept, tmp_path))
    assert list(ours)[: len(theirs)] == list(theirs)
    for key in set(theirs) - {
        "_log",
        "file_checksum",
        "data_offset",
        "trl_dtype",
        "data_shape",
        "data_dtype",
    }:
        assert ours[key] == theirs[key], key
    assert ours["file_checksum"] == hashlib.sha1((tmp_path / name).read_bytes()).hexdigest()
    with h5py.File(kept / name) as a, h5py.File(tmp_path / name) as b:
        assert set(a) == set(b)
        for key in a:
            np.testing.assert_array_equal(a[key][()], b[key][()])
            assert a[key].maxshape == b[key].maxshape
        assert set(a.attrs) == set(b.attrs)
        for key in set(a.attrs) - {"_log"}:
            np.testing.assert_array_equal(a.attrs[key], b.attrs[key])
    again = spy.load(tmp_path / name, checksum=True)
    assert again == data
    assert again.cfg == data.cfg


def test_units_and_events_come_back(tmp_path):
    data = spy.AnalogData(np.arange(20.0).reshape(10, 2), samplerate=10)
    data.unit, data.events = ["V", "T"], spy.EventData(np.array([[1, 2]]), samplerate=10)
    spy.to_syncopy(data, container=tmp_path / "x", tag="a")
    again = spy.load(tmp_path / "x")
    assert again == data
    assert list(again.unit) == ["V", "T"]
    assert again.events == data.events


def test_large_arrays_are_streamed(tmp_path, monkeypatch):
    from rayspy.io.writers import syncopy

    monkeypatch.setattr(syncopy, "_PIECE_BYTES", 1000)
    data = spy.AnalogData(np.random.default_rng(0).normal(size=(500, 7)), samplerate=10)
    spy.to_syncopy(data, filename=tmp_path / "x")
    np.testing.assert_array_equal(spy.load(tmp_path / "x.analog").data[:], data.data[:])


def test_many_channels_fit_into_the_attributes(tmp_path):
    names = [f"a rather long name of channel {k}" for k in range(3000)]
    data = spy.AnalogData(np.ones((2, 3000)), samplerate=10, channel=names)
    spy.to_syncopy(data, filename=tmp_path / "x")
    assert list(spy.load(tmp_path / "x.analog").channel) == names


def test_errors(kept, tmp_path, monkeypatch):
    data = spy.load(kept, tag="raw")
    with pytest.raises(PathError, match="overwrite"):
        spy.to_syncopy(data, filename=kept / "kept_raw.analog")
    with pytest.raises(InvalidTypeError, match="data"):
        spy.to_syncopy([1], filename=tmp_path / "x")
    with pytest.raises(InvalidValueError, match="empty"):
        spy.to_syncopy(spy.AnalogData(), filename=tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setattr("rayspy.io.writers.syncopy.sha1", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            spy.to_syncopy(data, filename=tmp_path / "new" / "x")
    assert list((tmp_path / "new").iterdir()) == []
    file = kept / "kept_raw.analog"
    (kept / "kept_raw.analog.info").rename(kept / "away")
    with pytest.raises(PathError, match=r"kept_raw\.analog\.info"):
        spy.load(file)
    for text in ("no json", "[]", '{"dataclass": "Path"}', '{"dataclass": "AnalogData"}'):
        (kept / "kept_raw.analog.info").write_text(text)
        with pytest.raises(DamagedDataError, match="kept_raw"):
            spy.load(file)
    told = json.loads((kept / "away").read_text())
    for changes in ({"channel": ["a"]}, {"dimord": ["time"]}, {"samplerate": "x"}, {"dimord": ["x", "y"]}):
        (kept / "kept_raw.analog.info").write_text(json.dumps(told | changes))
        with pytest.raises((DamagedDataError, InvalidTypeError, InvalidValueError)):
            spy.load(file)
    (kept / "away").replace(kept / "kept_raw.analog.info")
    with h5py.File(file, "r+") as opened:
        opened["data"][0, 0] += 1
    with pytest.raises(DamagedDataError, match="altered"):
        spy.load(file, checksum=True)
    with h5py.File(file, "r+") as opened:
        opened["more"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(InvalidValueError, match="links to other files"):
        spy.load(file)
