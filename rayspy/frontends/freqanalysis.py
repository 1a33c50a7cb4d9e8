"""Front-end `freqanalysis`."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_bool, check_choice, check_integer, check_scalar, is_number
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.selection import bins_within
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.calling import accepts_cfg, warn_unused
from rayspy.frontends.compute import compute, plan_for, selected
from rayspy.kernels.tapers import WINDOW_PARAMETERS
from rayspy.methods.mtmfft import Mtmfft, Taper, frozen_options
from rayspy.progress import message, warn

OUTPUTS = ("pow", "abs", "fourier", "complex", "real", "imag", "angle", "absreal", "absimag")
METHODS = ("mtmfft",)
Output = Literal["pow", "abs", "fourier", "complex", "real", "imag", "angle", "absreal", "absimag"]
_SHORT = 16
"""Only windows of fewer samples than this can be zero everywhere."""
_SLACK = 1e-6
"""A duration this close to a whole number of samples is that number."""


@accepts_cfg
def freqanalysis(
    data: AnalogData,
    method: str = "mtmfft",
    output: Output | str = "pow",
    keeptrials: bool = True,
    foi: Any = None,
    foilim: Any = None,
    pad: str | float = "maxperlen",
    polyremoval: int | None = 0,
    taper: str | None = "hann",
    demean_taper: bool = False,
    taper_opt: dict[str, Any] | None = None,
    tapsmofrq: float | None = None,
    nTaper: int | None = None,
    keeptapers: bool = False,
    ft_compat: bool = False,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> SpectralData:
    r"""Spectra of trials by tapered Fourier transforms.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    method : {'mtmfft'}
        Tapered Fourier transform of whole trials, with one window or with
        several Slepian tapers (multitaper).
    output : str
        'pow' power, 'abs' magnitude, 'fourier' or 'complex' coefficients,
        'real', 'imag', 'angle' (rad), 'absreal', 'absimag'.
    keeptrials : bool
        False: average `output` over trials, which must give results of equal length.
    foi : list or ndarray, optional
        Frequencies of interest in Hz, 0 to Nyquist; the nearest bins are taken,
        duplicates dropped, the order kept.
    foilim : [fmin, fmax], optional
        Closed frequency interval in Hz; all its bins are taken.
    pad : 'maxperlen', 'nextpow2' or float
        Length to which trials are filled up with zeros at the end: that of the
        longest selected trial, the next power of two, or a length in seconds.
    polyremoval : {0, 1, None}
        Remove the mean, a linear trend, or nothing from each trial.
    taper : str or None
        A window of `scipy.signal.windows` (symmetric); None: no taper.
    demean_taper : bool
        Subtract the mean once more after tapering.
    taper_opt : dict, optional
        Parameters of the window; all of them have to be given.
    tapsmofrq : float, optional
        Half bandwidth W of multitaper smoothing in Hz; Slepian tapers are used
        with NW = W times the mean trial length in seconds.
    nTaper : int, optional
        Number of tapers; the default 2 NW - 1 is the optimum.
    keeptapers : bool
        Keep the spectra of single tapers; False averages power over tapers.
    ft_compat : bool
        Scale as FieldTrip does: the sum over bins, not the level of a bin, is
        independent of padding.
    parallel : bool, optional
        None: use a cluster that is running, else local threads. True: start a
        local Ray if none is running. False: one local thread.
    select : dict or 'all', optional
        Selection of trials, channel, latency; see `selectdata`.
    chan_per_worker : int, optional
        Compute this many channels at a time. Results are the same, bit for bit,
        for every value and every executor.
    **kwargs
        Unknown options are reported with a warning. A dictionary of settings may
        be given as `cfg`.

    Returns
    -------
    SpectralData
        Dimensions (time, taper, freq, channel), float32, or complex64 for
        'fourier': one time point per trial.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.
    MemoryBudgetError, ScratchSpaceError
        The computation would not fit; nothing was computed.

    Notes
    -----
    With taper w of L samples, samplerate fs, and FFT length N, the power at
    f = m fs / N is c \|sum_n w[n] x[n] exp(-2 pi i m n / N)\|^2, where c is
    2 / L^2 without taper, (8/3) / (L sum(w)) for windows and 2 / L for Slepian
    tapers of unit energy [1]_. The unit is squared amplitude per bin: a cosine
    of amplitude A on a bin gives A^2 / 2 without taper and A^2 / 3 with the Hann
    window; white noise of variance s^2 gives 2 s^2 / L. Bins 0 and Nyquist count
    twice like all others. `ft_compat` replaces the outer L by N.

    References
    ----------
    .. [1] Thomson, D. J. (1982). Spectrum estimation and harmonic analysis.
       Proc. IEEE 70(9), 1055-1096, eqs. 2.11-3.7. Percival, D. B. & Walden, A. T.
       (1993). Spectral analysis for physical applications, ch. 7.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=200, nChannels=2, seed=1)
    >>> spy.freqanalysis(data, tapsmofrq=20, parallel=False).data.shape
    (3, 1, 101, 2)
    """
    settings = {
        "method": method, "output": output, "keeptrials": keeptrials, "foi": foi, "foilim": foilim,
        "pad": pad, "polyremoval": polyremoval, "taper": taper, "demean_taper": demean_taper,
        "taper_opt": taper_opt, "tapsmofrq": tapsmofrq, "nTaper": nTaper, "keeptapers": keeptapers,
        "ft_compat": ft_compat,
        "select": select, "chan_per_worker": chan_per_worker,
    }  # fmt: skip
    check_input(data)
    check_choice(method, "method", METHODS)
    warn_unused("freqanalysis", kwargs)
    selection = selected(data, select)
    lengths = selection.trialdefinition[:, 1] - selection.trialdefinition[:, 0]
    bound = _mtmfft(data, lengths, settings)
    plan = plan_for(
        "freqanalysis", data, bound, selection, check_bool(keeptrials, "keeptrials"), chan_per_worker
    )
    result: SpectralData = compute(plan, data, settings, parallel, log_settings=_logged(bound, settings))
    return result


def check_input(data: BaseData) -> None:
    """Accept real AnalogData with data and samplerate."""
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None:
        raise InvalidValueError("non-empty AnalogData", "data", "object without data")
    if data.samplerate is None:
        raise InvalidValueError("AnalogData with a samplerate", "data", "samplerate None")
    if data.source.dtype.kind == "c":
        raise InvalidValueError("real-valued signals", "data", f"dtype {data.source.dtype}")


def _mtmfft(data: AnalogData, lengths: NDArray[np.float64], given: dict[str, Any]) -> Mtmfft:
    """Check and resolve the parameters of `mtmfft`."""
    rate = float(data.samplerate or 0)
    output = check_choice(given["output"], "output", OUTPUTS)
    keeptapers = check_bool(given["keeptapers"], "keeptapers")
    demean_taper = check_bool(given["demean_taper"], "demean_taper")
    ft_compat = check_bool(given["ft_compat"], "ft_compat")
    check_bool(given["keeptrials"], "keeptrials")
    polyremoval = _check_polyremoval(given["polyremoval"])
    n_fft = padded_length(given["pad"], int(lengths.max()), rate)
    bins = frequency_bins(given["foi"], given["foilim"], n_fft, rate)
    taper = _check_taper(given, float(lengths.mean()), rate)
    if taper.name == "dpss" and not keeptapers and output != "pow":
        raise InvalidValueError(
            "'pow', the only output that can be averaged over tapers, or keeptapers=True",
            "output|keeptapers",
            output,
        )
    if keeptapers and taper.name != "dpss":
        warn("freqanalysis", "option `keeptapers` has no effect without `tapsmofrq`!")
    _check_not_too_short(taper, lengths)
    labels = taper.labels if taper.name != "boxcar" or given["taper"] is not None else ["None"]
    averaged = taper.name == "dpss" and not keeptapers
    return Mtmfft(
        samplerate=rate,
        n_fft=n_fft,
        bins=bins,
        taper=taper,
        taper_labels=("dpss0",) if averaged else tuple(labels),
        output_kind="fourier" if output == "complex" else output,
        keeptapers=keeptapers and taper.name == "dpss",
        polyremoval=polyremoval,
        demean_taper=demean_taper,
        ft_compat=ft_compat,
    )


def _check_not_too_short(taper: Taper, lengths: NDArray[np.float64]) -> None:
    """Refuse trials so short that nothing is left under the taper."""
    shortest = int(lengths.min())
    if taper.name == "dpss":
        needed = max(taper.n_tapers, int(2 * taper.half_bandwidth)) + 1
        if shortest < needed:
            raise InvalidValueError(
                f"trials of at least {needed} samples for this smoothing; lower tapsmofrq or nTaper",
                "tapsmofrq",
                f"a trial of {shortest} samples",
            )
    elif shortest < _SHORT and not abs(taper.sample(shortest).sum()) > 1e-12:
        raise InvalidValueError(
            f"longer trials (or another taper): the {taper.name} window of {shortest} samples is zero",
            "taper",
            taper.name,
        )


def _check_polyremoval(value: Any) -> int | None:
    return None if value is None else check_integer(value, "polyremoval", 0, 1)


def whole_samples(seconds: float, samplerate: float) -> int:
    """Number of whole samples in a duration; rounding errors do not lose one."""
    return int(np.floor(seconds * samplerate + _SLACK))


def padded_length(pad: Any, longest: int, samplerate: float) -> int:
    """Length of the transform in samples for every form of `pad`."""
    if isinstance(pad, str):
        if pad == "maxperlen":
            return longest
        if pad == "nextpow2":
            return 1 << (longest - 1).bit_length()
    if isinstance(pad, str) or not is_number(pad):
        raise InvalidValueError("'maxperlen', 'nextpow2' or a length in seconds", "pad", pad)
    n = whole_samples(check_scalar(pad, "pad"), samplerate)
    if n < longest:
        raise InvalidValueError(
            f"length of at least the longest trial, {longest / samplerate:g} s", "pad", pad
        )
    return n


def frequency_bins(foi: Any, foilim: Any, n_fft: int, samplerate: float) -> tuple[int, ...] | None:
    """Bins for `foi` (nearest, order kept, no duplicates) or `foilim` (closed interval); None: all."""
    wanted = {"foi": foi, "foilim": foilim}
    for name, value in wanted.items():
        if isinstance(value, str) and value != "all":
            raise InvalidValueError("'all', None or a list of frequencies in Hz", name, value)
    given = {
        name: value for name, value in wanted.items() if value is not None and not isinstance(value, str)
    }
    if len(given) == 2:
        raise InvalidValueError("either `foi` or `foilim`", "foi/foilim", "both")
    every = np.fft.rfftfreq(n_fft, 1 / samplerate)
    if "foi" in given:
        freqs = check_array(foi, "foi", 0, samplerate / 2)
        return tuple(dict.fromkeys(int(np.abs(every - f).argmin()) for f in freqs))
    if "foilim" in given:
        low, high = check_array(foilim, "foilim", 0, samplerate / 2, length=2)
        if low > high:
            message("freqanalysis", f"sorting foilim low to high: [{high:g}, {low:g}]")
            low, high = high, low
        bins = bins_within(every, low, high)
        if not len(bins):
            raise InvalidValueError(
                f"interval with at least one frequency (their distance is {samplerate / n_fft:g} Hz)",
                "foi/foilim",
                foilim,
            )
        return tuple(bins.tolist())
    return None


def _check_taper(given: dict[str, Any], mean_length: float, samplerate: float) -> Taper:
    """Resolve all options that have to do with tapers."""
    if given["tapsmofrq"] is not None:
        return _slepian_taper(given, mean_length, samplerate)
    if given["nTaper"] is not None:
        check_integer(given["nTaper"], "nTaper", 1)
        warn("freqanalysis", "option `nTaper` has no effect without `tapsmofrq`!")
    return window_taper(given["taper"], given["taper_opt"])


def window_taper(name: Any, options: Any) -> Taper:
    """Check a window and its parameters."""
    if name is None:
        if options is not None:
            raise InvalidValueError("None, there is no taper", "taper_opt", options)
        return Taper("boxcar")
    if name == "dpss":
        raise InvalidValueError("a window, or `tapsmofrq` for Slepian tapers", "taper", name)
    check_choice(name, "taper", tuple(WINDOW_PARAMETERS))
    needed = WINDOW_PARAMETERS[name]
    if options is not None and not isinstance(options, dict):
        raise InvalidTypeError(options, "taper_opt", "dictionary or None;")
    if not needed and options is not None:
        raise InvalidValueError(f"None, `{name}` has no parameters", "taper_opt", options)
    if needed and not options:
        raise InvalidValueError(f"dictionary with {', '.join(needed)} for `{name}`", "taper_opt", options)
    for key in options or {}:
        if key not in needed:
            raise InvalidValueError(f"one of {', '.join(needed)}", "taper_opt key", key)
    for key in needed:
        if key not in (options or {}):
            raise InvalidValueError(f"dictionary with {', '.join(needed)}", "taper_opt", f"{key} is missing")
    taper = Taper(name, frozen_options(options))
    try:
        taper.sample(8)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InvalidValueError(
            f"parameters that `{name}` accepts ({error})", "taper_opt", options
        ) from error
    return taper


def _slepian_taper(given: dict[str, Any], mean_length: float, samplerate: float) -> Taper:
    if given["taper"] != "hann":
        raise InvalidValueError(
            "`taper` left at its default if `tapsmofrq` is given", "taper", given["taper"]
        )
    if given["taper_opt"] is not None:
        raise InvalidValueError("None if `tapsmofrq` is given", "taper_opt", given["taper_opt"])
    wanted = check_scalar(given["tapsmofrq"], "tapsmofrq", 0)
    smoothing = clipped_smoothing(wanted, mean_length, samplerate)
    half_bandwidth = smoothing * mean_length / samplerate
    optimum = max(1, int(2 * half_bandwidth - 1))
    if given["nTaper"] is None:
        return Taper("dpss", half_bandwidth=half_bandwidth, n_tapers=optimum)
    n_tapers = check_integer(given["nTaper"], "nTaper", 1, int(mean_length) - 1)
    if n_tapers != optimum:
        warn(
            "freqanalysis",
            f"nTaper={n_tapers} is not optimal for tapsmofrq={smoothing:g} Hz, which is {optimum}",
        )
    return Taper("dpss", half_bandwidth=half_bandwidth, n_tapers=n_tapers)


def clipped_smoothing(wanted: float, mean_length: float, samplerate: float) -> float:
    """Smoothing that is possible for this trial length: one bin to Nyquist."""
    low = samplerate / mean_length
    high = min(samplerate / 2 - 1 / mean_length, samplerate * (mean_length + 1) / (2 * mean_length))
    clipped = float(np.clip(wanted, low, max(low, high)))
    if clipped != wanted:
        message("freqanalysis", f"setting tapsmofrq to the closest possible value: {clipped:.4g} Hz")
    return clipped


def _logged(bound: Mtmfft, settings: dict[str, Any]) -> dict[str, Any]:
    """What goes into the history."""
    names = ["method", "output", "keeptapers", "keeptrials", "polyremoval", "pad"]
    logged = {name: settings[name] for name in names}
    logged["foi"] = bound.freq
    logged["taper"] = bound.taper.name
    if bound.taper.name == "dpss":
        return {**logged, "nTaper": bound.taper.n_tapers, "tapsmofrq": settings["tapsmofrq"]}
    return {**logged, "taper_opt": settings["taper_opt"]}
