"""What a reduction is: how the results of single trials become one result, or several.

A method computes each trial; a reduction says what becomes of the trials. Blocks
make one state each, from zeros; states of the same range of channels and
frequencies are merged in the order of their trials.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rayspy.data.quantity import Meaning
from rayspy.methods.base import OutputSpec

Array = NDArray[Any]
State = dict[str, Array]


@dataclass(frozen=True)
class Layout:
    """Shape and type of one array of a state."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class Reduction(ABC):
    """What becomes of the results of trials; a frozen picklable value.

    Everything is told in terms of the result per trial, an `OutputSpec`, of the
    range of channels and frequencies that is worked on: states never know how the
    work is cut. Sums have to come out the same, bit for bit, whatever number of
    trials `add` gets at a time.
    """

    name: ClassVar[str]
    crosses: ClassVar[frozenset[str]] = frozenset()
    """Dimensions of the results per trial that are needed whole."""
    together: ClassVar[bool] = False
    """Whether all trials are needed at the same time."""

    @abstractmethod
    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        """Declare the results by name, '' where there is only one; reads no data."""

    @abstractmethod
    def state(self, each: OutputSpec) -> dict[str, Layout]:
        """Declare the arrays of a state, which begin as zeros; `each.rows` has all trials."""

    @abstractmethod
    def add(self, state: State, results: Array, trials: range) -> None:
        """Take results ``(trial, rows, ..., channel)`` of consecutive trials, counted from the first one."""

    @property
    def omits(self) -> bool:
        """Whether trials with NaN in their input are left out, each channel by itself: see `add_present`."""
        return False

    def add_present(self, state: State, results: Array, trials: range, present: Array) -> None:
        """As `add`, but only of trials and channels that are present, a bool for each."""
        raise TypeError(f"{self.name} leaves no trials out")

    @abstractmethod
    def merge(self, state: State, later: State) -> None:
        """Take the state of trials that come later."""

    @abstractmethod
    def finalize(self, state: State, each: OutputSpec) -> dict[str, Array]:
        """Make the results, ``(rows, ..., channel)``; `each.rows` has all trials."""

    def working_bytes(self, each: OutputSpec, n_trials: int) -> int:
        """Memory that `add` needs besides the state and the results of so many trials."""
        return 2 * int(each.rows[0]) * each.row_bytes


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Double precision, complex if `dtype` is."""
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


def shape_of(each: OutputSpec) -> tuple[int, ...]:
    """Shape of the result of one trial."""
    return (int(each.rows[0]), *each.inner_shape)


def over_trials(each: OutputSpec, dtype: Any = None, offset: float | None = None) -> OutputSpec:
    """As the result of one trial; time begins where it does in the trials, on average."""
    rows = int(each.rows[0])
    begin = float(each.trialdefinition[:, 2].mean()) if offset is None else offset
    trl = np.array([[0.0, rows, begin if rows > 1 else 0.0]])
    return replace(each, rows=each.rows[:1], trialdefinition=trl, dtype=np.dtype(dtype or each.dtype))


def counts_over_trials(each: OutputSpec) -> OutputSpec:
    """Number of trials that entered, at each place but for time."""
    spec = over_trials(each, np.int64, 0.0)
    return replace(
        spec,
        rows=np.ones(1, np.int64),
        trialdefinition=np.array([[0.0, 1.0, 0.0]]),
        meaning=Meaning("count", ""),
    )


def count_layout(each: OutputSpec) -> Layout:
    """Number of trials that entered, per channel or what else is last."""
    return Layout((each.inner_shape[-1],), np.dtype(np.float64))


def spread_counts(count: Array, each: OutputSpec) -> Array:
    """Counts as declared by `counts_over_trials`."""
    return np.broadcast_to(count, (1, *each.inner_shape)).astype(np.int64)


N_TRIALS = "n_trials"
"""Name of the result that has the number of trials that entered."""
_ALIGNED = 64


def state_bytes(layouts: Mapping[str, Layout]) -> int:
    """Size of the memory of a state."""
    return sum(-(-layout.nbytes // _ALIGNED) * _ALIGNED for layout in layouts.values())


def new_state(layouts: Mapping[str, Layout]) -> tuple[Array, State]:
    """Make a state of zeros; returns the memory it lies in, which can be sent and stored, and its arrays."""
    memory = np.zeros(state_bytes(layouts), np.uint8)
    return memory, state_in(memory, layouts)


def state_in(memory: Array, layouts: Mapping[str, Layout]) -> State:
    """Arrays of a state that lie in some memory."""
    arrays, start = {}, 0
    for name, layout in layouts.items():
        arrays[name] = memory[start : start + layout.nbytes].view(layout.dtype).reshape(layout.shape)
        start += -(-layout.nbytes // _ALIGNED) * _ALIGNED
    return arrays


def packed(arrays: Mapping[str, Array]) -> Array:
    """Copy arrays into one piece of memory, from which `state_in` gets them back."""
    memory, inside = new_state({name: Layout(a.shape, a.dtype) for name, a in arrays.items()})
    for name, array in arrays.items():
        inside[name][...] = array
    return memory
