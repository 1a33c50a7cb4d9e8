"""Fourier transforms of many signals side by side.

A row holds one time point, or one frequency, of 32 signals: first their real,
then their imaginary parts. All arithmetic runs along the rows, so no signal
sees another one, and the processor's vector units work on 8 or 16 signals at a
time.

Transforms are done in place, forward by decimation in frequency, after which
frequencies stand in digit-reversed order, and backward from there by decimation
in time, with radices 2 to 5 (Cooley & Tukey 1965, Math. Comput. 19, 297-301;
Gentleman & Sande 1966, Proc. AFIPS 29, 563-578).
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES, radices_of
from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

FEW = 8
"""Neighbouring lanes that are treated at once."""
_CACHED_ROWS = 128
"""Rows that the processor's first cache holds."""


class Transform(NamedTuple):
    """What transforms of one length need.

    Attributes
    ----------
    radices : ndarray of int64
        Factors of the length, in their order.
    starts : ndarray of int64
        Where the factors' twiddles begin, and the end of the last.
    twiddles : ndarray of float32 or double
        Of all factors, (position, power, real or imaginary).
    place : ndarray of int64
        Row in which each result of a forward transform ends up.
    outer : int
        So many passes go over all rows; those that follow go over `inner` rows at a time.
    inner : int
        Rows that stay in the processor's first cache until they are done.
    """

    radices: NDArray[np.int64]
    starts: NDArray[np.int64]
    twiddles: NDArray[np.floating[Any]]
    place: NDArray[np.int64]
    outer: int
    inner: int


@lru_cache(maxsize=64)
def transform(n: int, dtype: str = "f") -> Transform:
    """Prepare transforms.

    Parameters
    ----------
    n : int
        Length, 4 times a product of 2, 3 and 5.
    dtype : {'f', 'd'}
        Precision.

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
    results = np.zeros(1, np.int64)
    for radix in reversed(radices):
        results = (radix * results + np.arange(radix)[:, np.newaxis]).ravel()
    outer, inner = 0, n
    while inner > _CACHED_ROWS:
        inner //= radices[outer]
        outer += 1
    return Transform(
        radices=np.array(radices, np.int64),
        starts=np.cumsum([0, *map(len, tables)]),
        twiddles=np.concatenate(tables).astype(dtype),
        place=np.argsort(results),
        outer=outer,
        inner=inner,
    )


def forward(z: Array) -> None:
    """Transform rows in place with exp(+i ...), not divided by the length.

    Parameters
    ----------
    z : ndarray of float32 or double, shape (n, 2 * LANES) or (several, n, 2 * LANES)
        Rows; afterwards result k is in row ``transform(n).place[k]``.
    """
    _forward(z.reshape(-1, *z.shape[-2:]), transform(z.shape[-2], z.dtype.char), True)


@compiled
def _forward(several: Array, plan: Transform, with_last: bool) -> None:
    """All passes, or all but the last, which is of radix 4 and has no twiddles.

    The last one takes four rows at a time, ``plan.place[t]`` and the next three for t up
    to a quarter of the length, whose results are those for t and one, two and three
    quarters more. Radices are no functions of their own, which would be compiled once more
    in each function that calls them, nor are rows arrays: both take long to compile.
    """
    dtype = several.dtype.type
    half, s = dtype(0.5), dtype(math.sqrt(0.75))
    c1, c2 = dtype(math.cos(0.4 * math.pi)), dtype(math.cos(0.8 * math.pi))
    s1, s2 = dtype(math.sin(0.4 * math.pi)), dtype(math.sin(0.8 * math.pi))
    n_passes = len(plan.radices) - 1
    for k in range(len(several)):  # `for z in several` would hide from the compiler that rows are contiguous
        z = several[k]
        for first, stop, size in ((0, plan.outer, len(z)), (plan.outer, n_passes, plan.inner)):
            for low in range(0, len(z), size):
                high, n = low + size, size
                for i in range(first, stop):
                    radix = plan.radices[i]
                    m = n // radix
                    for p in range(m):
                        t = plan.starts[i] + 2 * (radix - 1) * p
                        w = plan.twiddles[t : t + 2 * (radix - 1)]
                        if radix == 4:
                            w1r, w1i, w2r, w2i, w3r, w3i = w[0], w[1], w[2], w[3], w[4], w[5]
                            for a in range(low + p, high, n):
                                b, c, d = a + m, a + 2 * m, a + 3 * m
                                for q in range(LANES):
                                    ar, ai, br, bi = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                                    cr, ci, dr, di = z[c, q], z[c, q + LANES], z[d, q], z[d, q + LANES]
                                    sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                                    ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
                                    z[a, q], z[a, q + LANES] = sr + ur, si + ui
                                    tr, ti = er + jr, ei + ji
                                    z[b, q], z[b, q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                                    tr, ti = sr - ur, si - ui
                                    z[c, q], z[c, q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r
                                    tr, ti = er - jr, ei - ji
                                    z[d, q], z[d, q + LANES] = tr * w3r - ti * w3i, tr * w3i + ti * w3r
                        elif radix == 3:
                            w1r, w1i, w2r, w2i = w[0], w[1], w[2], w[3]
                            for a in range(low + p, high, n):
                                b, c = a + m, a + 2 * m
                                for q in range(LANES):
                                    ar, ai = z[a, q], z[a, q + LANES]
                                    br, bi, cr, ci = z[b, q], z[b, q + LANES], z[c, q], z[c, q + LANES]
                                    sr, si = br + cr, bi + ci
                                    er, ei = (ci - bi) * s, (br - cr) * s
                                    z[a, q], z[a, q + LANES] = ar + sr, ai + si
                                    ur, ui = ar - half * sr, ai - half * si
                                    tr, ti = ur + er, ui + ei
                                    z[b, q], z[b, q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                                    tr, ti = ur - er, ui - ei
                                    z[c, q], z[c, q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r
                        elif radix == 2:
                            w1r, w1i = w[0], w[1]
                            for a in range(low + p, high, n):
                                b = a + m
                                for q in range(LANES):
                                    ar, ai, br, bi = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                                    z[a, q], z[a, q + LANES] = ar + br, ai + bi
                                    tr, ti = ar - br, ai - bi
                                    z[b, q], z[b, q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                        else:
                            w1r, w1i, w2r, w2i = w[0], w[1], w[2], w[3]
                            w3r, w3i, w4r, w4i = w[4], w[5], w[6], w[7]
                            for a in range(low + p, high, n):
                                b, c, d, e = a + m, a + 2 * m, a + 3 * m, a + 4 * m
                                for q in range(LANES):
                                    ar, ai = z[a, q], z[a, q + LANES]
                                    b1r, b1i = z[b, q] + z[e, q], z[b, q + LANES] + z[e, q + LANES]
                                    b2r, b2i = z[b, q] - z[e, q], z[b, q + LANES] - z[e, q + LANES]
                                    d1r, d1i = z[c, q] + z[d, q], z[c, q + LANES] + z[d, q + LANES]
                                    d2r, d2i = z[c, q] - z[d, q], z[c, q + LANES] - z[d, q + LANES]
                                    z[a, q], z[a, q + LANES] = ar + b1r + d1r, ai + b1i + d1i
                                    ur, ui = ar + c1 * b1r + c2 * d1r, ai + c1 * b1i + c2 * d1i
                                    vr, vi = -(s1 * b2i + s2 * d2i), s1 * b2r + s2 * d2r
                                    xr, xi = ar + c2 * b1r + c1 * d1r, ai + c2 * b1i + c1 * d1i
                                    yr, yi = s1 * d2i - s2 * b2i, s2 * b2r - s1 * d2r
                                    tr, ti = ur + vr, ui + vi
                                    z[b, q], z[b, q + LANES] = tr * w1r - ti * w1i, tr * w1i + ti * w1r
                                    tr, ti = xr + yr, xi + yi
                                    z[c, q], z[c, q + LANES] = tr * w2r - ti * w2i, tr * w2i + ti * w2r
                                    tr, ti = xr - yr, xi - yi
                                    z[d, q], z[d, q + LANES] = tr * w3r - ti * w3i, tr * w3i + ti * w3r
                                    tr, ti = ur - vr, ui - vi
                                    z[e, q], z[e, q + LANES] = tr * w4r - ti * w4i, tr * w4i + ti * w4r
                    n = m
        if with_last:
            for a in range(0, len(z), 4):
                b, c, d = a + 1, a + 2, a + 3
                for q in range(LANES):
                    ar, ai, br, bi = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                    cr, ci, dr, di = z[c, q], z[c, q + LANES], z[d, q], z[d, q + LANES]
                    sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                    ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
                    z[a, q], z[a, q + LANES] = sr + ur, si + ui
                    z[b, q], z[b, q + LANES] = er + jr, ei + ji
                    z[c, q], z[c, q + LANES] = sr - ur, si - ui
                    z[d, q], z[d, q + LANES] = er - jr, ei - ji


def backward(z: Array) -> None:
    """Transform back with exp(-i ...), from digit-reversed to natural order, not divided by the length."""
    _backward(z.reshape(-1, *z.shape[-2:]), transform(z.shape[-2], z.dtype.char))


@compiled
def _backward(several: Array, plan: Transform) -> None:
    dtype = several.dtype.type
    half, s = dtype(0.5), dtype(math.sqrt(0.75))
    c1, c2 = dtype(math.cos(0.4 * math.pi)), dtype(math.cos(0.8 * math.pi))
    s1, s2 = dtype(math.sin(0.4 * math.pi)), dtype(math.sin(0.8 * math.pi))
    n_passes = len(plan.radices)
    for k in range(len(several)):
        z = several[k]
        for first, stop, size in ((plan.outer, n_passes, plan.inner), (0, plan.outer, len(z))):
            for low in range(0, len(z), size):
                high, m = low + size, 1 if stop == n_passes else plan.inner
                for i in range(stop - 1, first - 1, -1):
                    radix = plan.radices[i]
                    n = m * radix
                    for p in range(m):
                        t = plan.starts[i] + 2 * (radix - 1) * p
                        w = plan.twiddles[t : t + 2 * (radix - 1)]
                        if radix == 4:
                            w1r, w1i, w2r, w2i, w3r, w3i = w[0], w[1], w[2], w[3], w[4], w[5]
                            for a in range(low + p, high, n):
                                b, c, d = a + m, a + 2 * m, a + 3 * m
                                for q in range(LANES):
                                    ar, ai, tr, ti = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                                    br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                                    tr, ti = z[c, q], z[c, q + LANES]
                                    cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                                    tr, ti = z[d, q], z[d, q + LANES]
                                    dr, di = tr * w3r + ti * w3i, ti * w3r - tr * w3i
                                    sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                                    ur, ui, jr, ji = br + dr, bi + di, bi - di, dr - br
                                    z[a, q], z[a, q + LANES] = sr + ur, si + ui
                                    z[b, q], z[b, q + LANES] = er + jr, ei + ji
                                    z[c, q], z[c, q + LANES] = sr - ur, si - ui
                                    z[d, q], z[d, q + LANES] = er - jr, ei - ji
                        elif radix == 3:
                            w1r, w1i, w2r, w2i = w[0], w[1], w[2], w[3]
                            for a in range(low + p, high, n):
                                b, c = a + m, a + 2 * m
                                for q in range(LANES):
                                    ar, ai, tr, ti = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                                    br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                                    tr, ti = z[c, q], z[c, q + LANES]
                                    cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                                    sr, si = br + cr, bi + ci
                                    er, ei = (bi - ci) * s, (cr - br) * s
                                    z[a, q], z[a, q + LANES] = ar + sr, ai + si
                                    ur, ui = ar - half * sr, ai - half * si
                                    z[b, q], z[b, q + LANES] = ur + er, ui + ei
                                    z[c, q], z[c, q + LANES] = ur - er, ui - ei
                        elif radix == 2:
                            w1r, w1i = w[0], w[1]
                            for a in range(low + p, high, n):
                                b = a + m
                                for q in range(LANES):
                                    ar, ai, tr, ti = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                                    br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                                    z[a, q], z[a, q + LANES] = ar + br, ai + bi
                                    z[b, q], z[b, q + LANES] = ar - br, ai - bi
                        else:
                            w1r, w1i, w2r, w2i = w[0], w[1], w[2], w[3]
                            w3r, w3i, w4r, w4i = w[4], w[5], w[6], w[7]
                            for at in range(low + p, high, n):
                                va, vb, vc = z[at], z[at + m], z[at + 2 * m]
                                vd, ve = z[at + 3 * m], z[at + 4 * m]  # as arrays, which here is faster
                                for q in range(LANES):
                                    ar, ai, tr, ti = va[q], va[q + LANES], vb[q], vb[q + LANES]
                                    br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                                    tr, ti = vc[q], vc[q + LANES]
                                    cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                                    tr, ti = vd[q], vd[q + LANES]
                                    dr, di = tr * w3r + ti * w3i, ti * w3r - tr * w3i
                                    tr, ti = ve[q], ve[q + LANES]
                                    er, ei = tr * w4r + ti * w4i, ti * w4r - tr * w4i
                                    b1r, b1i, b2r, b2i = br + er, bi + ei, br - er, bi - ei
                                    d1r, d1i, d2r, d2i = cr + dr, ci + di, cr - dr, ci - di
                                    va[q], va[q + LANES] = ar + b1r + d1r, ai + b1i + d1i
                                    ur, ui = ar + c1 * b1r + c2 * d1r, ai + c1 * b1i + c2 * d1i
                                    vr, vi = s1 * b2i + s2 * d2i, -(s1 * b2r + s2 * d2r)
                                    xr, xi = ar + c2 * b1r + c1 * d1r, ai + c2 * b1i + c1 * d1i
                                    yr, yi = s2 * b2i - s1 * d2i, s1 * d2r - s2 * b2r
                                    vb[q], vb[q + LANES] = ur + vr, ui + vi
                                    vc[q], vc[q + LANES] = xr + yr, xi + yi
                                    vd[q], vd[q + LANES] = xr - yr, xi - yi
                                    ve[q], ve[q + LANES] = ur - vr, ui - vi
                    m = n


@compiled
def filtered_powers(
    z: Array,
    slab: Array,
    firsts: Array,
    widths: Array,
    responses: Array,
    part: int,
    n_lines: int,
    plan: Transform,
    h: Array,
    n_times: int,
    done: Array,
) -> None:
    """Powers of filtered lines, as many filters at a time as the lanes have room for.

    Parameters
    ----------
    z, slab, part, n_lines, n_times, done
        See `rayspy.kernels.loops.powers.fill_powers`.
    firsts, widths : ndarray of int64, shape (filter,)
        First bin of each response, and how many there are.
    responses : ndarray of complex64, shape (filter, part, bin)
        Responses.
    plan : Transform
        Transform of the length of `z`.
    h : ndarray of float32, shape (2, LANES + FEW)
        Room for real and imaginary parts of a bin of the responses.
    """
    n_rows, half, together = len(z), len(slab) - 1, LANES // n_lines
    for group in range(len(done)):
        low = group * together
        high = min(low + together, len(responses))
        alike = True
        for f in range(low + 1, high):
            alike = alike and firsts[f] == firsts[low]
        n_bins = widths[low] if together == 1 else responses.shape[2]
        for t in range(n_bins if together == 1 else 0, n_rows):
            for q in range(2 * LANES):
                z[t, q] = 0
        # The spectra of real lines are symmetric. Products that stand a transform's length apart are added.
        for first in range(low, low + 1 if alike else high):
            for j in range(n_bins):
                k = (firsts[first] + j) % (2 * half)
                sign = np.float32(1)
                if k > half:
                    k, sign = 2 * half - k, np.float32(-1)
                t = j % n_rows
                if together == 1:
                    hr, hi = responses[first, part, j].real, responses[first, part, j].imag
                    fr, fi = sign * hr, sign * hi
                    if j < n_rows:
                        for q in range(LANES):
                            z[t, q] = slab[k, 0, q] * hr - slab[k, 1, q] * fi
                            z[t, q + LANES] = slab[k, 0, q] * hi + slab[k, 1, q] * fr
                    else:
                        for q in range(LANES):
                            z[t, q] += slab[k, 0, q] * hr - slab[k, 1, q] * fi
                            z[t, q + LANES] += slab[k, 0, q] * hi + slab[k, 1, q] * fr
                elif alike and high == low + 2:
                    ar, ai, br, bi = (
                        responses[low, part, j].real,
                        responses[low, part, j].imag,
                        responses[low + 1, part, j].real,
                        responses[low + 1, part, j].imag,
                    )
                    for q in range(LANES):
                        hr, hi = br, bi
                        if q < n_lines:
                            hr, hi = ar, ai
                        z[t, q] += slab[k, 0, q] * hr - slab[k, 1, q] * (sign * hi)
                        z[t, q + LANES] += slab[k, 0, q] * hi + slab[k, 1, q] * (sign * hr)
                elif alike:
                    for f in range(low, high):
                        real, imag = responses[f, part, j].real, responses[f, part, j].imag
                        for lane in range((f - low) * n_lines, (f - low + 1) * n_lines, FEW):
                            for q in range(lane, lane + FEW):  # the next one overwrites what is too much
                                h[0, q] = real
                            for q in range(lane, lane + FEW):
                                h[1, q] = imag
                    for q in range(LANES):
                        z[t, q] += slab[k, 0, q] * h[0, q] - slab[k, 1, q] * (sign * h[1, q])
                        z[t, q + LANES] += slab[k, 0, q] * h[1, q] + slab[k, 1, q] * (sign * h[0, q])
                else:
                    hr, hi = responses[first, part, j].real, responses[first, part, j].imag
                    fr, fi = sign * hr, sign * hi
                    lane = (first - low) * n_lines
                    re, im = z[t, lane : lane + n_lines], z[t, LANES + lane : LANES + lane + n_lines]
                    xr, xi = slab[k, 0], slab[k, 1]
                    for q in range(n_lines):
                        re[q] += xr[q] * hr - xi[q] * fi
                        im[q] += xr[q] * hi + xi[q] * fr
        _forward(z.reshape(1, n_rows, 2 * LANES), plan, False)
        # The last pass, and squared magnitudes in the order of time; later ones go to the end.
        m = n_rows // 4
        for t in range(m):
            a = plan.place[t]
            b, c, d = a + 1, a + 2, a + 3
            ta, tb = min(t, n_times), min(t + m, n_times)
            tc, td = min(t + 2 * m, n_times), min(t + 3 * m, n_times)
            for q in range(LANES):
                ar, ai, br, bi = z[a, q], z[a, q + LANES], z[b, q], z[b, q + LANES]
                cr, ci, dr, di = z[c, q], z[c, q + LANES], z[d, q], z[d, q + LANES]
                sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
                yr, yi = sr + ur, si + ui
                done[group, ta, q] = yr * yr + yi * yi
                yr, yi = er + jr, ei + ji
                done[group, tb, q] = yr * yr + yi * yi
                yr, yi = sr - ur, si - ui
                done[group, tc, q] = yr * yr + yi * yi
                yr, yi = er - jr, ei - ji
                done[group, td, q] = yr * yr + yi * yi


_kept = threading.local()
_MOST_KEPT = 2**24
"""Numbers; what is larger is given back at once, as a thread may outlive the work by hours."""


def kept(size: int, dtype: np.dtype[Any]) -> Array:
    """Memory that a thread uses again: fresh memory costs as much time as half a transform."""
    needed = size * dtype.itemsize // 4
    memory: Array | None = getattr(_kept, "memory", None)
    if memory is None or memory.size < needed:
        _kept.memory = memory = None  # given back before there is more
        memory = aligned(needed)
        _kept.memory = memory if needed <= _MOST_KEPT else None
    return memory[:needed].view(dtype)


def workspace(n: int, more: int) -> tuple[Array, Array]:
    """Rows to transform, and some more numbers."""
    size = n * 2 * LANES
    memory = kept(size + more, np.dtype("f4"))
    return memory[:size].reshape(n, 2 * LANES), memory[size:]


def aligned(size: int) -> NDArray[np.float32]:
    """Memory for so many numbers that begins with a line of the processor's cache, which is faster."""
    line = 64
    memory = np.empty(size + line // 4, np.float32)
    skip = -memory.ctypes.data % line // 4
    return memory[skip : skip + size]


def line_groups(n_lines: int) -> list[range]:
    """Lines that stand side by side."""
    return [range(k, min(k + LANES, n_lines)) for k in range(0, n_lines, LANES)]
