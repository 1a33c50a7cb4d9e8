"""From samples (trial, time, channel) to rows with many signals side by side, and back.

Long trials are cut into segments, which stand side by side as well: lane number
i, counted over all groups of lanes, is channel ``i % n_channels`` of segment
``i // n_channels % n_segments`` of trial ``i // n_channels // n_segments``.
Each lane is treated for itself, so its bits do not depend on the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

_LOOKED_AT = 256
"""Samples, at least, that tell about where a line runs."""
_RUN = 256
"""Samples that are added one to the other."""
_FOLD = 8
"""Samples of a line that are added before their sum is, however many channels there are."""
FEW = 8
"""Neighbouring channels that are copied at once."""


class Segments(NamedTuple):
    """How trials are cut.

    Attributes
    ----------
    parts : int
        Segments of each trial.
    begin, hop : int
        Sample in row 0 of the first segment, less than 0 if it begins before the trial,
        and samples from one segment to the next.
    first, stride : int
        The same for rows of the result.
    rows : int
        Rows of the result that come from a segment; fewer from the last one.
    """

    parts: int
    begin: int
    hop: int
    first: int
    stride: int
    rows: int


@compiled
def take_levels(x: Array, levels: Array) -> None:
    """Mean of some samples of each line, all over it.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    levels : ndarray, floating point, shape (trial * channel,)
        Where to put the means. Added up in double precision; numbers that are not
        finite are left out, and where there are no others it is zero.
    """
    n_samples, n_channels = x.shape[1], x.shape[2]
    spacing = max(1, n_samples // _LOOKED_AT)
    sums, counts = np.empty(n_channels), np.empty(n_channels)
    for trial in range(len(x)):
        sums[:], counts[:] = 0.0, 0.0
        for t in range(0, n_samples, spacing):
            row = x[trial, t]
            for channel in range(n_channels):
                if np.isfinite(row[channel]):
                    sums[channel] += row[channel]
                    counts[channel] += 1
        for channel in range(n_channels):
            levels[trial * n_channels + channel] = sums[channel] / max(counts[channel], 1.0)


@compiled
def take_means(x: Array, means: Array) -> None:
    """Mean of each line, with what is not finite.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    means : ndarray of double, shape (trial * channel,)
        Where to put the means. Runs of samples are added up, then their sums.
    """
    n_samples, n_channels = x.shape[1], x.shape[2]
    run = np.empty(n_channels)
    for trial in range(len(x)):
        sums = means[trial * n_channels : (trial + 1) * n_channels]
        for channel in range(n_channels):
            sums[channel] = 0.0
        for low in range(0, n_samples, _RUN):
            for channel in range(n_channels):
                run[channel] = 0.0
            for t in range(low, min(low + _RUN, n_samples)):
                row = x[trial, t]
                for channel in range(n_channels):
                    run[channel] += row[channel]
            for channel in range(n_channels):
                sums[channel] += run[channel]
        for channel in range(n_channels):
            sums[channel] /= n_samples


@compiled
def take_finite_means(x: Array, levels: Array) -> None:
    """Mean of all samples of each line.

    Parameters
    ----------
    x, levels
        As in `take_levels`; numbers that are not finite are left out.
    """
    n_samples, n_channels = x.shape[1], x.shape[2]
    whole, zero = n_samples - n_samples % _FOLD, np.float64(0)
    sums = np.empty(n_channels)
    for trial in range(len(x)):
        sums[:] = 0.0
        for t in range(0, whole, _FOLD):
            for q in range(n_channels):
                a = zero + x[trial, t, q] + x[trial, t + 1, q]
                b = zero + x[trial, t + 2, q] + x[trial, t + 3, q]
                c = zero + x[trial, t + 4, q] + x[trial, t + 5, q]
                d = zero + x[trial, t + 6, q] + x[trial, t + 7, q]
                sums[q] += (a + b) + (c + d)
        for t in range(whole, n_samples):
            for q in range(n_channels):
                sums[q] += x[trial, t, q]
        for q in range(n_channels):
            mean = sums[q] / n_samples
            if not np.isfinite(mean):
                mean = _finite_mean(x[trial, :, q])
            levels[trial * n_channels + q] = mean


@compiled
def _finite_mean(line: Array) -> float:
    total, count = 0.0, 0
    for t in range(len(line)):
        if np.isfinite(line[t]):
            total += line[t]
            count += 1
    return total / max(count, 1)


@compiled
def take_peaks(x: Array, levels: Array, peaks: Array) -> None:
    """Largest distance of a finite sample of each line from its level, (line,)."""
    n_samples, n_channels = x.shape[1], x.shape[2]
    peaks[:] = 0.0
    for trial in range(len(x)):
        for t in range(n_samples):
            row = x[trial, t]
            for channel in range(n_channels):
                line = trial * n_channels + channel
                distance = abs(row[channel] - levels[line])
                if distance > peaks[line] and np.isfinite(distance):
                    peaks[line] = distance


@compiled
def take(
    x: Array,
    lanes: tuple[int, int],
    cut: Segments,
    levels: Array,
    z: Array,
    side: int,
) -> None:
    """Put samples less the levels of their lines side by side, and zeros where there are no samples.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    lanes : (int, int)
        Number of the first lane, and how many.
    cut : Segments
        How trials are cut.
    levels : ndarray, floating point, shape (trial * channel,)
        Levels of the lines.
    z : ndarray, floating point, shape (phase, row, column)
        Where they go: row t of phase r of n is sample ``t * n + r`` of a segment.
    side : int
        Column of the first of `LANES` lanes.
    """
    n_samples, n_channels = x.shape[1], x.shape[2]
    first, n_lanes = lanes
    at = first
    while at < first + n_lanes:
        piece, channel = divmod(at, n_channels)
        trial, segment = divmod(piece, cut.parts)
        lane, width = side + at - first, min(n_channels - channel, first + n_lanes - at)
        line, step = trial * n_channels + channel, len(z)
        for r in range(step):
            begin = cut.begin + segment * cut.hop + r
            rows = z[r, :, lane : lane + width]
            low = min(len(rows), max(0, -(begin // step)))
            high = max(low, min(len(rows), -((begin - n_samples) // step)))
            rows[:low], rows[high:] = 0, 0
            source = x[trial, begin + low * step : begin + high * step : step, channel : channel + width]
            _copy(source, levels[line : line + width], rows[low:high])
        at += width
    if n_lanes < LANES:
        z[:, :, side + n_lanes : side + LANES] = 0


@compiled
def _copy(source: Array, levels: Array, target: Array) -> None:
    """Rows of neighbouring channels less their levels."""
    width = target.shape[1]
    whole = width - width % FEW
    for t in range(len(target)):
        for low in range(0, whole, FEW):
            for q in range(FEW):
                target[t, low + q] = source[t, low + q] - levels[low + q]
        for q in range(whole, width):
            target[t, q] = source[t, q] - levels[q]


@compiled
def clean(z: Array) -> NDArray[np.bool_]:
    """Replace numbers that are not finite by zero, and tell which columns had any."""
    had = np.zeros(z.shape[1], np.bool_)
    for t in range(len(z)):
        row = z[t]
        for q in range(len(row)):
            if not np.isfinite(row[q]):
                row[q], had[q] = 0, True
    return had


@compiled
def put(
    z: Array,
    spacing: int,
    lanes: tuple[int, int],
    cut: Segments,
    levels: Array,
    ones: Array,
    out: Array,
    side: int,
) -> None:
    """Put rows back among the samples, plus the response to the levels.

    Parameters
    ----------
    z : ndarray, floating point, shape (phase, row, column)
        Rows of segments side by side, from the first that is wanted on: row t of phase
        p of n becomes row ``t * n + p`` of the segment's result.
    spacing : int
        Distance of those rows that are wanted.
    lanes, cut, levels
        As in `take`.
    ones : ndarray, floating point, shape (row wanted,)
        What becomes of ones.
    out : ndarray, floating point, shape (trial, row wanted, channel)
        Where the sums go.
    side : int
        Column of the first lane.
    """
    n_channels = out.shape[2]
    first, n_lanes = lanes
    at = first
    while at < first + n_lanes:
        piece, channel = divmod(at, n_channels)
        trial, segment = divmod(piece, cut.parts)
        lane, width = side + at - first, min(n_channels - channel, first + n_lanes - at)
        line, begin, step = trial * n_channels + channel, cut.first + segment * cut.stride, len(z)
        stop = min(begin + cut.rows, out.shape[1])
        for p in range(min(step, stop - begin)):
            target = out[trial, begin + p : stop : step, channel : channel + width]
            rows = z[p, : len(target) * spacing : spacing, lane : lane + width]
            _copy_back(rows, levels[line : line + width], ones[begin + p : stop : step], target)
        at += width


@compiled
def _copy_back(source: Array, levels: Array, ones: Array, target: Array) -> None:
    """Rows of neighbouring channels plus the response to their levels."""
    width = target.shape[1]
    whole = width - width % FEW
    for t in range(len(target)):
        for low in range(0, whole, FEW):
            for q in range(FEW):
                target[t, low + q] = source[t, low + q] + levels[low + q] * ones[t]
        for q in range(whole, width):
            target[t, q] = source[t, q] + levels[q] * ones[t]
