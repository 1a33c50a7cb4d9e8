"""Parameters of `wavelet` and `superlet`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_bool, check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.selection import Selection
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.spectral.checks import (
    EDGES,
    MOST_FREQUENCIES,
    OUTPUTS,
    check_frequencies,
    check_polyremoval,
    one_of_foi_and_foilim,
)
from rayspy.frontends.spectral.request import Given, Request, lengths_of
from rayspy.frontends.spectral.times import Placed, check_toi, placed
from rayspy.kernels.spectral.wavelets import automatic_periods, fourier_factor, fractional_orders
from rayspy.methods.spectral.timepoints import TimePoints
from rayspy.methods.spectral.wavelet import Superlet, Wavelet
from rayspy.progress import message, warn

WAVELETS = ("Morlet", "Paul", "DOG", "Ricker", "Marr", "Mexican_hat")
_LOWEST = 0.01
"""Hz; lower frequencies, 0 among them, have no wavelet of finite length."""
_LARGEST_ORDER_MAX = 1000
_LARGEST_ORDER = 150
"""Order of Paul's wavelets and of derivatives of a Gaussian: beyond, numbers leave the range of doubles."""
_LARGEST_WIDTH = 10**6
"""Cycles of a wavelet."""


def wavelet(data: AnalogData, selection: Selection, given: Given) -> Request:
    """Check and resolve the parameters of `wavelet`."""
    family, parameter = _family(given)
    output = check_choice(given["output"], "output", OUTPUTS)
    times = _times(data, selection, given)
    freqs = _frequencies(data, selection, given, fourier_factor(family, parameter))
    if family == "DOG" and output not in ("pow", "abs", "real", "absreal"):
        warn("freqanalysis", f"{given['wavelet']} wavelets are real: output '{output}' tells little")
    method = Wavelet(
        samplerate=float(data.samplerate or 0),
        times=times.points,
        foi=tuple(freqs.tolist()),
        output_kind="fourier" if output == "complex" else output,
        polyremoval=check_polyremoval(given["polyremoval"]),
        family=family,
        parameter=parameter,
        edges=check_choice(given["edges"], "edges", EDGES),
    )
    return Request(method, selection, _logged(given, freqs, "wavelet", "width", "order"), times)


def superlet(data: AnalogData, selection: Selection, given: Given) -> Request:
    """Check and resolve the parameters of `superlet`."""
    if given["order_max"] is None:
        raise InvalidValueError("whole number, 1 or more, for method='superlet'", "order_max", "None")
    order_max = check_integer(given["order_max"], "order_max", 1, _LARGEST_ORDER_MAX)
    order_min = check_integer(given["order_min"], "order_min", 1, order_max)
    c_1 = check_integer(given["c_1"], "c_1", 1, _LARGEST_WIDTH)
    adaptive = check_bool(given["adaptive"], "adaptive")
    output = check_choice(given["output"], "output", OUTPUTS)
    times = _times(data, selection, given)
    freqs = _frequencies(data, selection, given, fourier_factor("superlet", 0))
    if adaptive:
        freqs = _check_adaptive(freqs)
        orders = fractional_orders(freqs, order_min, order_max)
    else:
        orders = np.full(len(freqs), float(order_max))
    method = Superlet(
        samplerate=float(data.samplerate or 0),
        times=times.points,
        foi=tuple(freqs.tolist()),
        output_kind="fourier" if output == "complex" else output,
        polyremoval=check_polyremoval(given["polyremoval"]),
        orders=tuple(orders.tolist()),
        order_min=order_min,
        c_1=c_1,
        edges=check_choice(given["edges"], "edges", EDGES),
    )
    logged = _logged(given, freqs, "order_max", "order_min", "c_1", "adaptive")
    return Request(method, selection, logged, times)


def _family(given: Given) -> tuple[str, float]:
    """Kind of wavelet and its parameter."""
    name = check_choice(given["wavelet"], "wavelet", WAVELETS)
    width = check_scalar(given["width"], "width", 1, _LARGEST_WIDTH)
    order = given["order"]
    if name in ("Paul", "DOG"):
        lowest = 4 if name == "Paul" else 1
        if order is None:
            raise InvalidTypeError(None, "order", f"whole number, {lowest} or more, for wavelet='{name}';")
        return name, float(check_integer(order, "order", lowest, _LARGEST_ORDER))
    if order is not None:
        check_integer(order, "order", 0)
        warn("freqanalysis", f"option `order` has no effect with wavelet='{name}'!")
    return ("Morlet", width) if name == "Morlet" else ("DOG", 2.0)


def _times(data: AnalogData, selection: Selection, given: Given) -> Placed:
    toi = check_toi(given["toi"], fraction=False)
    if toi is None or isinstance(toi, float):
        return Placed(TimePoints())
    return placed(toi, selection, float(data.samplerate or 0))


def _frequencies(data: AnalogData, selection: Selection, given: Given, factor: float) -> NDArray[np.float64]:
    """Frequencies as asked for, or four per octave from the shortest trial's length to Nyquist."""
    rate = float(data.samplerate or 0)
    name = one_of_foi_and_foilim(given["foi"], given["foilim"])
    if name is None:
        return 1 / automatic_periods(rate, int(lengths_of(selection).min()), factor)
    if name == "foi":
        freqs = check_frequencies(given["foi"], rate)
        if freqs.min() < _LOWEST:
            warn("freqanalysis", f"foi below {_LOWEST:g} Hz, the lowest one of wavelets, becomes that")
        return np.array(list(dict.fromkeys(np.maximum(freqs, _LOWEST).tolist())))
    low, high = sorted(check_array(given["foilim"], "foilim", 0, rate / 2, length=2))
    if high - low >= MOST_FREQUENCIES:
        raise InvalidValueError(f"at most {MOST_FREQUENCIES} Hz, in steps of 1 Hz", "foilim", given["foilim"])
    if low < _LOWEST:
        message("freqanalysis", f"the lowest frequency of a wavelet is {_LOWEST:g} Hz: foilim begins there")
    return np.asarray(np.maximum(low + np.arange(int(high - low + 1e-9) + 1), _LOWEST))


def _check_adaptive(freqs: NDArray[np.float64]) -> NDArray[np.float64]:
    """At least two frequencies, in ascending order."""
    if len(np.unique(freqs)) < 2:
        raise InvalidValueError("at least two frequencies with adaptive=True", "foi", freqs.tolist())
    if (np.diff(freqs) < 0).any():
        message("freqanalysis", "sorting foi from low to high for adaptive superlets")
        return np.sort(freqs)
    return freqs


def _logged(given: Given, freqs: NDArray[np.float64], *names: str) -> dict[str, Any]:
    """What goes into the history."""
    every = ["method", "output", "keeptrials", "polyremoval", "toi", "edges", *names]
    return {**{name: given[name] for name in every}, "foi": freqs}
