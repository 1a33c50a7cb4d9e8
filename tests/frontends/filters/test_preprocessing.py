"""Filters and resampling against SciPy, MNE and closed forms; NaNs, pieces, memory, bookkeeping."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.executors.run import run_block
from rayspy.frontends.compute import plan_for, selected
from rayspy.kernels.filters.convolution import Response, reach
from rayspy.kernels.filters.design import kaiser_sinc
from rayspy.kernels.filters.resample import Interpolation, Polyphase, samples_for_rows
from rayspy.methods.base import Part
from rayspy.methods.filters.filters import Butterworth, Notch, Sinc
from rayspy.methods.filters.linefilter import LineFilter
from rayspy.methods.filters.preprocessing import Preprocessing
from rayspy.methods.filters.resample import Downsample, Resample
from tests.rows import convolved, resampled

RATE = 1000.0


def recording(n_samples, n_channels=2, seed=0, dtype=np.float32):
    """A random walk with noise on it and an offset."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n_samples, n_channels))
    return (50 + 0.1 * steps.cumsum(axis=0) + rng.standard_normal(steps.shape)).astype(dtype)


def one_trial(array):
    return spy.AnalogData(array, samplerate=RATE)


def sine(freq, n_samples, phase=0.3):
    return np.sin(2 * np.pi * freq * np.arange(n_samples) / RATE + phase)[:, np.newaxis]


def relative(got, wanted):
    return np.abs(got - wanted).max() / np.abs(wanted).max()


# -- against SciPy, trials and long recordings in pieces ---------------------------------------------------


@pytest.mark.parametrize("n_samples", [500, 9000, 150_000])
@pytest.mark.parametrize("direction", ["onepass", "twopass"])
@pytest.mark.parametrize(("kind", "freq"), [("lp", 30), ("hp", 2), ("bp", [20, 40]), ("bs", [45, 55])])
def test_butterworth_is_that_of_scipy(kind, freq, direction, n_samples):
    from scipy.signal import butter, sosfilt, sosfiltfilt

    x = recording(n_samples)
    names = {"lp": "lowpass", "hp": "highpass", "bp": "bandpass", "bs": "bandstop"}
    sos = butter(4, freq, names[kind], fs=RATE, output="sos")
    run = sosfiltfilt if direction == "twopass" else sosfilt
    wanted = run(sos, x.astype(float), axis=0)
    options = {"filter_type": kind, "freq": freq, "direction": direction}
    exact = spy.preprocessing(one_trial(x.astype(float)), **options).data[()]
    assert relative(exact, wanted) < 1e-7
    single = spy.preprocessing(one_trial(x), **options).data[()]
    assert np.abs(single - wanted).max() < 1e-6 * np.abs(x).max()


def test_every_line_has_its_own_bits_and_nans():
    array = recording(5 * 3000, 7)
    array[4000, 2] = np.nan
    starts = np.arange(5) * 3000
    trl = np.column_stack([starts, starts + 3000, starts * 0])
    data = spy.AnalogData(array, samplerate=RATE, trialdefinition=trl)
    for options in ({"freq": 60}, {"freq": 60, "filter_class": "firws", "order": 301}):
        wanted = spy.preprocessing(data, parallel=False, **options)
        for chan_per_worker in (1, 3):
            with spy.config.using(num_cpus=2, block_bytes=100_000):
                got = spy.preprocessing(data, chan_per_worker=chan_per_worker, **options)
            np.testing.assert_array_equal(got.data[()], wanted.data[()])
        alone = spy.preprocessing(data, select={"trials": [1], "channel": [3]}, **options)
        np.testing.assert_array_equal(alone.data[:, 0], wanted.trials[1][:, 3])
        whole = "filter_class" not in options
        assert np.isnan(wanted.trials[1][:, 2]).sum() == (3000 if whole else 605)
        assert np.isnan(wanted.data[()]).sum() == (3000 if whole else 605)


def taps_by_scipy(kind, freqs, order):
    """Low-passes of `scipy.signal.firwin`, added up."""
    from scipy.signal import firwin

    low, high = (firwin(order + 1, f, window="hamming", fs=RATE) for f in (freqs[0], freqs[-1]))
    delta = np.zeros(order + 1)
    delta[order // 2] = 1
    return {"lp": low, "hp": delta - low, "bp": high - low, "bs": low + delta - high}[kind]


ADDED = {
    "odd": {"mode": "reflect", "reflect_type": "odd"}, "even": {"mode": "reflect"}, "edge": {"mode": "edge"},
}  # fmt: skip


def padded(x, padtype, n):
    """n samples more at either end, and what was taken out before: a constant or a line."""
    x, level = x.astype(float), np.zeros((len(x), x.shape[1]))
    if padtype == "mean":
        level = level + x.mean(axis=0)
    if padtype == "line":
        level = np.linspace(x[0], x[-1], len(x))
    return np.pad(x - level, ((n, n), (0, 0)), **ADDED.get(padtype, {"mode": "constant"})), level


def filtered_by_hand(x, taps, padtype, passes):
    from scipy.signal import oaconvolve

    half = len(taps) // 2
    y, level = padded(x, padtype, passes * half if padtype in ADDED else 0)
    for _ in range(passes):
        y = oaconvolve(y, taps[:, None], axes=0)
        y = y[2 * half : len(y) - 2 * half] if padtype in ADDED else y[half : len(y) - half]
    return y + level * taps.sum() ** passes


@pytest.mark.parametrize("n_samples", [300, 900, 6000, 150_000])
@pytest.mark.parametrize("direction", ["onepass", "twopass"])
@pytest.mark.parametrize(("kind", "freq"), [("lp", 30), ("hp", 20), ("bp", [20, 40]), ("bs", [45, 55])])
def test_windowed_sinc_is_a_convolution(kind, freq, direction, n_samples):
    x = recording(n_samples)
    taps = taps_by_scipy(kind, np.atleast_1d(freq), 500)
    settings_ = {"filter_class": "firws", "filter_type": kind, "freq": freq, "order": 500}
    wanted = filtered_by_hand(x, taps, "constant", 1 if direction == "onepass" else 2)
    got = spy.preprocessing(one_trial(x), direction=direction, padtype="constant", **settings_)
    assert relative(got.data[()], wanted) < 1e-6


@pytest.mark.parametrize("n_samples", [1, 2, 300, 900, 150_000])
@pytest.mark.parametrize("direction", ["onepass", "twopass"])
@pytest.mark.parametrize("padtype", ["mean", "line", "odd", "even", "edge"])
def test_what_a_windowed_sinc_finds_beyond_the_ends(padtype, direction, n_samples):
    x = recording(n_samples) + np.linspace(0, 100, n_samples, dtype=np.float32)[:, np.newaxis]
    for kind, freq in (("lp", 30), ("hp", 20)):
        taps = taps_by_scipy(kind, [freq], 500)
        wanted = filtered_by_hand(x, taps, padtype, 1 if direction == "onepass" else 2)
        settings_ = {"filter_type": kind, "freq": freq, "order": 500, "padtype": padtype}
        got = spy.preprocessing(one_trial(x), filter_class="firws", direction=direction, **settings_)
        # The mean of a long trial is that of its piece at either end.
        rows = slice(500, -500) if padtype == "mean" and n_samples > 65536 else slice(None)
        level = max(np.abs(x).max(), np.abs(padded(x, padtype, 500)[0]).max())
        assert np.abs(got.data[()] - wanted)[rows].max() < 1e-6 * level


@pytest.mark.parametrize("n_samples", [500, 150_000])
def test_minimum_phase_is_causal_and_has_the_same_magnitude(n_samples):
    from scipy.signal import oaconvolve

    x = recording(n_samples)
    low = Sinc("lp", (0.03,), 200, "hann", "onepass-minphase")
    taps, linear = low.response.taps, Sinc("lp", (0.03,), 200, "hann", "onepass").response.taps
    np.testing.assert_allclose(np.abs(np.fft.rfft(taps, 4096)), np.abs(np.fft.rfft(linear, 4096)), atol=1e-4)
    assert np.argmax(np.abs(taps)) < np.argmax(np.abs(linear)) / 2
    settings_ = {
        "filter_class": "firws", "freq": 30, "order": 200, "window": "hann", "direction": "onepass-minphase",
    }  # fmt: skip
    for padtype in ("constant", "mean", "odd", "even", "edge"):
        got = spy.preprocessing(one_trial(x), padtype=padtype, **settings_).data[()]
        y, level = padded(x, padtype, 200)
        wanted = oaconvolve(y, taps[:, None], axes=0)[200 : 200 + n_samples] + level * taps.sum()
        rows = slice(200 if padtype == "mean" and n_samples > 65536 else 0, None)
        assert relative(got[rows], wanted[rows]) < 1e-6
    ramp = np.arange(-200.0, n_samples)[:, np.newaxis]
    wanted = oaconvolve(ramp, taps[:, None], axes=0)[200 : 200 + n_samples]
    got = spy.preprocessing(one_trial(ramp[200:]), padtype="line", **settings_).data[()]
    assert relative(got, wanted) < 1e-6
    impulse = np.zeros((400, 1), np.float32)
    impulse[200] = 1
    response = spy.preprocessing(
        one_trial(impulse), filter_class="firws", freq=30, order=100, direction="onepass-minphase",
        padtype="constant",
    ).data[()]  # fmt: skip
    assert np.abs(response[:200]).max() < 1e-7


@pytest.mark.parametrize("n_samples", [1500, 150_000])
@pytest.mark.parametrize(
    ("rate", "up", "down"),
    [(300.0, 3, 10), (333.0, 333, 1000), (250.0, 1, 4), (999.0, 999, 1000), (80.3, 803, 10000)],
)
def test_resampling_is_that_of_scipy(rate, up, down, n_samples):
    from scipy.signal import firwin, resample_poly

    spy.set_loglevel("ERROR")
    x, order = recording(n_samples), max(1000, 4 * up)
    got = spy.resampledata(one_trial(x), resamplefs=rate, order=order, padtype="constant")
    taps = firwin(order + 1, rate / 1000 / up, window="hamming")
    wanted = resample_poly(x.astype(float), up, down, axis=0, window=taps)
    assert got.data.shape == (-(-n_samples * up // down), 2)
    assert relative(got.data[()], wanted) < 1e-6
    wide = spy.resampledata(one_trial(x.astype(float)), resamplefs=rate, order=order, padtype="constant")
    assert wide.data.dtype == np.float64
    assert relative(wide.data[()], wanted) < 1e-12


@pytest.mark.parametrize("n_samples", [2, 40, 1500, 150_000])
@pytest.mark.parametrize(("rate", "up", "down", "order"), [(300.0, 3, 10, 500), (370.0, 37, 100, 1200)])
@pytest.mark.parametrize("padtype", ["mean", "line", "odd", "even", "edge"])
def test_what_resampling_finds_beyond_the_ends(padtype, rate, up, down, order, n_samples):
    from scipy.signal import firwin, resample_poly

    x = recording(n_samples, dtype=np.float64)
    taps = firwin(order + 1, rate / 1000 / up, window="hamming")
    y, _ = padded(x, padtype, 10 * down)
    rows = -(-n_samples * up // down)
    wanted = resample_poly(y, up, down, axis=0, window=taps)[10 * up : 10 * up + rows]
    if padtype == "line":
        slope = (x[-1] - x[0]) / (n_samples - 1)
        wanted = wanted + x[0] + slope * np.arange(rows)[:, np.newaxis] * down / up
    if padtype == "mean":
        wanted = wanted + x.mean(axis=0)
    got = spy.resampledata(one_trial(x), resamplefs=rate, order=order, padtype=padtype).data[()]
    if n_samples > 65536 and padtype == "mean":  # of the piece at either end; a short filter tells
        np.testing.assert_allclose(got[600:-600], wanted[600:-600], atol=2e-3 * np.abs(x).max())
    else:
        np.testing.assert_allclose(got, wanted, atol=1e-12 * np.abs(y).max())


RATES = [
    (999.9, 500.0), (2048.01, 512.0), (512.1, 256.0), (1017.2526, 1000.0), (1000.0, 333.0), (1000.0, 300.0),
    (30_000.0, 1000.0), (1000.0, 999.0), (999.9999999999993, 500.0), (2000.0, 1000 / 3), (30_000.0, 377.7),
]  # fmt: skip


@pytest.mark.parametrize(("rate", "new"), RATES)
def test_cosines_stay_or_go_at_any_ratio(rate, new):
    n = int(600 * rate / new)
    t = -0.2 + np.arange(n) / rate
    kept, gone = np.array([0, 0.2, 0.5, 0.8, 0.9]), np.array([1.1, 1.12, 1.3, 1.9, 2.1, 3.3])
    freqs = np.concatenate([kept, gone[gone * new < rate]]) * new / 2
    data = spy.AnalogData(np.cos(2 * np.pi * np.outer(t, freqs) + 0.3), samplerate=rate)
    data.definetrial(np.array([[0, n, -0.2 * rate]]))
    got = spy.resampledata(data, resamplefs=new, parallel=False)
    assert got.samplerate == new
    times, middle = got.time[0], slice(150, 450)
    np.testing.assert_allclose(times, t[0] + np.arange(len(times)) / new, atol=1e-12)
    wanted = np.cos(2 * np.pi * np.outer(times, freqs[:5]) + 0.3)
    np.testing.assert_allclose(got.data[middle, :5], wanted[middle], atol=1e-3)
    assert np.abs(got.data[middle, 5:]).max(initial=0) < 1e-3


@pytest.mark.parametrize("lpfreq", [40.0, 100.0])
@pytest.mark.parametrize("method", ["resample", "downsample"])
def test_the_default_filter_follows_from_its_cutoff(method, lpfreq):
    freqs = np.array([0.5, 0.9, 1.1, 2.4]) * lpfreq
    x = np.cos(2 * np.pi * np.outer(np.arange(2000) / RATE, freqs))
    got = spy.resampledata(one_trial(x), resamplefs=250, method=method, lpfreq=lpfreq)
    wanted = np.cos(2 * np.pi * np.outer(np.arange(500) / 250, freqs)) * [1, 1, 0, 0]
    np.testing.assert_allclose(got.data[150:-150], wanted[150:-150], atol=1e-3)


@pytest.mark.parametrize("new", [300.0, 333.0, 777.7, 400.0])
def test_events_stay_at_their_times(new):
    """Gaussians at 200 ms in trials whose first samples fall between new samples."""
    rate = 1017.2526
    offsets = np.array([-203, -200, 17])
    t = (np.arange(600) + offsets[:, np.newaxis]) / rate
    data = spy.AnalogData(np.exp(-0.5 * ((t - 0.2) / 0.012) ** 2).reshape(-1, 1), samplerate=rate)
    starts = 600 * np.arange(3)
    data.definetrial(np.column_stack([starts, starts + 600, offsets]))
    got = spy.resampledata(data, resamplefs=new, padtype="edge")
    for k in range(3):
        assert got.time[k][0] == pytest.approx(t[k, 0], abs=1e-12)
        np.testing.assert_allclose(
            got.trials[k][:, 0], np.exp(-0.5 * ((got.time[k] - 0.2) / 0.012) ** 2), atol=5e-4
        )
    again = spy.selectdata(got, latency=[0.1, 0.3])
    for k in range(3):
        assert 0.1 - 1e-9 <= again.time[k][0] < 0.1 + 1 / new
        assert again.trials[k].max() > 0.95


def test_rates_within_rounding_of_a_small_ratio_are_those_of_the_data():
    x = recording(1500)
    exact = spy.resampledata(spy.AnalogData(x, samplerate=1200.0), resamplefs=400)
    for method in ("resample", "downsample"):
        got = spy.resampledata(
            spy.AnalogData(x, samplerate=1200.000048), resamplefs=400, method=method, parallel=False
        )
        assert got.samplerate == pytest.approx(400.000016, rel=1e-12)
        wanted = exact.data[()] if method == "resample" else x[::3]
        np.testing.assert_allclose(got.data[()], wanted, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 300), st.sampled_from([(37, 100), (501, 1000), (999_983, 1_500_007), (1, 700)]), st.data()
)
def test_rows_of_interpolated_lines(n, ratio, more):
    """From all samples or only those that are needed, and with coefficients evaluated one by one."""
    factor = Interpolation(*ratio, 0.4 * ratio[0] / ratio[1])
    x = recording(n, 2, n, np.float64).T[np.newaxis]
    rows = -(-n * ratio[0] // ratio[1])
    at, half = np.arange(rows)[:, np.newaxis] * ratio[1] / ratio[0], factor.half
    samples = np.floor(at).astype(int) + np.arange(1 - half, half + 1)
    taps = kaiser_sinc(at - samples, factor.cutoff, half)
    taps /= taps.sum(axis=1, keepdims=True)
    padded_x = np.pad(x, ((0, 0), (0, 0), (2 * half, 2 * half)))
    wanted = (padded_x[..., samples + 2 * half] * taps).sum(axis=-1)
    first = more.draw(st.integers(0, rows - 1))
    stop = more.draw(st.integers(first + 1, rows))
    low, high = samples_for_rows(factor, n, first, stop)
    got = resampled(x[..., low:high], factor, low, first, stop)
    np.testing.assert_allclose(got, wanted[..., first:stop], atol=1e-12 * np.abs(x).max())
    np.testing.assert_array_equal(got, resampled(x, factor, 0, 0, rows)[..., first:stop])


CONSTANT = [
    lambda d: spy.preprocessing(d, filter_class="firws", freq=30, order=100),
    lambda d: spy.preprocessing(d, filter_class="firws", freq=[20, 60], filter_type="bs"),
    lambda d: spy.preprocessing(d, filter_class="firws", freq=30, order=80, direction="onepass-minphase"),
    lambda d: spy.resampledata(d, resamplefs=300),
    lambda d: spy.resampledata(d, resamplefs=741.3),
    lambda d: spy.resampledata(d, resamplefs=250, method="downsample", lpfreq=90),
    lambda d: spy.preprocessing(d, freq=30),
    lambda d: spy.notchfilter(d, freq=50),
    lambda d: spy.linefilter(d, freq=50),
]
NOTHING = [
    lambda d: spy.preprocessing(d, filter_class="firws", freq=30, filter_type="hp", order=100),
    lambda d: spy.preprocessing(d, filter_class="firws", freq=[20, 60], filter_type="bp"),
    lambda d: spy.preprocessing(d, freq=[20, 60], filter_type="bp"),
    lambda d: spy.preprocessing(d, filter_class="firws", freq=30, polyremoval=0),
]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.integers(100, 700), st.floats(-1e5, 1e5), st.integers(-40, 30))
def test_a_constant_stays_itself_or_changes_nothing(which, n_samples, level, scale):
    run, gain = [*((run, 1) for run in CONSTANT), *((run, 0) for run in NOTHING)][which]
    spy.set_loglevel("ERROR")
    x = recording(n_samples, 2, n_samples, np.float64) - 50
    plain, shifted = (run(one_trial(some * 2.0**scale)).data[()].astype(float) for some in (x, x + level))
    tolerance = 2.0**scale * (1e-5 * np.abs(x).max() + 1e-6 * abs(level))
    np.testing.assert_allclose(shifted, plain + gain * level * 2.0**scale, rtol=0, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(1, 12), st.integers(1, 12), st.integers(1, 400), st.data())
def test_rows_of_resampled_lines(n, up, more_down, half, more):
    """By transforms and by sums, from all samples or only those that are needed."""
    from scipy.signal import resample_poly

    common = int(np.gcd(up, up + more_down))
    up, down = up // common, (up + more_down) // common
    taps = np.hamming(2 * half + 1)
    factor = Polyphase(up, down, taps * up / taps.sum())
    x = recording(n, 2, n, np.float64).T[np.newaxis]
    wanted = resample_poly(x, up, down, axis=-1, window=factor.taps / up)
    rows = wanted.shape[2]
    first = more.draw(st.integers(0, rows - 1))
    stop = more.draw(st.integers(first + 1, rows))
    low, high = samples_for_rows(factor, n, first, stop)
    got = resampled(x[..., low:high], factor, low, first, stop)
    np.testing.assert_allclose(got, wanted[..., first:stop], atol=1e-10 * np.abs(x).max())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 120), st.booleans(), st.data())
def test_rows_of_convolved_lines(n, n_taps, causal, more):
    rng = np.random.default_rng(n)
    response = Response(rng.standard_normal(n_taps), 0 if causal else n_taps // 2)
    x = recording(n, 2, n, np.float64).T[np.newaxis]
    wanted = np.stack([np.convolve(line, response.taps)[response.lead :][:n] for line in x[0]])
    first = more.draw(st.integers(0, n - 1))
    stop = more.draw(st.integers(first + 1, n))
    low, high = reach(response, 1, n, first, stop)
    got = convolved(x[..., low:high], response, low, first, stop)[0]
    np.testing.assert_allclose(got, wanted[:, first:stop], atol=1e-10 * np.abs(x).max() * n_taps)


def test_hilbert_zscore_and_trend_of_a_long_recording():
    from scipy.signal import detrend, hilbert
    from scipy.stats import zscore

    x = recording(100_000)
    wide = x.astype(float)
    cases = [
        ({"zscore": True}, zscore(wide)),
        ({"polyremoval": 1}, detrend(wide, axis=0)),
        ({"polyremoval": 1, "hilbert": "abs"}, np.abs(hilbert(detrend(wide, axis=0), axis=0))),
        (
            {"filter_class": "firws", "freq": 100, "hilbert": "imag"},
            hilbert(spy.preprocessing(one_trial(x), filter_class="firws", freq=100).data[()], axis=0).imag,
        ),
    ]
    for settings_, wanted in cases:
        got = spy.preprocessing(one_trial(x), **{"filter_class": None, **settings_}).data[()]
        assert relative(got, wanted) < 5e-6


# -- closed forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("freq", [5, 20, 30, 40, 80])
@pytest.mark.parametrize("direction", ["onepass", "twopass"])
def test_a_sine_comes_out_with_the_gain_of_the_butterworth_formula(freq, direction):
    """|H|^2 = 1 / (1 + (tan(pi f) / tan(pi fc))^(2 n)) for a low-pass by the bilinear transform."""
    n = 4000
    warped = np.tan(np.pi * freq / RATE) / np.tan(np.pi * 30 / RATE)
    gain = 1 / np.sqrt(1 + warped**8)
    got = spy.preprocessing(one_trial(sine(freq, n)), freq=30, direction=direction).data[1500:2500, 0]
    if direction == "twopass":
        np.testing.assert_allclose(got, gain**2 * sine(freq, n)[1500:2500, 0], atol=1e-5)
    else:
        assert np.abs(got).max() == pytest.approx(gain, abs=2e-3)


def test_a_sine_keeps_its_place_and_size_when_resampled():
    x = sine(20, 3000)
    got = spy.resampledata(one_trial(x), resamplefs=300)
    wanted = np.sin(2 * np.pi * 20 * np.arange(900) / 300 + 0.3)
    np.testing.assert_allclose(got.data[200:-200, 0], wanted[200:-200], atol=3e-3)
    above = spy.resampledata(one_trial(sine(230, 3000)), resamplefs=300)
    assert np.abs(above.data[200:-200]).max() < 3e-3


def test_the_envelope_of_a_modulated_sine():
    t = np.arange(5000) / RATE
    envelope = 1 + 0.5 * np.cos(2 * np.pi * 2 * t)
    x = (envelope * np.sin(2 * np.pi * 100 * t))[:, np.newaxis]
    got = spy.preprocessing(one_trial(x), filter_class=None, polyremoval=0, hilbert="abs").data[:, 0]
    np.testing.assert_allclose(got, envelope, atol=1e-5)
    phase = spy.preprocessing(one_trial(x), filter_class=None, polyremoval=0, hilbert="angle").data[:, 0]
    difference = np.angle(np.exp(1j * (phase - (2 * np.pi * 100 * t - np.pi / 2))))
    assert np.abs(difference).max() < 1e-4


def test_a_large_offset_does_not_cost_precision():
    noise = recording(5000) - 50
    for settings_ in ({"filter_type": "hp", "freq": 20}, {"filter_type": "bp", "freq": [20, 40]}):
        plain = spy.preprocessing(one_trial(noise), filter_class="firws", **settings_).data[1500:-1500]
        shifted = spy.preprocessing(one_trial(noise + 4096), filter_class="firws", **settings_).data[
            1500:-1500
        ]
        exact = spy.preprocessing(
            one_trial((noise + 4096).astype(float)), filter_class="firws", **settings_
        ).data[1500:-1500]
        assert np.abs(shifted - exact).max() < 1e-5 * np.abs(plain).max()


# -- line noise -------------------------------------------------------------------------------------------


def test_notch_is_that_of_scipy():
    from scipy.signal import iirnotch, sosfiltfilt, tf2sos

    x = recording(4000)
    sos = np.concatenate([tf2sos(*iirnotch(f, f / 3, fs=RATE)) for f in (60, 120, 180)])
    got = spy.notchfilter(one_trial(x), freq=60, n_harmonics=3, width=3).data[()]
    assert relative(got, sosfiltfilt(sos, x.astype(float), axis=0)) < 1e-7


@pytest.mark.parametrize("run", [spy.notchfilter, spy.linefilter])
def test_line_noise_goes_and_the_rest_stays(run):
    n = 20_000
    line = 5 * sine(50, n) + 2 * sine(150, n, 1.0)
    signal = recording(n, 1, dtype=np.float64) - 50
    got = run(one_trial(signal + line), freq=50, n_harmonics=3).data[3000:-3000]
    alone = run(one_trial(signal), freq=50, n_harmonics=3).data[3000:-3000]
    assert np.abs(got - alone).max() < 1e-4
    lost = alone - signal[3000:-3000]
    assert np.square(lost).sum() < 0.02 * np.square(signal[3000:-3000] - signal.mean()).sum()


@pytest.mark.parametrize("n_samples", [150, 2000, 7777])
def test_line_filter_removes_sinusoids_to_the_last_sample(n_samples):
    line = 7 + 3 * sine(50.3, n_samples) + sine(100.6, n_samples, 2.0)
    got = spy.linefilter(one_trial(line), freq=50.3, n_harmonics=4, window=0.73).data[()]
    np.testing.assert_allclose(got, 7, atol=1e-5)


def test_line_filter_leaves_other_frequencies_alone():
    other = sine(20, 4000) + sine(77, 4000)
    got = spy.linefilter(one_trial(other), freq=50, window=1.0).data[()]
    np.testing.assert_allclose(got, other, atol=2e-3)


def test_line_filter_follows_a_change_of_amplitude():
    t = np.arange(20_000) / RATE
    line = ((1 + 0.2 * np.sin(2 * np.pi * 0.05 * t)) * np.sin(2 * np.pi * 50 * t))[:, np.newaxis]
    got = spy.linefilter(one_trial(line), freq=50, n_harmonics=1, window=1.0).data[()]
    assert np.abs(got).max() < 0.05


def test_against_mne():
    mne = pytest.importorskip("mne")
    x = recording(10_000, dtype=np.float64) - 50
    lines = np.ascontiguousarray(x.T)
    iir = mne.filter.create_filter(
        None, RATE, 20, 40, method="iir", iir_params={"order": 4, "ftype": "butter"}, verbose=False
    )
    wanted = mne.filter.filter_data(lines, RATE, 20, 40, method="iir", iir_params=iir, verbose=False).T
    got = spy.preprocessing(one_trial(x), filter_type="bp", freq=[20, 40]).data[()]
    assert relative(got[1000:-1000], wanted[1000:-1000]) < 1e-4
    wanted = mne.filter.resample(lines, 1.0, 4.0, method="polyphase", verbose=False).T
    got = spy.resampledata(one_trial(x), resamplefs=250).data[()]
    assert relative(got[200:-200], wanted[200:-200]) < 0.05
    noisy = lines + 5 * sine(50, 10_000).T
    wanted = mne.filter.notch_filter(
        noisy, RATE, 50, method="spectrum_fit", filter_length="2s", verbose=False
    ).T
    got = spy.linefilter(one_trial(noisy.T), freq=50, n_harmonics=1).data[()]
    assert relative(got[1000:-1000], wanted[1000:-1000]) < 0.05


# -- NaNs -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holey():
    array = recording(5 * 400, 3)
    array[400 + 100, 1] = np.nan
    array[3 * 400 + 399, 2] = np.nan
    starts = np.arange(5) * 400
    trl = np.column_stack([starts, starts + 400, starts * 0])
    return spy.AnalogData(array, samplerate=RATE, trialdefinition=trl)


def nan_rows(data, trial, channel):
    return np.flatnonzero(np.isnan(data.trials[trial][:, channel]))


@pytest.mark.parametrize("n", [1, 2])
def test_trials_with_nan_are_told(holey, n, caplog):
    with spy.config.using(num_cpus=n, block_bytes=3000), caplog.at_level("WARNING", logger="rayspy"):
        done = spy.preprocessing(holey, freq=30)
        assert "nan_trials" in caplog.text
        assert done.info["nan_trials"] == [1, 3]
        some = spy.preprocessing(holey, freq=30, select={"trials": [4, 3, 3], "channel": [2]})
        assert some.info["nan_trials"] == [3]
        assert spy.preprocessing(holey, freq=30, select={"channel": [0]}).info["nan_trials"] == []
        assert spy.linefilter(holey, freq=50).info["nan_trials"] == [1, 3]


def test_nan_spreads_as_far_as_the_filter(holey):
    clean = spy.AnalogData(
        np.nan_to_num(holey.data[()]), samplerate=RATE, trialdefinition=holey.trialdefinition
    )
    fir = {"filter_class": "firws", "freq": 30, "order": 40}
    expected = {
        "onepass": range(80, 121),
        "twopass": range(60, 141),
        "onepass-minphase": range(100, 141),
    }
    for direction, rows in expected.items():
        done = spy.preprocessing(holey, direction=direction, **fir)
        np.testing.assert_array_equal(nan_rows(done, 1, 1), rows)
        np.testing.assert_array_equal(
            done.trials[1][:, [0, 2]],
            spy.preprocessing(clean, direction=direction, **fir).trials[1][:, [0, 2]],
        )
    both = spy.preprocessing(holey, freq=30)
    np.testing.assert_array_equal(nan_rows(both, 1, 1), range(400))
    once = spy.preprocessing(holey, freq=30, direction="onepass")
    np.testing.assert_array_equal(nan_rows(once, 1, 1), range(100, 400))
    for done in (both, once):
        assert np.isfinite(done.trials[1][:, [0, 2]]).all()
        assert np.isfinite(done.trials[0]).all()


def test_nan_in_resampled_data(holey):
    done = spy.resampledata(holey, resamplefs=300, order=60)
    rows = [k for k in range(120) if abs(k * 10 - 100 * 3) <= 30]
    np.testing.assert_array_equal(nan_rows(done, 1, 1), rows)
    done = spy.resampledata(holey, resamplefs=300, order=198)
    rows = [k for k in range(120) if abs(k * 10 - 100 * 3) <= 99]
    np.testing.assert_array_equal(nan_rows(done, 1, 1), rows)


# -- bookkeeping ------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=40),
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(-50, 50),
)
def test_resampled_trials_lie_one_after_the_other(lengths, up, down, offset):
    up, down = min(up, down), max(up, down)
    stops = np.cumsum(lengths) + 3 * np.arange(1, len(lengths) + 1)
    trl = np.column_stack([stops - lengths, stops, np.full(len(lengths), offset), np.arange(len(lengths))])
    array = np.arange(stops[-1], dtype=np.float64)[:, np.newaxis]
    data = spy.AnalogData(array, samplerate=600.0, trialdefinition=trl)
    spy.set_loglevel("ERROR")
    if 600 * up / down < 1:
        return
    done = spy.resampledata(data, resamplefs=600 * up / down, parallel=False)
    new = done.trialdefinition
    np.testing.assert_array_equal(new[:, 1] - new[:, 0], [-(-n * up // down) for n in lengths])
    assert new[0, 0] == 0
    np.testing.assert_array_equal(new[1:, 0], new[:-1, 1])
    assert new[-1, 1] == done.data.shape[0]
    np.testing.assert_allclose(new[:, 2], offset * up / down, rtol=1e-12)
    np.testing.assert_array_equal(new[:, 3], np.arange(len(lengths)))


def test_thousands_of_trials_at_an_odd_ratio():
    lengths = 50 + np.arange(5000) % 7
    stops = np.cumsum(lengths)
    array = np.repeat(np.arange(5000), lengths).astype(np.float32)[:, np.newaxis]
    trl = np.column_stack([stops - lengths, stops, stops * 0 - 30])
    data = spy.AnalogData(array, samplerate=RATE, trialdefinition=trl)
    spy.set_loglevel("ERROR")
    done = spy.resampledata(data, resamplefs=80.3)
    picked = spy.resampledata(data, resamplefs=200, method="downsample")
    for k in (0, 1, 777, 4999):
        assert (picked.trials[k] == k).all()
        assert len(done.trials[k]) == -(-lengths[k] * 803 // 10000)
    assert done.trialdefinition[-1, 1] == done.data.shape[0]


def test_whole_numbers():
    array = (recording(3000) * 10).astype(np.int16)
    data = one_trial(array)
    np.testing.assert_array_equal(
        spy.resampledata(data, resamplefs=100, method="downsample").data[()], array[::10]
    )
    assert spy.resampledata(data, resamplefs=100, method="downsample").data.dtype == np.int16
    real = one_trial(array.astype(np.float32))
    for run in (
        lambda d: spy.resampledata(d, resamplefs=300),
        lambda d: spy.resampledata(d, resamplefs=100, method="downsample", lpfreq=40),
        lambda d: spy.preprocessing(d, freq=[20, 40], filter_type="bp"),
        lambda d: spy.preprocessing(d, freq=20, filter_class="firws"),
    ):
        got = run(data).data[()]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, run(real).data[()])


@pytest.mark.parametrize("dtype", ["i1", "u1", "u2", "i4", "i8", "f2", "f8"])
def test_types_of_numbers(dtype):
    array = (np.abs(recording(600)) + 3).astype(dtype)
    for settings_ in ({}, {"direction": "onepass"}, {"zscore": True}, {"hilbert": "abs"}):
        got = spy.preprocessing(one_trial(array), freq=60, parallel=False, **settings_).data[()]
        wanted = spy.preprocessing(one_trial(array.astype(float)), freq=60, parallel=False, **settings_)
        assert relative(got, wanted.data[()]) < 2e-6


# -- properties -------------------------------------------------------------------------------------------

FILTERS = st.sampled_from(
    [
        {"filter_type": "bp", "freq": [20, 40]},
        {"filter_type": "lp", "freq": 100, "direction": "onepass"},
        {"filter_class": "firws", "filter_type": "hp", "freq": 30, "order": 60},
        {"filter_class": "firws", "freq": 30, "order": 300, "direction": "onepass-minphase"},
    ]
)


@settings(max_examples=20, deadline=None)
@given(FILTERS, st.integers(100, 700), st.floats(-3, 3), st.integers(0, 10**6))
def test_filters_are_linear(filter_, n_samples, factor, seed):
    a, b = recording(n_samples, 1, seed, np.float64), recording(n_samples, 1, seed + 1, np.float64)

    def run(x):
        return spy.preprocessing(one_trial(x), parallel=False, **filter_).data[()].astype(float)

    scale = np.abs(a).max() + 3 * np.abs(b).max()
    assert np.abs(run(a + factor * b) - run(a) - factor * run(b)).max() < 1e-6 * scale


@settings(max_examples=20, deadline=None)
@given(st.integers(200, 900), st.integers(0, 10**6))
def test_zero_phase_filters_commute_with_time_reversal(n_samples, seed):
    x = recording(n_samples, 1, seed, np.float64)
    for filter_ in (
        {"filter_class": "firws", "filter_type": "bp", "freq": [20, 40], "order": 100},
        {"filter_class": "firws", "freq": 60, "order": 200, "direction": "onepass"},
    ):
        forth = spy.preprocessing(one_trial(x), parallel=False, **filter_).data[()]
        back = spy.preprocessing(one_trial(x[::-1].copy()), parallel=False, **filter_).data[()]
        np.testing.assert_allclose(back[::-1], forth, atol=1e-5 * np.abs(x).max())


# -- pieces and memory ------------------------------------------------------------------------------------

NAMES = ["but", "firws", "notch", "line", "resample", "downsample", "odd", "line-padding", "interpolation"]
PIECEWISE = [
    lambda d, **k: spy.preprocessing(d, freq=[20, 40], filter_type="bp", **k),
    lambda d, **k: spy.preprocessing(d, freq=[20, 40], filter_type="bp", filter_class="firws", **k),
    lambda d, **k: spy.notchfilter(d, freq=50, n_harmonics=2, **k),
    lambda d, **k: spy.linefilter(d, freq=50, n_harmonics=2, window=1.003, **k),
    lambda d, **k: spy.resampledata(d, resamplefs=300, **k),
    lambda d, **k: spy.resampledata(d, resamplefs=250, method="downsample", lpfreq=90, **k),
    lambda d, **k: spy.preprocessing(d, freq=30, filter_class="firws", padtype="odd", **k),
    lambda d, **k: spy.resampledata(d, resamplefs=300, padtype="line", **k),
    lambda d, **k: spy.resampledata(d, resamplefs=983.0123, **k),
]


@pytest.mark.parametrize(
    "run",
    PIECEWISE,
    ids=["but", "firws", "notch", "line", "resample", "downsample", "odd", "line-padding", "interpolation"],
)
def test_the_same_bits_however_a_long_recording_is_cut(run):
    rows = 130_000
    trl = np.array([[100, rows, -7], [5, 400, 0]])
    data = spy.AnalogData(recording(rows, 3), samplerate=RATE, trialdefinition=trl)
    with spy.config.using(block_bytes=10**9):
        wanted = run(data, parallel=False).data[()]
    assert np.isfinite(wanted).all()
    for block_bytes, chan_per_worker in ((300_000, None), (300_000, 2), (2_000_000, 1)):
        with spy.config.using(block_bytes=block_bytes, num_cpus=2):
            np.testing.assert_array_equal(run(data, chan_per_worker=chan_per_worker).data[()], wanted)


def test_pieces_on_ray_from_memory_and_from_disk(local_ray, tmp_path):
    array = recording(130_000, 3)
    array.tofile(tmp_path / "long.dat")
    raw = spy.AnalogData(spy.raw_binary(tmp_path / "long.dat", "float32", 3), samplerate=RATE)
    for run in (PIECEWISE[1], PIECEWISE[4]):
        wanted = run(one_trial(array), parallel=False).data[()]
        with spy.config.using(block_bytes=400_000):
            for data in (one_trial(array), raw):
                np.testing.assert_array_equal(run(data, parallel=True).data[()], wanted)


@pytest.mark.parametrize("run", range(2))
def test_payloads_of_pieces(run):
    trl = np.array([[1000, 90_000, 0], [0, 300, 0], [90_010, 180_000, 0]])
    data = spy.AnalogData(recording(180_000, 2), samplerate=RATE, trialdefinition=trl)
    method = [METHODS[2], METHODS[8]][run]
    with spy.config.using(block_bytes=300_000):
        plan = plan_of(data, method)
    assert any(block.first_piece for block in plan.blocks)
    sent = plan.for_workers()
    for i in range(plan.n_blocks):
        np.testing.assert_array_equal(run_block(sent, i, plan.payload(i)).value, run_block(plan, i).value)


def plan_of(data, method, **options):
    return plan_for("preprocessing", data, method, selected(data, None), **options)


METHODS = [
    Preprocessing(Butterworth("bp", (0.02, 0.04), 4, True)),
    Preprocessing(Butterworth("hp", (0.02,), 4, False), rectify=True),
    Preprocessing(Sinc("bp", (0.02, 0.04), 1000, "hamming", "twopass")),
    Preprocessing(Sinc("lp", (0.02,), 1000, "hamming", "onepass-minphase", "odd")),
    Preprocessing(Butterworth("bp", (0.02, 0.04), 4, True), hilbert="complex", polyremoval=1, zscore=True),
    Preprocessing(None, polyremoval=1, zscore=True),
    Preprocessing(Notch((0.05, 0.1), 0.002, True)),
    LineFilter((0.05, 0.1), 1000),
    Resample(300.0, 3, 10, 0.15, 1000),
    Resample(333.0, 333, 1000, 0.1665, 1332, "edge"),
    Resample(333.0, 333, 1000, 0.1665),
    Resample(983.04, 5_000_000, 5_086_263, 0.49, padtype="odd"),
    Downsample(250.0, 4, Sinc("lp", (0.1,), 1000, "hamming", "twopass")),
    Downsample(250.0, 4),
]


@pytest.mark.parametrize(("n_trials", "n_samples", "n_channels"), [(40, 3000, 16), (1, 150_000, 40)])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_measured_memory_is_at_most_the_projected(method, holes, n_trials, n_samples, n_channels, tmp_path):
    array = (recording(n_trials * n_samples, n_channels) * 10).astype(np.float32 if holes else np.int16)
    if holes:
        array[::1000] = np.nan
    array.tofile(tmp_path / "x.dat")
    stops = np.arange(1, n_trials + 1) * n_samples
    raw = spy.raw_binary(tmp_path / "x.dat", array.dtype, n_channels, scale=None if holes else 0.1)
    data = spy.AnalogData(
        raw, samplerate=RATE, trialdefinition=np.column_stack([stops - n_samples, stops, stops * 0])
    )
    plan = plan_of(data, method)
    run_block(plan, 0)
    tracemalloc.start()
    try:
        for i in (0, plan.n_blocks // 2, plan.n_blocks - 1):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            run_block(plan, i)
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak <= plan.memory.per_worker + 500_000
    finally:
        tracemalloc.stop()
    assert plan.memory.per_worker < 400e6


def test_an_hour_of_128_channels_is_planned_in_pieces(tmp_path):
    """The raw file is sparse: nothing but the plan is made of it."""
    with (tmp_path / "hour.dat").open("wb") as file:
        file.truncate(3_600_000 * 128 * 2)
    raw = spy.raw_binary(tmp_path / "hour.dat", "int16", 128, scale=0.195)
    data = spy.AnalogData(raw, samplerate=RATE)
    for method in (*METHODS[:4], *METHODS[6:]):
        plan = plan_of(data, method)
        assert plan.n_blocks > 16
        assert all(block.stop_piece is not None for block in plan.blocks)
        assert plan.memory.per_worker < 200e6
    with spy.config.using(memory_budget="50MB"), pytest.raises(spy.errors.MemoryBudgetError):
        spy.preprocessing(data, filter_class=None, zscore=True)


def test_promised_shapes_are_those_of_the_kernels():
    data = one_trial(recording(2000))
    for method in METHODS:
        plan = plan_of(data, method)
        bound = plan.input_of
        with data.source.reader() as read:
            x = bound(read, plan.blocks[0]).trials(np.array([0]), 2000)
        result = method.kernel(Part(2000))(x)
        assert result.shape == (1, int(plan.output.rows[0]), 2)
        assert result.dtype == plan.output.dtype


def test_the_seed_call():
    data = spy.synthdata.white_noise(nTrials=5, nSamples=300, nChannels=2, samplerate=500, seed=1)
    done = spy.preprocessing(data, freq=[20, 40], filter_type="bp")
    assert done.data.shape == data.data.shape
    assert done.data.dtype == np.float32
    np.testing.assert_array_equal(done.trialdefinition, data.trialdefinition)
