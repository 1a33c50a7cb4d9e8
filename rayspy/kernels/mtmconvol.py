"""Tapered spectra of windows that slide along trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rayspy.kernels.filterbank import Bank, Spectra, converted, outputs, over_batches, runs
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
    at_once = max(1, BATCH_BYTES // (out.shape[3] * x.shape[2] * 4))
    together = max(1, at_once // len(starts))
    for t in range(0, len(x), together):
        trials = x[t : t + together]
        total = np.zeros((len(trials), *out.shape[3:]))
        for w in range(0, len(starts), at_once):
            some = starts[w : w + at_once]
            power = np.empty((len(trials), len(some), *out.shape[2:]), np.float32)
            window_spectra(trials, tapers, some, bins, "pow", False, polyremoval, power)
            for k in range(len(some)):
                total += power[:, k, 0]
        np.divide(total, len(starts), out=out[t : t + together, 0, 0], casting="same_kind")


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


def window_filter(taper: Array, bin_number: int, polyremoval: int | None, middle: int) -> tuple[Array, int]:
    """Filter that gives one bin of the tapered spectrum of the window around each sample.

    The removal of a trend is a projection, and symmetric: it is applied to the
    taper times the exponential instead of to every window.

    Parameters
    ----------
    taper : ndarray
        Taper times the square root of the power normalisation.
    bin_number : int
        Bin of the window's Fourier transform.
    polyremoval : int or None
        Trend that is removed from windows.
    middle : int
        Samples of the window before its time.

    Returns
    -------
    taps : ndarray
        Impulse response.
    first : int
        Lag of the first tap.
    """
    n = len(taper)
    wave = taper * np.exp(-2j * np.pi * (bin_number * np.arange(n) % n) / n)
    if polyremoval is not None:
        wave -= wave.mean()
    if polyremoval == 1 and n > 1:
        ramp = np.arange(n) - (n - 1) / 2
        wave -= ramp * (ramp @ wave) / (ramp @ ramp)
    return wave[::-1], middle - (n - 1)


def edge_response(taps: Array, first: int, length: int, samples: NDArray[np.int64]) -> Array:
    """Output of a filter at some samples for an input of 1 from sample 0 to `length` and 0 elsewhere."""
    sums = np.concatenate([[0], np.cumsum(taps)])
    low = np.clip(samples - length + 1 - first, 0, len(taps))
    high = np.clip(samples + 1 - first, 0, len(taps))
    return np.asarray(sums[high] - sums[low])


def convolved_spectra(
    x: Array,
    bank: Bank,
    edges: Callable[[Sequence[int]], Array],
    n_tapers: int,
    freqs: range,
    output: str,
    average: bool,
    out: Array,
) -> None:
    """Spectra of windows around many samples, by one convolution per taper and bin.

    The mean of a trial, which only shows where windows reach over its ends, is
    taken out first and its part of the result added in the end: large offsets do
    not cost precision.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Real signals; not changed.
    bank : Bank
        A filter per taper and bin, of `window_filter`.
    edges : callable
        Gives the `edge_response` of filters, (filter, window), from their numbers.
    n_tapers : int
        Number of tapers.
    freqs : range
        Numbers of the bins that are wanted; their results do not depend on the others.
    output : str
        As in `rayspy.kernels.mtmfft.tapered_spectra`.
    average : bool
        Average power over tapers.
    out : ndarray, shape (trial, window, taper or 1 x freq, channel)
        Where to put the result.
    """
    lines = np.ascontiguousarray(x.astype(np.float64).transpose(0, 2, 1))
    n_freq = len(bank.lengths) // n_tapers
    firsts = [k * n_freq + f for k in range(1 if average else n_tapers) for f in freqs]

    def coefficients(spectra: Spectra, run: list[int]) -> Array:
        values = outputs(spectra, [bank.response(i) for i in run], bank.points)
        values += spectra.mean.astype(np.float32)[:, :, np.newaxis] * edges(run)
        return values

    def fill(spectra: Spectra, wanted: range, target: Array) -> None:
        done = 0
        for run in runs(bank, firsts[wanted.start : wanted.stop], len(spectra)):
            part = target[:, done : done + len(run)]
            done += len(run)
            converted(coefficients(spectra, run), output, part)
            for k in range(1, n_tapers if average else 1):
                values = coefficients(spectra, [i + k * n_freq for i in run])
                part += converted(values, "pow", np.empty(part.shape, part.dtype))
        if average and n_tapers > 1:
            target /= np.float32(n_tapers)

    over_batches(lines, range(len(firsts)), bank, out, fill, centred=True)
