"""Tables in rows that ascend by one column: searched without being read, read by block, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.storage.region import Region
from rayspy.storage.sources import ArraySource, MemorySource, Read

Array = NDArray[Any]
Indices = NDArray[np.int64]

_LEAF_ROWS = 256
"""Rows that are read at the end of a search, in one go."""


def blocks_of(source: ArraySource, first: int = 0, stop: int | None = None) -> Iterator[tuple[int, Array]]:
    """Read rows in blocks of ``spy.config.block_bytes``: number of the first row, rows."""
    end = source.shape[0] if stop is None else stop
    row_bytes = max(1, int(np.prod(source.shape[1:], dtype=np.int64)) * source.dtype.itemsize)
    step = max(1, config.block_bytes // row_bytes)
    inner = tuple(slice(0, n) for n in source.shape[1:])
    with source.reader() as read:
        for low in range(first, end, step):
            yield low, read((slice(low, min(low + step, end)), *inner))


def search_rows(source: ArraySource, column: int, values: Any) -> Indices:
    """First row of a table whose number in an ascending column is not below a value.

    Parameters
    ----------
    source : ArraySource
        Table (rows, columns).
    column : int
        The column that ascends.
    values : array_like
        What is searched, of any shape.

    Returns
    -------
    ndarray of int
        As ``numpy.searchsorted(column, values)``, with the shape of `values`.

    Notes
    -----
    Files are read at O(log rows) places per value; once from beginning to end where
    there are so many values that this is less work.
    """
    wanted = np.asarray(values)
    if isinstance(source, MemorySource):
        return _search(source.array[:, column], wanted)
    flat = wanted.ravel()
    n_leaves = -(-source.shape[0] // _LEAF_ROWS)
    if len(flat) * max(1, n_leaves.bit_length()) > n_leaves:
        found = _search_all(source, column, flat)
    else:
        found = _search_few(source, column, flat)
    return found.reshape(wanted.shape)


def _search(sorted_numbers: Array, values: Any) -> Indices:
    """`numpy.searchsorted` in the type of the column, which else would be copied."""
    wanted = np.ceil(np.asarray(values, dtype=np.float64))
    limits = np.iinfo(sorted_numbers.dtype)
    high = min(limits.max, 2**62)
    inside = np.clip(wanted, max(limits.min, -(2**62)), high).astype(sorted_numbers.dtype)
    found = np.asarray(np.searchsorted(sorted_numbers, inside), dtype=np.int64)
    return np.where(wanted > high, len(sorted_numbers), found)


def _search_all(source: ArraySource, column: int, values: Array) -> Indices:
    """Search while the whole column is read once."""
    found = np.zeros(len(values), dtype=np.int64)
    for _, rows in blocks_of(source):
        found += _search(np.ascontiguousarray(rows[:, column]), values)
    return found


def _search_few(source: ArraySource, column: int, values: Array) -> Indices:
    """Search by halving; what was read for one value is known to the others."""
    n_rows = source.shape[0]
    heads: dict[int, int] = {}
    found = np.empty(len(values), dtype=np.int64)
    with source.reader() as read:

        def rows(low: int, high: int) -> Array:
            array: Array = read((slice(low, high), slice(0, source.shape[1])))[:, column]
            return array

        def head(leaf: int) -> int:
            if leaf not in heads:
                heads[leaf] = int(rows(leaf * _LEAF_ROWS, leaf * _LEAF_ROWS + 1)[0])
            return heads[leaf]

        for k, value in enumerate(values.tolist()):
            low, high = 0, -(-n_rows // _LEAF_ROWS)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if head(middle) < value else (low, middle)
            first = low * _LEAF_ROWS
            found[k] = first + int(_search(rows(first, min(first + _LEAF_ROWS, n_rows)), value))
    return found


@dataclass(frozen=True, eq=False)
class Survey:
    """What one reading of a table tells.

    Attributes
    ----------
    codes : ndarray of int, shape (combinations, columns)
        Combinations of codes that occur, in ascending order.
    counts : ndarray of int
        How many rows have each.
    fault : tuple of (int, str) or None
        First row that is out of order ('order') or a repetition of another one ('twice').
    """

    codes: Indices
    counts: Indices
    fault: tuple[int, str] | None


def survey(source: ArraySource, column: int, code_columns: Sequence[int], once: bool) -> Survey:
    """Read a table by block: which codes it has, whether it ascends, whether rows are there twice.

    Parameters
    ----------
    source : ArraySource
        Table (rows, columns).
    column : int
        The column that has to ascend.
    code_columns : sequence of int
        Columns with codes.
    once : bool
        Whether a row must not have the number and codes of another one.
    """
    known: dict[tuple[int, ...], int] = {}
    tail: Array | None = None
    for first, rows in blocks_of(source):
        joined = rows if tail is None else np.concatenate([tail, rows])
        origin = first - (0 if tail is None else len(tail))
        fault = _first_fault(joined, column, code_columns, once)
        if fault is not None:
            return Survey(*_table(known, len(code_columns)), (origin + fault[0], fault[1]))
        for codes, count in zip(*_combinations(rows[:, code_columns]), strict=True):
            key = tuple(codes.tolist())
            known[key] = known.get(key, 0) + int(count)
        same = int(np.searchsorted(rows[:, column], rows[-1, column]))
        tail = np.array(rows[same:])
    return Survey(*_table(known, len(code_columns)), None)


def _table(known: dict[tuple[int, ...], int], n_columns: int) -> tuple[Indices, Indices]:
    keys = sorted(known)
    codes = np.array(keys, dtype=np.int64).reshape(len(keys), n_columns)
    return codes, np.array([known[key] for key in keys], dtype=np.int64)


def _first_fault(rows: Array, column: int, code_columns: Sequence[int], once: bool) -> tuple[int, str] | None:
    numbers = rows[:, column]
    disorder = np.flatnonzero(numbers[1:] < numbers[:-1])
    if disorder.size:
        return int(disorder[0]) + 1, "order"
    ties = np.flatnonzero(numbers[1:] == numbers[:-1]) if once else disorder
    if not ties.size:
        return None
    tied = np.unique(np.concatenate([ties, ties + 1]))
    keys = rows[tied][:, [column, *code_columns]]
    order = np.lexsort(keys.T[::-1])
    twice = np.flatnonzero((keys[order][1:] == keys[order][:-1]).all(axis=1))
    return (int(tied[order[twice + 1]].min()), "twice") if twice.size else None


_FEW_CODES = 2**22


def _combinations(codes: Array) -> tuple[Indices, Indices]:
    """Combinations of codes in some rows and how often they occur."""
    low = codes.min(axis=0).astype(np.int64)
    sizes = [int(high) - int(first) + 1 for high, first in zip(codes.max(axis=0), low, strict=True)]
    n_keys = 1
    for size in sizes:
        n_keys *= size
    if n_keys > _FEW_CODES:
        unique, counts = np.unique(codes, axis=0, return_counts=True)
        return unique.astype(np.int64), counts.astype(np.int64)
    key = np.zeros(len(codes), dtype=np.int64)
    for k, size in enumerate(sizes):
        key = key * size + (codes[:, k].astype(np.int64) - low[k])
    counts = np.bincount(key, minlength=n_keys)
    found = np.flatnonzero(counts)
    places = np.column_stack(np.unravel_index(found, sizes)).astype(np.int64)
    return places + low, counts[found].astype(np.int64)


@dataclass(frozen=True, eq=False)
class RowPieces:
    """Pieces of a table one behind the other, each ended by a row that does not belong to it.

    The row at the end makes pieces without rows possible. What is in it does not
    count; between pieces that are read at the same time it is -1.

    Parameters
    ----------
    table : ArraySource
        Table (rows, columns).
    first, stop : ndarray of int
        First row and row behind the last of each piece.
    """

    table: ArraySource
    first: Indices
    stop: Indices

    @cached_property
    def edges(self) -> Indices:
        """Where each piece begins, and the end."""
        return np.concatenate([[0], np.cumsum(self.stop - self.first + 1)]).astype(np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows with those between pieces, and columns."""
        return int(self.edges[-1]), self.table.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Whole numbers."""
        return np.dtype(np.int64)

    @property
    def location(self) -> str:
        """Of the table."""
        return self.table.location

    @property
    def in_memory(self) -> bool:
        """Whether the table is."""
        return self.table.in_memory

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads regions."""
        with self.table.reader() as read:
            yield lambda region: self._read(read, region)

    def _read(self, read: Read, region: Region) -> Array:
        wanted, columns = region
        piece = int(np.searchsorted(self.edges, wanted.start, side="right")) - 1
        begin, end = (int(edge) for edge in self.edges[piece : piece + 2])
        if wanted.stop == end and self.stop[piece] < self.table.shape[0]:
            first, stop = int(self.first[piece]) + wanted.start - begin, int(self.stop[piece]) + 1
            rows: Array = read((slice(first, stop), columns))
            return rows.astype(np.int64, copy=False)
        out = np.full((wanted.stop - wanted.start, columns.stop - columns.start), -1, dtype=np.int64)
        while piece < len(self.first) and self.edges[piece] < wanted.stop:
            begin = int(self.edges[piece])
            low = max(wanted.start, begin)
            high = min(wanted.stop, int(self.edges[piece + 1]) - 1)
            if low < high:
                first = int(self.first[piece]) - begin
                inside = out[low - wanted.start : high - wanted.start]
                inside[...] = read((slice(first + low, first + high), columns))
            piece += 1
        return out
