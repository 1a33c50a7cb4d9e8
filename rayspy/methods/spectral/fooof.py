"""Method `fooof`: parametric models of power spectra."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.spectral.fooof import n_numbers, spectrum_models
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work


@dataclass(frozen=True)
class Fooof(Method):
    """Fits a model to each spectrum.

    The result has the curve and behind it, along the frequency axis, the numbers
    that describe the model.
    """

    name: ClassVar[str] = "fooof"
    holds_gil: ClassVar[bool] = True
    """Fits are Python code, of which one thread of a process runs at a time."""
    tells_nan: ClassVar[bool] = False

    kind: str
    foi: tuple[float, ...]
    options: tuple[tuple[str, Any], ...]
    n_peaks: int
    """Peaks per model whose parameters are kept."""

    @property
    def n_rows(self) -> int:
        """Length of the frequency axis."""
        return len(self.foi) + n_numbers(self.n_peaks)

    def output(self, spec: InputSpec) -> OutputSpec:
        """As the input but for the frequency axis."""
        trl = spec.trialdefinition.copy()
        stops = np.cumsum(spec.lengths)
        trl[:, 0], trl[:, 1] = stops - spec.lengths, stops
        labels = {**spec.labels, "freq": np.arange(self.n_rows, dtype=np.float64)}
        return OutputSpec(
            spec.kind, spec.dims, np.dtype(np.float32), spec.lengths, trl, spec.samplerate, labels
        )

    def kernel(self, part: Part) -> Kernel:
        """Bind the options."""
        bound: Kernel = partial(_modelled, self)
        return bound

    def work(self, length: int, itemsize: int) -> Work:
        """Some copies of one spectrum and the Jacobian of its fit; fits are slow."""
        return Work(8 * len(self.foi) * (8 + 3 * self.n_peaks) + 16 * self.n_rows, weight=500.0)


def _modelled(method: Fooof, x: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    if out is None:
        out = np.empty((*x.shape[:3], method.n_rows, x.shape[4]), np.float32)
    freqs = np.array(method.foi)
    spectrum_models(x, freqs, dict(method.options), method.kind, method.n_peaks, out)
    return out
