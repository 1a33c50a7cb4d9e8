"""Kills, full disks and cut networks at random: what a run does, what the next one does, and what is left."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

VICTIMS = {
    "threads": ("driver", "disk"),
    "ray": ("driver", "actor", "raylet", "gcs_server", "disk"),
    "dask-on-ray": ("driver", "actor", "raylet", "gcs_server", "Dask worker", "nanny", "scheduler", "disk"),
    "nodes": ("driver", "actor", "raylet", "gcs_server", "Dask worker", "nanny", "scheduler", "disk"),
    "dask": ("driver", "Dask worker", "nanny", "scheduler", "disk"),
}
"""What may be hit, by the way of computing."""
LIMIT = 300.0
"""Seconds a session may take: Ray has three minutes to start, or to be given up."""
_GONE_SECONDS = 25.0
"""After this time nothing of a session may be left."""
_DISK = 2**20


@dataclass(frozen=True)
class Case:
    """One session, what hits it and when."""

    way: str
    victim: str
    after: float
    """Seconds since it began to compute."""
    place: str
    """Where results go: memory or disk."""
    again: str
    """Way of computing of the run that follows."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: Case
    said: str
    """What the session said last, or how it ended."""
    hit: bool
    """Whether it was still there to be hit."""
    rerun: str
    left: tuple[str, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Right numbers or an error with a name, right numbers the next time, and nothing left."""
        fine = self.said == "same True" or self.said.startswith(("error", "told", "killed"))
        return fine and self.rerun == "same True" and not self.left

    def line(self) -> str:
        """One line for a log."""
        case = self.case
        hit = f"{case.victim} after {case.after:.1f} s" if self.hit else f"nothing (no {case.victim} then)"
        return (
            f"{'ok ' if self.good else 'BAD'} {case.way}, {case.place}: {hit}: {self.said}; "
            f"then on {case.again}: {self.rerun}; left: {', '.join(self.left) or 'nothing'}; "
            f"{self.seconds:.0f} s"
        )


def cases(seed: int, ways: tuple[str, ...]) -> Iterator[Case]:
    """Cases without end, the same ones for the same seed."""
    choose = random.Random(seed)
    while True:
        way = choose.choice(ways)
        victim = choose.choice(VICTIMS[way])
        again = choose.choice((way, "threads", "alone"))
        place = "disk" if victim == "disk" else choose.choice(("memory", "disk"))
        yield Case(way, victim, choose.uniform(0.0, 12.0 if way != "threads" else 4.0), place, again)


# --- one session -------------------------------------------------------------------------------------------


def run_case(case: Case) -> Outcome:
    """Run a session that something happens to, then another one."""
    folder = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    began = time.monotonic()
    hits: list[int] = []
    try:
        with _small_disk(folder / "scratch", case.victim == "disk"), _dask(case.way, folder) as address:
            said = _session(
                case.way, case.place, folder, address, lambda pid: hits.append(_hit(case, pid, folder))
            )
            (folder / "scratch" / "filler").unlink(missing_ok=True)
            left = _left(folder)
            rerun_on = "" if case.again != case.way else address
            if rerun_on and not _answers(rerun_on):
                with _dask(case.way, folder) as fresh:
                    rerun = _session(case.again, case.place, folder, fresh, None)
            else:
                rerun = _session(case.again, case.place, folder, rerun_on, None)
            left += [path.name for path in (folder / "scratch").rglob("*.arrow")]
        left += _left(folder)
    finally:
        for process in _processes(folder):
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(case, said, bool(hits and hits[0]), rerun, tuple(left), time.monotonic() - began)


def _environ(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "RAYSPY_TMPDIR": str(folder / "scratch"),
        "RAYSPY_CHAOS": str(folder),
        "DASK_TEMPORARY_DIRECTORY": str(folder / "dask"),
    }


def _session(
    way: str, place: str, folder: Path, address: str, happens: Callable[[int], object] | None
) -> str:
    """What a session says last; `happens` is called with its process as soon as it computes."""
    words = [sys.executable, "-m", "tests.chaos.work", way, place, *([address] if address else [])]
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(
            words, env=_environ(folder), stdout=subprocess.PIPE, stderr=errors, text=True,
            start_new_session=True,
        )  # fmt: skip
        timer = threading.Timer(LIMIT, _end, (process,))
        timer.daemon = True
        timer.start()
        said = ""
        for line in process.stdout or ():
            if line.startswith(("go", "same ", "error ")):  # Ray prints, too
                said = line.strip()
            if line.strip() == "go" and happens is not None:
                threading.Thread(target=happens, args=(process.pid,), daemon=True).start()
        status = process.wait()
        timer.cancel()
        errors.seek(0)
        told = [line for line in errors.read().splitlines() if line.strip()]
    if said != "go":
        return said
    if status == -signal.SIGKILL:
        return "HANGS" if happens is None or (folder / "hangs").exists() else "killed"
    if any("Ray has ended" in line or "ended before its Ray did" in line for line in told):
        return "told, then ended by Ray"
    return f"RAW, status {status}: {' | '.join(told[-2:])[:300]}"


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        Path(psutil.Process(process.pid).environ()["RAYSPY_CHAOS"], "hangs").touch()
        process.kill()


@contextlib.contextmanager
def _small_disk(folder: Path, small: bool) -> Iterator[None]:
    folder.mkdir(mode=0o700)
    if not small:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def _dask(way: str, folder: Path) -> Iterator[str]:
    """A scheduler and two workers with nannies, as processes of their own; yields the address."""
    if way not in ("dask-on-ray", "nodes", "dask"):
        yield ""
        return
    file, processes = Path(tempfile.mkdtemp(dir=folder, prefix="d")) / "s.json", []
    cli = [sys.executable, "-m", "distributed.cli."]

    def start(name: str, *words: str) -> None:
        command = [*cli[:2], f"{cli[2]}{name}", *words]
        with (folder / "dask.log").open("a") as log:
            processes.append(subprocess.Popen(command, env=_environ(folder), stdout=log, stderr=log))

    try:
        start("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        for _ in range(2):
            start("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard",
                  "--memory-limit", "1.5GB", "--local-directory", str(folder / "dask"))  # fmt: skip
        yield _address(file)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _address(file: Path) -> str:
    import json

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.1)
    raise RuntimeError("the Dask scheduler did not come up")


def _answers(address: str) -> bool:
    import socket

    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    with contextlib.suppress(OSError):
        socket.create_connection((host, int(port)), timeout=2).close()
        return True
    return False


# --- what happens ------------------------------------------------------------------------------------------


def _hit(case: Case, pid: int, folder: Path) -> bool:
    """Wait for the moment, then do it; returns whether there was something to hit."""
    time.sleep(case.after)
    if not psutil.pid_exists(pid):
        return False
    if case.victim == "disk":
        with contextlib.suppress(OSError), (folder / "scratch" / "filler").open("wb") as filler:
            filler.write(bytes(2 * _DISK))
        return True
    while psutil.pid_exists(pid):  # until there is one
        candidates = [pid] if case.victim == "driver" else _candidates(case.victim, folder)
        for candidate in random.Random(case.after).sample(candidates, len(candidates)):
            with contextlib.suppress(OSError):
                os.kill(candidate, signal.SIGKILL)
                return True
        time.sleep(0.1)
    return False


def _candidates(victim: str, folder: Path) -> list[int]:
    found, processes = [], _processes(folder)
    for process in [*processes, *_workers(processes)]:
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            signs = {
                "actor": words.startswith("ray::") and "IDLE" not in words and "Agent" not in words,
                "raylet": process.name() == "raylet",
                "gcs_server": process.name() == "gcs_server",
                "scheduler": "dask_scheduler" in words,
                "nanny": "dask_worker" in words,
                "Dask worker": "spawn_main" in words
                and "dask_worker" in " ".join(process.parent().cmdline()),
            }
            if signs[victim]:
                found.append(process.pid)
    return sorted(set(found))


def _workers(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Ray's workers, whose title has taken the place of what they could be known by."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found += process.children() if process.name() == "raylet" else []
    return found


def _processes(folder: Path) -> list[psutil.Process]:
    """Everything that a session has started, this process left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = any(f"{folder}/" in word for word in process.cmdline())
            inside = process.environ().get("RAYSPY_CHAOS") == str(folder)
            if (named or inside) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _left(folder: Path) -> list[str]:
    """Processes and folders that are left of a session, once it had time to tidy."""
    deadline = time.monotonic() + _GONE_SECONDS
    while True:
        found = [f"folder {path.name}" for path in (*folder.glob("rayspy-*/r*"), *folder.glob("pymp-*"))]
        for process in _processes(folder):
            with contextlib.suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if "distributed" not in words and "multiprocessing" not in words:
                    found.append(f"process {words[:120]}")
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


# --- many of them ------------------------------------------------------------------------------------------


def campaign(seed: int, seconds: float, ways: tuple[str, ...], say: Callable[[str], None]) -> list[Outcome]:
    """Run cases for so many seconds."""
    began, outcomes = time.monotonic(), list[Outcome]()
    for case in cases(seed, ways):
        if time.monotonic() - began > seconds:
            break
        outcomes.append(run_case(case))
        say(outcomes[-1].line())
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Counts by way and victim, for docs/reliability.md."""
    rows = [
        "| computed on | hit | times | same bits | named error or ended | wrong |",
        "|---|---|---|---|---|---|",
    ]
    for key in sorted({(o.case.way, o.case.victim) for o in outcomes}):
        found = [o for o in outcomes if (o.case.way, o.case.victim) == key and o.hit]
        same = sum(o.said == "same True" for o in found)
        bad = sum(not o.good for o in found)
        rows.append(f"| {key[0]} | {key[1]} | {len(found)} | {same} | {len(found) - same - bad} | {bad} |")
    return "\n".join(rows)


__all__ = ["Case", "Outcome", "campaign", "cases", "run_case", "table"]
