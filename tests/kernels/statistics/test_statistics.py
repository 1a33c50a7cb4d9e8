"""Statistics of relabellings, clusters and p values against SciPy, statsmodels, MNE and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from rayspy.kernels.statistics import models
from rayspy.kernels.statistics.clusters import (
    Grid,
    Summary,
    cluster_masses,
    enhanced_values,
    heaviest_clusters,
    largest,
)
from rayspy.kernels.statistics.models import Beyond, add_beyond, statistics
from rayspy.kernels.statistics.probabilities import corrected, critical, of_model, p_of_largest
from rayspy.kernels.statistics.relabelling import Relabelling

RNG = np.random.default_rng(17)
GROUPS = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0])
THREE = np.array([2, 0, 1, 1, 0, 2, 2, 0, 1, 0, 0, 2])


def observations(n=12, n_points=5, mean=3.0, scale=1.0):
    return scale * (np.random.default_rng(n).standard_normal((n, n_points)) + mean)


def computed(model, relabelling, draws, y):
    out = np.empty((len(draws), y.shape[1]))
    statistics(model, relabelling, draws, y, out)
    return out


def swap(labels, unit_size=None):
    return Relabelling("permute", tuple(int(x) for x in labels), unit_size or len(labels), seed=3)


def least_squares_t(y, regressor, covariates):
    """t of a regressor, and fits and residuals without it, from normal equations."""
    z = np.column_stack([np.ones(len(y)), *covariates])
    x = np.column_stack([z, regressor])
    beta, _, _, _ = np.linalg.lstsq(x, y, rcond=None)
    rest = y - x @ beta
    variance = (rest**2).sum(0) / (len(y) - x.shape[1])
    return beta[-1] / np.sqrt(variance * np.linalg.inv(x.T @ x)[-1, -1])


def repeated_f(y, n_conditions):
    """F of one factor within units from sums of squares."""
    y = y.reshape(-1, n_conditions, y.shape[1])
    grand, unit, condition = y.mean((0, 1)), y.mean(1, keepdims=True), y.mean(0, keepdims=True)
    between = len(y) * ((condition - grand) ** 2).sum((0, 1))
    rest = ((y - unit - condition + grand) ** 2).sum((0, 1))
    return between / rest * (len(y) - 1)


COVARIATES = RNG.standard_normal((2, 12))
REGRESSOR = RNG.standard_normal(12)
MODELS = {
    "two samples": (
        models.two_samples(GROUPS),
        swap(GROUPS),
        GROUPS,
        lambda y, g: stats.ttest_ind(y[g == 0], y[g == 1]).statistic,
    ),
    "pairs": (
        models.pairs(6),
        Relabelling("flip", (0,) * 6, 1, 3),
        np.ones(6),
        lambda y, s: stats.ttest_1samp(s[:, None] * (y[::2] - y[1::2]), 0).statistic,
    ),
    "one sample": (
        models.one_sample(12),
        Relabelling("flip", (0,) * 12, 1, 3),
        np.ones(12),
        lambda y, s: stats.ttest_1samp(s[:, None] * y, 0).statistic,
    ),
    "one way": (
        models.one_way(THREE),
        swap(THREE),
        THREE,
        lambda y, g: stats.f_oneway(*(y[g == k] for k in range(3))).statistic,
    ),
    "repeated": (
        models.repeated(4, 3),
        swap([0, 1, 2] * 4, 3),
        np.arange(12),
        lambda y, order: repeated_f(y[np.argsort(order)], 3),
    ),
    "regression": (
        models.regression(REGRESSOR, np.empty((0, 12))),
        swap(range(12)),
        REGRESSOR,
        lambda y, x: least_squares_t(y, x, []),
    ),
    "correlation": (
        models.regression(REGRESSOR, np.empty((0, 12)), "r"),
        swap(range(12)),
        REGRESSOR,
        lambda y, x: [stats.pearsonr(x, column).statistic for column in y.T],
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scale", [1.0, 1e-14])
def test_statistics_of_draws_are_those_of_scipy(name, scale):
    model, relabelling, labels, reference = MODELS[name]
    y = observations(scale=scale)
    got = computed(model, relabelling, range(4), y)
    for k in range(4):
        design = relabelling.design(labels, k)
        np.testing.assert_allclose(got[k], reference(y, design), rtol=1e-11, atol=1e-12)


def test_repeated_measures_are_those_of_statsmodels():
    anova = pytest.importorskip("statsmodels.stats.anova")
    pandas = pytest.importorskip("pandas")
    y = observations()
    table = pandas.DataFrame({"y": y[:, 0], "unit": np.arange(12) // 3, "condition": np.arange(12) % 3})
    wanted = anova.AnovaRM(table, "y", "unit", ["condition"]).fit().anova_table["F Value"].iloc[0]
    got = computed(models.repeated(4, 3), swap([0, 1, 2] * 4, 3), range(1), y)
    np.testing.assert_allclose(got[0, 0], wanted, rtol=1e-12)


@pytest.mark.parametrize("regressor", [REGRESSOR, (GROUPS == 0).astype(float)])
def test_freedman_lane_permutes_residuals_and_fits_again(regressor):
    y, model = observations(), models.regression(regressor, COVARIATES)
    relabelling = swap(range(12))
    z = np.column_stack([np.ones(12), *COVARIATES])
    fit = z @ np.linalg.lstsq(z, y, rcond=None)[0]
    got = computed(model, relabelling, range(4), y)
    for k in range(4):
        # observation i takes the label of observation p[i]: residual p[i] would go to i the other way round
        places = np.argsort(relabelling.design(np.arange(12), k))
        again = fit + (y - fit)[places]
        np.testing.assert_allclose(got[k], least_squares_t(again, regressor, COVARIATES), rtol=1e-10)


def test_regression_with_covariates_is_that_of_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    y = observations()
    design = np.column_stack([np.ones(12), REGRESSOR, *COVARIATES])
    wanted = [api.OLS(column, design).fit().tvalues[1] for column in y.T]
    got = computed(models.regression(REGRESSOR, COVARIATES), swap(range(12)), range(1), y)
    np.testing.assert_allclose(got[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("name", ["two samples", "repeated", "regression"])
def test_bits_do_not_depend_on_cuts_of_points_or_draws(name):
    model, relabelling, _, _ = MODELS[name]
    y = observations(n_points=2500).astype(np.float32)
    whole = computed(model, relabelling, range(7), y)
    for low, high in ((0, 1), (3, 700), (1023, 2500)):
        np.testing.assert_array_equal(
            computed(model, relabelling, range(7), y[:, low:high]), whole[:, low:high]
        )
    np.testing.assert_array_equal(computed(model, relabelling, range(4, 6), y), whole[4:6])


@pytest.mark.parametrize("mass", ["maxsum", "maxsize", "wcm"])
@pytest.mark.parametrize("signs", [-1, 0, 1])
@pytest.mark.parametrize("name", MODELS)
def test_clusters_of_the_points_beyond_are_those_of_all_points(name, signs, mass):
    model, relabelling, _, _ = MODELS[name]
    pointer, index = (np.array(a) for a in ([0, 1, 3, 4], [1, 0, 2, 1]))
    grid = Grid(20, 15, pointer, index)
    y = observations(n_points=grid.n_points).astype(np.float32)
    y[:, 7], y[3, 11], y[2, 12] = 0.1, np.nan, np.inf
    values = computed(model, relabelling, range(5), y)
    threshold = float(np.sort(np.abs(values[2][~np.isnan(values[2])]))[-200])  # one point lies on it
    summary = Summary("cluster", signs, threshold, mass, 1.5)
    found = Beyond.empty(5, grid.n_points)
    for low, high in ((0, 500), (500, 900)):
        piece = np.ascontiguousarray(y[:, low:high])
        add_beyond(model, relabelling, range(5), piece, (threshold, signs), low, found)
    for d, one in enumerate(values):
        with np.errstate(invalid="ignore"):
            inside = (signs >= 0) & (one > threshold) | (signs <= 0) & (-one > threshold)
        np.testing.assert_array_equal(found.of_draw(d)[0], np.flatnonzero(inside))
        np.testing.assert_array_equal(found.of_draw(d)[1], one[inside])
    wanted = [largest(one, grid, summary) for one in values]
    np.testing.assert_array_equal(heaviest_clusters(found, grid, summary), wanted)
    assert (max(wanted) > 0) == (signs >= 0 or model.kind != "F")


def test_constant_points_and_nans_have_no_statistic():
    y = observations(n_points=4)
    y[:, 0], y[3, 1], y[2, 2] = 0.1, np.nan, np.inf
    got = computed(models.two_samples(GROUPS), swap(GROUPS), range(2), y)
    np.testing.assert_array_equal(np.isnan(got), [[True, True, True, False]] * 2)
    y[:, 3] = np.where(GROUPS == 0, 0.3, 0.1)
    assert computed(models.two_samples(GROUPS), swap(GROUPS), range(1), y)[0, 3] == np.inf


# -- relabellings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "size"),
    [((0, 1, 0, 1, 1), 5), ((2, 0, 1, 2, 0, 1), 3), ((0, 1, 2, 3), 4), ((1, 1, 0, 2, 2, 1), 6)],
)
def test_enumeration_makes_every_relabelling_once(codes, size):
    relabelling = Relabelling("permute", codes, size, exact=True)
    units = [codes[k : k + size] for k in range(0, len(codes), size)]
    wanted = set(itertools.product(*(set(itertools.permutations(unit)) for unit in units)))
    found = [tuple(relabelling.design(np.array(codes), k)) for k in range(relabelling.total)]
    assert found[0] == codes
    assert len(found) == relabelling.total == len(wanted)
    assert set(found) == {sum(units, ()) for units in wanted}


def test_flips_are_enumerated():
    relabelling = Relabelling("flip", (0,) * 4, 1, exact=True)
    found = {tuple(relabelling.design(np.ones(4), k)) for k in range(relabelling.total)}
    assert len(found) == relabelling.total == 16


@given(st.integers(0, 2**40), st.integers(1, 10**9))
@settings(max_examples=20)
def test_random_draws_depend_on_seed_and_number_alone(seed, k):
    labels = np.array([0, 1, 2] * 4)
    for one in (
        Relabelling("permute", tuple(labels), 3, seed),
        Relabelling("permute", tuple(labels), 12, seed),
    ):
        first = one.design(labels, k)
        np.testing.assert_array_equal(one.design(labels, k), first)
        for unit in first.reshape(-1, one.unit_size):
            assert sorted(unit) == sorted(labels[: one.unit_size])


# -- clusters -------------------------------------------------------------------------------------


def grid_of(n_time, n_freq, near):
    pointer = np.concatenate([[0], np.cumsum(near.sum(1))])
    return Grid(n_time, n_freq, pointer, np.nonzero(near)[1])


def full_graph(grid):
    """Adjacency of all points, made from the definition."""
    n_channels = len(grid.pointer) - 1
    places = list(np.ndindex(grid.n_time, grid.n_freq, n_channels))
    number = {place: k for k, place in enumerate(places)}
    pairs = []
    for t, f, c in places:
        near = [(t + 1, f, c), (t, f + 1, c)]
        near += [(t, f, int(d)) for d in grid.index[grid.pointer[c] : grid.pointer[c + 1]]]
        pairs += [(number[t, f, c], number[other]) for other in near if other in number]
    rows, columns = np.array(pairs).T if pairs else np.empty((2, 0), int)
    return sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (len(places),) * 2).tocsr()


def components(values, graph, threshold):
    """Clusters of one sign as lists of points."""
    inside = np.flatnonzero(values > threshold)
    n, labels = sparse.csgraph.connected_components(graph[inside][:, inside], directed=False)
    return [inside[labels == k] for k in range(n)]


@st.composite
def fields(draw):
    n_time, n_freq, n_channels = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    near = rng.random((n_channels, n_channels)) < 0.4
    near = np.triu(near, 1) | np.triu(near, 1).T
    return grid_of(n_time, n_freq, near), rng.standard_normal(n_time * n_freq * n_channels)


@given(fields(), st.sampled_from([-1, 0, 1]), st.sampled_from(["maxsum", "maxsize", "wcm"]))
@settings(max_examples=60, deadline=None)
def test_clusters_are_connected_components(field, signs, mass):
    grid, values = field
    graph, threshold = full_graph(grid), 0.4
    summary = Summary("cluster", signs, threshold, mass, 1.5)
    parent, sums, best = cluster_masses(values, grid, summary)
    wanted = [c for s in (1, -1) if signs in (0, s) for c in components(s * values, graph, threshold)]
    found = {first: np.flatnonzero(parent == first) for first in np.unique(parent[parent >= 0])}
    assert sorted(map(tuple, found.values())) == sorted(map(tuple, wanted))
    size = {
        "maxsum": lambda x: np.abs(x).sum(),
        "maxsize": len,
        "wcm": lambda x: ((np.abs(x) - threshold) ** 1.5).sum(),
    }[mass]
    for first, points in found.items():
        np.testing.assert_allclose(sums[first], size(values[points]), rtol=1e-12)
    np.testing.assert_allclose(best, max([size(values[p]) for p in wanted], default=0.0), rtol=1e-12)
    assert largest(values, grid, summary) == best


def integral(values, graph, extent, height):
    """Enhancement of positive values, threshold interval by threshold interval."""
    out, levels = np.zeros(len(values)), np.unique(np.append(values[values > 0], 0.0))
    for low, high in itertools.pairwise(levels):
        for points in components(values, graph, low):
            out[points] += len(points) ** extent * (high ** (height + 1) - low ** (height + 1)) / (height + 1)
    return out


@given(fields(), st.sampled_from([(0.5, 2.0), (1.0, 1.0), (0.5, 0.0)]))
@settings(max_examples=40, deadline=None)
def test_enhancement_is_the_integral(field, exponents):
    grid, values = field
    graph = full_graph(grid)
    summary = Summary("tfce", 0, extent=exponents[0], height=exponents[1])
    wanted = integral(values, graph, *exponents) - integral(-values, graph, *exponents)
    got = enhanced_values(values, grid, summary)
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(largest(values, grid, summary), np.abs(wanted).max(), rtol=1e-10)


def test_enhancement_of_equal_values():
    near = np.zeros((1, 1), bool)
    grid = grid_of(6, 1, near)
    values = np.array([1.0, 2.0, 2.0, 0.0, 1.0, -3.0])
    wanted = integral(values, full_graph(grid), 0.5, 2.0) - integral(-values, full_graph(grid), 0.5, 2.0)
    np.testing.assert_allclose(enhanced_values(values, grid, Summary("tfce", 0)), wanted, rtol=1e-12)


def mne_clusters(values, grid, threshold):
    cluster_level = pytest.importorskip("mne.stats.cluster_level")
    n_points = len(values)
    found, sums = cluster_level._find_clusters(
        values, threshold, tail=0, adjacency=full_graph(grid).tocoo(), include=np.ones(n_points, bool)
    )
    return found, np.asarray(sums)


def smooth_field(shape=(12, 9, 7)):
    from scipy.ndimage import gaussian_filter

    near = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) == 1
    return grid_of(12, 9, near), gaussian_filter(RNG.standard_normal(shape), 1).ravel() * 8


def test_clusters_are_those_of_mne():
    grid, values = smooth_field()
    clusters, sums = mne_clusters(values, grid, 1.5)
    parent, mass, _ = cluster_masses(values, grid, Summary("cluster", 0, 1.5))
    assert len(clusters) == len(np.unique(parent)) - 1 > 3
    for points, total in zip(clusters, sums, strict=True):
        points = np.flatnonzero(points) if np.asarray(points).dtype == bool else np.asarray(points)
        assert set(np.flatnonzero(parent == parent[points[0]])) == set(points)
        np.testing.assert_allclose(mass[parent[points[0]]], abs(total), rtol=1e-12)


def test_stepped_enhancement_is_that_of_mne_and_the_integral_its_limit():
    grid, values = smooth_field()
    _, theirs = mne_clusters(values, grid, {"start": 0.0, "step": 0.2})
    stepped = enhanced_values(values, grid, Summary("tfce", 0, step=0.2))
    np.testing.assert_allclose(np.abs(stepped), np.abs(theirs), rtol=1e-10, atol=1e-12)
    exact = enhanced_values(values, grid, Summary("tfce", 0))
    errors = [
        np.abs(enhanced_values(values, grid, Summary("tfce", 0, step=h)) - exact).max() for h in (0.1, 0.01)
    ]
    assert errors[1] < 0.2 * errors[0] < 0.2 * np.abs(exact).max()


# -- p values -------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
@settings(max_examples=30)
def test_corrections(p):
    p = np.array(p)
    np.testing.assert_allclose(corrected(p, "fdr"), stats.false_discovery_control(p), rtol=1e-12)
    order = np.argsort(p, kind="stable")
    holm = np.empty(len(p))
    for rank, k in enumerate(order):
        holm[k] = min(1.0, max(p[j] * (len(p) - r) for r, j in enumerate(order[: rank + 1])))
    np.testing.assert_allclose(corrected(p, "holm"), holm, rtol=1e-12)
    np.testing.assert_allclose(corrected(p, "bonferroni"), np.minimum(1, p * len(p)), rtol=1e-12)
    np.testing.assert_array_equal(corrected(p, "no"), p)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("fdr", "fdr_bh"), ("holm", "holm"), ("bonferroni", "bonferroni")]
)
def test_corrections_are_those_of_statsmodels_and_leave_nans_out(ours, theirs):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = RNG.random(40) ** 3
    got = corrected(np.append(p, np.nan), ours)
    np.testing.assert_allclose(got[:-1], multitest.multipletests(p, method=theirs)[1], rtol=1e-12)
    assert np.isnan(got[-1])


def test_p_values_count_equal_ones():
    got = p_of_largest(np.array([3.0, 2.0, 0.5, np.nan]), np.array([1.0, 2.0, 2.0, 3.0 - 1e-12]))
    np.testing.assert_allclose(got, [2 / 5, 4 / 5, 1.0, np.nan])


def test_p_values_and_thresholds_of_normal_noise():
    y, x = observations(n_points=3), REGRESSOR
    t = stats.ttest_ind(y[GROUPS == 0], y[GROUPS == 1])
    np.testing.assert_allclose(of_model(t.statistic, "t", 1, 10, 0), t.pvalue, rtol=1e-12)
    one_sided = stats.ttest_ind(y[GROUPS == 0], y[GROUPS == 1], alternative="less").pvalue
    np.testing.assert_allclose(of_model(t.statistic, "t", 1, 10, -1), one_sided, rtol=1e-12)
    r = [stats.pearsonr(x, column) for column in y.T]
    got = of_model(np.array([one.statistic for one in r]), "r", 1, 10, 0)
    np.testing.assert_allclose(got, [one.pvalue for one in r], rtol=1e-10)
    for kind, tail in (("t", 0), ("t", 1), ("r", 0), ("F", 1)):
        np.testing.assert_allclose(
            of_model(np.array(critical(kind, 2, 10, tail, 0.03)), kind, 2, 10, tail), 0.03
        )
