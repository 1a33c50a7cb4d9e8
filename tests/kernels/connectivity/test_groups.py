"""Measures of groups of channels, against brute force, their invariances and MNE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rayspy.kernels.connectivity import groups
from tests.kernels.connectivity.test_pairs import LENGTH, RATE, recording

A, B = np.array([0, 1]), np.array([2, 3, 4])
MEASURES = {"mic": groups.mic, "mim": groups.mim, "cacoh": groups.cacoh}


def five_channels() -> Any:
    x = recording()
    extra = np.random.default_rng(7).normal(size=(len(x), 1, LENGTH)) + 0.4 * x[:, :1]
    return np.concatenate([x, extra], axis=1)


def cross(x: Any) -> Any:
    z = np.fft.rfft((x - x.mean(-1, keepdims=True)) * np.hanning(LENGTH), axis=-1)
    return np.einsum("tif,tjf->fij", z, z.conj()) / len(x)


@pytest.fixture(scope="module")
def s() -> Any:
    return cross(five_channels())[3:40]


def projected(s: Any, a: Any, b: Any) -> Any:
    """Coherency of two real projections."""
    top = a @ s[:2, 2:] @ b
    return top / np.sqrt((a @ s[:2, :2].real @ a) * (b @ s[2:, 2:].real @ b))


@pytest.mark.parametrize(("name", "part"), [("mic", np.imag), ("cacoh", np.abs)])
def test_no_projection_does_better_and_one_does_as_well(name: str, part: Any, s: Any) -> None:
    from scipy.optimize import minimize

    white = groups.whitened(s, A, B)
    rng = np.random.default_rng(2)
    for k in (4, 17):
        best = max(
            -minimize(lambda v: -abs(part(projected(s[k], v[:2], v[2:]))), rng.normal(size=5)).fun  # noqa: B023
            for _ in range(8)
        )
        np.testing.assert_allclose(MEASURES[name](white)[k], best, rtol=1e-6)


def test_mim_is_the_trace_of_its_paper(s: Any) -> None:
    k = 9
    raa, rbb, im = s[k][:2, :2].real, s[k][2:, 2:].real, s[k][:2, 2:].imag
    wanted = np.trace(np.linalg.inv(raa) @ im @ np.linalg.inv(rbb) @ im.T)
    np.testing.assert_allclose(groups.mim(groups.whitened(s, A, B))[k], wanted, rtol=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_mixing_within_groups_and_scale_do_not_matter(name: str, s: Any) -> None:
    rng = np.random.default_rng(5)
    mix = np.zeros((5, 5))
    mix[:2, :2], mix[2:, 2:] = rng.normal(size=(2, 2)), rng.normal(size=(3, 3)) * 1e-7
    mixed = mix @ s @ mix.T
    plain, other = (MEASURES[name](groups.whitened(z, A, B)) for z in (s, mixed))
    np.testing.assert_allclose(other, plain, rtol=1e-6, atol=1e-9)


def test_single_channels_give_measures_of_pairs(s: Any) -> None:
    one, two = np.array([0]), np.array([3])
    white = groups.whitened(s, one, two)
    coherency = s[:, 0, 3] / np.sqrt(s[:, 0, 0].real * s[:, 3, 3].real)
    np.testing.assert_allclose(groups.mic(white), np.abs(coherency.imag), atol=1e-12)
    np.testing.assert_allclose(groups.cacoh(white), np.abs(coherency), atol=1e-12)


def test_rank_of_an_average_reference() -> None:
    x = five_channels()
    assert groups.rank_of(cross(x).sum(axis=0)) == 5
    referenced = cross((x - x.mean(axis=1, keepdims=True)).astype(np.float32))
    assert groups.rank_of(referenced.sum(axis=0)) == 4
    white = groups.whitened(referenced[3:40], A, B, (2, 2))
    assert white.shape[-2:] == (2, 2)
    assert np.isfinite(groups.mic(white)).all()


def test_against_mne() -> None:
    con = pytest.importorskip("mne_connectivity")
    x = five_channels()
    options = {"sfreq": RATE, "mode": "fourier", "fmin": 5, "fmax": 80, "verbose": "error"}
    found = con.spectral_connectivity_epochs(x, method=list(MEASURES), indices=([A], [B]), **options)
    for name, result in zip(MEASURES, found, strict=True):
        bins = np.round(np.array(result.freqs) / RATE * LENGTH).astype(int)
        got = MEASURES[name](groups.whitened(cross(x)[bins], A, B))
        np.testing.assert_allclose(got, np.abs(result.get_data()[0]), atol=1e-6, err_msg=name)
