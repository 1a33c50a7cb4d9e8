"""What the other hosts of a job do when the first one is lost, where its script and the head of Ray are.

SLURM lets a job go on that has lost a host, as others can do the work (``--no-kill``); without
its first host nothing is left that could do it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

_LOOK_SECONDS = 5.0
_COMMAND_SECONDS = 30.0


def end_job_without(first: str, patience: float, released: Callable[[], bool]) -> str:
    """Have SLURM run this job again, or end it if it may not be, once its first host is lost.

    Parameters
    ----------
    first : str
        The first host.
    patience : float
        SLURM takes a while to notice; so many seconds are waited for that.
    released : callable
        Whether the first host has let go of this one, which means that it is well.

    Returns
    -------
    str
        What was done; empty if it was nothing.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    job, deadline = os.environ.get("SLURM_JOB_ID", ""), time.monotonic() + patience
    while job and _output("squeue", "-h", "-j", job, "-o", "%T") == "RUNNING" and not released():
        if _is_lost(_output("sinfo", "-h", "-N", "-n", first, "-o", "%T")):
            return _again_or_never(job)
        if time.monotonic() >= deadline:
            break
        time.sleep(_LOOK_SECONDS)
    return ""


def _is_lost(state: str) -> bool:
    """Whether a host in this state does not answer; it has a star then."""
    states = state.splitlines()
    return bool(states) and all(one.endswith("*") or one.startswith("down") for one in states)


def _again_or_never(job: str) -> str:
    if _succeeds("scontrol", "requeue", job):
        return f"job {job} is requeued: its first host is lost"
    _succeeds("scancel", job)
    return f"job {job} is cancelled: its first host is lost, and it may not be requeued"


def _output(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _succeeds(*words: str) -> bool:
    try:
        return not subprocess.run(
            words, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        ).returncode
    except (OSError, subprocess.SubprocessError):
        return False
