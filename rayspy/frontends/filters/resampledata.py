"""Front-end `resampledata`."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import SLACK, check_choice, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.compute import computed, plan_for, selected
from rayspy.frontends.filters.preprocessing import LARGEST_ORDER, sinc_order
from rayspy.frontends.spectral.checks import check_input
from rayspy.kernels.filters.design import kaiser_half
from rayspy.kernels.filters.resample import is_small
from rayspy.kernels.padding import PADTYPES
from rayspy.methods.filters.filters import Sinc
from rayspy.methods.filters.resample import Downsample, Resample
from rayspy.progress import message, warn

METHODS = ("resample", "downsample")
_LARGEST_DENOMINATOR = 10**9
_LARGEST_WITH_ORDER = 10**6
"""Largest denominator of a ratio whose filter has a given order, at the rate of the numerator."""
_SMALL = 512
"""Ratios with denominators up to this are looked for first."""
_RATE_ERROR = 1e-12
"""A new rate this close to the one asked for is called by that."""
_FEWEST_TAPS = 4
"""Taps per phase; fewer are no filter."""
_SHORT_ORDER = 100
_TRANSITION = 3.3
"""Width of the transition of a Hamming-windowed sinc times its length."""


@frontend
def resampledata(
    data: AnalogData,
    resamplefs: float = 1.0,
    method: str = "resample",
    lpfreq: float | None = None,
    order: int | None = None,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    padtype: str = "mean",
    **kwargs: Any,
) -> Call[AnalogData]:
    """Bring signals to a lower sampling rate.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    resamplefs : float
        New sampling rate in Hz, 1 up to the present one.
    method : {'resample', 'downsample'}
        'resample': any ratio, with an anti-alias filter. 'downsample': every n-th
        sample, where the present rate is n times the new one to within 1e-6; nothing is
        filtered unless `lpfreq` is given.
    lpfreq : float, optional
        Cutoff of the low-pass filter in Hz, up to the new Nyquist frequency, which
        is the default for 'resample'.
    order : int, optional
        Order of a windowed sinc filter (Hamming): for 'resample' at the rate of the
        ratio's numerator times the present rate, at least four times the numerator.
        Odd numbers are raised by one. By default the filter (Kaiser) is as long as its
        cutoff needs: its gain is 1 to within 1e-3 up to 0.9 of `lpfreq`, and less than
        1e-3 from 1.1 of it on.
    parallel, select, chan_per_worker
        As in `freqanalysis`.
    padtype : {'mean', 'constant', 'line', 'odd', 'even', 'edge'}
        What the low-pass filter finds before and after a trial, see `preprocessing`.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData
        Trials of ceil(length * ratio) samples one after the other, with their
        trialinfo. Their first samples stay at their times, so offsets need not be whole
        numbers. The samplerate is the exact one: that of the data times the ratio. The
        type is that of the data; whole numbers become real unless they are just picked.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.
    MemoryBudgetError, ScratchSpaceError
        The computation would not fit; nothing was computed.

    Notes
    -----
    Row k of a trial stands at the time of its sample k times old / new rate. A ratio
    of small numbers is taken if it is within 1e-6 of the one asked for, as rates in files
    are rounded (polyphase filter [1]_), else coefficients are made for each row
    (band-limited interpolation [2]_).
    For 'downsample' the low-pass is applied twice, as in
    ``preprocessing(filter_class="firws")``. Long trials are computed in pieces with
    margins; that changes nothing but rounding, and the mean that is taken for either
    end, see `preprocessing`.

    References
    ----------
    .. [1] Crochiere, R. E. & Rabiner, L. R. (1983). Multirate digital signal processing, ch. 2.
    .. [2] Smith, J. O. & Gossett, P. (1984). A flexible sampling-rate conversion method.
       Proc. ICASSP 9, 112-115.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=500, nChannels=2, seed=1)
    >>> spy.resampledata(data, resamplefs=300, parallel=False).data.shape
    (450, 2)
    """
    given = dict(locals())
    check_input(data)
    warn_unused("resampledata", kwargs)
    selection = selected(data, select)
    rate = float(data.samplerate or 0)
    bound = _method(rate, selection.lengths, given)
    plan = plan_for("resampledata", data, bound, selection, chan_per_worker=chan_per_worker)
    return Call("resampledata", data, computed(plan, data), logged=_logged(bound, rate, given))


def _method(rate: float, lengths: NDArray[np.float64], given: dict[str, Any]) -> Resample | Downsample:
    """Check and resolve all parameters."""
    method = check_choice(given["method"], "method", METHODS)
    new = check_scalar(given["resamplefs"], "resamplefs", 1, rate)
    lpfreq = _check_lpfreq(given["lpfreq"], new, rate)
    order = None if given["order"] is None else sinc_order(given["order"], lengths)
    padtype = check_choice(given["padtype"], "padtype", PADTYPES)
    if method == "resample":
        return _resample(rate, new, new / 2 if lpfreq is None else lpfreq, order, padtype)
    step = _check_step(rate, new, given["resamplefs"])
    if lpfreq is None:
        for name in ("order", "padtype"):
            if given[name] not in (None, "mean"):
                warn("resampledata", f"option `{name}` has no effect without `lpfreq`!")
        return Downsample(rate / step, step)
    cutoff = lpfreq / rate
    if order is None:
        order = 2 * math.ceil(kaiser_half(cutoff))
        return Downsample(rate / step, step, Sinc("lp", (cutoff,), order, "kaiser", "twopass", padtype))
    _warn_short(order)
    return Downsample(rate / step, step, Sinc("lp", (cutoff,), order, "hamming", "twopass", padtype))


def _check_lpfreq(value: Any, new: float, rate: float) -> float | None:
    if value is None:
        return None
    lpfreq = check_scalar(value, "lpfreq", 0, new / 2)
    if lpfreq == 0:
        raise InvalidValueError("frequency greater than 0", "lpfreq", "0")
    if 2 * kaiser_half(lpfreq / rate) > LARGEST_ORDER:
        raise InvalidValueError(
            f"frequency for which a filter of {LARGEST_ORDER} samples is long enough", "lpfreq", value
        )
    return lpfreq


def _check_step(rate: float, new: float, given: Any) -> int:
    step = round(rate / new)
    if abs(rate / new - step) > SLACK * step:
        raise InvalidValueError(
            f"rate that is an integer division of the present one ({rate:g} Hz); or method='resample'",
            "resamplefs",
            given,
        )
    return step


def _resample(rate: float, new: float, cutoff: float, order: int | None, padtype: str) -> Resample:
    ratio = _ratio(rate, new, _LARGEST_DENOMINATOR if order is None else _LARGEST_WITH_ORDER)
    exact = float(Fraction(rate) * ratio)
    if ratio.numerator == 1 and ratio.denominator > 1:
        message(
            "resampledata", f"{rate:g} Hz is {ratio.denominator} times {new:g} Hz; 'downsample' is possible"
        )
    if order is not None:
        _check_order(order, ratio, new)
    called = new if abs(exact - new) <= _RATE_ERROR * new else exact
    return Resample(called, ratio.numerator, ratio.denominator, cutoff / rate, order, padtype)


def _ratio(rate: float, new: float, largest: int) -> Fraction:
    """Ratio of small numbers if there is one within `SLACK`, else the nearest one."""
    wanted = Fraction(new) / Fraction(rate)
    small = wanted.limit_denominator(_SMALL)
    if is_small(small.numerator, small.denominator) and abs(small - wanted) <= SLACK * wanted:
        return small
    ratio = wanted.limit_denominator(largest)
    if abs(ratio - wanted) > SLACK * wanted:
        raise InvalidValueError(
            f"rate that is a fraction of {rate:g} Hz with a denominator up to {largest}", "resamplefs", new
        )
    return ratio


def _check_order(order: int, ratio: Fraction, new: float) -> None:
    needed = _FEWEST_TAPS * ratio.numerator
    if order + 1 < needed:
        raise InvalidValueError(
            f"{needed} or more, {_FEWEST_TAPS} taps for each of the {ratio.numerator} phases, or None for a "
            "filter as long as the ratio needs",
            "order",
            order,
        )
    if order < _TRANSITION * ratio.denominator:
        warn(
            "resampledata",
            f"a filter of order {order} is short for the ratio {ratio}: frequencies above {new / 2:g} Hz "
            f"will alias; order={20 * ratio.denominator} would do, or None",
        )


def _warn_short(order: int) -> None:
    if order < _SHORT_ORDER:
        warn("resampledata", f"a filter of order {order} is short; 100 or more is advisable")


def _logged(bound: Resample | Downsample, rate: float, given: dict[str, Any]) -> dict[str, Any]:
    """What goes into the history."""
    logged = {"method": given["method"], "resamplefs": given["resamplefs"], "origfs": rate}
    if isinstance(bound, Resample):
        return {**logged, "lpfreq": bound.cutoff * rate, "order": bound.order, "padtype": bound.padtype}
    if bound.filter is None:
        return logged
    return {
        **logged, "lpfreq": given["lpfreq"], "order": bound.filter.order, "padtype": bound.filter.padtype,
    }  # fmt: skip
