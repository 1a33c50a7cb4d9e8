"""Events: triggers, stimuli, responses."""

from __future__ import annotations

from typing import Any, ClassVar

from numpy.typing import NDArray

from rayspy.data.discrete import Codes, DiscreteData
from rayspy.errors import InvalidTypeError, InvalidValueError


class EventData(DiscreteData):
    """Table of events, one row each: sample number, code, possibly further columns.

    Parameters
    ----------
    data : array, file name, HDF5 dataset or EventData, optional
        Whole numbers of shape (events, columns), in ascending order of the
        samples; taken over as described for `AnalogData`.
    filename : str, optional
        Where to save the object, or what to load if `data` is left out.
    trialdefinition : ndarray of shape (trials, 3 or more), optional
        Start sample, stop sample (exclusive), offset in samples, further columns;
        one trial from the first to the last event if left out.
    samplerate : float, optional
        Samples per second (Hz) that the sample numbers refer to.
    dimord : list of str, optional
        Names of the columns, ``["sample", "eventid"]`` if left out; others may be
        added, in any order.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        An argument cannot be used; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import rayspy as spy
    >>> events = spy.EventData(np.array([[100, 1], [150, 2], [300, 1]]), samplerate=1000)
    >>> events.definetrial(trigger=1, pre=0.05, post=0.1)
    >>> [t.tolist() for t in events.time]
    [[0.0, 0.05], [0.0]]
    """

    default_dimord: ClassVar[tuple[str, ...]] = ("sample", "eventid")
    code_dims: ClassVar[tuple[str, ...]] = ("eventid",)
    selection_keys: ClassVar[tuple[str, ...]] = ("trials", "latency", "eventid")
    extension: ClassVar[str] = ".event"

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        trialdefinition: NDArray[Any] | None = None,
        samplerate: float | None = None,
        dimord: list[str] | None = None,
    ) -> None:
        super().__init__(dimord)
        self._construct(data, filename, trialdefinition, samplerate, {})

    def _check_dimord(self, dimord: Any) -> tuple[str, ...]:
        if dimord is None:
            return self.default_dimord
        if not isinstance(dimord, list):
            raise InvalidTypeError(dimord, "dimord", "list of str")
        names = [str(name) for name in dimord if isinstance(name, str)]
        missing = set(self.default_dimord) - set(names)
        if missing or len(names) < len(dimord) or len(set(names)) < len(names):
            raise InvalidValueError("different column names with 'sample' and 'eventid'", "dimord", dimord)
        return tuple(names)

    @property
    def eventid(self) -> Codes | None:
        """Codes that occur, in ascending order."""
        return None if self._source is None else self.codes("eventid")
