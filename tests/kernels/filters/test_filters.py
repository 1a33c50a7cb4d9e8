"""Every line gets the same bits whatever other lines go through the kernel with it."""

import numpy as np
import pytest

from rayspy.kernels.filters.analytic import analytic, standardized
from rayspy.kernels.filters.convolution import Response
from rayspy.kernels.filters.design import butterworth
from rayspy.kernels.filters.linefit import without_lines
from rayspy.kernels.filters.recursion import both_ways, one_way
from rayspy.kernels.filters.resample import Polyphase, n_rows
from tests.rows import convolved, filtered, resampled

SECTIONS = butterworth("lp", (0.2,), 3)
SKEWED = Response(np.arange(31.0), 4)
EVEN = Response(np.hamming(31), 15)
FEW = Polyphase(3, 7, np.hamming(21))
MANY = Polyphase(3, 7, np.hamming(201))
KERNELS = {
    "analytic": lambda x, n: analytic(x),
    "standardized": lambda x, n: standardized(x),
    "convolved": lambda x, n: convolved(x, SKEWED, 0, 0, n),
    "twice": lambda x, n: filtered(x, EVEN, 2, 0, n, 0, n),
    "few taps": lambda x, n: resampled(x, FEW, 0, 0, n_rows(n, 3, 7)),
    "many taps": lambda x, n: resampled(x, MANY, 0, 0, n_rows(n, 3, 7)),
    "sinusoids": lambda x, n: without_lines(x.astype(float), (0.1, 0.2), 40, 0, n, 0, n),
    "one way": lambda x, n: recursive(one_way, x),
    "both ways": lambda x, n: recursive(both_ways, x),
}


def recursive(function, lines):
    samples = lines.transpose(0, 2, 1)
    return function(samples, SECTIONS, np.empty(samples.shape)).transpose(0, 2, 1)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n", [97, 120, 499, 1009])
@pytest.mark.parametrize("name", KERNELS)
def test_bits_of_a_line(name, n, dtype):
    kernel = KERNELS[name]
    x = (np.random.default_rng(n).standard_normal((2, 7, n)) + 3).astype(dtype)
    x.flags.writeable = False
    wanted = kernel(x, n)
    assert np.isfinite(wanted).all()
    for trial, channel in ((0, 0), (1, 6), (1, 3)):
        alone = kernel(x[trial : trial + 1, channel : channel + 1].copy(), n)
        np.testing.assert_array_equal(alone[0, 0], wanted[trial, channel])
    np.testing.assert_array_equal(kernel(x[:, 2:5], n), wanted[:, 2:5])
