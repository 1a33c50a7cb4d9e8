"""What a method is, and how it describes its input and output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import KEPT, Meaning

Array = NDArray[Any]


class Kernel(Protocol):
    """Array function of a method that is bound to a `Part`."""

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Turn ``(trial, time, ..., channel)`` into ``(trial, rows, ..., channel)``."""
        ...


@dataclass(frozen=True, eq=False)
class InputSpec:
    """The selected input: everything a method may know before data are read.

    `labels` has an entry per dimension other than time; `trialdefinition` has a
    row per selected trial.
    """

    kind: str
    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    samplerate: float | None
    trialdefinition: NDArray[np.float64]
    labels: Mapping[str, NDArray[Any]]
    variants: NDArray[np.int64] | None = None
    """Number per trial for methods that treat trials of equal length differently: `Part.variant`."""
    trial_ids: NDArray[np.int64] | None = None
    """Numbers that the trials have in the object they come from; None: 0, 1, 2 ..."""

    @property
    def cut(self) -> str:
        """Dimension whose ranges blocks are: the last one inside the engine."""
        return inner_dims(self.dims)[-1]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Samples per trial."""
        return (self.trialdefinition[:, 1] - self.trialdefinition[:, 0]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class OutputSpec:
    """What a method promises: shape, type and coordinates of its result.

    `rows` is the length along time that each trial contributes; the lengths of
    all other dimensions are those of their labels. Inside the engine they have
    one order, see `inner_dims`; `dims` is the order in the stored result. `meaning`
    tells what the numbers are.
    """

    kind: str
    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    rows: NDArray[np.int64]
    trialdefinition: NDArray[np.float64]
    samplerate: float | None
    labels: Mapping[str, NDArray[Any]]
    meaning: Meaning = KEPT

    @property
    def inner(self) -> tuple[str, ...]:
        """Dimensions other than time, in the engine's order."""
        return inner_dims(self.dims)

    @property
    def inner_shape(self) -> tuple[int, ...]:
        """Lengths of the inner dimensions."""
        return tuple(len(self.labels[dim]) for dim in self.inner)

    @property
    def cut(self) -> str:
        """Dimension whose ranges the results of blocks are."""
        return self.inner[-1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stored result."""
        sizes = {dim: len(values) for dim, values in self.labels.items()} | {"time": int(self.rows.sum())}
        return tuple(sizes[dim] for dim in self.dims)

    @property
    def stored(self) -> tuple[int, ...]:
        """Permutation from the engine's order to that of the stored result."""
        engine = ("time", *self.inner)
        return tuple(engine.index(dim) for dim in self.dims)

    @property
    def row_bytes(self) -> int:
        """Size of one row (one time point) with all channels."""
        return int(np.prod(self.inner_shape, dtype=np.int64)) * self.dtype.itemsize


ENGINE_DIMS = ("taper", "freq", "channel_i", "channel_j", "channelcmb", "unit", "channel")
"""Every dimension but time that results may have, in the engine's order."""


@lru_cache(maxsize=256)
def inner_dims(dims: tuple[str, ...]) -> tuple[str, ...]:
    """All dimensions but time, in the engine's order.

    Raises
    ------
    ValueError
        A dimension has no place in that order.
    """
    unknown = sorted(set(dims) - {"time", *ENGINE_DIMS})
    if unknown:
        raise ValueError(f"no dimension of the engine: {', '.join(unknown)}; it has {', '.join(ENGINE_DIMS)}")
    return tuple(dim for dim in ENGINE_DIMS if dim in dims)


@dataclass(frozen=True)
class Part:
    """What a kernel is bound to: trials of one length, and what of their results it makes.

    Attributes
    ----------
    length : int
        Samples per trial.
    variant : int
        See `InputSpec.variants`; 0 where trials have none.
    rows : range or None
        Rows of the result, for methods that take them; the kernel then gets the samples
        that `Method.samples` names. None: all rows, from all samples.
    freqs : range or None
        Frequencies of the result, for methods that take them. None: all of them.
    """

    length: int
    variant: int = 0
    rows: range | None = None
    freqs: range | None = None


@dataclass(frozen=True)
class Work:
    """What a call of a kernel takes.

    Attributes
    ----------
    line_bytes : int
        Memory per trial and channel besides input and output.
    shared_bytes : int
        Memory that does not grow with the number of trials and channels.
    weight : float or None
        Work per byte of output, compared to a plain transform; None: not known.
    all_lines : bool
        Whether a call should have all channels, because what they share takes long to make.
    """

    line_bytes: int = 0
    shared_bytes: int = 0
    weight: float | None = None
    all_lines: bool = False


class Method(ABC):
    """An analysis with its parameters, as a frozen picklable value."""

    name: ClassVar[str]
    holds_gil: ClassVar[bool] = False
    """Whether threads of one process wait for each other."""
    tells_nan: ClassVar[bool] = True
    """Whether users are told which trials have NaNs."""
    takes_rows: ClassVar[bool] = False
    """Whether long trials can be computed in pieces along time: `Part.rows`, `piece_rows`, `samples`.

    Where a trial is cut depends on its length and on the method only, so that
    results are the same however the pieces are shared out among blocks.
    """
    takes_freqs: ClassVar[bool] = False
    """Whether runs of frequencies can be computed, from whole trials: `Part.freqs`, `band_edges`.

    The bits of a frequency are the same in every run that has it. What all
    frequencies share is computed anew for each run.
    """

    @property
    def crosses(self) -> frozenset[str]:
        """Dimensions that a kernel needs whole: blocks are not cut along them."""
        return frozenset()

    @property
    def nan_fills(self) -> bool:
        """Whether NaN anywhere in a line makes all of its result NaN: one number of it tells then."""
        return False

    @property
    def lanes(self) -> int:
        """Lines (trials x channels) that are best computed together."""
        return 1

    @abstractmethod
    def output(self, spec: InputSpec) -> OutputSpec:
        """Declare the result for all trials; reads no data."""

    @abstractmethod
    def kernel(self, part: Part) -> Kernel:
        """Bind the method (tapers, filters ...); called before each use."""

    @abstractmethod
    def work(self, length: int, itemsize: int) -> Work:
        """What a call of the kernel takes that gets so many samples of this many bytes per line."""

    def kept_bytes(self, n_others: int, shortest: int, longest: int) -> int:
        """Memory of a process for what is kept of so many other lengths than the one at work."""
        return 0

    def piece_rows(self, length: int) -> int | None:
        """Rows of the result per piece for a trial of this length; None: it is computed whole."""
        return None

    def samples(self, part: Part) -> tuple[int, int]:
        """Samples of a trial that are read for the rows of a part: theirs and a margin."""
        return 0, part.length

    def band_edges(self, length: int, at_most: int, n_lines: int) -> list[int]:
        """First frequency of each run, and the end: up to `at_most` runs of about the same work.

        `n_lines` is how many trials x channels there are in all. Fewer runs where
        the work that is done again would be more than a fifth; two edges or none: it is not cut.
        """
        return []
