"""Method `copy`: the selected data as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work


@dataclass(frozen=True)
class Copying(Method):
    """Copies what was selected; trials are stacked without gaps."""

    name: ClassVar[str] = "copy"
    tells_nan: ClassVar[bool] = False

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, with trials counted anew."""
        trl = spec.trialdefinition.copy()
        stops = np.cumsum(spec.lengths)
        trl[:, 0], trl[:, 1] = stops - spec.lengths, stops
        return OutputSpec(spec.kind, spec.dims, spec.dtype, spec.lengths, trl, spec.samplerate, spec.labels)

    def kernel(self, part: Part) -> Kernel:
        """Copy."""
        return _copied

    def work(self, length: int, itemsize: int) -> Work:
        """Nothing but input and output."""
        return Work()


def floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type for results of arithmetic: that of numbers with a fraction; single precision for up to 16 bits."""
    if dtype.kind in "fc":
        return dtype
    return np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)


@dataclass(frozen=True)
class Floating(Copying):
    """Copies what was selected as numbers with a fraction."""

    name: ClassVar[str] = "float"
    tells_nan: ClassVar[bool] = True

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, whole numbers as numbers with a fraction."""
        return replace(super().output(spec), dtype=floating(spec.dtype))

    def kernel(self, part: Part) -> Kernel:
        """Convert."""
        return _converted


def _converted(x: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    if out is None:
        return x.astype(floating(x.dtype))
    np.copyto(out, x, casting="same_kind" if x.dtype.kind == out.dtype.kind else "safe")
    return out


def _copied(x: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    if out is None:
        return x.copy()
    np.copyto(out, x)
    return out
