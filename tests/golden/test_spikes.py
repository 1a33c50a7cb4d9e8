"""Golden cases of spikes: histograms around the trigger, and selections."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, reference, stored

CASES = json.loads((FOLDER / "spikes.json").read_text())["cases"]


def golden_spikes(named):
    given = stored("inputs/spikes.npz")
    labels = {dim: [str(name) for name in given[dim]] for dim in ("channel", "unit")} if named else {}
    rate, trl = float(given["samplerate"]), given["trialdefinition"]
    return spy.SpikeData(given["data"], samplerate=rate, trialdefinition=trl, **labels)


def test_the_cases_are_there():
    assert len(CASES) == 12


@pytest.mark.parametrize("case", [c for c in CASES if c["function"] == "spike_psth"], ids=lambda c: c["id"])
def test_histograms(case):
    """Averages leave NaN out, and times are the middles of bins: there Syncopy differs from its manual."""
    kwargs = case["steps"][0]["kwargs"]
    result = spy.spike_psth(golden_spikes(False), **kwargs)
    wanted = reference(case)
    assert result.dimord == case["dimord"]
    assert list(result.channel) == case["channel"]
    assert result.samplerate == pytest.approx(case["samplerate"], rel=1e-12)
    got, data = result.data[()], wanted["data"]
    assert got.dtype == data.dtype
    np.testing.assert_array_equal(np.isnan(got), np.isnan(data))
    assert_close(case, "data", np.nan_to_num(got), np.nan_to_num(data))
    np.testing.assert_array_equal(result.trialdefinition[:, :2], wanted["trialdefinition"][:, :2])
    edges = wanted["ref_bin_edges"]
    np.testing.assert_allclose(result.time[0], (edges[1:] + edges[:-1]) / 2, atol=1e-9)
    averaged = spy.spike_psth(golden_spikes(False), **kwargs, keeptrials=False)
    trials = data.reshape(len(result.trials), *averaged.avg.shape)
    for found in (result, averaged):
        complete = np.isfinite(wanted["avg"])
        np.testing.assert_allclose(found.avg[complete], wanted["avg"][complete], rtol=1e-6)
        np.testing.assert_allclose(found.var[complete], wanted["var"][complete], rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(found.dof, np.isfinite(trials).sum(axis=0))
        some = found.dof > 0
        np.testing.assert_allclose(found.avg[some], np.nanmean(trials[:, some], axis=0), rtol=1e-6)


def test_names_are_used():
    named = spy.spike_psth(golden_spikes(True), binsize=0.05, latency="minperiod", select={"channel": "tetA"})
    assert list(named.channel) == ["tetA_u0", "tetA_u1", "tetA_u4"]


def test_selection():
    (case,) = [c for c in CASES if c["function"] == "selectdata"]
    result = spy.selectdata(golden_spikes(True), **case["steps"][0]["kwargs"])
    wanted = reference(case)
    np.testing.assert_array_equal(result.data[()], wanted["data"])
    np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
    assert list(result.channel) == case["channel"]
    assert result.samplerate == case["samplerate"]
