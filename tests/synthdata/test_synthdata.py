from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import CASES, REFERENCE, SINGLE

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

LIBM = ("harmonic", "diffusion")
"""Cosines differ in the last bit between NumPy builds."""


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    with np.load(REFERENCE) as stored:
        yield stored


def same_numbers(name: str, found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert found.dtype == expected.dtype == np.float32
    if name.startswith(LIBM):
        np.testing.assert_array_max_ulp(found, expected, 2 if "phase" in name else 64)
        np.testing.assert_allclose(found, expected, atol=2e-6)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_numbers_of_trials_are_those_of_syncopy(name: str, reference: Any) -> None:
    function, settings = CASES[name]
    data = getattr(spy.synthdata, function)(**settings)
    same_numbers(name, data.data[()], reference[name])
    assert len(data.trials) == settings["nTrials"]
    assert data.samplerate == settings.get("samplerate", 1000)
    np.testing.assert_allclose(data.trialintervals[:, 0], -1)


@pytest.mark.parametrize("name", SINGLE)
def test_numbers_of_a_single_array_are_those_of_syncopy(name: str, reference: Any) -> None:
    function, settings = SINGLE[name]
    found = getattr(spy, function)(**settings)
    assert type(found) is np.ndarray
    same_numbers(name, found, reference[name])


def test_random_matrix_is_that_of_syncopy(reference: Any) -> None:
    matrix = spy.synthdata.mk_RandomAdjMat(6, 0.4, 0.3, 8)
    np.testing.assert_array_equal(matrix, reference["random_matrix"])
    assert set(np.round(matrix.sum(axis=0), 12)) <= {0.0, 0.3}
    assert (np.diag(matrix) == 0).all()


def test_peak_frequency_is_where_the_spectrum_peaks() -> None:
    freqs = np.linspace(0, 100, 20001)
    z = np.exp(-2j * np.pi * freqs / 200)
    power = 1 / np.abs(1 - 0.55 * z + 0.8 * z**2) ** 2
    assert spy.ar2_peak_freq(0.55, -0.8, 200) == pytest.approx(freqs[power.argmax()], abs=0.006)
    both = spy.ar2_peak_freq(np.array([0.55, 0.2]), -0.8)
    np.testing.assert_allclose(both, [spy.ar2_peak_freq(0.55, -0.8), spy.ar2_peak_freq(0.2, -0.8)])
    with pytest.raises(InvalidValueError, match="complex roots"):
        spy.ar2_peak_freq(1.5, -0.1)


SIGNATURES = {
    "white_noise": "nSamples nChannels seed nTrials",
    "linear_trend": "y_max nSamples nChannels nTrials",
    "harmonic": "freq samplerate nSamples nChannels nTrials",
    "phase_diffusion": "freq eps samplerate nChannels nSamples rand_ini return_phase seed nTrials",
    "ar2_network": "AdjMat nSamples alphas seed nTrials",
    "red_noise": "alpha nSamples nChannels seed nTrials",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_begin_like_those_of_syncopy_and_are_complete(name: str) -> None:
    function = getattr(spy.synthdata, name)
    names = list(inspect.signature(function).parameters)
    assert " ".join(names).startswith(SIGNATURES[name])
    assert {"nTrials", "samplerate", "seed", "seed_per_trial"} <= set(names)
    assert getattr(spy, name) is function
    assert name in spy.__all__
    for parameter in names:
        assert parameter in (function.__doc__ or "")


def test_positional_arguments() -> None:
    np.testing.assert_array_equal(
        spy.harmonic(60, 1000, 100, 3, None),
        spy.harmonic(freq=60, samplerate=1000, nSamples=100, nChannels=3, nTrials=None),
    )
    data = spy.harmonic(60, 500, 100, 1, 2)
    assert (data.samplerate, data.data.shape) == (500, (200, 1))
    assert spy.linear_trend(2, 10, 3, None).shape == (10, 3)
    assert spy.red_noise(0.5, 10, 3, 1, None).shape == (10, 3)
    assert spy.white_noise(10, 3, 1, None).shape == (10, 3)


def test_cfg() -> None:
    cfg = spy.StructDict(nSamples=30, nChannels=1, nTrials=2, seed=4)
    expected = spy.white_noise(nSamples=30, nChannels=1, nTrials=2, seed=4).data[()]
    for data in (spy.white_noise(cfg), spy.white_noise(cfg=cfg)):
        np.testing.assert_array_equal(data.data[()], expected)
    assert spy.harmonic(10, 100, cfg={"nTrials": None, "nSamples": 7}).shape == (7, 2)
    with pytest.raises(InvalidValueError, match="seed"):
        spy.white_noise(cfg, seed=3)


def test_seeds() -> None:
    differing = spy.white_noise(nTrials=3, nSamples=20, seed=1)
    equal = spy.white_noise(nTrials=3, nSamples=20, seed=1, seed_per_trial=False)
    again = spy.white_noise(nTrials=3, nSamples=20, seed=1)
    assert not np.array_equal(differing.trials[0], differing.trials[1])
    np.testing.assert_array_equal(equal.trials[0], equal.trials[1])
    np.testing.assert_array_equal(differing.data[()], again.data[()])
    unseeded = spy.red_noise(0.5, nTrials=2, nSamples=20)
    assert not np.array_equal(unseeded.trials[0], unseeded.trials[1])
    assert not np.array_equal(unseeded.trials[0], spy.red_noise(0.5, nTrials=2, nSamples=20).trials[0])


def test_network_does_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from rayspy.synthdata import autoregressive

    settings: dict[str, Any] = {
        "AdjMat": spy.mk_RandomAdjMat(5, 0.5, seed=1),
        "nSamples": 60,
        "nTrials": 7,
        "seed": 3,
    }
    together = spy.ar2_network(**settings).data[()]
    monkeypatch.setattr(autoregressive, "_BATCH_TRIALS", 2)
    np.testing.assert_array_equal(spy.ar2_network(**settings).data[()], together)


def test_network_follows_its_equation() -> None:
    from rayspy.synthdata.autoregressive import run_network

    coupling = np.array([[0, 0.3], [-0.1, 0]], dtype=np.float32)
    noise = np.random.default_rng(0).normal(size=(40, 3, 2))
    x = run_network(coupling, (0.5, -0.6), noise).astype(float)
    residual = x[2:] - (0.5 * x[1:-1] + x[1:-1] @ coupling.astype(float) - 0.6 * x[:-2])
    np.testing.assert_allclose(residual, noise[2:], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_short_trials(n: int) -> None:
    assert spy.ar2_network(nSamples=n, nTrials=None, seed=1).shape == (n, 2)
    assert spy.red_noise(0.5, nSamples=n, nTrials=None, seed=1).shape == (n, 2)
    assert spy.phase_diffusion(10, nSamples=n, nTrials=None, seed=1).shape == (n, 2)


def test_long_harmonic_stays_exact() -> None:
    n, rate, freq = 600_000, 1000.0, 60.0
    wave = spy.harmonic(freq, rate, nSamples=n, nChannels=1, nTrials=None)[:, 0]
    last = np.arange(n - 1000, n)
    np.testing.assert_allclose(wave[last], np.cos(2 * np.pi * (freq * last / rate % 1)), atol=1e-6)


def test_long_diffusion_without_noise_is_exact() -> None:
    phase = spy.phase_diffusion(60, eps=0, nSamples=400_000, nChannels=1, nTrials=None, seed=1)[:, 0]
    expected = 2 * np.pi * 60 * np.linspace(0, 400, 400_000)
    np.testing.assert_allclose(phase, np.cos(expected), atol=1e-5)


def test_trials_are_made_one_by_one_and_spill_to_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    @spy.synthdata.collect_trials
    def counted(nSamples: int, seed: int | None = None) -> Any:
        alive.append(nSamples)
        return np.full((nSamples, 2), seed, dtype=np.float64)

    with spy.config.using(inmemory_bytes=10_000, block_bytes=10_000):
        data = counted(100, nTrials=40, seed=2)
    assert len(alive) == 40
    assert data.filename is not None
    assert data.data.shape == (4000, 2)
    expected = np.random.default_rng(2).integers(1_000_000, size=40)
    assert [int(t[0, 0]) for t in data.trials] == expected.tolist()


def test_collect_trials_gives_rate_and_seed_to_functions_that_want_them() -> None:
    @spy.collect_trials
    def both(gain: float, samplerate: float = 1, seed: int | None = None) -> Any:
        assert seed is not None
        return np.full((4, 1), gain * samplerate)

    @spy.collect_trials
    def neither(nSamples: int = 3, **more: Any) -> Any:
        return np.full((nSamples, 1), more.get("value", 0.0))

    data = both(2, samplerate=250, nTrials=2, seed=0)
    assert (data.samplerate, data.data[0, 0]) == (250, 500)
    assert both(2, 10, 1, None)[0, 0] == 20
    assert list(inspect.signature(both).parameters) == [
        "gain",
        "samplerate",
        "seed",
        "nTrials",
        "seed_per_trial",
    ]
    data = neither(5, nTrials=2, samplerate=50, value=7.0)
    assert (data.samplerate, data.data.shape, data.data[0, 0]) == (50, (10, 1), 7)
    with pytest.raises(TypeError, match="gain"):
        both(nTrials=1)


@pytest.mark.parametrize(
    ("function", "settings", "error", "name"),
    [
        ("white_noise", {"nTrials": 0}, InvalidValueError, "nTrials"),
        ("white_noise", {"nTrials": 1.5}, InvalidValueError, "nTrials"),
        ("white_noise", {"nTrials": "3"}, InvalidTypeError, "nTrials"),
        ("white_noise", {"nSamples": 0}, InvalidValueError, "nSamples"),
        ("white_noise", {"nChannels": -1}, InvalidValueError, "nChannels"),
        ("white_noise", {"seed": -1}, InvalidValueError, "seed"),
        ("white_noise", {"seed": "a"}, InvalidTypeError, "seed"),
        ("white_noise", {"samplerate": 0}, InvalidValueError, "samplerate"),
        ("white_noise", {"seed_per_trial": 1}, InvalidTypeError, "seed_per_trial"),
        ("harmonic", {"freq": "a", "samplerate": 1}, InvalidTypeError, "freq"),
        ("harmonic", {"freq": 1, "samplerate": 0}, InvalidValueError, "samplerate"),
        ("linear_trend", {"y_max": np.nan}, InvalidValueError, "y_max"),
        ("phase_diffusion", {"freq": 1, "eps": -1}, InvalidValueError, "eps"),
        ("phase_diffusion", {"freq": 1, "rand_ini": 1}, InvalidTypeError, "rand_ini"),
        ("red_noise", {"alpha": 1.2}, InvalidValueError, "alpha"),
        ("ar2_network", {"AdjMat": np.ones((2, 3))}, InvalidValueError, "AdjMat"),
        ("ar2_network", {"AdjMat": [["a"]]}, InvalidValueError, "AdjMat"),
        ("ar2_network", {"AdjMat": 3}, InvalidTypeError, "AdjMat"),
        ("ar2_network", {"alphas": (1, 2, 3)}, InvalidValueError, "alphas"),
        ("ar2_network", {"alphas": 3}, InvalidTypeError, "alphas"),
        ("mk_RandomAdjMat", {"conn_thresh": 2}, InvalidValueError, "conn_thresh"),
    ],
)
def test_errors_name_the_parameter(
    function: str, settings: dict[str, Any], error: type[Exception], name: str
) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        getattr(spy.synthdata, function)(**settings)


def test_nothing_goes_on_telling_after_an_interruption():
    from rayspy.progress import _tickers

    @spy.collect_trials
    def broken(nSamples=3):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:
        broken(nTrials=3)
    assert held.tb is not None
    assert not _tickers.running
