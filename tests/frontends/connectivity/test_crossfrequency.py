"""Phase-amplitude coupling: against NumPy step by step, closed forms, and data without coupling."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError
from rayspy.executors.local import LocalExecutor
from tests.contract import MethodContract
from tests.helpers import run_on

RATE, LENGTH, N_TRIALS = 200.0, 500, 5
LOW, HIGH = [5.0, 8.0], [30.0, 55.0, 90.0]
SMALL: dict[str, Any] = {"foi_phase": LOW, "foi_amplitude": HIGH, "width_amplitude": 4, "parallel": False}
MEASURES = ["tort", "mvl", "plv"]
KINDS = ["timeshift", "trialshuffle"]


def coupled(n_trials: int = N_TRIALS, scale: float = 1.0, seed: int = 3) -> Any:
    """Channel a has amplitudes at 55 Hz that are largest at phase 1 of 8 Hz; b has noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(LENGTH) / RATE
    trials = []
    for _ in range(n_trials):
        slow = 2 * np.pi * 8 * t + rng.uniform(0, 6)
        fast = (1 + 0.8 * np.cos(slow - 1)) * np.cos(2 * np.pi * 55 * t + rng.uniform(0, 6))
        a = np.cos(slow) + fast + 0.7 * rng.normal(size=LENGTH)
        trials.append(np.column_stack([a, rng.normal(size=LENGTH)]) * scale)
    return spy.AnalogData(trials, samplerate=RATE, channel=["a", "b"])


@pytest.fixture(scope="module")
def data() -> Any:
    return coupled()


# -- by hand -----------------------------------------------------------------------------------


def morlets(x: Any, freqs: Any, w0: float) -> Any:
    """Morlet wavelets by plain convolution: (frequency, time); a sinusoid of amplitude 1 gives 1."""
    found = []
    for f in freqs:
        scale = (w0 + np.sqrt(2 + w0**2)) / (4 * np.pi * f) * RATE
        lags = np.arange((-10 * scale + 1) / 2, (10 * scale + 1) / 2)
        u = lags / scale
        taps = (np.exp(1j * w0 * u) - np.exp(-(w0**2) / 2)) * np.exp(-(u**2) / 2)
        middle = (len(taps) - 1) // 2
        places = np.arange(len(taps)) - middle
        gain = np.abs((taps * np.exp(-2j * np.pi * f / RATE * places)).sum()) / 2
        found.append(np.convolve(x, taps)[middle : middle + len(x)] / gain)
    return np.array(found)


def margin_of(measure: str) -> int:
    low, high = ((w0 + np.sqrt(2 + w0**2)) / (4 * np.pi * f) for w0, f in ((6, LOW[0]), (4, HIGH[0])))
    seconds = low + high if measure == "plv" else max(low, high)
    return int(np.ceil(np.sqrt(2) * seconds * RATE))


def by_hand(trials: Any, measure: str, i: int, j: int, state: Any) -> Any:
    """Measure of trials at all frequencies; `state` gives (trial, shift) of the amplitudes for each trial."""
    inner = slice(margin_of(measure), LENGTH - margin_of(measure))
    found = np.empty((len(LOW), len(HIGH)))
    low = [morlets(x[:, i] - x[:, i].mean(), LOW, 6)[:, inner] for x in trials]
    high = [np.abs(morlets(x[:, j] - x[:, j].mean(), HIGH, 4)) for x in trials]
    for p in range(len(LOW)):
        for a in range(len(HIGH)):
            phase = np.concatenate([np.angle(one[p]) for one in low])
            envelopes = [one[a] for one in high]
            if measure == "plv":
                envelopes = [np.angle(morlets(e - e.mean(), LOW, 6)[p]) for e in envelopes]
            moved = np.concatenate([np.roll(envelopes[k][inner], shift) for k, shift in state])
            if measure == "plv":
                found[p, a] = abs(np.exp(1j * (phase - moved)).mean())
            elif measure == "mvl":
                found[p, a] = abs((moved * np.exp(1j * phase)).mean())
            else:
                bins = np.digitize(phase, np.linspace(-np.pi, np.pi, 19)[1:-1])
                means = np.array([moved[bins == b].mean() for b in range(18)])
                share = means / means.sum()
                found[p, a] = (share * np.log(share * 18)).sum() / np.log(18)
    return found


def numbers(seed: int, draw: int, place: int) -> Any:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(draw, place))))


def states_by_hand(kind: str, measure: str, n_draws: int, seed: int, minshift: int) -> Any:
    n_times = LENGTH - 2 * margin_of(measure)
    for draw in range(1, n_draws + 1):
        if kind == "timeshift":
            shifts = [
                numbers(seed, draw, k).integers(minshift, n_times - minshift + 1) for k in range(N_TRIALS)
            ]
            yield [(k, int(shift)) for k, shift in enumerate(shifts)]
        else:  # runs of 2 and 3 trials
            order = [numbers(seed, draw, 0).permutation(2), 2 + numbers(seed, draw, 1).permutation(3)]
            yield [(int(k), 0) for k in np.concatenate(order)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("measure", MEASURES)
def test_step_by_step(measure: str, kind: str, data: Any) -> None:
    pairs = [("a", "a"), ("b", "a")]
    found = spy.crossfrequencyanalysis(
        data, method=measure, surrogates=kind, n_surrogates=4, seed=7, channelcmb=pairs,
        minshift=0.1, shuffle_within=2, **SMALL,
    )  # fmt: skip
    trials = [np.asarray(trial, float) for trial in data.trials]
    assert found.channelcmb.tolist() == ["a--a", "b--a"]
    for pair, (i, j) in enumerate([(0, 0), (1, 0)]):
        observed = by_hand(trials, measure, i, j, [(k, 0) for k in range(N_TRIALS)])
        np.testing.assert_allclose(found.value[..., pair], observed, rtol=2e-3, atol=2e-5)
        others = np.array(
            [by_hand(trials, measure, i, j, s) for s in states_by_hand(kind, measure, 4, 7, 20)]
        )
        np.testing.assert_allclose(found.surrogate_mean[..., pair], others.mean(axis=0), rtol=2e-3, atol=2e-5)
        np.testing.assert_allclose(
            found.surrogate_std[..., pair], others.std(axis=0, ddof=1), rtol=0.02, atol=2e-5
        )
        np.testing.assert_array_equal(found.prob[..., pair], (1 + (others >= observed).sum(axis=0)) / 5)
    np.testing.assert_allclose(found.z, (found.value - found.surrogate_mean) / found.surrogate_std)


@pytest.mark.parametrize("measure", MEASURES)
def test_kept_trials_are_trials_alone(measure: str, data: Any) -> None:
    kept = spy.crossfrequencyanalysis(data, method=measure, n_surrogates=3, keeptrials=True, **SMALL)
    assert kept.dimord == ("trial", "freq_phase", "freq_amplitude", "channelcmb")
    trials = [np.asarray(trial, float) for trial in data.trials]
    for k in (0, N_TRIALS - 1):
        wanted = by_hand(trials[k : k + 1], measure, 0, 0, [(0, 0)])
        np.testing.assert_allclose(kept.value[k, ..., 0], wanted, rtol=2e-3, atol=2e-5)
    first = spy.crossfrequencyanalysis(data, method=measure, n_surrogates=3, select={"trials": [0]}, **SMALL)
    np.testing.assert_allclose(kept.value[0], first.value, rtol=1e-12)
    np.testing.assert_allclose(kept.prob[0], first.prob, rtol=1e-12)


# -- what is known -----------------------------------------------------------------------------


def test_a_modulated_sinusoid_has_the_mean_vector_of_its_modulation() -> None:
    t = np.arange(2030) / RATE  # 48 cycles of 5 Hz and, at both ends, 55 samples that do not count
    slow, depth = 2 * np.pi * 5 * t, 0.5
    fast = 2 * (1 + depth * np.cos(slow - 0.7)) * np.cos(2 * np.pi * 60 * t)
    data = spy.AnalogData([np.column_stack([np.cos(slow), fast])], samplerate=RATE)
    for measure in MEASURES:
        found = spy.crossfrequencyanalysis(
            data, foi_phase=[5], foi_amplitude=[60], width_amplitude=3, method=measure,
            channelcmb=[[0], [1]], n_surrogates=0, parallel=False,
        )  # fmt: skip
        np.testing.assert_allclose(found.phase, 0.7, atol=0.02 if measure == "tort" else 1e-3)
        if measure == "mvl":
            scale = (3 + np.sqrt(11)) / (4 * np.pi * 60)
            sides = [2 * np.pi * scale * (60 + g) - 3 for g in (-5, 0, 5)]
            gains = np.exp(-(np.array(sides) ** 2) / 2)
            passed = (gains[0] + gains[2]) / 2 / gains[1]
            np.testing.assert_allclose(found.value, 2 * depth / 2 * passed, rtol=0.01)
        if measure == "plv":
            np.testing.assert_allclose(found.value, 1, atol=1e-4)
        assert np.isnan(found.z).all()
        assert np.isnan(found.prob).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("measure", MEASURES)
def test_the_peak_is_where_the_coupling_is(measure: str, kind: str) -> None:
    found = spy.crossfrequencyanalysis(
        coupled(12), method=measure, surrogates=kind, n_surrogates=49, shuffle_within=None, **SMALL
    )
    assert np.unravel_index(found.value[..., 0].argmax(), (2, 3)) == (1, 1)
    assert found.prob[1, 1, 0] == 1 / 50
    assert found.z[1, 1, 0] > 3
    assert found.z[..., 1].max() < 3
    np.testing.assert_allclose(found.phase[1, 1, 0], 1, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_without_coupling_p_values_are_uniform(kind: str) -> None:
    rng = np.random.default_rng(11)
    data = spy.AnalogData([rng.normal(size=(LENGTH, 100)) for _ in range(6)], samplerate=RATE)
    found = spy.crossfrequencyanalysis(
        data,
        foi_phase=[8],
        foi_amplitude=[55],
        method="mvl",
        surrogates=kind,
        n_surrogates=19,
        parallel=False,
    )
    from scipy.stats import kstest

    p = found.prob.ravel() - rng.uniform(size=100) / 20
    assert kstest(p, "uniform").pvalue > 1e-3
    assert abs(found.z.mean()) < 0.3


@pytest.mark.parametrize("scale", [1e-14, 1e12])
@pytest.mark.parametrize("measure", MEASURES)
def test_scale_does_not_matter(measure: str, scale: float, data: Any) -> None:
    wanted = spy.crossfrequencyanalysis(data, method=measure, n_surrogates=9, **SMALL)
    found = spy.crossfrequencyanalysis(coupled(scale=scale), method=measure, n_surrogates=9, **SMALL)
    unit = scale if measure == "mvl" else 1
    np.testing.assert_allclose(found.value / unit, wanted.value, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.z, wanted.z, rtol=1e-3)
    np.testing.assert_array_equal(found.prob, wanted.prob)


def test_offsets_and_float32_do_not_matter(data: Any) -> None:
    moved = spy.AnalogData([(trial + 50).astype("f4") for trial in data.trials], samplerate=RATE)
    wanted = spy.crossfrequencyanalysis(data, n_surrogates=0, **SMALL)
    found = spy.crossfrequencyanalysis(moved, n_surrogates=0, **SMALL)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-2, atol=1e-5)


# -- the same wherever and however ---------------------------------------------------------------


def assert_same(found: Any, wanted: Any) -> None:
    for name in ("value", "phase", "surrogate_mean", "surrogate_std", "prob"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


@pytest.mark.parametrize("executor", ["local-2", "ray-2", "dask_on_ray-2"])
def test_every_executor_has_the_same_bits(executor: str, request: Any) -> None:
    data = coupled(9)
    calls: list[dict[str, Any]] = [
        {"method": "tort", "surrogates": "trialshuffle", "shuffle_within": 3},
        {"method": "plv", "surrogates": "timeshift", "keeptrials": True},
    ]
    settings = {name: value for name, value in SMALL.items() if name != "parallel"}
    for call in calls:
        with spy.config.using(block_bytes=20000):
            wanted = spy.crossfrequencyanalysis(data, n_surrogates=3, **call, **SMALL)
            with run_on(executor, request) as options:
                found = spy.crossfrequencyanalysis(data, n_surrogates=3, **call, **settings, **options)
        assert_same(found, wanted)


def test_a_run_that_was_interrupted_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    data, run = coupled(9), LocalExecutor.run
    settings = {"method": "tort", "n_surrogates": 3, "shuffle_within": 3, **SMALL}
    wanted = spy.crossfrequencyanalysis(data, **settings)

    def interrupted(self: Any, plan: Any, blocks: Any, collect: Any) -> None:
        run(self, plan, blocks[:2], collect)
        raise KeyboardInterrupt

    with spy.config.using(block_bytes=20000, resume_after=0):
        monkeypatch.setattr(LocalExecutor, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spy.crossfrequencyanalysis(data, **settings)
        monkeypatch.setattr(LocalExecutor, "run", run)
        with caplog.at_level("INFO", logger="rayspy"):
            found = spy.crossfrequencyanalysis(data, **settings)
    assert "resuming: 2 of 9 blocks done" in caplog.text
    assert_same(found, wanted)


def test_passes_over_pairs_have_the_same_bits(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rayspy.frontends.connectivity import crossfrequency

    every = [["a", "b"], ["b", "a"]]
    wanted = spy.crossfrequencyanalysis(data, channelcmb=every, n_surrogates=3, **SMALL)
    assert wanted.channelcmb.tolist() == ["a--b", "a--a", "b--b", "b--a"]
    monkeypatch.setattr(crossfrequency, "_STATE_BYTES", 1)
    assert_same(spy.crossfrequencyanalysis(data, channelcmb=every, n_surrogates=3, **SMALL), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_surrogates_depend_on_seed_and_number_only(kind: str, data: Any) -> None:
    def run(n: int, seed: int) -> Any:
        return spy.crossfrequencyanalysis(
            data, method="mvl", surrogates=kind, n_surrogates=n, seed=seed, **SMALL
        )

    assert_same(run(6, 5), run(6, 5))
    assert (run(6, 5).surrogate_mean != run(6, 6).surrogate_mean).any()
    two, three = run(2, 5), run(3, 5)  # two are the first of three
    third = 3 * three.surrogate_mean - 2 * two.surrogate_mean
    spread = ((two.surrogate_mean - three.surrogate_mean) ** 2 * 2 + (third - three.surrogate_mean) ** 2) / 2
    spread += two.surrogate_std**2 / 2
    np.testing.assert_allclose(three.surrogate_std, np.sqrt(spread), rtol=1e-6)


def test_trials_and_channels_are_selected_in_any_order(data: Any) -> None:
    select = {"trials": [3, 1], "channel": ["b", "a"]}
    found = spy.crossfrequencyanalysis(
        data, select=select, surrogates="trialshuffle", n_surrogates=2, **SMALL
    )
    copied = spy.selectdata(data, **select)
    wanted = spy.crossfrequencyanalysis(copied, surrogates="trialshuffle", n_surrogates=2, **SMALL)
    assert found.channelcmb.tolist() == ["b--b", "a--a"]
    assert_same(found, wanted)
    kept = spy.crossfrequencyanalysis(data, select=select, keeptrials=True, n_surrogates=0, **SMALL)
    assert kept.coords["trial"].tolist() == [3, 1]


class TestCoupling(MethodContract):
    lengths = property(lambda self: [200] * 6)

    def call(self, data: Any, **options: Any) -> Any:
        options.pop("chan_per_worker", None)
        return spy.crossfrequencyanalysis(
            data,
            foi_phase=[4, 6],
            foi_amplitude=[20, 30],
            n_bins=6,
            width_amplitude=3,
            **{"n_surrogates": 3, **options},
        )


class TestCouplingOfTrials(TestCoupling):
    def call(self, data: Any, **options: Any) -> Any:
        return super().call(data, keeptrials=True, method="plv", n_surrogates=0, **options)


# -- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
def test_results_are_saved_and_converted(keep: bool, data: Any, tmp_path: Any) -> None:
    found = spy.crossfrequencyanalysis(data, n_surrogates=3, keeptrials=keep, **SMALL)
    path = found.save(tmp_path / "result")
    assert path.name == "result.coupling.parquet"
    again = spy.CouplingData.load(tmp_path / "result")
    assert_same(again, found)
    assert again.dimord == found.dimord
    assert again.channelcmb.tolist() == found.channelcmb.tolist()
    assert again.settings == found.settings
    assert repr(again) == repr(found)
    if not keep:
        np.testing.assert_array_equal(again.shares, found.shares)
        np.testing.assert_allclose(found.shares.sum(axis=0), 1)
    with pytest.raises(PathError):
        found.save(tmp_path / "result")
    found.save(tmp_path / "result", overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    table, cube = found.to_dataframe(), found.to_xarray()
    row = table[(table.freq_phase == 8) & (table.freq_amplitude == 55) & (table.channelcmb == "a--a")]
    wanted = cube.value.sel(freq_phase=8, freq_amplitude=55, channelcmb="a--a")
    np.testing.assert_array_equal(row.value, np.atleast_1d(wanted))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DamagedDataError):
        spy.CouplingData.load(path)
    with pytest.raises(PathError):
        spy.CouplingData.load(tmp_path / "none")


def test_a_comodulogram_is_drawn(data: Any) -> None:
    found = spy.crossfrequencyanalysis(data, n_surrogates=3, **SMALL)
    fig, ax = found.plot("b--b", "z")
    np.testing.assert_array_equal(ax.collections[0].get_array(), found.z[..., 1].T)
    assert ax.get_xlabel() == "frequency of the phase (Hz)"
    plt.close(fig)
    kept = spy.crossfrequencyanalysis(data, n_surrogates=0, keeptrials=True, **SMALL)
    fig, ax = kept.plot()
    np.testing.assert_allclose(ax.collections[0].get_array(), kept.value[..., 0].mean(axis=0).T)
    plt.close(fig)
    for options in ({"quantity": "z"}, {"quantity": "phase"}, {"trial": 9}, {"channelcmb": "c"}):
        with pytest.raises(InvalidValueError):
            kept.plot(**options)
    with pytest.raises(InvalidValueError, match="trial"):
        found.plot(trial=0)


def test_cfg_replays_and_explain_tells(data: Any) -> None:
    found = spy.crossfrequencyanalysis(data, n_surrogates=2, method="mvl", **SMALL)
    assert_same(spy.crossfrequencyanalysis(data, found.cfg), found)
    told = spy.explain(spy.crossfrequencyanalysis, data, n_surrogates=2, **SMALL)
    assert told.method == "coupling"


# -- bad input -----------------------------------------------------------------------------------


def test_nan_and_silence_are_named(data: Any, capsys: Any, caplog: Any) -> None:
    trials = [np.array(trial) for trial in data.trials]
    trials[2][100, 0] = np.nan
    broken = spy.AnalogData([np.column_stack([x, np.zeros(len(x))]) for x in trials], samplerate=RATE)
    found = spy.crossfrequencyanalysis(broken, n_surrogates=2, **SMALL)
    assert np.isnan(found.value[..., 0]).all()
    assert np.isnan(found.prob[..., 0]).all()
    assert np.isfinite(found.value[..., 1]).all()
    assert np.isnan(found.value[..., 2]).all()
    told = capsys.readouterr().err + caplog.text
    assert "NaN for channel1--channel1, channel3--channel3" in told


def test_results_know_what_they_are(data: Any) -> None:
    measured = coupled()
    measured.unit = "uV"
    found = {m: spy.crossfrequencyanalysis(measured, method=m, n_surrogates=0, **SMALL) for m in MEASURES}
    names = {m: (one.quantity, one.unit) for m, one in found.items()}
    assert names["tort"] == ("modulation index", "1")
    assert names["mvl"] == ("mean vector length", "uV")
    assert names["plv"] == ("phase locking", "1")
    assert spy.crossfrequencyanalysis(data, method="mvl", n_surrogates=0, **SMALL).unit is None


def test_filters_too_narrow_are_told(data: Any, capsys: Any, caplog: Any) -> None:
    spy.crossfrequencyanalysis(data, n_surrogates=0, **{**SMALL, "width_amplitude": 9})
    assert "filters at 30, 55 Hz are too narrow" in capsys.readouterr().err + caplog.text


BAD: list[tuple[dict[str, Any], Any, str]] = [
    ({"foi_phase": None}, InvalidValueError, "foi_phase"),
    ({"foi_phase": 5}, InvalidTypeError, "foi_phase"),
    ({"foi_phase": [0, 5]}, InvalidValueError, "foi_phase"),
    ({"foi_phase": [5, 5]}, InvalidValueError, "foi_phase"),
    ({"foi_phase": [0.3]}, InvalidValueError, "foi_phase"),
    ({"foi_amplitude": None}, InvalidValueError, "foi_amplitude"),
    ({"foi_amplitude": [8, 50]}, InvalidValueError, "foi_amplitude"),
    ({"foi_amplitude": [101]}, InvalidValueError, "foi_amplitude"),
    ({"foi_amplitude": [np.nan]}, InvalidValueError, "foi_amplitude"),
    ({"method": "pac"}, InvalidValueError, "method"),
    ({"surrogates": "shuffle"}, InvalidValueError, "surrogates"),
    ({"surrogates": "trialshuffle", "select": {"trials": [0]}}, InvalidValueError, "surrogates"),
    ({"n_surrogates": -1}, InvalidValueError, "n_surrogates"),
    ({"n_surrogates": 2.5}, InvalidValueError, "n_surrogates"),
    ({"seed": -1}, InvalidValueError, "seed"),
    ({"seed": "a"}, InvalidTypeError, "seed"),
    ({"keeptrials": 1}, InvalidTypeError, "keeptrials"),
    ({"n_bins": 2}, InvalidValueError, "n_bins"),
    ({"width_phase": 0}, InvalidValueError, "width_phase"),
    ({"width_amplitude": "wide"}, InvalidTypeError, "width_amplitude"),
    ({"edges": "nan"}, InvalidValueError, "edges"),
    ({"minshift": 2}, InvalidValueError, "minshift"),
    ({"shuffle_within": 1}, InvalidValueError, "shuffle_within"),
    ({"polyremoval": 2}, InvalidValueError, "polyremoval"),
    ({"channelcmb": [("a", "c")]}, InvalidValueError, "channelcmb"),
    ({"channelcmb": "all"}, InvalidTypeError, "channelcmb"),
    ({"parallel": "yes please"}, InvalidTypeError, "parallel"),
    ({"n_surogates": 3}, InvalidValueError, "n_surrogates"),
]


@pytest.mark.parametrize(("options", "error", "named"), BAD, ids=[str(bad[0]) for bad in BAD])
def test_bad_input_is_refused_by_name(options: Any, error: Any, named: str, data: Any) -> None:
    with pytest.raises(error, match=named):
        spy.crossfrequencyanalysis(data, **{**SMALL, **options})


def test_bad_data_are_refused_by_name(data: Any) -> None:
    bounds = np.array([[0, 500, 0], [500, 900, 0]])
    uneven = spy.AnalogData(np.ones((900, 1)), samplerate=RATE, trialdefinition=bounds)
    with pytest.raises(InvalidValueError, match="equal length"):
        spy.crossfrequencyanalysis(uneven, **SMALL)
    with pytest.raises(InvalidTypeError, match="AnalogData"):
        spy.crossfrequencyanalysis(spy.freqanalysis(data, parallel=False), **SMALL)
    with pytest.raises(InvalidValueError, match="edges"):
        spy.crossfrequencyanalysis(data, select={"latency": [0, 0.5]}, **SMALL)
