"""Recursive filters along time, in one direction or in both.

Gustafsson, F. (1996). Determining the initial states in forward-backward
filtering. IEEE Trans. Signal Process. 44(4), 988-992. The ends are extended by
their odd reflection and the filter starts in the state of a constant input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.convolution import NOTHING, Response, transform_length, transformed
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


def _extended(lines: Array, pad: int, out: Array | None = None) -> Array:
    """Odd reflection at both ends: what is added turns the ends into points of symmetry."""
    n = lines.shape[2]
    extended = np.empty((*lines.shape[:2], n + 2 * pad), lines.dtype) if out is None else out
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
    first value, which comes through with the gain g0 squared. f and w depend on
    the state alone that the forward filter ends in, two numbers per section.

    Parameters
    ----------
    lines : ndarray, floating point, shape (trial, channel, time)
        Signals, several times as long as ``sections.settling``; lines with
        numbers that are not finite become NaN.
    sections : Sections
        The filter.
    """
    parts = _parts(sections)
    pad, reach, n = sections.padding, sections.settling, lines.shape[2]
    rows = slice(pad, pad + n)
    padded = np.empty((*lines.shape[:2], transform_length(parts.both, n + 2 * pad, rows)), lines.dtype)
    u = _extended(lines, pad, out=padded[..., : n + 2 * pad])
    padded[..., n + 2 * pad :] = 0
    first = u[..., :1].copy()
    with np.errstate(invalid="ignore"):
        u -= first
        end = np.einsum("ijk,lk->ijl", u[..., -reach:].astype(np.float64), parts.state)
        missing = np.einsum("ijl,lk->ijk", end, parts.missing[:, : reach - pad])
        y = transformed(padded, parts.both, rows)
        if abs(parts.gain) > NOTHING:
            y += first * y.dtype.type(parts.gain**2)
        y[..., pad - reach :] += missing.astype(y.dtype)
    return y


@dataclass(frozen=True, eq=False)
class _Parts:
    """What `both_ways_at_once` is made of.

    Attributes
    ----------
    both : Response
        The filter and the same filter backward.
    gain : float
        Of the filter in one direction, at 0.
    state : ndarray, shape (number, settling)
        What each of the last samples adds to the last value of the forward filter
        and to the numbers of its state.
    missing : ndarray, shape (number, settling)
        What each of these numbers adds to the last rows of the result.
    """

    both: Response
    gain: float
    state: NDArray[np.float64]
    missing: NDArray[np.float64]


@lru_cache(maxsize=16)
def _parts(sections: Sections) -> _Parts:
    from scipy.signal import fftconvolve, sosfilt

    reach, n_numbers = sections.settling, 2 * len(sections.sos)
    taps, states = _after_impulse(sections)
    sums = np.cumsum(taps)
    squared = fftconvolve(taps, taps[::-1])
    unit_states = np.eye(n_numbers).reshape(n_numbers, -1, 2).transpose(1, 0, 2)
    rings = sosfilt(sections.sos, np.zeros((n_numbers, reach)), zi=unit_states)[0]
    back = np.zeros((n_numbers, reach))  # the first sample is out of reach
    back[:, 1:] = [fftconvolve(ring[::-1], taps)[reach:][::-1] for ring in rings]
    return _Parts(
        both=Response((squared + squared[::-1]) / 2, reach - 1),
        gain=float(sums[-1]),
        state=np.concatenate([[taps[::-1]], states[:, ::-1]]),
        missing=np.concatenate([[sums[-1] - sums[::-1]], -back]),
    )


def _after_impulse(sections: Sections) -> tuple[Array, Array]:
    """Impulse response, and the states of the sections (transposed direct form II) after each sample."""
    from scipy.signal import sosfilt

    x = np.zeros(sections.settling)
    x[0] = 1
    states = []
    for section in sections.sos:
        y = np.asarray(sosfilt(section[np.newaxis], x))
        second = section[2] * x - section[5] * y
        first = section[1] * x - section[4] * y
        first[1:] += second[:-1]
        states += [first, second]
        x = y
    return x, np.stack(states)


def _run(lines: Array, sections: Sections, start: Array) -> Array:
    """Filter along the last axis, beginning in the state for a constant `start`."""
    from scipy.signal import sosfilt

    state = sections.steady[:, np.newaxis, np.newaxis, :] * start
    y: Array = sosfilt(sections.sos, lines, axis=-1, zi=state)[0]
    return y
