"""Time-frequency methods of `freqanalysis`: bad input, coordinates, replay, selections, memory."""

import threading
import time
import tracemalloc

import numpy as np
import psutil
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.executors.run import run_block
from tests.contract import plan_of_call
from tests.frontends.spectral.test_freqanalysis import make

VALUE, TYPE = InvalidValueError, InvalidTypeError
CONV = {"method": "mtmconvol", "t_ftimwin": 0.2}
WELCH = {"method": "welch", "t_ftimwin": 0.2, "toi": 0.5}
WAVE = {"method": "wavelet"}
SUPER = {"method": "superlet", "order_max": 3}
FOOOF = {"output": "fooof", "foilim": [5, 40]}
BAD = [
    ({**CONV, "t_ftimwin": None, "toi": 0.5}, TYPE, "t_ftimwin"),
    ({**CONV, "t_ftimwin": 3.0}, VALUE, "t_ftimwin"),
    ({**CONV, "t_ftimwin": 0.001}, VALUE, "t_ftimwin"),
    ({**CONV, "t_ftimwin": "x"}, TYPE, "t_ftimwin"),
    ({**CONV, "t_ftimwin": np.nan}, VALUE, "t_ftimwin"),
    ({**CONV, "t_ftimwin": 0.02}, VALUE, "taper"),
    ({**CONV, "toi": 1.5}, VALUE, "toi"),
    ({**CONV, "toi": -0.1}, VALUE, "toi"),
    ({**CONV, "toi": "foo"}, VALUE, "toi"),
    ({**CONV, "toi": [0.5, 0.1]}, VALUE, "toi"),
    ({**CONV, "toi": [0.1, 0.1]}, VALUE, "toi"),
    ({**CONV, "toi": [0.1, 0.102]}, VALUE, "toi"),
    ({**CONV, "toi": [10.0, 20.0]}, VALUE, "toi"),
    ({**CONV, "toi": [-0.5, 0.0]}, VALUE, "toi"),
    ({**CONV, "toi": []}, VALUE, "toi"),
    ({**CONV, "toi": [0.0, np.nan]}, VALUE, "toi"),
    ({**CONV, "toi": None}, TYPE, "toi"),
    ({**CONV, "toi": True}, TYPE, "toi"),
    ({**CONV, "toi": 0.5, "foi": [10, 20, 400]}, VALUE, "foi"),
    ({**CONV, "toi": 0.5, "foilim": [11, 12]}, VALUE, "foi/foilim"),
    ({**CONV, "toi": 0.5, "output": "fooof"}, VALUE, "output"),
    ({**CONV, "toi": 0.5, "tapsmofrq": 10, "output": "fourier"}, VALUE, "output|keeptapers"),
    ({**CONV, "toi": 0.5, "tapsmofrq": 60, "nTaper": 50}, VALUE, "nTaper"),
    ({**CONV, "toi": 0.5, "polyremoval": 2}, VALUE, "polyremoval"),
    ({**CONV, "toi": 0.5, "edges": "zeros"}, VALUE, "edges"),
    ({**WELCH, "toi": "all"}, VALUE, "toi"),
    ({**WELCH, "toi": [0.0, 0.1]}, VALUE, "toi"),
    ({**WELCH, "output": "fourier"}, VALUE, "output"),
    ({**WELCH, "tapsmofrq": 10, "keeptapers": True}, VALUE, "keeptapers"),
    ({**WELCH, "t_ftimwin": None}, TYPE, "t_ftimwin"),
    ({**WAVE, "toi": 0.5}, VALUE, "toi"),
    ({**WAVE, "toi": [-0.5, 0, 0.7]}, VALUE, "toi"),
    ({**WAVE, "toi": None}, TYPE, "toi"),
    ({**WAVE, "edges": None}, VALUE, "edges"),
    ({**SUPER, "edges": 0}, TYPE, "edges"),
    ({**WAVE, "wavelet": "Paul"}, TYPE, "order"),
    ({**WAVE, "wavelet": "Paul", "order": 3}, VALUE, "order"),
    ({**WAVE, "wavelet": "DOG"}, TYPE, "order"),
    ({**WAVE, "wavelet": "DOG", "order": 1.5}, VALUE, "order"),
    ({**WAVE, "wavelet": "Foo"}, VALUE, "wavelet"),
    ({**WAVE, "wavelet": 3}, TYPE, "wavelet"),
    ({**WAVE, "width": 0.5}, VALUE, "width"),
    ({**WAVE, "width": "x"}, TYPE, "width"),
    ({**WAVE, "foi": [10], "foilim": [5, 10]}, VALUE, "foi/foilim"),
    ({**WAVE, "foi": 10}, TYPE, "foi"),
    ({**WAVE, "foi": [51]}, VALUE, "foi"),
    ({**WAVE, "foilim": [1, 2, 3]}, VALUE, "foilim"),
    ({**WAVE, "output": "fooof_peaks"}, VALUE, "output"),
    ({**WAVE, "polyremoval": "a"}, TYPE, "polyremoval"),
    ({"method": "superlet"}, VALUE, "order_max"),
    ({**SUPER, "foi": [30], "adaptive": True}, VALUE, "foi"),
    ({**SUPER, "foi": [30, 30], "adaptive": True}, VALUE, "foi"),
    ({**SUPER, "order_min": 6}, VALUE, "order_min"),
    ({**SUPER, "order_min": 0}, VALUE, "order_min"),
    ({**SUPER, "order_max": 2.5}, VALUE, "order_max"),
    ({**SUPER, "order_max": "x"}, TYPE, "order_max"),
    ({**SUPER, "c_1": 0}, VALUE, "c_1"),
    ({**SUPER, "adaptive": 1}, TYPE, "adaptive"),
    ({**FOOOF, "foilim": None}, VALUE, "foi/foilim"),
    ({**FOOOF, "foilim": [0, 20]}, VALUE, "foi/foilim"),
    ({**FOOOF, "fooof_opt": {"foo": 1}}, VALUE, "fooof_opt key"),
    ({**FOOOF, "fooof_opt": [1]}, TYPE, "fooof_opt"),
    ({**FOOOF, "fooof_opt": {"max_n_peaks": 1.5}}, VALUE, "fooof_opt: max_n_peaks"),
    ({**FOOOF, "fooof_opt": {"peak_width_limits": [3, 1]}}, VALUE, "fooof_opt: peak_width_limits"),
    ({**FOOOF, "fooof_opt": {"aperiodic_mode": "line"}}, VALUE, "fooof_opt: aperiodic_mode"),
    ({**FOOOF, "fooof_opt": {"verbose": 1}}, TYPE, "fooof_opt: verbose"),
    ({"out": 3}, VALUE, "out"),
]


@pytest.fixture(scope="module")
def data():
    return make()


@pytest.mark.parametrize(("settings", "error", "name"), BAD, ids=lambda v: str(v)[:70])
def test_bad_input_is_refused_by_name(data, settings, error, name, scratch):
    before = data.log, data.selection, dict(data.cfg)
    with pytest.raises(error) as caught:
        spy.freqanalysis(data, **settings)
    assert caught.value.varname == name
    assert f"`{name}`" in str(caught.value)
    assert (data.log, data.selection, data.cfg) == before
    assert not list(scratch.rglob("array-*"))


def test_averages_need_trials_of_equal_length():
    data = make()
    data.definetrial(np.array([[0, 50, 0], [60, 120, 0]]))
    with pytest.raises(InvalidValueError, match="keeptrials"):
        spy.freqanalysis(data, method="wavelet", keeptrials=False)
    same = spy.freqanalysis(data, method="wavelet", keeptrials=False, toi=[0.1, 0.2], foi=[20])
    assert same.data.shape == (2, 1, 1, 3)


def test_parameters_of_other_methods_are_told(data, caplog):
    with caplog.at_level("WARNING", logger="rayspy"):
        spy.freqanalysis(data, method="wavelet", foi=[20], order_max=3, taper="hamming", pad="nextpow2")
    for name in ("order_max", "taper", "pad"):
        assert any(f"`{name}`" in m for m in caplog.messages)
    assert not any("`foi`" in m or "`width`" in m for m in caplog.messages)


METHODS = {
    "mtmconvol": {**CONV, "toi": 0.5, "tapsmofrq": 8},
    "mtmconvol-toi": {**CONV, "toi": [-0.1, 0.0, 0.37], "output": "abs"},
    "welch": {**WELCH, "taper": None},
    "wavelet": {**WAVE, "foi": [10.0, 20.5], "toi": [0.0, 0.1, 0.2]},
    "superlet": {**SUPER, "adaptive": True, "foilim": [10, 13]},
}


@pytest.mark.parametrize("method", METHODS)
def test_replay_and_selection(data, method):
    settings = METHODS[method]
    select = {"trials": [2, 0], "channel": ["c", "a"], "latency": [-0.2, 0.6]}
    first = spy.freqanalysis(data, select=select, **settings)
    assert list(first.channel) == ["c", "a"]
    again = spy.freqanalysis(data, first.cfg)
    np.testing.assert_array_equal(again.data[()], first.data[()])
    assert again.cfg == first.cfg
    copied = spy.freqanalysis(spy.selectdata(data, **select), **settings)
    np.testing.assert_array_equal(copied.data[()], first.data[()])
    np.testing.assert_allclose(list(copied.time), list(first.time))
    average = spy.freqanalysis(data, select=select, keeptrials=False, **settings)
    mean = np.mean([first.trials[k] for k in range(2)], axis=0)
    np.testing.assert_allclose(average.data[()], mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(average.time[0], first.time[0])


def test_coordinates(data):
    got = spy.freqanalysis(data, method="wavelet", foi=[10, 20])
    np.testing.assert_array_equal(got.trialdefinition[1], [120, 240, -20, 8])
    np.testing.assert_array_equal(got.freq, [10, 20])
    assert list(got.taper) == ["None"]
    got = spy.freqanalysis(data, method="wavelet", foilim=[20, 10])
    np.testing.assert_array_equal(got.freq, np.arange(10, 21))
    got = spy.freqanalysis(data, method="mtmconvol", t_ftimwin=0.2, toi=[0, 0.3, 0.6])
    np.testing.assert_allclose(got.trialdefinition[1], [3, 6, 0, 8])
    assert got.samplerate == pytest.approx(10 / 3)
    np.testing.assert_allclose(got.freq, np.arange(0, 51, 5))


def plan_of(data, **settings):
    return plan_of_call(spy.freqanalysis, data, **settings)


@pytest.mark.parametrize("method", [*METHODS, "wavelet-auto", "superlet-fourier", "long"])
@pytest.mark.parametrize("keeptrials", [True, False])
def test_memory_is_what_was_projected(method, keeptrials):
    extra = {
        "wavelet-auto": WAVE, "superlet-fourier": {**SUPER, "foi": [5, 20], "output": "fourier"},
        "long": {**WAVE, "foi": [2, 30]},
    }  # fmt: skip
    n_samples, n_trials = (200_000, 1) if method == "long" else (3000, 6)
    data = make(n_trials, n_samples, 8)
    plan = plan_of(data, keeptrials=keeptrials, **{**METHODS, **extra}[method])
    run_block(plan, 0)
    tracemalloc.start()
    run_block(plan, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= plan.memory.per_worker


def test_a_large_result_streams_to_disk_within_the_budget():
    data = make(24, 2000, 8)
    with spy.config.using(memory_budget="60MB", inmemory_bytes=10**6, num_cpus=2):
        spy.freqanalysis(data, method="wavelet", foilim=[5, 40], select={"trials": [0]})
        process = psutil.Process()
        before, peaks, done = process.memory_info().rss, [0], threading.Event()

        def watch():
            while not done.wait(0.005):
                peaks.append(process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        got = spy.freqanalysis(data, method="wavelet", foilim=[5, 50])
        done.set()
        watcher.join()
    assert got.source.location
    size = int(np.prod(got.data.shape)) * 4
    assert size > 65e6
    assert max(peaks) - before < 60e6
    assert np.isfinite(got.trials[23]).all()


def test_few_trials_are_split_over_channels():
    plan = plan_of(make(1, 8000, 4), **SUPER)
    assert plan.n_blocks >= 4


# -- explain -----------------------------------------------------------------------------------


def test_explain_tells_what_would_happen_and_does_it_not(data, monkeypatch):
    began = time.perf_counter()
    blocks = []
    monkeypatch.setattr(
        "rayspy.frontends.explain.run_block", lambda plan, i: blocks.append(i) or run_block(plan, i)
    )
    told = spy.explain(spy.freqanalysis, data, parallel=False, **SUPER)
    seconds = time.perf_counter() - began
    assert told.shape == (480, 1, told.shape[2], 3)
    assert (told.n_trials, told.n_channels, told.executor, told.n_workers) == (4, 3, "local", 1)
    assert told.bytes_read == 4 * 120 * 3 * 4
    assert told.bytes_written == int(np.prod(told.shape)) * 4
    assert told.in_memory
    assert 0 < told.block_seconds <= min(told.seconds, seconds)
    assert len(set(blocks)) == 1
    assert "480 x 1 x" in str(told)
    assert "parallel=False" in str(told)
    with pytest.raises(AttributeError):
        told.n_blocks = 3


def test_explain_starts_no_ray(data, monkeypatch):
    monkeypatch.setattr("rayspy.cluster.start_local_ray", lambda **_: pytest.fail("started"))
    told = spy.explain(spy.freqanalysis, data, cfg={"method": "wavelet", "foi": [20]}, parallel=True)
    assert told.executor == "ray"
    assert "would be started" in told.reason


def test_explain_knows_the_other_functions(data):
    told = spy.explain(spy.selectdata, data, channel=["b"])
    assert (told.name, told.shape) == ("selectdata", (480, 1))
    for function, arguments in (
        (spy.preprocessing, {"freq": 10, "filter_type": "lp"}),
        (spy.resampledata, {"resamplefs": 50}),
        (spy.notchfilter, {"freq": 20}),
        (spy.linefilter, {"freq": 20}),
        (spy.rereference, {}),
        (spy.baseline, {}),
    ):
        told = spy.explain(function, data, **arguments)
        assert told.name == function.__name__
        assert told.shape == function(data, parallel=False, **arguments).data.shape
    with pytest.raises(InvalidValueError, match="function"):
        spy.explain(spy.selectdata, make(), channel=["b"], inplace=True)
    with pytest.raises(InvalidValueError, match=r"spy\.freqanalysis"):
        spy.explain(np.mean, data)
    with pytest.raises(InvalidTypeError, match="function"):
        spy.explain(3, data)
    with pytest.raises(InvalidValueError, match="order_max"):
        spy.explain(spy.freqanalysis, data, method="superlet")


def test_explain_refuses_the_impossible_and_says_what_fits(scratch):
    rng = np.random.default_rng(0)
    trials = (rng.standard_normal((4000, 40)).astype(np.float32) for _ in range(8))
    data = spy.AnalogData(trials, samplerate=100.0)
    with spy.config.using(inmemory_bytes=10**6):
        needed = spy.explain(spy.freqanalysis, data, chan_per_worker=40, **WAVE)
        with (
            spy.config.using(memory_budget=int(0.8 * needed.worker_bytes)),
            pytest.raises(spy.errors.MemoryBudgetError, match="chan_per_worker=10 would fit") as caught,
        ):
            spy.explain(spy.freqanalysis, data, chan_per_worker=40, **WAVE)
        assert "memory budget" in str(caught.value)
        assert not needed.in_memory
        with (
            spy.config.using(scratch_quota=needed.bytes_written // 2 + 10**6),
            pytest.raises(spy.errors.ScratchSpaceError, match="About 4 of the 8 trials, or 20 of"),
        ):
            spy.explain(spy.freqanalysis, data, **WAVE)
    assert not list(scratch.rglob("part-*"))
