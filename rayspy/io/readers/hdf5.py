"""HDF5 files of samples x channels, and the helpers of other formats that are HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rayspy.checks import check_bool, check_scalar
from rayspy.data.builder import from_hdf5, from_npy
from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import Notes, Recording, Stream, check_counts, damaged, existing
from rayspy.storage.links import check_links, files_of, is_elsewhere
from rayspy.storage.sources import ArraySource, Hdf5Source, open_hdf5

_RATES = ("samplerate", "sampling_rate", "samplingrate", "sfreq", "fs", "rate", "SampleRate", "fsample")
MOST_TEXTS = 1_000_000
_MOST_BYTES = 2**27


def open_hdf5_recording(
    path: Any,
    dataset: str | None = None,
    samplerate: float | None = None,
    channel: Any = None,
    unit: str | None = None,
    outside: bool = False,
) -> Recording:
    """Describe a dataset of samples x channels of an HDF5 file.

    Parameters
    ----------
    path : path
        The file.
    dataset : str, optional
        Name of the dataset; ``data``, or the only one, if left out.
    samplerate : float, optional
        Hz; read from an attribute ``samplerate``, ``fs`` ... of dataset or file if left out.
    channel : list of str, optional
        Names.
    unit : str, optional
        Unit of the numbers; an attribute ``unit`` or ``units`` if left out.
    outside : bool
        Whether links, external and virtual datasets may lead out of the folder of the file.
    """
    full = existing(path)
    source = from_hdf5(full, dataset, outside=check_bool(outside, "outside"))
    attributes = _attributes(full, source.name, outside)
    found = next((attributes[name] for name in _RATES if name in attributes), None)
    rate = samplerate if samplerate is not None else found
    text = unit or str(attributes.get("unit", attributes.get("units", "")))
    return _plain(full, "HDF5", source, rate, channel, text)


def open_npy(
    path: Any, samplerate: float | None = None, channel: Any = None, unit: str | None = None
) -> Recording:
    """Describe an ``.npy`` file of samples x channels."""
    full = existing(path)
    return _plain(full, "NumPy", from_npy(full), samplerate, channel, unit or "")


def _plain(full: Path, kind: str, source: ArraySource, samplerate: Any, channel: Any, unit: str) -> Recording:
    if samplerate is None:
        raise InvalidValueError("samplerate= in Hz, which the file does not state", "samplerate", None)
    if len(source.shape) != 2 or 0 in source.shape:
        raise InvalidValueError("non-empty array of samples x channels", str(full), f"shape {source.shape}")
    check_counts(full, channels=source.shape[1])
    width = len(str(source.shape[1]))
    names = [f"channel{k:0{width}d}" for k in range(1, source.shape[1] + 1)] if channel is None else channel
    rate = check_scalar(np.asarray(samplerate).item(), "samplerate")
    units = [unit] * source.shape[1] if unit else None
    stream = Stream(full.stem, source, rate, list(names), units)
    return Recording(str(full), kind, [stream], Notes(full))


def _attributes(path: Path, name: str, outside: bool) -> dict[str, Any]:
    with opened(path, outside) as file:
        found = {**dict(file.attrs), **dict(file[name].attrs)}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in found.items()}


@contextmanager
def opened(path: Path, outside: bool | None = None) -> Iterator[Any]:
    """Open a file that has no links to others but those beside it, or any if that is allowed."""
    with open_hdf5(str(path)) as file:
        check_links(file, path, outside)
        yield file


def dataset_source(file: Any, dataset: Any, path: Path) -> Hdf5Source:
    """Refer to a numeric dataset of an open file.

    Raises
    ------
    DamagedDataError
        It holds no numbers.
    """
    if dataset.dtype.kind not in "iuf" or dataset.dtype.itemsize > 8:
        raise damaged(path, f"{dataset.name} holds {dataset.dtype}, not numbers of up to double precision")
    place = str(Path(dataset.file.filename).resolve())
    return Hdf5Source(place, dataset.name, dataset.shape, dataset.dtype.newbyteorder("="))


def check_inside(dataset: Any, path: Path) -> None:
    """Refuse datasets whose numbers are in any other file, for formats that have all in one."""
    import h5py

    apart = is_elsewhere(dataset.id) and files_of(dataset)
    name = os.fsdecode(h5py.h5f.get_name(dataset.id))
    if apart or (name != str(path) and Path(name).resolve() != path):
        raise InvalidValueError("dataset within the file", f"{path}: {dataset.name}", "link to another file")


def names_of(file: Any, datasets: Sequence[Any]) -> list[str | None]:
    """Names of datasets that were found by reference; None where one has none.

    HDF5 itself goes through the whole file for each of them.
    """
    import h5py

    names: dict[int, str] = {}
    wanted = [h5py.h5o.get_info(one.id).addr for one in datasets]

    def node(name: bytes, info: Any) -> None:
        names.setdefault(info.addr, "/" + name.decode())

    h5py.h5o.visit(file.id, node, info=True)
    return [names.get(place) for place in wanted]


def group_in(parent: Any, name: str) -> Any:
    """A group by its name, or None; whether something is `in` a dataset would take reading it all."""
    node = parent.get(name)
    return node if hasattr(node, "keys") else None


def texts(values: Any, path: Path) -> list[str]:
    """Texts of a dataset."""
    if values.size > MOST_TEXTS or values.size * values.dtype.itemsize > _MOST_BYTES:
        raise damaged(path, f"{values.size} names in {values.name}")
    raw = np.atleast_1d(values[()])
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in raw]


def column(table: Any, key: str, n: int, path: Path) -> Any:
    """Values of a column of a table that has so many rows.

    Raises
    ------
    DamagedDataError
        It is of another length.
    """
    if table[key].shape != (n,) or table[key].dtype.itemsize > 16:
        raise damaged(path, f"{table[key].name} has shape {table[key].shape}, for {n} rows")
    return table[key][()]


def attribute_text(value: Any) -> str:
    """Text of an attribute."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
