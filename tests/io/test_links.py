"""Files that name other files: only those beside them are read, others where that is allowed."""

import h5py
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidValueError

VALUES = np.random.default_rng(3).normal(size=(400, 3))


def numbers(path):
    with h5py.File(path, "w") as file:
        file["data"] = VALUES
    return path


def virtual(path, source):
    layout = h5py.VirtualLayout((400, 3), "f8")
    layout[:] = h5py.VirtualSource(source, "data", (400, 3))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
    return path


def linked(path, source):
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink(source, "data")
    return path


def external(path, source):
    VALUES.tofile(source)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (400, 3), "f8", external=[(str(source), 0, VALUES.nbytes)])
    return path


def both(path, **options):
    """Through `read` and as the data of an object."""
    yield lambda: spy.read(path, samplerate=100, **options)
    yield lambda: spy.AnalogData(spy.hdf5_dataset(path, "data", **options), samplerate=100)


@pytest.mark.parametrize("kind", [virtual, linked])
def test_hdf5_files_beside_each_other(tmp_path, kind):
    numbers(tmp_path / "x.h5")
    (tmp_path / "more").mkdir()
    numbers(tmp_path / "more" / "y.h5")
    for source in ("x.h5", "more/y.h5"):
        for made in both(kind(tmp_path / "z.h5", source)):
            np.testing.assert_array_equal(made().data[5:300, 1:], VALUES[5:300, 1:])


@pytest.mark.parametrize("kind", [virtual, linked, external])
def test_hdf5_files_that_lead_out(tmp_path, kind, monkeypatch):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    outside = numbers(tmp_path / "x.h5") if kind is not external else tmp_path / "x.bin"
    for source in (str(outside), f"../{outside.name}"):
        path = kind(inner / "z.h5", source)
        for made in both(path):
            with pytest.raises(InvalidValueError, match=r"z\.h5.*outside=True"):
                made()
        for made in both(path, outside=True):
            np.testing.assert_array_equal(made().data[:], VALUES)
        with pytest.raises(InvalidValueError, match="outside=True"):
            spy.AnalogData(str(path), samplerate=100)


def test_hdf5_files_that_lead_out_in_two_steps(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    numbers(tmp_path / "x.h5")
    virtual(inner / "y.h5", "../x.h5")
    for kind in (virtual, linked):
        with pytest.raises(InvalidValueError, match=r"y\.h5"):
            spy.read(kind(inner / "z.h5", "y.h5"), samplerate=100)
    (inner / "w.h5").symlink_to(tmp_path / "x.h5")
    with pytest.raises(InvalidValueError, match=r"w\.h5"):
        spy.read(virtual(inner / "z.h5", "w.h5"), samplerate=100)
    with pytest.raises(InvalidValueError, match="none"):
        spy.read(virtual(inner / "z.h5", "none.h5"), samplerate=100)
    virtual(inner / "a.h5", "b.h5")
    virtual(inner / "b.h5", "a.h5")
    assert spy.read(inner / "a.h5", samplerate=100).data.shape == (400, 3)


def brainvision(folder, data_file, marker_file):
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        f"DataFile={data_file}",
        f"MarkerFile={marker_file}",
        "DataOrientation=MULTIPLEXED",
        "DataFormat=BINARY",
        "NumberOfChannels=3",
        "SamplingInterval=2000",
        "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_64",
        "[Channel Infos]",
        *(f"Ch{k}=c{k},,1,µV" for k in range(1, 4)),
    ]
    (folder / "x.vhdr").write_text("\n".join(lines), encoding="utf-8")
    return folder / "x.vhdr"


@pytest.mark.parametrize("how", ["/", "..", "C:"])
def test_brainvision_files_that_were_moved_or_lead_out(tmp_path, how):
    inner = tmp_path / "inner"
    inner.mkdir()
    where = {"/": f"{tmp_path}/", "..": "../", "C:": "C:\\old\\"}[how]
    marker = "Brain Vision Data Exchange Marker File Version 1.0\n[Marker Infos]\nMk1=Stimulus,S 1,5,1,0\n"
    path = brainvision(inner, f"{where}y.eeg", f"{where}y.vmrk")
    for name, content in (("y.eeg", VALUES.tobytes()), ("y.vmrk", marker.encode())):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidValueError, match="outside=True"):
        spy.read(path)
    if how != "C:":
        np.testing.assert_array_equal(spy.read(path, outside=True).data[:], VALUES)
    (inner / "y.eeg").write_bytes((VALUES * 2).tobytes())
    (inner / "y.vmrk").write_text(marker)
    data = spy.read(path)
    np.testing.assert_array_equal(data.data[:], VALUES * 2)
    assert sum("beside it is read" in note for note in data.info["notes"]) == 2
    assert data.events.sample.tolist() == [4]
