"""Objects as tables of pandas and as Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.base import BaseData
from rayspy.data.discrete import DiscreteData
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.writers import whole
from rayspy.storage.region import pieces
from rayspy.storage.sources import read_all

_ROWS_BYTES = 2**22


def to_pandas(data: BaseData) -> Any:
    """Make a table of an object.

    Parameters
    ----------
    data : data object
        Is not changed; an active selection does not count.

    Returns
    -------
    pandas.DataFrame
        AnalogData and TimeLockData: a row per sample of each trial, columns `trial`, `time`
        (s) and one per channel. SpikeData and EventData: a row per event, columns of the table
        with names of channels and units in the place of codes, `trial` and `time` in it. Others, in
        long form: a row per number, columns `trial`, one per dimension, and `value`.

    Raises
    ------
    MemoryBudgetError
        The table would not fit into the memory budget; `to_parquet` writes it piece by piece.
    InvalidTypeError, InvalidValueError
        Not a data object, or an empty one.
    """
    import pandas as pd

    _check(data)
    trl = data.describe().trialdefinition
    rows = float((trl[:, 1] - trl[:, 0]).sum())
    inner = int(np.prod(data.source.shape)) // max(1, data.source.shape[0])
    each = 16 if _is_wide(data) else 64
    needed = data.source.shape[0] * 64.0 if isinstance(data, DiscreteData) else rows * inner * each
    whole.check_memory(needed, "the table", "select a part, or write it with to_parquet")
    return pd.concat(list(_frames(data)), ignore_index=True)


def to_parquet(data: BaseData, path: Any, overwrite: bool = False) -> None:
    """Write the table that `to_pandas` makes to a Parquet file, piece by piece.

    Parameters
    ----------
    data : data object
        Is not changed; an active selection does not count.
    path : path
        The file; ``.parquet`` is appended where it is missing.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check(data)
    check_bool(overwrite, "overwrite")
    final = whole.target(path, ".parquet", overwrite)
    with whole.building(final) as (wip,):
        writer = None
        try:
            for frame in _told(data):
                table = pa.Table.from_pandas(frame, preserve_index=False)
                writer = pq.ParquetWriter(wip, table.schema) if writer is None else writer
                writer.write_table(table.cast(writer.schema))
        finally:
            if writer is not None:
                writer.close()


def _told(data: BaseData) -> Iterator[Any]:
    with whole.telling("to_parquet", whole.bytes_of(data.source)) as seen:
        yield from _frames(data, seen)


def _check(data: Any) -> None:
    if not isinstance(data, BaseData):
        raise InvalidTypeError(data, "data", "rayspy data object;")
    if data.data is None:
        raise InvalidValueError("non-empty object", "data", f"empty {type(data).__name__}")


def _is_wide(data: BaseData) -> bool:
    return sorted(data.dimord) == ["channel", "time"]


def _frames(data: BaseData, seen: whole.Seen = np.asarray) -> Iterator[Any]:
    """The table in pieces."""
    if isinstance(data, DiscreteData):
        yield _events(data)
        return
    trl = data.describe().trialdefinition
    axis = data.dimord.index("time")
    with data.source.reader() as read:
        for k, (start, stop) in enumerate(trl[:, :2].astype(np.int64)):
            times = None if data.time is None else data.time[k]
            shape = list(data.source.shape)
            shape[axis] = int(stop - start)
            for region in pieces(tuple(shape), data.source.dtype.itemsize, _ROWS_BYTES):
                inner = list(region)
                inner[axis] = slice(region[axis].start + int(start), region[axis].stop + int(start))
                array = seen(read(tuple(inner)))
                yield (
                    _wide(data, k, region, array, times)
                    if _is_wide(data)
                    else _long(data, k, region, array, times)
                )


def _seconds(region: slice, times: Any) -> Any:
    return np.arange(region.start, region.stop) if times is None else times[region]


def _wide(data: BaseData, k: int, region: Any, array: Any, times: Any) -> Any:
    import pandas as pd

    time, channel = data.dimord.index("time"), data.dimord.index("channel")
    turned = array if time == 0 else array.T
    names = data.describe().labels["channel"]
    if region[channel] != slice(0, len(names)):
        raise InvalidValueError("fewer channels for a table with a column for each", "data", len(names))
    frame = pd.DataFrame(turned, columns=list(names))
    frame.insert(0, "time", _seconds(region[time], times))
    frame.insert(0, "trial", k)
    return frame


def _long(data: BaseData, k: int, region: Any, array: Any, times: Any) -> Any:
    import pandas as pd

    labels = data.describe().labels
    axes = [
        _seconds(s, times) if dim == "time" else np.asarray(labels[dim])[s]
        for dim, s in zip(data.dimord, region, strict=True)
    ]
    grid = np.meshgrid(*[np.arange(len(axis)) for axis in axes], indexing="ij")
    columns = {dim: axis[g.ravel()] for dim, axis, g in zip(data.dimord, axes, grid, strict=True)}
    return pd.DataFrame({"trial": k, **columns, "value": array.ravel()})


def _events(data: DiscreteData) -> Any:
    import pandas as pd

    rows = read_all(data.source)
    frame = pd.DataFrame(rows, columns=list(data.dimord))
    if isinstance(data, SpikeData):
        for dim in data.code_dims:
            names = np.asarray(data.channel if dim == "channel" else data.unit)
            frame[dim] = names[np.searchsorted(data.codes(dim), frame[dim].to_numpy())]
    frame["trial"] = data.trialid
    if data.trialtime is not None:
        frame["time"] = data.trialtime
    return frame
