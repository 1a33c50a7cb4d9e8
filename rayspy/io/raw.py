"""Files that hold one array: raw binary and HDF5, used in place."""

from __future__ import annotations

import os
from typing import Any

from rayspy.checks import check_bool, check_path
from rayspy.data.builder import from_hdf5
from rayspy.errors import InvalidTypeError
from rayspy.storage.sources import Hdf5Source, RawSource, raw_source


def raw_binary(
    path: str | os.PathLike[str],
    dtype: Any,
    channels: int,
    order: str = "C",
    offset: int = 0,
    scale: float | None = None,
) -> RawSource:
    """Refer to a raw binary file of samples x channels; pass the result as `data`.

    Parameters
    ----------
    path : path
        The file.
    dtype : data type
        Type of the numbers in it, for example ``"int16"`` or ``">f4"``.
    channels : int
        Number of channels.
    order : {'C', 'F'}
        'C': all channels of a sample stand together, 'F': all samples of a channel.
    offset : int
        Bytes before the first number.
    scale : float, optional
        Factor from stored numbers to physical units; data are then float32, or float64 if the
        stored numbers are 32-bit integers or float64.

    Returns
    -------
    RawSource
        Description of the file; nothing is read or copied.
    """
    return raw_source(path, dtype, channels, order, offset, scale)


def hdf5_dataset(path: str | os.PathLike[str], name: str | None = None, outside: bool = False) -> Hdf5Source:
    """Refer to a dataset of an HDF5 file; pass the result as `data`.

    Parameters
    ----------
    path : path
        The file.
    name : str, optional
        Name of the dataset; ``data``, or the only one, if left out.
    outside : bool
        Whether links, external and virtual datasets may lead out of the folder of the file.

    Returns
    -------
    Hdf5Source
        Description of the dataset; nothing is read or copied.
    """
    check_bool(outside, "outside")
    if name is not None and not isinstance(name, str):
        raise InvalidTypeError(name, "name", "name of a dataset;")
    return from_hdf5(check_path(path, "path", "name of a file"), name, outside=outside)
