"""Front-ends for spike trains: numbers, every executor and cut, refusals."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.helpers import run_on

RATE = 1000


def make(n_trials=12, seed=0, **options):
    """Trials of different lengths and offsets, one without spikes; some spikes in none."""
    rng = np.random.default_rng(seed)
    samples = np.sort(rng.choice(n_trials * 400, size=n_trials * 60, replace=False))
    table = np.column_stack(
        [samples, rng.integers(0, 2, len(samples)) * 3, rng.integers(0, 3, len(samples)) + 4]
    )
    starts = np.arange(n_trials) * 400 + 10
    table = table[(samples < starts[4]) | (samples >= starts[5])]
    lengths = 300 + 5 * (np.arange(n_trials) % 7)
    trl = np.column_stack([starts, starts + lengths, -100 - np.arange(n_trials) % 3, np.arange(n_trials)])
    return spy.SpikeData(table, samplerate=RATE, trialdefinition=trl, **options)


def trains_of(spikes, low=-np.inf, high=np.inf):
    """Times in seconds of each trial and cell, from what users see."""
    found = []
    for rows, times in zip(spikes.trials, spikes.time, strict=True):
        inside = (times >= low - 1e-9) & (times <= high + 1e-9)
        found.append(
            [times[inside & (rows[:, 1] == c) & (rows[:, 2] == u)] for c, u in spikes.pairs.tolist()]
        )
    return found


def test_rates():
    spikes = make()
    got = spy.spike_rate(spikes, latency=[0, 0.15], keeptrials=True)
    counts = np.array([[len(t) for t in trial] for trial in trains_of(spikes, 0, 0.15)])
    np.testing.assert_allclose(got.data[()], counts / 0.151)
    assert got.time[0].tolist() == [pytest.approx(0.075)]
    np.testing.assert_allclose(spy.spike_rate(spikes, latency=[0, 0.15]).avg[0], counts.mean(axis=0) / 0.151)
    raw = spy.spike_rate(spikes, output="spikecount", keeptrials=True)
    np.testing.assert_array_equal(raw.data[()], [[len(t) for t in trial] for trial in trains_of(spikes)])
    late = spy.spike_rate(spikes, latency=[0.205, 0.25])
    assert 0 < late.dof.min() < 12


def test_fano():
    spikes = make()
    counts = np.array([[len(t) for t in trial] for trial in trains_of(spikes, 0, 0.15)])
    got = spy.spike_fano(spikes, latency=[0, 0.15])
    np.testing.assert_allclose(got.data[()][0], counts.var(axis=0) / counts.mean(axis=0))
    binned = spy.spike_fano(spikes, latency=[0, 0.15], binsize=0.05)
    first = np.array([[(t < 0.05 - 1e-9).sum() for t in trial] for trial in trains_of(spikes, 0, 0.15)])
    np.testing.assert_allclose(binned.data[()][0], first.var(axis=0) / first.mean(axis=0))
    ends = np.sort(spikes.trialintervals[:, 1])
    for missing, end in ((0, ends[0]), (1, ends[0] + 1 / RATE)):
        dof = spy.spike_fano(spikes, latency=[0, end]).dof
        assert (dof == (spikes.trialintervals[:, 1] >= end - 1e-9).sum()).all()
        assert (dof < len(spikes)).all() == bool(missing)
    with pytest.raises(InvalidValueError, match="recorded as a whole"):
        spy.spike_fano(spikes)


def test_fano_against_elephant():
    statistics = pytest.importorskip("elephant.statistics")
    spikes = make()
    trials = trains_of(spikes, 0, 0.15)
    wanted = [statistics.fanofactor([trial[k] for trial in trials]) for k in range(len(trials[0]))]
    np.testing.assert_allclose(spy.spike_fano(spikes, latency=[0, 0.15]).data[()][0], wanted)


def test_confidence_intervals():
    from scipy.stats import ttest_1samp

    spikes = make()
    psth = spy.spike_psth(spikes, binsize=0.05, latency="minperiod")
    low, high = psth.confidence(0.9)
    interval = ttest_1samp(np.stack(list(psth.trials)), 0, axis=0).confidence_interval(0.9)
    np.testing.assert_allclose(low, interval.low, rtol=1e-5)
    np.testing.assert_allclose(high, interval.high, rtol=1e-5)


def test_intervals():
    spikes = make()
    got = spy.spike_isi(spikes, bins=np.arange(21) * 0.01, refractory=0.01)
    isi = [np.concatenate([np.diff(trial[k]) for trial in trains_of(spikes)]) for k in range(6)]
    for k, values in enumerate(isi):
        edges = (np.arange(21) * 10 - 0.5) / RATE
        np.testing.assert_array_equal(got.data[:, k], np.histogram(values, edges)[0])
        assert got.info["cv"][k] == pytest.approx(values.std() / values.mean())
        assert got.info["mean"][k] == pytest.approx(values.mean())
        assert got.info["violations"][k] == pytest.approx((values < 0.01 - 1e-9).mean())
    np.testing.assert_allclose(got.time[0], np.arange(20) * 0.01 + 0.005)
    each = spy.spike_isi(spikes, bins=np.arange(21) * 0.01, keeptrials=True)
    np.testing.assert_array_equal(np.sum(list(each.trials), axis=0), got.data[()])
    assert np.isnan(each.info["cv"][4]).all(), "a trial without spikes"
    share = spy.spike_isi(spikes, outputunit="proportion")
    np.testing.assert_allclose(share.data[()].sum(axis=0), 1)


def brute_xcorr(one, two, n_cells=6, n_lags=10, width=2):
    out = np.zeros((2 * n_lags + 1, n_cells, n_cells))
    for a in range(n_cells):
        for b in range(n_cells):
            lags = np.rint((two[b][None] - one[a][:, None]) * RATE).ravel()
            if one is two and a == b:
                lags = lags[lags != 0]
            k = np.sign(lags) * np.floor(np.abs(lags) / width + 0.5)
            for lag in k[np.abs(k) <= n_lags]:
                out[int(lag) + n_lags, a, b] += 1
    return out


def test_correlograms():
    spikes = make()
    trains = trains_of(spikes)
    settings = {"maxlag": 0.02, "binsize": 0.002, "debias": False}
    got = spy.spike_xcorr(spikes, **settings)
    wanted = sum(brute_xcorr(trial, trial) for trial in trains)
    np.testing.assert_array_equal(got.data[:, 0], wanted)
    np.testing.assert_allclose(got.time[0], np.arange(-10, 11) * 0.002)
    assert got.channel_i.tolist() == got.channel_j.tolist()
    shifted = spy.spike_xcorr(spikes, method="shiftpredictor", **settings)
    wanted = sum(brute_xcorr(one, two) for one, two in zip(trains, trains[1:] + trains[:1], strict=True))
    np.testing.assert_array_equal(shifted.data[:, 0], wanted)
    share = spy.spike_xcorr(spikes, outputunit="proportion", **settings)
    np.testing.assert_allclose(share.data[:, 0].sum(axis=0), 1)
    rate = spy.spike_xcorr(spikes, outputunit="rate", **settings)
    n = np.array([sum(len(trial[k]) for trial in trains) for k in range(6)])
    np.testing.assert_allclose(rate.data[:, 0], got.data[:, 0] / (n[:, None] * 0.002))
    lengths = spikes.sampleinfo[:, 1] - spikes.sampleinfo[:, 0]
    debiased = spy.spike_xcorr(spikes, maxlag=0.02, binsize=0.002).data[()]
    factor = 1 - np.abs(np.arange(-10, 11)) * 2 / lengths.mean()
    np.testing.assert_allclose(debiased[:, 0], got.data[:, 0] / factor[:, None, None])


def test_jitter_takes_the_fast_part_away():
    rng = np.random.default_rng(3)
    slow = np.sort(rng.choice(20_000, 2000, replace=False))
    table = np.unique(
        np.concatenate(
            [np.column_stack([slow, slow * 0, slow * 0]), np.column_stack([slow + 3, slow * 0, slow * 0 + 1])]
        ),
        axis=0,
    )
    spikes = spy.SpikeData(table, samplerate=RATE, trialdefinition=np.array([[0, 20_003, 0]]))
    raw = spy.spike_xcorr(spikes, maxlag=0.01).data[:, 0, 0, 1]
    expected = spy.spike_xcorr(spikes, maxlag=0.01, method="jitter", jitter=0.02, n_jitter=4).data[:, 0, 0, 1]
    assert raw.argmax() == 13
    assert expected.max() < 0.2 * raw.max()
    again = spy.spike_xcorr(spikes, maxlag=0.01, method="jitter", jitter=0.02, n_jitter=4, seed=1)
    assert (again.data[:, 0, 0, 1] != expected).any()


def test_densities():
    spikes = make()
    got = spy.spike_density(spikes, timwin=[-0.02, 0.02], fsample=500, edges=False, keeptrials=True)
    sd = 0.005
    offset = np.arange(-10, 11) / 500
    kernel = np.exp(-(offset**2) / (2 * sd**2))
    kernel /= kernel.sum()
    for k in (0, 4, 7):
        row, train = spikes.trialdefinition[k], trains_of(spikes)[k]
        grid = np.arange(np.ceil(row[2] / 2), np.floor((row[2] + row[1] - row[0] - 1) / 2) + 1)
        bins = np.append(grid - 0.5, grid[-1] + 0.5) / 500
        counts = np.histogram(train[1], bins - 1e-9)[0]
        wanted = np.convolve(counts, kernel)[10:-10] * 500
        mine = got.trials[k][:, 1]
        np.testing.assert_allclose(mine[np.isfinite(mine)], wanted, atol=1e-4)
        np.testing.assert_allclose(got.time[k][np.isfinite(mine)], grid / 500, atol=1e-9)
    steady = spy.spike_density(spikes, timwin=[-0.5, 0.5], winfunc="boxcar", fsample=500)
    assert (steady.dof[100] == 12).all()


def test_silent_units_and_selections():
    spikes = make(unit={4: "a", 5: "b", 6: "c", 9: "quiet"}, channel=["l", "r"])
    psth = spy.spike_psth(spikes, binsize=0.1, select={"unit": ["a", "quiet"], "trials": [3, 1]})
    assert list(psth.channel) == ["l_a", "l_quiet", "r_a"]
    assert np.nanmax(psth.avg[:, 1]) == 0
    assert psth.trialinfo.tolist() == [[3], [1]]
    spikes.selectdata(unit="b", inplace=True)
    assert list(spy.spike_rate(spikes).channel) == ["l_b", "r_b"]
    assert spy.spike_psth(make(), binsize=0.1).channel[0] == "channel0_unit4"
    again = spy.spike_psth(make(unit={4: "a", 5: "b", 6: "c", 9: "quiet"}, channel=["l", "r"]), psth.cfg)
    np.testing.assert_array_equal(again.data[()], psth.data[()])


CALLS = {
    "psth": (spy.spike_psth, {"binsize": 0.03}),
    "psth-average": (spy.spike_psth, {"binsize": 0.03, "keeptrials": False}),
    "rate": (spy.spike_rate, {}),
    "isi": (spy.spike_isi, {}),
    "xcorr": (spy.spike_xcorr, {"maxlag": 0.02}),
    "shift": (spy.spike_xcorr, {"maxlag": 0.02, "method": "shiftpredictor"}),
    "jitter": (spy.spike_xcorr, {"maxlag": 0.02, "method": "jitter", "n_jitter": 2}),
    "density": (spy.spike_density, {"fsample": 250}),
}


def numbers(result):
    more = [result.avg, result.var, result.dof] if isinstance(result, spy.TimeLockData) else []
    return [result.data[()], *more]


@pytest.mark.parametrize("call", CALLS)
def test_same_bits_from_memory_and_file_for_every_cut(call, tmp_path):
    function, kwargs = CALLS[call]
    np.save(tmp_path / "spikes.npy", make().data[()])
    stored = spy.SpikeData(tmp_path / "spikes.npy", samplerate=RATE, trialdefinition=make().trialdefinition)
    wanted = numbers(function(make(), parallel=False, **kwargs))
    for size in (3_000, 20_000):
        with spy.config.using(block_bytes=size, num_cpus=2):
            for data in (make(), stored):
                got = numbers(function(data, **kwargs))
                if call in ("psth", "rate", "density", "psth-average"):
                    for a, b in zip(got, wanted, strict=True):
                        np.testing.assert_allclose(a, b, rtol=1e-12, equal_nan=True)
                else:
                    np.testing.assert_array_equal(got[0], wanted[0])


@pytest.mark.parametrize("executor", ["local-2", "ray-3", "dask_on_ray-2", "dask-2"])
def test_same_bits_on_every_executor(executor, request):
    with spy.config.using(block_bytes=4_000):
        wanted = {call: numbers(f(make(), parallel=False, **kwargs)) for call, (f, kwargs) in CALLS.items()}
        with run_on(executor, request) as options:
            for call, (function, kwargs) in CALLS.items():
                got = numbers(function(make(), **kwargs, **options))
                for a, b in zip(got, wanted[call], strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("function", "options", "error", "name"),
    [
        ("spike_psth", {"data": spy.AnalogData(np.ones((5, 2)), samplerate=1)}, InvalidTypeError, "data"),
        ("spike_psth", {"data": spy.SpikeData()}, InvalidValueError, "data"),
        ("spike_psth", {"data": spy.SpikeData(np.array([[1, 0, 0]]))}, InvalidValueError, "data"),
        ("spike_psth", {"binsize": "foo"}, InvalidValueError, "binsize"),
        ("spike_psth", {"binsize": 0}, InvalidValueError, "binsize"),
        ("spike_psth", {"binsize": -1}, InvalidValueError, "binsize"),
        ("spike_psth", {"binsize": 100}, InvalidValueError, "binsize"),
        ("spike_psth", {"binsize": [0.1]}, InvalidTypeError, "binsize"),
        ("spike_psth", {"output": "foo"}, InvalidValueError, "output"),
        ("spike_psth", {"vartriallen": 1}, InvalidTypeError, "vartriallen"),
        ("spike_psth", {"keeptrials": "maybe"}, InvalidTypeError, "keeptrials"),
        ("spike_psth", {"vartriallen": False}, InvalidValueError, "latency/vartriallen"),
        ("spike_psth", {"latency": [1, 0]}, InvalidValueError, "latency"),
        ("spike_psth", {"latency": [100, 101]}, InvalidValueError, "latency"),
        ("spike_psth", {"latency": "foo"}, InvalidValueError, "latency"),
        ("spike_psth", {"latency": 0.1}, InvalidTypeError, "latency"),
        ("spike_psth", {"latency": [0.1]}, InvalidValueError, "latency"),
        ("spike_psth", {"select": {"unit": 9}}, InvalidValueError, "select: unit"),
        ("spike_psth", {"select": {"eventid": 9}}, InvalidValueError, "select"),
        ("spike_psth", {"parallel": 3}, InvalidTypeError, "parallel"),
        ("spike_rate", {"output": "proportion"}, InvalidValueError, "output"),
        ("spike_fano", {"binsize": 3}, InvalidValueError, "binsize"),
        ("spike_isi", {"bins": 0.1}, InvalidTypeError, "bins"),
        ("spike_isi", {"bins": [0.1, 0.2]}, InvalidValueError, "bins"),
        ("spike_isi", {"bins": [0, 0.2, 0.1]}, InvalidValueError, "bins"),
        ("spike_isi", {"bins": [0, 0.1, 0.3]}, InvalidValueError, "bins"),
        ("spike_isi", {"refractory": -0.1}, InvalidValueError, "refractory"),
        ("spike_isi", {"outputunit": "rate"}, InvalidValueError, "outputunit"),
        ("spike_xcorr", {"binsize": 0.0005}, InvalidValueError, "binsize"),
        ("spike_xcorr", {"binsize": 0.0015}, InvalidValueError, "binsize"),
        ("spike_xcorr", {"maxlag": 0}, InvalidValueError, "maxlag"),
        ("spike_xcorr", {"maxlag": 10}, InvalidValueError, "maxlag"),
        ("spike_xcorr", {"method": "foo"}, InvalidValueError, "method"),
        ("spike_xcorr", {"method": "jitter", "jitter": 0.0001}, InvalidValueError, "jitter"),
        ("spike_xcorr", {"method": "jitter", "n_jitter": 0}, InvalidValueError, "n_jitter"),
        ("spike_xcorr", {"method": "jitter", "seed": -1}, InvalidValueError, "seed"),
        ("spike_xcorr", {"method": "shiftpredictor", "select": {"trials": 1}}, InvalidValueError, "select"),
        ("spike_xcorr", {"debias": None}, InvalidTypeError, "debias"),
        ("spike_density", {"fsample": 2000}, InvalidValueError, "fsample"),
        ("spike_density", {"timwin": 0.1}, InvalidTypeError, "timwin"),
        ("spike_density", {"timwin": [0.1, 0.2]}, InvalidValueError, "timwin"),
        ("spike_density", {"timwin": [0, 0]}, InvalidValueError, "timwin"),
        ("spike_density", {"winfunc": "foo"}, InvalidValueError, "winfunc"),
    ],
)
def test_wrong_arguments(function, options, error, name):
    with pytest.raises(error, match=f"`{name}`"):
        getattr(spy, function)(**{"data": make(), **options})
