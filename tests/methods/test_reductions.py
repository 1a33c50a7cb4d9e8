"""Reductions over trials: numbers, cuts, executors, memory, resume."""

import pickle
import tracemalloc

import numpy as np
import pytest

import rayspy as spy
from rayspy.executors.driver import run_results
from rayspy.executors.local import LocalExecutor
from rayspy.executors.run import PromiseError
from rayspy.frontends.call import run_steps
from rayspy.frontends.compute import objects_of, plan_for, selected
from rayspy.frontends.spectral.fourier import mtmfft
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Mean, Median, Moments, Resultant
from rayspy.storage.sources import read_all
from tests.helpers import EXECUTORS, run_on

N_TRIALS, N_SAMPLES, N_CHANNELS = 30, 40, 6
REDUCTIONS = {
    "mean": Mean(),
    "moments": Moments(),
    "unbiased": Moments(("var",), ddof=1),
    "median": Median(),
    "itc": Resultant(),
}


def make(offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    trials = rng.standard_normal((N_TRIALS, N_SAMPLES, N_CHANNELS)).astype(np.float32) + offset
    return spy.AnalogData(list(trials), samplerate=100.0)


def plan_of(data, reduction, chan_per_worker=None, method=None, select=None):
    selection = selected(data, select)
    if method is None:
        output = "fourier" if isinstance(reduction, Resultant) else "pow"
        settings = {**spy.get_defaults(spy.freqanalysis), "output": output}
        method = mtmfft(data, selection, settings).method
    return plan_for("reduced", data, method, selection, reduction, chan_per_worker)


def arrays_of(plan, parallel=False):
    return {name: read_all(source) for name, source in run_results(plan, parallel)[0].items()}


def each_of(data, reduction):
    """Results per trial, (trial, taper, freq, channel)."""
    output = "fourier" if isinstance(reduction, Resultant) else "pow"
    return spy.freqanalysis(data, output=output).data[()]


def by_hand(x, name):
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    if name == "mean":
        return {"": wide.mean(axis=0)}
    if name == "moments":
        return {"mean": wide.mean(axis=0), "var": wide.var(axis=0), "std": wide.std(axis=0)}
    if name == "unbiased":
        return {"": wide.var(axis=0, ddof=1)}
    if name == "median":
        return {"": np.median(wide, axis=0)}
    return {"": np.abs((wide / np.abs(wide)).mean(axis=0))}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_as_numpy(name):
    data, reduction = make(), REDUCTIONS[name]
    with spy.config.using(block_bytes=5000):
        found = arrays_of(plan_of(data, reduction))
    wanted = by_hand(each_of(data, reduction), name)
    assert list(found) == list(wanted)
    for key, array in found.items():
        np.testing.assert_allclose(array[0], wanted[key], rtol=3e-6, atol=1e-9)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_ranges_of_channels_and_frequencies_change_no_bit(name):
    data, reduction = make(), REDUCTIONS[name]
    plan = plan_of(data, reduction)
    wanted, groups = arrays_of(plan), set()
    for memory in (10**6, 100):
        for width in (None, 1, 4):
            with spy.config.using(inmemory_bytes=memory), _smallest_states(plan):
                cut = plan_of(data, reduction, width)
                found = arrays_of(cut)
            groups.add((cut.blocks.n_groups, len(cut.blocks.bands) > 1, cut.blocks.ranges_first))
            for key, array in found.items():
                np.testing.assert_array_equal(array, wanted[key])
    assert {ranges_first for *_, ranges_first in groups} == {False, True}
    assert any(banded for _, banded, _ in groups)


def _smallest_states(plan):
    """States of a few hundred bytes, in the same groups of trials."""
    from contextlib import ExitStack

    stack, patch = ExitStack(), pytest.MonkeyPatch()
    patch.setattr("rayspy.planning.plan.largest_state", lambda: 400)
    stack.callback(patch.undo)
    return stack


@pytest.mark.parametrize("name", ["moments", "median"])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_on_every_executor(name, executor, request):
    data, reduction = make(), REDUCTIONS[name]
    with spy.config.using(block_bytes=3000):
        wanted = arrays_of(plan_of(data, reduction))
        with run_on(executor, request) as options:
            for width in (None, 1, 4):
                plan = plan_of(data, reduction, width)
                for key, array in arrays_of(plan, options["parallel"]).items():
                    np.testing.assert_array_equal(array, wanted[key])


def test_groups_depend_on_the_data_and_the_size_of_blocks_alone():
    data = make()
    for reduction in REDUCTIONS.values():
        for size in (2000, 8000):
            with spy.config.using(block_bytes=size):
                plans = [plan_of(data, reduction, width) for width in (None, 1, 5)]
            edges = [plan.blocks.first_trial.tolist() for plan in plans]
            assert edges[0] == edges[1] == edges[2]
            assert reduction.together == (len(edges[0]) == 1)


def test_variance_does_not_suffer_from_an_offset():
    data = make(offset=1e6)
    x = np.stack([data.trials[k] for k in range(N_TRIALS)]).astype(np.float64)
    with spy.config.using(block_bytes=1500):
        plan = plan_of(data, Moments(), method=Copying())
        found = arrays_of(plan)
    assert plan.blocks.n_groups > 5
    np.testing.assert_allclose(found["var"], x.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["mean"], x.mean(axis=0), rtol=1e-7)


def test_blocks_may_come_in_any_order(monkeypatch):
    data = make()
    with spy.config.using(block_bytes=1500):
        plan = plan_of(data, Moments(), chan_per_worker=2)
        wanted = arrays_of(plan)
        run = LocalExecutor.run
        monkeypatch.setattr(
            LocalExecutor, "run", lambda self, plan, blocks, collect: run(self, plan, blocks[::-1], collect)
        )
        found = arrays_of(plan)
    for key, array in found.items():
        np.testing.assert_array_equal(array, wanted[key])


def test_large_results_are_on_disk_and_leave_nothing_else(scratch):
    data = make()
    with spy.config.using(block_bytes=2000, inmemory_bytes=100):
        sources, _ = run_results(plan_of(data, Moments()), False)
    assert not any(source.in_memory for source in sources.values())
    folders = list(scratch.rglob("part-*"))
    assert {str(path.parent) for path in folders} == {source.location for source in sources.values()}
    del sources
    assert not list(scratch.rglob("part-*"))


def test_an_error_leaves_nothing(scratch, monkeypatch):
    monkeypatch.setattr(Moments, "merge", lambda self, state, later: 1 / 0)
    with spy.config.using(block_bytes=2000, inmemory_bytes=100), pytest.raises(ZeroDivisionError):
        run_results(plan_of(make(), Moments()), False)
    assert not list(scratch.rglob("*.wip"))
    assert not list(scratch.rglob("part-*"))


def test_a_reduction_that_breaks_its_promise_is_found_out(monkeypatch):
    monkeypatch.setattr(Mean, "finalize", lambda self, state, each: {"": state["sum"]})
    with pytest.raises(PromiseError, match="promised float32"):
        run_results(plan_of(make(), Mean()), False)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_memory_is_projected(name):
    rng = np.random.default_rng(0)
    data = spy.AnalogData(list(rng.standard_normal((40, 500, 20)).astype(np.float32)), samplerate=100.0)
    with spy.config.using(block_bytes=100_000, resume=False):
        plan = plan_of(data, REDUCTIONS[name])
        run_results(plan, False)
        tracemalloc.start()
        run_results(plan, False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= plan.memory.per_worker + plan.memory.driver + 100_000


def test_values_travel():
    for reduction in REDUCTIONS.values():
        assert pickle.loads(pickle.dumps(reduction)) == reduction


def test_several_results_become_several_objects():
    data = make()
    plan = plan_of(data, Moments())

    def steps():
        return objects_of((yield plan), data)

    found, _ = run_steps(steps(), False)
    assert list(found) == ["mean", "var", "std"]
    for result in found.values():
        assert len(result.trials) == 1
        np.testing.assert_array_equal(result.freq, plan.output.labels["freq"])
    np.testing.assert_allclose(found["std"].data[()] ** 2, found["var"].data[()], rtol=1e-5)


def test_averages_of_welch_have_the_same_bits_with_small_states():
    data = spy.synthdata.white_noise(nTrials=6, nSamples=200, nChannels=3, samplerate=100, seed=1)
    settings = {"method": "welch", "t_ftimwin": 0.5, "toi": 0.5, "keeptrials": False, "parallel": False}
    wanted = spy.freqanalysis(data, **settings).data[()]
    with _smallest_states(None):
        np.testing.assert_array_equal(spy.freqanalysis(data, **settings).data[()], wanted)
