"""Sums over observations, and measures of pairs, against their definitions and other packages."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.kernels.connectivity import measures
from rayspy.kernels.connectivity.sums import DTYPES, add, all_pairs, empty_sums, group_of, tiled, trial_sums

NAMES = tuple(DTYPES)
N_TRIALS, N_CHANNELS, RATE, LENGTH = 24, 4, 256.0, 128


def spectra(n: int = 5, times: int = 2, tapers: int = 3, freqs: int = 150, channels: int = 10) -> Any:
    rng = np.random.default_rng(n)
    shape = (n, times, tapers, freqs, channels)
    common = rng.normal(size=(*shape[:-1], 1)) * np.exp(2j)
    noise = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return (noise + common * np.exp(0.3j * np.arange(channels))).astype(np.complex64)


def summed(z: Any, pairs: Any = None, names: Any = NAMES, apart: bool = False) -> Any:
    pairs = all_pairs(z.shape[-1]) if pairs is None else pairs
    sums = empty_sums(names, len(pairs), z.shape[1] * z.shape[3])
    add(sums, z, pairs, apart)
    return sums


@pytest.mark.parametrize("apart", [False, True])
def test_sums_are_those_of_double_precision(apart: bool) -> None:
    z = spectra()
    pairs = all_pairs(10)
    single = z.transpose(0, 2, 1, 3, 4).reshape(15, 2, 1, 150, 10) if apart else z
    wanted = [trial_sums(one, pairs, NAMES) for one in single]
    got = summed(z, apart=apart)
    for name in NAMES:
        total = sum(one[name] for one in wanted)
        scale = np.median(np.abs(total))
        off = pairs.first != pairs.second
        np.testing.assert_allclose(got[name][off], total[off], rtol=3e-6, atol=1e-5 * scale)
        assert got[name].dtype == DTYPES[name]


@pytest.mark.parametrize("cuts", [[1, 2], [3], [4]])
def test_bits_do_not_depend_on_how_many_come_at_a_time(cuts: list[int]) -> None:
    z = spectra(n=11)
    whole = summed(z)
    parts = empty_sums(NAMES, 55, 300)
    for part in np.split(z, cuts):
        add(parts, part, all_pairs(10))
    for name in NAMES:
        np.testing.assert_array_equal(parts[name], whole[name])


@pytest.mark.parametrize("cuts", [[4, 8], [8]])
def test_bits_of_groups_do_not_depend_on_how_many_groups_come_at_a_time(cuts: list[int]) -> None:
    z, pairs = spectra(n=11), all_pairs(10)
    whole, parts, single = (empty_sums(("cross",), 55, 300) for _ in range(3))
    add(whole, z, pairs, group=4)
    for part in np.split(z, cuts):
        add(parts, part, pairs, group=4)
    add(single, z, pairs)
    np.testing.assert_array_equal(parts["cross"], whole["cross"])
    assert (whole["cross"] != single["cross"]).any()
    scale = np.abs(single["cross"]).max(axis=0)
    assert (np.abs(whole["cross"] - single["cross"]) < 1e-6 * scale).all()


@pytest.mark.parametrize(
    ("n_tapers", "at_once", "wanted"), [(1, 16, 16), (3, 16, 16), (7, 16, 4), (99, 16, 1), (1, 4, 4)]
)
def test_groups_are_powers_of_two_that_fit(n_tapers: int, at_once: int, wanted: int) -> None:
    assert group_of(n_tapers, at_once) == wanted


def test_products_alone_have_the_bits_that_they_have_beside_others() -> None:
    z = spectra(n=7)
    np.testing.assert_array_equal(summed(z, names=("cross",))["cross"], summed(z)["cross"])


@pytest.mark.parametrize(("names", "group"), [(NAMES, 1), (("cross",), 1), (("cross",), 4)])
def test_bits_do_not_depend_on_which_pairs_and_bins_are_wanted(names: Any, group: int) -> None:
    z, pairs = spectra(), all_pairs(10)
    whole = empty_sums(names, 55, 300)
    add(whole, z, pairs, group=group)
    few = tiled([7, 1, 2], [3, 9, 2])
    assert sorted(zip(few.first.tolist(), few.second.tolist(), strict=True)) == sorted(
        [(3, 7), (1, 9), *((k, k) for k in (1, 2, 3, 7, 9))]
    )
    got = empty_sums(names, len(few), 140)
    add(got, z[:, :, :, 20:90], few, group=group)
    places, mirrored = pairs.find(few.first, few.second)
    assert not mirrored.any()
    for name in names:
        wanted = whole[name].reshape(55, 2, 150)[places][:, :, 20:90].reshape(len(few), -1)
        np.testing.assert_array_equal(got[name], wanted)


@pytest.mark.parametrize("exponent", [-46, 40])
def test_the_unit_of_the_data_does_not_matter(exponent: int) -> None:
    z = spectra()
    unit = np.float32(2.0) ** exponent
    got, wanted = summed(z * unit), summed(z)
    power = {"cross": 2, "absolute": 2, "square": 4, "phase": 0, "sign": 0}
    for name in NAMES:
        np.testing.assert_array_equal(got[name], wanted[name] * float(unit) ** power[name])


def test_channels_of_very_different_size() -> None:
    z = spectra()
    scales = np.float32(10.0) ** np.linspace(-14, 12, 10, dtype=np.float32)
    got, wanted = summed(z * scales), summed(z)
    of = measures.wanted(all_pairs(10), *np.triu_indices(10, 1))
    for name, measure in measures.MEASURES.items():
        if name != "csd":
            values, plain = (measure.value(sums, of, 5) for sums in (got, wanted))
            np.testing.assert_allclose(values, plain, rtol=2e-4, atol=2e-5, err_msg=name)


# -- against definitions ------------------------------------------------------------------


def recording() -> Any:
    """Trials of noise that runs from channel to channel, two samples later in each."""
    rng = np.random.default_rng(1)
    source = rng.standard_normal((N_TRIALS, LENGTH + 8))
    x = rng.standard_normal((N_TRIALS, N_CHANNELS, LENGTH)) * 0.7
    for c in range(N_CHANNELS):
        x[:, c] += source[:, 8 - 2 * c : 8 - 2 * c + LENGTH]
    return x


def coefficients(x: Any) -> Any:
    """(trial, 1, 1, freq, channel) by hann window, as MNE with mode='fourier'."""
    window = np.hanning(LENGTH)
    z = np.fft.rfft((x - x.mean(-1, keepdims=True)) * window, axis=-1)
    return z.transpose(0, 2, 1)[:, None, None]


@pytest.fixture(scope="module")
def z() -> Any:
    return coefficients(recording())


@pytest.fixture(scope="module")
def sums(z: Any) -> Any:
    return summed(z)


def every(n: int = N_CHANNELS) -> Any:
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    return i.ravel(), j.ravel()


def value(name: str, sums: Any, n: int = N_TRIALS) -> Any:
    of = measures.wanted(all_pairs(N_CHANNELS), *every())
    found = measures.MEASURES[name].value(sums, of, n)
    return found.reshape(N_CHANNELS, N_CHANNELS, -1)


def by_definition(name: str, c: Any) -> Any:
    """Measures of c (trial, i, j, freq), as their papers write them, pairs of trials one by one."""
    n = len(c)
    u, im = c / np.abs(c), c.imag
    pairs = list(permutations(range(n), 2))
    if name == "csd":
        return c.mean(0)
    if name == "coh":
        s = c.mean(0)
        p = np.einsum("iif->if", s).real
        return s / np.sqrt(p[:, None] * p[None])
    if name == "plv":
        return np.abs(u.mean(0))
    if name == "ciplv":
        return np.abs(u.mean(0).imag) / np.sqrt(1 - u.mean(0).real ** 2)
    if name == "ppc":
        return np.mean([np.cos(np.angle(c[a]) - np.angle(c[b])) for a, b in pairs], axis=0)
    if name == "pli":
        return np.abs(np.sign(im).mean(0))
    if name == "pli_debiased":
        return np.mean([np.sign(im[a]) * np.sign(im[b]) for a, b in pairs], axis=0)
    if name == "dpli":
        return np.heaviside(im, 0.5).mean(0)
    if name == "wpli":
        return np.abs(im.mean(0)) / np.abs(im).mean(0)
    assert name == "wpli_debiased"
    top = sum(im[a] * im[b] for a, b in pairs)
    return top / sum(np.abs(im[a] * im[b]) for a, b in pairs)


DIAGONAL = {"coh": 1, "plv": 1, "ciplv": 0, "ppc": 1, "pli": 0, "pli_debiased": 0, "dpli": 0.5}


@pytest.mark.parametrize("name", list(measures.MEASURES))
def test_definitions(name: str, z: Any, sums: Any) -> None:
    x = z[:, 0, 0].transpose(0, 2, 1)
    c = x[:, :, None] * x[:, None].conj()
    got = value(name, sums)[..., 1:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        wanted = by_definition(name, c)[..., 1:-1]
    off = ~np.eye(N_CHANNELS, dtype=bool)
    np.testing.assert_allclose(got[off], wanted[off], rtol=2e-6, atol=1e-6 * np.abs(wanted[off]).max())
    diagonal = got[~off]
    np.testing.assert_allclose(diagonal, wanted[~off] if name == "csd" else DIAGONAL.get(name, 0), rtol=1e-6)


MNE = {
    "cohy": "coh", "plv": "plv", "ciplv": "ciplv", "ppc": "ppc", "pli": "pli",
    "pli2_unbiased": "pli_debiased", "dpli": "dpli", "wpli": "wpli", "wpli2_debiased": "wpli_debiased",
}  # fmt: skip


def test_against_mne(sums: Any) -> None:
    con = pytest.importorskip("mne_connectivity")
    i, j = np.triu_indices(N_CHANNELS, 1)
    options = {"sfreq": RATE, "mode": "fourier", "fmin": 3, "fmax": 120, "verbose": "error"}
    found = con.spectral_connectivity_epochs(recording(), method=list(MNE), indices=(i, j), **options)
    for name, result in zip(MNE.values(), found, strict=True):
        bins = np.round(np.array(result.freqs) / RATE * LENGTH).astype(int)
        np.testing.assert_allclose(
            value(name, sums)[i, j][:, bins], result.get_data(), atol=1e-6, err_msg=name
        )


def test_phase_slope_against_mne(sums: Any) -> None:
    con = pytest.importorskip("mne_connectivity")
    i, j = np.triu_indices(N_CHANNELS, 1)
    result = con.phase_slope_index(
        recording(), indices=(i, j), sfreq=RATE, mode="fourier", fmin=5, fmax=61, verbose="error"
    )
    coherency = value("coh", sums)[i, j]
    freq = np.fft.rfftfreq(LENGTH, 1 / RATE)
    got = measures.phase_slope(coherency[:, (freq > 5) & (freq < 61)])
    np.testing.assert_allclose(got, result.get_data()[:, 0], atol=1e-6)
    assert (got > 0).all()  # the channel of the lower number leads


def test_partial_coherency_is_that_of_residuals(z: Any, sums: Any) -> None:
    s = measures.matrices(sums["cross"] / N_TRIALS, all_pairs(N_CHANNELS), N_CHANNELS)
    got = measures.partial_coherency(s)
    x = z[:, 0, 0, 20]
    a, b, rest = x[:, 1], x[:, 3], x[:, [0, 2]]
    left = [y - rest @ np.linalg.lstsq(rest, y, rcond=None)[0] for y in (a, b)]
    cross = (left[0] * left[1].conj()).sum()
    wanted = cross / np.sqrt((np.abs(left[0]) ** 2).sum() * (np.abs(left[1]) ** 2).sum())
    np.testing.assert_allclose(got[20, 1, 3], wanted, atol=1e-6)
    np.testing.assert_allclose(got[20, 3, 1], wanted.conj(), atol=1e-6)


# -- properties ----------------------------------------------------------------------------

RANGES = {
    "plv": (0, 1), "ciplv": (0, 1), "ppc": (-1, 1), "pli": (0, 1), "pli_debiased": (-1, 1), "dpli": (0, 1),
    "wpli": (0, 1), "wpli_debiased": (-5, 1),
}  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9))
def test_ranges_symmetry_order_of_trials_and_scale(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (n, 1, 1, 5, N_CHANNELS)
    x = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    plain = summed(x)
    shuffled = summed(x[rng.permutation(n)] * np.float32(2) ** rng.integers(-9, 9, N_CHANNELS))
    for name, (low, high) in RANGES.items():
        got = value(name, plain, n)
        assert ((got >= low - 1e-9) & (got <= high + 1e-9)).all(), name
        mirror = 1 - got if name == "dpli" else got
        np.testing.assert_allclose(got.transpose(1, 0, 2), mirror, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(value(name, shuffled, n), got, rtol=1e-9, atol=1e-9, err_msg=name)
    coherency = value("coh", plain, n)
    assert (np.abs(coherency) <= 1 + 1e-6).all()
    np.testing.assert_allclose(coherency.transpose(1, 0, 2), coherency.conj(), atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_channels_that_see_the_same_source_at_once_have_no_imaginary_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = (rng.normal(size=(9, 1, 1, 6, 1)) + 1j * rng.normal(size=(9, 1, 1, 6, 1))).astype(np.complex64)
    x = source * np.array([1, 2, -0.5, 4], np.complex64)
    total = summed(x)
    for name in ("ciplv", "pli", "wpli"):
        got = value(name, total, 9)
        assert np.nan_to_num(got).max() < 1e-5, name
    np.testing.assert_array_equal(value("dpli", total, 9), 0.5)
    np.testing.assert_allclose(value("plv", total, 9), 1, rtol=1e-6)


def test_dead_channels_are_nan_and_others_are_not(z: Any, sums: Any) -> None:
    dead = z.copy()
    dead[..., 2] = 0
    total = summed(dead)
    alive = np.ix_([0, 1, 3], [0, 1, 3])
    for name in ("coh", "plv", "ppc", "wpli", "wpli_debiased", "ciplv"):
        got = value(name, total)[..., 1:-1]
        assert np.isnan(got[2]).all(), name
        assert np.isnan(got[:, 2]).all(), name
        np.testing.assert_array_equal(got[alive], value(name, sums)[..., 1:-1][alive])
