"""Means, peaks and spectra of lines that stand side by side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import rfft

from rayspy.kernels.loops.rows import take_means, take_peaks
from rayspy.kernels.loops.spectra import empty_slab, fill_slab
from rayspy.kernels.spectral.filterbank import Signals

DTYPES = ["i2", "i4", "f4", "f8"]


def samples(dtype, n_trials, n, n_channels, seed=0):
    x = np.random.default_rng(seed).normal(1000, 100, (n_trials, n, n_channels))
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 256, 257, 3000])
def test_means(dtype, n):
    x = samples(dtype, 3, n, 5)
    means = np.full(15, np.nan)
    take_means(x, means)
    np.testing.assert_allclose(means, x.mean(axis=1, dtype=np.longdouble).ravel(), rtol=1e-15)


def test_means_of_large_offsets_are_exact():
    x = np.full((1, 300_000, 1), 1e9 + 0.125)
    means = np.empty(1)
    take_means(x, means)
    assert abs(means[0] - x[0, 0, 0]) < 1e-6


def test_means_do_not_hide_what_is_not_finite():
    x = samples("f8", 2, 50, 3)
    x[0, 7, 1], x[1, 9, 2] = np.nan, -np.inf
    means = np.empty(6)
    take_means(x, means)
    assert np.isnan(means[1])
    assert means[5] == -np.inf
    assert np.isfinite(means[[0, 2, 3, 4]]).all()


def test_bits_of_means_do_not_depend_on_neighbours():
    x = samples("f4", 4, 777, 9)
    whole, alone = np.empty(36), np.empty(1)
    take_means(x, whole)
    for trial, channel in np.ndindex(4, 9):
        take_means(x[trial : trial + 1, :, channel : channel + 1], alone)
        assert alone[0] == whole[trial * 9 + channel]


@pytest.mark.parametrize("dtype", DTYPES)
def test_peaks_are_those_of_finite_samples(dtype):
    x, levels, peaks = samples(dtype, 2, 90, 4), np.linspace(900, 1100, 8), np.empty(8)
    if x.dtype.kind == "f":
        x[1, 5, 2] = np.inf
    take_peaks(x, levels, peaks)
    distances = np.abs(x.astype(float) - levels.reshape(2, 1, 4))
    distances[~np.isfinite(distances)] = 0
    np.testing.assert_array_equal(peaks, distances.max(axis=1).ravel())


@settings(max_examples=40, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 70), st.integers(1, 40)),
    n=st.sampled_from([72, 80, 96, 240]),
    data=st.data(),
)
def test_spectra_are_those_of_scipy(dtype, shape, n, data):
    x = samples(dtype, *shape)
    n_lines = shape[0] * shape[2]
    first = data.draw(st.integers(0, n_lines - 1))
    lines = range(first, min(n_lines, first + data.draw(st.integers(1, 32))))
    levels = np.linspace(900, 1100, n_lines)
    scales = np.ldexp(1.0, np.arange(n_lines) % 3)
    slab = empty_slab(n)
    slab[...] = np.nan
    n_bins = data.draw(st.integers(1, n // 2 + 1))
    fill_slab(x, levels, scales, lines, n_bins, slab)
    slab = slab[:n_bins]
    every = (x.transpose(0, 2, 1).reshape(n_lines, -1) - levels[:, np.newaxis]) / scales[:, np.newaxis]
    wanted = rfft(every[lines.start : lines.stop], n, axis=1)
    peak = np.abs(wanted).max()
    wanted = wanted[:, :n_bins]
    repeats = 32 // len(lines)
    for k in range(repeats):
        found = slab[:, 0] + 1j * slab[:, 1]
        part = found[:, k * len(lines) : (k + 1) * len(lines)].T
        np.testing.assert_allclose(part, wanted, rtol=1e-6, atol=1e-7 * peak)
    np.testing.assert_array_equal(slab[:, :, repeats * len(lines) :], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("polyremoval", [None, 0, 1])
def test_signals_as_lines(dtype, polyremoval):
    x = samples(dtype, 3, 200, 4)
    wide = x.astype(float)
    t = np.arange(200.0)
    for trial, channel in np.ndindex(3, 4):
        if polyremoval is not None:
            line = wide[trial, :, channel]
            line -= np.polyval(np.polyfit(t, line, polyremoval), t)
    signals = Signals.of(x, polyremoval, slice(20, 120))
    np.testing.assert_allclose(signals.lines(), wide[:, 20:120].transpose(0, 2, 1), atol=1e-9)
