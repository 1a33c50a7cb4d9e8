"""Front-end `crossfrequencyanalysis`: phase-amplitude coupling with surrogates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_bool, check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.coupling import CouplingData
from rayspy.data.selection import Selection
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import warn_unused
from rayspy.frontends.compute import input_spec, selected
from rayspy.frontends.connectivity.wanted import check_pairs
from rayspy.frontends.pointwise import stack_of
from rayspy.frontends.spectral.checks import check_input, check_polyremoval
from rayspy.kernels.connectivity.coupling import MEASURES, OUTCOMES
from rayspy.kernels.spectral.wavelets import sampled_wavelet
from rayspy.methods.connectivity.coupling import Coupling
from rayspy.methods.connectivity.entries import Entries, listed
from rayspy.methods.reductions.coupling import PooledCoupling
from rayspy.methods.spectral.timepoints import TimePoints
from rayspy.methods.spectral.wavelet import Wavelet
from rayspy.planning.partition import even_edges
from rayspy.planning.plan import make_plan
from rayspy.progress import warn
from rayspy.storage.sources import read_all

Array = NDArray[Any]

SURROGATES = ("timeshift", "trialshuffle")
_STATE_BYTES = 2**25
"""Sums of so many pairs of channels are made in one pass."""
_REACH = np.sqrt(2)
"""e-folding time of Morlet's wavelet in scales (Torrence & Compo 1998, table 1)."""
_NARROW = 0.5
"""A filter that leaves less than this of the sidebands cannot show a modulation."""


@frontend
def crossfrequencyanalysis(
    data: AnalogData,
    foi_phase: Any = None,
    foi_amplitude: Any = None,
    method: str = "tort",
    channelcmb: Any = None,
    surrogates: str = "timeshift",
    n_surrogates: int = 200,
    seed: int = 0,
    keeptrials: bool = False,
    n_bins: int = 18,
    width_phase: float = 6.0,
    width_amplitude: float = 6.0,
    edges: str = "drop",
    minshift: float | None = None,
    shuffle_within: int | None = 20,
    polyremoval: int | None = 0,
    parallel: bool | None = None,
    select: Any = None,
    **kwargs: Any,
) -> Call[CouplingData]:
    """Phase-amplitude coupling: amplitudes of fast signals at phases of slow ones.

    Observations are the times of all trials together; with ``keeptrials=True`` the
    times of each trial by itself.

    Parameters
    ----------
    data : AnalogData
        Real signals in trials of equal length; long recordings can be cut with `redefinetrial`.
    foi_phase, foi_amplitude : list of float
        Frequencies in Hz of Morlet wavelets. Every amplitude frequency has to be higher
        than every phase frequency. Amplitudes are those of the signal: a sinusoid of
        amplitude 1 has 1.
    method : {'tort', 'mvl', 'plv'}
        'tort': modulation index, the Kullback-Leibler distance between the distribution of
        the mean amplitude over `n_bins` bins of phase and a uniform one, over its largest
        value log(n_bins): 0 to 1 [1]_. 'mvl': length of the mean over time of
        amplitude x exp(i phase), in the unit of the signal; grows with the amplitude, so
        compare z values [2]_. 'plv': length of the mean of exp(i (phase - phase of the
        amplitude)), the amplitude filtered at the phase frequency, too: 0 to 1 [3]_.
    channelcmb : None, list
        None: within each channel. ``[phase channels, amplitude channels]``: each of the
        first with each of the second. List of tuples (phase, amplitude), or labels ``a--b``.
    surrogates : {'timeshift', 'trialshuffle'}
        'timeshift': the amplitudes of each trial are shifted in time, in a circle, by a
        random number of samples. What is locked to an event in both stays together in
        'trialshuffle' only: amplitudes are those of other trials, in random order, so that
        coupling beyond what events evoke is tested.
    n_surrogates : int
        How many; 0: none, no z and p values. The smallest p value is 1 / (1 + n_surrogates).
    seed : int
        Surrogate k depends on `seed` and k alone: more surrogates are the same ones and others.
    keeptrials : bool
        Results of every trial.
    n_bins : int
        Bins of phase for 'tort'.
    width_phase, width_amplitude : float
        Parameters w0 of the wavelets, about the number of cycles. Amplitudes
        change at most with about foi_amplitude / width_amplitude Hz.
    edges : {'drop', 'keep'}
        'drop': times at both ends of trials, where the longest wavelet reaches beyond by
        more than its e-folding time, do not count. 'keep': all times count.
    minshift : float, optional
        For 'timeshift': smallest shift in seconds, of both signs; a cycle of the lowest
        phase frequency if left out, at most a quarter of the time that counts.
    shuffle_within : int or None
        For 'trialshuffle': amplitudes are exchanged within runs of about so many
        consecutive trials (of the selection), which bounds memory and leaves
        slow drifts in place; such exchanges are a group, so p values stay exact. None: all trials.
    polyremoval : {None, 0, 1}
        Mean (0) or straight line (1) is subtracted from each trial before.
    parallel, select
        As in `freqanalysis`.
    **kwargs
        Unknown options are reported with a warning. A dictionary of settings may
        be given as `cfg`.

    Returns
    -------
    CouplingData
        (freq_phase, freq_amplitude, channelcmb), with trials before them if they are kept:
        `value`, preferred `phase`, `surrogate_mean`, `surrogate_std`, `z`, `prob`.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; nothing was computed.

    Notes
    -----
    All three are above 0 without coupling, the more so the fewer cycles there are: compare
    with surrogates, or between conditions with as many trials. p values are of each
    pair of frequencies by itself.

    References
    ----------
    .. [1] Tort, A. B. L. et al. (2010), Journal of Neurophysiology 104, 1195-1210.
    .. [2] Canolty, R. T. et al. (2006), Science 313, 1626-1628.
    .. [3] Mormann, F. et al. (2005), Hippocampus 15, 890-900; Penny, W. D. et al. (2008),
       Journal of Neuroscience Methods 174, 50-61, section 2.2.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=4, nSamples=1000, nChannels=1, seed=1)
    >>> found = spy.crossfrequencyanalysis(data, foi_phase=[10, 20], foi_amplitude=[100, 150], n_surrogates=9)
    >>> found.value.shape
    (2, 2, 1)
    """
    given = {name: value for name, value in locals().items() if name not in ("data", "parallel", "kwargs")}
    warn_unused("crossfrequencyanalysis", kwargs)
    check_input(data)
    selection = selected(data, select)
    entries = _pairs(channelcmb, selection.labels("channel"))
    coupling = _method(data, selection, given)
    job = Job(data, selection, coupling, _runs(len(selection.lengths), given))
    return Call("crossfrequencyanalysis", data, _steps(job, entries, given))


def _steps(job: Job, pairs: Array, given: Mapping[str, Any]) -> Steps[CouplingData]:
    """One pass over the data for as many pairs as there is memory for."""
    every = []
    for part in _parts(job.coupling, pairs):
        every.append((yield from job.results(part)))
    found = {name: np.concatenate([part[name] for part in every], axis=-1) for name in every[0]}
    made = _result(found, job, pairs, given)
    _warn_of_nothing(made)
    return made


# -- parameters ------------------------------------------------------------------------------


def _pairs(channelcmb: Any, channel: Array) -> Array:
    """Channels of the phase and of the amplitude, (pair, 2)."""
    if channelcmb is None:
        every = np.arange(len(channel))
        return np.column_stack([every, every])
    entries: Entries = check_pairs(channelcmb, channel)
    return np.column_stack([entries.i, entries.j])


def _method(data: AnalogData, selection: Selection, given: Mapping[str, Any]) -> Coupling:
    """Check and resolve all parameters but the pairs of channels."""
    rate, length = float(data.samplerate or 0), _length(selection)
    check_choice(given["method"], "method", MEASURES)
    check_choice(given["surrogates"], "surrogates", SURROGATES)
    keep = check_bool(given["keeptrials"], "keeptrials")
    low, high = _frequencies(given, rate)
    polyremoval = check_polyremoval(given["polyremoval"])
    widths = [check_scalar(given[name], name, 1) for name in ("width_phase", "width_amplitude")]
    phases = Wavelet(rate, TimePoints(), low, "fourier", polyremoval, parameter=widths[0])
    amplitudes = Wavelet(rate, TimePoints(), high, "abs", polyremoval, parameter=widths[1])
    margin = _margin(phases, amplitudes, given, length)
    _warn_of_narrow(amplitudes, low)
    return Coupling(
        phases=phases,
        amplitudes=amplitudes,
        gains=tuple(float(abs(_response(amplitudes, k, f))) / 2 for k, f in enumerate(high)),
        measure=given["method"],
        pairs=(),
        length=length,
        margin=margin,
        n_bins=check_integer(given["n_bins"], "n_bins", 3, 360),
        surrogates=given["surrogates"],
        draws=check_integer(given["n_surrogates"], "n_surrogates", 0, 10**6),
        seed=check_integer(given["seed"], "seed", 0),
        minshift=_minshift(given, rate, length - 2 * margin, min(low)),
        keep=keep,
    )


def _length(selection: Selection) -> int:
    shortest, longest = int(selection.lengths.min()), int(selection.lengths.max())
    if shortest != longest:
        raise InvalidValueError(
            "trials of equal length (`redefinetrial` makes them)",
            "data",
            f"trials of {shortest} to {longest} samples",
        )
    return shortest


def _frequencies(given: Mapping[str, Any], rate: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    found = []
    for name in ("foi_phase", "foi_amplitude"):
        if given[name] is None:
            raise InvalidValueError("list of frequencies in Hz", name, "None")
        freqs = check_array(given[name], name, 0, rate / 2)
        if freqs.min() <= 0 or len(np.unique(freqs)) < len(freqs):
            raise InvalidValueError("frequencies above 0 Hz, each once", name, given[name])
        found.append(tuple(freqs.tolist()))
    low, high = found
    if min(high) <= max(low):
        raise InvalidValueError(
            f"frequencies above {max(low):g} Hz, those of the phase", "foi_amplitude", min(high)
        )
    return low, high


def _margin(phases: Wavelet, amplitudes: Wavelet, given: Mapping[str, Any], length: int) -> int:
    """Samples at both ends that do not count."""
    rate, cycle = phases.samplerate, 1 / min(phases.foi)
    margin = 0
    if check_choice(given["edges"], "edges", ("drop", "keep")) == "drop":
        each = [float(_REACH * some.scales.max()) * rate for some in (phases, amplitudes)]
        margin = int(np.ceil(sum(each) if given["method"] == "plv" else max(each)))
    if length - 2 * margin < cycle * rate:
        hint = " or edges='keep'" if margin else ""
        needed = 2 * margin / rate + cycle
        raise InvalidValueError(
            f"a cycle of every frequency besides the ends of trials: trials of {needed:.3g} s, "
            f"higher frequencies{hint}",
            "foi_phase",
            f"{min(phases.foi):g} Hz in trials of {length / rate:g} s",
        )
    return margin


def _response(filters: Wavelet, k: int, freq: float) -> complex:
    """What filter number k makes of a complex exponential."""
    duration = int(np.ceil(filters.durations()[k])) + 1
    taps, first = sampled_wavelet(
        filters.family, filters.parameter, float(filters.scales[k]), filters.samplerate, duration
    )
    turns = np.exp(-2j * np.pi * freq / filters.samplerate * (first + np.arange(len(taps))))
    return complex((taps * turns).sum())


def _warn_of_narrow(amplitudes: Wavelet, low: tuple[float, ...]) -> None:
    """Say which amplitudes cannot follow the slow signals: their filters take away the sidebands."""
    fastest = max(low)
    narrow = [
        f for k, f in enumerate(amplitudes.foi)
        if abs(_response(amplitudes, k, f + fastest)) < _NARROW * abs(_response(amplitudes, k, f))
    ]  # fmt: skip
    if narrow:
        shown = ", ".join(f"{f:g}" for f in narrow[:6]) + (" ..." if len(narrow) > 6 else "")
        warn(
            "crossfrequencyanalysis",
            f"filters at {shown} Hz are too narrow to show amplitudes that change at {fastest:g} Hz: "
            f"lower `width_amplitude` ({amplitudes.parameter:g})",
        )


def _minshift(given: Mapping[str, Any], rate: float, n_times: int, lowest: float) -> int:
    most = n_times / 2 / rate
    if given["minshift"] is None:
        return max(1, int(min(rate / lowest, n_times / 4)))
    seconds = check_scalar(given["minshift"], "minshift", 0)
    if seconds > most:
        raise InvalidValueError(f"at most half of the time that counts, {most:g} s", "minshift", seconds)
    return max(1, min(round(seconds * rate), n_times // 2))


def _runs(n_trials: int, given: Mapping[str, Any]) -> list[int]:
    """Edges of runs of trials that exchange their amplitudes; single trials for shifts."""
    within = given["shuffle_within"]
    if within is not None:
        within = check_integer(within, "shuffle_within", 2)
    if given["surrogates"] == "timeshift" or given["n_surrogates"] == 0:
        return list(range(n_trials + 1))
    if n_trials < 2:
        raise InvalidValueError("'timeshift': there is one trial", "surrogates", given["surrogates"])
    return even_edges(n_trials, max(1, n_trials // (within or n_trials)))


# -- runs ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Job:
    """What is computed, for any pairs of channels."""

    data: AnalogData
    selection: Selection
    coupling: Coupling
    runs: list[int]

    def results(self, pairs: Array) -> Steps[dict[str, Array]]:
        """Results of some pairs, (row, frequencies, pair)."""
        channels, places = np.unique(pairs, return_inverse=True)
        local = [(int(i), int(j)) for i, j in places.reshape(pairs.shape)]
        method = replace(self.coupling, pairs=tuple(local))
        stack = stack_of(self.data, self.selection)
        edges = np.array(self.runs, np.float64) * method.length
        trl = np.column_stack([edges[:-1], edges[1:], np.zeros(len(edges) - 1)])
        spec = replace(
            input_spec(self.data, self.selection),
            trialdefinition=trl,
            labels={**stack.labels, "channel": stack.labels["channel"][channels]},
            variants=np.arange(len(trl)),
            trial_ids=None,
        )
        reduction = None if method.keep else PooledCoupling(method, self.runs[-1])
        done = yield make_plan(
            "crossfrequencyanalysis", method, stack.source, spec, {"channel": channels}, reduction
        )
        found = {name: read_all(source) for name, source in done.sources.items()}
        if method.keep:
            return {name: found[""][:, k] for k, name in enumerate(OUTCOMES)}
        return found


def _parts(coupling: Coupling, pairs: Array) -> Iterator[Array]:
    """Pairs whose sums are made in one pass."""
    at_once = max(1, _STATE_BYTES // (8 * int(np.prod(coupling.shape))))
    return (pairs[k : k + at_once] for k in range(0, len(pairs), at_once))


# -- results ---------------------------------------------------------------------------------


def _turned(phase: Array, method: Coupling) -> Array:
    """Preferred phases less what filters add, whose middle may lie between two samples.

    Sidebands at f - g and f + g turn by angles whose half difference is that of the envelope.
    """
    low, high = method.phases, method.amplitudes
    turn = np.empty((len(low.foi), len(high.foi)))
    for p, g in enumerate(low.foi):
        own = 0.0 if method.measure == "plv" else np.angle(_response(low, p, g))
        for a, f in enumerate(high.foi):
            sides = _response(high, a, f + g) * np.conj(_response(high, a, f - g))
            turn[p, a] = own - np.angle(sides) / 2
    turned = np.exp(1j * (phase - turn[:, :, np.newaxis]))
    return np.asarray(np.angle(turned))


def _unit(job: Job) -> str | None:
    """Unit of the channels, if they have one in common."""
    unit = job.data.unit_of(job.selection.index.get("channel"))
    return unit if isinstance(unit, str) else None


def _result(found: dict[str, Array], job: Job, pairs: Array, settings: Mapping[str, Any]) -> CouplingData:
    method, channel = job.coupling, job.selection.labels("channel")
    shape: tuple[int, ...] = (len(method.phases.foi), len(method.amplitudes.foi), len(pairs))
    coords: dict[str, Array] = {
        "freq_phase": np.array(method.phases.foi),
        "freq_amplitude": np.array(method.amplitudes.foi),
        "channelcmb": listed(pairs, channel).labels["channelcmb"],
    }
    if method.keep:
        ids = job.selection.trial_ids
        trials = np.arange(job.runs[-1]) if ids is None else np.array(ids)
        coords, shape = {"trial": trials, **coords}, (len(trials), *shape)
    shares = found.pop("shares", None)
    told = {name: value for name, value in settings.items() if name not in ("channelcmb", "select")}
    arrays = {name: np.ascontiguousarray(array.reshape(shape)) for name, array in found.items()}
    return CouplingData(
        dimord=tuple(coords),
        coords=coords,
        value=arrays["value"],
        phase=_turned(arrays["phase"], method),
        surrogate_mean=arrays["mean"],
        surrogate_std=arrays["std"],
        prob=arrays["prob"],
        settings={**told, "n_trials": job.runs[-1], "n_times": method.n_times, "unit": _unit(job)},
        shares=None if shares is None else shares.reshape(method.n_bins, *shape),
        cfg={},
    )


def _warn_of_nothing(made: CouplingData) -> None:
    """Name pairs without a number."""
    missing = np.isnan(made.value).any(axis=tuple(range(made.value.ndim - 1)))
    if missing.any():
        names = [str(name) for name in made.channelcmb[missing]]
        shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
        warn(
            "crossfrequencyanalysis",
            f"NaN for {shown}: NaN in the data, channels without a signal, or bins of phase without times "
            "(fewer `n_bins`, more data)",
        )
