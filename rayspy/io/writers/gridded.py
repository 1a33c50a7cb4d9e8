"""NetCDF and Zarr, written through xarray piece by piece."""

from __future__ import annotations

import math
import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rayspy.checks import check_bool, check_path
from rayspy.config import config
from rayspy.data.base import BaseData
from rayspy.errors import PathError
from rayspy.io.readers.recording import required
from rayspy.io.writers import whole
from rayspy.io.writers.xarrays import to_xarray
from rayspy.progress import waiting

_ONE_BY_ONE = "synchronous"
"""How Dask writes: one chunk after the other, so that there is never more than one in memory."""


def to_netcdf(data: BaseData, path: Any, overwrite: bool = False) -> None:
    """Write an object as a NetCDF 4 file, with the coordinates and attributes of `to_xarray`.

    Parameters
    ----------
    data : AnalogData, SpectralData, CrossSpectralData or TimeLockData
        Is not changed; an active selection does not count.
    path : path
        The file; ``.nc`` is appended where it is missing.
    overwrite : bool
        Replace what is there.

    Notes
    -----
    The numbers are the variable ``data``. NetCDF has no complex numbers: these are two variables,
    ``data_real`` and ``data_imag``.

    Raises
    ------
    PathError
        The file exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not such an object, or an empty one.
    MissingPackageError
        xarray or h5netcdf is not installed.
    """
    check_bool(overwrite, "overwrite")
    dataset = _dataset(data, "to_netcdf", split=True)
    if find_spec("h5netcdf") is None:
        raise required("h5netcdf", "to_netcdf")
    final = whole.target(path, ".nc", overwrite)
    telling = waiting("to_netcdf", f"writes {dataset.nbytes / 1e6:.0f} MB")
    with whole.building(final) as (part,), telling:
        dataset.to_netcdf(part, engine="h5netcdf", compute=False).compute(scheduler=_ONE_BY_ONE)


def to_zarr(data: BaseData, path: Any, overwrite: bool = False) -> None:
    """Write an object as a Zarr store (format 2), with the coordinates and attributes of `to_xarray`.

    Parameters
    ----------
    data : AnalogData, SpectralData, CrossSpectralData or TimeLockData
        Is not changed; an active selection does not count.
    path : path
        The folder; ``.zarr`` is appended where it is missing. The numbers are the array ``data``.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    PathError
        The folder exists, or cannot be written.
    InvalidTypeError, InvalidValueError
        Not such an object, or an empty one.
    MissingPackageError
        xarray or zarr is not installed.
    """
    check_bool(overwrite, "overwrite")
    dataset = _dataset(data, "to_zarr", split=False)
    if find_spec("zarr") is None:
        raise required("zarr", "to_zarr")
    final = _folder(path, overwrite)
    part = final.with_name(f".{secrets.token_hex(4)}.{final.name}")
    try:
        with waiting("to_zarr", f"writes {dataset.nbytes / 1e6:.0f} MB"):
            writing = dataset.to_zarr(part, mode="w", zarr_format=2, consolidated=True, compute=False)
            writing.compute(scheduler=_ONE_BY_ONE)
        if final.exists():
            shutil.rmtree(final)
        part.rename(final)
    except OSError as error:
        raise PathError(final, hint=error.strerror or str(error)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _folder(path: Any, overwrite: bool) -> Path:
    """Full name of a store that may be written."""
    wanted = whole.target(path, ".zarr", overwrite=False) if not overwrite else None
    if wanted is not None:
        return wanted
    full = check_path(path, "path", "name of a folder").absolute()
    full = full if full.suffix == ".zarr" else full.with_name(full.name + ".zarr")
    if full.exists() and not (full / ".zgroup").is_file():
        raise PathError(full, exists=True, hint="it is no Zarr store and is not replaced")
    full.parent.mkdir(parents=True, exist_ok=True)
    return full


def _chunk(shape: tuple[int, ...], itemsize: int) -> list[int]:
    """Shape of chunks: whole along the last axes, as far as a quarter of a block has room for them."""
    room = max(1, config.block_bytes // (4 * itemsize))
    inner = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    return [max(1, min(n, room // max(1, rest))) for n, rest in zip(shape, inner, strict=True)]


def _dataset(data: BaseData, function: str, split: bool) -> Any:
    """One variable, or its real and imaginary part, in chunks that are smaller than a block."""
    array = to_xarray(data)
    lazy = array.chunk(dict(zip(array.dims, _chunk(array.shape, array.dtype.itemsize), strict=True)))
    if split and array.dtype.kind == "c":
        parts = {"data_real": lazy.real, "data_imag": lazy.imag}
        return lazy.real.to_dataset(name="data_real").assign(parts).assign_attrs(array.attrs)
    return lazy.to_dataset(name="data").assign_attrs(array.attrs)
