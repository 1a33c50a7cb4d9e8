"""Kernels as functions of lines (trial, channel, time) that return lines."""

import numpy as np

from rayspy.kernels.filters.convolution import put_filtered
from rayspy.kernels.filters.resample import put_resampled


def filtered(x, response, passes, start, length, first, stop):
    """Rows of trials that were convolved once or twice, in the precision of the input."""
    out = np.empty((x.shape[0], stop - first, x.shape[1]), x.dtype)
    put_filtered(x.transpose(0, 2, 1), x.dtype, response, passes, start, length, slice(first, stop), out)
    return out.transpose(0, 2, 1)


def convolved(x, response, start, first, stop):
    """Rows of a convolution; all before and after what is there counts as zero."""
    return filtered(x, response, 1, start, start + x.shape[2], first, stop)


def resampled(x, factor, start, first, stop):
    """Rows of resampled lines, in the precision of the input."""
    out = np.empty((x.shape[0], stop - first, x.shape[1]), x.dtype)
    put_resampled(x.transpose(0, 2, 1), x.dtype, factor, start, first, stop, out)
    return out.transpose(0, 2, 1)
