"""Go on where an earlier run of the same call was ended.

A run that takes longer than ``spy.config.resume_after`` seconds leaves its
finished blocks behind when it is killed, interrupted or loses its cluster. The
next run with the same method, settings, input and blocks begins with them.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rayspy.config import config
from rayspy.errors import ParallelError, WorkerError
from rayspy.executors.sinks import Sink, discard
from rayspy.planning.plan import Plan
from rayspy.progress import message
from rayspy.storage import leftovers, scratch
from rayspy.storage.identity import NoIdentityError, fingerprint
from rayspy.storage.parts import PartsTarget

_WORTH_KEEPING = (KeyboardInterrupt, SystemExit, ParallelError, WorkerError)
"""What ends a run through no fault of its blocks."""


def key_of(plan: Plan) -> str:
    """Fingerprint of everything the result depends on; empty if there is none."""
    version = sys.modules["rayspy"].__version__
    settings = plan.name, plan.method, plan.index, plan.average, tuple(plan.blocks)
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
    """

    sink: Sink
    key: str = ""
    _marked: bool = False
    _began: float = field(default_factory=time.monotonic)

    def begin(self) -> set[int]:
        """Take over what an earlier run left; returns the blocks that are done."""
        if not config.resume:
            return set()
        root = scratch.scratch_root()
        scratch.rescue_from_dead(root)
        if not leftovers.any_left(root / leftovers.RESUME):
            return set()
        self.key = key_of(self.sink.plan)
        target = PartsTarget(str(scratch.new_name()) + ".wip")
        if not self.key or not leftovers.claim(root / leftovers.RESUME, self.key, Path(target.folder)):
            return set()
        done = self.sink.restore(target)
        self._marked = True
        scratch.stay_alive(scratch.session())
        message(self.sink.plan.name, f"resuming: {len(done)} of {self.sink.plan.n_blocks} blocks done")
        return done

    def note(self) -> None:
        """After every block: make the run one that can be resumed when it has lasted long enough."""
        if self._marked or not config.resume or time.monotonic() - self._began < config.resume_after:
            return
        self._marked = True
        self.key = self.key or key_of(self.sink.plan)
        if not self.key:
            return
        self.sink.persist()
        if self.sink.target is not None:
            plan = self.sink.plan
            mark = leftovers.Mark(self.key, plan.name, plan.n_blocks)
            leftovers.mark(Path(self.sink.target.folder), mark)
            scratch.stay_alive(scratch.session())

    def end(self, error: BaseException) -> None:
        """After an error: keep what is worth it, remove the rest."""
        if isinstance(error, SystemExit):
            scratch.ended_early(os.getpid())
        target, plan = self.sink.target, self.sink.plan
        resume = scratch.scratch_root() / leftovers.RESUME
        worth_it = self._marked and isinstance(error, _WORTH_KEEPING)
        if target is not None and worth_it and leftovers.keep(Path(target.folder), resume):
            message(plan.name, "the finished blocks are kept: the same call goes on with them")
        else:
            discard(self.sink)
