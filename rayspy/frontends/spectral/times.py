"""`toi`: which times a time-frequency result has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_scalar, is_number
from rayspy.data.selection import Selection
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.methods.timepoints import TimePoints

_SLACK = 1e-6
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
    return n_window - min(n_window - 1, int(np.floor(overlap * n_window + _SLACK)))


def cut_to(
    toi: Table, selection: Selection, rate: float, before: int, after: int
) -> tuple[TimePoints, Selection, tuple[float, ...] | None]:
    """Cut trials to what is needed for results at some times.

    Parameters
    ----------
    toi : ndarray
        Times in seconds; the nearest samples are taken.
    selection : Selection
        Trials, which all have to have these times.
    rate : float
        Hz.
    before, after : int
        Samples needed besides the one at the time itself, where there are any.

    Returns
    -------
    points : TimePoints
        The times as samples of the cut trials.
    selection : Selection
        With the cut trials.
    exact : tuple of float or None
        Times of the samples taken, if they are not equidistant.
    """
    trl = selection.trialdefinition
    lengths = (trl[:, 1] - trl[:, 0]).astype(np.int64)
    samples = np.rint(toi * rate - trl[0, 2]).astype(np.int64)
    offsets = samples - samples[0]
    if (np.diff(offsets) < 1).any():
        raise InvalidValueError(f"times at least one sample, {1 / rate:g} s, apart", "toi", toi.tolist())
    firsts = np.rint(toi[0] * rate - trl[:, 2]).astype(np.int64)
    _check_inside(toi, selection, firsts, firsts + offsets[-1], lengths, rate)
    starts = np.maximum(0, firsts - before)
    stops = np.minimum(lengths, firsts + offsets[-1] + after + 1)
    starts, stops = _told_apart(firsts, starts, stops, lengths)
    cut = trl.copy()
    cut[:, 0], cut[:, 1], cut[:, 2] = trl[:, 0] + starts, trl[:, 0] + stops, trl[:, 2] + starts
    pairs = np.unique(np.column_stack([stops - starts, firsts - starts]), axis=0)
    steps = np.unique(np.diff(offsets))
    step = 1 if not len(steps) else int(steps[0]) if len(steps) == 1 else 0
    points = TimePoints(step, tuple(offsets.tolist()), tuple((int(n), int(k)) for n, k in pairs))
    exact = None if step else tuple(((samples + trl[0, 2]) / rate).tolist())
    return points, replace(selection, trialdefinition=cut), exact


def _check_inside(
    toi: Table,
    selection: Selection,
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    rate: float,
) -> None:
    outside = (firsts < 0) | (lasts >= lengths)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        low = selection.trialdefinition[k, 2] / rate
        raise InvalidValueError(
            f"times that every selected trial has; trial {selection.trial_ids[k]} spans "
            f"{low:g} to {low + (lengths[k] - 1) / rate:g} s",
            "toi",
            f"{toi[0]:g} to {toi[-1]:g} s",
        )


def _told_apart(
    firsts: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep some more samples of trials whose length would not tell where their first time is."""
    known: dict[int, int] = {}
    for k in range(len(firsts)):
        while known.setdefault(int(stops[k] - starts[k]), int(firsts[k] - starts[k])) != firsts[k] - starts[k]:
            if stops[k] < lengths[k]:
                stops[k] += 1
            elif starts[k] > 0:
                starts[k] -= 1
            else:
                raise InvalidValueError(
                    "times whose windows lie within the trials, where trials of equal length have "
                    "different offsets",
                    "toi",
                    f"trial {k} of {lengths[k]} samples",
                )
    return starts, stops
