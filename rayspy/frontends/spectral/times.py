"""`toi`: which times a time-frequency result has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_scalar, is_number
from rayspy.data.selection import SAMPLE_SLACK, Selection
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.methods.spectral.timepoints import TimePoints

Table = NDArray[np.float64]


def check_toi(toi: Any, fraction: bool) -> float | Table | None:
    """Accept 'all' (None), an overlap of windows (if `fraction`), or ascending times in seconds."""
    if isinstance(toi, str) and toi == "all":
        return None
    legal = "'all', an overlap from 0 to 1, or times in seconds" if fraction else "'all' or times in seconds"
    if isinstance(toi, str):
        raise InvalidValueError(legal, "toi", toi)
    if is_number(toi):
        if not fraction:
            raise InvalidValueError(legal, "toi", toi)
        return check_scalar(toi, "toi", 0, 1)
    if not isinstance(toi, (list, np.ndarray)):
        raise InvalidTypeError(toi, "toi", legal)
    times = check_array(toi, "toi")
    if (np.diff(times) <= 0).any():
        raise InvalidValueError("times in ascending order, each once", "toi", toi)
    return times


def overlap_step(overlap: float, n_window: int) -> int:
    """Samples from one window to the next."""
    return n_window - min(n_window - 1, int(np.floor(overlap * n_window + SAMPLE_SLACK)))


@dataclass(frozen=True, eq=False)
class Placed:
    """Time points with what they mean for each trial.

    Attributes
    ----------
    points : TimePoints
        The times as samples from the first one on.
    firsts : ndarray of int, optional
        Per selected trial, the sample that is the first time.
    exact : tuple of float, optional
        Times of the samples taken, if they are not equidistant.
    """

    points: TimePoints
    firsts: NDArray[np.int64] | None = None
    exact: tuple[float, ...] | None = None


def placed(toi: Table, selection: Selection, rate: float) -> Placed:
    """Find the samples nearest to some times (seconds), which all selected trials must have."""
    trl = selection.trialdefinition
    samples = np.rint(toi * rate - trl[0, 2]).astype(np.int64)
    offsets = samples - samples[0]
    if (np.diff(offsets) < 1).any():
        raise InvalidValueError(f"times at least one sample, {1 / rate:g} s, apart", "toi", toi.tolist())
    firsts = np.rint(toi[0] * rate - trl[:, 2]).astype(np.int64)
    _check_inside(toi, selection, firsts, firsts + offsets[-1], rate)
    steps = np.unique(np.diff(offsets))
    step = 1 if not len(steps) else int(steps[0]) if len(steps) == 1 else 0
    exact = None if step else tuple(((samples + trl[0, 2]) / rate).tolist())
    return Placed(TimePoints(step, tuple(offsets.tolist())), firsts, exact)


def cut_to(times: Placed, selection: Selection, before: int, after: int) -> tuple[Placed, Selection]:
    """Cut trials to the times and, where they have them, some samples before and after."""
    if times.firsts is None or times.points.offsets is None:
        return times, selection
    trl = selection.trialdefinition
    starts = np.maximum(0, times.firsts - before)
    stops = np.minimum(trl[:, 1] - trl[:, 0], times.firsts + times.points.offsets[-1] + after + 1)
    cut = trl.copy()
    cut[:, 0], cut[:, 1], cut[:, 2] = trl[:, 0] + starts, trl[:, 0] + stops, trl[:, 2] + starts
    return replace(times, firsts=times.firsts - starts), replace(selection, trialdefinition=cut)


def _check_inside(
    toi: Table,
    selection: Selection,
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    rate: float,
) -> None:
    lengths = selection.lengths
    outside = (firsts < 0) | (lasts >= lengths)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        low = selection.trialdefinition[k, 2] / rate
        raise InvalidValueError(
            f"times that every selected trial has; trial {selection.trial_numbers[k]} spans "
            f"{low:g} to {low + (lengths[k] - 1) / rate:g} s",
            "toi",
            f"{toi[0]:g} to {toi[-1]:g} s",
        )
