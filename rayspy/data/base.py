"""What all data classes share: trials, time, labels, history, selection, repr."""

from __future__ import annotations

import getpass
import html
import os
import platform
import socket
import time as clock
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_path, check_scalar
from rayspy.data import actions
from rayspy.data.builder import (
    concatenated,
    from_array,
    from_file,
    from_open_dataset,
    from_trials,
    is_open_dataset,
)
from rayspy.data.operators import Operators
from rayspy.data.selection import Description, Selection, resolve, trial_intervals, trial_times
from rayspy.data.structdict import SerializableDict, serializable
from rayspy.data.trials import TrialIndexer, check_trialdefinition, one_trial, stacked_trials
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.sources import ArraySource, PartsSource

_ACCEPTED = "numpy.ndarray, list or generator of arrays, file name, HDF5 dataset or data object;"


class History(str):
    """Text of the object history that shows itself with line breaks in a console."""

    def __repr__(self) -> str:
        return str(self)


class BaseData(Operators):
    """Common part of all data classes; see `AnalogData`, `SpectralData` and `EventData`."""

    default_dimord: ClassVar[tuple[str, ...]] = ()
    label_dims: ClassVar[tuple[str, ...]] = ()
    selection_keys: ClassVar[tuple[str, ...]] = ()
    extension: ClassVar[str] = ""
    _hidden: ClassVar[tuple[str, ...]] = ("log", "trialdefinition")

    _source: ArraySource | None
    _trialdefinition: NDArray[np.float64] | None
    _samplerate: float | None

    def __init__(self, dimord: Any = None) -> None:
        self._dimord = self._check_dimord(dimord)
        self._source = None
        self._trialdefinition = None
        self._samplerate = None
        self._label_store: dict[str, NDArray[Any]] = {}
        self._selection: Selection | None = None
        self._cfg: dict[str, Any] = {}
        self._info = SerializableDict()
        self._log: list[str] = []
        self._filename: str | None = None
        self._mode = "r+"

    # -- construction ----------------------------------------------------

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._source, PartsSource) and self._source.keep is not None:
            self._filename = self._source.location

    def _construct(
        self, data: Any, filename: Any, trialdefinition: Any, samplerate: Any, labels: Mapping[str, Any]
    ) -> None:
        """Take over what a constructor got."""
        if data is None and filename is not None:
            self.__dict__.update(actions.call("load_as", filename, type(self)).__dict__)
            return
        self.samplerate = samplerate
        if data is not None:
            self._set_data(data)
        if samplerate is not None:
            self.samplerate = samplerate
        if trialdefinition is not None:
            if data is None:
                raise InvalidValueError("data to cut into trials", "trialdefinition", "no data")
            self.trialdefinition = trialdefinition
        for dim, values in labels.items():
            if values is not None:
                setattr(self, dim, values)
        if filename is not None and not self._is_file_of(data, filename):
            self.save(filename=filename)

    def _is_file_of(self, data: Any, filename: Any) -> bool:
        """Whether a file name only tells where an HDF5 dataset is."""
        if not is_open_dataset(data) or not isinstance(filename, (str, os.PathLike)):
            return False
        return Path(filename).expanduser().absolute() == Path(data.file.filename).absolute()

    def _set_data(self, data: Any) -> None:
        ndim, axis = self._ndim, self._stack_axis
        if isinstance(data, BaseData):
            self._adopt(data)
        elif isinstance(data, np.ndarray):
            self._attach(from_array(data, ndim, axis))
        elif is_open_dataset(data):
            self._attach(self._check_source(from_open_dataset(data)))
        elif isinstance(data, (str, os.PathLike)):
            self._open(check_path(data, "data"))
        elif isinstance(data, ArraySource):
            self._attach(self._check_source(data))
        elif isinstance(data, list):
            self._set_list(data)
        elif isinstance(data, Iterable) and not isinstance(data, (tuple, Mapping, bytes)):
            self._stack(data, equal=False)
        else:
            raise InvalidTypeError(data, "data", _ACCEPTED)

    def _set_list(self, items: list[Any]) -> None:
        if not items:
            raise InvalidValueError("at least one array or data object", "data", "empty list")
        if all(isinstance(item, BaseData) for item in items):
            self._join(items)
            return
        if not any(isinstance(item, (np.ndarray, BaseData)) for item in items):
            raise InvalidTypeError(items[0], "data", f"{_ACCEPTED} in a list")
        if not all(isinstance(item, np.ndarray) for item in items):
            raise InvalidValueError("consistent data types (arrays only)", "data", "list of different types")
        for k, trial in enumerate(items):
            if trial.dtype.kind in "fc" and np.isinf(trial).any():
                raise InvalidValueError("finite numbers", "data", f"trial {k} with `inf` entries")
        self._stack(items, equal=True)

    def _open(self, path: Path) -> None:
        if (path / "object.json").is_file():
            self._adopt(actions.call("load_as", path, type(self)))
        else:
            self._attach(from_file(path, self._ndim))

    def _check_source(self, source: ArraySource) -> ArraySource:
        if len(source.shape) != self._ndim or 0 in source.shape:
            raise InvalidValueError(
                f"non-empty {self._ndim}d-array", "data", f"array of shape {source.shape}"
            )
        return source

    def _attach(self, source: ArraySource) -> None:
        """Take over an array as one trial."""
        self._place(source)
        self._trialdefinition = self._as_one_trial()

    def _place(self, source: ArraySource) -> None:
        """Take over an array; labels that do not fit any more start anew."""
        self._source = source
        self._filename = source.location or None
        self._selection = None
        self._label_store = {
            dim: labels for dim, labels in self._label_store.items() if len(labels) == self._size_of(dim)
        }

    def _stack(self, trials: Iterable[Any], equal: bool) -> None:
        source, lengths = from_trials(trials, self._ndim, self._stack_axis, equal)
        self._attach(source)
        self._trialdefinition = stacked_trials(lengths, -(self._samplerate or 0.0))

    def _adopt(self, other: BaseData) -> None:
        """Share another object's stored array and copy everything that describes it."""
        if type(other) is not type(self):
            raise InvalidTypeError(other, "data", type(self).__name__)
        if self._dimord not in (self.default_dimord, other._dimord):
            raise InvalidValueError(f"dimord of the data, {other.dimord}", "dimord", self.dimord)
        self.__dict__.update(other.copy().__dict__)

    def _join(self, objects: list[BaseData]) -> None:
        """Put several objects one after the other; offsets and trialinfo are kept."""
        filled = [o for o in objects if o._source is not None]
        if not filled or any(type(o) is not type(self) for o in filled):
            raise InvalidTypeError(objects[0], "data", f"list of {type(self).__name__} objects with data;")
        first = filled[0]
        for k, other in enumerate(filled[1:], 1):
            problem = first._mismatch(other)
            if problem:
                raise InvalidValueError("objects that agree in all but their trials", f"data[{k}]", problem)
        n_columns = min(o._trl.shape[1] for o in filled)
        shifts = np.cumsum([0] + [o._array.shape[self._stack_axis] for o in filled[:-1]])
        tables = [o._trl[:, :n_columns].copy() for o in filled]
        for table, shift in zip(tables, shifts, strict=True):
            table[:, :2] += shift
        self._adopt(first)
        self._attach(concatenated([o._array for o in filled], self._stack_axis))
        self._trialdefinition = np.concatenate(tables)
        self._cfg = {}

    def _mismatch(self, other: BaseData) -> str:
        """Say in what respect another object cannot be put behind this one, or return ''."""
        if other._dimord != self._dimord:
            return f"dimord {list(other._dimord)} instead of {list(self._dimord)}"
        if other._samplerate != self._samplerate:
            return f"samplerate {other._samplerate} instead of {self._samplerate}"
        for dim, labels in self._labels().items():
            if not np.array_equal(other._labels()[dim], labels):
                return f"other {dim} labels"
        return ""

    @classmethod
    def from_parts(
        cls,
        source: ArraySource,
        trialdefinition: NDArray[np.float64],
        samplerate: float | None,
        labels: Mapping[str, Any],
        dimord: tuple[str, ...] | None = None,
    ) -> Self:
        """Put an object together from checked pieces.

        Parameters
        ----------
        source : ArraySource
            The array.
        trialdefinition : ndarray
            Trial definition, trusted.
        samplerate : float or None
            Hz.
        labels : mapping of str to array
            Labels per dimension.
        dimord : tuple of str, optional
            Order of the dimensions, the default of the class if left out.
        """
        made = cls.__new__(cls)
        BaseData.__init__(made, None if dimord is None else list(dimord))
        made._place(source)
        made._trialdefinition = trialdefinition
        made._samplerate = samplerate
        made._label_store = {dim: np.array(values) for dim, values in labels.items()}
        return made

    # -- dimensions --------------------------------------------------------

    def _check_dimord(self, dimord: Any) -> tuple[str, ...]:
        if dimord is None:
            return self.default_dimord
        if not isinstance(dimord, list):
            raise InvalidTypeError(dimord, "dimord", "list of str")
        if sorted(map(str, dimord)) != sorted(self.default_dimord):
            raise InvalidValueError(f"permutation of {list(self.default_dimord)}", "dimord", dimord)
        return tuple(dimord)

    @property
    def _ndim(self) -> int:
        return len(self._dimord)

    @property
    def _stack_axis(self) -> int:
        return self._dimord.index("time")

    def _as_one_trial(self) -> NDArray[np.float64]:
        """Trial definition of the whole recording."""
        return one_trial(self._array.shape[self._stack_axis])

    @property
    def n_samples(self) -> float:
        """Number of samples that trials may take up."""
        return self._array.shape[self._stack_axis]

    @property
    def _array(self) -> ArraySource:
        if self._source is None:
            raise InvalidValueError("object with data", "data", f"empty {type(self).__name__}")
        return self._source

    @property
    def _trl(self) -> NDArray[np.float64]:
        if self._trialdefinition is None:
            raise InvalidValueError("object with a trialdefinition", "data", f"empty {type(self).__name__}")
        return self._trialdefinition

    def _size_of(self, dim: str) -> int:
        return self._array.shape[self._dimord.index(dim)]

    def _labels(self) -> dict[str, NDArray[Any]]:
        """Labels per dimension that has labels."""
        if self._source is None:
            return {}
        return {dim: getattr(self, dim) for dim in self.label_dims}

    def describe(self) -> Description:
        """Describe the object for selections and plans; reads no data."""
        kind, labels = type(self).__name__, self._labels()
        return Description(kind, self.selection_keys, self._dimord, self._trl, self._samplerate, labels)

    @property
    def source(self) -> ArraySource:
        """Where the array is."""
        return self._array

    # -- public properties -------------------------------------------------

    @property
    def data(self) -> ArrayView | None:
        """The array, read only where it is indexed; shape as in `dimord`."""
        return None if self._source is None else ArrayView(self._source)

    @data.setter
    def data(self, value: Any) -> None:
        if value is None:
            self._source = self._trialdefinition = self._selection = self._filename = None
            self._label_store = {}
        elif self._source is not None and isinstance(value, np.ndarray):
            self._overwrite(self._source, value)
        else:
            self._set_data(value)

    def _overwrite(self, old: ArraySource, value: NDArray[Any]) -> None:
        """Put other numbers in the place of those there are; trials and labels stay."""
        if self._mode == "r":
            raise InvalidValueError("object whose mode is not 'r'", "data", "read-only object")
        if value.shape != old.shape:
            raise InvalidValueError(f"dataset with shape {old.shape}", "data", f"shape {value.shape}")
        if value.dtype != old.dtype:
            raise InvalidValueError(f"dataset of type {old.dtype}", "data", f"type {value.dtype}")
        self._source = from_array(value, self._ndim, self._stack_axis)
        self._filename = self._source.location or None

    @property
    def dimord(self) -> Any:
        """Names of the dimensions in order, a list; None of an object without data, unless it was given."""
        empty = self._source is None and self._dimord == self.default_dimord
        return None if empty else list(self._dimord)

    @dimord.setter
    def dimord(self, value: Any) -> None:
        names = self._check_dimord(value)
        if self._source is None:
            self._dimord = names
        elif names != self._dimord:
            raise InvalidValueError(f"{list(self._dimord)}, that of the data", "dimord", value)

    @property
    def samplerate(self) -> float | None:
        """Samples per second (Hz)."""
        return self._samplerate

    @samplerate.setter
    def samplerate(self, value: Any) -> None:
        if value is None:
            self._samplerate = None
            return
        rate = check_scalar(value, "samplerate")
        if rate <= np.finfo(float).eps:
            raise InvalidValueError("value to be greater than 0 (Hz)", "samplerate", value)
        self._samplerate = rate

    @property
    def trialdefinition(self) -> NDArray[np.float64] | None:
        """Array of trials x (start, stop exclusive, offset, trialinfo ...) in samples; a copy."""
        return None if self._trialdefinition is None else self._trialdefinition.copy()

    @trialdefinition.setter
    def trialdefinition(self, trl: Any) -> None:
        n = self.n_samples
        self._trialdefinition = self._as_one_trial() if trl is None else check_trialdefinition(trl, n)
        self._selection = None

    @property
    def sampleinfo(self) -> NDArray[np.float64] | None:
        """Array of trials x (start, stop exclusive) in samples."""
        return None if self._trialdefinition is None else self._trialdefinition[:, :2].copy()

    @sampleinfo.setter
    def sampleinfo(self, value: Any) -> None:
        raise InvalidValueError("sampleinfo to be set through `trialdefinition`", "sampleinfo")

    @property
    def trialinfo(self) -> NDArray[np.float64] | None:
        """Array of trials x further columns of the trial definition."""
        return None if self._trialdefinition is None else self._trialdefinition[:, 3:].copy()

    @trialinfo.setter
    def trialinfo(self, value: Any) -> None:
        raise InvalidValueError("trialinfo to be set through `trialdefinition`", "trialinfo")

    @property
    def trialintervals(self) -> NDArray[np.float64] | None:
        """Array of trials x (first, last time) in seconds."""
        trl = self._trialdefinition
        return None if trl is None else trial_intervals(trl, self._samplerate)

    @property
    def trial_ids(self) -> NDArray[np.int64] | None:
        """Numbers of the trials."""
        return None if self._trialdefinition is None else np.arange(len(self._trialdefinition))

    @property
    def trials(self) -> TrialIndexer[NDArray[Any]] | None:
        """Trials as arrays; each is read when it is asked for."""
        if self._trialdefinition is None:
            return None
        return TrialIndexer(self._get_trial, range(len(self._trialdefinition)))

    def _get_trial(self, k: int) -> NDArray[Any]:
        start, stop = (int(s) for s in self._trl[k, :2])
        index = [slice(None)] * len(self._dimord)
        index[self._stack_axis] = slice(start, stop)
        array: NDArray[Any] = ArrayView(self._array)[tuple(index)]
        return array

    @property
    def time(self) -> TrialIndexer[NDArray[np.float64]] | None:
        """Time axes in seconds, one array per trial."""
        if self._trialdefinition is None or self._samplerate is None:
            return None
        return TrialIndexer(self._get_time, range(len(self._trialdefinition)))

    def _get_time(self, k: int) -> NDArray[np.float64]:
        return trial_times(self._trl[k], self._samplerate or np.nan)

    @property
    def is_time_locked(self) -> bool:
        """Whether all trials have the same length and offset."""
        if self._trialdefinition is None:
            return False
        lengths = self._trialdefinition[:, 1] - self._trialdefinition[:, 0]
        return bool((lengths == lengths[0]).all() and (self._trl[:, 2] == self._trl[0, 2]).all())

    @property
    def cfg(self) -> dict[str, Any]:
        """Settings of every front-end that led to this object; pass it to one to do the same again."""
        return self._cfg

    @cfg.setter
    def cfg(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise InvalidTypeError(value, "cfg", "dictionary-like object")
        self._cfg = value

    @property
    def info(self) -> SerializableDict:
        """Notes about the data, saved with it."""
        return self._info

    @info.setter
    def info(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise InvalidTypeError(value, "info", "dictionary-like object")
        checked = SerializableDict()
        checked.update(value)
        self._info = checked

    @property
    def log(self) -> History:
        """History of the object; assign text to append to it."""
        return History("\n".join([f"rayspy history, Python {platform.python_version()}", *self._log]))

    @log.setter
    def log(self, text: Any) -> None:
        if not isinstance(text, str):
            raise InvalidTypeError(text, "log", "str")
        self._log.append(f"|=== {_who()}: {clock.ctime()} ===|\n\n\t{text}\n")

    def log_entries(self) -> list[str]:
        """Entries of the history, the first one first."""
        return list(self._log)

    def continue_log(self, entries: Iterable[str]) -> None:
        """Let the history consist of these entries, to which others may be appended."""
        self._log = list(entries)

    @property
    def filename(self) -> str | None:
        """File or folder with the data, None if it is in memory."""
        return self._filename

    @property
    def container(self) -> str | None:
        """Container folder (``.spy``) that holds the object."""
        parent = Path(self._filename).parent if self._filename else None
        return str(parent) if parent is not None and parent.suffix == ".spy" else None

    @property
    def tag(self) -> str | None:
        """What distinguishes this object from others of its kind in its container."""
        if self.container is None or self._filename is None:
            return None
        stem, name = Path(self.container).stem, Path(self._filename).stem
        return name.removeprefix(f"{stem}_") if name.startswith(f"{stem}_") else None

    @property
    def mode(self) -> str:
        """Access mode, for compatibility: stored arrays are never changed in place."""
        return self._mode

    @mode.setter
    def mode(self, value: Any) -> None:
        if not isinstance(value, str):
            raise InvalidTypeError(value, "mode", "str")
        if value not in ("r", "r+", "w", "c"):
            raise InvalidValueError("one of 'r', 'r+', 'w', 'c'", "mode", value)
        self._mode = "r+" if value == "w" else value

    @property
    def selection(self) -> Selection | None:
        """The active in-place selection, or None; assign a dictionary, 'all' or None."""
        found = self._selection
        if found is None:
            return None
        return replace(found, read=partial(self.read_selected, found), clock=partial(self._times_of, found))

    @selection.setter
    def selection(self, select: Any) -> None:
        self._selection = None if select is None else resolve(select, self.describe())

    def moved_to(self, source: ArraySource, filename: str) -> None:
        """Read the same array from a file from now on."""
        self._source, self._filename = source, filename

    def activate(self, selection: Selection) -> None:
        """Make a selection from this object its active one."""
        self._selection = selection

    def read_selected(self, selection: Selection, k: int) -> NDArray[Any]:
        """Read the k-th trial of a selection."""
        start, stop = (int(s) for s in selection.trialdefinition[k, :2])
        index = [selection.index.get(dim, slice(None)) for dim in self._dimord]
        index[self._stack_axis] = slice(start, stop)
        array: NDArray[Any] = ArrayView(self._array)[tuple(index)]
        return array

    def _times_of(self, selection: Selection, k: int) -> NDArray[np.float64]:
        """Times of the k-th trial of a selection in seconds."""
        return trial_times(selection.trialdefinition[k], self._samplerate or np.nan)

    # -- methods -------------------------------------------------------------

    def copy(self) -> Self:
        """Return an independent copy; the stored array, which never changes, is shared."""
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for name in ("_cfg", "_info", "_log", "_label_store", "_trialdefinition"):
            setattr(twin, name, deepcopy(getattr(self, name)))
        twin._selection = None
        return twin

    def clear(self) -> None:
        """Do nothing: no data is cached. Kept for scripts written for Syncopy."""

    def definetrial(
        self,
        trialdefinition: Any = None,
        pre: Any = None,
        post: Any = None,
        start: Any = None,
        trigger: Any = None,
        stop: Any = None,
        clip_edges: bool = False,
    ) -> None:
        """Cut the recording into trials, in place; see `rayspy.definetrial`."""
        actions.call("definetrial", self, trialdefinition, pre, post, start, trigger, stop, clip_edges)

    def selectdata(self, **kwargs: Any) -> Any:
        """Select trials, channels, times ...; see `rayspy.selectdata`."""
        return actions.call("selectdata", self, **kwargs)

    def show(self, squeeze: bool = True, **kwargs: Any) -> Any:
        """Return selected data as arrays; see `rayspy.show`."""
        return actions.call("show", self, squeeze=squeeze, **kwargs)

    def save(
        self, container: Any = None, tag: Any = None, filename: Any = None, overwrite: bool = False
    ) -> None:
        """Save the object; see `rayspy.save`."""
        actions.call("save", self, container=container, tag=tag, filename=filename, overwrite=overwrite)

    def to_dask(self) -> Any:
        """Return the array as a Dask array, one chunk per stored part; nothing is read yet."""
        return actions.call("to_dask", self)

    def singlepanelplot(self, **show_kwargs: Any) -> Any:
        """Draw one trial into one panel; see `rayspy.singlepanelplot`."""
        return actions.call("singlepanelplot", self, **show_kwargs)

    def multipanelplot(self, **show_kwargs: Any) -> Any:
        """Draw one trial with a panel per channel; see `rayspy.multipanelplot`."""
        return actions.call("multipanelplot", self, **show_kwargs)

    def record(self, function: str, settings: Mapping[str, Any], parallel: bool, where: str = "") -> None:
        """Append what a front-end did, and on what, to the history."""
        lines = [f"\t{key} = {_abbreviated(value)}" for key, value in settings.items()]
        lines.append(f"\tused_parallel = {parallel}{f' ({where})' if where else ''}")
        self.log = f"computed {function} with settings\n" + "\n".join(lines)

    # -- repr ------------------------------------------------------------------

    def _fields(self) -> list[tuple[str, str]]:
        names = sorted(
            name
            for name in dir(type(self))
            if not name.startswith("_")
            and name not in (*self._hidden, "source", "n_samples")
            and isinstance(getattr(type(self), name), property)
        )
        return [(name, self._field_text(name)) for name in names]

    def _field_text(self, name: str) -> str:
        value = self._dimord if name == "dimord" else getattr(self, name)
        if name == "data" and value is not None:
            return self._data_text()
        if name == "dimord":
            return " by ".join(value)
        return _value_text(value)

    def _data_text(self) -> str:
        array, trl = ArrayView(self._array), self._trl
        lengths = trl[:, 1] - trl[:, 0]
        same = f"of length {lengths[0]:g} " if (lengths == lengths[0]).all() else ""
        sizes = " x ".join(map(str, array.shape))
        size = f"{array.nbytes / 2**30:.2f} GB" if array.nbytes > 2**30 else f"{array.nbytes / 2**20:.2f} MB"
        plural = "s" * (len(trl) != 1)
        return f"{len(trl)} trial{plural} {same}defined on [{sizes}] {array.dtype} array of size {size}"

    def __repr__(self) -> str:
        fields = self._fields()
        width = max(len(name) for name, _ in fields) + 5
        lines = [f"{name:>{width}} : {text}" for name, text in fields]
        title = f"rayspy {type(self).__name__} object with fields"
        return "\n".join([title, "", *lines, "", "Use `.log` to see object history"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:right'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self._fields()
        )
        return f"<p><b>rayspy {type(self).__name__}</b></p><table>{rows}</table>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return ArrayView(self._array).__array__(dtype, copy)

    def __len__(self) -> int:
        return 0 if self._trialdefinition is None else len(self._trialdefinition)

    def __bool__(self) -> bool:
        return True


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return f"{user}@{socket.gethostname()}"


_MANY = 1000
_LINE = 79
"""Longest text of a setting in the history."""


def _abbreviated(value: Any) -> str:
    """Text of a setting; long lists lose whole items in the middle."""
    sequence = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
    if sequence and len(value) > _MANY:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)} values)"
    try:
        text = str(serializable(value))
    except InvalidTypeError:
        text = str(value)
    if len(text) <= _LINE:
        return text
    pieces = text.split(", ")
    first, last = pieces[:1], pieces[-1:]
    if len(pieces) < 3 or len(first[0]) + len(last[0]) > _LINE:
        return f"{text[: _LINE // 2]} ... {text[-_LINE // 4 :]}"
    while len(", ".join([*first, pieces[len(first)], *last])) < _LINE // 2:
        first.append(pieces[len(first)])
    while len(", ".join([*first, pieces[-len(last) - 1], *last])) < _LINE:
        last.insert(0, pieces[-len(last) - 1])
    return ", ".join([*first, "...", *last])


def _value_text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        sizes = " x ".join(map(str, value.shape))
        if value.ndim == 1 and value.size <= 4:
            return ", ".join(str(v) for v in value)
        return f"[{sizes}] element {type(value).__name__}"
    if isinstance(value, dict):
        if len(value) >= 7:
            return f"dictionary with {len(value)} keys"
        keys = ", ".join(f"'{key}'" for key in value)
        return f"dictionary with keys {keys}" if value else "empty dictionary"
    if isinstance(value, list):
        return f"{len(value)} element list"
    return str(value)
