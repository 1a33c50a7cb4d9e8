"""Every golden case on every executor, at the tolerance stored with it."""

import json
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy
from tests.helpers import EXECUTORS, run_on

FOLDER = Path(__file__).parent
CASES = json.loads((FOLDER / "INDEX.json").read_text())["cases"]


def stored(name):
    with np.load(FOLDER / name) as file:
        return {key: file[key] for key in file.files}


def reference(case):
    arrays = stored(case["file"])
    expected = {
        key.removeprefix("expected_"): value for key, value in arrays.items() if key.startswith("expected_")
    }
    return {**arrays, **expected}


def golden_input(name):
    given = stored(f"inputs/{name}.npz")
    return spy.AnalogData(
        data=given["data"],
        trialdefinition=given["trialdefinition"],
        samplerate=float(given["samplerate"]),
        channel=[str(c) for c in given["channel"]],
    )


def assert_close(case, name, got, wanted):
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    tol = case["tol"].get(name, {"rtol": 1e-6, "atol_rel": 1e-6})
    difference = np.abs(got - wanted)
    if case.get("angle") and name == "data":
        difference = np.abs(np.angle(np.exp(1j * (got.astype(float) - wanted))))
    limit = tol["rtol"] * np.abs(wanted) + tol["atol_rel"] * np.abs(wanted).max()
    assert (difference <= limit).all(), f"{name}: largest difference {difference.max():.3g}"


def test_the_cases_are_there():
    assert len(CASES) == 38


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
    assert type(result).__name__ == case["class"]
    assert result.dimord == case["dimord"]
    assert result.samplerate == case["samplerate"]
    assert list(result.channel) == case["channel"]
    assert_close(case, "data", result.data[()], wanted["data"])
    np.testing.assert_array_equal(result.trialdefinition, wanted["trialdefinition"])
    np.testing.assert_allclose(np.concatenate(list(result.time)), wanted["time"], atol=1e-12)
    if case["class"] == "SpectralData":
        assert list(result.taper) == case["taper"]
        np.testing.assert_allclose(result.freq, wanted["freq"], rtol=1e-12)
