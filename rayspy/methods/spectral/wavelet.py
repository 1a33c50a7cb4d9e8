"""Methods `wavelet` and `superlet`: continuous wavelet transforms and geometric means of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import SPECTRA
from rayspy.kernels.lengths import LANES
from rayspy.kernels.spectral.filterbank import (
    BATCH_BYTES,
    BUFFER_BYTES,
    Signals,
    filtered,
    has_whole_orders,
    is_plain,
    means_bytes,
    powers_bytes,
    superlets,
)
from rayspy.kernels.spectral.wavelets import (
    SUPPORT,
    fourier_factor,
    morlet_limits,
    order_weights,
    sampled_superlet,
    sampled_wavelet,
    samples_needed,
)
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.spectral.banks import BESIDE_BYTES, KEPT_BYTES, FilterBank, band_edges, kept_bank
from rayspy.methods.spectral.timepoints import TimePoints, points_of

_FILTER_BYTES = 512
"""Memory for a filter besides its numbers."""
_LEVEL_BYTES = 32
"""Memory for what is subtracted from a line, and by what it is divided."""


@dataclass(frozen=True)
class Wavelet(Method):
    """Parameters of `wavelet`, all resolved: see `rayspy.freqanalysis`."""

    name: ClassVar[str] = "wavelet"
    takes_freqs: ClassVar[bool] = True
    lanes: ClassVar[int] = LANES
    """Trials x channels that are computed side by side."""

    samplerate: float
    times: TimePoints
    foi: tuple[float, ...]
    output_kind: str = "pow"
    polyremoval: int | None = 0
    family: str = "Morlet"
    parameter: float = 6.0
    """w0 of Morlet, order of Paul and DOG."""
    edges: str = "zero"
    """'zero': beyond its part from the first time point to the last a trial is zero. 'nan': wavelets see
    the whole trial, and where they reach beyond it, results are NaN."""

    @property
    def freq(self) -> NDArray[np.float64]:
        """Frequencies of the result in Hz."""
        return np.array(self.foi)

    @property
    def scales(self) -> NDArray[np.float64]:
        """Scale per frequency in seconds."""
        return 1 / (self.freq * fourier_factor(self.family, self.parameter))

    def output(self, spec: InputSpec) -> OutputSpec:
        """As many rows per trial as there are time points."""
        return OutputSpec(
            kind="SpectralData",
            dims=("time", "taper", "freq", "channel"),
            dtype=np.dtype(np.complex64 if self.output_kind == "fourier" else np.float32),
            rows=self.times.rows(spec.lengths),
            trialdefinition=self.times.trialdefinition(spec),
            samplerate=self.times.samplerate(spec.samplerate),
            labels={"taper": np.array(["None"]), "freq": self.freq, "channel": spec.labels["channel"]},
            meaning=SPECTRA[self.output_kind],
        )

    def durations(self) -> list[float]:
        """Length of each filter in samples."""
        return [float(n) for n in SUPPORT * self.scales * self.samplerate]

    def taps(self, i: int, reach: int) -> tuple[NDArray[Any], int]:
        """Filter number i as far as it matters, and the lag of its first tap."""
        return sampled_wavelet(self.family, self.parameter, float(self.scales[i]), self.samplerate, reach)

    def bank(self, length: int, shift: int = 0) -> FilterBank:
        """All filters for so many samples, of which number `shift` is the first time point."""
        reaches = [min(length - 1, math.ceil(n / 2) + 1 + shift) for n in self.durations()]
        bound = partial(_taps, self, length - 1, shift), partial(_limits, self, length - 1)
        return FilterBank(length, points_of(self.times, length), reaches, *bound, self.family == "DOG")

    @property
    def members(self) -> list[list[tuple[int, float]]]:
        """Per frequency, the filters and their weights."""
        return [[(f, 1.0)] for f in range(len(self.foi))]

    def transform(self, bank: FilterBank, signals: Signals, freqs: range, out: NDArray[Any]) -> None:
        """Compute ``(trial, time, freq, channel)``."""
        filtered(signals, bank, freqs, self.output_kind, out)

    def kernel(self, part: Part) -> Kernel:
        """Bind filters for trials whose first time point is sample `variant`."""
        freqs = part.freqs or range(len(self.foi))
        return partial(_transformed, self, part.length, part.variant, freqs)

    def band_edges(self, length: int, at_most: int, n_lines: int) -> list[int]:
        """Runs of frequencies of about the same work."""
        members = [[i for i, _ in some] for some in self.members]
        return band_edges(self.largest_bank(length), members, at_most, n_lines)

    def part(self, length: int, variant: int) -> slice:
        """Samples that are transformed: from the first time point to the last, `margin` of them besides."""
        if self.times.offsets is None:
            return slice(0, length)
        margin = self.margin
        return slice(max(0, variant - margin), min(length, variant + self.times.offsets[-1] + 1 + margin))

    @property
    def margin(self) -> int:
        """Samples beyond the time points that are looked at."""
        return 0 if self.edges == "zero" else max(map(max, self.needed()))

    def needed(self) -> list[tuple[int, int]]:
        """Samples before and after a time point that the longest filter of each frequency needs."""
        durations = self.durations()
        return [samples_needed(max(durations[i] for i, _ in some)) for some in self.members]

    def used(self, length: int) -> int:
        """Samples that are transformed, at most."""
        part = self.part(length, self.margin)
        return int(part.stop - part.start)

    def largest_bank(self, length: int) -> FilterBank:
        """Filters for so many samples."""
        return self.bank(self.used(length), min(self.margin, length) if self.times.offsets else 0)

    def work(self, length: int, itemsize: int) -> Work:
        """Memory of filters, lines and outputs; twice the work of a plain transform."""
        bank = self.largest_bank(length)
        beside = self._is_beside(bank, length)
        line = self._line_bytes(length, itemsize, bank, beside)
        return Work(line, self._shared_bytes(bank, beside), weight=2.0)

    def kept_bytes(self, n_others: int, shortest: int, longest: int) -> int:
        """Filters for other lengths."""
        return min(BESIDE_BYTES, n_others * 8 * sum(self.largest_bank(longest).lengths))

    def _line_bytes(self, length: int, itemsize: int, bank: FilterBank, beside: bool) -> int:
        """Lines in double precision, their spectra and the outputs of one filter.

        Side by side, only what it takes to remove a straight line, or a copy of input in half precision.
        """
        if beside:
            return _LEVEL_BYTES + (
                24 * length if self.polyremoval == 1 else 4 * length if itemsize == 2 else 0
            )
        return 48 * length + sum(set(bank.row_bytes)) + 6 * max(bank.row_bytes)

    def _shared_bytes(self, bank: FilterBank, beside: bool) -> int:
        """Filters, a batch of outputs and the results of some lines."""
        lengths = bank.lengths
        if beside:
            return (
                min(KEPT_BYTES, 8 * sum(lengths))
                + 8 * sum(lengths)
                + 80 * max(lengths)
                + _FILTER_BYTES * len(lengths)
                + powers_bytes(bank.points.n_rows, lengths)
            )
        return min(KEPT_BYTES, 8 * sum(lengths)) + 4 * BATCH_BYTES + 2 * BUFFER_BYTES

    def side_by_side(self, length: int) -> bool:
        """Whether powers of 32 lines at a time are made."""
        return self._is_beside(self.largest_bank(length), length)

    def _is_beside(self, bank: FilterBank, length: int) -> bool:
        return self.output_kind == "pow" and is_plain(bank, self.used(length))


@dataclass(frozen=True)
class Superlet(Wavelet):
    """Parameters of `superlet`, all resolved: see `rayspy.freqanalysis`."""

    name: ClassVar[str] = "superlet"

    orders: tuple[float, ...] = ()
    """Largest order per frequency, fractional in the adaptive case."""
    order_min: int = 1
    c_1: int = 3
    family: str = "superlet"

    @property
    def members(self) -> list[list[tuple[int, float]]]:
        """Per frequency, the filters and their weights."""
        return _members(self)[0]

    def durations(self) -> list[float]:
        """Length of each filter in samples."""
        return [SUPPORT * scale * self.c_1 * order * self.samplerate for scale, order in _members(self)[1]]

    def taps(self, i: int, reach: int) -> tuple[NDArray[Any], int]:
        """Filter number i as far as it matters, and the lag of its first tap."""
        scale, order = _members(self)[1][i]
        return sampled_superlet(self.c_1 * order, scale, self.samplerate, reach)

    def transform(self, bank: FilterBank, signals: Signals, freqs: range, out: NDArray[Any]) -> None:
        """Compute ``(trial, time, freq, channel)``."""
        superlets(signals, bank, self.members, freqs, self.output_kind, out)

    def work(self, length: int, itemsize: int) -> Work:
        """Less weight than there are filters, as these are faster on several lines at a time."""
        n_filters = len(_members(self)[1])
        return replace(super().work(length, itemsize), weight=max(1.0, n_filters / len(self.foi) / 8))

    def _line_bytes(self, length: int, itemsize: int, bank: FilterBank, beside: bool) -> int:
        """Also the means of one frequency."""
        extra = 24 if self.output_kind in ("pow", "abs") else 96
        return super()._line_bytes(length, itemsize, bank, beside) + (0 if beside else extra * length)

    def _shared_bytes(self, bank: FilterBank, beside: bool) -> int:
        """Also the means of some frequencies."""
        if not beside:
            return super()._shared_bytes(bank, beside) + 8 * BATCH_BYTES
        lengths, order = bank.lengths, max(map(len, self.members))
        filters = min(KEPT_BYTES, 8 * sum(lengths)) + 80 * max(lengths) + _FILTER_BYTES * len(lengths)
        return filters + means_bytes(bank.points.n_rows, lengths, order, len(self.foi))

    def _is_beside(self, bank: FilterBank, length: int) -> bool:
        whole = self.output_kind in ("pow", "abs") and has_whole_orders(self.members)
        return whole and is_plain(bank, self.used(length))


@lru_cache(maxsize=32)
def _members(method: Superlet) -> tuple[list[list[tuple[int, float]]], list[tuple[float, int]]]:
    """Filters with weights per frequency, and (scale, order) per filter."""
    members: list[list[tuple[int, float]]] = []
    filters: list[tuple[float, int]] = []
    for scale, largest in zip(method.scales.tolist(), method.orders, strict=True):
        weights = order_weights(largest, method.order_min)
        members.append([(len(filters) + k, weight) for k, (_, weight) in enumerate(weights)])
        filters += [(scale, order) for order, _ in weights]
    return members, filters


def _taps(method: Wavelet, reach: int, shift: int, i: int) -> tuple[NDArray[Any], int]:
    taps, first = method.taps(i, reach)
    return taps, first - shift


def _limits(method: Wavelet, reach: int, i: int) -> tuple[float, float] | None:
    """Frequencies per sample between which a filter lies; None if it does not, or is cut by the trial."""
    if method.family != "Morlet" or method.durations()[i] > 2 * reach:
        return None
    return morlet_limits(method.parameter, float(method.scales[i]), method.samplerate)


def _transformed(
    method: Wavelet, length: int, variant: int, freqs: range, x: NDArray[Any], out: NDArray[Any] | None = None
) -> NDArray[Any]:
    part = method.part(length, variant)
    n, shift = part.stop - part.start, 0 if method.times.offsets is None else variant - part.start
    bank = kept_bank((method, n, shift), partial(method.bank, n, shift))
    if out is None:
        dtype = np.complex64 if method.output_kind == "fourier" else np.float32
        out = np.empty((len(x), bank.points.n_rows, 1, len(freqs), x.shape[2]), dtype)
    method.transform(bank, Signals.of(x, method.polyremoval, part), freqs, out[:, :, 0])
    if method.edges == "nan":
        samples = method.times.samples(length, variant)
        for k, (before, after) in enumerate(method.needed()[freqs.start : freqs.stop]):
            head, tail = np.searchsorted(samples, [before, length - after])
            out[:, :head, 0, k] = np.nan
            out[:, tail:, 0, k] = np.nan
    return out
