"""NaN in the input: every method tells which trials have it, averages may do without them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions import Mean, Median, Moments, Reduction
from rayspy.methods.reductions.base import N_TRIALS, new_state
from tests.helpers import run_on

N, LENGTH = 10, 200
ARRAY = np.random.default_rng(0).normal(size=(N, LENGTH, 3))
HOLES = [(3, 17, 1), (7, 0, 2), (7, 50, 1)]
"""Trial, sample, channel."""


def make(holes: Any = HOLES, dtype: str = "f8", **options: Any) -> spy.AnalogData:
    array = ARRAY.astype(dtype)
    for place in holes:
        array[place] = np.nan
    trl = np.column_stack([np.arange(N) * LENGTH, np.arange(1, N + 1) * LENGTH, np.full(N, -100)])
    return spy.AnalogData(array.reshape(-1, 3), samplerate=200, trialdefinition=trl, **options)


METHODS: dict[str, Callable[..., Any]] = {
    "mtmfft": spy.freqanalysis,
    "average": lambda data, **k: spy.freqanalysis(data, keeptrials=False, **k),
    "welch": lambda data, **k: spy.freqanalysis(data, method="welch", t_ftimwin=0.5, toi=0.5, **k),
    "mtmconvol": lambda data, **k: spy.freqanalysis(data, method="mtmconvol", t_ftimwin=0.2, toi=0.5, **k),
    "wavelet": lambda data, **k: spy.freqanalysis(data, method="wavelet", foi=[10.0, 20.0], **k),
    "superlet": lambda data, **k: spy.freqanalysis(
        data, method="superlet", foi=[10.0, 20.0], order_max=3, **k
    ),
    "Butterworth": lambda data, **k: spy.preprocessing(data, freq=20, **k),
    "windowed sinc": lambda data, **k: spy.preprocessing(data, freq=40, filter_class="firws", **k),
    "z-score": lambda data, **k: spy.preprocessing(data, filter_class=None, zscore=True, **k),
    "resampledata": lambda data, **k: spy.resampledata(data, 50, **k),
    "notchfilter": lambda data, **k: spy.notchfilter(data, freq=50, **k),
    "linefilter": lambda data, **k: spy.linefilter(data, freq=50, **k),
    "rereference": spy.rereference,
    "bipolar": lambda data, **k: spy.rereference(data, "bipolar", **k),
    "baseline": spy.baseline,
    "mean": lambda data, **k: spy.mean(data, dim="trials", **k),
    "median": lambda data, **k: spy.median(data, dim="trials", **k),
    "std of channels": lambda data, **k: spy.std(data, dim="channel", **k),
    "timelockanalysis": spy.timelockanalysis,
    "connectivityanalysis": lambda data, **k: spy.connectivityanalysis(data, method="coh", **k),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_tells_which_trials_have_nan(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """By the numbers that trials have in the object, with selections, too; nothing where there is none."""
    found = METHODS[name](make(), parallel=False)
    assert found.info["nan_trials"] == [3, 7]
    assert caplog.text.count("Data contains NaNs! In trials 3, 7") == 1
    caplog.clear()
    chosen = METHODS[name](make(), select={"trials": [9, 7, 2, 1]}, parallel=False)
    assert chosen.info["nan_trials"] == [7]
    caplog.clear()
    assert not METHODS[name](make([]), parallel=False).info.get("nan_trials")
    assert "NaN" not in caplog.text


@pytest.mark.skipif(find_spec("specparam") is None, reason="needs specparam")
@pytest.mark.parametrize("nan", ["propagate", "omit"])
def test_models(nan: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"output": "fooof", "foilim": [5, 80], "keeptrials": False, "parallel": False}
    found = spy.freqanalysis(make(), nan=nan, **options)
    assert found.info["nan_trials"] == [3, 7]
    assert np.isnan(found.data[0, 0, 0]).tolist() == (
        [False, True, True] if nan == "propagate" else [False] * 3
    )
    if nan == "omit":
        assert found.info["n_trials"] == [10, 8, 9]
        kept = [k for k in range(N) if k not in (3, 7)]
        wanted = spy.freqanalysis(make([]), select={"trials": kept, "channel": [1]}, **options)
        np.testing.assert_allclose(found.data[..., [1]], wanted.data[()], rtol=1e-6)


def test_one_sample_of_one_trial() -> None:
    """The number of the report: 251 bins are NaN without a word; told now, and left out if that is wanted."""
    data = spy.synthdata.white_noise(nTrials=10, nSamples=500, nChannels=2, samplerate=500, seed=1)
    array = data.data[()]
    array[4 * 500 + 123, 0] = np.nan
    data.data = array
    plain = spy.freqanalysis(data, keeptrials=False, parallel=False)
    assert np.isnan(plain.data[0, 0]).sum(axis=0).tolist() == [251, 0]
    assert plain.info["nan_trials"] == [4]
    found = spy.freqanalysis(data, keeptrials=False, nan="omit", parallel=False)
    each = spy.freqanalysis(data, parallel=False).data[()]
    np.testing.assert_allclose(found.data[0, 0, :, 0], np.delete(each, 4, 0)[:, 0, :, 0].mean(0), rtol=1e-6)
    np.testing.assert_array_equal(found.data[..., 1], plain.data[..., 1])
    assert found.info["n_trials"] == [9, 10]
    again = spy.freqanalysis(data, cfg=found.cfg)
    np.testing.assert_array_equal(again.data[()], found.data[()])


AVERAGES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "mtmfft": (
        lambda data, **k: spy.freqanalysis(data, keeptrials=False, tapsmofrq=5, keeptapers=True, **k),
        lambda data: spy.freqanalysis(data, tapsmofrq=5, keeptapers=True, parallel=False), np.mean),
    "fourier": (
        lambda data, **k: spy.freqanalysis(data, keeptrials=False, output="fourier", **k),
        lambda data: spy.freqanalysis(data, output="fourier", parallel=False), np.mean),
    "windows beyond the trial": (
        lambda data, **k: METHODS["mtmconvol"](data, keeptrials=False, edges="nan", **k),
        lambda data: METHODS["mtmconvol"](data, edges="nan", parallel=False), np.mean),
    "wavelet": (
        lambda data, **k: METHODS["wavelet"](data, keeptrials=False, **k),
        lambda data: METHODS["wavelet"](data, parallel=False), np.mean),
    "mean": (METHODS["mean"], lambda data: data, np.mean),
    "var": (lambda data, **k: spy.var(data, dim="trials", **k), lambda data: data, np.var),
    "std": (lambda data, **k: spy.std(data, dim="trials", **k), lambda data: data, np.std),
    "median": (METHODS["median"], lambda data: data, np.median),
    "mean of spectra": (
        lambda data, **k: spy.mean(spy.freqanalysis(data, parallel=False), dim="trials", **k),
        lambda data: spy.freqanalysis(data, parallel=False), np.mean),
}  # fmt: skip


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("block_bytes", [4000, 2**24])
def test_trials_with_nan_are_left_out_channel_by_channel(name: str, block_bytes: int) -> None:
    """Against single trials: only what NaN in the input makes of a channel is left out."""
    average, single, statistic = AVERAGES[name]
    with spy.config.using(block_bytes=block_bytes):
        found = average(make(), nan="omit", parallel=False)
        spread = average(make(), parallel=False)
    each = np.array(list(single(make()).trials))
    assert found.info["n_trials"] == [10, 8, 9]
    assert found.info["nan_trials"] == [3, 7]
    for channel, left in enumerate(([], [3, 7], [7])):
        wanted = statistic(np.delete(each, left, 0)[..., channel], axis=0)
        np.testing.assert_allclose(
            found.data[()][..., channel], wanted, rtol=1e-4, atol=1e-6 * np.nanmax(np.abs(wanted))
        )
        plain = statistic(each[..., channel], axis=0)
        np.testing.assert_allclose(
            spread.data[()][..., channel], plain, rtol=1e-4, atol=1e-6 * np.nanmax(np.abs(wanted))
        )


def test_channels_without_any_trial_are_nan() -> None:
    holes = [(k, 5, 0) for k in range(N)] + HOLES
    for average in (METHODS["average"], METHODS["mean"], METHODS["median"]):
        found = average(make(holes), nan="omit", parallel=False)
        assert found.info["n_trials"] == [0, 8, 9]
        assert np.isnan(found.data[()]).all(axis=tuple(range(found.data.ndim - 1))).tolist() == [
            True,
            False,
            False,
        ]


@pytest.mark.parametrize("executor", ["local-2", "ray-2"])
def test_same_bits_on_every_executor(executor: str, request: Any) -> None:
    with spy.config.using(block_bytes=10_000):
        wanted = METHODS["average"](make(), nan="omit", parallel=False)
        with run_on(executor, request) as run:
            found = METHODS["average"](make(), nan="omit", chan_per_worker=2, **run)
    np.testing.assert_array_equal(found.data[()], wanted.data[()])
    assert found.info == wanted.info


def test_what_nan_can_be(caplog: pytest.LogCaptureFixture) -> None:
    for function in (METHODS["average"], METHODS["mean"]):
        with pytest.raises(ValueError, match="`nan`"):
            function(make([]), nan="drop")
        with pytest.raises(TypeError, match="`nan`"):
            function(make([]), nan=True)
    spy.freqanalysis(make([]), nan="omit", parallel=False)
    spy.mean(make([]), dim="time", nan="omit", parallel=False)
    assert caplog.text.count("option `nan` has no effect") == 2


def test_what_an_earlier_step_told_does_not_stay() -> None:
    first = spy.preprocessing(make(), freq=20, parallel=False)
    assert first.info["nan_trials"] == [3, 7]
    rest = spy.freqanalysis(first, select={"trials": [0, 7]}, parallel=False)
    assert rest.info["nan_trials"] == [7]
    assert "nan_trials" not in spy.freqanalysis(first, select={"trials": [0, 1]}, parallel=False).info


def test_whole_numbers_have_no_nan() -> None:
    data = make([], "i2")
    found = METHODS["average"](data, nan="omit", parallel=False)
    np.testing.assert_array_equal(found.data[()], METHODS["average"](data, parallel=False).data[()])
    assert found.info["n_trials"] == [10, 10, 10]


REDUCTIONS: list[tuple[Reduction, Callable[..., Any]]] = [
    (Mean(True), np.mean), (Moments(("var",), omit=True), np.var),
    (Moments(("var",), ddof=1, omit=True), lambda x, axis: np.var(x, axis=axis, ddof=1)),
    (Median(True), np.median),
]  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 3), st.data())
def test_reductions(n: int, n_channels: int, which: int, data: Any) -> None:
    """In one batch and in two states: the statistic of what is there, and how much that is."""
    reduction, statistic = REDUCTIONS[which]
    rng = np.random.default_rng(n)
    results = rng.normal(size=(n, 2, n_channels))
    present = np.array(data.draw(st.lists(st.booleans(), min_size=n * n_channels, max_size=n * n_channels)))
    present = present.reshape(n, n_channels)
    results[~present[:, np.newaxis].repeat(2, 1)] = np.nan
    trl = np.column_stack([np.arange(n) * 2, np.arange(n) * 2 + 2, np.zeros(n)]).astype(float)
    labels = {"channel": np.arange(n_channels).astype(str)}
    each = OutputSpec("AnalogData", ("time", "channel"), np.dtype("f8"), np.full(n, 2), trl, 1.0, labels)
    _, state = new_state(reduction.state(each))
    if reduction.together:
        reduction.add_present(state, results, range(n), present)
    else:
        cut = data.draw(st.integers(0, n))
        _, later = new_state(reduction.state(each))
        reduction.add_present(state, results[:cut], range(cut), present[:cut])
        reduction.add_present(later, results[cut:], range(cut, n), present[cut:])
        reduction.merge(state, later)
    found = reduction.finalize(state, each)
    assert (found[N_TRIALS] == present.sum(0)).all()
    assert {name: (array.shape, array.dtype) for name, array in found.items()} == {
        name: ((int(spec.rows.sum()), *spec.inner_shape), spec.dtype)
        for name, spec in reduction.outputs(each).items()
    }
    enough = 1 + getattr(reduction, "ddof", 0)
    for k in range(n_channels):
        left = results[present[:, k], :, k]
        wanted = statistic(left, axis=0) if len(left) >= enough else np.full(2, np.nan)
        np.testing.assert_allclose(found[""][:, k], wanted, rtol=1e-10, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    place=st.floats(0, 0.99),
    output=st.sampled_from(["pow", "abs", "fourier", "real", "imag", "angle", "absreal", "absimag"]),
    polyremoval=st.sampled_from([None, 0]),
)
def test_nan_anywhere_in_a_trial_is_told(n: int, place: float, output: str, polyremoval: int | None) -> None:
    array = np.ones((2 * n, 2), np.float32)
    array[n + int(place * n), 1] = np.nan
    trl = np.array([[0, n, 0], [n, 2 * n, 0]])
    data = spy.AnalogData(array, samplerate=100, trialdefinition=trl)
    found = spy.freqanalysis(data, output=output, polyremoval=polyremoval, taper=None, parallel=False)
    assert found.info["nan_trials"] == [1]
