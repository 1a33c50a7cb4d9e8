"""What methods on spikes share: a trial is a run of rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.spikes.counts import counts_in_bins
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.storage.rows import RowPieces

Array = NDArray[Any]
Codes = NDArray[np.int64]
_TABLE = 2**22


@dataclass(frozen=True, eq=False)
class Cells:
    """Which cells are looked at, and how they are found in rows.

    Attributes
    ----------
    pairs : ndarray of int, shape (cells, 2)
        Codes of channel and unit.
    columns : tuple of int
        Columns of sample, channel and unit.
    names : tuple of str
        Names of the cells.
    """

    pairs: Codes
    columns: tuple[int, int, int]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    def found(self, rows: Codes) -> tuple[Codes, Codes]:
        """Sample and number of the cell of each row, -1 for other cells."""
        from rayspy.kernels.loops.spikes import find_cells

        low, sizes, table = self._table
        if table is None:
            return np.ascontiguousarray(rows[:, self.columns[0]]), self._searched(rows)
        samples, cells = np.empty((2, len(rows)), dtype=np.int64)
        find_cells(rows, np.array(self.columns, dtype=np.int64), low, sizes, table, samples, cells)
        return samples, cells

    def counts(self, rows: Codes, edges: Codes) -> Array:
        """Spikes of each cell in each bin; float32 where its whole numbers, up to 2^24, are enough."""
        from rayspy.kernels.loops.spikes import count_rows

        low, sizes, table = self._table
        if table is None:
            return counts_in_bins(*self.found(rows), edges, len(self))
        counts = np.zeros((len(edges) - 1, len(self)), np.float32 if len(rows) < 2**24 else np.int64)
        count_rows(rows, np.array(self.columns, dtype=np.int64), low, sizes, table, edges, counts)
        return counts

    def numbers(self, rows: Codes) -> Codes:
        """Number of the cell of each row, -1 for other cells."""
        return self.found(rows)[1]

    @cached_property
    def _table(self) -> tuple[Codes, Codes, Codes | None]:
        """Lowest codes, how many there are from there on, and the cell of each pair if they are few."""
        low, high = self.pairs.min(axis=0), self.pairs.max(axis=0)
        sizes = high - low + 1
        if int(sizes[0]) * int(sizes[1]) > _TABLE:
            return low, sizes, None
        table = np.full(int(sizes[0]) * int(sizes[1]), -1, dtype=np.int64)
        table[(self.pairs[:, 0] - low[0]) * sizes[1] + self.pairs[:, 1] - low[1]] = np.arange(len(self))
        return low, sizes, table

    def _searched(self, rows: Codes) -> Codes:
        """Cells of codes that are too far apart for a table."""
        cells = np.full(len(rows), -1, dtype=np.int64)
        units, channels = rows[:, self.columns[2]], rows[:, self.columns[1]]
        order = np.lexsort(self.pairs.T[::-1])
        pairs = self.pairs[order]
        for channel in np.unique(pairs[:, 0]).tolist():
            low, high = np.searchsorted(pairs[:, 0], [channel, channel + 1])
            here = np.flatnonzero(channels == channel)
            places = (low + np.searchsorted(pairs[low:high, 1], units[here])).clip(max=high - 1)
            cells[here] = np.where(pairs[places, 1] == units[here], order[places], -1)
        return cells


@dataclass(frozen=True, eq=False)
class SpikeMethod(Method):
    """A method whose input is a table of spikes, one trial at a time.

    Parameters
    ----------
    cells : Cells
        What is counted.
    trl : ndarray of shape (trials, 3)
        Start, stop and offset of the selected trials, in samples of the spikes.
    samplerate : float
        Of the spikes, Hz.
    """

    crosses: ClassVar[frozenset[str]] = frozenset({"channel"})

    cells: Cells
    trl: NDArray[np.float64]
    samplerate: float

    def of_rows(self, k: int, rows: Codes) -> Array:
        """Result of the k-th selected trial, shape (rows, ..., channel), from its rows of the table."""
        return self.trial(k, *self.cells.found(rows))

    def trial(self, k: int, samples: Codes, cells: Codes) -> Array:
        """Result of the k-th selected trial from its samples and cells."""
        raise NotImplementedError

    def kernel(self, part: Part) -> Kernel:
        """Bind the number of the trial."""
        return partial(self._run, part.variant)

    def _run(self, k: int, x: Array, out: Array | None = None) -> Array:
        result = self.of_rows(k, x[0, :-1])
        if out is None:
            return result[np.newaxis]
        out[0] = result
        return out

    def work(self, length: int, itemsize: int) -> Work:
        """Samples, cells, keys and where they are, per row; the engine counts three columns."""
        return Work(4 * 8 * length)

    def relative(self, k: int, samples: Codes) -> Codes:
        """Samples relative to the trigger of a trial."""
        start, _, offset = self.trl[k, :3]
        return samples - int(start) + int(offset)

    def promise(
        self, n_rows: Any, offset: float, samplerate: float, dtype: Any = np.float64, **labels: Any
    ) -> OutputSpec:
        """Declare results with as many rows in each trial (or so many per trial)."""
        n_trials = len(self.trl)
        rows = np.broadcast_to(np.asarray(n_rows, dtype=np.int64), (n_trials,)).copy()
        stops = np.cumsum(rows).astype(np.float64)
        trl = np.column_stack([stops - rows, stops, np.full(n_trials, float(offset)), self.trl[:, 3:]])
        named = {dim: np.asarray(values) for dim, values in labels.items()}
        dims = ("time", *named)
        return OutputSpec("TimeLockData", dims, np.dtype(dtype), rows, trl, samplerate, named)


def rows_of_trials(table: Any, bounds: Codes, columns: list[str]) -> tuple[RowPieces, InputSpec]:
    """Input of the engine: rows of trials one behind the other, each a 'trial' of its own variant."""
    pieces = RowPieces(table, bounds[:, 0], bounds[:, 1])
    edges = pieces.edges.astype(np.float64)
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(len(bounds))])
    spec = InputSpec(
        kind="SpikeData",
        dims=("time", "channel"),
        dtype=pieces.dtype,
        samplerate=None,
        trialdefinition=trl,
        labels={"channel": np.array(columns)},
        variants=np.arange(len(bounds)),
    )
    return pieces, spec
