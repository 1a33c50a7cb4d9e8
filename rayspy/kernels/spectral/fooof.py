"""Parametric models of power spectra: an aperiodic part and peaks.

Donoghue, T. et al. (2020). Parameterizing neural power spectra into periodic and
aperiodic components. Nature Neuroscience 23, 1655-1665. The fits are those of the
package specparam.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_FIXED = 6
"""Numbers per model besides its peaks: offset, knee, exponent, error, r squared, number of peaks."""
_TOLERANCE = 1e-8
"""Of the fits, as SciPy's default; with specparam's own, 1e-5, curves are up to 1 % off."""


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
        What is returned: the model, its aperiodic part, the difference of both (0 where
        there is no peak).
    n_peaks : int
        Peaks whose parameters are kept.
    out : ndarray, shape (trial, 1, taper, freq + numbers, channel)
        Curves, then the numbers that describe the models. NaN where a fit failed.
    """
    with _SINGLE.thread():
        for trial, taper, channel in np.ndindex(power.shape[0], power.shape[2], power.shape[4]):
            curve, numbers = _model(power[trial, 0, taper, :, channel], freqs, options, kind, n_peaks)
            out[trial, 0, taper, : len(freqs), channel] = curve
            out[trial, 0, taper, len(freqs) :, channel] = numbers


class _SingleThread:
    """Keeps linear algebra to one thread while any fit runs.

    The matrices of a fit are small: several threads per decomposition take 5 to 50
    times as long as one, and give other last digits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None

    @contextmanager
    def thread(self) -> Iterator[None]:
        """Set the limit with the first of several fits at the same time, restore it with the last."""
        if find_spec("threadpoolctl") is None:
            yield
            return
        import specparam  # noqa: F401 - loads the libraries whose threads are limited
        from threadpoolctl import threadpool_limits

        with self._lock:
            self._users += 1
            self._limit = self._limit or threadpool_limits(1, user_api="blas")
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limit.restore_original_limits()
                    self._limit = None


_SINGLE = _SingleThread()


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
    full, aperiodic = (components.get_component(name) for name in ("full", "aperiodic"))
    if kind == "fooof_peaks":
        return np.asarray(10.0**aperiodic * np.expm1(np.log(10.0) * (full - aperiodic)))
    return np.asarray(10.0 ** (full if kind == "fooof" else aperiodic))
