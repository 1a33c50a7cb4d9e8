"""Method `preprocessing`: standardise, remove trends, filter, rectify or envelope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import BASELINES, SPECTRA
from rayspy.kernels.detrend import detrended
from rayspy.kernels.filters.analytic import analytic, standardized
from rayspy.kernels.lengths import LANES
from rayspy.kernels.lines import as_lines, as_samples
from rayspy.kernels.spectral.mtmfft import convert, working_dtype
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.filters.filters import Butterworth, Notch, Sinc, piece_length

Array = NDArray[Any]


@dataclass(frozen=True)
class Preprocessing(Method):
    """Parameters of `preprocessing`, all resolved: see `rayspy.preprocessing`."""

    name: ClassVar[str] = "preprocessing"
    takes_rows: ClassVar[bool] = True

    filter: Butterworth | Sinc | Notch | None = None
    polyremoval: int | None = None
    zscore: bool = False
    rectify: bool = False
    hilbert: str | None = None

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, with trials counted anew."""
        out = like_input(spec, np.dtype(np.complex64 if self.hilbert == "complex" else np.float32))
        if self.hilbert is not None:
            return replace(out, meaning=SPECTRA[self.hilbert])
        return replace(out, meaning=BASELINES["zscore"]) if self.zscore else out

    @property
    def lanes(self) -> int:
        """Of a filter."""
        return 1 if self.filter is None else LANES

    def kernel(self, part: Part) -> Kernel:
        """Bind to rows of a trial."""
        rows = part.rows or range(part.length)
        bound: Kernel = partial(_preprocessed, self, part.length, rows.start, rows.stop)
        return bound

    def piece_rows(self, length: int) -> int | None:
        """Trials are cut if nothing but a filter, or nothing that has a memory, is applied to them."""
        if self.polyremoval is not None or self.zscore or self.hilbert is not None or self.filter is None:
            return None
        return None if self.filter.needs_whole else piece_length(length, self.filter.margin)

    def samples(self, part: Part) -> tuple[int, int]:
        """Those that the filter needs."""
        rows = part.rows or range(part.length)
        if self.filter is None:
            return rows.start, rows.stop
        return self.filter.samples_for(part.length, rows.start, rows.stop)

    def work(self, length: int, itemsize: int) -> Work:
        """What the filter needs; signals as lines, the analytic signal."""
        wide = 8 if itemsize > 4 else 4
        steps = [0]
        if self.filter is not None:
            steps.append(self.filter.working_bytes(length, itemsize))
        if self.polyremoval is not None or self.zscore:
            steps.append(3 * length * wide)
        if self.hilbert is not None:
            steps.append(6 * (length + 2) * wide)
        straight = len(steps) == 2 and self.filter is not None
        shared = 0 if self.filter is None else self.filter.shared_bytes(length)
        return Work(max(steps) + (0 if straight else 3 * length * wide), shared)


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
    x = _prepared(method, x)
    if out is None:
        dtype = np.complex64 if method.hilbert == "complex" else np.float32
        out = np.empty((x.shape[0], stop - first, x.shape[2]), dtype)
    filter_ = method.filter
    if filter_ is None:
        return _finished(x, method, out)
    filtered = out
    if method.hilbert is not None:
        filtered = as_samples(np.empty((x.shape[0], x.shape[2], stop - first), working_dtype(x.dtype)))
    if stop - first == length:
        _put_whole(filter_, x, filtered)
    else:
        filter_.put(x, filter_.samples_for(length, first, stop)[0], length, first, filtered)
    return _finished(filtered, method, out)


def _put_whole(filter_: Butterworth | Sinc | Notch, x: Array, out: Array) -> None:
    """Filter whole trials; a windowed sinc treats long ones in pieces as it does elsewhere."""
    length = x.shape[1]
    whole = filter_.needs_whole or not isinstance(filter_, Sinc)
    rows = None if whole else piece_length(length, filter_.margin)
    for first in range(0, length, rows or length):
        stop = min(first + (rows or length), length)
        low, high = filter_.samples_for(length, first, stop)
        filter_.put(x[:, low:high], low, length, first, out[:, first:stop])


def _prepared(method: Preprocessing, x: Array) -> Array:
    """Trends removed and standardised; the input itself if that is not wanted."""
    if method.polyremoval is None and not method.zscore:
        return x
    lines = as_lines(x, working_dtype(x.dtype))
    detrended(as_samples(lines), method.polyremoval, out=as_samples(lines))
    return as_samples(standardized(lines) if method.zscore else lines)


def _finished(x: Array, method: Preprocessing, out: Array) -> Array:
    """Rectify, take the part of the analytic signal that is wanted, or round to single precision."""
    if method.hilbert is not None:
        part = as_samples(analytic(as_samples(x)))
        return convert(part, _PART.get(method.hilbert, method.hilbert), out)
    if method.rectify:
        np.abs(x, out=out, casting="same_kind")
    elif x is not out:
        np.copyto(out, x, casting="same_kind")
    return out


_PART = {"complex": "fourier"}
