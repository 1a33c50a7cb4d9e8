"""Objects of Neo, spikeinterface and pynapple."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.data.analog import AnalogData
from rayspy.data.event import EventData
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers.recording import required
from rayspy.io.readers.units import conversion
from rayspy.io.writers import whole


def _checked(data: Any, kinds: tuple[type, ...], names: str) -> float:
    if not any(isinstance(data, kind) for kind in kinds):
        raise InvalidTypeError(data, "data", f"{names};")
    if data.data is None or data.samplerate is None:
        raise InvalidValueError("non-empty object with a samplerate", "data", f"empty {type(data).__name__}")
    needed = 16.0 * float(np.prod(data.source.shape))
    whole.check_memory(needed, "the object", "select a part of the data")
    return float(data.samplerate)


def _trains(data: SpikeData, k: int) -> dict[str, Any]:
    """Samples of the spikes of a trial by the names of units."""
    rows = data.trials[k]  # type: ignore[index]
    column, sample = data.dimord.index("unit"), data.dimord.index("sample")
    codes = zip(data.codes("unit"), data.unit, strict=True)  # type: ignore[arg-type]
    return {str(name): rows[rows[:, column] == code, sample] for code, name in codes}


def to_neo(data: AnalogData | SpikeData | EventData) -> Any:
    """Make a `neo.Block` with a segment per trial.

    Parameters
    ----------
    data : AnalogData, SpikeData or EventData
        Is not changed; an active selection does not count. Times of a segment are those of the trial;
        channels of different units are signals of their own.

    Returns
    -------
    neo.Block

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, MissingPackageError
        Another object, one without samplerate, one that would not fit into memory, or no Neo.
    """
    rate = _checked(data, (AnalogData, SpikeData, EventData), "AnalogData, SpikeData or EventData")
    try:
        import neo
        import quantities as pq
    except ImportError:
        raise required("neo", "to_neo") from None
    block = neo.Block(name=type(data).__name__)
    for k, row in enumerate(data.describe().trialdefinition):
        segment = neo.Segment(index=k, trialinfo=[float(x) for x in row[3:]])
        start, stop = row[2] / rate * pq.s, (row[2] + row[1] - row[0]) / rate * pq.s
        if isinstance(data, AnalogData):
            segment.analogsignals.extend(_signals(neo, data, k, rate * pq.Hz, start))
        elif isinstance(data, SpikeData):
            for name, samples in _trains(data, k).items():
                times = (samples - row[0] + row[2]) / rate * pq.s
                segment.spiketrains.append(neo.SpikeTrain(times, t_start=start, t_stop=stop, name=name))
        else:
            rows = data.trials[k]  # type: ignore[index]
            times = (rows[:, data.dimord.index("sample")] - row[0] + row[2]) / rate * pq.s
            labels = rows[:, data.dimord.index("eventid")].astype(str)
            segment.events.append(neo.Event(times, labels=labels))
        block.segments.append(segment)
    return block


def _signals(neo: Any, data: AnalogData, k: int, rate: Any, start: Any) -> list[Any]:
    array = data.trials[k] if data.dimord[0] == "time" else data.trials[k].T  # type: ignore[index]
    names = np.asarray(data.describe().labels["channel"])
    units = np.broadcast_to("" if data.unit is None else data.unit, len(names)).astype(str)
    found = []
    for unit in dict.fromkeys(units.tolist()):
        mine = units == unit
        word = unit.replace("µ", "u") if unit and conversion(unit, unit) and unit.isprintable() else ""
        found.append(
            neo.AnalogSignal(
                array[:, mine],
                units=word if word else "dimensionless",
                sampling_rate=rate,
                t_start=start,
                array_annotations={"channel_names": names[mine]},
            )
        )
    return found


def to_pynapple(data: AnalogData | SpikeData) -> Any:
    """Make a `pynapple.TsdFrame` of AnalogData, a `TsGroup` of SpikeData.

    Parameters
    ----------
    data : AnalogData or SpikeData
        Is not changed; an active selection does not count. Times count from the first sample of the
        recording; trials are the epochs of the time support. Units have the metadata ``unit``.

    Returns
    -------
    pynapple.TsdFrame or pynapple.TsGroup

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, MissingPackageError
        Another object, one without samplerate, one that would not fit into memory, or no pynapple.
    """
    rate = _checked(data, (AnalogData, SpikeData), "AnalogData or SpikeData")
    try:
        import pynapple as nap
    except ImportError:
        raise required("pynapple", "to_pynapple") from None
    trl = data.describe().trialdefinition
    ends = (trl[:, 1] - 1) / rate if isinstance(data, AnalogData) else (trl[:, 1] - 0.5) / rate
    support = nap.IntervalSet(trl[:, 0] / rate, ends)
    if isinstance(data, AnalogData):
        array = data.data[:] if data.dimord[0] == "time" else data.data[:].T  # type: ignore[index]
        names = [str(name) for name in data.describe().labels["channel"]]
        times = np.arange(len(array)) / rate
        return nap.TsdFrame(t=times, d=array, columns=names, time_support=support)
    rows = data.data[:]  # type: ignore[index]
    column, sample = data.dimord.index("unit"), data.dimord.index("sample")
    trains = {int(c): rows[rows[:, column] == c, sample] / rate for c in data.codes("unit")}
    group = {code: nap.Ts(one, time_support=support) for code, one in trains.items()}
    return nap.TsGroup(group, time_support=support, metadata={"unit": np.asarray(data.unit, dtype=object)})


def to_spikeinterface(data: AnalogData | SpikeData) -> Any:
    """Make a recording of spikeinterface of AnalogData, a sorting of SpikeData; trials are segments.

    Parameters
    ----------
    data : AnalogData or SpikeData
        Is not changed; an active selection does not count.

    Returns
    -------
    spikeinterface.NumpyRecording or NumpySorting

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, MissingPackageError
        Another object, one without samplerate, one that would not fit into memory, or no spikeinterface.
    """
    rate = _checked(data, (AnalogData, SpikeData), "AnalogData or SpikeData")
    try:
        from spikeinterface.core import NumpyRecording, NumpySorting
    except ImportError:
        raise required("spikeinterface", "to_spikeinterface") from None
    if isinstance(data, AnalogData):
        turn = data.dimord[0] != "time"
        traces = [np.ascontiguousarray(t.T if turn else t) for t in data.trials]  # type: ignore[union-attr]
        names = [str(name) for name in data.describe().labels["channel"]]
        made = NumpyRecording(traces, sampling_frequency=rate, channel_ids=names)
        factors = _to_microvolts(data, len(names))
        if factors is not None:
            made.set_channel_gains(factors)
            made.set_channel_offsets(np.zeros(len(names)))
        return made
    trl = data.describe().trialdefinition
    segments = []
    for k, start in enumerate(trl[:, 0].astype(int)):
        segments.append({name: samples - start for name, samples in _trains(data, k).items()})
    return NumpySorting.from_unit_dict(segments, sampling_frequency=rate)


def _to_microvolts(data: AnalogData, n: int) -> Any:
    units = np.broadcast_to("" if data.unit is None else data.unit, n)
    found = [conversion(str(unit), "µV") if unit else None for unit in units]
    return None if any(factor is None for factor in found) else np.array(found, np.float64)
