"""Lines and images with matplotlib, which is imported where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import MissingPackageError

Array = NDArray[Any]
SINGLE_SIZE = (6.4, 4.2)
PANEL_SIZE = (3.2, 2.4)
_CYCLE = 10
"""As many colours has matplotlib's default cycle."""


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingPackageError("plotting needs matplotlib: pip install 'rayspy[plot]'") from None
    return plt


def single_panel() -> tuple[Any, Any]:
    """Figure with one panel."""
    fig, ax = _pyplot().subplots(figsize=SINGLE_SIZE, layout="constrained")
    return fig, ax


def panel_grid(n: int) -> tuple[Any, Any, list[Any]]:
    """Figure with n panels on a nearly square grid: figure, all axes, axes in use."""
    n_columns = int(np.ceil(np.sqrt(n)))
    n_rows = int(np.ceil(n / n_columns))
    size = (PANEL_SIZE[0] * n_columns, PANEL_SIZE[1] * n_rows)
    fig, axs = _pyplot().subplots(
        n_rows, n_columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for ax in axs.flat[n:]:
        ax.remove()
    return fig, axs, list(axs.flat[:n])


def line_colours(n: int) -> list[Any]:
    """As many distinct colours as there are lines."""
    if n <= _CYCLE:
        return [f"C{k}" for k in range(n)]
    return list(_pyplot().get_cmap("viridis")(np.linspace(0, 0.95, n)))


def draw_lines(ax: Any, x: Array, columns: Array, labels: Sequence[str], legend: bool = True) -> None:
    """One line per column, with a legend."""
    for column, label, colour in zip(columns.T, labels, line_colours(len(labels)), strict=True):
        ax.plot(x, column, label=label, color=colour, linewidth=1)
    ax.margins(x=0)
    if legend:
        add_legend(ax, ax.lines, labels, ncols=min(3, len(labels)), frameon=False)


def add_legend(where: Any, lines: Sequence[Any], labels: Sequence[str], **options: Any) -> None:
    """Legend with all names as they are; matplotlib leaves out ``_a`` and reads ``$a$`` as a formula."""
    legend = where.legend(lines, [f"line {k}" for k in range(len(labels))], fontsize="small", **options)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(parse_math=False, text=label)


def draw_stacked(ax: Any, x: Array, columns: Array, labels: Sequence[str]) -> None:
    """One line per column, the first on top, each in a strip of its own with its name beside it."""
    finite = np.ma.masked_invalid(columns)
    high, low = finite.max(axis=0).filled(0.0), finite.min(axis=0).filled(0.0)
    ranges, centres = high - low, (high + low) / 2
    steps = 1.1 * (ranges[:-1] + ranges[1:]) / 2
    shifts = -np.concatenate([[0.0], np.cumsum(np.where(steps > 0, steps, ranges.max() or 1.0))])
    ax.plot(x, columns - centres + shifts, color="C0", linewidth=0.7)
    ax.set_yticks(shifts, labels, parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0, y=0.02)


def _edges(centres: Array) -> Array:
    """Limits of the cells around points, halfway between neighbours."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[:-1] + centres[1:]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


@dataclass(frozen=True)
class Colours:
    """What numbers become: a range of colours, around zero for changes."""

    low: float
    high: float
    diverging: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """As matplotlib wants them."""
        cmap = "RdBu_r" if self.diverging else "magma"
        return {"cmap": cmap, "vmin": self.low, "vmax": self.high}


def colours_for(values: Array, diverging: bool) -> Colours:
    """Colours for all finite values; of changes, zero is in the middle."""
    low, high = finite_range(values)
    if diverging:
        most = max(abs(low), abs(high)) or 1.0
        return Colours(-most, most, True)
    return Colours(low, high)


_SPREAD = 5.0
"""Panels whose ranges differ by more than this have colours of their own."""


def have_common_colours(panels: Sequence[Array]) -> bool:
    """Whether panels can be compared in the same colours."""
    ranges = [high - low for low, high in map(finite_range, panels)]
    smallest, largest = min(ranges), max(ranges)
    return largest <= _SPREAD * smallest or largest == 0


def draw_image(ax: Any, time: Array, freq: Array, values: Array, colours: Colours) -> Any:
    """Values of shape (time, freq) as colours; every cell is centred on its time and frequency."""
    return ax.pcolormesh(_edges(time), _edges(freq), values.T, rasterized=True, **colours.options)


def finite_range(values: Array) -> tuple[float, float]:
    """Smallest and largest finite value."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
