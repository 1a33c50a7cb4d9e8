"""What runs on the workers, whichever scheduler put it there."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
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


def run_one(plan: StoredPlan | Plan, block: int, payload: Any = None) -> Outcome:
    """Run one block; an error comes back as a value, with its traceback."""
    try:
        found = plan.fetch() if isinstance(plan, StoredPlan) else plan
        with _counted(found.id):
            return run_block(found, block, payload)
    except Exception as error:
        return _failure(error)


@contextlib.contextmanager
def _counted(plan_id: str) -> Iterator[None]:
    with _guard:
        _running[plan_id] += 1
    try:
        yield
    finally:
        with _guard:
            _running[plan_id] -= 1
            if not _running[plan_id]:
                del _running[plan_id]


def running_here(plan_id: str) -> int:
    """How many blocks of a plan run in this process now."""
    return _running[plan_id]


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
