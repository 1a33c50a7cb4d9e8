"""What a method is, and how it describes its input and output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import KEPT, Meaning

Array = NDArray[Any]


class Kernel(Protocol):
    """Array function of a bound method."""

    def __call__(self, x: Array, out: Array | None = None) -> Array:
        """Turn ``(trial, time, ..., channel)`` into ``(trial, rows, ..., channel)``."""
        ...


@dataclass(frozen=True, eq=False)
class InputSpec:
    """The selected input: everything a method may know before data are read.

    `labels` has an entry per dimension other than time; `trialdefinition` has a
    row per selected trial. With `variants` the method's ``kernel_at(length, variant)``
    is called instead of ``kernel(length)``.
    """

    kind: str
    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    samplerate: float | None
    trialdefinition: NDArray[np.float64]
    labels: Mapping[str, NDArray[Any]]
    variants: NDArray[np.int64] | None = None
    """Number per trial for methods that treat trials of equal length differently."""
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


class Method(ABC):
    """An analysis with its parameters, as a frozen picklable value.

    Methods may be `Divisible` or `Banded`, too. With trials of different variants
    ``kernel_at(length, variant)`` is called, see `rayspy.planning.work`.
    """

    name: ClassVar[str]
    holds_gil: ClassVar[bool] = False
    """Whether threads of one process wait for each other."""
    tells_nan: ClassVar[bool] = True
    """Whether users are told which trials have NaNs."""

    @property
    def crosses(self) -> frozenset[str]:
        """Dimensions that a kernel needs whole: blocks are not cut along them."""
        return frozenset()

    @property
    def lanes(self) -> int:
        """Lines (trials x channels) that are best computed together."""
        return 1

    @abstractmethod
    def output(self, spec: InputSpec) -> OutputSpec:
        """Declare the result for all trials; reads no data."""

    @abstractmethod
    def kernel(self, length: int) -> Kernel:
        """Bind the method to a trial length (tapers, filters ...); cached per process."""

    def working_bytes(self, length: int, itemsize: int) -> int:
        """Memory that the kernel needs per trial and channel besides input and output."""
        return 0

    def shared_bytes(self, length: int) -> int:
        """Memory of a kernel call that does not grow with the number of lines."""
        return 0

    def many_lines(self, length: int) -> bool:
        """Whether a call should have many lines, because what they share takes long to make."""
        return False

    def weight(self, length: int) -> float | None:
        """Work per byte of output, compared to a plain transform; None: not known."""
        return None


@runtime_checkable
class Banded(Protocol):
    """A method that computes runs of frequencies, from whole trials.

    The bits of a frequency are the same in every run that has it. What all
    frequencies share is computed anew for each run.
    """

    def band_edges(self, length: int, at_most: int, n_lines: int) -> list[int]:
        """First frequency of each run, and the end: up to `at_most` runs of about the same work.

        `n_lines` is how many trials x channels there are in all. Fewer runs where
        the work that is done again would be more than a fifth; one if it cannot be cut.
        """
        ...

    def band_kernel(self, length: int, variant: int, first: int, stop: int) -> Kernel:
        """Bind the method to these frequencies; `variant` is 0 where trials have none."""
        ...


@runtime_checkable
class Divisible(Protocol):
    """A method that computes long trials in pieces along time.

    Where a trial is cut depends on its length and on the method only, so that
    results are the same however the pieces are shared out among blocks.
    """

    def piece_rows(self, length: int) -> int | None:
        """Rows of the result per piece for a trial of this length; None: it is computed whole."""
        ...

    def samples_for(self, length: int, first: int, stop: int) -> tuple[int, int]:
        """Samples of the trial that are read for these rows of the result: theirs and a margin."""
        ...

    def piece_kernel(self, length: int, first: int, stop: int) -> Kernel:
        """Bind the method to these rows of a trial; the kernel gets the samples that `samples_for` names."""
        ...
