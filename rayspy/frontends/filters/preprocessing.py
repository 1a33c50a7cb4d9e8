"""Front-end `preprocessing`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_choice, check_integer, check_room, check_scalar, is_number
from rayspy.data.analog import AnalogData
from rayspy.data.selection import Selection
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.compute import computed, plan_for, selected
from rayspy.frontends.spectral.checks import check_input, check_polyremoval
from rayspy.kernels.padding import PADTYPES
from rayspy.methods.base import Method
from rayspy.methods.filters.filters import Butterworth, Recursive, Sinc
from rayspy.methods.filters.preprocessing import Preprocessing
from rayspy.planning.plan import Plan

CLASSES = ("but", "firws", None)
TYPES = ("lp", "hp", "bp", "bs")
DIRECTIONS = ("twopass", "onepass", "onepass-minphase", None)
WINDOWS = ("hamming", "hann", "blackman")
HILBERT = ("abs", "complex", "real", "imag", "absreal", "absimag", "angle")
LONGEST_DEFAULT_ORDER = 1000
LARGEST_ORDER = 10**7
_TAP_BYTES = 1400
"""Memory per sample of a windowed sinc: segments of 32 channels are several times as long."""
LARGEST_BUTTERWORTH = 500
"""Sections of second order cannot hold more: nearly all designs are unstable long before."""


@frontend
def preprocessing(
    data: AnalogData,
    filter_class: str | None = "but",
    filter_type: str = "lp",
    freq: Any = None,
    order: int | None = None,
    direction: str | None = "twopass",
    window: str = "hamming",
    polyremoval: int | None = None,
    zscore: bool = False,
    rectify: bool = False,
    hilbert: str | bool | None = False,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    padtype: str = "mean",
    **kwargs: Any,
) -> Call[AnalogData]:
    """Filter, detrend, standardise, rectify signals or take their envelope.

    The steps are applied in this order: trend, z-score, filter, then rectification
    or Hilbert transform. Every trial is filtered by itself.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    filter_class : {'but', 'firws', None}
        Butterworth filter, windowed sinc filter (finite response, linear phase),
        or none, if there is something else to do.
    filter_type : {'lp', 'hp', 'bp', 'bs'}
        Low-pass, high-pass, band-pass, band-stop.
    freq : float or [float, float]
        Cutoff in Hz between 0 and Nyquist: one for 'lp' and 'hp', two for 'bp'
        and 'bs', in any order.
    order : int, optional
        Butterworth: order in one direction, 4 by default. Windowed sinc: samples
        of the response less one; odd numbers are raised by one; by default
        1000, or the length of the shortest trial if that is less.
    direction : {'twopass', 'onepass', 'onepass-minphase', None}
        'twopass': forward and backward, no phase shift (for 'firws', applied
        twice). 'onepass': once; Butterworth then delays, windowed sinc does not.
        'onepass-minphase' (only 'firws'): causal, with the least delay. None:
        'twopass' for 'but', 'onepass' for 'firws'.
    window : {'hamming', 'hann', 'blackman'}
        Window of the sinc filter.
    polyremoval : {0, 1, None}
        Remove the mean, a linear trend, or nothing from each trial first.
    zscore : bool
        Subtract the mean of each trial and channel and divide by its standard
        deviation before filtering.
    rectify : bool
        Take absolute values in the end.
    hilbert : {'abs', 'complex', 'real', 'imag', 'absreal', 'absimag', 'angle', False}
        Take this part of the analytic signal in the end: 'abs' is the envelope,
        'angle' the phase in rad.
    parallel, select, chan_per_worker
        As in `freqanalysis`.
    padtype : {'mean', 'constant', 'line', 'odd', 'even', 'edge'}
        What a windowed sinc filter finds before and after a trial. 'mean': the mean of
        the trial, which is subtracted before and comes back times the gain at 0 Hz.
        'constant': zero, as in Syncopy. 'line': the line through the first and the last
        sample. 'odd', 'even': mirrored samples, turned upside down about the last one
        or not. 'edge': the last sample. Names are those of SciPy.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData
        Same shape and dimensions as the selected data, float32, or complex64 for
        ``hilbert="complex"``. ``info["nan_trials"]`` lists the trials that
        contain NaN.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.
    MemoryBudgetError, ScratchSpaceError
        The computation would not fit; nothing was computed.

    Notes
    -----
    Butterworth filters are second-order sections, computed in double precision; in
    both directions with odd extension of the ends and the initial state of a
    constant input [1]_. What rings on below 1e-200 becomes zero. Windowed sinc
    filters are convolutions, in single precision for float32 and int16 data; with
    `padtype` 'mean', 'constant' and 'line', what the first of two passes brings beyond
    the ends of a trial is left out before the second. NaNs spread over a whole
    trial and channel with a Butterworth filter in both directions, over all that
    follows in one, over the length of the response with a windowed sinc; in long
    trials, with a Butterworth filter, over the pieces that they touch.

    Long trials (more than 65,536 samples) are filtered in pieces with margins if
    a filter and at most `rectify` is asked for. For windowed sinc filters that
    changes nothing but rounding, and the mean that is taken for either end, which is
    that of its piece (32,768 samples or more); for Butterworth filters a margin is as
    long as it takes for what lies before it to die down to 1e-12. Trends, z-score, the
    Hilbert transform and ``padtype="line"`` depend on the whole trial: long trials are
    then taken whole, a few channels at a time.

    References
    ----------
    .. [1] Gustafsson, F. (1996). IEEE Trans. Signal Process. 44(4), 988-992.
       Widmann, A., Schröger, E. & Maess, B. (2015). Digital filter design for
       electrophysiological data. J. Neurosci. Methods 250, 34-46.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=500, nChannels=2, seed=1)
    >>> spy.preprocessing(data, freq=[20, 40], filter_type="bp", parallel=False).data.shape
    (1500, 2)
    """
    given = dict(locals())
    check_input(data)
    warn_unused("preprocessing", kwargs)
    selection = selected(data, select)
    method = _method(float(data.samplerate or 0), selection.lengths, given)
    return filtered("preprocessing", data, method, selection, chan_per_worker, _logged(method, given))


def filtered(
    name: str,
    data: AnalogData,
    method: Method,
    selection: Selection,
    chan_per_worker: int | None,
    logged: dict[str, Any],
) -> Call[AnalogData]:
    """Call of a method that tells which trials contain NaN, also if there are none."""
    plan = plan_for(name, data, method, selection, chan_per_worker=chan_per_worker)
    return Call(name, data, _telling(plan, data), logged=logged)


def _telling(plan: Plan, data: AnalogData) -> Steps[AnalogData]:
    result: AnalogData = yield from computed(plan, data)
    result.info.setdefault("nan_trials", [])
    return result


def _method(rate: float, lengths: NDArray[np.float64], given: dict[str, Any]) -> Preprocessing:
    """Check and resolve all parameters."""
    filter_class = check_choice(given["filter_class"], "filter_class", CLASSES)
    polyremoval = check_polyremoval(given["polyremoval"])
    zscore = _check_switch(given["zscore"], "zscore")
    rectify = _check_switch(given["rectify"], "rectify")
    hilbert = _check_hilbert(given["hilbert"])
    if rectify and hilbert is not None:
        raise InvalidValueError("either rectification or Hilbert transform", "rectify/hilbert", "both")
    if filter_class is None:
        if polyremoval is None and not zscore:
            raise InvalidValueError(
                "a filter, a trend to remove, or zscore=True", "filter_class/polyremoval/zscore", "nothing"
            )
        warn_unused("preprocessing", {name: None for name in ("freq", "order") if given[name] is not None})
        return Preprocessing(None, polyremoval, zscore, rectify, hilbert)
    check_choice(given["padtype"], "padtype", PADTYPES)
    if filter_class == "but" and given["padtype"] != "mean":
        warn_unused("preprocessing", {"padtype": None})
    make = _butterworth if filter_class == "but" else _sinc
    return Preprocessing(make(rate, lengths, given), polyremoval, zscore, rectify, hilbert)


def _check_switch(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidValueError("True or False", name, value)
    return bool(value)


def _check_hilbert(value: Any) -> str | None:
    if value is None or value is False:
        return None
    if not isinstance(value, str) or value not in HILBERT:
        raise InvalidValueError(f"False or one of {', '.join(map(repr, HILBERT))}", "hilbert", value)
    return value


def _cutoffs(rate: float, given: dict[str, Any], highest: float) -> tuple[float, ...]:
    """Cutoffs in cycles per sample, ascending."""
    kind = check_choice(given["filter_type"], "filter_type", TYPES)
    if kind in ("lp", "hp"):
        if not is_number(given["freq"]):
            raise InvalidTypeError(given["freq"], "freq", f"one frequency in Hz for '{kind}';")
        freqs = np.array([check_scalar(given["freq"], "freq", 0, rate / 2)])
    else:
        freqs = np.sort(check_array(given["freq"], "freq", 0, rate / 2, length=2))
        if freqs[0] == freqs[1]:
            raise InvalidValueError(f"two different frequencies for '{kind}'", "freq", given["freq"])
    if freqs[0] <= 0 or freqs[-1] > highest:
        raise InvalidValueError(
            f"frequencies above 0 and {'below' if highest < rate / 2 else 'up to'} Nyquist ({rate / 2:g} Hz)",
            "freq",
            given["freq"],
        )
    return tuple(float(f) / rate for f in freqs)


def _butterworth(rate: float, lengths: NDArray[np.float64], given: dict[str, Any]) -> Butterworth:
    direction = check_choice(given["direction"], "direction", DIRECTIONS) or "twopass"
    if direction == "onepass-minphase":
        raise InvalidValueError("'onepass' or 'twopass' for a Butterworth filter", "direction", direction)
    if check_choice(given["window"], "window", (*WINDOWS, None)) not in ("hamming", None):
        raise InvalidValueError("the default, a Butterworth filter has no window", "window", given["window"])
    order = 4 if given["order"] is None else check_integer(given["order"], "order", 1, LARGEST_BUTTERWORTH)
    cutoffs = _cutoffs(rate, given, np.nextafter(rate / 2, 0))
    filter_ = Butterworth(given["filter_type"], cutoffs, order, direction == "twopass")
    _check_stable(filter_, given)
    check_long_enough(filter_, lengths)
    return filter_


def check_long_enough(filter_: Recursive, lengths: NDArray[np.float64]) -> None:
    """Refuse trials that are too short to be extended at both ends."""
    if lengths.min() < filter_.shortest:
        raise InvalidValueError(
            f"trials of at least {filter_.shortest} samples for this filter in both directions",
            "data",
            f"trial with {int(lengths.min())} samples",
        )


def _check_stable(filter_: Butterworth, given: dict[str, Any]) -> None:
    """Refuse designs that rounding has made unstable."""
    try:
        with np.errstate(all="ignore"):
            sections = filter_.sections
            radius = max(float(np.abs(np.roots(section[3:])).max()) for section in sections.sos)
        stable = radius < 1 and bool(np.isfinite(sections.steady).all())
    except (ValueError, OverflowError):  # LinAlgError is a ValueError
        stable = False
    if not stable:
        raise InvalidValueError(
            f"order that gives a stable filter at {given['freq']} Hz", "order/freq", filter_.order
        )


def _sinc(rate: float, lengths: NDArray[np.float64], given: dict[str, Any]) -> Sinc:
    direction = check_choice(given["direction"], "direction", DIRECTIONS) or "onepass"
    check_choice(given["window"], "window", WINDOWS)
    order = sinc_order(given["order"], lengths)
    cutoffs = _cutoffs(rate, given, rate / 2)
    return Sinc(given["filter_type"], cutoffs, order, given["window"], direction, given["padtype"])


def sinc_order(order: Any, lengths: NDArray[np.float64]) -> int:
    """Even order of a windowed sinc filter; by default the shortest trial or 1000."""
    if order is None:
        wanted = max(1, min(int(lengths.min()), LONGEST_DEFAULT_ORDER))
    else:
        wanted = check_integer(order, "order", 1, LARGEST_ORDER)
        check_room(_TAP_BYTES * wanted, "order", order, "a windowed sinc filter of this order")
    return wanted + wanted % 2


def _logged(method: Preprocessing, given: dict[str, Any]) -> dict[str, Any]:
    """What goes into the history."""
    logged = {
        "polyremoval": method.polyremoval,
        "zscore": method.zscore,
        "filter_class": given["filter_class"],
    }
    if isinstance(method.filter, (Butterworth, Sinc)):
        logged["order"] = method.filter.order
        if isinstance(method.filter, Sinc):
            logged["direction"], logged["window"] = method.filter.direction, method.filter.window
            logged["padtype"] = method.filter.padtype
        else:
            logged["direction"] = "twopass" if method.filter.twopass else "onepass"
        logged.update(filter_type=method.filter.kind, freq=given["freq"])
    if method.rectify:
        logged["rectify"] = True
    if method.hilbert is not None:
        logged["hilbert"] = method.hilbert
    return logged
