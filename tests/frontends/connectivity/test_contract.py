"""Connectivity keeps the contract of methods and reductions; its memory is projected and does not grow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.methods.reductions.pairs import LeaveOneOut
from tests.contract import MethodContract, plan_of_call, results_of

CALLS: dict[str, dict[str, Any]] = {
    "several": {"method": ["coh", "wpli_debiased", "plv", "dpli"], "tapsmofrq": 2},
    "factors": {"method": ["granger", "pdc"], "foilim": [10, 30], "tapsmofrq": 2},
    "pairs": {"method": "granger", "channelcmb": [(0, 2), (1, 2)]},
    "single": {"method": "csd", "keeptrials": True},
    "lags": {"method": "corr"},
    "groups": {"method": "mic", "groups": {"a": [0], "b": [1, 2]}, "bands": {"x": [10, 20]}},
}


@pytest.mark.parametrize("name", CALLS)
class TestConnectivity(MethodContract):
    @pytest.fixture(autouse=True)
    def _choose(self, name: str) -> None:
        self.settings = CALLS[name]

    def call(self, data: Any, **options: Any) -> Any:
        return spy.connectivityanalysis(data, **self.settings, **options)


class TestJackknife(MethodContract):
    def plan(self, data: Any, chan_per_worker: Any = None) -> Any:
        settings = {"method": ["coh", "ppc"], "foilim": [10, 30]}
        plan = plan_of_call(spy.connectivityanalysis, data, **settings)
        first = replace(plan, reduction=replace(plan.reduction, keeps_sums=True))
        with spy.config.using(block_bytes=10**7):
            found = results_of(first)
        totals = {
            name: np.moveaxis(found[f"totals of {name}"], -1, 0).reshape(6, -1).copy()
            for name in plan.reduction.needs
        }
        freq = tuple(plan.output.labels["freq"].tolist())
        from rayspy.planning.plan import make_plan

        leave = LeaveOneOut(plan.reduction, len(data.trials), totals, freq)
        return make_plan("jackknife", plan.method, plan.source, plan.spec, plan.index, leave)

    def test_plans_travel_and_are_recognized(self) -> None:
        from rayspy.executors.resume import key_of

        data = self.data()
        one, other = self.plan(data), self.plan(data)
        assert key_of(one)
        assert key_of(one) == key_of(other)
        other.reduction.totals["cross"][0] += 1
        assert key_of(one) != key_of(other)


class TestManyChannels(MethodContract):
    n_channels = 40
    slack = 500_000

    def call(self, data: Any, **options: Any) -> Any:
        return spy.connectivityanalysis(data, method=["coh", "wpli_debiased"], **options)


def test_memory_does_not_grow_with_trials() -> None:
    def plan(n: int) -> Any:
        trials = np.zeros((n * 50, 20), np.float32)
        edges = np.arange(n + 1) * 50
        trl = np.column_stack([edges[:-1], edges[1:], np.zeros(n)])
        data = spy.AnalogData(trials, samplerate=100.0, trialdefinition=trl)
        return plan_of_call(spy.connectivityanalysis, data, method="wpli_debiased")

    few, many = plan(4000), plan(16000)
    assert many.memory.per_worker <= 1.1 * few.memory.per_worker
    assert many.memory.driver <= 1.1 * few.memory.driver
    assert many.memory.output == few.memory.output
