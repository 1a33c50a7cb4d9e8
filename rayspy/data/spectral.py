"""Spectra: (time x) taper x frequency x channel."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import NUMBERS, label_property


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
