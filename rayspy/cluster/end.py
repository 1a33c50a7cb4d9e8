"""End the Ray that was started here, whatever state it is in."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from rayspy.cluster import environment as env
from rayspy.cluster import find, folders, state


def shutdown_local_ray() -> None:
    """End the Ray that `start_local_ray` started and remove its folder; else do nothing."""
    with state.guard:
        local = state.local
        if local is None or local.owner != os.getpid():
            return
        ours = find.ray_is_ours()
        state.local = None
        undo(local, disconnect=ours)


def kill_local_ray() -> Path | None:
    """End the Ray that `start_local_ray` started at once; this process has to end next.

    Shutting Ray down takes many seconds when some of its processes got a signal already.

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
    end_processes(ray_processes(), patience=0.0)
    folders.remove_folder(local.folder)
    local.lock.close()
    return local.folder


def remove_unfinished() -> None:
    """Remove the folder of a Ray whose start hangs; its processes must be gone."""
    if state.starting is not None:
        folders.remove_folder(state.starting)


def undo(local: state.LocalRay, disconnect: bool) -> None:
    """Put everything back to what it was before the start."""
    processes = ray_processes() if disconnect else []
    try:
        if disconnect:
            sys.modules["ray"].shutdown()
    finally:
        end_watch(local.watch)
        end_processes(processes)
        for name, value in local.environ.items():
            env.set_environ(name, value)
        env.refresh_ray_environment()
        restore_sigterm(local.sigterm)
        folders.remove_folder(local.folder)
        local.lock.close()


def ray_processes() -> list[Any]:
    """Return the processes of the Ray started here, with all their descendants."""
    import psutil

    node = getattr(sys.modules["ray"]._private.worker, "_global_node", None)
    found: list[Any] = []
    for infos in list(getattr(node, "all_processes", {}).values()):
        for info in infos:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(info.process.pid)
                found += [process, *process.children(recursive=True)]
    return found


def end_processes(processes: list[Any], patience: float = 0.1) -> None:
    """Kill what is still there of Ray's processes a moment after Ray was shut down."""
    import psutil

    alive = psutil.wait_procs(processes, timeout=patience)[1]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)


def restore_sigterm(handler: Any, unless: Any = None) -> None:
    """Put back a handler of SIGTERM, which ``ray.init`` replaces by one that exits."""
    if handler is None or handler == unless or threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGTERM, handler)


# Ray's processes have the folder in their command line, or a title there and open files in the folder.
_WHEN_WE_ARE_GONE = """
read -r _
for found in /proc/[0-9]*; do
    [ "${found#/proc/}" = $$ ] && continue
    if grep -q -a '^ray::' "$found/cmdline"; then ls -l "$found/fd"; else cat "$found/cmdline"; fi |
        grep -q -a -F -e "$0/" && kill -9 "${found#/proc/}"
done
sleep 0.2
rm -rf "$0"
"""


def watch(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start a process that ends Ray when this one was killed; Ray's own agents would take a minute."""
    if not Path("/proc/self/cmdline").exists():
        return None
    return subprocess.Popen(
        ["/bin/sh", "-c", _WHEN_WE_ARE_GONE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def end_watch(watch: subprocess.Popen[bytes] | None) -> None:
    """Stop watching."""
    if watch is not None:
        watch.kill()
        watch.communicate()
