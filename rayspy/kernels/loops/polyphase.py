"""Spectra of the phases of an input, filtered and added up to those of the phases of the output."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.lengths import LANES
from rayspy.kernels.loops.compiling import compiled

Array = NDArray[Any]


@compiled
def combine(phases: Array, transfer: Array, out: Array) -> None:
    """Filter the phases of the input for each phase of the output, and add them up.

    Parameters
    ----------
    phases : ndarray, floating point, shape (input phase, frequency, 2 * LANES)
        Spectra of two segments of each line, one of them the real part.
    transfer : ndarray of complex, shape (frequency, output phase, input phase)
        Transfer functions, in the same order of frequencies.
    out : ndarray, floating point, shape (output phase, frequency, 2 * LANES)
        Where to put the sums.
    """
    for k in range(phases.shape[1]):
        for p in range(len(out)):
            target, weights = out[p, k], transfer[k, p]
            for q in range(2 * LANES):
                target[q] = 0
            for r in range(len(phases)):
                source, hr, hi = phases[r, k], weights[r].real, weights[r].imag
                for q in range(LANES):
                    xr, xi = source[q], source[q + LANES]
                    target[q] += xr * hr - xi * hi
                    target[q + LANES] += xr * hi + xi * hr
