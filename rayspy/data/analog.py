"""Raw or filtered recordings: samples x channels."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import label_property


class AnalogData(BaseData):
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

    channel = label_property("channel", "Names of the channels.")
