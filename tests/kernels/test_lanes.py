"""Transforms and convolutions of lines side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.kernels.filters.convolution import LONGEST, Response, put_filtered, reach
from rayspy.kernels.lengths import LANES, fast_length
from rayspy.kernels.loops import lanes
from rayspy.kernels.loops.lanes import aligned, backward, forward, kept, transform
from rayspy.kernels.loops.real import convolve

EPS = {"f": 6e-7, "d": 1e-14}


def rows_of(x: Any, dtype: str) -> Any:
    return np.concatenate([x.real, x.imag], axis=1).astype(dtype)


def complex_of(rows: Any) -> Any:
    return rows[:, :LANES] + 1j * rows[:, LANES:]


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("n", [4, 8, 12, 20, 36, 100, 180, 256, 540, 1000, 1152, 2160, 6000])
def test_forward_is_the_transform_and_backward_its_inverse(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, LANES)) + 1j * rng.normal(size=(n, LANES))
    rows = rows_of(x, dtype)
    before = rows.copy()
    forward(rows)
    expected = np.fft.ifft(x, axis=0) * n
    found = complex_of(rows)[transform(n).place]
    assert np.abs(found - expected).max() <= EPS[dtype] * np.abs(expected).max()
    backward(rows)
    assert np.abs(rows / n - before).max() <= EPS[dtype] * np.abs(before).max()


def test_lanes_do_not_see_each_other() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(360, 2 * LANES)).astype("f")
    alone = rows.copy()
    alone[:, np.arange(2 * LANES) % LANES != 5] = np.nan
    for z in (rows, alone):
        forward(z)
        backward(z)
    assert (rows[:, [5, 5 + LANES]] == alone[:, [5, 5 + LANES]]).all()


def test_every_result_of_a_unit_impulse_and_of_a_constant() -> None:
    rows = np.zeros((60, 2 * LANES))
    rows[0, 0] = rows[:, 1] = 1
    forward(rows)
    spectra = complex_of(rows)[transform(60).place]
    np.testing.assert_allclose(spectra[:, 0], 1, atol=1e-15)
    np.testing.assert_allclose(spectra[:, 1], np.eye(60)[0] * 60, atol=1e-13)


@pytest.mark.parametrize("n", [6, 28, 44, 1001, 7 * 64])
def test_lengths_with_other_factors_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} is not 4 times a product of 2, 3 and 5"):
        transform(n)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("n", [8, 24, 40, 216, 2000])
def test_convolution_in_a_circle(n: int, dtype: str) -> None:
    rng = np.random.default_rng(n)
    x, taps = rng.normal(size=(n, LANES)), rng.normal(size=n)
    z = x.astype(dtype)
    transfer = np.conj(np.fft.rfft(taps)) / (2 * n)
    convolve(z, np.asarray(transfer, dtype.upper()))
    expected = np.fft.irfft(np.fft.rfft(x, axis=0) * np.fft.rfft(taps)[:, np.newaxis], n, axis=0)
    assert np.abs(z - expected).max() <= 4 * EPS[dtype] * np.abs(expected).max()


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 300),
    n_taps=st.integers(1, 120),
    share=st.floats(0, 1),
    passes=st.sampled_from([1, 2]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40)),
    step=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_filters_are_plain_convolutions(
    n: int, n_taps: int, share: float, passes: int, shape: tuple[int, int], step: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(shape[0], n, shape[1])) + 50
    taps, lead = rng.normal(size=n_taps), int(share * (n_taps - 1))
    if passes == 2:
        taps = np.concatenate([taps, taps[-2::-1]])
        lead = n_taps - 1
    response = Response(taps, lead)
    expected = x
    for _ in range(passes):
        expected = np.apply_along_axis(
            lambda line: np.convolve(line, response.taps)[response.lead : response.lead + n], 1, expected
        )
    expected = expected[:, ::step]
    out = np.empty(expected.shape)
    put_filtered(x, np.dtype("d"), response, passes, 0, n, slice(0, n, step), out)
    np.testing.assert_allclose(out, expected, atol=1e-11 * np.abs(expected).max())
    single = np.empty(expected.shape, "f")
    put_filtered(x.astype("f"), np.dtype("f"), response, passes, 0, n, slice(0, n, step), single)
    np.testing.assert_allclose(single, expected, atol=2e-5 * np.abs(expected).max())


def test_responses_used_twice_are_symmetric() -> None:
    x = np.ones((1, 9, 1))
    for response in (Response(np.array([1.0, 2, 1.5]), 1), Response(np.array([1.0, 2, 1]), 0)):
        with pytest.raises(ValueError, match="symmetric"):
            put_filtered(x, np.dtype("d"), response, 2, 0, 9, slice(0, 9), np.empty(x.shape))


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 200),
    half=st.integers(0, 60),
    edges=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    step=st.integers(1, 4),
)
def test_rows_of_two_passes(n: int, half: int, edges: tuple[float, float], step: int) -> None:
    rng = np.random.default_rng(n)
    taps = rng.normal(size=half + 1)
    response = Response(np.concatenate([taps, taps[-2::-1]]), half)
    x = rng.normal(size=(2, n, 3)) + 10
    first, last = sorted(int(edge * (n - 1)) for edge in edges)
    low, high = reach(response, 2, n, first, last + 1)
    once = np.apply_along_axis(lambda line: np.convolve(line, response.taps)[half : half + n], 1, x)
    expected = np.apply_along_axis(lambda line: np.convolve(line, response.taps)[half : half + n], 1, once)
    expected = expected[:, first : last + 1 : step]
    out = np.empty(expected.shape)
    rows = slice(first, last + 1, step)
    put_filtered(x[:, low:high], np.dtype("d"), response, 2, low, n, rows, out)
    np.testing.assert_allclose(out, expected, atol=1e-11 * np.abs(x).max() * np.abs(response.taps).sum() ** 2)


@pytest.mark.parametrize("passes", [1, 2])
def test_long_trials_are_cut_into_segments_that_nobody_sees(passes: int) -> None:
    rng = np.random.default_rng(3)
    n, response = 2 * LONGEST + 777, Response(np.hanning(403 - passes) / 200, 200)
    x = rng.normal(size=(1, n, 3))
    x[0, LONGEST - 300 : LONGEST - 290, 1] = np.nan
    out = np.empty(x.shape)
    put_filtered(x, np.dtype("d"), response, passes, 0, n, slice(0, n), out)
    for channel in range(3):
        expected = x[0, :, channel]
        for _ in range(passes):
            expected = np.convolve(expected, response.taps)[200 : 200 + n]
        np.testing.assert_array_equal(np.isnan(out[0, :, channel]), np.isnan(expected))
        np.testing.assert_allclose(out[0, :, channel], expected, atol=1e-13)


def test_bits_do_not_depend_on_neighbours() -> None:
    rng = np.random.default_rng(4)
    x, response = rng.normal(size=(3, 500, 21)).astype("f"), Response(np.hanning(101), 50)
    rows = slice(0, 500)

    def run(part: Any) -> Any:
        out = np.empty(part.shape, "f")
        put_filtered(part, np.dtype("f"), response, 2, 0, 500, rows, out)
        return out

    whole = run(x)
    assert (run(x[1:2]) == whole[1:2]).all()
    assert (run(x[:, :, 7:8]) == whole[:, :, 7:8]).all()
    assert (run(np.asfortranarray(x)) == whole).all()
    x[0, 100, 3] = np.inf
    spoilt = run(x)
    others = np.ones(x.shape, bool)
    others[0, :, 3] = False
    assert (spoilt[others] == whole[others]).all()
    assert np.isnan(spoilt[0, :201, 3]).all()
    assert (np.isfinite(spoilt[0, 201:, 3])).all()


@given(n=st.integers(1, 10**6))
def test_fast_lengths(n: int) -> None:
    length = fast_length(n)
    assert length >= n
    assert length <= max(8, 1.3 * n)
    assert len(transform(length).place) == length if length < 4000 else True


def test_aligned_memory() -> None:
    assert all(aligned(n).ctypes.data % 64 == 0 and aligned(n).size == n for n in (1, 17, 1000))


def test_memory_is_used_again_unless_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_MOST_KEPT", 3000)

    def in_a_new_thread() -> None:
        first = kept(1000, np.dtype("d"))
        assert first.dtype == np.float64
        assert first.size == 1000
        assert np.shares_memory(first, kept(2000, np.dtype("f")))
        large = kept(3001, np.dtype("f"))
        assert not np.shares_memory(large, kept(3001, np.dtype("f")))
        again = kept(10, np.dtype("f"))
        assert not np.shares_memory(large, again)
        assert np.shares_memory(again, kept(10, np.dtype("f")))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_a_new_thread).result()
