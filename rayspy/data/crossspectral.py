"""Measures of pairs of channels: (time x) frequency x channel x channel."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import NUMBERS, label_property
from rayspy.data.quantity import Measured
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.sources import ArraySource, read_all

Array = NDArray[Any]
JACKKNIFE = ("jack_var", "jack_bias")
"""Arrays, of the shape of the data, that tell how sure the numbers are."""


_ATANH = (
    "coh", "pcoh", "plv", "ciplv", "pli", "wpli", "corr", "powcorr", "powcorr_ortho", "mic", "cacoh",
)  # fmt: skip
_SIGNED = ("corr", "powcorr", "powcorr_ortho")
_LOG = ("granger", "mim")
_LISTED = ("time", "freq", "channelcmb")
"""Dimensions of objects that list pairs one after the other."""


def _label_of(dim: str, doc: str) -> Any:
    """Labels of a dimension that not all objects have."""
    every = label_property(dim, doc)

    def get(data: CrossSpectralData) -> Array | None:
        return every.fget(data) if dim in data._dimord else None

    def assign(data: CrossSpectralData, value: Any) -> None:
        if dim not in data._dimord:
            raise InvalidValueError(f"labels of one of {', '.join(data.dimord[1:])}", dim, value)
        every.fset(data, value)

    return property(get, assign, doc=doc)


class CrossSpectralData(Measured):
    """Measures of pairs of channels, possibly resolved in time or, for correlations, along lags.

    Entry ``[..., i, j]`` belongs to channel i of `channel_i` and channel j of `channel_j`;
    directed measures go from i to j. Objects with a list of pairs instead have dimensions (time, freq,
    channelcmb).

    Parameters
    ----------
    data : array, list, generator, file name, HDF5 dataset or CrossSpectralData, optional
        As for `AnalogData`, but with dimensions (time, freq, channel_i, channel_j).
    filename, trialdefinition, samplerate, dimord
        As for `AnalogData`. A `dimord` of time, freq and channelcmb makes a list of pairs.
    channel_i, channel_j : list of str, optional
        Names of the first and the second channels of the pairs.
    channelcmb : list of str, optional
        Names of the pairs of a list.
    freq : list of float, optional
        Frequencies in Hz.
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("time", "freq", "channel_i", "channel_j")
    label_dims: ClassVar[tuple[str, ...]] = ("freq", "channel_i", "channel_j")
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel_i", "channel_j", "frequency")
    extension: ClassVar[str] = ".crossspectral"
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, *JACKKNIFE, "jack_se")

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: Array | None = None,
        samplerate: float | None = None,
        channel_i: Any = None,
        channel_j: Any = None,
        freq: Any = None,
        channelcmb: Any = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        labels = {"channel_i": channel_i, "channel_j": channel_j, "freq": freq, "channelcmb": channelcmb}
        self._construct(data, filename, trialdefinition, samplerate, labels)

    channel_i = _label_of("channel_i", "Names of the first channels of the pairs.")
    channel_j = _label_of("channel_j", "Names of the second channels of the pairs.")
    channelcmb = _label_of("channelcmb", "Names ``a--b`` of pairs that are listed one after the other.")
    freq = label_property("freq", "Frequencies in Hz.", NUMBERS)

    def _check_dimord(self, dimord: Any) -> tuple[str, ...]:
        """Accept the dimensions of matrices and those of lists, in any order."""
        if not isinstance(dimord, list) or sorted(map(str, dimord)) != sorted(_LISTED):
            return super()._check_dimord(dimord)
        keys = ("trials", "latency", "channelcmb", "frequency")
        self.__dict__.update(label_dims=_LISTED[1:], selection_keys=keys)
        return tuple(dimord)

    @property
    def jack_var(self) -> Array | None:
        """Jackknife variance times the number T of observations, as in Syncopy; of the shape of the data."""
        return self._jackknife.get("jack_var")

    @property
    def jack_bias(self) -> Array | None:
        """Jackknife estimate of the bias: data minus bias is the corrected estimate."""
        return self._jackknife.get("jack_bias")

    @property
    def jack_se(self) -> Array | None:
        """Jackknife standard error, ``sqrt(jack_var / T)`` of ``info["n_observations"]`` observations."""
        if self.jack_var is None:
            return None
        found: Array = np.sqrt(self.jack_var / self.info["n_observations"])
        return found

    def jack_interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Confidence interval from the jackknife, lower and upper limits of the shape of the data.

        With Student's t of T - 1 degrees of freedom, on the scale where errors are about
        normal: atanh for coherence, phase locking and correlations, the logarithm for
        Granger causality where it is larger than its error, else the plain one. It says
        how sure a value is; whether it differs from zero needs surrogates.

        Thomson, D. J. & Chave, A. D. (1991). Jackknifed error estimates for spectra,
        coherences, and transfer functions. In Haykin, S. (ed.), Advances in spectrum
        analysis and array processing, vol. 1, 58-113.

        Parameters
        ----------
        level : float
            Share of intervals that cover the true value, between 0 and 1.
        """
        from scipy.stats import t as student

        if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
            raise InvalidValueError("number between 0 and 1", "level", level)
        if self.jack_se is None or self.source.dtype.kind == "c":
            raise InvalidValueError("real measure with jackknife=True", "data", "no jackknife")
        times = float(student.ppf((1 + level) / 2, self.info["n_observations"] - 1))
        value, half = read_all(self.source).astype(np.float64), times * self.jack_se
        method = str(self.info.get("method", ""))
        with np.errstate(invalid="ignore", divide="ignore"):
            if method in _ATANH and (np.abs(value) <= 1).all():
                centre, half = np.arctanh(value), half / (1 - value**2)
                low, high = np.tanh(centre - half), np.tanh(centre + half)
                if method not in _SIGNED and (value >= 0).all():
                    low = np.maximum(low, 0.0)
            elif method in _LOG:
                low, high = value * np.exp(-half / value), value * np.exp(half / value)
                vague = ~(half < value)
                low, high = np.where(vague, 0.0, low), np.where(vague, value + half, high)
            else:
                low, high = value - half, value + half
        sure = self.jack_se == 0
        return np.where(sure, value, low), np.where(sure, value, high)

    @property
    def jackknife(self) -> dict[str, Array]:
        """Arrays of the jackknife by name; empty if there was none. Saved with the data."""
        return self._jackknife

    @jackknife.setter
    def jackknife(self, arrays: Mapping[str, Array]) -> None:
        shape = self.source.shape
        if not isinstance(arrays, Mapping):
            raise InvalidTypeError(arrays, "jackknife", "dict of arrays;")
        for name, array in arrays.items():
            if name not in JACKKNIFE:
                raise InvalidValueError(f"one of {', '.join(JACKKNIFE)}", "jackknife", name)
            if np.shape(array) != shape:
                raise InvalidValueError(f"array of shape {shape}", name, f"shape {np.shape(array)}")
        self.__dict__["_jackknife_arrays"] = dict(arrays)

    @property
    def _jackknife(self) -> dict[str, Array]:
        found: dict[str, Array] = self.__dict__.setdefault("_jackknife_arrays", {})
        return found

    def copy(self) -> Self:
        """Return an independent copy; the stored array, which never changes, is shared."""
        twin = super().copy()
        twin.__dict__["_jackknife_arrays"] = deepcopy(self._jackknife)
        return twin

    def _place(self, source: ArraySource) -> None:
        """Take over an array, whose jackknife nobody has computed."""
        super()._place(source)
        self.__dict__["_jackknife_arrays"] = {}
