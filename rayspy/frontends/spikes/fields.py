"""Front-ends for spikes with fields: averages, spectra and phases at spikes, coherence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_array, check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.selection import SAMPLE_SLACK, Selection, resolve, trial_intervals
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, call_of, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import input_spec, selected
from rayspy.frontends.handling.selectdata import selectdata
from rayspy.frontends.spikes.request import Finished, cells_of, check_spikes, finished
from rayspy.kernels.spikes.coherence import coherency
from rayspy.kernels.spikes.triggered import phase_measures
from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions import Total
from rayspy.methods.spikes.fields import Beside, FieldMethod, Phases, SpikeField, Triggered
from rayspy.planning.plan import Plan, make_plan
from rayspy.progress import message
from rayspy.storage.sources import MemorySource, read_all

Array = NDArray[Any]
MEASURES = ("ppc0", "ppc1", "ppc2", "plv", "ral", "ang")


@dataclass(frozen=True, eq=False)
class Both:
    """Selected signals and the spikes beside them."""

    data: AnalogData
    selection: Selection
    beside: Beside


def both_of(function: str, data: Any, spikes: Any, select: Any, unit: Any) -> Both:
    """Match the trials of signals and spikes."""
    if not isinstance(data, AnalogData):
        raise InvalidTypeError(data, "data", "AnalogData;")
    if data.data is None:
        raise InvalidValueError("object with signals", "data", "empty AnalogData")
    if data.samplerate is None:
        raise InvalidValueError("object with a samplerate", "data", "samplerate None")
    if data.source.dtype.kind == "c":
        raise InvalidValueError("real signals", "data", "complex numbers")
    check_spikes(spikes, "spikes")
    selection = selected(data, select)
    if spikes.selection is not None and unit is not None:
        raise InvalidValueError("no `unit` while spikes have an active selection", "unit", unit)
    chosen = spikes.selection or resolve({} if unit is None else {"unit": unit}, spikes.describe())
    trl = _matching(data, spikes, selection)
    bounds, zero = _bounds(spikes, trl, selection, float(data.samplerate))
    beside = Beside(
        spikes.source, bounds, zero, cells_of(spikes, chosen),
        float(spikes.samplerate), float(data.samplerate),
        selection.trialdefinition[:, 2],
    )  # fmt: skip
    if n := spikes.count_outside():
        message(function, f"{n} of {spikes.source.shape[0]} spikes are in no trial and do not count")
    return Both(data, selection, beside)


def _matching(data: AnalogData, spikes: SpikeData, selection: Selection) -> Array:
    """Trials of the spikes that belong to the selected trials, which have to lie within them."""
    mine, theirs = data.describe().trialdefinition, spikes.describe().trialdefinition
    if len(mine) != len(theirs):
        legal = f"spikes with the {len(mine)} trials of the signals (spikes.definetrial)"
        raise InvalidValueError(legal, "spikes", f"{len(theirs)} trials")
    own = np.asarray(trial_intervals(selection.trialdefinition, data.samplerate))
    trl = theirs[selection.trial_numbers]
    there = np.asarray(trial_intervals(trl, spikes.samplerate))
    slack = 1 / float(data.samplerate or 1) + 1 / float(spikes.samplerate or 1)
    short = (there[:, 0] > own[:, 0] + slack) | (there[:, 1] < own[:, 1] - slack)
    if short.any():
        k = int(np.flatnonzero(short)[0])
        legal = (
            "spikes whose trials cover those of the signals, in samples of the spikes; trial "
            f"{selection.trial_numbers[k]} of the signals spans {own[k, 0]:g} to {own[k, 1]:g} s"
        )
        raise InvalidValueError(legal, "spikes", f"{there[k, 0]:g} to {there[k, 1]:g} s")
    return trl


def _bounds(spikes: SpikeData, trl: Array, selection: Selection, rate: float) -> tuple[Array, Array]:
    """Rows of the spikes within half a sample of the signals' trials, and their samples at time zero."""
    ratio = float(spikes.samplerate or 1) / rate
    own = selection.trialdefinition
    zero = (trl[:, 0] - trl[:, 2]).astype(np.int64)
    first = zero + np.ceil((own[:, 2] - 0.5) * ratio - SAMPLE_SLACK)
    stop = zero + np.ceil((own[:, 2] + own[:, 1] - own[:, 0] - 0.5) * ratio - SAMPLE_SLACK)
    window = np.column_stack([np.maximum(first, trl[:, 0]), np.minimum(stop, trl[:, 1])])
    return spikes.row_bounds(window), zero


def _plan(name: str, both: Both, method: FieldMethod, width: Any, total: bool) -> Plan:
    spec = replace(
        input_spec(both.data, both.selection), variants=np.arange(len(both.selection.trial_numbers))
    )
    reduction = Total() if total else None
    source, index = both.data.source, both.selection.index
    return make_plan(name, method, source, spec, index, reduction, check_chan_per_worker(width))


def _summed(done: Finished) -> tuple[Array, OutputSpec]:
    """Sums over trials, in the order (row, ..., unit, channel)."""
    return read_all(done.sources[""]), done.specs[""]


def _per_pair(done: Finished, values: Array, both: Both, spec: OutputSpec) -> CrossSpectralData:
    """Numbers (freq, unit, channel) as an object with a channel pair of cell and channel."""
    labels = {
        "freq": spec.labels["freq"],
        "channel_i": np.array(both.beside.cells.names),
        "channel_j": np.array(both.selection.labels("channel")),
    }
    dims = ("time", "freq", "channel_i", "channel_j")
    one = np.ones(1, dtype=np.int64)
    made_of = OutputSpec(
        "CrossSpectralData",
        dims,
        values.dtype,
        one,
        np.array([[0.0, 1.0, 0.0]]),
        both.data.samplerate,
        labels,
    )
    source = MemorySource(np.ascontiguousarray(values[np.newaxis]))
    made: CrossSpectralData = done.make(CrossSpectralData, source, made_of)
    return made


@frontend
def spiketriggeredaverage(
    data: AnalogData,
    spikes: Any = None,
    timwin: Any = (-0.1, 0.1),
    unit: Any = None,
    chan_per_worker: int | None = None,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[TimeLockData]:
    """Average of the signals around the spikes of each cell.

    Parameters
    ----------
    data : AnalogData
        Signals; are read once.
    spikes : SpikeData
        With the same trials in samples of their own; may cover more time. Trials
        are matched by number and by time relative to the trigger.
    timwin : [t0, t1]
        Closed window around a spike in seconds, t0 < t1.
    unit : str, int or list, optional
        Units as in `selectdata`; an active selection of `spikes` counts, too.
    chan_per_worker, parallel, select
        As in `freqanalysis`, for the signals.

    Returns
    -------
    TimeLockData
        Lags x pairs ``cell--channel``; `avg`, `var` (divided by the number of spikes)
        and `dof` (number of spikes). Each spike stands at the nearest sample of the
        signals; spikes whose window is not whole within their trial are left out.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or trials do not match; the message names it.

    Notes
    -----
    The window is closed; that of Elephant is half open.
    """
    warn_unused("spiketriggeredaverage", kwargs)
    both = both_of("spiketriggeredaverage", data, spikes, select, unit)
    first, last = _lags(timwin, both)
    method = Triggered(both.beside, -first, last)
    plan = _plan("spiketriggeredaverage", both, method, chan_per_worker, True)
    return Call("spiketriggeredaverage", data, _averages(plan, both, method, first))


def _averages(plan: Plan, both: Both, method: Triggered, first: int) -> Steps[TimeLockData]:
    """Averages and variances of each pair of a cell and a channel."""
    data = both.data
    done = yield from finished(plan, data)
    sums, _ = _summed(done)
    n = sums[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        avg = np.where(n > 0, sums[: method.n_lags] / n, np.nan)
        var = np.where(n > 0, np.maximum(sums[method.n_lags : -1] / n - avg**2, 0.0), np.nan)
    flat = {"avg": avg, "var": var, "dof": np.broadcast_to(n, avg.shape)}
    flat = {name: np.ascontiguousarray(values.reshape(method.n_lags, -1)) for name, values in flat.items()}
    names = [
        f"{cell}--{channel}"
        for cell in both.beside.cells.names
        for channel in both.selection.labels("channel")
    ]
    trl = np.array([[0.0, method.n_lags, float(first)]])
    rows = np.array([method.n_lags])
    spec = OutputSpec(
        "TimeLockData", ("time", "channel"), np.dtype(np.float64), rows, trl, data.samplerate,
        {"channel": np.array(names)},
    )  # fmt: skip
    made: TimeLockData = done.make(TimeLockData, MemorySource(flat["avg"]), spec)
    made.quantity, made.unit = data.quantity, data.unit if isinstance(data.unit, str) else None
    made.attach(flat)
    return made


def _lags(timwin: Any, both: Both) -> tuple[int, int]:
    if not isinstance(timwin, (list, tuple, np.ndarray)):
        raise InvalidTypeError(timwin, "timwin", "[t0, t1] in seconds;")
    limits = as_array(timwin, "timwin")
    if limits.shape != (2,) or limits.dtype.kind not in "iuf" or not np.isfinite(limits).all():
        raise InvalidValueError("[t0, t1] in seconds", "timwin", timwin)
    rate, longest = both.beside.rate, int(both.selection.lengths.max())
    first, last = (
        int(np.ceil(limits[0] * rate - SAMPLE_SLACK)),
        int(np.floor(limits[1] * rate + SAMPLE_SLACK)),
    )
    if not first <= 0 <= last or first == last:
        raise InvalidValueError("t0 <= 0 <= t1 with t0 < t1, at least a sample", "timwin", timwin)
    if last - first + 1 > longest:
        raise InvalidValueError(f"window that fits into a trial ({longest / rate:g} s)", "timwin", timwin)
    return first, last


@frontend
def spiketriggeredspectrum(
    data: AnalogData,
    spikes: Any = None,
    foi: Any = None,
    t_ftimwin: Any = None,
    cycles: float = 5.0,
    taper: str = "hann",
    output: Any = "ppc0",
    unit: Any = None,
    chan_per_worker: int | None = None,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[Any]:
    """Spectrum of the signals around each spike, and how much its phases agree.

    Parameters
    ----------
    data, spikes
        As in `spiketriggeredaverage`.
    foi : list or ndarray of float
        Frequencies in Hz.
    t_ftimwin : float or list of float, optional
        Length of the window around a spike in seconds, one or one per frequency.
    cycles : float
        Without `t_ftimwin`: length of each window in cycles of its frequency.
    taper : {'hann', 'boxcar', 'gauss'}
        Window.
    output : str or list of str
        'ppc0', 'ppc1', 'ppc2', 'plv', 'ral' (p-value of Rayleigh's test), 'ang' (mean
        phase), in one pass and without keeping anything per spike; or 'fourier': the
        complex amplitude at each spike.
    unit, chan_per_worker, parallel, select
        As in `spiketriggeredaverage`.

    Returns
    -------
    CrossSpectralData, dict of str to CrossSpectralData, or SpectralData
        Measures: 1 x freq x cells x channels, float64, one object or, for a list, one per
        name; ``info["n_spikes"]`` is the largest number of spikes of each cell that
        count. 'fourier': spikes x 1 x freq x channels, complex64, with a row for each
        spike of a trial in the order of time, NaN where its window is not whole;
        ``info["cell"]`` names the cell of each row, ``info["spiketime"]`` is its time.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or trials do not match; the message names it.

    Notes
    -----
    Phase 0 is the peak of the signal. Windows lie whole within the trial, whose mean is
    subtracted. A spike between two samples of the signals has its phase turned on
    by the time in between.

    With N spikes and U the sum of their unit vectors z / abs(z), of trial t U_t and N_t:
    ppc0 = (abs(U)^2 - N) / (N (N - 1)), Vinck, M. et al. (2010), NeuroImage 51, 112-122;
    ppc1 = (abs(U)^2 - sum abs(U_t)^2) / (N^2 - sum N_t^2), pairs of spikes of different trials,
    which bursts and fluctuations of rate within trials do not enlarge; ppc2: the same of
    U_t / N_t, each trial with the same weight, Vinck, M. et al. (2012), Journal of
    Computational Neuroscience 33, 53-75. plv = abs(U) / N depends on the number of spikes.
    """
    warn_unused("spiketriggeredspectrum", kwargs)
    wanted = _wanted(output)
    check_choice(taper, "taper", ("hann", "boxcar", "gauss"))
    both = both_of("spiketriggeredspectrum", data, spikes, select, unit)
    freq, n_samples = _windows(foi, t_ftimwin, cycles, both)
    if wanted == ["fourier"]:
        windows = freq, n_samples, taper
        steps: Steps[Any] = _each_spike(data, spikes, unit, select, chan_per_worker, windows)
    else:
        method = Phases(both.beside, freq, n_samples, taper)
        plan = _plan("spiketriggeredspectrum", both, method, chan_per_worker, True)
        steps = _phases(plan, both, output)
    return Call("spiketriggeredspectrum", data, steps)


def _phases(plan: Plan, both: Both, output: Any) -> Steps[Any]:
    """All measures that are wanted, from the same sums."""
    done = yield from finished(plan, both.data, output)
    sums, spec = _summed(done)
    measures = phase_measures(sums)
    most = measures["n"].max(axis=(0, 2)).astype(int).tolist()
    found = {}
    for name in _wanted(output):
        found[name] = _per_pair(done, measures[name], both, spec)
        found[name].info["n_spikes"] = most
    return found if isinstance(output, (list, tuple)) else found[output]


def _wanted(output: Any) -> list[str]:
    names = list(output) if isinstance(output, (list, tuple)) else [output]
    if not names:
        raise InvalidValueError("at least one name", "output", output)
    for name in names:
        check_choice(name, "output", (*MEASURES, "fourier"))
        if name == "fourier" and len(names) > 1:
            raise InvalidValueError("'fourier' by itself", "output", output)
    return names


def _windows(foi: Any, t_ftimwin: Any, cycles: Any, both: Both) -> tuple[Array, Array]:
    """Frequencies, and odd lengths of their windows in samples."""
    rate = both.beside.rate
    if foi is None:
        raise InvalidValueError("frequencies in Hz", "foi", foi)
    freq = check_array([foi] if isinstance(foi, (int, float)) else foi, "foi", 0, rate / 2)
    if (freq <= 0).any():
        raise InvalidValueError("frequencies above 0 Hz", "foi", 0)
    if t_ftimwin is None:
        n_cycles = check_scalar(cycles, "cycles")
        if n_cycles <= 0:
            raise InvalidValueError("number above 0", "cycles", cycles)
        seconds = n_cycles / freq
    else:
        given = [t_ftimwin] * len(freq) if isinstance(t_ftimwin, (int, float)) else t_ftimwin
        seconds = check_array(given, "t_ftimwin", length=len(freq))
    n_samples = 2 * np.rint((seconds * rate - 1) / 2).astype(np.int64) + 1
    name = "cycles" if t_ftimwin is None else "t_ftimwin"
    longest = int(both.selection.lengths.max())
    if (n_samples < 3).any():
        raise InvalidValueError(f"windows of at least 3 samples ({3 / rate:g} s)", name, settings_of(seconds))
    if (n_samples > longest).any():
        legal = f"windows that fit into a trial ({longest / rate:g} s)"
        raise InvalidValueError(legal, name, settings_of(seconds))
    return freq, n_samples


def settings_of(seconds: Array) -> str:
    """Shortest and longest window, for messages."""
    return f"{seconds.min():g} to {seconds.max():g} s"


def _each_spike(
    data: AnalogData, spikes: SpikeData, unit: Any, select: Any, width: Any,
    windows: tuple[Array, Array, str],
) -> Steps[SpectralData]:  # fmt: skip
    """Complex amplitudes at single spikes, of a table that has only those that are wanted."""
    name = "spiketriggeredspectrum"
    if unit is not None:
        spikes = yield from call_of(selectdata, (spikes,), {"unit": unit})[0].steps
    elif spikes.selection is not None:
        raise InvalidValueError("`unit`, for output='fourier'", "spikes", "active selection")
    both = both_of(name, data, spikes, select, None)
    if (both.beside.bounds[:, 0] == both.beside.bounds[:, 1]).any():
        k = int(np.flatnonzero(both.beside.bounds[:, 0] == both.beside.bounds[:, 1])[0])
        legal = "trials with spikes, for output='fourier'"
        raise InvalidValueError(legal, "select", f"trial {both.selection.trial_numbers[k]} without")
    method = Phases(both.beside, *windows, each=True)
    done = yield from finished(_plan(name, both, method, width, False), data, "fourier")
    made: SpectralData = done.make(SpectralData, done.sources[""], done.specs[""])
    cells, times = [], []
    for k, length in enumerate(both.selection.lengths.astype(int).tolist()):
        at, late, own = both.beside.read(k, length)
        cells += [both.beside.cells.names[cell] for cell in own.tolist()]
        times += ((at + both.beside.offsets[k]) / both.beside.rate + late).tolist()
    made.info.update({"cell": cells, "spiketime": times})
    return made


@frontend
def spikefieldcoherence(
    data: AnalogData,
    spikes: Any = None,
    foilim: Any = None,
    taper: str = "dpss",
    tapsmofrq: float | None = None,
    nTaper: int | None = None,
    output: str = "abs",
    rate: float | None = None,
    unit: Any = None,
    chan_per_worker: int | None = None,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[CrossSpectralData]:
    """Multitaper coherence of spikes and signals over trials.

    Parameters
    ----------
    data, spikes
        As in `spiketriggeredaverage`. Spikes are counted per sample of the signals.
    foilim : [f0, f1], optional
        Closed band in Hz.
    taper : {'dpss', 'hann', 'hamming', 'boxcar'}
        Window; symmetric.
    tapsmofrq : float, optional
        Half bandwidth of Slepian tapers in Hz; left out, 2 over the length of the longest trial.
    nTaper : int, optional
        Number of Slepian tapers, ``int(2 NW - 1)`` if left out.
    output : {'abs', 'pow', 'complex', 'angle', 'real', 'imag'}
        Form of the coherency; 'pow' is what SciPy, Elephant and Chronux square.
    rate : float, optional
        Spikes per second that coherences are brought to, so that cells of different
        rates can be compared.
    unit, chan_per_worker, parallel, select
        As in `spiketriggeredaverage`.

    Returns
    -------
    CrossSpectralData
        1 x freq x cells x channels; shorter trials are padded with zeros to the longest
        one. NaN for cells without spikes. The angle is that of the signal relative to
        the spikes: below 0 if the signal follows the spikes.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or trials do not match; the message names it.

    Notes
    -----
    S_xn = <Z_x conj(Z_n)>, averaged over tapers, then over trials; the mean of signals
    and counts is subtracted in each trial (Jarvis, M. R. & Mitra, P. P. (2001), Neural
    Computation 13, 717-749). `rate`: Aoi, M. C. et al. (2015), Journal of Neuroscience
    Methods 240, 141-153.
    """
    warn_unused("spikefieldcoherence", kwargs)
    check_choice(taper, "taper", ("dpss", "hann", "hamming", "boxcar"))
    check_choice(output, "output", tuple(FORMS))
    wanted = None if rate is None else check_scalar(rate, "rate")
    if wanted is not None and wanted <= 0:
        raise InvalidValueError("rate above 0 spikes per second", "rate", rate)
    both = both_of("spikefieldcoherence", data, spikes, select, unit)
    method = _spike_field(both, foilim, taper, tapsmofrq, nTaper)
    plan = _plan("spikefieldcoherence", both, method, chan_per_worker, True)
    per_sample = None if wanted is None else wanted / both.beside.rate
    return Call("spikefieldcoherence", data, _coherences(plan, both, output, per_sample))


def _coherences(plan: Plan, both: Both, output: str, per_sample: float | None) -> Steps[CrossSpectralData]:
    done = yield from finished(plan, both.data, output)
    sums, spec = _summed(done)
    return _per_pair(done, FORMS[output](coherency(sums, per_sample)), both, spec)


FORMS: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "pow": lambda c: np.abs(c) ** 2,
    "complex": lambda c: c,
    "angle": np.angle,
    "real": np.real,
    "imag": np.imag,
}


def _spike_field(both: Both, foilim: Any, taper: str, tapsmofrq: Any, n_tapers: Any) -> SpikeField:
    rate, lengths = both.beside.rate, both.selection.lengths
    n_fft, shortest = int(lengths.max()), int(lengths.min())
    freq = np.arange(n_fft // 2 + 1) * rate / n_fft
    low, high = (0.0, rate / 2) if foilim is None else check_array(foilim, "foilim", 0, rate / 2)[:2]
    if foilim is not None and (len(foilim) != 2 or low >= high):
        raise InvalidValueError("[f0, f1] with f0 < f1", "foilim", foilim)
    bins = np.flatnonzero((freq >= low - 1e-9 * rate) & (freq <= high + 1e-9 * rate))
    if not bins.size:
        raise InvalidValueError(
            f"band with at least one of the bins every {rate / n_fft:g} Hz", "foilim", foilim
        )
    smoothing, number = 0.0, 1
    if taper == "dpss":
        smoothing = 2 * rate / n_fft if tapsmofrq is None else check_scalar(tapsmofrq, "tapsmofrq")
        least, most = rate / shortest, rate / 2
        if not least * (1 - 1e-9) <= smoothing < most:
            raise InvalidValueError(
                f"from {least:g} Hz (1 over the shortest trial) to {most:g} Hz", "tapsmofrq", tapsmofrq
            )
        number = max(1, int(2 * smoothing * shortest / rate - 1 + 1e-9))
        if n_tapers is not None:
            number = check_integer(n_tapers, "nTaper", 1, max(1, int(2 * smoothing * shortest / rate)))
    elif tapsmofrq is not None or n_tapers is not None:
        raise InvalidValueError("taper='dpss', for tapsmofrq and nTaper", "taper", taper)
    return SpikeField(both.beside, n_fft, int(bins[0]), int(bins[-1]) + 1, taper, smoothing, number)
