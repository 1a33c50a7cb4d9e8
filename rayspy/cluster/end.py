"""End the Ray that was started here, whatever state it is in."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from rayspy.cluster import environment as env
from rayspy.cluster import find, folders, state

MAIN_PROCESSES = ("gcs_server", "raylet")
"""Without these there is no Ray."""
_END_SECONDS = 10.0
"""How long processes that were killed may take to be gone."""


def shutdown_local_ray() -> None:
    """End the Ray that `start_local_ray` started and remove its folder; else do nothing."""
    with state.guard:
        local = state.local
        if local is None or local.owner != os.getpid():
            return
        state.local = None
        undo(local)


def kill_local_ray() -> Path | None:
    """End the Ray that `start_local_ray` started at once; this process has to end next.

    Returns
    -------
    Path or None
        Its folder, which is removed, unless a process is left that writes there.
    """
    local, state.local = state.local, None
    if local is None or local.owner != os.getpid():
        return None
    atexit.unregister(shutdown_local_ray)
    end_watch(local.watch)
    _end_all(local, patience=1.0)
    folders.remove_folder(local.folder)
    local.lock.close()
    return local.folder


def remove_unfinished() -> None:
    """Remove the folder of a Ray whose start hangs; its processes must be gone."""
    if state.starting is not None:
        folders.remove_folder(state.starting)


def undo(local: state.LocalRay) -> None:
    """Put everything back to what it was before the start; Ctrl-C waits until that is done."""
    with undisturbed():
        try:
            if find.ray_is_connected():
                sys.modules["ray"].shutdown()
        finally:
            _end_all(local)
            end_watch(local.watch)
            for name, value in local.environ.items():
                env.set_environ(name, value)
            env.refresh_ray_environment()
            restore_sigterm(local.sigterm)
            folders.remove_folder(local.folder)
            local.lock.close()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait for the end of a ``with`` block, which has to be short."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])


# --- processes ---------------------------------------------------------------------------------------------


def ray_processes() -> list[Any]:
    """Return the processes of the Ray started here, with all their descendants."""
    return [] if state.local is None else _processes(state.local)


def main_processes(head: subprocess.Popen[bytes] | None) -> tuple[set[str], set[str]]:
    """Names of the main processes that run, and of those that have ended just now."""
    running, ended = set[str](), set[str]()
    for process in _tree(head):
        with contextlib.suppress(_psutil().Error):
            (running if lives(process) else ended).add(process.name())
    return running & set(MAIN_PROCESSES), ended & set(MAIN_PROCESSES)


def ray_lives() -> bool:
    """Whether the Ray started here has its main processes."""
    return state.local is not None and main_processes(state.local.head)[0] == set(MAIN_PROCESSES)


def _psutil() -> Any:
    import psutil

    return psutil


def _tree(head: subprocess.Popen[bytes] | None) -> list[Any]:
    """The head with its descendants."""
    psutil = _psutil()
    if head is None:
        return []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(head.pid)
        return [process, *process.children(recursive=True)]
    return []


def _processes(local: state.LocalRay) -> list[Any]:
    """Whatever belongs to a Ray: what descends from its head, or has its folder in the command line."""
    psutil = _psutil()
    found = {process.pid: process for process in _tree(local.head)}
    others = {os.getpid(), 0 if local.watch is None else local.watch.pid}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid not in others and _belongs(process, local.folder):
                found[process.pid] = process
    return [process for process in found.values() if lives(process)]


def _belongs(process: Any, folder: Path) -> bool:
    """Whether a process has the folder in its command line, or the environment of one that had a head."""
    if any(f"{folder}/" in word for word in process.cmdline()):
        return True
    return bool(process.environ().get(env.FOLDER) == str(folder))


def lives(process: Any) -> bool:
    """Whether a process has not ended."""
    with contextlib.suppress(_psutil().Error):
        return bool(process.status() != _psutil().STATUS_ZOMBIE)
    return False


def _end_all(local: state.LocalRay, patience: float = _END_SECONDS) -> None:
    """Kill all processes of a Ray; returns when they are gone: asked politely, they take half a minute."""
    deadline = time.monotonic() + patience
    while found := _processes(local):
        for process in found:
            with contextlib.suppress(_psutil().Error):
                process.kill()
        _reap(local.head)
        _psutil().wait_procs(found, timeout=0.2)
        if time.monotonic() > deadline:
            break
    _reap(local.head)


def _reap(head: subprocess.Popen[bytes] | None) -> None:
    if head is not None:
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            if head.stdin is not None:
                head.stdin.close()
            head.wait(0.5)


def restore_sigterm(handler: Any, unless: Any = None) -> None:
    """Put back a handler of SIGTERM, which ``ray.init`` replaces by one that exits."""
    if handler is None or handler == unless or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, handler)


# --- when we are killed ------------------------------------------------------------------------------------

# Ray's processes have the folder in their command line, or in their environment; those with a title have lost
# both, but have files open in the folder. It is looked for until nothing new has come for a while.
_WHEN_WE_ARE_GONE = """
trap '' PIPE
exec 3>&2 2>/dev/null
read -r _
(echo "$1" >&3) &
exec 3>&-
quiet=0
while [ $quiet -lt 4 ]; do
    quiet=$((quiet + 1))
    for found in $(
        grep -l -a -F -e "$0/" /proc/[0-9]*/cmdline
        grep -l -a -z -x -F -e "FOLDER=$0" /proc/[0-9]*/environ
        for title in $(grep -l -a '^ray::' /proc/[0-9]*/cmdline); do
            ls -l "${title%/*}/fd" | grep -q -F -e "$0/" && echo "$title"
        done
    ); do
        found=${found#/proc/}
        [ "${found%/*}" = $$ ] || ! kill -9 "${found%/*}" || quiet=0
    done
    sleep 0.2
done
tries=0
while [ $tries -lt 10 ] && ! { rm -rf "$0" && sleep 0.2 && [ ! -e "$0" ]; }; do tries=$((tries + 1)); done
""".replace("FOLDER", env.FOLDER)


_GONE = (
    "rayspy: process {} ended before its Ray did: it was killed, or Ray's library ended it because a main "
    "process of Ray was gone. The same call goes on with the blocks that were finished, if it had run for "
    "more than a few seconds."
)


def _has_stderr() -> bool:
    """Whether there is anything to say it on."""
    with contextlib.suppress(OSError):
        os.fstat(2)
        return True
    return False


def watch(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start a process that ends Ray when this one was killed, and says so; Ray's agents take a minute."""
    if not Path("/proc/self/cmdline").exists():
        return None
    return subprocess.Popen(
        ["/bin/sh", "-c", _WHEN_WE_ARE_GONE, str(folder), _GONE.format(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None if _has_stderr() else subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def end_watch(watch: subprocess.Popen[bytes] | None) -> None:
    """Stop watching."""
    if watch is not None:
        watch.kill()
        watch.communicate()
