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


def one_way(x: Array, sections: Sections, settled: bool = False) -> Array:
    """Filter forward in time.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Signals.
    sections : Sections
        The filter.
    settled : bool
        False: it starts from rest. True: as if the first sample had gone on for ever.

    Returns
    -------
    ndarray of double, shape (trial, time, channel)
    """
    lines = np.ascontiguousarray(x.transpose(0, 2, 1), dtype=np.float64)
    start = lines[..., :1] if settled else np.zeros_like(lines[..., :1])
    return _run(lines, sections, start).transpose(0, 2, 1)


def both_ways(x: Array, sections: Sections) -> Array:
    """Filter forward and then backward in time: no delay, twice the order.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Signals of more than ``sections.padding`` samples.
    sections : Sections
        The filter.

    Returns
    -------
    ndarray of double, shape (trial, time, channel)
    """
    n, pad = x.shape[1], sections.padding
    lines = np.empty((x.shape[0], x.shape[2], n + 2 * pad))
    inner = lines[..., pad : pad + n]
    inner[...] = x.transpose(0, 2, 1)
    lines[..., :pad] = 2 * inner[..., :1] - inner[..., pad:0:-1]
    lines[..., pad + n :] = 2 * inner[..., -1:] - inner[..., -2 : -pad - 2 : -1]
    forward = _run(lines, sections, lines[..., :1])
    del lines, inner
    backward = _run(forward[..., ::-1], sections, forward[..., -1:])
    return backward[..., ::-1][..., pad : pad + n].transpose(0, 2, 1)


def _run(lines: Array, sections: Sections, start: Array) -> Array:
    """Filter along the last axis, beginning in the state for a constant `start`."""
    from scipy.signal import sosfilt

    state = sections.steady[:, np.newaxis, np.newaxis, :] * start
    y: Array = sosfilt(sections.sos, lines, axis=-1, zi=state)[0]
    return y
