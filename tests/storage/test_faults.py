"""Files that are written under another name first."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rayspy.errors import PathError
from rayspy.storage.faults import replacing

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
    other, strange = tmp_path / "y.stat.01234567.tmp", tmp_path / "x.stat.mine.tmp"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=dict(os.environ), check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = unfinished(tmp_path)
    for one in (other, strange):
        one.write_text("of somebody else")
    old = time.time() - 10
    for one in (left, other, strange):
        os.utime(one, (old, old))
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


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="nowhere"), replacing(tmp_path / "nowhere" / "x"):
        pass
