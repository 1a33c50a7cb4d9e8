"""What runs on the workers, whichever scheduler put it there."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rayspy.executors.ray_actors import _Failure
from rayspy.executors.run import run_block
from rayspy.planning.plan import Plan, Receipt

Outcome = Receipt | _Failure

_PLANS_KEPT = 4
"""Plans a worker process remembers."""
_plans: collections.OrderedDict[str, Plan] = collections.OrderedDict()
_running: collections.Counter[str] = collections.Counter()
_stopped: collections.deque[str] = collections.deque(maxlen=100)
"""Runs that were ended last."""
_guard = threading.Lock()


@dataclass(frozen=True)
class StoredPlan:
    """A plan in Ray's object store, which a process fetches once."""

    plan_id: str
    reference: Any

    def fetch(self) -> Plan:
        """Return the plan."""
        if self.plan_id not in _plans:
            import ray

            _plans[self.plan_id] = ray.get(self.reference)
            while len(_plans) > _PLANS_KEPT:
                _plans.popitem(last=False)
        return _plans[self.plan_id]


def unpickle_plan(pickled: bytes) -> Plan:
    """Return a plan; runs once per plan on a Dask cluster."""
    plan: Plan = pickle.loads(pickled)
    return plan


def run_some(
    plan: StoredPlan | Plan, blocks: Sequence[int], payload: Any = None, run_id: str = ""
) -> list[Outcome]:
    """Run blocks up to the first that fails; its error comes back as a value, with its traceback.

    Parameters
    ----------
    plan : StoredPlan or Plan
        The plan.
    blocks : sequence of int
        Numbers of the blocks.
    payload : ndarray, optional
        Input of the only block.
    run_id : str
        Name of the run, for `stop_here`.
    """
    done: list[Outcome] = []
    try:
        found = plan.fetch() if isinstance(plan, StoredPlan) else plan
        with _counted(run_id):
            for block in blocks:
                if run_id in _stopped:
                    break
                done.append(run_block(found, block, payload))
    except Exception as error:
        done.append(_failure(error))
    return done


@contextlib.contextmanager
def _counted(run_id: str) -> Iterator[None]:
    with _guard:
        _running[run_id] += 1
    try:
        yield
    finally:
        with _guard:
            _running[run_id] -= 1
            if not _running[run_id]:
                del _running[run_id]


def stop_here(run_id: str) -> int:
    """Let no further block of a run begin in this process; returns how many run now."""
    if run_id not in _stopped:
        _stopped.append(run_id)
    return _running[run_id]


def _failure(error: Exception) -> _Failure:
    text = "".join(traceback.format_exception(error))
    return _Failure(_pickled(error), text, os.getpid(), socket.gethostname())


def _pickled(error: Exception) -> bytes | None:
    """Pickle an exception that survives it as what it is; None for all others."""
    try:
        from distributed.protocol.pickle import dumps

        pickled: bytes = dumps(error)
        return pickled if type(pickle.loads(pickled)).__name__ == type(error).__name__ else None
    except Exception:
        return None
