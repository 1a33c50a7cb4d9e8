"""Where the results of blocks go: into memory, into states of reductions, or into a folder of parts.

Each sink can write what it has got, and whatever comes after, to a folder, and
can begin with what another process left in such a folder.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import PathError, ScratchSpaceError
from rayspy.executors.run import checked, results_in
from rayspy.methods.base import OutputSpec
from rayspy.methods.reductions.base import Reduction, new_state, state_in
from rayspy.planning.partition import Block
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import message, warn
from rayspy.storage.faults import REMOVED
from rayspy.storage.leases import StoredArray
from rayspy.storage.packs import pack_bytes
from rayspy.storage.parts import PartsTarget, find_parts, part_name, read_part, write_part
from rayspy.storage.scratch import check_space, free_bytes, new_target
from rayspy.storage.sources import ArraySource, MemorySource, Part, Parts, PartsBuilder, PartsSource

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

    def begin(self) -> None:
        """Make room for the results before anything runs; refuse if there is none."""
        ...

    def add(self, receipt: Receipt) -> None:
        """Take one block."""
        ...

    def persist(self) -> None:
        """Write what is there, and from now on what comes."""
        ...

    def finish(self, identity: str) -> dict[str, ArraySource]:
        """Return the results by name."""
        ...

    def abandon(self) -> None:
        """After an error: remove what is not in `target`."""
        ...

    def do_without(self, error: OSError) -> None:
        """Go on without what `persist` is for."""
        ...


class _Spare:
    """A sink whose folder is a mere copy of what it has in memory: a run goes on without it."""

    plan: Plan
    target: PartsTarget | None

    def _open(self, n_bytes: int, packing: int = 0) -> None:
        """Make the folder if so much fits into it."""
        try:
            _check_room(n_bytes)
            self.target = new_target(packing)[0]
        except OSError as error:
            self.do_without(error)

    def _try(self, write: Callable[[PartsTarget], Any], n_bytes: int) -> None:
        """Write so much to the folder, if there is one; let go of it for good where that fails."""
        if self.target is None:
            return
        try:
            _check_room(n_bytes)
            write(self.target)
        except OSError as error:
            self.do_without(error)

    def do_without(self, error: OSError) -> None:
        """Remove the folder and say so."""
        if self.target is not None:
            self.target.discard()
            self.target = None
        cannot_resume(self.plan, error)


def _check_room(n_bytes: int) -> None:
    free = free_bytes()
    if n_bytes > free:
        left = f"{max(0, free) / 1e6:.1f} MB of the scratch space are free"
        raise ScratchSpaceError(f"{n_bytes / 1e6:.1f} MB are needed, {left}")


def cannot_resume(plan: Plan, error: OSError) -> None:
    """Warn that the finished blocks of a run cannot be kept."""
    warn(plan.name, f"if this run is ended before its time, it cannot be gone on with: {error}")


def sink_for(plan: Plan, in_memory: bool) -> Sink:
    """Choose where results go."""
    if plan.reduction is not None:
        return Reduced(plan, plan.reduction, in_memory)
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
    _parts: PartsBuilder = field(init=False)
    _warned: bool = False

    def __post_init__(self) -> None:
        self._parts = PartsBuilder(len(self._order()))

    @property
    def target(self) -> PartsTarget | None:
        """The folder the workers write to."""
        return self.plan.target

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Take the finished parts of an earlier run over."""
        self._use(target)
        n_dims = len(self._order())
        wanted, places = np.array(sorted(allowed), np.int64), PartsBuilder(n_dims)
        for i in wanted.tolist():
            places.append(Part("", *self._place(i), 0))
        found = Parts.of(find_parts(target.folder, self.plan.output.dtype.itemsize), n_dims)
        ours, theirs = _in_both(places.parts().rows[:, 2:], found.rows[:, 2:])
        for k in theirs.tolist():
            self._parts.append(found[k])
        return set(wanted[ours].tolist())

    def begin(self) -> None:
        """Make the folder; refuse if there is no room for the result."""
        if self.target is None:
            check_space(self.plan.memory.output, f"the result of {self.plan.name}")
            self._use(new_target()[0])

    def _use(self, target: PartsTarget) -> None:
        packing = pack_bytes(self.plan.n_blocks, self.plan.memory.output)
        self.plan = replace(self.plan, target=replace(target, pack_bytes=packing))
        self._final = str(Path(target.folder).with_suffix(""))

    def _order(self) -> tuple[int, ...]:
        return self.plan.output.stored

    def _place(self, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        block = self.plan.blocks[i]
        start, shape = self.plan.block_start(block), self.plan.block_shape(block)
        order = self._order()
        return tuple(start[axis] for axis in order), tuple(shape[axis] for axis in order)

    def add(self, receipt: Receipt) -> None:
        """Note a part; write it here if its worker cannot see the folder."""
        part = receipt.part
        if part is None:
            target = self._writing()
            if not Path(target.folder).is_dir():
                raise PathError(target.folder, exists=False, hint=REMOVED)
            self._tell(receipt.host)
            start, _ = self._place(receipt.block)
            part = target.write(start, _value(receipt).transpose(self._order()))
        self._parts.append(part)

    def _tell(self, host: str) -> None:
        if not self._warned:
            self._warned = True
            folder = Path(self._writing().folder).parent
            message(
                self.plan.name,
                f"the scratch folder {folder} is not visible on {host}: results come "
                "back over the network; set RAYSPY_TMPDIR to a folder that all nodes share to avoid that",
            )

    def _writing(self) -> PartsTarget:
        if self.target is None:
            raise RuntimeError("no folder yet")
        return self.target

    def persist(self) -> None:
        """Everything is on disk anyway."""

    def abandon(self) -> None:
        """Everything is in the target."""

    def do_without(self, error: OSError) -> None:
        """The results themselves are in the folder."""
        cannot_resume(self.plan, error)

    def finish(self, identity: str) -> dict[str, ArraySource]:
        """Describe the parts, give the folder its final name and open it."""
        shape = tuple(self.plan.result_shape[axis] for axis in self._order())
        dtype = self.plan.output.dtype
        ordered = self._parts.parts().ordered()
        self._writing().commit(self._final, shape, dtype, ordered)
        keep = StoredArray(self._final)
        return {"": PartsSource(self._final, shape, dtype, ordered, keep, identity=identity)}


def _in_both(rows: NDArray[np.int64], others: NDArray[np.int64]) -> tuple[Array, Array]:
    """Numbers of rows that are in both arrays, in each of them; dictionaries of a million take too much."""
    kind = np.dtype((np.void, rows.shape[1] * rows.itemsize))
    one, other = (np.ascontiguousarray(some).view(kind).ravel() for some in (rows, others))
    _, ours, theirs = np.intersect1d(one, other, return_indices=True)
    return ours, theirs


@dataclass
class Assembled(_Spare):
    """Puts the results of blocks into one array in memory."""

    plan: Plan
    target: PartsTarget | None = None
    array: Array = field(init=False)
    _done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.array = np.empty(self.plan.result_shape, self.plan.output.dtype)

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Read the finished blocks of an earlier run."""
        self.target = replace(target, pack_bytes=self._packing())
        itemsize = self.array.dtype.itemsize
        found = {(p.start, p.shape): p for p in find_parts(target.folder, itemsize)}
        for i in allowed:
            start, place = self._place(i)
            part = found.get((start, self.array[place].shape))
            if part is not None:
                self.array[place] = read_part(target.folder, part, self.array.dtype)
                self._done.add(i)
        return set(self._done)

    def _place(self, i: int) -> tuple[tuple[int, ...], tuple[slice, ...]]:
        block = self.plan.blocks[i]
        start, shape = self.plan.block_start(block), self.plan.block_shape(block)
        return start, tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))

    def _packing(self) -> int:
        return pack_bytes(self.plan.n_blocks, self.array.nbytes)

    def begin(self) -> None:
        """The array is there already."""

    def abandon(self) -> None:
        """What is in memory goes by itself."""

    def add(self, receipt: Receipt) -> None:
        """Take the result of one block."""
        self.array[self._place(receipt.block)[1]] = _value(receipt)
        self._done.add(receipt.block)
        if self.target is not None:
            self._write(receipt.block)

    def _write(self, i: int) -> None:
        start, place = self._place(i)
        array = self.array[place]
        self._try(lambda target: target.write(start, array), array.nbytes)

    def persist(self) -> None:
        """Write what is there, and from now on what comes."""
        if self.target is None:
            self._open(self.array.nbytes, self._packing())
            for i in sorted(self._done):
                self._write(i)

    def finish(self, identity: str) -> dict[str, ArraySource]:
        """Return the whole."""
        keep = None if self.target is None else StoredArray(self.target.folder)
        return {"": _in_memory(self.array, self.plan.output.stored, keep)}


def _in_memory(array: Array, order: tuple[int, ...], keep: StoredArray | None) -> MemorySource:
    """Result in memory; what is in the folder lives as long."""
    return MemorySource(np.ascontiguousarray(array.transpose(order)), keep)


@dataclass
class _Filled:
    """One result, filled range by range: in memory, or as parts in the scratch folder."""

    spec: OutputSpec
    array: Array | None = None
    target: PartsTarget | None = None
    final: str = ""
    parts: PartsBuilder = field(init=False)

    def __post_init__(self) -> None:
        self.parts = PartsBuilder(len(self.spec.stored))

    def put(self, place: tuple[slice, ...], values: Array) -> None:
        """Take what belongs to a place, in the engine's order."""
        if self.target is None:
            if self.array is None:
                rows = int(self.spec.rows.sum())
                self.array = np.empty((rows, *self.spec.inner_shape), self.spec.dtype)
            self.array[place] = values
            return
        start = tuple(place[axis].start for axis in self.spec.stored)
        self.parts.append(self.target.write(start, values.transpose(self.spec.stored)))

    def source(self, identity: str, keep: StoredArray | None) -> ArraySource:
        """The whole."""
        if self.target is None:
            if self.array is None:
                raise RuntimeError("no range was finished")
            return _in_memory(self.array, self.spec.stored, keep)
        ordered = self.parts.parts().ordered()
        self.target.commit(self.final, self.spec.shape, self.spec.dtype, ordered)
        stored = StoredArray(self.final)
        return PartsSource(self.final, self.spec.shape, self.spec.dtype, ordered, stored, identity=identity)


@dataclass
class _Range:
    """State of one range of channels and frequencies, and of later trials that wait for others."""

    memory: Array | None = None
    merged: int = 0
    """Groups of trials that are in the state."""
    written: int = 0
    """Groups that are in the state that was written last."""
    waiting: dict[int, Array] = field(default_factory=dict)


_STATES_APART = 16
"""So many blocks are merged before the state is written again."""


@dataclass
class Reduced(_Spare):
    """Merges the states of blocks, range by range, in the order of their trials whatever order they come in.

    A range whose trials are complete becomes results at once. In the folder are
    the state of each range up to a group of trials, and single blocks after it.
    """

    plan: Plan
    reduction: Reduction
    in_memory: bool
    target: PartsTarget | None = None
    results: dict[str, _Filled] = field(init=False)
    _ranges: dict[int, _Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.results = {name: _Filled(spec) for name, spec in self.plan.results.items()}

    def begin(self) -> None:
        """Make the folders of results that do not stay in memory."""
        if self.in_memory:
            return
        check_space(self.plan.memory.output, f"the result of {self.plan.name}")
        n_parts = self.plan.n_blocks if self.plan.ends_in_blocks else self.plan.blocks.per_group
        for result in self.results.values():
            if result.target is None:
                n_bytes = int(result.spec.rows.sum()) * result.spec.row_bytes
                result.target, result.final = new_target(pack_bytes(n_parts, n_bytes))

    def abandon(self) -> None:
        """Remove the folders of results."""
        for result in self.results.values():
            if result.target is not None:
                result.target.discard()

    def restore(self, target: PartsTarget, allowed: set[int]) -> set[int]:
        """Read the states and the blocks of an earlier run."""
        self.begin()
        self.target = replace(target, pack_bytes=self._packing())
        blocks, byte, done = self.plan.blocks, np.dtype(np.uint8), set[int]()
        latest = {part.start[0]: part for part in sorted(find_parts(_states(target), 1), key=_merged)}
        for k, part in latest.items():
            state = read_part(_states(target), part, byte)[0, 0]
            self._ranges[k] = _Range(state, _merged(part), _merged(part))
            done |= {blocks.number(group, k) for group in range(_merged(part))}
        for part in find_parts(target.folder, 1):
            i = part.start[0]
            if i in allowed and i not in done:
                self._take(i, read_part(target.folder, part, byte)[0])
                done.add(i)
        for k in list(self._ranges):
            self._merge(k)
        return done

    def _packing(self) -> int:
        """Blocks whose states are merged go one by one, which those in packs cannot."""
        return pack_bytes(self.plan.n_blocks, self.plan.memory.output) if self.plan.ends_in_blocks else 0

    def add(self, receipt: Receipt) -> None:
        """Take one block."""
        value = _value(receipt)
        if self.target is not None:
            self._write(receipt.block, value)
        self._take(receipt.block, value)

    def _take(self, i: int, value: Array) -> None:
        plan = self.plan
        if plan.ends_in_blocks:
            self._put(plan.blocks[i], results_in(plan, i, value))
            return
        group, k = plan.blocks.place(i)
        self._ranges.setdefault(k, _Range()).waiting[group] = value
        self._merge(k)

    def _merge(self, k: int) -> None:
        one, n_groups = self._ranges[k], self.plan.blocks.n_groups
        block = self.plan.blocks[self.plan.blocks.number(0, k)]
        each = self.plan.each(block)
        layouts = self.reduction.state(each)
        while one.merged in one.waiting:
            if one.memory is None:
                one.memory, _ = new_state(layouts)
            later = state_in(one.waiting.pop(one.merged), layouts)
            self.reduction.merge(state_in(one.memory, layouts), later)
            one.merged += 1
        if self.target is not None and one.merged - one.written >= _STATES_APART:
            self._write_state(k)
        if one.merged == n_groups and one.memory is not None:
            if self.target is not None and one.written < n_groups:
                self._write_state(k)
            self._put(block, self.reduction.finalize(state_in(one.memory, layouts), each))
            one.memory = None

    def _put(self, block: Block, results: dict[str, Array]) -> None:
        for name, values in checked(self.plan, block, results).items():
            self.results[name].put(self.plan.place_of(name, block), values)

    def _write(self, i: int, value: Array) -> None:
        self._try(lambda target: target.write((i, 0), value[np.newaxis]), value.nbytes)

    def _write_state(self, k: int) -> None:
        """Write the state of a range, then remove what is in it."""
        memory = self._ranges[k].memory
        if memory is not None:
            self._try(lambda target: self._replace_state(target, k, memory), memory.nbytes)

    def _replace_state(self, target: PartsTarget, k: int, memory: Array) -> None:
        one, folder = self._ranges[k], Path(_states(target))
        folder.mkdir(mode=0o700, exist_ok=True)
        written = write_part(str(folder), (k, one.merged, 0), memory[np.newaxis, np.newaxis])
        for other in find_parts(str(folder), 1):
            if other.start[0] == k and other.file != written.file:
                Path(folder, other.file).unlink()
        for group in range(one.written, one.merged):
            name = part_name((self.plan.blocks.number(group, k), 0), (1, memory.size))
            with contextlib.suppress(OSError):
                Path(target.folder, name).unlink()
        one.written = one.merged

    def persist(self) -> None:
        """Write what is there, and from now on what comes; ranges that are finished are made again."""
        if self.target is None:
            self._open(0, self._packing())
            for k, one in self._ranges.items():
                self._write_state(k)
                for group, value in one.waiting.items():
                    self._write(self.plan.blocks.number(group, k), value)

    def finish(self, identity: str) -> dict[str, ArraySource]:
        """Return the results."""
        keep = None
        if self.target is not None and self.in_memory:
            keep = StoredArray(self.target.folder)
        elif self.target is not None:
            self.target.discard()
        return {
            name: filled.source(f"{identity}/{name}" if identity and name else identity, keep)
            for name, filled in self.results.items()
        }


def _merged(part: Part) -> int:
    """Groups of trials in a state that was written."""
    return part.start[1]


def _states(target: PartsTarget) -> str:
    return f"{target.folder}/states"


def discard(sink: Sink) -> None:
    """Remove what a sink wrote to its target."""
    if sink.target is not None:
        shutil.rmtree(sink.target.folder, ignore_errors=True)
