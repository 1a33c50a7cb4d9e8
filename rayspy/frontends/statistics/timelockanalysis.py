"""Front-end `timelockanalysis`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rayspy.checks import check_bool, check_integer, is_number
from rayspy.data.analog import AnalogData
from rayspy.data.selection import Selection, resolve
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import input_spec, selected
from rayspy.frontends.missing import NanTrials
from rayspy.frontends.pointwise import stack_of
from rayspy.methods.base import InputSpec
from rayspy.methods.copying import Floating
from rayspy.methods.reductions.locked import Locked
from rayspy.methods.statistics.timelocked import Covariance, Window, placed_spec
from rayspy.planning.plan import make_plan
from rayspy.storage.sources import read_all


@frontend
def timelockanalysis(
    data: AnalogData,
    latency: Any = "maxperiod",
    covariance: bool = False,
    ddof: int | None = None,
    trials: Any = "all",
    keeptrials: bool = False,
    parallel: bool | None = None,
    select: Any = None,
    chan_per_worker: int | None = None,
    **unused: Any,
) -> Call[TimeLockData]:
    """Put trials onto one time axis and compute average, variance and covariance over them.

    Parameters
    ----------
    data : AnalogData
        Recording with trials.
    latency : str or [float, float]
        Window in seconds. 'maxperiod': from the first to the last sample of all trials;
        every trial is kept, and at each time those count that exist there. 'minperiod':
        what all trials have in common. 'prestim', 'poststim': up to, or from 0 s. With
        these and with ``[t0, t1]`` trials that do not cover the window are left out.
    covariance : bool
        Covariance between channels over the times of each trial, averaged over trials.
    ddof : int, optional
        For the covariance: sums are divided by the number of times less this, 1 if
        left out. Variances over trials (`var`) are always divided by the number of
        trials (ddof 0), as in Syncopy; standard errors (`sem`) have ddof 1.
    trials : 'all', int or list of int
        Trials, in the order of the result.
    keeptrials : bool
        Keep the covariance of every trial (trial, channel, channel) instead of the average.
    parallel, select, chan_per_worker
        As in `freqanalysis`; with `covariance` channels are not split.

    Returns
    -------
    TimeLockData
        With `avg`, `var`, `dof` (time, channel) and `cov` (channel, channel), in double
        precision; trials, trialinfo and labels of the input. Trials are not copied
        where all cover the window: they are read from where the input is.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or no trial covers the window; nothing was computed.

    Notes
    -----
    Averages and variances are computed in one pass without cancellation (Welford
    1962; Chan, Golub & LeVeque 1983). One read of the data; another one for
    covariances of single trials, or where trials are put into a longer window.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=20, nSamples=100, nChannels=3, seed=1)
    >>> found = spy.timelockanalysis(data, covariance=True)
    >>> found.avg.shape, found.cov.shape
    ((100, 3), (3, 3))
    """
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None:
        raise InvalidValueError("object with data", "data", "empty AnalogData")
    check_bool(covariance, "covariance")
    check_bool(keeptrials, "keeptrials")
    width = check_chan_per_worker(chan_per_worker)
    divisor = 1 if ddof is None else check_integer(ddof, "ddof", 0)
    warn_unused("timelockanalysis", unused)
    selection = _selection(data, latency, trials, select)
    spec = input_spec(data, selection)
    if covariance and int(spec.lengths.min()) <= divisor:
        raise InvalidValueError(
            f"less than the number of samples of the shortest trial ({int(spec.lengths.min())})",
            "ddof",
            divisor,
        )
    kept = None if not covariance else "each" if keeptrials else "average"
    return Call("timelockanalysis", data, _steps(data, selection, spec, kept, divisor, width))


def _steps(
    data: AnalogData,
    selection: Selection,
    spec: InputSpec,
    covariances: str | None,
    ddof: int,
    width: int | None,
) -> Steps[TimeLockData]:
    """Trials in one window, what is over trials, and covariances of each trial where these are wanted."""
    made, nan = yield from _stacked(data, selection, spec, width)
    whole = replace(input_spec_of(made), trial_ids=selection.trial_numbers)
    averaged = covariances == "average"
    reduction = Locked(averaged, ddof)
    every = None if averaged else width
    done = yield make_plan("timelockanalysis", Floating(), made.source, whole, {}, reduction, every)
    nan = nan or done.nan
    found: dict[str, Any] = {name: source for name, source in done.sources.items() if name != "cov"}
    if averaged:
        found["cov"] = read_all(done.sources["cov"])[0]
    elif covariances == "each":
        done = yield make_plan("timelockanalysis", Covariance(ddof), made.source, whole, {})
        found["cov"] = done.source
    made.attach(found)
    made.quantity, made.unit = data.quantity, data.unit_of(selection.index.get("channel"))
    made.info.update(data.info)
    nan.tell(made)
    return made


def _selection(data: AnalogData, latency: Any, trials: Any, select: Any) -> Selection:
    """Trials, channels and window together."""
    every = trials is None or (isinstance(trials, str) and trials == "all")
    if data.selection is not None:
        base = selected(data, select)
        chosen = dict(base.select)
    else:
        chosen = dict(resolve(select, data.describe()).select)
    if not every and chosen.get("trials") is not None:
        raise InvalidValueError("either `trials` or a selection of trials, not both", "trials", trials)
    if chosen.get("latency") is not None:
        if not (isinstance(latency, str) and latency == "maxperiod"):
            raise InvalidValueError("either `latency` or a selection of times, not both", "latency", latency)
        latency = chosen["latency"]
    if not every:
        chosen["trials"] = [check_integer(trials, "trials")] if is_number(trials) else trials
    if isinstance(latency, str) and latency in ("maxperiod", "all"):
        chosen.pop("latency", None)
        return resolve(chosen, data.describe())
    return resolve({**chosen, "latency": latency}, data.describe(), covering=True)


def _stacked(
    data: AnalogData, selection: Selection, spec: InputSpec, width: int | None
) -> Steps[tuple[TimeLockData, NanTrials | None]]:
    """Trials in one window: as they are if all cover it, else put into it, and which have NaN, if known."""
    trl = selection.trialdefinition
    begin = np.round(trl[:, 2]).astype(np.int64)
    lengths = spec.lengths
    if (begin == begin[0]).all() and (lengths == lengths[0]).all():
        stack = stack_of(data, selection)
        made = TimeLockData.from_parts(
            stack.source, stack.trialdefinition, data.samplerate, stack.labels, tuple(data.dimord)
        )
        return made, None
    first = int(begin.min())
    method = Window(int((begin + lengths).max()) - first, first)
    plan = make_plan(
        "timelockanalysis",
        method,
        data.source,
        placed_spec(spec, begin - first),
        selection.index,
        None,
        width,
    )
    done = yield plan
    out = plan.output
    made = TimeLockData.from_parts(done.source, out.trialdefinition, data.samplerate, out.labels, out.dims)
    return made, done.nan


def input_spec_of(data: TimeLockData) -> InputSpec:
    """Describe all of an object for a method."""
    return input_spec(data, resolve(None, data.describe()))
