"""Pictures of pairs: a spectrum, a time-frequency picture, a matrix, a grid of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.crossspectral import CrossSpectralData
from rayspy.plotting import drawing
from rayspy.plotting.views import View, view_of
from rayspy.progress import warn

Array = NDArray[Any]
Figure = tuple[Any, Any]
_NOTHING: Figure = (None, None)
MAX_PANELS = 25
_DIRECTED = ("granger", "dtf", "pdc", "gpdc", "ddtf", "psi")
_LIMITS = {
    **dict.fromkeys(("plv", "ciplv", "pli", "wpli", "dpli", "dtf", "pdc", "gpdc", "cacoh"), (-0.02, 1.02)),
    **dict.fromkeys(("corr", "powcorr", "powcorr_ortho"), (-1.02, 1.02)),
}
"""Limits of measures that have any."""


@dataclass(frozen=True)
class _Pairs:
    """Selected pairs of one trial, (time, freq, pair)."""

    view: View
    values: Array
    names: list[str]
    shape: tuple[int, ...]
    method: str
    output: str

    @property
    def freq(self) -> Array:
        return self.view.labels["freq"]

    @property
    def label(self) -> str:
        part = "" if self.output in ("", "abs") or self.method not in ("coh", "pcoh") else f" ({self.output})"
        return f"{self.method}{part}" if self.method else "value"

    @property
    def limits(self) -> tuple[float, float] | None:
        if self.method in ("coh", "pcoh"):
            return {
                "abs": (-0.02, 1.02),
                "pow": (-0.02, 1.02),
                "real": (-1.02, 1.02),
                "imag": (-1.02, 1.02),
            }.get(self.output)
        return _LIMITS.get(self.method)

    def colours(self, values: Array) -> drawing.Colours:
        """Colours for some of the values."""
        if self.limits is None:
            return drawing.colours_for(values, diverging=self.method == "psi")
        low, high = self.limits
        return drawing.Colours(low, high, diverging=low < -1)


def single_pairs(data: CrossSpectralData, **select: Any) -> Figure:
    """One pair, or a matrix of all pairs where several are selected, as mean over what else is selected."""
    pairs = _pairs_of(data, "singlepanelplot", select)
    if pairs is None:
        return _NOTHING
    if len(pairs.names) == 1:
        return _one_pair(pairs, _spread(data, select))
    if len(pairs.shape) == 2 and min(pairs.shape) > 1 and pairs.method != "corr":
        return _matrix(pairs)
    if len(pairs.view.time) > 1 and len(pairs.freq) > 1:
        warn("singlepanelplot", "please select a single pair, with `channel_i` and `channel_j`")
        return _NOTHING
    fig, ax = drawing.single_panel()
    drawing.draw_lines(ax, _axis(pairs), _lines(pairs), pairs.names)
    _finish(ax, pairs)
    return fig, ax


def multi_pairs(data: CrossSpectralData, **select: Any) -> Figure:
    """One panel per pair of different channels."""
    pairs = _pairs_of(data, "multipanelplot", select)
    if pairs is None:
        return _NOTHING
    kept = [k for k, name in enumerate(pairs.names) if not _is_same(name)]
    if not 2 <= len(kept) <= MAX_PANELS:
        warn("multipanelplot", f"can draw 2 to {MAX_PANELS} pairs, not {len(kept)}; select other channels")
        return _NOTHING
    fig, axs, used = drawing.panel_grid(len(kept))
    image, resolved = None, len(pairs.view.time) > 1 and len(pairs.freq) > 1
    colours = pairs.colours(pairs.values[..., kept])
    for ax, k in zip(used, kept, strict=True):
        if resolved:
            image = drawing.draw_image(ax, pairs.view.time, pairs.freq, pairs.values[..., k], colours)
        else:
            drawing.draw_lines(ax, _axis(pairs), _lines(pairs)[:, [k]], [""], legend=False)
            if pairs.limits:
                ax.set_ylim(pairs.limits)
        ax.set_title(pairs.names[k], fontsize="medium")
    if image is not None:
        fig.colorbar(image, ax=used, label=pairs.label)
    fig.supxlabel("time (s)" if resolved else _axis_label(pairs), fontsize="medium")
    fig.supylabel("frequency (Hz)" if resolved else pairs.label, fontsize="medium")
    return fig, axs


def _pairs_of(data: CrossSpectralData, function: str, select: dict[str, Any]) -> _Pairs | None:
    if data.source.dtype.kind == "c":
        warn(function, "complex measures cannot be plotted, choose another `output`, e.g. 'abs' or 'angle'")
        return None
    view = view_of(data, function, select)
    if view is None:
        return None
    method, output = _history(data)
    shape = view.values.shape[2:]
    values = view.values.reshape(*view.values.shape[:2], -1)
    return _Pairs(view, values, _names(view, method), shape, method, output)


def _history(data: CrossSpectralData) -> tuple[str, str]:
    """Method and output that the object comes from; texts that are empty if it has no such history."""
    settings = data.cfg.get("connectivityanalysis")
    if not isinstance(settings, Mapping):
        return "", ""
    method = data.info.get("method", settings.get("method", ""))
    return str(method) if isinstance(method, str) else "", str(settings.get("output", "abs"))


def _names(view: View, method: str) -> list[str]:
    between = " -> " if method in _DIRECTED else " - "
    if "channelcmb" in view.labels:
        return [str(name).replace("--", between) for name in view.labels["channelcmb"]]
    return [f"{i}{between}{j}" for i in view.labels["channel_i"] for j in view.labels["channel_j"]]


def _is_same(name: str) -> bool:
    """Whether a name is that of a channel and itself."""
    for between in (" -> ", " - "):
        first, found, second = name.partition(between)
        if found and first == second:
            return True
    return False


def _axis(pairs: _Pairs) -> Array:
    """Frequencies, or times or lags where there are several of them."""
    return pairs.view.time if len(pairs.view.time) > 1 else pairs.freq


def _axis_label(pairs: _Pairs) -> str:
    if len(pairs.view.time) > 1:
        return "lag (s)" if pairs.method == "corr" else "time (s)"
    return "frequency (Hz)"


def _lines(pairs: _Pairs) -> Array:
    """Values as (point, pair)."""
    lines: Array = pairs.values[:, 0] if len(pairs.view.time) > 1 else pairs.values[0]
    return lines


def _finish(ax: Any, pairs: _Pairs) -> None:
    ax.set(xlabel=_axis_label(pairs), ylabel=pairs.label)
    if pairs.limits:
        ax.set_ylim(pairs.limits)


def _spread(data: CrossSpectralData, select: dict[str, Any]) -> Array | None:
    """Standard error of what is selected, if there is one."""
    if data.jack_se is None or data.selection is not None:
        return None
    twin = data.selectdata(**{key: value for key, value in select.items() if value is not None})
    return None if twin.jack_se is None else np.asarray(twin.jack_se)


def _one_pair(pairs: _Pairs, spread: Array | None) -> Figure:
    fig, ax = drawing.single_panel()
    if len(pairs.view.time) > 1 and len(pairs.freq) > 1:
        colours = pairs.colours(pairs.values)
        image = drawing.draw_image(ax, pairs.view.time, pairs.freq, pairs.values[..., 0], colours)
        fig.colorbar(image, ax=ax, label=pairs.label)
        ax.set(xlabel="time (s)", ylabel="frequency (Hz)", title=pairs.names[0])
        return fig, ax
    line = _lines(pairs)
    if spread is not None and spread.size == line.size:
        half = 1.96 * spread.reshape(-1)
        ax.fill_between(_axis(pairs), line[:, 0] - half, line[:, 0] + half, alpha=0.3, linewidth=0)
    drawing.draw_lines(ax, _axis(pairs), line, pairs.names)
    _finish(ax, pairs)
    return fig, ax


def _matrix(pairs: _Pairs) -> Figure:
    """Means over the selected frequencies and times."""
    fig, ax = drawing.single_panel()
    square = pairs.values.mean(axis=(0, 1)).reshape(pairs.shape)
    image = ax.imshow(square, interpolation="nearest", **pairs.colours(square).options)
    fig.colorbar(image, ax=ax, label=pairs.label)
    for axis, dim in ((ax.yaxis, "channel_i"), (ax.xaxis, "channel_j")):
        names = [str(name) for name in pairs.view.labels[dim]]
        if len(names) <= MAX_PANELS:
            axis.set_ticks(range(len(names)), names)
    ax.tick_params(axis="x", rotation=90)
    first, last = pairs.freq[0], pairs.freq[-1]
    band = f"{first:g} Hz" if first == last else f"mean of {first:g} to {last:g} Hz"
    ax.set(ylabel="from" if pairs.method in _DIRECTED else "channel_i", title=band)
    ax.set_xlabel("to" if pairs.method in _DIRECTED else "channel_j")
    return fig, ax
