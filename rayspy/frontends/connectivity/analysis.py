"""Front-end `connectivityanalysis`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_bool, check_choice, is_set
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.selection import Selection
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import check_chan_per_worker, warn_unused
from rayspy.frontends.compute import input_spec, objects_of, selected
from rayspy.frontends.connectivity.choices import (
    FACTORED,
    GROUPED,
    METHODS,
    OUTPUTS,
    PAIRS,
    SPECTRAL,
    Choice,
    estimator_of,
)
from rayspy.frontends.connectivity.envelopes import ENVELOPES, envelope_correlations
from rayspy.frontends.connectivity.spectra import (
    Spectra,
    check_data,
    for_pairs,
    padded_spectra,
    spectra_of,
    unused_of,
)
from rayspy.frontends.connectivity.wanted import check_bands, check_groups, check_pairs, check_ranks
from rayspy.frontends.missing import check_nan
from rayspy.kernels.connectivity.wilson import ENOUGH
from rayspy.methods.connectivity.entries import Entries
from rayspy.methods.connectivity.estimators import Correlation, Estimator
from rayspy.methods.connectivity.trials import TrialPairs
from rayspy.methods.reductions.pairs import N_OBSERVATIONS, TOTALS, LeaveOneOut, PairSums
from rayspy.planning.plan import make_plan
from rayspy.progress import warn
from rayspy.storage.sources import read_all

Result = CrossSpectralData | dict[str, CrossSpectralData]
_NAME = "connectivityanalysis"
_SINGLE_TRIALS = ("csd", "corr")
_COMPLEX = ("coh", "pcoh")


@frontend
def connectivityanalysis(
    data: AnalogData | SpectralData,
    method: str | list[str] = "coh",
    keeptrials: bool = False,
    output: str = "abs",
    foi: Any = None,
    foilim: Any = None,
    pad: str | float = "maxperlen",
    channelcmb: Any = None,
    polyremoval: int | None = 0,
    tapsmofrq: float | None = None,
    nTaper: int | None = None,
    taper: str | None = "hann",
    taper_opt: dict[str, Any] | None = None,
    jackknife: bool = False,
    groups: dict[str, Any] | None = None,
    rank: Any = None,
    bands: dict[str, Any] | None = None,
    observations: str = "trials",
    segments: Any = None,
    lags: str | None = None,
    freq: Any = None,
    pairwise: bool = False,
    conditional: bool = False,
    timereversed: bool = False,
    nan: str = "propagate",
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
) -> Call[Result]:
    r"""Measures of how channels belong together: coherence, phase locking, Granger causality ...

    Over trials, not over time: every number compares the same frequency (and, for
    time-frequency spectra, the same time) of many trials, or of many `segments` of
    a long one; only 'corr' and 'powcorr' look along time within trials. All measures
    of a list of methods come from one pass over the data; nothing per trial is stored.

    Parameters
    ----------
    data : AnalogData or SpectralData
        Signals with a samplerate, which go through `freqanalysis` with method
        'mtmfft', or complex spectra ``freqanalysis(output="fourier", keeptapers=True)``,
        also resolved in time.
    method : str or list of str
        What to compute; a list gives a dictionary of results from one read. See Notes.
        Measures of cross spectra alone (coh, csd, granger ...) may differ in the seventh
        digit beside others, since their sums are made faster.
    keeptrials : bool
        'csd' and 'corr': results of single trials. All others are measures over trials.
    output : str
        'coh' and 'pcoh': 'abs', 'pow' (squared magnitude), 'complex' or 'fourier',
        'angle' (rad), 'real', 'imag'.
    foi, foilim, pad, polyremoval, tapsmofrq, nTaper, taper, taper_opt
        As in `freqanalysis`, for signals. Directed measures need all frequencies to
        be factorised; those of `foi` or `foilim` are selected afterwards.
    channelcmb : list, optional
        ``[senders, receivers]``, two lists of channels: every sender with every
        receiver; or a list of tuples, or of labels ``a--b``: these pairs, the result
        has dimensions (time, freq, channelcmb). Only wanted pairs are computed.
        Granger causality then comes from each pair by itself.
    jackknife : bool
        Leave out each observation in turn, in a second pass: the result has
        `jack_bias`, `jack_var` (T times the variance, as in Syncopy) and `jack_se`.
    groups : dict of str to list, optional
        Groups of channels for 'mic', 'mim', 'cacoh' and for Granger causality
        between groups: ``{"V1": [...], "V4": [...]}``; one number per pair of groups.
    rank : int or dict of str to int, optional
        'mic', 'mim', 'cacoh': reduce groups to their strongest components, needed
        where channels depend on each other. Default: all channels.
    bands : dict of str to [low, high], optional
        Closed frequency intervals in Hz: for 'psi', and to average any other
        measure over. The frequencies of the result are the middles of the bands.
    observations : {'trials', 'tapers'}
        'trials': the cross spectrum of a trial is averaged over tapers and counts
        once (Syncopy, MNE). 'tapers': every taper of every trial counts (FieldTrip,
        spectral_connectivity). The same for 'csd', 'coh' and what is made of them.
    segments : float or [seconds, overlap], optional
        Cut trials into segments of this length, overlapping by a share from 0 to
        less than 1, each of which counts as a trial.
    lags : 'all', optional
        'corr': lags of both signs; default: 0 to half of the trial.
    freq : [low, high], optional
        'powcorr' and 'powcorr_ortho' of signals: band in Hz of a Butterworth filter, as
        in `preprocessing`.
    pairwise : bool
        'granger': factorise each pair by itself instead of all channels together.
    conditional : bool
        'granger': of each pair given all other channels.
    timereversed : bool
        'granger': of the reversed time; a check, true directions turn round.
    nan : {'propagate', 'omit'}
        'omit': each pair goes without the trials in which one of its channels has NaN; for
        measures of pairs from 'csd' to 'psi'. ``info["n_observations"]`` has how many are left.
    parallel, select
        As in `freqanalysis`.
    chan_per_worker : int, optional
        For compatibility, without effect: pairs need all channels. A dictionary of
        settings may be given as `cfg`.

    Returns
    -------
    CrossSpectralData or dict of str to CrossSpectralData
        Dimensions (time, freq, channel_i, channel_j), float32, complex64 for 'csd'
        and complex outputs. ``info`` has n_trials and n_observations, for
        factorised measures `converged` and the largest relative error, also per pair.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used, or channels are dead or depend on each other
        and the measure needs independent ones; the message names them.
    MemoryBudgetError, ScratchSpaceError
        The computation would not fit; nothing was computed.

    Notes
    -----
    c is the cross spectrum X_i conj(X_j) of one observation, S its mean over n
    observations, C = S_ij / sqrt(S_ii S_jj). Im > 0 and positive angles: i leads j.
    Entry [i, j] of directed measures goes from i to j.

    =============  ===================================================  ========  =========
    method         estimator                                            diagonal  range
    =============  ===================================================  ========  =========
    csd            S_ij                                                 power
    coh            \|C\| and other parts; bias about 1/n of its square  1         0 to 1
    pcoh           coherency given all other channels [1]_              1         0 to 1
    plv            \|mean of c/\|c\|\|; bias about 1/n of its square [2]_     1         0 to 1
    ciplv          \|Im\| / sqrt(1 - Re^2) of that mean [3]_            0         0 to 1
    ppc            unbiased square of plv [4]_                          1         -1/(n-1) to 1
    pli            \|mean sign of Im c\| [5]_                           0         0 to 1
    pli_debiased   unbiased square of pli [6]_                          0         -1/(n-1) to 1
    dpli           mean of H(Im c), above 1/2: i leads j [7]_           0.5       0 to 1
    wpli           \|sum Im c\| / sum \|Im c\| [6]_                     0         0 to 1
    wpli_debiased  debiased square of wpli [6]_                         0         up to 1
    psi            Im sum conj(C(f)) C(f+df) over a band [8]_           0
    mic, mim       maximised imaginary coherency, its sum [9]_          0
    cacoh          canonical coherency, real projections [10]_          1         0 to 1
    granger        ln of total over intrinsic power [11]_               0         from 0
    dtf            \|H_ji\|^2 / sum_k \|H_jk\|^2 [12]_                               0 to 1
    pdc, gpdc      \|A_ji\|^2 / sum_k \|A_ki\|^2 [13]_                               0 to 1
    ddtf           full-frequency dtf times squared pcoh [14]_                    0 to 1
    corr           Pearson's, x_i(t + lag) x_j(t): maximum at positive  1         -1 to 1
                   lag where j leads
    powcorr        Pearson's of envelopes over time, mean over trials   1         -1 to 1
    powcorr_ortho  the same of parts at right angles, mean of both      0         -1 to 1
                   directions, no absolute values [15]_
    =============  ===================================================  ========  =========

    Directed measures come from factors S = H Sigma H^* (Wilson 1972), A = H^-1, of
    all channels together (`pairwise=True`: 'granger' of each pair); their numbers
    differ. Pad trials to twice their length or more: factors of unpadded spectra
    wrap around. 'dtf', 'pdc' and 'ddtf' depend on the scale of channels.

    References
    ----------
    .. [1] Dahlhaus, R. (2000). Metrika 51, 157-172, theorem 2.4.
    .. [2] Lachaux, J.-P. et al. (1999). Hum. Brain Mapp. 8, 194-208.
    .. [3] Bruna, R. et al. (2018). J. Neural Eng. 15, 056011.
    .. [4] Vinck, M. et al. (2010). NeuroImage 51, 112-122.
    .. [5] Stam, C. J. et al. (2007). Hum. Brain Mapp. 28, 1178-1193.
    .. [6] Vinck, M. et al. (2011). NeuroImage 55, 1548-1565.
    .. [7] Stam, C. J. & van Straaten, E. C. W. (2012). NeuroImage 62, 1415-1428.
    .. [8] Nolte, G. et al. (2008). Phys. Rev. Lett. 100, 234101.
    .. [9] Ewald, A. et al. (2012). NeuroImage 60, 476-488, eqs. 7 and 14.
    .. [10] Vidaurre, C. et al. (2019). NeuroImage 201, 116009.
    .. [11] Geweke, J. (1982). J. Am. Stat. Assoc. 77, 304-313, and (1984) 79, 907-915;
       Dhamala, M. et al. (2008). NeuroImage 41, 354-362.
    .. [12] Kaminski, M. J. & Blinowska, K. J. (1991). Biol. Cybern. 65, 203-210.
    .. [13] Baccala, L. A. & Sameshima, K. (2001). Biol. Cybern. 84, 463-474.
    .. [14] Korzeniewska, A. et al. (2003). J. Neurosci. Methods 125, 195-207.
    .. [15] Hipp, J. F. et al. (2012). Nat. Neurosci. 15, 884-890.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.ar2_network(nTrials=30, nSamples=200, samplerate=200, seed=1)
    >>> found = spy.connectivityanalysis(data, method=["coh", "ppc"], foilim=[30, 50], parallel=False)
    >>> found["ppc"].data.shape
    (1, 21, 2, 2)
    """
    given = dict(locals())
    settings = {key: given[key] for key in given if key not in ("data", "parallel", "chan_per_worker")}
    check_data(data)
    names = _methods(method)
    for flag in ("keeptrials", "jackknife", "pairwise", "conditional", "timereversed"):
        check_bool(settings[flag], flag)
    check_choice(observations, "observations", ("trials", "tapers"))
    check_choice(output, "output", OUTPUTS)
    check_choice(lags, "lags", (None, "all"))
    check_nan(nan)
    _check_together(names, settings)
    check_chan_per_worker(chan_per_worker)
    warn_unused(_NAME, dict.fromkeys(_without_effect(data, names, settings)))
    selection = selected(data, select)
    entries = check_pairs(channelcmb, np.asarray(selection.labels("channel")))
    if entries.dims == ("channelcmb",):
        settings["channelcmb"] = list(entries.names[0])  # tuples would come back from a file as lists
    spectral = [name for name in names if name in SPECTRAL]
    choice = _choice(data, selection, spectral, settings) if spectral else None
    logged = settings if choice is None else {**settings, "foi": choice.spectra.freq}
    steps = _steps(data, selection, names, choice, entries, settings)
    return Call(_NAME, data, steps, settings, logged)


def _steps(
    data: BaseData,
    selection: Selection,
    names: list[str],
    choice: Choice | None,
    entries: Entries,
    settings: Mapping[str, Any],
) -> Steps[Result]:
    """All spectral measures from one pass, then those that look along time."""
    envelopes = [name for name in names if name in ENVELOPES]
    found: dict[str, CrossSpectralData] = {}
    if choice is not None:
        estimators = tuple(estimator_of(name, choice) for name in names if name in SPECTRAL)
        found |= yield from _measured(data, choice.spectra, estimators, settings)
    if "corr" in names:
        found |= yield from _correlations(data, selection, settings)
    if envelopes:
        found |= yield from envelope_correlations(data, selection, envelopes, entries, settings)
    if isinstance(settings["method"], list):
        return {name: found[name] for name in names}
    return found[names[0]]


def _methods(method: Any) -> list[str]:
    names = method if isinstance(method, list) else [method]
    if not names:
        raise InvalidValueError("at least one method", "method", "empty list")
    for name in names:
        if not isinstance(name, str):
            raise InvalidTypeError(name, "method", "str or list of str;")
        check_choice(name, "method", METHODS)
    if len(set(names)) < len(names):
        raise InvalidValueError("each method once", "method", names)
    return names


def _check_together(names: list[str], settings: Mapping[str, Any]) -> None:
    """Refuse parameters that contradict each other."""
    if settings["keeptrials"]:
        wrong = [name for name in names if name not in _SINGLE_TRIALS]
        if wrong:
            raise InvalidValueError(f"False: {wrong[0]} is a measure over trials", "keeptrials", True)
        if settings["jackknife"]:
            raise InvalidValueError("False together with keeptrials=True", "jackknife", True)
    if "corr" in names and not (isinstance(settings["pad"], str) and settings["pad"] == "maxperlen"):
        raise InvalidValueError("'maxperlen': no padding needed/allowed for corr", "pad", settings["pad"])
    if settings["conditional"] and settings["pairwise"]:
        raise InvalidValueError("either `pairwise` or `conditional`", "pairwise/conditional", "both")
    if "granger" in names and settings["groups"] is not None:
        for name in ("pairwise", "conditional"):
            if settings[name]:
                raise InvalidValueError("False together with `groups`", name, True)
    if "psi" in names and settings["bands"] is None:
        raise InvalidValueError("dictionary of bands for psi: {'beta': [13, 30]}", "bands", "None")

    if settings["nan"] == "omit":
        wrong = [name for name in names if name not in (*PAIRS, "psi")]
        if wrong:
            legal = f"'propagate' for method={wrong[0]!r}: only measures of single pairs may omit trials"
            raise InvalidValueError(legal, "nan", "omit")
        for name in ("keeptrials", "jackknife"):
            if settings[name]:
                raise InvalidValueError("False together with nan='omit'", name, True)


def _without_effect(data: BaseData, names: list[str], settings: Mapping[str, Any]) -> list[str]:
    """Parameters that were given and that no method of the call has."""
    users = {
        "groups": (*GROUPED, "granger"),
        "rank": GROUPED,
        "lags": ("corr",),
        "freq": ENVELOPES,
        "pairwise": ("granger",),
        "conditional": ("granger",),
        "timereversed": ("granger",),
        "bands": SPECTRAL,
    }
    unused = [name for name, using in users.items() if is_set(settings[name]) and not set(using) & set(names)]
    if settings["output"] != "abs" and not any(name in _COMPLEX for name in names):
        unused.append("output")
    return unused + unused_of(data, settings)


def _choice(data: BaseData, selection: Selection, names: list[str], settings: Mapping[str, Any]) -> Choice:
    """Check everything that has to do with pairs, groups and bands."""
    channel = np.asarray(selection.labels("channel"))
    spectra = spectra_of(data, selection, settings, any(name in FACTORED for name in names))
    groups = {} if settings["groups"] is None else check_groups(settings["groups"], channel)
    least = 2 if "psi" in names else 1
    wanted = spectra.freq if spectra.bins is None else spectra.freq[list(spectra.bins)]
    needed = 1 if names == ["csd"] else 2
    n = spectra.n_trials * (spectra.n_tapers if settings["observations"] == "tapers" else 1)
    if n < needed:
        raise InvalidValueError(
            "multi-trial input data, or segments=seconds to cut one long trial into many", "data", "one trial"
        )
    if settings["jackknife"] and n < 3:
        raise InvalidValueError("three observations or more for the jackknife", "jackknife", f"{n} of them")
    return Choice(
        spectra=spectra,
        entries=check_pairs(settings["channelcmb"], channel),
        chosen_pairs=settings["channelcmb"] is not None,
        channel=channel,
        groups=groups,
        ranks=check_ranks(settings["rank"], groups),
        bands=check_bands(settings["bands"], wanted, least),
        output="complex" if settings["output"] == "fourier" else settings["output"],
        pairwise=settings["pairwise"],
        conditional=settings["conditional"],
        timereversed=settings["timereversed"],
        left_out=int(settings["jackknife"]),
    )


def _correlations(
    data: BaseData, selection: Selection, settings: Mapping[str, Any]
) -> Steps[dict[str, CrossSpectralData]]:
    if not isinstance(data, AnalogData):
        raise InvalidValueError("AnalogData for method='corr'", "data", type(data).__name__)
    spectra, length = padded_spectra(data, selection, settings)
    entries = check_pairs(settings["channelcmb"], np.asarray(selection.labels("channel")))
    estimator = Correlation(
        "corr", entries, length=length, n_fft=spectra.n_fft or 0, both_signs=settings["lags"] == "all"
    )
    return (yield from _measured(data, spectra, (estimator,), settings))


def _measured(
    data: BaseData, spectra: Spectra, estimators: tuple[Estimator, ...], settings: Mapping[str, Any]
) -> Steps[dict[str, CrossSpectralData]]:
    """One pass over the data for all measures, another one for the jackknife."""
    spec, index = input_spec(data, spectra.selection), spectra.selection.index
    n_channels, jackknife = len(spec.labels["channel"]), settings["jackknife"]
    if settings["keeptrials"]:
        return (yield from _single_trials(data, spectra, estimators))
    apart, omit = settings["observations"] == "tapers", settings["nan"] == "omit"
    sums = PairSums(estimators, n_channels, apart, keeps_sums=jackknife, omit=omit)
    method = for_pairs(spectra.method, n_channels, len(sums.pairs))
    sums = replace(sums, group=getattr(method, "group", 1))
    plan = make_plan(_NAME, method, data.source, spec, index, sums)
    results = objects_of((yield plan), data)
    n: Any = sums.n_observations(plan.output)
    n_trials: Any = spectra.n_trials
    if omit:
        n = results.pop(N_OBSERVATIONS).data[()][0, 0].astype(np.int64)
        n_trials = n // (spectra.n_tapers if apart else 1)
    if jackknife:
        totals = {name: _total(results.pop(TOTALS + name)) for name in sums.needs}
        second = replace(sums, keeps_sums=False)
        freq = tuple(float(f) for f in plan.output.labels["freq"])
        again = make_plan(_NAME, method, data.source, spec, index, LeaveOneOut(second, n, totals, freq))
        spread = objects_of((yield again), data)
        for estimator in estimators:
            results[estimator.name].jackknife = {
                f"jack_{what}": spread[f"{estimator.name} {what}"].data[()] for what in ("var", "bias")
            }
    for estimator in estimators:
        result = results[estimator.name]
        result.info.update(method=estimator.name, n_trials=n_trials, n_observations=n)
        if estimator.bands:
            result.info["bands"] = {band.name: [band.low, band.high] for band in estimator.bands}
        if "error" in estimator.extras():
            _tell_convergence(estimator.name, result, results[f"{estimator.name} error"].data[()])
        _warn_of_nan(estimator.name, result)
    return {estimator.name: results[estimator.name] for estimator in estimators}


def _single_trials(
    data: BaseData, spectra: Spectra, estimators: tuple[Estimator, ...]
) -> Steps[dict[str, CrossSpectralData]]:
    spec, index = input_spec(data, spectra.selection), spectra.selection.index
    found = {}
    for estimator in estimators:
        method = TrialPairs(spectra.method, PairSums((estimator,), len(spec.labels["channel"])))
        plan = make_plan(_NAME, method, data.source, spec, index)
        result = objects_of((yield plan), data)[""]
        result.info.update(method=estimator.name, n_trials=spectra.n_trials)
        found[estimator.name] = result
    return found


def _total(result: BaseData) -> NDArray[Any]:
    """Sums as (pair, time x freq)."""
    array = read_all(result.source)
    return np.ascontiguousarray(np.moveaxis(array, -1, 0).reshape(array.shape[-1], -1))


def _tell_convergence(name: str, result: CrossSpectralData, error: NDArray[np.float64]) -> None:
    error = error[0, 0]
    largest = float(np.nanmax(error, initial=0.0))
    result.info["converged"] = bool((error < ENOUGH).all())
    result.info["max rel. err"] = largest
    if len(np.unique(error)) > 1:
        result.info["max rel. err per pair"] = error
    none = np.isnan(error)
    if none.any():
        dims = [dim for dim in ("channel_i", "channel_j", "channelcmb") if dim in result.dimord]
        labels = [getattr(result, dim) for dim in dims]
        names = [
            "--".join(str(of[k]) for of, k in zip(labels, place, strict=True)) for place in np.argwhere(none)
        ]
        some = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        warn(_NAME, f"{name}: NaN for {some}: channels that are zero, equal or have NaNs have no factors")
    if (error >= ENOUGH).any():
        warn(
            _NAME,
            f"{name}: the factorisation did not converge for some pairs (largest error {largest:.2g}); pad "
            "trials to at least twice their length, or use tapsmofrq",
        )


def _warn_of_nan(name: str, result: CrossSpectralData) -> None:
    """Name the channels about which nothing can be said."""
    array = result.source
    if "channel_i" not in result.dimord or array.shape[2] != array.shape[3] or not array.in_memory:
        return
    values = read_all(array)
    own = np.isnan(values[:, :, range(array.shape[2]), range(array.shape[2])]).any(axis=(0, 1))
    if own.any() and result.channel_i is not None:
        dead = ", ".join(str(label) for label in result.channel_i[own])
        warn(_NAME, f"{name}: NaN where channels are zero or have NaNs themselves: {dead}")


__all__ = ["connectivityanalysis"]
