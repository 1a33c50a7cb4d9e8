"""Time-frequency methods against SciPy, MNE, closed forms and themselves in other words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

import rayspy as spy
from rayspy.kernels.spectral.filterbank import transform_length
from rayspy.kernels.spectral.wavelets import order_weights
from rayspy.methods.base import Part
from rayspy.methods.spectral.banks import _Store
from rayspy.methods.spectral.mtmconvol import Mtmconvol
from rayspy.methods.spectral.mtmfft import Taper
from rayspy.methods.spectral.timepoints import TimePoints
from rayspy.methods.spectral.wavelet import Superlet, Wavelet

RATE = 500.0


def noise(n_trials=2, n_samples=600, n_channels=3, seed=0, offsets=(0,)):
    x = np.random.default_rng(seed).standard_normal((n_trials * n_samples, n_channels)).astype(np.float32)
    data = spy.AnalogData(x, samplerate=RATE)
    starts = np.arange(n_trials) * n_samples
    offset = np.resize(offsets, n_trials)
    data.definetrial(np.column_stack([starts, starts + n_samples, offset, 5 + np.arange(n_trials)]))
    return data


def analysed(data, method, **settings):
    return spy.freqanalysis(data, method=method, parallel=False, **settings)


def cosine(freq, amplitude=2.0, n_samples=2000, rate=RATE):
    x = amplitude * np.cos(2 * np.pi * freq * np.arange(n_samples) / rate)
    return spy.AnalogData(x[:, None].astype(np.float32), samplerate=rate)


# -- windows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "overlap"), [(100, 0.5), (101, 0.0), (80, 0.75)])
def test_windows_are_those_of_scipys_spectrogram(n, overlap):
    data = noise()
    got = analysed(data, "mtmconvol", t_ftimwin=n / RATE, toi=overlap)
    hop = n - int(overlap * n)
    taper = signal.windows.hann(n)
    for k in range(2):
        padded = np.pad(data.trials[k], ((n // 2, n), (0, 0)))
        _, _, density = signal.spectrogram(
            padded, RATE, taper, n, n - hop, detrend="constant", scaling="density", axis=0
        )
        power = density.transpose(2, 0, 1) * (RATE / n) * (4 / 3) * (taper**2).sum() / taper.sum()
        power[:, 0] *= 2
        if n % 2 == 0:
            power[:, -1] *= 2
        assert len(got.trials[k]) == -(-600 // hop)
        begins = hop * np.arange(len(got.trials[k])) - n // 2
        whole = (begins >= 0) & (begins + n <= 600)
        wanted = power[: len(whole)][whole]
        np.testing.assert_allclose(got.trials[k][whole, 0], wanted, rtol=1e-4, atol=1e-6 * wanted.max())


@pytest.mark.parametrize(("polyremoval", "detrend"), [(0, "constant"), (1, "linear")])
@pytest.mark.parametrize(("n", "overlap"), [(100, 0.5), (101, 0.0), (600, 0.9), (70, 0.75)])
def test_welch_is_that_of_scipy(n, overlap, polyremoval, detrend):
    trl, x = noise().trialdefinition, noise().data[()].astype(float) + 1000
    data = spy.AnalogData(x, samplerate=RATE, trialdefinition=trl)
    got = analysed(data, "welch", t_ftimwin=n / RATE, toi=overlap, taper=None, polyremoval=polyremoval)
    for k in range(2):
        _, power = signal.welch(
            data.trials[k], RATE, "boxcar", n, int(overlap * n), detrend=detrend, scaling="spectrum", axis=0
        )
        power[0] *= 2
        power[-1] *= 2 - n % 2
        np.testing.assert_allclose(got.trials[k][0, 0], power, rtol=1e-4, atol=1e-6 * power.max())
    np.testing.assert_array_equal(got.trialinfo[:, 0], [5, 6])


def windows_by_hand(x, n, samples, polyremoval, freqs):
    """Coefficients of the Hann window around some samples of a line; a trend is fitted to what there is."""
    taper = signal.windows.hann(n)
    wave = np.exp(-2j * np.pi * np.outer(freqs, np.arange(n)) / n) * taper * np.sqrt(8 / 3 / n / taper.sum())
    found = []
    for sample in samples:
        t = np.arange(sample - n // 2, sample - n // 2 + n)
        inside = (t >= 0) & (t < len(x))
        some, times = x[t[inside]], t[inside] - sample
        order = min(polyremoval, len(some) - 1)
        window = np.zeros(n)
        window[inside] = some - np.polyval(np.polyfit(times, some, order), times)
        found.append(wave @ window)
    return np.array(found)


@pytest.mark.parametrize("polyremoval", [0, 1])
@pytest.mark.parametrize("convolve", [True, False])
@pytest.mark.parametrize("n", [60, 61, 90])
def test_trends_are_those_of_the_samples_that_exist(n, convolve, polyremoval, monkeypatch):
    monkeypatch.setattr(Mtmconvol, "by_convolution", lambda self, length: convolve)
    x = np.random.default_rng(n).standard_normal((90, 2)) + 50 + np.arange(90)[:, np.newaxis]
    data = spy.AnalogData(x, samplerate=RATE)
    settings_ = {"t_ftimwin": n / RATE, "output": "fourier", "polyremoval": polyremoval}
    got = analysed(data, "mtmconvol", toi="all", **settings_).data[:, 0, :, 1]
    freqs = np.arange(n // 2 + 1)
    wanted = windows_by_hand(x[:, 1], n, range(90), polyremoval, freqs)
    np.testing.assert_allclose(got, wanted, atol=1e-5 * np.abs(wanted).max())
    toi = np.array([0, 1, 3, 40, 88, 89])
    some = analysed(data, "mtmconvol", toi=toi / RATE, **settings_).data[:, 0, :, 1]
    np.testing.assert_allclose(some, wanted[toi], atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("convolve", [True, False])
@pytest.mark.parametrize("settings_", [{"toi": "all"}, {"toi": 0.8}, {"tapsmofrq": 30, "polyremoval": None}])
def test_windows_beyond_the_trial_are_nan_if_asked_for(settings_, convolve, monkeypatch):
    monkeypatch.setattr(Mtmconvol, "by_convolution", lambda self, length: convolve)
    data, settings_ = noise(2, 200), {"t_ftimwin": 0.1, "toi": "all", **settings_}
    zero = analysed(data, "mtmconvol", **settings_)
    nan = analysed(data, "mtmconvol", edges="nan", **settings_)
    step = 10 if settings_["toi"] == 0.8 else 1
    samples = np.arange(0, 200, step)
    beyond = (samples < 25) | (samples > 200 - 25)
    for k in range(2):
        assert np.isnan(nan.trials[k][beyond]).all()
        np.testing.assert_array_equal(nan.trials[k][~beyond], zero.trials[k][~beyond])
        assert np.isfinite(zero.trials[k]).all()
    average = analysed(data, "mtmconvol", edges="nan", keeptrials=False, **settings_)
    np.testing.assert_array_equal(np.isnan(average.data[:, 0, 3, 1]), beyond)


WAVELETS = {
    "morlet": ("wavelet", {}, lambda scale: 10 * scale),
    "ricker": ("wavelet", {"wavelet": "Ricker", "output": "abs"}, lambda scale: 10 * scale),
    "superlet": ("superlet", {"order_max": 2}, lambda scale: 60 * scale),
    "adaptive": ("superlet", {"order_max": 2, "adaptive": True, "output": "fourier"}, None),
}


@pytest.mark.parametrize("name", WAVELETS)
def test_wavelets_beyond_the_trial_are_nan_if_asked_for(name):
    method, options, duration = WAVELETS[name]
    data, options = noise(3, 401, 2, offsets=(-50, -51, -50)), {"foi": [21.0, 70.0], **options}
    zero, nan = (analysed(data, method, edges=edges, **options) for edges in ("zero", "nan"))
    for k in range(3):
        known = np.isfinite(nan.trials[k])
        np.testing.assert_array_equal(nan.trials[k][known], zero.trials[k][known])
        if duration is not None:
            factor = {"morlet": 1.03304, "ricker": 3.97384, "superlet": 2 * np.pi}[name]
            for f, freq in enumerate((21.0, 70.0)):
                n = int(np.ceil(duration(RATE / freq / factor)))
                rows = np.flatnonzero(known[:, 0, f, 1])
                np.testing.assert_array_equal(rows, np.arange(n - 1 - (n - 1) // 2, 401 - (n - 1) // 2))
    for toi in ([-0.1, 0.0, 0.304, 0.69], np.arange(-0.1, 0.69, 0.05), [0.3]):
        some = analysed(data, method, edges="nan", toi=toi, **options)
        for k in range(3):
            rows = np.rint(np.array(toi) * RATE).astype(int) + [50, 51, 50][k]
            wanted = nan.trials[k][rows]
            np.testing.assert_array_equal(np.isnan(some.trials[k]), np.isnan(wanted))
            level = np.nanmax(np.abs(zero.trials[k]))
            np.testing.assert_allclose(some.trials[k], wanted, atol=5e-6 * level)
            assert np.isfinite(wanted[:, 0, 1]).any()


TRENDS = {
    "mtmfft": {"method": "mtmfft"},
    "mtmconvol": {"method": "mtmconvol", "t_ftimwin": 0.08, "toi": "all"},
    "few": {"method": "mtmconvol", "t_ftimwin": 0.08, "toi": "all", "foi": [25, 100]},
    "tapers": {"method": "mtmconvol", "t_ftimwin": 0.08, "toi": 0.5, "tapsmofrq": 30},
    "welch": {"method": "welch", "t_ftimwin": 0.08, "toi": 0.5},
    "wavelet": {"method": "wavelet", "foi": [10, 60]},
    "superlet": {"method": "superlet", "foi": [10, 60], "order_max": 2},
}


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(list(TRENDS)),
    polyremoval=st.sampled_from([0, 1]),
    n=st.integers(60, 170),
    level=st.floats(-1e4, 1e4),
    slope=st.floats(-100, 100),
    scale=st.integers(-40, 30),
)
def test_trends_change_nothing(name, polyremoval, n, level, slope, scale):
    x = np.random.default_rng(n).standard_normal((n, 2))
    trend = level + polyremoval * slope * np.arange(n)[:, np.newaxis]
    plain, shifted = (
        analysed(
            spy.AnalogData(some * 2.0**scale, samplerate=RATE), polyremoval=polyremoval, **TRENDS[name]
        ).data[()]
        for some in (x, x + trend)
    )
    np.testing.assert_allclose(shifted, plain, atol=2e-5 * plain.max())


def test_cosine_in_windows_has_the_power_of_the_closed_form():
    data = cosine(50.0)
    got = analysed(data, "mtmconvol", t_ftimwin=0.2, toi=0.5, taper=None, foi=[50])
    np.testing.assert_allclose(got.data[1:-1, 0, 0, 0], 2.0, rtol=1e-4)
    got = analysed(data, "mtmconvol", t_ftimwin=0.2, toi=[1.0, 2.0], tapsmofrq=15, foi=[50])
    mean_gain = signal.windows.dpss(100, 3.0, 5, sym=False).sum(axis=1) ** 2
    np.testing.assert_allclose(got.data[:, 0, 0, 0], 2 / 100 * mean_gain.mean(), rtol=5e-3)


def test_tapers_come_from_the_window_not_from_the_trial():
    got = analysed(noise(), "mtmconvol", t_ftimwin=0.2, toi=0.5, tapsmofrq=15, keeptapers=True)
    assert len(got.taper) == int(2 * 15 * 0.2 - 1)
    assert got.data.shape[1] == 5


def test_tapered_windows_are_those_of_mne():
    mne = pytest.importorskip("mne")
    data = noise(1, 1000, 1, seed=3)
    n, freqs = 200, np.array([20.0, 40.0, 80.0])
    got = analysed(
        data, "mtmconvol", t_ftimwin=n / RATE, toi="all", tapsmofrq=5, foi=list(freqs), polyremoval=None
    )
    wanted = mne.time_frequency.tfr_array_multitaper(
        data.trials[0].T[None].astype(float), RATE, freqs, n_cycles=freqs * n / RATE, zero_mean=False,
        time_bandwidth=2 * 5 * n / RATE, output="power", verbose="ERROR",
    )  # fmt: skip
    for f in range(3):
        inner, theirs = got.data[200:-200, 0, f, 0], wanted.reshape(3, 1000)[f, 200:-200]
        scaled = theirs * inner.mean() / theirs.mean()
        np.testing.assert_allclose(inner, scaled, atol=0.04 * inner.max())


@pytest.mark.parametrize("offsets", [(-100,), (-100, -130, -100)])
def test_windows_at_times_are_those_of_all_times(offsets):
    """Also where windows reach over the ends of trials, and where trials have different offsets."""
    data = noise(3, offsets=offsets)
    every = analysed(data, "mtmconvol", t_ftimwin=0.11, toi="all", output="fourier")
    for toi in ([-0.2, -0.196, -0.15, 0.0], np.arange(-0.2, 0.9, 0.01), [0.93, 0.938], [0.5]):
        got = analysed(data, "mtmconvol", t_ftimwin=0.11, toi=toi, output="fourier")
        for k in range(3):
            np.testing.assert_allclose(got.time[k], toi, atol=1e-9)
            rows = np.rint((np.array(toi) - every.time[k][0]) * RATE).astype(int)
            np.testing.assert_array_equal(got.trials[k], every.trials[k][rows])
        np.testing.assert_array_equal(got.trialinfo[:, 0], [5, 6, 7])


def test_overlap_gives_an_exact_time_axis():
    got = analysed(noise(2, offsets=(-100,)), "mtmconvol", t_ftimwin=0.2, toi=0.3)
    np.testing.assert_allclose(got.time[1], (np.arange(9) * 70 - 100) / RATE, atol=1e-12)
    assert got.samplerate == RATE / 70


def test_times_between_samples_become_those_of_the_samples():
    got = analysed(noise(1), "mtmconvol", t_ftimwin=0.2, toi=[0.1013, 0.1333, 0.1667, 0.2])
    every = analysed(noise(1), "mtmconvol", t_ftimwin=0.2, toi="all")
    assert got.samplerate is None
    np.testing.assert_allclose(got.time[0], [0.102, 0.134, 0.166, 0.2], atol=1e-12)
    np.testing.assert_array_equal(got.data[()], every.data[()][[51, 67, 83, 100]])
    kept = spy.selectdata(got, channel=[1], parallel=False)
    np.testing.assert_allclose(kept.time[0], got.time[0])
    with pytest.raises(spy.errors.InvalidValueError, match="samplerate"):
        spy.selectdata(got, latency=[0.1, 0.2])


# -- wavelets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [6, 9])
@pytest.mark.parametrize("rate", [200.0, 1000.0])
def test_cosine_has_the_power_of_morlets_closed_form(width, rate):
    """Gain of the filter at the frequency of its scale: psi-hat(s w) of Torrence & Compo, table 1."""
    data = cosine(20.0, 3.0, 4000, rate)
    power = analysed(data, "wavelet", foi=[20.0], width=width).data[2000, 0, 0, 0]
    factor = 4 * np.pi / (width + np.sqrt(2 + width**2))
    response = np.pi**-0.25 * np.sqrt(2 * np.pi) * np.exp(-((2 * np.pi / factor - width) ** 2) / 2)
    assert power == pytest.approx(9 * rate * (response / (16 * np.pi)) ** 2, rel=1e-3)
    if width == 6:
        assert power == pytest.approx(9 * 1.3936e-3 * rate, rel=1e-3)


@pytest.mark.parametrize("settings", [{"order_max": 3}, {"order_max": 5, "order_min": 2, "c_1": 2}])
def test_cosine_has_the_same_superlet_power_for_all_orders(settings):
    power = analysed(cosine(20.0, 3.0, 4000), "superlet", foi=[20.0], **settings).data[2000, 0, 0, 0]
    assert power == pytest.approx(9 * 1.583e-3 * RATE, rel=2e-3)


def test_morlet_is_that_of_mne():
    mne = pytest.importorskip("mne")
    data = noise(1, 1500, 1)
    freqs = np.array([12.0, 30.0, 60.0])
    got = analysed(data, "wavelet", foi=list(freqs)).data[()][:, 0, :, 0]
    factor = 6 / (2 * np.pi) * 4 * np.pi / (6 + np.sqrt(38))
    signals = (data.trials[0] - data.trials[0].mean()).T[None].astype(float)
    wanted = mne.time_frequency.tfr_array_morlet(
        signals, RATE, freqs * factor, n_cycles=6, zero_mean=False, output="power", verbose="ERROR"
    )[0, 0]
    for f in range(3):
        inner = slice(300, -300)
        scale = got[inner, f].mean() / wanted[f, inner].mean()
        np.testing.assert_allclose(got[inner, f], scale * wanted[f, inner], atol=2e-2 * got[inner, f].max())


def direct(x, taps):
    """Centred convolution, sum by sum."""
    full = np.convolve(x, taps)
    first = (len(taps) - 1) // 2
    return full[first : first + len(x)]


def paul5(u):
    return 2**5 * 1j**5 * 120 / np.sqrt(np.pi * 3628800.0) / (1 - 1j * u) ** 6


def dog3(u):
    return (u**3 - 3 * u) * np.exp(-(u**2) / 2) / np.sqrt(3.3233509704478426)


def mexican_hat(u):
    return (1 - u**2) * np.exp(-(u**2) / 2) / np.sqrt(1.3293403881791370)


def morlet45(u):
    return np.pi**-0.25 * (np.exp(4.5j * u) - np.exp(-(4.5**2) / 2)) * np.exp(-(u**2) / 2)


SHAPES = {
    "Paul": ({"wavelet": "Paul", "order": 5}, paul5, 4 * np.pi / 11),
    "DOG3": ({"wavelet": "DOG", "order": 3}, dog3, 2 * np.pi / np.sqrt(3.5)),
    "Marr": ({"wavelet": "Marr"}, mexican_hat, 2 * np.pi / np.sqrt(2.5)),
    "Morlet": ({"width": 4.5}, morlet45, 4 * np.pi / (4.5 + np.sqrt(22.25))),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("freq", [1.5, 17.0, 120.0])
def test_wavelets_are_convolutions_with_the_published_functions(name, freq):
    options, psi, factor = SHAPES[name]
    data = noise(1, 700, 2)
    got = analysed(data, "wavelet", foi=[freq], output="fourier", **options).data[()][:, 0, 0, 1]
    scale = RATE / (freq * factor)
    n = 10 * scale
    taps = psi(np.arange((-n + 1) / 2, (n + 1) / 2) / scale) / (8 * np.pi * scale / RATE) / np.sqrt(RATE)
    x = data.trials[0][:, 1].astype(float)
    wanted = direct(x - x.mean(), taps)
    np.testing.assert_allclose(got, wanted, atol=3e-6 * np.abs(wanted).max())


def gaussian(cycles, freq):
    scale = RATE / (2 * np.pi * freq)
    n = 10 * scale * cycles
    t = np.arange((-n + 1) / 2, (n + 1) / 2)
    spread = cycles * RATE / (5 * freq)
    wave = np.exp(2j * np.pi * freq / RATE * t - 0.5 * (t / spread) ** 2)
    return wave * RATE / (np.sqrt(2 * np.pi) * spread) / (4 * np.pi * np.sqrt(RATE))


@pytest.mark.parametrize(
    "weights", [{1: 1}, {1: 1, 2: 1, 3: 1}, dict.fromkeys(range(1, 13), 1), {2: 1, 3: 1, 4: 0.3}]
)
@pytest.mark.parametrize("freq", [3.0, 40.0])
def test_superlets_are_geometric_means_of_convolutions(weights, freq):
    order_min, order = min(weights), min(weights) - 1 + sum(weights.values())
    times = TimePoints()
    method = Superlet(RATE, times, (freq,), orders=(order,), order_min=order_min, c_1=2)
    x = np.random.default_rng(1).standard_normal((1, 500, 1)).astype(np.float32) * 1e-13
    got = method.kernel(Part(500))(x)[0, :, 0, 0, 0]
    centred = x[0, :, 0].astype(float) - x[0, :, 0].astype(float).mean()
    logs = [w * np.log(np.abs(direct(centred, gaussian(2 * k, freq)))) for k, w in weights.items()]
    wanted = np.exp(2 * np.sum(logs, axis=0) / sum(weights.values()))
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=3e-6 * wanted.max())
    assert dict(order_weights(order, order_min)) == pytest.approx(weights)


def test_adaptive_superlets_do_not_depend_on_the_other_frequencies():
    data = noise(1, 400, 1)
    sparse = analysed(data, "superlet", foi=[10, 40, 90], order_max=9, adaptive=True)
    dense = analysed(data, "superlet", foi=list(range(10, 91, 10)), order_max=9, adaptive=True)
    np.testing.assert_allclose(sparse.data[()], dense.data[()][:, :, [0, 3, 8]], rtol=1e-4, atol=1e-7)


def test_the_phase_of_a_superlet_of_one_order_is_its_own_and_of_many_is_continuous():
    data = cosine(20.0, 1.0, 3000)
    one = analysed(data, "superlet", foi=[20.0], order_max=1, output="fourier").data[1000:2000, 0, 0, 0]
    many = analysed(data, "superlet", foi=[20.0], order_max=7, output="fourier").data[1000:2000, 0, 0, 0]
    # The filters' middles are up to half a sample from lag 0.
    np.testing.assert_allclose(np.angle(many / one), 0, atol=np.pi * 20 / RATE)
    steps = np.diff(np.unwrap(np.angle(many)))
    np.testing.assert_allclose(steps, 2 * np.pi * 20 / RATE, atol=1e-3)


@pytest.mark.parametrize("method", ["wavelet", "superlet"])
def test_the_ridge_of_a_chirp_is_its_frequency(method):
    t = np.arange(2000) / RATE
    x = np.cos(2 * np.pi * (20 * t + 5 * t**2))
    data = spy.AnalogData(x[:, None], samplerate=RATE)
    options = {"order_max": 4} if method == "superlet" else {}
    got = analysed(data, method, foilim=[15, 70], toi=[0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], **options)
    ridge = got.freq[got.data[()][1:-1, 0, :, 0].argmax(axis=1)]
    np.testing.assert_allclose(ridge, 20 + 10 * np.array([1.0, 1.5, 2.0, 2.5, 3.0]), atol=1.6)


@pytest.mark.parametrize("options", [{}, {"wavelet": "Ricker"}, {"wavelet": "Paul", "order": 4}])
@pytest.mark.parametrize("step", [3, 5, 7])
def test_every_nth_time_is_every_nth_row(step, options):
    data = noise(2, 211, 2, offsets=(-20,))
    last = (210 // step) * step
    select = {"latency": [-20 / RATE, (last - 20) / RATE]}
    every = analysed(data, "wavelet", output="fourier", foi=[4, 20, 90], select=select, **options)
    toi = (np.arange(0, last + 1, step) - 20) / RATE
    got = analysed(data, "wavelet", output="fourier", foi=[4, 20, 90], select=select, toi=toi, **options)
    assert got.samplerate == RATE / step
    for k in range(2):
        np.testing.assert_allclose(
            got.trials[k], every.trials[k][::step], atol=2e-6 * np.abs(every.trials[k]).max()
        )


def test_trials_of_one_length_may_have_different_offsets():
    data = noise(3, 300, 1, offsets=(-100, -130, -100))
    got = analysed(data, "wavelet", foi=[20, 50], toi=[-0.1, 0.0, 0.1])
    for k in range(3):
        alone = analysed(data, "wavelet", foi=[20, 50], toi=[-0.1, 0.0, 0.1], select={"trials": [k]})
        np.testing.assert_array_equal(got.trials[k], alone.data[()])
        np.testing.assert_allclose(got.time[k], [-0.1, 0.0, 0.1])


def test_automatic_frequencies_are_four_per_octave():
    freq = analysed(noise(1, 600, 1), "superlet", order_max=1).freq
    assert freq[-1] == pytest.approx(RATE / 2)
    np.testing.assert_allclose(freq[1:] / freq[:-1], 2**0.25)
    assert RATE / 600 / (2 * np.pi) <= freq[0] < 2**0.25 * RATE / 600 / (2 * np.pi)


# -- properties ---------------------------------------------------------------------------------

KERNELS = [
    Wavelet(RATE, TimePoints(), (3.0, 30.0), "fourier"),
    Wavelet(RATE, TimePoints(4, (0, 4, 8, 12)), (30.0,), "fourier"),
    Wavelet(RATE, TimePoints(), (3.0, 30.0), "real", family="DOG", parameter=2.0),
]


@settings(deadline=None, max_examples=15)
@given(method=st.sampled_from(KERNELS), a=st.floats(-3, 3), b=st.floats(-3, 3), seed=st.integers(0, 99))
def test_wavelets_are_linear(method, a, b, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, 1, 90, 1))
    kernel = method.kernel(Part(90))
    together = a * kernel(x) + b * kernel(y)
    np.testing.assert_allclose(kernel(a * x + b * y), together, atol=1e-5 * (np.abs(together).max() + 1))


@settings(deadline=None, max_examples=15)
@given(power=st.integers(-60, 40), order=st.sampled_from([1.0, 2.0, 3.7, 9.0]), seed=st.integers(0, 99))
def test_superlets_scale_with_their_input(power, order, seed):
    x = np.random.default_rng(seed).standard_normal((1, 120, 2))
    kernel = Superlet(RATE, TimePoints(), (11.0, 60.0), "abs", orders=(order, order)).kernel(Part(120))
    np.testing.assert_array_equal(kernel(x * 2.0**power), kernel(x) * np.float32(2.0**power))


@settings(deadline=None, max_examples=15)
@given(shift=st.integers(0, 60), seed=st.integers(0, 99))
def test_a_later_signal_has_a_later_result(shift, seed):
    burst = np.random.default_rng(seed).standard_normal(40)
    x = np.zeros((1, 400, 2))
    x[0, 150:190, 0] = burst
    x[0, 150 + shift : 190 + shift, 1] = burst
    got = Wavelet(RATE, TimePoints(), (60.0,), "fourier", None).kernel(Part(400))(x)[0, :, 0, 0]
    early, late = got[: 400 - shift, 0], got[shift:, 1]
    np.testing.assert_allclose(late, early, atol=2e-6 * np.abs(early).max())


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(5, 150), trials=st.integers(1, 4), channels=st.integers(1, 9),
    method=st.sampled_from([
        Wavelet(RATE, TimePoints(), (20.0, 90.0)),
        Wavelet(RATE, TimePoints(2), (20.0, 90.0), "angle", 1),
        Wavelet(RATE, TimePoints(), (20.0, 90.0), family="DOG", parameter=2.0),
        Superlet(RATE, TimePoints(), (20.0, 90.0), orders=(3.5, 9.0)),
        Superlet(RATE, TimePoints(), (20.0, 90.0), "fourier", orders=(2.0, 2.0)),
    ]),
    data=st.data(),
)  # fmt: skip
def test_a_line_does_not_depend_on_its_neighbours(n, trials, channels, method, data):
    x = np.random.default_rng(n).standard_normal((trials, n, channels)).astype(np.float32) + 3
    whole = method.kernel(Part(n))(x)
    t, c = data.draw(st.integers(0, trials - 1)), data.draw(st.integers(0, channels - 1))
    single = method.kernel(Part(n))(x[t : t + 1, :, c : c + 1])
    np.testing.assert_array_equal(single[0, ..., 0], whole[t, ..., c])


# -- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize("knee", [None, 30.0])
def test_models_recover_their_parameters(knee):
    pytest.importorskip("specparam")
    from rayspy.kernels.spectral.fooof import N_FIXED, n_numbers, spectrum_models

    freqs = np.arange(2, 100, 0.5)
    peaks = np.array([[10.0, 0.8, 1.5], [45.0, 0.5, 3.0]])
    log = 1.2 - np.log10((knee or 0) + freqs**1.7)
    aperiodic = log.copy()
    for centre, height, width in peaks:
        log += height * np.exp(-((freqs - centre) ** 2) / (2 * width**2))
    log += 0.005 * np.random.default_rng(0).standard_normal(len(freqs))
    power = np.repeat(10**log, 2).reshape(1, 1, 1, -1, 2)
    power[..., 1] *= 100
    power = np.concatenate([power, np.zeros_like(power[..., :1])], axis=-1)
    options = {"aperiodic_mode": "knee" if knee else "fixed", "max_n_peaks": 2, "verbose": False}
    out = np.empty((1, 1, 1, len(freqs) + n_numbers(2), 3))
    spectrum_models(power, freqs, options, "fooof_aperiodic", 2, out)
    curve, numbers = out[0, 0, 0, : len(freqs)], out[0, 0, 0, len(freqs) :]
    np.testing.assert_allclose(np.log10(curve[:, 0]), aperiodic, atol=0.03)
    np.testing.assert_allclose(curve[:, 1], 100 * curve[:, 0], rtol=1e-3)
    np.testing.assert_allclose(numbers[0, :2], [1.2, 3.2], atol=0.05)
    np.testing.assert_allclose(numbers[2, :2], 1.7, atol=0.03)
    assert numbers[4, 0] > 0.99
    assert numbers[5, 0] == 2
    gaussians = numbers[N_FIXED + 6 :, 0].reshape(-1, 3)
    np.testing.assert_allclose(gaussians, peaks, rtol=0.06)
    assert np.isnan(out[..., 2]).all()


def test_model_outputs_keep_labels_and_times():
    pytest.importorskip("specparam")
    data = noise(3, 600, 2, offsets=(-100,))
    settings = {"foilim": [5, 90], "tapsmofrq": 4, "select": {"trials": [2, 0], "channel": ["channel2"]}}
    full = analysed(data, "mtmfft", output="fooof", **settings)
    parts = [
        analysed(data, "mtmfft", output=f"fooof_{p}", **settings).data[()] for p in ("aperiodic", "peaks")
    ]
    np.testing.assert_allclose(full.data[()], parts[0] + parts[1], rtol=1e-5)
    spectra = analysed(data, "mtmfft", **settings)
    assert list(full.taper) == list(spectra.taper)
    assert list(full.channel) == ["channel2"]
    np.testing.assert_array_equal(full.freq, spectra.freq)
    np.testing.assert_array_equal(full.trialdefinition, spectra.trialdefinition)
    assert full.time[0][0] == spectra.time[0][0]
    for name in ("aperiodic_params", "error", "gaussian_params", "n_peaks", "peak_params", "r_squared"):
        assert set(full.metadata[name]) == {f"{name}__0_0", f"{name}__1_0"}
    assert full.metadata["aperiodic_params"]["aperiodic_params__0_0"].shape == (2, 1)
    again = spy.freqanalysis(data, full.cfg)
    np.testing.assert_array_equal(again.data[()], full.data[()])


def test_models_need_their_package(monkeypatch):
    monkeypatch.setattr("rayspy.frontends.spectral.fooof.find_spec", lambda name: None)
    with pytest.raises(spy.errors.MissingPackageError, match=r"rayspy\[fooof\]"):
        analysed(noise(), "mtmfft", output="fooof", foilim=[5, 50])


# -- convolution instead of windows ---------------------------------------------------------------


@pytest.mark.parametrize(("polyremoval", "mean"), [(None, 0.0), (0, 0.0), (0, 1e4), (1, 0.0), (1, 1e4)])
@pytest.mark.parametrize(
    "options",
    [
        {"toi": "all"},
        {"toi": 0.9, "output": "fourier"},
        {"toi": [-0.2, -0.19, 0.1, 0.5], "tapsmofrq": 20},
        {"toi": np.arange(-0.15, 0.5, 0.01), "tapsmofrq": 20, "keeptapers": True, "output": "fourier"},
    ],
    ids=["all", "overlap", "uneven", "tapers"],
)
def test_convolution_gives_what_windows_give(options, polyremoval, mean, monkeypatch):
    data = noise(2, 431, 3, offsets=(-100, -130))
    data = spy.AnalogData(
        data.data[()].astype(float) + mean, samplerate=RATE, trialdefinition=data.trialdefinition
    )
    results = []
    for convolve in (True, False):
        monkeypatch.setattr(Mtmconvol, "by_convolution", lambda self, length, found=convolve: found)
        results.append(
            analysed(data, "mtmconvol", t_ftimwin=0.12, foilim=[8, 120], polyremoval=polyremoval, **options)
        )
    got, wanted = (result.data[()] for result in results)
    np.testing.assert_allclose(got, wanted, atol=3e-6 * np.abs(wanted).max())
    inner = slice(60, 300) if len(got) > 800 else slice(0, 0)
    level = np.abs(wanted[inner]).max(initial=0)
    np.testing.assert_allclose(got[inner], wanted[inner], atol=2e-5 * level)


def test_few_frequencies_at_many_times_are_convolved():
    taper = Taper("hann")
    dense = Mtmconvol(RATE, 100, TimePoints(), (4, 8, 12), taper, ("hann",))
    assert dense.by_convolution(2000)
    assert not Mtmconvol(RATE, 100, TimePoints(50), (4, 8, 12), taper, ("hann",)).by_convolution(2000)
    assert not Mtmconvol(RATE, 100, TimePoints(), None, taper, ("hann",)).by_convolution(2000)


# -- long and short trials --------------------------------------------------------------------------

LONG = {
    "Morlet": Wavelet(RATE, TimePoints(), (3.0, 20.0, 90.0), "fourier", None),
    "Ricker": Wavelet(RATE, TimePoints(), (20.0, 90.0), "real", None, family="DOG", parameter=2.0),
    "uneven": Wavelet(RATE, TimePoints(0, (0, 5, 7, 9990, 20020)), (20.0, 90.0), "pow", None),
    "superlet": Superlet(RATE, TimePoints(), (30.0, 90.0), "pow", None, orders=(3.0, 5.5)),
    "windows": Mtmconvol(RATE, 100, TimePoints(), (4, 8), Taper("hann"), ("hann",), "fourier"),
}


@pytest.mark.parametrize("name", LONG)
def test_segments_of_long_trials_join_without_a_seam(name, monkeypatch):
    x = np.random.default_rng(5).standard_normal((2, 20_021, 3)).astype(np.float32)
    method = LONG[name]
    got = method.kernel(Part(20_021))(x)
    single = method.kernel(Part(20_021))(x[1:, :, 2:])
    np.testing.assert_array_equal(single[0, ..., 0], got[1, ..., 2])
    lengths = []

    def whole(length, reach, step=1):
        lengths.append(transform_length(length, reach, step))
        return 2 * length

    monkeypatch.setattr("rayspy.methods.spectral.banks.transform_length", whole)
    monkeypatch.setattr("rayspy.methods.spectral.banks._store", _Store(10**9))
    wanted = method.kernel(Part(20_021))(x)
    assert min(lengths) < 20_021
    np.testing.assert_allclose(got, wanted, atol=3e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 17])
@pytest.mark.parametrize(
    "settings",
    [
        {"method": "wavelet"},
        {"method": "wavelet", "foi": [0, 50], "output": "angle"},
        {"method": "wavelet", "wavelet": "DOG", "order": 9, "foi": [10], "output": "fourier"},
        {"method": "wavelet", "foi": [10], "toi": [0.0]},
        {"method": "superlet", "order_max": 11},
        {"method": "superlet", "order_max": 4, "adaptive": True, "foi": [50, 5.0], "output": "imag"},
        {"method": "mtmconvol", "t_ftimwin": 1 / RATE, "taper": None, "toi": 1},
        {"method": "mtmconvol", "t_ftimwin": 1 / RATE, "taper": None, "toi": [0.0]},
        {"method": "welch", "t_ftimwin": 1 / RATE, "taper": None, "toi": 0.3},
    ],
    ids=str,
)
def test_very_short_and_silent_trials(n, settings):
    data = noise(2, n, 2)
    assert np.isfinite(analysed(data, **settings).data[()]).all()
    silent = spy.AnalogData(np.zeros((n, 1)), samplerate=RATE)
    assert (analysed(silent, **settings).data[()] == 0).all()


def test_filters_that_are_too_large_are_made_anew(monkeypatch):
    x = np.random.default_rng(0).standard_normal((1, 300, 1))
    wanted = [LONG[name].kernel(Part(300))(x) for name in ("Morlet", "superlet")]
    for limit in (100, 6000):
        store = _Store(limit)
        monkeypatch.setattr("rayspy.methods.spectral.banks._store", store)
        for _ in range(2):
            got = [LONG[name].kernel(Part(300))(x) for name in ("Morlet", "superlet")]
            for a, b in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
        assert sum(bank.n_bytes for bank in store._banks.values()) <= limit


def test_filters_of_many_lengths_do_not_add_up(monkeypatch):
    """They were kept up to 96 MB, whatever memory there was: trials of 200 lengths took 130 MB for 36."""
    store = _Store(10**9)
    monkeypatch.setattr("rayspy.methods.spectral.banks._store", store)
    rng = np.random.default_rng(0)
    data = spy.AnalogData((rng.normal(size=(6000 + 300 * k, 1)) for k in range(10)), samplerate=1000)
    spy.freqanalysis(data, method="wavelet", foi=np.arange(2, 40, 2), toi="all", parallel=False)
    sizes = [bank.n_bytes for bank in store._banks.values()]
    assert 2 <= len(sizes) < 8
    assert sum(sizes) <= store.beside + max(sizes) <= 8 * 2**20
