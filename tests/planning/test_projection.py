"""No front-end takes more memory than was projected: for equal trials, unequal ones and a single long one."""

import gc
import tracemalloc

import numpy as np
import pytest
from scipy.signal.windows import dpss

import rayspy as spy
from rayspy.errors import MemoryBudgetError
from rayspy.executors import driver
from rayspy.kernels.loops.means import shared_bytes
from rayspy.kernels.remember import remembered
from rayspy.kernels.spectral import tapers
from rayspy.methods.spectral import mtmfft
from rayspy.planning.memory import Memory, affordable_workers
from rayspy.storage.sources import read_all

LENGTHS = {"equal": [500] * 24, "unequal": [300 + 17 * k for k in range(24)], "single": [12_000]}

HEAVY = {
    "mtmfft": lambda d: spy.freqanalysis(d, tapsmofrq=4 if len(d.trials) > 1 else 0.5),
    "averaged": lambda d: spy.freqanalysis(d, keeptrials=False, pad="maxperlen"),
    "keeptapers": lambda d: spy.freqanalysis(
        d, tapsmofrq=3 if len(d.trials) > 1 else 0.3, keeptapers=True, output="fourier", foilim=[1, 9]
    ),
    "welch": lambda d: spy.freqanalysis(d, method="welch", t_ftimwin=0.2, toi=0.5),
    "mtmconvol": lambda d: spy.freqanalysis(d, method="mtmconvol", t_ftimwin=0.2, tapsmofrq=10, toi=0.5),
    "mtmconvol_all": lambda d: spy.freqanalysis(d, method="mtmconvol", t_ftimwin=0.2, toi="all", foi=[20]),
    "wavelet": lambda d: spy.freqanalysis(d, method="wavelet", foi=[20, 40]),
    "long_wavelet": lambda d: spy.freqanalysis(d, method="wavelet", foi=[0.002], output="fourier"),
    "superlet": lambda d: spy.freqanalysis(d, method="superlet", foi=[20, 40], order_max=3),
    "linefilter": lambda d: spy.linefilter(d),
}
LIGHT = {
    "butterworth": lambda d: spy.preprocessing(d, freq=40),
    "onepass": lambda d: spy.preprocessing(d, freq=40, direction="onepass"),
    "firws": lambda d: spy.preprocessing(d, filter_class="firws", freq=40),
    "hilbert": lambda d: spy.preprocessing(d, freq=[20, 40], filter_type="bp", hilbert="abs"),
    "zscore": lambda d: spy.preprocessing(d, filter_class=None, zscore=True, polyremoval=1),
    "resample": lambda d: spy.resampledata(d, resamplefs=330),
    "downsample": lambda d: spy.resampledata(d, resamplefs=d.samplerate / 2, method="downsample", lpfreq=80),
    "notch": lambda d: spy.notchfilter(d, freq=50),
    "rereference": lambda d: spy.rereference(d, "average"),
    "baseline": lambda d: spy.baseline(d, (None, 0)),
    "scalar": lambda d: d * 2,
    "arithmetic": lambda d: d + d,
    "selectdata": lambda d: d.selectdata(channel=list(range(d.data.shape[1]))[::-2]),
    "redefinetrial": lambda d: spy.redefinetrial(d, toilim=[0, 0.2]),
}


def data_of(lengths, n_channels, path, samplerate=1000):
    edges = np.cumsum([0, *lengths])
    values = np.random.default_rng(0).normal(size=(edges[-1], n_channels)).astype(np.float32)
    trl = np.column_stack([edges[:-1], edges[1:], np.full(len(lengths), -50)])
    if path is None:
        return spy.AnalogData(values, samplerate=samplerate, trialdefinition=trl)
    values.tofile(path)
    raw = spy.raw_binary(path, "float32", n_channels)
    return spy.AnalogData(raw, samplerate=samplerate, trialdefinition=trl)


def measured(function, data, monkeypatch):
    """Peak while a call runs on one thread, and the projected one, in bytes."""
    projected = []
    with monkeypatch.context() as patch:
        choose = driver.choose

        def noting(parallel, memory, name):
            projected.append(memory.driver + memory.per_worker)
            return choose(parallel, memory, name)

        patch.setattr(driver, "choose", noting)
        gc.collect()
        tracemalloc.start()
        try:
            function(data)
            return tracemalloc.get_traced_memory()[1], max(projected)
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("name", [*HEAVY, *LIGHT])
def test_measured_at_most_projected(name, kind, tmp_path, monkeypatch):
    function, n_channels = (HEAVY[name], 3) if name in HEAVY else (LIGHT[name], 24)
    path = tmp_path / "x.raw" if kind != "unequal" else None
    with spy.config.using(block_bytes=2**16, num_cpus=1, resume=False):
        function(data_of(LENGTHS[kind], n_channels, path, 980))  # loads compiled loops
        peak, projected = measured(function, data_of(LENGTHS[kind], n_channels, path), monkeypatch)
    assert peak <= projected


@pytest.mark.parametrize("name", ["butterworth", "scalar", "arithmetic", "baseline", "selectdata"])
def test_small_blocks(name, tmp_path, monkeypatch):
    data = data_of([500] * 24, 24, tmp_path / "x.raw")
    with spy.config.using(block_bytes=2**13, num_cpus=1, resume=False):
        LIGHT[name](data)
        peak, projected = measured(LIGHT[name], data, monkeypatch)
    assert peak <= projected


@pytest.mark.parametrize("lengths", [[*range(1000, 1200, 5)], [*range(1000, 1200, 5), *[500] * 200]])
def test_what_stays_of_other_trials_counts(lengths, tmp_path, monkeypatch):
    """Filters of other lengths, and memory for results that a thread uses again."""

    def superlets(data):
        return spy.freqanalysis(data, method="superlet", foi=[*range(20, 40, 2)], order_max=3)

    with spy.config.using(block_bytes=2**20, inmemory_bytes=100, num_cpus=1, resume=False):
        superlets(data_of([500, 1200], 1, None, 980))
        peak, projected = measured(superlets, data_of(lengths, 1, tmp_path / "x.raw"), monkeypatch)
    assert peak <= projected


def test_few_frequencies_need_little_room():
    few, many = (shared_bytes(2500, [2880] * 3 * n, 3, n) for n in (2, 40))
    assert few < 5e6 < 8e6 < many


def test_operands_count(tmp_path, monkeypatch):
    data = data_of([500] * 24, 96, tmp_path / "x.raw")
    with spy.config.using(block_bytes=2**20, num_cpus=1, resume=False):
        LIGHT["arithmetic"](data)
        peak, projected = measured(LIGHT["arithmetic"], data, monkeypatch)
        _, of_one = measured(LIGHT["scalar"], data, monkeypatch)
    assert peak <= projected
    assert of_one < projected


# -- tapers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize(("n", "half_bandwidth", "n_tapers"), [(500, 4, 7), (801, 10.5, 20)])
def test_tapers_made_in_groups(n, half_bandwidth, n_tapers, periodic, monkeypatch):
    expected = dpss(n, half_bandwidth, n_tapers, sym=not periodic)
    monkeypatch.setattr(tapers, "GROUP_BYTES", 3 * 8 * n)
    assert len(tapers.taper_groups(n, n_tapers)) == -(-n_tapers // 3)
    np.testing.assert_allclose(tapers.slepian(n, half_bandwidth, n_tapers, periodic), expected, atol=1e-12)


@pytest.mark.parametrize("keeptapers", [False, True])
def test_many_tapers_are_not_kept(keeptapers, monkeypatch):
    data = data_of([3_000], 2, None)

    def spectra(d):
        return spy.freqanalysis(d, tapsmofrq=6, foilim=[0, 5], keeptapers=keeptapers, output="pow")

    expected, projected_before = read_all(spectra(data).source), measured(spectra, data, monkeypatch)[1]
    monkeypatch.setattr(tapers, "GROUP_BYTES", 2 * 8 * 3_000)
    monkeypatch.setattr(mtmfft, "KEPT_BYTES", 10_000)
    peak, projected = measured(spectra, data, monkeypatch)
    assert peak <= projected < projected_before
    assert peak < 35 * 4 * 3_000 + 12 * 2 * 4 * 3_000
    found = read_all(spectra(data).source)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6 * expected.max())


def test_a_long_trial_with_many_tapers(monkeypatch):
    """The tapers alone were 28.8 GB in double precision."""
    data = data_of([600_000], 1, None)
    seen = []

    def noting(parallel, memory, name):
        seen.append(memory.driver + memory.per_worker)
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "choose", noting)
    with pytest.raises(KeyboardInterrupt):
        spy.freqanalysis(data, tapsmofrq=5)
    assert seen[0] < 100e6


def test_what_is_remembered():
    made = []

    @remembered(300, 1000)
    def zeros(n):
        made.append(n)
        return np.zeros(n, np.uint8)

    for n in (100, 101, 100, 101, 900, 900, 1001, 1001, 100, 900):
        assert len(zeros(n)) == n
    assert made == [100, 101, 900, 1001, 1001, 100, 900]


# -- other processes, and results in memory ----------------------------------------------------------------


def sizes_of(function, data, **settings):
    """Projected sizes of a call that is not run."""
    seen = []

    def noting(parallel, memory, name):
        seen.append(memory)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, spy.config.using(block_bytes=2**16, **settings):
        patch.setattr(driver, "choose", noting)
        with pytest.raises(KeyboardInterrupt):
            function(data)
    return seen[0]


def test_what_travels_between_processes_counts(tmp_path):
    """States of coherence lay in Ray's object store, two for each actor, and nobody had projected them."""
    stored, held = (data_of([500] * 24, 24, path) for path in (tmp_path / "x.raw", None))
    states = sizes_of(lambda d: spy.connectivityanalysis(d, foilim=[0, 50]), stored)
    assert states.value >= 26 * 24 * 25 // 2 * 16
    assert states.payload == 0
    assert states.of_workers(2) == 2 * (states.per_worker + states.value)
    assert states.of_workers(2, elsewhere=True) == 2 * (states.per_worker + 2 * states.value)
    results = sizes_of(LIGHT["scalar"], held)
    assert results.value == results.payload >= 500 * 24 * 4
    assert sizes_of(LIGHT["scalar"], held, inmemory_bytes=100).value == 0


@pytest.mark.parametrize(
    ("elsewhere", "budget", "n"),
    [(False, 100, 1), (False, 279, 1), (False, 280, 2), (True, 200, 1), (True, 399, 1), (True, 600, 3)],
)
def test_workers_that_fit(elsewhere, budget, n):
    sizes = Memory(input=0, output=0, per_worker=100, driver=0, value=40, payload=10)
    with spy.config.using(memory_budget=budget):
        assert affordable_workers(sizes, 64, "x", elsewhere) == n
    with spy.config.using(memory_budget=199 if elsewhere else 99), pytest.raises(MemoryBudgetError):
        affordable_workers(sizes, 64, "x", elsewhere)


def test_a_given_budget_bounds_results_in_memory():
    data = data_of([500] * 24, 96, None)
    n_bytes = 24 * 500 * 96 * 4
    every = [data * 2]
    for times in (3.9, 4.1):
        with spy.config.using(memory_budget=int(times * n_bytes), block_bytes=2**20):
            every.append(data * 2)
    assert [one.source.in_memory for one in every] == [True, False, True]
    np.testing.assert_array_equal(read_all(every[1].source), read_all(every[0].source))
