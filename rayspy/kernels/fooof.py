"""Parametric models of power spectra: an aperiodic part and peaks.

Donoghue, T. et al. (2020). Parameterizing neural power spectra into periodic and
aperiodic components. Nature Neuroscience 23, 1655-1665. The fits are those of the
package specparam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_FIXED = 6
"""Numbers per model besides its peaks: offset, knee, exponent, error, r squared, number of peaks."""
_TOLERANCE = 1e-8
"""Of the fits, as SciPy's default; with specparam's own, 1e-5, results are up to a few percent off."""
_FLOOR = 1e-16
"""Added to the peaks, so that their logarithm exists everywhere."""


def n_numbers(n_peaks: int) -> int:
    """Numbers that describe a model with up to so many peaks."""
    return N_FIXED + 6 * n_peaks


def spectrum_models(
    power: Array, freqs: Array, options: Mapping[str, Any], kind: str, n_peaks: int, out: Array
) -> None:
    """Fit models to power spectra.

    Parameters
    ----------
    power : ndarray, shape (trial, 1, taper, freq, channel)
        Power, not its logarithm.
    freqs : ndarray
        Frequencies in Hz, without 0.
    options : mapping
        Options of `specparam.SpectralModel`.
    kind : {'fooof', 'fooof_aperiodic', 'fooof_peaks'}
        What is returned: the model, its aperiodic part, the difference of both.
    n_peaks : int
        Peaks whose parameters are kept.
    out : ndarray, shape (trial, 1, taper, freq + numbers, channel)
        Curves, then the numbers that describe the models. NaN where a fit failed.
    """
    for place in np.ndindex(power.shape[0], power.shape[2], power.shape[4]):
        trial, taper, channel = place
        curve, numbers = _model(power[trial, 0, taper, :, channel], freqs, options, kind, n_peaks)
        out[trial, 0, taper, : len(freqs), channel] = curve
        out[trial, 0, taper, len(freqs) :, channel] = numbers


def _model(
    power: Array, freqs: Array, options: Mapping[str, Any], kind: str, n_peaks: int
) -> tuple[Array, Array]:
    """Curve and numbers of one spectrum."""
    from specparam import SpectralModel

    numbers = np.full(n_numbers(n_peaks), np.nan)
    if not (np.isfinite(power) & (power > 0)).all():
        return np.full(len(freqs), np.nan), numbers
    model = SpectralModel(**options, tol=_TOLERANCE)
    model.fit(freqs, power.astype(np.float64))
    if not model.results.has_model:
        return np.full(len(freqs), np.nan), numbers
    found = model.results.params.aperiodic.asdict()["aperiodic_fit"]
    numbers[0], numbers[2] = found[0], found[-1]
    numbers[1] = found[1] if len(found) == 3 else np.nan
    numbers[3] = model.get_metrics("error", "mae")
    numbers[4] = model.get_metrics("gof", "rsquared")
    peaks = model.results.params.periodic.asdict()
    gaussians, converted = (np.reshape(peaks[f"peak_{v}"], (-1, 3)) for v in ("fit", "converted"))
    numbers[5] = n_found = model.results.n_peaks
    kept = min(n_found, n_peaks)
    numbers[N_FIXED : N_FIXED + 3 * kept] = converted[:kept].ravel()
    numbers[N_FIXED + 3 * n_peaks : N_FIXED + 3 * (n_peaks + kept)] = gaussians[:kept].ravel()
    return _curve(model.results.model, kind), numbers


def _curve(components: Any, kind: str) -> Array:
    full, aperiodic = (10.0 ** components.get_component(name) for name in ("full", "aperiodic"))
    curves = {"fooof": full, "fooof_aperiodic": aperiodic, "fooof_peaks": full - aperiodic + _FLOOR}
    return np.asarray(curves[kind])
