"""Packed results in processes that are really killed, at moments that are chosen, and in others that go on.

Everything happens in forks of one process, as starting Python takes longer than all of them. A fork
tells over a pipe of each part that is finished and each block that is computed, which a kill cannot undo.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pyarrow as pa

import rayspy as spy
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Median
from rayspy.planning.plan import Plan
from rayspy.storage import leftovers, packs, parts, scratch
from rayspy.storage.sources import read_all

N = 60
AT = 25
"""The part at which a process is killed."""
WAYS = {"disk": N, "memory": N, "channels": 2 * N, "median": N}
"""What is computed, and how many blocks it has."""
CUT_OFF = {"nothing of it": 0.0, "half of its header": 0.1, "half of its numbers": 0.7, "all of it": 1.0}
"""How much of a part is in the file when the process ends."""
STEPS = ("before the mark", "half of the description", "described", "renamed")
MOMENTS = (*CUT_OFF, *STEPS, "again and again", "any", "two at once")
_PART_DONE, _COMPUTED = b"p", b"c"
_told = -1


@dataclass(frozen=True)
class Telling(Copying):
    """Copies, somewhat changed."""

    name: ClassVar[str] = "telling"

    def kernel(self, part: Any) -> Any:
        return _tell_and_copy


def _tell_to(where: int | str) -> None:
    global _told
    _told = os.open(where, os.O_WRONLY) if isinstance(where, str) else where


def _tell_and_copy(x: Any, out: Any = None) -> Any:
    os.write(_told, _COMPUTED)
    time.sleep(0.002)
    np.copyto(out, x * np.float32(1.5))
    return out


def values_of(way: str) -> Any:
    """Trials, samples and channels; as many channels as there are blocks where blocks have all trials."""
    shape = (3, 40, N) if way == "median" else (N, 40, 3)
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def plan_of(way: str) -> Plan:
    """A plan of one block for each trial or channel, or of two for each trial."""
    values = values_of(way)
    edges = np.arange(len(values) + 1) * values.shape[1]
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(len(values))])
    data = spy.AnalogData(values.reshape(-1, values.shape[2]), samplerate=100.0, trialdefinition=trl)
    reduction, channels = (Median() if way == "median" else None), (2 if way == "channels" else None)
    return plan_for("telling", data, Telling(), selected(data, None), reduction, channels)


def expected(way: str) -> Any:
    """The result, computed in another way."""
    values = values_of(way) * np.float32(1.5)
    return np.median(values, axis=0) if way == "median" else values.reshape(-1, 3)


def compute(way: str) -> Any:
    """The result."""
    many = {"_MOST_PARTS": 5, "_LEAST_BYTES": 9000}
    with mock.patch.multiple(packs, **many), spy.config.using(block_bytes=240, resume_after=0.0, num_cpus=2):
        plan = plan_of(way)
        assert plan.n_blocks == WAYS[way]
        with spy.config.using(inmemory_bytes=2**20 if way == "memory" else 10):
            return read_all(run_plan(plan, None)[0])


# -- ends ------------------------------------------------------------------------------------------------


def _end(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _end_of_part(share: float, at: int) -> Any:
    """Write so much of a part and end, once the run is one that can be gone on with."""
    write, lock, left = pa.ipc.write_tensor, threading.Lock(), [at]

    def cut_off(tensor: Any, file: Any) -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                wait_for_marks(scratch.session().folder, 1)
                whole = pa.BufferOutputStream()
                write(tensor, whole)
                content = whole.getvalue().to_pybytes()
                file.write(content[: round(share * len(content))])
                _end()
        write(tensor, file)

    return mock.patch.object(pa.ipc, "write_tensor", cut_off)


def _held(at: int) -> Any:
    """Do not write this part, as the process is about to be killed."""
    write, left = pa.ipc.write_tensor, [at]

    def writing(tensor: Any, file: Any) -> None:
        left[0] -= 1
        while left[0] <= 0:
            time.sleep(1)
        write(tensor, file)

    return mock.patch.object(pa.ipc, "write_tensor", writing)


def wait_for_marks(folder: Path, n: int) -> None:
    """Wait until so many runs can be gone on with."""
    while len(list(folder.rglob(leftovers.MARK))) < n:
        time.sleep(0.001)


def _end_at_step(step: str) -> Any:
    def half(path: Path, content: Any, indent: int | None = 1) -> None:
        if path.name == parts.META:
            path.with_name(f"{path.name}.{os.getpid()}.tmp").write_text("{")
            _end()
        write(path, content, indent)

    def described(*args: Any) -> None:
        describe(*args)
        _end()

    def renamed(*args: Any) -> None:
        commit(*args)
        _end()

    write, describe, commit = parts.write_json, parts.write_meta, parts.PartsTarget.commit
    return {
        "before the mark": lambda: mock.patch.object(leftovers, "mark", _end),
        "half of the description": lambda: mock.patch.object(parts, "write_json", half),
        "described": lambda: mock.patch.object(parts, "write_meta", described),
        "renamed": lambda: mock.patch.object(parts.PartsTarget, "commit", renamed),
    }[step]()


# -- processes -------------------------------------------------------------------------------------------


@dataclass
class Fork:
    """A process that computes.

    Parameters
    ----------
    pid, pipe : int
        The process, and where it tells what it does.
    """

    pid: int
    pipe: int
    told: bytes = b""

    def until(self, n_parts: int) -> None:
        """Wait until so many parts are finished, or the process has ended."""
        while self.told.count(_PART_DONE) < n_parts and self._read():
            pass

    def _read(self) -> bool:
        if not select.select([self.pipe], [], [], 120)[0]:
            os.kill(self.pid, signal.SIGKILL)
            raise TimeoutError(f"nothing is heard of process {self.pid}")
        more = os.read(self.pipe, 2**16)
        self.told += more
        return bool(more)

    def ended(self) -> int:
        """Wait for the end; returns the status, negative for a signal."""
        while self._read():
            pass
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def n_finished(self) -> int:
        """Parts that are in a file."""
        return self.told.count(_PART_DONE)

    @property
    def n_computed(self) -> int:
        """Blocks that were computed."""
        return self.told.count(_COMPUTED)


def fork(way: str, wanted: Any = None, ends: Callable[[], Any] | None = None) -> Fork:
    """Compute in another process, which compares its result to `wanted`."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Fork(pid, reading)
    os.close(reading)
    _tell_to(writing)
    append = packs.append_part

    def telling(folder: str, start: tuple[int, ...], array: Any, full: int) -> Any:
        made = append(folder, start, array, full)
        if way != "median" or array.dtype == np.uint8:  # its states: results are made of them again
            os.write(writing, _PART_DONE)
        return made

    with mock.patch.object(parts, "append_part", telling):
        if ends is not None:
            with ends():
                compute(way)
            sys.exit("it was not killed")
        found = compute(way)
    sys.exit(0 if found.tobytes() == wanted.tobytes() else "other bits")


def files_in(folder: Path) -> list[str]:
    """What is left."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def killed_at(way: str, moment: str) -> list[Fork]:
    """Processes that were killed one after the other."""
    if moment == "again and again":
        ends: list[Any] = [partial(_end_of_part, 0.7, at) for at in (10, 20, 25)]
    elif moment in CUT_OFF:
        ends = [partial(_end_of_part, CUT_OFF[moment], AT)]
    else:
        ends = [partial(_end_at_step, moment)]
    killed = []
    for end in ends:
        killed.append(fork(way, ends=end))
        assert killed[-1].ended() == -signal.SIGKILL
    return killed


def killed_from_outside(way: str, n: int, folder: Path) -> list[Fork]:
    """Processes that were killed at any moment, at the same time."""
    killed = [fork(way, ends=partial(_held, AT + 10)) for _ in range(n)]
    for one in killed:
        one.until(AT // 2)
    wait_for_marks(folder, n)
    for one in killed:
        os.kill(one.pid, signal.SIGKILL)
    assert {one.ended() for one in killed} == {-signal.SIGKILL}
    return killed


def moments(way: str) -> list[str]:
    """When to kill; other ways differ in what they write, not in how."""
    return [one for one in MOMENTS if way == "disk" or one in ("half of its numbers", *MOMENTS[-3:])]


def story(way: str, moment: str, wanted: Any) -> dict[str, Any]:
    """Kill, go on, and tell what has to hold."""
    n = 2 if moment == "two at once" else 1
    folder = Path(sys.argv[1], f"{way} {moment}")
    folder.mkdir()
    spy.config.scratch_dir = str(folder)
    outside = moment in ("any", "two at once")
    killed = killed_from_outside(way, n, folder) if outside else killed_at(way, moment)
    resumed = [fork(way, wanted) for _ in range(n)]
    same = [one.ended() == 0 for one in resumed]
    return {
        "story": [way, moment],
        "same": all(same),
        "finished": [one.n_finished for one in killed],
        "computed": sorted(one.n_computed for one in resumed),
        "left": files_in(folder),
    }


def main() -> None:
    """Tell all stories, a line each; what they leave is in the folder that is given."""
    spy.set_loglevel("ERROR")
    _tell_to(os.devnull)
    for way in WAYS:
        wanted = expected(way)
        with spy.config.using(scratch_dir=sys.argv[1], resume=False):
            assert compute(way).tobytes() == wanted.tobytes()  # and all is imported before there are forks
        for moment in moments(way):
            print(json.dumps(story(way, moment, wanted)), flush=True)


if __name__ == "__main__":
    main()
