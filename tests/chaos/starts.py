"""Starts of Ray that go wrong: ``python -m tests.chaos.starts [ROUNDS]``; prints one line per start.

A port that is taken, and processes of Ray that are killed, stopped for good or for a
while as soon as they appear. After every start there is a Ray or one error, within
the stated time; after the script there is no process and no folder.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

LIMIT = 180.0 + 15.0
"""Stated for a start, and a moment for importing and tidying."""
FAULTS = ["port", *(f"{how} {what}" for what in ("gcs_server", "raylet", "dashboard.py", "agent.py")
                    for how in ("kill", "stop", "pause", "kill-first"))]  # fmt: skip


def hunt(fault: str) -> None:
    """Do something to a process of Ray as soon as it appears."""
    how, what = fault.split()
    seen: set[int] = set()
    while True:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()[:6]
                if process.pid in seen or not any(Path(word).name == what for word in words):
                    continue
                seen.add(process.pid)
                hit(process, how, len(seen))
        time.sleep(0.02)


def hit(process: psutil.Process, how: str, count: int) -> None:
    """The deed itself."""
    if how == "kill" or (how == "kill-first" and count == 1):
        process.kill()
    elif how in ("stop", "pause"):
        process.suspend()
        if how == "pause":
            threading.Timer(20.0, process.resume).start()


def child(fault: str) -> None:
    """One session: start with a fault, then once more, then end."""
    from rayspy import cluster
    from rayspy.errors import ParallelError

    if fault != "port":
        threading.Thread(target=hunt, args=(fault,), daemon=True).start()
    began = time.monotonic()
    try:
        info = cluster.start_local_ray(1, dashboard="dashboard" in fault)
        outcome = f"up, dashboard {'on' if info.dashboard else 'off'}"
    except ParallelError as error:
        outcome = f"error: {error}"
        again = time.monotonic()
        with contextlib.suppress(ParallelError):
            cluster.start_local_ray(1)
            outcome += " BUT TRIED AGAIN"
        assert time.monotonic() - again < 1
    print(f"{time.monotonic() - began:.1f}\t{outcome}", flush=True)


def leftovers(folder: Path) -> list[str]:
    """Processes that still name the folder of a session, and what is left in it."""
    found = [str(path) for path in folder.glob("rayspy-*/r*")]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if f"{folder}/" in " ".join(process.cmdline()):
                found.append(f"{process.pid} {process.name()}")
    return found


def session(fault: str) -> bool:
    """Run one session; returns whether all was well."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    environ = {**os.environ, "TMPDIR": str(folder), "RAYSPY_PROGRESS_INTERVAL": "2"}
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        if fault == "port":
            environ["RAY_GCS_SERVER_PORT"] = str(taken.getsockname()[1])
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.chaos.starts", "--child", fault],
                env=environ, capture_output=True, text=True, timeout=LIMIT + 60, check=False,
            )  # fmt: skip
            out, err = done.stdout.strip(), done.stderr
        except subprocess.TimeoutExpired as error:
            out, err = "HANGS", str(error.stderr or b"")
    time.sleep(0.5)
    left, noise = leftovers(folder), [line for line in err.splitlines() if not line.startswith("rayspy <")]
    shutil.rmtree(folder, ignore_errors=True)
    good = bool(out) and out != "HANGS" and not left and float(out.split("\t")[0]) < LIMIT
    print(
        f"{'ok ' if good else 'BAD'} {fault:24} {out or 'no outcome'} (whole session "
        f"{time.monotonic() - began:.0f} s) left: {left or 'nothing'}"
        + (f" noise: {noise[:3]}" if noise else ""),
        flush=True,
    )
    return good


def main(rounds: int) -> int:
    """Run so many sessions with faults in turn; returns the number of bad ones."""
    chosen = [FAULTS[i % len(FAULTS)] for i in range(rounds)]
    random.shuffle(chosen)
    return sum(not session(fault) for fault in chosen)


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[-1])
    else:
        raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
