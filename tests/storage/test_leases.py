"""Large results survive pickling, and leave nothing behind in the end."""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import PathError, ScratchSpaceError
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.storage import leases
from rayspy.storage.scratch import free_bytes, scratch_root, session

VALUES = np.arange(4000.0).reshape(2000, 2)


def large() -> spy.AnalogData:
    with spy.config.using(inmemory_bytes=1000, block_bytes=8000):
        return spy.AnalogData(VALUES)


def pickled() -> list[Path]:
    return sorted((scratch_root() / leases.PICKLED).glob("array-*"))


def later(seconds: float) -> None:
    then = time.time() - seconds
    for folder in pickled():
        for path in folder.glob("*"):
            os.utime(path, (then, then))


SCRIPT = """
import pickle, sys
import numpy as np, rayspy as spy
spy.config.inmemory_bytes = 1000
if sys.argv[1] == "make":
    data = spy.AnalogData(np.arange(4000.0).reshape(2000, 2))
    pickle.dump(data, open(sys.argv[2], "wb"))
elif sys.argv[1] == "read":
    print(pickle.load(open(sys.argv[2], "rb")).data[1999, 1], flush=True)
if len(sys.argv) > 3:
    print("ready", flush=True)
    sys.stdin.read()
"""


def process(scratch: Path, *words: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "RAYSPY_TMPDIR": str(scratch)}
    command = [sys.executable, "-c", SCRIPT, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def test_a_pickle_outlives_what_was_pickled() -> None:
    data = large()
    text = pickle.dumps(data)
    assert pickle.dumps(data)[: len(text)] == text
    folder = Path(data.filename)
    del data
    gc.collect()
    assert not folder.exists()
    for _ in range(2):
        found = pickle.loads(text)
        np.testing.assert_array_equal(found.data[()], VALUES)
        assert found.filename == str(pickled()[0])
        again = pickle.loads(pickle.dumps(found))
        del found
        gc.collect()
        assert again.data[1999, 1] == 3999
        del again


def test_links_take_no_space_and_copies_share_the_array() -> None:
    data = large()
    pickle.dumps(data)
    (original,) = Path(data.filename).glob("part-0*")
    assert original.stat().st_ino == (pickled()[0] / original.name).stat().st_ino
    twin = copy.deepcopy(data)
    assert twin.source is data.source
    del data
    gc.collect()
    assert twin.data[1999, 1] == 3999
    with_copies = pickle.loads(pickle.dumps(spy.concat(twin, twin, dim="channel")))
    del twin
    gc.collect()
    assert with_copies.data[1999, 3] == 3999


def test_file_systems_without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    text = pickle.dumps(large())
    gc.collect()
    assert pickle.loads(text).data[1999, 1] == 3999


@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_a_process_that_is_gone(number: signal.Signals | None, scratch: Path, tmp_path: Path) -> None:
    with process(scratch, "make", tmp_path / "x", "wait") as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
        if number is None:
            maker.communicate()
        else:
            maker.send_signal(number)
    large()  # a new session, which removes what dead ones left
    found = pickle.loads((tmp_path / "x").read_bytes())
    np.testing.assert_array_equal(found.data[()], VALUES)
    with process(scratch, "read", tmp_path / "x") as reader:
        assert reader.communicate()[0] == "3999.0\n"
    np.testing.assert_array_equal(found.data[()], VALUES)
    assert not list(session().folder.glob("array-*"))


POOL = """
import numpy as np, rayspy as spy
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from rayspy.storage.scratch import scratch_root

def double(data):
    spy.config.inmemory_bytes = 1000
    return data * 2

if __name__ == "__main__":
    spy.config.inmemory_bytes = 1000
    data = spy.AnalogData(np.arange(4000.0).reshape(2000, 2))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = list(pool.map(double, [data, data]))
    assert [f.data[1999, 1] for f in found] == [7998, 7998]
    print(len(list((scratch_root() / "pickled").glob("array-*"))))
"""


def test_a_pool_leaves_nothing_behind(scratch: Path, tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    environment = {**os.environ, "RAYSPY_TMPDIR": str(scratch), "RAYSPY_LOG_LEVEL": "ERROR"}
    command = [sys.executable, str(tmp_path / "pool.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert [p for p in scratch.rglob("*") if p.suffix in (".arrow", ".json")] == []


def test_unread_pickles_expire() -> None:
    text = pickle.dumps(large())
    gc.collect()
    later(8 * 86400)
    assert leases.remove_unused(scratch_root(), spy.config.pickle_keep) == 0  # its maker is alive
    assert leases.remove_unused(scratch_root(), spy.config.pickle_keep, leaving=True) == 1
    found = pickle.loads(text)
    with pytest.raises(PathError, match=r"does not exist.*`save`"):
        found.data[0, 0]
    with pytest.raises(PathError, match="save"):
        pickle.dumps(found)


def strange(made: int, read: int, elder: Any = None, host: str = "") -> Path:
    """An array whose pickles another process made, which is gone."""
    before = pickled()
    pickle.dumps(large())
    gc.collect()
    (folder,) = (found for found in pickled() if found not in before)
    for path in folder.glob("pickles-*"):
        path.unlink()
    ticket = {"host": host or leases.host(), "family": [[1 << 30, 5.0]], "made": made, "read": read}
    (folder / "pickles-x.json").write_text(json.dumps({**ticket, "elders": [elder] if elder else []}))
    return folder


@pytest.mark.parametrize(
    ("made", "read", "elder", "host", "age", "kept"),
    [
        (1, 0, None, "", 0, True),
        (1, 0, None, "", 700_000, False),
        (2, 1, [1 << 30, 5.0], "", 0, True),
        (1, 1, [1 << 30, 5.0], "", 0, False),
        (1, 1, "self", "", 700_000, True),
        (1, 1, [1 << 30, 5.0], "elsewhere", 0, True),
        (1, 1, [1 << 30, 5.0], "elsewhere", 700_000, False),
    ],
)
def test_who_keeps_an_array(made: int, read: int, elder: Any, host: str, age: float, kept: bool) -> None:
    folder = strange(made, read, leases._family()[0] if elder == "self" else elder, host)
    later(age)
    leases.remove_unused(scratch_root(), spy.config.pickle_keep)
    assert folder.exists() is kept


def test_cleanup() -> None:
    own, other = pickle.loads(pickle.dumps(large())), strange(1, 0)
    assert spy.cleanup() == 0
    assert spy.cleanup(older_than=0) == 1
    assert not other.exists()
    assert own.data[1999, 1] == 3999


def test_a_holder_that_was_killed_does_not_count() -> None:
    folder = strange(1, 1)
    (folder / f"held-{leases.host()}-{1 << 30}-abcd").touch()
    elsewhere = strange(1, 1)
    (elsewhere / "held-elsewhere-1-abcd").touch()
    leases.remove_unused(scratch_root(), spy.config.pickle_keep)
    assert (folder.exists(), elsewhere.exists()) == (False, True)


def test_the_quota_counts_them_and_what_was_read_makes_room() -> None:
    large()
    with spy.config.using(scratch_quota=110_000):
        before = free_bytes()
        data = large()
        pickle.dumps(data)
        assert 31_000 < before - free_bytes() < 35_000
        found = pickle.loads(pickle.dumps(data))
        del data
        gc.collect()
        assert 31_000 < before - free_bytes() < 35_000
        strange(1, 1, leases._family()[0])
        assert 62_000 < before - free_bytes() < 70_000
        kept = [large(), large()]  # the second only where the read one goes
        with pytest.raises(ScratchSpaceError):
            large()
        assert found.data[1999, 1] == kept[1].data[1999, 1]


def test_workers_of_a_run_get_no_pickles() -> None:
    data = large()
    plan = plan_for("copy", data, Copying(), selected(data, None))
    sent = pickle.loads(pickle.dumps(plan.for_workers()))
    assert sent.source.folder == data.filename
    assert pickled() == []


def test_an_array_that_was_removed_cannot_be_pickled() -> None:
    data = large()
    shutil.rmtree(data.filename)
    with pytest.raises(PathError, match="save"):
        pickle.dumps(data)
    with pytest.raises(PathError, match="save"):
        data.data[0, 0]
