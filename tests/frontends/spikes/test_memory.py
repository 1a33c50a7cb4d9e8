"""Memory of analyses of spikes: flat as tables grow, and as much as was projected."""

import tracemalloc

import numpy as np
import pytest

import rayspy as spy
from tests.frontends.spikes.test_fields import make as make_fields
from tests.frontends.spikes.test_trains import make

ROWS, TRIALS = 1_500_000, 60
CALLS = {
    "psth": (spy.spike_psth, {"binsize": 0.1, "keeptrials": False}),
    "rate": (spy.spike_rate, {}),
    "isi": (spy.spike_isi, {}),
    "xcorr": (spy.spike_xcorr, {"maxlag": 0.005, "binsize": 0.001}),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """36 MB of spikes of 5 units at 30 kHz."""
    path = tmp_path_factory.mktemp("spikes") / "t.npy"
    samples = np.arange(ROWS) * 40 + np.arange(ROWS) % 7
    np.save(path, np.column_stack([samples, np.zeros(ROWS, int), np.arange(ROWS) % 5]))
    edges = np.linspace(0, ROWS * 40, TRIALS + 1).astype(int)
    return path, np.column_stack([edges[:-1], edges[1:], np.zeros(TRIALS)])


def peak_of(function, *args, **kwargs):
    tracemalloc.start()
    try:
        function(*args, **kwargs)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("call", CALLS)
def test_tables_are_read_by_block(call, table):
    function, kwargs = CALLS[call]
    path, trl = table
    with spy.config.using(num_cpus=1, block_bytes=2**20, inmemory_bytes=2**20):
        spikes = spy.SpikeData(path, samplerate=30_000, trialdefinition=trl)
        function(spikes, select={"trials": 0}, parallel=False, **kwargs)
        told = spy.explain(function, spikes, parallel=False, **kwargs)
        peak = peak_of(function, spikes, parallel=False, **kwargs)
    assert peak < 8 * 2**20
    assert peak < told.worker_bytes + told.driver_bytes + 2**20


@pytest.mark.parametrize("call", ["average", "spectrum", "coherence"])
def test_fields_need_what_was_projected(call):
    lfp, spikes = make_fields()
    function, kwargs = {
        "average": (spy.spiketriggeredaverage, {"timwin": [-0.1, 0.1]}),
        "spectrum": (spy.spiketriggeredspectrum, {"foi": [20, 40]}),
        "coherence": (spy.spikefieldcoherence, {}),
    }[call]
    function(lfp, spikes, parallel=False, **kwargs)
    told = spy.explain(function, lfp, spikes, parallel=False, **kwargs)
    assert (
        peak_of(function, lfp, spikes, parallel=False, **kwargs)
        < told.worker_bytes + told.driver_bytes + 2**20
    )


def test_calls_are_explained():
    told = spy.explain(spy.spike_psth, make(), binsize=0.05, keeptrials=False)
    assert told.shape == spy.spike_psth(make(), binsize=0.05, keeptrials=False).data.shape
    with spy.config.using(memory_budget=1000), pytest.raises(spy.errors.MemoryBudgetError):
        spy.spike_psth(make(), binsize=0.05)
