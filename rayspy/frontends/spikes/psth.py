"""Front-ends `spike_psth`, `spike_rate` and `spike_fano`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_choice, check_room, check_scalar
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.spikes.request import Spikes, finished, plan_of, spikes_of
from rayspy.kernels.spikes.counts import fano
from rayspy.methods.reductions import Present
from rayspy.methods.spikes.trains import Psth, Rate
from rayspy.planning.plan import Plan
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]
OUTPUTS = ("rate", "spikecount", "proportion")
_SLACK = 1e-9


@frontend
def spike_psth(
    data: SpikeData,
    binsize: Any = "rice",
    output: str = "rate",
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    keeptrials: bool = True,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Peri-stimulus time histogram of each cell.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    binsize : float, 'rice' or 'sqrt'
        Width of bins in seconds, or as many bins as Rice's rule or the square root of
        the mean length of trials in samples says.
    output : {'rate', 'spikecount', 'proportion'}
        Spikes per second, spikes, or the share of the spikes of a cell and trial.
    latency : [t0, t1], 'maxperiod', 'minperiod', 'prestim' or 'poststim'
        Closed window in seconds, relative to the trigger.
    vartriallen : bool
        True: all trials count; bins that one did not record are NaN. False: trials
        that do not cover the window are left out.
    keeptrials : bool
        True: histograms of all trials. False: only `avg`, `var` and `dof`, nothing is
        kept per trial.
    parallel : bool, optional
        As in `freqanalysis`.
    select : dict, optional
        Selectors as in `selectdata`: trials, channel, unit, latency.

    Returns
    -------
    TimeLockData
        Bins x cells, float32; times are the middles of bins, channels are cells
        ``channel0_unit1`` (codes, or names where they were given). All cells of the
        object that are selected, silent ones too. `avg`, `var` and `dof` are those of
        trials that recorded a bin, ``.confidence(0.95)`` gives limits of the average.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it.

    Notes
    -----
    Bins are half open, [left, right), the last one includes its right edge. A bin
    that begins within a trial counts even if the trial ends in it, so that its
    rate is too low (as in Syncopy).

    Examples
    --------
    >>> import numpy as np
    >>> import rayspy as spy
    >>> table = np.column_stack([[120, 180, 1130], [0, 0, 0], [0, 1, 0]])
    >>> trl = np.array([[0, 200, -100], [1000, 1200, -100]])
    >>> spikes = spy.SpikeData(table, samplerate=1000, trialdefinition=trl)
    >>> psth = spy.spike_psth(spikes, binsize=0.05, latency=[0, 0.1], output="spikecount")
    >>> psth.avg.tolist()
    [[1.0, 0.0], [0.0, 0.5]]
    """
    given = {name: value for name, value in locals().items() if name not in ("data", "parallel", "kwargs")}
    warn_unused("spike_psth", kwargs)
    check_choice(output, "output", OUTPUTS)
    check_bool(keeptrials, "keeptrials")
    spikes = spikes_of("spike_psth", data, select, latency, vartriallen)
    edges = bin_edges(binsize, spikes)
    method = Psth(spikes.cells, spikes.trl, spikes.samplerate, edges, output)
    rows = _counted(spikes, edges)
    plan = plan_of("spike_psth", method, spikes, None if keeptrials else Present(), rows)
    logged = {**given, "bins": len(edges) - 1}
    return Call("spike_psth", data, averaged(plan, spikes, output), logged=logged)


def _counted(spikes: Spikes, edges: Array) -> Array:
    """Trials cut to the bins."""
    return replace(spikes, window=(float(edges[0]), float(edges[-1]))).cut


def averaged(plan: Plan, spikes: Spikes, output: str) -> Steps[TimeLockData]:
    """Object with trials, or with the average as its only one."""
    done = yield from finished(plan, spikes.data, output)
    if "" in done.sources:
        made: TimeLockData = done.make(TimeLockData, done.sources[""], done.specs[""])
        return made
    made = done.make(TimeLockData, done.sources["avg"], done.specs["avg"])
    made.attach(done.sources)
    return made


_BIN_BYTES = 64


def bin_edges(binsize: Any, spikes: Spikes) -> NDArray[np.float64]:
    """Edges of bins in seconds."""
    low, high = spikes.window
    if isinstance(binsize, str):
        check_choice(binsize, "binsize", ("rice", "sqrt"))
        n = float((spikes.trl[:, 1] - spikes.trl[:, 0]).mean())
        n_edges = int(2 * n ** (1 / 3)) if binsize == "rice" else int(np.ceil(np.sqrt(n)))
        if n_edges < 2 or high <= low:
            raise InvalidValueError("width of bins in seconds: trials are too short", "binsize", binsize)
        return np.asarray(np.linspace(low, high, n_edges), dtype=np.float64)
    width = check_scalar(binsize, "binsize")
    if not 0 < width <= max(high - low, 1 / spikes.samplerate) * (1 + _SLACK):
        raise InvalidValueError(
            f"width above 0 and up to that of the window, {high - low:g} s", "binsize", binsize
        )
    n_bins = int(np.ceil((high - low) / width - _SLACK))
    check_room(_BIN_BYTES * n_bins, "binsize", binsize, f"{n_bins} bins")
    return np.asarray(low + np.arange(n_bins + 1) * width, dtype=np.float64)


@frontend
def spike_rate(
    data: SpikeData,
    output: str = "rate",
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    keeptrials: bool = False,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Firing rate of each cell.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    output : {'rate', 'spikecount'}
        Spikes per second of what each trial recorded of the window, or spikes.
    latency, vartriallen, keeptrials, parallel, select
        As in `spike_psth`.

    Returns
    -------
    TimeLockData
        One time point (the middle of the window) x cells; `avg`, `var`, `dof` over
        the trials that recorded any of the window.
    """
    warn_unused("spike_rate", kwargs)
    check_choice(output, "output", OUTPUTS[:2])
    check_bool(keeptrials, "keeptrials")
    spikes = spikes_of("spike_rate", data, select, latency, vartriallen)
    method = Rate(spikes.cells, spikes.cut, spikes.samplerate, output, spikes.window)
    plan = plan_of("spike_rate", method, spikes, None if keeptrials else Present())
    return Call("spike_rate", data, averaged(plan, spikes, output))


@frontend
def spike_fano(
    data: SpikeData,
    binsize: float | None = None,
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Fano factor of each cell: variance of the spike count over trials by its mean.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    binsize : float, optional
        Width in seconds of bins that are looked at one by one; the window as a whole
        if left out.
    latency, vartriallen, parallel, select
        As in `spike_psth`. Only trials that recorded a bin as a whole count in it.

    Returns
    -------
    TimeLockData
        Bins x cells, the variance divided by the number of trials as in Elephant;
        NaN where there are no spikes. `avg`, `var` and `dof` are those of the counts.

    Notes
    -----
    Fano, U. (1947), Physical Review 72, 26-29.
    """
    warn_unused("spike_fano", kwargs)
    spikes = spikes_of("spike_fano", data, select, latency, vartriallen)
    low, high = spikes.window
    edges = np.array([low, high]) if binsize is None else bin_edges(binsize, spikes)
    if edges[0] == edges[-1]:
        raise InvalidValueError("window of at least two samples", "latency", f"[{low:g}, {high:g}]")
    method = Psth(spikes.cells, spikes.trl, spikes.samplerate, edges, "spikecount", whole=True)
    plan = plan_of("spike_fano", method, spikes, Present(), _counted(spikes, edges))
    return Call("spike_fano", data, _factors(plan, spikes))


def _factors(plan: Plan, spikes: Spikes) -> Steps[TimeLockData]:
    done = yield from finished(plan, spikes.data)
    counts = {name: read_all(source) for name, source in done.sources.items()}
    if not counts["dof"].any():
        legal = "window or bins that at least one trial recorded as a whole (latency='minperiod')"
        low, high = spikes.window
        raise InvalidValueError(legal, "latency/binsize", f"[{low:g}, {high:g}]")
    factor = MemorySource(fano(counts["avg"], counts["var"]))
    made: TimeLockData = done.make(TimeLockData, factor, done.specs["avg"])
    made.attach(counts)
    return made
