"""Front-ends `timelockstatistics`, `freqstatistics` and `connectivitystatistics`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.spectral import SpectralData
from rayspy.data.statistics import StatData
from rayspy.frontends.calling import accepts_cfg_only, check_parallel
from rayspy.frontends.statistics.designs import Request, design_of
from rayspy.frontends.statistics.neighbours import adjacency, as_graph
from rayspy.frontends.statistics.observations import Groups, collect, gathered
from rayspy.frontends.statistics.options import averaged_dims, check_options, is_all
from rayspy.frontends.statistics.testing import StatTest, check_room, completed, number_of_draws, result_of
from rayspy.kernels.statistics.clusters import Grid


@accepts_cfg_only
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
) -> StatData:
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
    return _statistics("freqstatistics", (SpectralData,), settings)


@accepts_cfg_only
def timelockstatistics(
    *data: AnalogData | list[AnalogData],
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
) -> StatData:
    """Compare time-locked signals between groups or conditions, at every time and channel.

    Parameters
    ----------
    *data : AnalogData, or lists of AnalogData
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
    return _statistics("timelockstatistics", (AnalogData,), settings)


def _statistics(name: str, kinds: tuple[type[BaseData], ...], settings: dict[str, Any]) -> StatData:
    options = check_options(settings)
    check_parallel(settings["parallel"])
    averaged = averaged_dims(settings["avgovertime"], settings["avgoverfreq"], settings["avgoverchan"])
    select = {key: settings[key] for key in ("latency", "frequency", "channel") if not is_all(settings[key])}
    groups = collect(settings["data"], kinds, select, averaged)
    names = ("design", "statistic", "subjects", "regressor", "covariates", "ivar", "uvar")
    design = design_of(Request(*(settings[key] for key in names)), groups.group)
    options = completed(options, design)
    grid = _grid(groups, settings["neighbours"])
    check_room(name, groups.space)
    test = StatTest(name, options, design, groups.space, grid, None)  # type: ignore[arg-type]
    if options.method == "montecarlo":
        number_of_draws(test, options.numrandomization)
    observations = gathered(groups, design.order, name)
    test = StatTest(name, options, design, groups.space, grid, observations)
    return result_of(test, options.numrandomization, settings["parallel"])


def _grid(groups: Groups, neighbours: Any) -> Grid:
    space, first = groups.space, groups.observations[0]
    n_time = space.shape[space.dims.index("time")]
    n_freq = space.shape[space.dims.index("freq")] if "freq" in space.dims else 1
    if "channel" in space.averaged:
        near = np.zeros((1, 1), dtype=bool)
    else:
        places = first.selection.index.get("channel")
        near = adjacency(neighbours, space.coords["channel"], places)
    return Grid(n_time, n_freq, *as_graph(near))
