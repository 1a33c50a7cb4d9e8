"""Spectra: (time x) taper x frequency x channel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import NUMBERS, label_property
from rayspy.data.trials import TrialIndexer


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
    label_dims: ClassVar[tuple[str, ...]] = ("taper", "freq", "channel")
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel", "frequency", "taper")
    extension: ClassVar[str] = ".spectral"
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, "metadata")

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
        labels = {"channel": channel, "taper": taper, "freq": freq}
        self._construct(data, filename, trialdefinition, samplerate, labels)

    channel = label_property("channel", "Names of the channels.")
    taper = label_property("taper", "Names of the tapers.")
    freq = label_property("freq", "Frequencies in Hz.", NUMBERS)

    @property
    def metadata(self) -> dict[str, Any]:
        """Parameters of fitted models, for FOOOF results: see `rayspy.freqanalysis`."""
        found: dict[str, Any] = self.__dict__.setdefault("_metadata", {})
        return found

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self._metadata = value

    @property
    def time(self) -> TrialIndexer[NDArray[np.float64]] | None:
        """Time axes in seconds, one array per trial; ``info["toi"]`` where times are not equidistant."""
        toi = self.info.get("toi")
        if self._samplerate is not None or toi is None or self._trialdefinition is None:
            return super().time
        lengths = (self._trialdefinition[:, 1] - self._trialdefinition[:, 0]).astype(int)
        if (lengths != len(toi)).any():
            return None
        return TrialIndexer(lambda _: np.array(toi, dtype=np.float64), range(len(lengths)))
