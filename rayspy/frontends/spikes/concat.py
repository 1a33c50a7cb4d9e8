"""Spikes of two objects in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.data.builder import StackWriter
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.rows import search_rows
from rayspy.storage.sources import ArraySource, Read

Array = NDArray[Any]


def concat_spikes(one: SpikeData, other: Any, dim: str) -> SpikeData:
    """Put the channels or units of another object beside those of a first one.

    With 'channel' the other object's channels get new codes, with 'unit' its units;
    names that both have are made different by a number.
    """
    _check(one, other, dim)
    axis = one.code_dims.index(dim)
    shift = int(one.codes(dim).max()) + 1 - min(0, int(other.codes(dim).min()))
    moved = np.zeros(3, dtype=np.int64)
    moved[one.dimord.index(dim)] = shift
    order = [other.dimord.index(name) for name in one.dimord]
    source = _merged(one.source, other.source, one.dimord.index("sample"), order, moved)
    made = SpikeData(source, samplerate=one.samplerate, dimord=one.dimord)
    made.trialdefinition = one.describe().trialdefinition
    for k, name in enumerate(one.code_dims):
        made.set_names(name, _names(one, other, name, shift if k == axis else 0))
    made.info.update(one.info)
    return made


def _check(one: SpikeData, other: Any, dim: Any) -> None:
    if not isinstance(other, SpikeData):
        raise InvalidTypeError(other, "spy_obj2", "SpikeData;")
    for data, name in ((one, "spy_obj1"), (other, "spy_obj2")):
        if data.data is None:
            raise InvalidValueError("object with data", name, "empty SpikeData")
        if data.selection is not None:
            raise InvalidValueError("object without an active selection", name, data.selection)
    if not isinstance(dim, str):
        raise InvalidTypeError(dim, "dim", "str;")
    if dim not in one.code_dims:
        raise InvalidValueError(f"one of {', '.join(one.code_dims)}", "dim", dim)
    if one.samplerate != other.samplerate:
        raise InvalidValueError(f"object with samplerate {one.samplerate}", "spy_obj2", other.samplerate)
    mine, theirs = one.describe().trialdefinition, other.describe().trialdefinition
    if len(mine) == len(theirs) == 1:
        return
    if not np.array_equal(mine[:, :3], theirs[:, :3]):
        raise InvalidValueError("object with the same trials", "spy_obj2", f"{len(theirs)} other trials")


def _names(one: SpikeData, other: SpikeData, dim: str, shift: int) -> dict[int, str]:
    """Names by code; those that are there twice get a number."""
    mine = dict(zip(one.codes(dim).tolist(), map(str, one.describe().labels[dim]), strict=True))
    theirs = dict(
        zip((other.codes(dim) + shift).tolist(), map(str, other.describe().labels[dim]), strict=True)
    )
    if not shift:
        return {**theirs, **mine}
    taken = set(mine.values())
    for code, name in theirs.items():
        k, free = 2, name
        while free in taken:
            free, k = f"{name}-{k}", k + 1
        taken.add(free)
        theirs[code] = free
    return {**mine, **theirs}


def _merged(a: ArraySource, b: ArraySource, column: int, order: list[int], moved: Array) -> ArraySource:
    """Rows of two tables in the order of their samples, those of the first one first."""
    writer = StackWriter(0)
    try:
        with a.reader() as read_a, b.reader() as read_b:
            for low_a, high_a, low_b, high_b in _pieces(a, b, column, order[column]):
                rows_a = _rows(read_a, low_a, high_a, a.shape[1])
                rows_b = _rows(read_b, low_b, high_b, b.shape[1])[:, order] + moved
                rows = np.concatenate([rows_a, rows_b])
                writer.add(rows[np.argsort(rows[:, column], kind="stable")])
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def _rows(read: Read, low: int, high: int, n_columns: int) -> Array:
    return np.array(read((slice(low, high), slice(0, n_columns))), dtype=np.int64).reshape(-1, n_columns)


def _pieces(
    a: ArraySource, b: ArraySource, column: int, column_b: int
) -> Iterator[tuple[int, int, int, int]]:
    """Ranges of rows of both tables that stand for the same range of samples, of limited size."""
    step = max(1, config.block_bytes // 24)
    cuts = []
    for source, at in ((a, column), (b, column_b)):
        with source.reader() as read:
            places = range(step, source.shape[0], step)
            cuts += [int(read((slice(k, k + 1), slice(at, at + 1)))[0, 0]) for k in places]
    samples = np.unique(np.array(cuts, dtype=np.int64))
    edges_a = [0, *search_rows(a, column, samples).tolist(), a.shape[0]]
    edges_b = [0, *search_rows(b, column_b, samples).tolist(), b.shape[0]]
    for k in range(len(samples) + 1):
        yield edges_a[k], edges_a[k + 1], edges_b[k], edges_b[k + 1]
