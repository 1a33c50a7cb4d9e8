"""Checks that the methods of `freqanalysis` share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_choice, check_integer, check_room, check_scalar, is_number
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.selection import bins_within, sample_slack
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.kernels.spectral.tapers import WINDOW_PARAMETERS
from rayspy.methods.spectral.mtmfft import Taper, frozen_options
from rayspy.progress import message, warn

OUTPUTS = ("pow", "abs", "fourier", "complex", "real", "imag", "angle", "absreal", "absimag")
EDGES = ("zero", "nan")
_LONGEST_PADDED, _MOST_PADDING = 2**24, 16
"""Trials are filled up to so many samples, or to so many times their length."""
_TRANSFORM_BYTES = 32
"""Memory per sample for the transform of one channel in single precision, and its frequencies."""
MOST_FREQUENCIES = 10**5
"""So many frequencies may be asked for one by one."""
_SHORT = 16
"""Only windows of fewer samples than this can be zero everywhere."""


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


def check_polyremoval(value: Any) -> int | None:
    """Accept None, 0 or 1."""
    return None if value is None else check_integer(value, "polyremoval", 0, 1)


def whole_samples(seconds: float, samplerate: float) -> int:
    """Number of whole samples in a duration; rounding errors do not lose one."""
    samples = seconds * samplerate
    return int(np.floor(samples + sample_slack(samples)))


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
    most = max(_LONGEST_PADDED, _MOST_PADDING * longest)
    if not longest <= n <= most:
        raise InvalidValueError(
            f"length from that of the longest trial, {longest / samplerate:g} s, to {most / samplerate:g} s",
            "pad",
            pad,
        )
    check_room(_TRANSFORM_BYTES * n, "pad", pad, "a transform")
    return n


def one_of_foi_and_foilim(foi: Any, foilim: Any) -> str | None:
    """Tell which of the two is given, if any."""
    wanted = {"foi": foi, "foilim": foilim}
    for name, value in wanted.items():
        if isinstance(value, str) and value != "all":
            raise InvalidValueError("'all', None or a list of frequencies in Hz", name, value)
    given = [name for name, value in wanted.items() if value is not None and not isinstance(value, str)]
    if len(given) == 2:
        raise InvalidValueError("either `foi` or `foilim`", "foi/foilim", "both")
    return given[0] if given else None


def check_frequencies(foi: Any, samplerate: float) -> NDArray[np.float64]:
    """Accept a list of frequencies in Hz up to Nyquist, not too many."""
    freqs = check_array(foi, "foi", 0, samplerate / 2)
    if len(freqs) > MOST_FREQUENCIES:
        raise InvalidValueError(f"at most {MOST_FREQUENCIES} frequencies", "foi", f"{len(freqs)} of them")
    return freqs


def _nearest(every: NDArray[Any], freqs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the nearest of ascending frequencies, the lower one of two that are as near."""
    above = np.clip(np.searchsorted(every, freqs), 1, max(1, len(every) - 1))
    below = above - 1
    above = np.minimum(above, len(every) - 1)
    nearer = np.abs(every[below] - freqs) <= np.abs(every[above] - freqs)
    return np.where(nearer, below, above)


def frequency_bins(foi: Any, foilim: Any, n_fft: int, samplerate: float) -> tuple[int, ...] | None:
    """Bins for `foi` (nearest, order kept, no duplicates) or `foilim` (closed interval); None: all."""
    name = one_of_foi_and_foilim(foi, foilim)
    every = np.fft.rfftfreq(n_fft, 1 / samplerate)
    if name == "foi":
        freqs = check_frequencies(foi, samplerate)
        return tuple(dict.fromkeys(_nearest(every, freqs).tolist()))
    if name == "foilim":
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


def check_taper(given: Mapping[str, Any], mean_length: float, samplerate: float) -> Taper:
    """Resolve all options that have to do with tapers, for trials or windows of some mean length."""
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
    if isinstance(name, str) and name == "dpss":
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


def _slepian_taper(given: Mapping[str, Any], mean_length: float, samplerate: float) -> Taper:
    if not isinstance(given["taper"], str) or given["taper"] not in ("hann", "dpss"):
        raise InvalidValueError(
            "'dpss', or `taper` left at its default, if `tapsmofrq` is given", "taper", given["taper"]
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


def check_not_too_short(taper: Taper, lengths: Any) -> None:
    """Refuse trials so short that nothing is left under the taper."""
    shortest = int(min(lengths))
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
