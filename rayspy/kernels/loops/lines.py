"""Compiled loops between samples (trial, time, channel) and lines (line, time).

Line number i is channel i % n of trial i // n, n being the number of channels.
Each line is treated for itself, so its bits do not depend on the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

_TILE = 128
"""Rows that are transposed at a time: they fit into the fastest cache."""


@compiled
def _sum(samples: Array) -> float:
    """In double precision, several sums at a time."""
    first = second = third = fourth = 0.0
    n = len(samples)
    for k in range(n // 4):
        first += samples[4 * k]
        second += samples[4 * k + 1]
        third += samples[4 * k + 2]
        fourth += samples[4 * k + 3]
    for k in range(n - n % 4, n):
        first += samples[k]
    return (first + second) + (third + fourth)


@compiled
def take_means(x: Array, low: int, means: Array, holes: NDArray[np.bool_]) -> None:
    """Means of some lines, and which of them have numbers that are not finite.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    low : int
        Number of the first line.
    means : ndarray, floating point, shape (line,)
        Where to put the means. Added up in double precision; numbers that are not
        finite count as zero.
    holes : ndarray of bool, shape (line,)
        Where to put the marks.
    """
    n_rows, n_channels = x.shape[1], x.shape[2]
    sums = np.zeros(len(means))
    for tile in range(0, n_rows, _TILE):
        for line in range(len(means)):
            trial, channel = divmod(low + line, n_channels)
            sums[line] += _sum(x[trial, tile : tile + _TILE, channel])
    for line in range(len(means)):
        holes[line] = not np.isfinite(sums[line])
        if holes[line]:
            trial, channel = divmod(low + line, n_channels)
            sums[line] = 0.0
            for value in x[trial, :, channel]:
                if np.isfinite(value):
                    sums[line] += value
            if not np.isfinite(sums[line]):
                sums[line] = 0.0
        means[line] = sums[line] / n_rows


@compiled
def gather(x: Array, low: int, means: Array, holes: NDArray[np.bool_], lines: Array, first: int) -> None:
    """Copy samples less their means into lines.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    low : int
        Number of the first line.
    means, holes : ndarray, shape (line,)
        As `take_means` found them; holes become the mean.
    lines : ndarray, floating point, shape (line or more, time)
        Where to put the differences.
    first : int
        Place of the first sample in `lines`.
    """
    n_rows, n_channels = x.shape[1], x.shape[2]
    for tile in range(0, n_rows, _TILE):
        for line in range(len(means)):
            trial, channel = divmod(low + line, n_channels)
            source = x[trial, tile : tile + _TILE, channel]
            target = lines[line, first + tile : first + tile + len(source)]
            mean = means[line]
            if holes[line]:
                for k in range(len(source)):
                    target[k] = source[k] - mean if np.isfinite(source[k]) else 0.0
            else:
                for k in range(len(source)):
                    target[k] = source[k] - mean


@compiled
def scatter(lines: Array, low: int, means: Array, ones: Array, out: Array) -> None:
    """Put rows of lines plus the response to their means back among the samples.

    Parameters
    ----------
    lines : ndarray, floating point, shape (line or more, row)
        What became of the lines without their means.
    low : int
        Number of the first line.
    means : ndarray, floating point, shape (line,)
        The means.
    ones : ndarray, floating point, shape (row,)
        What becomes of ones.
    out : ndarray, floating point, shape (trial, row, channel)
        Where to put the sums.
    """
    n_rows, n_channels = out.shape[1], out.shape[2]
    for tile in range(0, n_rows, _TILE):
        steady = ones[tile : tile + _TILE]
        for line in range(len(means)):
            trial, channel = divmod(low + line, n_channels)
            source, target = lines[line, tile : tile + _TILE], out[trial, tile : tile + _TILE, channel]
            mean = means[line]
            for k in range(len(target)):
                target[k] = source[k] + mean * steady[k]


@compiled
def _close(half: Array, n_fft: int, circle: Array) -> None:
    """All frequencies of the spectrum of a real line, the negative ones conjugated, then the first again."""
    n = len(half)
    mirrored, again = circle[n:n_fft], circle[n_fft:]
    m = len(mirrored)
    for k in range(n):
        circle[k] = half[k]
    for k in range(m):
        mirrored[m - 1 - k] = half[k + 1].conjugate()
    for k in range(len(again)):
        again[k] = circle[k]


@compiled
def fold(spectra: Array, transfer: Array, n_fft: int, n_out: int, folded: Array) -> None:
    """Multiply spectra with a transfer function at a high rate and add up what falls on one another.

    Parameters
    ----------
    spectra : ndarray, complex, shape (line, n_fft // 2 + 1)
        First halves of the spectra of real lines of length `n_fft`.
    transfer : ndarray, floating point, shape (alias, n)
        Real transfer function for the bins from alias * n_out on, each number
        twice: for the real and the imaginary part.
    n_fft, n_out : int
        Length before and afterwards.
    folded : ndarray, floating point, shape (line, n)
        Where to put the sums, real and imaginary parts in turn.
    """
    n = transfer.shape[1]
    circle = np.empty(n_fft + n // 2, spectra.dtype)
    pairs = circle.view(transfer.dtype)
    for line in range(len(folded)):
        _close(spectra[line], n_fft, circle)
        target = folded[line]
        target[:] = 0
        for alias in range(len(transfer)):
            weights, source = transfer[alias], pairs[2 * (alias * n_out % n_fft) :]
            for k in range(n):
                target[k] += weights[k] * source[k]
