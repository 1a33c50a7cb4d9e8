"""What every method and every reduction has to keep: subclass and say what is tested.

A method is tested through a call of a front-end that ends in it::

    class TestTeager(MethodContract):
        def call(self, data, **options):
            return spy.teager(data, **options)

and a reduction as a value, over spectra of trials::

    class TestRange(ReductionContract):
        reduction = Range()
"""

import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

import rayspy as spy
from rayspy.executors.driver import run_results
from rayspy.executors.resume import key_of
from rayspy.executors.run import run_block
from rayspy.frontends.compute import plan_for, selected
from rayspy.frontends.spectral.fourier import mtmfft
from rayspy.storage.sources import read_all
from tests.helpers import run_on

EXECUTORS = ["local-2", "ray-2"]
"""One of either kind; matrices run over all of them."""


class _Noted(Exception):
    """A plan was noted."""


def plan_of_call(call, data, **options):
    """The plan that a call of a front-end would run first."""
    plans = []

    def noted(plan, parallel, observe=None):
        plans.append(plan)
        raise _Noted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rayspy.frontends.call.run_results", noted)
        with pytest.raises(_Noted):
            call(data, **options)
    return plans[0]


def results_of(plan, parallel=False):
    return {name: read_all(source) for name, source in run_results(plan, parallel)[0].items()}


def assert_same_bits(found, wanted):
    assert list(found) == list(wanted)
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name])


class _Contract:
    """What plans of both kinds have to keep."""

    n_channels = 3
    slack = 300_000
    """Bytes that Python itself may take besides what is projected."""

    def data(self):
        rng = np.random.default_rng(0)
        trials = [rng.standard_normal((n, self.n_channels)).astype("f4") + 1 for n in self.lengths]
        return spy.AnalogData(trials, samplerate=100.0)

    @property
    def lengths(self):
        return [200] * 8

    def plan(self, data, chan_per_worker=None):
        raise NotImplementedError

    def test_the_promise_is_kept(self):
        plan = self.plan(self.data())
        for name, array in results_of(plan).items():
            spec = plan.results[name]
            assert array.shape == spec.shape
            assert array.dtype == spec.dtype
            assert spec.trialdefinition[-1, 1] == spec.rows.sum()
            assert set(spec.labels) == set(spec.dims) - {"time"}

    def test_every_cut_has_the_same_bits(self):
        data = self.data()
        with spy.config.using(block_bytes=4000):
            wanted = results_of(self.plan(data))
            for width in (1, 2):
                assert_same_bits(results_of(self.plan(data, width)), wanted)
            with spy.config.using(inmemory_bytes=100):
                assert_same_bits(results_of(self.plan(data, 2)), wanted)

    @pytest.mark.parametrize("executor", EXECUTORS)
    def test_every_executor_has_the_same_bits(self, executor, request):
        data = self.data()
        with spy.config.using(block_bytes=4000):
            wanted = results_of(self.plan(data))
            with run_on(executor, request) as options:
                assert_same_bits(results_of(self.plan(data), options["parallel"]), wanted)

    def test_the_input_is_not_touched(self):
        data = self.data()
        before = np.array(data.data[()])
        results_of(self.plan(data))
        np.testing.assert_array_equal(data.data[()], before)

    def test_memory_is_projected(self):
        plan = self.plan(self.data())
        results_of(plan)
        tracemalloc.start()
        for i in range(plan.n_blocks):
            run_block(plan, i)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= plan.memory.per_worker + self.slack

    def test_plans_travel_and_are_recognized(self):
        plan = self.plan(self.data())
        again = pickle.loads(pickle.dumps(plan))
        assert again.method == plan.method
        assert again.reduction == plan.reduction
        key = key_of(plan)
        assert key
        assert key == key_of(replace(plan, method=again.method, reduction=again.reduction))
        assert key != key_of(replace(plan, name="another"))


class MethodContract(_Contract):
    """A method, through a front-end."""

    def call(self, data, **options):
        raise NotImplementedError

    def plan(self, data, chan_per_worker=None):
        return plan_of_call(self.call, data, chan_per_worker=chan_per_worker)

    def test_a_trial_alone_has_the_bits_it_has_among_others(self):
        data = self.data()
        plan = self.plan(data)
        if plan.reduction is not None or len(plan.output.rows) != len(data.trials):
            pytest.skip("results are not one per trial")
        edges = plan.row_edges
        whole = results_of(plan)[""]
        axis = plan.output.dims.index("time")
        for k in (0, len(data.trials) - 1):
            one = results_of(self.plan(spy.selectdata(data, trials=[k])))[""]
            part = whole.take(np.arange(edges[k], edges[k + 1]), axis=axis)
            np.testing.assert_array_equal(one, part)


class ReductionContract(_Contract):
    """A reduction of spectra over trials."""

    reduction = None
    output = "pow"

    def plan(self, data, chan_per_worker=None):
        selection = selected(data, None)
        settings = {**spy.get_defaults(spy.freqanalysis), "output": self.output}
        method = mtmfft(data, selection, settings).method
        return plan_for("reduced", data, method, selection, self.reduction, chan_per_worker)

    def test_groups_do_not_depend_on_the_cut(self):
        data = self.data()
        with spy.config.using(block_bytes=3000):
            plans = [self.plan(data, width) for width in (None, 1, 2)]
        edges = [plan.blocks.first_trial.tolist() for plan in plans]
        assert edges[0] == edges[1] == edges[2]

    def test_states_are_declared(self):
        plan = self.plan(self.data())
        layouts = plan.reduction.state(plan.output)
        assert all(layout.nbytes > 0 for layout in layouts.values())
        assert sorted(plan.results) == sorted(plan.reduction.outputs(plan.output))
