"""Methods `resample` and `downsample`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.design import windowed_sinc
from rayspy.kernels.filters.resample import (
    Factor,
    Interpolation,
    Polyphase,
    default_factor,
    interpolation_bytes,
    is_small,
    n_rows,
    put_resampled,
    room_in_bytes,
    samples_for_rows,
)
from rayspy.kernels.lengths import LANES
from rayspy.kernels.padding import added_bytes
from rayspy.kernels.spectral.mtmfft import working_dtype
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.filters.filters import MARGINS_PER_PIECE, PIECE, WHOLE, Sinc

Array = NDArray[Any]

_ROWS = 256
"""Pieces have a multiple of so many rows."""


@dataclass(frozen=True)
class Resample(Method):
    """Resampling by ``up / down``; the cutoff is in cycles per sample of the input.

    Without `order` the filter is as long as the ratio needs.
    """

    name: ClassVar[str] = "resample"
    takes_rows: ClassVar[bool] = True

    samplerate: float
    up: int
    down: int
    cutoff: float
    order: int | None = None
    padtype: str = "mean"
    """What trials are beyond their ends, see `rayspy.kernels.padding`."""

    @property
    def factor(self) -> Factor:
        """Factor and filter."""
        return _factor(self.up, self.down, self.cutoff, self.order)

    def output(self, spec: InputSpec) -> OutputSpec:
        """As many rows as fit; real numbers."""
        dtype = working_dtype(spec.dtype)
        return _rescaled(spec, self.up, self.down, self.samplerate, dtype)

    def kernel(self, part: Part) -> Kernel:
        """Bind to rows of a trial."""
        rows = self._rows(part)
        start = self.samples(part)[0]
        bound: Kernel = partial(
            _resampled, self.factor, self.padtype, part.length, start, rows.start, rows.stop
        )
        return bound

    def _rows(self, part: Part) -> range:
        return part.rows or range(n_rows(part.length, self.up, self.down))

    def piece_rows(self, length: int) -> int | None:
        """A multiple of `up` where that is small, so that all pieces are alike."""
        margin = self.margin
        return None if self.padtype == "line" else _piece_rows(length, margin, self.up, self.down)

    @property
    def margin(self) -> int:
        """Samples on either side of a row on which it depends."""
        low, high = self.factor.reached(0, 1)
        return max(-low, high) + 1

    def samples(self, part: Part) -> tuple[int, int]:
        """Exactly those that the filter reaches."""
        rows = self._rows(part)
        return samples_for_rows(self.factor, part.length, rows.start, rows.stop)

    @property
    def lanes(self) -> int:
        """Of transforms; a line with few taps is treated by itself."""
        return LANES if self.factor.by_transform else 1

    def work(self, length: int, itemsize: int) -> Work:
        """Memory per line and of what they share."""
        return Work(self._line_bytes(length, itemsize), self._shared_bytes(length))

    def _line_bytes(self, length: int, itemsize: int) -> int:
        """Marks of holes, or signals as lines and twice the result; a copy of input in half precision."""
        padding = added_bytes(self.padtype, length, self.margin, itemsize)
        if self.factor.by_transform:
            return 6 * length + (4 * length if itemsize == 2 else 0) + padding
        wide = 8 if itemsize > 4 else 4
        rows = n_rows(length, self.up, self.down)
        return wide * 2 * (length + rows) + 2 * wide * self.margin + 512 + padding

    def _shared_bytes(self, length: int) -> int:
        """Phases of 32 pairs of segments and their filters, or coefficients, or taps."""
        factor, rows = self.factor, n_rows(length, self.up, self.down)
        if isinstance(factor, Interpolation):
            return interpolation_bytes(factor, rows)
        taps = 32 * len(factor.taps)
        return taps + (room_in_bytes(factor, rows) if factor.by_transform else 0)


@lru_cache(maxsize=16)
def _factor(up: int, down: int, cutoff: float, order: int | None) -> Factor:
    if order is None:
        return default_factor(up, down, cutoff)
    return Polyphase(up, down, windowed_sinc(cutoff / up, order, "hamming") * up)


def _resampled(
    factor: Factor,
    padtype: str,
    length: int,
    start: int,
    first: int,
    stop: int,
    x: Array,
    out: Array | None = None,
) -> Array:
    dtype = working_dtype(x.dtype)
    if out is None:
        out = np.empty((x.shape[0], stop - first, x.shape[2]), dtype)
    put_resampled(x, dtype, factor, start, first, stop, out, padtype, length)
    return out


def _given(result: Array, out: Array | None) -> Array:
    if out is None:
        return result
    np.copyto(out, result, casting="same_kind")
    return out


@dataclass(frozen=True)
class Downsample(Method):
    """Every `step`-th sample, low-pass filtered before if there is a filter."""

    name: ClassVar[str] = "downsample"
    takes_rows: ClassVar[bool] = True

    samplerate: float
    step: int
    filter: Sinc | None = None

    def output(self, spec: InputSpec) -> OutputSpec:
        """As many rows as fit, in the type of the input unless it is filtered."""
        dtype = spec.dtype if self.filter is None else working_dtype(spec.dtype)
        return _rescaled(spec, 1, self.step, self.samplerate, dtype)

    def kernel(self, part: Part) -> Kernel:
        """Bind to rows of a trial."""
        rows = part.rows or range(n_rows(part.length, 1, self.step))
        bound: Kernel = partial(_downsampled, self, part.length, rows.start, rows.stop)
        return bound

    def piece_rows(self, length: int) -> int | None:
        """As many rows as a piece has samples to be filtered for."""
        if self.filter is not None and self.filter.needs_whole:
            return None
        return _piece_rows(length, 0 if self.filter is None else self.filter.margin, 1, self.step)

    def samples(self, part: Part) -> tuple[int, int]:
        """Samples between the rows, and what the filter needs."""
        rows = part.rows or range(n_rows(part.length, 1, self.step))
        low, high = rows.start * self.step, (rows.stop - 1) * self.step + 1
        return (low, high) if self.filter is None else self.filter.samples_for(part.length, low, high)

    def work(self, length: int, itemsize: int) -> Work:
        """What the filter needs."""
        if self.filter is None:
            return Work()
        return Work(self.filter.working_bytes(length, itemsize), self.filter.shared_bytes(length))

    @property
    def lanes(self) -> int:
        """Of the filter."""
        return 1 if self.filter is None else LANES


def _downsampled(
    method: Downsample, length: int, first: int, stop: int, x: Array, out: Array | None = None
) -> Array:
    low, high = first * method.step, (stop - 1) * method.step + 1
    if method.filter is None:
        return _given(x[:, : high - low : method.step], out)
    if out is None:
        out = np.empty((x.shape[0], stop - first, x.shape[2]), working_dtype(x.dtype))
    start = method.filter.samples_for(length, low, high)[0]
    method.filter.put(x, start, length, low, out, method.step)
    return out


def _piece_rows(length: int, margin: int, up: int, down: int) -> int | None:
    samples = max(PIECE, MARGINS_PER_PIECE * margin)
    if is_small(up, down):
        times = -(-samples // down)
        return None if length <= max(WHOLE, 2 * times * down) else times * up
    rows = -(-samples * up // down)
    return None if length <= max(WHOLE, 2 * samples) else rows - rows % min(rows, _ROWS)


def _rescaled(spec: InputSpec, up: int, down: int, samplerate: float, dtype: np.dtype[Any]) -> OutputSpec:
    """Trials of the new length one after the other, first samples at their times, trialinfo kept."""
    trl = spec.trialdefinition.copy()
    rows = -(-spec.lengths * up // down)
    stops = np.cumsum(rows)
    trl[:, 0], trl[:, 1] = stops - rows, stops
    trl[:, 2] = trl[:, 2] * up / down
    return OutputSpec(spec.kind, spec.dims, dtype, rows, trl, samplerate, spec.labels)
