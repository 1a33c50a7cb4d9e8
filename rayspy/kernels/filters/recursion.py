"""Recursive filters along time, in one direction or in both.

Gustafsson, F. (1996). Determining the initial states in forward-backward
filtering. IEEE Trans. Signal Process. 44(4), 988-992. The ends are extended by
their odd reflection and the filter starts in the state of a constant input.

Everything is computed in double precision, whatever the type of the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.design import Sections
from rayspy.kernels.lines import readable

Array = NDArray[Any]


def one_way(x: Array, sections: Sections, out: Array, first: int = 0, settled: bool = False) -> Array:
    """Filter forward in time.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    sections : Sections
        The filter.
    out : ndarray, floating point, shape (trial, rows, channel)
        Where the result goes: row `first` and following. Returned.
    first : int
        First row that is wanted.
    settled : bool
        False: it starts from rest. True: as if the first sample had gone on for ever.

    Raises
    ------
    ValueError
        The shapes do not belong together.
    """
    from rayspy.kernels.loops import recursion

    _check(x, out, first, 1)
    start = sections.steady if settled else np.zeros_like(sections.steady)
    recursion.one_way(readable(x), sections.sos, start, first, out)
    return out


def both_ways(x: Array, sections: Sections, out: Array, first: int = 0) -> Array:
    """Filter forward and then backward in time: no delay, twice the order.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals of more than ``sections.padding`` samples.
    sections, out, first
        As in `one_way`.

    Raises
    ------
    ValueError
        The shapes do not belong together, or signals are too short.
    """
    from rayspy.kernels.loops import recursion

    _check(x, out, first, sections.padding + 1)
    n_lines = x.shape[0] * x.shape[2]
    held = np.empty((x.shape[1] + 2 * sections.padding, min(recursion.LANES, n_lines)))
    recursion.both_ways(readable(x), sections.sos, sections.steady, sections.padding, first, held, out)
    return out


def room_in_bytes(length: int, sections: Sections) -> int:
    """Memory that `both_ways` takes at most for signals of this length, however many they are."""
    from rayspy.kernels.loops.recursion import LANES

    return 8 * LANES * (length + 2 * sections.padding)


def _check(x: Array, out: Array, first: int, shortest: int) -> None:
    """Compiled loops do not notice when they leave an array."""
    rows = out.shape[1]
    if x.shape[::2] != out.shape[::2] or first < 0 or first + rows > x.shape[1]:
        raise ValueError(f"rows {first} to {first + rows} of {x.shape} do not go into {out.shape}")
    if x.shape[1] < shortest:
        raise ValueError(f"{x.shape[1]} samples, but the filter needs {shortest}")
