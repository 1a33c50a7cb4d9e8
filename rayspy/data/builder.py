"""From what users have (arrays, lists, generators, files) to array sources."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.config import config
from rayspy.data.masked import n_masked, plain, tell_masked
from rayspy.errors import InvalidTypeError, InvalidValueError, PathError
from rayspy.limits import inmemory_limit
from rayspy.storage.leases import StoredArray
from rayspy.storage.links import check_links
from rayspy.storage.npy import describe_npy
from rayspy.storage.parts import PartsTarget, open_parts
from rayspy.storage.scratch import check_space, new_target
from rayspy.storage.sources import (
    ArraySource,
    ConcatSource,
    Hdf5Source,
    MemorySource,
    Part,
    RawSource,
    is_storable,
    open_hdf5,
)
from rayspy.storage.stamps import NOT_WATCHED, Stamp

Array = NDArray[Any]


class StackWriter:
    """Stacks arrays along one axis; spills to the scratch folder when they get large.

    What is held in memory never exceeds ``spy.config.inmemory_bytes`` plus the
    array that is added, and the copy that joins them.
    """

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self._pending: list[Array] = []
        self._pending_bytes = 0
        self._length = 0
        self._written = 0
        self._template: Array | None = None
        self._target: tuple[PartsTarget, str] | None = None
        self._parts: list[Part] = []

    def add(self, array: Array) -> None:
        """Append one array, which must not change any more."""
        if self._template is None:
            self._template = array[(slice(0),) * array.ndim]
            self._shape = list(array.shape)
        self._pending.append(array)
        self._pending_bytes += array.nbytes
        self._length += array.shape[self._axis]
        limit = inmemory_limit() if self._target is None else config.block_bytes
        if self._pending_bytes > limit:
            self._spill()

    def _spill(self) -> None:
        if self._target is None:
            self._target = new_target()
        check_space(self._pending_bytes, "the data set")
        stacked = np.concatenate(self._pending, axis=self._axis)
        rows = max(1, config.block_bytes // max(1, stacked.nbytes // max(1, stacked.shape[self._axis])))
        for first in range(0, stacked.shape[self._axis], rows):
            index = [slice(None)] * stacked.ndim
            index[self._axis] = slice(first, first + rows)
            start = [0] * stacked.ndim
            start[self._axis] = self._written + first
            self._parts.append(self._target[0].write(tuple(start), stacked[tuple(index)]))
        self._written += stacked.shape[self._axis]
        self._pending, self._pending_bytes = [], 0

    def finish(self) -> ArraySource:
        """Return the stacked array."""
        if self._template is None:
            raise InvalidValueError("at least one trial", "data", "nothing")
        if self._target is None:
            return MemorySource(np.concatenate(self._pending, axis=self._axis))
        if self._pending:
            self._spill()
        self._shape[self._axis] = self._length
        target, final = self._target
        target.commit(final, tuple(self._shape), self._template.dtype, self._parts)
        return open_parts(final, keep=StoredArray(final))

    def abort(self) -> None:
        """Remove what was written."""
        if self._target is not None:
            self._target[0].discard()


def check_numeric(array: Array, name: str = "data") -> Array:
    """Accept numbers only."""
    check_dtype(array.dtype, name)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_dtype(dtype: np.dtype[Any], name: str = "data") -> None:
    """Accept types that can be stored."""
    if not is_storable(dtype):
        raise InvalidTypeError(dtype, name, f"numbers of up to double precision, not dtype {dtype};")


def _check_ndim(array: Array, ndim: int) -> Array:
    if array.ndim != ndim:
        raise InvalidValueError(f"{ndim}d-array", "data", f"{array.ndim}d-array of shape {array.shape}")
    return array


def from_array(array: Array, ndim: int, axis: int) -> ArraySource:
    """Take over an array by value: a copy in memory, or in the scratch folder if it is large."""
    check_dtype(array.dtype)
    _check_ndim(array, ndim)
    if 0 in array.shape:
        raise InvalidValueError("non-empty array", "data", f"array of shape {array.shape}")
    masked = n_masked(array)
    tell_masked(masked)
    array = array if masked else np.asarray(array)
    if array.nbytes <= inmemory_limit():
        array = plain(array)
        return MemorySource(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    check_space(array.nbytes, "the data set")
    writer = StackWriter(axis)
    rows = max(1, config.block_bytes // max(1, array.nbytes // array.shape[axis]))
    try:
        for first in range(0, array.shape[axis], rows):
            index = [slice(None)] * array.ndim
            index[axis] = slice(first, first + rows)
            writer.add(check_numeric(plain(array[tuple(index)])))
        return writer.finish()
    except BaseException:
        writer.abort()
        raise


def from_trials(trials: Iterable[Any], ndim: int, axis: int, equal: bool) -> tuple[ArraySource, list[int]]:
    """Stack trials from a list or generator, one at a time.

    Parameters
    ----------
    trials : iterable of ndarray
        One array per trial.
    ndim : int
        Number of dimensions each must have.
    axis : int
        Axis to stack along.
    equal : bool
        Whether all trials must have the same length.

    Returns
    -------
    source : ArraySource
        The stacked trials.
    lengths : list of int
        Length of each.
    """
    writer = StackWriter(axis)
    lengths: list[int] = []
    first: Array | None = None
    masked = 0
    try:
        for k, trial in enumerate(_arrays(trials)):
            _check_ndim(trial, ndim)
            masked += n_masked(trial)
            check_dtype(trial.dtype)
            trial = check_numeric(plain(trial))
            if first is None:
                first = trial[(slice(0),) * ndim]
                shape = trial.shape
            _check_like(trial, shape, first.dtype, axis, equal, k)
            lengths.append(trial.shape[axis])
            writer.add(np.array(trial, order="C"))
        if not lengths:
            raise InvalidValueError("at least one trial", "data", "empty or exhausted generator")
        tell_masked(masked)
        return writer.finish(), lengths
    except BaseException:
        writer.abort()
        raise


def _arrays(trials: Iterable[Any]) -> Iterator[Array]:
    for k, trial in enumerate(trials):
        if not isinstance(trial, np.ndarray):
            raise InvalidTypeError(trial, f"data: trial {k}", "numpy.ndarray")
        yield trial


def _check_like(
    trial: Array, shape: tuple[int, ...], dtype: np.dtype[Any], axis: int, equal: bool, k: int
) -> None:
    rest = tuple(n for i, n in enumerate(trial.shape) if i != axis)
    expected = tuple(n for i, n in enumerate(shape) if i != axis)
    if rest != expected or (equal and trial.shape != shape) or trial.shape[axis] == 0:
        raise InvalidValueError(f"trials of shape {shape}", "data", f"trial {k} of shape {trial.shape}")
    if trial.dtype != dtype:
        raise InvalidValueError(f"trials of type {dtype}", "data", f"trial {k} of type {trial.dtype}")


def from_file(path: Path, ndim: int) -> ArraySource:
    """Open an array in an ``.npy``, native or HDF5 file without copying it."""
    path = path.resolve()
    if not path.exists():
        raise PathError(path, exists=False)
    source: ArraySource
    if path.is_dir():
        source = open_parts(path)
    else:
        source = from_npy(path) if path.suffix == ".npy" else from_hdf5(path, None)
    if len(source.shape) != ndim:
        raise InvalidValueError(f"{ndim}d-array", "data", f"array of shape {source.shape} in {path}")
    return source


def from_npy(path: Path) -> RawSource:
    """Open an ``.npy`` file without copying it."""
    try:
        (shape, fortran, dtype), offset, stamp = describe_npy(path)
    except ValueError as error:
        raise InvalidValueError("NumPy .npy file", "data", f"{path}: {error}") from None
    check_dtype(dtype)
    return RawSource(str(path), dtype, shape, "F" if fortran else "C", offset, stamp=stamp)


_HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".mat", ".nwb")


def from_hdf5(path: Path, name: str | None, stamp: Stamp | None = None, outside: bool = False) -> Hdf5Source:
    """Open a dataset of an HDF5 file; without a name the one called ``data`` or the only one."""
    import h5py

    path = path.resolve()
    if not path.is_file():
        raise PathError(path, exists=False)
    if path.suffix == ".npz":
        raise InvalidValueError("an array: numpy.load(path)[name] reads one of an .npz", "data", path)
    if path.suffix.lower() not in _HDF5_SUFFIXES and not h5py.is_hdf5(path):
        raise InvalidValueError(
            "HDF5 file, .npy file or folder of rayspy; spy.read opens recordings", "data", path
        )
    with open_hdf5(str(path)) as file:
        check_links(file, path, outside)
        if name is None:
            found: list[str] = []
            file.visititems(lambda key, kind: found.append(key) if isinstance(kind, h5py.Dataset) else None)
            name = "data" if "data" in file else found[0] if len(found) == 1 else None
            if name is None:
                raise InvalidValueError(
                    "HDF5 file with one dataset or one named 'data'; or spy.hdf5_dataset(path, name)",
                    "data",
                    f"{path} with datasets {', '.join(found) or 'none'}",
                )
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise InvalidValueError("name of a dataset in the file", "dataset", f"{name} in {path}")
        check_dtype(dataset.dtype)
        return Hdf5Source(str(path), name, dataset.shape, dataset.dtype.newbyteorder("="), stamp)


def is_open_dataset(data: Any) -> bool:
    """Whether something is an h5py dataset; without h5py loaded it cannot be one."""
    h5py = sys.modules.get("h5py")
    return h5py is not None and isinstance(data, h5py.Dataset)


def from_open_dataset(dataset: Any) -> Hdf5Source:
    """Refer to an open h5py dataset by file and name."""
    if not dataset:
        raise InvalidValueError("open HDF5 dataset", "data", "closed HDF5 dataset")
    path = Path(dataset.file.filename)
    if dataset.file.mode == "r":
        return from_hdf5(path, dataset.name, outside=True)
    dataset.file.flush()
    return from_hdf5(path, dataset.name, NOT_WATCHED, outside=True)


def concatenated(sources: list[ArraySource], axis: int) -> ArraySource:
    """Several sources one after the other."""
    return sources[0] if len(sources) == 1 else ConcatSource(tuple(sources), axis)
