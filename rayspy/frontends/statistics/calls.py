"""Front-ends `timelockstatistics`, `freqstatistics` and `connectivitystatistics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rayspy.checks import check_bool
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.spectral import SpectralData
from rayspy.data.statistics import StatData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend_of_many, run_steps
from rayspy.frontends.calling import check_parallel
from rayspy.frontends.statistics.designs import Design, Request, design_of
from rayspy.frontends.statistics.neighbours import adjacency, as_graph, by_name, pair_graph
from rayspy.frontends.statistics.observations import Groups, collect, gathered
from rayspy.frontends.statistics.options import Options, averaged_dims, check_options, is_all
from rayspy.frontends.statistics.testing import (
    StatTest,
    check_extensible,
    check_room,
    check_test,
    completed,
    extended,
    number_of_draws,
    result_of,
    same_test,
)
from rayspy.kernels.statistics.clusters import Grid


@frontend_of_many
def freqstatistics(
    *data: SpectralData | list[SpectralData],
    design: Any = None,
    statistic: Any = None,
    subjects: Any = None,
    regressor: Any = None,
    covariates: Any = None,
    ivar: int | None = None,
    uvar: int | None = None,
    method: str = "montecarlo",
    correctm: str = "cluster",
    neighbours: Any = None,
    numrandomization: int | str = 1000,
    seed: int = 0,
    alpha: float = 0.05,
    tail: int | None = None,
    clusteralpha: float = 0.05,
    clusterstatistic: str = "maxsum",
    clusterthreshold: str | float = "parametric",
    clustertail: int | None = None,
    correcttail: str | None = None,
    wcm_weight: float = 1.0,
    tfce_E: float = 0.5,
    tfce_H: float = 2.0,
    step: float | None = None,
    start: float = 0.0,
    latency: Any = "all",
    frequency: Any = "all",
    channel: Any = "all",
    avgovertime: bool = False,
    avgoverfreq: bool = False,
    avgoverchan: bool = False,
    parallel: bool | None = None,
) -> Call[StatData]:
    r"""Compare spectra between groups or conditions, at every time, frequency and channel.

    Parameters
    ----------
    *data : SpectralData, or lists of SpectralData
        Observations, of real data. Each argument is a group or condition: an object
        whose trials are the observations, or a list of objects (subjects) with one
        trial each. Tapers are averaged over. With an array as `design`, or a
        `regressor`, observations of all arguments are taken one after the other.
    design : {'between', 'within', 'onesample'} or array, optional
        'between': different subjects (or trials) in each group; labels are exchanged
        between all of them. 'within': the same subjects in each condition, in the same
        order; labels are exchanged within subjects. 'onesample': one set, its mean
        against 0; signs are flipped. An array has a label per observation, or the rows
        of a FieldTrip design (conditions in row `ivar`, subjects in row `uvar`, counted
        from 1). Left out: as `statistic` says; else 'onesample' for one argument and
        'between' for more.
    statistic : str or callable, optional
        'indepsamplesT' (pooled variance), 'depsamplesT', 'onesampleT', 'indepsamplesF',
        'depsamplesF' (one factor within subjects, sphericity assumed), 'regression' (t of
        the regressor), 'correlation' (its, with covariates partial, correlation). t is
        positive where the first group is larger. Or ``function(data, design)`` of an
        array (observation, point) and the labels (for 'onesample': of data with flipped
        signs, and ones), which returns a number per point, large for large effects.
    subjects : array, optional
        Subject of each observation, for designs within.
    regressor : array, optional
        A number per observation.
    covariates : array of shape (observation,) or (observation, covariate), optional
        With a regressor or two groups: their share is taken out, and what is left
        is permuted (Freedman & Lane 1983).
    ivar, uvar : int, optional
        Rows of `design`.
    method : {'montecarlo', 'analytic'}
        p values from relabellings, or from the distribution under normal noise.
    correctm : {'cluster', 'tfce', 'max', 'fdr', 'holm', 'bonferroni', 'no'}
        Correction for many points. 'cluster': Maris & Oostenveld 2007, J. Neurosci.
        Methods 164:177. 'tfce': Smith & Nichols 2009, NeuroImage 44:83. 'max': largest
        value of all points. 'fdr': Benjamini & Hochberg.
    neighbours : array, list, dict or None
        Neighbouring channels: a matrix, pairs of names, names per name, FieldTrip's
        structure as a list of dictionaries, or what `neighbours_from_positions` returns.
        None: clusters do not reach from one channel to another.
    numrandomization : int or 'all'
        Relabellings besides the observed one. If there are not more, each is made once
        and p values are exact.
    seed : int
        Draw k depends on it and on k only.
    alpha : float
        For `mask`.
    tail : {-1, 0, 1}, optional
        0 (default for t): both sides, one distribution of the largest absolute value,
        compared at `alpha`. 1 (F): the first group is larger. -1: smaller.
    clusteralpha : float
        Points are in a cluster where the p value under normal noise (both sides
        together for tail 0) is below it: ``|t| > threshold``.
    clusterstatistic : {'maxsum', 'maxsize', 'wcm'}
        Sum of the statistic, number of points, or sum of ``(|t| - threshold)**wcm_weight``.
    clusterthreshold : 'parametric' or float
        The threshold itself.
    clustertail : int, optional
        As `tail`.
    correcttail : {None, 'no', 'alpha', 'prob'}
        Accepted for scripts written for FieldTrip, without effect: there each side has
        a distribution of its own and a p value has to be doubled; here both sides share one.
    wcm_weight, tfce_E, tfce_H : float
        Exponents.
    step, start : float, optional
        'tfce' as a sum over thresholds start, start + step ... instead of the exact integral.
    latency, frequency, channel
        Selections, as in `selectdata`.
    avgovertime, avgoverfreq, avgoverchan : bool
        Average before the test.
    parallel : bool or None
        False: one local thread. None: a running Dask client or Ray, else local threads.
        True: starts a local Ray if nothing is running.

    Returns
    -------
    StatData
        `.stat`, `.prob`, `.mask` with dimensions (time, freq, channel), `.clusters`,
        `.distribution`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A setting is wrong, the objects do not fit together, or the design cannot be
        result_of or permuted; before anything is read.
    MemoryBudgetError, ScratchSpaceError
        It would not fit.

    Notes
    -----
    p values are ``(1 + count) / (1 + n)`` with the count of the n relabellings that
    reach the observed value, equal ones (up to rounding, 1e-10 of the value) included.
    """
    settings = dict(locals())
    return _statistics("freqstatistics", settings)


@frontend_of_many
def timelockstatistics(
    *data: AnalogData | TimeLockData | list[AnalogData] | list[TimeLockData],
    design: Any = None,
    statistic: Any = None,
    subjects: Any = None,
    regressor: Any = None,
    covariates: Any = None,
    ivar: int | None = None,
    uvar: int | None = None,
    method: str = "montecarlo",
    correctm: str = "cluster",
    neighbours: Any = None,
    numrandomization: int | str = 1000,
    seed: int = 0,
    alpha: float = 0.05,
    tail: int | None = None,
    clusteralpha: float = 0.05,
    clusterstatistic: str = "maxsum",
    clusterthreshold: str | float = "parametric",
    clustertail: int | None = None,
    correcttail: str | None = None,
    wcm_weight: float = 1.0,
    tfce_E: float = 0.5,
    tfce_H: float = 2.0,
    step: float | None = None,
    start: float = 0.0,
    latency: Any = "all",
    channel: Any = "all",
    avgovertime: bool = False,
    avgoverchan: bool = False,
    parallel: bool | None = None,
) -> Call[StatData]:
    """Compare time-locked signals between groups or conditions, at every time and channel.

    Parameters
    ----------
    *data : AnalogData, TimeLockData, or lists of them
        As in `freqstatistics`; trials have to begin at the same time and be of equal
        length, where `latency` does not make them so.
    design, statistic, subjects, regressor, covariates, ivar, uvar, method, correctm, neighbours
        As in `freqstatistics`.
    numrandomization, seed, alpha, tail, clusteralpha, clusterstatistic, clusterthreshold, clustertail
        As in `freqstatistics`.
    correcttail, wcm_weight, tfce_E, tfce_H, step, start
        As in `freqstatistics`.
    latency, channel, avgovertime, avgoverchan, parallel
        As in `freqstatistics`.

    Returns
    -------
    StatData
        `.stat`, `.prob`, `.mask` with dimensions (time, channel), `.clusters`, `.distribution`.

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, ScratchSpaceError
        As in `freqstatistics`.
    """
    settings = {**locals(), "frequency": None, "avgoverfreq": False}
    return _statistics("timelockstatistics", settings)


@frontend_of_many
def connectivitystatistics(
    *data: CrossSpectralData | list[CrossSpectralData],
    design: Any = None,
    statistic: Any = None,
    subjects: Any = None,
    regressor: Any = None,
    covariates: Any = None,
    ivar: int | None = None,
    uvar: int | None = None,
    method: str = "montecarlo",
    correctm: str = "cluster",
    neighbours: Any = None,
    numrandomization: int | str = 1000,
    seed: int = 0,
    alpha: float = 0.05,
    tail: int | None = None,
    clusteralpha: float = 0.05,
    clusterstatistic: str = "maxsum",
    clusterthreshold: str | float = "parametric",
    clustertail: int | None = None,
    correcttail: str | None = None,
    wcm_weight: float = 1.0,
    tfce_E: float = 0.5,
    tfce_H: float = 2.0,
    step: float | None = None,
    start: float = 0.0,
    latency: Any = "all",
    frequency: Any = "all",
    channel: Any = "all",
    directed: bool = False,
    avgovertime: bool = False,
    avgoverfreq: bool = False,
    avgoverchan: bool = False,
    parallel: bool | None = None,
) -> Call[StatData]:
    """Compare measures of pairs of channels between groups or conditions, at every time, frequency and pair.

    Parameters
    ----------
    *data : CrossSpectralData, or lists of CrossSpectralData
        As in `freqstatistics`. Measures over trials, such as coherence, have one trial
        per object: give lists of objects (subjects).
    design, statistic, subjects, regressor, covariates, ivar, uvar, method, correctm
        As in `freqstatistics`.
    neighbours : array, list, dict or None
        Neighbouring channels, as in `freqstatistics`. Two pairs are neighbours if they
        share a channel and their other channels are neighbours.
    numrandomization, seed, alpha, tail, clusteralpha, clusterstatistic, clusterthreshold, clustertail
        As in `freqstatistics`.
    correcttail, wcm_weight, tfce_E, tfce_H, step, start, latency, frequency
        As in `freqstatistics`.
    channel : list of str
        Channels, first and second ones; of lists of pairs the names of the pairs.
    directed : bool
        False: of a matrix of the same channels twice each pair is tested once. True:
        both [i, j] and [j, i]. Channels with themselves are left out.
    avgovertime, avgoverfreq, avgoverchan, parallel
        As in `freqstatistics`; `avgoverchan` averages over pairs.

    Returns
    -------
    StatData
        `.stat`, `.prob`, `.mask` with dimensions (time, freq, channelcmb), pairs named
        ``a--b``; `.clusters`, `.distribution`.

    Raises
    ------
    InvalidTypeError, InvalidValueError, MemoryBudgetError, ScratchSpaceError
        As in `freqstatistics`.
    """
    settings = dict(locals())
    check_bool(directed, "directed")
    return _statistics("connectivitystatistics", settings)


_KINDS: dict[str, tuple[type[BaseData], ...]] = {
    "freqstatistics": (SpectralData,),
    "timelockstatistics": (AnalogData, TimeLockData),
    "connectivitystatistics": (CrossSpectralData,),
}
"""Classes of data of each front-end."""


@dataclass(frozen=True, eq=False)
class _Checked:
    """A checked call, whose observations are not read yet."""

    name: str
    options: Options
    design: Design
    groups: Groups
    grid: Grid
    kept: dict[str, Any]
    """Settings to keep with the result."""

    def test(self) -> StatTest:
        """Read the observations."""
        observations = gathered(self.groups, self.design.order, self.name)
        return StatTest(self.name, self.options, self.design, self.groups.space, self.grid, observations)


def _statistics(name: str, settings: dict[str, Any]) -> Call[StatData]:
    checked = _checked(name, settings)
    return Call(name, None, _steps(checked), about=checked.groups.about)


def _steps(checked: _Checked) -> Steps[StatData]:
    """Observations are gathered in this process, draws are made by workers."""
    test = checked.test()
    result = yield from result_of(test, test.options.numrandomization)
    result.cfg = {checked.name: checked.kept}
    return result


def _checked(name: str, settings: dict[str, Any]) -> _Checked:
    options = check_options(settings)
    averaged = averaged_dims(settings["avgovertime"], settings["avgoverfreq"], settings["avgoverchan"])
    directed = bool(settings.get("directed", False))
    groups = collect(settings["data"], _KINDS[name], selector(settings), averaged, directed)
    names = ("design", "statistic", "subjects", "regressor", "covariates", "ivar", "uvar")
    design = design_of(Request(*(settings[key] for key in names)), groups.group)
    options = completed(options, design)
    grid, neighbours = _grid(groups, settings["neighbours"], directed)
    check_room(name, groups.space)
    if options.method == "montecarlo":
        number_of_draws(design, options.numrandomization)
    kept = {key: value for key, value in settings.items() if key not in ("data", "parallel")}
    if callable(kept["statistic"]):
        kept["statistic"] = {"function": design.statistic}
    return _Checked(name, options, design, groups, grid, {**kept, "neighbours": neighbours})


def extend_statistics(result: StatData, n: int, parallel: bool | None = None, data: Any = None) -> StatData:
    """Add relabellings to a result; see `StatData.extend`."""
    check_extensible(result)
    how = check_parallel(parallel)
    if data is None:
        return run_steps(extended(result, check_test(result), n), how)[0]
    ((name, kept),) = result.cfg.items() if len(result.cfg) == 1 else [("", {})]
    if name not in _KINDS or not isinstance(kept.get("statistic"), str | None):
        raise InvalidValueError(
            "result of a statistic that has a name; with a function of your own compute anew with more "
            "`numrandomization`",
            "data",
            result.settings.get("statistic"),
        )
    given = data if isinstance(data, tuple) else (data,)
    test = _checked(name, {**kept, "data": given}).test()
    return run_steps(extended(result, same_test(result, test), n), how)[0]


def selector(settings: dict[str, Any]) -> Callable[[BaseData], dict[str, Any]]:
    """Selection from each object; channels of pairs are selected twice."""
    given = {key: settings[key] for key in ("latency", "frequency", "channel") if not is_all(settings[key])}

    def select(data: BaseData) -> dict[str, Any]:
        if "channel" not in given or "channel" in data.selection_keys:
            return given
        keys = ("channelcmb",) if "channelcmb" in data.dimord else ("channel_i", "channel_j")
        others = {key: value for key, value in given.items() if key != "channel"}
        return {**others, **dict.fromkeys(keys, given["channel"])}

    return select


def _grid(groups: Groups, neighbours: Any, directed: bool) -> tuple[Grid, Any]:
    """Points and their neighbours, and which channels are neighbours as names, to be kept."""
    space, first = groups.space, groups.observations[0]
    n_time = space.shape[space.dims.index("time")]
    n_freq = space.shape[space.dims.index("freq")] if "freq" in space.dims else 1
    dim = space.dims[-1]
    if "channel" in space.averaged:
        return Grid(n_time, n_freq, *as_graph(np.zeros((1, 1), dtype=bool))), None
    if dim == "channel":
        near = adjacency(neighbours, space.coords["channel"], first.selection.index.get("channel"))
        kept = None if neighbours is None else by_name(near, space.coords["channel"])
        return Grid(n_time, n_freq, *as_graph(near)), kept
    ends = np.array([str(name).split("--", 1) for name in space.coords[dim]])
    if neighbours is not None and ends.shape != (len(space.coords[dim]), 2):
        raise InvalidValueError("None where pairs have other names than 'a--b'", "neighbours", neighbours)
    if neighbours is None:
        n = len(space.coords[dim])
        return Grid(n_time, n_freq, np.zeros(n + 1, np.int64), np.empty(0, np.int64)), None
    channels = space_channels(groups) if space.pairs is not None else np.unique(ends)
    number = {str(name): k for k, name in enumerate(channels)}
    places = np.array([[number[a], number[b]] for a, b in ends])
    near = adjacency(neighbours, channels)
    graph = pair_graph(near, (places[:, 0], places[:, 1]), directed)
    return Grid(n_time, n_freq, *graph), by_name(near, channels)


def space_channels(groups: Groups) -> Any:
    """Names of all channels of pairs, in the order of the data."""
    first = groups.observations[0].selection
    both = [str(name) for dim in ("channel_i", "channel_j") for name in first.labels(dim)]
    return np.array(list(dict.fromkeys(both)))
