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
    half, s = z.dtype.type(0.5), z.dtype.type(math.sqrt(0.75))
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
    c1, c2 = z.dtype.type(math.cos(0.4 * math.pi)), z.dtype.type(math.cos(0.8 * math.pi))
    s1, s2 = z.dtype.type(math.sin(0.4 * math.pi)), z.dtype.type(math.sin(0.8 * math.pi))
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
def _pass(z: Array, low: int, high: int, n: int, radix: int, twiddles: Array) -> None:
    w = twiddles.reshape(n // radix, 2 * (radix - 1))
    if radix == 4:
        _radix_4(z, low, high, n, w)
    elif radix == 3:
        _radix_3(z, low, high, n, w)
    elif radix == 5:
        _radix_5(z, low, high, n, w)
    else:
        _radix_2(z, low, high, n, w)


@compiled
def all_but_last(z: Array, plan: Transform) -> None:
    """`forward` without its last pass, which is of radix 4 and has no twiddles.

    It takes four rows at a time, ``plan.place[t]`` and the next three for t up to a
    quarter of the length, whose results are those for t and one, two and three
    quarters more.
    """
    for first, stop, size in ((0, plan.outer, len(z)), (plan.outer, len(plan.radices) - 1, plan.inner)):
        for low in range(0, len(z), size):
            n = size
            for i in range(first, stop):
                w = plan.twiddles[plan.starts[i] : plan.starts[i + 1]]
                _pass(z, low, low + size, n, plan.radices[i], w)
                n //= plan.radices[i]


@compiled
def last(z: Array) -> None:
    """The last pass of `forward`."""
    for base in range(0, len(z), 4):
        a, b, c, d = z[base], z[base + 1], z[base + 2], z[base + 3]
        for q in range(LANES):
            ar, ai, br, bi = a[q], a[q + LANES], b[q], b[q + LANES]
            cr, ci, dr, di = c[q], c[q + LANES], d[q], d[q + LANES]
            sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
            ur, ui, jr, ji = br + dr, bi + di, di - bi, br - dr
            a[q], a[q + LANES] = sr + ur, si + ui
            b[q], b[q + LANES] = er + jr, ei + ji
            c[q], c[q + LANES] = sr - ur, si - ui
            d[q], d[q + LANES] = er - jr, ei - ji


def forward(z: Array) -> None:
    """Transform rows in place with exp(+i ...), not divided by the length.

    Parameters
    ----------
    z : ndarray of float32 or double, shape (n, 2 * LANES) or (several, n, 2 * LANES)
        Rows; afterwards result k is in row ``transform(n).place[k]``.
    """
    _forward(z.reshape(-1, *z.shape[-2:]), transform(z.shape[-2], z.dtype.char))


@compiled
def _forward(several: Array, plan: Transform) -> None:
    for k in range(len(several)):  # `for z in several` would hide from the compiler that rows are contiguous
        all_but_last(several[k], plan)
        last(several[k])


def backward(z: Array) -> None:
    """Transform back with exp(-i ...), from digit-reversed to natural order, not divided by the length."""
    _backward(z.reshape(-1, *z.shape[-2:]), transform(z.shape[-2], z.dtype.char))


@compiled
def _backward(several: Array, plan: Transform) -> None:
    for k in range(len(several)):
        z = several[k]
        for first, stop, size in ((plan.outer, len(plan.radices), plan.inner), (0, plan.outer, len(z))):
            for low in range(0, len(z), size):
                n = 1 if stop == len(plan.radices) else plan.inner
                for i in range(stop - 1, first - 1, -1):
                    n *= plan.radices[i]
                    w = plan.twiddles[plan.starts[i] : plan.starts[i + 1]]
                    _pass_back(z, low, low + size, n, plan.radices[i], w)


@compiled
def _pass_back(z: Array, low: int, high: int, n: int, radix: int, twiddles: Array) -> None:
    w = twiddles.reshape(n // radix, 2 * (radix - 1))
    if radix == 4:
        _back_4(z, low, high, n, w)
    elif radix == 3:
        _back_3(z, low, high, n, w)
    elif radix == 5:
        _back_5(z, low, high, n, w)
    else:
        _back_2(z, low, high, n, w)


@compiled
def _back_2(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 2
    for p in range(m):
        w1r, w1i = w[p, 0], w[p, 1]
        for base in range(low + p, high, n):
            a, b = z[base], z[base + m]
            for q in range(LANES):
                ar, ai, tr, ti = a[q], a[q + LANES], b[q], b[q + LANES]
                br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                a[q], a[q + LANES] = ar + br, ai + bi
                b[q], b[q + LANES] = ar - br, ai - bi


@compiled
def _back_3(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 3
    half, s = z.dtype.type(0.5), z.dtype.type(math.sqrt(0.75))
    for p in range(m):
        w1r, w1i, w2r, w2i = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        for base in range(low + p, high, n):
            a, b, c = z[base], z[base + m], z[base + 2 * m]
            for q in range(LANES):
                ar, ai = a[q], a[q + LANES]
                tr, ti = b[q], b[q + LANES]
                br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                tr, ti = c[q], c[q + LANES]
                cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                sr, si = br + cr, bi + ci
                er, ei = (bi - ci) * s, (cr - br) * s
                a[q], a[q + LANES] = ar + sr, ai + si
                ur, ui = ar - half * sr, ai - half * si
                b[q], b[q + LANES] = ur + er, ui + ei
                c[q], c[q + LANES] = ur - er, ui - ei


@compiled
def _back_4(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 4
    for p in range(m):
        w1r, w1i, w2r, w2i, w3r, w3i = w[p, 0], w[p, 1], w[p, 2], w[p, 3], w[p, 4], w[p, 5]
        for base in range(low + p, high, n):
            a, b, c, d = z[base], z[base + m], z[base + 2 * m], z[base + 3 * m]
            for q in range(LANES):
                ar, ai = a[q], a[q + LANES]
                tr, ti = b[q], b[q + LANES]
                br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                tr, ti = c[q], c[q + LANES]
                cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                tr, ti = d[q], d[q + LANES]
                dr, di = tr * w3r + ti * w3i, ti * w3r - tr * w3i
                sr, si, er, ei = ar + cr, ai + ci, ar - cr, ai - ci
                ur, ui, jr, ji = br + dr, bi + di, bi - di, dr - br
                a[q], a[q + LANES] = sr + ur, si + ui
                b[q], b[q + LANES] = er + jr, ei + ji
                c[q], c[q + LANES] = sr - ur, si - ui
                d[q], d[q + LANES] = er - jr, ei - ji


@compiled
def _back_5(z: Array, low: int, high: int, n: int, w: Array) -> None:
    m = n // 5
    c1, c2 = z.dtype.type(math.cos(0.4 * math.pi)), z.dtype.type(math.cos(0.8 * math.pi))
    s1, s2 = z.dtype.type(math.sin(0.4 * math.pi)), z.dtype.type(math.sin(0.8 * math.pi))
    for p in range(m):
        w1r, w1i, w2r, w2i = w[p, 0], w[p, 1], w[p, 2], w[p, 3]
        w3r, w3i, w4r, w4i = w[p, 4], w[p, 5], w[p, 6], w[p, 7]
        for base in range(low + p, high, n):
            a, b, c, d, e = z[base], z[base + m], z[base + 2 * m], z[base + 3 * m], z[base + 4 * m]
            for q in range(LANES):
                ar, ai = a[q], a[q + LANES]
                tr, ti = b[q], b[q + LANES]
                br, bi = tr * w1r + ti * w1i, ti * w1r - tr * w1i
                tr, ti = c[q], c[q + LANES]
                cr, ci = tr * w2r + ti * w2i, ti * w2r - tr * w2i
                tr, ti = d[q], d[q + LANES]
                dr, di = tr * w3r + ti * w3i, ti * w3r - tr * w3i
                tr, ti = e[q], e[q + LANES]
                er, ei = tr * w4r + ti * w4i, ti * w4r - tr * w4i
                b1r, b1i, b2r, b2i = br + er, bi + ei, br - er, bi - ei
                d1r, d1i, d2r, d2i = cr + dr, ci + di, cr - dr, ci - di
                a[q], a[q + LANES] = ar + b1r + d1r, ai + b1i + d1i
                ur, ui = ar + c1 * b1r + c2 * d1r, ai + c1 * b1i + c2 * d1i
                vr, vi = s1 * b2i + s2 * d2i, -(s1 * b2r + s2 * d2r)
                xr, xi = ar + c2 * b1r + c1 * d1r, ai + c2 * b1i + c1 * d1i
                yr, yi = s2 * b2i - s1 * d2i, s1 * d2r - s2 * b2r
                b[q], b[q + LANES] = ur + vr, ui + vi
                c[q], c[q + LANES] = xr + yr, xi + yi
                d[q], d[q + LANES] = xr - yr, xi - yi
                e[q], e[q + LANES] = ur - vr, ui - vi


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
