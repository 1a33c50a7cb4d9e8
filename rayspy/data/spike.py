"""Spikes: one row each, with channel and unit."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import is_whole
from rayspy.data.builder import StackWriter, from_array, is_open_dataset
from rayspy.data.builder import from_open_dataset as _opened
from rayspy.data.discrete import Codes, DiscreteData
from rayspy.data.labels import check_names
from rayspy.data.selection import Selection
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.rows import blocks_of
from rayspy.storage.sources import ArraySource

Labels = NDArray[Any]


class SpikeData(DiscreteData):
    """Table of spikes, one row each: sample number, code of the channel, code of the unit.

    Parameters
    ----------
    data : array, file name, HDF5 dataset or SpikeData, optional
        Whole numbers of shape (spikes, 3) in ascending order of the samples, no
        spike twice. Arrays are taken over by value, files are used in place: they
        are searched for the spikes of a trial and read by block.
    filename : str, optional
        Where to save the object, or what to load if `data` is left out.
    trialdefinition : ndarray of shape (trials, 3 or more), optional
        Start sample, stop sample (exclusive), offset in samples, further columns;
        one trial from the first to the last spike if left out. Spikes may be in
        several trials or in none.
    samplerate : float, optional
        Samples per second (Hz) that the sample numbers refer to.
    channel, unit : list of str or dict of int to str, optional
        Names, one per code that occurs in ascending order of the codes, or by code;
        ``channel1`` is the default for code 0. A dictionary may also name codes
        without spikes, which then are kept as silent channels or units.
    dimord : list of str, optional
        Order of the columns 'sample', 'channel' and 'unit'.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        An argument cannot be used; the message names it.

    Notes
    -----
    A unit is known by its channel and its code: unit 1 of channel 0 and unit 1 of
    channel 2 are two cells. Spike sorters that number cells through are fine, too.
    Files are read once from beginning to end when codes are first asked for; a
    file whose rows are out of order or twice there is refused then. See
    `rayspy.spikes_from_times`, `rayspy.spikes_from_pandas` and `rayspy.load_phy`
    for other things to begin with.

    Examples
    --------
    >>> import numpy as np
    >>> import rayspy as spy
    >>> table = np.array([[10, 0, 0], [25, 0, 1], [40, 0, 0]])
    >>> spikes = spy.SpikeData(table, samplerate=1000, unit=["fast", "slow"])
    >>> spikes.selectdata(unit="fast").sample.tolist()
    [10, 40]
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("sample", "channel", "unit")
    code_dims: ClassVar[tuple[str, ...]] = ("channel", "unit")
    rows_are_unique: ClassVar[bool] = True
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel", "unit")
    extension: ClassVar[str] = ".spike"
    _hidden: ClassVar[tuple[str, ...]] = (*DiscreteData._hidden, "pairs", "waveform_source")
    _silent: dict[str, Codes] = {}  # noqa: RUF012 - replaced, never changed
    _waveform: ArraySource | None = None

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: NDArray[Any] | None = None,
        samplerate: float | None = None,
        channel: Any = None,
        unit: Any = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        self._construct(data, filename, trialdefinition, samplerate, {"channel": channel, "unit": unit})

    def _place(self, source: ArraySource) -> None:
        self._silent, self._waveform, self._label_store = {}, None, {}
        super()._place(source)

    # -- codes and names ---------------------------------------------------

    def codes(self, dim: str) -> Codes:
        """Codes of channels or units, in ascending order: those that occur, and named silent ones."""
        return np.union1d(super().codes(dim), self._silent.get(dim, np.empty(0, np.int64)))

    @property
    def channel_idx(self) -> Codes | None:
        """Codes of the channels."""
        return None if self._source is None else self.codes("channel")

    @property
    def unit_idx(self) -> Codes | None:
        """Codes of the units."""
        return None if self._source is None else self.codes("unit")

    @property
    def channel(self) -> Labels | None:
        """Names of the channels, one per code in `channel_idx`."""
        return self._names("channel")

    @channel.setter
    def channel(self, value: Any) -> None:
        self.set_names("channel", value)

    @property
    def unit(self) -> Labels | None:
        """Names of the units, one per code in `unit_idx`."""
        return self._names("unit")

    @unit.setter
    def unit(self, value: Any) -> None:
        self.set_names("unit", value)

    def _names(self, dim: str) -> Labels | None:
        if self._source is None:
            return None
        if dim not in self._label_store:
            self._label_store[dim] = default_code_names(dim, self.codes(dim))
        names: Labels = self._label_store[dim]
        return names

    def set_names(self, dim: str, value: Any) -> None:
        """Name channels or units: a list in the order of their codes, or a dictionary by code."""
        if self._source is None:
            raise InvalidValueError("data to be set before its labels", dim, "object without data")
        if value is None:
            raise InvalidValueError(f"names of {dim}s, a list or a dictionary by code", dim, value)
        if isinstance(value, dict):
            self._name_by_code(dim, value)
            return
        self._label_store[dim] = check_names(value, dim, len(self.codes(dim)))

    def _name_by_code(self, dim: str, value: dict[Any, Any]) -> None:
        for code in value:
            if not is_whole(code):
                raise InvalidValueError("whole numbers as codes", dim, code)
        codes = np.array(sorted(int(code) for code in value), dtype=np.int64)
        occurring = super().codes(dim)
        nameless = np.setdiff1d(occurring, codes)
        if nameless.size:
            raise InvalidValueError(
                f"a name for each code that occurs ({_some(occurring)})", dim, nameless[0]
            )
        names = check_names([value[code] for code in sorted(value)], dim, len(codes))
        self._silent = {**self._silent, dim: np.setdiff1d(codes, occurring)}
        self._label_store[dim] = names

    def _labels(self) -> dict[str, Labels]:
        found = {dim: self._names(dim) for dim in self.code_dims}
        return {dim: names for dim, names in found.items() if names is not None}

    @property
    def pairs(self) -> Codes:
        """Codes of channel and unit of each cell, shape (cells, 2), in ascending order.

        All combinations that occur. A silent unit belongs to the silent channels if
        there are any, else to the first channel.
        """
        silent = self._silent.get("unit", np.empty(0, np.int64))
        homes = self._silent.get("channel", np.empty(0, np.int64))
        home = int(homes[0]) if len(homes) else int(self.combinations[0, 0])
        extra = np.column_stack([np.full(len(silent), home, dtype=np.int64), silent])
        pairs = np.concatenate([self.combinations, extra])
        return pairs[np.lexsort(pairs.T[::-1])]

    # -- waveforms ---------------------------------------------------------

    @property
    def waveform(self) -> ArrayView | None:
        """Waveform of each spike, shape (spikes, ...), or None; read only where it is indexed."""
        return None if self._waveform is None else ArrayView(self._waveform)

    @waveform.setter
    def waveform(self, value: Any) -> None:
        if value is None:
            self._waveform = None
            return
        if self._source is None:
            raise InvalidValueError("data to be set before waveforms", "waveform", "object without data")
        if not isinstance(value, (np.ndarray, ArraySource, ArrayView)) and not is_open_dataset(value):
            raise InvalidTypeError(value, "waveform", "numpy.ndarray, HDF5 dataset or None;")
        if value.ndim < 2 if hasattr(value, "ndim") else len(value.shape) < 2:
            raise InvalidValueError(
                "waveform data with at least 2 dimensions", "waveform", f"array of shape {value.shape}"
            )
        if value.shape[0] != self._array.shape[0]:
            legal = f"one waveform for each of {self._array.shape[0]} spikes"
            raise InvalidValueError(legal, "waveform", f"array of shape {value.shape}")
        self._waveform = _waveform_source(value)

    @property
    def waveform_source(self) -> ArraySource | None:
        """Where the waveforms are."""
        return self._waveform

    def set_waveform_source(self, source: ArraySource | None) -> None:
        """Take over waveforms that are known to fit."""
        self._waveform = source

    def _overwrite(self, old: ArraySource, value: NDArray[Any]) -> None:
        super()._overwrite(old, value)
        self._label_store, self._silent = {}, {}

    # -- selection ---------------------------------------------------------

    def restrict(self, made: DiscreteData, selection: Selection) -> None:
        """Names, silent units and waveforms of what is selected."""
        if not isinstance(made, SpikeData):
            return
        keep = np.ones(len(self.combinations), dtype=bool)
        for k, dim in enumerate(self.code_dims):
            keep &= np.isin(self.combinations[:, k], self.selected_codes(selection, dim))
        made._combinations = self.combinations[keep]
        silent = {dim: self._silent.get(dim, np.empty(0, np.int64)) for dim in self.code_dims}
        made._silent = {
            dim: np.intersect1d(codes, self.selected_codes(selection, dim)) for dim, codes in silent.items()
        }
        for dim in self.code_dims:
            made._label_store[dim] = self._labels()[dim][np.isin(self.codes(dim), made.codes(dim))]
        if self._waveform is not None:
            made._waveform = self._selected_waveforms(selection)

    def _selected_waveforms(self, selection: Selection) -> ArraySource:
        writer, waveforms = StackWriter(0), ArrayView(self._waveform)  # type: ignore[arg-type]
        try:
            for first, wanted, _ in self.wanted_rows(selection):
                for low, shapes in blocks_of(waveforms.source, first, first + len(wanted)):
                    writer.add(np.array(shapes[wanted[low - first : low - first + len(shapes)]]))
            return writer.finish()
        except BaseException:
            writer.abort()
            raise

    # -- storage -----------------------------------------------------------

    def coordinates(self) -> dict[str, Any]:
        """Codes that occur, silent ones, and names."""
        labels = self._labels()
        return {
            **super().coordinates(),
            "silent": {dim: codes.tolist() for dim, codes in self._silent.items()},
            "names": {dim: names.tolist() for dim, names in labels.items()},
        }

    def set_coordinates(self, stored: dict[str, Any]) -> None:
        """Take over what `coordinates` gave."""
        super().set_coordinates(stored)
        self._silent = {dim: np.array(codes, dtype=np.int64) for dim, codes in stored["silent"].items()}
        for dim in self.code_dims:
            self._label_store[dim] = check_names(stored["names"][dim], dim, len(self.codes(dim)))


def default_code_names(dim: str, codes: Codes) -> Labels:
    """Names ``unit1 ...`` for codes 0 ..., padded with zeros to equal length."""
    width = len(str(int(codes.max(initial=0))))
    return np.array([f"{dim}{code + 1:0{width}d}" for code in codes.tolist()])


def _waveform_source(value: Any) -> ArraySource:
    if isinstance(value, ArrayView):
        return value.source
    if isinstance(value, np.ndarray):
        return from_array(value, value.ndim, 0)
    return _opened(value) if is_open_dataset(value) else value


def _some(codes: Codes) -> str:
    texts = [str(code) for code in codes[:8].tolist()]
    return ", ".join(texts) + (", ..." if len(codes) > 8 else "")
