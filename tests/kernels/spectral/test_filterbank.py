"""Inverse transforms of a bank do not depend on how many lines are transformed at a time."""

import numpy as np
import pytest
import scipy.fft

from rayspy.kernels.spectral import filterbank


def lines_of(n_lines, n):
    real, imaginary = np.random.default_rng(n).normal(size=(2, n_lines, n))
    return (real + 1j * imaginary).astype(np.complex64)


def inverse(lines):
    room, view = filterbank._room(lines.shape)
    view[...] = lines
    return filterbank._inverse(room, lines.shape)


def in_fours(lines, axis, overwrite_x, norm):
    """A transform that rounds lines which are left over from groups of four in another way."""
    kept = {"axis": axis, "norm": norm}
    n = len(lines) - len(lines) % 4
    wide = np.complex128(lines[n:])
    return np.concatenate([_ifft(lines[:n], **kept), np.complex64(_ifft(wide, **kept))])


_ifft = scipy.fft.ifft


@pytest.mark.parametrize("transform", [_ifft, in_fours], ids=["installed", "in fours"])
@pytest.mark.parametrize("n", [12, 400, 1000, 1024, 7168])
def test_bits_do_not_depend_on_the_number_of_lines(transform, n, monkeypatch):
    monkeypatch.setattr(scipy.fft, "ifft", transform)
    lines = lines_of(9, n)
    together = inverse(lines)
    for k in (1, 2, 3, 4, 7):
        alone = [inverse(lines[i : i + k]) for i in range(0, 9, k)]
        np.testing.assert_array_equal(np.concatenate(alone), together)
    np.testing.assert_allclose(together, _ifft(lines, norm="forward"), atol=1e-3)


def test_long_lines_need_no_more_room():
    room, view = filterbank._room((1, 2, 3, 2**15))
    assert room.nbytes == view.nbytes
