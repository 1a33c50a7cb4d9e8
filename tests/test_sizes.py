"""What follows from parameters is checked before anything is made of it; odd values are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError
from rayspy.kernels.spectral.wavelets import sample_times, samples_needed
from rayspy.synthdata.autoregressive import growth
from tests.calls.campaign import recording, spikes

MB = 10**6
TOO_MUCH: dict[str, tuple[str, Callable[[], Any]]] = {
    "pad": ("pad", lambda: spy.freqanalysis(recording(), pad=1e12)),
    "pad_minutes": ("pad", lambda: spy.freqanalysis(recording(), pad=1e6)),
    "butterworth": ("order", lambda: spy.preprocessing(recording(), freq=20, order=10**9)),
    "firws": ("order", lambda: spy.preprocessing(recording(), filter_class="firws", freq=20, order=10**6)),
    "paul": ("order", lambda: _wavelet(wavelet="Paul", order=10**9)),
    "dog": ("order", lambda: _wavelet(wavelet="DOG", order=10**9)),
    "order_max": ("order_max", lambda: _wavelet(method="superlet", order_max=10**4)),
    "c_1": ("c_1", lambda: _wavelet(method="superlet", order_max=2, c_1=10**9)),
    "width": ("width", lambda: _wavelet(width=1e9)),
    "foi": ("foi", lambda: spy.freqanalysis(recording(), foi=np.linspace(1, 50, 10**6))),
    "lpfreq": ("lpfreq", lambda: spy.resampledata(recording(), 70, lpfreq=1e-12)),
    "binsize": ("binsize", lambda: spy.spike_psth(spikes(), binsize=1e-12)),
    "nSamples": ("nSamples", lambda: spy.white_noise(nSamples=10**12)),
    "coupling": ("nChannels", lambda: spy.red_noise(0.5, nSamples=5, nChannels=10**6)),
    "matrix": ("nChannels", lambda: spy.mk_RandomAdjMat(10**6)),
}


def _wavelet(**settings: Any) -> Any:
    return spy.freqanalysis(recording(), **{"method": "wavelet", "foi": [20.0], **settings})


@pytest.mark.parametrize("name", TOO_MUCH)
def test_sizes_are_checked_first(name: str) -> None:
    parameter, call = TOO_MUCH[name]
    with (
        spy.config.using(memory_budget=200 * MB),
        pytest.raises((InvalidValueError, MemoryBudgetError), match=parameter),
    ):
        call()


@pytest.mark.parametrize("duration", [1, 2, 3, 10.5, 11, 12.7, 1000])
def test_samples_that_a_filter_needs(duration: float) -> None:
    """The same as from the times at which it is sampled, which need not be made."""
    times, first = sample_times(duration, 10**4)
    assert samples_needed(duration) == (first + len(times) - 1, -first)
    assert sum(samples_needed(1e15)) < 1.1e15


def test_growth_of_networks(caplog: pytest.LogCaptureFixture) -> None:
    """Spectral radius, against that of the whole matrix of the process."""
    coupling = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32) / 4
    first = np.diag(np.full(4, 0.55)) + coupling.T
    companion = np.block([[first, -0.8 * np.eye(4)], [np.eye(4), np.zeros((4, 4))]])
    wanted = np.abs(np.linalg.eigvals(companion)).max()
    assert growth(coupling, (0.55, -0.8)) == pytest.approx(wanted, rel=1e-6)
    with pytest.raises(InvalidValueError, match="AdjMat/alphas"):
        spy.ar2_network(alphas=(3.0, 0.0), nTrials=1)
    with caplog.at_level(logging.WARNING, "rayspy"):
        spy.ar2_network(alphas=(1.01, 0.0), nSamples=20, nTrials=1)
    assert "not stationary" in caplog.text


def test_frequencies_of_spectra(caplog: pytest.LogCaptureFixture) -> None:
    array = np.ones((2, 1, 3, 2), "f4")
    with pytest.raises(InvalidValueError, match="freq"):
        spy.SpectralData(array, freq=[1, 2, 2])
    with caplog.at_level(logging.WARNING, "rayspy"):
        spy.SpectralData(array, freq=[3, 2, 1])
    assert "do not ascend" in caplog.text


def test_nearest_bins_are_those_of_a_search_through_all() -> None:
    from rayspy.frontends.spectral.checks import frequency_bins

    wanted = [0.0, 49.9, 3.25, 3.75, 12.5, 50.0, 3.3]
    every = np.fft.rfftfreq(200, 0.01)
    expected = tuple(dict.fromkeys(int(np.abs(every - f).argmin()) for f in wanted))
    assert frequency_bins(wanted, None, 200, 100.0) == expected
    assert frequency_bins([0.0, 50.0], None, 1, 100.0) == (0,)


@pytest.mark.parametrize("wanted", [3, "3", 10**6, "5 MB"])
def test_memory_of_workers_counts_bytes(wanted: Any) -> None:
    from rayspy_compat import setups

    with pytest.raises(InvalidValueError, match=r"mem_per_worker.*counts bytes|counts bytes.*"):
        setups._worker_bytes(wanted)
    assert setups._worker_bytes("2GB") == 2 * 10**9


@pytest.mark.parametrize("timeout", [np.nan, np.inf, -1, None, "soon"])
def test_connecting_ends(timeout: Any) -> None:
    with pytest.raises((InvalidValueError, InvalidTypeError), match="timeout"):
        spy.connect(1, timeout=timeout)
