"""Neurodata Without Borders 2 files (HDF5), read without pynwb."""

from __future__ import annotations

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidValueError
from rayspy.io.readers import hdf5
from rayspy.io.readers.recording import (
    Mark,
    Notes,
    Recording,
    Stream,
    check_counts,
    damaged,
    existing,
    required,
    rounded_rate,
    unique_names,
)
from rayspy.io.spikes import spikes_from_times
from rayspy.storage.datasets import DatasetsSource

_SERIES = ("ElectricalSeries", "TimeSeries", "VoltageClampSeries", "CurrentClampSeries", "SpatialSeries")
_CHUNK = 2**20
_ELECTRODES = "general/extracellular_ephys/electrodes"
_NAME_COLUMNS = ("channel_name", "label", "electrode_name", "name")
_MOST_TRIALS = 10_000_000


def open_nwb(path: Any, spike_samplerate: float | None = None, outside: bool = False) -> Recording:
    """Describe the time series of an NWB file, each of which is a stream.

    Parameters
    ----------
    path : path
        The file. Series in ``acquisition`` and in processing modules are found; gaps in their
        timestamps separate pieces; the table ``trials`` (or ``epochs``) cuts them into trials. Sorted
        units are the stream ``spikes``.
    spike_samplerate : float, optional
        Hz of the samples of spikes, which are counted from the start of the session; if left out they
        are samples of the fastest series, cut into the same trials.
    outside : bool
        Whether links, external and virtual datasets may lead out of the folder of the file.
    """
    full = existing(path)
    notes = Notes(full)
    with hdf5.opened(full, check_bool(outside, "outside")) as file:
        if "nwb_version" not in file.attrs:
            raise InvalidValueError("NWB file (HDF5 with an attribute nwb_version)", "path", full)
        found = _series(file, full)
        streams = _streams(file, found, full, notes)
        table = hdf5.group_in(file, "units")
        units = table is not None and "spike_times" in table
    if not streams and not units:
        raise InvalidValueError("NWB file with a time series of samples x channels, or units", "path", full)
    fastest = max(streams, key=lambda stream: stream.samplerate, default=None)
    spikes = partial(_spikes, full, fastest, spike_samplerate, outside) if units else None
    return Recording(str(full), "NWB", streams, notes, spikes)


def check_schema(path: Any) -> None:
    """Refuse an NWB file in which pynwb finds something that the schema does not allow.

    Raises
    ------
    DamagedDataError
        The message has what pynwb says, the first few of it.
    MissingPackageError
        pynwb is not installed.
    """
    try:
        import pynwb
    except ImportError:
        raise required("pynwb", "validate=True") from None
    full = existing(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with pynwb.NWBHDF5IO(str(full), "r", load_namespaces=True) as io:
                problems = [str(problem) for problem in pynwb.validate(io=io)]
        except Exception as error:  # pynwb raises whatever comes up in files that do not fit
            raise damaged(full, f"pynwb cannot validate it: {error}") from error
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise damaged(full, f"it does not follow the schema of NWB: {'; '.join(problems[:3])}{more}")


def _streams(file: Any, found: dict[str, Any], path: Path, notes: Notes) -> list[Stream]:
    """Streams of the series that are sampled regularly; others are left out if there are any such."""
    streams, problems = [], []
    for name, group in found.items():
        try:
            streams.append(_stream(file, name, group, path, notes))
        except InvalidValueError as error:
            problems.append(error)
            notes.add(f"{name} is left out: {error}")
    if problems and not streams:
        raise problems[0]
    return streams


def _kind(node: Any) -> str:
    return hdf5.attribute_text(node.attrs.get("neurodata_type", ""))


def _series(file: Any, path: Path) -> dict[str, Any]:
    """Series with samples, by name; the path is the name where names repeat."""
    roots = (hdf5.group_in(file, root) for root in ("acquisition", "processing"))
    places = [root for root in roots if root is not None]
    found: list[Any] = []
    seen: set[int] = set()
    while places:
        group = places.pop(0)
        for key in group:
            node = group[key]
            if not hasattr(node, "keys") or hash(node.id) in seen:
                continue
            seen.add(hash(node.id))
            if "TTL" in key.upper() and "timestamps" in node:
                continue
            if _kind(node) in _SERIES and "data" in node and node["data"].dtype.kind in "iuf":
                found.append(node)
            elif _kind(node) not in ("DynamicTable", "Units", "TimeIntervals"):
                places.append(node)
    names = [node.name.rsplit("/", 1)[-1] for node in found]
    return {
        name if names.count(name) == 1 else node.name.strip("/"): node
        for name, node in zip(names, found, strict=True)
    }


def _stream(file: Any, name: str, group: Any, path: Path, notes: Notes) -> Stream:
    data = group["data"]
    if data.ndim > 2 or 0 in data.shape:
        raise damaged(path, f"{group.name}/data has shape {data.shape}")
    n, n_channels = (data.shape[0], data.shape[1] if data.ndim == 2 else 1)
    check_counts(path, channels=n_channels)
    source = (
        hdf5.dataset_source(file, data, path)
        if data.ndim == 2
        else DatasetsSource(str(Path(data.file.filename).resolve()), (data.name,), (n,), 1, data.dtype.str)
    )
    rate, begin, pieces = _clock(group, n, path, notes)
    names, info = _channels(file, group, n_channels, path, notes)
    conversion = float(data.attrs.get("conversion", 1.0))
    scale = np.full(n_channels, conversion)
    if "channel_conversion" in group and group["channel_conversion"].size == n_channels:
        scale = scale * group["channel_conversion"][()].ravel()
    bias = float(data.attrs.get("offset", 0.0))
    unit = hdf5.attribute_text(data.attrs.get("unit", ""))
    start = hdf5.texts(file["session_start_time"], path)[0] if "session_start_time" in file else ""
    return Stream(
        name=name,
        source=source,
        samplerate=rate,
        channel=names,
        unit=[unit] * n_channels,
        scale=scale.tolist(),
        bias=[bias] * n_channels,
        pieces=pieces,
        trialdefinition=_trials(file, n, rate, begin, pieces, path, notes),
        marks=_ttl(file, rate, begin, path),
        info={"start": start, "starting_time": begin, "series": group.name, **info},
    )


def _clock(group: Any, n: int, path: Path, notes: Notes) -> tuple[float, float, NDArray[np.float64] | None]:
    """Samplerate, time of the first sample, and pieces between gaps in the timestamps."""
    if "starting_time" in group:
        clock = group["starting_time"]
        rate = float(clock.attrs.get("rate", np.nan))
        if not 0 < rate < np.inf:
            raise damaged(path, f"{clock.name} states the rate {rate}")
        return rate, float(clock[()]), None
    if "timestamps" not in group:
        raise damaged(path, f"{group.name} has neither starting_time nor timestamps")
    stamps = group["timestamps"]
    if stamps.shape != (n,) or n < 2:
        raise damaged(path, f"{stamps.name} has shape {stamps.shape} for {n} samples")
    step = float(np.median(np.diff(stamps[: min(n, _CHUNK)])))
    if not step > 0:
        raise damaged(path, f"{stamps.name} do not ascend")
    gaps: list[int] = []
    for first in range(0, n - 1, _CHUNK):
        steps = np.diff(stamps[first : first + _CHUNK + 1])
        if not (steps > 0).all():
            raise damaged(path, f"{stamps.name} do not ascend")
        gaps += (first + 1 + np.flatnonzero(np.abs(steps - step) > 0.5 * step)).tolist()
        if len(gaps) > n // 10 + 10:
            raise InvalidValueError(
                "regularly sampled series", f"{path}: {stamps.name}", "irregular timestamps"
            )
    edges = [0, *gaps, n]
    longest = int(np.argmax(np.diff(edges)))
    low, high = edges[longest], edges[longest + 1] - 1
    rate = rounded_rate((high - low) / float(stamps[high] - stamps[low]))
    begin = float(stamps[0])
    if not gaps:
        return rate, begin, None
    notes.add(f"{len(gaps)} gaps in {stamps.name}")
    first_times = np.array([stamps[at] for at in edges[:-1]])
    return rate, begin, np.column_stack([edges[:-1], edges[1:], np.round((first_times - begin) * rate)])


def _channels(
    file: Any, group: Any, n_channels: int, path: Path, notes: Notes
) -> tuple[list[str], dict[str, Any]]:
    """Names and positions of the electrodes of a series."""
    width = len(str(n_channels))
    names = [f"channel{k:0{width}d}" for k in range(1, n_channels + 1)]
    table = hdf5.group_in(file, _ELECTRODES)
    if "electrodes" not in group or table is None:
        return names, {}
    check_counts(path, channels=group["electrodes"].size, electrodes=table["id"].size)
    rows = np.atleast_1d(group["electrodes"][()])
    ids = table["id"][()]
    if len(rows) != n_channels or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(ids):
        notes.add(f"{group.name}/electrodes does not fit the electrodes table; channels are numbered")
        return names, {}
    columns = {key: hdf5.texts(table[key], path) for key in table if table[key].dtype.kind in "OS"}
    chosen = next((columns[key] for key in _NAME_COLUMNS if key in columns), None)
    names = unique_names([chosen[row] if chosen else f"electrode{ids[row]}" for row in rows], notes)
    info: dict[str, Any] = {}
    if {"x", "y", "z"} <= set(table):
        places = np.column_stack([hdf5.column(table, axis, len(ids), path) for axis in "xyz"])[rows]
        known = np.isfinite(places).all(axis=1)
        positions = {n: p.tolist() for n, p, k in zip(names, places, known, strict=True) if k}
        info = {"positions": positions, "positions_unit": "as in NWB (µm)"} if positions else {}
    for key in ("location", "group_name"):
        if key in columns:
            info[key] = {name: columns[key][row] for name, row in zip(names, rows, strict=True)}
    return names, info


def _trials(
    file: Any, n: int, rate: float, begin: float, pieces: Any, path: Path, notes: Notes
) -> NDArray[np.float64] | None:
    tables = (hdf5.group_in(file, f"intervals/{key}") for key in ("trials", "epochs"))
    table = next((one for one in tables if one is not None), None)
    if table is None or "start_time" not in table or not 0 < table["start_time"].size < _MOST_TRIALS:
        return None
    n_trials = table["start_time"].size
    times = (hdf5.column(table, key, n_trials, path) for key in ("start_time", "stop_time"))
    starts, stops = (_sample(one, rate, begin, pieces) for one in times)
    shifts = hdf5.column(table, "offset", n_trials, path) if "offset" in table else np.zeros(n_trials)
    offsets = np.round(shifts * rate)
    extra = sorted((key for key in table if re.fullmatch(r"trialinfo\d+", key)), key=lambda key: int(key[9:]))
    columns = [hdf5.column(table, key, n_trials, path) for key in extra]
    inside = (starts >= 0) & (stops <= n) & (starts < stops)
    if pieces is not None:
        k = np.searchsorted(pieces[:, 0], starts, side="right") - 1
        inside &= stops <= pieces[np.maximum(k, 0), 1]
    if not inside.all():
        notes.add(f"{int((~inside).sum())} of {len(inside)} trials are not within the samples and left out")
    if not inside.any():
        return None
    return np.column_stack([starts, stops, offsets, *columns])[inside].astype(np.float64)


def _sample(times: Any, rate: float, begin: float, pieces: Any) -> NDArray[np.float64]:
    """Samples of times in seconds."""
    since = np.round((np.asarray(times, np.float64) - begin) * rate)
    if pieces is None:
        return since
    k = np.maximum(np.searchsorted(pieces[:, 2], since, side="right") - 1, 0)
    found: NDArray[np.float64] = pieces[k, 0] + since - pieces[k, 2]
    return found


def _spikes(path: Path, stream: Stream | None, wanted: float | None, outside: bool) -> SpikeData | None:
    """Spikes of the table of units, in samples of a series."""
    own = stream is None or wanted is not None
    rate = wanted or (30_000.0 if stream is None else stream.samplerate)
    with hdf5.opened(path, outside) as file:
        table = file["units"]
        times, ends, ids = (table[key] for key in ("spike_times", "spike_times_index", "id"))
        check_counts(path, units=max(ends.size, ids.size))
        stops = ends[()].astype(np.int64)
        if len(stops) != ids.size or (np.diff(stops, prepend=0) < 0).any() or (stops > times.size).any():
            raise damaged(path, "units/spike_times_index does not fit units/spike_times")
        named = "unit_name" in table
        names = hdf5.texts(table["unit_name"], path) if named else [f"unit{k}" for k in ids[()]]
        every = times[: max(stops, default=0)]
    begin, pieces = (0.0, None) if own or stream is None else (stream.info["starting_time"], stream.pieces)
    samples = _sample(every, rate, begin, pieces)
    last = np.inf if own or stream is None else stream.source.shape[0]
    starts = np.concatenate([[0], stops[:-1]])
    trains = [np.unique(samples[a:b]) for a, b in zip(starts, stops, strict=True)]
    trains = [train[(train >= 0) & (train < last)] for train in trains]
    if not sum(map(len, trains)):
        return None
    unique = unique_names(names, Notes(path))
    made = spikes_from_times(dict(zip(unique, trains, strict=True)), rate, time_unit="samples")
    if not own and stream is not None and stream.trialdefinition is not None:
        made.trialdefinition = stream.trialdefinition
    return made


def _ttl(file: Any, rate: float, begin: float, path: Path) -> list[Mark]:
    """Events of series of TTL codes (timestamps and whole numbers) in acquisition."""
    marks = []
    acquired = hdf5.group_in(file, "acquisition")
    for key in () if acquired is None else acquired:
        group = hdf5.group_in(acquired, key) if "TTL" in key.upper() else None
        if group is None or "timestamps" not in group or "data" not in group:
            continue
        codes, stamps = group["data"], group["timestamps"]
        if codes.shape == stamps.shape and codes.dtype.kind in "iu" and codes.size <= hdf5.MOST_TEXTS:
            samples = _sample(stamps[()], rate, begin, None)
            marks += [Mark(int(s), "", 0, int(c)) for s, c in zip(samples, codes[()], strict=True)]
    return marks
