"""What filters leave before the beginning and after the end of signals.

Rows hold 32 beginnings as real and 32 ends as imaginary parts. Time runs towards
the end of the signal, or towards its beginning: the sample that is k samples away
from either stands in row -1 - k, and what lies k samples outside in row k.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


@compiled
def take_ends(
    x: Array, lanes: tuple[int, int], levels: Array, begins: bool, ends: bool, n: int, z: Array
) -> None:
    """Put samples less the levels of their lines where they belong, and zeros everywhere else.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals; line i is channel ``i % n_channels`` of trial ``i // n_channels``.
    lanes : (int, int)
        Number of the first line, and how many.
    levels : ndarray, floating point, shape (trial * channel,)
        Levels of all lines.
    begins, ends : bool
        Which are wanted.
    n : int
        Samples to take from each.
    z : ndarray, floating point, shape (row, 2 * LANES)
        Where they go.
    """
    n_samples, n_channels = x.shape[1], x.shape[2]
    z[...] = 0
    first, n_lanes = lanes
    at = first
    while at < first + n_lanes:
        trial, channel = divmod(at, n_channels)
        lane, width = at - first, min(n_channels - channel, first + n_lanes - at)
        some = levels[at : at + width]
        signals = x[trial, :, channel : channel + width]
        for k in range(n):
            row = z[len(z) - 1 - k]
            begin, real = signals[k], row[lane : lane + width]
            end, imaginary = signals[n_samples - 1 - k], row[LANES + lane : LANES + lane + width]
            if begins:
                for q in range(width):
                    real[q] = begin[q] - some[q]
            if ends:
                for q in range(width):
                    imaginary[q] = end[q] - some[q]
        at += width


@compiled
def times(z: Array, transfer: Array) -> None:
    """Multiply rows with complex numbers."""
    for k in range(len(z)):
        row, hr, hi = z[k], transfer[k].real, transfer[k].imag
        for q in range(LANES):
            xr, xi = row[q], row[q + LANES]
            row[q], row[q + LANES] = xr * hr - xi * hi, xr * hi + xi * hr


def reflect(z: Array, n: int) -> None:
    """Put the first n rows, at most half of them, to the end in reverse, and zeros everywhere else."""
    z[len(z) - n :] = z[:n][::-1]
    z[: len(z) - n] = 0


@compiled
def put_ends(z: Array, lanes: tuple[int, int], n: int, first: int, step: int, last: int, out: Array) -> None:
    """Subtract rows at the beginning and at the end of signals.

    Parameters
    ----------
    z : ndarray, floating point, shape (row, 2 * LANES)
        Row k belongs to the sample that is k samples away from the beginning or the end.
    lanes
        As in `take_ends`.
    n : int
        So many rows count.
    first, step : int
        Row t of the result is sample ``first + t * step`` of the signal.
    last : int
        The last sample of the signal, counted from `first`.
    out : ndarray, floating point, shape (trial, row, channel)
        Result to subtract from.
    """
    n_channels = out.shape[2]
    first_lane, n_lanes = lanes
    at = first_lane
    while at < first_lane + n_lanes:
        trial, channel = divmod(at, n_channels)
        lane, width = at - first_lane, min(n_channels - channel, first_lane + n_lanes - at)
        for t in range(out.shape[1]):
            before, after = first + t * step, last - t * step
            if before < n:
                for q in range(width):
                    out[trial, t, channel + q] -= z[before, lane + q]
            if 0 <= after < n:
                for q in range(width):
                    out[trial, t, channel + q] -= z[after, LANES + lane + q]
        at += width
