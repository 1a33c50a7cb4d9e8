"""Front-ends `definetrial` and `redefinetrial`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_bool, check_scalar, is_number, is_whole
from rayspy.data.base import BaseData
from rayspy.data.definition import (
    EVENT_KEYS,
    check_trials,
    clipped,
    find_marks,
    rescaled,
    shortened,
    trials_of_marks,
    with_offset,
)
from rayspy.data.event import EventData
from rayspy.data.selection import SAMPLE_SLACK
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, call_of, frontend
from rayspy.frontends.handling.selectdata import selectdata
from rayspy.progress import message, warn


def definetrial(
    obj: BaseData,
    trialdefinition: Any = None,
    pre: Any = None,
    post: Any = None,
    start: Any = None,
    trigger: Any = None,
    stop: Any = None,
    clip_edges: bool = False,
) -> None:
    """Cut a recording or a table of events into trials, in place.

    Parameters
    ----------
    obj : data object
        What gets the trials.
    trialdefinition : ndarray of shape (trials, 3 or more) or EventData, optional
        Start sample, stop sample (exclusive), offset (number of the first sample
        relative to the trigger, negative if the trial starts before it), further
        columns. EventData: its trials, converted to the samplerate of `obj`, or
        with the following keywords the events to take trials from. None: all is
        one trial; or, if `obj` is EventData, its own events are used.
    pre, post : float or array, optional
        Seconds before the start event or trigger, and after the stop event or trigger.
    start, trigger, stop : int or array of int, optional
        Event codes. A trial is one sequence of them in this order. Single codes
        are searched until the events are used up, arrays have one entry per trial.
        No event is used twice.
    clip_edges : bool
        Cut trials that reach beyond the recording instead of refusing them.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        Names the parameter; `obj` is as it was.

    Notes
    -----
    Time zero of a trial is its trigger, rounded to the nearest sample of `obj`.
    Without a trigger, times count from the start of the recording. `pre` and `post`
    are rounded to whole numbers of samples, halves away from zero as in FieldTrip,
    so that trials around a trigger are equally long.

    Examples
    --------
    >>> import numpy as np
    >>> import rayspy as spy
    >>> data = spy.AnalogData(np.zeros((1000, 2)), samplerate=1000)
    >>> events = spy.EventData(np.array([[30, 1], [70, 2]]), samplerate=100)
    >>> spy.definetrial(data, events, trigger=1, pre=0.1, post=0.2)
    >>> data.trialdefinition.tolist()
    [[200.0, 500.0, -100.0]]
    """
    if not isinstance(obj, BaseData):
        raise InvalidTypeError(obj, "obj", "rayspy data object;")
    if obj.data is None:
        raise InvalidValueError("object with data", "obj", f"empty {type(obj).__name__}")
    keywords = {"pre": pre, "post": post, "start": start, "trigger": trigger, "stop": stop}
    given = {key: value for key, value in keywords.items() if value is not None}
    check_bool(clip_edges, "clip_edges")
    if not given and not clip_edges and not isinstance(trialdefinition, EventData):
        obj.trialdefinition = trialdefinition
    else:
        events = _events(obj, trialdefinition)
        trl = _from_events(obj, events, given) if given else _converted(obj, events)
        obj.trialdefinition = _within(trl, obj.n_samples, clip_edges)
    n_trials, n_columns = np.shape(obj.trialdefinition)
    _tell_outside(obj)
    obj.log = f"updated trial-definition with [{n_trials} x {n_columns}] element array"


def _tell_outside(obj: BaseData) -> None:
    """Spikes outside of all trials are no error, but worth a line."""
    if isinstance(obj, SpikeData) and (n := obj.count_outside()):
        message("definetrial", f"{n} of {obj.source.shape[0]} spikes are in no trial")


def _events(obj: BaseData, given: Any) -> EventData:
    """Where events come from: the second argument, or the object itself."""
    events = obj if given is None else given
    if not isinstance(events, EventData):
        raise InvalidValueError(
            "EventData, for pre, post, start, trigger, stop or clip_edges",
            "trialdefinition",
            type(given).__name__,
        )
    if events.data is None:
        raise InvalidValueError("EventData with events", "trialdefinition", "empty EventData")
    return events


def _ratio(obj: BaseData, events: EventData) -> float:
    """Samples of the object per sample of the events."""
    if obj is events:
        return 1.0
    for data, name in ((obj, "obj"), (events, "trialdefinition")):
        if data.samplerate is None:
            raise InvalidValueError("object with a samplerate", name, "samplerate None")
    return float(obj.samplerate or 1) / float(events.samplerate or 1)


def _converted(obj: BaseData, events: EventData) -> NDArray[np.float64]:
    """Trials of events, in samples of the object."""
    return rescaled(events.describe().trialdefinition, _ratio(obj, events))


def _within(trl: NDArray[np.float64], n_samples: float, clip_edges: bool) -> NDArray[np.float64]:
    """Trials that lie within the recording."""
    if clip_edges:
        return check_trials(clipped(trl, 0, n_samples), n_samples, "")
    return check_trials(trl, n_samples, " (or clip_edges=True)")


def _from_events(obj: BaseData, events: EventData, given: Mapping[str, Any]) -> NDArray[np.float64]:
    """Trials between or around events, in samples of the object."""
    _check_complete(given)
    margins = {key: _margin(given[key], key) for key in ("pre", "post") if key in given}
    wanted = {key: _codes(given[key], key) for key in EVENT_KEYS if key in given}
    if margins and events.samplerate is None:
        name = "obj" if obj is events else "trialdefinition"
        raise InvalidValueError("EventData with a samplerate, for `pre` and `post`", name, "samplerate None")
    ratio = _ratio(obj, events)
    marks = find_marks(events.column("eventid"), wanted)
    _check_lengths(margins, marks.n_trials)
    rate = 1.0 if events.samplerate is None else ratio * events.samplerate
    samples = events.column("sample")
    places = {kind: samples[rows] for kind, rows in marks.rows.items()}
    before, after = (margins[key] * rate if key in margins else None for key in ("pre", "post"))
    return trials_of_marks(places, ratio, before, after)


def _check_complete(given: Mapping[str, Any]) -> None:
    for name, other in (("pre", "start"), ("post", "stop")):
        if name not in given and other not in given:
            raise InvalidValueError(f"`{name}` or `{other}`", f"{name}/{other}", "neither")
        if name in given and "trigger" not in given:
            raise InvalidValueError(f"`trigger` together with `{name}`", "trigger", "None")


def _margin(value: Any, name: str) -> Any:
    """Accept seconds, one number or one per trial."""
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise InvalidValueError("number, or 1d-array of them", name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf" and np.isfinite(value).all():
        return value.astype(float)
    if isinstance(value, (list, np.ndarray)):
        return np.array([check_scalar(item, name) for item in value])
    return check_scalar(value, name)


def _codes(value: Any, name: str) -> Any:
    """Accept an event code, or one per trial."""
    if not isinstance(value, (list, np.ndarray)) and not is_number(value):
        raise InvalidTypeError(value, name, "event code (int), list or numpy.ndarray of them;")
    if not is_number(value) and (as_array(value, name).ndim != 1 or len(value) == 0):
        raise InvalidValueError("event code, or 1d-array of them", name, value)
    return value


def _check_lengths(margins: Mapping[str, Any], n_trials: int) -> None:
    for name, value in margins.items():
        if np.ndim(value) and len(value) != n_trials:
            raise InvalidValueError(f"one number, or one for each of {n_trials} trials", name, value)


# -- redefinetrial -----------------------------------------------------------------------


@frontend
def redefinetrial(
    data_obj: BaseData,
    trials: Any = None,
    minlength: Any = None,
    offset: Any = None,
    toilim: Any = None,
    begsample: Any = None,
    endsample: Any = None,
    trl: Any = None,
) -> Call[Any]:
    """Return an object with other trials: shorter ones, or with another time axis.

    Parameters
    ----------
    data_obj : data object
        Is not changed; its active selection has no effect.
    trials : int or list of int, optional
        Take these trials first.
    minlength : float or 'maxperlen', optional
        Keep trials of at least this length in seconds, or only the longest ones.
    offset : int or array of int, optional
        New offset, one or one per trial: number of the first sample relative to
        time zero.
    toilim : [t0, t1], optional
        Cut trials to this closed window in seconds; those that do not cover it
        are left out.
    begsample, endsample : int or array of int, optional
        Cut each trial to the samples from `begsample` to `endsample` (exclusive),
        counted from its start. Times stay what they were.
    trl : ndarray or list of shape (trials, 3 or more), optional
        A new trial definition.

    Returns
    -------
    data object
        With the same array where trials only were redefined. It is empty, with a
        warning, if no trial has the `minlength`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        Names the parameter. Only one of `minlength`, `toilim`, `begsample` with
        `endsample`, and `trl` can be given, `trl` without `offset`.
    """
    settings = {
        "trials": trials, "minlength": minlength, "offset": offset, "toilim": toilim,
        "begsample": begsample, "endsample": endsample, "trl": trl,
    }  # fmt: skip
    given = {key: value for key, value in settings.items() if value is not None}
    if data_obj.data is None:
        raise InvalidValueError("object with data", "data_obj", f"empty {type(data_obj).__name__}")
    _check_combination(given)
    return Call("redefinetrial", data_obj, _steps(data_obj, given), settings, given)


def _steps(data: BaseData, given: Mapping[str, Any]) -> Steps[BaseData]:
    chosen = yield from _chosen(data, given.get("trials"), given.get("toilim"))
    return (yield from _redefined(chosen, given))


def _check_combination(given: Mapping[str, Any]) -> None:
    for one, other in (("begsample", "endsample"), ("endsample", "begsample")):
        if one in given and other not in given:
            raise InvalidValueError("both `begsample` and `endsample`", "begsample/endsample", f"only {one}")
    ways = [key for key in ("minlength", "toilim", "begsample", "trl") if key in given]
    if len(ways) > 1:
        raise InvalidValueError("only one way to redefine trials", "/".join(ways), "all of them")
    if "trl" in given and "offset" in given:
        raise InvalidValueError("no `offset` together with `trl`, which has one", "trl/offset", "both")


def _chosen(data: BaseData, trials: Any, toilim: Any) -> Steps[BaseData]:
    """Trials and times that are wanted, as an object that is nobody else's."""
    if trials is None and toilim is None:
        return data.copy()
    try:
        call, _ = call_of(selectdata, (data,), {"trials": trials, "latency": toilim})
    except InvalidValueError as error:
        raise InvalidValueError(error.legal, _own_name(error.varname), error.actual) from None
    except InvalidTypeError as error:
        name = _own_name(error.varname)
        raise InvalidTypeError({"trials": trials, "toilim": toilim}[name], name, error.expected) from None
    found: BaseData = yield from call.steps
    return found


def _own_name(selector: str) -> str:
    """Parameter that was handed on as this selector."""
    return "toilim" if selector.endswith("latency") else selector.removeprefix("select: ")


def _redefined(data: BaseData, given: Mapping[str, Any]) -> Steps[BaseData]:
    """Change the trial definition of an object that is nobody else's."""
    if "trl" in given:
        data.trialdefinition = _table(given["trl"], data.n_samples)
        return data
    if "minlength" in given:
        data = yield from _long_trials(data, given["minlength"])
    if data.data is None or not given.keys() & {"begsample", "offset"}:
        return data
    table = data.describe().trialdefinition
    if "begsample" in given:
        table = _cut_out(table, given["begsample"], given["endsample"])
    if "offset" in given:
        table = with_offset(table, _per_trial(given["offset"], "offset", len(table)))
    data.trialdefinition = table
    return data


def _long_trials(data: BaseData, minlength: Any) -> Steps[BaseData]:
    """Leave out trials that are too short; an empty object if all are."""
    keep = np.flatnonzero(_long_enough(data.describe().trialdefinition, minlength, data.samplerate))
    if len(keep) == len(data):
        return data
    if not len(keep):
        warn("redefinetrial", f"no trial is {minlength} s long, the result is empty")
        empty = data.copy()
        empty.data = None
        return empty
    found: BaseData = yield from call_of(selectdata, (data,), {"trials": keep})[0].steps
    return found


def _table(trl: Any, n_samples: float) -> NDArray[np.float64]:
    if not isinstance(trl, (list, np.ndarray)):
        raise InvalidTypeError(trl, "trl", "list or numpy.ndarray of shape (trials, 3 or more)")
    try:
        table = np.atleast_2d(np.asarray(trl, dtype=np.float64))
    except (OverflowError, TypeError, ValueError):
        raise InvalidValueError("numbers in rows of equal length", "trl", trl) from None
    bounds = table[:, :2]
    if table.ndim != 2 or table.shape[1] < 3 or not len(table):
        raise InvalidValueError("at least 3 columns", "trl", f"array of shape {table.shape}")
    if not np.isfinite(table[:, :3]).all() or (bounds != np.round(bounds)).any():
        raise InvalidValueError("whole sample numbers", "trl", trl)
    if bounds.min() < 0 or bounds.max() > n_samples or (bounds[:, 0] >= bounds[:, 1]).any():
        legal = f"start samples before stop samples, between 0 and {n_samples:g}"
        raise InvalidValueError(legal, "trl", f"{bounds.min():g} to {bounds.max():g}")
    return table


def _cut_out(table: NDArray[np.float64], begsample: Any, endsample: Any) -> NDArray[np.float64]:
    begin = _per_trial(begsample, "begsample", len(table))
    end = _per_trial(endsample, "endsample", len(table))
    lengths = table[:, 1] - table[:, 0]
    if (begin < 0).any():
        raise InvalidValueError("samples counted from 0", "begsample", begin.min())
    if (end > lengths).any():
        k = int(np.flatnonzero(end > lengths)[0])
        legal = f"samples within the trials (trial {k} has {lengths[k]:g})"
        raise InvalidValueError(legal, "endsample", np.broadcast_to(end, lengths.shape)[k])
    if (begin >= end).any():
        raise InvalidValueError(
            "begsample before endsample", "begsample/endsample", f"{begsample}/{endsample}"
        )
    return shortened(table, begin, end)


def _per_trial(value: Any, name: str, n_trials: int) -> NDArray[np.float64]:
    """Accept a whole number, or one per trial."""
    if not isinstance(value, (list, np.ndarray)) and not is_number(value):
        raise InvalidTypeError(value, name, "int, or list or numpy.ndarray of int;")
    numbers = np.atleast_1d(as_array(value, name))
    if numbers.ndim != 1 or len(numbers) not in (1, n_trials):
        legal = f"one number, or one for each of {n_trials} trials"
        raise InvalidValueError(legal, name, f"array of shape {numbers.shape}")
    for number in numbers.tolist():
        if not is_whole(number):
            raise InvalidValueError("whole numbers of samples", name, number)
    return numbers.astype(np.float64)


def _long_enough(table: NDArray[np.float64], minlength: Any, samplerate: float | None) -> NDArray[np.bool_]:
    lengths = table[:, 1] - table[:, 0]
    if isinstance(minlength, str):
        if minlength != "maxperlen":
            raise InvalidValueError("length in seconds, or 'maxperlen'", "minlength", minlength)
        return np.asarray(lengths == lengths.max())
    seconds = check_scalar(minlength, "minlength", 0)
    if samplerate is None:
        raise InvalidValueError("object with a samplerate", "data_obj", "samplerate None")
    return np.asarray(lengths >= np.floor(seconds * samplerate + SAMPLE_SLACK))
