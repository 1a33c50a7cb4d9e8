"""Spectra of the phases of an input, filtered and added up to those of the phases of the output."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rayspy.kernels.loops.compiling import compiled
from rayspy.kernels.loops.lanes import LANES

Array = NDArray[Any]


@compiled
def add_products(z: Array, transfer: Array, sums: Array) -> None:
    """Add what a phase of the input contributes to each phase of the output.

    Parameters
    ----------
    z : ndarray, floating point, shape (frequency, 2 * LANES)
        Spectrum of a phase of the input: two segments of each line, one the real part.
    transfer : ndarray of complex, shape (phase, frequency)
        Transfer functions, in the same order of frequencies.
    sums : ndarray, floating point, shape (phase, frequency, 2 * LANES)
        Spectra of the phases of the output.
    """
    for k in range(len(z)):
        source = z[k]
        for p in range(len(transfer)):
            hr, hi = transfer[p, k].real, transfer[p, k].imag
            target = sums[p, k]
            for q in range(LANES):
                xr, xi = source[q], source[q + LANES]
                target[q] += xr * hr - xi * hi
                target[q + LANES] += xr * hi + xi * hr
