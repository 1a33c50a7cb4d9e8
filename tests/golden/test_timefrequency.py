"""Golden cases of the time-frequency methods and of FOOOF."""

import json

import numpy as np
import pytest

import rayspy as spy
from tests.golden.test_golden import FOLDER, assert_close, golden_input, reference

CASES = json.loads((FOLDER / "timefrequency.json").read_text())["cases"]
SAMPLERATES = {
    "welch_half": 500 / 75, "welch_dpss": 500 / 75, "mtmconvol_average": 500 / 12,
    "mtmconvol_toi_uneven": None, "wavelet_toi_rounding": 50.0,
}  # fmt: skip
"""Exact where Syncopy rounds to two decimals or by a float; None where times are not equidistant."""


def run(case, **options):
    result = golden_input(case["input"])
    for step in case["steps"]:
        result = getattr(spy, step["function"])(result, **step["kwargs"], **options)
    return result


def test_the_cases_are_there():
    assert len(CASES) == 39


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden(case):
    if case["id"].startswith("fooof"):
        pytest.importorskip("specparam")
    result = run(case)
    wanted = reference(case)
    data, expected = result.data[()], wanted["data"]
    if case["id"] == "superlet_fourier_toi":
        data, expected = np.abs(data), np.abs(expected)
    assert_close(case, "data", data, expected)
    assert result.samplerate == SAMPLERATES.get(case["id"], case["samplerate"])
    assert list(result.channel) == case["channel"]
    fitted = case["id"].startswith("fooof")
    taper = "dpss0" if "tapsmofrq" in case["steps"][0]["kwargs"] else "hann"
    assert list(result.taper) == ([taper] if fitted else case["taper"])
    np.testing.assert_allclose(result.freq, wanted["freq"], rtol=1e-12)
    np.testing.assert_allclose(result.trialdefinition[:, :3], wanted["trialdefinition"][:, :3], atol=1e-9)
    if case["id"] == "mtmconvol_toi_uneven":
        np.testing.assert_allclose(list(result.time), [[0.0, 0.15, 0.5]] * 3, atol=1e-12)
    elif case["id"] != "mtmconvol_average" and not fitted:
        np.testing.assert_allclose(np.concatenate(list(result.time)), wanted["time"], atol=1e-12)


VALUES = [
    ({"method": "mtmconvol", "t_ftimwin": 0.5, "toi": 0.5}, 1, [np.nan, 0.149181, np.nan]),
    ({"method": "wavelet"}, 200, [0.0345278, 1.02917, 0.0795376]),
    ({"method": "wavelet", "wavelet": "Paul", "order": 4}, 200, [0.0320428, 0.300744, 0.145836]),
    ({"method": "wavelet", "wavelet": "Ricker"}, 200, [0.171868, 2.13907, 0.349334]),
    ({"method": "superlet", "order_max": 3}, 200, [0.0422212, 1.11002, 0.059705]),
]
"""Measured with Syncopy 2023.9: first trial, one time, first channel at 10, 40 and 70 Hz."""


@pytest.mark.parametrize(("settings", "row", "values"), VALUES)
def test_values(settings, row, values):
    data = spy.synthdata.ar2_network(nTrials=20, nSamples=400, samplerate=200.0, seed=3)
    got = spy.freqanalysis(data, foi=[10, 40, 70], select={"trials": [0]}, parallel=False, **settings)
    known = ~np.isnan(values)
    np.testing.assert_allclose(got.data[row, 0, :, 0][known], np.array(values)[known], rtol=5e-6)
