"""Recordings that other libraries hold in memory."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from rayspy.data.builder import from_array
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers import mne_reader
from rayspy.io.readers.recording import Mark, Recording, Stream, one_piece, rounded_rate
from rayspy.io.spikes import spikes_from_times
from rayspy.storage.sources import ConcatSource

_EXPECTED = (
    "file name, mne.io.Raw, mne.Epochs, neo.Block or Segment, spikeinterface recording or sorting, "
    "xarray.DataArray, pandas.DataFrame, pynapple.TsdFrame or TsGroup;"
)


def _is(thing: Any, module: str, *names: str) -> bool:
    """Whether something is of a class of a library; without the library loaded it cannot be one."""
    if module not in sys.modules:
        return False
    return any(
        base.__name__ in names and base.__module__.split(".")[0] == module for base in type(thing).__mro__
    )


def of_object(thing: Any, samplerate: float | None = None) -> Recording:
    """Describe an object.

    Parameters
    ----------
    thing : object
        What is to be taken over. Samples in memory are copied, those that are not stay where they are.
    samplerate : float, optional
        Hz, where the object does not tell it.
    """
    if _is(thing, "mne", "BaseRaw", "BaseEpochs"):
        return mne_reader.of_object(thing)
    if _is(thing, "neo", "Block", "Segment"):
        return _neo(thing)
    if _is(thing, "spikeinterface", "BaseRecording"):
        return _recording(thing)
    if _is(thing, "spikeinterface", "BaseSorting"):
        return Recording("spikeinterface", "spikeinterface sorting", [], (), lambda: _sorting(thing))
    if _is(thing, "xarray", "DataArray"):
        return _xarray(thing, samplerate)
    if _is(thing, "pandas", "DataFrame"):
        return _pandas(thing, samplerate)
    if _is(thing, "pynapple", "TsdFrame", "Tsd"):
        return _tsd(thing)
    if _is(thing, "pynapple", "TsGroup"):
        return Recording("pynapple", "pynapple TsGroup", [], (), lambda: _tsgroup(thing, samplerate))
    raise InvalidTypeError(thing, "path", _EXPECTED)


def _rate_of(times: Any, samplerate: float | None, what: str) -> tuple[float, Any]:
    """Samplerate and pieces of ascending times in seconds."""
    seconds = np.asarray(times, np.float64)
    if len(seconds) < 2 or not (np.diff(seconds) > 0).all():
        if samplerate is None:
            raise InvalidValueError("ascending times in seconds, or samplerate=", what, "other times")
        return samplerate, None
    steps = np.diff(seconds)
    step = float(np.median(steps)) if samplerate is None else 1 / samplerate
    gaps = np.flatnonzero(np.abs(steps - step) > 0.5 * step) + 1
    if len(gaps) > len(seconds) // 10 + 10:
        raise InvalidValueError("regularly sampled times", what, "irregular times")
    edges = np.array([0, *gaps, len(seconds)])
    longest = int(np.argmax(np.diff(edges)))
    low, high = edges[longest], edges[longest + 1] - 1
    rate = samplerate or rounded_rate((high - low) / (seconds[high] - seconds[low]))
    first = np.round(seconds[edges[:-1]] * rate)
    return rate, np.column_stack([edges[:-1], edges[1:], first])


def _texts(values: Any) -> list[str]:
    return [str(value) for value in values]


def _xarray(array: Any, samplerate: float | None) -> Recording:
    """`time` x other dimension, coordinates in seconds; attributes `unit(s)` and `samplerate`."""
    if array.ndim != 2 or "time" not in array.dims:
        raise InvalidValueError("DataArray of time x channel", "path", f"dimensions {array.dims}")
    other = next(dim for dim in array.dims if dim != "time")
    turned = array.transpose("time", other)
    rate = samplerate or array.attrs.get("samplerate") or array.attrs.get("sampling_rate")
    pieces = None
    if "time" in array.coords:
        rate, pieces = _rate_of(turned["time"].values, rate, "time")
    if rate is None:
        raise InvalidValueError("samplerate= or a coordinate `time`", "samplerate", None)
    n = turned.shape[1]
    names = _texts(turned[other].values) if other in array.coords else [f"channel{k + 1}" for k in range(n)]
    unit = str(array.attrs.get("units", array.attrs.get("unit", "")))
    source = from_array(np.asarray(turned.values), 2, 0)
    units = [unit] * n if unit else None
    stream = Stream(str(array.name or "xarray"), source, float(rate), names, units, pieces=pieces)
    return Recording("xarray", "xarray", [stream])


def _pandas(table: Any, samplerate: float | None) -> Recording:
    """One column per channel; the index in seconds."""
    import pandas as pd

    index = table.index
    if isinstance(index, (pd.TimedeltaIndex, pd.DatetimeIndex)):
        index = (index - index[0]).total_seconds()
    known = samplerate is None or index.dtype.kind == "f"
    rate, pieces = _rate_of(index, samplerate, "index") if known else (float(samplerate or 0), None)
    source = from_array(table.to_numpy(), 2, 0)
    stream = Stream("pandas", source, rate, _texts(table.columns), pieces=pieces)
    return Recording("pandas", "pandas", [stream])


def _tsd(frame: Any) -> Recording:
    rate, pieces = _rate_of(frame.times(), None, "times")
    values = np.asarray(frame.values)
    names = _texts(frame.columns) if values.ndim == 2 else ["channel1"]
    source = from_array(values.reshape(len(values), -1), 2, 0)
    return Recording("pynapple", "pynapple", [Stream("pynapple", source, rate, names, pieces=pieces)])


def _tsgroup(group: Any, samplerate: float | None) -> SpikeData:
    rate = samplerate or 30_000.0
    return spikes_from_times({str(key): np.asarray(group[key].times()) for key in group.keys()}, rate)  # noqa: SIM118


def _recording(recording: Any) -> Recording:
    """Recording of spikeinterface; its traces are copied in pieces."""
    from rayspy.data.builder import from_trials

    n = recording.get_num_segments()
    lengths = [recording.get_num_samples(k) for k in range(n)]

    def blocks() -> Any:
        for k, length in enumerate(lengths):
            for first in range(0, length, 2**17):
                stop = min(first + 2**17, length)
                yield recording.get_traces(segment_index=k, start_frame=first, end_frame=stop)

    source, _ = from_trials(blocks(), 2, 0, equal=False)
    edges = np.cumsum([0, *lengths]).astype(np.float64)
    pieces = np.column_stack([edges[:-1], edges[1:], np.r_[0.0, np.full(n - 1, np.nan)]])
    names = _texts(recording.get_channel_ids())
    gains, offsets = recording.get_channel_gains(), recording.get_channel_offsets()
    known = gains is not None and offsets is not None
    stream = Stream(
        name="recording",
        source=source,
        samplerate=float(recording.get_sampling_frequency()),
        channel=names,
        unit=["µV"] * len(names) if known else None,
        scale=[float(g) for g in gains] if known else None,
        bias=[float(o) for o in offsets] if known else None,
        pieces=pieces if n > 1 else None,
    )
    return Recording("spikeinterface", "spikeinterface recording", [stream])


def _sorting(sorting: Any) -> SpikeData | None:
    if sorting.get_num_segments() != 1:
        raise InvalidValueError("sorting of one segment", "path", f"{sorting.get_num_segments()} segments")
    trains = {str(unit): np.unique(sorting.get_unit_spike_train(unit)) for unit in sorting.get_unit_ids()}
    return spikes_from_times(trains, float(sorting.get_sampling_frequency()), time_unit="samples")


def _neo(holder: Any) -> Recording:
    """Signals of a block or segment: those of the same place in every segment are one stream."""
    segments = getattr(holder, "segments", None) or [holder]
    counts = {len(segment.analogsignals) for segment in segments}
    if len(counts) > 1:
        raise InvalidValueError("segments with the same signals", "path", f"{counts} signals")
    streams = [_neo_stream(segments, k) for k in range(counts.pop())]
    trains = [train for segment in segments[:1] for train in segment.spiketrains]
    rate = max((stream.samplerate for stream in streams), default=30_000.0)
    spikes = (lambda: _trains(trains, rate)) if trains else None
    return Recording("neo", "Neo", streams, (), spikes)


def _neo_stream(segments: list[Any], k: int) -> Stream:
    signals = [segment.analogsignals[k] for segment in segments]
    first = signals[0]
    rate = float(first.sampling_rate.rescale("Hz"))
    sources = [from_array(np.asarray(signal.magnitude), 2, 0) for signal in signals]
    edges = np.cumsum([0, *(source.shape[0] for source in sources)])
    starts = [float(signal.t_start.rescale("s")) for signal in signals]
    since = np.round((np.array(starts) - starts[0]) * rate)
    apart = (np.diff(since) >= np.diff(edges)[:-1]).all()
    pieces = np.column_stack([edges[:-1], edges[1:], since if apart else since * np.nan])
    names = first.array_annotations.get("channel_names")
    names = _texts(names) if names is not None else [f"channel{c + 1}" for c in range(first.shape[1])]
    marks = [
        Mark(round((float(time.rescale("s")) - start) * rate) + int(edge), str(label))
        for segment, start, edge in zip(segments, starts, edges, strict=False)
        for event in segment.events
        for time, label in zip(event.times, event.labels, strict=True)
    ]
    return Stream(
        name=str(first.name or f"signal{k}"),
        source=sources[0] if len(sources) == 1 else ConcatSource(tuple(sources)),
        samplerate=rate,
        channel=names,
        unit=[first.units.dimensionality.string] * len(names),
        pieces=pieces if len(signals) > 1 else one_piece(sources[0].shape[0]),
        marks=marks,
    )


def _trains(trains: list[Any], rate: float) -> SpikeData | None:
    samples = {
        str(train.name or f"unit{k + 1}"): np.unique(
            np.round((train.times - train.t_start).rescale("s").magnitude * rate)
        )
        for k, train in enumerate(trains)
    }
    return spikes_from_times(samples, rate, time_unit="samples") if any(map(len, samples.values())) else None
