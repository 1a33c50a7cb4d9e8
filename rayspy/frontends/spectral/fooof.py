"""FOOOF outputs of `freqanalysis`: models fitted to the spectra of `mtmfft`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array, check_bool, check_choice, check_integer, check_scalar
from rayspy.data.analog import AnalogData
from rayspy.data.spectral import SpectralData
from rayspy.errors import InvalidTypeError, InvalidValueError, MissingPackageError
from rayspy.frontends.call import Call, Steps
from rayspy.frontends.compute import computed
from rayspy.frontends.missing import COUNTS, counts_in
from rayspy.kernels.spectral.fooof import N_FIXED
from rayspy.methods.base import InputSpec, Method
from rayspy.methods.copying import Copying
from rayspy.methods.spectral.fooof import Fooof
from rayspy.methods.spectral.mtmfft import Mtmfft
from rayspy.planning.plan import Plan, make_plan
from rayspy.storage.sources import AbsentSource, ArraySource

DEFAULTS: dict[str, Any] = {
    "peak_width_limits": (0.5, 12.0),
    "max_n_peaks": np.inf,
    "min_peak_height": 0.0,
    "peak_threshold": 2.0,
    "aperiodic_mode": "fixed",
    "verbose": False,
}


def check_fooof(method: Method, options: Any) -> dict[str, Any]:
    """Check the frequencies and options of a FOOOF output, and that its package is there."""
    if isinstance(method, Mtmfft) and method.freq.min() <= 0:
        raise InvalidValueError(
            "a frequency range that does not include zero", "foi/foilim", f"{method.freq.min():g} Hz"
        )
    checked = check_options(options)
    if find_spec("specparam") is None:
        raise MissingPackageError('FOOOF outputs need the package specparam: pip install "rayspy[fooof]"')
    return checked


def check_options(options: Any) -> dict[str, Any]:
    """Check `fooof_opt` and add the defaults."""
    if options is not None and not isinstance(options, Mapping):
        raise InvalidTypeError(options, "fooof_opt", "dictionary or None;")
    for key in options or {}:
        if key not in DEFAULTS:
            raise InvalidValueError(f"one of {', '.join(DEFAULTS)}", "fooof_opt key", key)
    merged = {**DEFAULTS, **(options or {})}
    limits = merged["peak_width_limits"]
    limits = check_array(
        list(limits) if isinstance(limits, tuple) else limits, "fooof_opt: peak_width_limits", 0, length=2
    )
    if limits[0] >= limits[1]:
        raise InvalidValueError("[smallest, largest] width in Hz", "fooof_opt: peak_width_limits", limits)
    most = merged["max_n_peaks"]
    return {
        "peak_width_limits": tuple(limits.tolist()),
        "max_n_peaks": np.inf if most == np.inf else check_integer(most, "fooof_opt: max_n_peaks", 0),
        "min_peak_height": check_scalar(merged["min_peak_height"], "fooof_opt: min_peak_height", 0),
        "peak_threshold": check_scalar(merged["peak_threshold"], "fooof_opt: peak_threshold", 0),
        "aperiodic_mode": check_choice(
            merged["aperiodic_mode"], "fooof_opt: aperiodic_mode", ("fixed", "knee")
        ),
        "verbose": check_bool(merged["verbose"], "fooof_opt: verbose"),
    }


def parameterized(
    spectra: Plan, data: AnalogData, kind: str, fooof_opt: Any, logged: Mapping[str, Any]
) -> Call[SpectralData]:
    """Call that computes spectra and fits a model to each.

    Parameters
    ----------
    spectra : Plan
        Of power, averaged over trials or not.
    data : AnalogData
        The input.
    kind : str
        Output: 'fooof', 'fooof_aperiodic' or 'fooof_peaks'.
    fooof_opt : dict or None
        Options of the model.
    logged : mapping
        Settings of the spectra, for the log.
    """
    options = check_options(fooof_opt)
    method = _method(spectra, kind, options)
    result = spectra.results[""]
    absent = AbsentSource(result.shape, result.dtype)
    fits = make_plan("freqanalysis", method, absent, _spec_of(spectra), {})
    logged = {**logged, "fooof_opt": {k: str(v) for k, v in options.items()}}
    return Call("freqanalysis", data, _steps(spectra, fits, method, data), logged=logged, then=(fits,))


def _steps(spectra: Plan, fits: Plan, method: Fooof, data: AnalogData) -> Steps[SpectralData]:
    """Spectra, fits, and curves without the numbers that come behind them."""
    done = yield spectra
    nan, count = done.nan, done.sources.get(COUNTS)
    done = yield replace(fits, source=done.sources[""])
    packed = done.source
    curves = {"freq": np.arange(len(method.foi))}
    plan = make_plan("freqanalysis", Copying(), packed, _spec_of(spectra), curves)
    made: SpectralData = yield from computed(plan, data)
    unit = data.unit_of(spectra.index.get("channel"))
    made.quantity, made.unit = spectra.results[""].meaning.of(data.quantity, unit)
    made.metadata = _metadata(packed, method)
    nan.tell(made)
    if count is not None:
        spec = spectra.results[COUNTS]
        entered = SpectralData.from_parts(count, spec.trialdefinition, None, spec.labels, spec.dims)
        made.info[COUNTS] = counts_in(entered)
    return made


def _method(spectra: Plan, kind: str, options: dict[str, Any]) -> Fooof:
    freq = spectra.output.labels["freq"]
    n_peaks = int(min(options["max_n_peaks"], max(1, len(freq) // 2)))
    return Fooof(kind, tuple(freq.tolist()), tuple(options.items()), n_peaks)


def _spec_of(spectra: Plan) -> InputSpec:
    """Describe the result of the spectra as the input of what follows."""
    out = spectra.results[""]
    return InputSpec(out.kind, out.dims, out.dtype, out.samplerate, out.trialdefinition, out.labels)


def _metadata(packed: ArraySource, method: Fooof) -> dict[str, dict[str, Any]]:
    """Parameters of the models: a dictionary per name, with keys ``name__trial_taper``."""
    names = ("aperiodic_params", "error", "gaussian_params", "n_peaks", "peak_params", "r_squared")
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    shape, first = packed.shape, len(method.foi)
    with packed.reader() as read:
        for trial, taper in np.ndindex(shape[0], shape[1]):
            region = (slice(trial, trial + 1), slice(taper, taper + 1), slice(first, shape[2]))
            numbers = np.asarray(read((*region, slice(0, shape[3]))))[0, 0].astype(np.float64)
            for name, value in _of_one_trial(numbers, method).items():
                found[name][f"{name}__{trial}_{taper}"] = value
    return found


def _of_one_trial(numbers: NDArray[np.float64], method: Fooof) -> dict[str, Any]:
    """Unpack (number, channel)."""
    n = method.n_peaks
    n_peaks = np.nan_to_num(numbers[5]).astype(np.int32)
    fixed = dict(method.options)["aperiodic_mode"] == "fixed"
    peaks, gaussians = numbers[N_FIXED : N_FIXED + 3 * n], numbers[N_FIXED + 3 * n :]
    kept = np.minimum(n_peaks, n)
    return {
        "aperiodic_params": numbers[[0, 2] if fixed else [0, 1, 2]],
        "error": numbers[3],
        "r_squared": numbers[4],
        "n_peaks": n_peaks,
        "peak_params": [peaks[: 3 * k, c].reshape(-1, 3) for c, k in enumerate(kept)],
        "gaussian_params": [gaussians[: 3 * k, c].reshape(-1, 3) for c, k in enumerate(kept)],
    }
