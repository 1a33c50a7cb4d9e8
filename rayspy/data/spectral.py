"""Spectra: (time x) taper x frequency x channel."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import NUMBERS, label_property
from rayspy.data.models import join_models
from rayspy.data.quantity import Measured
from rayspy.data.trials import TrialIndexer
from rayspy.errors import InvalidTypeError
from rayspy.storage.sources import ArraySource


class SpectralData(Measured):
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
        """Parameters of fitted models, for FOOOF results: see `rayspy.freqanalysis`. Saved with the data."""
        found: dict[str, Any] = self.__dict__.setdefault("_metadata", {})
        return found

    @metadata.setter
    def metadata(self, value: Any) -> None:
        if not isinstance(value, dict):
            raise InvalidTypeError(value, "metadata", "dictionary of dictionaries of arrays;")
        self._metadata = value

    def copy(self) -> Self:
        """Return an independent copy; the stored array, which never changes, is shared."""
        twin = super().copy()
        twin._metadata = deepcopy(self.metadata)
        return twin

    def _place(self, source: ArraySource) -> None:
        """Take over an array, which no models were fitted to."""
        super()._place(source)
        self._metadata = {}

    def _join(self, objects: list[BaseData]) -> None:
        """Put several objects one after the other, with the parameters of their models."""
        super()._join(objects)
        filled = [o for o in objects if isinstance(o, SpectralData) and o.data is not None]
        self._metadata = join_models([(o.metadata, len(o)) for o in filled])

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
