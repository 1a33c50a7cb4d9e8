"""Spectra: (time x) taper x frequency x channel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import check_array
from rayspy.data import actions
from rayspy.data.base import BaseData, check_labels, default_labels
from rayspy.errors import InvalidValueError


class SpectralData(BaseData):
    """Real or complex spectra of trials, possibly resolved in time.

    Parameters
    ----------
    data : array, list, generator, file name, HDF5 dataset or SpectralData, optional
        As for `AnalogData`, but with dimensions (time, taper, freq, channel).
    filename, trialdefinition, samplerate, dimord
        As for `AnalogData`.
    channel : list of str, optional
        Names of the channels.
    taper : list of str, optional
        Names of the tapers.
    freq : list of float, optional
        Frequencies in Hz.
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("time", "taper", "freq", "channel")
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel", "frequency", "taper")
    extension: ClassVar[str] = ".spectral"

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: NDArray[Any] | None = None,
        samplerate: float | None = None,
        channel: Any = None,
        taper: Any = None,
        freq: Any = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        self._channel: NDArray[Any] | None = None
        self._taper: NDArray[Any] | None = None
        self._freq: NDArray[Any] | None = None
        if data is None and filename is not None:
            self.__dict__.update(actions.call("load_as", filename, type(self)).__dict__)
            return
        self._fill(data, trialdefinition, samplerate)
        for name, value in (("channel", channel), ("taper", taper), ("freq", freq)):
            if value is not None:
                setattr(self, name, value)
        if filename is not None:
            self.save(filename=filename)

    def _named(self, dim: str) -> NDArray[Any] | None:
        if self._source is None:
            return None
        value: NDArray[Any] | None = getattr(self, f"_{dim}")
        if value is None:
            value = default_labels(dim, self._size_of(dim))
            setattr(self, f"_{dim}", value)
        return value

    def _set_named(self, dim: str, value: Any) -> None:
        n = self._require_size(dim)
        setattr(self, f"_{dim}", None if value is None else check_labels(value, dim, n))

    def _require_size(self, dim: str) -> int:
        if self._source is None:
            raise InvalidValueError("data to be set before its labels", dim, "object without data")
        return self._size_of(dim)

    @property
    def channel(self) -> NDArray[Any] | None:
        """Names of the channels."""
        return self._named("channel")

    @channel.setter
    def channel(self, value: Any) -> None:
        self._set_named("channel", value)

    @property
    def taper(self) -> NDArray[Any] | None:
        """Names of the tapers."""
        return self._named("taper")

    @taper.setter
    def taper(self, value: Any) -> None:
        self._set_named("taper", value)

    @property
    def freq(self) -> NDArray[Any] | None:
        """Frequencies in Hz."""
        if self._source is None:
            return None
        if self._freq is None:
            self._freq = np.arange(self._size_of("freq"))
        return self._freq

    @freq.setter
    def freq(self, value: Any) -> None:
        n = self._require_size("freq")
        self._freq = None if value is None else check_array(value, "freq", length=n)

    def _labels(self) -> dict[str, NDArray[Any]]:
        if self._source is None:
            return {}
        named = {"taper": self.taper, "freq": self.freq, "channel": self.channel}
        return {dim: labels for dim, labels in named.items() if labels is not None}
