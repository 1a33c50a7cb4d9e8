"""All data classes, by name and by the extension of their files."""

from __future__ import annotations

from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.crossspectral import CrossSpectralData
from rayspy.data.event import EventData
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.data.timelock import TimeLockData

CLASSES: tuple[type[BaseData], ...] = (
    AnalogData,
    SpectralData,
    CrossSpectralData,
    TimeLockData,
    SpikeData,
    EventData,
)
BY_NAME: dict[str, type[BaseData]] = {cls.__name__: cls for cls in CLASSES}
BY_EXTENSION: dict[str, type[BaseData]] = {cls.extension: cls for cls in CLASSES}
