"""Pictures of phase-amplitude coupling: comodulograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice, check_integer
from rayspy.data.coupling import CouplingData
from rayspy.data.selection import label_indices
from rayspy.errors import InvalidValueError
from rayspy.plotting import drawing
from rayspy.plotting.views import axis_label

Array = NDArray[Any]

_WORDS = {"z": "z", "prob": "p", "phase": "preferred phase (rad)"}


def comodulogram(
    result: CouplingData, channelcmb: Any = 0, quantity: str = "value", trial: int | None = None
) -> tuple[Any, Any]:
    """Draw one pair of channels; see `CouplingData.plot`."""
    check_choice(quantity, "quantity", ("value", *_WORDS))
    places = label_indices(channelcmb, result.channelcmb, "channelcmb", "channelcmb")
    if len(places) != 1:
        raise InvalidValueError("one pair of channels", "channelcmb", channelcmb)
    values = _of_trial(result, getattr(result, quantity), quantity, trial)[..., int(places[0])]
    if not np.isfinite(values).any():
        raise InvalidValueError(
            "quantity that has numbers (z and prob need surrogates)", "quantity", quantity
        )
    order, higher = np.argsort(result.freq_phase), np.argsort(result.freq_amplitude)
    fig, ax = drawing.single_panel()
    colours = drawing.colours_for(values, quantity in ("z", "phase"))
    image = drawing.draw_image(
        ax, result.freq_phase[order], result.freq_amplitude[higher], values[np.ix_(order, higher)], colours
    )
    fig.colorbar(image, ax=ax, label=_WORDS.get(quantity) or axis_label(result.quantity, result.unit))
    ax.set(xlabel="frequency of the phase (Hz)", ylabel="frequency of the amplitude (Hz)")
    ax.set_title(str(result.channelcmb[places[0]]), fontsize="small", parse_math=False)
    return fig, ax


def _of_trial(result: CouplingData, values: Array, quantity: str, trial: Any) -> Array:
    """One of the trials, or their mean."""
    if "trial" not in result.dimord:
        if trial is not None:
            raise InvalidValueError("None: trials were not kept", "trial", trial)
        return values
    if trial is not None:
        one: Array = values[check_integer(trial, "trial", 0, len(values) - 1)]
        return one
    if quantity in ("prob", "phase"):
        raise InvalidValueError(f"place of a trial, for quantity='{quantity}'", "trial", trial)
    return np.asarray(values.mean(axis=0))
