"""`explain` against what the call then does, on every executor."""

import sys

import numpy as np
import pytest

import rayspy as spy
from rayspy.executors import driver, outlook
from rayspy.executors.run import run_block
from rayspy.frontends.call import is_frontend
from rayspy.planning.partition import Blocks
from tests.helpers import EXECUTORS, run_on

MODELS = {"output": "fooof", "foilim": [2, 40], "fooof_opt": {"max_n_peaks": 2}}


def make(n_trials=6, n_samples=300, n_channels=3, unequal=False):
    rng = np.random.default_rng(1)
    lengths = [n_samples + 7 * (k % 3) * unequal for k in range(n_trials)]
    trials = (rng.standard_normal((n, n_channels)).astype(np.float32) for n in lengths)
    return spy.AnalogData(trials, samplerate=100.0)


@pytest.fixture(autouse=True)
def small_blocks():
    with spy.config.using(block_bytes=4000):
        yield


@pytest.fixture
def chosen(monkeypatch):
    """What the calls of a test really ran on: name, number of workers, reason."""
    found, choose = [], driver.choose

    def noted(*args):
        choice = choose(*args)
        found.append((choice.executor.name, choice.executor.n_workers, choice.reason))
        return choice

    monkeypatch.setattr(driver, "choose", noted)
    return found


def told(explanation):
    return explanation.executor, explanation.n_workers, explanation.reason


# -- the executor ---------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_executor_is_that_of_the_call(executor, request, chosen):
    data = make()
    with run_on(executor, request) as options:
        before = spy.explain(spy.freqanalysis, data, **options)
        assert chosen == []
        spy.freqanalysis(data, **options)
        after = spy.explain(spy.freqanalysis, data, **options)
        ignored = spy.explain(spy.freqanalysis, data, parallel=False)
    assert told(before) == told(after) == chosen[0]
    assert before.n_workers == int(executor.split("-")[-1])
    assert told(ignored) == ("local", 1, "parallel=False")


def test_a_client_is_not_attached_to(request, monkeypatch):
    client = request.getfixturevalue("dask_side")
    from rayspy_compat import attach

    attach.detach()
    monkeypatch.setattr(attach, "attach", lambda *_: pytest.fail("attached"))
    monkeypatch.setattr("rayspy.cluster.start_local_ray", lambda **_: pytest.fail("started"))
    with client.as_current():
        seen = spy.explain(spy.freqanalysis, make())
        assert told(seen) == ("dask-on-ray", 2, "attached to the running Dask client")
        monkeypatch.setattr(attach, "_force", "nodes")
        monkeypatch.setattr(attach, "ray_of_user", lambda: False)
        seen = spy.explain(spy.freqanalysis, make())
        assert (seen.executor, seen.n_workers) == ("dask-on-ray", 2)
        assert "inside the workers" in seen.reason
        monkeypatch.setattr(attach, "_force", "dask")
        seen = spy.explain(spy.freqanalysis, make())
        assert (seen.executor, seen.n_workers) == ("dask", 2)
        assert "own scheduler" in seen.reason
    assert attach._current is None


def test_a_client_without_workers_is_not_waited_for(request, monkeypatch):
    client = request.getfixturevalue("dask_side")
    from rayspy_compat import attach
    from rayspy_compat import client as clients

    attach.detach()
    monkeypatch.setattr(clients, "workers_now", lambda _: clients.Workers(()))
    with client.as_current():
        seen = spy.explain(spy.freqanalysis, make())
    assert (seen.executor, seen.n_workers) == ("dask-on-ray", None)
    assert seen.reason.endswith("as soon as it has workers")
    assert "on one worker" in str(seen)


def test_blocks_too_large_for_the_client_are_told(request, monkeypatch):
    client = request.getfixturevalue("dask_side")
    from rayspy_compat import client as clients

    small = clients.Workers((clients.DaskWorker("a", "h", 1, 1000),))
    monkeypatch.setattr(clients, "workers_now", lambda _: small)
    with client.as_current(), pytest.raises(spy.errors.MemoryBudgetError, match=r"limited to 0\.0 MB"):
        spy.explain(spy.freqanalysis, make())


def test_plugins_of_libraries_that_are_not_in_use_are_not_loaded(monkeypatch):
    class Point:
        name = "surely_not_imported"

        def load(self):
            pytest.fail("loaded")

    assert Point.name not in sys.modules
    monkeypatch.setattr(outlook, "_entry_points", lambda: (Point(),))
    assert spy.explain(spy.freqanalysis, make()).executor == "local"
    Point.name, Point.load = "sys", lambda self: lambda memory: outlook.Outlook("mine", 7, "because")
    assert told(spy.explain(spy.freqanalysis, make())) == ("mine", 7, "because")


def test_a_ray_that_is_not_connected_is_left_alone(monkeypatch):
    monkeypatch.setattr("rayspy.executors.choose._ray_that_runs", lambda: "RAY_ADDRESS is set")
    monkeypatch.setattr("rayspy.cluster.ray_is_connected", lambda: False)
    monkeypatch.setattr("rayspy.cluster.connect_existing", lambda: pytest.fail("connected"))
    with spy.config.using(num_cpus=None):
        assert told(spy.explain(spy.freqanalysis, make())) == ("ray", None, "RAY_ADDRESS is set")


# -- fits -----------------------------------------------------------------------------


@pytest.mark.parametrize("executor", EXECUTORS)
def test_fits_count(executor, request, chosen):
    pytest.importorskip("specparam")
    data = make()
    with run_on(executor, request) as options:
        seen = spy.explain(spy.freqanalysis, data, **MODELS, **options)
        assert chosen == []
        result = spy.freqanalysis(data, **MODELS, **options)
    assert (seen.executor, seen.n_workers) == chosen[1][:2]
    assert seen.reason.startswith(chosen[1][2])
    assert seen.shape == result.data.shape
    assert seen.n_fits == 6 * 3
    assert 0 < seen.fit_seconds < 1
    at_a_time = 1 if seen.executor == "local" else seen.n_workers
    assert seen.seconds > seen.n_fits * seen.fit_seconds / at_a_time
    assert "fits    : 18, one took" in str(seen)


@pytest.mark.parametrize(
    ("settings", "n_fits"),
    [
        ({"keeptrials": False}, 3),
        ({"keeptrials": False, "tapsmofrq": 3, "keeptapers": True, "nTaper": 2}, 6),
        ({"select": {"trials": [0, 3], "channel": ["channel2"]}}, 2),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_every_spectrum_is_fitted(settings, n_fits, in_memory, scratch):
    pytest.importorskip("specparam")
    data = make()
    with spy.config.using(inmemory_bytes=10**6 if in_memory else 100):
        seen = spy.explain(spy.freqanalysis, data, parallel=False, **MODELS, **settings)
    assert seen.n_fits == n_fits
    assert not list(scratch.rglob("part-*"))
    result = spy.freqanalysis(data, parallel=False, **MODELS, **settings)
    assert sum(len(n) for n in result.metadata["n_peaks"].values()) == n_fits


def test_other_outputs_have_no_fits():
    seen = spy.explain(spy.freqanalysis, make(), parallel=False)
    assert (seen.n_fits, seen.fit_seconds) == (0, 0)
    assert "fits" not in str(seen)


def test_fits_need_memory_too():
    pytest.importorskip("specparam")
    plain = spy.explain(spy.freqanalysis, make(), foilim=[2, 40], parallel=False)
    seen = spy.explain(spy.freqanalysis, make(), **{**MODELS, "fooof_opt": None}, parallel=False)
    assert seen.driver_bytes > plain.driver_bytes


HINT = "parallel=True (Ray actors) is faster"


def test_threads_that_wait_for_each_other_are_told(caplog):
    pytest.importorskip("specparam")
    data = make()
    with spy.config.using(num_cpus=2), caplog.at_level("DEBUG", logger="rayspy"):
        assert HINT in spy.explain(spy.freqanalysis, data, **MODELS).reason
        assert HINT in str(spy.explain(spy.freqanalysis, data, **MODELS))
        spy.freqanalysis(data, **MODELS)
        assert [HINT in line for line in caplog.messages] == [False, True, False]
        caplog.clear()
        for other in ({"parallel": False}, {"output": "pow"}, {"select": {"trials": [0], "channel": [0]}}):
            settings = {**MODELS, **other}
            if other.get("output"):
                del settings["fooof_opt"]
            assert HINT not in spy.explain(spy.freqanalysis, data, **settings).reason
            spy.freqanalysis(data, **settings)
        assert HINT not in caplog.text
        seen = spy.explain(spy.freqanalysis, data, **MODELS, parallel=True)
        assert seen.executor == "ray"
        assert HINT not in seen.reason


# -- blocks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "data", "settings"),
    [
        (spy.freqanalysis, make(unequal=True), {"method": "wavelet", "foi": [20]}),
        (spy.preprocessing, make(1, 200_000, 2), {"freq": 20, "filter_type": "lp"}),
        (spy.resampledata, make(1, 200_000, 2), {"resamplefs": 50}),
        (spy.freqanalysis, make(9, 100, 5), {"chan_per_worker": 2}),
    ],
    ids=["unequal", "pieces", "resampled", "channels"],
)
def test_the_estimate_is_the_measured_share_of_the_input(function, data, settings, monkeypatch):
    receipts = []

    def noted(plan, i):
        receipts.append(run_block(plan, i))
        return receipts[-1]

    monkeypatch.setattr("rayspy.frontends.explain.run_block", noted)
    seen = spy.explain(function, data, parallel=False, **settings)
    assert seen.n_blocks > 3
    share = receipts[0].bytes_read / seen.bytes_read
    assert seen.seconds == pytest.approx(seen.block_seconds / share)
    assert 0.5 / seen.n_blocks < share < 2 / seen.n_blocks


def test_a_million_blocks_are_not_listed(monkeypatch):
    asked, get = [], Blocks.__getitem__
    monkeypatch.setattr(Blocks, "__getitem__", lambda self, i: asked.append(i) or get(self, i))
    monkeypatch.setattr(Blocks, "__iter__", lambda self: pytest.fail("listed"))
    numbers = []
    for n_trials in (100, 1000):
        asked.clear()
        seen = spy.explain(spy.freqanalysis, make(n_trials, 60, 20), chan_per_worker=1, parallel=False)
        numbers.append((seen.n_blocks, len(asked)))
    assert numbers[1][0] == 10 * numbers[0][0]
    assert numbers[1][1] <= numbers[0][1] < 20


# -- calls -----------------------------------------------------------------------------

TABLE = np.column_stack([np.arange(5, 1800, 11), np.zeros(164, int), np.arange(164) % 2])


def spikes_of(data):
    return spy.SpikeData(TABLE, samplerate=100.0, trialdefinition=data.trialdefinition)


def coherences():
    """Three subjects."""
    data = make()
    return [
        spy.connectivityanalysis(data, select={"trials": [k, k + 1, k + 2]}, parallel=False) for k in range(3)
    ]


CALLED = {
    "freqanalysis": lambda d: (d,),
    "preprocessing": lambda d: (d, "but", "lp", 20),
    "resampledata": lambda d: (d, 50),
    "notchfilter": lambda d: (d, 20),
    "linefilter": lambda d: (d, 20),
    "rereference": lambda d: (d, "bipolar"),
    "baseline": lambda d: (d, (None, None)),
    "selectdata": lambda d: (d, [1, 0]),
    "redefinetrial": lambda d: (d, [1, 0]),
    "concat": lambda d: (d, d),
    "mean": lambda d: (d, "time"),
    "std": lambda d: (d, "trials"),
    "var": lambda d: (d, "trials"),
    "median": lambda d: (d, "channel"),
    "itc": lambda d: (spy.freqanalysis(d, output="fourier", parallel=False),),
    "timelockanalysis": lambda d: (d, "maxperiod", True),
    "connectivityanalysis": lambda d: (d, ["coh", "granger"]),
    "crossfrequencyanalysis": lambda d: (d, [4], [30]),
    "spike_psth": lambda d: (spikes_of(d), 0.1),
    "spike_rate": lambda d: (spikes_of(d),),
    "spike_fano": lambda d: (spikes_of(d),),
    "spike_isi": lambda d: (spikes_of(d),),
    "spike_xcorr": lambda d: (spikes_of(d), 0.1, 0.01),
    "spike_density": lambda d: (spikes_of(d), (-0.05, 0.05), "gauss", 100),
    "spiketriggeredaverage": lambda d: (spikes_of(d), d),
    "spiketriggeredspectrum": lambda d: (d, {"spikes": spikes_of(d), "foi": [20]}),
    "spikefieldcoherence": lambda d: (d, spikes_of(d)),
    "timelockstatistics": lambda d: (d, make(4)),
    "freqstatistics": lambda d: (
        spy.freqanalysis(d, parallel=False),
        spy.freqanalysis(make(4), parallel=False),
    ),
    "connectivitystatistics": lambda d: (coherences(), coherences()),
    "bootstrap": lambda d: (d,),
    "jackknife": lambda d: (d, make(4)),
}


def test_every_front_end_can_be_explained():
    found = {name for name in spy.__all__ if is_frontend(getattr(spy, name))}
    assert found == set(CALLED)


@pytest.mark.parametrize("name", CALLED)
def test_nothing_runs_while_a_call_is_explained(name, monkeypatch):
    data = make()
    args = CALLED[name](data)
    monkeypatch.setattr("rayspy.frontends.call.run_results", lambda *_: pytest.fail("ran"))
    seen = spy.explain(getattr(spy, name), *args)
    assert seen.name == name
    assert seen.bytes_read > 0
    assert seen.worker_bytes > 0
    assert str(seen).startswith(f"{name}, ")
    assert data.cfg == {}
    assert data.selection is None


def test_tests_say_what_they_compute_with():
    data = make()
    seen = spy.explain(spy.timelockstatistics, data, make(4), numrandomization=50)
    assert "10 observations x 900 points" in str(seen)
    assert seen.shape == (50, 1)


def test_a_call_without_a_run_changes_nothing():
    data = make()
    with pytest.raises(spy.errors.InvalidValueError, match="computes something"):
        spy.explain(spy.selectdata, data, trials=[0], inplace=True)
    assert data.selection is None
    with pytest.raises(spy.errors.InvalidValueError, match="function that computes"):
        spy.explain(spy.copy, data)


def test_what_is_recorded_can_be_repeated_on_any_engine():
    data = make()
    first = spy.freqanalysis(data, tapsmofrq=2, foilim=[5, 20], parallel=False)
    assert "parallel" not in first.cfg["freqanalysis"]
    assert first.cfg["freqanalysis"]["tapsmofrq"] == 2
    with spy.config.using(num_cpus=2):
        again = spy.freqanalysis(data, first.cfg, parallel=None)
    np.testing.assert_array_equal(again.data[()], first.data[()])
    assert again.cfg == first.cfg
