"""Banks of long filters by fast Fourier transforms.

Each line (one channel of one trial) is transformed once per length of padding;
the spectra are shared by all filters. The output of a filter needs one inverse
transform, of a shorter length if only every d-th time point is wanted. Long
lines are cut into overlapping segments where filters are short (overlap-save).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rayspy.kernels.detrend import detrended, pairwise_sum
from rayspy.kernels.lengths import LANES, fast_length, is_fast, parts_of
from rayspy.kernels.lines import readable
from rayspy.kernels.spectral.mtmfft import convert

if TYPE_CHECKING:
    from rayspy.kernels.loops.powers import Stack

Array = NDArray[Any]

BATCH_BYTES = 2**19
"""Outputs of this size are made at a time: they stay in the processor's cache."""
_AT_ONCE = 4
"""Complex numbers of single precision that SciPy's transforms handle at once, each of another line.

From SciPy 1.18 on (ducc) the lines that are left over are rounded differently,
unless they are so long (7168 points were the most) that all are transformed one by one.
"""
_LONGEST_AT_ONCE = 2**14
_LONGEST_SIDE_BY_SIDE = 2**13
"""Transforms up to this length are done with many lines side by side, for which the cache has room."""
BUFFER_BYTES = 2**20
"""Results of this size are gathered before they are put in place."""
_SHORTEST_REACH = 2**8
_LONGEST_REACH = 2**12
_SEGMENT = 16
"""Length of segments in reaches of their filters, of which 2 overlap."""
_PADDINGS = (1 / 16, 1 / 4, 1 / 2, 1)
"""Lengths of padding as shares of the line; each in use costs one forward transform."""
_MOST_SINGLE = 4
"""So many outputs, of lines of magnitude 1, are multiplied in single precision: they do not underflow."""
_MOST_DOUBLE = 8
"""So many of these products are multiplied in double precision before a logarithm is taken."""


@dataclass(frozen=True)
class Points:
    """Samples at which outputs are wanted: `n` of them from the first on in steps of `step`.

    With `picks` only these of them are kept.
    """

    step: int
    n: int
    picks: tuple[int, ...] | None = None

    @property
    def n_rows(self) -> int:
        """Number of time points."""
        return self.n if self.picks is None else len(self.picks)


@dataclass(frozen=True, eq=False)
class Response:
    """A filter as it is multiplied with a spectrum.

    `values` belongs to all `n_fft` bins, or to the first half for real filters, and
    is divided by `n_fft`: inverse transforms need not be.
    """

    n_fft: int
    values: Array
    is_real: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """The bins of a response that matter, for outputs by transforms of `n_part` points.

    `values`, (part, bin), begin at bin `first` of `n_fft`. Those of part r give every
    n-th of the outputs that are wanted from number r on, where n is the number of parts.
    """

    n_fft: int
    n_part: int
    first: int
    values: Array


class Bank(Protocol):
    """Filters bound to one length of line."""

    points: Points
    lengths: list[int]
    """Length of the transform per filter."""
    row_bytes: list[int]
    """Memory of the output of each filter for one line."""
    is_real: bool
    """Whether all outputs are real."""

    def response(self, i: int) -> Response:
        """Filter number i."""
        ...

    def band(self, i: int) -> Band:
        """Filter number i, as transforms side by side take it."""
        ...


@lru_cache(maxsize=4096)
def transform_length(length: int, reach: int, step: int = 1) -> int:
    """Length of the transform for a line, a filter that reaches so many samples, and every step-th output.

    Less than the length of the line: that of its segments.
    """
    rounded = max(_SHORTEST_REACH, 1 << max(0, reach - 1).bit_length())
    if step == 1 and rounded <= _LONGEST_REACH and 2 * _SEGMENT * rounded <= length:
        return _SEGMENT * rounded
    padding = next((p for p in (int(share * length) for share in _PADDINGS) if p >= reach), length)
    halves = 2 if is_fast(4 * step) else 1  # real lines are transformed by half of the length
    return step * halves * fast_length(-(-(length + padding) // (step * halves)))


def segments(length: int, n_fft: int) -> tuple[int, int]:
    """Number of segments of a line, and samples from one to the next."""
    if n_fft >= length:
        return 1, n_fft
    hop = n_fft - 2 * (n_fft // _SEGMENT)
    return -(-length // hop), hop


def row_bytes(length: int, n_fft: int) -> int:
    """Memory of the transform of one line in single precision."""
    return 8 * n_fft * segments(length, n_fft)[0]


def response_of(taps: Array, first: int, n_fft: int, points: Points) -> Response:
    """Transform a filter.

    Parameters
    ----------
    taps : ndarray, real or complex
        Impulse response.
    first : int
        Lag of the first tap.
    n_fft : int
        Length of the transform, at least line + largest lag.
    points : Points
        Outputs wanted.
    """
    values = _transfer(taps, first, n_fft).astype(np.complex64)
    if np.isrealobj(taps) and points.step == 1:
        return Response(n_fft, np.ascontiguousarray(values[: n_fft // 2 + 1]), True)
    return Response(n_fft, values)


def _transfer(taps: Array, first: int, n_fft: int) -> Array:
    from scipy.fft import fft

    wrapped = np.zeros(n_fft, np.complex128)
    wrapped[(first + np.arange(len(taps))) % n_fft] = taps
    return np.asarray(fft(wrapped, overwrite_x=True) / n_fft)


def band_of(taps: Array, first: int, n_fft: int, step: int, limits: tuple[float, float] | None) -> Band:
    """Transform a filter, and keep what is within some limits.

    Parameters
    ----------
    taps, first, n_fft
        See `response_of`.
    step : int
        Samples from one output that is wanted to the next.
    limits : (float, float) or None
        Frequencies, per sample, beyond which there is nothing that matters.
    """
    values = _transfer(taps, first, n_fft)
    if limits is None:
        return banded(values, 0, n_fft, step)
    low, high = math.floor(limits[0] * n_fft), math.ceil(limits[1] * n_fft)
    return banded(values, low, high - low + 1, step)


def banded(values: Array, first: int, width: int, step: int) -> Band:
    """Cut so many bins out of a response, which is zero elsewhere, and turn them for each part.

    Outputs r, r + parts, ... are one transform of bins times exp(2 pi i k r / n), of which those a
    transform's length apart are added (decimation in time: Cooley & Tukey 1965). Only magnitudes
    are wanted, so k may be counted from the first bin of the band.
    """
    n_fft = len(values)
    if width >= n_fft:
        return Band(n_fft, n_fft // step, 0, values.astype(np.complex64)[np.newaxis])
    parts = parts_of(n_fft // step, width)
    bins = np.arange(width)
    turns = np.exp(2j * np.pi * np.outer(np.arange(parts), bins * step) / n_fft)
    cut = (values[(first + bins) % n_fft] * turns).astype(np.complex64)
    return Band(n_fft, n_fft // step // parts, first % n_fft, cut)


@dataclass(frozen=True, eq=False)
class Signals:
    """Real signals (trial, time, channel), and what is subtracted from each line, (line,)."""

    x: Array
    levels: Array

    @classmethod
    def of(cls, x: Array, polyremoval: int | None, part: slice = slice(None)) -> Signals:
        """Signals without their trend.

        Parameters
        ----------
        x : ndarray, shape (trial, time, channel)
            Real signals; not changed.
        polyremoval : int or None
            Trend that is removed from the whole trial.
        part : slice
            Samples that are kept.
        """
        from rayspy.kernels.loops.rows import take_means

        levels = np.zeros(x.shape[0] * x.shape[2])
        if polyremoval == 1:
            x = detrended(x.astype(np.float64), polyremoval)
        elif polyremoval == 0:
            take_means(readable(x), levels)
        return cls(x[:, part], levels)

    def lines(self) -> Array:
        """As (trial, channel, time) in double precision."""
        levels = self.levels.reshape(len(self.x), -1, 1)
        return np.subtract(self.x.transpose(0, 2, 1), levels, order="C")


class Spectra:
    """Spectra of some lines, one per length of transform, each made when it is first asked for.

    With `scaled`, lines are divided by a power of 2 near their largest value, `scale`.
    With `centred`, their `mean` is subtracted.
    """

    def __init__(self, lines: Array, scaled: bool = False, centred: bool = False) -> None:
        self.mean = np.zeros((len(lines), 1))
        if centred:
            self.mean = pairwise_sum(lines[:, :, np.newaxis])[:, 0] / lines.shape[1]
            lines = lines - self.mean
        self.scale = np.ones((len(lines), 1))
        if scaled:
            self.scale = np.ldexp(1.0, np.frexp(np.abs(lines).max(axis=-1, keepdims=True))[1])
            lines = lines / self.scale
        self.lines = lines
        self._known: dict[Hashable, Array] = {}

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, n_fft: int) -> Array:
        return self.once(n_fft, lambda: _all_bins(self.lines, n_fft))

    def once(self, name: Hashable, make: Callable[[], Array]) -> Array:
        """Something made of the lines, when it is first asked for."""
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]


def _all_bins(lines: Array, n_fft: int) -> Array:
    """All bins of the spectra of segments of real lines, (line, segment, bin), in single precision."""
    from scipy.fft import rfft

    n_half = n_fft // 2 + 1
    cut = _segmented(lines, n_fft)
    every = np.empty((*cut.shape[:2], n_fft), np.complex64)
    every[..., :n_half] = rfft(cut, n=n_fft, axis=-1)
    np.conjugate(every[..., n_fft - n_half : 0 : -1], out=every[..., n_half:])
    return every


def _segmented(lines: Array, n_fft: int) -> Array:
    """Segments that overlap by the reach of their filters on either side, (line, segment, time)."""
    n, hop = segments(lines.shape[1], n_fft)
    if n == 1:
        return lines[:, np.newaxis]
    reach = n_fft // _SEGMENT
    padded = np.pad(lines, ((0, 0), (reach, n * hop + reach - lines.shape[1])))
    return sliding_window_view(padded, n_fft, axis=1)[:, ::hop]


def outputs(spectra: Spectra, filters: Sequence[Response], points: Points) -> Array:
    """Outputs of filters with one length of transform: (line, filter, time), real if the filters are."""
    from scipy.fft import irfft

    n_fft, is_real = filters[0].n_fft, filters[0].is_real
    source = spectra[n_fft][..., : n_fft // 2 + 1] if is_real else spectra[n_fft]
    room, product = _room((len(spectra), len(filters), *source.shape[1:]))
    for k, one in enumerate(filters):
        np.multiply(source, one.values, out=product[:, k])
    if is_real:
        found: Array = irfft(product, n=n_fft, axis=-1, overwrite_x=True, norm="forward")
    else:
        if points.step > 1:
            folded = product.reshape(*product.shape[:3], points.step, n_fft // points.step)
            room, product = _room((*folded.shape[:3], folded.shape[4]))
            np.add.reduce(folded, axis=3, out=product)
        found = _inverse(room, product.shape)
    if found.shape[2] > 1:
        reach = n_fft // _SEGMENT
        found = found[..., reach : n_fft - reach].reshape(*found.shape[:2], 1, -1)
    found = found[:, :, 0, : points.n]
    return found if points.picks is None else found[..., list(points.picks)]


def _room(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Room for spectra: (line, bin) with zeros that complete the last group of lines; and of the shape."""
    n = math.prod(shape[:-1])
    rest = -n % _AT_ONCE if shape[-1] <= _LONGEST_AT_ONCE else 0
    room = np.empty((n + rest, shape[-1]), np.complex64)
    room[n:] = 0
    return room, room[:n].reshape(shape)


def _inverse(room: Array, shape: tuple[int, ...]) -> Array:
    """Inverse transforms of the shape, which do not depend on how many there are; overwrites."""
    from scipy.fft import ifft

    found: Array = ifft(room, axis=-1, overwrite_x=True, norm="forward")
    return found[: math.prod(shape[:-1])].reshape(shape)


Fill = Callable[[Spectra, range, Array], None]
"""Puts the results of some lines for a range of frequencies into an array (line, frequency, time)."""


def over_batches(
    lines: Array,
    freqs: range,
    bank: Bank,
    out: Array,
    fill: Fill,
    scaled: bool = False,
    centred: bool = False,
) -> None:
    """Cut the work into batches of lines and frequencies, and put their results in place.

    `lines` are (trial, channel, time), `freqs` the frequencies that are in `out`.

    Results are gathered with time as the fastest axis and transposed in one go
    into `out`, of shape (trial, time, freq, channel), where channels are the fastest.
    """
    for trials, channels in batches(lines.shape[0], lines.shape[1], max(bank.row_bytes)):
        some = lines[trials, channels]
        n_trials, n_channels = some.shape[:2]
        spectra = Spectra(some.reshape(n_trials * n_channels, -1), scaled, centred)
        at_once = max(1, BUFFER_BYTES // (len(spectra) * bank.points.n_rows * out.itemsize))
        for low in range(freqs.start, freqs.stop, at_once):
            wanted = range(low, min(low + at_once, freqs.stop))
            place = slice(low - freqs.start, wanted.stop - freqs.start)
            buffer = np.empty((n_trials, n_channels, len(wanted), bank.points.n_rows), out.dtype)
            fill(spectra, wanted, buffer.reshape(len(spectra), len(wanted), -1))
            out[trials, :, place, channels] = buffer.transpose(0, 3, 2, 1)


def batches(n_trials: int, n_channels: int, line_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Groups of lines that are computed together: whole trials, or some channels of one."""
    at_once = max(1, BATCH_BYTES // line_bytes)
    if n_channels <= at_once:
        step = max(1, at_once // n_channels)
        for k in range(0, n_trials, step):
            yield slice(k, min(k + step, n_trials)), slice(0, n_channels)
        return
    for k in range(n_trials):
        for low in range(0, n_channels, at_once):
            yield slice(k, k + 1), slice(low, min(low + at_once, n_channels))


def runs(bank: Bank, numbers: Sequence[int], n_lines: int) -> Iterator[list[int]]:
    """Split filters into consecutive ones with the same length of transform, a batch at most."""
    run: list[int] = []
    for i in numbers:
        too_many = (len(run) + 1) * n_lines * bank.row_bytes[i] > BATCH_BYTES
        if run and (bank.lengths[run[0]] != bank.lengths[i] or too_many):
            yield run
            run = []
        run.append(i)
    if run:
        yield run


def filtered(signals: Signals, bank: Bank, freqs: range, output: str, out: Array) -> None:
    """Outputs of a bank with one filter per frequency.

    Parameters
    ----------
    signals : Signals
        What is filtered.
    bank : Bank
        A filter per frequency.
    freqs : range
        Numbers of the frequencies that are wanted; their results do not depend on the others.
    output : str
        As in `rayspy.kernels.spectral.mtmfft.tapered_spectra`.
    out : ndarray, shape (trial, time, freq, channel)
        Where to put the result, float32, or complex64 for 'fourier'.
    """
    if output == "pow" and is_plain(bank, signals.x.shape[1]):
        _powers(signals, bank, freqs, out)
        return

    def fill(spectra: Spectra, wanted: range, target: Array) -> None:
        for run in runs(bank, wanted, len(spectra)):
            values = outputs(spectra, [bank.response(i) for i in run], bank.points)
            converted(values, output, target[:, run[0] - wanted.start : run[-1] + 1 - wanted.start])

    over_batches(signals.lines(), freqs, bank, out, fill)


def is_plain(bank: Bank, length: int) -> bool:
    """Whether complex outputs of lines that are not cut are wanted at regular times."""
    regular = bank.points.picks is None and not bank.is_real
    possible = all(n % 2 == 0 and is_fast(n // 2) for n in set(bank.lengths))
    return regular and possible and length <= min(bank.lengths) and max(bank.lengths) <= _LONGEST_SIDE_BY_SIDE


def _powers(signals: Signals, bank: Bank, freqs: range, out: Array) -> None:
    """Squared magnitudes, put where they belong as soon as they are there."""
    from rayspy.kernels.loops.powers import bins_used, can_be_put, powers

    target = out if can_be_put(out) else np.empty(out.shape, out.dtype)
    stacks = _stacked([bank.band(i) for i in freqs])
    for lines, trials, slabs in _side_by_side(signals, bins_used(stacks)):
        powers(slabs, lines, stacks, target[trials])
    if target is not out:
        out[...] = target


def _stacked(bands: Sequence[Band]) -> list[Stack]:
    """Neighbours whose transforms have the same length and as many parts."""
    from rayspy.kernels.loops.powers import stack

    alike = groupby(bands, lambda band: (band.n_fft, band.n_part, len(band.values)))
    return [stack(list(some)) for _, some in alike]


def powers_bytes(n_rows: int, lengths: Sequence[int]) -> int:
    """Memory for powers at so many times of lines that are filtered side by side."""
    from rayspy.kernels.loops.powers import shared_bytes

    return shared_bytes(n_rows, lengths)


def means_bytes(n_rows: int, lengths: Sequence[int], order: int, n_freqs: int) -> int:
    """The same for geometric means of up to so many powers at some frequencies."""
    from rayspy.kernels.loops.means import shared_bytes

    return shared_bytes(n_rows, lengths, order, n_freqs)


def _side_by_side(
    signals: Signals, n_bins: Mapping[int, int], scales: Array | None = None
) -> Iterator[tuple[range, slice, dict[int, Array]]]:
    """Up to 32 lines at a time: their numbers among those of some trials, these trials, and their spectra.

    `n_bins` tells for each length of transform how many frequencies are wanted.
    """
    from rayspy.kernels.loops.lanes import line_groups
    from rayspy.kernels.loops.spectra import empty_slab, fill_slab

    x, n_channels = readable(signals.x), signals.x.shape[2]
    scales = np.ones(len(signals.levels)) if scales is None else scales
    slabs = {n: empty_slab(n) for n in n_bins}
    at_once = max(1, LANES // n_channels)
    for low in range(0, len(x), at_once):
        trials = slice(low, min(low + at_once, len(x)))
        every = slice(trials.start * n_channels, trials.stop * n_channels)
        for lines in line_groups(every.stop - every.start):
            for n, slab in slabs.items():
                fill_slab(x[trials], signals.levels[every], scales[every], lines, n_bins[n], slab)
            yield lines, trials, slabs


def converted(values: Array, output: str, out: Array) -> Array:
    """Turn real or complex coefficients into what was asked for."""
    if output == "pow":
        np.square(values.real, out=out)
        out += np.square(values.imag)
    elif values.dtype.kind == "f" and output in ("imag", "absimag"):
        out[...] = 0
    elif values.dtype.kind == "f" and output == "angle":
        np.arctan2(np.float32(0), values, out=out)
    elif values.dtype.kind == "f" and output in ("abs", "absreal"):
        np.abs(values, out=out)
    elif values.dtype.kind == "f":
        out[...] = values
    else:
        convert(values, output, out)
    return out


Members = Sequence[Sequence[tuple[int, float]]]
"""Per frequency, numbers of filters and their weights."""


def superlets(signals: Signals, bank: Bank, members: Members, freqs: range, output: str, out: Array) -> None:
    """Superlet transform: weighted geometric mean of the outputs of several filters per frequency.

    The magnitude is the geometric mean. The phase is that of the first filter
    plus the mean of the differences of the others to it, so that it does not
    jump where one of them passes pi.

    Parameters
    ----------
    signals, freqs, output, out
        See `filtered`.
    bank : Bank
        All filters.
    members : sequence of sequences of (int, float)
        Per frequency, numbers of filters and their weights, of which the first is 1.
    """

    def fill(spectra: Spectra, wanted: range, target: Array) -> None:
        at_once = max(1, BATCH_BYTES // (8 * len(spectra) * target.shape[-1]))
        for low in range(wanted.start, wanted.stop, at_once):
            some = range(low, min(low + at_once, wanted.stop))
            part = target[:, low - wanted.start : some.stop - wanted.start]
            _geometric_means(spectra, bank, [members[f] for f in some], output, part)

    if output in ("pow", "abs") and is_plain(bank, signals.x.shape[1]) and has_whole_orders(members):
        _superlet_powers(signals, bank, [members[f] for f in freqs], output, out)
        return
    over_batches(signals.lines(), freqs, bank, out, fill, scaled=True)


def has_whole_orders(members: Members) -> bool:
    """Whether all filters have the same weight."""
    return all(weight == 1 for some in members for _, weight in some)


def _superlet_powers(signals: Signals, bank: Bank, members: Members, output: str, out: Array) -> None:
    """Means of powers, or their square roots, put where they belong."""
    from rayspy.kernels.loops.means import geometric_means
    from rayspy.kernels.loops.powers import can_be_put
    from rayspy.kernels.loops.rows import take_peaks

    target = out if can_be_put(out) else np.empty(out.shape, out.dtype)
    numbers = [[i for i, _ in some] for some in members]
    degree = 2 if output == "pow" else 1
    scales = np.empty(len(signals.levels))
    take_peaks(readable(signals.x), signals.levels, scales)
    np.ldexp(1.0, np.frexp(scales)[1], out=scales)

    n_bins = {bank.lengths[i]: bank.lengths[i] // 2 + 1 for some in numbers for i in some}
    for lines, trials, slabs in _side_by_side(signals, n_bins, scales):
        first = trials.start * out.shape[3]
        finish = scales[first + lines.start : first + lines.stop] ** degree, degree
        geometric_means(slabs, lines, bank.band, numbers, bank.lengths, finish, target[trials])
    if target is not out:
        out[...] = target


def _geometric_means(spectra: Spectra, bank: Bank, members: Members, output: str, out: Array) -> None:
    kind = Magnitudes if output in ("pow", "abs") else Coefficients
    means = kind(len(spectra), members, bank.points.n_rows)
    places = {i: (f, weight) for f, some in enumerate(members) for i, weight in some}
    firsts = [some[0][0] for some in members]
    others = sorted((i for some in members for i, _ in some[1:]), key=bank.lengths.__getitem__)
    for run in (*runs(bank, firsts, len(spectra)), *runs(bank, others, len(spectra))):
        values = outputs(spectra, [bank.response(i) for i in run], bank.points)
        means.add(values, [places[i] for i in run])
    means.finish(spectra.scale, output, out)


class Magnitudes:
    """Weighted geometric means of squared magnitudes, (line, frequency, time).

    Outputs are multiplied as they are, a few at a time in single precision, then
    their magnitudes in double precision, then logarithms are added: as far as
    each goes without leaving the range of its numbers.
    """

    def __init__(self, n_lines: int, members: Members, n_rows: int) -> None:
        self._total = [sum(weight for _, weight in some) for some in members]
        self._product = np.empty((n_lines, len(members), n_rows), np.complex64)
        self._single = [0] * len(members)
        self._double: dict[int, tuple[int, Array]] = {}
        self._logs: dict[int, Array] = {}

    def add(self, values: Array, places: Sequence[tuple[int, float]]) -> None:
        """Take outputs (line, filter, time) for the given frequencies with the given weights."""
        for k, (f, weight) in enumerate(places):
            product = self._product[:, f]
            if weight != 1:
                self._add_log(f, weight, np.abs(values[:, k]).astype(np.float64))
                continue
            if self._single[f] == 0:
                product[...] = values[:, k]
            else:
                np.multiply(product, values[:, k], out=product)
            self._single[f] += 1
            if self._single[f] == _MOST_SINGLE < self._total[f]:
                self._to_double(f)

    def _to_double(self, f: int) -> None:
        if self._single[f] == 0:
            return
        magnitude = np.abs(self._product[:, f])
        self._single[f] = 0
        if f not in self._double:
            self._double[f] = 1, magnitude.astype(np.float64)
            return
        count, product = self._double[f]
        product *= magnitude
        self._double[f] = count + 1, product
        if count + 1 == _MOST_DOUBLE:
            self._add_log(f, 1.0, self._double.pop(f)[1])

    def _add_log(self, f: int, weight: float, magnitude: Array) -> None:
        with np.errstate(divide="ignore"):
            logs = np.log(magnitude)
        logs *= weight
        if f in self._logs:
            self._logs[f] += logs
        else:
            self._logs[f] = logs

    def power(self, f: int) -> Array:
        """Mean of one frequency, (line, time), in single or double precision."""
        total = self._total[f]
        if f not in self._double and f not in self._logs and total in (1, 2, 4):
            return _squared_root(np.abs(self._product[:, f]), int(total))
        self._to_double(f)
        if f not in self._logs and total in (8, 16):
            return _squared_root(self._double[f][1], int(total))
        if f in self._double:
            self._add_log(f, 1.0, self._double.pop(f)[1])
        logs = self._logs[f]
        logs *= 2 / total
        return np.asarray(np.exp(logs, out=logs))

    def finish(self, scale: Array, output: str, out: Array) -> None:
        """Put magnitudes or powers, times the scale (line, 1), into `out`."""
        for f in range(len(self._total)):
            power = self.power(f)
            if output == "pow":
                np.multiply(power, (scale**2).astype(power.dtype), out=out[:, f], casting="same_kind")
                continue
            magnitude = np.sqrt(power, out=power)
            np.multiply(magnitude, scale.astype(power.dtype), out=out[:, f], casting="same_kind")


def _squared_root(magnitude: Array, degree: int) -> Array:
    """Magnitude to the power of 2 / degree, a power of 2; overwrites its input."""
    if degree == 1:
        return np.square(magnitude, out=magnitude)
    for _ in range(degree.bit_length() - 2):
        np.sqrt(magnitude, out=magnitude)
    return magnitude


class Coefficients(Magnitudes):
    """The same with the phase of the first filter plus the mean difference to it."""

    def __init__(self, n_lines: int, members: Members, n_rows: int) -> None:
        super().__init__(n_lines, members, n_rows)
        self._first: dict[int, Array] = {}
        self._turn = np.zeros(self._product.shape)

    def add(self, values: Array, places: Sequence[tuple[int, float]]) -> None:
        """Take outputs; those of the first filters come first."""
        super().add(values, places)
        for k, (f, weight) in enumerate(places):
            if f in self._first:
                self._turn[:, f] += weight * np.angle(values[:, k] * np.conj(self._first[f]))
            else:
                self._first[f] = values[:, k].copy()

    def finish(self, scale: Array, output: str, out: Array) -> None:
        """Put coefficients, or what is made of them, into `out`."""
        for f, total in enumerate(self._total):
            phase = self._turn[:, f] / total + np.angle(self._first[f])
            convert(np.sqrt(self.power(f)) * scale * np.exp(1j * phase), output, out[:, f])
