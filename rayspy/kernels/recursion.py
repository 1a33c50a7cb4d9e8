"""Recursive filters along time, in one direction or in both.

Gustafsson, F. (1996). Determining the initial states in forward-backward
filtering. IEEE Trans. Signal Process. 44(4), 988-992. The ends are extended by
their odd reflection and the filter starts in the state of a constant input.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.convolution import Response, transformed
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
    pad = sections.padding
    extended = _extended(lines, pad)
    forward = _run(extended, sections, extended[..., :1])
    del extended
    backward = _run(forward[..., ::-1], sections, forward[..., -1:])
    return backward[..., ::-1][..., pad : pad + lines.shape[2]]


def _extended(lines: Array, pad: int) -> Array:
    """Odd reflection at both ends: what is added turns the ends into points of symmetry."""
    n = lines.shape[2]
    extended = np.empty((*lines.shape[:2], n + 2 * pad), lines.dtype)
    extended[..., pad : pad + n] = lines
    np.subtract(2 * lines[..., :1], lines[..., pad:0:-1], out=extended[..., :pad])
    np.subtract(2 * lines[..., -1:], lines[..., -2 : -pad - 2 : -1], out=extended[..., pad + n :])
    return extended


def both_ways_at_once(lines: Array, sections: Sections) -> Array:
    """`both_ways` by Fourier transforms, in the precision of the input.

    The filter and the same filter backward are one symmetric response g as long
    as nothing is cut in between. `both_ways` does cut: it goes forward to the end
    of the extended signal and starts backward from there in the state of a
    constant. Its difference from the convolution with g,

        g0 f - f S[n] - sum over m of h[m - n] w[m],

    reaches as far from the end as the impulse response h is long. Here w[m] is
    how the forward filter rings on after the end, f its last value, S[n] the sum
    of h up to the end, and g0 the gain at 0; all of it for the signal less its
    first value, which comes through with the gain g0 squared.

    Parameters
    ----------
    lines : ndarray, floating point, shape (trial, channel, time)
        Signals, several times as long as ``sections.settling``; lines with
        numbers that are not finite become NaN.
    sections : Sections
        The filter.
    """
    forward, squared, sums = _responses(sections)
    pad, reach = sections.padding, sections.settling
    u = _extended(lines, pad)
    first = u[..., :1].copy()
    with np.errstate(invalid="ignore"):
        u -= first
    y = transformed(u, squared, pad, pad + lines.shape[2])
    y += first * y.dtype.type(sums[-1] ** 2)
    ring = transformed(u[..., -reach:], forward, reach - 1, 2 * reach)
    last, ring = ring[..., :1], ring[..., 1:]
    back = transformed(ring[..., ::-1], forward, reach, 2 * reach)[..., ::-1]
    missing = last * (sums[-1] - sums[::-1]).astype(y.dtype) - back
    y[..., pad - reach :] += missing[..., : reach - pad]
    return y


@lru_cache(maxsize=16)
def _responses(sections: Sections) -> tuple[Response, Response, NDArray[np.float64]]:
    """Impulse response, that of the filter in both directions, and the sums of the former."""
    from scipy.signal import fftconvolve, sosfilt

    impulse = np.zeros(sections.settling)
    impulse[0] = 1
    taps = np.asarray(sosfilt(sections.sos, impulse))
    squared = fftconvolve(taps, taps[::-1])
    symmetric = Response((squared + squared[::-1]) / 2, len(taps) - 1)
    return Response(taps, 0), symmetric, np.cumsum(taps)


def _run(lines: Array, sections: Sections, start: Array) -> Array:
    """Filter along the last axis, beginning in the state for a constant `start`."""
    from scipy.signal import sosfilt

    state = sections.steady[:, np.newaxis, np.newaxis, :] * start
    y: Array = sosfilt(sections.sos, lines, axis=-1, zi=state)[0]
    return y
