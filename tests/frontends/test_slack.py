"""Limits and ratios have a relative tolerance: sampling rates in files are rounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.data.selection import bins_within
from rayspy.errors import InvalidValueError

ROUNDED = 999.9999999999993


def noise(rate, n=600):
    return spy.AnalogData(np.random.default_rng(0).standard_normal((n, 2)), samplerate=rate)


@pytest.mark.parametrize("error", [-9e-7, 9e-7])
@pytest.mark.parametrize(
    ("function", "settings_"),
    [
        ("freqanalysis", {"foi": [500]}),
        ("freqanalysis", {"foilim": [10, 500]}),
        ("freqanalysis", {"method": "wavelet", "foi": [20, 500]}),
        ("freqanalysis", {"pad": 0.6}),
        ("freqanalysis", {"method": "mtmconvol", "t_ftimwin": 0.6, "toi": 0.5}),
        ("preprocessing", {"filter_class": "firws", "freq": 500}),
        ("resampledata", {"resamplefs": 1000}),
        ("resampledata", {"resamplefs": 250, "method": "downsample", "lpfreq": 125}),
        ("selectdata", {"latency": [0, 0.599]}),
    ],
)
def test_nominal_limits_are_good_for_rounded_rates(function, settings_, error):
    run = getattr(spy, function)
    got = run(noise(1000 * (1 + error)), **settings_).data[()]
    wanted = run(noise(1000.0), **settings_).data[()]
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("error", [3e-6, 1e-3])
def test_what_is_more_than_rounding_is_refused(error):
    data = noise(1000 * (1 - error))
    for run, settings_ in (
        (spy.freqanalysis, {"foi": [500]}),
        (spy.preprocessing, {"filter_class": "firws", "freq": 500}),
        (spy.resampledata, {"resamplefs": 1000}),
        (spy.resampledata, {"resamplefs": 250, "method": "downsample"}),
    ):
        with pytest.raises(InvalidValueError):
            run(data, **settings_)


def test_values_beyond_a_limit_by_rounding_become_the_limit():
    spectra = spy.freqanalysis(noise(ROUNDED), foi=[500])
    assert spectra.freq[0] == pytest.approx(ROUNDED / 2, rel=1e-15)
    waves = spy.freqanalysis(noise(ROUNDED), method="wavelet", foi=[500])
    assert waves.freq[0] == ROUNDED / 2


@pytest.mark.parametrize("n", [600, 601, 7])
def test_nyquist_is_a_limit_of_every_spectrum(n):
    spectra = spy.freqanalysis(noise(1000.0, n), taper=None)
    assert len(spy.selectdata(spectra, frequency=[0, 500]).freq) == n // 2 + 1
    assert spy.selectdata(spectra, frequency=500).freq[0] == spectra.freq[-1]
    with pytest.raises(InvalidValueError, match="frequency"):
        spy.selectdata(spectra, frequency=[0, 500 + 1000 / n])


@settings(max_examples=50, deadline=None)
@given(st.integers(4, 10**6), st.floats(1e-6, 1e6), st.data())
def test_bins_of_a_closed_interval(n, rate, more):
    freq = np.fft.rfftfreq(min(n, 2000), 1 / rate) + more.draw(st.sampled_from([0.0, 0.0, rate]))
    k = more.draw(st.integers(0, len(freq) - 1))
    m = more.draw(st.integers(k, len(freq) - 1))
    error = more.draw(st.floats(-9e-7, 9e-7))
    step = (freq[1] - freq[0]) / 2
    if abs(error) * freq[m] < 0.9 * step:
        found = bins_within(freq, freq[k] * (1 + error), freq[m] * (1 + error))
        np.testing.assert_array_equal(found, np.arange(k, m + 1))
