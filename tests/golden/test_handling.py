"""Golden cases of the functions that redefine trials."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, reference
from tests.helpers import EXECUTORS, run_on

CASES = json.loads((FOLDER / "handling.json").read_text())["cases"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, executor, request):
    with run_on(executor, request):
        result = golden_input(case["input"])
        for step in case["steps"]:
            result = getattr(spy, step["function"])(result, **step["kwargs"])
    wanted = reference(case)
    assert (type(result).__name__, result.dimord) == (case["class"], case["dimord"])
    assert (result.samplerate, list(result.channel)) == (case["samplerate"], case["channel"])
    assert_close(case, "data", result.data[()], wanted["data"])
    np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
    np.testing.assert_allclose(np.concatenate(list(result.time)), wanted["time"], atol=1e-12)
