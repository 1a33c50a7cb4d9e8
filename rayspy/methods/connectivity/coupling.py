"""Method `coupling`: sums for phase-amplitude coupling, of what was recorded and of surrogates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.kernels.connectivity import coupling
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.spectral.wavelet import Wavelet

Array = NDArray[Any]


@dataclass(frozen=True)
class Coupling(Method):
    """Parameters of `crossfrequencyanalysis`, all resolved.

    An input trial of the engine is a run of trials of `length` samples, whose
    amplitudes are exchanged; its variant is its number.

    Attributes
    ----------
    phases, amplitudes : Wavelet
        Filters.
    gains : tuple of float
        What a sinusoid of amplitude 1 becomes, per amplitude frequency.
    measure : str
        'tort', 'mvl' or 'plv'.
    pairs : tuple of (int, int)
        Channels of the phase and of the amplitude.
    length : int
        Samples per trial.
    margin : int
        Samples at both ends of a trial that do not count.
    n_bins : int
        For 'tort'.
    surrogates : {'timeshift', 'trialshuffle'}
        Kind.
    draws : int
        How many surrogates.
    seed : int
        Their seed.
    minshift : int
        Smallest shift in samples.
    keep : bool
        Results of every trial, instead of sums.
    """

    name: ClassVar[str] = "coupling"
    tells_nan: ClassVar[bool] = False
    crosses: ClassVar[frozenset[str]] = frozenset({"channel", "channelcmb", "freq", "taper"})

    phases: Wavelet
    amplitudes: Wavelet
    gains: tuple[float, ...]
    measure: str
    pairs: tuple[tuple[int, int], ...]
    length: int
    margin: int
    n_bins: int
    surrogates: str
    draws: int
    seed: int
    minshift: int
    keep: bool

    @property
    def n_times(self) -> int:
        """Samples per trial that count."""
        return self.length - 2 * self.margin

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the sums of one pair: state, component, phase frequency, column."""
        return (
            1 + self.draws,
            coupling.n_components(self.measure, self.n_bins),
            len(self.phases.foi),
            coupling.n_columns(self.measure, len(self.amplitudes.foi)),
        )

    @property
    def n_points(self) -> int:
        """Pairs of frequencies."""
        return len(self.phases.foi) * len(self.amplitudes.foi)

    def output(self, spec: InputSpec) -> OutputSpec:
        """Sums of each run, or results of each of its trials."""
        rows = spec.lengths // self.length if self.keep else np.ones(len(spec.lengths), np.int64)
        stops = np.cumsum(rows)
        n_states, *inner = self.shape
        labels = {
            "taper": np.arange(len(coupling.OUTCOMES) if self.keep else n_states),
            "freq": np.arange(self.n_points if self.keep else int(np.prod(inner))),
            "channelcmb": np.arange(len(self.pairs)),
        }
        trl = np.column_stack([stops - rows, stops, np.zeros(len(rows))]).astype(np.float64)
        return OutputSpec("Coupling", ("time", *labels), np.dtype(np.float64), rows, trl, None, labels)

    def kernel(self, part: Part) -> Kernel:
        """Bind the number of a run."""
        return partial(_coupled, self, part.variant)

    def work(self, length: int, itemsize: int) -> Work:
        """What filters need and give; sums weigh as products per run of trials."""
        low, high = (bank.work(self.length, itemsize) for bank in (self.phases, self.amplitudes))
        n_low, n_high = len(self.phases.foi), len(self.amplitudes.foi)
        kept = 24 * n_low + 24 * n_high + (28 * n_low * n_high if self.measure == "plv" else 0)
        line = length // self.length * max(low.line_bytes, high.line_bytes) + length * kept
        return Work(line, low.shared_bytes + high.shared_bytes + self._sums_bytes(length), 4.0)

    def _sums_bytes(self, length: int) -> int:
        """Weights of one channel's phases, shifted amplitudes and sums of one pair."""
        n_states, n_components, n_low, n_columns = self.shape
        sums = 8 * n_components * n_low * n_columns
        weights = 40 * self.n_times * n_low * 2
        shifted = 16 * self.n_times * n_columns * (2 * n_low if self.measure == "plv" else 1)
        trials = length // self.length if self.keep else 1
        states = (2 * n_states + 4) * trials
        return weights + 2 * shifted + states * sums


def _coupled(method: Coupling, number: int, x: Array, out: Array | None = None) -> Array:
    """Sums (run, 1, state, component x frequencies, pair); or (run, trial, outcome, frequencies, pair)."""
    if out is None:
        n_rows = x.shape[1] // method.length if method.keep else 1
        n_states, *inner = method.shape
        sizes = (len(coupling.OUTCOMES), method.n_points) if method.keep else (n_states, int(np.prod(inner)))
        out = np.empty((len(x), n_rows, *sizes, len(method.pairs)))
    for run, into in zip(x, out, strict=True):
        for pair, found in enumerate(_of_run(method, number, run)):
            into[..., pair] = found
    return out


def _of_run(method: Coupling, number: int, run: Array) -> Iterator[Array]:
    """Sums or results of each pair of channels."""
    trials = run.reshape(-1, method.length, run.shape[-1])
    low, high = _filtered(method, trials)
    partners = _partners(method, number, len(trials))
    for i, j in method.pairs:
        if method.keep:
            each = [
                _sums(method, low, high, i, j, partners[k : k + 1], range(k, k + 1))
                for k in range(len(trials))
            ]
            found = [coupling.outcome(sums, method.measure, method.n_times) for sums in each]
            yield np.stack([[one[name].ravel() for name in coupling.OUTCOMES] for one in found])
        else:
            sums = _sums(method, low, high, i, j, partners, range(len(trials)))
            yield sums.reshape(1, len(sums), -1)


def _filtered(method: Coupling, trials: Array) -> tuple[Array, Array]:
    """Signals at the phase frequencies and amplitudes, (trial, time, frequency, channel).

    For 'plv' phases of the amplitudes, (trial, time, phase frequency, amplitude frequency, channel).
    """
    inner = slice(method.margin, method.length - method.margin)
    to_low = method.phases.kernel(Part(method.length))
    low = to_low(trials)[:, inner, 0]
    high = method.amplitudes.kernel(Part(method.length))(trials)[:, :, 0]
    high = high * (1 / np.array(method.gains))[:, None]
    if method.measure != "plv":
        return low, high[:, inner]
    lines = high.reshape(*high.shape[:2], -1)
    phases = to_low(lines)[:, inner, 0]
    coupling.directions(phases, out=phases)
    return low, phases.reshape(*phases.shape[:3], *high.shape[2:])


def _partners(method: Coupling, number: int, n: int) -> Array:
    """Per trial and state, the trial whose amplitudes it gets, or the shift in samples."""
    found = np.zeros((n, 1 + method.draws), np.int64)
    shuffles = method.surrogates == "trialshuffle"
    found[:, 0] = np.arange(n) if shuffles else 0
    for draw in range(1, 1 + method.draws):
        if shuffles:
            found[:, draw] = coupling.random_order(method.seed, draw, number, n)
        else:
            limits = method.minshift, method.n_times - method.minshift + 1
            found[:, draw] = coupling.random_number(method.seed, draw, number, *limits)
    return found


def _sums(method: Coupling, low: Array, high: Array, i: int, j: int, partners: Array, trials: range) -> Array:
    """Sums over times and some trials of a pair of channels, (state, component, phase frequency, column)."""
    total = np.zeros(method.shape)
    for k, places in zip(trials, partners, strict=True):
        phases = low[k, ..., i]
        if not (np.isfinite(phases).all() and phases.all()):
            total[:] = np.nan
            return total
        add = _adder(method, phases)
        for state, place in enumerate(places.tolist()):
            if method.surrogates == "trialshuffle":
                total[state] += add(high[place, ..., j], 0)
            else:
                total[state] += add(high[k, ..., j], place)
    return total


def _adder(method: Coupling, phases: Array) -> Any:
    """Function from amplitudes (or their phases) and their shift to sums, for the phases of a trial."""
    if method.measure == "plv":
        units = coupling.directions(phases.astype(np.complex128))
        return lambda high, shift: coupling.locking_sums(np.roll(units, -shift, axis=0), high)
    weights = coupling.phase_weights(phases, method.measure, method.n_bins)
    shape = method.shape[1:]

    def add(high: Array, shift: int) -> Array:
        columns = coupling.with_counts(high, method.measure)
        found: Array = weights @ np.roll(columns, shift, axis=0)
        return found.reshape(shape)

    return add
