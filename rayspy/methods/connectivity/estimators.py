"""Estimators: from sums over observations to one measure, with all its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import SQUARED, Meaning
from rayspy.errors import InvalidValueError
from rayspy.kernels.connectivity import directed, groups, measures
from rayspy.kernels.connectivity.sums import Pairs, Sums
from rayspy.kernels.connectivity.wilson import Factors, factorize
from rayspy.methods.connectivity.entries import Entries

Array = NDArray[Any]

_AT_ONCE = 2**16
"""Numbers that are made at a time."""
_PAIRS_AT_ONCE = 8
"""Pairs that are factorised at a time."""


PHASE = Meaning("phase", "rad")
MEASURES: dict[str, Meaning] = {
    "csd": Meaning("cross-spectral density", SQUARED),
    "coh": Meaning("coherence", "1"),
    "corr": Meaning("correlation", "1"),
    "granger": Meaning("Granger causality", "1"),
    "psi": Meaning("phase slope index", "1"),
}
"""What measures are; others go by their names."""


@dataclass(frozen=True)
class Band:
    """A named closed interval of frequencies in Hz."""

    name: str
    low: float
    high: float

    @property
    def centre(self) -> float:
        """Middle in Hz."""
        return (self.low + self.high) / 2

    def bins(self, freq: Array) -> Array:
        """Bins within the band; one that differs from a limit by rounding only belongs to it."""
        slack = 1e-9 * max(1.0, float(np.abs(freq).max(initial=0.0)))
        return np.flatnonzero((freq >= self.low - slack) & (freq <= self.high + slack))


@dataclass(frozen=True)
class Estimator(ABC):
    """A measure with its parameters; frozen, picklable.

    Attributes
    ----------
    name : str
        Method as users know it.
    entries : Entries
        Which pairs.
    dtype : str
        Type of the result.
    bands : tuple of Band
        Results are averaged over these bands, if there are any.
    bins : tuple of int or None
        Frequencies of the result; None: all.
    """

    sums: ClassVar[tuple[str, ...]] = ("cross",)
    crosses_freq: ClassVar[bool] = False
    all_pairs: ClassVar[bool] = False
    """Whether all channels enter into each entry."""
    of_some: ClassVar[bool] = False
    """Whether pairs may have different numbers of observations."""

    name: str
    entries: Entries
    dtype: str = "f4"
    bands: tuple[Band, ...] = ()
    bins: tuple[int, ...] | None = None

    @property
    def meaning(self) -> Meaning:
        """What its numbers are."""
        phase = getattr(self, "output", None) == "angle"
        return PHASE if phase else MEASURES.get(self.name, Meaning(self.name, "1"))

    @property
    def needs(self) -> tuple[str, ...]:
        """Sums that are needed."""
        return self.sums

    @property
    def needs_all_freqs(self) -> bool:
        """Whether frequencies cannot be treated apart."""
        return self.crosses_freq or bool(self.bands) or self.bins is not None

    def freq_of(self, freq: Array) -> Array:
        """Frequencies of the result."""
        if self.bands:
            return np.array([band.centre for band in self.bands])
        return freq if self.bins is None else freq[list(self.bins)]

    def pairs_needed(self, n_channels: int) -> tuple[Array, Array]:
        """Pairs that sums are needed of."""
        if self.all_pairs:
            i, j = np.triu_indices(n_channels)
            return i, j
        return self.entries.i, self.entries.j

    def evaluate(self, sums: Sums, pairs: Pairs, n: Any, freq: Array) -> dict[str, Array]:
        """Compute the measure.

        Parameters
        ----------
        sums : dict of str to ndarray, shape (pair, time x freq)
            Sums over observations.
        pairs : Pairs
            Of which pairs.
        n : int or ndarray of float, shape (pair,)
            Number of observations; one per pair only for estimators that are `of_some`.
        freq : ndarray
            Frequencies.

        Returns
        -------
        dict of str to ndarray, shape (time, freq, entries...)
            Under '' the measure, under other names what is to be told about it.
        """
        found = self.values(sums, pairs, n, freq)
        return {name: self._narrowed(array, freq) if name == "" else array for name, array in found.items()}

    @abstractmethod
    def values(self, sums: Sums, pairs: Pairs, n: Any, freq: Array) -> dict[str, Array]:
        """Compute the measure at all frequencies."""

    def _narrowed(self, found: Array, freq: Array) -> Array:
        if self.bands:
            return np.stack([found[:, band.bins(freq)].mean(axis=1) for band in self.bands], axis=1)
        return found if self.bins is None else found[:, list(self.bins)]

    def working_bytes(self, n_channels: int, n_bins: int) -> int:
        """Memory for making the measure, besides the sums and the result."""
        if self.all_pairs:
            return 160 * n_channels**2 * n_bins
        wide, portion = 2 * np.dtype(self.dtype).itemsize, min(len(self.entries.i), _at_once(n_bins))
        return len(self.entries.i) * (wide * n_bins + 64) + 112 * portion * n_bins

    def extras(self) -> tuple[str, ...]:
        """Names of what is told besides the measure, (1, 1, entries...)."""
        return ()

    def placed(self, values: Array, n_freq: int) -> Array:
        """From (entry, time x freq) to (time, freq, entries...)."""
        return np.moveaxis(values.reshape(*self.entries.shape, -1, n_freq), (-2, -1), (0, 1))


@dataclass(frozen=True)
class OfPairs(Estimator):
    """Measures of single bins of pairs, see `rayspy.kernels.connectivity.measures.MEASURES`."""

    output: str = ""

    @property
    def meaning(self) -> Meaning:
        """What its numbers are."""
        phase = getattr(self, "output", None) == "angle"
        return PHASE if phase else MEASURES.get(self.name, Meaning(self.name, "1"))

    @property
    def needs(self) -> tuple[str, ...]:
        """Sums that are needed."""
        return measures.MEASURES[self.name].sums

    of_some: ClassVar[bool] = True

    def values(self, sums: Sums, pairs: Pairs, n: Any, freq: Array) -> dict[str, Array]:
        """Compute the measure, some pairs at a time."""
        value = measures.MEASURES[self.name].value
        n_bins = next(iter(sums.values())).shape[1]
        found = np.empty((len(self.entries.i), n_bins), wide_of(self.dtype))
        for part in _portions(len(found), n_bins):
            of = measures.wanted(pairs, self.entries.i[part], self.entries.j[part])
            if isinstance(n, int):
                found[part] = measures.converted(value(sums, of, n), self.output)
                continue
            counts = n[of.places][:, np.newaxis]
            with np.errstate(invalid="ignore", divide="ignore"):
                values = measures.converted(value(sums, of, counts), self.output)
            found[part] = np.where(counts < measures.MEASURES[self.name].least, np.nan, values)
        return {"": self.placed(found, len(freq))}


@dataclass(frozen=True)
class PhaseSlope(Estimator):
    """Phase slope index of bands."""

    crosses_freq: ClassVar[bool] = True

    of_some: ClassVar[bool] = True

    def values(self, sums: Sums, pairs: Pairs, n: Any, freq: Array) -> dict[str, Array]:
        """Compute the measure of every band."""
        of = measures.wanted(pairs, self.entries.i, self.entries.j)
        coherencies = measures.coherency(sums, of, n).reshape(len(of.places), -1, len(freq))
        found = [measures.phase_slope(coherencies[..., band.bins(freq)]) for band in self.bands]
        return {"": self.placed(np.stack(found, axis=-1), len(self.bands))}

    def _narrowed(self, found: Array, freq: Array) -> Array:
        return found


@dataclass(frozen=True)
class Partial(Estimator):
    """Partial coherency of pairs given all other channels."""

    all_pairs: ClassVar[bool] = True

    output: str = "abs"
    names: tuple[str, ...] = ()

    def values(self, sums: Sums, pairs: Pairs, n: int, freq: Array) -> dict[str, Array]:
        """Compute the measure."""
        s = full_rank(measures.matrices(sums["cross"] / n, pairs, len(self.names)), self.name, self.names)
        found = measures.partial_coherency(s)[:, self.entries.i, self.entries.j].T
        return {"": self.placed(measures.converted(found, self.output), len(freq))}


@dataclass(frozen=True)
class Factored(Estimator):
    """Directed measures from one factorisation of all channels: granger, dtf, pdc, gpdc, ddtf."""

    all_pairs: ClassVar[bool] = True
    crosses_freq: ClassVar[bool] = True

    names: tuple[str, ...] = ()
    n_fft: int = 0
    conditional: bool = False
    reversed: bool = False

    def extras(self) -> tuple[str, ...]:
        """Error of the factorisation."""
        return ("error",)

    def values(self, sums: Sums, pairs: Pairs, n: int, freq: Array) -> dict[str, Array]:
        """Factorise and compute the measure."""
        cross = sums["cross"].conj() if self.reversed else sums["cross"]
        s = full_rank(measures.matrices(cross / n, pairs, len(self.names)), self.name, self.names)
        factors = factorize(s, self.n_fft)
        found, error = self._measured(s, factors)
        i, j = self.entries.i, self.entries.j
        values = self.placed(found[:, i, j].T, len(freq))
        return {"": values, "error": self.placed(error[i, j][:, np.newaxis], 1)}

    def _measured(self, s: Array, factors: Factors) -> tuple[Array, Array]:
        error = np.full(s.shape[1:], float(factors.error))
        if self.name == "granger" and self.conditional:
            found, without = directed.conditional_granger(s, self.n_fft, factors)
            return found, np.maximum(error, without[:, np.newaxis])
        if self.name == "granger":
            return directed.granger(s, factors), error
        if self.name == "dtf":
            return directed.transfer_ratio(factors), error
        if self.name == "ddtf":
            return directed.direct_transfer(factors, s), error
        return directed.partial_directed(factors, generalized=self.name == "gpdc"), error


@dataclass(frozen=True)
class PairByPair(Estimator):
    """Directed measures from a factorisation of each pair of channels."""

    crosses_freq: ClassVar[bool] = True

    n_fft: int = 0
    reversed: bool = False

    def extras(self) -> tuple[str, ...]:
        """Error of the factorisation of each pair."""
        return ("error",)

    def values(self, sums: Sums, pairs: Pairs, n: int, freq: Array) -> dict[str, Array]:
        """Factorise each pair once."""
        low = np.minimum(self.entries.i, self.entries.j)
        high = np.maximum(self.entries.i, self.entries.j)
        unique, places = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        both = np.zeros((len(unique), 2, len(freq)))
        error = np.zeros(len(unique))
        for k in range(0, len(unique), _PAIRS_AT_ONCE):
            part = slice(k, k + _PAIRS_AT_ONCE)
            both[part], error[part] = self._both(sums, pairs, n, unique[part])
        flipped = (self.entries.i > self.entries.j).astype(np.int64)
        values = both[places.ravel(), flipped]
        return {
            "": self.placed(values, len(freq)),
            "error": self.placed(error[places.ravel()][:, np.newaxis], 1),
        }

    def _both(self, sums: Sums, pairs: Pairs, n: int, chosen: Array) -> tuple[Array, Array]:
        """Both directions of pairs (pair, 2, bin), 0 for a channel and itself, and errors of the factors."""
        of = measures.wanted(pairs, chosen[:, 0], chosen[:, 1])
        cross = of.take(sums, "cross") / n
        power = sums["cross"].real / n
        s = np.empty((*cross.shape, 2, 2), np.complex128)
        s[..., 0, 0], s[..., 1, 1] = power[of.first], power[of.second]
        s[..., 0, 1] = cross.conj() if self.reversed else cross
        s[..., 1, 0] = s[..., 0, 1].conj()
        found, factors = np.zeros((len(chosen), 2, cross.shape[1])), np.zeros(len(chosen))
        apart = np.flatnonzero(~of.same)
        if len(apart):
            values, made = directed.pairwise_granger(s[apart], self.n_fft)
            found[apart], factors[apart] = np.swapaxes(values, 1, 2), made.error
        dead = ~(power[of.first] > 0).any(axis=1) | ~(power[of.second] > 0).any(axis=1)
        found[dead] = np.nan
        return found, factors


@dataclass(frozen=True)
class OfGroups(Estimator):
    """Measures of pairs of groups of channels: mic, mim, cacoh and granger.

    Attributes
    ----------
    groups : tuple of tuple of int
        Channels of each group.
    ranks : tuple of int or None
        Components that each group is reduced to.
    """

    all_pairs: ClassVar[bool] = True

    groups: tuple[tuple[int, ...], ...] = ()
    ranks: tuple[int | None, ...] = ()
    names: tuple[str, ...] = ()
    n_fft: int = 0
    reversed: bool = False

    @property
    def needs_all_freqs(self) -> bool:
        """Factors need all frequencies."""
        return self.name == "granger" or super().needs_all_freqs

    def extras(self) -> tuple[str, ...]:
        """Error of the factorisations."""
        return ("error",) if self.name == "granger" else ()

    def values(self, sums: Sums, pairs: Pairs, n: int, freq: Array) -> dict[str, Array]:
        """Compute the measure of every pair of groups."""
        s = measures.matrices(sums["cross"] / n, pairs, len(self.names))
        members = [np.array(group, np.int64) for group in self.groups]
        for group, rank in zip(members, self.ranks, strict=True):
            if rank is None:
                names = tuple(self.names[k] for k in group)
                full_rank(s[:, group[:, np.newaxis], group], self.name, names)
        if self.name == "granger":
            found, error = directed.group_granger(s.conj() if self.reversed else s, members, self.n_fft)
            return {"": found[np.newaxis], "error": error[np.newaxis, np.newaxis]}
        n_groups = len(members)
        found = np.zeros((len(s), n_groups, n_groups))
        for a in range(n_groups):
            for b in range(a + 1, n_groups):
                white = groups.whitened(s, members[a], members[b], (self.ranks[a], self.ranks[b]))
                found[:, a, b] = found[:, b, a] = _GROUP_MEASURES[self.name](white)
        if self.name == "cacoh":
            found[:, range(n_groups), range(n_groups)] = 1.0
        return {"": found.reshape(-1, len(freq), n_groups, n_groups)}


_GROUP_MEASURES = {"mic": groups.mic, "mim": groups.mim, "cacoh": groups.cacoh}


@dataclass(frozen=True)
class Correlation(Estimator):
    """Cross-correlation by lags, from cross spectra of trials that were filled up with zeros.

    Attributes
    ----------
    length : int
        Samples of the trials.
    n_fft : int
        Length of the transform, at least twice as long.
    both_signs : bool
        Lags of both signs; False: from 0 to half of the trial.
    """

    crosses_freq: ClassVar[bool] = True

    length: int = 0
    n_fft: int = 0
    both_signs: bool = False

    @property
    def lags(self) -> NDArray[np.int64]:
        """Lags in samples."""
        return lags_of(self.length, self.both_signs)

    def freq_of(self, freq: Array) -> Array:
        """There is none: lags are along time."""
        return np.zeros(1)

    def values(self, sums: Sums, pairs: Pairs, n: int, freq: Array) -> dict[str, Array]:
        """Transform back and normalise."""
        from scipy.fft import irfft

        lags = self.lags
        found = np.empty((len(self.entries.i), len(lags)))
        weights = (self.length - np.abs(lags)) / self.length
        for part in _portions(len(found), self.n_fft):
            of = measures.wanted(pairs, self.entries.i[part], self.entries.j[part])
            power = irfft(sums["cross"].real, n=self.n_fft, axis=-1)[:, 0]
            circle = irfft(of.take(sums, "cross"), n=self.n_fft, axis=-1)[:, lags]
            with np.errstate(invalid="ignore", divide="ignore"):
                root = np.sqrt(power[of.first]) * np.sqrt(power[of.second])
                found[part] = circle / root[:, np.newaxis] / weights
        return {"": np.moveaxis(found.reshape(*self.entries.shape, len(lags), 1), (-2, -1), (0, 1))}

    def _narrowed(self, found: Array, freq: Array) -> Array:
        return found


def lags_of(length: int, both_signs: bool) -> NDArray[np.int64]:
    """Lags of a trial of this length: 0 up to half of it, or all of both signs."""
    if both_signs:
        return np.arange(1 - length, length)
    return np.arange(-(-length // 2))


def full_rank(s: Array, name: str, names: tuple[str, ...]) -> Array:
    """Refuse cross spectra (bin, channel, channel) of channels that depend on each other.

    Raises
    ------
    InvalidValueError
        Names channels that are dead or equal, or says that there are fewer independent ones.
    """
    total = s.sum(axis=0)
    power = np.diagonal(total).real
    dead = [names[k] for k in np.flatnonzero(~(power > 0))]
    if dead:
        raise InvalidValueError(
            f"channels with finite numbers that are not all zero, for method={name!r}; leave these out",
            "data",
            ", ".join(dead),
        )
    rank = int(groups.rank_of(total))
    if rank < len(names):
        raise InvalidValueError(
            f"{len(names)} channels that are independent of each other for method={name!r}, not {rank} "
            "(an average reference makes one of them depend on the others); leave some out, or use a "
            "measure of pairs (`channelcmb`, pairwise=True)" + _equal_ones(total, names),
            "data",
            f"channels of rank {rank}",
        )
    return s


def _equal_ones(total: Array, names: tuple[str, ...]) -> str:
    """Tell two channels that are the same, if there are any."""
    scaled, _ = measures.standardised(total)
    off = np.triu(np.abs(scaled.real), 1)
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    return f"; {names[int(i)]} and {names[int(j)]} are the same" if off[i, j] > 1 - 1e-6 else ""


def _at_once(width: int) -> int:
    """Pairs that are treated together, of so many numbers each."""
    return max(1, _AT_ONCE // max(1, width))


def _portions(n: int, width: int) -> Iterator[slice]:
    step = _at_once(width)
    for low in range(0, n, step):
        yield slice(low, low + step)


def wide_of(dtype: str) -> np.dtype[Any]:
    """Double precision, complex if the type is."""
    return np.dtype(np.complex128 if np.dtype(dtype).kind == "c" else np.float64)
