"""Messages and progress in log files and terminals."""

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

import rayspy as spy
from rayspy.progress import Progress, message

PROGRAM = """
import time
import rayspy as spy
from rayspy.progress import Progress, message
spy.config.progress_interval = 0.2
progress = Progress("freqanalysis", 10, 10 * 10**6)
for _ in range(10):
    time.sleep(0.15)
    progress.update(10**6)
message("freqanalysis", "in between")
progress.close()
"""


def test_lines_in_a_log_file():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stderr.splitlines()
    assert done.stdout == ""
    assert 2 <= len(lines) <= 9
    pattern = r"rayspy <freqanalysis> INFO: \d+ of 10 blocks, \d+ MB/s, 0:0\d elapsed, about 0:0\d left"
    assert all(re.fullmatch(pattern, line) for line in lines[:-1])
    assert lines[-1] == "rayspy <freqanalysis> INFO: in between"


def test_a_bar_in_a_terminal():
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=follower, stderr=follower, stdin=follower
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "rayspy <freqanalysis>:" in text
    assert re.search(r"\d+/10 ", text)
    assert "MB/s" in text
    assert text.count("in between") == 1


def test_short_runs_show_nothing(caplog):
    with caplog.at_level(logging.INFO, logger="rayspy"), spy.config.using(progress=True):
        progress = Progress("f", 2, 2)
        progress.update(1)
        progress.update(1)
        progress.close()
    assert caplog.messages == []


def test_time_left():
    progress = Progress("f", 100, 100 * 10**6, _done=10, _bytes=10**7, _began=time.monotonic() - 600)
    assert progress.line() == "10 of 100 blocks, 0 MB/s, 10:00 elapsed, about 1:30:00 left"


def test_messages_go_to_handlers_of_the_user(caplog):
    with caplog.at_level(logging.INFO, logger="rayspy"):
        message("selectdata", "hello")
    assert caplog.messages == ["rayspy <selectdata> INFO: hello"]


def test_set_loglevel(caplog):
    level = logging.getLogger("rayspy").level
    try:
        spy.set_loglevel("error")
        message("f", "not shown")
        assert logging.getLogger("rayspy").level == logging.ERROR
        with pytest.raises(spy.errors.InvalidValueError, match="log_level"):
            spy.set_loglevel("FOO")
    finally:
        spy.set_loglevel("INFO")
        logging.getLogger("rayspy").setLevel(level)
    assert caplog.messages == []
