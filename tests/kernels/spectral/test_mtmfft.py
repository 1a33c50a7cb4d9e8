"""The kernel against SciPy, closed forms and itself in other shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from rayspy.kernels.detrend import detrended, pairwise_sum
from rayspy.kernels.spectral.mtmfft import tapered_spectra
from rayspy.kernels.spectral.tapers import power_norm, slepian, window

RATE = 500.0


def spectra(x, name="hann", n_fft=None, options=None, **kwargs):
    n = x.shape[1]
    n_fft = n_fft or n
    taper = window(name, n, options or {})
    kind = "boxcar" if name == "boxcar" else "window"
    scaled = taper[None] * np.sqrt(power_norm(kind, taper.sum(), n, n_fft, False))
    return tapered_spectra(x, scaled, n_fft, slice(None), **kwargs)


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("n", [200, 251])
def test_power_is_that_of_scipys_periodogram(n):
    x = noise(3, n, 2, dtype=np.float64)
    got = spectra(x)[:, 0]
    _, density = signal.periodogram(x, RATE, window=signal.windows.hann(n), detrend="constant", axis=1)
    wanted = density * (RATE / n)
    wanted[:, 0] *= 2
    if n % 2 == 0:
        wanted[:, -1] *= 2
    # The Hann factor 4/3 stands for sum(w)^2-free scaling: exact up to the two end points.
    taper = signal.windows.hann(n)
    wanted *= (4 / 3) * (taper**2).sum() / taper.sum()
    np.testing.assert_allclose(got[:, 1:], wanted[:, 1:], rtol=2e-4, atol=1e-7 * wanted.max())


@pytest.mark.parametrize(("name", "factor"), [("boxcar", 1 / 2), ("hann", 1 / 3)])
def test_cosine_on_a_bin_has_the_power_of_the_closed_form(name, factor):
    n, amplitude, k = 1000, 3.0, 40
    x = amplitude * np.cos(2 * np.pi * k * np.arange(n) / n)
    power = spectra(x[None, :, None], name)[0, 0, :, 0]
    assert power.argmax() == k
    # A symmetric window of n samples is a periodic one of n - 1 samples.
    assert power[k] == pytest.approx(factor * amplitude**2, rel=3e-3 if name == "hann" else 1e-5)


def test_white_noise_has_power_2_variance_over_length():
    x = noise(400, 500, 4)
    tapers = slepian(500, 4.0, 7) * np.sqrt(2 / 500)
    power = tapered_spectra(x, tapers, 500, slice(None))
    assert power[:, 0, 5:-5].mean() == pytest.approx(2 / 500, rel=0.01)


def test_sum_over_bins_is_the_variance_with_ft_compat_padding():
    x = noise(50, 300, 2)
    for n_fft in (300, 512, 1200):
        norm = power_norm("boxcar", 300.0, 300, n_fft, True)
        power = tapered_spectra(x, np.ones((1, 300)) * np.sqrt(norm), n_fft, slice(None))
        assert power.sum(axis=2).mean() == pytest.approx(x.var(axis=1).mean(), rel=0.02)


def test_average_over_tapers_is_the_mean_of_the_single_ones():
    x = noise(3, 128, 2)
    tapers = slepian(128, 3.0, 5)
    single = tapered_spectra(x, tapers, 128, slice(None), keeptapers=True)
    mean = tapered_spectra(x, tapers, 128, slice(None))
    np.testing.assert_allclose(mean[:, 0], single.mean(axis=1), rtol=1e-5)


def test_outputs_belong_to_the_coefficients():
    x = noise(2, 100, 3)
    z = spectra(x, output="fourier").astype(np.complex128)
    wanted = {
        "pow": np.abs(z) ** 2, "abs": np.abs(z), "real": z.real, "imag": z.imag, "angle": np.angle(z),
        "absreal": np.abs(z.real), "absimag": np.abs(z.imag),
    }  # fmt: skip
    for output, values in wanted.items():
        got = spectra(x, output=output)
        assert got.dtype == np.float32
        tested = slice(1, None) if output == "angle" else slice(None)
        np.testing.assert_allclose(got[:, :, tested], values[:, :, tested], rtol=1e-4, atol=1e-6)


def test_coefficients_are_those_of_the_formula():
    x = noise(1, 60, 1, dtype=np.float64)
    w = window("hamming", 60, {})
    n, f = np.arange(60), np.arange(41)
    formula = (
        np.sqrt(2 * 4 / 3 / (60 * w.sum())) * (w * x[0, :, 0]) @ np.exp(-2j * np.pi * np.outer(n, f) / 80)
    )
    got = spectra(x, "hamming", n_fft=80, output="fourier", polyremoval=None)[0, 0, :, 0]
    np.testing.assert_allclose(got, formula, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [np.int16, np.int32, np.int64, np.uint8, np.float32, np.float64, ">f4", ">i2"]
)
def test_every_real_type_is_taken(dtype):
    x = (noise(2, 64, 2) * 50 + 100).astype(dtype)
    np.testing.assert_allclose(spectra(x)[:, :, 1:], spectra(x.astype(float))[:, :, 1:], rtol=1e-3, atol=1e-4)


def test_large_offsets_do_not_cost_accuracy():
    x = noise(1, 1000, 2, dtype=np.float64)
    np.testing.assert_allclose(spectra(x + 1e7), spectra(x), rtol=2e-4, atol=1e-9)


def test_without_detrending_offsets_keep_double_precision():
    x = noise(1, 1000, 1, dtype=np.float64)
    high = spectra(x + 1e5, "boxcar", polyremoval=None)[0, 0, 1:, 0]
    np.testing.assert_allclose(
        high, spectra(x, "boxcar", polyremoval=None)[0, 0, 1:, 0], rtol=1e-3, atol=1e-9
    )


@pytest.mark.parametrize("order", [0, 1])
def test_detrending_is_that_of_scipy(order):
    x = noise(4, 91, 3, dtype=np.float64).cumsum(axis=1)
    wanted = signal.detrend(x, type=("constant", "linear")[order], axis=1)
    np.testing.assert_allclose(detrended(x, order), wanted, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 64, 1001])
def test_sums_by_folding_are_sums(n):
    x = noise(2, n, 3)
    np.testing.assert_allclose(pairwise_sum(x)[:, 0], x.astype(float).sum(axis=1), rtol=1e-5, atol=1e-5)


def test_sums_by_folding_are_accurate():
    x = np.full((1, 10**6, 1), np.float32(0.1))
    assert pairwise_sum(x)[0, 0, 0] == pytest.approx(np.float64(np.float32(0.1)) * 10**6, rel=1e-6)


def test_input_is_not_written_to():
    x = noise(2, 64, 2)
    x.flags.writeable = False
    before = x.copy()
    spectra(x)
    np.testing.assert_array_equal(x, before)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(3, 150),
    trials=st.integers(1, 5),
    channels=st.integers(1, 9),
    polyremoval=st.sampled_from([None, 0, 1]),
    output=st.sampled_from(["pow", "fourier", "angle"]),
    data=st.data(),
)
def test_a_line_does_not_depend_on_its_neighbours(n, trials, channels, polyremoval, output, data):
    """Bits are the same however trials and channels are cut into calls."""
    x = noise(trials, n, channels, seed=n) + 3
    whole = spectra(x, output=output, polyremoval=polyremoval)
    t, c = data.draw(st.integers(0, trials - 1)), data.draw(st.integers(0, channels - 1))
    single = spectra(x[t : t + 1, :, c : c + 1], output=output, polyremoval=polyremoval)
    np.testing.assert_array_equal(single[0, ..., 0], whole[t, ..., c])
