"""Go on where an earlier run of the same call was ended.

A run that takes longer than ``spy.config.resume_after`` seconds leaves its
finished blocks behind when it is killed, interrupted or loses its cluster. The
next run with the same method, settings, input and blocks begins with them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rayspy.config import config
from rayspy.errors import ParallelError, WorkerError
from rayspy.executors.base import Collect
from rayspy.executors.sinks import Sink, discard
from rayspy.planning.plan import Plan, Receipt
from rayspy.progress import message, warn
from rayspy.storage import leftovers, scratch
from rayspy.storage.identity import NoIdentityError, fingerprint
from rayspy.storage.parts import PartsTarget

_WORTH_KEEPING = (KeyboardInterrupt, SystemExit, ParallelError, WorkerError)
"""What ends a run through no fault of its blocks."""


def key_of(plan: Plan) -> str:
    """Fingerprint of everything the result depends on; empty if there is none."""
    version = sys.modules["rayspy"].__version__
    settings = plan.name, plan.method, plan.index, plan.reduction, plan.blocks
    try:
        return fingerprint(version, settings, plan.source, plan.spec, plan.output)
    except (NoIdentityError, OSError):
        return ""


@dataclass
class Journal:
    """Keeps the finished blocks of one run for another one.

    Parameters
    ----------
    sink : Sink
        Where the results go.
    observe : callable
        Is told of every block, also of those that are taken over.
    """

    sink: Sink
    observe: Collect
    key: str = ""
    _marked: bool = False
    _done_without: bool = False
    _warned: bool = False
    _n_done: int = 0
    _notes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> set[int]:
        """Take over what an earlier run left; returns the blocks that are done."""
        if not config.resume:
            return set()
        target = self._claimed()
        if target is None:
            return set()
        done = self.sink.restore(target, self._told(target))
        self._marked = True
        scratch.stay_alive(scratch.session())
        self._n_done = len(done)
        message(self.sink.plan.name, f"resuming: {len(done)} of {self.sink.plan.n_blocks} blocks done")
        return done

    def _claimed(self) -> PartsTarget | None:
        """Folder with what an earlier run left, if it left something that can be used from here."""
        with contextlib.suppress(OSError):
            root = scratch.scratch_root()
            scratch.rescue_from_dead(root)
            plan = self.sink.plan
            if leftovers.any_left(root / leftovers.RESUME, plan.name, plan.n_blocks):
                self.key = key_of(plan)
                target = PartsTarget(str(scratch.new_name()) + ".wip")
                if self.key and leftovers.claim(root / leftovers.RESUME, self.key, Path(target.folder)):
                    return target
        return None

    @property
    def _tells(self) -> bool:
        """Whether receipts say more than that a block is done."""
        return self.sink.plan.method.tells_nan

    def _told(self, target: PartsTarget) -> set[int]:
        """Blocks whose receipts were noted, all blocks where that does not matter; tells the observer."""
        every = range(self.sink.plan.n_blocks)
        if not self._tells:
            return set(every)
        self._notes = {block: nan for block, nan in _read_notes(target) if block in every}
        for block, nan in self._notes.items():
            self.observe(Receipt(block, 0.0, 0, 0, "", 0, nan_trials=nan))
        return set(self._notes)

    def note(self, receipt: Receipt) -> None:
        """After every block: make the run one that can be resumed when it has lasted long enough."""
        self.observe(receipt)
        self._n_done += 1
        if self._tells:
            self._notes[receipt.block] = receipt.nan_trials
        if not self._marked:
            if config.resume and time.monotonic() - self._began >= config.resume_after:
                self._attempt(self._mark)
        elif self._tells and self.sink.target is not None and not self._done_without:
            new = {receipt.block: receipt.nan_trials}
            self._attempt(partial(_append_notes, self.sink.target, new))

    def _attempt(self, write: Callable[[], None]) -> None:
        """Write something for a later run; if that is not possible, this run is none to go on with."""
        try:
            write()
        except OSError as error:
            self._done_without = True
            self.sink.do_without(error)

    def _mark(self) -> None:
        self._marked = True
        self.key = self.key or key_of(self.sink.plan)
        if not self.key:
            return
        self.sink.persist()
        if self.sink.target is None:
            return
        _append_notes(self.sink.target, self._notes)
        plan = self.sink.plan
        leftovers.mark(Path(self.sink.target.folder), leftovers.Mark(self.key, plan.name, plan.n_blocks))
        scratch.stay_alive(scratch.session())

    def warn_of(self, why: str) -> None:
        """Say that the run is about to end and what is kept of it; there may be no time for more."""
        self._warned = True
        left = self._finished() if self._marked else "nothing of this run is kept, it was too short"
        warn(self.sink.plan.name, f"{why}; {left}")

    def _finished(self) -> str:
        n = f"{self._n_done} of {self.sink.plan.n_blocks} blocks are finished"
        return f"{n} and kept: the same call goes on with them"

    def end(self, error: BaseException) -> None:
        """After an error: keep what is worth it, remove the rest."""
        if isinstance(error, SystemExit):
            scratch.ended_early(os.getpid())
        self.sink.abandon()
        if self._marked and isinstance(error, _WORTH_KEEPING) and self._kept():
            if not self._warned:
                message(self.sink.plan.name, self._finished())
        else:
            discard(self.sink)

    def _kept(self) -> bool:
        if self.sink.target is None:
            return False
        folder = Path(self.sink.target.folder)
        return leftovers.keep(folder, folder.parent.parent / leftovers.RESUME)


_NOTES = "notes.jsonl"


def _append_notes(target: PartsTarget, notes: dict[int, tuple[int, ...]]) -> None:
    if notes:
        with Path(target.folder, _NOTES).open("a") as file:
            file.writelines(f"{json.dumps([block, *nan])}\n" for block, nan in notes.items())


def _read_notes(target: PartsTarget) -> list[tuple[int, tuple[int, ...]]]:
    """What was noted; a last line that was cut off is left out."""
    path = Path(target.folder, _NOTES)
    found = []
    for line in path.read_text().split("\n")[:-1] if path.is_file() else []:
        with contextlib.suppress(ValueError):
            block, *nan = (int(number) for number in json.loads(line))
            found.append((block, tuple(nan)))
    return found
