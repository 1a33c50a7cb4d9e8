"""Tapered Fourier spectra of whole trials.

Thomson, D. J. (1982). Spectrum estimation and harmonic analysis.
Proceedings of the IEEE 70(9), 1055-1096, section III.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.detrend import detrended

Array = NDArray[Any]


def working_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type in which trends are removed, and of the transform too if there is nothing to remove.

    Numbers that single precision cannot hold are brought close to zero first.
    """
    wide = dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize > 2)
    return np.dtype(np.float64 if wide else np.float32)


@dataclass(frozen=True)
class ManyTapers:
    """Tapers that are made a group at a time, whenever they are asked for.

    Parameters
    ----------
    groups : sequence of range
        Numbers of the tapers of each group.
    make : callable
        Returns the tapers of a group, shape (taper, time, 1).
    """

    groups: Sequence[range]
    make: Callable[[range], Array]

    def __len__(self) -> int:
        return self.groups[-1].stop

    def __iter__(self) -> Iterator[Array]:
        for group in self.groups:
            yield from self.make(group)


def tapered_spectra(
    x: Array,
    tapers: Array | ManyTapers,
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
    tapers : ndarray, shape (taper, time) or (taper, time, channel), or ManyTapers
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
    lines = _lines(x, working_dtype(x.dtype))
    lines = detrended(lines, polyremoval)
    if polyremoval is not None:
        lines = lines.astype(np.float32, copy=False)
    if isinstance(tapers, np.ndarray):
        tapers = tapers.astype(lines.dtype, copy=False)
        tapers = tapers[:, :, np.newaxis] if tapers.ndim == 2 else tapers
    n_freq = len(range(*bins.indices(n_fft // 2 + 1))) if isinstance(bins, slice) else len(bins)
    if out is None:
        dtype = np.complex64 if output == "fourier" else np.float32
        out = np.empty((x.shape[0], len(tapers) if keeptapers else 1, n_freq, x.shape[2]), dtype)
    if keeptapers or len(tapers) == 1:
        for k, taper in enumerate(tapers):
            reuse = k == len(tapers) - 1 and polyremoval is not None
            convert(_transform(lines, taper, n_fft, bins, demean_taper, reuse), output, out[:, k])
        return out
    power = np.zeros((x.shape[0], n_freq, x.shape[2]), lines.dtype)
    single = np.empty_like(power)
    for taper in tapers:
        power += convert(_transform(lines, taper, n_fft, bins, demean_taper), "pow", single)
    np.divide(power, power.dtype.type(len(tapers)), out=out[:, 0], casting="same_kind")
    return out


_FEW_CHANNELS = 8
"""Below this number of channels arrays are faster with time as the fastest axis."""


def _lines(x: Array, dtype: np.dtype[Any]) -> Array:
    """Signals in working precision, laid out in memory for the operations that follow."""
    if x.shape[2] >= _FEW_CHANNELS or x.shape[2] == 1:
        return x.astype(dtype, copy=False)
    lines = np.empty((x.shape[0], x.shape[2], x.shape[1]), dtype).transpose(0, 2, 1)
    np.copyto(lines, x, casting="same_kind")
    return lines


def _transform(
    lines: Array, taper: Array, n_fft: int, bins: slice | NDArray[np.int64], demean: bool, reuse: bool = False
) -> Array:
    from scipy.fft import rfft

    tapered = np.multiply(lines, taper, out=lines if reuse else None)
    if demean:
        detrended(tapered, 0, out=tapered)
    spectra: Array = rfft(tapered, n=n_fft, axis=1, overwrite_x=True)
    return spectra[:, bins]


def convert(spectra: Array, output: str, out: Array) -> Array:
    """Turn complex coefficients into what was asked for; overwrites its input.

    Parameters
    ----------
    spectra : ndarray, complex
        Coefficients.
    output : str
        As in `tapered_spectra`.
    out : ndarray
        Where to put the result.
    """
    if output == "pow":
        pairs = np.ascontiguousarray(spectra).view(spectra.real.dtype)
        np.multiply(pairs, pairs, out=pairs)
        np.add(pairs[..., ::2], pairs[..., 1::2], out=out, casting="same_kind")
        return out
    if output == "angle":
        np.arctan2(spectra.imag, spectra.real, out=out, casting="same_kind")
        return out
    part = {"abs": spectra, "absreal": spectra.real, "absimag": spectra.imag}
    if output in part:
        np.abs(part[output], out=out, casting="same_kind")
        return out
    plain = {"fourier": spectra, "real": spectra.real, "imag": spectra.imag}
    np.copyto(out, plain[output], casting="same_kind")
    return out
