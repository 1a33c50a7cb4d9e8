"""What is to be seen of an object: one trial of it, selected, in a fixed order of dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.quantity import Measured, Unit
from rayspy.data.selection import LATENCY_WORDS, Selection, resolve, trial_times
from rayspy.errors import InvalidValueError
from rayspy.progress import warn

Array = NDArray[Any]


@dataclass(frozen=True)
class View:
    """One trial, ready to be drawn.

    Attributes
    ----------
    values : ndarray
        Dimensions in the default order of the class.
    time : ndarray
        One per sample of the trial: seconds, or numbers of samples where there is no time axis.
    labels : dict of str to ndarray
        Labels of what is selected per dimension.
    """

    values: Array
    time: Array
    labels: Mapping[str, Array]

    @property
    def channels(self) -> list[str]:
        """Names of the channels."""
        return [str(name) for name in self.labels["channel"]]


def view_of(data: BaseData, function: str, select: Mapping[str, Any]) -> View | None:
    """Read the one selected trial; None, with a warning, if it is not one.

    An active selection of the object counts, and is left as it is.
    """
    selection = _selection(data, select)
    if len(selection.trial_numbers) != 1:
        n = len(selection.trial_numbers)
        warn(function, f"please select a single trial for plotting, e.g. trials=0 ({n} are selected)")
        return None
    start, stop = selection.trialdefinition[0, :2]
    if start == stop:
        warn(function, f"trial {selection.trial_numbers[0]} has no samples to plot")
        return None
    cuts: dict[str, Any] = {"time": slice(int(start), int(stop)), **selection.index}
    values = (
        data.data[tuple(cuts.get(dim, slice(None)) for dim in data.dimord)] if data.data is not None else None
    )
    if values is None:
        raise InvalidValueError("object with data", "data", f"empty {type(data).__name__}")
    order = [*(dim for dim in data.default_dimord if dim in data.dimord), *data.dimord]
    values = values.transpose([data.dimord.index(dim) for dim in dict.fromkeys(order)])
    return View(
        values, _times(data, selection), {dim: selection.labels(dim) for dim in selection.description.labels}
    )


def _times(data: BaseData, selection: Selection) -> Array:
    """Times of the selected trial in seconds; numbers of samples where there is no time axis."""
    if data.samplerate is None and data.time is not None:
        return data.time[int(selection.trial_numbers[0])]
    return trial_times(selection.trialdefinition[0], data.samplerate or 1.0)


def _selection(data: BaseData, select: Mapping[str, Any]) -> Selection:
    given = {key: value for key, value in select.items() if value is not None}
    if data.selection is not None and given:
        legal = (
            "no selectors while the object has an active selection; clear it with data.selectdata(clear=True)"
        )
        raise InvalidValueError(legal, "show_kwargs", ", ".join(given))
    if data.selection is not None:
        return data.selection
    latency = given.get("latency")
    return resolve(given, data.describe(), covering=isinstance(latency, str) and latency in LATENCY_WORDS)


def scaled(values: Array, data: Measured, logscale: bool) -> tuple[Array, str]:
    """Spectra as they are drawn, and the label of their axis; power in decibels with `logscale`."""
    quantity, unit = data.quantity, data.unit
    if quantity == "power" and unit != "dB" and logscale:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 10 * np.log10(values), "power (dB)"
    return values, axis_label(quantity, unit)


def axis_label(quantity: str | None, unit: Unit) -> str:
    """``power (V²)``; arbitrary units where the unit is not known or not the same for all."""
    if unit == "1":
        return quantity or "value"
    return f"{quantity or 'value'} ({unit if isinstance(unit, str) and unit else 'a.u.'})"
