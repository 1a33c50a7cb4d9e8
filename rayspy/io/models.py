"""Parameters of fitted models as an Arrow table: one row per array, numbers only.

A row has the name and the key under which ``SpectralData.metadata`` has the array,
its place if there is a list of arrays (one per channel), type, shape and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import DamagedDataError, InvalidTypeError
from rayspy.storage.parts import MALFORMED
from rayspy.storage.tables import read_table

_ALONE = -1
"""Place of an array that is not in a list."""
_EXPECTED = "array or list of arrays of numbers in a dictionary of dictionaries (notes go into `info`);"


def check_models(metadata: Mapping[str, Any]) -> None:
    """Refuse what the table cannot hold.

    Raises
    ------
    InvalidTypeError
        Names the entry.
    """
    for _ in _rows(metadata):
        pass


def write_models(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write the parameters of models."""
    import pyarrow as pa

    names, keys, places, arrays = zip(*_rows(metadata), strict=True)
    columns = {
        "name": pa.array(names).dictionary_encode(),
        "key": pa.array(keys),
        "place": pa.array(places, pa.int32()),
        "dtype": pa.array([array.dtype.str for array in arrays]).dictionary_encode(),
        "shape": pa.array([array.shape for array in arrays], pa.list_(pa.int64())),
        "values": pa.array([array.tobytes() for array in arrays], pa.large_binary()),
    }
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def read_models(path: Path) -> dict[str, dict[str, Any]]:
    """Read what `write_models` wrote.

    Raises
    ------
    DamagedDataError
        The file does not hold such a table.
    """
    import pyarrow as pa

    try:
        rows = read_table(path)
        found: dict[str, dict[str, Any]] = {}
        for name, key, place, *described in zip(*(_column(rows, c) for c in _COLUMNS), strict=True):
            _put(found.setdefault(name, {}), key, place, _array(*described))
    except (pa.ArrowException, OSError, *MALFORMED) as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error
    return found


_COLUMNS = ("name", "key", "place", "dtype", "shape", "values")


def _column(table: Any, name: str) -> list[Any]:
    import pyarrow as pa

    values: list[Any] = []
    for chunk in table.column(name).chunks:
        if pa.types.is_dictionary(chunk.type):  # a text once, however many rows have it
            texts = chunk.dictionary.to_pylist()
            values += [None if code is None else texts[code] for code in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    if None in values:
        raise ValueError(f"a row without {name}")
    return values


def _rows(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str, int, NDArray[Any]]]:
    """Yield name, key, place and array of every entry."""
    for name, entries in metadata.items():
        if not (isinstance(name, str) and isinstance(entries, Mapping) and entries):
            raise InvalidTypeError(entries, f"metadata[{name!r}]", "non-empty dictionary of arrays;")
        for key, value in entries.items():
            listed = isinstance(value, list) and len(value) > 0
            if not isinstance(key, str):
                raise InvalidTypeError(key, f"key of metadata[{name!r}]", "str;")
            for place, array in enumerate(value if listed else [value]):
                _check_numbers(array, f"metadata[{name!r}][{key!r}]")
                yield name, key, place if listed else _ALONE, array


def _check_numbers(array: Any, name: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise InvalidTypeError(array, name, _EXPECTED)


def _array(dtype: str, shape: list[int], values: bytes) -> NDArray[Any]:
    kind = np.dtype(dtype)
    if kind.kind not in "biuf" or min(shape, default=0) < 0:
        raise ValueError(f"array of type {dtype} and shape {shape}")
    return np.frombuffer(values, kind).reshape(shape).copy()


def _put(entries: dict[str, Any], key: str, place: int, array: NDArray[Any]) -> None:
    """Add an array; those of a list come in order."""
    if place == _ALONE:
        entries[key] = array
    elif place != len(entries.setdefault(key, [])):
        raise ValueError(f"{key} has no array {place - 1} before array {place}")
    else:
        entries[key].append(array)


__all__ = ["check_models", "read_models", "write_models"]
