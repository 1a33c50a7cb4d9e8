"""Objects of MNE-Python, and FIF files through them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_names
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.spectral import SpectralData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers.recording import required
from rayspy.io.readers.units import conversion
from rayspy.io.writers import whole
from rayspy.io.writers.mne_pairs import connectivity
from rayspy.progress import warn

Array = NDArray[Any]
_SI = {"mag": "T", "grad": "T/m", "ref_meg": "T", "hbo": "M", "hbr": "M"}
_PLAIN = ("misc", "stim", "syst", "resp", "temperature", "gsr", "bio")
_KNOWN = {*_SI, *_PLAIN, "eeg", "eog", "ecg", "emg", "seeg", "ecog", "dbs"}


def to_mne(data: BaseData, ch_types: Any = None) -> Any:
    """Make an object of MNE-Python.

    Parameters
    ----------
    data : AnalogData, TimeLockData, SpectralData or CrossSpectralData
        Is not changed; an active selection does not count.
    ch_types : str or list of str, optional
        Types of the channels as in `mne.create_info`; those of ``info["channel_types"]``, or ``"misc"``
        where nothing is known, if left out.

    Returns
    -------
    mne.io.RawArray, mne.EpochsArray, mne.EvokedArray, mne.time_frequency.SpectrumArray,
    EpochsSpectrumArray, AverageTFRArray, EpochsTFRArray or one of mne_connectivity
        AnalogData with one trial; AnalogData with several of equal length and offset (the first column
        of trialinfo, if whole numbers, are the event codes); averages of TimeLockData; spectra; spectra
        over time; measures of pairs, all of one set of channels or a list. Numbers are converted to
        V, T ... where `unit` says what they are, and taken as they are where it does not. Tapers have to
        be averaged. Bad channels and events become ``info["bads"]`` and annotations.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        There is no such object of MNE, or trials do not fit on one time axis.
    MemoryBudgetError
        MNE's object, which is in memory, would not fit.
    MissingPackageError
        MNE (for pairs: MNE-Connectivity) is not installed.
    """
    if not isinstance(data, (AnalogData, TimeLockData, SpectralData, CrossSpectralData)):
        raise InvalidTypeError(data, "data", "AnalogData, TimeLockData, SpectralData or CrossSpectralData;")
    timeless = isinstance(data, (SpectralData, CrossSpectralData))
    if data.data is None or (data.samplerate is None and not timeless):
        raise InvalidValueError("non-empty object with a samplerate", "data", f"empty {type(data).__name__}")
    try:
        import mne
    except ImportError:
        raise required("mne", "to_mne") from None
    whole.check_memory(
        16.0 * float(np.prod(data.source.shape)), "the object of MNE", "select a part of the data"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(data, CrossSpectralData):
            return connectivity(data)
        if isinstance(data, SpectralData):
            return _spectra(mne, data, ch_types)
        if isinstance(data, TimeLockData):
            return _evoked(mne, data, ch_types)
        return _raw(mne, data, ch_types) if len(data) == 1 else _epochs(mne, data, ch_types)


def _types(data: BaseData, given: Any) -> list[str]:
    names = [str(name) for name in data.describe().labels["channel"]]
    if isinstance(given, str):
        return [given] * len(names)
    if given is not None:
        return check_names(given, "ch_types", len(names))
    told = data.info.get("channel_types", {})
    return [str(told[name]) if told.get(name) in _KNOWN else "misc" for name in names]


def _info(mne: Any, data: BaseData, types: list[str], rate: float) -> Any:
    names = [str(name) for name in data.describe().labels["channel"]]
    try:
        info = mne.create_info(names, rate, types, verbose="error")
    except KeyError as error:  # which lists those there are
        raise InvalidValueError(str(error.args[0]), "ch_types", types) from error
    info["bads"] = [name for name in data.info.get("bad_channels", []) if name in names]
    places = data.info.get("positions", {})
    if "positions_unit" not in data.info:
        for channel in info["chs"]:
            if channel["ch_name"] in places:
                channel["loc"][:3] = places[channel["ch_name"]]
    return info


def _factors(data: BaseData, types: list[str]) -> Array:
    """Factors to the units of MNE; 1 where the unit is not known."""
    unit = getattr(data, "unit", None)
    units = np.broadcast_to("" if unit is None else unit, len(types))
    found = []
    for one, kind in zip(units, types, strict=True):
        wanted = _SI.get(kind, "" if kind in _PLAIN else "V")
        factor = conversion(str(one), wanted) if one and wanted else 1.0
        if factor is None:
            raise InvalidValueError(f"channel type that is measured in {one}", "ch_types", kind)
        found.append(factor)
    return np.array(found)


def _turned(data: BaseData, array: Array) -> Array:
    """Time x channel."""
    return array if data.dimord[0] == "time" else array.T


def _raw(mne: Any, data: AnalogData, given: Any) -> Any:
    types, rate = _types(data, given), float(data.samplerate or 1)
    trl = data.describe().trialdefinition
    values = _turned(data, data.trials[0]) * _factors(data, types)  # type: ignore[index]
    raw = mne.io.RawArray(values.T, _info(mne, data, types, rate), verbose="error")
    raw.set_annotations(mne.Annotations(*annotations_of(data, *trl[0, :2])))
    if trl[0, 2]:
        warn("to_mne", f"the recording begins at {trl[0, 2] / rate:g} s, in MNE's object at 0 s")
    return raw


def annotations_of(data: AnalogData, start: float, stop: float) -> tuple[Array, Array, list[str]]:
    """Onsets and durations in seconds from the first sample on, and texts, of the events in between."""
    events, rate = data.events, float(data.samplerate or 1)
    if events is None or events.data is None:
        return np.empty(0), np.empty(0), []
    rows, columns = events.data[:], events.dimord
    sample = rows[:, columns.index("sample")]
    inside = (sample >= start) & (sample < stop)
    names = {code: label for label, code in events.info.get("names", {}).items()}
    texts = [names.get(int(code), str(code)) for code in rows[inside, columns.index("eventid")]]
    spans = rows[inside, columns.index("duration")] / rate if "duration" in columns else np.zeros(len(texts))
    return (sample[inside] - start) / rate, spans, texts


def types_and_info(mne: Any, data: BaseData, given: Any) -> tuple[Any, Array]:
    """Description of the channels for MNE, and factors to its units."""
    types = _types(data, given)
    return _info(mne, data, types, float(data.samplerate or 1)), _factors(data, types)


def _one_axis(data: BaseData) -> float:
    if not data.is_time_locked:
        raise InvalidValueError("trials of equal length and offset", "data", "other trials")
    return float(data.describe().trialdefinition[0, 2])


def _codes(data: BaseData) -> Array:
    """Event codes of the trials: the first column of trialinfo if it has whole numbers."""
    info = data.trialinfo
    if info is None or not info.shape[1] or (info[:, 0] != np.round(info[:, 0])).any():
        return np.ones(len(data), int)
    return info[:, 0].astype(int)


def _event_table(data: BaseData) -> Array:
    trl = data.describe().trialdefinition
    at = (trl[:, 0] - trl[:, 2]).astype(int)
    if isinstance(data, SpectralData) or at.min() < 0 or len(np.unique(at)) < len(at):
        at = np.arange(len(data))
    return np.column_stack([at, np.zeros(len(at), int), _codes(data)])


def _epochs(mne: Any, data: AnalogData, given: Any) -> Any:
    offset, types, rate = _one_axis(data), _types(data, given), float(data.samplerate or 1)
    factors = _factors(data, types)
    values = np.stack([(_turned(data, trial) * factors).T for trial in data.trials])  # type: ignore[union-attr]
    named = data.info.get("event_id")
    codes = _codes(data)
    named = named if named and set(codes.tolist()) <= set(named.values()) else None
    return mne.EpochsArray(
        values, _info(mne, data, types, rate), _event_table(data), offset / rate, named, verbose="error"
    )


def _evoked(mne: Any, data: TimeLockData, given: Any) -> Any:
    offset, types, rate = _one_axis(data), _types(data, given), float(data.samplerate or 1)
    values = _turned(data, np.asarray(data.avg)) * _factors(data, types)
    n = len(data)
    return mne.EvokedArray(values.T, _info(mne, data, types, rate), offset / rate, "", n, verbose="error")


def _spectra(mne: Any, data: SpectralData, given: Any) -> Any:
    types = _types(data, given)
    if data.source.shape[data.dimord.index("taper")] != 1:
        raise InvalidValueError("averaged tapers (keeptapers=False), or one taper", "data", "several tapers")
    order = [data.dimord.index(dim) for dim in ("channel", "freq", "time", "taper")]
    trials = [trial.transpose(order)[..., 0] for trial in data.trials]  # type: ignore[union-attr]
    freqs, points = np.asarray(data.freq), {trial.shape[2] for trial in trials}
    if len(points) > 1:
        raise InvalidValueError("trials of equal length", "data", f"trials of {sorted(points)} times")
    if points == {1}:
        info = _info(mne, data, types, float(2 * freqs[-1] + 1))
        values = np.stack([trial[..., 0] for trial in trials])
        if len(trials) == 1:
            return mne.time_frequency.SpectrumArray(values[0], info, freqs)
        return mne.time_frequency.EpochsSpectrumArray(values, info, freqs, events=_event_table(data))
    times = data.time
    if times is None:
        raise InvalidValueError("object with times", "data", "times are not known")
    info = _info(mne, data, types, float(data.samplerate or 1 / np.diff(times[0]).mean()))
    values = np.stack(trials)
    if len(trials) == 1:
        return mne.time_frequency.AverageTFRArray(info, values[0], times[0], freqs)
    _one_axis(data)
    return mne.time_frequency.EpochsTFRArray(info, values, times[0], freqs, events=_event_table(data))


def raw_adata_to_mne_raw(adata: AnalogData, ch_types: Any = None) -> Any:
    """Make an `mne.io.RawArray` of AnalogData with one trial; see `to_mne`."""
    if isinstance(adata, AnalogData) and len(adata) != 1:
        raise InvalidValueError("AnalogData with one trial", "adata", f"{len(adata)} trials")
    return to_mne(adata, ch_types)


def tldata_to_mne_epochs(tldata: Any, ch_types: Any = None) -> Any:
    """Make `mne.EpochsArray` of the trials of AnalogData or TimeLockData; see `to_mne`."""
    if isinstance(tldata, TimeLockData):
        made = AnalogData.from_parts(
            tldata.source, tldata.describe().trialdefinition, tldata.samplerate,
            tldata.describe().labels, tuple(tldata.dimord),
        )  # fmt: skip
        made.unit = getattr(tldata, "unit", None)
        made.info.update(tldata.info)
        tldata = made
    if not isinstance(tldata, AnalogData):
        raise InvalidTypeError(tldata, "tldata", "AnalogData or TimeLockData;")
    try:
        import mne
    except ImportError:
        raise required("mne", "tldata_to_mne_epochs") from None
    return _epochs(mne, tldata, ch_types)
