"""Spectra that pairs are made of: several trials at a time, and weighed by the work that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray

from rayspy.kernels.connectivity.sums import group_of
from rayspy.methods.base import Kernel, Part, Work
from rayspy.methods.copying import Copying
from rayspy.methods.spectral.mtmfft import Mtmfft

Array = NDArray[Any]

_TOGETHER = 16
"""Trials, at least, whose pairs are best summed together."""
_BYTES = 2**24
"""Unless their spectra are larger than this."""
_OF_PAIRS = 0.05
"""Work of a product and its sum, compared to the share of a bin in a transform."""


@dataclass(frozen=True)
class PairSpectra(Mtmfft):
    """Fourier coefficients of all tapers, whose products are summed.

    Attributes
    ----------
    n_channels : int
        Number of channels.
    n_pairs : int
        Number of pairs that are summed.
    """

    name: ClassVar[str] = "mtmfft"

    n_channels: int = 1
    n_pairs: int = 1

    @property
    def lanes(self) -> int:
        """Lines of a few trials."""
        return self.n_channels * self._at_once

    @property
    def _at_once(self) -> int:
        return _at_once(self.taper.n_tapers * len(self.freq) * self.n_channels * 8)

    @property
    def group(self) -> int:
        """Trials whose products are summed together."""
        return group_of(self.taper.n_tapers, self._at_once)

    def work(self, length: int, itemsize: int) -> Work:
        """Pairs weigh, compared to a transform."""
        weight = 1.0 + _OF_PAIRS * self.n_pairs / self.n_channels
        return replace(super().work(length, itemsize), weight=weight)


@dataclass(frozen=True)
class GivenSpectra(Copying):
    """Fourier coefficients that are there already; runs of frequencies are copied alone.

    Attributes
    ----------
    n_channels, n_tapers : int
        Their numbers.
    trial_bytes : int
        Size of a trial.
    """

    takes_freqs: ClassVar[bool] = True

    n_channels: int
    n_tapers: int
    trial_bytes: int

    def kernel(self, part: Part) -> Kernel:
        """Copy."""
        wanted = slice(None) if part.freqs is None else slice(part.freqs.start, part.freqs.stop)
        return partial(_in_range, super().kernel(part), wanted)

    @property
    def lanes(self) -> int:
        """Lines of a few trials."""
        return self.n_channels * _at_once(self.trial_bytes)

    @property
    def group(self) -> int:
        """Trials whose products are summed together."""
        return group_of(self.n_tapers, _at_once(self.trial_bytes))


def _at_once(trial_bytes: int) -> int:
    """Power of two of trials."""
    return 1 << (max(1, min(_TOGETHER, _BYTES // trial_bytes)).bit_length() - 1)


def _in_range(copy: Kernel, wanted: slice, x: Array, out: Array | None = None) -> Array:
    """Copy frequencies of spectra (trial, time, taper, freq, channel)."""
    return copy(x[..., wanted, :], out)
