"""Sums over observations of which all measures of pairs are functions.

An observation is a trial (its cross spectrum averaged over tapers) or a taper of
a trial. All sums are additive over observations, so blocks can be summed apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Sums = dict[str, Array]

DTYPES: dict[str, np.dtype[Any]] = {
    "cross": np.dtype(np.complex128),
    "phase": np.dtype(np.complex128),
    "absolute": np.dtype(np.float64),
    "square": np.dtype(np.float64),
    "sign": np.dtype(np.int32),
}
"""Per sum its type: of cross spectra, of their unit phasors, and of the magnitude, square and sign of their
imaginary parts."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of channels that sums are kept for, in the order of tiles of channels.

    Attributes
    ----------
    first, second : ndarray of int, shape (pair,)
        Channels i <= j; every channel that occurs is also paired with itself.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def find(self, i: Array, j: Array) -> tuple[Array, Array]:
        """Where pairs are, and whether they have to be turned round; there has to be each of them."""
        n, keys, order = self._sorted
        low, high = np.minimum(i, j), np.maximum(i, j)
        return order[np.searchsorted(keys, low * n + high)], i > j

    @cached_property
    def _sorted(self) -> tuple[int, Array, Array]:
        """One number per pair in ascending order, and where the pairs are."""
        n = int(max(self.first.max(), self.second.max())) + 1
        keys = self.first * n + self.second
        order = np.argsort(keys)
        return n, keys[order], order

    @cached_property
    def squares(self) -> tuple[Array, Array]:
        """Pairs two by two, as `add_products` takes them, in the order of pairs."""
        return _squares(self.first, self.second)

    def diagonal(self, i: Array) -> Array:
        """Where channels are paired with themselves."""
        return self.find(i, i)[0]


_WORTH_FOUR = 3
"""Four products at once take about as long as two."""


def _squares(first: Array, second: Array) -> tuple[Array, Array]:
    """Pairs as squares (square, 4) of channels i, i2, j, j2, and where their pairs are."""
    n = int(max(first.max(), second.max())) // 2 + 1
    keys, at, members = np.unique((first // 2) * n + second // 2, return_index=True, return_inverse=True)
    channels = np.column_stack([2 * (keys // n), 2 * (keys // n) + 1, 2 * (keys % n), 2 * (keys % n) + 1])
    places = np.full((len(keys), 4), -1)
    places[members, 2 * (first % 2) + second % 2] = np.arange(len(first))
    whole = (places >= 0).sum(axis=1) >= _WORTH_FOUR
    single = np.flatnonzero(~whole[members])
    alone = np.column_stack([single, np.full((len(single), 3), -1)])
    channels = np.concatenate([channels[whole], np.column_stack([first, first, second, second])[single]])
    order = np.argsort(np.concatenate([at[whole], single]), kind="stable")
    return channels[order], np.concatenate([places[whole], alone])[order]


def tiled(i: Array, j: Array, tile: int = 8) -> Pairs:
    """Pairs for wanted ones, each once, with those of their channels with themselves."""
    i, j = np.asarray(i, np.int64).ravel(), np.asarray(j, np.int64).ravel()
    low, high = np.minimum(i, j), np.maximum(i, j)
    every = np.unique(np.concatenate([low, high]))
    n = int(every[-1]) + 1
    first, second = np.divmod(np.unique(np.append(low * n + high, every * n + every)), n)
    order = np.lexsort((second, first, second // tile, first // tile))
    return Pairs(first[order], second[order])


def all_pairs(n: int) -> Pairs:
    """Every pair of n channels."""
    return tiled(*np.triu_indices(n))


def empty_sums(names: tuple[str, ...], n_pairs: int, n_bins: int) -> Sums:
    """Sums of nothing."""
    return {name: np.zeros((n_pairs, n_bins), DTYPES[name]) for name in names}


_NOTHING = {name: np.zeros((0, 1), dtype) for name, dtype in DTYPES.items()}


def add(sums: Sums, z: Array, pairs: Pairs, apart: bool = False, group: int = 1) -> None:
    """Add observations to sums, in place.

    Parameters
    ----------
    sums : dict of str to ndarray, shape (pair, time x freq)
        Those of `DTYPES` that are wanted.
    z : ndarray, complex, shape (trial, time, taper, freq, channel)
        Spectra.
    pairs : Pairs
        Of which pairs.
    apart : bool
        Every taper of every trial is an observation.
    group : int
        Where cross spectra alone are wanted, those of so many trials are summed in
        single precision first. Bits do not depend on how many trials come at a time, if
        these are multiples of it.
    """
    from rayspy.kernels.loops.pairs import add_pairs, add_products

    spectra, units = separated(z)
    if apart:
        spectra, group = _apart(spectra), group * z.shape[2] if group > 1 else 1
    args = units, 1.0 / spectra.shape[3], z.shape[1] * z.shape[3]
    if set(sums) & set(DTYPES) == {"cross"}:
        squares, places = pairs.squares
        add_products(spectra, squares, places, *args, group, sums["cross"])
    else:
        wanted = [sums.get(name, _NOTHING[name]) for name in DTYPES]
        add_pairs(spectra, pairs.first, pairs.second, *args, *wanted)


def group_of(n_tapers: int, at_once: int) -> int:
    """Power of two of trials, at most `at_once`, whose cross spectra are summed in single precision."""
    from rayspy.kernels.loops.pairs import BINS, OBSERVATIONS, TILE, TILE_BYTES

    fit = TILE_BYTES // (2 * TILE * n_tapers * 8 * BINS)
    return 1 << (max(1, min(OBSERVATIONS, fit, at_once)).bit_length() - 1)


ALONE = ("first alone", "second alone")
"""Further sums, where observations are left out: power of one channel of a pair without the other one."""
COUNT = "count"
"""Number of observations of each pair."""


def add_present(sums: Sums, z: Array, pairs: Pairs, present: Array, apart: bool = False) -> None:
    """Add observations of the same channels, in place; pairs with a channel that is missing stay as they are.

    Parameters
    ----------
    sums : dict of str to ndarray
        Those of `add`, `COUNT` of shape (pair,), and `ALONE` if they are wanted.
    z, pairs, apart
        As in `add`.
    present : ndarray of bool, shape (channel,)
        Which channels there are.
    """
    there = present[pairs.first], present[pairs.second]
    missing = np.flatnonzero(~(there[0] & there[1]))
    before = {name: sums[name][missing] for name in DTYPES if name in sums}
    add({name: sums[name] for name in before}, z, pairs, apart)
    for name, values in before.items():
        sums[name][missing] = values
    sums[COUNT][there[0] & there[1]] += len(z) * (z.shape[2] if apart else 1)
    if ALONE[0] not in sums or not len(missing):
        return
    every = np.arange(len(present))
    for trial in z:
        own = empty_sums(("cross",), len(every), trial[:, 0, :, 0].size)
        add(own, trial[np.newaxis], Pairs(every, every), apart)  # just what the sums have got of this trial
        for name, channel, mine, others in (
            (ALONE[0], pairs.first, *there),
            (ALONE[1], pairs.second, *there[::-1]),
        ):
            alone = np.flatnonzero(mine & ~others)
            sums[name][alone] += own["cross"].real[channel[alone]]


_SKIPPED, _SEEN = 8, 256
"""To see how large a channel is, one of so many rows is enough; at least so many are looked at."""


def separated(z: Array) -> tuple[Array, Array]:
    """Spectra in the order of the loops (run, channel, observation, taper, 2, bin), and units of channels.

    Channels are scaled by powers of two so that products of four numbers can be
    held in single precision, whatever unit the data have.
    """
    from rayspy.kernels.loops.pairs import BINS, WHOLE, separate

    n, n_times, n_tapers, n_freq, n_channels = z.shape
    units = _units(z.reshape(-1, n_channels))
    n_runs = -(-n_times * n_freq // BINS)
    width = -(-n_times * n_freq // (n_runs * WHOLE)) * WHOLE
    out = np.empty((n_runs, n_channels, n, n_tapers, 2, width), np.float32)
    separate(z, (1.0 / units).astype(z.real.dtype), out)
    return out, units


def _apart(spectra: Array) -> Array:
    """Every taper as an observation."""
    n_runs, n_channels, n, n_tapers, parts, width = spectra.shape
    return spectra.reshape(n_runs, n_channels, n * n_tapers, 1, parts, width)


def _units(rows: Array) -> Array:
    """Powers of two that are larger than the largest finite real or imaginary part of each channel."""
    some = np.ascontiguousarray(rows[:: max(1, min(_SKIPPED, len(rows) // _SEEN))])
    sizes = np.abs(some.view(some.real.dtype))
    largest = np.fmax.reduce(sizes, axis=0).reshape(-1, 2).max(axis=1)
    if not np.isfinite(largest).all():
        largest = np.where(np.isfinite(sizes), sizes, 0).max(axis=0).reshape(-1, 2).max(axis=1)
    least = np.finfo(sizes.dtype).minexp + 8  # one over it is a finite number
    exponents = np.where(largest > 0, np.maximum(np.frexp(largest)[1], least), 0)
    found: Array = np.exp2(exponents.astype(np.float64))
    return found


def leave_out_coherence(
    z: Array,
    pairs: Pairs,
    cross: Array,
    whole: Array,
    squared: bool,
    first: Array,
    second: Array,
    apart: bool = False,
) -> None:
    """Add the distances of coherence without each observation from that of all, and their squares, in place.

    Parameters
    ----------
    z, pairs, apart
        As in `add`.
    cross : ndarray, complex, shape (pair, time x freq)
        Sums of all observations.
    whole : ndarray, shape (pair, time x freq)
        Magnitude of coherency of all of them, or its square.
    squared : bool
        Take the square.
    first, second : ndarray, shape (pair, time x freq)
        Where distances and their squares are added; nothing for a channel and itself.
    """
    from rayspy.kernels.loops.pairs import leave_out, own_power

    spectra, units = separated(z)
    spectra = _apart(spectra) if apart else spectra
    weight = 1.0 / spectra.shape[3]
    rest = np.empty((spectra.shape[1], spectra.shape[2], cross.shape[1]))
    own_power(spectra, rest)
    channels = np.unique(pairs.first)
    rest *= (-weight * units**2)[:, np.newaxis, np.newaxis]
    rest[channels] += cross.real[pairs.diagonal(channels)][:, np.newaxis]
    args = pairs.first, pairs.second, units, weight, cross, rest, whole, squared, first, second
    leave_out(spectra, *args)


def trial_sums(z: Array, pairs: Pairs, names: tuple[str, ...]) -> Sums:
    """What a single observation (time, taper, freq, channel) adds to sums, in double precision."""
    wide = z.astype(np.complex128)
    x = np.moveaxis(wide, -1, 0)
    c = (x[pairs.first] * x[pairs.second].conj()).mean(axis=2).reshape(len(pairs), -1)
    return {name: array for name, array in _contributions(c, names).items() if name in names}


def _contributions(c: Array, names: tuple[str, ...]) -> Sums:
    found: Sums = {"cross": c}
    if "phase" in names:
        with np.errstate(invalid="ignore", divide="ignore"):
            found["phase"] = c / np.abs(c)
    if "absolute" in names:
        found["absolute"] = np.abs(c.imag)
    if "square" in names:
        found["square"] = c.imag**2
    if "sign" in names:
        found["sign"] = np.sign(c.imag)
    return found
