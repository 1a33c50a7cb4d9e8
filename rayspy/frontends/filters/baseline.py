"""Front-end `baseline`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_choice, is_number
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.selection import SAMPLE_SLACK, Selection
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import computed, input_spec, selected
from rayspy.kernels.filters.baseline import MODES
from rayspy.methods.base import InputSpec
from rayspy.methods.filters.baseline import Baseline
from rayspy.planning.plan import make_plan
from rayspy.storage.derived import RunsSource

Numbers = NDArray[np.int64]


@frontend
def baseline(
    data: AnalogData | SpectralData,
    baseline: Any = (None, 0),
    mode: str = "absolute",
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[Any]:
    r"""Relate trials to what they were in a window, each channel and frequency by itself.

    Parameters
    ----------
    data : AnalogData or SpectralData
        Recordings or time-resolved spectra; their times need not be equidistant.
    baseline : (t0, t1)
        Closed window in seconds that every selected trial covers. None: from the
        first, or to the last, time that all selected trials have.
    mode : str
        With mean m and standard deviation s over the window:

        - 'absolute': x - m
        - 'relative': x / m
        - 'relchange': (x - m) / m
        - 'normchange': (x - m) / (x + m)
        - 'db': 10 log10(x / m), in decibels for power
        - 'zscore': (x - m) / s

        Complex numbers can only be 'absolute'.
    parallel, select, chan_per_worker
        As in `freqanalysis`. With a `select` of latency the window has to be
        within it.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    AnalogData or SpectralData
        Same shape as the selected data, float32 (complex64). Infinite or NaN
        where the baseline is 0.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.

    Notes
    -----
    s is that of the samples themselves (division by their number). The names are
    FieldTrip's (`ft_timelockbaseline`, `ft_freqbaseline`); of MNE's
    `mne.baseline.rescale` they correspond to 'mean', 'ratio', 'percent',
    'logratio' (times 10) and 'zscore'.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=2, nSamples=1500, nChannels=3, seed=1)
    >>> found = spy.baseline(data, (-0.5, 0), parallel=False)
    >>> bool(abs(found.show(trials=0, latency=[-0.5, 0]).mean()) < 1e-6)
    True
    """
    _check_input(data, mode)
    width = check_chan_per_worker(chan_per_worker)
    warn_unused("baseline", kwargs)
    selection = selected(data, select)
    first, n_window = _window(baseline, data, selection)
    if mode == "zscore" and n_window < 2:
        raise InvalidValueError("window of at least two samples for 'zscore'", "baseline", baseline)
    source, spec = _with_baselines(data, selection, first, n_window)
    method = Baseline(n_window, mode)
    plan = make_plan("baseline", method, source, spec, {}, chan_per_worker=width)
    return Call("baseline", data, computed(plan, data))


def _check_input(data: BaseData, mode: Any) -> None:
    """Accept data that a baseline can be taken of."""
    if not isinstance(data, (AnalogData, SpectralData)):
        raise InvalidTypeError(data, "data", "AnalogData or SpectralData;")
    if data.data is None:
        raise InvalidValueError("object with data", "data", f"empty {type(data).__name__}")
    if data.samplerate is None and data.time is None:
        raise InvalidValueError("object with a samplerate or times", "data", "samplerate None")
    check_choice(mode, "mode", tuple(MODES))
    if data.source.dtype.kind == "c" and mode != "absolute":
        raise InvalidValueError("'absolute' for complex numbers", "mode", mode)


def _window(value: Any, data: BaseData, selection: Selection) -> tuple[Numbers, int]:
    """First sample of the baseline in each trial, and its length, which is the same for all."""
    trl, lengths = selection.trialdefinition, selection.lengths
    low, high = _limits(value)
    if data.samplerate is None:
        times = data.time
        each = [] if times is None else [np.asarray(times[k]) for k in selection.trial_ids]
        spans = np.array([[t[0], t[-1]] for t in each])
    else:
        rate, offsets = data.samplerate, trl[:, 2]
        spans = np.column_stack([offsets, offsets + lengths - 1]) / rate
    low = float(spans[:, 0].max()) if low is None else low
    high = float(spans[:, 1].min()) if high is None else high
    if data.samplerate is None:
        first = np.array([np.searchsorted(t, low - _slack(t)) for t in each])
        stop = np.array([np.searchsorted(t, high + _slack(t), "right") for t in each])
    else:
        first = np.ceil(low * rate - offsets - SAMPLE_SLACK).astype(np.int64)
        stop = np.floor(high * rate - offsets + SAMPLE_SLACK).astype(np.int64) + 1
    n_window = int((stop - first).min())
    if n_window < 1:
        raise InvalidValueError("window with at least one sample", "baseline", value)
    outside = (first < 0) | (first + n_window > lengths)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        span = f"{spans[k, 0]:g} to {spans[k, 1]:g} s"
        raise InvalidValueError(
            f"window that all trials cover; selected trial {k} spans {span}", "baseline", value
        )
    return first, n_window


def _slack(times: NDArray[np.float64]) -> float:
    """Rounding of times: a millionth of the smallest step."""
    return SAMPLE_SLACK * float(np.diff(times).min()) if len(times) > 1 else 0.0


def _limits(value: Any) -> tuple[float | None, float | None]:
    """Accept two times in seconds, each may be None."""
    if not isinstance(value, (tuple, list, np.ndarray)):
        raise InvalidTypeError(value, "baseline", "(t0, t1) in seconds")
    legal = "(t0, t1) in seconds with t0 <= t1, or None"
    if len(value) != 2:
        raise InvalidValueError(legal, "baseline", value)
    for limit in value:
        if limit is not None and (
            not is_number(limit) or isinstance(limit, complex) or not np.isfinite(limit)
        ):
            raise InvalidValueError(legal, "baseline", value)
    low, high = (None if limit is None else float(limit) for limit in value)
    if low is not None and high is not None and low > high:
        raise InvalidValueError(legal, "baseline", value)
    return low, high


def _with_baselines(
    data: BaseData, selection: Selection, first: Numbers, n_window: int
) -> tuple[RunsSource, InputSpec]:
    """Selected trials, each with the samples of its baseline before it."""
    trl = selection.trialdefinition
    begin, end = (trl[:, k].astype(np.int64) for k in (0, 1))
    starts = np.column_stack([begin + first, begin]).ravel()
    stops = np.column_stack([begin + first + n_window, end]).ravel()
    index = {data.dimord.index(dim): indices for dim, indices in selection.index.items()}
    source = RunsSource(data.source, data.dimord.index("time"), starts, stops, index)
    spec = input_spec(data, selection)
    lengths = np.cumsum(n_window + end - begin)
    rows = trl.copy()
    rows[:, 0], rows[:, 1] = lengths - (n_window + end - begin), lengths
    return source, replace(spec, trialdefinition=rows)
