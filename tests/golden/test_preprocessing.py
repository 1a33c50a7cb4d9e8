"""Golden cases of `preprocessing` and `resampledata`."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, stored
from tests.helpers import run_on

CASES = json.loads((FOLDER / "preprocessing.json").read_text())["cases"]


def reference(case):
    """What is wanted; trialinfo, which Syncopy loses on resampling, is taken from the input."""
    arrays = stored(case["file"])
    wanted = {key: arrays.get(f"expected_{key}", arrays[key]) for key in ("data", "trialdefinition")}
    trl = stored(f"inputs/{case['input']}.npz")["trialdefinition"]
    if case["steps"][0]["function"] == "resampledata" and trl.shape[1] > 3:
        wanted["trialdefinition"] = np.column_stack([wanted["trialdefinition"], trl[:, 3:]])
    return wanted


def check(case, options):
    result = golden_input(case["input"])
    for step in case["steps"]:
        result = getattr(spy, step["function"])(result, **step["kwargs"], **options)
    wanted = reference(case)
    assert type(result).__name__ == case["class"]
    assert result.dimord == case["dimord"]
    assert result.samplerate == case["samplerate"]
    assert list(result.channel) == case["channel"]
    assert_close(case, "data", result.data[()], wanted["data"])
    np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
    if "nan_trials" in case.get("info", {}):
        assert result.info["nan_trials"] == []


def test_the_cases_are_there():
    assert len(CASES) == 34


@pytest.mark.parametrize("executor", ["local-1", "local-2"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, executor, request):
    with run_on(executor, request) as options:
        check(case, options)


def test_golden_on_ray(request):
    with run_on("ray-2", request) as options:
        for case in CASES:
            check(case, options)
