"""Front-end `spike_isi`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_bool, check_choice, check_scalar
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.spikes.request import Spikes, finished, plan_of, spikes_of
from rayspy.kernels.spikes.counts import proportions
from rayspy.kernels.spikes.intervals import SUMS, measures
from rayspy.methods.reductions import Total
from rayspy.methods.spikes.trains import Intervals
from rayspy.planning.plan import Plan
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]


@frontend
def spike_isi(
    data: SpikeData,
    bins: Any = None,
    outputunit: str = "spikecount",
    refractory: float = 0.002,
    latency: Any = "maxperiod",
    vartriallen: bool = True,
    keeptrials: bool = False,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Intervals between the spikes of each cell: histogram and measures of variability.

    Parameters
    ----------
    data : SpikeData
        Is not changed.
    bins : list or ndarray of float, optional
        Edges of bins in seconds: 0, w, 2 w, ... Left out: 5 ms wide, up to 1 s.
        Intervals on an edge are in the bin that begins there; longer ones are in no
        bin, but in all measures.
    outputunit : {'spikecount', 'proportion'}
        Intervals, or their share in those of all bins.
    refractory : float
        Seconds; the share of shorter intervals is reported as violations.
    latency, vartriallen, parallel, select
        As in `spike_psth`. Intervals never cross the border of a trial or of the window.
    keeptrials : bool
        Whether trials are kept or pooled.

    Returns
    -------
    TimeLockData
        Bins x cells; `time` is the middle of each bin in seconds. In `info`, per cell
        (with `keeptrials` per trial and cell; NaN where there are too few spikes):

        n, mean
            Number of intervals and their mean in seconds.
        cv
            Standard deviation (divided by n) over mean.
        cv2
            Mean of 2 abs(a - b) / (a + b) of neighbouring intervals, Holt, G. R. et al.
            (1996), Journal of Neurophysiology 75, 1806-1814.
        lv
            Mean of 3 (a - b)^2 / (a + b)^2, Shinomoto, S. et al. (2003), Neural
            Computation 15, 2823-2842.
        violations
            Share of intervals below `refractory`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it.
    """
    warn_unused("spike_isi", kwargs)
    check_choice(outputunit, "outputunit", ("spikecount", "proportion"))
    check_bool(keeptrials, "keeptrials")
    short = check_scalar(refractory, "refractory", 0)
    width, n_bins = _bins(bins)
    spikes = spikes_of("spike_isi", data, select, latency, vartriallen)
    method = Intervals(spikes.cells, spikes.cut, spikes.samplerate, width, n_bins, short)
    plan = plan_of("spike_isi", method, spikes, None if keeptrials else Total())
    return Call("spike_isi", data, _steps(plan, spikes, n_bins, outputunit, keeptrials))


def _steps(plan: Plan, spikes: Spikes, n_bins: int, outputunit: str, keeptrials: bool) -> Steps[TimeLockData]:
    """Histograms, and what the sums in the rows behind them say."""
    done = yield from finished(plan, spikes.data, outputunit)
    rows, spec = read_all(done.sources[""]), done.specs[""]
    sums = rows.reshape(-1, n_bins + SUMS, len(spikes.cells))
    histograms = sums[:, :n_bins]
    if outputunit == "proportion":
        histograms = np.stack([proportions(h) for h in histograms])
    trl = spec.trialdefinition.copy()
    trl[:, 0], trl[:, 1] = np.arange(len(sums)) * n_bins, np.arange(1, len(sums) + 1) * n_bins
    trl[:, 2] = 0.5
    spec = replace(spec, trialdefinition=trl)
    made: TimeLockData = done.make(
        TimeLockData, MemorySource(histograms.reshape(-1, len(spikes.cells)).copy()), spec
    )
    made.info.update(_described(sums[:, n_bins:], spikes.samplerate, keeptrials))
    return made


def _described(sums: Array, samplerate: float, keeptrials: bool) -> dict[str, Any]:
    found = measures(np.moveaxis(sums, 1, 0))
    found["mean"] = found["mean"] / samplerate
    return {name: (values if keeptrials else values[0]).tolist() for name, values in found.items()}


def _bins(bins: Any) -> tuple[float, int]:
    """Width and number of bins."""
    if bins is None:
        return 0.005, 200
    edges = check_array(bins, "bins", 0)
    steps = np.diff(edges)
    legal = "edges 0, w, 2 w, ... in seconds"
    if len(edges) < 2 or edges[0] != 0 or (steps <= 0).any():
        raise InvalidValueError(legal, "bins", bins)
    width = float(edges[-1] / (len(edges) - 1))
    if not np.allclose(steps, width, rtol=1e-6):
        raise InvalidValueError(f"{legal} (equally spaced)", "bins", bins)
    return width, len(edges) - 1
