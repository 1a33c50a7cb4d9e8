"""Bad calls: every keyword of every public function gets values that are odd in some way.

A call has to end in an error of ours that names the keyword, or be among the accepted ones in
``accepted.txt``: a line for each function and keyword with the names of the values that are taken.
``python -m tests.calls.campaign`` makes all calls, with a limit of time for each, and prints what is
wrong; ``--write`` writes the list anew, to be read before it is committed.
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np

import rayspy as spy
from rayspy.errors import PathError, RayspyError
from rayspy.io.writers.mne_objects import raw_adata_to_mne_raw

ACCEPTED = Path(__file__).with_name("accepted.txt")
SECONDS = 2.0
"""Within this time a call has to end, of the processor, as the machine may be busy."""
PATIENCE = 10
"""After this time it is interrupted."""


class Odd:
    """An object that nothing is known of."""

    def __repr__(self) -> str:
        return "Odd()"


VALUES: dict[str, Any] = {
    "None": None,
    "True": True,
    "0": 0,
    "-1": -1,
    "1.5": 1.5,
    "1e-12": 1e-12,
    "nan": np.nan,
    "inf": np.inf,
    "1e7": 10**7,
    "1e9": 10**9,
    "1e12": 1e12,
    "10**400": 10**400,
    "1j": 1j,
    "text": "no such thing",
    "empty": "",
    "nul": "a\0b",
    "bytes": b"x",
    "[]": [],
    "[nan]": [np.nan, 1.0],
    "falling": [30.0, 10.0],
    "equal": [20.0, 20.0],
    "[1e12]": [1.0, 1e12],
    "ragged": [[1], [2, 3]],
    "texts": ["a", "b"],
    "2d": np.ones((2, 2)),
    "objects": np.array([None, "a"], dtype=object),
    "many": lambda: _many(),
    "{}": {},
    "{a}": {"a": 1},
    "(1,)": (1,),
    "object": Odd(),
    "type": int,
}


@cache
def _many() -> np.ndarray[Any, Any]:
    return np.linspace(0.0, 1e3, 2 * 10**6)


def value_of(name: str) -> Any:
    """An odd value by its name."""
    return VALUES[name]() if name == "many" else VALUES[name]


FEW = 3
"""Values that the tests take of them for each keyword, other ones for the next keyword."""

RATE = 100.0
TRL = np.array([[0, 50, -10], [50, 100, -10], [100, 150, -10], [150, 200, -10]], dtype=float)


# -- what the calls are made with -------------------------------------------------------------------------


@cache
def recording() -> spy.AnalogData:
    values = np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)
    return spy.AnalogData(values, samplerate=RATE, trialdefinition=TRL)


@cache
def continuous() -> spy.AnalogData:
    return spy.AnalogData(np.asarray(recording().data[:]), samplerate=RATE)


@cache
def spectra() -> spy.SpectralData:
    return spy.freqanalysis(recording(), parallel=False)


@cache
def fourier() -> spy.SpectralData:
    return spy.freqanalysis(recording(), output="fourier", tapsmofrq=5, keeptapers=True, parallel=False)


@cache
def over_time() -> spy.SpectralData:
    return spy.freqanalysis(
        recording(), method="mtmconvol", t_ftimwin=0.1, toi=0.5, foi=[20, 30], parallel=False
    )


@cache
def coherence() -> spy.CrossSpectralData:
    return spy.connectivityanalysis(recording(), parallel=False)


@cache
def spikes() -> spy.SpikeData:
    rng = np.random.default_rng(2)
    rows = np.column_stack([np.sort(rng.choice(200, 60, replace=False)), rng.integers(0, 2, (60, 2))])
    return spy.SpikeData(rows, samplerate=RATE, trialdefinition=TRL)


@cache
def events() -> spy.EventData:
    return spy.EventData(np.array([[10, 1], [60, 2], [110, 1], [160, 2]]), samplerate=RATE)


@cache
def jackknifed() -> spy.CrossSpectralData:
    return spy.connectivityanalysis(recording(), jackknife=True, parallel=False)


@cache
def test() -> spy.StatData:
    return spy.freqstatistics(spectra(), design=[0, 0, 1, 1], numrandomization=10, parallel=False)


@cache
def coupling() -> spy.CouplingData:
    return spy.crossfrequencyanalysis(
        recording(), foi_phase=[8.0, 12.0], foi_amplitude=[30.0, 40.0], n_surrogates=5, parallel=False
    )


@cache
def locked() -> spy.TimeLockData:
    return spy.timelockanalysis(recording(), keeptrials=True, parallel=False)


@dataclass(frozen=True)
class Base:
    """A call that is good, of which one keyword at a time is replaced.

    Parameters
    ----------
    function : callable
        What is called.
    given : callable
        Makes the keywords of a good call; ``*`` are positional ones.
    label : str
        Tells calls of one function apart.
    keywords : tuple of str
        Which are replaced, all in the signature if left out.
    besides : tuple of str
        Further keywords, of ``**kwargs``.
    imports : bool
        Whether large libraries are imported, for which the tests leave it out.
    """

    function: Callable[..., Any]
    given: Callable[[], dict[str, Any]]
    label: str = ""
    keywords: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    imports: bool = False

    @property
    def name(self) -> str:
        own = getattr(self.function, "__name__", str(self.function))
        return f"{own}/{self.label}" if self.label else own

    def replaced(self) -> list[str]:
        if self.keywords:
            return list(self.keywords)
        parameters = inspect.signature(self.function).parameters.values()
        own = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return [*own, *self.besides]

    def call(self, **changes: Any) -> Any:
        keywords = {**self.given(), **changes}
        made = self.function(*keywords.pop("*", ()), **keywords)
        return list(made) if inspect.isgenerator(made) else made


def _frequencies(method: str, **more: Any) -> Base:
    keywords = {
        "mtmfft": ("foi", "foilim", "pad", "polyremoval", "taper", "taper_opt", "tapsmofrq", "nTaper",
                   "demean_taper", "ft_compat", "keeptapers", "output", "keeptrials", "fooof_opt", "nan",
                   "select", "chan_per_worker", "parallel", "data", "method", "out"),
        "mtmconvol": ("foi", "foilim", "toi", "t_ftimwin", "tapsmofrq", "nTaper", "edges"),
        "welch": ("foi", "foilim", "toi", "t_ftimwin", "tapsmofrq"),
        "wavelet": ("foi", "foilim", "toi", "wavelet", "width", "order", "edges"),
        "superlet": ("foi", "foilim", "toi", "order_max", "order_min", "c_1", "adaptive"),
    }[method]  # fmt: skip
    label = method + "".join(f"-{value}" for value in more.values() if isinstance(value, str))
    return Base(spy.freqanalysis, lambda: {"data": recording(), "method": method, **more}, label, keywords)


def _analog(**more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"data": recording(), **more}


def _statistics(function: Callable[..., Any], data: Callable[[], Any]) -> Base:
    given = {"design": [0, 0, 1, 1], "numrandomization": 10, "parallel": False}
    return Base(function, lambda: {"*": (data(),), **given})


def _summary(function: Callable[..., Any]) -> Base:
    return Base(function, lambda: {"spy_data": recording(), "dim": "channel"})


def _raw_file() -> str:
    path = Path("x.raw")
    if not path.exists():
        np.zeros((20, 3), "f4").tofile(path)
    return str(path)


def _npy_file() -> str:
    path = Path("x.npy")
    if not path.exists():
        np.save(path, np.zeros((20, 3), "f4"))
    return str(path)


def _saved() -> str:
    if not Path("x.spy").exists():
        recording().copy().save(container="x")
    return "x.spy"


NEEDS = {
    "to_edf": "edfio", "to_nwb": "pynwb", "to_netcdf": "xarray", "to_zarr": "zarr", "to_fif": "mne",
    "to_mne": "mne", "raw_adata_to_mne_raw": "mne", "tldata_to_mne_epochs": "mne",
}  # fmt: skip
"""Libraries without which functions do nothing."""


def bases() -> list[Base]:
    """Good calls of everything public."""
    pairs = {"foi_phase": [8.0, 12.0], "foi_amplitude": [30.0, 40.0], "n_surrogates": 5}
    return [
        Base(spy.AnalogData, lambda: {"data": np.zeros((20, 3), "f4"), "samplerate": RATE}),
        Base(spy.SpectralData, lambda: {"data": np.zeros((4, 1, 3, 2), "f4"), "samplerate": RATE}),
        Base(spy.CrossSpectralData, lambda: {"data": np.zeros((1, 3, 2, 2), "f4"), "samplerate": RATE}),
        Base(spy.TimeLockData, lambda: {"data": np.zeros((20, 3), "f4"), "samplerate": RATE}),
        Base(spy.SpikeData, lambda: {"data": np.array([[1, 0, 0], [2, 0, 1]]), "samplerate": RATE}),
        Base(spy.EventData, lambda: {"data": np.array([[1, 0], [2, 1]]), "samplerate": RATE}),
        _frequencies("mtmfft"),
        _frequencies("mtmfft", tapsmofrq=5.0, keeptapers=True),
        _frequencies("mtmconvol", t_ftimwin=0.1, foi=[20.0], toi=0.5),
        _frequencies("welch", t_ftimwin=0.2, toi=0.5),
        _frequencies("wavelet", foi=[20.0]),
        _frequencies("wavelet", foi=[20.0], wavelet="Paul", order=4),
        _frequencies("wavelet", foi=[20.0], wavelet="DOG", order=2),
        _frequencies("superlet", foi=[20.0], order_max=2),
        Base(spy.preprocessing, _analog(freq=20.0), "but"),
        Base(spy.preprocessing, _analog(filter_class="firws", freq=20.0), "firws"),
        Base(spy.preprocessing, _analog(filter_class="firws", freq=[10.0, 20.0], filter_type="bp"), "band",
             ("freq", "order", "direction", "hilbert")),
        Base(spy.resampledata, _analog(resamplefs=70.0)),
        Base(spy.resampledata, _analog(resamplefs=50.0, method="downsample"), "downsample",
             ("resamplefs", "lpfreq", "order")),
        Base(spy.linefilter, _analog(freq=20.0)),
        Base(spy.notchfilter, _analog(freq=20.0)),
        Base(spy.rereference, _analog()),
        Base(spy.baseline, _analog(baseline=(None, 0.0))),
        Base(spy.baseline, lambda: {"data": over_time(), "mode": "db", "baseline": (None, 0.1)}, "spectra",
             ("baseline", "mode")),
        Base(spy.timelockanalysis, _analog()),
        Base(spy.selectdata, _analog()),
        Base(spy.show, _analog(trials=0), besides=("trials", "channel", "latency")),
        Base(spy.definetrial, lambda: {"obj": recording().copy(), "trialdefinition": TRL}),
        Base(spy.definetrial, lambda: {"obj": events().copy(), "trigger": 1, "pre": 0.1, "post": 0.1},
             "events", ("pre", "post", "start", "trigger", "stop", "clip_edges")),
        Base(spy.redefinetrial, lambda: {"data_obj": recording()}),
        Base(spy.concat, lambda: {"spy_obj1": recording(), "spy_obj2": recording()}),
        Base(spy.copy, lambda: {"spydata": recording()}),
        *(_summary(f) for f in (spy.mean, spy.median, spy.std, spy.var)),
        Base(spy.itc, lambda: {"spec_data": fourier()}),
        Base(spy.connectivityanalysis, _analog()),
        *(Base(spy.connectivityanalysis, _analog(method=m, **more), m, keys) for m, more, keys in [
            ("csd", {}, ("foi", "foilim", "pad", "tapsmofrq", "nTaper", "segments", "keeptrials")),
            ("granger", {}, ("foi", "foilim", "pad", "pairwise", "conditional", "groups", "channelcmb")),
            ("corr", {}, ("lags", "keeptrials", "pad", "foi", "channelcmb")),
            ("psi", {"bands": {"a": [10.0, 40.0]}}, ("bands", "foi")),
            ("powcorr", {"freq": [10.0, 30.0]}, ("freq", "bands")),
            ("mim", {"groups": {"a": [0], "b": [1, 2]}}, ("groups", "rank")),
        ]),
        Base(spy.crossfrequencyanalysis, _analog(**pairs)),
        _statistics(spy.freqstatistics, spectra),
        _statistics(spy.timelockstatistics, recording),
        _statistics(spy.connectivitystatistics, lambda: spy.connectivityanalysis(
            recording(), method="csd", keeptrials=True, parallel=False).selectdata() and _single_trials()),
        Base(spy.bootstrap, lambda: {"*": (spectra(),), "n": 10}),
        Base(spy.jackknife, lambda: {"*": (spectra(),)}),
        Base(spy.neighbours_from_positions, lambda: {"positions": np.eye(3), "channel": ["a", "b", "c"],
                                                     "distance": 2.0}),
        *(Base(f, lambda more=more: {"data": spikes(), **more}, besides=()) for f, more in [
            (spy.spike_psth, {"binsize": 0.1}),
            (spy.spike_rate, {}),
            (spy.spike_isi, {}),
            (spy.spike_density, {"timwin": (-0.05, 0.05), "fsample": 50.0}),
            (spy.spike_fano, {"binsize": 0.1}),
            (spy.spike_xcorr, {"maxlag": 0.1, "binsize": 0.01}),
        ]),
        *(Base(f, lambda more=more: {"data": recording(), "spikes": spikes(), **more}) for f, more in [
            (spy.spiketriggeredaverage, {"timwin": (-0.05, 0.05)}),
            (spy.spiketriggeredspectrum, {"foi": [20.0], "t_ftimwin": 0.1}),
            (spy.spikefieldcoherence, {}),
        ]),
        Base(spy.spikes_from_times, lambda: {"times": [np.array([0.1, 0.2])], "samplerate": RATE}),
        Base(spy.spikes_to_times, lambda: {"data": spikes()}),
        Base(spy.spikes_to_pandas, lambda: {"data": spikes()}),
        Base(spy.spikes_from_pandas, lambda: {"table": spy.spikes_to_pandas(spikes()), "samplerate": RATE}),
        *(Base(f, lambda first=first: {**first, "nSamples": 20, "nTrials": 2}) for f, first in [
            (spy.white_noise, {}), (spy.red_noise, {"alpha": 0.5}), (spy.ar2_network, {}),
            (spy.harmonic, {"freq": 20.0, "samplerate": RATE}), (spy.linear_trend, {"y_max": 1.0}),
            (spy.phase_diffusion, {"freq": 20.0, "samplerate": RATE}),
        ]),
        Base(spy.mk_RandomAdjMat, dict),
        Base(spy.ar2_peak_freq, lambda: {"a1": 0.55, "a2": -0.8}),
        Base(spy.collect_trials, lambda: {"trial_func": lambda: np.zeros((3, 2))}),
        Base(spy.raw_binary, lambda: {"path": _raw_file(), "dtype": "f4", "channels": 3}),
        Base(spy.hdf5_dataset, lambda: {"path": _h5_file(), "name": "data"}),
        Base(spy.read, lambda: {"path": _npy_file(), "samplerate": RATE}, besides=("samplerate", "channel")),
        Base(spy.read, lambda: {"path": _raw_file(), "dtype": "f4", "channels": 3, "samplerate": RATE}, "raw",
             ("dtype", "channels", "samplerate", "order", "offset", "scale", "bias", "unit", "channel")),
        *(Base(f, lambda first=first: {first: "no file"}) for f, first in [
            (spy.load_brainvision, "path"), (spy.load_ft_raw, "filename"), (spy.load_mne, "path"),
            (spy.load_nwb, "filename"), (spy.load_phy, "folder"), (spy.load_tdt, "data_path"),
        ]),
        Base(spy.load, lambda: {"filename": _saved()}),
        Base(spy.save, lambda: {"out": recording().copy(), "container": "y", "overwrite": True}),
        *(Base(f, lambda suffix=suffix: {"data": recording().copy(), "path": f"z{suffix}", "overwrite": True})
          for f, suffix in [(spy.to_brainvision, ".vhdr"), (spy.to_fieldtrip, ".mat"),
                            (spy.to_parquet, ".parquet")]),
        Base(spy.to_syncopy, lambda: {"data": recording().copy(), "container": "s", "overwrite": True}),
        Base(spy.to_pandas, lambda: {"data": recording()}),
        Base(spy.to_dask, lambda: {"data": recording()}),
        *(Base(f, lambda: {}, keywords=(first,)) for f, first in [
            (spy.to_mne, "data"), (spy.to_neo, "data"), (spy.to_pynapple, "data"),
            (spy.to_spikeinterface, "data"),
            (spy.to_xarray, "data"), (raw_adata_to_mne_raw, "adata"), (spy.tldata_to_mne_epochs, "tldata"),
            (spy.raw_mne_to_adata, "ar"), (spy.mne_epochs_to_tldata, "ar"),
        ]),
        *(Base(f, lambda: {"path": "p"}, "nothing", ("data",)) for f in
          (spy.to_edf, spy.to_nwb, spy.to_netcdf, spy.to_zarr)),
        *(Base(f, lambda: {"data": recording(), "path": "w", "overwrite": True}, "", keywords, imports=True)
          for f, keywords in [
            (spy.to_edf, ("path", "overwrite")),
            (spy.to_nwb, ("path", "overwrite", "session_start_time", "description")),
            (spy.to_netcdf, ("path", "overwrite")),
            (spy.to_zarr, ("path", "overwrite")),
            (spy.to_fif, ("path", "overwrite", "ch_types")),
          ] if find_spec(NEEDS[f.__name__])),
        *(Base(f, lambda first=first, of=of: {first: of()}, "types", ("ch_types",), imports=True)
          for f, first, of in [
            (spy.to_mne, "data", recording),
            (raw_adata_to_mne_raw, "adata", continuous),
            (spy.tldata_to_mne_epochs, "tldata", locked),
          ] if find_spec("mne")),
        Base(spy.explain, lambda: {"*": (spy.freqanalysis, recording())}, keywords=("foi",)),
        Base(spy.get_defaults, lambda: {"obj": spy.freqanalysis}),
        Base(spy.set_loglevel, lambda: {"level": "ERROR"}),
        Base(spy.cleanup, lambda: {"interactive": False}),
        Base(spy.connect, lambda: {"job": 1, "timeout": 0.01}),
        *(Base(_drawn(spy.singlepanelplot), given, label, (*keywords, "trials", "channel"))
          for label, given, keywords in [
            ("recording", _analog(trials=0), ("data", "latency", "shifted")),
            ("spectra", lambda: {"data": spectra(), "trials": 0}, ("frequency", "logscale")),
            ("spikes", lambda: {"data": spikes(), "trials": 0, "on_yaxis": "channel"}, ("on_yaxis", "unit")),
        ]),
        Base(_drawn(spy.multipanelplot), _analog(trials=0), "", ("data", "trials", "channel", "latency")),
        Base(_drawn(spy.multipanelplot), lambda: {"data": coherence()}, "pairs", ("channel_i", "frequency")),
        *(Base(_on_paper(f), lambda more=more: more) for f, more in [
            (spy.esi_cluster_setup, {"partition": "part"}), (spy.slurm_cluster_setup, {"partition": "part"}),
            (spy.local_cluster_setup, {}),
        ]),
        Base(spy.cluster_cleanup, dict),
        Base(spy.to_fif, lambda: {}, keywords=("data",)),
        Base(_method("save"), lambda: {"of": recording(), "container": "m", "overwrite": True}, "container",
             ("tag", "overwrite")),
        *(Base(_method(name), lambda of=of: {"of": of()}, kind, keywords) for kind, of, name, keywords in [
            ("AnalogData", recording, "show", ("squeeze", "trials", "channel", "latency")),
            ("AnalogData", recording, "selectdata", ("trials", "channel", "latency")),
            ("AnalogData", recording, "save", ("container", "filename")),
            ("AnalogData", recording, "singlepanelplot", ("trials", "channel", "latency")),
            ("AnalogData", recording, "multipanelplot", ("trials", "channel", "latency")),
            ("AnalogData", recording, "definetrial", ("trialdefinition", "pre", "post", "start", "trigger",
                                                      "stop", "clip_edges")),
            ("SpectralData", spectra, "selectdata", ("trials", "channel", "frequency", "taper")),
            ("CrossSpectralData", coherence, "selectdata", ("channel_i", "channel_j", "frequency")),
            ("CrossSpectralData", jackknifed, "jack_interval", ("level",)),
            ("SpikeData", spikes, "selectdata", ("trials", "channel", "unit", "latency")),
            ("EventData", events, "selectdata", ("trials", "eventid", "latency")),
            ("StatData", test, "save", ("filename", "overwrite")),
            ("StatData", test, "load", ("filename",)),
            ("StatData", test, "extend", ("n", "parallel", "data")),
            ("StatData", test, "singlepanelplot", ("channel", "quantity")),
            ("StatData", test, "multipanelplot", ("channel", "quantity")),
            ("CouplingData", coupling, "save", ("filename", "overwrite")),
            ("CouplingData", coupling, "load", ("filename",)),
            ("CouplingData", coupling, "plot", ("channelcmb", "quantity", "trial")),
        ]),
        *(Base(_setting, lambda: {}, keywords=(name,)) for name in _settings()),
        *(Base(_assigned, lambda of=of: {"of": of()}, kind, names) for kind, of, names in [
            ("more", recording, ("dimord", "quantity", "sampleinfo", "trialinfo", "unit")),
            ("spectra", spectra, ("channel", "freq", "taper", "metadata", "data")),
            ("coherence", coherence, ("channel_i", "channel_j", "channelcmb", "freq", "jackknife")),
            ("spikes", spikes, ("channel", "unit", "waveform", "trialid", "data", "samplerate")),
        ]),
        *(Base(_assigned, lambda: {}, keywords=(name,)) for name in
          ("samplerate", "trialdefinition", "channel", "cfg", "info", "log", "mode", "selection", "data",
           "events")),
    ]  # fmt: skip


def _drawn(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, after which no figure is left."""

    @wraps(function)
    def called(*args: Any, **keywords: Any) -> None:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        try:
            function(*args, **keywords)
        finally:
            pyplot.close("all")

    return called


class _Paper:
    """A Dask cluster that is not there."""

    dashboard_link = ""
    scheduler_info: ClassVar[dict[str, Any]] = {"workers": range(10**9)}

    def __init__(self, **options: Any) -> None:
        """Take what a cluster takes."""

    def scale(self, jobs: int) -> None:
        """Start nothing."""


def _on_paper(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a SLURM and a Dask that start nothing."""

    @wraps(function)
    def called(**keywords: Any) -> Any:
        from rayspy_compat import setups

        stubs = {
            "_command": lambda *words: "PartitionName=part MaxMemPerCPU=8000" if "show" in words else "part",
            "_slurm_cluster": _Paper,
            "_client_of": lambda cluster: cluster,
        }
        with mock.patch.multiple(setups, **stubs), mock.patch("distributed.LocalCluster", _Paper):
            return function(**keywords)

    return called


def _single_trials() -> Any:
    return spy.connectivityanalysis(recording(), method="corr", keeptrials=True, parallel=False)


def _h5_file() -> str:
    import h5py

    path = Path("x.h5")
    if not path.exists():
        with h5py.File(path, "w") as file:
            file["data"] = np.zeros((20, 3), "f4")
    return str(path)


def _settings() -> tuple[str, ...]:
    return tuple(name for name in spy.config.settings.__dataclass_fields__ if name != "log_level")


def _setting(**changes: Any) -> None:
    with spy.config.using(**changes):
        pass


def _method(name: str) -> Callable[..., Any]:
    """A method as a function of its object; a figure is closed."""

    def called(of: Any, **keywords: Any) -> Any:
        return getattr(of.copy() if hasattr(of, "copy") else of, name)(**keywords)

    called.__name__ = f".{name}"
    return _drawn(called) if "plot" in name else called


def _assigned(of: Any = None, **changes: Any) -> None:
    data = (of or recording()).copy()
    for name, value in changes.items():
        setattr(data, name, value)


# -- making the calls ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of one call."""

    base: str
    keyword: str
    value: str
    accepted: bool
    fault: str
    seconds: float


def outcome(base: Base, keyword: str, value: str) -> Outcome:
    """Make one call."""
    began, accepted, fault = time.process_time(), False, ""
    try:
        base.call(**{keyword: value_of(value)})
        accepted = True
    except RayspyError as error:
        if not names(error, keyword):
            fault = f"does not name it: {type(error).__name__}: {error}"
    except TypeError as error:
        if "missing 1 required" not in str(error):
            fault = f"{type(error).__name__}: {error}"
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    return Outcome(base.name, keyword, value, accepted, fault[:300], time.process_time() - began)


GOOD = {("parallel", "True"), *((name, "1e7") for name in ("nSamples", "nChannels", "nTrials"))}
"""Not odd at all: the first starts a Ray, the others take as long as they have to, and can be interrupted."""
SYNONYMS: dict[str, tuple[str, ...]] = {
    "pre": ("sampleinfo",),
    "post": ("sampleinfo",),
    "statistic": ("clusterthreshold",),
    "selection": ("select",),
    "freq": ("width",),
    "offset": ("bytes of data",),
    "data_path": ("path",),
    "adata": ("data",),
    "tldata": ("data",),
    "data": ("path",),
    "foi": ("bands",),
    "binsize": ("maxlag",),
    "width_phase": ("foi_phase",),
    "width_amplitude": ("foi_phase",),
    "foi_phase": ("foi_amplitude",),
    "samplerate": ("each row once", "freq"),
    "trialdefinition": ("sampleinfo",),
}
"""What else an error may call a keyword."""


def names(error: RayspyError, keyword: str) -> bool:
    """Whether an error says which keyword was wrong; that of a path says the path."""
    if isinstance(error, PathError):
        return True
    return any(word in str(error) for word in (keyword, *SYNONYMS.get(keyword, ())))


def calls(few: bool) -> Iterator[tuple[Base, str, str]]:
    """All calls, or some values for each keyword, which take turns."""
    values, place = [value for value in VALUES if not (few and value == "many")], 0
    for base in bases():
        if few and base.imports:
            continue
        for keyword in base.replaced():
            wanted = [values[(place + 5 * k) % len(values)] for k in range(FEW)] if few else values
            place += 1
            for value in wanted:
                if (keyword, value) not in GOOD:
                    yield base, keyword, value


def accepted() -> dict[tuple[str, str], set[str]]:
    """Values that are taken, by call and keyword."""
    found: dict[tuple[str, str], set[str]] = {}
    for line in [] if not ACCEPTED.exists() else ACCEPTED.read_text().splitlines():
        if line and not line.startswith("#"):
            base, keyword, *values = line.split()
            found[base, keyword] = set(values)
    return found


def _interrupt(*_: Any) -> None:
    raise TimeoutError(f"more than {PATIENCE} s")


def _interrupted(base: Base, keyword: str, value: str) -> Outcome:
    """Make one call, which is interrupted when it takes too long."""
    try:
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        found = outcome(base, keyword, value)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return found
    except TimeoutError as error:
        return Outcome(base.name, keyword, value, False, str(error), PATIENCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the list of accepted calls anew")
    parser.add_argument("--only", default="", help="functions whose names begin so")
    parser.add_argument("--few", action="store_true", help="those of the tests")
    asked = parser.parse_args()
    spy.set_loglevel("ERROR")
    signal.signal(signal.SIGPROF, _interrupt)
    taken: dict[tuple[str, str], list[str]] = {}
    known = accepted()
    n = n_wrong = 0
    made: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for base, keyword, value in calls(asked.few):
            if not base.name.startswith(tuple(asked.only.split(","))):
                continue
            found = _interrupted(base, keyword, value)
            if found.seconds > SECONDS:  # once more, as something may have been loaded
                found = _interrupted(base, keyword, value)
            n += 1
            made.add((base.name, keyword))
            wrong = found.fault or (f"took {found.seconds:.1f} s" if found.seconds > SECONDS else "")
            if found.accepted:
                taken.setdefault((base.name, keyword), []).append(value)
                if not asked.write and value not in known.get((base.name, keyword), ()):
                    wrong = wrong or "accepted"
            if wrong:
                n_wrong += 1
                print(f"{base.name} {keyword}={value}: {wrong}", flush=True)
    print(f"{n} calls, {n_wrong} wrong")
    if asked.write:
        others = {call: list(values) for call, values in known.items() if call not in made}
        lines = sorted(
            " ".join([*call, *sorted(values, key=list(VALUES).index)])
            for call, values in (others | taken).items()
        )
        ACCEPTED.write_text("\n".join(["# Accepted on purpose: call, keyword, names of values", *lines, ""]))
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
