"""Powers of many lines side by side against SciPy and against themselves in other groups."""

import dataclasses
import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.fft import fft, ifft

from rayspy.kernels import lengths as lengths_module
from rayspy.kernels.lengths import LANES, fast_length, parts_of, radices_of
from rayspy.kernels.loops import lanes, powers, spectra
from rayspy.kernels.loops.lanes import line_groups
from rayspy.kernels.loops.powers import fill_powers, stack
from rayspy.kernels.spectral import filterbank
from rayspy.kernels.spectral.filterbank import Points, Response, Signals
from rayspy.kernels.spectral.wavelets import morlet, sample_times, sampled_wavelet
from rayspy.methods.base import Part
from rayspy.methods.spectral import wavelet as wavelet_module
from rayspy.methods.spectral.banks import _Store
from rayspy.methods.spectral.timepoints import TimePoints
from rayspy.methods.spectral.wavelet import Superlet, Wavelet

LENGTHS = st.lists(st.sampled_from([64, 72, 80, 96, 120, 216, 240, 480]), min_size=1, max_size=9)
SHAPES = st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, 70 // n)))


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    """Transforms as short as those here are done in parts, too."""
    monkeypatch.setattr(lengths_module, "_SHORTEST_PART", 8)
    lengths_module.parts_of.cache_clear()
    yield
    lengths_module.parts_of.cache_clear()


class Bank:
    """Complex filters with given lengths of transform, of which only some bands are not zero."""

    is_real = False

    def __init__(self, n_rows, lengths, seed=0, banded=True):
        rng = np.random.default_rng(seed)
        self.points = Points(1, n_rows)
        self.lengths = list(lengths)
        self.row_bytes = [8 * n for n in lengths]
        self.values, self.bands = [], []
        for n in lengths:
            width = int(rng.integers(1, n + 1)) if banded and rng.random() < 0.8 else n
            first = int(rng.integers(-n, n)) if width < n else 0
            values = np.zeros(n, "c8")
            values[(first + np.arange(width)) % n] = rng.standard_normal((width, 2)) @ [1, 1j] / n
            self.values.append(values)
            self.bands.append((first, width))

    def response(self, i):
        return Response(self.lengths[i], self.values[i])

    def band(self, i):
        return filterbank.banded(self.values[i].astype("c16"), *self.bands[i], self.points.step)


def signals(n_trials, n_channels, n, seed=0):
    x = np.random.default_rng(seed).standard_normal((n_trials, n_channels, n))
    x.flags.writeable = False
    return x


def signals_of(lines):
    x = np.ascontiguousarray(lines.transpose(0, 2, 1))
    return Signals(x, np.zeros(len(x) * x.shape[2]))


def with_scipy(lines, bank):
    """In double precision, (trial, time, filter, channel), and the largest of the whole transforms."""
    every = [ifft(fft(lines, n=len(h)) * h.astype("c16"), norm="forward") for h in bank.values]
    largest = np.stack([np.abs(y).max(axis=-1) for y in every], axis=1)[:, np.newaxis]
    found = np.stack([y[..., : lines.shape[2]] for y in every], axis=-1)
    return np.abs(found).transpose(0, 2, 3, 1) ** 2, largest**2


def found_powers(lines, bank, filters=None):
    out = np.full(
        (len(lines), lines.shape[2], len(bank.values) if filters is None else len(filters), lines.shape[1]),
        np.float32(77),
    )
    filterbank._powers(signals_of(lines), bank, range(len(bank.values)) if filters is None else filters, out)
    return out


def assert_right(found, lines, bank):
    wanted, largest = with_scipy(lines, bank)
    assert (np.abs(found - wanted) < 2e-6 * largest).all()


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, n=st.integers(1, 60), lengths=LENGTHS, seed=st.integers(0, 99))
def test_powers_are_those_of_scipys_transforms(shape, n, lengths, seed):
    lines, bank = signals(*shape, n, seed), Bank(n, lengths, seed)
    assert_right(found_powers(lines, bank), lines, bank)


@settings(max_examples=60, deadline=None)
@given(
    shape=SHAPES,
    bands=st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 60)), min_size=1, max_size=8),
    n=st.sampled_from([240, 480]),
)
@example(shape=(1, 3), bands=[(0, 118), (15, 100)], n=480)
def test_only_bins_that_are_there_are_looked_at(shape, bands, n):
    """What is not filled of the spectra is NaN here."""
    lines, bank = signals(*shape, 60), Bank(60, [n] * len(bands))
    bank.bands = bands
    for values, (first, width) in zip(bank.values, bands, strict=True):
        values[...] = 0
        values[(first + np.arange(width)) % n] = 0.1 + 0.2j
    make = spectra.empty_slab
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectra, "empty_slab", lambda n: np.full_like(make(n), np.nan))
        assert_right(found_powers(lines, bank), lines, bank)


@pytest.mark.parametrize("n_lines", [1, 31, 32, 33, 64, 70])
def test_every_line_is_in_one_group(n_lines):
    groups = line_groups(n_lines)
    assert [line for group in groups for line in group] == list(range(n_lines))
    assert max(map(len, groups)) <= LANES


@pytest.mark.parametrize("n", [96, 2592, 4800, 8000])
def test_powers_of_long_transforms(n):
    lines, bank = signals(1, 3, n - 5, n), Bank(n - 5, [n], n)
    assert_right(found_powers(lines, bank), lines, bank)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, lengths=LENGTHS, seed=st.integers(0, 99), data=st.data())
def test_bits_depend_on_neither_neighbours_nor_runs_of_filters(shape, lengths, seed, data):
    n = 47
    lines, bank = signals(*shape, n, seed), Bank(n, lengths, seed)
    whole = found_powers(lines, bank)
    trials, channels, filters = (
        slice(*sorted(data.draw(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)))))
        for k in (*shape, len(lengths))
    )
    trials, channels, filters = (slice(s.start, s.stop + 1) for s in (trials, channels, filters))
    part = found_powers(lines[trials, channels], bank, range(filters.start, filters.stop))
    np.testing.assert_array_equal(part, whole[trials, :, filters, channels])


@pytest.mark.parametrize("shape", [(1, 1), (40, 1), (5, 9), (2, 33)])
def test_bits_of_single_lines(shape):
    lengths = [64, 64, 72, 80, 80, 80, 80, 240]
    lines, bank = signals(*shape, 55), Bank(55, lengths)
    whole = found_powers(lines, bank)
    for trial, channel in np.ndindex(shape):
        for f in (0, 3, 7):
            alone = found_powers(lines[trial : trial + 1, channel : channel + 1], bank, range(f, f + 1))
            np.testing.assert_array_equal(alone[0, :, 0, 0], whole[trial, :, f, channel])


LAYOUTS = {
    "channels of more": lambda full: full[:, :, :, 2:7],
    "frequencies of more": lambda full: full[:, :, 3:6, :5],
    "every other trial and time": lambda full: full[::2, ::2, :3, :5],
    "channels apart": lambda full: full[:3, :47, :3, ::2],
    "channels slowest": lambda full: full.transpose(3, 1, 2, 0)[:3, :, :, :5],
    "reversed": lambda full: full[:3, ::-1, :3, 4::-1],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_results_may_be_part_of_a_larger_array(name):
    full = np.full((9, 94, 6, 10), np.float32(77))
    part = LAYOUTS[name](full)[:3, :47, :3, :5]
    lines, bank = signals(3, 5, 47), Bank(47, [64, 64, 72])
    wanted = found_powers(lines, bank)
    filterbank._powers(signals_of(lines), bank, range(3), part)
    np.testing.assert_array_equal(part, wanted)
    part[...] = 77
    assert (full == 77).all()


@pytest.mark.parametrize("shape", [(1, 40), (1, 13), (2, 3), (1, 1)])
def test_few_are_gathered_at_a_time(shape, monkeypatch):
    monkeypatch.setattr(powers, "_DONE_BYTES", 1)
    lines, bank = signals(*shape, 47), Bank(47, [64] * 150 + [96] * 3 + [64] * 9 + [72])
    assert_right(found_powers(lines, bank), lines, bank)


@pytest.mark.parametrize("n_channels", [4, 8, 12, 16, 40, 150])
@pytest.mark.parametrize("offset", [0, 1, 2, 4])
@pytest.mark.parametrize("unused", [0, 3, 8])
def test_results_anywhere_in_memory(n_channels, offset, unused):
    lines, bank = signals(5, n_channels, 47), Bank(47, [64, 64, 72])
    width = n_channels + offset + unused
    full = lanes.aligned(5 * 47 * 3 * width).reshape(5, 47, 3, width)
    full[...] = 77
    part = full[..., offset : offset + n_channels]
    filterbank._powers(signals_of(lines), bank, range(3), part)
    assert_right(part, lines, bank)
    part[...] = 77
    assert (full == 77).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_stay_in_their_line(bad):
    lines, bank = signals(2, 20, 47), Bank(47, [64, 64, 72])
    wanted = found_powers(lines, bank)
    spoilt = lines.copy()
    spoilt[1, 3, 11] = bad
    with np.errstate(invalid="ignore"):
        found = found_powers(spoilt, bank)
    assert np.isnan(found[1, :, :, 3]).all()
    found[1, :, :, 3] = wanted[1, :, :, 3]
    np.testing.assert_array_equal(found, wanted)


def test_several_threads_do_not_share_memory():
    lines, bank = signals(4, 16, 400), Bank(400, [432] * 20)
    wanted, found = found_powers(lines, bank), {}

    def work(k):
        found[k] = [found_powers(lines, bank) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(3):
        for one in found[k]:
            np.testing.assert_array_equal(one, wanted)


# -- regular time points -------------------------------------------------------------------------


LONGER = st.lists(st.sampled_from([64, 80, 96, 144, 240, 480]), min_size=1, max_size=9)


@settings(max_examples=40, deadline=None)
@given(
    shape=SHAPES, n=st.integers(1, 60), lengths=LONGER, step=st.sampled_from([2, 4]), seed=st.integers(0, 99)
)
def test_powers_at_every_so_many_samples(shape, n, lengths, step, seed):
    lines, every, bank = signals(*shape, n, seed), Bank(n, lengths, seed), Bank(n, lengths, seed)
    bank.points = Points(step, -(-n // step))
    out = np.full((shape[0], bank.points.n, len(lengths), shape[1]), np.float32(77))
    filterbank._powers(signals_of(lines), bank, range(len(lengths)), out)
    wanted, largest = with_scipy(lines, every)
    assert (np.abs(out - wanted[:, ::step]) < 2e-6 * largest).all()


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6, 7, 10, 14, 25, 40, 50, 64, 100, 2000])
@pytest.mark.parametrize("make", ["wavelet", "paul", "superlet"])
def test_time_points_far_apart_are_those_of_all(make, step):
    freqs = (4.0, 11.0, 40.0, 170.0)
    kinds = {
        "wavelet": lambda times: Wavelet(1000.0, times, freqs, polyremoval=None),
        "paul": lambda times: Wavelet(1000.0, times, freqs, "pow", None, "Paul", 4),
        "superlet": lambda times: Superlet(1000.0, times, freqs, "pow", None, orders=(3.0,) * 4),
    }
    x = np.random.default_rng(step).standard_normal((2, 1201, 3))
    every = kinds[make](TimePoints()).kernel(Part(1201))(x)
    some = kinds[make](TimePoints(step)).kernel(Part(1201))(x)
    assert some.shape[1] == -(-1201 // step)
    np.testing.assert_allclose(some, every[:, ::step], rtol=2e-3, atol=2e-6 * every.max())
    offsets = tuple(range(0, 1000, step))
    later = kinds[make](TimePoints(step, offsets)).kernel(Part(1201, 150))(x)
    used = x[:, 150 : 151 + offsets[-1]]  # what is before the first or after the last is not looked at
    every = kinds[make](TimePoints()).kernel(Part(used.shape[1]))(used)
    np.testing.assert_allclose(later, every[:, ::step], rtol=2e-3, atol=2e-6 * every.max())


def test_which_steps_are_made_side_by_side():
    found = [step for step in range(1, 16) if Wavelet(1000.0, TimePoints(step), (9.0,)).side_by_side(700)]
    assert found == [1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15]


# -- bands -----------------------------------------------------------------------------------------


@given(w0=st.floats(3, 40), freq=st.floats(2, 300))
@settings(max_examples=60, deadline=None)
def test_what_is_left_out_of_a_wavelet_is_small(w0, freq):
    """Against the wavelet's own spectrum; that of its samples is cut off at five scales."""
    method = Wavelet(1000.0, TimePoints(), (freq,), parameter=w0)
    low, high = wavelet_module._limits(method, 10**9, 0)
    scale = float(method.scales[0]) * 1000
    f = np.linspace(-1, 1.5, 5001)
    s = 2 * np.pi * f * scale
    values = np.exp(-((s - w0) ** 2) / 2) - np.exp(-(w0**2) / 2) * np.exp(-(s**2) / 2)
    outside = np.abs(values[(f < low) | (f > high)])
    assert outside.max(initial=0) < 1e-6 * np.exp(0)
    taps, first = sampled_wavelet("Morlet", w0, scale / 1000, 1000.0, 10**9)
    n = 2 * fast_length(len(taps) * 4)
    spectrum = np.abs(filterbank._transfer(taps, first, n))
    k = np.arange(n) / n
    beyond = ((k - low) % 1) > (high - low)
    assert spectrum[beyond].max(initial=0) < 2e-6 * spectrum.max()


@pytest.mark.parametrize("freq", [10.0, 40.0, 100.0, 230.0])
def test_a_band_is_nearer_to_the_uncut_wavelet(freq):
    method, n = Wavelet(1000.0, TimePoints(), (freq,)), 8192
    scale = float(method.scales[0]) * 1000
    taps, first = sampled_wavelet("Morlet", 6.0, scale / 1000, 1000.0, n)
    cut = filterbank._transfer(taps, first, n)
    lags = np.arange(-n // 2, n // 2)
    middle = sample_times(10 * scale, n)[0][-first]
    uncut = np.zeros(n, complex)
    uncut[lags] = morlet((lags + middle) / scale, 6.0) / (8 * np.pi * scale * np.sqrt(1000) * 1e-3)
    uncut = fft(uncut) / n
    low, high = wavelet_module._limits(method, n, 0)
    band = np.where((np.arange(n) / n - low) % 1 <= high - low, cut, 0)
    errors = [np.linalg.norm(values - uncut) for values in (band, cut)]
    assert errors[0] < 0.9 * errors[1] < 2e-5 * np.abs(uncut).max()


def test_only_whole_morlet_wavelets_are_cut():
    method = Wavelet(1000.0, TimePoints(), (5.0,))
    assert wavelet_module._limits(method, 1000, 0) is not None
    assert wavelet_module._limits(method, 900, 0) is None
    assert wavelet_module._limits(dataclasses.replace(method, family="Paul", parameter=4), 10**6, 0) is None


def test_bands_are_used():
    """Otherwise all would be right, but slow."""
    lengths_module.parts_of.cache_clear()
    bank = Wavelet(1000.0, TimePoints(), (10.0, 100.0, 400.0)).bank(2000)
    assert [len(bank.band(i).values) > 1 for i in range(3)] == [True, True, False]
    assert all(bank.band(i).values.shape[1] < bank.lengths[i] / 4 for i in (0, 1))


# -- lengths -------------------------------------------------------------------------------------


def rest_of(n):
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n


@given(n=st.integers(1, 30_000))
def test_fast_lengths(n):
    found = fast_length(n)
    assert found >= max(n, 4)
    assert found < max(5, 2 * n)
    assert found % 4 == 0
    assert rest_of(found) == 1
    assert np.prod(radices_of(found)) == found
    assert fast_length(found) == found


@given(n=st.integers(-10, 5000))
def test_factors_of_a_length(n):
    if n > 0 and n % 4 == 0 and rest_of(n) == 1:
        radices = radices_of(n)
        assert np.prod(radices) == n
        assert radices[-1] == 4
        assert set(radices) <= {2, 3, 4, 5}
    else:
        with pytest.raises(ValueError, match=f"{n} is not 4 times"):
            radices_of(n)


@given(n=st.sampled_from([64, 96, 120, 480, 960, 2160, 2592, 3072, 6000]), width=st.integers(1, 7000))
def test_parts_of_a_length(n, width):
    parts = parts_of(n, width)
    assert n % parts == 0
    assert parts == 1 or n // parts >= max(width, 8)
    assert np.prod(radices_of(n // parts)) == n // parts


# -- memory --------------------------------------------------------------------------------------


def peak_of(method, n_trials, n, n_channels, monkeypatch):
    """Memory that a first call takes besides input and output."""
    x = np.random.default_rng(n).standard_normal((n_trials, n, n_channels)).astype(np.float32)
    n_rows = -(-n // method.times.step)
    out = np.empty((n_trials, n_rows, 1, len(method.foi), n_channels), np.float32)
    kernel = method.kernel(Part(n))
    kernel(x, out)  # compiles
    monkeypatch.setattr(lanes, "_kept", threading.local())
    monkeypatch.setattr("rayspy.methods.spectral.banks._store", _Store(10**9))
    lanes.transform.cache_clear()
    tracemalloc.start()
    try:
        kernel(x, out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def projected(method, shape):
    """What the method tells that it takes for (trial, time, channel)."""
    work = method.work(shape[1], 4)
    return shape[0] * shape[2] * work.line_bytes + work.shared_bytes


MEMORY = [(1, 700, 1), (3, 2000, 4), (20, 2000, 8), (1, 1000, 150), (100, 7, 10), (1, 5000, 1), (25, 800, 40)]


@pytest.mark.parametrize("shape", MEMORY, ids=str)
@pytest.mark.parametrize("polyremoval", [None, 0, 1])
def test_memory_is_bounded_by_what_wavelets_tell(shape, polyremoval, monkeypatch):
    method = Wavelet(1000.0, TimePoints(), tuple(np.geomspace(3, 200, 12)), "pow", polyremoval)
    told = projected(method, shape)
    assert method.side_by_side(shape[1])
    peak = peak_of(method, *shape, monkeypatch)
    assert peak <= told <= 2 * max(peak, powers._TABLE_BYTES)


@pytest.mark.parametrize("step", [2, 10, 50])
@pytest.mark.parametrize("shape", [(20, 2000, 8), (3, 2000, 4), (1, 5000, 1)], ids=str)
def test_memory_at_times_far_apart(shape, step, monkeypatch):
    freqs = (3.0, 20.0, 41.0, 90.0)
    superlet = Superlet(1000.0, TimePoints(step), freqs, "pow", 0, orders=(3.0,) * 4)
    for method in (Wavelet(1000.0, TimePoints(step), freqs), superlet):
        told = projected(method, shape)
        assert method.side_by_side(shape[1])
        peak = peak_of(method, *shape, monkeypatch)
        assert peak <= told <= 2 * peak


def test_memory_of_many_filters(monkeypatch):
    method = Wavelet(1000.0, TimePoints(), tuple(np.geomspace(3, 200, 400)), "pow", 0)
    peak = peak_of(method, 1, 700, 1, monkeypatch)
    assert peak <= projected(method, (1, 700, 1)) <= 2 * peak


@pytest.mark.parametrize("shape", MEMORY, ids=str)
@pytest.mark.parametrize(("order", "output"), [(1.0, "pow"), (3.0, "abs"), (11.0, "pow")])
def test_memory_is_bounded_by_what_superlets_tell(shape, order, output, monkeypatch):
    freqs = (3.0, 20.0, 41.0, 90.0)
    method = Superlet(1000.0, TimePoints(), freqs, output, 0, orders=(order,) * 4)
    told = projected(method, shape)
    if not method.side_by_side(shape[1]):
        assert (shape, order) == ((1, 5000, 1), 11.0)
        return
    peak = peak_of(method, *shape, monkeypatch)
    assert peak <= told <= 3 * peak


# -- superlets -----------------------------------------------------------------------------------


def found_means(lines, bank, members, output="pow", freqs=None):
    freqs = range(len(members)) if freqs is None else freqs
    out = np.full((len(lines), lines.shape[2], len(freqs), lines.shape[1]), np.float32(77))
    weighted = [[(i, 1.0) for i in some] for some in members]
    filterbank.superlets(signals_of(lines), bank, weighted, freqs, output, out)
    return out


@st.composite
def superlets(draw):
    """Filters with lengths that rise within each frequency, and which belong to which."""
    orders = draw(st.lists(st.integers(1, 19), min_size=1, max_size=6))
    lengths = st.sampled_from([72, 80, 96, 120])
    each = [sorted(draw(st.lists(lengths, min_size=k, max_size=k))) for k in orders]
    edges = np.cumsum([0, *orders])
    members = [list(range(low, high)) for low, high in pairwise(edges)]
    return Bank(70, [n for some in each for n in some], draw(st.integers(0, 99)), banded=False), members


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, case=superlets(), output=st.sampled_from(["pow", "abs"]), exponent=st.integers(-40, 40))
def test_superlets_are_geometric_means_of_powers(shape, case, output, exponent):
    bank, members = case
    lines = signals(*shape, 70) * 10.0 ** (exponent / 4)
    every = with_scipy(lines, bank)[0]
    wanted = np.stack([np.exp(np.log(every[:, :, some]).mean(axis=2)) for some in members], axis=2)
    wanted = wanted if output == "pow" else np.sqrt(wanted)
    found = found_means(lines, bank, members, output)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * wanted.max())
    assert np.median(np.abs(found / wanted - 1)) < 1e-5


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, case=superlets(), data=st.data())
def test_bits_of_superlets_depend_on_neither_neighbours_nor_runs(shape, case, data):
    bank, members = case
    lines = signals(*shape, 70)
    whole = found_means(lines, bank, members)
    trial, channel = (data.draw(st.integers(0, k - 1)) for k in shape)
    f = data.draw(st.integers(0, len(members) - 1))
    alone = found_means(lines[trial : trial + 1, channel : channel + 1], bank, members, freqs=range(f, f + 1))
    np.testing.assert_array_equal(alone[0, :, 0, 0], whole[trial, :, f, channel])
    part = found_means(lines[trial:, : channel + 1], bank, members, freqs=range(f, len(members)))
    np.testing.assert_array_equal(part, whole[trial:, :, f:, : channel + 1])


@pytest.mark.parametrize("name", LAYOUTS)
def test_means_may_be_part_of_a_larger_array(name):
    full = np.full((9, 94, 6, 10), np.float32(77))
    part = LAYOUTS[name](full)[:3, :47, :3, :5]
    lines, bank, members = signals(3, 5, 47), Bank(47, [64, 64, 72, 64], banded=False), [[0, 1], [1, 2], [3]]
    wanted = found_means(lines, bank, members)
    weighted = [[(i, 1.0) for i in some] for some in members]
    filterbank.superlets(signals_of(lines), bank, weighted, range(3), "pow", part)
    np.testing.assert_array_equal(part, wanted)
    part[...] = 77
    assert (full == 77).all()


@pytest.mark.parametrize("order", [1, 8, 12, 16])
def test_products_of_small_powers_do_not_vanish(order):
    """Magnitudes of 1e-15: 24 of them leave the range of numbers in double precision."""
    lines, bank = signals(2, 9, 47), Bank(47, [64] * order, banded=False)
    loud = found_means(lines, bank, [list(range(order))])
    bank.values = [(h * np.float32(1e-15)).astype("c8") for h in bank.values]
    soft = found_means(lines, bank, [list(range(order))])
    np.testing.assert_allclose(soft.astype(float) * 1e30, loud, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("order", [2, 3, 5, 9])
def test_superlets_of_other_lines_are_not_touched_by_numbers_that_are_not_finite(bad, order):
    lines, bank = signals(2, 5, 47), Bank(47, [64] * order, banded=False)
    wanted = found_means(lines, bank, [list(range(order))])
    spoilt = lines.copy()
    spoilt[1, 3, 11] = bad
    with np.errstate(invalid="ignore"):
        found = found_means(spoilt, bank, [list(range(order))])
    assert np.isnan(found[1, :, :, 3]).all()
    found[1, :, :, 3] = wanted[1, :, :, 3]
    np.testing.assert_array_equal(found, wanted)


def test_short_results_of_long_transforms_leave_what_is_behind_them():
    """A transform of 60 of which two time points are wanted; the others go to one row."""
    filters = stack([filterbank.Band(240, 60, 0, np.ones((1, 5), np.complex64))])
    slab, memory = np.ones((121, 2, LANES), np.float32), np.full((1, 9, LANES), np.float32(77))
    fill_powers(np.empty((60, 2 * LANES), np.float32), slab, filters, 0, LANES, 2, memory)
    assert (memory[0, 3:] == 77).all()
    assert (memory[0, :3] != 77).all()
