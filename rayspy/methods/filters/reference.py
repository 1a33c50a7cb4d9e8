"""Methods `rereference` and `bipolar`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.reference import rereferenced
from rayspy.methods.base import InputSpec, Kernel, OutputSpec, Part, Work
from rayspy.methods.copying import Copying


def single(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Single precision, complex if the input is."""
    return np.dtype(np.complex64 if dtype.kind == "c" else np.float32)


@dataclass(frozen=True)
class Rereference(Copying):
    """Subtracts the average or median of some channels from all channels, sample by sample."""

    name: ClassVar[str] = "rereference"
    tells_nan: ClassVar[bool] = True

    statistic: str = "average"
    channels: tuple[int, ...] | None = None
    """Channels that make up the reference, as places among the selected ones; None: all."""

    @property
    def crosses(self) -> frozenset[str]:
        """All channels go into the reference of each."""
        return frozenset({"channel"})

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, in single precision."""
        return replace(super().output(spec), dtype=single(spec.dtype))

    def kernel(self, part: Part) -> Kernel:
        """Bind the channels."""
        channels = slice(None) if self.channels is None else np.array(self.channels)
        bound: Kernel = partial(rereferenced, channels=channels, statistic=self.statistic)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """Channels of the reference in double precision, and room to work."""
        return Work(2 * length * (16 if itemsize > 8 else 8))


@dataclass(frozen=True)
class Bipolar(Copying):
    """Takes differences that were computed while reading to single precision."""

    name: ClassVar[str] = "bipolar"
    tells_nan: ClassVar[bool] = True

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input, in single precision."""
        return replace(super().output(spec), dtype=single(spec.dtype))

    def kernel(self, part: Part) -> Kernel:
        """Convert."""
        return _converted


def _converted(x: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    if out is None:
        return x.astype(single(x.dtype))
    np.copyto(out, x, casting="same_kind")
    return out
