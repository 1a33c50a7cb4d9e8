"""Method `linefilter`: take fitted sinusoids out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.linefit import sinusoids_bytes, windows_for, without_lines
from rayspy.kernels.lines import as_lines, as_samples
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec
from rayspy.methods.filters.filters import piece_length
from rayspy.methods.filters.preprocessing import like_input

Array = NDArray[Any]


@dataclass(frozen=True)
class LineFilter(Method):
    """Frequencies in cycles per sample and the window in samples."""

    name: ClassVar[str] = "linefilter"
    tells_nan: ClassVar[bool] = True

    freqs: tuple[float, ...]
    window: int

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, with trials counted anew."""
        return like_input(spec, np.dtype(np.float32))

    def kernel(self, length: int) -> Kernel:
        """Whole trials."""
        return self.piece_kernel(length, 0, length)

    def piece_rows(self, length: int) -> int | None:
        """Windows stand where they stand in the whole trial, so pieces change nothing."""
        return piece_length(length, self.window)

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """All windows that touch the rows."""
        width = min(self.window, length)
        starts = windows_for(length, width, first, stop)
        return int(starts[0]), int(starts[-1]) + width

    def piece_kernel(self, length: int, first: int, stop: int) -> Kernel:
        """Bind to rows of a trial."""
        bound: Kernel = partial(_cleaned, self, length, first, stop)
        return bound

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Signals and what is left of them in double precision, and the fit in one window."""
        return 8 * (2 * length + 5 * min(self.window, length)) + 16

    def shared_bytes(self, length: int) -> int:
        """The sinusoids."""
        return sinusoids_bytes(len(self.freqs), min(self.window, length))


def _cleaned(
    method: LineFilter, length: int, first: int, stop: int, x: Array, out: Array | None = None
) -> Array:
    start = method.samples_for(length, first, stop)[0]
    lines = as_lines(x, np.dtype(np.float64))
    rest = as_samples(without_lines(lines, method.freqs, method.window, start, length, first, stop))
    if out is None:
        out = np.empty(rest.shape, np.float32)
    np.copyto(out, rest, casting="same_kind")
    return out
