"""Small things that scripts and tests written for Syncopy do."""

import h5py
import numpy as np
import pytest

import rayspy as spy


@pytest.fixture
def data():
    return spy.white_noise(nTrials=2, nSamples=30, nChannels=2, seed=1)


def test_a_vector_of_strengths():
    vector = spy.ar2_network(AdjMat=np.array([0.1, 0.0]), nTrials=2, seed=1)
    matrix = spy.ar2_network(AdjMat=np.array([[0.1, 0.1], [0, 0]]), nTrials=2, seed=1)
    np.testing.assert_array_equal(vector.data[:], matrix.data[:])
    assert spy.ar2_network(AdjMat=np.zeros(1), nTrials=2).data.shape[1] == 1


def test_a_dataset_with_the_name_of_its_file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        values = file.create_dataset("data", data=np.arange(20.0).reshape(10, 2))
        made = spy.AnalogData(values, filename=str(tmp_path / "x.h5"), samplerate=10)
        assert made.data.shape == (10, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


@pytest.mark.parametrize("name", ["session", "session.1.left"])
def test_names_without_extension_and_with_dots(data, tmp_path, name):
    data.save(filename=tmp_path / name)
    assert (tmp_path / f"{name}.analog").is_dir()
    np.testing.assert_array_equal(spy.load(tmp_path / name).data[:], data.data[:])
    data.save(container=str(tmp_path / f"{name}.c"))
    np.testing.assert_array_equal(spy.load(tmp_path / f"{name}.c").data[:], data.data[:])


def test_a_name_that_means_two_objects(data, tmp_path):
    data.save(filename=tmp_path / "x")
    spy.freqanalysis(data, parallel=False).save(filename=tmp_path / "x")
    with pytest.raises(spy.errors.InvalidValueError, match=r"x\.analog and x\.spectral"):
        spy.load(tmp_path / "x")
    with pytest.raises(spy.errors.PathError):
        spy.load(tmp_path / "y")


def test_the_scratch_folder_is_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with spy.config.using(scratch_dir=""):
        assert spy.config.scratch_dir == str(tmp_path / "rayspy" / "scratch")
        assert f"scratch_dir = '{tmp_path}/rayspy/scratch'" in repr(spy.config)
        assert spy.storage.scratch.scratch_root() == tmp_path / "rayspy" / "scratch"


@pytest.mark.parametrize(
    "name", ["AnalogData", "SpectralData", "CrossSpectralData", "SpikeData", "EventData"]
)
def test_the_dimord_of_an_empty_object(name):
    empty = getattr(spy, name)()
    assert empty.dimord is None
    assert "dimord" in str(empty)
    order = list(reversed(empty.default_dimord))
    empty.dimord = order
    assert empty.dimord == order


def test_the_dimord_of_data_stays(data):
    data.dimord = ["time", "channel"]
    with pytest.raises(spy.errors.InvalidValueError, match="dimord"):
        data.dimord = ["channel", "time"]
    assert data.dimord == ["time", "channel"]
