"""Rasters of spikes: one tick per spike, a line per trial, channel or unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice
from rayspy.data.selection import LATENCY_WORDS, Selection, resolve
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidValueError
from rayspy.plotting import drawing
from rayspy.progress import warn

Array = NDArray[Any]
Figure = tuple[Any, Any]
ON_YAXIS = ("trials", "channel", "unit")
_MOST_NAMES = 25
"""As many lines have their names beside them."""


@dataclass(frozen=True)
class Lines:
    """Times of each line of a raster, and names of the lines."""

    times: list[Array]
    names: list[str]


def single_raster(data: SpikeData, on_yaxis: str = "trials", **select: Any) -> Figure:
    """One raster: trials of one unit, or channels or units of one trial."""
    check_choice(on_yaxis, "on_yaxis", ON_YAXIS)
    selection = _selection(data, select)
    if _is_too_much(data, selection, on_yaxis, "singlepanelplot"):
        return None, None
    fig, ax = drawing.single_panel()
    _draw(ax, _lines(data, selection, on_yaxis))
    ax.set(xlabel=_time_label(data), ylabel=on_yaxis)
    ax.set_title(_title(data, selection, on_yaxis), parse_math=False)
    return fig, ax


def multi_raster(data: SpikeData, on_yaxis: str = "trials", max_panels: int = 25, **select: Any) -> Figure:
    """A raster of the trials of each unit, or of the channels or units of each trial."""
    check_choice(on_yaxis, "on_yaxis", ON_YAXIS)
    selection = _selection(data, select)
    panels = _panels(data, selection, on_yaxis)
    if not 1 <= len(panels) <= max_panels:
        what = "units" if on_yaxis == "trials" else "trials"
        warn("multipanelplot", f"can draw 1 to {max_panels} {what}, not {len(panels)}")
        return None, None
    fig, axs, used = drawing.panel_grid(len(panels))
    for ax, panel in zip(used, panels, strict=True):
        _draw(ax, _lines(data, panel, on_yaxis))
        ax.set_title(_title(data, panel, on_yaxis), fontsize="medium", parse_math=False)
    fig.supxlabel(_time_label(data), fontsize="medium")
    fig.supylabel(on_yaxis, fontsize="medium")
    return fig, axs


def _selection(data: SpikeData, select: dict[str, Any]) -> Selection:
    given = {key: value for key, value in select.items() if value is not None}
    if data.selection is not None and given:
        legal = "no selectors while the object has an active selection"
        raise InvalidValueError(legal, "show_kwargs", ", ".join(given))
    if data.selection is not None:
        return data.selection
    latency = given.get("latency")
    return resolve(given, data.describe(), covering=isinstance(latency, str) and latency in LATENCY_WORDS)


def _is_too_much(data: SpikeData, selection: Selection, on_yaxis: str, function: str) -> bool:
    n_units, n_trials = len(data.selected_codes(selection, "unit")), len(selection.trial_numbers)
    if on_yaxis == "trials" and n_units != 1:
        warn(function, f"please select a single unit, e.g. unit=0 ({n_units} are selected)")
        return True
    if on_yaxis != "trials" and n_trials != 1:
        warn(function, f"please select a single trial, e.g. trials=0 ({n_trials} are selected)")
        return True
    return False


def _panels(data: SpikeData, selection: Selection, on_yaxis: str) -> list[Selection]:
    description = data.describe()
    given = dict(selection.select)
    if on_yaxis == "trials":
        units = selection.index.get("unit", np.arange(len(description.labels["unit"])))
        return [resolve({**given, "unit": int(k)}, description) for k in units]
    return [resolve({**given, "trials": int(k)}, description) for k in selection.trial_numbers]


def _lines(data: SpikeData, selection: Selection, on_yaxis: str) -> Lines:
    rate = data.samplerate or 1.0
    trials = [data.read_selected(selection, k) for k in range(len(selection.trial_numbers))]
    column = data.dimord.index("sample")
    times = [
        (rows[:, column] - row[0] + row[2]) / rate
        for rows, row in zip(trials, selection.trialdefinition, strict=True)
    ]
    if on_yaxis == "trials":
        return Lines(times, [str(k) for k in selection.trial_numbers])
    codes, of_rows = data.selected_codes(selection, on_yaxis), trials[0][:, data.dimord.index(on_yaxis)]
    return Lines([times[0][of_rows == code] for code in codes], [str(n) for n in selection.labels(on_yaxis)])


def _draw(ax: Any, lines: Lines) -> None:
    """Ticks, the first line on top, and time zero if it is within."""
    places = np.arange(len(lines.times))
    for place, times in zip(places, lines.times, strict=True):
        ax.vlines(times, place - 0.4, place + 0.4, color="black", linewidth=0.7)
    ax.set_ylim(len(places) - 0.5, -0.5)
    if len(places) <= _MOST_NAMES:
        ax.set_yticks(places, lines.names, parse_math=False)
    low, high = ax.get_xlim()
    if low < 0 < high:
        ax.axvline(0, color="red", linestyle="--", linewidth=1)
    ax.set_xlim(low, high)


def _title(data: SpikeData, selection: Selection, on_yaxis: str) -> str:
    if on_yaxis == "trials":
        return str(selection.labels("unit")[0])
    return f"trial {selection.trial_numbers[0]}"


def _time_label(data: SpikeData) -> str:
    return "time (s)" if data.samplerate is not None else "time (samples)"
