"""Wrong input is refused before anything is read, by an error that names it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError, RayspyError

RNG = np.random.default_rng(0)
NAMES = ["a", "b", "c"]
GROUPS = {"A": ["a", "b"], "B": ["c"]}
VALUE, TYPE = InvalidValueError, InvalidTypeError


def signals(n_trials: int = 5, length: int = 40, dtype: Any = np.float32) -> Any:
    trials = [RNG.normal(size=(length, 3)).astype(dtype) for _ in range(n_trials)]
    return spy.AnalogData(trials, samplerate=100.0, channel=NAMES)


def spectra(freq: Any = None, times: int = 1, dtype: Any = np.complex64, **settings: Any) -> Any:
    freq = np.arange(21) * 2.5 if freq is None else np.asarray(freq)
    trials = [RNG.normal(size=(times, 1, len(freq), 3)).astype(dtype) for _ in range(5)]
    return spy.SpectralData(trials, **{"samplerate": 100.0, "channel": NAMES, "freq": list(freq), **settings})


ANALOG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"method": "coherence"}, VALUE, "method"),
    ({"method": 3}, TYPE, "method"),
    ({"method": []}, VALUE, "method"),
    ({"method": ["coh", "coh"]}, VALUE, "method"),
    ({"method": ["coh", None]}, TYPE, "method"),
    ({"output": "power"}, VALUE, "output"),
    ({"output": 1}, TYPE, "output"),
    ({"keeptrials": 1}, TYPE, "keeptrials"),
    ({"keeptrials": True}, VALUE, "keeptrials"),
    ({"method": "ppc", "keeptrials": True}, VALUE, "keeptrials"),
    ({"method": ["csd", "granger"], "keeptrials": True}, VALUE, "keeptrials"),
    ({"method": "csd", "keeptrials": True, "jackknife": True}, VALUE, "jackknife"),
    ({"jackknife": "yes please"}, TYPE, "jackknife"),
    ({"jackknife": 1}, TYPE, "jackknife"),
    ({"foi": [10, 60]}, VALUE, "foi"),
    ({"foilim": [10]}, VALUE, "foilim"),
    ({"foilim": [10, np.nan]}, VALUE, "foilim"),
    ({"foilim": [10, 20], "foi": [10]}, VALUE, "foi/foilim"),
    ({"foilim": [10.1, 10.2]}, VALUE, "foi/foilim"),
    ({"pad": 0.1}, VALUE, "pad"),
    ({"pad": "more"}, VALUE, "pad"),
    ({"method": "corr", "pad": 1.0}, VALUE, "pad"),
    ({"polyremoval": 2}, VALUE, "polyremoval"),
    ({"taper": "dpss"}, VALUE, "taper"),
    ({"taper": "kaiser"}, VALUE, "taper_opt"),
    ({"taper": "nothing"}, VALUE, "taper"),
    ({"taper": "hamming", "tapsmofrq": 5}, VALUE, "taper"),
    ({"tapsmofrq": "5"}, TYPE, "tapsmofrq"),
    ({"tapsmofrq": 5, "nTaper": 0}, VALUE, "nTaper"),
    ({"channelcmb": ([0], [1])}, TYPE, "channelcmb"),
    ({"channelcmb": []}, VALUE, "channelcmb"),
    ({"channelcmb": [[0]]}, VALUE, "channelcmb"),
    ({"channelcmb": [[0], [5]]}, VALUE, "channelcmb[receivers]"),
    ({"channelcmb": [[0], ["d"]]}, VALUE, "channelcmb[receivers]"),
    ({"channelcmb": [[0], [1, "c"]]}, TYPE, "channelcmb[receivers]"),
    ({"channelcmb": [[0, 0], [1]]}, VALUE, "channelcmb[senders]"),
    ({"channelcmb": [[], [1]]}, VALUE, "channelcmb[senders]"),
    ({"channelcmb": [0, 1]}, TYPE, "channelcmb[senders]"),
    ({"channelcmb": [[0.5], [1]]}, TYPE, "channelcmb[senders]"),
    ({"channelcmb": [(0, 1, 2)]}, VALUE, "channelcmb"),
    ({"channelcmb": [(0, 1), (0, 1)]}, VALUE, "channelcmb"),
    ({"channelcmb": [(0, "z")]}, VALUE, "channelcmb"),
    ({"channelcmb": ["a-b"]}, VALUE, "channelcmb"),
    ({"channelcmb": [[0], [1]], "select": {"channel": [0]}}, VALUE, "channelcmb[receivers]"),
    ({"method": "mic"}, VALUE, "groups"),
    ({"method": "mic", "groups": [["a"], ["b"]]}, TYPE, "groups"),
    ({"method": "mic", "groups": {"A": ["a"]}}, VALUE, "groups"),
    ({"method": "mic", "groups": {"A": ["a"], 3: ["b"]}}, TYPE, "groups"),
    ({"method": "mic", "groups": {"A": ["a"], "B": "b"}}, TYPE, "groups['B']"),
    ({"method": "mic", "groups": {"A": ["a"], "B": []}}, VALUE, "groups['B']"),
    ({"method": "mic", "groups": {"A": ["a"], "B": ["x"]}}, VALUE, "groups['B']"),
    ({"method": "mic", "groups": {"A": ["a", "b"], "B": ["b"]}}, VALUE, "groups['B']"),
    ({"method": "mic", "groups": GROUPS, "rank": 0}, VALUE, "rank"),
    ({"method": "mic", "groups": GROUPS, "rank": {"A": 3}}, VALUE, "rank"),
    ({"method": "mic", "groups": GROUPS, "rank": {"C": 1}}, VALUE, "rank"),
    ({"method": "mic", "groups": GROUPS, "rank": "full"}, TYPE, "rank"),
    ({"method": "granger", "groups": GROUPS, "pairwise": True}, VALUE, "pairwise"),
    ({"method": "granger", "groups": GROUPS, "conditional": True}, VALUE, "conditional"),
    ({"method": "granger", "pairwise": True, "conditional": True}, VALUE, "pairwise/conditional"),
    ({"method": "granger", "pairwise": "no way"}, TYPE, "pairwise"),
    ({"method": "granger", "timereversed": 1}, TYPE, "timereversed"),
    ({"method": "granger", "conditional": True, "select": {"channel": [0, 1]}}, VALUE, "data"),
    ({"method": "granger", "select": {"trials": [0, 1]}}, VALUE, "data"),
    ({"method": "pcoh", "jackknife": True, "select": {"trials": [0, 1, 2]}}, VALUE, "data"),
    ({"method": "psi"}, VALUE, "bands"),
    ({"method": "psi", "bands": [[10, 20]]}, TYPE, "bands"),
    ({"method": "psi", "bands": {}}, VALUE, "bands"),
    ({"method": "psi", "bands": {1: [10, 20]}}, TYPE, "bands"),
    ({"method": "psi", "bands": {"x": [20, 10]}}, VALUE, "bands['x']"),
    ({"method": "psi", "bands": {"x": [10, 11]}}, VALUE, "bands['x']"),
    ({"method": "coh", "bands": {"x": [60, 90]}}, VALUE, "bands['x']"),
    ({"method": "coh", "bands": {"x": 10}}, TYPE, "bands['x']"),
    ({"method": "coh", "bands": {"x": [5, 10]}, "foilim": [20, 40]}, VALUE, "bands['x']"),
    ({"nan": "drop"}, VALUE, "nan"),
    ({"nan": "omit", "jackknife": True}, VALUE, "jackknife"),
    ({"nan": "omit", "method": "csd", "keeptrials": True}, VALUE, "keeptrials"),
    ({"nan": "omit", "method": ["coh", "granger"]}, VALUE, "nan"),
    ({"nan": "omit", "method": "powcorr"}, VALUE, "nan"),
    ({"observations": "windows"}, VALUE, "observations"),
    ({"observations": None}, VALUE, "observations"),
    ({"segments": 5.0}, VALUE, "segments"),
    ({"segments": 0}, VALUE, "segments"),
    ({"segments": [0.1, 1]}, VALUE, "segments[overlap]"),
    ({"segments": [0.1, -0.5]}, VALUE, "segments[overlap]"),
    ({"segments": [0.1, 0.5, 1]}, VALUE, "segments"),
    ({"segments": "0.1"}, TYPE, "segments"),
    ({"method": "corr", "lags": "some"}, VALUE, "lags"),
    ({"method": "corr", "lags": True}, TYPE, "lags"),
    ({"select": {"channel": ["z"]}}, VALUE, "select: channel"),
    ({"select": {"trials": [0]}}, VALUE, "data"),
    ({"select": {"trials": [0, 1]}, "jackknife": True}, VALUE, "jackknife"),
    ({"select": {"unit": 1}}, VALUE, "select"),
    ({"parallel": "many"}, TYPE, "parallel"),
    ({"chan_per_worker": 0}, VALUE, "chan_per_worker"),
    ({"tapsmofreq": 5}, VALUE, "tapsmofreq"),
]


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("data were read")

    monkeypatch.setattr("rayspy.executors.run._inputs", refuse)


def ids(cases: Any) -> list[str]:
    return [str(settings)[:60] for settings, *_ in cases]


@pytest.mark.parametrize(("settings", "error", "name"), ANALOG, ids=ids(ANALOG))
def test_signals(settings: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error) as raised:
        spy.connectivityanalysis(signals(), **settings)
    assert f"`{name}`" in str(raised.value) or f"in {name}`" in str(raised.value) or name in str(raised.value)
    assert isinstance(raised.value, RayspyError)


DATA: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (lambda: spectra(dtype=np.float32), {}, VALUE, "complex valued spectra"),
    (lambda: spy.EventData(np.array([[1, 2]])), {}, TYPE, "data"),
    (lambda: spy.AnalogData(), {}, VALUE, "data"),
    (lambda: spy.SpectralData(), {}, VALUE, "data"),
    (lambda: signals(n_trials=1), {}, VALUE, "multi-trial"),
    (lambda: spy.AnalogData([np.ones((9, 2))] * 3), {}, VALUE, "samplerate"),
    (lambda: signals(dtype=np.complex64), {}, VALUE, "real-valued"),
    (lambda: spectra(), {"method": "corr"}, VALUE, "AnalogData"),
    (lambda: spectra(), {"segments": 1.0}, VALUE, "segments"),
    (lambda: spectra(freq=[10, 20, 30]), {"method": "granger"}, VALUE, "all frequencies"),
    (lambda: spectra(freq=np.arange(11) * 2.5), {"method": "dtf"}, VALUE, "all frequencies"),
    (lambda: spectra(freq=np.arange(21) ** 1.5), {"method": "pdc"}, VALUE, "all frequencies"),
    (lambda: spectra(samplerate=None), {"method": "granger"}, VALUE, "all frequencies"),
    (lambda: spectra(times=4), {"method": "granger"}, VALUE, "4 times per trial"),
    (lambda: spectra(), {"method": "psi", "bands": {"x": [10, 11]}}, VALUE, "bands"),
    (lambda: spectra(), {"channelcmb": [[0], ["q"]]}, VALUE, "channelcmb"),
]


@pytest.mark.parametrize(("make", "settings", "error", "text"), DATA)
def test_data(make: Any, settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        spy.connectivityanalysis(make(), **settings)


def test_trials_of_different_length() -> None:
    data = spy.AnalogData((np.ones((n, 2)) for n in (40, 41, 42)), samplerate=100.0)
    with pytest.raises(VALUE, match="equal length"):
        spy.connectivityanalysis(data, method="corr")
    uneven = spy.SpectralData((np.ones((n, 1, 4, 2), complex) for n in (2, 3)), samplerate=10.0)
    with pytest.raises(VALUE, match="equal length"):
        spy.connectivityanalysis(uneven, method="coh")


def test_what_has_no_effect_is_told(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.undo()
    for settings, name in [
        ({"output": "imag", "method": "ppc"}, "output"),
        ({"groups": GROUPS}, "groups"),
        ({"timereversed": True}, "timereversed"),
        ({"lags": "all"}, "lags"),
        ({"rank": 1}, "rank"),
    ]:
        caplog.clear()
        spy.connectivityanalysis(signals(), parallel=False, **settings)
        assert f"`{name}` has no effect" in caplog.text
    caplog.clear()
    spy.connectivityanalysis(spectra(), tapsmofrq=3, pad="nextpow2", parallel=False)
    assert "`tapsmofrq` has no effect" in caplog.text
    assert "`pad` has no effect" in caplog.text


def test_more_pairs_than_memory_has_room_for() -> None:
    data = spy.AnalogData([np.ones((4, 3000), np.float32)] * 2, samplerate=100.0)
    with (
        spy.config.using(memory_budget="50MB"),
        pytest.raises(MemoryBudgetError, match=r"9\.0e\+06 pairs .* channelcmb="),
    ):
        spy.connectivityanalysis(data, method="coh")
