"""Method `linefilter`: take fitted sinusoids out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.linefit import sinusoids_bytes, windows_for, without_lines
from rayspy.kernels.lines import as_lines, as_samples
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.filters.filters import piece_length
from rayspy.methods.filters.preprocessing import like_input

Array = NDArray[Any]


@dataclass(frozen=True)
class LineFilter(Method):
    """Frequencies in cycles per sample and the window in samples."""

    name: ClassVar[str] = "linefilter"
    takes_rows: ClassVar[bool] = True

    freqs: tuple[float, ...]
    window: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, with trials counted anew."""
        return like_input(spec, np.dtype(np.float32))

    def kernel(self, part: Part) -> Kernel:
        """Bind to rows of a trial."""
        rows = part.rows or range(part.length)
        bound: Kernel = partial(_cleaned, self, part.length, rows.start, rows.stop)
        return bound

    def piece_rows(self, length: int) -> int | None:
        """Windows stand where they stand in the whole trial, so pieces change nothing."""
        return piece_length(length, self.window)

    def samples(self, part: Part) -> tuple[int, int]:
        """All windows that touch the rows."""
        rows = part.rows or range(part.length)
        return _samples(self, part.length, rows.start, rows.stop)

    def work(self, length: int, itemsize: int) -> Work:
        """Signals and what is left of them in double precision, and the fit in one window; the sinusoids."""
        window = min(self.window, length)
        return Work(8 * (2 * length + 5 * window) + 16, sinusoids_bytes(len(self.freqs), window))


def _samples(method: LineFilter, length: int, first: int, stop: int) -> tuple[int, int]:
    width = min(method.window, length)
    starts = windows_for(length, width, first, stop)
    return int(starts[0]), int(starts[-1]) + width


def _cleaned(
    method: LineFilter, length: int, first: int, stop: int, x: Array, out: Array | None = None
) -> Array:
    start = _samples(method, length, first, stop)[0]
    lines = as_lines(x, np.dtype(np.float64))
    rest = as_samples(without_lines(lines, method.freqs, method.window, start, length, first, stop))
    if out is None:
        out = np.empty(rest.shape, np.float32)
    np.copyto(out, rest, casting="same_kind")
    return out
