"""Front-end `rereference`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice
from rayspy.data.analog import AnalogData
from rayspy.data.selection import label_indices
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import selected
from rayspy.frontends.missing import tell_nan
from rayspy.frontends.pointwise import Stacked, like, places_with_nan, pointwise_plan, stacked
from rayspy.methods.filters.reference import Bipolar, Rereference
from rayspy.planning.plan import Plan
from rayspy.storage.derived import Computed, RunsSource
from rayspy.storage.sources import ArraySource

STATISTICS = ("average", "median")
Indices = NDArray[np.int64]


@frontend
def rereference(
    data: AnalogData,
    reference: Any = "average",
    refmethod: str = "average",
    order: Any = None,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[AnalogData]:
    """Refer signals to other channels.

    Parameters
    ----------
    data : AnalogData
        Real or complex signals.
    reference : str, int or list
        - 'average' or 'median': of all selected channels;
        - a channel, or a list of channels (names or numbers among the selected
          ones): their average or median, see `refmethod`;
        - 'bipolar': differences of neighbours, see `order`;
        - a list of pairs, ``[["a", "b"], ["c", "d"]]``: the differences a - b and
          c - d.
    refmethod : {'average', 'median'}
        What is taken of a list of channels.
    order : list of str or int, optional
        For 'bipolar': channels in the order of the chain a, b, c, which gives
        a - b and b - c; the order of the selected channels if left out.
    parallel, select, chan_per_worker
        As in `freqanalysis`. Only selected channels can be part of a reference.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData
        Same trials, in single precision. Differences have channels named
        ``a-b``; otherwise all channels are kept, also those of the reference.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=2, nSamples=100, nChannels=3, seed=1)
    >>> spy.rereference(data, "bipolar", parallel=False).channel.tolist()
    ['channel1-channel2', 'channel2-channel3']
    """
    check_analog(data)
    check_choice(refmethod, "refmethod", STATISTICS)
    width = check_chan_per_worker(chan_per_worker)
    warn_unused("rereference", kwargs)
    rows = stacked(data, select)
    pairs = _pairs(reference, order, rows.labels["channel"])
    source, labels = rows.source, rows.labels["channel"]
    method: Rereference | Bipolar = Bipolar()
    if pairs is not None:
        source, labels = _differences(data, rows, *pairs)
    else:
        method = _common(reference, refmethod, labels)
        _check_median(method, source.dtype)
    plan = pointwise_plan("rereference", method, data, source, {"channel": labels}, width)
    return Call("rereference", data, _steps(plan, data, rows, selected(data, select).trial_numbers))


def _steps(plan: Plan, data: AnalogData, rows: Stacked, trial_numbers: Indices) -> Steps[AnalogData]:
    done = yield plan
    made: AnalogData = like(data, done.source, rows.trialdefinition, plan.spec.labels)
    pieces, axis = sorted(done.nan.found), data.dimord.index("time")
    places = places_with_nan(plan.source, axis, rows.trialdefinition, pieces)
    tell_nan("rereference", trial_numbers[places].tolist(), made)
    return made


def check_analog(data: Any) -> None:
    """Accept AnalogData with data."""
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None:
        raise InvalidValueError("non-empty AnalogData", "data", "object without data")


def _check_median(method: Rereference, dtype: np.dtype[Any]) -> None:
    if method.statistic == "median" and dtype.kind == "c":
        raise InvalidValueError("'average', complex numbers have no median", "reference", "median")


def _common(reference: Any, refmethod: str, labels: NDArray[Any]) -> Rereference:
    """Reference that all channels have in common."""
    if isinstance(reference, str) and reference in STATISTICS:
        return Rereference(reference)
    places = label_indices(reference, labels, "channel", "reference")
    if len(set(places.tolist())) < len(places):
        raise InvalidValueError("different channels", "reference", reference)
    return Rereference(refmethod, tuple(places.tolist()))


def _pairs(reference: Any, order: Any, labels: NDArray[Any]) -> tuple[Indices, Indices] | None:
    """Places of the channels of all pairs, if differences of pairs are wanted."""
    if isinstance(reference, str) and reference == "bipolar":
        chain = np.arange(len(labels)) if order is None else label_indices(order, labels, "channel", "order")
        if len(chain) < 2:
            raise InvalidValueError("at least two channels", "order", order)
        first, second = chain[:-1], chain[1:]
    elif isinstance(reference, list) and any(isinstance(item, (list, tuple)) for item in reference):
        found = [_pair(item, labels) for item in reference]
        first, second = (np.array([pair[k] for pair in found]) for k in (0, 1))
    else:
        if order is not None:
            raise InvalidValueError("`order` only with reference='bipolar'", "order", order)
        return None
    if (first == second).any():
        k = int(np.flatnonzero(first == second)[0])
        raise InvalidValueError("pairs of different channels", "reference", f"{labels[first[k]]} twice")
    return first, second


def _pair(item: Any, labels: NDArray[Any]) -> Indices:
    if not isinstance(item, (list, tuple)) or len(item) != 2:
        raise InvalidValueError("pairs of channels", "reference", item)
    return label_indices(list(item), labels, "channel", "reference")


def _differences(
    data: AnalogData, rows: Stacked, first: Indices, second: Indices
) -> tuple[ArraySource, NDArray[Any]]:
    """Differences of pairs of channels, computed while they are read, in double precision."""
    axis, whole = data.dimord.index("channel"), rows.source
    time = data.dimord.index("time")
    start, stop = np.array([0]), np.array([whole.shape[time]])
    left, right = (RunsSource(whole, time, start, stop, {axis: wanted}) for wanted in (first, second))
    dtype = np.dtype(np.complex128 if whole.dtype.kind == "c" else np.float64)
    names = rows.labels["channel"]
    labels = np.array([f"{names[a]}-{names[b]}" for a, b in zip(first, second, strict=True)])
    return Computed("-", left, right, left.shape, dtype), labels
