"""Front-ends `spike_xcorr` and `spike_density`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_bool, check_choice, check_integer, check_scalar
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.selection import SAMPLE_SLACK
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.spikes.psth import averaged
from rayspy.frontends.spikes.request import Finished, Spikes, finished, plan_of, spikes_of
from rayspy.kernels.spikes.correlograms import overlap
from rayspy.kernels.spikes.density import SHAPES
from rayspy.methods.reductions import Present, Total
from rayspy.methods.spikes.base import rows_of_trials
from rayspy.methods.spikes.trains import Correlogram, Density
from rayspy.planning.plan import Plan, make_plan
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]
METHODS = ("xcorr", "shiftpredictor", "jitter")
UNITS = ("raw", "proportion", "center", "rate")


@frontend
def spike_xcorr(
    data: SpikeData,
    maxlag: float = 0.1,
    binsize: float = 0.001,
    method: str = "xcorr",
    outputunit: str = "raw",
    debias: bool = True,
    jitter: float = 0.02,
    n_jitter: int = 20,
    seed: int = 0,
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    keeptrials: bool = False,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[CrossSpectralData]:
    """Auto- and cross-correlograms of all pairs of cells.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    maxlag, binsize : float
        Largest lag and width of bins in seconds; bins are centred on multiples of
        `binsize`, which becomes a whole number of samples.
    method : {'xcorr', 'shiftpredictor', 'jitter'}
        Pairs of spikes of the same trial; of each trial and the next selected one (of
        the last one and the first): what is locked to the stimulus; of trials
        whose spikes were moved at random within windows of `jitter` seconds, mean of
        `n_jitter` such surrogates: what is slower than these windows.
    outputunit : {'raw', 'proportion', 'center', 'rate'}
        Pairs; their share in all bins; relative to the bin around zero; spikes of
        the second cell per second around a spike of the first one.
    debias : bool
        Divide by the share of the trial that overlaps with itself at each lag, so
        that independent trains give a flat correlogram.
    jitter, n_jitter, seed
        Surrogates of method 'jitter'; the same ones however the work is shared out.
    latency, vartriallen, parallel, select
        As in `spike_psth`.
    keeptrials : bool
        Whether trials are kept or summed.

    Returns
    -------
    CrossSpectralData
        Lags x 1 x cells x cells, float64; `time` is the lag in seconds. Entry
        ``[.., i, j]`` has a peak at positive lags where j fires after i (as Elephant;
        the correlation of continuous signals has the opposite sign). Spikes do not
        count with themselves.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it.

    Notes
    -----
    Perkel, D. H., Gerstein, G. L. & Moore, G. P. (1967), Biophysical Journal 7, 419-440;
    interval jitter: Amarasingham, A. et al. (2012), Journal of Neurophysiology 107,
    517-531. Distances are exact, trains are not binned before. A distance halfway
    between the centres of two bins is in the one further from zero.
    """
    warn_unused("spike_xcorr", kwargs)
    check_choice(method, "method", METHODS)
    check_choice(outputunit, "outputunit", UNITS)
    check_bool(debias, "debias")
    check_bool(keeptrials, "keeptrials")
    spikes = spikes_of("spike_xcorr", data, select, latency, vartriallen)
    width, n_lags = _lags(maxlag, binsize, spikes)
    made = Correlogram(spikes.cells, spikes.cut, spikes.samplerate, width, n_lags, spikes.ids)
    if method != "jitter":
        given = {"jitter": (jitter, 0.02), "n_jitter": (n_jitter, 20), "seed": (seed, 0)}
        warn_unused("spike_xcorr", {name: None for name, pair in given.items() if not _is_default(*pair)})
    else:
        window = _whole(check_scalar(jitter, "jitter"), "jitter", spikes.samplerate)
        draws, first = check_integer(n_jitter, "n_jitter", 1), check_integer(seed, "seed", 0)
        made = replace(made, jitter=window, n_jitter=draws, seed=first)
    if method == "shiftpredictor":
        plan = _shifted(made, spikes, keeptrials)
    else:
        plan = plan_of("spike_xcorr", made, spikes, None if keeptrials else Total())
    lengths = _lengths(spikes, method == "shiftpredictor") if debias else None
    return Call("spike_xcorr", data, _steps(plan, spikes, outputunit, width, n_lags, lengths))


def _steps(
    plan: Plan, spikes: Spikes, unit: str, width: int, n_lags: int, lengths: Array | None
) -> Steps[CrossSpectralData]:
    done = yield from finished(plan, spikes.data, unit)
    return _normalised(done, spikes, unit, width, n_lags, lengths)


def _is_default(value: Any, default: Any) -> bool:
    return isinstance(value, (int, float)) and value == default


def _lags(maxlag: Any, binsize: Any, spikes: Spikes) -> tuple[int, int]:
    width = _whole(check_scalar(binsize, "binsize"), "binsize", spikes.samplerate)
    longest = check_scalar(maxlag, "maxlag")
    n_lags = int(np.floor(longest * spikes.samplerate / width + SAMPLE_SLACK))
    span = float((spikes.trl[:, 1] - spikes.trl[:, 0]).max()) / spikes.samplerate
    if n_lags < 1 or longest >= span:
        legal = f"lag of at least one bin and below the length of the longest trial, {span:g} s"
        raise InvalidValueError(legal, "maxlag", maxlag)
    return width, n_lags


def _whole(seconds: float, name: str, samplerate: float) -> int:
    """Samples of a time in seconds, at least one."""
    n = round(seconds * samplerate)
    if n < 1 or abs(n - seconds * samplerate) > SAMPLE_SLACK * n + SAMPLE_SLACK:
        legal = f"whole number of samples ({1 / samplerate:g} s each), at least one"
        raise InvalidValueError(legal, name, seconds)
    return int(n)


def _shifted(made: Correlogram, spikes: Spikes, keeptrials: bool) -> Plan:
    """Plan a shift predictor: the input of a trial is its rows and those of the next one."""
    n = len(spikes.ids)
    if n < 2:
        raise InvalidValueError("at least two trials, for method='shiftpredictor'", "select", f"{n} trial")
    partner = (np.arange(n) + 1) % n
    bounds = spikes.data.row_bounds(spikes.cut)
    both = np.stack([bounds, bounds[partner]], axis=1).reshape(-1, 2)
    source, spec = rows_of_trials(spikes.data.source, both, spikes.data.dimord)
    edges = source.edges[::2].astype(np.float64)
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(n)])
    spec = replace(spec, trialdefinition=trl, variants=np.arange(n))
    reduction = None if keeptrials else Total()
    return make_plan("spike_xcorr", replace(made, partner=partner), source, spec, {}, reduction)


def _normalised(
    done: Finished, spikes: Spikes, unit: str, width: int, n_lags: int, lengths: Array | None
) -> CrossSpectralData:
    source, spec = done.sources[""], done.specs[""]
    if unit != "raw" or lengths is not None:
        n = len(spikes.cells)
        counts = read_all(source).reshape(-1, 2 * n_lags + 1, n, n)
        if lengths is not None:
            groups = [lengths] if len(counts) == 1 else lengths[:, np.newaxis]
            shares = np.stack([overlap(group, width, n_lags) for group in groups])
            counts = counts / shares[:, :, np.newaxis, np.newaxis]
        source = MemorySource(_scaled(counts, spikes, unit, width, n_lags).reshape(-1, 1, n, n))
    made: CrossSpectralData = done.make(CrossSpectralData, source, spec)
    return made


def _lengths(spikes: Spikes, shifted: bool) -> Array:
    """Samples that each trial has, or has in common with the next one."""
    lengths = spikes.cut[:, 1] - spikes.cut[:, 0]
    return np.maximum(np.minimum(lengths, np.roll(lengths, -1)) if shifted else lengths, 1.0)


def _scaled(counts: Array, spikes: Spikes, unit: str, width: int, n_lags: int) -> Array:
    if unit == "raw":
        return counts
    with np.errstate(invalid="ignore", divide="ignore"):
        if unit == "proportion":
            return np.asarray(counts / np.nansum(counts, axis=1, keepdims=True))
        if unit == "center":
            return np.asarray(counts / counts[:, n_lags : n_lags + 1])
        n_spikes = _spikes_per_trial(spikes)
        if len(counts) == 1:
            n_spikes = n_spikes.sum(axis=0, keepdims=True)
        seconds = n_spikes[:, np.newaxis, :, np.newaxis] * (width / spikes.samplerate)
        return np.asarray(counts / seconds)


def _spikes_per_trial(spikes: Spikes) -> Array:
    """Spikes of each trial and cell, read by block."""
    bounds = spikes.data.row_bounds(spikes.cut)
    source, spec = rows_of_trials(spikes.data.source, bounds, spikes.data.dimord)
    out = np.zeros((len(bounds), len(spikes.cells)))
    with source.reader() as read:
        for k, (start, stop) in enumerate(spec.trialdefinition[:, :2].astype(int)):
            cells = spikes.cells.numbers(read((slice(start, stop - 1), slice(0, 3))))
            out[k] = np.bincount(cells[cells >= 0], minlength=len(spikes.cells))
    return out


@frontend
def spike_density(
    data: SpikeData,
    timwin: Any = (-0.05, 0.05),
    winfunc: str = "gauss",
    fsample: float = 1000.0,
    outputunit: str = "rate",
    edges: bool = True,
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    keeptrials: bool = False,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Spike density: trains of each cell, smoothed.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    timwin : [t0, t1]
        Extent of the kernel around a spike in seconds, t0 <= 0 <= t1.
    winfunc : {'gauss', 'boxcar', 'triangle', 'exponential', 'alpha'}
        Kernel. The standard deviation of 'gauss' is a quarter of the larger half width;
        'exponential' and 'alpha' are causal with a time constant of a quarter of t1.
    fsample : float
        Times per second of the result, up to the samplerate of the spikes.
    outputunit : {'rate', 'spikecount'}
        Spikes per second, or per time of the result.
    edges : bool
        Divide by the part of the kernel that lies in the trial, so that rates do not
        fall off towards its ends.
    latency, vartriallen, keeptrials, parallel, select
        As in `spike_psth`.

    Returns
    -------
    TimeLockData
        Times x cells; NaN where a trial was not recorded.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it.
    """
    warn_unused("spike_density", kwargs)
    check_choice(winfunc, "winfunc", SHAPES)
    check_choice(outputunit, "outputunit", ("rate", "spikecount"))
    check_bool(edges, "edges")
    check_bool(keeptrials, "keeptrials")
    spikes = spikes_of("spike_density", data, select, latency, vartriallen)
    rate = check_scalar(fsample, "fsample")
    if not 0 < rate <= spikes.samplerate:
        raise InvalidValueError(f"above 0 and up to {spikes.samplerate:g} Hz", "fsample", fsample)
    low, high = _extent(timwin, rate)
    first = int(np.ceil(spikes.window[0] * rate - SAMPLE_SLACK))
    n_rows = int(np.floor(spikes.window[1] * rate + SAMPLE_SLACK)) - first + 1
    if n_rows < 1:
        raise InvalidValueError("window with at least one time of the result", "latency", latency)
    method = Density(
        spikes.cells, spikes.trl, spikes.samplerate, spikes.samplerate / rate, first, n_rows, winfunc,
        low, high, bool(edges), outputunit,
    )  # fmt: skip
    plan = plan_of("spike_density", method, spikes, None if keeptrials else Present(), spikes.trl)
    return Call("spike_density", data, averaged(plan, spikes, outputunit))


def _extent(timwin: Any, rate: float) -> tuple[int, int]:
    """First and last step of a kernel around a spike."""
    if not isinstance(timwin, (list, tuple, np.ndarray)):
        raise InvalidTypeError(timwin, "timwin", "[t0, t1] in seconds;")
    limits = as_array(timwin, "timwin")
    if limits.shape != (2,) or limits.dtype.kind not in "iuf" or not np.isfinite(limits).all():
        raise InvalidValueError("[t0, t1] in seconds", "timwin", timwin)
    if not limits[0] <= 0 <= limits[1] or limits[0] == limits[1]:
        raise InvalidValueError("t0 <= 0 <= t1 with t0 < t1", "timwin", timwin)
    return -int(np.floor(-limits[0] * rate + SAMPLE_SLACK)), int(np.floor(limits[1] * rate + SAMPLE_SLACK))
