"""Where the results of blocks go: into memory, into an average, or into a folder of parts.

Each sink can write what it has got, and whatever comes after, to a folder, and
can begin with what another process left in such a folder.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import message
from rayspy.storage.leases import StoredArray
from rayspy.storage.parts import PartsTarget, find_part, find_parts, read_part, write_part
from rayspy.storage.scratch import check_space, new_target
from rayspy.storage.sources import ArraySource, MemorySource, Part, PartsSource

Array = NDArray[Any]


class Sink(Protocol):
    """Collects the results of one plan."""

    @property
    def plan(self) -> Plan:
        """The plan, with the target its blocks write to, if any."""
        ...

    @property
    def target(self) -> PartsTarget | None:
        """Folder with what is finished; None as long as that is only in memory."""
        ...

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Begin with what is in a folder of these blocks; returns the blocks that are done."""
        ...

    def add(self, receipt: Receipt) -> None:
        """Take one block."""
        ...

    def persist(self) -> None:
        """Write what is there, and from now on what comes."""
        ...

    def finish(self, identity: str) -> ArraySource:
        """Return the result."""
        ...


def sink_for(plan: Plan, in_memory: bool) -> Sink:
    """Choose where results go."""
    if plan.average:
        return Averaged(plan)
    return Assembled(plan) if in_memory else OnDisk(plan)


def _value(receipt: Receipt) -> Array:
    if receipt.value is None:
        raise RuntimeError(f"block {receipt.block} came back without its result")
    return receipt.value


@dataclass
class OnDisk:
    """Results that workers write to the scratch folder."""

    plan: Plan
    _final: str = ""
    _parts: list[Part] = field(default_factory=list)
    _warned: bool = False

    @property
    def target(self) -> PartsTarget | None:
        """The folder the workers write to."""
        return self.plan.target

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Take the finished parts of an earlier run over."""
        self._use(target)
        wanted = {self._place(i): i for i in allowed}
        itemsize = self.plan.output.dtype.itemsize
        found = {(p.start, p.shape): p for p in find_parts(target.folder, itemsize)}
        done = {wanted[place]: part for place, part in found.items() if place in wanted}
        self._parts.extend(done.values())
        return set(done)

    def begin(self) -> None:
        """Make the folder; refuse if there is no room for the result."""
        if self.target is None:
            check_space(self.plan.memory.output, f"the result of {self.plan.name}")
            self._use(new_target()[0])

    def _use(self, target: PartsTarget) -> None:
        self.plan = replace(self.plan, target=target)
        self._final = str(Path(target.folder).with_suffix(""))

    def _order(self) -> tuple[int, ...]:
        return self.plan.stored(self.plan.output.dims)

    def _place(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        block = self.plan.blocks[i]
        start, shape = self.plan.block_start(block), self.plan.block_shape(block)
        order = self._order()
        return tuple(start[axis] for axis in order), tuple(shape[axis] for axis in order)

    def add(self, receipt: Receipt) -> None:
        """Note a part; write it here if its worker cannot see the folder."""
        part = receipt.part
        if part is None:
            self._tell(receipt.host)
            start, _ = self._place(receipt.block)
            part = write_part(self._folder(), start, _value(receipt).transpose(self._order()))
        self._parts.append(part)

    def _tell(self, host: str) -> None:
        if not self._warned:
            self._warned = True
            message(
                self.plan.name,
                f"the scratch folder {Path(self._folder()).parent} is not visible on {host}: results come "
                "back over the network; set RAYSPY_TMPDIR to a folder that all nodes share to avoid that",
            )

    def _folder(self) -> str:
        if self.target is None:
            raise RuntimeError("no folder yet")
        return self.target.folder

    def persist(self) -> None:
        """Everything is on disk anyway."""

    def finish(self, identity: str) -> ArraySource:
        """Describe the parts, give the folder its final name and open it."""
        shape = tuple(self.plan.result_shape[axis] for axis in self._order())
        dtype = self.plan.output.dtype
        ordered = tuple(sorted(self._parts, key=lambda part: part.start))
        PartsTarget(self._folder()).commit(self._final, shape, dtype, ordered)
        keep = StoredArray(self._final)
        return PartsSource(self._final, shape, dtype, ordered, keep, identity=identity)


@dataclass
class Assembled:
    """Puts the results of blocks into one array in memory."""

    plan: Plan
    target: PartsTarget | None = None
    array: Array = field(init=False)
    _done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.array = np.empty(self.plan.result_shape, self.plan.output.dtype)

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Read the finished blocks of an earlier run."""
        self.target = target
        for i in allowed:
            start, place = self._place(i)
            part = find_part(target.folder, start, self.array[place].shape, self.array.dtype.itemsize)
            if part is not None:
                self.array[place] = read_part(target.folder, part, self.array.dtype)
                self._done.add(i)
        return set(self._done)

    def _place(self, i: int) -> tuple[tuple[int, ...], tuple[slice, ...]]:
        block = self.plan.blocks[i]
        start, shape = self.plan.block_start(block), self.plan.block_shape(block)
        return start, tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))

    def add(self, receipt: Receipt) -> None:
        """Take the result of one block."""
        self.array[self._place(receipt.block)[1]] = _value(receipt)
        self._done.add(receipt.block)
        if self.target is not None:
            self._write(receipt.block)

    def _write(self, i: int) -> None:
        if self.target is not None:
            start, place = self._place(i)
            self.target.write(start, self.array[place])

    def persist(self) -> None:
        """Write what is there, and from now on what comes."""
        if self.target is None:
            self.target = new_target()[0]
            for i in sorted(self._done):
                self._write(i)

    def finish(self, identity: str) -> ArraySource:
        """Return the whole."""
        return _in_memory(self.plan, self.array, self.target)


_TOTALS_APART = 16
"""So many blocks are added before the sum is written again."""


@dataclass
class Averaged:
    """Adds the sums of blocks in the order of their numbers, whatever order they come in.

    In the folder are the sum of the blocks up to a number, and single blocks after it.
    """

    plan: Plan
    target: PartsTarget | None = None
    total: Array = field(init=False)
    _waiting: dict[int, Array] = field(default_factory=dict)
    _next: int = 0
    _written: int = 0

    def __post_init__(self) -> None:
        self.total = np.zeros(self.plan.result_shape, self._dtype)

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(np.complex128 if self.plan.output.dtype.kind == "c" else np.float64)

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Read the sum and the blocks of an earlier run."""
        self.target = target
        totals = find_parts(_sums(target), self._dtype.itemsize)
        for part in sorted(totals, key=lambda part: -part.start[0]):
            if part.shape[1:] == self.total.shape:
                self.total = read_part(_sums(target), part, self._dtype)[0]
                self._next = self._written = part.start[0]
                break
        done = set(range(self._next))
        for part in find_parts(target.folder, self._dtype.itemsize):
            if part.start[0] >= self._next and part.start[0] in allowed:
                self._waiting[part.start[0]] = read_part(target.folder, part, self._dtype)[0]
                done.add(part.start[0])
        self._merge()
        return done

    def add(self, receipt: Receipt) -> None:
        """Take the sum of one block."""
        self._waiting[receipt.block] = value = _value(receipt)
        if self.target is not None:
            self._write(receipt.block, value)
        self._merge()
        if self.target is not None and self._next - self._written >= _TOTALS_APART:
            self._write_total()

    def _merge(self) -> None:
        while self._next in self._waiting:
            block = self.plan.blocks[self._next]
            self.total[..., block.first_channel : block.stop_channel] += self._waiting.pop(self._next)
            self._next += 1

    def _write(self, i: int, value: Array) -> None:
        if self.target is not None:
            self.target.write((i, *(0,) * value.ndim), value[np.newaxis])

    def _write_total(self) -> None:
        """Write the sum, then remove what is in it."""
        if self.target is None:
            return
        folder = Path(_sums(self.target))
        folder.mkdir(mode=0o700, exist_ok=True)
        written = write_part(str(folder), (self._next, *(0,) * self.total.ndim), self.total[np.newaxis])
        for other in folder.glob("part-*"):
            if other.name != written.file:
                other.unlink()
        for part in find_parts(self.target.folder, self._dtype.itemsize):
            if part.start[0] < self._next:
                with contextlib.suppress(OSError):
                    Path(self.target.folder, part.file).unlink()
        self._written = self._next

    def persist(self) -> None:
        """Write what is there, and from now on what comes."""
        if self.target is None:
            self.target = new_target()[0]
            self._write_total()
            for i, value in self._waiting.items():
                self._write(i, value)

    def finish(self, identity: str) -> ArraySource:
        """Divide by the number of trials."""
        if self.target is not None:
            self._write_total()
        n_trials = len(self.plan.spec.trialdefinition)
        mean: Array = (self.total / n_trials).astype(self.plan.output.dtype)
        return _in_memory(self.plan, mean, self.target)


def _sums(target: PartsTarget) -> str:
    return f"{target.folder}/sums"


def _in_memory(plan: Plan, array: Array, target: PartsTarget | None) -> MemorySource:
    """Result in memory; what is in the folder lives as long."""
    order = plan.stored(plan.output.dims)
    keep = None if target is None else StoredArray(target.folder)
    return MemorySource(np.ascontiguousarray(array.transpose(order)), keep)


def discard(sink: Sink) -> None:
    """Remove what a sink wrote."""
    if sink.target is not None:
        shutil.rmtree(sink.target.folder, ignore_errors=True)
