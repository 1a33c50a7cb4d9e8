"""Syncopy's names for reading other programs' files: thin doors to `read`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rayspy.checks import check_bool, check_choice, check_integer, check_path
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.read import open_recording, read
from rayspy.io.readers import nwb, tdt
from rayspy.io.readers.fieldtrip import structures, words
from rayspy.io.readers.recording import Recording, Stream, to_data
from rayspy.io.writers import whole
from rayspy.progress import warn


def load_ft_raw(
    filename: Any,
    list_only: bool = False,
    select_structures: Any = None,
    include_fields: Any = None,
    mem_use: Any = None,
) -> Any:
    """Open FieldTrip raw data; trials of ``.mat`` files of format 7.3 are read when they are needed.

    Parameters
    ----------
    filename : path
        The file.
    list_only : bool
        Return the names of the structures in the file.
    select_structures : sequence of str, optional
        Which to take, all that hold data if left out.
    include_fields : sequence of str, optional
        Further fields, which go into ``.info``.
    mem_use : number, optional
        For scripts written for Syncopy; nothing depends on it.

    Returns
    -------
    dict of str to AnalogData, or list of str
        One object per structure.
    """
    if check_bool(list_only, "list_only"):
        return structures(filename)
    check_path(filename, "filename")
    wanted = words(select_structures, "select_structures")
    recording = open_recording(filename, "fieldtrip", include_fields=include_fields)
    found = {stream.name: to_data(stream, recording) for stream in recording.streams}
    for name in wanted:
        if name not in found:
            warn("load_ft_raw", f"no structure {name!r} in {filename}")
    return {name: data for name, data in found.items() if not wanted or name in wanted}


def load_nwb(
    filename: Any,
    memuse: Any = None,
    container: Any = None,
    validate: bool = False,
    default_spike_data_samplerate: float | None = None,
) -> dict[str, Any]:
    """Open all time series and the sorted units of an NWB file.

    Parameters
    ----------
    filename : path
        The file.
    memuse : number, optional
        For scripts written for Syncopy; nothing depends on it.
    container : str, optional
        Save everything in this container, with the names as tags.
    validate : bool
        Whether the file has to follow the schema of NWB, which pynwb checks.
    default_spike_data_samplerate : float, optional
        Hz of the samples of spikes; that of the fastest series if left out.

    Returns
    -------
    dict of str to AnalogData or SpikeData
        By the names of the series; ``spikes`` has the units.

    Raises
    ------
    DamagedDataError
        The file does not follow the schema, and `validate` asks for it.
    MissingPackageError
        `validate` needs pynwb.
    """
    check_path(filename, "filename")
    check_bool(validate, "validate")
    found = read(filename, format="nwb", spike_samplerate=default_spike_data_samplerate)
    if validate:
        nwb.check_schema(filename)
    if not isinstance(found, dict):
        recording = open_recording(filename, "nwb")
        found = {next((stream.name for stream in recording.streams), "spikes"): found}
    if container is not None:
        for name, data in found.items():
            data.save(container=container, tag=name.replace("/", "_"))
    return found


def load_mne(path: Any, **options: Any) -> Any:
    """Open a file through MNE-Python, also one that rayspy reads by itself; see `read`."""
    return read(path, format="mne", **options)


def load_tdt(
    data_path: Any,
    start_code: int | None = None,
    end_code: int | None = None,
    subtract_median: bool = False,
    stream: str | None = None,
) -> Any:
    """Open a block of Tucker-Davis Technologies: a folder with an index (``.tsq``) and signals.

    Parameters
    ----------
    data_path : path
        The folder.
    start_code, end_code : int, optional
        Triggers (values of the store Mark) at which trials begin and end.
    subtract_median : bool
        Subtract from each channel its median over the whole recording, which is found now.
    stream : str, optional
        Which store of signals to take; ``LFPs`` or ``LFP1`` if left out, or the only one, or a
        dictionary of all.

    Returns
    -------
    AnalogData or dict of AnalogData
        Signals in files of their own (``.sev``) are used in place, those in a ``.tev`` file are read
        through Neo. ``info`` has times of the block, photodiode and triggers by Syncopy's names
        (``PDio_onset``, ``Trigger_sample`` ...), ``events`` all events.

    Raises
    ------
    InvalidValueError
        One code without the other, or codes that do not occur one after the other.
    """
    check_bool(subtract_median, "subtract_median")
    if (start_code is None) != (end_code is None):
        raise InvalidValueError("both codes or none", "start_code/end_code", f"{start_code}, {end_code}")
    place = check_path(data_path, "data_path", "name of a folder")
    folder = tdt.folder_of(place)
    if folder is None:
        if start_code is not None or subtract_median:
            legal = "folder with .sev files, for codes and medians"
            raise InvalidValueError(legal, "data_path", data_path)
        return read(place, format="neo", reader="Tdt", stream=stream)
    recording = open_recording(folder, "tdt")
    names = [one.name for one in recording.streams]
    chosen = stream or next((name for name in ("LFPs", "LFP1") if name in names), None)
    if chosen is not None:
        check_choice(chosen, "stream", tuple(names))
    wanted = [one for one in recording.streams if chosen in (None, one.name)]
    index = tdt.read_index(folder)
    found = {
        one.name: _of_tdt(one, recording, index, start_code, end_code, subtract_median) for one in wanted
    }
    return next(iter(found.values())) if len(found) == 1 else found


def _of_tdt(
    stream: Stream, recording: Recording, index: Any, start: int | None, end: int | None, centred: bool
) -> AnalogData:
    told = tdt.description(Path(recording.path), index, stream)
    if start is not None and end is not None:
        codes = check_integer(start, "start_code"), check_integer(end, "end_code")
        stream = replace(stream, trialdefinition=tdt.trials_between(told, *codes, stream.source.shape[0]))
    if centred:
        n_bytes = 3.0 * stream.source.shape[0] * stream.source.dtype.itemsize
        whole.check_memory(n_bytes, "the median of a channel", "subtract_median=False")
        stream = replace(stream, bias=[-one for one in tdt.medians(stream.source)])
    data = to_data(stream, recording)
    data.info.update(told)
    return data


def raw_mne_to_adata(ar: Any) -> AnalogData:
    """Take over an `mne.io.Raw`."""
    return _of_mne(ar, "ar", "BaseRaw", "mne.io.Raw")


def mne_epochs_to_tldata(ar: Any) -> AnalogData:
    """Take over `mne.Epochs` as AnalogData, one trial per epoch."""
    return _of_mne(ar, "ar", "BaseEpochs", "mne.Epochs")


def _of_mne(thing: Any, name: str, base: str, expected: str) -> AnalogData:
    if base not in (one.__name__ for one in type(thing).__mro__):
        raise InvalidTypeError(thing, name, expected)
    data: AnalogData = read(thing)
    return data
