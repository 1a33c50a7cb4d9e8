"""Bad input of tests: a specific error that names the parameter, before anything is read."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.frontends.statistics.test_statistics import CHAIN, NAMES, analog, matrices, spectra

V, T = InvalidValueError, InvalidTypeError
A, B = spectra(5, 0.0, 1), spectra(6, 0.0, 2)
ASYMMETRIC = np.triu(np.ones((4, 4)))
SETTINGS = [
    (V, "design", {"design": "paired"}),
    (T, "design", {"design": 3}),
    (V, "design", {"design": [1, 2]}),
    (V, "design", {"design": np.zeros((2, 3))}),
    (V, "design", {"design": [np.nan] * 11}),
    (V, "two or more groups", {"design": [1] * 11}),
    (V, "ivar", {"design": np.ones((2, 11)), "ivar": 3}),
    (T, "ivar", {"design": np.ones((2, 11)), "ivar": "first"}),
    (V, "uvar", {"design": np.ones((2, 11)), "ivar": 1, "uvar": 1}),
    (V, "uvar", {"design": np.ones((2, 11)), "ivar": 1, "uvar": 2, "subjects": np.arange(11)}),
    (V, "ivar", {"ivar": 1}),
    (V, "statistic", {"statistic": "ttest"}),
    (T, "statistic", {"statistic": 5}),
    (V, "statistic", {"statistic": "depsamplesT", "design": "between"}),
    (V, "regressor", {"statistic": "regression"}),
    (V, "within", {"design": "within"}),
    (V, "subjects", {"design": [0] * 5 + [1] * 6, "statistic": "depsamplesT"}),
    (V, "subjects", {"design": [0] * 5 + [1] * 6, "subjects": [*range(5), *range(6)]}),
    (V, "subjects", {"design": "within", "subjects": [0, 1]}),
    (T, "subjects", {"design": "within", "subjects": "anna"}),
    (V, "regressor", {"regressor": np.arange(10)}),
    (V, "regressor", {"regressor": np.full(11, 2.0)}),
    (V, "regressor", {"regressor": np.append(np.arange(10.0), np.nan)}),
    (T, "regressor", {"regressor": 1.0}),
    (V, "regressor", {"regressor": np.arange(11), "design": "between"}),
    (V, "regressor", {"regressor": np.arange(11), "statistic": "indepsamplesT"}),
    (V, "covariates", {"covariates": np.ones(11)}),
    (V, "covariates", {"covariates": np.arange(10)}),
    (V, "covariates", {"covariates": np.full(11, np.inf)}),
    (T, "covariates", {"covariates": "age"}),
    (V, "covariates", {"covariates": [0] * 5 + [1] * 6}),
    (V, "covariates", {"covariates": np.column_stack([np.arange(11), 2 * np.arange(11)])}),
    (V, "covariates", {"covariates": np.random.default_rng(0).random((11, 10))}),
    (V, "covariates", {"covariates": np.arange(11), "design": [*[0, 1, 2] * 3, 0, 1]}),
    (V, "covariates", {"regressor": np.arange(11), "covariates": 3 * np.arange(11) + 1}),
    (V, "method", {"method": "bootstrap"}),
    (V, "correctm", {"correctm": "bonferoni"}),
    (V, "correctm", {"method": "analytic", "correctm": "cluster"}),
    (V, "method", {"method": "analytic", "correctm": "no", "statistic": lambda x, d: x[0]}),
    (V, "clusterthreshold", {"statistic": lambda x, d: x[0]}),
    (V, "clusterthreshold", {"clusterthreshold": "nonparametric"}),
    (V, "clusterthreshold", {"clusterthreshold": 0}),
    (T, "clusterthreshold", {"clusterthreshold": [2.0]}),
    (V, "clusterstatistic", {"clusterstatistic": "max"}),
    (V, "clusteralpha", {"clusteralpha": 0}),
    (V, "alpha", {"alpha": 1.5}),
    (T, "alpha", {"alpha": "0.05"}),
    (V, "tail", {"tail": 2}),
    (V, "tail", {"statistic": "indepsamplesF", "tail": 0}),
    (V, "tail", {"statistic": "indepsamplesF", "tail": -1}),
    (V, "clustertail", {"tail": 1, "clustertail": -1}),
    (V, "correcttail", {"correcttail": "both"}),
    (V, "numrandomization", {"numrandomization": 0}),
    (V, "numrandomization", {"numrandomization": "some"}),
    (T, "numrandomization", {"numrandomization": None}),
    (V, "seed", {"seed": -1}),
    (T, "seed", {"seed": None}),
    (V, "wcm_weight", {"wcm_weight": -1}),
    (V, "tfce_E", {"tfce_E": -0.5}),
    (T, "tfce_H", {"tfce_H": None}),
    (V, "step", {"step": 0}),
    (V, "start", {"start": -0.2}),
    (V, "latency", {"latency": [3, 4]}),
    (V, "frequency", {"frequency": [50, 60]}),
    (V, "channel", {"channel": ["Fz"]}),
    (T, "avgoverchan", {"avgoverchan": 1}),
    (T, "parallel", {"parallel": "local"}),
    (V, "neighbours", {"neighbours": np.zeros((3, 3))}),
    (V, "neighbours", {"neighbours": ASYMMETRIC}),
    (V, "neighbours", {"neighbours": np.full((4, 4), np.nan)}),
    (V, "neighbours", {"neighbours": []}),
    (V, "neighbours", {"neighbours": [("ch0", "ch1", "ch2")]}),
    (V, "neighbours", {"neighbours": CHAIN[:1]}),
    (T, "neighbours", {"neighbours": "delaunay"}),
    (T, "neighbours", {"neighbours": [(0, 1)]}),
    (T, "neighbours", {"neighbours": {"ch0": "ch1"}}),
    (V, "neighbours", {"neighbours": [{"label": "ch0"}]}),
]  # fmt: skip


def refuse(*args, **kwargs):
    raise AssertionError("data were read")


@pytest.mark.parametrize(("error", "name", "settings"), SETTINGS)
def test_settings(error, name, settings, monkeypatch):
    monkeypatch.setattr("rayspy.frontends.statistics.observations.read_points", refuse)
    with pytest.raises(error, match=name):
        spy.freqstatistics(A, B, **settings)


def labelled(**changes):
    return spectra(5, **changes)


OBJECTS = [
    (V, "data", []),
    (T, "data", [np.zeros(3)]),
    (T, "data", [analog(4), analog(4)]),
    (T, r"data\[1\]\[1\]", [[A], [spectra(1), None]]),
    (V, r"data\[0\]", [[], B]),
    (V, "empty", [spy.SpectralData(), B]),
    (V, "average over", [[A, A], [B, B]]),
    (V, "one alone has no variance", [spectra(1), B]),
    (V, "nothing can be exchanged", [spectra(1)]),
    (V, "equal length", [A, labelled(n_time=7)]),
    (V, "time-locked", [A, labelled(offset=0)]),
    (V, "channel labels", [A, labelled(names=[*NAMES[1:], "x"])]),
    (V, "channel labels", [A, labelled(names=NAMES[:3])]),
    (V, "freq labels", [A, labelled(freq=(4.0, 8.0, 13.0))]),
    (V, "real data", [spy.SpectralData([np.ones((4, 1, 3, 4), complex)] * 3, samplerate=100)]),
]


@pytest.mark.parametrize(("error", "name", "data"), OBJECTS)
def test_objects(error, name, data, monkeypatch):
    monkeypatch.setattr("rayspy.frontends.statistics.observations.read_points", refuse)
    with pytest.raises(error, match=name):
        spy.freqstatistics(*data)


def test_other_front_ends_name_their_classes():
    with pytest.raises(T, match="AnalogData or TimeLockData"):
        spy.timelockstatistics(A, B)
    with pytest.raises(T, match="CrossSpectralData"):
        spy.connectivitystatistics(A, B)
    with pytest.raises(T, match="directed"):
        spy.connectivitystatistics([matrices(0, 1)] * 3, [matrices(0, 2)] * 3, directed="no")
    with pytest.raises(V, match="numrandomization"):
        spy.freqstatistics(A, B, numrandomisation=5)
    with pytest.raises(V, match="cfg"):
        spy.freqstatistics({"alpha": 0.01}, A, B, alpha=0.05)


def test_too_many_relabellings_are_not_enumerated():
    many = spectra(20, 0.0, 3)
    with pytest.raises(V, match="numrandomization"):
        spy.freqstatistics(many, many, numrandomization="all")


def test_data_without_any_variance(monkeypatch):
    flat = spy.SpectralData(np.ones((40, 1, 3, 4), np.float32), samplerate=100)
    flat.definetrial(np.array([[k, k + 8, 0] for k in range(0, 40, 8)]))
    with pytest.raises(V, match="constant"):
        spy.freqstatistics(flat, flat, parallel=False)


@pytest.mark.parametrize(
    ("error", "name", "positions", "settings"),
    [
        (T, "positions", "grid", {}),
        (V, "positions", np.zeros(4), {}),
        (V, "positions", np.zeros((4, 4)), {}),
        (V, "positions", [[0, 0], [0, 0], [1, 1]], {}),
        (V, "positions", [[0, np.nan], [0, 0], [1, 1]], {}),
        (V, "positions", [[0, 0], [1, 1], [2, 2]], {}),
        (V, "distance", [[0, 0], [1, 1], [2, 2]], {"distance": -1}),
        (V, "channel", [[0, 0], [1, 1], [2, 0]], {"channel": ["a", "b"]}),
        (V, "channel", [[0, 0], [1, 1], [2, 0]], {"channel": ["a", "b", "a"]}),
    ],
)
def test_positions(error, name, positions, settings):
    with pytest.raises(error, match=name):
        spy.neighbours_from_positions(positions, **settings)


def test_few_relabellings_and_missing_points_are_told(caplog):
    x = np.array(spectra(3, 0.0, 1).data)
    x[:, 0, 0, 0] = np.nan
    data = spy.SpectralData(x, samplerate=100)
    data.definetrial(spectra(3).trialdefinition)
    result = spy.freqstatistics(data, design="onesample", parallel=False)
    assert result.exact
    assert result.n_permutations == 7
    assert np.isnan(result.prob[:, 0, 0]).all()
    assert not np.isnan(result.prob[:, 1:]).any()
    assert "no p value is below 0.125" in caplog.text
    assert "8 of 96 points" in caplog.text
