"""Dask arrays of rayspy's data, and Dask arrays on the attached Ray."""

from importlib.metadata import entry_points

import numpy as np
import pytest
from rayspy_compat.collections import dask_on_ray, to_dask

import rayspy as spy
from rayspy import cluster
from rayspy.errors import ParallelError
from tests.executors.test_matrix import N_CHANNELS, make


def test_without_ray_it_says_so():
    cluster.shutdown_local_ray()
    with pytest.raises(ParallelError, match="no Ray"), dask_on_ray():
        pass


def test_stored_parts_become_chunks(client):
    with spy.config.using(inmemory_bytes=100):
        spectra = spy.freqanalysis(make(False), parallel=False, chan_per_worker=3)
    array = spectra.to_dask() if entry_points(group="rayspy.helpers") else to_dask(spectra)
    assert array.shape == spectra.data.shape
    assert array.npartitions == len(spectra.source.parts) > 3
    np.testing.assert_array_equal(array.compute(), spectra.data[()])
    np.testing.assert_allclose(array.mean(axis=0).compute(), spectra.data[()].mean(axis=0), rtol=1e-5)


def test_other_sources(client, tmp_path):
    data = make(False)
    data.data[()].tofile(tmp_path / "lfp.dat")
    raw = spy.AnalogData(spy.raw_binary(tmp_path / "lfp.dat", "float32", N_CHANNELS), samplerate=100.0)
    for found in (data, raw):
        array = to_dask(found)
        assert array.npartitions > 1
        np.testing.assert_array_equal(array[3:77, 2].compute(), data.data[3:77, 2])


def test_collections_run_on_ray_inside_the_block_only(client):
    import dask.array

    def where(block):
        import psutil

        on_ray = any("raylet" in parent.name() for parent in psutil.Process().parents())
        return np.full_like(block, on_ray)

    array = dask.array.zeros(4, chunks=2)
    with dask_on_ray():
        np.testing.assert_array_equal(array.map_blocks(where, dtype=float).compute(), np.ones(4))
        assert dask.array.ones((50, 50), chunks=10).sum().compute() == 2500
    np.testing.assert_array_equal(array.map_blocks(where, dtype=float).compute(), np.zeros(4))
    assert dask.base.get_scheduler() == client.get
