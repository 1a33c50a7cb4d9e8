"""Where the spectra come from that pairs are made of: computed from signals, or given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.selection import Selection
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.spectral.checks import (
    check_not_too_short,
    check_polyremoval,
    check_taper,
    frequency_bins,
    padded_length,
    whole_samples,
)
from rayspy.frontends.spectral.request import Given, lengths_of
from rayspy.methods.base import Method
from rayspy.methods.connectivity.spectra import GivenSpectra, PairSpectra
from rayspy.methods.spectral.mtmfft import Mtmfft, Taper


@dataclass(frozen=True, eq=False)
class Spectra:
    """Spectra of trials.

    Attributes
    ----------
    method : Method
        What makes them.
    selection : Selection
        Of what; trials may have been cut into segments.
    freq : ndarray
        Frequencies that are computed, in Hz.
    n_tapers : int
        Number of tapers.
    n_times : int
        Times per trial.
    n_fft : int or None
        Length of the transform, if all its frequencies are there.
    bins : tuple of int or None
        Those of the frequencies that are wanted; None: all.
    """

    method: Method
    selection: Selection
    freq: NDArray[np.float64]
    n_tapers: int
    n_times: int
    n_fft: int | None
    bins: tuple[int, ...] | None = None

    @property
    def n_trials(self) -> int:
        """Number of trials, or segments."""
        return len(self.selection.trialdefinition)


def check_data(data: BaseData) -> None:
    """Accept signals with a samplerate, or complex spectra."""
    if not isinstance(data, (AnalogData, SpectralData)):
        raise InvalidTypeError(data, "data", "either AnalogData or SpectralData as input;")
    if data.data is None:
        raise InvalidValueError(f"non-empty {type(data).__name__}", "data", "object without data")
    is_complex = data.source.dtype.kind == "c"
    if isinstance(data, SpectralData) and not is_complex:
        raise InvalidValueError(
            "complex valued spectra: freqanalysis(..., output='fourier', keeptapers=True)",
            "data",
            f"real spectra ({data.source.dtype})",
        )
    if isinstance(data, AnalogData) and is_complex:
        raise InvalidValueError("real-valued signals", "data", f"dtype {data.source.dtype}")
    if isinstance(data, AnalogData) and data.samplerate is None:
        raise InvalidValueError("AnalogData with a samplerate", "data", "samplerate None")


def spectra_of(data: BaseData, selection: Selection, given: Given, whole: bool) -> Spectra:
    """Check and resolve what spectra are made of.

    Parameters
    ----------
    data : AnalogData or SpectralData
        The input.
    selection : Selection
        What is selected of it.
    given : mapping
        Parameters.
    whole : bool
        All frequencies are needed, whichever are wanted.
    """
    if isinstance(data, SpectralData):
        return _given_spectra(data, selection, given, whole)
    rate = float(data.samplerate or 0)
    selection = segmented(selection, given["segments"], rate)
    lengths = lengths_of(selection)
    n_fft = padded_length(given["pad"], int(lengths.max()), rate)
    bins = frequency_bins(given["foi"], given["foilim"], n_fft, rate)
    taper = check_taper(given, float(lengths.mean()), rate)
    check_not_too_short(taper, lengths)
    method = Mtmfft(
        samplerate=rate,
        n_fft=n_fft,
        bins=None if whole else bins,
        taper=taper,
        taper_labels=tuple(taper.labels),
        output_kind="fourier",
        keeptapers=True,
        polyremoval=check_polyremoval(given["polyremoval"]),
    )
    return Spectra(
        method, selection, method.freq, taper.n_tapers, 1, n_fft if whole else None, bins if whole else None
    )


def padded_spectra(data: BaseData, selection: Selection, given: Given) -> tuple[Spectra, int]:
    """Spectra of trials filled up to twice their length, for correlations; and that length."""
    from scipy.fft import next_fast_len

    rate = float(data.samplerate or 0)
    selection = segmented(selection, given["segments"], rate)
    lengths = lengths_of(selection)
    if (lengths != lengths[0]).any():
        raise InvalidValueError(
            "trials of equal length for method='corr'",
            "data",
            f"trials of {lengths.min():g} to {lengths.max():g} samples",
        )
    length = int(lengths[0])
    n_fft = next_fast_len(2 * length, real=True)
    method = Mtmfft(
        samplerate=rate,
        n_fft=n_fft,
        bins=None,
        taper=Taper("boxcar"),
        taper_labels=("None",),
        output_kind="fourier",
        keeptapers=True,
        polyremoval=check_polyremoval(given["polyremoval"]),
    )
    return Spectra(method, selection, method.freq, 1, 1, n_fft), length


def for_pairs(method: Method, n_channels: int, n_pairs: int) -> Method:
    """Tell a method how much work its spectra will make."""
    if not isinstance(method, Mtmfft):
        return method
    known = {f.name: getattr(method, f.name) for f in fields(method)}
    return PairSpectra(**{**known, "n_channels": n_channels, "n_pairs": n_pairs})


def segmented(selection: Selection, segments: Any, rate: float) -> Selection:
    """Cut trials into segments of equal length, each of which counts as a trial."""
    if segments is None:
        return selection
    seconds, overlap = _check_segments(segments)
    length = whole_samples(seconds, rate)
    step = max(1, length - int(np.floor(overlap * length + 1e-6)))
    shortest = int(selection.lengths.min())
    if not 2 <= length <= shortest:
        raise InvalidValueError(
            f"seconds from two samples, {2 / rate:g} s, to the shortest trial, {shortest / rate:g} s",
            "segments",
            segments,
        )
    rows, places = [], []
    for k, row in enumerate(selection.trialdefinition):
        shifts = np.arange(0, int(row[1] - row[0]) - length + 1, step)
        cut = np.tile(row, (len(shifts), 1))
        cut[:, 0] += shifts
        cut[:, 1] = cut[:, 0] + length
        cut[:, 2] += shifts
        rows.append(cut)
        places.append(np.full(len(shifts), k))
    return replace(
        selection,
        trial_numbers=selection.trial_numbers[np.concatenate(places)],
        trialdefinition=np.concatenate(rows),
    )


def _check_segments(segments: Any) -> tuple[float, float]:
    if isinstance(segments, (list, tuple)):
        if len(segments) != 2:
            raise InvalidValueError("seconds, or [seconds, overlap]", "segments", segments)
        overlap = check_scalar(segments[1], "segments[overlap]", 0)
        if overlap >= 1:
            raise InvalidValueError("overlap from 0 to less than 1", "segments[overlap]", segments[1])
        return check_scalar(segments[0], "segments[seconds]", 0), overlap
    return check_scalar(segments, "segments", 0), 0.0


_UNUSED = {
    "foi": None, "foilim": None, "pad": "maxperlen", "polyremoval": 0, "tapsmofrq": None, "nTaper": None,
    "taper": "hann", "taper_opt": None,
}  # fmt: skip
"""Parameters of spectra, with their defaults."""


def unused_of(data: BaseData, given: Mapping[str, Any]) -> list[str]:
    """Parameters that were given though spectra are there already."""
    if isinstance(data, AnalogData):
        return []
    return [name for name, default in _UNUSED.items() if not _is_default(given[name], default)]


def _is_default(value: Any, default: Any) -> bool:
    return value is default or (isinstance(value, (str, int, float)) and value == default)


def _given_spectra(data: SpectralData, selection: Selection, given: Given, whole: bool) -> Spectra:
    if given["segments"] is not None:
        raise InvalidValueError("None for spectra: only signals can be cut", "segments", given["segments"])
    freq = np.asarray(selection.labels("freq"), np.float64)
    lengths = selection.lengths
    if (lengths != lengths[0]).any():
        raise InvalidValueError(
            "trials of equal length", "data", f"trials of {lengths.min():g} to {lengths.max():g} time points"
        )
    n_times = int(lengths[0])
    n_fft = _length_of(freq, data.samplerate, n_times) if whole else None
    n_tapers, n_channels = len(selection.labels("taper")), len(selection.labels("channel"))
    size = n_times * n_tapers * len(freq) * n_channels * data.source.dtype.itemsize
    method = GivenSpectra(n_channels, n_tapers, size)
    return Spectra(method, selection, freq, n_tapers, n_times, n_fft)


def _length_of(freq: NDArray[np.float64], samplerate: float | None, n_times: int) -> int:
    """Length of the transform that gave these frequencies."""
    if n_times > 1:
        raise InvalidValueError(
            "spectra of whole trials for measures that need factors (time-resolved ones: one call per "
            "window of the signals, select={'latency': [t0, t1]})",
            "data",
            f"{n_times} times per trial",
        )
    legal = "all frequencies of the transform from 0 Hz to Nyquist, which the factors need"
    if len(freq) < 3 or freq[0] != 0 or samplerate is None:
        raise InvalidValueError(legal, "data", f"{len(freq)} frequencies from {freq[0]:g} to {freq[-1]:g} Hz")
    step = freq[-1] / (len(freq) - 1)
    n_fft = int(np.rint(samplerate / step))
    if n_fft // 2 + 1 != len(freq) or not np.allclose(freq, np.arange(len(freq)) * step, rtol=1e-6):
        raise InvalidValueError(legal, "data", f"{len(freq)} frequencies from {freq[0]:g} to {freq[-1]:g} Hz")
    return n_fft
