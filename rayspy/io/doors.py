"""Syncopy's names for reading other programs' files: thin doors to `read`."""

from __future__ import annotations

from typing import Any

from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidTypeError
from rayspy.io.read import open_recording, read
from rayspy.io.readers.fieldtrip import structures, words
from rayspy.io.readers.recording import to_data
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
    if list_only:
        return structures(filename)
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
    memuse, validate
        For scripts written for Syncopy; nothing depends on them.
    container : str, optional
        Save everything in this container, with the names as tags.
    default_spike_data_samplerate : float, optional
        Hz of the samples of spikes; that of the fastest series if left out.

    Returns
    -------
    dict of str to AnalogData or SpikeData
        By the names of the series; ``spikes`` has the units.
    """
    found = read(filename, format="nwb", spike_samplerate=default_spike_data_samplerate)
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


def load_tdt(data_path: Any, stream: str | None = None) -> Any:
    """Open a folder of Tucker-Davis Technologies (``.tsq``, ``.sev`` ...) through Neo.

    Parameters
    ----------
    data_path : path
        The folder.
    stream : str, optional
        Which store to take; a dictionary of all if left out and there are several.
    """
    return read(data_path, format="neo", reader="Tdt", stream=stream)


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
