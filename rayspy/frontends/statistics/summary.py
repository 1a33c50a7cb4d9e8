"""Front-ends `mean`, `std`, `var`, `median` and `itc`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rayspy.checks import check_bool, check_choice
from rayspy.data.base import BaseData
from rayspy.data.discrete import DiscreteData
from rayspy.data.selection import Selection
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import computed, input_spec, selected
from rayspy.frontends.missing import check_nan
from rayspy.methods.base import Method
from rayspy.methods.copying import Floating
from rayspy.methods.reductions import Mean, Median, Moments, Reduction, Resultant
from rayspy.methods.statistics.collapse import Collapse
from rayspy.planning.plan import Plan, make_plan
from rayspy.progress import warn


@frontend
def mean(
    spy_data: BaseData,
    dim: str,
    keeptrials: bool = True,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    nan: str = "propagate",
    **kwargs: Any,
) -> Call[Any]:
    """Average over trials, or over one dimension of each trial.

    Parameters
    ----------
    spy_data : AnalogData, SpectralData, CrossSpectralData or TimeLockData
        Data with any number of trials.
    dim : str
        'trials', or a dimension of the data: 'time', 'channel', 'freq', 'taper' ...
    keeptrials : bool
        For other dimensions than 'trials'. False: average the results over trials, too.
    parallel, select, chan_per_worker
        As in `freqanalysis`.
    nan : {'propagate', 'omit'}
        Over 'trials': 'omit' leaves trials with NaN out, each channel by itself;
        ``info["n_trials"]`` has the number of trials that entered per channel.
    **kwargs
        Unknown options are reported with a warning. A dictionary of settings may
        be given as `cfg`.

    Returns
    -------
    object of the class of `spy_data`
        The reduced dimension has one place, labelled 'mean' (0 Hz for frequencies);
        over 'trials' there is one trial, with the times and trialinfo of the first.
        Numbers have the type of the data, whole numbers become float32 (float64
        from 32 bits on).

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or trials differ in length where they are put
        together; nothing was computed.

    Notes
    -----
    NaN is passed over within trials (`numpy.nanmean`) and kept over trials, see
    `nan`; ``info["nan_trials"]`` lists the trials that have any. Sums are made in double precision.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=4, nSamples=100, nChannels=3, seed=1)
    >>> spy.mean(data, dim="trials").data.shape
    (100, 3)
    >>> spy.mean(data, dim="channel").channel.tolist()
    ['mean']
    """
    return _summary("mean", spy_data, dim, keeptrials, select, chan_per_worker, nan, kwargs)


@frontend
def std(
    spy_data: BaseData,
    dim: str,
    keeptrials: bool = True,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    nan: str = "propagate",
    **kwargs: Any,
) -> Call[Any]:
    """Standard deviation over trials, or over one dimension of each trial.

    Parameters and result are those of `mean`. Squared distances from the mean are
    divided by their number (ddof 0), as in Syncopy; of complex data it is the
    distance in the complex plane, and the result is real.
    """
    return _summary("std", spy_data, dim, keeptrials, select, chan_per_worker, nan, kwargs)


@frontend
def var(
    spy_data: BaseData,
    dim: str,
    keeptrials: bool = True,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    nan: str = "propagate",
    **kwargs: Any,
) -> Call[Any]:
    """Variance over trials, or over one dimension of each trial.

    Parameters and result are those of `mean`, the variance is the square of `std`.
    Over trials it is computed in one pass without cancellation (Chan, Golub &
    LeVeque 1983), so that data with a large offset keep their digits.
    """
    return _summary("var", spy_data, dim, keeptrials, select, chan_per_worker, nan, kwargs)


@frontend
def median(
    spy_data: BaseData,
    dim: str,
    keeptrials: bool = True,
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    nan: str = "propagate",
    **kwargs: Any,
) -> Call[Any]:
    """Median over trials, or over one dimension of each trial.

    Parameters and result are those of `mean`; data have to be real. With
    ``keeptrials=False`` the medians of trials are averaged. Over 'trials' blocks
    have few channels of all trials.
    """
    return _summary("median", spy_data, dim, keeptrials, select, chan_per_worker, nan, kwargs)


@frontend
def itc(
    spec_data: SpectralData,
    select: dict[str, Any] | str | None = None,
    parallel: bool | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[SpectralData]:
    """Inter-trial coherence of complex spectra.

    ``|mean over tapers of mean over trials of z / |z||``, between 0 and 1; Tallon-Baudry,
    C. et al. (1996), Journal of Neuroscience 16, 4240-4249. For n trials without any
    coherence its expectation is about 0.89 / sqrt(n).

    Parameters
    ----------
    spec_data : SpectralData
        Complex: ``freqanalysis(..., output="fourier")``, of any method that has it.
    select, parallel, chan_per_worker
        As in `freqanalysis`.
    **kwargs
        Unknown options are reported with a warning. A dictionary of settings may
        be given as `cfg`.

    Returns
    -------
    SpectralData
        One trial with one taper, float32. NaN where a spectrum is 0.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        Spectra are not complex, or trials differ in length; nothing was computed.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=50, nSamples=200, nChannels=2, seed=1)
    >>> found = spy.itc(spy.freqanalysis(data, output="fourier"))
    >>> bool(found.data[()].mean() < 0.2)
    True
    """
    if not isinstance(spec_data, SpectralData):
        raise InvalidTypeError(spec_data, "spec_data", "SpectralData;")
    _check_filled(spec_data, "spec_data")
    if spec_data.source.dtype.kind != "c":
        raise InvalidValueError(
            "complex spectra (output='fourier')", "spec_data", f"type {spec_data.source.dtype}"
        )
    width = check_chan_per_worker(chan_per_worker)
    warn_unused("itc", kwargs)
    selection = selected(spec_data, select)
    return _over_trials("itc", spec_data, selection, Resultant(), width)


def _summary(
    name: str,
    data: BaseData,
    dim: Any,
    keeptrials: Any,
    select: Any,
    chan_per_worker: Any,
    nan: Any,
    others: dict[str, Any],
) -> Call[Any]:
    if not isinstance(data, BaseData) or isinstance(data, DiscreteData):
        raise InvalidTypeError(
            data, "spy_data", "object with samples (AnalogData, SpectralData ...), not a table;"
        )
    _check_filled(data, "spy_data")
    check_choice(dim, "dim", ("trials", *data.dimord))
    check_bool(keeptrials, "keeptrials")
    width = check_chan_per_worker(chan_per_worker)
    omit = check_nan(nan)
    warn_unused(name, {**others, **({"nan": nan} if omit and dim != "trials" else {})})
    if name == "median" and data.source.dtype.kind == "c":
        raise InvalidTypeError(data.source.dtype, "spy_data", "real numbers, complex ones have no median;")
    selection = selected(data, select)
    if dim == "trials":
        reduction = _REDUCTIONS[name](omit)
        return _over_trials(name, data, selection, reduction, width)
    method = Collapse(name, dim, tuple(data.dimord))
    plan = make_plan(
        name,
        method,
        data.source,
        input_spec(data, selection),
        selection.index,
        None if keeptrials else Mean(),
        width,
    )
    return Call(name, data, computed(plan, data))


_REDUCTIONS: dict[str, Callable[[bool], Reduction]] = {
    "mean": Mean,
    "std": lambda omit: Moments(("std",), omit=omit),
    "var": lambda omit: Moments(("var",), omit=omit),
    "median": Median,
}


def _check_filled(data: BaseData, name: str) -> None:
    if data.data is None:
        raise InvalidValueError("object with data", name, f"empty {type(data).__name__}")


def _over_trials(
    name: str, data: BaseData, selection: Selection, reduction: Reduction, width: int | None
) -> Call[Any]:
    """Reduce trials to one, which has the times of the first."""
    spec = input_spec(data, selection)
    if len(np.unique(spec.trialdefinition[:, 2])) > 1 and (spec.lengths == spec.lengths[0]).all():
        warn(name, "trials begin at different times: the result has the times of the first one")
    method: Method = Floating()
    plan = make_plan(name, method, data.source, spec, selection.index, reduction, width)
    return Call(name, data, _with_first_times(plan, data))


def _with_first_times(plan: Plan, data: BaseData) -> Steps[Any]:
    made = yield from computed(plan, data)
    first = plan.spec.trialdefinition[:1].copy()
    first[0, :2] = 0, plan.spec.lengths[0]
    made.trialdefinition = first
    return made
