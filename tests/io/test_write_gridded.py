"""NetCDF and Zarr: what xarray reads again is what was there; nothing half written."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, PathError

xarray = pytest.importorskip("xarray")


def recording():
    data = spy.synthdata.white_noise(nTrials=3, nSamples=200, nChannels=4, samplerate=100, seed=1)
    data.unit = "V"
    return data


KINDS = {
    "signals": recording,
    "power": lambda: spy.freqanalysis(recording(), method="wavelet", foi=[10, 20]),
    "fourier": lambda: spy.freqanalysis(recording(), output="fourier"),
    "pairs": lambda: spy.connectivityanalysis(recording(), method="coh"),
}


def values(dataset):
    if "data" in dataset:
        return dataset["data"]
    return dataset["data_real"] + 1j * dataset["data_imag"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["nc", "zarr"])
def test_xarray_reads_what_was_there(form, kind, tmp_path):
    pytest.importorskip("h5netcdf" if form == "nc" else "zarr")
    data = KINDS[kind]()
    wanted = spy.to_xarray(data)
    with spy.config.using(block_bytes=4000):
        (spy.to_netcdf if form == "nc" else spy.to_zarr)(data, tmp_path / "result")
    path = tmp_path / f"result.{form}"
    opened = xarray.open_dataset(path, engine="h5netcdf") if form == "nc" else xarray.open_zarr(path)
    with opened as dataset:
        found = values(dataset)
        assert found.dims == wanted.dims
        np.testing.assert_array_equal(found.values, wanted.values)
        for name, coordinate in wanted.coords.items():
            np.testing.assert_array_equal(dataset[name].values.astype(coordinate.dtype), coordinate.values)
        assert dataset.attrs["units"] == data.unit
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_one_long_trial_is_written_in_pieces(tmp_path):
    pytest.importorskip("zarr")
    values = np.arange(4000, dtype="f4").reshape(1000, 4)
    for trials in ([[0, 1000, 0]], [[0, 400, 0], [400, 1000, 5]]):
        data = spy.AnalogData(values, samplerate=100, trialdefinition=np.array(trials, dtype=float))
        with spy.config.using(block_bytes=4 * 1600):
            spy.to_zarr(data, tmp_path / "x", overwrite=True)
        with xarray.open_zarr(tmp_path / "x.zarr") as dataset:
            found = dataset["data"]
            assert np.prod([max(sizes) for sizes in found.chunks]) == 400
            np.testing.assert_array_equal(found.values.reshape(1000, 4), values)


@pytest.mark.parametrize("write", [spy.to_netcdf, spy.to_zarr])
def test_wrong_calls_and_errors_leave_nothing(write, tmp_path, monkeypatch):
    pytest.importorskip("h5netcdf")
    pytest.importorskip("zarr")
    data = recording()
    write(data, tmp_path / "x")
    with pytest.raises(PathError, match="overwrite"):
        write(data, tmp_path / "x")
    write(data, tmp_path / "x", overwrite=True)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises(InvalidTypeError):
        write(np.zeros(3), tmp_path / "y")
    with pytest.raises(InvalidValueError, match="empty"):
        write(spy.AnalogData(), tmp_path / "y")
    name = "to_netcdf" if write is spy.to_netcdf else "to_zarr"

    def full(self, path, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xarray.Dataset, name, full)
    with pytest.raises(PathError, match="No space"):
        write(data, tmp_path / "y")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
