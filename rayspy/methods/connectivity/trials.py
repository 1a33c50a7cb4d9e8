"""Method `pairs of trials`: a measure of pairs of every trial by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.connectivity.estimators import Correlation, Estimator
from rayspy.methods.reductions.base import new_state
from rayspy.methods.reductions.pairs import PairSums, spec_of

Array = NDArray[Any]


@dataclass(frozen=True)
class TrialPairs(Method):
    """Cross spectra or correlations of single trials.

    Attributes
    ----------
    spectra : Method
        Gives the spectra of a trial.
    base : PairSums
        With one estimator.
    """

    name: ClassVar[str] = "pairs of trials"
    crosses: ClassVar[frozenset[str]] = frozenset({"channel", "channel_j", "channelcmb"})

    spectra: Method
    base: PairSums

    @property
    def _estimator(self) -> Estimator:
        return self.base.estimators[0]

    def output(self, spec: InputSpec) -> OutputSpec:
        """Rows of all trials: those of the spectra, or lags."""
        each = self.spectra.output(spec)
        average = spec_of(self._estimator, each)
        n, rows = len(each.rows), int(average.rows[0])
        trl = each.trialdefinition.copy()
        trl[:, 0], trl[:, 1] = np.arange(n) * rows, np.arange(1, n + 1) * rows
        if isinstance(self._estimator, Correlation):
            trl[:, 2] = average.trialdefinition[0, 2]
        return replace(average, rows=np.full(n, rows), trialdefinition=trl)

    def kernel(self, part: Part) -> Kernel:
        """Bind the spectra."""
        return partial(_of_trials, self, self.spectra.kernel(part))

    def work(self, length: int, itemsize: int) -> Work:
        """What the spectra need, themselves and what is made of them."""
        n_bins = len(getattr(self.spectra, "freq", [])) or length
        line = self.spectra.work(length, itemsize).line_bytes + 8 * n_bins * (4 + 8 * self.base.n_channels)
        return Work(line)


def _of_trials(method: TrialPairs, kernel: Kernel, x: Array, out: Array | None = None) -> Array:
    """Measure of each trial, (trial, row, freq, ...)."""
    spectra = kernel(x)
    if spectra.ndim == 4:
        spectra = spectra[:, :, np.newaxis]
    estimator, found = method.base.estimators[0], []
    freq = getattr(method.spectra, "freq", np.arange(spectra.shape[-2]))
    rows = np.array([spectra.shape[1]])
    labels = {"taper": np.arange(spectra.shape[2]), "freq": freq, "channel": np.arange(spectra.shape[-1])}
    each = OutputSpec("", ("time", *labels), spectra.dtype, rows, np.zeros((1, 3)), None, labels)
    for trial in spectra:
        _, state = new_state(method.base.state(each))
        method.base.add(state, trial[np.newaxis], range(1))
        found.append(estimator.evaluate(state, method.base.pairs, 1, freq)[""].astype(estimator.dtype))
    if out is None:
        return np.stack(found)
    np.stack(found, out=out)
    return out
