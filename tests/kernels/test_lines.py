"""Compiled loops between samples and lines against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import irfft, rfft
from scipy.signal import upfirdn

from rayspy.kernels import lines as in_lines
from rayspy.kernels.convolution import Response, put_filtered
from rayspy.kernels.lines import lines_of
from rayspy.kernels.loops.lines import fold, scatter
from rayspy.kernels.resample import Polyphase, n_rows, put_resampled

TYPES = ("f4", "f8", "i2", "i4")
SHAPES = {"n_trials": st.integers(1, 3), "n_channels": st.integers(1, 40), "seed": st.integers(0, 2**31)}
SYMMETRIC, SKEWED = Response(np.hamming(31) / 17, 15), Response(np.arange(-3.0, 20.0), 5)
FACTOR = Polyphase(3, 7, np.hamming(201) / 15)


def samples(dtype, n_trials, n, n_channels, seed=0):
    x = np.random.default_rng(seed).standard_normal((n_trials, n, n_channels)) * 100 + 1000
    x = x.astype(dtype)
    x.flags.writeable = False
    return x


def working(dtype):
    return np.dtype("f8" if dtype in ("f8", "i4") else "f4")


def rows_of(x, kernel, n_out, working):
    out = np.full((x.shape[0], n_out, x.shape[2]), 77, working)
    kernel(x, working, out)
    return out


def twice(x, dtype, out):
    n = x.shape[1]
    put_filtered(x, dtype, SYMMETRIC, 2, 0, n, slice(0, n), out)


def once_skewed(x, dtype, out):
    n = x.shape[1]
    put_filtered(x, dtype, SKEWED, 1, 0, n, slice(0, n), out)


def every_third(x, dtype, out):
    n = x.shape[1]
    put_filtered(x, dtype, SYMMETRIC, 2, 0, n, slice(0, n, 3), out)


def other_rate(x, dtype, out):
    put_resampled(x, dtype, FACTOR, 0, 0, out.shape[1], out)


KERNELS = {
    twice: lambda n: n,
    once_skewed: lambda n: n,
    every_third: lambda n: -(-n // 3),
    other_rate: lambda n: n_rows(n, 3, 7),
}


@pytest.fixture
def small_batches(monkeypatch):
    """Four lines at a time, so that the last batch is filled up or has a line alone."""
    monkeypatch.setattr(in_lines, "BATCH_BYTES", 1)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 300), first=st.integers(0, 9), **SHAPES)
def test_batches_hold_every_line_once(dtype, n, first, n_trials, n_channels, seed):
    x, wide = samples(dtype, n_trials, n, n_channels, seed), working(dtype)
    wanted = x.transpose(0, 2, 1).reshape(n_trials * n_channels, n).astype("f8")
    done, lines = 0, lines_of(x, wide)
    assert not lines.holes.any()
    for batch in lines.batches(n + 20, first):
        assert batch.low == done
        assert len(batch.means) <= len(batch.padded) <= min(4, n_trials * n_channels)
        assert batch.padded.dtype == batch.means.dtype == wide
        some = wanted[done : done + len(batch.means)]
        means, found = batch.means, batch.padded[: len(some)]
        eps = np.finfo(wide).eps
        np.testing.assert_allclose(means, some.mean(axis=1), rtol=32 * eps)
        np.testing.assert_allclose(found[:, first : first + n], some - means[:, None], rtol=eps, atol=0)
        assert not found[:, :first].any()
        assert not found[:, first + n :].any()
        done += len(some)
    assert done == len(wanted)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 300), low=st.integers(0, 5), wide=st.sampled_from(["f4", "f8"]), **SHAPES)
def test_scatter(n, low, wide, n_trials, n_channels, seed):
    rng = np.random.default_rng(seed)
    low = min(low, n_trials * n_channels - 1)
    n_lines = n_trials * n_channels - low
    y, means = (
        rng.standard_normal((n_lines + 2, n + 5)).astype(wide),
        rng.standard_normal(n_lines).astype(wide),
    )
    ones = rng.standard_normal(n).astype(wide)
    out = np.full((n_trials, n, n_channels), 77, "f4")
    scatter(y[:, 3 : 3 + n], low, means, ones, out)
    found = out.transpose(0, 2, 1).reshape(-1, n)
    assert (found[:low] == 77).all()
    np.testing.assert_array_equal(found[low:], (y[:n_lines, 3 : 3 + n] + means[:, None] * ones).astype("f4"))


@pytest.mark.parametrize(
    ("n_fft", "up", "down"), [(60, 3, 4), (70, 3, 7), (63, 2, 9), (20, 5, 2), (16, 1, 8)]
)
@pytest.mark.parametrize("dtype", ["F", "D"])
def test_fold_is_decimation_of_the_product_at_the_high_rate(n_fft, up, down, dtype):
    rng = np.random.default_rng(n_fft)
    x, n_high, n_out = rng.standard_normal((3, n_fft)), n_fft * up, n_fft * up // down
    half = rng.standard_normal(n_high // 2 + 1)
    every = np.concatenate([half, half[(n_high - 1) // 2 : 0 : -1]])
    sparse = np.zeros((3, n_high))
    sparse[:, ::up] = x
    wanted = irfft(rfft(sparse) * half, n_high)[:, ::down]
    weights = np.repeat(every.reshape(down, n_out)[:, : n_out // 2 + 1] / down, 2, axis=1)
    real = dtype.lower()
    folded = np.full((3, weights.shape[1]), np.nan, real)
    fold(rfft(x).astype(dtype), weights.astype(real), n_fft, n_out, folded)
    np.testing.assert_allclose(irfft(folded.view(dtype), n_out), wanted, atol=1e-5 if real == "f" else 1e-13)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_rows_against_sums_of_products(kernel, dtype):
    x = samples(dtype, 2, 401, 5)
    found = rows_of(x, kernel, KERNELS[kernel](401), working(dtype))
    lines = x.astype("f8").transpose(0, 2, 1)
    if kernel is other_rate:
        wanted = upfirdn(FACTOR.taps, lines, 3)[..., FACTOR.half :][..., : 3 * 401 : 7]
    else:
        response = SKEWED if kernel is once_skewed else SYMMETRIC
        for _ in range(1 if kernel is once_skewed else 2):
            lines = upfirdn(response.taps, lines)[..., response.lead :][..., :401]
        wanted = lines[..., ::3] if kernel is every_third else lines
    tolerance = np.abs(wanted).max() * (2e-6 if working(dtype) == "f4" else 1e-13)
    np.testing.assert_allclose(found.transpose(0, 2, 1), wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("batch_bytes", [1, 2**14, 2**30])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_bits_depend_on_neither_neighbours_nor_batches(kernel, dtype, batch_bytes, monkeypatch):
    n = 307
    x, n_out, wide = samples(dtype, 3, n, 11), KERNELS[kernel](n), working(dtype)
    wanted = np.empty((3, n_out, 11), wide)
    for trial, channel in np.ndindex(3, 11):
        kernel(x[trial : trial + 1, :, [channel]], wide, wanted[trial : trial + 1, :, channel : channel + 1])
    monkeypatch.setattr(in_lines, "BATCH_BYTES", batch_bytes)
    for part in (slice(None), slice(1, 6), slice(0, 11, 2)):
        np.testing.assert_array_equal(rows_of(x[..., part], kernel, n_out, wide), wanted[..., part])
    flipped = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    np.testing.assert_array_equal(rows_of(flipped, kernel, n_out, wide), wanted)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_a_hole_spoils_what_it_reaches_in_its_own_line(kernel, bad):
    n = 400
    x, n_out = samples("f4", 2, n, 7), KERNELS[kernel](n)
    wanted = rows_of(x, kernel, n_out, np.dtype("f4"))
    x = x.copy()
    x[1, 200, 4] = bad
    found = rows_of(x, kernel, n_out, np.dtype("f4"))
    reached = np.isnan(found)
    assert np.isfinite(found[~reached]).all()
    assert set(zip(*np.nonzero(reached.any(axis=1)), strict=True)) == {(1, 4)}
    at = np.arange(n_out) * {every_third: 3, other_rate: 7 / 3}.get(kernel, 1) - 200
    ahead = {twice: 30, every_third: 30, once_skewed: 5, other_rate: 100 / 3}[kernel]
    behind = 17 if kernel is once_skewed else ahead
    np.testing.assert_array_equal(reached[1, :, 4], (at >= -ahead - 1e-9) & (at <= behind + 1e-9))
    spared = np.ones((2, 7), bool)
    spared[1, 4] = False
    np.testing.assert_array_equal(found.transpose(0, 2, 1)[spared], wanted.transpose(0, 2, 1)[spared])
    line = np.flatnonzero(~reached[1, :, 4])
    np.testing.assert_allclose(found[1, line, 4], wanted[1, line, 4], atol=2e-6 * np.abs(wanted).max())


def test_types_that_compiled_loops_do_not_know():
    x = samples("f4", 2, 400, 3)
    wanted = rows_of(x, twice, 400, np.dtype("f4"))
    np.testing.assert_array_equal(rows_of(x.astype(">f4"), twice, 400, np.dtype("f4")), wanted)
    half = x.astype("f2")
    found = rows_of(half, twice, 400, np.dtype("f4"))
    np.testing.assert_array_equal(found, rows_of(half.astype("f4"), twice, 400, np.dtype("f4")))
