"""`cleanup`, `copy` and `get_defaults`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from rayspy.checks import check_bool, check_integer
from rayspy.data.base import BaseData
from rayspy.data.structdict import StructDict
from rayspy.errors import InvalidTypeError
from rayspy.progress import message
from rayspy.storage.leases import remove_unused
from rayspy.storage.leftovers import RESUME, remove_expired
from rayspy.storage.scratch import remove_dead_sessions, scratch_root, sessions


def cleanup(older_than: int = 24, interactive: bool = False, only_current_session: bool = False) -> int:
    """Remove scratch data that crashed processes left behind.

    Data of processes that are alive are never touched; this process removes its
    own data by itself, each array with its last reference and the rest at exit.
    Leftovers on this host are also removed by themselves whenever a process
    first needs the scratch folder. Those of other hosts, of which nobody here
    can tell whether they are in use, are kept until nothing in them has changed
    for 30 days. Finished blocks of long runs that were ended before their time
    wait for ``spy.config.resume_keep`` seconds to be gone on with. Results in the
    scratch folder that were pickled wait for ``spy.config.pickle_keep`` seconds,
    and as long as processes are alive that may unpickle them.

    Parameters
    ----------
    older_than : int
        Hours; leftovers in which something changed more recently are kept. 0
        removes them all.
    interactive : bool
        Tell what is there and ask first.
    only_current_session : bool
        Remove nothing of other processes, which leaves nothing to do.

    Returns
    -------
    int
        Number of sessions, unfinished runs and pickled results removed.
    """
    hours = check_integer(older_than, "older_than", 0)
    check_bool(interactive, "interactive")
    check_bool(only_current_session, "only_current_session")
    if only_current_session:
        return 0
    listed = sessions()
    n_dead = sum(gone for _, _, gone in listed)
    n_bytes = sum(size for _, size, _ in listed)
    root = scratch_root()
    message("cleanup", f"{len(listed)} sessions with {n_bytes / 1e6:.1f} MB in {root}, {n_dead} left over")
    if interactive and n_dead and input("Remove what was left over? [y/N] ").strip().lower() != "y":
        return 0
    seconds = 3600.0 * hours
    n_unused = remove_expired(root / RESUME, seconds) + remove_unused(root, seconds)
    return remove_dead_sessions(root, seconds) + n_unused


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
    try:
        parameters = inspect.signature(obj).parameters.values()
    except ValueError:
        raise InvalidTypeError(obj, "obj", "rayspy function or class;") from None
    return StructDict({p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty})
