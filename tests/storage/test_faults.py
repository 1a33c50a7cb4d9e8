"""Files that are written under another name first."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rayspy.errors import PathError
from rayspy.storage.faults import replacing
from rayspy.storage.unfinished import abandoned, made

KILLED = """
import os, signal, sys
from pathlib import Path
from rayspy.storage.faults import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*.tmp"))


def test_what_a_killed_process_left_goes_with_the_next_file(tmp_path: Path) -> None:
    path = tmp_path / "x.stat"
    other, strange = tmp_path / "y.stat.01234567.rayspy.tmp", tmp_path / "x.stat.mine.rayspy.tmp"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = unfinished(tmp_path)
    older = tmp_path / "z.stat.01234567.rayspy.tmp"
    for one in (other, strange, older):
        one.write_text("of somebody else")
    old = time.time() - 10
    for one in (left, other, strange):
        os.utime(one, (old, old))
    os.utime(older, (old - 7200, old - 7200))
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert sorted(unfinished(tmp_path)) == [strange, other]


def test_what_another_is_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.stat"
    with replacing(path) as first:
        first.write_text("first")
        os.utime(first, (1, 1))
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        assert unfinished(tmp_path) == [first]
    assert path.read_text() == "first"
    assert not unfinished(tmp_path)


def test_old_files_that_somebody_writes_stay(tmp_path: Path) -> None:
    with replacing(tmp_path / "x.stat") as slow:
        os.utime(slow, (1, 1))
        with replacing(tmp_path / "y.stat") as other:
            other.write_text("other")
        assert unfinished(tmp_path) == [slow]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_was_taken_for_left_behind_is_made_again(make: Callable[[Path], None], tmp_path: Path) -> None:
    names = iter(("first", "second"))

    def make_and_lose(path: Path) -> None:
        make(path)
        if path.name == "first":
            path.rename(tmp_path / "gone")

    with made(lambda: tmp_path / next(names), make_and_lose) as path:
        assert path.name == "second"
        with abandoned(path) as nobody_has_it:
            assert not nobody_has_it
    with abandoned(path) as nobody_has_it:
        assert nobody_has_it


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="nowhere"), replacing(tmp_path / "nowhere" / "x"):
        pass
