"""What a builder returns: a method with all its parameters, and what it is applied to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.analog import AnalogData
from rayspy.data.selection import Selection
from rayspy.frontends.spectral.times import Placed
from rayspy.methods.base import Method
from rayspy.methods.spectral.timepoints import TimePoints

Given = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Request:
    """A method bound to its parameters.

    Attributes
    ----------
    method : Method
        What to compute.
    selection : Selection
        On what; trials may have been cut further.
    logged : dict
        What goes into the history.
    times : Placed
        Times of the result.
    """

    method: Method
    selection: Selection
    logged: dict[str, Any] = field(default_factory=dict)
    times: Placed = field(default_factory=lambda: Placed(TimePoints()))


Builder = Callable[[AnalogData, Selection, Given], Request]


def lengths_of(selection: Selection) -> NDArray[np.float64]:
    """Samples per selected trial; empty ones, which the plan refuses, count as one."""
    return np.maximum(selection.lengths, 1.0)
