"""Files that are read where they are: the same bits on every executor, by workers without other libraries."""

import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

import rayspy as spy
from tests.helpers import run_on
from tests.io import small

VALUES = np.random.default_rng(17).normal(size=(1200, 3)).astype("f4")
CUTS = np.array([[7, 307, 0], [391, 691, 0], [801, 1101, 0]], dtype=float)
"""Trials at odd places: within what the files have as trials, and across their ends."""
STORED = np.column_stack([np.arange(3) * 400, np.arange(1, 4) * 400, np.zeros(3)])


def recording():
    data = spy.AnalogData(VALUES, samplerate=500, channel=["a", "b", "c"], trialdefinition=STORED)
    data.unit = "µV"
    return data


def virtual(folder):
    with h5py.File(folder / "x.h5", "w") as file:
        file["data"] = VALUES
    layout = h5py.VirtualLayout(VALUES.shape, "f4")
    layout[:] = h5py.VirtualSource("x.h5", "data", VALUES.shape)
    with h5py.File(folder / "z.h5", "w") as file:
        file.create_virtual_dataset("data", layout).attrs["fs"] = 500.0
    return folder / "z.h5"


def write(name, folder):
    pytest.importorskip(small.NEEDS.get(name, "rayspy"))
    return virtual(folder) if name == "virtual" else small.WRITERS[name](folder, recording())


HDF5_AND_MATLAB = [
    "virtual", "nwb", "fieldtrip", "fieldtrip_before_7_3", "eeglab", "eeglab_in_one_file", "eeglab_7_3",
]  # fmt: skip


@pytest.mark.parametrize("executor", ["local-1", "local-2", "ray-2", "dask_on_ray-2", "dask-2"])
def test_hdf5_and_matlab_files_on_every_executor(tmp_path, executor, request):
    with run_on(executor, request) as how, spy.config.using(block_bytes=3000):
        for name in HDF5_AND_MATLAB:
            data = spy.read(write(name, tmp_path))
            volts = VALUES if name != "nwb" else VALUES * np.float32(1e-6)
            np.testing.assert_allclose(data.data[:], volts, rtol=1e-6, err_msg=name)
            data.trialdefinition = CUTS
            found = spy.freqanalysis(data, **how).data[:]
            plain = spy.AnalogData(data.data[:], samplerate=500, trialdefinition=CUTS)
            expected = spy.freqanalysis(plain, parallel=False).data[:]
            np.testing.assert_array_equal(found, expected, err_msg=name)


WORKER = """
import pickle, sys

libraries = ("mne", "neo", "pynwb", "hdmf", "pybv", "edfio", "scipy.io")

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in libraries:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Nothing())
sources = pickle.loads(sys.stdin.buffer.read())
found = {}
for name, source in sources.items():
    with source.reader() as read:
        found[name] = read((slice(395, 811), slice(1, 3)))
assert not set(libraries) & set(sys.modules)
sys.stdout.buffer.write(pickle.dumps(found))
"""


def test_workers_need_no_library_for_direct_formats(tmp_path):
    """What travels to workers, in a process that has none of the libraries."""
    opened = {name: spy.read(write(name, tmp_path)) for name in (*HDF5_AND_MATLAB, "edf", "brainvision")}
    sources = pickle.dumps({name: data.source for name, data in opened.items()})
    done = subprocess.run([sys.executable, "-c", WORKER], input=sources, capture_output=True, check=True)
    found = pickle.loads(done.stdout)
    assert set(found) == set(opened)
    for name, data in opened.items():
        np.testing.assert_array_equal(found[name], data.data[395:811, 1:3], err_msg=name)
        factor, atol = 1e6 if name == "nwb" else 1, 1e-3 if name == "edf" else 0
        wanted = VALUES[395:811, 1:3]
        np.testing.assert_allclose(found[name] * factor, wanted, rtol=1e-6, atol=atol, err_msg=name)
