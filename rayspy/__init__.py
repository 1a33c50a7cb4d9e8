"""Electrophysiology analysis on data larger than memory; ``import rayspy as spy``."""

from rayspy import errors as errors
from rayspy import synthdata as synthdata
from rayspy.cluster.start import retry_ray as retry_ray
from rayspy.config import config as config
from rayspy.data import actions as _actions
from rayspy.data.analog import AnalogData as AnalogData
from rayspy.data.coupling import CouplingData as CouplingData
from rayspy.data.crossspectral import CrossSpectralData as CrossSpectralData
from rayspy.data.event import EventData as EventData
from rayspy.data.spectral import SpectralData as SpectralData
from rayspy.data.spike import SpikeData as SpikeData
from rayspy.data.statistics import IntervalData as IntervalData
from rayspy.data.statistics import StatData as StatData
from rayspy.data.structdict import StructDict as StructDict
from rayspy.data.timelock import TimeLockData as TimeLockData
from rayspy.frontends.connectivity.analysis import connectivityanalysis as connectivityanalysis
from rayspy.frontends.connectivity.crossfrequency import crossfrequencyanalysis as crossfrequencyanalysis
from rayspy.frontends.explain import Explanation as Explanation
from rayspy.frontends.explain import explain as explain
from rayspy.frontends.filters.baseline import baseline as baseline
from rayspy.frontends.filters.linenoise import linefilter as linefilter
from rayspy.frontends.filters.linenoise import notchfilter as notchfilter
from rayspy.frontends.filters.preprocessing import preprocessing as preprocessing
from rayspy.frontends.filters.rereference import rereference as rereference
from rayspy.frontends.filters.resampledata import resampledata as resampledata
from rayspy.frontends.handling.arithmetic import arithmetic as _arithmetic
from rayspy.frontends.handling.arithmetic import concat as concat
from rayspy.frontends.handling.arithmetic import equal as _equal
from rayspy.frontends.handling.definetrial import definetrial as definetrial
from rayspy.frontends.handling.definetrial import redefinetrial as redefinetrial
from rayspy.frontends.handling.housekeeping import cleanup as cleanup
from rayspy.frontends.handling.housekeeping import copy as copy
from rayspy.frontends.handling.housekeeping import get_defaults as get_defaults
from rayspy.frontends.handling.selectdata import selectdata as selectdata
from rayspy.frontends.handling.selectdata import show as show
from rayspy.frontends.spectral.freqanalysis import freqanalysis as freqanalysis
from rayspy.frontends.spikes.fields import spikefieldcoherence as spikefieldcoherence
from rayspy.frontends.spikes.fields import spiketriggeredaverage as spiketriggeredaverage
from rayspy.frontends.spikes.fields import spiketriggeredspectrum as spiketriggeredspectrum
from rayspy.frontends.spikes.isi import spike_isi as spike_isi
from rayspy.frontends.spikes.psth import spike_fano as spike_fano
from rayspy.frontends.spikes.psth import spike_psth as spike_psth
from rayspy.frontends.spikes.psth import spike_rate as spike_rate
from rayspy.frontends.spikes.xcorr import spike_density as spike_density
from rayspy.frontends.spikes.xcorr import spike_xcorr as spike_xcorr
from rayspy.frontends.statistics.calls import connectivitystatistics as connectivitystatistics
from rayspy.frontends.statistics.calls import extend_statistics as _extend_statistics
from rayspy.frontends.statistics.calls import freqstatistics as freqstatistics
from rayspy.frontends.statistics.calls import timelockstatistics as timelockstatistics
from rayspy.frontends.statistics.neighbours import neighbours_from_positions as neighbours_from_positions
from rayspy.frontends.statistics.resampling import bootstrap as bootstrap
from rayspy.frontends.statistics.resampling import jackknife as jackknife
from rayspy.frontends.statistics.summary import itc as itc
from rayspy.frontends.statistics.summary import mean as mean
from rayspy.frontends.statistics.summary import median as median
from rayspy.frontends.statistics.summary import std as std
from rayspy.frontends.statistics.summary import var as var
from rayspy.frontends.statistics.timelockanalysis import timelockanalysis as timelockanalysis
from rayspy.io.container import load as load
from rayspy.io.container import load_as as _load_as
from rayspy.io.container import save as save
from rayspy.io.doors import load_ft_raw as load_ft_raw
from rayspy.io.doors import load_mne as load_mne
from rayspy.io.doors import load_nwb as load_nwb
from rayspy.io.doors import load_tdt as load_tdt
from rayspy.io.doors import mne_epochs_to_tldata as mne_epochs_to_tldata
from rayspy.io.doors import raw_mne_to_adata as raw_mne_to_adata
from rayspy.io.raw import hdf5_dataset as hdf5_dataset
from rayspy.io.raw import raw_binary as raw_binary
from rayspy.io.read import read as read
from rayspy.io.read import read_formats as read_formats
from rayspy.io.readers.brainvision import load_brainvision as load_brainvision
from rayspy.io.spikes import load_phy as load_phy
from rayspy.io.spikes import spikes_from_pandas as spikes_from_pandas
from rayspy.io.spikes import spikes_from_times as spikes_from_times
from rayspy.io.spikes import spikes_to_pandas as spikes_to_pandas
from rayspy.io.spikes import spikes_to_times as spikes_to_times
from rayspy.io.writers.brainvision import to_brainvision as to_brainvision
from rayspy.io.writers.edf import to_edf as to_edf
from rayspy.io.writers.fieldtrip import to_fieldtrip as to_fieldtrip
from rayspy.io.writers.fif import to_fif as to_fif
from rayspy.io.writers.gridded import to_netcdf as to_netcdf
from rayspy.io.writers.gridded import to_zarr as to_zarr
from rayspy.io.writers.mne_objects import raw_adata_to_mne_raw as raw_adata_to_mne_raw
from rayspy.io.writers.mne_objects import tldata_to_mne_epochs as tldata_to_mne_epochs
from rayspy.io.writers.mne_objects import to_mne as to_mne
from rayspy.io.writers.nwb import to_nwb as to_nwb
from rayspy.io.writers.objects import to_neo as to_neo
from rayspy.io.writers.objects import to_pynapple as to_pynapple
from rayspy.io.writers.objects import to_spikeinterface as to_spikeinterface
from rayspy.io.writers.syncopy import to_syncopy as to_syncopy
from rayspy.io.writers.tables import to_pandas as to_pandas
from rayspy.io.writers.tables import to_parquet as to_parquet
from rayspy.io.writers.xarrays import to_xarray as to_xarray
from rayspy.launch.connecting import connect as connect
from rayspy.launch.info import cluster_info as cluster_info
from rayspy.plotting import multipanelplot as multipanelplot
from rayspy.plotting import singlepanelplot as singlepanelplot
from rayspy.plotting.coupling import comodulogram as _comodulogram
from rayspy.progress import set_loglevel as set_loglevel
from rayspy.synthdata import ar2_network as ar2_network
from rayspy.synthdata import ar2_peak_freq as ar2_peak_freq
from rayspy.synthdata import collect_trials as collect_trials
from rayspy.synthdata import harmonic as harmonic
from rayspy.synthdata import linear_trend as linear_trend
from rayspy.synthdata import mk_RandomAdjMat as mk_RandomAdjMat
from rayspy.synthdata import phase_diffusion as phase_diffusion
from rayspy.synthdata import red_noise as red_noise
from rayspy.synthdata import white_noise as white_noise

__version__ = "0.1.0.dev0"

_PLANNED = ("raw_adata_to_mne", "epoch_mne_to_adata", "tldata_to_mne")
"""Names of Syncopy that are not built yet."""

_actions.register(arithmetic=_arithmetic, equal=_equal)
_actions.register(definetrial=definetrial, selectdata=selectdata, show=show, save=save, load_as=_load_as)
_actions.register(singlepanelplot=singlepanelplot, multipanelplot=multipanelplot)
_actions.register(extend_statistics=_extend_statistics, plot_coupling=_comodulogram)
_actions.register(to_dask=lambda data: __getattr__("to_dask")(data))  # type: ignore[operator]


def __getattr__(name: str) -> object:
    """Cluster helpers that other packages offer (entry points of the group ``rayspy.helpers``)."""
    from importlib.metadata import entry_points

    for point in () if name.startswith("_") else entry_points(group="rayspy.helpers", name=name):
        found: object = point.load()
        return found
    why = " yet: it is not built, see the end of the README" if name in _PLANNED else ""
    raise AttributeError(f"module 'rayspy' has no attribute '{name}'{why}")


def __dir__() -> list[str]:
    from importlib.metadata import entry_points

    return sorted({*globals(), *entry_points(group="rayspy.helpers").names})


__all__ = [
    "AnalogData",
    "CouplingData",
    "CrossSpectralData",
    "EventData",
    "Explanation",
    "IntervalData",
    "SpectralData",
    "SpikeData",
    "StatData",
    "StructDict",
    "TimeLockData",
    "ar2_network",
    "ar2_peak_freq",
    "baseline",
    "bootstrap",
    "cleanup",
    "cluster_info",
    "collect_trials",
    "concat",
    "config",
    "connect",
    "connectivityanalysis",
    "connectivitystatistics",
    "copy",
    "crossfrequencyanalysis",
    "definetrial",
    "errors",
    "explain",
    "freqanalysis",
    "freqstatistics",
    "get_defaults",
    "harmonic",
    "hdf5_dataset",
    "itc",
    "jackknife",
    "linear_trend",
    "linefilter",
    "load",
    "load_brainvision",
    "load_ft_raw",
    "load_mne",
    "load_nwb",
    "load_phy",
    "load_tdt",
    "mean",
    "median",
    "mk_RandomAdjMat",
    "mne_epochs_to_tldata",
    "multipanelplot",
    "neighbours_from_positions",
    "notchfilter",
    "phase_diffusion",
    "preprocessing",
    "raw_adata_to_mne_raw",
    "raw_binary",
    "raw_mne_to_adata",
    "read",
    "read_formats",
    "red_noise",
    "redefinetrial",
    "rereference",
    "resampledata",
    "retry_ray",
    "save",
    "selectdata",
    "set_loglevel",
    "show",
    "singlepanelplot",
    "spike_density",
    "spike_fano",
    "spike_isi",
    "spike_psth",
    "spike_rate",
    "spike_xcorr",
    "spikefieldcoherence",
    "spikes_from_pandas",
    "spikes_from_times",
    "spikes_to_pandas",
    "spikes_to_times",
    "spiketriggeredaverage",
    "spiketriggeredspectrum",
    "std",
    "synthdata",
    "timelockanalysis",
    "timelockstatistics",
    "tldata_to_mne_epochs",
    "to_brainvision",
    "to_edf",
    "to_fieldtrip",
    "to_fif",
    "to_mne",
    "to_neo",
    "to_netcdf",
    "to_nwb",
    "to_pandas",
    "to_parquet",
    "to_pynapple",
    "to_spikeinterface",
    "to_syncopy",
    "to_xarray",
    "to_zarr",
    "var",
    "white_noise",
]
