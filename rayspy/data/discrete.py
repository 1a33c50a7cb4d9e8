"""Data in rows, one per event: a sample number and codes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.builder import StackWriter
from rayspy.data.selection import Selection
from rayspy.data.view import ArrayView
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError
from rayspy.storage.rows import blocks_of, search_rows, survey
from rayspy.storage.sources import ArraySource, MemorySource

Codes = NDArray[np.int64]
Rows = NDArray[Any]


class DiscreteData(BaseData):
    """Common part of classes whose array has one row per event and whose `dimord` names the columns.

    Rows ascend by sample number. A row belongs to every trial whose samples include
    its own. The table is searched for the rows of a trial and read by block; only
    `sample`, `trialid` and `trialtime` hold a number per row.
    """

    code_dims: ClassVar[tuple[str, ...]] = ()
    """Columns with codes that can be selected."""
    rows_are_unique: ClassVar[bool] = False
    """Whether two rows with the same sample and codes are an error."""
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, "is_time_locked", "combinations")
    _of_codes: ClassVar[tuple[str, ...]] = ("eventid", "channel", "unit", "channel_idx", "unit_idx")
    _columns: tuple[ArraySource | None, dict[str, Codes]] = (None, {})
    _combinations: Codes | None = None
    _searched: tuple[ArraySource | None, NDArray[np.float64], Codes] = (
        None,
        np.empty((0, 2)),
        np.empty((0, 2), dtype=np.int64),
    )
    """Trials that were searched last, and their rows."""

    # -- construction ------------------------------------------------------

    def _set_data(self, data: Any) -> None:
        if isinstance(data, np.ndarray):
            self._check_table(data.shape, data.dtype)
        super()._set_data(data)

    def _set_list(self, items: list[Any]) -> None:
        raise InvalidTypeError(items, "data", f"numpy.ndarray, file, dataset or {type(self).__name__};")

    def _stack(self, trials: Iterable[Any], equal: bool) -> None:
        raise InvalidTypeError(trials, "data", f"numpy.ndarray, file, dataset or {type(self).__name__};")

    def _attach(self, source: ArraySource) -> None:
        self._check_table(source.shape, source.dtype)
        combinations = self._checked_rows(source)
        super()._attach(source)
        self._combinations = combinations

    def _place(self, source: ArraySource) -> None:
        self._combinations = None
        super()._place(source)

    def _overwrite(self, old: ArraySource, value: Rows) -> None:
        fits = value.shape == old.shape and value.dtype == old.dtype
        combinations = self._surveyed(MemorySource(value)) if fits else None
        super()._overwrite(old, value)
        self._combinations = combinations

    def _check_table(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Accept whole numbers in as many columns as `dimord` names."""
        if len(shape) != 2 or shape[1] != len(self._dimord):
            legal = f"2d-array with the columns {', '.join(self._dimord)}"
            raise InvalidValueError(legal, "data", f"array of shape {shape}")
        if shape[0] == 0:
            raise InvalidValueError("non empty data set", "data", f"array of shape {shape}")
        if dtype.kind not in "iu":
            raise InvalidTypeError(dtype, "data", f"integer like array, not dtype {dtype};")

    def _checked_rows(self, source: ArraySource) -> Codes | None:
        """Look at all rows in memory; of files at the first and last, at others when they are read."""
        column = self._dimord.index("sample")
        if not source.in_memory:
            ends = (0, source.shape[0] - 1)
            check_ascending(np.array([ArrayView(source)[k, column] for k in ends]))
            return None
        _, rows = next(iter(blocks_of(source, 0, 1)))
        check_ascending(rows[:, column])
        return self._surveyed(source)

    def _surveyed(self, source: ArraySource) -> Codes:
        """Read all rows, check their order and return the combinations of codes that occur."""
        column = self._dimord.index("sample")
        codes = [self._dimord.index(dim) for dim in self.code_dims]
        found = survey(source, column, codes, self.rows_are_unique)
        if found.fault is not None:
            row, what = found.fault
            around = ArrayView(source)[max(0, row - 1) : row + 1]
            if what == "order":
                check_ascending(around[:, column], max(0, row - 1))
            actual = ", ".join(f"{dim} {n}" for dim, n in zip(self._dimord, around[-1], strict=True))
            raise InvalidValueError("each row once (numpy.unique(array, axis=0))", "data", f"{actual} again")
        return found.codes

    # -- dimensions --------------------------------------------------------

    @property
    def _ndim(self) -> int:
        return 2

    @property
    def _stack_axis(self) -> int:
        return 0

    def _as_one_trial(self) -> NDArray[np.float64]:
        """From the first event to the last, which is part of it."""
        column = self._dimord.index("sample")
        first, last = (ArrayView(self._array)[k, column] for k in (0, -1))
        return np.array([[first, int(last) + 1, 0.0]])

    @property
    def n_samples(self) -> float:
        """Unlimited: events do not tell how long the recording was."""
        return np.inf

    @property
    def combinations(self) -> Codes:
        """Codes that occur together, one row each, columns as in `code_dims`; a file is read once."""
        if self._combinations is None:
            self._combinations = self._surveyed(self._array)
        return self._combinations

    def codes(self, dim: str) -> Codes:
        """Codes of one column that occur, in ascending order."""
        return np.unique(self.combinations[:, self.code_dims.index(dim)])

    def _labels(self) -> dict[str, NDArray[Any]]:
        """Codes that occur, per column that can be selected."""
        return {} if self._source is None else {dim: self.codes(dim) for dim in self.code_dims}

    def column(self, name: str) -> Codes:
        """One column of the table, read once."""
        source, known = self._columns
        if source is not self._array:
            known = {}
            self._columns = (self._array, known)
        if name not in known:
            column = ArrayView(self._array)[:, self._dimord.index(name)].astype(np.int64)
            if name == "sample":
                check_ascending(column)
            column.flags.writeable = False
            known[name] = column
        return known[name]

    # -- public properties -------------------------------------------------

    @property
    def sample(self) -> Codes | None:
        """Sample number of each event."""
        return None if self._source is None else self.column("sample")

    @property
    def trialid(self) -> Codes | None:
        """Number of the trial that each event belongs to, the last one where trials overlap; -1 outside."""
        if self._source is None or self._trialdefinition is None:
            return None
        numbers = np.full(self._array.shape[0], -1, dtype=np.int64)
        for k, (first, stop) in enumerate(self.row_bounds(self._trialdefinition)):
            numbers[first:stop] = k
        return numbers

    @trialid.setter
    def trialid(self, value: Any) -> None:
        raise InvalidValueError("trialid to be set through `trialdefinition`", "trialid")

    @property
    def trialtime(self) -> NDArray[np.float64] | None:
        """Time of each event in its trial in seconds; NaN outside of trials."""
        numbers = self.trialid
        if numbers is None or self._samplerate is None:
            return None
        starts = self._trl[numbers, 0] - self._trl[numbers, 2]
        return np.where(numbers < 0, np.nan, (self.column("sample") - starts) / self._samplerate)

    def row_bounds(self, trl: NDArray[np.float64]) -> Codes:
        """First row and row behind the last of each trial; the table is searched once for the same ones."""
        limits = np.array(trl[:, :2])
        source, known, bounds = self._searched
        if source is not self._array or not np.array_equal(known, limits):
            bounds = search_rows(self._array, self._dimord.index("sample"), limits)
            if len(limits) > 1:
                self._searched = (self._array, limits, bounds)
        return bounds

    def count_outside(self, trl: NDArray[np.float64] | None = None) -> int:
        """How many events are in none of these trials, or of the object's own."""
        runs = merged(self.row_bounds(self._trl if trl is None else trl))
        return int(self._array.shape[0] - (runs[:, 1] - runs[:, 0]).sum())

    def _rows(self, first: int, stop: int) -> Rows:
        rows: Rows = ArrayView(self._array)[first:stop]
        if self._combinations is None:
            check_ascending(rows[:, self._dimord.index("sample")], first)
        return rows

    def _get_trial(self, k: int) -> Rows:
        first, stop = self.row_bounds(self._trl[k : k + 1])[0]
        return self._rows(int(first), int(stop))

    def _get_time(self, k: int) -> NDArray[np.float64]:
        return self._times(self._get_trial(k)[:, self._dimord.index("sample")], self._trl[k])

    def _times(self, samples: Codes, row: NDArray[np.float64]) -> NDArray[np.float64]:
        times: NDArray[np.float64] = (samples - row[0] + row[2]) / (self._samplerate or np.nan)
        return times

    def _field_text(self, name: str) -> str:
        """What can be told without reading the table."""
        if self._source is None or name not in ("sample", "trialid", "trialtime", *self._of_codes):
            return super()._field_text(name)
        if name in self._of_codes:
            known = self._combinations is not None
            return super()._field_text(name) if known else "not known before the file is read"
        known = name != "trialtime" or self._samplerate is not None
        return f"[{self._array.shape[0]}] element ndarray" if known else "None"

    # -- selection ---------------------------------------------------------

    def selected_codes(self, selection: Selection, dim: str) -> Codes:
        """Codes of one column that are selected."""
        codes = self.codes(dim)
        return codes[selection.index[dim]] if dim in selection.index else codes

    def _is_wanted(self, rows: Rows, selection: Selection) -> NDArray[np.bool_]:
        wanted = np.ones(len(rows), dtype=bool)
        for dim in selection.index:
            wanted &= np.isin(rows[:, self._dimord.index(dim)], self.selected_codes(selection, dim))
        return wanted

    def read_selected(self, selection: Selection, k: int) -> Rows:
        """Read the events of the k-th trial of a selection."""
        first, stop = self.row_bounds(selection.trialdefinition[k : k + 1])[0]
        rows = self._rows(int(first), int(stop))
        return rows[self._is_wanted(rows, selection)] if selection.index else rows

    def _times_of(self, selection: Selection, k: int) -> NDArray[np.float64]:
        rows = self.read_selected(selection, k)
        return self._times(rows[:, self._dimord.index("sample")], selection.trialdefinition[k])

    def wanted_rows(self, selection: Selection) -> Iterator[tuple[int, NDArray[np.bool_], Rows]]:
        """Read the events that are in any trial of a selection by block, each once and in their order.

        Yields the number of the first row of a block, which of its rows are wanted,
        and these.
        """
        for low, high in merged(self.row_bounds(selection.trialdefinition)).tolist():
            for first, rows in blocks_of(self._array, low, high):
                wanted = self._is_wanted(rows, selection)
                yield first, wanted, rows[wanted]

    def selected_rows(self, selection: Selection) -> ArraySource:
        """Events that are in any trial of a selection, in memory or, if many, in the scratch folder."""
        writer, found = StackWriter(0), 0
        try:
            for _, _, rows in self.wanted_rows(selection):
                if len(rows):
                    writer.add(rows)
                    found += len(rows)
            if not found:
                raise InvalidValueError("selection with at least one event", "select", dict(selection.select))
            return writer.finish()
        except BaseException:
            writer.abort()
            raise

    def restrict(self, made: DiscreteData, selection: Selection) -> None:
        """Carry over to an object made of the selected rows whatever is not in them."""

    # -- storage -----------------------------------------------------------

    def coordinates(self) -> dict[str, Any]:
        """What a container has to know about codes besides the table."""
        return {"combinations": self.combinations.tolist()}

    def set_coordinates(self, stored: dict[str, Any]) -> None:
        """Take over what `coordinates` gave."""
        combinations = np.array(stored["combinations"], dtype=np.int64)
        if combinations.ndim != 2 or combinations.shape[1] != len(self.code_dims):
            raise DamagedDataError(f"combinations of codes of shape {combinations.shape}")
        self._combinations = combinations


def merged(bounds: Codes) -> Codes:
    """Ranges of rows without overlap, in ascending order."""
    filled = bounds[bounds[:, 0] < bounds[:, 1]]
    if not len(filled):
        return np.empty((0, 2), dtype=np.int64)
    filled = filled[np.argsort(filled[:, 0], kind="stable")]
    ends = np.maximum.accumulate(filled[:, 1])
    begins = np.concatenate([[True], filled[1:, 0] > ends[:-1]])
    lasts = np.concatenate([np.flatnonzero(begins)[1:] - 1, [len(filled) - 1]])
    return np.column_stack([filled[begins, 0], ends[lasts]])


def check_ascending(samples: NDArray[Any], first: int = 0) -> None:
    """Refuse rows that are not in the order of time, or before the recording; `first` numbers them."""
    if len(samples) and int(samples.min()) < 0:
        raise InvalidValueError("sample numbers, 0 or more", "data", f"sample {samples.min()}")
    disorder = np.flatnonzero(samples[1:] < samples[:-1])
    if disorder.size:
        k = int(disorder[0]) + 1
        legal = "rows in ascending order of their samples (array[array[:, 0].argsort()])"
        actual = f"row {first + k} with sample {samples[k]} behind {samples[k - 1]}"
        raise InvalidValueError(legal, "data", actual)
