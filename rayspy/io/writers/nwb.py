"""NWB files, written through pynwb piece by piece."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers.recording import required
from rayspy.io.readers.units import conversion
from rayspy.io.writers import whole
from rayspy.progress import warn
from rayspy.storage.sources import read_all

_PIECE_BYTES = 2**24


def to_nwb(
    data: AnalogData | SpikeData,
    path: Any,
    description: str = "recording",
    session_start_time: datetime.datetime | None = None,
    overwrite: bool = False,
) -> None:
    """Write AnalogData or SpikeData to an NWB file.

    Parameters
    ----------
    data : AnalogData or SpikeData
        Is not changed; an active selection does not count. AnalogData become the ElectricalSeries
        ``ElectricalSeries`` in ``acquisition`` with an electrode per channel, spikes the table of units;
        trials become the table ``trials``, with offsets in seconds in its column ``offset``; events the
        series ``TTL``.
    path : path
        The file; ``.nwb`` is appended where it is missing.
    description : str
        Description of the session.
    session_start_time : datetime, optional
        With a time zone; that of ``info["start"]``, or 1970, if left out.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not such an object, or channels that do not measure voltages.
    MissingPackageError
        pynwb is not installed.
    """
    if not isinstance(data, (AnalogData, SpikeData)):
        raise InvalidTypeError(data, "data", "AnalogData or SpikeData;")
    if data.data is None or data.samplerate is None:
        raise InvalidValueError("non-empty object with a samplerate", "data", f"empty {type(data).__name__}")
    check_bool(overwrite, "overwrite")
    if not isinstance(description, str) or "\0" in description:
        raise InvalidTypeError(description, "description", "text without NUL;")
    if not isinstance(session_start_time, (datetime.datetime, type(None))):
        raise InvalidTypeError(session_start_time, "session_start_time", "datetime;")
    try:
        import pynwb
    except ImportError:
        raise required("pynwb", "to_nwb") from None
    final = whole.target(path, ".nwb", overwrite)
    start = session_start_time or _start(data)
    nwb = pynwb.NWBFile(session_description=description, identifier=final.stem, session_start_time=start)
    with whole.telling("to_nwb", whole.bytes_of(data.source)) as seen:
        if isinstance(data, AnalogData):
            _add_series(pynwb, nwb, data, seen)
        else:
            _add_units(nwb, data)
        _add_trials(nwb, data)
        with whole.building(final) as (wip,), pynwb.NWBHDF5IO(str(wip), "w") as io:
            io.write(nwb)


def _start(data: Any) -> datetime.datetime:
    try:
        found = datetime.datetime.fromisoformat(str(data.info.get("start", "")))
    except ValueError:
        found = datetime.datetime.fromtimestamp(0, datetime.UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)


def _factors(data: AnalogData, n: int) -> np.ndarray[Any, Any]:
    units = np.broadcast_to("V" if data.unit is None else data.unit, n)
    if data.unit is None:
        warn("to_nwb", "the unit of the data is not known; V is taken")
    found = [conversion(str(unit), "V") for unit in units]
    for unit, factor in zip(units, found, strict=True):
        if factor is None:
            raise InvalidValueError("channels that measure voltages (select them)", "data", f"unit {unit}")
    return np.array(found, np.float64)


def _add_series(pynwb: Any, nwb: Any, data: AnalogData, seen: whole.Seen) -> None:
    names = [str(name) for name in data.describe().labels["channel"]]
    factors = _factors(data, len(names))
    device = nwb.create_device(name="device")
    group = nwb.create_electrode_group(name="group", description="all", location="unknown", device=device)
    nwb.add_electrode_column(name="label", description="name of the channel")
    for name in names:
        nwb.add_electrode(location=name, group=group, label=name)
    region = nwb.create_electrode_table_region(region=list(range(len(names))), description="all")
    same = bool((factors == factors[0]).all())
    scale = {"conversion": float(factors[0])} if same else {"conversion": 1.0, "channel_conversion": factors}
    nwb.add_acquisition(
        pynwb.ecephys.ElectricalSeries(
            name="ElectricalSeries",
            data=_iterator(data, seen),
            electrodes=region,
            rate=float(data.samplerate or 1),
            starting_time=0.0,
            **scale,
        )
    )
    events = data.events
    if events is not None and events.data is not None:
        rows = events.data[:]
        nwb.add_acquisition(
            pynwb.TimeSeries(
                name="TTL",
                data=rows[:, events.dimord.index("eventid")],
                timestamps=rows[:, events.dimord.index("sample")] / float(data.samplerate or 1),
                unit="n/a",
            )
        )
        if events.info.get("names"):
            warn("to_nwb", "codes of events were written, their names were not")


def _iterator(data: AnalogData, seen: whole.Seen) -> Any:
    """What pynwb writes piece by piece."""
    from hdmf.data_utils import GenericDataChunkIterator

    axis = data.dimord.index("time")
    shape = data.source.shape if axis == 0 else data.source.shape[::-1]

    class Pieces(GenericDataChunkIterator):  # type: ignore[misc]
        def _get_data(self, selection: tuple[slice, ...]) -> Any:
            region = tuple(slice(*s.indices(n)[:2]) for s, n in zip(selection, shape, strict=True))
            with data.source.reader() as read:
                array = seen(read(region if axis == 0 else region[::-1]))
            return array if axis == 0 else array.T

        def _get_maxshape(self) -> tuple[int, ...]:
            return tuple(shape)

        def _get_dtype(self) -> Any:
            return data.source.dtype

    rows = max(1, min(shape[0], _PIECE_BYTES // max(1, shape[1] * data.source.dtype.itemsize)))
    chunk = (min(rows, 2**14), min(shape[1], 64))
    rows = rows // chunk[0] * chunk[0]
    return Pieces(buffer_shape=(rows, shape[1]), chunk_shape=chunk)


def _add_units(nwb: Any, data: SpikeData) -> None:
    rows = read_all(data.source)
    column = rows[:, data.dimord.index("unit")]
    seconds = rows[:, data.dimord.index("sample")] / float(data.samplerate or 1)
    nwb.add_unit_column(name="unit_name", description="name of the unit")
    for code, name in zip(data.codes("unit"), data.unit, strict=True):  # type: ignore[arg-type]
        nwb.add_unit(spike_times=seconds[column == code], unit_name=str(name), id=int(code))


def _add_trials(nwb: Any, data: Any) -> None:
    trl, rate = data.describe().trialdefinition, float(data.samplerate or 1)
    nwb.add_trial_column(name="offset", description="time of the first sample relative to the trigger in s")
    extra = trl.shape[1] - 3
    for k in range(extra):
        nwb.add_trial_column(name=f"trialinfo{k}", description="further column of the trial definition")
    for row in trl:
        more = {f"trialinfo{k}": float(row[3 + k]) for k in range(extra)}
        nwb.add_trial(start_time=row[0] / rate, stop_time=row[1] / rate, offset=row[2] / rate, **more)
