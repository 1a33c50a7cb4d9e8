"""Filters that are kept for the calls that follow, up to a total size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from rayspy.kernels.spectral.filterbank import (
    Band,
    Points,
    Response,
    band_of,
    response_of,
    row_bytes,
    transform_length,
)

KEPT_BYTES = 96 * 2**20
"""Filters of this size are kept per process: those in use, which are projected,"""
BESIDE_BYTES = 4 * 2**20
"""and so much of those that no thread used last. Trials of many lengths would fill memory otherwise."""


_FORWARD, _PRODUCT, _INVERSE, _PLACED, _MADE = 30, 2, 5, 15, 20
"""Work per number: transform of a line, product with a filter, transform of that, result put in place;
filter sampled and transformed. Measured in nanoseconds, only their ratios matter."""
_REPEATED = 1 / 4
"""The transform of a line may take this share of the work that follows for a run of frequencies."""


class FilterBank:
    """The filters of one method for one trial length; each is made when it is first asked for."""

    def __init__(
        self,
        length: int,
        points: Points,
        reaches: list[int],
        taps: Callable[[int], Any],
        limits: Callable[[int], tuple[float, float] | None] | None = None,
        is_real: bool = False,
    ) -> None:
        self.is_real = is_real
        self.points = points
        self.lengths = [transform_length(length, reach, points.step) for reach in reaches]
        self.row_bytes = [row_bytes(length, n_fft) for n_fft in self.lengths]
        self._taps = taps
        self._limits = limits
        self._made: dict[int, Response] = {}
        self._bands: dict[int, Band] = {}
        self.n_bytes = 0

    def response(self, i: int) -> Response:
        """Return a filter."""
        found = self._made.get(i)
        if found is None:
            taps, first = self._taps(i)
            found = response_of(taps, first, self.lengths[i], self.points)
            if _store.has_room(self, found.values.nbytes):
                self._made[i] = found
        return found

    def band(self, i: int) -> Band:
        """Return what matters of a filter."""
        found = self._bands.get(i)
        if found is None:
            taps, first = self._taps(i)
            limits = self._limits(i) if self._limits else None
            found = band_of(taps, first, self.lengths[i], self.points.step, limits)
            if _store.has_room(self, found.values.nbytes):
                self._bands[i] = found
        return found


def band_edges(bank: FilterBank, members: Sequence[Sequence[int]], at_most: int, n_lines: int) -> list[int]:
    """Cut frequencies into up to `at_most` runs of about the same work.

    Parameters
    ----------
    bank : FilterBank
        All filters.
    members : sequence of sequences of int
        Numbers of the filters of each frequency.
    at_most : int
        Largest number of runs.
    n_lines : int
        Lines that share the filters while these are kept.

    Returns
    -------
    list of int
        First frequency of each run, and the number of frequencies.
    """
    sizes = np.array(bank.row_bytes) / 8
    per_filter = sizes * (_PRODUCT + _INVERSE / bank.points.step) + np.array(bank.lengths) * _MADE / n_lines
    work = np.cumsum([per_filter[list(some)].sum() + _PLACED * bank.points.n_rows for some in members])
    shared = _FORWARD * sizes.max()
    n_runs = min(at_most, int(_REPEATED * work[-1] / shared))
    inner = np.searchsorted(work, work[-1] * np.arange(1, n_runs) / n_runs) + 1 if n_runs > 1 else []
    return sorted({0, *(int(f) for f in inner), len(members)})


class _Store:
    """Banks in the order of their last use; the oldest give way to those in use."""

    def __init__(self, limit: int, beside: int = BESIDE_BYTES) -> None:
        self.limit = limit
        self.beside = beside
        self._banks: OrderedDict[Hashable, FilterBank] = OrderedDict()
        self._last: dict[int | None, Hashable] = {}
        """What each thread used last."""
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], FilterBank]) -> FilterBank:
        with self._lock:
            if key not in self._banks:
                self._banks[key] = make()
            self._banks.move_to_end(key)
            self._last[threading.get_ident()] = key
            return self._banks[key]

    def has_room(self, bank: FilterBank, n_bytes: int) -> bool:
        """Account for a new filter of a bank; others may have to go."""
        with self._lock:
            self._forget_unused(bank)
            while sum(b.n_bytes for b in self._banks.values()) + n_bytes > self.limit:
                if n_bytes > self.limit or next(iter(self._banks.values())) is bank:
                    return False
                self._banks.popitem(last=False)
            bank.n_bytes += n_bytes
            return True

    def _forget_unused(self, bank: FilterBank) -> None:
        alive = {thread.ident for thread in threading.enumerate()}
        self._last = {thread: key for thread, key in self._last.items() if thread in alive}
        in_use = set(self._last.values())
        unused = [key for key, one in self._banks.items() if key not in in_use and one is not bank]
        excess = sum(self._banks[key].n_bytes for key in unused) - self.beside
        for key in unused:
            if excess <= 0:
                break
            excess -= self._banks.pop(key).n_bytes


_store = _Store(KEPT_BYTES)


def kept_bank(key: Hashable, make: Callable[[], FilterBank]) -> FilterBank:
    """Return the bank of this name, made anew if it is not there."""
    return _store.get(key, make)
