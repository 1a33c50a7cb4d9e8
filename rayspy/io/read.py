"""`read`: any recording in."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rayspy.checks import check_choice, check_names, check_path, check_scalar, check_text
from rayspy.data.analog import AnalogData
from rayspy.data.classes import BY_EXTENSION
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError, PathError, RayspyError
from rayspy.io.container import load
from rayspy.io.readers import bids
from rayspy.io.readers.brainvision import open_brainvision
from rayspy.io.readers.detect import detect
from rayspy.io.readers.edf import open_edf
from rayspy.io.readers.eeglab import open_eeglab
from rayspy.io.readers.fieldtrip import open_fieldtrip
from rayspy.io.readers.hdf5 import open_hdf5_recording, open_npy
from rayspy.io.readers.mne_reader import open_mne
from rayspy.io.readers.neo_reader import open_neo
from rayspy.io.readers.nwb import open_nwb
from rayspy.io.readers.objects import of_object
from rayspy.io.readers.rawfile import open_raw
from rayspy.io.readers.recording import Recording, Stream, arranged, damaged, in_unit, to_data
from rayspy.io.readers.tdt import open_tdt
from rayspy.progress import message

_UNREADABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, SystemError, TypeError,
    ValueError,
)  # fmt: skip
"""What readers raise for files whose parts do not fit each other."""
_MOST_TOLD = 500
"""Of what a library says."""
READERS: dict[str, Callable[..., Recording]] = {
    "raw": open_raw,
    "npy": open_npy,
    "hdf5": open_hdf5_recording,
    "brainvision": open_brainvision,
    "edf": open_edf,
    "eeglab": open_eeglab,
    "fieldtrip": open_fieldtrip,
    "nwb": open_nwb,
    "tdt": open_tdt,
    "mne": open_mne,
    "neo": open_neo,
}


def read(
    path: Any,
    *,
    format: str | None = None,
    stream: str | None = None,
    unit: str | None = None,
    gaps: str = "trials",
    bad: str = "keep",
    **options: Any,
) -> Any:
    """Open a recording of any program; samples are read from its files when they are needed.

    Parameters
    ----------
    path : path, list of paths, or object
        File or folder; for BIDS the folder of a subject with ``session=, task=, run=``. Objects of MNE
        (Raw, Epochs), Neo (Block, Segment), spikeinterface, xarray, pandas and pynapple are taken over.
        Several files are put one behind the other: each becomes a trial, or several where it has
        trials of its own.
    format : str, optional
        What it is, if that is not to be found out: one of ``spy.read_formats()``.
    stream : str, optional
        Which of several streams (samplerates, series, structures) to take.
    unit : str, optional
        Convert channels that measure the same thing to this unit, e.g. ``"V"``; without it they
        have the units of the file. The result's ``unit`` tells them.
    gaps : {'trials', 'nan'}
        Where the recording paused, its pieces become trials, or what is missing becomes NaN.
    bad : {'keep', 'trials', 'nan'}
        Stretches annotated ``BAD ...`` stay as they are (and are among the events), are left out
        between trials, or become NaN.
    **options
        For the format: ``dtype, channels, samplerate, order, offset, scale, bias, unit,
        channel`` of raw binary files; ``dataset, samplerate, channel`` of HDF5 and ``.npy``
        files; ``include_fields`` of FieldTrip files; ``outside=True`` lets BrainVision, EEGLAB, NWB and
        HDF5 files name files in other folders than their own. `spy.read_formats` has them all.

    Returns
    -------
    AnalogData or dict of AnalogData
        A dictionary by names of streams where there are several. ``events`` has the events, with
        the codes of their names in ``events.info["names"]``, ``info`` what else the file says
        (``channel_types``, ``positions``, ``bad_channels``, ``start`` ...) and in ``notes`` what
        was put right.

    Raises
    ------
    PathError
        There is no such file.
    InvalidValueError
        The format is not known, or an option is missing or does not fit.
    DamagedDataError
        The file cannot be what it seems to be.
    MissingPackageError
        A library that reads the format is not installed; the message says how to get it.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.read("recording.edf", unit="V")  # doctest: +SKIP
    """
    for name, value in (("format", format), ("stream", stream), ("unit", unit)):
        check_text(value, name)
    if options.get("channel") is not None:
        check_names(options["channel"], "channel")
    if options.get("samplerate") is not None:
        check_scalar(options["samplerate"], "samplerate")
    check_choice(gaps, "gaps", ("trials", "nan"))
    check_choice(bad, "bad", ("keep", "trials", "nan"))
    if isinstance(path, (list, tuple)):
        each = [
            read(one, format=format, stream=stream, unit=unit, gaps=gaps, bad=bad, **options) for one in path
        ]
        return _joined(path, each)
    if isinstance(path, (str, os.PathLike)):
        full = check_path(path, "path")
        if format is None and full.suffix in (".spy", *BY_EXTENSION) and full.exists():
            return load(full, **options)
        recording = open_recording(path, format, **_with_unit(unit, format, options))
    else:
        recording = of_object(path, **options)
    found: dict[str, AnalogData | SpikeData] = {}
    for one in _picked(recording, stream):
        ready = arranged(in_unit(one, unit if one.unit is not None else None), gaps, bad)
        found[one.name] = to_data(ready, recording)
        _tell(recording, ready)
    if recording.spikes is not None and stream in (None, "spikes"):
        spikes = _spikes_of(recording)
        if spikes is not None:
            found["spikes"] = spikes
    return next(iter(found.values())) if len(found) == 1 else found


def open_recording(path: Any, format: str | None = None, **options: Any) -> Recording:
    """Describe what a file or folder holds."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidTypeError(path, "path", "name of a file or folder, or a list of them;")
    full = check_path(path, "path")
    if not full.exists():
        raise PathError(full.absolute(), exists=False)
    wanted = {name: value for name, value in options.items() if bids.is_entity(name)}
    if full.is_dir() and format is None and (full.name.startswith(("sub-", "ses-")) or wanted):
        full = bids.find(full.resolve(), wanted) or full
        options = {name: value for name, value in options.items() if name not in wanted}
    if bids.is_bids(full):
        return bids.with_sidecars(_opened(full, format, options), full.resolve())
    return _opened(full, format, options)


def _opened(full: Path, format: str | None, options: dict[str, Any]) -> Recording:
    kind = detect(full.resolve(), options) if format is None else format
    check_choice(kind, "format", tuple(READERS))
    reader = READERS[kind]
    _check_options(kind, reader, options)
    # libraries raise whatever comes up
    unreadable: tuple[type[Exception], ...] = (Exception,) if kind in ("mne", "neo") else _UNREADABLE
    try:
        return reader(full, **options)
    except RayspyError:
        raise
    except unreadable as error:
        text = " ".join(str(error)[:_MOST_TOLD].split())
        raise damaged(full, f"it cannot be read as {kind} ({type(error).__name__}: {text})") from error


def _spikes_of(recording: Recording) -> SpikeData | None:
    try:
        return recording.spikes() if recording.spikes is not None else None
    except RayspyError:
        raise
    except Exception as error:  # a library's
        problem = f"its spikes cannot be read ({type(error).__name__}: {error})"
        raise damaged(recording.path, problem) from error


def read_formats() -> dict[str, list[str]]:
    """Names of the formats that `read` knows, with the options of each."""
    return {kind: _options_of(reader) for kind, reader in READERS.items()}


def _options_of(reader: Callable[..., Recording]) -> list[str]:
    return [name for name in inspect.signature(reader).parameters if name != "path"]


def _check_options(kind: str, reader: Callable[..., Recording], options: dict[str, Any]) -> None:
    known = _options_of(reader)
    for name in options:
        if name not in known and "options" not in known:
            legal = f"one of {', '.join(known)}" if known else "no further options"
            raise InvalidValueError(f"{legal} (format {kind!r})", "options", name)


def _with_unit(unit: str | None, format: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Files that state no unit have the one that is given."""
    states_none = format in ("raw", "npy", "hdf5") or (
        format is None and {"dtype", "samplerate"} & set(options)
    )
    return {**options, "unit": unit} if states_none and unit is not None else options


def _picked(recording: Recording, name: str | None) -> Sequence[Stream]:
    if name is None:
        return recording.streams
    found = [stream for stream in recording.streams if stream.name == name]
    if not found and not (name == "spikes" and recording.spikes is not None):
        names = ", ".join(repr(stream.name) for stream in recording.streams)
        raise InvalidValueError(f"one of {names}", "stream", name)
    return found


def _tell(recording: Recording, stream: Stream) -> None:
    n, n_channels = stream.source.shape
    n_events = f", {len(stream.marks)} events" if stream.more_marks is None else ""
    text = f"{n_channels} channels, {stream.samplerate:g} Hz, {n / stream.samplerate:g} s{n_events}"
    name = f" ({stream.name})" if len(recording.streams) > 1 else ""
    message("read", f"{recording.format}{name}: {text}")


def _joined(paths: Sequence[Any], each: list[Any]) -> AnalogData:
    """Recordings one behind the other."""
    if not each:
        raise InvalidValueError("at least one file", "path", "empty list")
    for one, path in zip(each, paths, strict=True):
        if not isinstance(one, AnalogData):
            raise InvalidValueError("files with one stream each, or stream=", "path", f"{path} with several")
    data = AnalogData(each)
    data.unit = each[0].unit
    data.info.update({"files": [str(one.info["file"]) for one in each]})
    events = [one.events for one in each]
    if any(one is not None for one in events):
        data.events = _joined_events(each, events)
    return data


def _joined_events(each: list[AnalogData], events: list[Any]) -> Any:
    from rayspy.data.event import EventData

    shifts = np.cumsum([0] + [one.source.shape[0] for one in each])
    names: dict[str, int] = {}
    rows = []
    for shift, one in zip(shifts, events, strict=False):
        if one is None:
            continue
        if any(names.get(label, code) != code for label, code in one.info["names"].items()):
            raise InvalidValueError("files whose events have the same codes; read them one by one", "path")
        names |= one.info["names"]
        rows.append(one.data[:] + np.array([shift, 0, 0]))
    joined = EventData(
        np.concatenate(rows), None, None, each[0].samplerate, ["sample", "eventid", "duration"]
    )
    joined.trialdefinition = np.array([[0.0, shifts[-1], 0.0]])
    joined.info.update({"names": names})
    return joined
