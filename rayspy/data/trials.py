"""Trial definitions and the objects behind ``.trials`` and ``.time``.

A trial definition has one row per trial: start sample, stop sample (exclusive),
offset, and any number of further columns (trialinfo). The offset is the number
of the first sample relative to the trigger: -200 means that the trial starts
200 samples before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import is_number, is_whole
from rayspy.errors import InvalidTypeError, InvalidValueError

Trialdefinition = NDArray[np.float64]
T = TypeVar("T")


def check_trialdefinition(trl: Any, n_samples: float) -> Trialdefinition:
    """Check a trial definition against the length of the recording and return a copy.

    Raises
    ------
    InvalidTypeError
        Not an array.
    InvalidValueError
        Wrong shape, no whole samples, or samples outside the recording.
    """
    if not isinstance(trl, np.ndarray):
        raise InvalidTypeError(trl, "trialdefinition", "numpy.ndarray of shape (nTrials, 3 or more)")
    if trl.ndim != 2 or trl.shape[1] < 3 or trl.shape[0] == 0:
        raise InvalidValueError(
            "2d-array with at least 3 columns", "trialdefinition", f"array of shape {trl.shape}"
        )
    if trl.dtype.kind not in "iuf":
        raise InvalidValueError("dtype = numeric", "trialdefinition", f"dtype = {trl.dtype}")
    table = trl.astype(np.float64)
    bounds = table[:, :2]
    if not np.isfinite(table[:, :3]).all():
        raise InvalidValueError("finite numbers without NaN", "sampleinfo", "array with NaN or inf entries")
    if (bounds != np.round(bounds)).any():
        raise InvalidValueError(
            "int_like sample numbers", "sampleinfo", bounds[(bounds != np.round(bounds)).any(1)][0]
        )
    if bounds.min() < 0 or bounds.max() > n_samples:
        raise InvalidValueError(
            f"all samples to be bounded by 0 and {n_samples}",
            "sampleinfo",
            f"array with range {bounds.min():g} to {bounds.max():g}",
        )
    if (bounds[:, 0] > bounds[:, 1]).any():
        k = int(np.flatnonzero(bounds[:, 0] > bounds[:, 1])[0])
        raise InvalidValueError(
            "start samples not behind stop samples",
            "sampleinfo",
            f"trial {k}: {bounds[k, 0]:g} to {bounds[k, 1]:g}",
        )
    return table


def one_trial(n_samples: int) -> Trialdefinition:
    """Trial definition of a continuous recording."""
    return np.array([[0.0, n_samples, 0.0]])


def stacked_trials(lengths: Sequence[int] | NDArray[Any], offset: float) -> Trialdefinition:
    """Trial definition of trials that follow each other without gaps, all with the same offset."""
    stops = np.cumsum(np.asarray(lengths, dtype=np.float64))
    starts = np.concatenate([[0.0], stops[:-1]])
    return np.column_stack([starts, stops, np.full(len(stops), float(offset))])


def check_trial_index(index: Any, legal: Collection[int]) -> int:
    """Accept the number of an existing trial.

    Raises
    ------
    InvalidTypeError
        Not a number.
    InvalidValueError
        There is no such trial.
    """
    if not is_number(index):
        raise InvalidTypeError(index, "trial index", "integer")
    if not is_whole(index) or int(index) not in legal:
        low, high = min(legal, default=0), max(legal, default=-1)
        raise InvalidValueError(f"index of existing trials ({low} to {high})", "trial index", index)
    return int(index)


class TrialIndexer(Generic[T]):
    """Lazy sequence with one entry per trial; nothing is read before it is asked for.

    Parameters
    ----------
    get : callable
        Returns the entry of trial k.
    ids : sequence of int
        Numbers of the trials, ``range(n)`` for whole objects.
    known : collection of int, optional
        The same numbers where they can be looked up quickly.
    """

    def __init__(
        self, get: Callable[[int], T], ids: Sequence[int], known: Collection[int] | None = None
    ) -> None:
        self._get = get
        self._ids = ids
        self._known = ids if known is None else known

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> T:
        return self._get(check_trial_index(index, self._known))

    def __iter__(self) -> Iterator[T]:
        return (self._get(k) for k in self._ids)

    def __repr__(self) -> str:
        return f"{len(self)} element iterable"
