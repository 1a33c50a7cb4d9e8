"""NWB files of pynwb, and plain HDF5, NumPy and raw binary files."""

import datetime
import sys

import h5py
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import (
    DamagedDataError,
    InvalidTypeError,
    InvalidValueError,
    MissingPackageError,
    PathError,
)

RNG = np.random.default_rng(6)
STORED = RNG.integers(-3000, 3000, size=(600, 4)).astype("i2")


def write(path, timestamps=None, trials=()):
    pynwb = pytest.importorskip("pynwb")
    start = datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC)
    nwb = pynwb.NWBFile(session_description="made for a test", identifier="x", session_start_time=start)
    device = nwb.create_device(name="probe")
    group = nwb.create_electrode_group(name="shank0", description="", location="V1", device=device)
    nwb.add_electrode_column(name="label", description="name")
    for k in range(4):
        nwb.add_electrode(x=1.0 * k, y=2.0, z=3.0, location="V1", group=group, label=f"ch{k}")
    region = nwb.create_electrode_table_region(region=[3, 0, 1, 2], description="all")
    clock = {"timestamps": timestamps} if timestamps is not None else {"rate": 500.0, "starting_time": 2.0}
    scale = {"conversion": 2e-6, "channel_conversion": [1.0, 2.0, 1.0, 0.5], "offset": 1e-4}
    series = pynwb.ecephys.ElectricalSeries(name="raw", data=STORED, electrodes=region, **scale, **clock)
    nwb.add_acquisition(series)
    slow = pynwb.ecephys.ElectricalSeries(name="lfp", data=STORED[::5] * 1.0, electrodes=region, rate=100.0)
    module = nwb.create_processing_module(name="ecephys", description="")
    module.add(pynwb.ecephys.LFP(electrical_series=slow))
    nwb.add_acquisition(pynwb.TimeSeries(name="wheel", data=RNG.normal(size=600), unit="m", rate=500.0))
    for begin, end in trials:
        nwb.add_trial(start_time=begin, stop_time=end)
        nwb.add_unit(spike_times=[begin + 0.01, end, end + 1])
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(nwb)
    return path


SPIKES = [[55, 0], [150, 0], [255, 1], [450, 1]]


def test_series_become_streams(tmp_path):
    path = write(tmp_path / "x.nwb", trials=[(2.1, 2.3), (2.5, 2.9), (9.0, 9.5)])
    found = spy.read(path)
    assert set(found) == {"raw", "lfp", "wheel", "spikes"}
    assert found["spikes"].data[:, [0, 2]].tolist() == SPIKES  # of samples that the fastest series has
    np.testing.assert_array_equal(found["spikes"].trialdefinition, [[50, 150, 0], [250, 450, 0]])
    early = spy.read(path, stream="spikes", spike_samplerate=1000)
    assert early.data[:3, 0].tolist() == [2110, 2300, 2510]
    assert set(spy.load_nwb(path)) == set(found)
    raw = found["raw"]
    expected = STORED * 2e-6 * [1, 2, 1, 0.5] + 1e-4
    np.testing.assert_allclose(raw.data[:], expected, rtol=1e-6, atol=1e-10)
    assert (raw.data.dtype, raw.unit, raw.samplerate) == (np.float32, "V", 500)
    assert list(raw.channel) == ["ch3", "ch0", "ch1", "ch2"]
    assert raw.info["positions"]["ch3"] == [3.0, 2.0, 3.0]
    np.testing.assert_array_equal(raw.trialdefinition, [[50, 150, 0], [250, 450, 0]])
    assert "1 of 3 trials" in raw.info["notes"][0]
    np.testing.assert_array_equal(found["lfp"].data[:], STORED[::5])
    assert found["wheel"].data.shape == (600, 1)
    assert found["wheel"].unit == "m"
    micro = spy.read(path, stream="raw", unit="uV")
    np.testing.assert_allclose(micro.data[:], expected * 1e6, rtol=1e-6, atol=1e-4)


def test_gaps_in_timestamps(tmp_path):
    stamps = np.arange(600) / 500 + 7
    stamps[200:] += 0.5
    data = spy.read(write(tmp_path / "x.nwb", stamps), stream="raw")
    assert data.samplerate == 500
    np.testing.assert_array_equal(data.trialdefinition, [[0, 200, 0], [200, 600, 450]])
    filled = spy.read(tmp_path / "x.nwb", stream="raw", gaps="nan")
    assert np.isnan(filled.data[200:450]).all()
    np.testing.assert_array_equal(filled.data[450:], data.data[200:])
    others = spy.read(write(tmp_path / "y.nwb", np.cumsum(RNG.uniform(0.1, 3, 600))))
    assert set(others) == {"lfp", "wheel"}
    assert "irregular" in others["lfp"].info["notes"][0]
    with pytest.raises(InvalidValueError, match="'lfp'"):
        spy.read(tmp_path / "y.nwb", stream="raw")


def test_nwb_that_does_not_fit(tmp_path):
    path = write(tmp_path / "x.nwb", trials=[(2.1, 2.3)])
    good = path.read_bytes()
    for share in (0.05, 0.5, 0.9):
        path.write_bytes(good[: int(len(good) * share)])
        with pytest.raises(DamagedDataError, match=r"x\.nwb"):
            spy.read(path)
    changes = [
        ("acquisition/raw/data", (3, 3, 3), DamagedDataError),
        ("acquisition/raw/starting_time", (), DamagedDataError),
        ("acquisition/raw/data", (0, 4), DamagedDataError),
    ]
    for name, shape, error in changes:
        path.write_bytes(good)
        with h5py.File(path, "r+") as file:
            del file[name]
            file[name] = np.zeros(shape)
        with pytest.raises(error, match=r"x\.nwb"):
            spy.read(path)
    path.write_bytes(good)
    with h5py.File(path, "r+") as file:
        file["acquisition/raw/electrodes"][...] = [0, 1, 2, 77]
    assert "does not fit the electrodes" in spy.read(path, stream="raw").info["notes"][0]
    with h5py.File(path, "r+") as file:
        file["acquisition/more"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(InvalidValueError, match="links to other files"):
        spy.read(path)


@pytest.mark.parametrize(
    "place",
    ["intervals/trials", "units", "acquisition/TTL", "general/extracellular_ephys/electrodes", "processing"],
)
def test_arrays_in_the_place_of_groups(tmp_path, place, monkeypatch):
    """Looking for a name in a dataset reads it all, which may be 2**45 zeros that take no space."""
    path = write(tmp_path / "x.nwb", trials=[(2.1, 2.3)])
    with h5py.File(path, "r+") as file:
        file.pop(place, None)
        file.create_dataset(place, (2**45,), "u2", chunks=(64,))
    monkeypatch.setattr(h5py.Dataset, "__iter__", lambda _: pytest.fail("it is read"))
    assert spy.read(path, stream="raw").samplerate > 0


def test_validation_is_that_of_pynwb(tmp_path, monkeypatch):
    path = write(tmp_path / "x.nwb")
    assert set(spy.load_nwb(path, validate=True)) == {"raw", "lfp", "wheel"}
    with h5py.File(path, "r+") as file:
        del file["session_description"]
        del file["acquisition/raw/data"].attrs["unit"]
    assert set(spy.load_nwb(path)) == {"raw", "lfp", "wheel"}
    with pytest.raises(DamagedDataError, match=r"x\.nwb.*schema.*session_description"):
        spy.load_nwb(path, validate=True)
    with pytest.raises(InvalidTypeError, match="validate"):
        spy.load_nwb(path, validate="yes")
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(MissingPackageError, match="pip install pynwb"):
        spy.load_nwb(path, validate=True)


def test_hdf5_and_npy(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset("lfp", data=STORED)
        made.attrs["fs"], made.attrs["unit"] = 250.0, "mV"
        file["other"] = 1
    data = spy.read(tmp_path / "x.h5", dataset="lfp")
    np.testing.assert_array_equal(data.data[:], STORED)
    assert (data.samplerate, data.unit, data.data.dtype) == (250, "mV", np.int16)
    np.save(tmp_path / "x.npy", STORED)
    data = spy.read(tmp_path / "x.npy", samplerate=10, channel=list("abcd"), unit="V")
    assert (data.samplerate, data.unit, list(data.channel)) == (10, "V", list("abcd"))
    with pytest.raises(InvalidValueError, match="samplerate"):
        spy.read(tmp_path / "x.npy")


def test_raw(tmp_path):
    path = tmp_path / "x.dat"
    path.write_bytes(b"head" + STORED.tobytes() + b"abc")
    how = {"dtype": "int16", "samplerate": 500, "offset": 4}
    data = spy.read(path, channels=4, scale=[1, 2, 3, 4], bias=0.5, unit="mV", **how)
    np.testing.assert_array_equal(data.data[:], (STORED * [1.0, 2, 3, 4] + 0.5).astype("f4"))
    assert data.unit == "mV"
    assert "3 bytes" in data.info["notes"][0]
    both = spy.read([path, path], channel=list("abcd"), **how)
    np.testing.assert_array_equal(both.data[:], np.concatenate([STORED, STORED]))
    assert len(both.trials) == 2
    assert both.info["files"] == [str(path)] * 2
    with pytest.raises(InvalidValueError, match="channels"):
        spy.read(path, **how)
    with pytest.raises(InvalidValueError, match="dtype"):
        spy.read(path, channels=4, **(how | {"dtype": "text"}))
    with pytest.raises(InvalidValueError, match="scale"):
        spy.read(path, channels=4, scale=[1, 2], **how)


def test_large_whole_numbers_keep_their_precision(tmp_path):
    stored = np.array([[2**30 + 1], [-(2**30) - 3]], "i4")
    (tmp_path / "x.dat").write_bytes(stored.tobytes())
    data = spy.read(tmp_path / "x.dat", dtype="i4", channels=1, samplerate=1, scale=0.5)
    assert data.data[:].tolist() == [[2**29 + 0.5], [-(2**29) - 1.5]]


def test_wrong_arguments(tmp_path):
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(PathError):
        spy.read(tmp_path / "none.edf")
    with pytest.raises(InvalidTypeError, match="path"):
        spy.read(3)
    with pytest.raises(InvalidValueError, match="read_formats"):
        spy.read(tmp_path / "x.txt")
    with pytest.raises(InvalidValueError, match="format"):
        spy.read(tmp_path / "x.txt", format="docx")
    with pytest.raises(InvalidValueError, match="dataset"):
        spy.read(tmp_path / "x.txt", format="hdf5", channels=3)
    (tmp_path / "x.h5").write_text("text")
    with pytest.raises(DamagedDataError):
        spy.read(tmp_path / "x.h5")
    np.save(tmp_path / "x.npy", STORED)
    with pytest.raises(InvalidValueError, match="unit"):
        spy.read(tmp_path / "x.npy", samplerate=1, unit="apples")
