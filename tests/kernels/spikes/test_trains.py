"""Kernels on spike trains against plain loops, closed forms and, where it is installed, Elephant."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.kernels.spikes.correlograms import correlogram, jittered, overlap, shift_predictor
from rayspy.kernels.spikes.counts import counts_in_bins, fano, proportions
from rayspy.kernels.spikes.density import SHAPES, density, smoothing_kernel
from rayspy.kernels.spikes.intervals import interval_sums, measures

trains = st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 2)), max_size=40).map(
    lambda rows: np.array(sorted(set(rows)), dtype=np.int64).reshape(-1, 2).T
)


@settings(deadline=None, max_examples=50)
@given(trains, st.lists(st.integers(-5, 70), min_size=2, max_size=6, unique=True).map(sorted))
def test_counts(train, edges):
    samples, cells = train
    got = counts_in_bins(samples, cells, np.array(edges), 3)
    for cell in range(3):
        own = samples[cells == cell]
        wanted = [((own >= a) & (own < b)).sum() for a, b in pairwise(edges)]
        np.testing.assert_array_equal(got[:, cell], wanted)
    shares = proportions(got)
    assert set(np.round(shares.sum(axis=0), 12)) <= {0.0, 1.0}


@settings(deadline=None, max_examples=50)
@given(trains, st.integers(1, 4), st.integers(1, 6))
def test_intervals(train, width, n_bins):
    samples, cells = train
    got = interval_sums(samples, cells, 3, width, n_bins, 3)
    found = measures(got[n_bins:])
    for cell in range(3):
        isi = np.diff(samples[cells == cell])
        hist = [((isi >= k * width) & (isi < (k + 1) * width)).sum() for k in range(n_bins)]
        np.testing.assert_array_equal(got[:n_bins, cell], hist)
        assert found["n"][cell] == len(isi)
        if len(isi) > 0:
            assert found["cv"][cell] == pytest.approx(isi.std() / isi.mean(), abs=1e-7)
            assert found["violations"][cell] == (isi < 3).mean()
        if len(isi) > 1:
            a, b = isi[:-1], isi[1:]
            assert found["cv2"][cell] == pytest.approx(np.mean(2 * np.abs(a - b) / (a + b)))
            assert found["lv"][cell] == pytest.approx(np.mean(3 * (a - b) ** 2 / (a + b) ** 2))
        else:
            assert np.isnan(found["lv"][cell])


def test_known_variability():
    """CV, CV2 and LV are 1 for Poisson trains and 0 for regular ones."""
    rng = np.random.default_rng(1)
    poisson = np.cumsum(np.rint(rng.exponential(1e5, 40_000)).astype(np.int64) + 1)
    found = measures(interval_sums(poisson, np.zeros(len(poisson), np.int64), 1, 100, 1, 10)[1:])
    for name in ("cv", "cv2", "lv"):
        assert found[name][0] == pytest.approx(1, abs=0.03)
    clock = np.arange(0, 10_000, 7)
    found = measures(interval_sums(clock, np.zeros(len(clock), np.int64), 1, 100, 1, 10)[1:])
    assert (found["cv"][0], found["cv2"][0], found["lv"][0], found["violations"][0]) == (0, 0, 0, 1)


def brute(first, second, width, n_lags, same):
    """Histogram of differences, halves going away from zero."""
    counts = np.zeros((2 * n_lags + 1, 3, 3))
    for i, (s, a) in enumerate(zip(*first, strict=True)):
        for j, (t, b) in enumerate(zip(*second, strict=True)):
            if a < 0 or b < 0 or (same and i == j):
                continue
            k = int(np.sign(t - s) * np.floor(abs(t - s) / width + 0.5))
            if abs(k) <= n_lags:
                counts[n_lags + k, a, b] += 1
    return counts


@settings(deadline=None, max_examples=40)
@given(trains, trains, st.integers(1, 5), st.integers(1, 5))
def test_correlograms(one, two, width, n_lags):
    got = correlogram(*one, 3, width, n_lags)
    np.testing.assert_array_equal(got, brute(one, one, width, n_lags, True))
    np.testing.assert_array_equal(got, got[::-1].transpose(0, 2, 1))
    shifted = shift_predictor(tuple(one), tuple(two), 3, width, n_lags)
    np.testing.assert_array_equal(shifted, brute(one, two, width, n_lags, False))


def test_sign_of_lags():
    samples, cells = np.array([10, 13, 50, 53]), np.array([0, 1, 0, 1])
    got = correlogram(samples, cells, 2, 1, 5)
    assert got[5 + 3, 0, 1] == 2, "1 fires three samples after 0"
    assert got[:, 0, 1].sum() == 2


def test_overlap_makes_independent_trains_flat():
    rng = np.random.default_rng(0)
    total = np.zeros((41, 2, 2))
    for _ in range(300):
        samples = np.sort(rng.integers(0, 200, 80))
        total += correlogram(samples, rng.integers(0, 2, 80), 2, 5, 20)
    flat = total[:, 0, 1] / overlap(np.full(300, 200), 5, 20)
    assert flat[:4].mean() == pytest.approx(flat[18:23].mean(), rel=0.05)
    assert total[:4, 0, 1].mean() < 0.7 * total[18:23, 0, 1].mean()
    assert np.isnan(overlap(np.array([3]), 2, 2)[[0, -1]]).all()


def test_jitter_keeps_counts_in_windows():
    samples = np.sort(np.random.default_rng(0).integers(0, 95, 500))
    moved = jittered(samples, 10, np.random.default_rng(1), 95)
    np.testing.assert_array_equal(moved // 10, samples // 10)
    assert moved.max() < 95
    assert np.abs(moved - samples).max() > 5


def test_fano():
    counts = np.random.default_rng(0).poisson(4, size=(5000, 2)).astype(float)
    got = fano(counts.mean(axis=0), counts.var(axis=0))
    np.testing.assert_allclose(got, 1, atol=0.05)
    assert np.isnan(fano(np.zeros(1), np.zeros(1)))[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_densities(shape):
    kernel = smoothing_kernel(shape, -6, 9, 100.0)
    assert kernel.sum() == pytest.approx(1)
    counts = np.random.default_rng(0).poisson(0.3, size=(50, 3))
    got = density(counts, kernel, -6, correct=False)
    for cell in range(3):
        np.testing.assert_allclose(got[:, cell], np.convolve(counts[:, cell], kernel)[6:56], atol=1e-12)
    flat = density(np.full((40, 1), 0.7), kernel, -6, correct=True)
    np.testing.assert_allclose(flat[1:], 0.7, rtol=1e-12)
    if shape in ("exponential", "alpha"):
        assert (kernel[:6] == 0).all()


@pytest.mark.filterwarnings("ignore")
def test_against_elephant():
    elephant = pytest.importorskip("elephant.statistics")
    correlation = pytest.importorskip("elephant.spike_train_correlation")
    conversion = pytest.importorskip("elephant.conversion")
    import neo
    import quantities as pq

    rng = np.random.default_rng(5)
    trains = [np.unique(rng.integers(0, 2000, 120)) for _ in range(2)]
    isi = [np.diff(train) for train in trains]
    samples = np.concatenate(trains)
    cells = np.repeat([0, 1], [len(t) for t in trains])
    order = np.argsort(samples, kind="stable")
    found = measures(interval_sums(samples[order], cells[order], 2, 10, 1, 3)[1:])
    for k in range(2):
        assert found["cv"][k] == pytest.approx(elephant.cv(isi[k]))
        assert found["cv2"][k] == pytest.approx(elephant.cv2(isi[k]))
        assert found["lv"][k] == pytest.approx(elephant.lv(isi[k]))
    binned = [
        conversion.BinnedSpikeTrain(
            neo.SpikeTrain((train + 0.5) * pq.ms, t_start=0 * pq.ms, t_stop=2000 * pq.ms), bin_size=1 * pq.ms
        )
        for train in trains
    ]
    wanted, _ = correlation.cross_correlation_histogram(*binned, window=[-20, 20], border_correction=False)
    got = correlogram(samples[order], cells[order], 2, 1, 20)
    np.testing.assert_array_equal(got[:, 0, 1], np.asarray(wanted.magnitude).ravel())


def test_moments_of_what_is_there():
    from rayspy.kernels.loops.moments import add_present

    rng = np.random.default_rng(0)
    values = rng.normal(size=(9, 50)) + 1e3
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 7] = np.nan
    state = np.zeros((3, 50))
    for row in values:
        add_present(row, *state)
    known = state[0] > 0
    np.testing.assert_array_equal(state[0], np.isfinite(values).sum(axis=0))
    np.testing.assert_allclose(state[1][known], np.nanmean(values[:, known], axis=0), rtol=1e-14)
    np.testing.assert_allclose(
        state[2][known] / state[0][known], np.nanvar(values[:, known], axis=0), rtol=1e-10
    )


def test_moments_of_two_groups_are_those_of_all():
    from rayspy.kernels.loops.moments import add_present, merge_present

    rng = np.random.default_rng(1)
    values = rng.normal(size=(11, 40)) * 1e-14 + 3e-14
    values[rng.random(values.shape) < 0.4] = np.nan
    whole, first, later = np.zeros((3, 3, 40))
    for k, row in enumerate(values):
        add_present(row, *whole)
        add_present(row, *(first if k < 4 else later))
    n, m = first[0].copy(), later[0]
    step = later[1] - first[1]
    mean = first[1] + step * (m / np.maximum(n + m, 1))
    squares = first[2] + (later[2] + step**2 * n * (m / np.maximum(n + m, 1)))
    merge_present(*first, *later)
    np.testing.assert_array_equal(first, [n + m, mean, squares])
    np.testing.assert_allclose(first, whole, rtol=1e-12, atol=1e-40)


def test_rows_divided_in_place():
    from rayspy.kernels.loops.spikes import divide_rows

    rng = np.random.default_rng(2)
    counts, widths = rng.integers(0, 9, (5, 7)).astype("f4"), rng.uniform(0.01, 0.1, 5)
    got = counts.copy()
    divide_rows(got, widths)
    np.testing.assert_array_equal(got, (counts / widths[:, None]).astype("f4"))


@pytest.mark.filterwarnings("ignore")
def test_against_pynapple():
    """Histograms around events and correlograms; no spike is on an edge of a bin."""
    nap = pytest.importorskip("pynapple")
    rng = np.random.default_rng(2)
    trains = [np.unique(rng.integers(0, 200_000, 3000)) for _ in range(2)]
    events = np.arange(5_000, 190_000, 7_000)
    group = nap.TsGroup({k: nap.Ts((train + 0.3) / 1e4) for k, train in enumerate(trains)})
    around = nap.compute_perievent(group[0], nap.Ts(events / 1e4), window=(-0.1, 0.2))
    wanted = np.array(
        [np.histogram(around[k].t, np.arange(-100, 201, 25) / 1e3)[0] for k in range(len(events))]
    )
    edges = np.arange(-1000, 2001, 250)
    got = [
        counts_in_bins(trains[0] - event, np.zeros(len(trains[0]), int), edges, 1)[:, 0] for event in events
    ]
    np.testing.assert_array_equal(got, wanted)
    samples, cells = np.concatenate(trains), np.repeat([0, 1], [len(t) for t in trains])
    order = np.argsort(samples, kind="stable")
    counts = correlogram(samples[order], cells[order], 2, 11, 10)[:, 0, 1]
    found = nap.compute_crosscorrelogram(group, 11e-4, 110e-4, norm=False).to_numpy()[:, 0]
    np.testing.assert_allclose(found * len(trains[0]) * 11e-4, counts[1:-1], rtol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(-2, 3), st.integers(4, 9)), min_size=1, max_size=40),
    st.sets(st.tuples(st.integers(-2, 3), st.sampled_from([4, 5, 8])), min_size=1),
    st.sampled_from([1, 10**7]),
)
def test_cells_of_rows(rows, pairs, apart):
    """With codes that are close, which are looked up in a table, and far apart, which are searched."""
    from rayspy.methods.spikes.base import Cells

    rows, pairs = np.array(sorted(rows)), np.array(sorted(pairs))
    rows[:, 2] *= apart
    pairs[:, 1] *= apart
    cells = Cells(pairs, (0, 1, 2), tuple(map(str, pairs)))
    assert (cells._table[2] is None) == (apart > 1 and len(set(pairs[:, 1])) > 1)
    places = {tuple(pair): k for k, pair in enumerate(pairs.tolist())}
    wanted = np.array([places.get((c, u), -1) for c, u in rows[:, 1:].tolist()])
    samples, numbers = cells.found(rows)
    np.testing.assert_array_equal(numbers, wanted)
    np.testing.assert_array_equal(samples, rows[:, 0])
    edges = np.array([3, 10, 11, 40])
    np.testing.assert_array_equal(
        cells.counts(rows, edges), counts_in_bins(samples, wanted, edges, len(cells))
    )
