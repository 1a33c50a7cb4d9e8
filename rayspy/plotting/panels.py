"""`singlepanelplot` and `multipanelplot`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.quantity import Measured, is_change
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.data.statistics import StatData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.plotting import drawing
from rayspy.plotting.pairs import multi_pairs, single_pairs
from rayspy.plotting.raster import multi_raster, single_raster
from rayspy.plotting.statistics import panels_of_statistic, single_statistic
from rayspy.plotting.views import Array, View, axis_label, scaled, view_of
from rayspy.progress import warn

MAX_PANELS = 25
Figure = tuple[Any, Any]
_ACCEPTED = "AnalogData, SpectralData, CrossSpectralData, TimeLockData, SpikeData or StatData;"
_NOTHING: Figure = (None, None)


def singlepanelplot(data: BaseData | StatData, **show_kwargs: Any) -> Figure:
    """Draw one trial into one panel.

    Recordings are drawn as lines over time, spectra as lines over frequency.
    Time-resolved spectra are drawn as an image, of one channel, spikes as a raster.

    Parameters
    ----------
    data : AnalogData, SpectralData, TimeLockData, SpikeData or StatData
        Is not changed.
    **show_kwargs
        Selectors as in `selectdata`, and for recordings `shifted` (True: channels
        one below the other, False: on a common axis), for spectra `logscale`
        (True: power in decibels), for spikes `on_yaxis` ('trials': those of one
        unit, 'channel' or 'unit': those of one trial); for results of tests `channel` and
        `quantity` ('stat', 'prob', 'enhanced', 'cohens_d', 'hedges_g').

    Returns
    -------
    fig, ax
        matplotlib figure and axes; (None, None) after a warning if the selection
        cannot be drawn, for example because it has more than one trial.

    Raises
    ------
    MissingPackageError
        matplotlib is not installed.
    InvalidTypeError, InvalidValueError
        A selector cannot be used; the message names it.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=2, nSamples=200, nChannels=3, seed=1)
    >>> fig, ax = spy.singlepanelplot(data, trials=0, channel=["channel1", "channel3"])
    """
    if isinstance(data, (AnalogData, TimeLockData)):
        _filled(data)
        return _single_analog(data, **show_kwargs)
    if isinstance(data, SpectralData):
        _filled(data)
        return _single_spectral(data, **show_kwargs)
    if isinstance(data, CrossSpectralData):
        _filled(data)
        return single_pairs(data, **show_kwargs)
    if isinstance(data, SpikeData):
        _filled(data)
        return single_raster(data, **show_kwargs)
    if isinstance(data, StatData):
        return single_statistic(data, **show_kwargs)
    raise InvalidTypeError(data, "data", _ACCEPTED)


def multipanelplot(data: BaseData | StatData, **show_kwargs: Any) -> Figure:
    """Draw one trial with one panel per channel, 1 to 25 of them.

    Parameters
    ----------
    data : AnalogData, SpectralData, TimeLockData, SpikeData or StatData
        Is not changed.
    **show_kwargs
        Selectors as in `selectdata`, and for spectra `logscale` (True: power in
        decibels), for spikes `on_yaxis` ('trials': a panel per unit, 'channel' or
        'unit': a panel per trial).

    Returns
    -------
    fig, axs
        matplotlib figure and array of axes; (None, None) after a warning if the
        selection cannot be drawn.

    Raises
    ------
    MissingPackageError
        matplotlib is not installed.
    InvalidTypeError, InvalidValueError
        A selector cannot be used; the message names it.
    """
    if isinstance(data, (AnalogData, TimeLockData)):
        _filled(data)
        return _multi_analog(data, **show_kwargs)
    if isinstance(data, SpectralData):
        _filled(data)
        return _multi_spectral(data, **show_kwargs)
    if isinstance(data, CrossSpectralData):
        _filled(data)
        return multi_pairs(data, **show_kwargs)
    if isinstance(data, SpikeData):
        _filled(data)
        return multi_raster(data, max_panels=MAX_PANELS, **show_kwargs)
    if isinstance(data, StatData):
        return panels_of_statistic(data, **show_kwargs)
    raise InvalidTypeError(data, "data", _ACCEPTED)


def _filled(data: BaseData) -> None:
    if data.data is None:
        raise InvalidValueError("object with data", "data", f"empty {type(data).__name__}")


def _single_analog(data: Measured, shifted: bool = True, **select: Any) -> Figure:
    check_bool(shifted, "shifted")
    view = view_of(data, "singlepanelplot", select)
    if view is None:
        return _NOTHING
    fig, ax = drawing.single_panel()
    draw = drawing.draw_stacked if shifted and len(view.channels) > 1 else drawing.draw_lines
    draw(ax, view.time, view.values, view.channels)
    ax.set_xlabel(_time_label(data))
    if draw is drawing.draw_lines and not (data.quantity is None and data.unit is None):
        ax.set_ylabel(axis_label(data.quantity, data.unit))
    return fig, ax


def _multi_analog(data: Measured, **select: Any) -> Figure:
    view = view_of(data, "multipanelplot", select)
    if view is None or not _can_have_panels(view):
        return _NOTHING
    known = data.quantity is not None or data.unit is not None
    label = axis_label(data.quantity, data.unit) if known else ""
    return _line_panels(view, view.time, view.values[:, None, :], _time_label(data), label)


def _single_spectral(data: Measured, logscale: bool = True, **select: Any) -> Figure:
    view = _spectral_view(data, "singlepanelplot", select)
    if view is None:
        return _NOTHING
    values, label = scaled(view.values, data, check_bool(logscale, "logscale"))
    if len(view.time) > 1:
        return _single_image(data, view, values, label)
    columns, names = values[0], view.channels
    if len(columns) > 1 and len(names) > 1:
        warn("singlepanelplot", "please select a single taper or a single channel for plotting")
        return _NOTHING
    if len(columns) > 1:
        columns, names = columns.transpose(2, 1, 0), [str(name) for name in view.labels["taper"]]
    fig, ax = drawing.single_panel()
    drawing.draw_lines(ax, view.labels["freq"], columns[0], names)
    ax.set(xlabel="frequency (Hz)", ylabel=label)
    return fig, ax


def _single_image(data: Measured, view: View, values: Array, label: str) -> Figure:
    if len(view.channels) > 1 or values.shape[1] > 1:
        warn("singlepanelplot", "please select a single channel and taper for time-frequency plots")
        return _NOTHING
    fig, ax = drawing.single_panel()
    colours = drawing.colours_for(values, is_change(data.quantity))
    image = drawing.draw_image(ax, view.time, view.labels["freq"], values[:, 0, :, 0], colours)
    fig.colorbar(image, ax=ax, label=label)
    ax.set(xlabel=_time_label(data), ylabel="frequency (Hz)")
    ax.set_title(view.channels[0], parse_math=False)
    return fig, ax


def _multi_spectral(data: Measured, logscale: bool = True, **select: Any) -> Figure:
    view = _spectral_view(data, "multipanelplot", select)
    if view is None or not _can_have_panels(view):
        return _NOTHING
    values, label = scaled(view.values, data, check_bool(logscale, "logscale"))
    if len(view.time) == 1:
        tapers = [str(name) for name in view.labels["taper"]] if values.shape[1] > 1 else None
        return _line_panels(
            view, view.labels["freq"], values[0].transpose(1, 0, 2), "frequency (Hz)", label, tapers
        )
    if values.shape[1] > 1:
        warn("multipanelplot", "please select a single taper for time-frequency plots")
        return _NOTHING
    return _image_panels(view, values, data, label)


def _spectral_view(data: BaseData, function: str, select: dict[str, Any]) -> View | None:
    """Read the selected trial of real spectra; a latency has no meaning for spectra of whole trials."""
    trl = data.trialdefinition
    resolved = trl is not None and bool((trl[:, 1] - trl[:, 0] > 1).any())
    if select.get("latency") is not None and not resolved:
        warn(function, "`latency` has no effect: these spectra have no time axis")
        select = {key: value for key, value in select.items() if key != "latency"}
    if data.source.dtype.kind == "c":
        warn(function, "complex spectra cannot be plotted, choose another `output`, e.g. 'abs' or 'angle'")
        return None
    return view_of(data, function, select)


def _can_have_panels(view: View) -> bool:
    n = len(view.channels)
    if n > MAX_PANELS:
        warn("multipanelplot", f"can draw 1 to {MAX_PANELS} channels, not {n}; select fewer channels")
    return n <= MAX_PANELS


def _line_panels(
    view: View, x: Array, values: Array, xlabel: str, ylabel: str, names: list[str] | None = None
) -> Figure:
    """Panels with one line per entry of the middle axis of (x, lines, channel)."""
    fig, axs, used = drawing.panel_grid(len(view.channels))
    for k, (ax, channel) in enumerate(zip(used, view.channels, strict=True)):
        drawing.draw_lines(ax, x, values[:, :, k], names or [channel], legend=names is None)
        if names:
            ax.set_title(channel, fontsize="medium", parse_math=False)
    if names:
        drawing.add_legend(fig, used[0].lines, names, loc="outside right upper")
    fig.supxlabel(xlabel, fontsize="medium")
    fig.supylabel(ylabel, fontsize="medium")
    return fig, axs


def _image_panels(view: View, values: Array, data: Measured, label: str) -> Figure:
    """Panels in the same colours, unless units differ or some would show nothing in them."""
    fig, axs, used = drawing.panel_grid(len(view.channels))
    panels, diverging = list(values[:, 0].transpose(2, 0, 1)), is_change(data.quantity)
    common = not isinstance(data.unit, np.ndarray) and drawing.have_common_colours(panels)
    for ax, channel, panel in zip(used, view.channels, panels, strict=True):
        colours = drawing.colours_for(values if common else panel, diverging)
        image = drawing.draw_image(ax, view.time, view.labels["freq"], panel, colours)
        ax.set_title(channel, fontsize="medium", parse_math=False)
        if not common:
            fig.colorbar(image, ax=ax)
    if common:
        fig.colorbar(image, ax=used, label=label)
    fig.supxlabel(_time_label(data), fontsize="medium")
    fig.supylabel("frequency (Hz)", fontsize="medium")
    return fig, axs


def _time_label(data: BaseData) -> str:
    return "time (s)" if data.time is not None else "time (samples)"
