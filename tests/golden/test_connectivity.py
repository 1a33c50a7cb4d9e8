"""Golden cases of connectivity, on every executor."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, reference

CASES = json.loads((FOLDER / "connectivity.json").read_text())["cases"]
NO_OFFSET = ("ppc_hann", "ppc_channelcmb", "coh_jackknife")
"""Spectra over trials have no offset in time; Syncopy keeps that of the first trial for some methods."""


def run(case, **options):
    result = golden_input(case["input"])
    for step in case["steps"]:
        result = getattr(spy, step["function"])(result, **step["kwargs"], **options)
    return result


def test_the_cases_are_there():
    assert len(CASES) == 30


def compare(case, result):
    wanted = reference(case)
    assert type(result) is spy.CrossSpectralData
    assert result.dimord == case["dimord"]
    first = case.get("compare_from_bin") or 0
    for name in ("data", "jack_var", "jack_bias"):
        if name in wanted:
            got = result.data[()] if name == "data" else getattr(result, name)
            assert_close(case, name, got[:, first:], wanted[name][:, first:])
    labels = case.get("expected_labels") or {}
    assert list(result.channel_i) == labels.get("channel_i", case["channel_i"])
    assert list(result.channel_j) == labels.get("channel_j", case["channel_j"])
    np.testing.assert_allclose(result.freq, wanted["freq"], rtol=1e-9)
    if case["id"] not in NO_OFFSET and "time_frequency" not in case["id"]:
        np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
        assert result.samplerate == case["samplerate"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case):
    compare(case, run(case, parallel=False))
