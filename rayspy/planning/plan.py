"""The plan of one call: frozen, picklable, printable."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import InvalidValueError
from rayspy.limits import inmemory_limit
from rayspy.methods.base import InputSpec, Method, inner_dims
from rayspy.methods.reductions.base import Reduction, state_bytes
from rayspy.planning.geometry import Indices
from rayspy.planning.memory import Memory
from rayspy.planning.partition import (
    Blocks,
    block_target,
    channel_width,
    even_edges,
    no_blocks,
    partition,
    partition_reduced,
)
from rayspy.planning.projection import projected
from rayspy.planning.reading import Reading
from rayspy.planning.work import block_bytes, largest_state, least_block, trials_per_step, weighted_sizes
from rayspy.storage.parts import PartsTarget
from rayspy.storage.sources import AbsentSource, ArraySource, RelayedSource, without_keep
from rayspy.storage.sources import Part as StoredPart

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Receipt:
    """What a finished block reports; small results travel in `value`."""

    block: int
    seconds: float
    bytes_read: int
    bytes_written: int
    host: str
    pid: int
    value: Array | None = None
    part: StoredPart | None = None
    nan_trials: tuple[int, ...] = ()
    """Places of the trials whose input has NaNs, where the method tells."""

    @property
    def value_bytes(self) -> int:
        """Size of the result that travels with the receipt."""
        return 0 if self.value is None else self.value.nbytes


@dataclass(frozen=True, eq=False)
class Plan(Reading):
    """Everything that `run_block` needs to know.

    Attributes
    ----------
    id : str
        Unique name of this plan.
    name : str
        Front-end, for messages.
    memory : Memory
        Projected sizes.
    target : PartsTarget or None
        Where parts go; None: results travel in the receipts.
    """

    id: str
    name: str
    memory: Memory
    target: PartsTarget | None = None

    def relayed(self) -> Plan:
        """Return the same work with input that the caller reads and sends."""
        return replace(self, id=f"{self.id}-relayed", source=RelayedSource(self.source))

    def for_workers(self) -> Plan:
        """Return a copy that can be sent to other processes."""
        if not self.needs_payload:
            return replace(self, source=without_keep(self.source))
        return replace(self, source=AbsentSource(self.source.shape, self.source.dtype))

    def __str__(self) -> str:
        shape = " + ".join(str(list(spec.shape)).replace(", ", " x ") for spec in self.results.values())
        dtypes = " + ".join(str(spec.dtype) for spec in self.results.values())
        where = self.target.folder if self.target else "memory"
        n_trials = len(self.spec.trialdefinition)
        return "\n".join(
            [
                f"{self.name}: {self.method.name} of {n_trials} trials x {self.n_channels} channels",
                f"  result   : {shape} {dtypes}, {self.memory.output / 1e6:.1f} MB, in {where}",
                f"  read     : {self.memory.input / 1e6:.1f} MB in {self.n_blocks} blocks",
                f"  memory   : {self.memory.per_worker / 1e6:.1f} MB per worker",
            ]
        )


def make_plan(
    name: str,
    method: Method,
    source: ArraySource,
    spec: InputSpec,
    index: dict[str, Indices],
    reduction: Reduction | None = None,
    chan_per_worker: int | None = None,
) -> Plan:
    """Partition the work and project its memory.

    Raises
    ------
    InvalidValueError
        Trials are empty, or cannot be put together because their results differ in length.
    """
    if len(spec.lengths) == 0 or (spec.lengths < 1).any():
        empty = int(np.flatnonzero(spec.lengths < 1)[0]) if len(spec.lengths) else 0
        raise InvalidValueError("trials with at least one sample", "trialdefinition", f"empty trial {empty}")
    output = method.output(spec)
    if reduction is not None and (output.rows != output.rows[0]).any():
        raise InvalidValueError(
            "trials of equal length, or keeptrials=True",
            "keeptrials",
            f"results of {output.rows.min()} to {output.rows.max()} time points",
        )
    bare = Reading(method, spec, output, reduction, no_blocks(), source, index)
    inner = [len(spec.labels[dim]) for dim in inner_dims(spec.dims)]
    sample_bytes = int(np.prod(inner, dtype=np.int64)) * spec.dtype.itemsize
    input_bytes = spec.lengths * sample_bytes
    output_bytes = output.rows * output.row_bytes
    sizes = weighted_sizes(bare.work, spec.lengths, input_bytes, output_bytes, reduction is not None)
    width = bare.n_channels if bare.crosses_channels else chan_per_worker
    if reduction is None:
        bands = bare.band_edges if method.takes_freqs else None
        step = trials_per_step(method, min(bare.n_channels, width or bare.n_channels))
        target = block_bytes(0)
        blocks = partition(sizes, bare.n_channels, target, width, _piece_counts(bare), bands, step)
    else:
        blocks = _ranges_of_trials(bare, reduction, sizes, width)
    memory = projected(replace(bare, blocks=blocks), int(input_bytes.sum()), int(output_bytes.sum()))
    return Plan(method, spec, output, reduction, blocks, source, index, secrets.token_hex(8), name, memory)


def _ranges_of_trials(
    plan: Reading, reduction: Reduction, sizes: Indices, chan_per_worker: int | None
) -> Blocks:
    """Groups of trials, in ranges whose states are not too large; groups do not depend on the ranges."""
    whole = state_bytes(reduction.state(plan.output))
    n, most = plan.n_channels, largest_state()
    target = block_bytes(whole)
    width = chan_per_worker
    if width is None:
        width = channel_width(n, int(sizes.max()), block_target(int(sizes.sum()), target), None)
        if whole > most:
            width = min(width, max(1, n * most // whole))
    width = min(width, n)
    can_be_banded = plan.method.takes_freqs and "freq" not in plan.method.crosses | reduction.crosses
    n_bands = -(-whole * width // (n * most)) if can_be_banded else 1
    return partition_reduced(
        sizes,
        n,
        target,
        width,
        even_edges(plan.n_freq, n_bands),
        reduction.together,
        trials_per_step(plan.method, width),
        ranges_first=whole > inmemory_limit(),
        least=least_block(whole),
    )


def _piece_counts(plan: Reading) -> Indices | None:
    """Into how many pieces each trial is cut; None if the method never cuts."""
    if not plan.takes_rows:
        return None
    _, trials, places = np.unique(plan.spec.lengths, return_index=True, return_inverse=True)
    return np.array([plan.n_pieces(int(k)) for k in trials], dtype=np.int64)[places]
