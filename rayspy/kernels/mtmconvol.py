"""Tapered spectra of windows that slide along trials."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rayspy.kernels.mtmfft import tapered_spectra

Array = NDArray[Any]

BATCH_BYTES = 2**19
"""Samples of so many windows go through the transform at a time."""


def window_spectra(
    x: Array,
    tapers: Array,
    starts: NDArray[np.int64],
    bins: slice | NDArray[np.int64],
    output: str,
    keeptapers: bool,
    polyremoval: int | None,
    out: Array,
) -> None:
    """Spectra of windows of trials; beyond its ends a trial is zero.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Real signals; not changed.
    tapers : ndarray, shape (taper, samples of a window)
        Tapers times the square root of the power normalisation.
    starts : ndarray of int
        First sample of each window, possibly negative, in ascending order.
    bins, output, keeptapers, polyremoval
        As in `rayspy.kernels.mtmfft.tapered_spectra`; trends are removed from each window.
    out : ndarray, shape (trial, window, taper or 1, freq, channel)
        Where to put the result.
    """
    n = tapers.shape[1]
    windows, first = _windows(x, starts, n)
    places = _slice_or_indices(starts - first)
    n_windows, n_channels = len(starts), x.shape[2]
    at_once = max(1, BATCH_BYTES // (n * n_channels * x.itemsize))
    together = max(1, at_once // n_windows)
    for t in range(0, len(x), together):
        for w in range(0, n_windows, at_once):
            some = windows[t : t + together, _part(places, w, at_once)]
            spectra = tapered_spectra(
                some.reshape(-1, n_channels, n).transpose(0, 2, 1),
                tapers,
                n,
                bins,
                output,
                keeptapers,
                polyremoval,
            )
            target = out[t : t + together, w : w + at_once]
            target[...] = spectra.reshape(*some.shape[:2], *spectra.shape[1:])


def mean_window_power(
    x: Array,
    tapers: Array,
    starts: NDArray[np.int64],
    bins: slice | NDArray[np.int64],
    polyremoval: int | None,
    out: Array,
) -> None:
    """Power averaged over tapers and windows (Welch's method); `out` is (trial, 1, 1, freq, channel).

    Windows are added one after the other in double precision, so that a sum does
    not depend on how many are computed at a time.
    """
    n_channels = x.shape[2]
    at_once = max(1, BATCH_BYTES // (out.shape[3] * n_channels * 4))
    for t in range(len(x)):
        total = np.zeros(out.shape[3:])
        for w in range(0, len(starts), at_once):
            some = starts[w : w + at_once]
            power = np.empty((1, len(some), *out.shape[2:]), np.float32)
            window_spectra(x[t : t + 1], tapers, some, bins, "pow", False, polyremoval, power)
            for single in power[0, :, 0]:
                total += single
        np.divide(total, len(starts), out=out[t, 0, 0], casting="same_kind")


def _windows(x: Array, starts: NDArray[np.int64], n: int) -> tuple[Array, int]:
    """All windows of the trials as a view (trial, start, channel, time), and the start of the first."""
    first, stop = int(starts.min()), int(starts.max()) + n
    inside = x[:, max(first, 0) : stop]
    if first < 0 or stop > x.shape[1]:
        before = max(-first, 0)
        padded = np.zeros((x.shape[0], stop - first, x.shape[2]), x.dtype)
        padded[:, before : before + inside.shape[1]] = inside
        inside = padded
    return sliding_window_view(inside, n, axis=1), first


def _slice_or_indices(places: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    steps = np.diff(places)
    if len(places) > 1 and (steps == steps[0]).all() and steps[0] > 0:
        return slice(int(places[0]), int(places[-1]) + 1, int(steps[0]))
    return places


def _part(places: slice | NDArray[np.int64], first: int, n: int) -> slice | NDArray[np.int64]:
    if isinstance(places, slice):
        low = places.start + first * places.step
        return slice(low, min(low + n * places.step, places.stop), places.step)
    return places[first : first + n]
