"""Recursive filters along time, in one direction or in both.

Gustafsson, F. (1996). Determining the initial states in forward-backward
filtering. IEEE Trans. Signal Process. 44(4), 988-992. The ends are extended by
their odd reflection and the filter starts in the state of a constant input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.design import Sections

Array = NDArray[Any]


def one_way(lines: Array, sections: Sections, settled: bool = False) -> Array:
    """Filter forward in time.

    Parameters
    ----------
    lines : ndarray of double, shape (trial, channel, time)
        Signals.
    sections : Sections
        The filter.
    settled : bool
        False: it starts from rest. True: as if the first sample had gone on for ever.
    """
    start = lines[..., :1] if settled else np.zeros_like(lines[..., :1])
    return _run(lines, sections, start)


def both_ways(lines: Array, sections: Sections) -> Array:
    """Filter forward and then backward in time: no delay, twice the order.

    Parameters
    ----------
    lines : ndarray of double, shape (trial, channel, time)
        Signals of more than ``sections.padding`` samples.
    sections : Sections
        The filter.
    """
    n, pad = lines.shape[2], sections.padding
    extended = np.empty((*lines.shape[:2], n + 2 * pad))
    extended[..., pad : pad + n] = lines
    np.subtract(2 * lines[..., :1], lines[..., pad:0:-1], out=extended[..., :pad])
    np.subtract(2 * lines[..., -1:], lines[..., -2 : -pad - 2 : -1], out=extended[..., pad + n :])
    forward = _run(extended, sections, extended[..., :1])
    del extended
    backward = _run(forward[..., ::-1], sections, forward[..., -1:])
    return backward[..., ::-1][..., pad : pad + n]


def _run(lines: Array, sections: Sections, start: Array) -> Array:
    """Filter along the last axis, beginning in the state for a constant `start`."""
    from scipy.signal import sosfilt

    state = sections.steady[:, np.newaxis, np.newaxis, :] * start
    y: Array = sosfilt(sections.sos, lines, axis=-1, zi=state)[0]
    return y
