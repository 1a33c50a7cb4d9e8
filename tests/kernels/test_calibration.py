"""False positives of cluster tests on simulated null data, and power, for each design."""

import numpy as np
import pytest
from scipy import ndimage, stats

from rayspy.kernels.statistics import models
from rayspy.kernels.statistics.clusters import Grid, Summary, largest
from rayspy.kernels.statistics.models import statistics
from rayspy.kernels.statistics.probabilities import critical, p_of_largest
from rayspy.kernels.statistics.relabelling import Relabelling

N_SETS, N_SEEDS, N_DRAWS, ALPHA = 1000, 10, 39, 0.05
LINE = Grid(24, 1, np.array([0, 0]), np.empty(0, np.int64))
"""Points of one data set: a line of times."""
COVARIATES = np.random.default_rng(4).standard_normal((2, 16))
REGRESSOR = np.random.default_rng(5).standard_normal(16) + COVARIATES[0]


def noise(rng, n, n_sets):
    x = ndimage.gaussian_filter1d(rng.standard_normal((n, n_sets, 24)), 1.5, axis=2)
    return x / x.std()


def effect_at(n_sets, size):
    shape = np.zeros(24)
    shape[8:16] = size
    return np.tile(shape, (n_sets, 1))


def between(rng, n_sets, effect):
    groups = np.repeat([0, 1], [7, 9])
    y = noise(rng, 16, n_sets)
    y[groups == 0] += effect_at(n_sets, effect)
    return y, models.two_samples(groups), Relabelling("permute", tuple(groups.tolist()), 16)


def subjects(rng, n, k, n_sets):
    """Observations of n subjects in k conditions, with what belongs to the subject."""
    own = 2.0 * rng.standard_normal((n, 1, n_sets, 1))
    return (noise(rng, n * k, n_sets).reshape(n, k, n_sets, 24) + own).reshape(n * k, n_sets, 24)


def pairs(rng, n_sets, effect):
    y = subjects(rng, 12, 2, n_sets)
    y[::2] += effect_at(n_sets, effect)
    return y, models.pairs(12), Relabelling("flip", (0,) * 12, 1)


def one_sample(rng, n_sets, effect):
    return (
        noise(rng, 12, n_sets) + effect_at(n_sets, effect),
        models.one_sample(12),
        Relabelling("flip", (0,) * 12, 1),
    )


def one_way(rng, n_sets, effect):
    groups = np.repeat([0, 1, 2], 6)
    y = noise(rng, 18, n_sets) + groups[:, None, None] * effect_at(n_sets, effect / 2)
    return y, models.one_way(groups), Relabelling("permute", tuple(groups.tolist()), 18)


def repeated(rng, n_sets, effect):
    y = subjects(rng, 8, 3, n_sets) + np.tile([0, 1, 2], 8)[:, None, None] * effect_at(n_sets, effect / 2)
    return y, models.repeated(8, 3), Relabelling("permute", (0, 1, 2) * 8, 3)


def regression(rng, n_sets, effect):
    """The covariates have an effect, and go together with the regressor."""
    y = noise(rng, 16, n_sets) + 2.0 * COVARIATES[0][:, None, None]
    y += REGRESSOR[:, None, None] * effect_at(n_sets, effect)
    return y, models.regression(REGRESSOR, COVARIATES), Relabelling("permute", tuple(range(16)), 16)


def rejected(design, effect, n_sets=N_SETS):
    """Number of data sets with a cluster of p <= ALPHA."""
    found, per_seed = 0, n_sets // N_SEEDS
    for seed in range(N_SEEDS):
        y, model, relabelling = design(np.random.default_rng(100 + seed), per_seed, effect)
        relabelling = Relabelling(relabelling.kind, relabelling.codes, relabelling.unit_size, seed)
        values = np.empty((N_DRAWS + 1, per_seed * 24))
        statistics(model, relabelling, range(N_DRAWS + 1), y.reshape(len(y), -1), values)
        signs = 1 if model.kind == "F" else 0
        limit = critical(model.kind, model.df1, model.df2, signs, 0.05)
        summary = Summary("cluster", signs, limit)
        for k in range(per_seed):
            masses = np.array([largest(row[24 * k : 24 * k + 24], LINE, summary) for row in values])
            found += bool(masses[0] > 0 and p_of_largest(masses[:1], masses[1:])[0] <= ALPHA)
    return found


@pytest.mark.parametrize("design", [between, pairs, one_sample, one_way, repeated, regression])
def test_false_positives_are_as_many_as_alpha_says_and_power_rises(design):
    low, high = stats.binom.interval(0.999, N_SETS, ALPHA)
    assert low <= rejected(design, 0.0) <= high
    some, many = (rejected(design, effect, 100) for effect in (0.7, 1.5))
    assert 10 < some < many
