"""Signals around spikes: averages, and phases at spikes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SUMS = 9
"""Numbers per cell, frequency and channel that all measures of phase come from, see `phase_sums`."""


def triggered_sums(
    x: Array, at: Array, cells: Array, n_cells: int, before: int, after: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Add up the signals around the spikes of each cell, and their squares.

    Parameters
    ----------
    x : ndarray of shape (samples, channels)
        Signals of one trial.
    at : ndarray of int, shape (spikes,)
        Samples of the spikes, ascending.
    cells : ndarray of int, shape (spikes,)
        Cells; negative ones are left out.
    n_cells : int
        Number of cells.
    before, after : int
        The window is ``at - before`` to ``at + after``, both included. Spikes whose
        window is not whole within the trial are left out.

    Returns
    -------
    sums, squares : ndarray of float64, shape (before + 1 + after, cells, channels)
    counts : ndarray of float64, shape (cells,)
        Spikes that are in the sums.
    """
    from scipy.sparse import csr_array

    n_lags = before + 1 + after
    n_places = len(x) - n_lags + 1
    first = at - before
    inside = (first >= 0) & (first < n_places) & (cells >= 0)
    first, own = first[inside], cells[inside]
    counts = np.bincount(own, minlength=n_cells).astype(np.float64)
    sums, squares = np.zeros((2, n_lags, n_cells, x.shape[1]))
    if not len(own):
        return sums, squares, counts
    wide = x.astype(np.float64)
    places = csr_array((np.ones(len(own)), (own, first)), shape=(n_cells, n_places))
    for lag in range(n_lags):
        piece = wide[lag : lag + n_places]
        sums[lag] = np.asarray(places @ piece)
        squares[lag] = np.asarray(places @ (piece * piece))
    return sums, squares, counts


def windows_of(
    foi: Array, n_samples: Array, samplerate: float, taper: str = "hann"
) -> list[NDArray[np.complex128]]:
    """Tapered complex exponentials, one per frequency, centred on the spike.

    Parameters
    ----------
    foi : ndarray of shape (frequencies,)
        Hz.
    n_samples : ndarray of int
        Length of each window, odd.
    samplerate : float
        Hz.
    taper : {'hann', 'boxcar', 'gauss'}
        Symmetric window; 'gauss' has a standard deviation of a sixth of its length.

    Returns
    -------
    list of ndarray of complex
        Convolved with a cosine of amplitude 1 at its frequency, each gives 1 where the
        cosine has a peak: phase 0 is the peak of the signal.
    """
    found = []
    for freq, n in zip(foi.tolist(), n_samples.tolist(), strict=True):
        t = (np.arange(n) - (n - 1) // 2) / samplerate
        if taper == "hann":
            shape = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(n) - (n - 1) // 2) / (n + 1))
        elif taper == "gauss":
            shape = np.exp(-0.5 * (6 * t * samplerate / n) ** 2)
        else:
            shape = np.ones(n)
        found.append(2 * shape / shape.sum() * np.exp(2j * np.pi * freq * t))
    return found


def spectra_at(
    x: Array, at: Array, windows: list[NDArray[np.complex128]]
) -> Iterator[tuple[NDArray[np.complex128], NDArray[np.bool_]]]:
    """Complex amplitude of one signal at spikes, frequency by frequency.

    Parameters
    ----------
    x : ndarray of shape (samples,)
        Signal of one trial and channel.
    at : ndarray of int, shape (spikes,)
        Samples of the spikes.
    windows : list of ndarray of complex
        Of odd lengths, see `windows_of`.

    Yields
    ------
    z : ndarray of complex, shape (spikes,)
        ``sum_t x(at + t) conj(w(t))``.
    whole : ndarray of bool, shape (spikes,)
        Whether the window lies within the trial; z is meaningless where not.

    Notes
    -----
    The same as cutting a window around each spike, computed as a convolution in
    pieces (overlap-save): work does not grow with the number of spikes.
    """
    from scipy.fft import fft, ifft, next_fast_len

    longest = max(len(w) for w in windows)
    size = next_fast_len(max(8 * longest, 4096))
    step = size - longest + 1
    half = (longest - 1) // 2
    n_pieces = max(1, -(-len(x) // step))
    padded = np.zeros(half + n_pieces * step + longest)
    padded[half : half + len(x)] = x
    pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[: n_pieces * step : step]
    spectra = fft(pieces, axis=1)
    piece, place = np.divmod(at, step)
    for window in windows:
        reach = (len(window) - 1) // 2
        kernel = np.zeros(size, dtype=np.complex128)
        kernel[half - reach : half + reach + 1] = window
        filtered = ifft(spectra * np.conj(fft(kernel)), axis=1)
        yield filtered[piece, place], (at >= reach) & (at < len(x) - reach)


def phase_sums(
    x: Array,
    at: Array,
    late: Array,
    cells: Array,
    n_cells: int,
    windows: list[NDArray[np.complex128]],
    foi: Array,
) -> NDArray[np.float64]:
    """Sums over the phases of signals at the spikes of one trial.

    Parameters
    ----------
    x : ndarray of shape (samples, channels)
        Signals; their mean over the trial is subtracted.
    at, late : ndarray of shape (spikes,)
        Nearest sample of each spike, and seconds that the spike comes after it: phases
        are turned on by as much.
    cells : ndarray of int, shape (spikes,)
        Cells; negative ones are left out.
    n_cells, windows, foi
        See `windows_of`.

    Returns
    -------
    ndarray of float64, shape (9, frequencies, cells, channels)
        With N spikes in the trial, U the sum of their unit vectors and V = U / N:
        N, N^2, Re U, Im U, abs(U)^2, 1 if N > 0, Re V, Im V, abs(V)^2. All add up over
        trials. Spikes whose window is not whole, or whose amplitude is 0 or NaN, do not count.
    """
    keep = cells >= 0
    at, late, cells = at[keep], late[keep], cells[keep]
    out = np.zeros((SUMS, len(windows), n_cells, x.shape[1]))
    if not len(at):
        return out
    for c in range(x.shape[1]):
        signal = np.asarray(x[:, c], dtype=np.float64)
        found = spectra_at(signal - signal.mean(), at, windows)
        for f, (z, whole) in enumerate(found):
            with np.errstate(invalid="ignore", divide="ignore"):
                unit = z / np.abs(z) * np.exp(2j * np.pi * float(foi[f]) * late)
            counts = whole & np.isfinite(unit)
            own, u = cells[counts], unit[counts]
            n = np.bincount(own, minlength=n_cells).astype(np.float64)
            re = np.bincount(own, weights=u.real, minlength=n_cells)
            im = np.bincount(own, weights=u.imag, minlength=n_cells)
            some = np.maximum(n, 1)
            square = re * re + im * im
            out[:, f, :, c] = (
                n, n * n, re, im, square, n > 0, re / some, im / some, square / (some * some)
            )  # fmt: skip
    return out


def phase_measures(sums: Array) -> dict[str, NDArray[np.float64]]:
    """Turn the sums of `phase_sums`, added up over trials, into measures of phase locking.

    With N spikes and U the sum of their unit vectors, U_t in trial t, V_t = U_t / N_t:

    Returns
    -------
    dict of str to ndarray of shape (frequencies, cells, channels)
        n : number of spikes.
        plv : abs(U) / N; grows as spikes get fewer.
        ang : angle of U; 0: spikes at the peak of the signal.
        ral : p-value of Rayleigh's test, Zar, J. H. (1999), Biostatistical Analysis,
            equation 27.4.
        ppc0 : (abs(U)^2 - N) / (N (N - 1)), all pairs of spikes, Vinck, M. et al.
            (2010), NeuroImage 51, 112-122, equation 14.
        ppc1 : (abs(U)^2 - sum abs(U_t)^2) / (N^2 - sum N_t^2), pairs of different trials,
            Vinck, M. et al. (2012), Journal of Computational Neuroscience 33, 53-75.
        ppc2 : (abs(V)^2 - sum abs(V_t)^2) / (M (M - 1)), pairs of the M trials with
            spikes, each with the same weight (ibid.).

        The three have no bias by the number of spikes and may be negative; NaN where
        there is no pair.
    """
    n, n2, re, im, u2, m, v_re, v_im, v2 = sums
    square = re**2 + im**2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ral = np.exp(np.sqrt(1 + 4 * n + 4 * (n**2 - square)) - (1 + 2 * n))
        pairs, between, trials = n * (n - 1), n2_between(n, n2), m * (m - 1)
        return {
            "n": n,
            "plv": np.where(n > 0, np.sqrt(square) / n, np.nan),
            "ang": np.where(n > 0, np.arctan2(im, re), np.nan),
            "ral": np.where(n > 0, np.minimum(ral, 1.0), np.nan),
            "ppc0": np.where(pairs > 0, (square - n) / pairs, np.nan),
            "ppc1": np.where(between > 0, (square - u2) / between, np.nan),
            "ppc2": np.where(trials > 0, (v_re**2 + v_im**2 - v2) / trials, np.nan),
        }


def n2_between(n: Array, n2: Array) -> NDArray[np.float64]:
    """Twice the number of pairs of spikes of different trials."""
    found: NDArray[np.float64] = n**2 - n2
    return found
