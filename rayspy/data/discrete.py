"""Data in rows, one per event: a sample number and codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.selection import Selection
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.sources import ArraySource

Codes = NDArray[np.int64]


class DiscreteData(BaseData):
    """Common part of classes whose array has one row per event and whose `dimord` names the columns.

    Rows ascend by sample number. A row belongs to every trial whose samples include its own.
    """

    code_dims: ClassVar[tuple[str, ...]] = ()
    """Columns with codes that can be selected."""
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, "is_time_locked")
    _columns: tuple[ArraySource | None, dict[str, Codes]] = (None, {})

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
        super()._attach(source)

    def _overwrite(self, old: ArraySource, value: NDArray[Any]) -> None:
        check_ascending(value[:, self._dimord.index("sample")])
        super()._overwrite(old, value)

    def _check_table(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Accept whole numbers in as many columns as `dimord` names."""
        if len(shape) != 2 or shape[1] != len(self._dimord):
            legal = f"2d-array with the columns {', '.join(self._dimord)}"
            raise InvalidValueError(legal, "data", f"array of shape {shape}")
        if shape[0] == 0:
            raise InvalidValueError("non empty data set", "data", f"array of shape {shape}")
        if dtype.kind not in "iu":
            raise InvalidTypeError(dtype, "data", f"integer like array, not dtype {dtype};")

    # -- dimensions --------------------------------------------------------

    @property
    def _ndim(self) -> int:
        return 2

    @property
    def _stack_axis(self) -> int:
        return 0

    def _as_one_trial(self) -> NDArray[np.float64]:
        """From the first event to the last, which is part of it."""
        samples = self.column("sample")
        return np.array([[samples[0], samples[-1] + 1, 0.0]])

    @property
    def n_samples(self) -> float:
        """Unlimited: events do not tell how long the recording was."""
        return np.inf

    def _labels(self) -> dict[str, NDArray[Any]]:
        """Codes that occur, per column that can be selected."""
        return {} if self._source is None else {dim: np.unique(self.column(dim)) for dim in self.code_dims}

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
        numbers = np.full(len(self.column("sample")), -1, dtype=np.int64)
        for k, (first, stop) in enumerate(self._row_bounds(self._trialdefinition)):
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

    def _row_bounds(self, trl: NDArray[np.float64]) -> Codes:
        """First row and row behind the last of each trial."""
        bounds: Codes = np.searchsorted(self.column("sample"), trl[:, :2])
        return bounds

    def _get_trial(self, k: int) -> NDArray[Any]:
        first, stop = self._row_bounds(self._trl[k : k + 1])[0]
        rows: NDArray[Any] = ArrayView(self._array)[int(first) : int(stop)]
        return rows

    def _get_time(self, k: int) -> NDArray[np.float64]:
        first, stop = self._row_bounds(self._trl[k : k + 1])[0]
        return self._times(self.column("sample")[first:stop], self._trl[k])

    def _times(self, samples: Codes, row: NDArray[np.float64]) -> NDArray[np.float64]:
        times: NDArray[np.float64] = (samples - row[0] + row[2]) / (self._samplerate or np.nan)
        return times

    # -- selection ---------------------------------------------------------

    def _selected_rows(self, selection: Selection, k: int) -> Codes:
        """Numbers of the rows that belong to the k-th trial of a selection."""
        first, stop = self._row_bounds(selection.trialdefinition[k : k + 1])[0]
        rows = np.arange(first, stop)
        for dim in selection.index:
            rows = rows[np.isin(self.column(dim)[rows], selection.labels(dim))]
        return rows

    def _times_of(self, selection: Selection, k: int) -> NDArray[np.float64]:
        rows = self._selected_rows(selection, k)
        return self._times(self.column("sample")[rows], selection.trialdefinition[k])

    def read_selected(self, selection: Selection, k: int) -> NDArray[Any]:
        """Read the events of the k-th trial of a selection."""
        rows: NDArray[Any] = ArrayView(self._array)[self._selected_rows(selection, k)]
        return rows

    def selected_rows(self, selection: Selection) -> NDArray[Any]:
        """Read the events that are in any trial of a selection, each once and in their order."""
        bounds = self._row_bounds(selection.trialdefinition)
        begun = np.bincount(bounds[:, 0], minlength=len(self.column("sample")) + 1)
        ended = np.bincount(bounds[:, 1], minlength=len(self.column("sample")) + 1)
        wanted = np.cumsum(begun - ended)[:-1] > 0
        for dim in selection.index:
            wanted &= np.isin(self.column(dim), selection.labels(dim))
        if not wanted.any():
            raise InvalidValueError("selection with at least one event", "select", dict(selection.select))
        rows: NDArray[Any] = ArrayView(self._array)[np.flatnonzero(wanted)]
        return rows


def check_ascending(samples: NDArray[Any]) -> None:
    """Refuse rows that are not in the order of time, or before the recording."""
    if len(samples) and int(samples.min()) < 0:
        raise InvalidValueError("sample numbers, 0 or more", "data", f"sample {samples.min()}")
    disorder = np.flatnonzero(samples[1:] < samples[:-1])
    if disorder.size:
        k = int(disorder[0]) + 1
        legal = "rows in ascending order of their samples (array[array[:, 0].argsort()])"
        raise InvalidValueError(legal, "data", f"row {k} with sample {samples[k]} behind {samples[k - 1]}")
