"""Recursive filters against SciPy in double precision; what is not finite, denormal, short or odd."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.kernels.filters.design import butterworth, notch
from rayspy.kernels.filters.recursion import both_ways, one_way
from rayspy.kernels.loops.recursion import LANES, ROWS

BAND = butterworth("bp", (0.02, 0.04), 4)
FILTERS = {
    "bp": BAND,
    "hp": butterworth("hp", (0.02,), 4),
    "bs": butterworth("bs", (0.05, 0.06), 3),
    "lp": butterworth("lp", (0.1,), 8),
    "first order": butterworth("lp", (0.2,), 1),
    "fast": butterworth("lp", (0.49,), 2),
    "notch": notch((0.05, 0.1), 0.003),
}


def random(shape, dtype=np.float64, seed=0):
    return (100 * np.random.default_rng(seed).standard_normal(shape) + 30).astype(dtype)


def run(function, x, sections, dtype=np.float64, first=0, stop=None, **options):
    stop = x.shape[1] if stop is None else stop
    out = np.full((x.shape[0], stop - first, x.shape[2]), 7, dtype)
    assert function(x, sections, out, first, **options) is out
    return out


def by_scipy(x, sections, both, settled=False):
    from scipy.signal import sosfilt, sosfiltfilt

    wide = x.astype(np.float64)
    if both:
        return sosfiltfilt(sections.sos, wide, axis=1)
    state = sections.steady[:, np.newaxis, :, np.newaxis] * wide[:, :1] * settled
    return sosfilt(sections.sos, wide, axis=1, zi=state)[0]


@pytest.mark.parametrize("n_samples", [28, 63, 64, 65, 129, 1000])
@pytest.mark.parametrize("name", FILTERS)
def test_every_bit_is_that_of_scipy(name, n_samples):
    sections = FILTERS[name]
    for n_channels in (1, LANES, LANES + 1):
        x = random((2, n_samples, n_channels))
        np.testing.assert_array_equal(run(both_ways, x, sections), by_scipy(x, sections, True))
        for settled in (False, True):
            got = run(one_way, x, sections, settled=settled)
            np.testing.assert_array_equal(got, by_scipy(x, sections, False, settled))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(28, 3 * ROWS),
    st.integers(1, 40),
    st.sampled_from([("f4", "f4"), ("f8", "f8"), ("i2", "f4")]),
    st.booleans(),
    st.data(),
)
def test_any_shape_type_and_rows(n_trials, n_samples, n_channels, dtypes, both, more):
    dtype, wanted_dtype = dtypes
    x = random((n_trials, n_samples, n_channels), dtype, seed=n_samples)
    first = more.draw(st.integers(0, n_samples - 1))
    stop = more.draw(st.integers(first + 1, n_samples))
    function = both_ways if both else one_way
    wanted = by_scipy(x, BAND, both)[:, first:stop].astype(wanted_dtype)
    np.testing.assert_array_equal(run(function, x, BAND, wanted_dtype, first, stop), wanted)
    low = more.draw(st.integers(0, n_channels - 1))
    high = more.draw(st.integers(low + 1, n_channels))
    some = run(function, x[-1:, :, low:high].copy(), BAND, wanted_dtype, first, stop)
    np.testing.assert_array_equal(some, wanted[-1:, :, low:high])


def test_layouts_and_rare_types():
    x = random((2, 200, 5))
    wanted = run(both_ways, x, BAND)
    lines = np.ascontiguousarray(x.transpose(0, 2, 1))
    out = np.empty(lines.shape)
    both_ways(lines.transpose(0, 2, 1), BAND, out.transpose(0, 2, 1))
    np.testing.assert_array_equal(out.transpose(0, 2, 1), wanted)
    wide = np.zeros((2, 200, 9))
    both_ways(x, BAND, wide[..., 2:7])
    np.testing.assert_array_equal(wide[..., 2:7], wanted)
    assert not wide[..., :2].any()
    assert not wide[..., 7:].any()
    for dtype in (">f8", np.longdouble):
        np.testing.assert_array_equal(run(both_ways, x.astype(dtype), BAND), wanted)
    half = x.astype(np.float16)
    np.testing.assert_array_equal(run(both_ways, half, BAND), run(both_ways, half.astype(float), BAND))
    assert x.flags.writeable


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 150, 298, 299])
def test_what_is_not_finite_stays_in_its_line(bad, place):
    x = random((2, 300, LANES + 3))
    clean_both, clean_one = run(both_ways, x, BAND), run(one_way, x, BAND)
    x[0, place, 4] = x[1, place, LANES + 2] = bad
    others = np.ones(x.shape, bool)
    others[0, :, 4] = others[1, :, LANES + 2] = False
    with np.errstate(invalid="ignore"):
        wanted_both, wanted_one = by_scipy(x, BAND, True), by_scipy(x, BAND, False)
    got = run(both_ways, x, BAND)
    np.testing.assert_array_equal(got[others], clean_both[others])
    np.testing.assert_array_equal(got, wanted_both)
    assert np.isnan(got[~others]).all()
    got = run(one_way, x, BAND)
    np.testing.assert_array_equal(got[others], clean_one[others])
    np.testing.assert_array_equal(got, wanted_one)
    assert np.isfinite(got[0, :place, 4]).all()
    assert not np.isfinite(got[0, place:, 4]).any()


def test_silence_after_a_burst_comes_to_zero_and_takes_no_longer():
    """Recursions in plain double precision end in denormal numbers, tens of times as slow."""
    noise = random((1, 60_000, LANES))
    burst = noise.copy()
    burst[:, 500:] = 0
    for function in (one_way, both_ways):
        quiet = run(function, burst, BAND)
        wanted = by_scipy(burst, BAND, function is both_ways)
        np.testing.assert_allclose(quiet, wanted, rtol=1e-9, atol=1e-150)
        assert not quiet[:, 40_000:].any()
        assert np.abs(quiet[:, 5000]).min() > 0
        seconds = {}
        for name, x in {"noise": noise, "burst": burst}.items():
            seconds[name] = min(_seconds(function, x) for _ in range(3))
        assert seconds["burst"] < 5 * seconds["noise"]


def _seconds(function, x):
    began = time.process_time()
    run(function, x, BAND)
    return time.process_time() - began


@pytest.mark.parametrize("function", [one_way, both_ways])
def test_shapes_that_do_not_fit_are_refused(function):
    x = random((2, 100, 3))
    cases = [((2, 100, 2), 0), ((1, 100, 3), 0), ((2, 101, 3), 0), ((2, 50, 3), 51), ((2, 9, 3), -1)]
    for shape, first in cases:
        with pytest.raises(ValueError, match="do not go into"):
            function(x, BAND, np.empty(shape), first)
    few = 0 if function is one_way else BAND.padding
    with pytest.raises(ValueError, match="samples"):
        function(x[:, :few], BAND, np.empty((2, few, 3)))
    assert run(function, x[:0], BAND).shape == (0, 100, 3)
    assert run(function, x[..., :0], BAND).shape == (2, 100, 0)
    assert run(function, x, BAND, first=50, stop=50).shape == (2, 0, 3)
