"""Method `preprocessing`: standardise, remove trends, filter, rectify or envelope."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.analytic import analytic, standardized
from rayspy.kernels.detrend import detrended
from rayspy.kernels.lines import as_lines, as_samples
from rayspy.kernels.mtmfft import convert, working_dtype
from rayspy.methods.base import InputSpec, Kernel, OutputSpec
from rayspy.methods.filters import Butterworth, Notch, Sinc, piece_length

Array = NDArray[Any]


@dataclass(frozen=True)
class Preprocessing:
    """Parameters of `preprocessing`, all resolved: see `rayspy.preprocessing`."""

    name: ClassVar[str] = "preprocessing"
    tells_nan: ClassVar[bool] = True

    filter: Butterworth | Sinc | Notch | None = None
    polyremoval: int | None = None
    zscore: bool = False
    rectify: bool = False
    hilbert: str | None = None

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, with trials counted anew."""
        return like_input(spec, np.dtype(np.complex64 if self.hilbert == "complex" else np.float32))

    def kernel(self, length: int) -> Kernel:
        """Whole trials."""
        return self.piece_kernel(length, 0, length)

    def piece_rows(self, length: int) -> int | None:
        """Trials are cut if nothing but a filter, or nothing that has a memory, is applied to them."""
        if self.polyremoval is not None or self.zscore or self.hilbert is not None or self.filter is None:
            return None
        return piece_length(length, self.filter.margin)

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """Those that the filter needs."""
        return (first, stop) if self.filter is None else self.filter.samples_for(length, first, stop)

    def piece_kernel(self, length: int, first: int, stop: int) -> Kernel:
        """Bind to rows of a trial."""
        bound: Kernel = partial(_preprocessed, self, length, first, stop)
        return bound

    def precision(self, length: int, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Type in which trials of this length are computed."""
        working = working_dtype(dtype)
        double = self.filter is not None and self.filter.is_double(length, working.itemsize)
        return np.dtype(np.float64) if double else working

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Signals in working precision, what the filter needs, and the analytic signal."""
        wide = self.precision(length, np.dtype(f"f{min(itemsize, 8)}")).itemsize
        steps = [0]
        if self.filter is not None:
            steps.append(self.filter.working_bytes(length, itemsize))
        if self.polyremoval is not None or self.zscore:
            steps.append(3 * length * wide)
        if self.hilbert is not None:
            steps.append(6 * (length + 2) * wide)
        return 3 * length * wide + max(steps)


def like_input(spec: InputSpec, dtype: np.dtype[Any]) -> OutputSpec:
    """A result of the same shape, its trials one after the other."""
    trl = spec.trialdefinition.copy()
    stops = np.cumsum(spec.lengths)
    trl[:, 0], trl[:, 1] = stops - spec.lengths, stops
    return OutputSpec(spec.kind, spec.dims, dtype, spec.lengths, trl, spec.samplerate, spec.labels)


def _preprocessed(
    method: Preprocessing, length: int, first: int, stop: int, x: Array, out: Array | None = None
) -> Array:
    """Rows of preprocessed trials."""
    if out is None:
        dtype = np.complex64 if method.hilbert == "complex" else np.float32
        out = np.empty((x.shape[0], stop - first, x.shape[2]), dtype)
    filter_, precision = method.filter, method.precision(length, x.dtype)
    start = 0 if filter_ is None else filter_.samples_for(length, first, stop)[0]
    if isinstance(filter_, Sinc) and method.hilbert is None:
        if method.polyremoval is not None or method.zscore:
            x = as_samples(_standardized(x, precision, method))
        filter_.put(x, precision, start, length, slice(first, stop), out)
        return np.abs(out, out=out) if method.rectify else out
    lines = _standardized(x, precision, method)
    if filter_ is not None:
        lines = filter_.apply(lines, start, length, first, stop)
    return _finished(lines, method, out)


def _standardized(x: Array, precision: np.dtype[Any], method: Preprocessing) -> Array:
    """Lines without their trend, in units of their standard deviation if that is wanted."""
    lines = as_lines(x, precision)
    detrended(as_samples(lines), method.polyremoval, out=as_samples(lines))
    return standardized(lines) if method.zscore else lines


def _finished(lines: Array, method: Preprocessing, out: Array) -> Array:
    """Rectify, take the part of the analytic signal that is wanted, or round to single precision."""
    if method.hilbert is not None:
        return convert(as_samples(analytic(lines)), _PART.get(method.hilbert, method.hilbert), out)
    if method.rectify:
        np.abs(lines, out=lines)
    np.copyto(out, as_samples(lines), casting="same_kind")
    return out


_PART = {"complex": "fourier"}
