"""Tapered spectra of windows that slide along trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rayspy.kernels.detrend import detrended_inside
from rayspy.kernels.spectral.filterbank import Bank, Spectra, converted, outputs, over_batches, runs
from rayspy.kernels.spectral.mtmfft import tapered_spectra, working_dtype

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
    edges: str = "zero",
) -> None:
    """Spectra of windows of trials.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Real signals; not changed.
    tapers : ndarray, shape (taper, samples of a window)
        Tapers times the square root of the power normalisation.
    starts : ndarray of int
        First sample of each window, possibly negative, in ascending order. There is at
        least one sample of the trial in each.
    bins, output, keeptapers, polyremoval
        As in `rayspy.kernels.spectral.mtmfft.tapered_spectra`; trends are removed from each window.
    out : ndarray, shape (trial, window, taper or 1, freq, channel)
        Where to put the result.
    edges : {'zero', 'nan'}
        What becomes of windows that reach beyond the trial. 'zero': trends are fitted to
        and removed from the samples that there are, the others are zero after that.
        'nan': all of their results are NaN.
    """
    n = tapers.shape[1]
    head, tail = whole_windows(starts, n, x.shape[1])
    for part in (slice(0, head), slice(head, tail), slice(tail, len(starts))):
        some = starts[part]
        if not len(some):
            continue
        whole = part.start == head and part.stop == tail
        if not whole and edges == "nan":
            out[:, part] = np.nan
            continue
        _put_spectra(x, tapers, some, bins, output, keeptapers, polyremoval, out[:, part], whole)


def whole_windows(starts: NDArray[np.int64], n: int, length: int) -> tuple[int, int]:
    """First and last (exclusive) number of those windows of n samples that lie whole in a trial."""
    head = int(np.searchsorted(starts, 0))
    return head, max(head, int(np.searchsorted(starts, length - n, side="right")))


def _put_spectra(
    x: Array,
    tapers: Array,
    starts: NDArray[np.int64],
    bins: slice | NDArray[np.int64],
    output: str,
    keeptapers: bool,
    polyremoval: int | None,
    out: Array,
    whole: bool,
) -> None:
    """Spectra of windows that are all whole, or of which each may lack samples."""
    n, n_channels = tapers.shape[1], x.shape[2]
    windows, first = _windows(x, starts, n)
    places = _slice_or_indices(starts - first)
    at_once = max(1, BATCH_BYTES // (n * n_channels * (x.itemsize if whole else 8)))
    together = max(1, at_once // len(starts))
    order = polyremoval if whole else None
    for t in range(0, len(x), together):
        for w in range(0, len(starts), at_once):
            some = windows[t : t + together, _part(places, w, at_once)]
            samples = some.reshape(-1, n_channels, n).transpose(0, 2, 1)
            if not whole and polyremoval is not None:
                begins = starts[w : w + at_once, np.newaxis] + np.arange(n)
                inside = (begins >= 0) & (begins < x.shape[1])
                samples = _detrended(samples, polyremoval, inside)
            spectra = tapered_spectra(samples, tapers, n, bins, output, keeptapers, order)
            target = out[t : t + together, w : w + at_once]
            target[...] = spectra.reshape(*some.shape[:2], *spectra.shape[1:])


def _detrended(samples: Array, polyremoval: int, inside: NDArray[np.bool_]) -> Array:
    """Samples (trial x window, time, channel), in single precision, less their trend."""
    wide = samples.astype(working_dtype(samples.dtype), order="C")
    rest = detrended_inside(wide.reshape(-1, *inside.shape, samples.shape[2]), polyremoval, inside)
    return rest.reshape(samples.shape).astype(np.float32, copy=False)


def mean_window_power(
    x: Array,
    tapers: Array,
    starts: NDArray[np.int64],
    bins: slice | NDArray[np.int64],
    polyremoval: int | None,
    out: Array,
) -> None:
    """Power averaged over tapers and windows (Welch's method); `out` is (trial, 1, 1, freq, channel).

    All windows lie whole in the trial. They are added one after the other in double
    precision, so that a sum does not depend on how many are computed at a time.
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


def window_wave(taper: Array, bin_number: int) -> Array:
    """Taper, which contains the normalisation, times the exponential of a bin of the window's transform."""
    n = len(taper)
    return np.asarray(taper * np.exp(-2j * np.pi * (bin_number * np.arange(n) % n) / n))


def window_filter(wave: Array, polyremoval: int | None, middle: int) -> tuple[Array, int]:
    """Filter that gives one bin of the tapered spectrum of the window around each sample.

    The removal of a trend is a projection, and symmetric: it is applied to the
    taper times the exponential instead of to every window.

    Parameters
    ----------
    wave : ndarray
        Of `window_wave`.
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
    level, slope = _trend(wave, polyremoval)
    rest = wave - level - slope * _ramp(len(wave))
    return rest[::-1], middle - (len(wave) - 1)


def _ramp(n: int) -> Array:
    return np.arange(n) - (n - 1) / 2


def _trend(wave: Array, polyremoval: int | None) -> tuple[complex, complex]:
    """Level in the middle and slope of the trend that is removed."""
    ramp = _ramp(len(wave))
    level = 0 if polyremoval is None else complex(wave.mean())
    slope = complex(ramp @ wave / (ramp @ ramp)) if polyremoval == 1 and len(wave) > 1 else 0
    return level, slope


def end_weights(wave: Array, polyremoval: int, starts: NDArray[np.int64], length: int) -> Array:
    """What is to be added to the output of a `window_filter` where windows reach beyond the trial.

    With wave w and window samples n, numbered from the middle of the window, the filter
    gives the sum of (w - level - slope n) x over those in the trial. Wanted is the sum of
    w (x - fit), where the fit to the m samples in the trial, whose middle is k, is
    sum(x) / m + (n - k) sum((n - k) x) / sum((n - k)^2).

    Parameters
    ----------
    wave, polyremoval
        See `window_filter`.
    starts : ndarray of int
        First sample of the windows.
    length : int
        Samples of the trial.

    Returns
    -------
    ndarray, shape (2, window)
        Factors of the sums of x and of n x, see `end_sums`.
    """
    n = len(wave)
    first, stop = np.maximum(0, -starts), np.minimum(n, length - starts)
    m, middle = stop - first, (first + stop - n) / 2
    level, slope = _trend(wave, polyremoval)
    sums = np.cumsum(np.append(0, wave))
    plain = sums[stop] - sums[first]
    if polyremoval == 0:
        return np.stack([level - plain / m, 0 * plain])
    sums = np.cumsum(np.append(0, _ramp(n) * wave))
    tilted = sums[stop] - sums[first] - middle * plain
    tilted /= np.maximum(1, m * (m**2 - 1) / 12)
    return np.stack([level - plain / m + middle * tilted, slope - tilted])


def end_sums(lines: Array, starts: NDArray[np.int64], n: int) -> Array:
    """Sums of samples, and of samples times their numbers from the middle of the window, (2, line, window).

    `lines` are (line, time). Windows of n samples reach beyond them at one end or both.
    """
    length = lines.shape[1]
    begins = starts < 0
    edge = np.where(begins, np.minimum(starts + n, length), length - starts)
    found = np.empty((2, len(lines), len(starts)))
    for some, side, sign in ((begins, lines[:, :n], 1), (~begins, lines[:, : -n - 1 : -1], -1)):
        counted = np.stack([side, side * np.arange(side.shape[1])])
        sums = np.cumsum(counted, axis=2)[..., edge[some] - 1]
        origin = (0 if sign == 1 else length - 1) - starts[some] - (n - 1) / 2
        found[0][:, some], found[1][:, some] = sums[0], sign * sums[1] + origin * sums[0]
    return found


def edge_response(taps: Array, first: int, length: int, samples: NDArray[np.int64]) -> Array:
    """Output of a filter at some samples for an input of 1 from sample 0 to `length` and 0 elsewhere."""
    sums = np.concatenate([[0], np.cumsum(taps)])
    low = np.clip(samples - length + 1 - first, 0, len(taps))
    high = np.clip(samples + 1 - first, 0, len(taps))
    return np.asarray(sums[high] - sums[low])


def convolved_spectra(
    x: Array,
    bank: Bank,
    mend: Callable[[Spectra, Sequence[int], Array], None],
    n_tapers: int,
    freqs: range,
    output: str,
    average: bool,
    out: Array,
) -> None:
    """Spectra of windows around many samples, by one convolution per taper and bin.

    The mean of a trial is taken out first, and what it is missed for added in the
    end: large offsets do not cost precision.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Real signals; not changed.
    bank : Bank
        A filter per taper and bin, of `window_filter`.
    mend : callable
        Adds to outputs (line, filter, window), given the lines and the numbers of the
        filters, what these lack: `edge_response` times the mean, or at the ends of the
        trial `end_weights` times `end_sums`.
    n_tapers : int
        Number of tapers.
    freqs : range
        Numbers of the bins that are wanted; their results do not depend on the others.
    output : str
        As in `rayspy.kernels.spectral.mtmfft.tapered_spectra`.
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
        mend(spectra, run, values)
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
