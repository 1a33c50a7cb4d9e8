"""Parameters of `mtmfft`, `mtmconvol` and `welch`."""

from __future__ import annotations

from typing import Any

from rayspy.checks import check_bool, check_choice, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.selection import Selection
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.spectral.checks import (
    EDGES,
    OUTPUTS,
    check_not_too_short,
    check_polyremoval,
    check_taper,
    frequency_bins,
    padded_length,
    whole_samples,
)
from rayspy.frontends.spectral.request import Given, Request, lengths_of
from rayspy.frontends.spectral.times import Placed, check_toi, cut_to, overlap_step, placed
from rayspy.methods.spectral.mtmconvol import Mtmconvol, Welch
from rayspy.methods.spectral.mtmfft import Mtmfft, Taper
from rayspy.methods.spectral.timepoints import TimePoints
from rayspy.progress import warn

FOOOF_OUTPUTS = ("fooof", "fooof_aperiodic", "fooof_peaks")


def mtmfft(data: AnalogData, selection: Selection, given: Given) -> Request:
    """Check and resolve the parameters of `mtmfft`."""
    rate, lengths = float(data.samplerate or 0), lengths_of(selection)
    output = check_choice(given["output"], "output", (*OUTPUTS, *FOOOF_OUTPUTS))
    fitted = output in FOOOF_OUTPUTS
    demean_taper = check_bool(given["demean_taper"], "demean_taper")
    ft_compat = check_bool(given["ft_compat"], "ft_compat")
    n_fft = padded_length(given["pad"], int(lengths.max()), rate)
    bins = frequency_bins(given["foi"], given["foilim"], n_fft, rate)
    taper = check_taper(given, float(lengths.mean()), rate)
    check_not_too_short(taper, lengths)
    method = Mtmfft(
        samplerate=rate,
        n_fft=n_fft,
        bins=bins,
        demean_taper=demean_taper,
        ft_compat=ft_compat,
        **_taper_settings(given, "pow" if fitted else output, taper),
    )
    return Request(method, selection, _logged(given, method, "pad"))


def mtmconvol(data: AnalogData, selection: Selection, given: Given) -> Request:
    """Check and resolve the parameters of `mtmconvol`."""
    output = check_choice(given["output"], "output", OUTPUTS)
    n_window = _window_length(given, selection, float(data.samplerate or 0))
    toi = check_toi(given["toi"], fraction=True)
    if toi is None or isinstance(toi, float):
        times = Placed(TimePoints(1 if toi is None else overlap_step(toi, n_window)))
    else:
        times = placed(toi, selection, float(data.samplerate or 0))
    before = n_window // 2
    times, cut = cut_to(times, selection, before, n_window - before - 1)
    edges = check_choice(given["edges"], "edges", EDGES)
    settings = _window_settings(data, given, output, n_window)
    method = Mtmconvol(times=times.points, edges=edges, **settings)
    return Request(method, cut, _logged(given, method, "t_ftimwin", "toi", "edges"), times)


def welch(data: AnalogData, selection: Selection, given: Given) -> Request:
    """Check and resolve the parameters of `welch`."""
    if check_choice(given["output"], "output", OUTPUTS) != "pow":
        raise InvalidValueError("'pow' for method='welch'", "output", given["output"])
    if check_bool(given["keeptapers"], "keeptapers"):
        raise InvalidValueError("False for method='welch'", "keeptapers", True)
    toi = check_toi(given["toi"], fraction=True)
    if not isinstance(toi, float):
        raise InvalidValueError("overlap of windows, 0 to 1, for method='welch'", "toi", given["toi"])
    n_window = _window_length(given, selection, float(data.samplerate or 0))
    times = TimePoints(overlap_step(toi, n_window))
    method = Welch(times=times, **_window_settings(data, given, "pow", n_window))
    return Request(method, selection, _logged(given, method, "t_ftimwin", "toi"))


def _window_length(given: Given, selection: Selection, rate: float) -> int:
    if given["t_ftimwin"] is None:
        raise InvalidTypeError(None, "t_ftimwin", "length of the windows in seconds (scalar);")
    shortest = int(lengths_of(selection).min())
    seconds = check_scalar(given["t_ftimwin"], "t_ftimwin")
    n_window = whole_samples(seconds, rate)
    if not 1 <= n_window <= shortest:
        raise InvalidValueError(
            f"length from one sample, {1 / rate:g} s, to the shortest trial, {shortest / rate:g} s",
            "t_ftimwin",
            given["t_ftimwin"],
        )
    return n_window


def _window_settings(data: AnalogData, given: Given, output: str, n_window: int) -> dict[str, Any]:
    """Parameters that `mtmconvol` and `welch` share."""
    rate = float(data.samplerate or 0)
    bins = frequency_bins(given["foi"], given["foilim"], n_window, rate)
    taper = check_taper(given, float(n_window), rate)
    check_not_too_short(taper, [n_window])
    return {"samplerate": rate, "n_window": n_window, "bins": bins, **_taper_settings(given, output, taper)}


def _taper_settings(given: Given, output: str, taper: Taper) -> dict[str, Any]:
    """Taper, output and trend: the same for all three methods."""
    keeptapers = check_bool(given["keeptapers"], "keeptapers")
    if taper.name == "dpss" and not keeptapers and output != "pow":
        raise InvalidValueError(
            "'pow', the only output that can be averaged over tapers, or keeptapers=True",
            "output|keeptapers",
            output,
        )
    if keeptapers and taper.name != "dpss":
        warn("freqanalysis", "option `keeptapers` has no effect without `tapsmofrq`!")
    labels = taper.labels if taper.name != "boxcar" or given["taper"] is not None else ["None"]
    averaged = taper.name == "dpss" and not keeptapers
    return {
        "taper": taper,
        "taper_labels": ("dpss0",) if averaged else tuple(labels),
        "output_kind": "fourier" if output == "complex" else output,
        "keeptapers": keeptapers and taper.name == "dpss",
        "polyremoval": check_polyremoval(given["polyremoval"]),
    }


def _logged(given: Given, method: Mtmfft | Mtmconvol, *extra: str) -> dict[str, Any]:
    """What goes into the history."""
    names = ["method", "output", "keeptapers", "keeptrials", "polyremoval", *extra]
    logged = {name: given[name] for name in names}
    logged["foi"] = method.freq
    logged["taper"] = method.taper.name
    if method.taper.name == "dpss":
        return {**logged, "nTaper": method.taper.n_tapers, "tapsmofrq": given["tapsmofrq"]}
    return {**logged, "taper_opt": given["taper_opt"]}
