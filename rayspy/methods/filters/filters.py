"""Filters as frozen values, each with what it needs to be applied to pieces of a trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.filters.convolution import Response, put_filtered, reach, room_in_bytes
from rayspy.kernels.filters.design import Sections, butterworth, minimum_phase, notch, sinc_filter
from rayspy.kernels.filters.recursion import both_ways, one_way
from rayspy.kernels.filters.recursion import room_in_bytes as recursion_bytes
from rayspy.kernels.padding import added_bytes
from rayspy.kernels.spectral.mtmfft import working_dtype

Array = NDArray[Any]

WHOLE = 2**16
"""Trials up to this length are filtered whole."""
PIECE = 2**15
"""Rows per piece of longer ones, more where the margins are long."""
MARGINS_PER_PIECE = 4
"""A piece is at least this many times as long as one of its margins."""


class Filter(Protocol):
    """A filter along time."""

    @property
    def margin(self) -> int:
        """Samples before and after a piece on which it depends."""
        ...

    @property
    def needs_whole(self) -> bool:
        """Whether trials cannot be cut."""
        ...

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """Samples of a trial that are needed for the given rows."""
        ...

    def put(self, x: Array, start: int, length: int, first: int, out: Array) -> None:
        """Put rows `first` and following of filtered trials (trial, time, channel) into `out`.

        `x` holds samples `start` and following of them.
        """
        ...

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Memory per trial and channel."""
        ...

    def shared_bytes(self, length: int) -> int:
        """Memory however many trials and channels there are."""
        ...


class Recursive:
    """What filters made of second-order sections have in common."""

    needs_whole = False
    twopass: bool

    @property
    def sections(self) -> Sections:
        """Coefficients."""
        raise NotImplementedError

    @property
    def margin(self) -> int:
        """Samples after which what came before is forgotten, to 1e-12."""
        return self.sections.decay + self.sections.padding

    @property
    def shortest(self) -> int:
        """Fewest samples that a trial must have."""
        return self.sections.padding + 1 if self.twopass else 1

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """Margins of `margin` samples, after the rows only if filtered backward too."""
        behind = self.margin if self.twopass else 0
        return max(0, first - self.margin), min(length, stop + behind)

    def put(self, x: Array, start: int, length: int, first: int, out: Array) -> None:
        """Filter as if the samples in `x` were all there are, and leave out the margins."""
        if self.twopass:
            both_ways(x, self.sections, out, first - start)
        else:
            one_way(x, self.sections, out, first - start, settled=start > 0)

    def working_bytes(self, length: int, itemsize: int) -> int:
        """A copy in single precision, should the input be in half."""
        return 4 * length if itemsize == 2 else 0

    def shared_bytes(self, length: int) -> int:
        """What has been filtered forward, however many signals there are."""
        return recursion_bytes(length, self.sections) if self.twopass else 0


@dataclass(frozen=True)
class Butterworth(Recursive):
    """Butterworth filter; frequencies in cycles per sample."""

    kind: str
    cutoffs: tuple[float, ...]
    order: int
    twopass: bool

    @property
    def sections(self) -> Sections:
        """Coefficients."""
        return _butterworth(self.kind, self.cutoffs, self.order)


@lru_cache(maxsize=16)
def _butterworth(kind: str, cutoffs: tuple[float, ...], order: int) -> Sections:
    return butterworth(kind, cutoffs, order)


@dataclass(frozen=True)
class Notch(Recursive):
    """Narrow band-stop at several frequencies, in cycles per sample as its width."""

    freqs: tuple[float, ...]
    width: float
    twopass: bool

    @property
    def sections(self) -> Sections:
        """Coefficients."""
        return _notch(self.freqs, self.width)


@lru_cache(maxsize=16)
def _notch(freqs: tuple[float, ...], width: float) -> Sections:
    return notch(freqs, width)


@dataclass(frozen=True)
class Sinc:
    """Windowed sinc filter; frequencies in cycles per sample."""

    kind: str
    cutoffs: tuple[float, ...]
    order: int
    window: str
    direction: str
    padtype: str = "mean"
    """What trials are beyond their ends, see `rayspy.kernels.padding`."""

    @property
    def response(self) -> Response:
        """Coefficients and where they stand."""
        return _response(self.kind, self.cutoffs, self.order, self.window, self.direction)

    @property
    def needs_whole(self) -> bool:
        """A line goes from the first sample of a trial to the last."""
        return self.padtype == "line"

    @property
    def passes(self) -> int:
        """How many times it is applied."""
        return 2 if self.direction == "twopass" else 1

    @property
    def margin(self) -> int:
        """Length of the response for each pass."""
        return self.passes * max(self.response.lead, self.response.tail)

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """Exactly those that the response reaches."""
        return reach(self.response, self.passes, length, first, stop)

    def put(self, x: Array, start: int, length: int, first: int, out: Array, step: int = 1) -> None:
        """Convolve, and keep every `step`-th row."""
        rows = slice(first, first + (out.shape[1] - 1) * step + 1, step)
        dtype = working_dtype(x.dtype)
        put_filtered(x, dtype, self.response, self.passes, start, length, rows, out, self.padtype)

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Marks of holes, should there be any; a copy of input that loops do not take as it is; padding."""
        padding = added_bytes(self.padtype, length, self.margin, itemsize)
        return 6 * length + (4 * length if itemsize == 2 else 0) + padding

    def shared_bytes(self, length: int) -> int:
        """A segment of 32 lines and its margins."""
        return room_in_bytes(self.response, self.passes, length)


@lru_cache(maxsize=16)
def _response(kind: str, cutoffs: tuple[float, ...], order: int, window: str, direction: str) -> Response:
    taps = sinc_filter(kind, cutoffs, order, window)
    if direction == "onepass-minphase":
        return Response(minimum_phase(taps), 0)
    return Response(taps, order // 2)


def piece_length(length: int, margin: int) -> int | None:
    """Rows per piece of a trial that is filtered with a margin; None: it is not cut."""
    rows = max(PIECE, 2 ** int(np.ceil(np.log2(max(1, MARGINS_PER_PIECE * margin)))))
    return None if length <= max(WHOLE, 2 * rows) else rows
