"""Second-order sections over many signals side by side.

A recursion waits for its own last value, so one signal cannot keep a processor
busy: `LANES` signals go through together. Each lane is computed by itself, in
double precision and in the order of operations of `scipy.signal.sosfilt`.
Signals come and go as (trial, time, channel); signal number i is channel
``i % n_channels`` of trial ``i // n_channels``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]

LANES = 16
"""Signals that are filtered together."""
ROWS = 64
"""Samples, an even number, that go through one section before the next: they stay in the fastest cache."""
TINY = 1e-200
"""A state below counts as zero: processors are slow with numbers close to the smallest."""


@compiled
def one_way(x: Array, sos: Array, start: Array, first: int, out: Array) -> None:
    """Filter forward.

    Parameters
    ----------
    x : ndarray, real, shape (trial, time, channel)
        Signals.
    sos : ndarray of double, shape (section, 6)
        Coefficients.
    start : ndarray of double, shape (section, 2)
        State at the beginning for a first sample of 1.
    first : int
        Sample that goes to row 0 of `out`.
    out : ndarray, floating point, shape (trial, rows, channel)
        Where the result goes.
    """
    tile, states = np.zeros((ROWS, LANES)), np.empty((len(sos), 2 * LANES))
    n_lines, stop = x.shape[0] * x.shape[2], first + out.shape[1]
    for line in range(0, n_lines, LANES):
        width = min(LANES, n_lines - line)
        for begin in range(0, stop, ROWS):
            count = min(ROWS, stop - begin)
            _gather(x, line, width, begin, count, tile)
            if begin == 0:
                _start(states, start, tile)
            _sections(tile, count, sos, states)
            _scatter(tile[:count], width, line, begin - first, out)


@compiled
def both_ways(x: Array, sos: Array, start: Array, padding: int, first: int, held: Array, out: Array) -> None:
    """Extend the ends by odd reflection, filter forward, then backward.

    Parameters
    ----------
    x, sos, start, first, out
        As in `one_way`.
    padding : int
        Samples to add at either end, fewer than there are.
    held : ndarray of double, shape (time + 2 * padding, at most LANES)
        Room for what has been filtered forward.
    """
    tile, states = np.zeros((ROWS, LANES)), np.empty((len(sos), 2 * LANES))
    n_lines, total = x.shape[0] * x.shape[2], len(held)
    for line in range(0, n_lines, LANES):
        width = min(LANES, n_lines - line)
        for begin in range(0, total, ROWS):
            count = min(ROWS, total - begin)
            _gather(x, line, width, begin - padding, count, tile)
            if begin == 0:
                _start(states, start, tile)
            _sections(tile, count, sos, states)
            for i in range(count):
                for lane in range(width):
                    held[begin + i, lane] = tile[i, lane]
        for end in range(total, padding + first, -ROWS):
            count = min(ROWS, end)
            for i in range(count):
                for lane in range(width):
                    tile[i, lane] = held[end - 1 - i, lane]
            if end == total:
                _start(states, start, tile)
            _sections(tile, count, sos, states)
            _scatter(tile[:count][::-1], width, line, end - count - padding - first, out)


@compiled
def _start(states: Array, start: Array, tile: Array) -> None:
    """States of all lanes at their first sample."""
    for s in range(len(start)):
        for lane in range(LANES):
            states[s, lane] = start[s, 0] * tile[0, lane]
            states[s, LANES + lane] = start[s, 1] * tile[0, lane]


@compiled
def _sections(tile: Array, count: int, sos: Array, states: Array) -> None:
    """Filter the rows of a tile in place (transposed direct form II), two at a time.

    If `count` is odd, one row more is changed, and the states are those after it.
    """
    pairs = tile.reshape(ROWS // 2, 2 * LANES)
    for s in range(len(sos)):
        b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
        state = states[s]
        for p in range((count + 1) // 2):
            pair = pairs[p]
            for i in range(LANES):
                u, v = pair[i], pair[LANES + i]
                y = b0 * u + state[i]
                z = b1 * u - a1 * y + state[LANES + i]
                pair[i] = y
                w = b0 * v + z
                state[i] = b1 * v - a1 * w + (b2 * u - a2 * y)
                state[LANES + i] = b2 * v - a2 * w
                pair[LANES + i] = w
        for i in range(2 * LANES):
            if abs(state[i]) < TINY:
                state[i] = 0.0


@compiled
def _gather(x: Array, line: int, width: int, begin: int, count: int, tile: Array) -> None:
    """Samples `begin` and following of `width` signals; before and after the signal its odd reflection."""
    n, n_channels = x.shape[1], x.shape[2]
    for lane in range(width):
        trial, channel = (line + lane) // n_channels, (line + lane) % n_channels
        if begin >= 0 and begin + count <= n:
            signal = x[trial, begin : begin + count, channel]
            for i in range(count):
                tile[i, lane] = signal[i]
        else:
            signal = x[trial, :, channel]
            for i in range(count):
                j = begin + i
                end = min(max(j, 0), n - 1)
                tile[i, lane] = signal[j] if j == end else 2.0 * signal[end] - signal[2 * end - j]


@compiled
def _scatter(rows: Array, width: int, line: int, begin: int, out: Array) -> None:
    """Put `rows` of a tile into row `begin` and following of the result, as far as it has them."""
    n, n_channels = out.shape[1], out.shape[2]
    low, high = max(0, -begin), min(len(rows), n - begin)
    for lane in range(width):
        trial, channel = (line + lane) // n_channels, (line + lane) % n_channels
        signal, wanted = out[trial, begin + low : begin + high, channel], rows[low:high, lane]
        for i in range(high - low):
            signal[i] = wanted[i]
