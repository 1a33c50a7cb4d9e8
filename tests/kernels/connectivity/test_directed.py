"""Factors of spectra and directed measures, against autoregressive models that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.kernels.connectivity import directed
from rayspy.kernels.connectivity.measures import partial_coherency
from rayspy.kernels.connectivity.wilson import adjoint, factorize, lag_zero

CHAIN = np.zeros((2, 3, 3))
"""Channel 0 drives 1 at lag 1, and 1 drives 2 at lag 2; row: target."""
CHAIN[0] = np.diag([0.5, 0.4, 0.3])
CHAIN[1] = -0.5 * np.eye(3)
CHAIN[0, 1, 0], CHAIN[1, 2, 1] = 0.4, 0.3
NOISE = np.array([[1, 0.2, 0], [0.2, 0.7, 0.1], [0, 0.1, 1.5]])
INDEPENDENT = np.diag([1, 0.7, 1.5])


def model(n_fft: int, noise: Any = NOISE, lags: Any = CHAIN) -> Any:
    """Cross spectra, transfer function and its inverse of an autoregressive model."""
    turn = np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)[:, None, None]
    a = np.eye(len(noise)) - sum(lag * turn ** (k + 1) for k, lag in enumerate(lags))
    h = np.linalg.inv(a)
    return h @ noise @ adjoint(h), h, a


def over_circle(values: Any, n_fft: int) -> Any:
    """Mean over all frequencies, negative ones too."""
    return lag_zero(values[..., None, None].astype(complex), n_fft)[..., 0, 0]


@pytest.mark.parametrize("n_fft", [512, 513])
def test_factors_are_those_of_the_model(n_fft: int) -> None:
    s, h, _ = model(n_fft)
    found = factorize(s, n_fft)
    np.testing.assert_allclose(found.transfer, h, atol=1e-12)
    np.testing.assert_allclose(found.noise, NOISE, atol=1e-12)
    assert found.error < 1e-12
    assert found.converged


@pytest.mark.parametrize("n_fft", [15, 16, 64])
def test_spectra_of_few_trials_whose_factors_wrap_around(n_fft: int) -> None:
    x = np.fft.rfft(np.random.default_rng(0).normal(size=(40, n_fft, 3)), axis=1)
    s = np.einsum("tfi,tfj->fij", x, x.conj()) / 40
    found = factorize(s, n_fft)
    assert found.error < 1e-9
    product = found.transfer @ found.noise @ adjoint(found.transfer)
    np.testing.assert_allclose(product, s, atol=1e-8 * np.abs(s).max())
    lags = np.fft.irfft(found.transfer, n_fft, axis=0)
    np.testing.assert_allclose(lags[0], np.eye(3), atol=1e-12)


@pytest.mark.parametrize("n_fft", [400, 401])
def test_pairs_in_a_batch_have_the_factors_of_single_ones(n_fft: int) -> None:
    s, _, _ = model(n_fft)
    pairs = [(0, 1), (1, 2), (2, 0)]
    batch = np.stack([s[:, np.array(pair)[:, None], pair] for pair in pairs])
    both, found = directed.pairwise_granger(batch, n_fft)
    for k, pair in enumerate(batch):
        alone = factorize(pair, n_fft)
        np.testing.assert_array_equal(found.transfer[k], alone.transfer)
        product = alone.transfer @ alone.noise @ adjoint(alone.transfer)
        np.testing.assert_allclose(product, pair, atol=1e-8)
        np.testing.assert_array_equal(both[k, :, 0], directed.granger(pair, alone)[:, 0, 1])


def test_starting_from_similar_factors_is_the_same_and_converges() -> None:
    s, _, _ = model(256)
    other, _, _ = model(256, NOISE * 1.1)
    cold = factorize(s, 256)
    warm = factorize(s, 256, start=factorize(other, 256).psi)
    np.testing.assert_allclose(warm.transfer, cold.transfer, atol=1e-10)


def test_granger_of_a_pair_by_its_closed_form() -> None:
    """One-way influence with independent noise: ln(1 + |H_10|^2 Sigma_00 / (|H_11|^2 Sigma_11))."""
    s, h, _ = model(300, INDEPENDENT[:2, :2], CHAIN[:, :2, :2])
    (both,), _ = directed.pairwise_granger(s[None], 300)
    wanted = np.log(1 + np.abs(h[:, 1, 0]) ** 2 * 1 / (np.abs(h[:, 1, 1]) ** 2 * 0.7))
    np.testing.assert_allclose(both[:, 0], wanted, atol=1e-9)
    np.testing.assert_allclose(both[:, 1], 0, atol=1e-9)


@pytest.mark.parametrize("n_fft", [512, 513])
def test_granger_over_frequencies_is_that_in_time(n_fft: int) -> None:
    """Its mean is the log of how much the past of the other channel lowers the innovation (Geweke 1982)."""
    s, _, _ = model(n_fft, NOISE[:2, :2], CHAIN[:, :2, :2])
    (both,), found = directed.pairwise_granger(s[None], n_fft)
    alone = [factorize(s[:, k : k + 1, k : k + 1], n_fft).noise[0, 0] for k in (0, 1)]
    wanted = [np.log(alone[1] / found.noise[0, 1, 1]), np.log(alone[0] / found.noise[0, 0, 0])]
    np.testing.assert_allclose(over_circle(both.T, n_fft), wanted, atol=1e-10)


@pytest.mark.parametrize("n_fft", [512, 513])
def test_conditional_granger(n_fft: int) -> None:
    """The way by another channel does not count, and the mean is that in time (Geweke 1984)."""
    s, _, _ = model(n_fft)
    full = factorize(s, n_fft)
    found, errors = directed.conditional_granger(s, n_fft, full)
    assert (errors < 1e-8).all()
    zeros = [(0, 2), (1, 0), (2, 0), (2, 1)]
    for source, target in zeros:
        np.testing.assert_allclose(found[:, source, target], 0, atol=1e-8)
    for source, target in [(0, 1), (1, 2)]:
        rest = np.delete(np.arange(3), source)
        reduced = factorize(s[:, rest[:, None], rest], n_fft).noise
        place = int(np.flatnonzero(rest == target)[0])
        wanted = np.log(reduced[place, place] / NOISE[target, target])
        np.testing.assert_allclose(over_circle(found[:, source, target], n_fft), wanted, atol=1e-9)
        assert wanted > 0.01
    direct = directed.pairwise_granger(s[None][..., [[0], [2]], [0, 2]], n_fft)[0]
    assert direct[0, :, 0].max() > 0.01  # pair by pair it does count


def test_granger_between_groups() -> None:
    s, _, _ = model(512)
    found, error = directed.group_granger(s, [np.array([0]), np.array([1])], 512)
    both, _ = directed.pairwise_granger(s[None][..., [[0], [1]], [0, 1]], 512)
    np.testing.assert_allclose(found[:, 0, 1], both[0, :, 0], atol=1e-12)
    np.testing.assert_allclose(found[:, 1, 0], both[0, :, 1], atol=1e-12)
    found, error = directed.group_granger(s, [np.array([0, 1]), np.array([2])], 512)
    alone = factorize(s[:, 2:, 2:], 512).noise[0, 0]
    np.testing.assert_allclose(over_circle(found[:, 0, 1], 512), np.log(alone / NOISE[2, 2]), atol=1e-9)
    np.testing.assert_allclose(found[:, 1, 0], 0, atol=1e-9)
    assert (error < 1e-8).all()
    np.testing.assert_array_equal(np.diagonal(found, axis1=1, axis2=2), 0)


def test_transfer_and_partial_directed_functions_of_the_model() -> None:
    s, h, a = model(512)
    found = factorize(s, 512)
    gain = np.abs(h) ** 2
    dtf, pdc = directed.transfer_ratio(found), directed.partial_directed(found)
    np.testing.assert_allclose(dtf[:, 0, 2], gain[:, 2, 0] / gain[:, 2].sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(dtf.sum(axis=1), 1, rtol=1e-12)
    size = np.abs(a) ** 2
    np.testing.assert_allclose(pdc[:, 0, 1], size[:, 1, 0] / size[:, :, 0].sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(pdc.sum(axis=2), 1, rtol=1e-12)
    weighed = size / np.diag(NOISE)[:, None]
    general = directed.partial_directed(found, generalized=True)
    np.testing.assert_allclose(general[:, 1, 2], weighed[:, 2, 1] / weighed[:, :, 1].sum(axis=1), atol=1e-12)
    for source, target in [(0, 2), (1, 0), (2, 0), (2, 1)]:
        np.testing.assert_allclose(pdc[:, source, target], 0, atol=1e-12)
    for source, target in [(1, 0), (2, 0), (2, 1)]:
        np.testing.assert_allclose(dtf[:, source, target], 0, atol=1e-12)
    assert dtf[:, 0, 2].max() > 0.01  # by way of channel 1


def test_direct_transfer_function_of_the_model() -> None:
    s, h, _ = model(512)
    found = directed.direct_transfer(factorize(s, 512), s)
    gain = np.abs(h) ** 2
    full = gain[:, 1, 0] / gain[:, 1].sum()
    np.testing.assert_allclose(found[:, 0, 1], full * np.abs(partial_coherency(s)[:, 1, 0]) ** 2, atol=1e-12)
    assert found[:, 0, 1].max() > 5 * found[:, 0, 2].max()


def test_reversed_time_turns_granger_round() -> None:
    s, _, _ = model(512, INDEPENDENT)
    forth, back = (directed.granger(z, factorize(z, 512)).mean(axis=0) for z in (s, s.conj()))
    assert forth[0, 1] > forth[1, 0] + 0.1
    assert back[1, 0] > back[0, 1] + 0.1


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_the_scale_of_channels_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lags = rng.uniform(-0.2, 0.2, (2, 3, 3))
    root = rng.normal(size=(3, 3))
    s, _, _ = model(128, root @ root.T + np.eye(3), lags)
    size = np.diag(10.0 ** rng.integers(-14, 13, 3))
    scaled = size @ s @ size
    found, other = factorize(s, 128), factorize(scaled, 128)
    np.testing.assert_allclose(directed.granger(scaled, other), directed.granger(s, found), atol=1e-8)
    general, scaled_general = (directed.partial_directed(factors, True) for factors in (found, other))
    np.testing.assert_allclose(scaled_general, general, rtol=1e-6)
    assert directed.granger(s, found).min() >= 0


def test_what_has_no_factors_is_nan_and_leaves_others_alone() -> None:
    s, _, _ = model(128, NOISE[:2, :2], CHAIN[:, :2, :2])
    equal = np.repeat(np.repeat(s[:, :1, :1], 2, axis=1), 2, axis=2)
    dead = s.copy()
    dead[:, 0] = dead[:, :, 0] = 0
    gap = s.copy()
    gap[3, 0, 1] = np.nan
    both, found = directed.pairwise_granger(np.stack([s, equal, dead, gap]), 128)
    assert np.isfinite(both[0]).all()
    assert np.isnan(both[1:]).all()
    np.testing.assert_array_equal(found.converged, [True, False, False, False])
    np.testing.assert_array_equal(both[0], directed.pairwise_granger(s[None], 128)[0][0])
