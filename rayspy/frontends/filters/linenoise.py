"""Front-ends `notchfilter` and `linefilter`: power line noise and its harmonics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.compute import selected
from rayspy.frontends.filters.preprocessing import check_long_enough, filtered
from rayspy.frontends.spectral.checks import check_input
from rayspy.methods.filters.filters import Notch
from rayspy.methods.filters.linefilter import LineFilter
from rayspy.methods.filters.preprocessing import Preprocessing

_FEWEST_CYCLES = 2
_MOST_HARMONICS = 10_000
_LONGEST_WINDOW = 2.0**53
"""In samples; longer than any trial."""


@frontend
def notchfilter(
    data: AnalogData,
    freq: float = 50.0,
    n_harmonics: int | None = None,
    width: float = 2.0,
    direction: str = "twopass",
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[AnalogData]:
    """Take a frequency and its harmonics out with narrow recursive filters.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    freq : float
        Line frequency in Hz.
    n_harmonics : int, optional
        How many multiples of `freq` to take out, `freq` itself included; all
        below Nyquist by default.
    width : float
        Width of each notch in Hz, between the frequencies with half power when
        the filter is applied once.
    direction : {'twopass', 'onepass'}
        Forward and backward (no phase shift, amplitudes squared), or once.
    parallel, select, chan_per_worker
        As in `freqanalysis`.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData
        Same shape as the selected data, float32. ``info["nan_trials"]`` lists the
        trials that contain NaN.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.

    Notes
    -----
    A notch of width w rings for about 1 / w seconds; near the ends of a trial
    some of the line remains. `linefilter` has no such ends. Second-order notches
    as in Orfanidis, S. J. (1996), Introduction to signal processing, section
    11.3.2. Long trials are filtered in pieces as in `preprocessing`.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=500, nChannels=2, seed=1)
    >>> spy.notchfilter(data, freq=50, n_harmonics=3, parallel=False).data.shape
    (1500, 2)
    """
    check_input(data)
    warn_unused("notchfilter", kwargs)
    rate = float(data.samplerate or 0)
    freqs = _harmonics(freq, n_harmonics, rate)
    twopass = check_choice(direction, "direction", ("twopass", "onepass")) == "twopass"
    bandwidth = check_scalar(width, "width", 0, min(freqs[0], rate / 4))
    if bandwidth == 0:
        raise InvalidValueError("width greater than 0 Hz", "width", "0")
    selection = selected(data, select)
    notch = Notch(tuple(f / rate for f in freqs), bandwidth / rate, twopass)
    check_long_enough(notch, selection.lengths)
    logged = {"freq": list(freqs), "width": bandwidth, "direction": direction}
    return filtered("notchfilter", data, Preprocessing(notch), selection, chan_per_worker, logged)


def _harmonics(freq: Any, n_harmonics: Any, rate: float) -> tuple[float, ...]:
    """Multiples of a frequency that lie below Nyquist."""
    base = check_scalar(freq, "freq", 0)
    if not 0 < base < rate / 2:
        raise InvalidValueError(f"frequency above 0 and below Nyquist ({rate / 2:g} Hz)", "freq", freq)
    possible = int(np.ceil(rate / 2 / base)) - 1
    n = possible if n_harmonics is None else check_integer(n_harmonics, "n_harmonics", 1)
    if min(n, possible) > _MOST_HARMONICS:
        raise InvalidValueError(
            f"up to {_MOST_HARMONICS} of the {possible} multiples of {base:g} Hz below Nyquist",
            "freq/n_harmonics",
            n_harmonics,
        )
    if n > possible:
        raise InvalidValueError(
            f"up to {possible}, the multiples of {base:g} Hz below Nyquist ({rate / 2:g} Hz)",
            "n_harmonics",
            n_harmonics,
        )
    return tuple(base * k for k in range(1, n + 1))


@frontend
def linefilter(
    data: AnalogData,
    freq: float = 50.0,
    n_harmonics: int | None = None,
    window: float = 2.0,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[AnalogData]:
    """Fit sinusoids at a frequency and its harmonics in windows and subtract them.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    freq : float
        Line frequency in Hz.
    n_harmonics : int, optional
        How many multiples of `freq` to take out, `freq` itself included; all
        below Nyquist by default.
    window : float
        Length of the windows in seconds, at least two periods of `freq`. Shorter
        trials are one window. Longer windows take less of what is near the line.
    parallel, select, chan_per_worker
        As in `freqanalysis`.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData
        Same shape as the selected data, float32. ``info["nan_trials"]`` lists the
        trials that contain NaN; those spread over the windows they are in.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.

    Notes
    -----
    Least squares with a constant and a cosine and a sine per frequency in each
    window; windows overlap by half and are blended with weights sin^2. Sinusoids
    with constant amplitude vanish up to rounding, other than with a notch also at
    the ends of a trial. Long trials are computed in pieces; windows stand where
    they stand in the whole trial, so results are the same.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.harmonic(freq=50, samplerate=1000, nTrials=2, nSamples=500)
    >>> float(abs(spy.linefilter(data, freq=50, parallel=False).data[()]).max()) < 1e-4
    True
    """
    check_input(data)
    warn_unused("linefilter", kwargs)
    rate = float(data.samplerate or 0)
    freqs = _harmonics(freq, n_harmonics, rate)
    seconds = check_scalar(window, "window", _FEWEST_CYCLES / freqs[0])
    selection = selected(data, select)
    _check_cycles(selection.lengths, freqs[0], rate)
    method = LineFilter(tuple(f / rate for f in freqs), int(np.ceil(min(seconds * rate, _LONGEST_WINDOW))))
    logged = {"freq": list(freqs), "window": seconds}
    return filtered("linefilter", data, method, selection, chan_per_worker, logged)


def _check_cycles(lengths: NDArray[np.float64], freq: float, rate: float) -> None:
    shortest = float(lengths.min())
    if shortest / rate < _FEWEST_CYCLES / freq:
        raise InvalidValueError(
            f"trials of at least {_FEWEST_CYCLES} periods of {freq:g} Hz",
            "data/freq",
            f"trial of {shortest:g} samples",
        )
