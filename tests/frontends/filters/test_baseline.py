"""`baseline` against MNE and closed forms, on all executors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from tests.helpers import EXECUTORS, run_on

TRL = np.array([[0, 60, -20, 7], [60, 150, -30, 8], [160, 200, -20, 9]], dtype=float)
MNE_MODES = {
    "absolute": "mean",
    "relative": "ratio",
    "relchange": "percent",
    "db": "logratio",
    "zscore": "zscore",
}
FREQ = [10.0, 20.0, 40.0]


def recording(dtype: str = "f8", dimord: Any = None) -> spy.AnalogData:
    array = (np.random.default_rng(0).uniform(1, 9, size=(200, 4)) * 10).astype(dtype)
    array = array.T if dimord else array
    return spy.AnalogData(array, samplerate=100, trialdefinition=TRL, channel=list("abcd"), dimord=dimord)


def spectra(dtype: str = "f4", dimord: Any = None) -> spy.SpectralData:
    array = np.random.default_rng(1).uniform(1, 9, size=(200, 2, 3, 4)).astype(dtype)
    if array.dtype.kind == "c":
        array = array * np.exp(1j * array)
    order = [("time", "taper", "freq", "channel").index(dim) for dim in dimord or ()]
    return spy.SpectralData(
        array.transpose(order) if order else array,
        samplerate=100,
        trialdefinition=TRL,
        freq=FREQ,
        taper=["s", "t"],
        dimord=dimord,
    )


def normchange(trial: Any, times: Any, window: Any) -> Any:
    inside = (times >= window[0] - 1e-9) & (times <= window[1] + 1e-9)
    mean = trial[inside].mean(0)
    return (trial - mean) / (trial + mean)


@pytest.mark.parametrize("make", [recording, spectra])
@pytest.mark.parametrize("mode", [*MNE_MODES, "normchange"])
@pytest.mark.parametrize("window", [(-0.2, -0.05), (-0.1, 0), [0.03, 0.1]])
def test_against_mne(make: Any, mode: str, window: Any) -> None:
    mne_baseline = pytest.importorskip("mne.baseline")
    data = make()
    found = spy.baseline(data, window, mode)
    assert found.data.dtype == np.float32
    assert type(found) is type(data)
    for k, trial in enumerate(data.trials):
        times = data.time[k]
        if mode == "normchange":
            wanted = normchange(trial.astype(float), times, window)
        else:
            moved = np.moveaxis(trial.astype(float), 0, -1)
            rescaled = mne_baseline.rescale(moved, times, tuple(window), MNE_MODES[mode], verbose="error")
            wanted = np.moveaxis(rescaled, -1, 0) * (10 if mode == "db" else 1)
        np.testing.assert_allclose(found.trials[k], wanted, rtol=2e-5, atol=1e-5)
        np.testing.assert_array_equal(found.time[k], times)
    np.testing.assert_array_equal(found.trialinfo, data.trialinfo)
    np.testing.assert_array_equal(found.sampleinfo, [[0, 60], [60, 150], [150, 190]])
    for dim in data.label_dims:
        np.testing.assert_array_equal(getattr(found, dim), getattr(data, dim))


@pytest.mark.parametrize("mode", [*MNE_MODES, "normchange"])
def test_the_order_of_dimensions_does_not_matter(mode: str) -> None:
    plain, flipped = (
        spy.baseline(recording(), mode=mode),
        spy.baseline(recording("f8", ["channel", "time"]), mode=mode),
    )
    np.testing.assert_array_equal(flipped.data[()].T, plain.data[()])
    dims = ["freq", "channel", "time", "taper"]
    plain, flipped = spy.baseline(spectra(), mode=mode), spy.baseline(spectra("f4", dims), mode=mode)
    np.testing.assert_array_equal(flipped.data[()].transpose(2, 3, 0, 1), plain.data[()])


def test_open_windows_are_the_times_that_all_trials_have() -> None:
    data = recording()
    same = spy.baseline(data, (-0.2, 0))
    for window in ((None, 0), [None, 0.0]):
        assert spy.baseline(data, window) == same
    assert spy.baseline(data, (0, None)) == spy.baseline(data, (0, 0.19))
    assert spy.baseline(data) == same


def test_what_it_does_to_the_baseline() -> None:
    data = recording()
    for k in range(3):
        inside = data.time[k] <= 0
        inside &= data.time[k] >= -0.2 - 1e-9
        np.testing.assert_allclose(spy.baseline(data).trials[k][inside].mean(0), 0, atol=1e-4)
        z = spy.baseline(data, mode="zscore").trials[k][inside]
        np.testing.assert_allclose(z.std(0), 1, rtol=1e-5)
        np.testing.assert_allclose(
            spy.baseline(data, mode="relative").trials[k][inside].mean(0), 1, rtol=1e-5
        )
    constant = spy.AnalogData(np.full((50, 1), 3.0), samplerate=10, trialdefinition=np.array([[0, 50, -20]]))
    for mode, value in (("absolute", 0), ("relative", 1), ("relchange", 0), ("db", 0), ("normchange", 0)):
        assert (spy.baseline(constant, mode=mode).data[()] == value).all()
    assert np.isnan(spy.baseline(constant, mode="zscore").data[()]).all()


def test_large_offsets_do_not_cost_precision() -> None:
    rng = np.random.default_rng(0)
    small = rng.normal(size=(100, 2))
    data = spy.AnalogData(small + 1e6, samplerate=10, trialdefinition=np.array([[0, 100, -50]]))
    np.testing.assert_allclose(spy.baseline(data).data[()], small - small[:51].mean(0), atol=1e-6)


def test_complex_spectra() -> None:
    data = spectra("c8")
    found = spy.baseline(data, (-0.2, 0))
    assert found.data.dtype == np.complex64
    trial = data.trials[1]
    np.testing.assert_allclose(found.trials[1], trial - trial[10:31].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("mode", ["db", "zscore"])
def test_same_bits(executor: str, mode: str, request: Any, tmp_path: Path) -> None:
    select = {"trials": [2, 0, 0, 1], "channel": [3, 0, 2], "latency": [-0.2, 0.15]}
    recording("f4").data[()].tofile(tmp_path / "x.raw")
    raw = spy.AnalogData(
        spy.raw_binary(tmp_path / "x.raw", "float32", 4), samplerate=100, trialdefinition=TRL
    )
    for chosen in (None, select):
        for make, others in ((recording, [raw]), (spectra, [])):
            options = {"mode": mode, "select": chosen, "baseline": (-0.2, 0.05)}
            first = make("f4")
            wanted = spy.baseline(first, parallel=False, **options).data[()]
            with run_on(executor, request) as run:
                for limit, width, data in (
                    (10**7, None, first),
                    *((100, n, d) for n, d in zip((1, 3), [first, *others], strict=False)),
                ):
                    with spy.config.using(block_bytes=3000, inmemory_bytes=limit):
                        found = spy.baseline(data, chan_per_worker=width, **options, **run)
                    np.testing.assert_array_equal(found.data[()], wanted)


def test_history_and_replay() -> None:
    data = recording()
    first = spy.baseline(data, (None, -0.05), "relchange", select={"trials": [1, 2], "channel": ["c"]})
    assert first.cfg["baseline"]["baseline"] == [None, -0.05]
    again = spy.baseline(recording(), first.cfg)
    assert again == first
    assert again.cfg == first.cfg
    assert "mode = relchange" in first.log
    data.selection = {"channel": ["c"], "trials": [1, 2]}
    np.testing.assert_array_equal(spy.baseline(data, (None, -0.05), "relchange").data[()], first.data[()])
