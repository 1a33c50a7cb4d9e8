"""Syncopy's names for reading other programs' files: thin doors to `read`."""

from __future__ import annotations

from typing import Any

from rayspy.io.read import open_recording
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
