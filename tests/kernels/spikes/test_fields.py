"""Signals at spikes against plain loops, closed forms and, where it is installed, Elephant."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import iv

from rayspy.kernels.spectral.tapers import slepian
from rayspy.kernels.spikes.coherence import coherency, spike_field_sums
from rayspy.kernels.spikes.triggered import (
    phase_measures,
    phase_sums,
    spectra_at,
    triggered_sums,
    windows_of,
)


def test_averages_around_spikes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype("f4") + 100
    at, cells = np.sort(rng.integers(0, 200, 40)), rng.integers(-1, 2, 40)
    sums, squares, counts = triggered_sums(x, at, cells, 2, 7, 11)
    for cell in range(2):
        own = [x[i - 7 : i + 12].astype(float) for i in at[cells == cell] if i >= 7 and i + 11 < 200]
        assert counts[cell] == len(own)
        np.testing.assert_allclose(sums[:, cell], np.sum(own, axis=0), rtol=1e-12)
        np.testing.assert_allclose(squares[:, cell], np.sum(np.square(own), axis=0), rtol=1e-12)
    one = triggered_sums(x[:, 1:2], at, cells, 2, 7, 11)[0]
    np.testing.assert_array_equal(one[..., 0], sums[..., 1], "channels do not depend on each other")
    assert triggered_sums(x, at[:0], cells[:0], 2, 7, 11)[0].sum() == 0


@pytest.mark.parametrize("taper", ["hann", "boxcar", "gauss"])
def test_spectra_at_spikes_are_those_of_windows_around_them(taper):
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    at = np.sort(rng.integers(0, 20_000, 50))
    windows = windows_of(np.array([12.0, 40.0]), np.array([401, 125]), 1000.0, taper)
    for (z, whole), window in zip(spectra_at(x, at, windows), windows, strict=True):
        half = len(window) // 2
        np.testing.assert_array_equal(whole, (at >= half) & (at + half < len(x)))
        wanted = [x[i - half : i + half + 1] @ np.conj(window) for i in at[whole]]
        np.testing.assert_allclose(z[whole], wanted, atol=1e-12)


def test_phase_zero_is_the_peak():
    t = np.arange(4000) / 1000
    x = 3 * np.cos(2 * np.pi * 10 * t + 0.4)
    ((z, _),) = spectra_at(x, np.array([1000, 2000]), windows_of(np.array([10.0]), np.array([501]), 1000.0))
    np.testing.assert_allclose(z, 3 * np.exp(0.4j), rtol=2e-3)


def locked(phases, samplerate=1000.0, freq=10.0):
    """Signal and spikes at its phases, one per cycle."""
    cycle = samplerate / freq
    n = len(phases)
    t = np.arange(int((n + 20) * cycle))
    exact = (np.arange(n) + 10) * cycle + phases / (2 * np.pi) * cycle
    at = np.rint(exact).astype(int)
    return np.cos(2 * np.pi * t / cycle)[:, None], at, (exact - at) / samplerate


@pytest.mark.parametrize("kappa", [0.0, 0.5, 2.0])
def test_ppc_of_von_mises_phases(kappa):
    """PPC is the squared length of the mean vector, I1(k) / I0(k); spikes need not be at samples."""
    phases = np.random.default_rng(7).vonmises(0.7, kappa, 3000)
    x, at, late = locked(phases)
    order = np.argsort(at, kind="stable")
    foi, windows = np.array([10.0]), windows_of(np.array([10.0]), np.array([501]), 1000.0)
    found = phase_measures(phase_sums(x, at[order], late[order], np.zeros(3000, int), 1, windows, foi))
    wanted = (iv(1, kappa) / iv(0, kappa)) ** 2
    assert found["ppc0"][0, 0, 0] == pytest.approx(wanted, abs=0.03)
    vectors = np.exp(1j * phases)
    exact = (abs(vectors.sum()) ** 2 - 3000) / (3000 * 2999)
    assert found["ppc0"][0, 0, 0] == pytest.approx(exact, abs=2e-3)
    assert found["plv"][0, 0, 0] == pytest.approx(abs(vectors.mean()), abs=2e-3)
    if kappa:
        assert found["ang"][0, 0, 0] == pytest.approx(0.7, abs=0.1)


def sums_of(trials):
    """Sums for given phases per trial, as the kernel makes them."""
    total = np.zeros(9)
    for phases in trials:
        n, u = len(phases), np.exp(1j * np.asarray(phases)).sum()
        v = u / max(n, 1)
        total += [n, n**2, u.real, u.imag, abs(u) ** 2, n > 0, v.real, v.imag, abs(v) ** 2]
    return total.reshape(9, 1, 1, 1)


def test_ppc_is_the_mean_over_pairs():
    rng = np.random.default_rng(3)
    trials = [rng.vonmises(0, 1, n) for n in (5, 1, 0, 8)]
    found = {name: values[0, 0, 0] for name, values in phase_measures(sums_of(trials)).items()}
    marked = [(k, p) for k, phases in enumerate(trials) for p in phases]
    pairs = [(np.cos(p - q), j != k) for (j, p), (k, q) in combinations(marked, 2)]
    assert found["ppc0"] == pytest.approx(np.mean([value for value, _ in pairs]))
    assert found["ppc1"] == pytest.approx(np.mean([value for value, other in pairs if other]))
    of_trials = [
        np.mean(np.cos(np.subtract.outer(p, q))) for p, q in combinations([t for t in trials if len(t)], 2)
    ]
    assert found["ppc2"] == pytest.approx(np.mean(of_trials))


@pytest.mark.parametrize("n", [5, 20, 200])
def test_no_bias_without_locking(n):
    rng = np.random.default_rng(n)
    runs = np.concatenate(
        [sums_of([rng.uniform(-np.pi, np.pi, n) for _ in range(4)]) for _ in range(800)], axis=3
    )
    found = phase_measures(runs)
    for name in ("ppc0", "ppc1", "ppc2"):
        error = found[name].std() / np.sqrt(800)
        assert abs(found[name].mean()) < 4 * error, name
    assert found["plv"].mean() > 0.5 / np.sqrt(4 * n)
    assert (found["ral"] < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_too_few_spikes_are_nan():
    found = phase_measures(sums_of([[0.3]]))
    assert all(np.isnan(found[name]).all() for name in ("ppc0", "ppc1", "ppc2"))
    assert found["plv"][0, 0, 0] == pytest.approx(1)
    none = phase_measures(sums_of([]))
    assert all(np.isnan(none[name]).all() for name in ("plv", "ang", "ral"))


def modulated(rng, n_trials, rate, depth, n=500, freq=0.05):
    """Signals with noise, and point processes whose rate follows them: p(t) = rate (1 + depth cos)."""
    t = np.arange(n)
    for _ in range(n_trials):
        wave = np.cos(2 * np.pi * freq * t + rng.uniform(0, 2 * np.pi))
        spikes = rng.random(n) < rate * (1 + depth * wave)
        yield (wave + rng.normal(0, 0.5, n))[:, None], spikes[:, None].astype(float)


def test_coherence_of_a_known_process():
    """Rate r (1 + m cos) at the frequency of the sine: S_nn = r + (r m / 2)^2 n, up to terms in r^2."""
    rng, n, rate, depth = np.random.default_rng(0), 500, 0.1, 0.8
    taper = np.ones((1, n)) / np.sqrt(n)
    sums = sum(spike_field_sums(x, c, taper, n, slice(0, 251)) for x, c in modulated(rng, 400, rate, depth))
    found = np.abs(coherency(sums)[:, 0, 0]) ** 2
    energy = n
    signal, noise = energy / 4, 0.25
    part = (rate * depth) ** 2 * energy / 4
    wanted = part / (rate * (1 - rate) - rate**2 * depth**2 / 2 + part) * signal / (signal + noise)
    assert found[25] == pytest.approx(wanted, abs=0.03)
    assert np.median(found[50:]) < 0.01
    assert sums[3, 60:].mean() / 400 == pytest.approx(rate * (1 - rate), rel=0.1), (
        "S_nn of a train is its rate"
    )


def test_rate_correction():
    """A thinned train has the coherence that the correction predicts for its rate."""
    rng, n = np.random.default_rng(4), 500
    tapers = slepian(n, 2.0, 3)
    full, thin = np.zeros((6, 251, 1, 1)), np.zeros((6, 251, 1, 1))
    for x, c in modulated(rng, 500, 0.12, 0.6):
        full += spike_field_sums(x, c, tapers, n, slice(0, 251))
        thin += spike_field_sums(x, c * (rng.random(c.shape) < 0.25), tapers, n, slice(0, 251))
    predicted = np.abs(coherency(full, rate=0.03))[25, 0, 0]
    assert np.abs(coherency(full))[25, 0, 0] > 1.15 * predicted
    assert np.abs(coherency(thin))[25, 0, 0] == pytest.approx(predicted, rel=0.08)
    own = full[4, 0, 0, 0] / full[5, 0, 0, 0]
    np.testing.assert_allclose(coherency(full, rate=own), coherency(full))


def test_coherence_against_scipy():
    from scipy.signal import csd, welch

    rng, n = np.random.default_rng(2), 256
    x, c = rng.normal(size=(n * 20, 1)), (rng.random((n * 20, 1)) < 0.1).astype(float)
    taper = np.hanning(n)[None] / np.sqrt((np.hanning(n) ** 2).sum())
    parts = [slice(k * n, (k + 1) * n) for k in range(20)]
    sums = sum(spike_field_sums(x[p], c[p], taper, n, slice(0, 129)) for p in parts)
    options = {"window": np.hanning(n), "nperseg": n, "noverlap": 0, "detrend": "constant"}
    cross = csd(c[:, 0], x[:, 0], **options)[1]
    wanted = cross / np.sqrt(welch(x[:, 0], **options)[1] * welch(c[:, 0], **options)[1])
    np.testing.assert_allclose(coherency(sums)[1:-1, 0, 0], wanted[1:-1], rtol=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_average_against_elephant():
    sta = pytest.importorskip("elephant.sta")
    import neo
    import quantities as pq

    rng = np.random.default_rng(9)
    x, at = rng.normal(size=(1000, 2)), np.unique(rng.integers(15, 970, 80))
    train = neo.SpikeTrain((at + 0.25) * pq.ms, t_start=0 * pq.ms, t_stop=1000 * pq.ms)
    signal = neo.AnalogSignal(x * pq.mV, sampling_rate=1 * pq.kHz)
    wanted = sta.spike_triggered_average(signal, train, (-10 * pq.ms, 20 * pq.ms))
    sums, _, counts = triggered_sums(x, at, np.zeros(len(at), int), 1, 10, 19)
    assert (np.asarray(wanted.annotations["used_spikes"]) == counts[0]).all()
    np.testing.assert_allclose(sums[:, 0] / counts[0], wanted.magnitude, atol=1e-12)
