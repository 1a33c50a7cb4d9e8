"""Correlation of envelopes, against SciPy step by step and MNE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import butter, hilbert, sosfiltfilt

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.helpers import run_on

N_TRIALS, RATE, BAND = 8, 200.0, [10, 30]


def made(scale: float = 1.0) -> Any:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(N_TRIALS, 400, 4))
    swell = 1 + np.sin(np.arange(400) / 30 + np.arange(N_TRIALS)[:, None])[..., None] * 0.8
    x[..., :2] *= swell
    x[..., 3] += 0.7 * x[..., 0]
    return spy.AnalogData([(trial * scale).astype(np.float32) for trial in x], samplerate=RATE)


@pytest.fixture(scope="module")
def data() -> Any:
    return made()


def analytic(data: Any) -> Any:
    """(trial, time, channel)"""
    x = np.stack([trial - trial.mean(axis=0) for trial in data.trials]).astype(float)
    sos = butter(4, BAND, "bp", fs=RATE, output="sos")
    return hilbert(sosfiltfilt(sos, x, axis=1), axis=1)


def by_hand(z: Any, orthogonal: bool) -> Any:
    found = np.zeros((len(z), z.shape[2], z.shape[2]))
    for t, trial in enumerate(z):
        size = np.abs(trial)
        for i in range(z.shape[2]):
            for j in range(z.shape[2]):
                other = (
                    np.abs((trial[:, j] * trial[:, i].conj() / size[:, i]).imag) if orthogonal else size[:, j]
                )
                found[t, i, j] = 0 if orthogonal and i == j else np.corrcoef(size[:, i], other)[0, 1]
    return (found + found.transpose(0, 2, 1)) / 2


@pytest.mark.parametrize("name", ["powcorr", "powcorr_ortho"])
def test_step_by_step(name: str, data: Any) -> None:
    found = spy.connectivityanalysis(data, method=name, freq=BAND, jackknife=True, parallel=False)
    wanted = by_hand(analytic(data), name == "powcorr_ortho")
    np.testing.assert_allclose(found.data[0, 0], wanted.mean(axis=0), atol=2e-5)
    np.testing.assert_allclose(found.jack_var[0, 0], wanted.var(axis=0, ddof=1), rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(found.jack_bias, 0)
    assert found.freq.tolist() == [20]
    assert found.info["n_trials"] == N_TRIALS
    assert found.data[0, 0, 0, 1] > 0.3
    tiny = spy.connectivityanalysis(made(1e-14), method=name, freq=BAND, parallel=False)
    np.testing.assert_allclose(tiny.data[()], found.data[()], atol=1e-5)


def test_mixing_at_once_leaves_no_orthogonal_part(data: Any) -> None:
    both = spy.connectivityanalysis(data, method=["powcorr", "powcorr_ortho"], freq=BAND, parallel=False)
    assert both["powcorr"].data[0, 0, 0, 3] > 3 * abs(both["powcorr_ortho"].data[0, 0, 0, 3] - 0.05)


def test_spectra_over_time(data: Any) -> None:
    spectra = spy.freqanalysis(data, method="wavelet", foi=[15, 25], output="fourier", parallel=False)
    some = spy.connectivityanalysis(
        spectra, method="powcorr_ortho", channelcmb=[(0, 1), (2, 3)], parallel=False
    )
    for k in range(2):
        z = np.stack([trial[:, 0, k] for trial in spectra.trials])
        wanted = by_hand(z, True).mean(axis=0)
        np.testing.assert_allclose(some.data[0, k], wanted[[0, 2], [1, 3]], atol=1e-5)


@pytest.mark.parametrize("executor", ["local-2", "ray-2"])
def test_same_bits(executor: str, data: Any, request: Any) -> None:
    settings = {"method": ["powcorr", "powcorr_ortho"], "freq": BAND}
    with spy.config.using(block_bytes=15_000):
        wanted = spy.connectivityanalysis(data, parallel=False, **settings)
        with run_on(executor, request) as options:
            found = spy.connectivityanalysis(data, **settings, **options)
    for name, result in wanted.items():
        np.testing.assert_array_equal(found[name].data[()], result.data[()])


def test_against_mne(data: Any) -> None:
    con = pytest.importorskip("mne_connectivity")
    z = analytic(data).transpose(0, 2, 1)
    wanted = con.envelope_correlation(z, orthogonalize="pairwise", absolute=False, verbose="error")
    wanted = wanted.combine().get_data("dense")[..., 0]
    found = spy.connectivityanalysis(data, method="powcorr_ortho", freq=BAND, parallel=False).data[0, 0]
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found[off], wanted[off], atol=2e-5)


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({}, InvalidValueError, "freq"),
        ({"freq": 10}, InvalidTypeError, "freq"),
        ({"freq": [30, 10]}, InvalidValueError, "freq"),
        ({"freq": [10, 130]}, InvalidValueError, "freq"),
        ({"freq": BAND, "segments": 1.0}, InvalidValueError, "segments"),
        ({"freq": BAND, "bands": {"x": BAND}}, InvalidValueError, "bands"),
        ({"freq": BAND, "keeptrials": True}, InvalidValueError, "keeptrials"),
    ],
)
def test_wrong_input(settings: dict[str, Any], error: type[Exception], name: str, data: Any) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.connectivityanalysis(data, method="powcorr", **settings)


def test_spectra_without_time_or_with_tapers(data: Any) -> None:
    whole = spy.freqanalysis(data, output="fourier", parallel=False)
    with pytest.raises(InvalidValueError, match="4 times or more"):
        spy.connectivityanalysis(whole, method="powcorr")
    tapers = spy.freqanalysis(
        data, method="mtmconvol", t_ftimwin=0.5, toi=0.5, tapsmofrq=5, keeptapers=True, output="fourier"
    )
    with pytest.raises(InvalidValueError, match="one taper"):
        spy.connectivityanalysis(tapers, method="powcorr")
    with pytest.raises(InvalidValueError, match="freq"):
        spy.connectivityanalysis(tapers, method="powcorr", freq=BAND)
