"""Sums over trials for pairs of channels, and the measures that are functions of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from rayspy.kernels.connectivity import sums as kernels
from rayspy.kernels.connectivity.measures import coherency, converted, wanted
from rayspy.kernels.connectivity.sums import Pairs, tiled
from rayspy.methods.base import OutputSpec
from rayspy.methods.connectivity.estimators import Correlation, Estimator, OfPairs, wide_of
from rayspy.methods.reductions.base import Array, Layout, Reduction, State, over_trials

_PLAIN = ("abs", "pow")
N_OBSERVATIONS = "number of observations"
"""Name of a result: how many each pair has."""
TOTALS = "totals of "
"""Results of this name and that of a sum are the sums themselves."""


@dataclass(frozen=True)
class PairSums(Reduction):
    """Several measures of pairs of channels from one pass.

    Parameters
    ----------
    estimators : tuple of Estimator
        What is wanted.
    n_channels : int
        Number of channels of the spectra.
    apart : bool
        Every taper of every trial is an observation, not every trial.
    keeps_sums : bool
        The sums are results, too.
    omit : bool
        Pairs are without the trials in which one of their channels has NaN; how many they have is a
        result, too.
    group : int
        Trials that come at a time are multiples of this number, or the last ones.
    """

    name: ClassVar[str] = "pairs"

    estimators: tuple[Estimator, ...]
    n_channels: int
    apart: bool = False
    keeps_sums: bool = False
    omit: bool = False
    group: int = 1

    @property
    def omits(self) -> bool:
        """Whether trials with NaN are left out."""
        return self.omit

    @property
    def crosses(self) -> frozenset[str]:  # type: ignore[override]
        """All channels, and all frequencies where a measure is not of single ones."""
        freq = any(estimator.needs_all_freqs for estimator in self.estimators)
        return frozenset({"channel", "freq"} if freq or self.keeps_sums else {"channel"})

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Sums that are needed."""
        wanted = {name for estimator in self.estimators for name in estimator.needs}
        return tuple(name for name in kernels.DTYPES if name in wanted)

    @cached_property
    def pairs(self) -> Pairs:
        """Pairs that sums are needed of."""
        needed = [estimator.pairs_needed(self.n_channels) for estimator in self.estimators]
        return tiled(np.concatenate([i for i, _ in needed]), np.concatenate([j for _, j in needed]))

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """One result per measure, what is to be told about it, and the sums."""
        found = {}
        for estimator in self.estimators:
            spec = spec_of(estimator, each)
            found[estimator.name] = spec
            for extra in estimator.extras():
                one = np.ones(1, np.int64)
                labels = {**spec.labels, "freq": np.zeros(1)}
                found[f"{estimator.name} {extra}"] = replace(
                    spec, dtype=np.dtype(np.float64), rows=one, labels=labels
                )
        if self.omit:
            first = found[self.estimators[0].name]
            labels, one = {**first.labels, "freq": each.labels["freq"]}, np.ones(1, np.int64)
            found[N_OBSERVATIONS] = replace(first, dtype=np.dtype(np.int32), rows=one, labels=labels)
        return found | (self._sums_kept(each) if self.keeps_sums else {})

    def _sums_kept(self, each: OutputSpec) -> dict[str, OutputSpec]:
        dims = ("time", "freq", "channelcmb")
        names = np.array([f"{i}--{j}" for i, j in zip(self.pairs.first, self.pairs.second, strict=True)])
        labels = {"freq": each.labels["freq"], "channelcmb": names}
        return {
            TOTALS + name: replace(
                over_trials(each, kernels.DTYPES[name]), kind="CrossSpectralData", dims=dims, labels=labels
            )
            for name in self.needs
        }

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Sums (pair, time x freq)."""
        shape = (len(self.pairs), int(each.rows[0]) * len(each.labels["freq"]))
        found = {name: Layout(shape, kernels.DTYPES[name]) for name in self.needs}
        if self.omit:
            double = np.dtype(np.float64)
            found[kernels.COUNT] = Layout(shape[:1], double)
            if "cross" in self.needs:
                found |= dict.fromkeys(kernels.ALONE, Layout(shape, double))
        return found

    def add_present(self, state: State, results: Array, trials: range, present: Array) -> None:
        """Add trials one by one, those with the same channels together."""
        z = _with_tapers(results)
        changes = np.flatnonzero((present[1:] != present[:-1]).any(axis=1)) + 1
        edges = [0, *changes.tolist(), len(z)]
        for low, high in pairwise(edges):
            kernels.add_present(state, z[low:high], self.pairs, present[low], self.apart)

    def add(self, state: State, results: Array, trials: range) -> None:
        """Add a few trials."""
        kernels.add(state, _with_tapers(results), self.pairs, self.apart, self.group)

    def merge(self, state: State, later: State) -> None:
        """Add."""
        for name, total in state.items():
            total += later[name]

    def n_observations(self, each: OutputSpec) -> int:
        """Trials, or trials times tapers."""
        return len(each.rows) * (len(each.labels.get("taper", [0])) if self.apart else 1)

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Compute the measures."""
        freq, found = each.labels["freq"], {}
        n: Any = state[kernels.COUNT] if self.omit else self.n_observations(each)
        for estimator in self.estimators:
            for extra, values in estimator.evaluate(state, self.pairs, n, freq).items():
                name = f"{estimator.name} {extra}" if extra else estimator.name
                found[name] = values.astype(np.float64 if extra else estimator.dtype)
        if self.omit:
            entries = self.estimators[0].entries
            places, _ = self.pairs.find(entries.i, entries.j)
            counts = n[places].reshape(1, 1, *entries.shape).astype(np.int32)
            found[N_OBSERVATIONS] = np.repeat(counts, len(freq), axis=1)
        if self.keeps_sums:
            shape = (-1, int(each.rows[0]), len(freq))
            for name, total in state.items():
                found[TOTALS + name] = np.moveaxis(total.reshape(shape), 0, -1)
        return found

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """Real and imaginary parts of the spectra; and, at the end, what measures are made of."""
        n_bins = int(each.rows[0]) * len(each.labels["freq"])
        largest = max(one.working_bytes(self.n_channels, n_bins) for one in self.estimators)
        results = sum(int(spec.rows.sum()) * spec.row_bytes for spec in self.outputs(each).values())
        return max(n_trials * int(each.rows[0]) * each.row_bytes, results + largest)


def spec_of(estimator: Estimator, each: OutputSpec) -> OutputSpec:
    """Declare the result of an estimator."""
    average = over_trials(each, np.dtype(estimator.dtype))
    if isinstance(estimator, Correlation):
        lags = estimator.lags
        trl = np.array([[0.0, len(lags), float(lags[0])]])
        average = replace(average, rows=np.array([len(lags)]), trialdefinition=trl)
    return replace(
        average,
        kind="CrossSpectralData",
        dims=("time", "freq", *estimator.entries.dims),
        labels={"freq": estimator.freq_of(each.labels["freq"]), **estimator.entries.labels},
        meaning=estimator.meaning,
    )


def _is_coherence(estimator: Estimator) -> bool:
    """Whether an estimator is plain coherence, which has a loop of its own."""
    plain = not estimator.bands and estimator.bins is None
    return isinstance(estimator, OfPairs) and estimator.name == "coh" and plain and estimator.output in _PLAIN


def _with_tapers(results: Array) -> Array:
    """Spectra as (trial, time, taper, freq, channel)."""
    return results if results.ndim == 5 else results[:, :, np.newaxis]


@dataclass(frozen=True)
class LeaveOneOut(Reduction):
    """Jackknife of measures from a second pass: every observation is taken away from the sums of all.

    Results are, per measure, the bias (T - 1)(mean of theta_(t) - theta) and, as
    Syncopy has it, T times the variance, (T - 1) sum |theta_(t) - mean|^2, of T
    observations. Efron, B. & Stein, C. (1981). Ann. Stat. 9, 586-596.

    Parameters
    ----------
    base : PairSums
        The measures.
    totals : dict of str to ndarray, shape (pair, time x freq)
        Sums of all observations.
    n : int
        Number of observations.
    freq : tuple of float
        Frequencies.
    """

    name: ClassVar[str] = "jackknife"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel", "freq"})

    base: PairSums
    n: int
    totals: dict[str, Array] = field(default_factory=dict)
    freq: tuple[float, ...] = ()

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """Bias and variance of each measure."""
        found = {}
        for estimator in self.base.estimators:
            spec = spec_of(estimator, each)
            found[f"{estimator.name} bias"] = spec
            found[f"{estimator.name} var"] = replace(spec, dtype=np.dtype(np.float32))
        return found

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Sums of the distances from the measure of all observations, and of their squares."""
        found = {}
        for estimator in self.base.estimators:
            spec = spec_of(estimator, each)
            shape = (int(spec.rows[0]), *spec.inner_shape)
            if _is_coherence(estimator):
                shape = (len(self.base.pairs), int(each.rows[0]) * len(each.labels["freq"]))
            found[f"{estimator.name} first"] = Layout(shape, wide_of(estimator.dtype))
            found[f"{estimator.name} second"] = Layout(shape, np.dtype(np.float64))
        return found

    @cached_property
    def _whole(self) -> dict[tuple[str, bytes], Array]:
        return {}

    def _of_all(self, estimator: Estimator, freq: Array) -> Array:
        key = estimator.name, freq.tobytes()
        if key not in self._whole:
            self._whole[key] = estimator.evaluate(self.totals, self.base.pairs, self.n, freq)[""]
        return self._whole[key]

    def _observations(self, results: Array) -> Iterator[Array]:
        for trial in _with_tapers(results):
            if self.base.apart:
                yield from (trial[:, k : k + 1] for k in range(trial.shape[1]))
            else:
                yield trial

    def add(self, state: State, results: Array, trials: range) -> None:
        """Take each observation away from all and compute the measures anew."""
        slow = [one for one in self.base.estimators if not _is_coherence(one)]
        for estimator in self.base.estimators:
            if isinstance(estimator, OfPairs) and _is_coherence(estimator):
                self._leave_out(estimator, state, _with_tapers(results))
        for observation in () if not slow else self._observations(results):
            own = kernels.empty_sums(self.base.needs, len(self.base.pairs), observation[:, 0, :, 0].size)
            kernels.add(own, observation[np.newaxis], self.base.pairs)
            rest = {name: total - own[name] for name, total in self.totals.items()}
            for estimator in slow:
                freq = np.array(self.freq)
                values = estimator.evaluate(rest, self.base.pairs, self.n - 1, freq)[""]
                step = values - self._of_all(estimator, freq)
                state[f"{estimator.name} first"] += step
                state[f"{estimator.name} second"] += step.real**2 + step.imag**2

    def _leave_out(self, estimator: OfPairs, state: State, z: Array) -> None:
        """Coherence, for which there is a loop of its own."""
        squared = estimator.output == "pow"
        first, second = state[f"{estimator.name} first"], state[f"{estimator.name} second"]
        args = self.base.pairs, self.totals["cross"], self._coherence(squared), squared, first, second
        kernels.leave_out_coherence(z, *args, apart=self.base.apart)

    def _coherence(self, squared: bool) -> Array:
        """Coherence of all pairs that there are sums of."""
        key = ("pairs", b"pow" if squared else b"abs")
        if key not in self._whole:
            of = wanted(self.base.pairs, self.base.pairs.first, self.base.pairs.second)
            values = coherency(self.totals, of, self.n)
            self._whole[key] = converted(values, "pow" if squared else "abs")
        return self._whole[key]

    def merge(self, state: State, later: State) -> None:
        """Add."""
        for name, total in state.items():
            total += later[name]

    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Bias and variance."""
        found, n = {}, self.n
        for estimator in self.base.estimators:
            first, second = state[f"{estimator.name} first"], state[f"{estimator.name} second"]
            if _is_coherence(estimator):
                of = wanted(self.base.pairs, estimator.entries.i, estimator.entries.j)
                n_freq = len(each.labels["freq"])
                first, second = (estimator.placed(sums[of.places], n_freq) for sums in (first, second))
            found[f"{estimator.name} bias"] = (first * ((n - 1) / n)).astype(estimator.dtype)
            spread = second - (first.real**2 + first.imag**2) / n
            found[f"{estimator.name} var"] = ((n - 1) * np.maximum(spread, 0)).astype(np.float32)
        return found

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """Sums of all but one observation, and the measures."""
        size = sum(total.nbytes for total in self.totals.values())
        layouts = self.state(each).values()
        spectra = n_trials * int(each.rows[0]) * each.row_bytes
        return 6 * size + 4 * sum(layout.nbytes for layout in layouts) + 4 * spectra
