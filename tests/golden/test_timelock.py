"""Golden cases of `timelockanalysis`: its defects (lost labels, order of trials) are not expected."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, reference
from tests.helpers import EXECUTORS, run_on

CASES = json.loads((FOLDER / "timelock.json").read_text())["cases"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case, executor, request):
    (step,) = case["steps"]
    data = golden_input(case["input"])
    with run_on(executor, request) as options:
        result = spy.timelockanalysis(data, **step["kwargs"], **options)
    wanted = reference(case)
    assert (type(result).__name__, result.dimord) == (case["class"], case["dimord"])
    assert (result.samplerate, list(result.channel)) == (case["samplerate"], case["channel"])
    np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
    np.testing.assert_allclose(np.concatenate(list(result.time)), wanted["time"], atol=1e-12)
    assert_close(case, "data", result.data[()].astype(np.float32), wanted["data"])
    for name in ("avg", "var", "cov"):
        assert (getattr(result, name) is None) == (name not in wanted)
        if name in wanted:
            assert_close(case, name, getattr(result, name).astype(np.float32), wanted[name])
    assert (result.dof == len(result)).all()
