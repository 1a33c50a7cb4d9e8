"""No method has a scale of its own: the same numbers for signals of 1e-16 (tesla), 1 and 1e12."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import rayspy as spy

UNITS = np.array([2.0**-53, 1.0, 2.0**40])
"""About 1e-16 and 1e12; powers of two, which no rounding depends on."""
N = 400
TIMES = np.arange(3 * N) / 200
SIGNAL = np.random.default_rng(0).normal(size=3 * N).cumsum() * 0.1 + 2 * np.sin(2 * np.pi * 20 * TIMES)
SIGNAL += np.random.default_rng(1).normal(size=3 * N)
TRL = np.array([[0, N, -200], [N, 2 * N, -200], [2 * N, 3 * N, -200]])


def make(dtype: str = "f8") -> spy.AnalogData:
    """Three channels with the same signal in three units, in one object."""
    return spy.AnalogData((SIGNAL[:, None] * UNITS).astype(dtype), samplerate=200, trialdefinition=TRL)


def freq(**options: Any) -> Callable[[spy.AnalogData], Any]:
    return lambda data: spy.freqanalysis(data, parallel=False, **options)


def filtered(**options: Any) -> Callable[[spy.AnalogData], Any]:
    return lambda data: spy.preprocessing(data, parallel=False, **options)


def based(mode: str) -> Callable[[spy.AnalogData], Any]:
    return lambda data: spy.baseline(TFR(data), (-0.5, 0), mode, parallel=False)


TFR = freq(method="mtmconvol", t_ftimwin=0.3, toi=0.5)
FOI = {"foi": [5.0, 10.0, 20.0, 40.0]}
REGULAR = {**FOI, "toi": np.arange(-0.5, 0.5, 0.02)}
CASES: dict[str, tuple[Callable[[spy.AnalogData], Any], int]] = {
    "mtmfft": (freq(), 2),
    "mtmfft fourier": (freq(output="fourier"), 1),
    "mtmfft abs": (freq(output="abs", polyremoval=1), 1),
    "mtmfft angle": (freq(output="angle"), 0),
    "mtmfft average": (freq(tapsmofrq=4, keeptrials=False), 2),
    "welch": (freq(method="welch", t_ftimwin=0.5, toi=0.5), 2),
    "mtmconvol": (TFR, 2),
    "mtmconvol everywhere": (freq(method="mtmconvol", t_ftimwin=0.1, toi="all", output="fourier"), 1),
    "wavelet": (freq(method="wavelet", **FOI), 2),
    "wavelet at times": (freq(method="wavelet", **REGULAR), 2),
    "wavelet fourier": (freq(method="wavelet", output="fourier", **FOI), 1),
    "Paul": (freq(method="wavelet", wavelet="Paul", order=4, **FOI), 2),
    "superlet": (freq(method="superlet", order_max=20, **FOI), 2),
    "superlet at times": (freq(method="superlet", order_max=20, **REGULAR), 2),
    "superlet fourier": (freq(method="superlet", order_max=20, output="fourier", **FOI), 1),
    "adaptive superlet": (freq(method="superlet", order_max=12, adaptive=True, **FOI), 2),
    "Butterworth": (filtered(freq=[15, 40], filter_type="bp"), 1),
    "Butterworth one pass": (filtered(freq=30, filter_type="hp", direction="onepass", rectify=True), 1),
    "windowed sinc": (filtered(freq=30, filter_class="firws"), 1),
    "minimum phase": (filtered(freq=30, filter_class="firws", direction="onepass-minphase"), 1),
    "Hilbert": (filtered(freq=[15, 40], filter_type="bp", hilbert="abs", polyremoval=1), 1),
    "z-score": (filtered(filter_class=None, zscore=True), 0),
    "resampling": (lambda data: spy.resampledata(data, 150, parallel=False), 1),
    "downsampling": (lambda data: spy.resampledata(data, 100, "downsample", lpfreq=40, parallel=False), 1),
    "notch": (lambda data: spy.notchfilter(data, freq=50, parallel=False), 1),
    "line": (lambda data: spy.linefilter(data, freq=50, window=1, parallel=False), 1),
    "baseline": (lambda data: spy.baseline(data, (-0.5, 0), parallel=False), 1),
    "baseline of power": (based("absolute"), 2),
    "relative": (based("relative"), 0),
    "relchange": (based("relchange"), 0),
    "normchange": (based("normchange"), 0),
    "decibel": (based("db"), 0),
    "z-score of power": (based("zscore"), 0),
    "arithmetic": (lambda data: (data + data * 2.5) / 3 - data, 1),
    "ratio": (lambda data: (data - data * 0.5) / (data + data * 2), 0),
    "square of power": (lambda data: freq()(data) ** 2, 4),
    "product of powers": (lambda data: freq()(data) * freq()(data), 4),
}  # fmt: skip
MODELS = {name: (freq(output=name, tapsmofrq=3, foilim=[3, 90], fooof_opt={"max_n_peaks": 3}), 2)
          for name in ("fooof", "fooof_aperiodic", "fooof_peaks")}  # fmt: skip


def check(found: Any, order: int, rtol: float = 1e-5) -> None:
    """Channels agree; float32 gets coarser below 1e-38, which is 1e-12 of the largest power here."""
    array = found.data[()].astype(np.complex128 if found.data.dtype.kind == "c" else np.float64)
    wanted = array[..., 1:2]
    assert np.isfinite(wanted).all()
    limit = 1e-12 * np.abs(wanted).max()
    np.testing.assert_allclose(
        array / UNITS**order, np.broadcast_to(wanted, array.shape), rtol=rtol, atol=limit
    )


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CASES)
def test_methods_have_no_scale(name: str, dtype: str) -> None:
    method, order = CASES[name]
    check(method(make(dtype)), order)


@pytest.mark.skipif(find_spec("specparam") is None, reason="needs specparam")
@pytest.mark.parametrize("name", MODELS)
def test_models_have_no_scale(name: str) -> None:
    method, order = MODELS[name]
    check(method(make()), order, rtol=1e-4)


@pytest.mark.parametrize("reference", ["average", "median", "bipolar", 1])
@pytest.mark.parametrize("unit", [2.0**-53, 2.0**40])
def test_references_have_no_scale(reference: Any, unit: float) -> None:
    array = np.random.default_rng(0).normal(size=(50, 4))
    one, other = (spy.rereference(spy.AnalogData(array * u), reference, parallel=False) for u in (1.0, unit))
    np.testing.assert_allclose(other.data[()] / unit, one.data[()], rtol=1e-6)


@pytest.mark.skipif(find_spec("specparam") is None, reason="needs specparam")
@pytest.mark.parametrize("unit", [1e-14, 1.0])
def test_peaks_of_meg_in_tesla(unit: float) -> None:
    """The difference of the model and its aperiodic part, without a floor."""
    rng = np.random.default_rng(3)
    array = rng.normal(size=(4000, 1)) + np.sin(2 * np.pi * 20 * np.arange(4000) / 200)[:, None]
    data = spy.AnalogData(array * unit, samplerate=200)
    full, aperiodic, peaks = (
        spy.freqanalysis(
            data, output=output, tapsmofrq=2, foilim=[3, 90], fooof_opt={"max_n_peaks": 1}, parallel=False
        ).data[()].astype(float)
        for output in ("fooof", "fooof_aperiodic", "fooof_peaks")
    )  # fmt: skip
    np.testing.assert_allclose(peaks, full - aperiodic, rtol=1e-4, atol=1e-6 * full.max())
    assert peaks.max() > 5 * aperiodic.min()
    assert peaks.min() < 1e-20 * unit**2


@pytest.mark.skipif(
    find_spec("specparam") is None or find_spec("threadpoolctl") is None, reason="needs rayspy[fooof]"
)
def test_fits_keep_to_one_thread_and_give_the_others_back() -> None:
    from threadpoolctl import threadpool_info

    from rayspy.kernels.spectral.fooof import _SINGLE

    def threads() -> set[int]:
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    with _SINGLE.thread():
        pass
    before = threads()
    with _SINGLE.thread():
        assert threads() == {1}
        with _SINGLE.thread():
            assert threads() == {1}
        assert threads() == {1}
    assert threads() == before
