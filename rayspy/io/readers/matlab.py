"""MATLAB files as nested dictionaries: format 7.3 (HDF5) through h5py, levels 5 and 4 loaded.

Large arrays of format 7.3 stay where they are (`h5py.Dataset`); arrays have MATLAB's order of
dimensions in older files and the reversed one in HDF5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rayspy.io.readers import mat5
from rayspy.io.readers.hdf5 import check_inside as check_inside
from rayspy.io.readers.recording import damaged

_MOST_CELLS = 1_000_000
_SMALL = 2**24
"""Elements of a plain array that are read at once."""


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, possibly behind MATLAB's 512 bytes of text."""
    with path.open("rb") as file:
        head = file.read(520)
    return b"\x89HDF\r\n\x1a\n" in (head[:8], head[512:520])


def is_struct(node: Any) -> bool:
    """Whether something of an HDF5 file is a struct."""
    return hasattr(node, "keys")


def cells(file: Any, dataset: Any, path: Path) -> list[Any]:
    """What the cells of a cell array refer to."""
    check_inside(dataset, path)
    if dataset.size > _MOST_CELLS:
        raise damaged(path, f"{dataset.size} cells in {dataset.name}")
    if dataset.dtype.kind != "O":
        raise damaged(path, f"{dataset.name} is no cell array")
    references = [] if _is_empty(dataset) else dataset[()].ravel()
    found = [_at(file, reference, path) for reference in references if reference]
    for one in found:
        if hasattr(one, "shape"):
            check_inside(one, path)
    return found


def _at(file: Any, reference: Any, path: Path) -> Any:
    """The same as `file[reference]`, which asks for the file anew each time."""
    import h5py

    found = h5py.h5r.dereference(reference, file.id)
    if found is None:
        raise damaged(path, "a cell refers to nothing")
    return h5py.Dataset(found, readonly=True) if isinstance(found, h5py.h5d.DatasetID) else h5py.Group(found)


def _is_empty(dataset: Any) -> bool:
    import h5py

    return bool(h5py.h5a.exists(dataset.id, b"MATLAB_empty"))


def text(dataset: Any) -> str:
    """Text of a char array."""
    if _is_empty(dataset) or dataset.size > 2**20:
        return ""
    return "".join(chr(int(code)) for code in dataset[()].ravel(order="F" if dataset.ndim < 2 else "C"))


def texts(file: Any, dataset: Any, path: Path) -> list[str]:
    """Texts of a cell array of char arrays, or of one char array."""
    if dataset.dtype.kind == "O":
        return [text(one) if hasattr(one, "shape") else "" for one in cells(file, dataset, path)]
    check_inside(dataset, path)
    return [text(dataset)]


def numbers(dataset: Any, path: Path) -> np.ndarray[Any, Any]:
    """Numbers of an array, in MATLAB's order of dimensions."""
    check_inside(dataset, path)
    if dataset.dtype.kind not in "iufb" or dataset.size > _SMALL:
        raise damaged(path, f"{dataset.name} is {dataset.dtype} of shape {dataset.shape}")
    if _is_empty(dataset):
        return np.empty((0, 0))
    return np.asarray(dataset[()]).T


def plain(file: Any, node: Any, path: Path, depth: int = 0) -> Any:
    """Small values as Python sees them: numbers, texts, lists and dictionaries; None for others."""
    if depth > 6:
        return None
    if is_struct(node):
        return {key: plain(file, node[key], path, depth + 1) for key in node}
    check_inside(node, path)
    kind = node.attrs.get("MATLAB_class", b"")
    if node.dtype.kind == "O":
        return [plain(file, one, path, depth + 1) for one in cells(file, node, path)]
    if kind == b"char":
        return text(node)
    if node.dtype.kind not in "iufb" or node.size > _SMALL:
        return None
    array = numbers(node, path)
    return array.item() if array.size == 1 else array


def load_old(path: Path) -> dict[str, Any]:
    """Variables of a file of a format before 7.3; structs become dictionaries, cells lists."""
    import scipy.io

    with path.open("rb") as file:
        head = file.read(128)
    if 0 not in head[:4]:  # level 5; SciPy's reader ends the process on some damaged files of it
        return mat5.load(path)
    try:
        found = scipy.io.loadmat(path, squeeze_me=True, chars_as_strings=True)
    except Exception as error:  # SciPy raises whatever comes up in files that are none
        raise damaged(path, f"it cannot be read as a recognizable .mat file: {error}") from error
    return {name: _plain_old(value) for name, value in found.items() if not name.startswith("__")}


def _plain_old(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return [str(one) for one in value.ravel()]
    return value.item() if isinstance(value, np.generic) else value


def listed(value: Any) -> list[Any]:
    """A list, also where one cell or text was not put into one."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "US":
        return [str(one) for one in value.ravel()]
    return list(value) if isinstance(value, list) else [value]
