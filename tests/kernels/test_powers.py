"""Powers of many lines side by side against SciPy and against themselves in other groups."""

import threading
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import fft, ifft

from rayspy.kernels import filterbank
from rayspy.kernels.filterbank import Points, Response, Spectra
from rayspy.kernels.lengths import LANES, fast_length, radices_of
from rayspy.kernels.loops import lanes
from rayspy.kernels.loops.lanes import line_groups
from rayspy.kernels.loops.powers import last_powers, powers
from rayspy.methods.banks import _Store
from rayspy.methods.timepoints import TimePoints
from rayspy.methods.wavelet import Superlet, Wavelet

LENGTHS = st.lists(st.sampled_from([60, 64, 72, 80, 100, 108, 240, 500]), min_size=1, max_size=9)
SHAPES = st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, 70 // n)))


class Bank:
    """Complex filters with given lengths of transform."""

    def __init__(self, n_rows, lengths, seed=0):
        rng = np.random.default_rng(seed)
        self.points = Points(1, n_rows)
        self.lengths = list(lengths)
        self.row_bytes = [8 * n for n in lengths]
        self.values = [(rng.standard_normal((n, 2)) @ [1, 1j] / n).astype("c8") for n in lengths]

    def response(self, i):
        return Response(self.lengths[i], self.values[i])


def signals(n_trials, n_channels, n, seed=0):
    x = np.random.default_rng(seed).standard_normal((n_trials, n_channels, n))
    x.flags.writeable = False
    return x


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
    filterbank._powers(lines, bank, range(len(bank.values)) if filters is None else filters, out)
    return out


def assert_right(found, lines, bank):
    wanted, largest = with_scipy(lines, bank)
    assert (np.abs(found - wanted) < 2e-6 * largest).all()


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, n=st.integers(1, 60), lengths=LENGTHS, seed=st.integers(0, 99))
def test_powers_are_those_of_scipys_transforms(shape, n, lengths, seed):
    lines, bank = signals(*shape, n, seed), Bank(n, lengths, seed)
    flat = lines.reshape(-1, n)
    out = np.full((shape[0], n, len(lengths), shape[1]), np.float32(77))
    for group in line_groups(len(flat)):
        powers(Spectra(flat[group.start : group.stop]).slab, group, bank.values, out)
    assert_right(out, lines, bank)


@pytest.mark.parametrize("n_lines", [1, 31, 32, 33, 64, 70])
def test_every_line_is_in_one_group(n_lines):
    groups = line_groups(n_lines)
    assert [line for group in groups for line in group] == list(range(n_lines))
    assert max(map(len, groups)) <= LANES


@pytest.mark.parametrize("n", [96, 2592, 4860, 8100])
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
    lengths = [60, 60, 72, 80, 80, 80, 80, 240]
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
    lines, bank = signals(3, 5, 47), Bank(47, [60, 60, 72])
    wanted = found_powers(lines, bank)
    filterbank._powers(lines, bank, range(3), part)
    np.testing.assert_array_equal(part, wanted)
    part[...] = 77
    assert (full == 77).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_stay_in_their_line(bad):
    lines, bank = signals(2, 20, 47), Bank(47, [60, 60, 72])
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


# -- memory --------------------------------------------------------------------------------------


def peak_of(method, n_trials, n, n_channels, monkeypatch):
    """Memory that a first call takes besides input and output."""
    x = np.random.default_rng(n).standard_normal((n_trials, n, n_channels)).astype(np.float32)
    out = np.empty((n_trials, n, 1, len(method.foi), n_channels), np.float32)
    kernel = method.kernel(n)
    kernel(x[:1, :, :1], out[:1, ..., :1])
    monkeypatch.setattr(lanes, "_kept", threading.local())
    monkeypatch.setattr("rayspy.methods.banks._store", _Store(10**9))
    lanes.transform.cache_clear()
    tracemalloc.start()
    try:
        kernel(x, out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MEMORY = [(1, 700, 1), (3, 2000, 4), (20, 2000, 8), (1, 1000, 150), (100, 7, 10), (1, 5000, 1), (25, 800, 40)]


@pytest.mark.parametrize("shape", MEMORY, ids=str)
@pytest.mark.parametrize("polyremoval", [None, 0, 1])
def test_memory_is_bounded_by_what_wavelets_tell(shape, polyremoval, monkeypatch):
    method = Wavelet(1000.0, TimePoints(), tuple(np.geomspace(3, 200, 12)), "pow", polyremoval)
    told = shape[0] * shape[2] * method.working_bytes(shape[1], 4) + method.shared_bytes(shape[1])
    assert method.side_by_side(shape[1])
    peak = peak_of(method, *shape, monkeypatch)
    assert peak <= told <= 2 * peak


def test_memory_of_many_filters(monkeypatch):
    method = Wavelet(1000.0, TimePoints(), tuple(np.geomspace(3, 200, 400)), "pow", 0)
    peak = peak_of(method, 1, 700, 1, monkeypatch)
    assert peak <= method.working_bytes(700, 4) + method.shared_bytes(700) <= 2 * peak


@pytest.mark.parametrize("shape", MEMORY, ids=str)
@pytest.mark.parametrize(("order", "output"), [(1.0, "pow"), (3.0, "abs"), (11.0, "pow")])
def test_memory_is_bounded_by_what_superlets_tell(shape, order, output, monkeypatch):
    freqs = (3.0, 20.0, 41.0, 90.0)
    method = Superlet(1000.0, TimePoints(), freqs, output, 0, orders=(order,) * 4)
    told = shape[0] * shape[2] * method.working_bytes(shape[1], 4) + method.shared_bytes(shape[1])
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
    filterbank.superlets(lines, bank, weighted, freqs, output, out)
    return out


@st.composite
def superlets(draw):
    """Filters with lengths that rise within each frequency, and which belong to which."""
    orders = draw(st.lists(st.integers(1, 19), min_size=1, max_size=6))
    lengths = st.sampled_from([72, 80, 96, 100])
    each = [sorted(draw(st.lists(lengths, min_size=k, max_size=k))) for k in orders]
    edges = np.cumsum([0, *orders])
    members = [list(range(low, high)) for low, high in pairwise(edges)]
    return Bank(70, [n for some in each for n in some], draw(st.integers(0, 99))), members


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
    lines, bank, members = signals(3, 5, 47), Bank(47, [60, 60, 72, 60]), [[0, 1], [1, 2], [3]]
    wanted = found_means(lines, bank, members)
    weighted = [[(i, 1.0) for i in some] for some in members]
    filterbank.superlets(lines, bank, weighted, range(3), "pow", part)
    np.testing.assert_array_equal(part, wanted)
    part[...] = 77
    assert (full == 77).all()


@pytest.mark.parametrize("order", [1, 8, 12, 16])
def test_products_of_small_powers_do_not_vanish(order):
    """Magnitudes of 1e-15: 24 of them leave the range of numbers in double precision."""
    lines, bank = signals(2, 9, 47), Bank(47, [60] * order)
    loud = found_means(lines, bank, [list(range(order))])
    bank.values = [(h * np.float32(1e-15)).astype("c8") for h in bank.values]
    soft = found_means(lines, bank, [list(range(order))])
    np.testing.assert_allclose(soft.astype(float) * 1e30, loud, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("order", [2, 3, 5, 9])
def test_superlets_of_other_lines_are_not_touched_by_numbers_that_are_not_finite(bad, order):
    lines, bank = signals(2, 5, 47), Bank(47, [60] * order)
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
    memory = np.full((9, LANES), np.float32(77))
    last_powers(np.ones((60, 2 * LANES), np.float32), lanes.transform(60).place, memory[:3])
    assert (memory[3:] == 77).all()
    assert (memory[:3] != 77).all()
