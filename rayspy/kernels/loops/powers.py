"""Powers of many filtered signals, by transforms side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import aligned, all_but_last, transform, workspace

Array = NDArray[Any]

FEW = 8
"""Channels that are put in place at once."""
_DONE_BYTES = 2**22
"""Squared magnitudes of this size are gathered before they are put in place."""
_TABLE_BYTES = 2**17
"""Small things, such as tables of what is put where."""
_TILE = 32
"""Rows that are transposed at once."""


def slab_of(spectra: Array) -> Array:
    """Spectra of up to 32 lines side by side; fewer are repeated for several filters at a time.

    Parameters
    ----------
    spectra : ndarray of complex, shape (line, frequency)
        Of real lines, half of the frequencies.

    Returns
    -------
    ndarray of float32, shape (frequency, 2, 32)
        Real and imaginary parts.
    """
    n_bins = spectra.shape[1]
    slab = aligned(n_bins * 2 * LANES).reshape(n_bins, 2, LANES)
    _fill(slab, spectra)
    return slab


def powers(slab: Callable[[int], Array], lines: range, responses: Sequence[Array], out: Array) -> None:
    """Squared magnitudes of filtered lines, as long as the trials.

    Parameters
    ----------
    slab : callable
        Gives the spectra of these lines for a length of transform, see `slab_of`.
    lines : range
        Up to 32 lines of the result: trials slowest and channels fastest.
    responses : sequence of ndarray of complex64, shape (n,)
        Transfer functions, divided by n, which need not be the same for all.
    out : ndarray of float32, shape (trial, time, filter, channel)
        Where the result goes; see `can_be_put`.
    """
    n_rows = out.shape[1]
    lengths = [len(h) for h in responses]
    n_groups = _gathered(n_rows)
    z_memory, done = workspace(max(lengths), n_groups * (n_rows + 1) * LANES)
    done = done.reshape(n_groups, n_rows + 1, LANES)
    together = same_length(lengths, LANES // len(lines))
    for low in range(0, len(together), n_groups):
        some = together[low : low + n_groups]
        for k, filters in enumerate(some):
            n = lengths[filters.start]
            z = z_memory[:n]
            filter_lines(z, slab(n), responses[filters.start : filters.stop], len(lines))
            last_powers(z, transform(n).place, done[k])
        firsts = [k * done[0].size for k in range(len(some))]
        starts = [
            first + j * len(lines) for first, f in zip(firsts, some, strict=True) for j in range(len(f))
        ]
        put(done, LANES, starts, lines, out[:, :, some[0].start : some[-1].stop])


def shared_bytes(length: int, lengths: Sequence[int]) -> int:
    """Memory that `powers` and the spectra of one group of lines take at most.

    Parameters
    ----------
    length : int
        Samples of a line.
    lengths : sequence of int
        Length of the transform of each filter.
    """
    return spectra_bytes(lengths) + 4 * LANES * _gathered(length) * (length + 1)


def spectra_bytes(lengths: Sequence[int]) -> int:
    """Memory for spectra of 32 lines and rows to transform."""
    return _TABLE_BYTES + LANES * (24 * max(lengths) + 4 * sum(n + 2 for n in set(lengths)))


def _gathered(n_rows: int) -> int:
    """Outputs that are gathered before they are put in place."""
    return max(4, _DONE_BYTES // (4 * n_rows * LANES))


def can_be_put(out: Array) -> bool:
    """Whether channels stand side by side and nothing stands in reverse."""
    steps = [step for size, step in zip(out.shape, out.strides, strict=True) if size > 1]
    adjacent = out.shape[-1] == 1 or out.strides[-1] == out.itemsize
    return adjacent and all(step > 0 and step % out.itemsize == 0 for step in steps)


def put(done: Array, step: int, starts: Sequence[int], lines: range, out: Array) -> None:
    """Put what was made of some lines where it belongs.

    Parameters
    ----------
    done : ndarray of float32, contiguous
        Where lines stand side by side.
    step : int
        Numbers in `done` from one time point to the next.
    starts : sequence of int
        Place of the first time point of the first line in `done` for each filter.
    lines, out
        See `powers`.
    """
    strides = tuple(stride // out.itemsize for stride in out.strides)
    sources, targets, widths = _runs(lines, tuple(starts), out.shape[3], strides)
    _put(done.reshape(-1), sources, targets, widths, out.shape[1], step, strides[1], _flat(out))


def _flat(out: Array) -> Array:
    """All memory from the first number to the last, with what may stand between them."""
    n = 1 + sum((size - 1) * step for size, step in zip(out.shape, out.strides, strict=True)) // out.itemsize
    return as_strided(out, (n,), (out.itemsize,))


def filter_lines(z: Array, slab: Array, responses: Sequence[Array], n_lines: int) -> None:
    """Products and their transforms up to the last pass."""
    if n_lines > LANES // 2:
        _multiply(z, slab, responses[0])
    elif len(responses) == 2:
        _multiply_two(z, slab, np.stack(responses), n_lines)
    else:
        _multiply_several(z, slab, np.stack(responses), n_lines)
    all_but_last(z, transform(len(z)))


def same_length(lengths: Sequence[int], at_most: int) -> list[range]:
    """Consecutive filters with the same length of transform, up to some number together."""
    found: list[range] = []
    for f, n in enumerate(lengths):
        if found and len(found[-1]) < at_most and lengths[found[-1].start] == n:
            found[-1] = range(found[-1].start, f + 1)
        else:
            found.append(range(f, f + 1))
    return found


@lru_cache(maxsize=64)
def _runs(
    lines: range, starts: tuple[int, ...], n_channels: int, strides: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Where the first row of powers that belong side by side stands, where it goes, and how many they are."""
    runs = []
    for f, start in enumerate(starts):
        line = lines.start
        while line < lines.stop:
            trial, channel = divmod(line, n_channels)
            width = min(FEW, n_channels - channel, lines.stop - line)
            target = trial * strides[0] + f * strides[2] + channel
            runs.append((target, start + line - lines.start, width))
            line += width
    targets, sources, widths = np.array(sorted(runs), np.int64).T.copy()
    return sources, targets, widths


@compiled
def last_powers(z: Array, place: Array, out: Array) -> None:
    """The last pass, and squared magnitudes in the order of time, (time, lane); later ones go to the end."""
    m, last = len(z) // 4, len(out) - 1
    for t in range(m):
        row = place[t]
        a, b, c, d = z[row], z[row + 1], z[row + 2], z[row + 3]
        oa, ob = out[min(t, last)], out[min(t + m, last)]
        oc, od = out[min(t + 2 * m, last)], out[min(t + 3 * m, last)]
        for q in range(LANES):
            ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
            cr, ci, dr, di = c[q], c[q + LANES], d[q], d[q + LANES]
            sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
            yr, yi = sr + ur, si + ui
            oa[q] = yr * yr + yi * yi
            yr, yi = er + jr, ei + ji
            ob[q] = yr * yr + yi * yi
            yr, yi = sr - ur, si - ui
            oc[q] = yr * yr + yi * yi
            yr, yi = er - jr, ei - ji
            od[q] = yr * yr + yi * yi


@compiled
def _fill(slab: Array, spectra: Array) -> None:
    n_lines, n_bins = spectra.shape
    repeats = LANES // n_lines
    for low in range(0, n_bins, _TILE):
        high = min(low + _TILE, n_bins)
        for line in range(n_lines):
            for k in range(low, high):
                slab[k, 0, line] = spectra[line, k].real
                slab[k, 1, line] = spectra[line, k].imag
        for k in range(low, high):
            for part in slab[k]:
                for lane in range(n_lines, repeats * n_lines):
                    part[lane] = part[lane - n_lines]
                part[repeats * n_lines :] = 0


@compiled
def _multiply(z: Array, slab: Array, response: Array) -> None:
    """Multiply all lanes with a transfer function; the spectra of real lines are symmetric."""
    n, half = len(z), len(slab) - 1
    for k in range(n):
        mirrored = k > half
        x, row, hr, hi = slab[n - k if mirrored else k], z[k], response[k].real, response[k].imag
        xr, xi = x[0], x[1]
        fr, fi = (-hr, -hi) if mirrored else (hr, hi)
        for q in range(LANES):
            row[q] = xr[q] * hr - xi[q] * fi
            row[q + LANES] = xr[q] * hi + xi[q] * fr


@compiled
def _multiply_two(z: Array, slab: Array, responses: Array, n_lines: int) -> None:
    """Multiply so many lanes with one transfer function and the others with a second one."""
    n, half = len(z), len(slab) - 1
    for k in range(n):
        mirrored = k > half
        x, row = slab[n - k if mirrored else k], z[k]
        first, second = responses[0, k], responses[1, k]
        ar, ai, br, bi = first.real, first.imag, second.real, second.imag
        fi, gi = (-ai, -bi) if mirrored else (ai, bi)
        fr, gr = (-ar, -br) if mirrored else (ar, br)
        xr, xi = x[0], x[1]
        for q in range(LANES):
            mine = q < n_lines
            row[q] = xr[q] * (ar if mine else br) - xi[q] * (fi if mine else gi)
            row[q + LANES] = xr[q] * (ai if mine else bi) + xi[q] * (fr if mine else gr)


@compiled
def _multiply_several(z: Array, slab: Array, responses: Array, n_lines: int) -> None:
    """Multiply so many lanes with each transfer function."""
    n, half = len(z), len(slab) - 1
    h = np.zeros(2 * (LANES + FEW), np.float32)
    for k in range(n):
        mirrored = k > half
        for f in range(len(responses)):
            real, imag = responses[f, k].real, responses[f, k].imag
            for lane in range(f * n_lines, (f + 1) * n_lines, FEW):
                for q in range(lane, lane + FEW):  # what is too much is overwritten by the next one
                    h[q] = real
                for q in range(lane, lane + FEW):
                    h[q + LANES + FEW] = imag
        x, row = slab[n - k if mirrored else k], z[k]
        xr, xi = x[0], x[1]
        sign = np.float32(-1 if mirrored else 1)
        for q in range(LANES):
            hr, hi = h[q], h[q + LANES + FEW]
            row[q] = xr[q] * hr - xi[q] * (sign * hi)
            row[q + LANES] = xr[q] * hi + xi[q] * (sign * hr)


@compiled
def _put(
    done: Array,
    sources: Array,
    targets: Array,
    widths: Array,
    n_rows: int,
    step: int,
    stride: int,
    out: Array,
) -> None:
    """Time by time, so that what stands side by side is written at a time."""
    for t in range(n_rows):
        for k in range(len(sources)):
            source, target = sources[k] + t * step, targets[k] + t * stride
            if widths[k] == FEW:
                x, y = done[source : source + FEW], out[target : target + FEW]
                for q in range(FEW):
                    y[q] = x[q]
            else:
                for q in range(widths[k]):
                    out[target + q] = done[source + q]
