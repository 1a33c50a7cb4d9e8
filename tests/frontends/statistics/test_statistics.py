"""Front-ends of statistics: exact p values, MNE, bits over executors and cuts, `extend`, files, bad input."""

import itertools

import numpy as np
import pytest
from scipy import stats

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, MemoryBudgetError, PathError
from tests.helpers import run_on

NAMES = [f"ch{k}" for k in range(4)]
CHAIN = list(itertools.pairwise(NAMES))
RNG = np.random.default_rng(3)


def spectra(n, effect=0.0, seed=0, offset=-4, names=NAMES, freq=(4.0, 8.0, 12.0), n_time=8):
    """Trials of noise, with `effect` added at times 2 to 5, the second frequency, channels 1 and 2."""
    x = np.random.default_rng(seed).standard_normal((n, n_time, 1, len(freq), len(names))).astype(np.float32)
    x[:, 2:6, 0, 1, 1:3] += effect
    data = spy.SpectralData(x.reshape(-1, 1, len(freq), len(names)), samplerate=100, channel=list(names))
    data.freq = list(freq)
    starts = n_time * np.arange(n)
    data.definetrial(np.column_stack([starts, starts + n_time, np.full(n, offset)]))
    return data


def analog(n, effect=0.0, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, 10, 3)).astype(np.float32)
    x[:, 3:7, 1] += effect
    return spy.AnalogData(list(x), samplerate=50)


def points(data):
    return np.array(list(data.trials), dtype=np.float64).reshape(len(data), -1)


def frequency_test(*data, **settings):
    return spy.freqstatistics(*data, **{"numrandomization": 200, "parallel": False, **settings})


# -- numbers ----------------------------------------------------------------------------------------


def test_clusters_tell_what_went_in():
    result = frequency_test(spectra(12, 2.0, 1), spectra(13, 0.0, 2), neighbours=CHAIN)
    assert result.stat.shape == result.prob.shape == result.mask.shape == (8, 3, 4)
    table = result.clusters
    first = table.loc[1]
    assert first.p == 1 / 201
    assert (table.p.iloc[1:] > 0.05).all()
    assert [first.time_first, first.time_last, first.freq_first] == pytest.approx([-0.02, 0.01, 8.0])
    assert {"ch1", "ch2"} <= set(first.channel)
    np.testing.assert_array_equal(result.mask, result.cluster == 1)
    np.testing.assert_allclose(first.mass, result.stat[result.cluster == 1].sum(), rtol=1e-12)
    assert result.n_permutations == len(result.distribution) == 200
    assert not result.exact
    assert result.df == (23,)
    np.testing.assert_allclose(result.threshold, stats.t.isf(0.025, 23))


def brute_force(x, y, largest):
    """Share of all relabellings of two groups that reach the observed value."""
    both, n = np.concatenate([x, y]), len(x)
    found = []
    for chosen in itertools.combinations(range(len(both)), n):
        inside = np.isin(np.arange(len(both)), chosen)
        found.append(largest(stats.ttest_ind(both[inside], both[~inside]).statistic))
    observed = largest(stats.ttest_ind(x, y).statistic)
    return np.mean(np.array(found) >= observed - 1e-9 * abs(observed)), len(found)


@pytest.mark.parametrize(
    ("tail", "sided"),
    [(0, lambda t: np.abs(t).max()), (1, lambda t: max(t.max(), 0)), (-1, lambda t: max(-t.min(), 0))],
)
def test_exact_p_of_two_groups_is_that_of_brute_force(tail, sided):
    a, b = spectra(4, 1.0, 1), spectra(3, 0.0, 2)
    result = frequency_test(a, b, correctm="max", numrandomization="all", tail=tail)
    wanted, n = brute_force(points(a), points(b), sided)
    assert result.exact
    assert result.n_permutations == n - 1 == 34
    peak = result.stat * tail if tail else np.abs(result.stat)
    np.testing.assert_allclose(result.prob.ravel()[peak.argmax()], wanted, rtol=1e-12)


def test_exact_p_of_equal_groups_counts_the_exchange_of_both():
    a, b = spectra(3, 1.0, 1), spectra(3, 0.0, 2)
    result = frequency_test(a, b, correctm="no", numrandomization="all")
    both = np.concatenate([points(a), points(b)])
    sets = [np.isin(np.arange(6), c) for c in itertools.combinations(range(6), 3)]
    t = np.abs([stats.ttest_ind(both[s], both[~s]).statistic for s in sets])
    wanted = (t >= np.abs(result.stat.ravel()) * (1 - 1e-9)).mean(0)
    np.testing.assert_allclose(result.prob.ravel(), wanted, rtol=1e-12)
    assert result.prob.min() >= 0.1


def test_exact_p_of_pairs_and_of_one_sample():
    a, b = spectra(5, 1.0, 1), spectra(5, 0.0, 2)
    result = frequency_test(a, b, design="within", correctm="max", numrandomization="all")
    differences = points(a) - points(b)
    one = frequency_test(a - b, design="onesample", correctm="max", numrandomization="all")
    largest = [
        np.abs(stats.ttest_1samp(np.array(signs)[:, None] * differences, 0).statistic).max()
        for signs in itertools.product([1, -1], repeat=5)
    ]
    wanted = np.mean(np.array(largest) >= largest[0] * (1 - 1e-9))
    np.testing.assert_allclose(result.prob.min(), wanted, rtol=1e-12)
    np.testing.assert_allclose(one.stat, result.stat, rtol=1e-5)
    assert result.n_permutations == one.n_permutations == 31


def test_two_groups_are_those_of_mne():
    """Its distribution for both sides is the largest signed sum in 1.13.2, so it is made draw by draw."""
    mne = pytest.importorskip("mne")
    from mne.stats.cluster_level import _find_clusters

    a, b = spectra(12, 1.0, 1), spectra(13, 0.0, 2)
    result = frequency_test(a, b, neighbours=CHAIN)
    graph = mne.stats.combine_adjacency(8, 3, _chain_matrix())
    t, clusters, _, _ = mne.stats.permutation_cluster_test(
        [points(d).reshape(len(d), 8, 3, 4) for d in (a, b)],
        threshold=result.threshold,
        n_permutations=2,
        stat_fun=lambda x, y: stats.ttest_ind(x, y).statistic,
        adjacency=graph,
        out_type="mask",
        verbose="error",
    )
    np.testing.assert_allclose(result.stat, t, rtol=1e-10, atol=1e-13)
    theirs = sorted(abs(t[mask].sum()) for mask in clusters)
    np.testing.assert_allclose(sorted(result.clusters.mass.abs()), theirs, rtol=1e-10)
    both, swap = np.concatenate([points(a), points(b)]), result.test.relabelled(False).relabelling
    for k in range(1, 20):
        first = swap.design(np.repeat([0, 1], [12, 13]), k) == 0
        t = stats.ttest_ind(both[first], both[~first]).statistic
        sums = _find_clusters(t, result.threshold, tail=0, adjacency=graph)[1]
        largest = max(np.abs(sums), default=0.0)
        np.testing.assert_allclose(result.distribution[k - 1], largest, rtol=1e-10)


def _chain_matrix():
    from scipy import sparse

    return sparse.coo_matrix(np.abs(np.subtract.outer(np.arange(4), np.arange(4))) == 1)


def test_analytic_p_values_are_those_of_scipy():
    a, b = analog(8, 1.0, 1), analog(9, 0.0, 2)
    result = spy.timelockstatistics(a, b, method="analytic", correctm="fdr", parallel=False)
    raw = stats.ttest_ind(points(a), points(b)).pvalue
    np.testing.assert_allclose(result.prob.ravel(), stats.false_discovery_control(raw), rtol=1e-10)
    assert result.stat.shape == (10, 3)
    np.testing.assert_allclose(result.time, a.time[0])
    with pytest.raises(InvalidValueError, match="montecarlo"):
        result.extend(10)


def test_factors_and_regressors():
    data = [analog(6, effect, k) for k, effect in enumerate((0.0, 0.5, 1.0))]
    arrays = [points(d) for d in data]
    result = spy.timelockstatistics(*data, numrandomization=20, parallel=False)
    np.testing.assert_allclose(result.stat.ravel(), stats.f_oneway(*arrays).statistic, rtol=1e-10)
    assert result.df == (2, 15)
    within = spy.timelockstatistics(*data, design="within", numrandomization=20, parallel=False)
    assert within.df == (2, 10)
    regressor = np.random.default_rng(0).standard_normal(18)
    both = spy.timelockstatistics(
        *data,
        regressor=regressor,
        statistic="correlation",
        correctm="max",
        numrandomization=20,
        parallel=False,
    )
    wanted = stats.pearsonr(regressor[:, None], np.concatenate(arrays), axis=0).statistic
    np.testing.assert_allclose(both.stat.ravel(), wanted, rtol=1e-10, atol=1e-14)


def test_subjects_in_lists_averages_and_selections():
    first, second = ([spectra(1, e, s) for s in range(k, k + 6)] for k, e in ((0, 3.0), (10, 0.0)))
    result = frequency_test(
        first,
        second,
        design="within",
        avgoverchan=True,
        avgovertime=True,
        latency=[-0.02, 0.01],
        channel=["ch1", "ch2"],
    )
    assert result.stat.shape == (1, 3, 1)
    values = [
        [d.trials[0][2:6, 0, :, 1:3].astype(float).mean((0, 2)) for d in side] for side in (first, second)
    ]
    np.testing.assert_allclose(result.stat.ravel(), stats.ttest_rel(*values).statistic, rtol=1e-10)
    table = np.array([np.repeat([1, 2], 6), np.tile(np.arange(6), 2)])
    same = frequency_test(
        *first,
        *second,
        design=table,
        ivar=1,
        uvar=2,
        statistic="ft_statfun_depsamplesT",
        seed=0,
        numrandomization="all",
    )
    again = frequency_test(first, second, design="within", numrandomization="all")
    np.testing.assert_array_equal(same.stat, again.stat)
    np.testing.assert_array_equal(same.distribution, again.distribution)


def test_a_function_of_the_user():
    def difference(data, design):
        return data[design == 0].mean(0) - data[design == 1].mean(0)

    a, b = spectra(4, 6.0, 1), spectra(4, 0.0, 2)
    result = frequency_test(a, b, statistic=difference, correctm="max", numrandomization="all")
    np.testing.assert_allclose(result.stat.ravel(), points(a).mean(0) - points(b).mean(0), rtol=1e-10)
    assert result.n_permutations == 69
    assert result.prob.min() == pytest.approx(2 / 70)
    with pytest.raises(InvalidValueError, match="clusterthreshold"):
        frequency_test(a, b, statistic=difference)
    with pytest.raises(ValueError, match="one per point"):
        frequency_test(a, b, statistic=lambda data, design: 1.0, correctm="max")


@pytest.mark.parametrize("executor", ["ray-2", "dask-2"])
def test_a_function_of_the_session_travels(executor, request):
    a, b = spectra(6, 2.0, 1), spectra(6, 0.0, 2)
    settings = {"statistic": lambda data, design: data[design == 0].max(0), "correctm": "max"}
    wanted = frequency_test(a, b, **settings)
    with run_on(executor, request) as where:
        got = frequency_test(a, b, **{**settings, **where})
    np.testing.assert_array_equal(got.distribution, wanted.distribution)


def test_other_orders_of_dimensions_and_wider_numbers():
    a, b = spectra(5, 2.0, 1), spectra(5, 0.0, 2)
    turned = []
    for data in (a, b):
        array = np.asarray(data.data).astype(np.float64).transpose(3, 0, 2, 1)
        other = spy.SpectralData(
            array,
            samplerate=100,
            channel=NAMES,
            freq=list(data.freq),
            dimord=["channel", "time", "freq", "taper"],
        )
        other.definetrial(data.trialdefinition)
        turned.append(other)
    one, other = frequency_test(a, b, neighbours=CHAIN), frequency_test(*turned, neighbours=CHAIN)
    np.testing.assert_array_equal(one.stat, other.stat)
    np.testing.assert_array_equal(one.distribution, other.distribution)


# -- the same bits everywhere -------------------------------------------------------------------------


def cluster_run(**settings):
    return frequency_test(
        spectra(6, 1.0, 1), spectra(6, 0.0, 2), neighbours=CHAIN, numrandomization=150, **settings
    )


@pytest.mark.parametrize("executor", ["local-2", "ray-2", "dask_on_ray-2", "dask-2"])
def test_bits_on_every_executor(executor, request):
    wanted = [cluster_run(correctm=correctm) for correctm in ("cluster", "no")]
    with run_on(executor, request) as where:
        got = [cluster_run(correctm=correctm, **where) for correctm in ("cluster", "no")]
    np.testing.assert_array_equal(got[0].distribution, wanted[0].distribution)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one.prob, other.prob)


def test_bits_of_observations_on_disk_and_other_batches(monkeypatch, scratch):
    wanted = [cluster_run(correctm=c) for c in ("cluster", "tfce", "fdr")]
    monkeypatch.setattr("rayspy.frontends.statistics.observations.PIECE_BYTES", 12 * 4 * 24)
    monkeypatch.setattr("rayspy.methods.statistics.draws.BATCH_BYTES", 8 * 96 * 7)
    with spy.config.using(inmemory_bytes=100):
        got = [cluster_run(correctm=c) for c in ("cluster", "tfce", "fdr")]
        assert len(got[0].test.observations.edges) > 3
        for one, other in zip(wanted, got, strict=True):
            np.testing.assert_array_equal(one.stat, other.stat)
            np.testing.assert_array_equal(one.prob, other.prob)
    del got, other
    assert not list(scratch.rglob("*.arrow"))


@pytest.mark.parametrize("correctm", ["cluster", "tfce", "holm"])
def test_extend_is_asking_for_all_at_once(correctm):
    at_once = cluster_run(correctm=correctm)
    settings = {"neighbours": CHAIN, "correctm": correctm, "numrandomization": 90}
    first = frequency_test(spectra(6, 1.0, 1), spectra(6, 0.0, 2), **settings)
    before = first.prob.copy()
    longer = first.extend(60, parallel=False)
    np.testing.assert_array_equal(longer.prob, at_once.prob)
    np.testing.assert_array_equal(first.prob, before)
    assert (first.n_permutations, longer.n_permutations) == (90, 150)
    every = first.extend(1000, parallel=False)
    assert every.exact
    assert every.n_permutations == 923
    exact = frequency_test(spectra(6, 1.0, 1), spectra(6, 0.0, 2), **{**settings, "numrandomization": "all"})
    np.testing.assert_array_equal(every.prob, exact.prob)
    with pytest.raises(InvalidValueError, match="not all"):
        every.extend(1)


@pytest.mark.parametrize("correctm", ["cluster", "fdr"])
def test_a_run_that_was_ended_goes_on(correctm, monkeypatch, capsys):
    from rayspy.methods.statistics import draws

    monkeypatch.setattr(draws, "MOST_DRAWS", 10)
    settings = {"correctm": correctm, "neighbours": CHAIN, "numrandomization": 200}
    data = spectra(6, 1.0, 1), spectra(6, 0.0, 2)
    wanted = frequency_test(*data, **settings)
    calls = []
    name = "beyond" if correctm == "cluster" else "values"
    original = getattr(draws.Relabelled, name)

    def ended(self, *args):
        calls.append(args)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(draws.Relabelled, name, ended)
    with spy.config.using(resume_after=0, block_bytes=1):
        with pytest.raises(KeyboardInterrupt):
            frequency_test(*data, **settings)
        observed = name == "values"  # one call more is that of the observed labels
        done, calls[:] = len(calls) - 1 - observed, [None] * 20
        got = frequency_test(*data, **settings)
    assert len(calls) - 20 - observed == 20 - done
    np.testing.assert_array_equal(got.prob, wanted.prob)


@pytest.mark.parametrize(("correctm", "n"), [("cluster", 40), ("tfce", 3), ("no", 40)])
def test_memory_of_draws_is_that_projected(correctm, n):
    import tracemalloc

    from rayspy.executors import driver

    planned = []
    a, b = (
        spectra(10, 0.0, k, n_time=200, freq=tuple(range(1, 13)), names=[f"c{i}" for i in range(20)])
        for k in (1, 2)
    )
    frequency_test(a, b, correctm=correctm, numrandomization=1)
    run = driver._execute

    def watched(choice, journal, done):
        planned.append(journal.sink.plan.memory)
        tracemalloc.start()
        run(choice, journal, done)
        planned.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "_execute", watched)
        frequency_test(a, b, correctm=correctm, numrandomization=n)
    memory, peak = planned
    assert 0.3 * memory.per_worker < peak <= memory.per_worker + memory.driver


# -- results -----------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path):
    result = cluster_run()
    path = result.save(tmp_path / "test")
    assert path.name == "test.stat"
    loaded = spy.StatData.load(path)
    for name in ("stat", "prob", "mask", "cluster", "distribution"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(result, name))
    assert loaded.clusters.equals(result.clusters)
    assert repr(loaded) == repr(result)
    assert list(loaded.channel) == NAMES
    with pytest.raises(InvalidValueError, match="data="):
        loaded.extend(10)
    assert spy.load(tmp_path / "test").clusters.equals(result.clusters)
    assert spy.load(path).n_permutations == result.n_permutations
    with pytest.raises(InvalidTypeError, match="out"):
        spy.load(path, out=spectra(2))
    with pytest.raises(PathError):
        result.save(path)
    result.save(path, overwrite=True)
    whole = path.read_bytes()
    flags = whole.index(b"PK\x01\x02") + 8
    locked = whole[:flags] + bytes([whole[flags] | 1]) + whole[flags + 1 :]
    for damaged in (whole[:500], locked):
        path.write_bytes(damaged)
        with pytest.raises(DamagedDataError):
            spy.StatData.load(path)
    assert [p.name for p in tmp_path.iterdir()] == ["test.stat"]


def _same_subjects(n):
    return [spectra(1, 0.0, k) for k in range(n)]


LATER = {
    "trials": ((spectra(6, 1.0, 1), spectra(6, 0.0, 2)), {"neighbours": CHAIN}),
    "matrix": (
        (spectra(6, 1.0, 1), spectra(6, 0.0, 2)),
        {"neighbours": np.eye(4, k=1) + np.eye(4, k=-1), "channel": NAMES[:4], "latency": [-0.02, 0.02]},
    ),
    "regressor": (
        (_same_subjects(7),),
        {"regressor": np.arange(7.0), "covariates": RNG.random(7), "correctm": "fdr"},
    ),
    "subjects": (
        (_same_subjects(7), _same_subjects(7)[::-1]),
        {"subjects": [*range(7)] * 2, "design": "within"},
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_a_loaded_result_is_extended_with_its_data(name, tmp_path):
    data, settings = LATER[name]
    settings = {"correctm": "max", **settings, "parallel": False}
    loaded = spy.load(spy.freqstatistics(*data, **settings, numrandomization=30).save(tmp_path / "test"))
    longer = loaded.extend(25, parallel=False, data=data)
    at_once = spy.freqstatistics(*data, **settings, numrandomization=55)
    np.testing.assert_array_equal(longer.prob, at_once.prob)
    assert longer.n_permutations == 55
    np.testing.assert_array_equal(longer.extend(5, parallel=False).n_permutations, 60)
    with pytest.raises(InvalidValueError, match="statistic differs"):
        loaded.extend(5, data=tuple(spectra(6, 0.0, 9) if len(data[0]) == 6 else d[::-1] for d in data))


def test_a_loaded_result_of_a_function_is_not_extended(tmp_path):
    data = spectra(4, 6.0, 1), spectra(4, 0.0, 2)
    settings = {"statistic": lambda x, design: x[design == 0].mean(0), "correctm": "max"}
    loaded = spy.load(frequency_test(*data, **settings, numrandomization=5).save(tmp_path / "test"))
    with pytest.raises(InvalidValueError, match="function of your own"):
        loaded.extend(5, data=data)


def test_observations_that_workers_do_not_see_are_sent(monkeypatch, scratch):
    from rayspy.executors.local import LocalExecutor

    wanted = [cluster_run(correctm=c) for c in ("cluster", "fdr")]
    run, sent = LocalExecutor.run, []

    def elsewhere(self, plan, blocks, collect):
        observations = plan.method.test.observations.source
        sent.append(observations.in_memory)
        if not observations.in_memory:
            raise PathError(observations.location, exists=False, hint="seen from host n2")
        run(self, plan, blocks, collect)

    monkeypatch.setattr(LocalExecutor, "run", elsewhere)
    with spy.config.using(inmemory_bytes=100):
        got = [cluster_run(correctm=c) for c in ("cluster", "fdr")]
        monkeypatch.setattr("rayspy.frontends.statistics.testing.memory_budget", lambda: 10_000)
        with pytest.raises(MemoryBudgetError, match="RAYSPY_TMPDIR"):
            frequency_test(spectra(8, 1.0, 1), spectra(8, 0.0, 2))
    assert sent == [False, True] * 2 + [False]
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_array_equal(one.prob, other.prob)


def test_dataframe_has_a_row_per_point():
    result = cluster_run()
    table = result.to_dataframe()
    assert list(table.columns) == ["time", "freq", "channel", "stat", "prob", "mask", "cluster"]
    row = table[(table.freq == 8.0) & (table.channel == "ch2")].iloc[3]
    assert row.stat == result.stat[3, 1, 2]
    assert row.time == result.time[3]


def test_too_many_points_are_refused_before_anything_is_read():
    with spy.config.using(memory_budget=5000), pytest.raises(MemoryBudgetError, match="points"):
        cluster_run()


# -- pairs of channels ---------------------------------------------------------------------------------


def matrices(effect, seed, names=NAMES):
    """A subject's symmetric measure (time, freq, channel, channel), larger between channels 0 and 1."""
    x = np.random.default_rng(seed).standard_normal((1, 3, len(names), len(names)))
    x[0, 1, 0, 1] += effect
    x = (x + x.swapaxes(2, 3)) / 2
    return spy.CrossSpectralData(
        x, samplerate=1, freq=[4.0, 8.0, 12.0], channel_i=list(names), channel_j=list(names)
    )


def test_pairs_are_tested_once_and_named():
    groups = [[matrices(e, k) for k in range(low, low + 7)] for e, low in ((6.0, 0), (0.0, 10))]
    settings = {"numrandomization": 100, "parallel": False}
    result = spy.connectivitystatistics(*groups, neighbours=CHAIN, **settings)
    assert result.dimord == ("time", "freq", "channelcmb")
    pairs = list(itertools.combinations(range(4), 2))
    assert list(result.coords["channelcmb"]) == [f"{NAMES[a]}--{NAMES[b]}" for a, b in pairs]
    values = [np.array([[d.data[0, :, a, b] for a, b in pairs] for d in group]) for group in groups]
    wanted = stats.ttest_ind(*values).statistic.T[None]
    np.testing.assert_allclose(result.stat, wanted, rtol=1e-9, atol=1e-12)
    assert "ch0--ch1" in result.clusters.channelcmb.iloc[0]
    assert result.clusters.p.iloc[0] < 0.05
    both = spy.connectivitystatistics(*groups, directed=True, **settings)
    assert both.stat.shape == (1, 3, 12)
    some = spy.connectivitystatistics(*groups, channel=["ch3", "ch1"], frequency=[4, 8], **settings)
    assert list(some.coords["channelcmb"]) == ["ch3--ch1"]
    np.testing.assert_allclose(some.stat[0, :, 0], wanted[0, :2, pairs.index((1, 3))], rtol=1e-9)


@pytest.mark.parametrize("directed", [False, True])
def test_neighbours_of_pairs(directed):
    from rayspy.frontends.statistics.neighbours import pair_graph

    near = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) == 1
    pairs = list(itertools.permutations(range(4), 2) if directed else itertools.combinations(range(4), 2))
    pointer, index = pair_graph(near, tuple(np.array(pairs).T), directed)
    for k, (a, b) in enumerate(pairs):
        found = {pairs[m] for m in index[pointer[k] : pointer[k + 1]]}
        wanted = set()
        for c, d in pairs:
            ends = [(a, b, c, d)] if directed else [(a, b, c, d), (a, b, d, c)]
            if any((p == r and near[q, s]) or (q == s and near[p, r]) for p, q, r, s in ends) and (c, d) != (
                a,
                b,
            ):
                wanted.add((c, d))
        assert found == wanted


# -- neighbours ------------------------------------------------------------------------------------------


def test_neighbours_in_every_form_are_the_same():
    result = cluster_run()
    forms = [
        np.array(_chain_matrix().toarray()),
        _chain_matrix(),
        {name: [b for a, b in CHAIN if a == name] for name in NAMES},
        [{"label": a, "neighblabel": [d for c, d in CHAIN if c == a]} for a in NAMES],
        spy.neighbours_from_positions(np.arange(8.0).reshape(4, 2), NAMES, distance=3.0),
        [*CHAIN, ("ch0", "elsewhere")],
    ]
    for neighbours in forms:
        again = frequency_test(
            spectra(6, 1.0, 1), spectra(6, 0.0, 2), neighbours=neighbours, numrandomization=150
        )
        np.testing.assert_array_equal(again.cluster, result.cluster)
    picked = {"channel": ["ch2", "ch0", "ch1"], "numrandomization": 5}
    by_name = frequency_test(spectra(6, 1.0, 1), spectra(6, 0.0, 2), neighbours=CHAIN, **picked)
    by_matrix = frequency_test(spectra(6, 1.0, 1), spectra(6, 0.0, 2), neighbours=forms[0], **picked)
    np.testing.assert_array_equal(by_name.cluster, by_matrix.cluster)


def test_positions():
    square = np.array([[0, 0], [1, 0], [0, 1], [1, 1.1], [3, 0]])
    near = spy.neighbours_from_positions(square)
    assert (near == near.T).all()
    assert near[0, 1]
    assert near[0, 2]
    assert not near[0, 4]
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    cap = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(6)])
    cap = np.vstack([cap, [0, 0, 1.0]])
    named = spy.neighbours_from_positions(cap, [f"e{k}" for k in range(7)])
    assert set(named["e6"]) == {f"e{k}" for k in range(6)}
    assert {"e1", "e5", "e6"} <= set(named["e0"])
