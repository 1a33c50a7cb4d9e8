"""What signals are taken to be before their beginning and after their end.

Filters with a finite response need samples beyond the ends. With 'mean' these are
the mean, with 'constant' zero; with 'line' they go on with the line through the
first and the last sample; with 'odd' and 'even' they are the mirror image of the
signal, turned upside down about its last sample or not; with 'edge' its last sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PADTYPES = ("mean", "constant", "line", "odd", "even", "edge")


def extended(x: Array, padtype: str, before: int, after: int) -> Array:
    """Signals (trial, time, channel) with samples added at either end.

    Parameters
    ----------
    x : ndarray, floating point, shape (trial, time, channel)
        Signals. What is longer than they are is mirrored at both ends in turn.
    padtype : {'odd', 'even', 'edge'}
        What is added.
    before, after : int
        How many samples.
    """
    width = ((0, 0), (before, after), (0, 0))
    if padtype == "edge":
        return np.pad(x, width, "edge")
    return np.pad(x, width, "reflect", reflect_type="odd" if padtype == "odd" else "even")


def end_lines(x: Array) -> tuple[Array, Array]:
    """Value at sample 0 and slope per sample of the line through the first and the last finite sample.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.

    Returns
    -------
    level, slope : ndarray of double, shape (trial, 1, channel)
        Zero where no sample is finite; no slope where one is.
    """
    known = np.isfinite(x)
    first = known.argmax(axis=1)[:, np.newaxis]
    last = x.shape[1] - 1 - known[:, ::-1].argmax(axis=1)[:, np.newaxis]
    begin, end = (np.take_along_axis(x, at, axis=1).astype(np.float64) for at in (first, last))
    slope = np.where(last > first, (end - begin) / np.maximum(1, last - first), 0)
    some = known.any(axis=1, keepdims=True)
    return np.where(some, begin - slope * first, 0), np.where(some, slope, 0)


def added_bytes(padtype: str, length: int, margin: int, itemsize: int) -> int:
    """Memory per line that padding takes besides the filter itself."""
    wide = 8 if itemsize > 4 else 4
    if padtype in ("mean", "constant"):
        return 0
    return 3 * wide * (length + 2 * margin) + (24 * length if padtype == "line" else 0)
