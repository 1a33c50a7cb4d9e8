"""Pictures of tests: the statistic as colours or lines, with the mask on top."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice
from rayspy.data.selection import label_indices
from rayspy.data.statistics import StatData
from rayspy.errors import InvalidValueError
from rayspy.plotting import drawing

Array = NDArray[Any]

QUANTITIES = ("stat", "prob", "enhanced", "cohens_d", "hedges_g")
MAX_PANELS = 25
_UNITS = {"time": "time (s)", "freq": "frequency (Hz)"}


def single_statistic(result: StatData, channel: Any = None, quantity: str = "stat") -> tuple[Any, Any]:
    """Draw a test into one panel.

    Parameters
    ----------
    result : StatData
        Result of a test.
    channel : str, int, optional
        Channel (or pair) to draw; needed where there are several besides times and frequencies.
    quantity : {'stat', 'prob', 'enhanced', 'cohens_d', 'hedges_g'}
        What is drawn.

    Returns
    -------
    fig, ax
        matplotlib figure and axes. Images show what is not in the mask in pale colours,
        with a line around the mask; lines are thick where they are in it.
    """
    values = _values(result, quantity)
    places = _channels(result, channel)
    if len(places) > 1 and result.stat.shape[0] > 1 and _n_freq(result) > 1:
        raise InvalidValueError("one channel for an image of times and frequencies", "channel", channel)
    fig, ax = drawing.single_panel()
    _draw(ax, result, values, places, _limits(values, quantity), fig)
    ax.set_title(_title(result, quantity), fontsize="small")
    return fig, ax


def panels_of_statistic(result: StatData, channel: Any = None, quantity: str = "stat") -> tuple[Any, Any]:
    """Draw a test with a panel per channel, 1 to 25 of them; see `single_statistic`."""
    values = _values(result, quantity)
    places = _channels(result, channel)
    if len(places) > MAX_PANELS:
        raise InvalidValueError(f"at most {MAX_PANELS} channels", "channel", f"{len(places)} channels")
    fig, axs, used = drawing.panel_grid(len(places))
    for ax, place in zip(used, places, strict=True):
        _draw(ax, result, values, [place], _limits(values, quantity), None)
        ax.set_title(str(result.coords[result.dimord[-1]][place]), fontsize="small", parse_math=False)
    fig.suptitle(_title(result, quantity), fontsize="small")
    return fig, axs


def _values(result: StatData, quantity: str) -> Array:
    check_choice(quantity, "quantity", QUANTITIES)
    values = getattr(result, quantity)
    if values is None:
        there = ", ".join(repr(name) for name in QUANTITIES if getattr(result, name) is not None)
        raise InvalidValueError(f"one of {there} for this test", "quantity", quantity)
    found: Array = values
    return found


def _channels(result: StatData, channel: Any) -> list[int]:
    labels = result.coords[result.dimord[-1]]
    if channel is None:
        return list(range(len(labels)))
    return [int(k) for k in label_indices(channel, labels, "channel", "channel")]


def _n_freq(result: StatData) -> int:
    return len(result.coords["freq"]) if "freq" in result.coords else 1


def _limits(values: Array, quantity: str) -> tuple[float, float]:
    low, high = drawing.finite_range(values)
    largest = max(abs(low), abs(high)) or 1.0
    if quantity == "prob":
        return 0.0, 1.0
    return (-largest, largest) if low < 0 else (0.0, largest)


def _title(result: StatData, quantity: str) -> str:
    told = result.settings
    text = f"{quantity} of {told['statistic']}, {result.words}"
    return f"{text}; mask: p <= {told['alpha']:g} ({told['correctm']})"


def _draw(
    ax: Any, result: StatData, values: Array, places: list[int], limits: tuple[float, float], fig: Any
) -> None:
    shape = (result.stat.shape[0], _n_freq(result), result.stat.shape[-1])
    values, mask = values.reshape(shape)[..., places], result.mask.reshape(shape)[..., places]
    axes = [dim for dim, n in zip(("time", "freq"), shape[:2], strict=True) if n > 1] or ["time"]
    if len(axes) == 2:
        _image(ax, result, values[..., 0], mask[..., 0], limits, fig)
        return
    x = result.coords[axes[0]]
    labels = [str(name) for name in result.coords[result.dimord[-1]][places]]
    lines, marked = values.reshape(len(x), -1), mask.reshape(len(x), -1)
    drawing.draw_lines(ax, x, lines, labels, legend=len(places) > 1)
    for line, column, inside in zip(list(ax.lines), lines.T, marked.T, strict=True):
        ax.plot(
            x, np.where(inside, column, np.nan), color=line.get_color(), linewidth=3.5, solid_capstyle="butt"
        )
    ax.set_xlabel(_UNITS[axes[0]])


def _image(
    ax: Any, result: StatData, values: Array, mask: Array, limits: tuple[float, float], fig: Any
) -> None:
    time, freq = result.coords["time"], result.coords["freq"]
    image = drawing.draw_image(ax, time, freq, values, drawing.Colours(*limits, diverging=limits[0] < 0))
    image.set_alpha(np.where(mask, 1.0, 0.35).T)
    if mask.any() and not mask.all() and min(mask.shape) > 1:
        ax.contour(time, freq, mask.T.astype(float), levels=[0.5], colors="k", linewidths=1.0)
    ax.set_xlabel(_UNITS["time"])
    ax.set_ylabel(_UNITS["freq"])
    if fig is not None:
        fig.colorbar(image, ax=ax)
