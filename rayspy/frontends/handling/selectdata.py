"""Front-ends `selectdata` and `show`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool
from rayspy.config import config
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.discrete import DiscreteData
from rayspy.data.models import select_models
from rayspy.data.selection import Selection, resolve
from rayspy.data.spectral import SpectralData
from rayspy.data.structdict import StructDict, serializable
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend, no_steps
from rayspy.frontends.compute import computed, input_spec, plan_for
from rayspy.frontends.pointwise import like, pointwise_plan, stack_of
from rayspy.methods.copying import Copying
from rayspy.planning.partition import Block
from rayspy.planning.plan import make_plan
from rayspy.progress import message


@frontend
def selectdata(
    data: BaseData,
    trials: Any = None,
    channel: Any = None,
    channel_i: Any = None,
    channel_j: Any = None,
    latency: Any = None,
    frequency: Any = None,
    taper: Any = None,
    unit: Any = None,
    eventid: Any = None,
    inplace: bool = False,
    clear: bool = False,
    parallel: bool | None = None,
    channelcmb: Any = None,
    **kwargs: Any,
) -> Call[Any]:
    """Select a part of an object.

    Parameters
    ----------
    data : data object
        Is not changed unless `inplace` or `clear`.
    trials : int, list or ndarray of int, 'all', optional
        Trial numbers; order and repetitions are kept.
    channel, taper : str, int, list, ndarray, slice or range, 'all', optional
        Names or numbers; order and repetitions are kept.
    channel_i, channel_j
        Only for classes that have them.
    unit : str, int, list, ndarray, slice or range, 'all', optional
        Names or numbers (places among the units, not codes) of units of spikes.
    latency : [t0, t1], 'maxperiod', 'minperiod', 'prestim', 'poststim', 'all', optional
        Closed window in seconds. Trials that do not cover all of it are left out.
        The words are windows from the first or latest start, or zero, to the last
        or earliest end, or zero, of the selected trials.
    frequency : float or [fmin, fmax], 'all', optional
        Nearest bin, or closed interval in Hz.
    eventid : int, list, ndarray or range of int, 'all', optional
        Event codes.
    inplace : bool
        Attach the selection to the object instead of copying: later
        computations see only what is selected. Other calls of `selectdata`
        and `show` choose from the whole object.
    clear : bool
        Remove an attached selection.
    parallel : bool, optional
        As in `freqanalysis`.

    Returns
    -------
    data object or None
        A new object with the selected data; None with `inplace` or `clear`. Trials
        are counted anew, those of events and spikes keep their sample numbers.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A selector cannot be used with this object; the message names it.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=4, nSamples=100, nChannels=3, seed=1)
    >>> spy.selectdata(data, trials=[2, 0], channel=["channel3"]).data.shape
    (200, 1)
    """
    check_bool(inplace, "inplace")
    check_bool(clear, "clear")
    given = {
        "trials": trials, "channel": channel, "channel_i": channel_i, "channel_j": channel_j,
        "channelcmb": channelcmb, "latency": latency, "frequency": frequency, "taper": taper, "unit": unit,
        "eventid": eventid,
    }  # fmt: skip
    select = {key: value for key, value in given.items() if value is not None}
    check_selectors(data, select, kwargs)
    if clear:
        if select:
            raise InvalidValueError("no selectors together with clear=True", "select", ", ".join(select))
        return Call("selectdata", None, no_steps(partial(_set, data, None)), at_once=True)
    selection = resolve(select, data.describe(), covering=True)
    _tell_dropped(data, select, selection)
    settings = _plain(select, data)
    if inplace:
        entry = StructDict(serializable(settings, "selectdata"))
        return Call("selectdata", None, no_steps(partial(_set, data, selection, entry)), at_once=True)
    if isinstance(data, DiscreteData):
        rows = no_steps(partial(_selected_events, data, selection))
        return Call("selectdata", data, rows, select, at_once=True)
    return Call("selectdata", data, _selected_samples(data, selection), settings)


def _set(data: BaseData, selection: Selection | None, entry: StructDict | None = None) -> None:
    """Make a selection the active one of an object, or none."""
    if selection is None:
        data.selection = None
        return
    data.activate(selection)
    data.cfg["selectdata"] = entry


def _selected_jackknife(data: CrossSpectralData, selection: Selection) -> dict[str, NDArray[Any]]:
    """What belongs to the selected numbers."""
    rows = np.concatenate([np.arange(int(row[0]), int(row[1])) for row in selection.trialdefinition])
    index = {**selection.index, "time": rows}
    found = dict(data.jackknife)
    for axis, dim in enumerate(data.dimord):
        if dim in index:
            found = {name: array.take(index[dim], axis=axis) for name, array in found.items()}
    return found


def _selected_models(data: SpectralData, selection: Selection) -> dict[str, dict[str, Any]]:
    """Parameters of the models that were fitted to what is selected."""
    index = {dim: selection.index.get(dim, np.arange(len(getattr(data, dim)))) for dim in data.label_dims}
    places = {dim: numbers.tolist() for dim, numbers in index.items()}
    return select_models(data.metadata, selection.trial_numbers.tolist(), places["taper"], places["channel"])


def _selected_events(data: DiscreteData, selection: Selection) -> Any:
    """Rows of the selected events, in a new object."""
    made = like(data, data.selected_rows(selection), selection.trialdefinition.copy(), {})
    data.restrict(made, selection)
    return made


def _selected_samples(data: BaseData, selection: Selection) -> Steps[Any]:
    """Copy of the selected samples, in a new object; long trials are cut along time."""
    plan = plan_for("selectdata", data, Copying(), selection)
    if plan.memory.input < 2 * config.block_bytes * len(selection.trial_numbers):
        made = yield from computed(plan, data)
    else:
        rows = stack_of(data, selection)
        done = yield pointwise_plan("selectdata", Copying(), data, rows.source, rows.labels)
        channels = selection.index.get("channel")
        made = like(data, done.source, rows.trialdefinition, rows.labels, channels)
    if isinstance(data, TimeLockData):
        data.restrict(made, selection)
    if isinstance(data, SpectralData):
        made.metadata = _selected_models(data, selection)
    if isinstance(data, CrossSpectralData):
        made.jackknife = _selected_jackknife(data, selection)
    return made


def check_selectors(data: BaseData, select: Mapping[str, Any], unknown: Mapping[str, Any]) -> None:
    """Refuse selectors that do not exist, or not for this class."""
    for key in unknown:
        raise InvalidValueError(f"selectors {', '.join(data.selection_keys)}", "selection kwargs", key)
    for key in select:
        if key not in data.selection_keys:
            kind = type(data).__name__
            raise InvalidValueError(
                f"one of {', '.join(data.selection_keys)} (no `{key}` selection available for {kind})",
                "selection arguments",
                key,
            )


def _plain(select: Mapping[str, Any], data: BaseData) -> dict[str, Any]:
    """Selectors as they can be stored and replayed: slices become lists."""
    return {
        key: list(range(*value.indices(len(data.describe().labels[key]))))
        if isinstance(value, slice)
        else value
        for key, value in select.items()
    }


def _tell_dropped(data: BaseData, select: Mapping[str, Any], selection: Selection) -> None:
    wanted = resolve({k: v for k, v in select.items() if k == "trials"}, data.describe())
    dropped = len(wanted.trial_ids) - len(selection.trial_numbers)
    if dropped:
        message("selectdata", f"left out {dropped} trials that do not cover latency {select['latency']}")


def show(data: BaseData, squeeze: bool = True, **kwargs: Any) -> NDArray[Any] | list[NDArray[Any]] | None:
    """Return selected data as arrays.

    Parameters
    ----------
    data : data object
        Is not changed.
    squeeze : bool
        Drop dimensions of length 1.
    **kwargs
        Selectors as in `selectdata`; lists have to ascend in the order of the data.

    Returns
    -------
    ndarray or list of ndarray
        One array per selected trial; the array itself if it is one trial.
    """
    check_bool(squeeze, "squeeze")
    if not isinstance(data, BaseData):
        raise InvalidTypeError(data, "data", "rayspy data object;")
    unknown = {k: v for k, v in kwargs.items() if k not in data.selection_keys}
    check_selectors(data, kwargs, unknown)
    if data.data is None:
        message("show", "the object is empty")
        return None
    selection = resolve(kwargs, data.describe(), covering=True)
    _check_ascending(kwargs, selection)
    _tell_dropped(data, kwargs, selection)
    arrays = _arrays(data, selection)
    if squeeze:
        arrays = [array.squeeze() for array in arrays]
    return arrays[0] if len(arrays) == 1 else arrays


def _arrays(data: BaseData, selection: Selection) -> list[NDArray[Any]]:
    """Selected trials as arrays."""
    if isinstance(data, DiscreteData):
        return [data.read_selected(selection, k) for k in range(len(selection.trial_numbers))]
    plan = make_plan("show", Copying(), data.source, input_spec(data, selection), selection.index)
    order = plan.output.stored
    everything = Block(0, len(plan.spec.trialdefinition), 0, plan.n_channels)
    with data.source.reader() as read:
        bound = plan.input_of(read, everything)
        return [
            np.array(bound.trials(*plan.bounds(k, k + 1))[0].transpose(order))
            for k in range(everything.stop_trial)
        ]


def _check_ascending(selectors: Mapping[str, Any], selection: Selection) -> None:
    """Refuse lists that do not ascend: one slice of the data is shown, not a new arrangement."""
    for key, indices in {"trials": selection.trial_numbers, **selection.index}.items():
        if (np.diff(indices) <= 0).any():
            raise InvalidValueError(
                "unique and sorted selectors", "show kwargs", f"{key}: {selectors.get(key)}"
            )
