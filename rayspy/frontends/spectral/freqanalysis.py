"""Front-end `freqanalysis`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from rayspy.checks import check_bool, check_choice
from rayspy.data.analog import AnalogData
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend
from rayspy.frontends.calling import check_chan_per_worker, parameters_of, warn_unused
from rayspy.frontends.compute import computed, input_spec, selected
from rayspy.frontends.missing import check_nan
from rayspy.frontends.spectral.checks import check_input
from rayspy.frontends.spectral.fooof import check_fooof, parameterized
from rayspy.frontends.spectral.fourier import FOOOF_OUTPUTS, mtmconvol, mtmfft, welch
from rayspy.frontends.spectral.request import Builder, Request
from rayspy.frontends.spectral.wavelets import superlet, wavelet
from rayspy.methods.reductions import Mean
from rayspy.planning.plan import Plan, make_plan

Output = Literal[
    "pow", "abs", "fourier", "complex", "real", "imag", "angle", "absreal", "absimag",
    "fooof", "fooof_aperiodic", "fooof_peaks",
]  # fmt: skip
BUILDERS: dict[str, Builder] = {
    "mtmfft": mtmfft,
    "mtmconvol": mtmconvol,
    "welch": welch,
    "wavelet": wavelet,
    "superlet": superlet,
}
"""Per method, the function that checks and resolves its parameters."""

_COMMON = {
    "nan",
    "method",
    "output",
    "keeptrials",
    "foi",
    "foilim",
    "polyremoval",
    "select",
    "chan_per_worker",
}
_TAPERS = {"taper", "taper_opt", "tapsmofrq", "nTaper", "keeptapers"}
_USED: dict[str, set[str]] = {
    "mtmfft": _TAPERS | {"pad", "demean_taper", "ft_compat", "fooof_opt"},
    "mtmconvol": _TAPERS | {"toi", "t_ftimwin", "edges"},
    "welch": _TAPERS | {"toi", "t_ftimwin"},
    "wavelet": {"toi", "wavelet", "width", "order", "edges"},
    "superlet": {"toi", "order_max", "order_min", "c_1", "adaptive", "edges"},
}
"""Parameters that have an effect besides those that all methods have."""


@frontend
def freqanalysis(
    data: AnalogData,
    method: str = "mtmfft",
    output: Output | str = "pow",
    keeptrials: bool = True,
    foi: Any = None,
    foilim: Any = None,
    pad: str | float = "maxperlen",
    polyremoval: int | None = 0,
    taper: str | None = "hann",
    demean_taper: bool = False,
    taper_opt: dict[str, Any] | None = None,
    tapsmofrq: float | None = None,
    nTaper: int | None = None,
    keeptapers: bool = False,
    toi: Any = "all",
    t_ftimwin: float | None = None,
    wavelet: str = "Morlet",
    width: float = 6,
    order: int | None = None,
    order_max: int | None = None,
    order_min: int = 1,
    c_1: int = 3,
    adaptive: bool = False,
    out: None = None,
    fooof_opt: dict[str, Any] | None = None,
    ft_compat: bool = False,
    edges: str = "zero",
    nan: str = "propagate",
    parallel: bool | None = None,
    select: dict[str, Any] | str | None = None,
    chan_per_worker: int | None = None,
    **kwargs: Any,
) -> Call[SpectralData]:
    r"""Spectra of trials, for whole trials or resolved in time.

    Parameters
    ----------
    data : AnalogData
        Real signals with a samplerate.
    method : {'mtmfft', 'mtmconvol', 'welch', 'wavelet', 'superlet'}
        'mtmfft': tapered Fourier transform of whole trials, with one window or
        with several Slepian tapers (multitaper). 'mtmconvol': the same for
        windows that slide along the trial. 'welch': its power averaged over the
        windows of each trial. 'wavelet': continuous wavelet transform.
        'superlet': geometric mean of wavelet transforms with more and more cycles.
    output : str
        'pow' power, 'abs' magnitude, 'fourier' or 'complex' coefficients,
        'real', 'imag', 'angle' (rad), 'absreal', 'absimag'. With 'mtmfft' also
        'fooof', 'fooof_aperiodic' and 'fooof_peaks': a parametric model of the
        power spectrum, the part without peaks, and the difference of the two.
    keeptrials : bool
        False: average `output` over trials, which must give results of equal
        length. FOOOF models are fitted to the averaged power.
    foi : list or ndarray, optional
        Frequencies of interest in Hz, 0 to Nyquist. Fourier methods take the
        nearest bins, duplicates dropped, the order kept. Wavelets take them as
        they are, at least 0.01 Hz; without `foi` and `foilim` they use four
        frequencies per octave, from a scale of the shortest trial's length to Nyquist.
    foilim : [fmin, fmax], optional
        Closed frequency interval in Hz: all its bins, or steps of 1 Hz for wavelets.
    pad : 'maxperlen', 'nextpow2' or float
        'mtmfft': length to which trials are filled up with zeros at the end: that
        of the longest selected trial, the next power of two, or seconds.
    polyremoval : {0, 1, None}
        Remove the mean, a linear trend, or nothing from each trial; 'mtmconvol'
        and 'welch': from each window.
    taper : str or None
        A window of `scipy.signal.windows` (symmetric); None: no taper. 'dpss', with
        `tapsmofrq`, says what `tapsmofrq` means anyway.
    demean_taper : bool
        'mtmfft': subtract the mean once more after tapering.
    taper_opt : dict, optional
        Parameters of the window; all of them have to be given.
    tapsmofrq : float, optional
        Half bandwidth W of multitaper smoothing in Hz; Slepian tapers are used
        with NW = W times the mean trial length, or the window length, in seconds.
    nTaper : int, optional
        Number of tapers; the default 2 NW - 1 is the optimum.
    keeptapers : bool
        Keep the spectra of single tapers; False averages power over tapers.
    toi : 'all', float, list or ndarray
        Times of the result. 'all': every sample. 'mtmconvol' and 'welch': overlap
        of windows, 0 to 1. Others and 'mtmconvol': ascending times in seconds,
        which every selected trial must have; the nearest samples are taken.
        Wavelets see only the part of the trial from the first to the last of them,
        unless ``edges="nan"``.
    t_ftimwin : float
        'mtmconvol', 'welch': length of the windows in seconds. Those of 'mtmconvol'
        are centred on the times of the result. 'welch' averages windows that lie
        whole in the trial, the first one at its first sample.
    wavelet : {'Morlet', 'Paul', 'DOG', 'Ricker', 'Marr', 'Mexican_hat'}
        'wavelet': kind of wavelet; the last three are 'DOG' of order 2.
    width : float
        Morlet: central frequency w0, about the number of cycles; 1 or more.
    order : int
        Paul: 4 or more; DOG: 1 or more.
    order_max, order_min : int
        'superlet': orders o, each a wavelet of c_1 o cycles, that are averaged.
    c_1 : int
        'superlet': cycles of the wavelet of order 1.
    adaptive : bool
        'superlet': raise the largest order linearly from `order_min` at the
        lowest to `order_max` at the highest frequency, fractional orders included.
    out : None
        Has no effect; results are returned.
    fooof_opt : dict, optional
        Options of the FOOOF model: peak_width_limits, max_n_peaks,
        min_peak_height, peak_threshold, aperiodic_mode ('fixed' or 'knee'), verbose.
    ft_compat : bool
        'mtmfft': scale as FieldTrip does: the sum over bins, not the level of a
        bin, is independent of padding.
    edges : {'zero', 'nan'}
        'mtmconvol', wavelets, superlets: what becomes of times whose window or
        wavelet reaches beyond the trial. 'zero': a trend is fitted to and removed from
        the samples that there are, all others are zero. 'nan': NaN, as in FieldTrip;
        with a list of times, wavelets then see the whole trial.
    nan : {'propagate', 'omit'}
        With ``keeptrials=False``: 'omit' leaves trials with NaN out of the average,
        each channel by itself; ``info["n_trials"]`` has the number of trials that
        entered per channel. ``info["nan_trials"]`` lists trials with NaN in any case.
    parallel : bool, optional
        None: use a cluster that is running, else local threads. True: start a
        local Ray if none is running. False: one local thread.
    select : dict or 'all', optional
        Selection of trials, channel, latency; see `selectdata`.
    chan_per_worker : int, optional
        Compute this many channels at a time. Results are the same, bit for bit,
        for every value and every executor.
    **kwargs
        Options of other functions are reported with a warning, unknown ones are
        refused. A dictionary of settings may be given as `cfg`.

    Returns
    -------
    SpectralData
        Dimensions (time, taper, freq, channel), float32, or complex64 for
        'fourier'. One time point per trial for 'mtmfft' and 'welch'. With times
        that are not equidistant in samples `samplerate` is None and `time` has
        them. With FOOOF outputs `metadata` has the parameters of the models.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        A parameter cannot be used; the message names it. Nothing was computed.
    MemoryBudgetError, ScratchSpaceError
        The computation would not fit; nothing was computed.
    MissingPackageError
        FOOOF outputs need the package specparam.

    Notes
    -----
    Fourier methods: with taper w of L samples, samplerate fs, and FFT length N,
    the power at f = m fs / N is c \|sum_n w[n] x[n] exp(-2 pi i m n / N)\|^2,
    where c is 2 / L^2 without taper, (8/3) / (L sum(w)) for windows and 2 / L for
    Slepian tapers of unit energy [1]_. The unit is squared amplitude per bin: a
    cosine of amplitude A on a bin gives A^2 / 2 without taper and A^2 / 3 with
    the Hann window; white noise of variance s^2 gives 2 s^2 / L. Bins 0 and
    Nyquist count twice like all others. `ft_compat` replaces the outer L by N.

    Wavelets: the signal is convolved with sqrt(dt) / (8 pi s) psi(t / s) with
    psi, and the frequency of scale s, as in [2]_. A cosine of amplitude A gives
    Morlet power 1.394e-3 fs A^2. Superlets [3]_: 1.583e-3 fs A^2. The phase of a
    superlet is that of the smallest order plus the mean difference to it of the
    others. Wavelets are sampled up to 5 scales from their middle; for powers of
    Morlet, what that cut leaves of their spectrum beyond 5.3 standard deviations,
    about 1e-6 of the peak, is left out, which is nearer to the uncut wavelet.

    FOOOF [4]_: models of log10 power; results are linear.

    References
    ----------
    .. [1] Thomson, D. J. (1982). Spectrum estimation and harmonic analysis.
       Proc. IEEE 70(9), 1055-1096, eqs. 2.11-3.7. Percival, D. B. & Walden, A. T.
       (1993). Spectral analysis for physical applications, ch. 7.
    .. [2] Torrence, C. & Compo, G. P. (1998). A practical guide to wavelet
       analysis. Bull. Am. Meteorol. Soc. 79(1), 61-78, table 1.
    .. [3] Moca, V. V. et al. (2021). Time-frequency super-resolution with
       superlets. Nature Communications 12, 337, eqs. 1-7.
    .. [4] Donoghue, T. et al. (2020). Parameterizing neural power spectra into
       periodic and aperiodic components. Nature Neuroscience 23, 1655-1665.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=200, nChannels=2, seed=1)
    >>> spy.freqanalysis(data, tapsmofrq=20, parallel=False).data.shape
    (3, 1, 101, 2)
    >>> spy.freqanalysis(data, method="superlet", order_max=3, foi=[20, 40], parallel=False).data.shape
    (600, 1, 2, 2)
    """
    given = dict(locals())
    check_input(data)
    check_choice(method, "method", tuple(BUILDERS))
    if out is not None:
        raise InvalidValueError("None: results are returned", "out", out)
    warn_unused("freqanalysis", kwargs)
    _warn_without_effect(given)
    if check_nan(nan) and check_bool(keeptrials, "keeptrials"):
        warn_unused("freqanalysis", {"nan": nan})
    check_bool(keeptrials, "keeptrials")
    request = BUILDERS[method](data, selected(data, select), given)
    if output in FOOOF_OUTPUTS:
        check_fooof(request.method, fooof_opt)
    return _call(request, data, given)


def _call(request: Request, data: AnalogData, given: Mapping[str, Any]) -> Call[SpectralData]:
    width = check_chan_per_worker(given["chan_per_worker"])
    spec = replace(input_spec(data, request.selection), variants=request.times.firsts)
    omit = check_nan(given["nan"])
    index, reduction = request.selection.index, None if given["keeptrials"] else Mean(omit)
    plan = make_plan("freqanalysis", request.method, data.source, spec, index, reduction, width)
    if given["output"] in FOOOF_OUTPUTS:
        return parameterized(plan, data, given["output"], given["fooof_opt"], request.logged)
    return Call("freqanalysis", data, _steps(plan, data, request), logged=request.logged)


def _steps(plan: Plan, data: AnalogData, request: Request) -> Steps[SpectralData]:
    result: SpectralData = yield from computed(plan, data)
    result.info.pop("toi", None)
    if request.times.exact is not None:
        result.info["toi"] = list(request.times.exact)
    return result


def _warn_without_effect(given: Mapping[str, Any]) -> None:
    """Tell which parameters were given that the method does not have."""
    parameters = parameters_of(freqanalysis)
    used = _COMMON | _USED[given["method"]] | {"data", "parallel", "kwargs"}
    changed = [
        name
        for name, value in given.items()
        if name not in used and name != "out" and not _is_default(value, parameters[name].default)
    ]
    warn_unused("freqanalysis", dict.fromkeys(changed))


def _is_default(value: Any, default: Any) -> bool:
    return value is None or value is default or (isinstance(value, (str, int, float)) and value == default)
