"""Golden cases of `mean`, `std`, `var`, `median` and `itc` on every executor."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, reference
from tests.helpers import EXECUTORS, run_on

CASES = json.loads((FOLDER / "summary.json").read_text())["cases"]


def test_the_cases_are_there():
    assert len(CASES) == 20


@pytest.mark.parametrize("executor", EXECUTORS)
def test_golden(executor, request):
    with run_on(executor, request) as options:
        for case in CASES:
            check(case, options)


def check(case, options):
    result = golden_input(case["input"])
    for step in case["steps"]:
        result = getattr(spy, step["function"])(result, **step["kwargs"], **options)
    wanted = reference(case)
    data = result.data[()]
    if case["id"] == "var_trials_complex":
        assert data.dtype == np.float32
        data = data.astype(np.complex64)
    if case["id"] == "itc_time_frequency":
        assert (np.abs(data - wanted["data"]) <= turned_by_rounding(case)).all()
    else:
        assert_close(case, "data", data, wanted["data"])
    assert (type(result).__name__, result.dimord) == (case["class"], case["dimord"]), case["id"]
    assert result.samplerate == case["samplerate"]
    assert list(result.channel) == case["channel"]
    np.testing.assert_array_equal(result.trialdefinition[:, :3], wanted["trialdefinition"][:, :3])
    np.testing.assert_allclose(np.concatenate(list(result.time)), wanted["time"], atol=1e-12)
    if case["class"] == "SpectralData":
        assert list(result.taper) == case["taper"]
        np.testing.assert_allclose(result.freq, wanted["freq"], rtol=1e-12)


def turned_by_rounding(case):
    """What single precision allows: rounding of the largest in a line turns phases of small ones."""
    spectra = spy.freqanalysis(golden_input(case["input"]), **case["steps"][0]["kwargs"])
    size = np.abs(np.stack(list(spectra.trials)))
    largest = size.max(axis=(1, 2, 3), keepdims=True)
    return 2e-6 + np.finfo(np.float32).eps / 2 * (largest / size).mean(axis=0)
