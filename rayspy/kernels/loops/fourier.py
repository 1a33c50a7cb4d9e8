"""Inverse Fourier transforms of many products of spectra and transfer functions at once.

A row holds one frequency, later one time point, of 32 signals side by side:
first their real, then their imaginary parts. All arithmetic runs along the
rows, so no signal sees another one, and the processor's vector units work on
8 or 16 signals at a time.

The transform is done in place by decimation in frequency with radices 2 to 5
(Cooley & Tukey 1965, Math. Comput. 19, 297-301; Gentleman & Sande 1966, Proc.
AFIPS 29, 563-578); afterwards time points stand in digit-reversed order.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import radices_of
from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

LANES = 32
"""Signals that are transformed at once."""
_FEW = 8
"""Channels that are put in place at once."""
_DONE_BYTES = 2**22
"""Squared magnitudes of this size are gathered before they are put in place."""
_TILE = 32
"""Rows that are transposed at once."""
_CACHED_ROWS = 128
"""Slabs of this many frequencies stay in the processor's first cache until they are done."""


class Transform(NamedTuple):
    """What a transform of one length needs.

    Attributes
    ----------
    radices : ndarray of int64
        Factors of the length, in their order.
    starts : ndarray of int64
        Where the factors' twiddles begin, and the end of the last.
    twiddles : ndarray of float32
        Of all factors, (position, power, real or imaginary).
    place : ndarray of int64
        Row in which each time point ends up.
    """

    radices: NDArray[np.int64]
    starts: NDArray[np.int64]
    twiddles: NDArray[np.float32]
    place: NDArray[np.int64]


@lru_cache(maxsize=64)
def transform(n: int) -> Transform:
    """Prepare an inverse transform.

    Parameters
    ----------
    n : int
        Length, 4 times a product of 2, 3 and 5.

    Raises
    ------
    ValueError
        It is not.
    """
    radices = radices_of(n)
    tables, rest = [], n
    for radix in radices:
        turns = np.outer(np.arange(rest // radix), np.arange(1, radix)) / rest
        tables.append(np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=-1).ravel())
        rest //= radix
    times = np.zeros(1, np.int64)
    for radix in reversed(radices):
        times = (radix * times + np.arange(radix)[:, np.newaxis]).ravel()
    return Transform(
        radices=np.array(radices, np.int64),
        starts=np.cumsum([0, *map(len, tables)]),
        twiddles=np.concatenate([*tables, np.zeros(0)]).astype(np.float32),
        place=np.argsort(times),
    )


@compiled
def _radix_2(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 2
    for p in range(m):
        w1r, w1i = w[p, 0], w[p, 1]
        for base in range(low + p, high, n):
            a, b = z[base], z[base + m]
            for q in range(LANES):
                ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
                a[q], a[q + LANES] = ar + br, ai + bi
                tr, ti = ar - br, ai - bi
                b[q], b[q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r


@compiled
def _radix_3(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 3
    half, s = np.float32(0.5), np.float32(math.sqrt(0.75))
    for p in range(m):
        w1r, w1i, w2r, w2i = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        for base in range(low + p, high, n):
            a, b, c = z[base], z[base + m], z[base + 2 * m]
            for q in range(LANES):
                ar, ai = a[q], a[q + LANES]
                br, bi, cr, ci = b[q], b[q + LANES], c[q], c[q + LANES]
                sr, si = br + cr, bi + ci
                er, ei = (ci - bi) * s, (br - cr) * s
                a[q], a[q + LANES] = ar + sr, ai + si
                ur, ui = ar - half * sr, ai - half * si
                tr, ti = ur + er, ui + ei
                b[q], b[q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                tr, ti = ur - er, ui - ei
                c[q], c[q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r


@compiled
def _radix_4(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 4
    for p in range(m):
        w1r, w1i, w2r, w2i, w3r, w3i = w[p, 0], w[p, 1], w[p, 2], w[p, 3], w[p, 4], w[p, 5]
        for base in range(low + p, high, n):
            a, b, c, d = z[base], z[base + m], z[base + 2 * m], z[base + 3 * m]
            for q in range(LANES):
                ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
                cr, ci, dr, di = c[q], c[q + LANES], d[q], d[q + LANES]
                sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
                a[q], a[q + LANES] = sr + ur, si + ui
                tr, ti = er + jr, ei + ji
                b[q], b[q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                tr, ti = sr - ur, si - ui
                c[q], c[q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r
                tr, ti = er - jr, ei - ji
                d[q], d[q + LANES] = tr * w3r - ti * w3i, tr * w3i + ti * w3r


@compiled
def _radix_5(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 5
    c1, c2 = np.float32(math.cos(0.4 * math.pi)), np.float32(math.cos(0.8 * math.pi))
    s1, s2 = np.float32(math.sin(0.4 * math.pi)), np.float32(math.sin(0.8 * math.pi))
    for p in range(m):
        w1r, w1i, w2r, w2i = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        w3r, w3i, w4r, w4i = w[p, 4], w[p, 5], w[p, 6], w[p, 7]
        for base in range(low + p, high, n):
            a, b, c, d, e = z[base], z[base + m], z[base + 2 * m], z[base + 3 * m], z[base + 4 * m]
            for q in range(LANES):
                ar, ai = a[q], a[q + LANES]
                b1r, b1i = b[q] + e[q], b[q + LANES] + e[q + LANES]
                b2r, b2i = b[q] - e[q], b[q + LANES] - e[q + LANES]
                d1r, d1i = c[q] + d[q], c[q + LANES] + d[q + LANES]
                d2r, d2i = c[q] - d[q], c[q + LANES] - d[q + LANES]
                a[q], a[q + LANES] = ar + b1r + d1r, ai + b1i + d1i
                ur, ui = ar + c1 * b1r + c2 * d1r, ai + c1 * b1i + c2 * d1i
                vr, vi = -(s1 * b2i + s2 * d2i), s1 * b2r + s2 * d2r
                xr, xi = ar + c2 * b1r + c1 * d1r, ai + c2 * b1i + c1 * d1i
                yr, yi = s1 * d2i - s2 * b2i, s2 * b2r - s1 * d2r
                tr, ti = ur + vr, ui + vi
                b[q], b[q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                tr, ti = xr + yr, xi + yi
                c[q], c[q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r
                tr, ti = xr - yr, xi - yi
                d[q], d[q + LANES] = tr * w3r - ti * w3i, tr * w3i + ti * w3r
                tr, ti = ur - vr, ui - vi
                e[q], e[q + LANES] = tr * w4r - ti * w4i, tr * w4i + ti * w4r


@compiled
def _passes(z: Array, plan: Transform, low: int, high: int, n: int, first: int, stop: int) -> None:
    for i in range(first, stop):
        radix = plan.radices[i]
        w = plan.twiddles[plan.starts[i] : plan.starts[i + 1]].reshape(n // radix, 2 * (radix - 1))
        if radix == 4:
            _radix_4(z, low, high, n, w)
        elif radix == 3:
            _radix_3(z, low, high, n, w)
        elif radix == 5:
            _radix_5(z, low, high, n, w)
        else:
            _radix_2(z, low, high, n, w)
        n //= radix


@compiled
def _all_but_last(z: Array, plan: Transform) -> None:
    """All passes but the last, which has no twiddles."""
    n, k, last = len(z), 0, len(plan.radices) - 1
    while n > _CACHED_ROWS and k < last:
        _passes(z, plan, 0, len(z), n, k, k + 1)
        n //= plan.radices[k]
        k += 1
    for low in range(0, len(z), n):
        _passes(z, plan, low, low + n, n, k, last)


@compiled
def _last_powers(z: Array, place: Array, out: Array) -> None:
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


class Slabs:
    """Spectra of lines side by side, 32 at a time; fewer are repeated for several filters at a time.

    Parameters
    ----------
    spectra : ndarray of complex, shape (line, frequency)
        Of real lines, half of the frequencies.
    """

    def __init__(self, spectra: Array) -> None:
        parts = line_groups(len(spectra))
        self._values = np.empty((len(parts), spectra.shape[1], 2, LANES), np.float32)
        for slab, lines in zip(self._values, parts, strict=True):
            _fill(slab, spectra[lines.start : lines.stop])

    def __getitem__(self, lines: range) -> Array:
        """Slab of one of the `line_groups`, float32 (frequency, 2, lane)."""
        slab: Array = self._values[lines.start // LANES]
        return slab


def line_groups(n_lines: int) -> list[range]:
    """Lines that stand side by side."""
    return [range(k, min(k + LANES, n_lines)) for k in range(0, n_lines, LANES)]


def powers(slabs: Callable[[int], Slabs], responses: Sequence[Array], out: Array) -> None:
    """Squared magnitudes of filtered lines, as long as the trials.

    Parameters
    ----------
    slabs : callable
        Gives the spectra for a length of transform; trials slowest and channels fastest.
    responses : sequence of ndarray of complex64, shape (n,)
        Transfer functions, divided by n, which need not be the same for all.
    out : ndarray of float32, contiguous, shape (trial, time, filter, channel)
        Where the result goes.
    """
    n_rows = out.shape[1]
    lengths = [len(h) for h in responses]
    n_groups = max(4, _DONE_BYTES // (4 * n_rows * LANES))
    z_memory, done = _workspace(max(lengths), n_groups * (n_rows + 1) * LANES)
    done = done.reshape(n_groups, n_rows + 1, LANES)
    for lines in line_groups(out.shape[0] * out.shape[3]):
        together = _same_length(lengths, LANES // len(lines))
        for low in range(0, len(together), n_groups):
            some = together[low : low + n_groups]
            for k, filters in enumerate(some):
                n = lengths[filters.start]
                z = z_memory[:n]
                _filter(z, slabs(n)[lines], responses[filters.start : filters.stop], len(lines))
                _last_powers(z, transform(n).place, done[k])
            sources, targets, widths = _runs(lines, tuple(some), out.shape)
            _put_powers(done.reshape(-1), sources, targets, widths, n_rows, out[0, 0].size, out.reshape(-1))


def _filter(z: Array, slab: Array, responses: Sequence[Array], n_lines: int) -> None:
    """Products and their transforms up to the last pass."""
    if n_lines > LANES // 2:
        _multiply(z, slab, responses[0])
    else:
        _multiply_several(z, slab, np.stack(responses), n_lines)
    _all_but_last(z, transform(len(z)))


def _same_length(lengths: Sequence[int], at_most: int) -> list[range]:
    """Consecutive filters with the same length of transform, up to some number together."""
    found: list[range] = []
    for f, n in enumerate(lengths):
        if found and len(found[-1]) < at_most and lengths[found[-1].start] == n:
            found[-1] = range(found[-1].start, f + 1)
        else:
            found.append(range(f, f + 1))
    return found


@lru_cache(maxsize=64)
def _runs(lines: range, filters: tuple[range, ...], shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Where the first row of powers that belong side by side stands, where it goes, and how many they are."""
    _, n_rows, n_freqs, n_channels = shape
    runs = []
    for k, some in enumerate(filters):
        for f in some:
            line = lines.start
            while line < lines.stop:
                trial, channel = divmod(line, n_channels)
                width = min(_FEW, n_channels - channel, lines.stop - line)
                lane = (f - some.start) * len(lines) + line - lines.start
                source = k * (n_rows + 1) * LANES + lane
                target = (trial * n_rows * n_freqs + f) * n_channels + channel
                runs.append((target, source, width))
                line += width
    targets, sources, widths = np.array(sorted(runs), np.int64).T.copy()
    return sources, targets, widths


_kept = threading.local()
"""Memory that a thread uses again: fresh memory costs as much time as half a transform."""


def _workspace(n: int, more: int) -> tuple[Array, Array]:
    """Rows to transform, and some more numbers."""
    size = n * 2 * LANES
    if getattr(_kept, "memory", np.zeros(0)).size < size + more:
        _kept.memory = np.empty(size + more, np.float32)
    memory: Array = _kept.memory
    return memory[:size].reshape(n, 2 * LANES), memory[size : size + more]


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
def _multiply_several(z: Array, slab: Array, responses: Array, n_lines: int) -> None:
    """Multiply so many lanes with each transfer function."""
    n, half = len(z), len(slab) - 1
    hr, hi = np.zeros(LANES + _FEW, np.float32), np.zeros(LANES + _FEW, np.float32)
    for k in range(n):
        mirrored = k > half
        for f in range(len(responses)):
            real, imag = responses[f, k].real, responses[f, k].imag
            for lane in range(f * n_lines, (f + 1) * n_lines, _FEW):
                r, i = hr[lane : lane + _FEW], hi[lane : lane + _FEW]
                for q in range(_FEW):  # what is too much is overwritten by the next one
                    r[q], i[q] = real, imag
        x, row = slab[n - k if mirrored else k], z[k]
        xr, xi = x[0], x[1]
        sign = np.float32(-1 if mirrored else 1)
        for q in range(LANES):
            row[q] = xr[q] * hr[q] - xi[q] * (sign * hi[q])
            row[q + LANES] = xr[q] * hi[q] + xi[q] * (sign * hr[q])


@compiled
def _put_powers(
    done: Array, sources: Array, targets: Array, widths: Array, n_rows: int, stride: int, out: Array
) -> None:
    """Put powers where they belong, time by time, so that what stands side by side is written at a time."""
    for t in range(n_rows):
        for k in range(len(sources)):
            source, target = sources[k] + t * LANES, targets[k] + t * stride
            if widths[k] == _FEW:
                x, y = done[source : source + _FEW], out[target : target + _FEW]
                for q in range(_FEW):
                    y[q] = x[q]
            else:
                for q in range(widths[k]):
                    out[target + q] = done[source + q]
