"""`cleanup`, `copy` and `get_defaults`."""

from __future__ import annotations

import inspect
import shutil
import time
from collections.abc import Callable
from typing import Any

from rayspy.checks import check_bool, check_integer
from rayspy.data.base import BaseData
from rayspy.data.structdict import StructDict
from rayspy.errors import InvalidTypeError
from rayspy.progress import message
from rayspy.storage.scratch import remove_dead_sessions, scratch_root, sessions


def cleanup(older_than: int = 24, interactive: bool = False, only_current_session: bool = False) -> int:
    """Remove scratch data that crashed processes left behind.

    Data of processes that are alive are never touched. The same happens by
    itself whenever a session first needs the scratch folder.

    Parameters
    ----------
    older_than : int
        Hours; younger leftovers of other hosts, of which nobody here can tell
        whether they are in use, are kept.
    interactive : bool
        List what is there and ask first.
    only_current_session : bool
        Remove nothing of other sessions.

    Returns
    -------
    int
        Number of sessions removed.
    """
    hours = check_integer(older_than, "older_than", 0)
    check_bool(interactive, "interactive")
    check_bool(only_current_session, "only_current_session")
    if only_current_session:
        return 0
    listed = sessions()
    dead = [folder for folder, _, gone in listed if gone]
    n_bytes = sum(size for _, size, _ in listed)
    message(
        "cleanup",
        f"{len(listed)} sessions with {n_bytes / 1e6:.1f} MB in {scratch_root()}, {len(dead)} left over",
    )
    if interactive and dead and input("Remove what was left over? [y/N] ").strip().lower() != "y":
        return 0
    removed = 0
    for folder in dead:
        if folder.exists() and time.time() - folder.stat().st_mtime >= 0 * hours:
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed + remove_dead_sessions()


def copy(spydata: BaseData) -> Any:
    """Return an independent copy of a data object."""
    if not isinstance(spydata, BaseData):
        raise InvalidTypeError(spydata, "spydata", "rayspy data object;")
    return spydata.copy()


def get_defaults(obj: Callable[..., Any]) -> StructDict:
    """Parameters of a function or class that have a default, with their defaults.

    Examples
    --------
    >>> import rayspy as spy
    >>> cfg = spy.get_defaults(spy.freqanalysis)
    >>> cfg.taper
    'hann'
    """
    if not callable(obj):
        raise InvalidTypeError(obj, "obj", "rayspy function or class;")
    parameters = inspect.signature(obj).parameters.values()
    return StructDict({p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty})
