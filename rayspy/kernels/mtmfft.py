"""Tapered Fourier spectra of whole trials.

Thomson, D. J. (1982). Spectrum estimation and harmonic analysis.
Proceedings of the IEEE 70(9), 1055-1096, section III.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import detrended

Array = NDArray[Any]


def working_dtype(dtype: np.dtype[Any], polyremoval: int | None) -> np.dtype[Any]:
    """Type in which trends are removed; also of the transform if there is nothing to remove.

    Numbers that single precision cannot hold are brought close to zero first.
    """
    wide = dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize > 2)
    return np.dtype(np.float64 if wide else np.float32)


def tapered_spectra(
    x: Array,
    tapers: Array,
    n_fft: int,
    bins: slice | NDArray[np.int64],
    output: str = "pow",
    keeptapers: bool = False,
    polyremoval: int | None = 0,
    demean_taper: bool = False,
    out: Array | None = None,
) -> Array:
    """Spectra of trials, one or several tapers each.

    Coefficient of taper k at bin m: sum_n w_k[n] x[n] exp(-2 pi i m n / n_fft),
    with the normalisation contained in w.

    Parameters
    ----------
    x : ndarray, shape (trial, time, channel)
        Real signals; not changed.
    tapers : ndarray, shape (taper, time)
        Tapers times the square root of the power normalisation.
    n_fft : int
        Length of the transform; zeros are added at the end.
    bins : slice or ndarray of int
        Frequency bins wanted, in this order.
    output : str
        'pow', 'abs', 'fourier', 'real', 'imag', 'angle', 'absreal' or 'absimag'.
    keeptapers : bool
        False: power is averaged over tapers.
    polyremoval : int or None
        Trend that is removed before tapering.
    demean_taper : bool
        Subtract the mean once more after tapering.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (trial, taper or 1, freq, channel)
        float32, complex64 for 'fourier'.
    """
    lines = np.empty((x.shape[0], x.shape[2], x.shape[1]), working_dtype(x.dtype, polyremoval))
    np.copyto(lines, x.transpose(0, 2, 1), casting="same_kind" if x.dtype.kind == "f" else "safe")
    detrended(lines, polyremoval)
    if polyremoval is not None:
        lines = lines.astype(np.float32, copy=False)
    tapers = tapers.astype(lines.dtype, copy=False)
    n_freq = len(range(*bins.indices(n_fft // 2 + 1))) if isinstance(bins, slice) else len(bins)
    if out is None:
        dtype = np.complex64 if output == "fourier" else np.float32
        out = np.empty((x.shape[0], len(tapers) if keeptapers else 1, n_freq, x.shape[2]), dtype)
    if keeptapers or len(tapers) == 1:
        for k, taper in enumerate(tapers):
            spectra = _transform(lines, taper, n_fft, bins, demean_taper, reuse=k == len(tapers) - 1)
            np.copyto(out[:, k], converted(spectra, output).transpose(0, 2, 1), casting="same_kind")
        return out
    power = np.zeros((x.shape[0], x.shape[2], n_freq), lines.dtype)
    for taper in tapers:
        power += converted(_transform(lines, taper, n_fft, bins, demean_taper, reuse=False), "pow")
    power /= power.dtype.type(len(tapers))
    np.copyto(out[:, 0], power.transpose(0, 2, 1), casting="same_kind")
    return out


def _transform(
    lines: Array, taper: Array, n_fft: int, bins: slice | NDArray[np.int64], demean: bool, reuse: bool
) -> Array:
    from scipy.fft import rfft

    tapered = np.multiply(lines, taper, out=lines if reuse else None)
    if demean:
        detrended(tapered, 0)
    spectra: Array = rfft(tapered, n=n_fft, axis=-1, overwrite_x=True)
    return spectra[..., bins]


def converted(spectra: Array, output: str) -> Array:
    """Turn complex coefficients into what was asked for; may overwrite its input."""
    if output == "fourier":
        return spectra
    if output == "pow":
        spectra = np.ascontiguousarray(spectra)
        pairs = spectra.view(spectra.real.dtype).reshape(*spectra.shape, 2)
        np.multiply(pairs, pairs, out=pairs)
        return np.asarray(pairs[..., 0] + pairs[..., 1])
    if output == "angle":
        return np.asarray(np.angle(spectra))
    part = {"abs": spectra, "real": spectra.real, "imag": spectra.imag, "absreal": spectra.real, "absimag": spectra.imag}
    return np.asarray(part[output] if output in ("real", "imag") else np.abs(part[output]))
