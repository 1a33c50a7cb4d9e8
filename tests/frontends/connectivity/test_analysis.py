"""`connectivityanalysis`: what its parameters do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.connectivity.choices import PAIRS, SPECTRAL

N_TRIALS, LENGTH, RATE = 12, 100, 200.0
GROUPS = {"A": ["channel1", "channel3"], "B": ["channel2"]}
BANDS = {"low": [10, 30], "high": [40, 70]}


def made(scale: float = 1.0, n_trials: int = N_TRIALS) -> Any:
    """Channel 1 drives 2 and 3, one and two samples later."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n_trials, LENGTH + 2, 3)).astype(np.float32)
    x[:, 1:, 1] += 0.8 * x[:, :-1, 0]
    x[:, 2:, 2] += 0.8 * x[:, :-2, 0]
    trials = [trial[2:] * np.float32(scale) for trial in x]
    return spy.AnalogData(trials, samplerate=RATE)


@pytest.fixture(scope="module")
def data() -> Any:
    return made()


def run(data: Any, method: Any, **settings: Any) -> Any:
    return spy.connectivityanalysis(data, method=method, parallel=False, **settings)


def options(name: str) -> dict[str, Any]:
    if name == "psi":
        return {"bands": BANDS}
    return {"groups": GROUPS} if name in ("mic", "mim", "cacoh") else {}


def test_a_list_of_methods_gives_a_dictionary(data: Any) -> None:
    """With the bits of each alone, where all or none of them need more than cross spectra."""
    names = [name for name in SPECTRAL if name not in ("psi", "mic", "mim", "cacoh")]
    together = run(data, names)
    assert list(together) == names
    of_more = [name for name in names if "pli" in name or name in ("plv", "ciplv", "ppc")]
    of_cross = [name for name in names if name not in of_more]
    beside = run(data, of_cross)
    for name in names:
        alone = run(data, name).data[()]
        np.testing.assert_array_equal((beside if name in of_cross else together)[name].data[()], alone)
        np.testing.assert_allclose(
            together[name].data[()], alone, rtol=1e-4, atol=1e-6 * np.nanmax(np.abs(alone))
        )
    assert isinstance(run(data, ["coh"]), dict)
    assert together["granger"].info["converged"]
    assert "converged" not in together["coh"].info
    assert together["coh"].info["n_trials"] == N_TRIALS


def test_spectra_and_signals_give_the_same(data: Any) -> None:
    spectra = spy.freqanalysis(data, output="fourier", tapsmofrq=5, keeptapers=True, pad=1.0, parallel=False)
    for name in ("coh", "ppc", "granger"):
        got, wanted = run(spectra, name), run(data, name, tapsmofrq=5, pad=1.0)
        np.testing.assert_allclose(got.data[()], wanted.data[()], atol=2e-6)
        np.testing.assert_allclose(got.freq, wanted.freq)
        assert got.info["n_trials"] == N_TRIALS


@pytest.mark.parametrize("name", ["coh", "granger", "pdc", "ppc"])
def test_foilim_chooses_from_what_all_frequencies_give(name: str, data: Any) -> None:
    every, some = run(data, name, pad=1.0), run(data, name, pad=1.0, foilim=[30, 50])
    chosen = (every.freq >= 30) & (every.freq <= 50)
    np.testing.assert_array_equal(some.freq, every.freq[chosen])
    np.testing.assert_allclose(some.data[()], every.data[()][:, chosen], rtol=1e-6, atol=1e-7)


def test_directions_and_signs(data: Any) -> None:
    found = run(data, ["coh", "granger", "pdc", "dtf"], output="imag", tapsmofrq=8, pad=1.0)
    low = (found["coh"].freq > 5) & (found["coh"].freq < 30)
    assert (found["coh"].data[0, :, 0, 1][low] > 0).all()  # channel 1 leads
    for name in ("granger", "pdc", "dtf"):
        values = found[name].data[0].mean(axis=0)
        assert values[0, 1] > 4 * values[1, 0], name
        assert values[0, 2] > 4 * values[2, 0], name
    psi = run(data, "psi", bands=BANDS)
    assert (psi.data[0, :, 0, 1:] > 0).all()
    np.testing.assert_allclose(psi.data[()], -psi.data[()].transpose(0, 1, 3, 2))
    lags = run(data, "corr", lags="all")
    assert lags.time[0][lags.data[:, 0, 1, 0].argmax()] == 1 / RATE  # channel 2 is later
    assert lags.time[0][lags.data[:, 0, 0, 2].argmax()] == -2 / RATE


def test_reversed_time(data: Any) -> None:
    forth, back = (
        run(data, "granger", timereversed=t, tapsmofrq=8, pad=1.0).data[0].mean(axis=0) for t in (False, True)
    )
    assert forth[0, 1] > forth[1, 0]
    assert back[1, 0] > back[0, 1]


# -- pairs -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["csd", "coh", "dpli", "wpli_debiased", "ppc", "psi", "pcoh", "dtf"])
def test_pairs_are_entries_of_the_whole(name: str, data: Any) -> None:
    whole = run(data, name, output="complex" if name in ("coh", "pcoh") else "abs", **options(name))
    settings = {"output": "complex" if name in ("coh", "pcoh") else "abs", **options(name)}
    some = run(data, name, channelcmb=[["channel3", "channel1"], [1, 2]], **settings)
    assert (some.channel_i.tolist(), some.channel_j.tolist()) == (
        ["channel3", "channel1"],
        ["channel2", "channel3"],
    )
    np.testing.assert_array_equal(some.data[()], whole.data[()][:, :, [2, 0]][..., [1, 2]])
    listed = run(data, name, channelcmb=[("channel3", 0), (0, 1)], **settings)
    assert listed.channelcmb.tolist() == ["channel3--channel1", "channel1--channel2"]
    np.testing.assert_array_equal(listed.data[()], whole.data[()][:, :, [2, 0], [0, 1]])
    assert listed.dimord == ["time", "freq", "channelcmb"]


def test_granger_of_pairs_is_that_of_two_channels(data: Any) -> None:
    settings = {"tapsmofrq": 8, "pad": 1.0}
    listed = run(data, "granger", channelcmb=[(0, 2), (2, 0)], **settings)
    two = run(data, "granger", select={"channel": [0, 2]}, **settings)
    np.testing.assert_allclose(listed.data[0, :, 0], two.data[0, :, 0, 1], atol=1e-6)
    np.testing.assert_allclose(listed.data[0, :, 1], two.data[0, :, 1, 0], atol=1e-6)
    every = run(data, "granger", pairwise=True, **settings)
    np.testing.assert_array_equal(every.data[0, :, 0, 2], listed.data[0, :, 0])
    np.testing.assert_array_equal(every.data[()][:, :, range(3), range(3)], 0)
    assert np.shape(every.info["max rel. err per pair"]) == (3, 3)
    groups = run(data, "granger", groups={"a": [0], "b": [2]}, **settings)
    np.testing.assert_allclose(groups.data[0, :, 0, 1], listed.data[0, :, 0], atol=1e-6)
    given = run(data, "granger", conditional=True, **settings)
    assert given.data[0, :, 1, 2].mean() < 0.1 * given.data[0, :, 0, 2].mean()


def test_groups(data: Any) -> None:
    found = run(data, ["mic", "mim", "cacoh", "granger"], groups=GROUPS, tapsmofrq=5)
    for name, result in found.items():
        assert result.channel_i.tolist() == ["A", "B"]
        assert result.data.shape == (1, 51, 2, 2)
        values = result.data[()]
        if name != "granger":
            np.testing.assert_array_equal(values, values.transpose(0, 1, 3, 2))
            np.testing.assert_array_equal(values[0, :, 0, 0], 1 if name == "cacoh" else 0)
    coherence = run(data, "coh", tapsmofrq=5).data[()]
    assert (found["cacoh"].data[0, :, 0, 1] >= coherence[0, :, [0, 2], 1].max(axis=0) - 1e-6).all()
    one = run(data, "mic", groups=GROUPS, rank={"A": 1}, tapsmofrq=5).data[()]
    assert (one <= found["mic"].data[()] + 1e-6).all()


def test_bands_are_means_over_closed_intervals(data: Any) -> None:
    every, some = run(data, ["coh", "granger"]), run(data, ["coh", "granger"], bands=BANDS)
    for name in every:
        freq = every[name].freq
        for k, (low, high) in enumerate(BANDS.values()):
            chosen = every[name].data[()][:, (freq >= low) & (freq <= high)]
            np.testing.assert_allclose(some[name].data[()][:, k], chosen.mean(axis=1), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(some[name].freq, [20, 55])
        assert some[name].info["bands"] == BANDS


# -- observations --------------------------------------------------------------------------


def test_tapers_as_observations(data: Any) -> None:
    settings = {"tapsmofrq": 6, "pad": 1.0}
    for name in ("csd", "coh", "granger"):
        trials, tapers = (run(data, name, observations=o, **settings) for o in ("trials", "tapers"))
        np.testing.assert_allclose(tapers.data[()], trials.data[()], rtol=1e-5, atol=1e-5)
    n_tapers = 5
    found = run(data, "ppc", observations="tapers", **settings)
    assert found.info["n_observations"] == N_TRIALS * n_tapers
    spectra = spy.freqanalysis(data, output="fourier", keeptapers=True, parallel=False, **settings)
    apart = spectra.data[()].transpose(1, 0, 2, 3).reshape(-1, 1, 101, 3)
    alone = spy.SpectralData([trial[None] for trial in apart], samplerate=RATE, freq=list(spectra.freq))
    np.testing.assert_allclose(found.data[()], run(alone, "ppc").data[()], atol=1e-6)


@pytest.mark.parametrize(("segments", "n", "step"), [(0.1, 5, 20), ([0.1, 0.5], 9, 10)])
def test_segments_are_trials(segments: Any, n: int, step: int) -> None:
    one = made(n_trials=1)
    found = run(one, "coh", segments=segments)
    assert found.info["n_trials"] == n
    pieces = [one.trials[0][k * step : k * step + 20] for k in range(n)]
    cut = spy.AnalogData(pieces, samplerate=RATE)
    np.testing.assert_array_equal(found.data[()], run(cut, "coh").data[()])
    with pytest.raises(InvalidValueError, match="segments"):
        run(one, "coh")


def test_time_resolved_measures_are_those_of_every_time(data: Any) -> None:
    spectra = spy.freqanalysis(
        data, method="mtmconvol", t_ftimwin=0.1, toi=0.5, foi=[20, 40], output="fourier", parallel=False
    )
    found = run(spectra, ["coh", "wpli_debiased", "psi"], bands={"both": [10, 50]})
    assert found["coh"].data.shape == (10, 1, 3, 3)
    assert found["coh"].samplerate == spectra.samplerate
    np.testing.assert_allclose(found["coh"].time[0], spectra.time[0])
    coherence = run(spectra, "coh")
    one = spy.SpectralData([trial[4:5] for trial in spectra.trials], samplerate=RATE, freq=list(spectra.freq))
    np.testing.assert_array_equal(coherence.data[4:5], run(one, "coh").data[()])


def test_single_trials(data: Any) -> None:
    single = run(data, "csd", keeptrials=True, foilim=[20, 40])
    assert single.data.shape == (N_TRIALS, 11, 3, 3)
    np.testing.assert_allclose(
        single.data[()].mean(axis=0), run(data, "csd", foilim=[20, 40]).data[0], rtol=1e-5, atol=1e-12
    )
    listed = run(data, "corr", keeptrials=True, channelcmb=[(0, 1)], lags="all")
    assert listed.data.shape == (N_TRIALS * (2 * LENGTH - 1), 1, 1)
    x, y = (data.trials[3][:, k].astype(float) - data.trials[3][:, k].mean() for k in (0, 1))
    wanted = np.correlate(x, y, "full") / (LENGTH - np.abs(np.arange(1 - LENGTH, LENGTH)))
    np.testing.assert_allclose(listed.trials[3][:, 0, 0], wanted / (x.std() * y.std()), atol=2e-5)
    np.testing.assert_allclose(listed.time[3], np.arange(1 - LENGTH, LENGTH) / RATE)


@pytest.mark.parametrize("length", [40, 41])
def test_correlation_at_positive_lags_is_a_part_of_all(length: int) -> None:
    data = spy.AnalogData([trial[:length] for trial in made().trials], samplerate=RATE)
    half, every = run(data, "corr").data[()], run(data, "corr", lags="all").data[()]
    n = -(-length // 2)
    assert (len(half), len(every)) == (n, 2 * length - 1)
    np.testing.assert_array_equal(half, every[length - 1 : length - 1 + n])
    np.testing.assert_allclose(every, every[::-1].transpose(0, 1, 3, 2), atol=1e-6)


# -- jackknife ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"method": ["csd", "coh", "plv", "ppc", "wpli_debiased", "dpli", "pcoh"], "output": "complex"},
        {"method": ["granger", "psi"], "bands": BANDS, "pad": 1.0, "tapsmofrq": 5},
        {"method": ["mic", "granger"], "groups": GROUPS, "tapsmofrq": 5, "foilim": [20, 40]},
        {"method": ["corr", "coh"], "foilim": [20, 40]},
        {"method": ["coh", "ppc"], "output": "pow", "tapsmofrq": 6, "channelcmb": [(2, 0), (0, 1), (1, 1)]},
        {"method": ["ppc"], "observations": "tapers", "tapsmofrq": 6, "channelcmb": [(0, 1)], "n": 4},
    ],
)
def test_the_jackknife_leaves_one_out(settings: dict[str, Any]) -> None:
    n = settings.pop("n", 6) if "n" in settings else 6
    data = made(n_trials=n)
    found = spy.connectivityanalysis(data, jackknife=True, parallel=False, **settings)
    for name, result in found.items():
        if settings.get("observations") == "tapers":
            assert result.info["n_observations"] == n * 5
            assert np.isfinite(result.jack_se).all()
            continue
        rest = [
            spy.connectivityanalysis(
                data, parallel=False, select={"trials": np.delete(np.arange(n), k)}, **settings
            )[name].data[()].astype(complex)
            for k in range(n)
        ]  # fmt: skip
        mean = np.mean(rest, axis=0)
        var = (n - 1) * (np.abs(np.array(rest) - mean) ** 2).sum(axis=0)
        size = np.nanmax(np.abs(result.data[()]))
        np.testing.assert_allclose(
            result.jack_bias, (n - 1) * (mean - result.data[()]), atol=5e-6 * size * n, err_msg=name
        )
        np.testing.assert_allclose(result.jack_var, var, rtol=1e-3, atol=1e-6 * size**2, err_msg=name)
        np.testing.assert_allclose(result.jack_se, np.sqrt(result.jack_var / n))


# -- scale, trouble ----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-14, 1e12])
def test_the_unit_of_the_data_does_not_matter(scale: float, data: Any) -> None:
    names = ["coh", "ppc", "wpli", "wpli_debiased", "pli", "granger", "pdc", "pcoh"]
    other, plain = (run(d, names, tapsmofrq=5) for d in (made(scale), data))
    for name in names:
        np.testing.assert_allclose(other[name].data[()], plain[name].data[()], atol=2e-5, err_msg=name)


def test_input_stays_as_it_is(data: Any) -> None:
    before = data.data[()].copy()
    run(data, ["coh", "granger"], jackknife=True, select={"trials": [0, 3, 4, 7], "latency": [-1, -0.7]})
    np.testing.assert_array_equal(data.data[()], before)
    assert data.selection is None


def test_dead_channels_are_named(caplog: Any) -> None:
    data = made()
    array = data.data[()].copy()
    array[:, 1] = 0
    dead = spy.AnalogData(array, samplerate=RATE, trialdefinition=data.trialdefinition)
    found = run(dead, ["coh", "plv"])
    assert "channel2" in caplog.text
    assert np.isnan(found["coh"].data[0, 1:-1, 1]).all()
    assert np.isfinite(found["coh"].data[0, :, 0, 2]).all()
    for name in ("pcoh", "granger", "dtf"):
        with pytest.raises(InvalidValueError, match="channel2"):
            run(dead, name, tapsmofrq=5)


def test_channels_that_depend_on_each_other_are_told() -> None:
    data = made()
    referenced = spy.rereference(data, parallel=False)
    for name in ("pcoh", "granger", "pdc"):
        with pytest.raises(InvalidValueError, match=r"not 2 .*average reference"):
            run(referenced, name, tapsmofrq=5)
    assert run(referenced, "granger", pairwise=True, tapsmofrq=8, pad=1.0).data.shape == (1, 101, 3, 3)
    array = data.data[()].copy()
    array[:, 2] = array[:, 0]
    equal = spy.AnalogData(array, samplerate=RATE, trialdefinition=data.trialdefinition)
    with pytest.raises(InvalidValueError, match="channel1 and channel3 are the same"):
        run(equal, "granger", tapsmofrq=5)
    with pytest.raises(InvalidValueError, match="independent"):
        run(equal, "mic", groups=GROUPS, tapsmofrq=5)
    assert np.isfinite(run(equal, "mic", groups=GROUPS, rank=1, tapsmofrq=5).data[()]).all()


def test_nan_stays_with_its_channel(caplog: Any) -> None:
    data = made()
    array = data.data[()].copy()
    array[330, 2] = np.nan
    found = run(spy.AnalogData(array, samplerate=RATE, trialdefinition=data.trialdefinition), ["coh", "pli"])
    assert "channel3" in caplog.text
    good = run(data, ["coh", "pli"])["coh"].data[()]
    np.testing.assert_array_equal(found["coh"].data[0, :, 0, 1], good[0, :, 0, 1])
    assert np.isnan(found["coh"].data[0, :, 2]).all()


@pytest.mark.parametrize("observations", ["trials", "tapers"])
def test_pairs_go_without_the_trials_that_have_nan(observations: str, data: Any) -> None:
    trials = np.array(list(data.trials))
    trials[[1, 5, 6], 3, 1] = np.nan
    trials[[0, 6], 9, 2] = np.inf * 0
    trials[1, :, 0] *= 1e3  # what is left out must not leave rounding errors behind
    missing = spy.AnalogData(list(trials), samplerate=RATE)
    names, settings = [*PAIRS], {"tapsmofrq": 5, "observations": observations}
    found = run(missing, names, nan="omit", **settings)
    gone, n_tapers = np.isnan(trials).any(axis=1), int(2 * 5 * LENGTH / RATE - 1)
    for i, j in ((0, 1), (2, 1), (0, 2), (1, 1)):
        kept = np.flatnonzero(~(gone[:, i] | gone[:, j])).tolist()
        pick = {"trials": kept, "channel": [i, j] if i != j else [i]}
        wanted = run(missing, names, select=pick, **settings)
        for name in names:
            got, right = found[name].data[0, :, i, j], wanted[name].data[0, :, 0, -1]
            np.testing.assert_allclose(
                got, right, rtol=1e-5, atol=1e-6 * np.nanmax(np.abs(right)), err_msg=name
            )
        info = found["coh"].info
        assert info["n_trials"][i][j] == len(kept)
        assert info["n_observations"][i][j] == len(kept) * (n_tapers if observations == "tapers" else 1)
    slopes = run(missing, "psi", bands=BANDS, nan="omit", select={"channel": [0, 2]}, **settings)
    without = np.flatnonzero(~(gone[:, 0] | gone[:, 2])).tolist()
    wanted = run(missing, "psi", bands=BANDS, select={"channel": [0, 2], "trials": without}, **settings)
    np.testing.assert_allclose(slopes.data[()], wanted.data[()], rtol=1e-5, atol=1e-6)
    with spy.config.using(block_bytes=4000, num_cpus=2):
        again = spy.connectivityanalysis(missing, method=names, nan="omit", **settings)
    for name in names:
        np.testing.assert_array_equal(again[name].data[()], found[name].data[()])


def test_too_few_trials_without_nan_are_no_measure(data: Any) -> None:
    trials = np.array(list(data.trials))[:4]
    trials[1:, 3, 1] = np.nan
    found = run(
        spy.AnalogData(list(trials), samplerate=RATE), ["csd", "coh", "ppc"], nan="omit", foilim=[5, 90]
    )
    assert np.isfinite(found["csd"].data[()]).all()
    assert np.isnan(found["coh"].data[0, :, 1]).all()
    assert np.isnan(found["ppc"].data[0, :, :, 1]).all()
    assert np.isfinite(found["ppc"].data[0, :, 0, 2]).all()
    assert found["coh"].info["n_trials"] == [[4, 1, 4], [1, 1, 1], [4, 1, 4]]


def test_replay_save_and_history(data: Any, tmp_path: Any) -> None:
    found = run(data, "coh", channelcmb=[(0, 1)], jackknife=True, foilim=[20, 40])
    again = spy.connectivityanalysis(data, found.cfg)
    np.testing.assert_array_equal(again.data[()], found.data[()])
    assert again.channelcmb.tolist() == ["channel1--channel2"]
    assert "connectivityanalysis" in found.log
    found.save(filename=str(tmp_path / "x"))
    np.testing.assert_array_equal(spy.load(tmp_path / "x.crossspectral").jack_var, found.jack_var)


@pytest.mark.parametrize(("name", "level"), [("coh", 0.95), ("granger", 0.9), ("ppc", 0.95)])
def test_intervals_of_the_jackknife(name: str, level: float, data: Any) -> None:
    from scipy.stats import t

    found = run(data, name, jackknife=True, tapsmofrq=5, channelcmb=[(0, 1), (1, 0)])
    low, high = found.jack_interval(level)
    value, half = found.data[()].astype(float), t.ppf((1 + level) / 2, N_TRIALS - 1) * found.jack_se
    scale, back, slope = {
        "coh": (np.arctanh, np.tanh, lambda x: 1 / (1 - x**2)),
        "granger": (np.log, np.exp, lambda x: 1 / x),
        "ppc": (np.asarray, np.asarray, np.ones_like),
    }[name]
    wanted = [back(scale(value) + sign * half * slope(value)) for sign in (-1, 1)]
    if name == "granger":
        vague = half >= value
        assert vague.any()
        wanted = [np.where(vague, 0, wanted[0]), np.where(vague, value + half, wanted[1])]
    if name == "coh":
        wanted[0] = np.maximum(wanted[0], 0)
    np.testing.assert_allclose(low, wanted[0], rtol=1e-5)
    np.testing.assert_allclose(high, wanted[1], rtol=1e-5)
    assert (low <= value).all()
    assert (value <= high).all()
    with pytest.raises(InvalidValueError, match="level"):
        found.jack_interval(1.5)
    with pytest.raises(InvalidValueError, match="jackknife"):
        run(data, name, tapsmofrq=5).jack_interval()
    with pytest.raises(InvalidTypeError, match="jackknife"):
        found.jackknife = None


def test_intervals_cover_the_truth() -> None:
    """95 % intervals of the coherence of a known model: 85 to 100 % of bins in few trials."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(40, 64, 1))
    y = x + rng.normal(size=(40, 64, 1))
    pairs = spy.AnalogData(list(np.concatenate([x, y], axis=2)), samplerate=100.0)
    low, high = run(pairs, "coh", jackknife=True, taper=None).jack_interval()
    inside = (low < np.sqrt(0.5)) & (np.sqrt(0.5) < high)
    assert 0.85 <= inside[0, 1:-1, 0, 1].mean() <= 1
