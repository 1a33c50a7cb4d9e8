"""Raw or filtered recordings: samples x channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.event import EventData
from rayspy.data.labels import label_property
from rayspy.data.quantity import Measured
from rayspy.errors import InvalidTypeError
from rayspy.progress import warn
from rayspy.storage.sources import ArraySource


class AnalogData(Measured):
    """Multi-channel recording on a regular time grid (LFP, ECoG, EEG, MEG, ...).

    Parameters
    ----------
    data : array, list, generator, file name, HDF5 dataset or AnalogData, optional
        - `numpy.ndarray` of shape (samples, channels), in the order of `dimord`;
        - list of such arrays of equal shape, one per trial;
        - generator of such arrays, one per trial, lengths may differ; stored as
          it runs, never all in memory;
        - name of an HDF5 file (dataset ``data``, or the only one), of an ``.npy``
          file, or of a folder that `save` wrote; nothing is copied;
        - open `h5py.Dataset`, `spy.hdf5_dataset(path, name)` or
          `spy.raw_binary(path, dtype, channels)`; nothing is copied;
        - another AnalogData, or a list of them (put one after the other).
    filename : str, optional
        Where to save the object, or what to load if `data` is left out.
    trialdefinition : ndarray of shape (trials, 3 or more), optional
        Start sample, stop sample (exclusive), offset in samples (number of the
        first sample relative to the trigger), further columns (trialinfo).
        Without it arrays and files are one trial; lists and generators have one
        trial per array, each starting at -1 s.
    samplerate : float, optional
        Samples per second (Hz).
    channel : list of str, optional
        Names of the channels; ``channel1 ...`` if left out.
    dimord : list of str, optional
        Order of the dimensions, ``["time", "channel"]`` if left out.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        An argument cannot be used; the message names it.
    PathError
        A file is missing.
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("time", "channel")
    label_dims: ClassVar[tuple[str, ...]] = ("channel",)
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "channel")
    extension: ClassVar[str] = ".analog"
    _hidden: ClassVar[tuple[str, ...]] = (*BaseData._hidden, "events")

    _events: EventData | Callable[[], EventData | None] | None = None

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: NDArray[Any] | None = None,
        samplerate: float | None = None,
        channel: Any = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        self._construct(data, filename, trialdefinition, samplerate, {"channel": channel})
        if self._source is not None and not isinstance(data, BaseData) and "channel" not in self._label_store:
            trl = self._as_one_trial() if trialdefinition is not None else self._trl
            self._tell_if_turned(int((trl[:, 1] - trl[:, 0]).max()))

    def _tell_if_turned(self, n_samples: int) -> None:
        """Warn of more channels, which nobody named, than samples: the array may be the wrong way round."""
        n_channels = self._size_of("channel")
        if n_channels > n_samples:
            warn(
                "AnalogData",
                f"{n_channels} channels of {n_samples} samples: is the array the wrong way round? "
                f"It is read as {' x '.join(self._dimord)}; name the channels if so, else pass array.T",
            )

    channel = label_property("channel", "Names of the channels.")

    @property
    def events(self) -> EventData | None:
        """Events of the recording this was read from, at sample numbers of this object."""
        if callable(self._events):
            self._events = self._events()
        return self._events

    @events.setter
    def events(self, value: Any) -> None:
        if value is not None and not isinstance(value, EventData):
            raise InvalidTypeError(value, "events", "EventData or None;")
        self._events = value

    def find_events(self, how: Callable[[], EventData | None]) -> None:
        """Have events found when they are asked for the first time."""
        self._events = how

    def _place(self, source: ArraySource) -> None:
        """Take over an array; events of another recording go."""
        super()._place(source)
        self._events = None
