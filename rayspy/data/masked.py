"""Masked arrays: what is masked becomes NaN, so that nothing takes it for a measurement."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.progress import warn


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which whole numbers are held as real ones: float32 for 8 and 16 bit, else float64."""
    return np.result_type(dtype, np.float32) if dtype.kind in "iu" else dtype


def plain(array: Any) -> Any:
    """Array without a mask: NaN where it was masked. Whole numbers that can be masked become real ones."""
    if not isinstance(array, np.ma.MaskedArray) or array.dtype.kind not in "iufc":
        return array
    real: Any = array.astype(real_dtype(array.dtype))
    return np.asarray(real.filled(np.nan))


def tell_masked(n_masked: int, name: str = "data") -> None:
    """Say once that masked values are NaN from now on."""
    if n_masked:
        warn(name, f"{n_masked} masked values become NaN")


def n_masked(array: Any) -> int:
    """Number of masked values."""
    return int(np.count_nonzero(np.ma.getmaskarray(array))) if isinstance(array, np.ma.MaskedArray) else 0
