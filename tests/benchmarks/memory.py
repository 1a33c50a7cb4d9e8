"""Does every front-end stay within what it projects? In a control group that would kill it.

    python -m tests.benchmarks.memory                 # on two threads
    python -m tests.benchmarks.memory --ray           # on two Ray actors
    python -m tests.benchmarks.memory --megabytes 400 --only wavelet

For trials of equal length, of unequal ones and a single long one in a file, and for
budgets from 50 MB, all calls run in a process in a control group (version 1 or 2, if
one can be made), whose limit is what the process, and Ray, had before a call, plus the
budget and a reserve. Measured is the largest memory of all processes of the group that
are not files, above what it was after a small call had loaded what is compiled. Calls
that do not fit are refused before anything runs, which is shown as such.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import rayspy as spy
from rayspy.errors import InvalidValueError, MemoryBudgetError
from rayspy.executors import driver
from tests.planning.test_projection import HEAVY, LIGHT

MB = 10**6
RESERVE = 300 * MB
"""What the group may have besides: the limit is there to kill, not to measure."""
ALLOCATOR = 16 * MB
"""What memory that was given back, stacks of threads and open files may amount to."""
KINDS = ("equal", "unequal", "single")
FEW_CHANNELS = {*HEAVY, "granger"}
CALLS = {
    **HEAVY,
    **LIGHT,
    "coherence": lambda d: spy.connectivityanalysis(d, foilim=[0, 50]),
    "granger": lambda d: spy.connectivityanalysis(d, method="granger", tapsmofrq=4),
    "corr": lambda d: spy.connectivityanalysis(d, method="corr"),
    "timelock": lambda d: spy.timelockanalysis(d, latency="minperiod", covariance=True),
    "median": lambda d: spy.median(d, dim="trials"),
    "std": lambda d: spy.std(d, dim="time"),
}


def lengths_of(kind: str, n_samples: int) -> list[int]:
    """Lengths of trials that are so many samples together."""
    if kind == "single":
        return [n_samples]
    n = n_samples // 2000
    return [2000] * n if kind == "equal" else [1000 + 2000 * k // n for k in range(n)]


def recording(kind: str, n_channels: int, megabytes: int, path: Path) -> spy.AnalogData:
    """A file of noise, made in pieces."""
    lengths = lengths_of(kind, max(4000, megabytes * MB // (4 * n_channels)))
    edges = np.cumsum([0, *lengths])
    piece = np.random.default_rng(0).normal(size=(min(2**16, edges[-1]), n_channels)).astype(np.float32)
    with path.open("wb") as file:
        for first in range(0, int(edges[-1]), len(piece)):
            piece[: edges[-1] - first].tofile(file)
    trl = np.column_stack([edges[:-1], edges[1:], np.full(len(lengths), -50)])
    return spy.AnalogData(spy.raw_binary(path, "float32", n_channels), samplerate=1000, trialdefinition=trl)


# -- in the process that is measured ------------------------------------------------------------------------


def resident(group: Path | None) -> int:
    """Bytes of the group, or of this process, that are not files: Ray's object store is none."""
    if group is not None:
        words = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        sizes = {name: int(number) for name, number in words}
        which = ("total_rss", "total_shmem") if "total_rss" in sizes else ("anon", "shmem")
        return sum(sizes[name] for name in which)
    with Path("/proc/self/statm").open() as file:
        _, pages, shared = file.read().split()[:3]
    return (int(pages) - int(shared)) * os.sysconf("SC_PAGESIZE")


@contextlib.contextmanager
def watched(group: Path | None) -> Iterator[list[int]]:
    """Look every few milliseconds; the list has the largest size."""
    largest, done = [resident(group)], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            largest[0] = max(largest[0], resident(group))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield largest
    finally:
        done.set()
        thread.join()


def several(asked: dict[str, Any]) -> None:
    """Run calls and print what was projected and measured for each."""
    spy.set_loglevel("ERROR")
    group = Path(asked["group"]) if asked["group"] else None
    with tempfile.TemporaryDirectory() as folder:
        spy.config.scratch_dir, spy.config.num_cpus, spy.config.resume = folder, 2, False
        if asked["ray"]:
            spy.config.dashboard = False
            spy.freqanalysis(recording("equal", 8, 1, Path(folder, "small")), parallel=True)
        for call in asked["calls"]:
            print(json.dumps({"call": call, **one(call, asked, group, Path(folder))}), flush=True)


def one(call: str, asked: dict[str, Any], group: Path | None, folder: Path) -> dict[str, Any]:
    """Run a call after a small one."""
    function, n_channels = CALLS[call], 8 if call in FEW_CHANNELS else 64
    projected = [0]
    choose = driver.choose

    def noting(parallel: bool | None, memory: Any, name: str) -> Any:
        choice = choose(parallel, memory, name)
        on_ray = choice.executor.name != "local"
        projected.append(memory.driver + memory.of_workers(choice.executor.n_workers, on_ray))
        return choice

    try:
        # What writes results is loaded, too, and by every actor: some of them may start late.
        with spy.config.using(inmemory_bytes=1000, block_bytes=2**18):
            small, before, now = 20 if asked["ray"] and asked["kind"] != "single" else 2, -MB, 0
            for _ in range(5 if asked["ray"] else 1):
                if now - before > MB / 2:
                    before = now
                    function(recording(asked["kind"], n_channels, small, folder / "y"))
                    now = resident(group)
    except InvalidValueError:
        return {"fault": "not for these trials", "accepted": True}
    data = recording(asked["kind"], n_channels, asked["megabytes"], folder / "x")
    give_back()
    before = resident(group)
    if group is not None:
        limit = next(group / name for name in _LIMITS if (group / name).exists())
        limit.write_text(str(before + asked["budget"] + RESERVE))
    refused = False
    driver.choose = noting
    try:
        with spy.config.using(memory_budget=asked["budget"]), watched(group) as largest:
            function(data)
    except MemoryBudgetError:
        refused = True
    finally:
        driver.choose = choose
        if group is not None:
            limit.write_text("-1" if limit.name == _LIMITS[0] else "max")
    return {"refused": refused, "measured": largest[0] - before, "projected": max(projected)}


def give_back() -> None:
    """Return what earlier calls freed to the system, which would hide what the next one takes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_LIMITS = ("memory.limit_in_bytes", "memory.max")


# -- the campaign -------------------------------------------------------------------------------------------


def make_group(name: str) -> Path | None:
    """A control group of its own; None where none can be made."""
    for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        if (root / "cgroup.procs").exists():
            group = root / name
            with contextlib.suppress(OSError):
                group.mkdir()
                return group
    return None


def run(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run calls in a process in its control group; a last word where that was killed."""
    group = make_group(f"rayspy-memory-{os.getpid()}")
    asked = {**asked, "group": "" if group is None else str(group)}
    enter = "" if group is None else f"echo $$ > {group}/cgroup.procs; "
    command = (
        f"{enter}exec {sys.executable} -W ignore -m tests.benchmarks.memory --several '{json.dumps(asked)}'"
    )
    process = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True)
    done = 0
    try:
        for line in process.stdout or ():
            yield json.loads(line)
            done += 1
        if process.wait():
            yield {"call": asked["calls"][done], "fault": f"ended with {process.returncode}"}
    finally:
        process.kill()
        process.wait()
        for _ in range(100 if group is not None else 0):
            with contextlib.suppress(OSError):
                group.rmdir()  # type: ignore[union-attr]
                break
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--budgets", type=int, nargs="+", default=[50, 200])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--only", default="", help="calls whose names begin so")
    parser.add_argument("--several", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.several:
        several(json.loads(asked.several))
        return
    n_wrong = 0
    print(f"{'call':15} {'trials':8} {'budget':>7} {'projected':>10} {'measured':>9}   MB")
    only = asked.only.split(",")
    calls = [call for call in CALLS if any(call.startswith(begin) for begin in only)]
    for kind in asked.kinds:
        for budget in asked.budgets:
            given = {"calls": calls, "kind": kind, "budget": budget * MB, "ray": asked.ray}
            for found in run({**given, "megabytes": asked.megabytes}):
                line = f"{found['call']:15} {kind:8} {budget:7}"
                if "fault" in found:
                    n_wrong += not found.get("accepted", False)
                    print(f"{line} {found['fault']}", flush=True)
                    continue
                over = found["measured"] - found["projected"] if not found["refused"] else 0
                n_wrong += over > ALLOCATOR
                words = "refused" if found["refused"] else f"{found['measured'] / MB:9.1f}"
                mark = " !" if over > ALLOCATOR else ""
                print(f"{line} {found['projected'] / MB:10.1f} {words:>9}{mark}", flush=True)
    print(f"{n_wrong} wrong")
    sys.exit(n_wrong > 0)


if __name__ == "__main__":
    main()
