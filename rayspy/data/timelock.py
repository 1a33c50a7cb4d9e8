"""Trials on a common time axis, and what comes of them: average, variance, number of trials, covariance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_scalar
from rayspy.data.base import BaseData
from rayspy.data.labels import label_property
from rayspy.data.quantity import Measured
from rayspy.data.selection import Selection
from rayspy.errors import InvalidValueError
from rayspy.storage.sources import ArraySource, MemorySource, read_all

Array = NDArray[Any]
STATISTICS = ("avg", "var", "dof", "cov")


class TimeLockData(Measured):
    """Trials of equal length and offset, time x channel, with statistics over them.

    Parameters
    ----------
    data : array, list or generator of arrays, file name, HDF5 dataset or TimeLockData, optional
        Taken over as described for `AnalogData`.
    filename : str, optional
        Where to save the object, or what to load if `data` is left out.
    trialdefinition : ndarray of shape (trials, 3 or more), optional
        Start sample, stop sample (exclusive), offset, further columns; the same
        length and offset in all trials.
    samplerate : float, optional
        Samples (or bins) per second, Hz.
    channel : list of str, optional
        Names of the channels; of peri-stimulus time histograms the names of the cells.
    dimord : list of str, optional
        ``["time", "channel"]`` or the other way round.

    Attributes
    ----------
    avg, var : ndarray of shape (time, channel)
        Mean over trials and variance (divided by the number of trials); trials that
        are NaN at a time do not count there.
    dof : ndarray of shape (time, channel)
        Number of trials that count.
    cov : ndarray of shape (channel, channel) or (trials, channel, channel), or None
        Covariance between channels, where an analysis has computed it.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        An argument cannot be used; the message names it.
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("time", "channel")
    label_dims: ClassVar[tuple[str, ...]] = ("channel",)
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel")
    extension: ClassVar[str] = ".timelock"
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, "attached")
    _statistics: Mapping[str, ArraySource] = {}

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: NDArray[Any] | None = None,
        samplerate: float | None = None,
        channel: Any = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        self._construct(data, filename, trialdefinition, samplerate, {"channel": channel})

    channel = label_property("channel", "Names of the channels.")

    def _place(self, source: ArraySource) -> None:
        super()._place(source)
        self._statistics = {}

    @property
    def trialdefinition(self) -> NDArray[np.float64] | None:
        """Array of trials x (start, stop exclusive, offset, trialinfo ...) in samples; a copy."""
        return BaseData.trialdefinition.fget(self)  # type: ignore[attr-defined, no-any-return]

    @trialdefinition.setter
    def trialdefinition(self, trl: Any) -> None:
        if isinstance(trl, np.ndarray) and trl.ndim == 2 and trl.shape[1] >= 3 and len(trl):
            lengths = trl[:, 1] - trl[:, 0]
            if (lengths != lengths[0]).any() or (trl[:, 2] != trl[0, 2]).any():
                legal = "timelock compatible trialdefinition (trials of equal length and offset)"
                raise InvalidValueError(legal, "trialdefinition", "trials of different lengths or offsets")
        BaseData.trialdefinition.fset(self, trl)  # type: ignore[attr-defined]
        self._statistics = {}

    # -- statistics ----------------------------------------------------------

    @property
    def avg(self) -> Array | None:
        """Mean over trials, shape (time, channel)."""
        return self._statistic("avg")

    @property
    def var(self) -> Array | None:
        """Variance over trials, divided by their number, shape (time, channel)."""
        return self._statistic("var")

    @property
    def dof(self) -> Array | None:
        """Number of trials that count at each time, shape (time, channel)."""
        return self._statistic("dof")

    @property
    def sem(self) -> Array | None:
        """Standard error of the mean, from the variance divided by the number of trials less one."""
        var, dof = self.var, self.dof
        if var is None or dof is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            error: Array = np.sqrt(np.where(dof > 1, var / (dof - 1.0), np.nan))
        return error

    @property
    def cov(self) -> Array | None:
        """Covariance between channels, None where it was not computed."""
        return read_all(self._statistics["cov"]) if "cov" in self._statistics else None

    def confidence(self, level: float = 0.95) -> tuple[Array, Array]:
        """Limits of the confidence interval of the average, from Student's t.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        low, high : ndarray of shape (time, channel)
            ``avg`` minus and plus t standard errors, the variance divided by the number
            of trials less one; NaN where fewer than two trials count.
        """
        from scipy.special import stdtrit

        level = check_scalar(level, "level")
        if not 0 < level < 1:
            raise InvalidValueError("number between 0 and 1", "level", level)
        avg, var, n = self.avg, self.var, self.dof
        if avg is None or var is None or n is None:
            raise InvalidValueError("object with data", "data", "empty TimeLockData")
        with np.errstate(invalid="ignore", divide="ignore"):
            reach = stdtrit(np.maximum(n - 1.0, 1.0), (1 + level) / 2) * np.sqrt(var / (n - 1))
        reach = np.where(n > 1, reach, np.nan)
        return avg - reach, avg + reach

    @property
    def attached(self) -> Mapping[str, ArraySource]:
        """Stored statistics by name."""
        return self._statistics

    def attach(self, statistics: Mapping[str, Any]) -> None:
        """Take over statistics that an analysis has computed, arrays or sources by name."""
        found = {
            name: MemorySource(value) if isinstance(value, np.ndarray) else value
            for name, value in statistics.items()
        }
        self._statistics = {**self._statistics, **found}

    def _statistic(self, name: str) -> Array | None:
        """Stored, or computed from the trials trial by trial."""
        if self._source is None:
            return None
        if name not in self._statistics:
            self.attach(_over_trials(self))
        return read_all(self._statistics[name])

    def _field_text(self, name: str) -> str:
        """What can be told without computing anything."""
        if self._source is None or name not in ("avg", "var", "dof", "sem"):
            return super()._field_text(name)
        return f"[{int(self._trl[0, 1] - self._trl[0, 0])} x {self._size_of('channel')}] element ndarray"

    def restrict(self, made: TimeLockData, selection: Selection) -> None:
        """Carry over what still holds: all but the covariance if trials are the same ones, none otherwise."""
        same = np.array_equal(selection.trial_numbers, np.arange(len(self._trl)))
        if not same:
            return
        first = int(selection.trialdefinition[0, 0] - self._trl[0, 0])
        stop = first + int(selection.lengths[0])
        channels = selection.index.get("channel", np.arange(self._size_of("channel")))
        kept = {
            name: np.ascontiguousarray(read_all(source)[first:stop][:, channels])
            for name, source in self._statistics.items()
            if name != "cov"
        }
        whole = stop - first == int(self._trl[0, 1] - self._trl[0, 0])
        if "cov" in self._statistics and whole:
            kept["cov"] = np.ascontiguousarray(
                read_all(self._statistics["cov"])[..., channels, :][..., channels]
            )
        made.attach(kept)


@dataclass
class _Running:
    """Count, mean and sum of squared distances, over what is not NaN."""

    n: Array
    mean: Array
    squares: Array

    def add(self, trial: Array) -> None:
        there = ~np.isnan(trial)
        self.n += there
        step = np.where(there, trial - self.mean, 0.0)
        self.mean += step / np.maximum(self.n, 1)
        self.squares += np.where(there, step * (trial - self.mean), 0.0)


def _over_trials(data: TimeLockData) -> dict[str, Array]:
    trials = iter(data.trials or ())
    order = [data.dimord.index(dim) for dim in data.default_dimord]
    running: _Running | None = None
    for trial in trials:
        wide = np.asarray(trial, dtype=np.float64).transpose(order)
        if running is None:
            running = _Running(*(np.zeros(wide.shape) for _ in range(3)))
        running.add(wide)
    if running is None:
        return {}
    with np.errstate(invalid="ignore", divide="ignore"):
        known = running.n > 0
        avg = np.where(known, running.mean, np.nan)
        var = np.where(known, running.squares / running.n, np.nan)
    return {"avg": avg, "var": var, "dof": running.n.astype(np.int64)}
