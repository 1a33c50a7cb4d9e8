"""What users hold: data objects, trials, selections."""

from rayspy.data.analog import AnalogData as AnalogData
from rayspy.data.base import BaseData as BaseData
from rayspy.data.crossspectral import CrossSpectralData as CrossSpectralData
from rayspy.data.event import EventData as EventData
from rayspy.data.spectral import SpectralData as SpectralData
from rayspy.data.spike import SpikeData as SpikeData
from rayspy.data.structdict import StructDict as StructDict
from rayspy.data.timelock import TimeLockData as TimeLockData
