"""Objects as `xarray.DataArray`; numbers are read when they are needed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.discrete import DiscreteData
from rayspy.data.structdict import serializable
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.io.readers.recording import required

Array = NDArray[Any]


def to_xarray(data: BaseData) -> Any:
    """Make an `xarray.DataArray` that reads its numbers when they are needed.

    Parameters
    ----------
    data : AnalogData, SpectralData, CrossSpectralData or TimeLockData
        Is not changed; an active selection does not count.

    Returns
    -------
    xarray.DataArray
        Trials of equal length and offset: dimensions trial x those of the object, `time` in
        seconds. Others: the dimensions of the object, where `time` has the seconds of each sample
        within its trial and the coordinate `trial` its number. Columns of trialinfo are the
        coordinates ``trialinfo0 ...``, per-channel units the coordinate `unit`. Attributes: units,
        quantity, samplerate, and ``info`` and ``cfg`` as JSON texts.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        Not such an object, or an empty one.
    MissingPackageError
        xarray is not installed.
    """
    if not isinstance(data, BaseData) or isinstance(data, DiscreteData):
        raise InvalidTypeError(data, "data", "data object of arrays (spikes and events: to_pandas);")
    if data.data is None:
        raise InvalidValueError("non-empty object", "data", f"empty {type(data).__name__}")
    try:
        import xarray
    except ImportError:
        raise required("xarray", "to_xarray") from None
    trl = data.trialdefinition
    stacked = data.is_time_locked and trl is not None and len(np.unique(trl[:, 0])) == len(trl)
    dims = ("trial", *data.dimord) if stacked else tuple(data.dimord)
    coords: dict[str, Any] = {dim: values for dim, values in data.describe().labels.items() if dim in dims}
    coords |= _stacked_times(data) if stacked else _times(data)
    unit, attrs = getattr(data, "unit", None), _attributes(data)
    if isinstance(unit, np.ndarray):
        coords["unit"] = ("channel", unit)
    elif unit:
        attrs["units"] = unit
    backend = _backend(data, stacked)
    lazy = xarray.core.indexing.LazilyIndexedArray(backend)
    variable = xarray.Variable(dims, lazy, attrs)
    return xarray.DataArray(variable, coords=coords, name=type(data).__name__)


def _attributes(data: BaseData) -> dict[str, Any]:
    found = {
        "samplerate": data.samplerate,
        "quantity": getattr(data, "quantity", None),
        "info": json.dumps(serializable(data.info, "info")),
        "cfg": json.dumps(serializable(data.cfg, "cfg")),
        "history": str(data.log),
    }
    return {key: value for key, value in found.items() if value not in (None, "{}")}


def _trialinfo(data: BaseData) -> dict[str, Any]:
    info = data.trialinfo
    return {} if info is None else {f"trialinfo{k}": info[:, k] for k in range(info.shape[1])}


def _stacked_times(data: BaseData) -> dict[str, Any]:
    extra = {name: ("trial", values) for name, values in _trialinfo(data).items()}
    found: dict[str, Any] = {"trial": np.arange(len(data)), **extra}
    return found | ({} if data.time is None else {"time": data.time[0]})


def _times(data: BaseData) -> dict[str, Any]:
    """Seconds, trial and trialinfo of each sample; of a sample in several trials those of the last."""
    trl = data.describe().trialdefinition
    n = data.source.shape[data.dimord.index("time")]
    trial, seconds = np.full(n, -1), np.full(n, np.nan)
    for k, (start, stop) in enumerate(trl[:, :2].astype(np.int64)):
        trial[start:stop] = k
        if data.time is not None:
            seconds[start:stop] = data.time[k]
    columns = _trialinfo(data).items()
    extra = {name: ("time", np.where(trial < 0, np.nan, values[trial])) for name, values in columns}
    found: dict[str, Any] = {"trial": ("time", trial), **extra}
    return found | ({} if data.time is None else {"time": seconds})


def _backend(data: BaseData, stacked: bool) -> Any:
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Lazy(BackendArray):  # type: ignore[misc]
        """What xarray indexes: integers, slices and one list per dimension."""

        def __init__(self) -> None:
            self.trials = Trials(data) if stacked else None
            self.shape = self.trials.shape if self.trials is not None else data.source.shape
            self.dtype = data.source.dtype

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, self.shape, indexing.IndexingSupport.OUTER, self._read
            )

        def _read(self, key: tuple[Any, ...]) -> Any:
            return self.trials.read(key) if self.trials is not None else ArrayView(data.source)[key]

        def __deepcopy__(self, memo: Any) -> Any:
            return self

    return Lazy()


class Trials:
    """Trials of equal length as one array, trial first; read by index."""

    def __init__(self, data: BaseData) -> None:
        self._view = ArrayView(data.source)
        self._axis = data.dimord.index("time")
        trl = data.describe().trialdefinition
        self._starts = trl[:, 0].astype(np.int64)
        self._length = int(trl[0, 1] - trl[0, 0])
        shape = list(data.source.shape)
        shape[self._axis] = self._length
        self.shape = (len(trl), *shape)

    def read(self, key: tuple[Any, ...]) -> Array:
        """Numbers of an index: integers, slices and lists, each for its own dimension."""
        which, inner = key[0], list(key[1:])
        one = isinstance(which, (int, np.integer))
        trials = np.atleast_1d(np.arange(self.shape[0])[which])
        rows = inner[self._axis]
        found = []
        for start in self._starts[trials]:
            inner[self._axis] = (
                int(rows) + int(start)
                if isinstance(rows, (int, np.integer))
                else (np.arange(self._length)[rows] + int(start))
            )
            found.append(np.asarray(self._view[tuple(inner)]))
        if not found:
            shape = [len(np.arange(n)[k]) for n, k in zip(self.shape, key, strict=True) if not np.isscalar(k)]
            return np.empty(shape, self._view.dtype)
        return found[0] if one else np.stack(found)
