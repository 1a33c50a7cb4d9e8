"""Compiled loops between samples and lines against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import upfirdn

from rayspy.kernels.filters import convolution, resample
from rayspy.kernels.filters.convolution import Response, put_filtered
from rayspy.kernels.filters.resample import Polyphase, n_rows, put_resampled
from rayspy.kernels.lines import lines_of
from rayspy.kernels.loops.lanes import line_groups
from rayspy.kernels.loops.rows import Segments, put, take

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
def short_segments(monkeypatch):
    """Several segments of each trial, so that the last one is shorter and they share rows."""
    monkeypatch.setattr(resample, "_FIT", 1)
    monkeypatch.setattr(convolution, "LONGEST", 1)


def lanes_of(x, means, cut, offset, step, n_rows):
    """Rows of all lanes, in double precision."""
    found = []
    for trial, segment, channel in np.ndindex(x.shape[0], cut.parts, x.shape[2]):
        at = cut.begin + segment * cut.hop + offset + step * np.arange(n_rows)
        inside = (at >= 0) & (at < x.shape[1])
        mean = means[trial * x.shape[2] + channel]
        line = x[trial, :, channel].astype("f8")
        found.append(np.where(inside, line[np.clip(at, 0, x.shape[1] - 1)] - mean, 0))
    return np.array(found).T


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 100),
    cut=st.builds(
        Segments,
        st.integers(1, 4),
        st.integers(-30, 20),
        st.integers(1, 60),
        st.just(0),
        st.just(0),
        st.just(0),
    ),
    side=st.integers(0, 9),
    step=st.integers(1, 12),
    **SHAPES,
)
def test_take(dtype, n, cut, side, step, n_trials, n_channels, seed):
    x, wide = samples(dtype, n_trials, n, n_channels, seed), working(dtype)
    lines = lines_of(x, wide)
    for some in line_groups(n_trials * cut.parts * n_channels):
        lanes = some.start, len(some)
        z = np.full((step, 23, 50), 77, wide)
        take(lines.x, lanes, cut, lines.levels, z, side)
        for r in range(step):
            wanted = lanes_of(x, lines.levels.astype("f8"), cut, r, step, 23)
            expected = wanted[:, lanes[0] : lanes[0] + lanes[1]]
            found = z[r, :, side : side + lanes[1]]
            np.testing.assert_allclose(found, expected, rtol=np.finfo(wide).eps, atol=0)
        assert not z[..., side + lanes[1] : side + 32].any()
        assert (z[..., :side] == 77).all()
        assert (z[..., side + 32 :] == 77).all()


@settings(max_examples=25, deadline=None)
@given(
    parts=st.integers(1, 4),
    rows=st.integers(1, 50),
    gap=st.integers(0, 9),
    first=st.integers(0, 9),
    last=st.integers(1, 50),
    steps=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 5)),
    wide=st.sampled_from(["f4", "f8"]),
    **SHAPES,
)
def test_put(parts, rows, gap, first, last, steps, wide, n_trials, n_channels, seed):
    rng = np.random.default_rng(seed)
    spacing, step, side = steps
    cut = Segments(parts, 0, 0, first, rows + gap, rows)
    n = first + (parts - 1) * (rows + gap) + min(last, rows)
    means, ones = rng.standard_normal(n_trials * n_channels).astype(wide), rng.standard_normal(n).astype(wide)
    out = np.full((n_trials, n, n_channels), 77, "f4")
    z = rng.standard_normal((step, 200, n_trials * parts * n_channels)).astype(wide)
    for lanes in line_groups(z.shape[2]):
        some = np.pad(z[..., lanes.start : lanes.stop], ((0, 0), (0, 0), (side, 0)))
        put(some, spacing, (lanes.start, len(lanes)), cut, means, ones, out, side)
    for trial, m, channel in np.ndindex(out.shape):
        segment, k = divmod(m - first, rows + gap)
        if m < first or k >= rows:
            assert out[trial, m, channel] == 77
            continue
        lane = (trial * parts + segment) * n_channels + channel
        value = z[k % step, k // step * spacing, lane]
        wanted = value + means[trial * n_channels + channel] * ones[m]
        assert out[trial, m, channel] == np.float32(wanted)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (3, 4), (3, 7), (2, 9), (5, 2), (1, 8), (32, 33), (7, 512)])
@pytest.mark.parametrize("n_taps", [1, 31, 1001])
def test_every_ratio_against_sums_of_products(up, down, n_taps):
    factor = Polyphase(up, down, np.hamming(n_taps) * up / n_taps)
    x, n = samples("f8", 2, 1500, 3), n_rows(1500, up, down)
    wanted = np.pad(upfirdn(factor.taps, x, up, axis=1), ((0, 0), (0, up), (0, 0)))
    wanted = wanted[:, factor.half :][:, : 1500 * up : down]
    for first, stop in ((0, n), (n // 3, n - n // 4), (n - 1, n)):
        found = np.empty((2, stop - first, 3))
        resample._put_transformed(x, np.dtype("f8"), factor, 0, first, stop, found)
        np.testing.assert_allclose(found, wanted[:, first:stop], rtol=0, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.usefixtures("short_segments")
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


@pytest.mark.parametrize("n", [307, 40_000])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_bits_do_not_depend_on_neighbours(kernel, dtype, n):
    x, n_out, wide = samples(dtype, 3, n, 11), KERNELS[kernel](n), working(dtype)
    wanted = np.empty((3, n_out, 11), wide)
    for trial, channel in np.ndindex(3, 11):
        kernel(x[trial : trial + 1, :, [channel]], wide, wanted[trial : trial + 1, :, channel : channel + 1])
    for part in (slice(None), slice(1, 6), slice(0, 11, 2)):
        np.testing.assert_array_equal(rows_of(x[..., part], kernel, n_out, wide), wanted[..., part])
    flipped = np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)
    np.testing.assert_array_equal(rows_of(flipped, kernel, n_out, wide), wanted)


@pytest.mark.usefixtures("short_segments")
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
