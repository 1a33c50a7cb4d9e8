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
from rayspy.progress import Progress, _digits, message

PROGRAM = """
import time
import rayspy as spy
from rayspy.progress import Progress, message
spy.config.progress_interval = 0.3
progress = Progress("freqanalysis", 10, 10**6, intro="10 blocks on 1 thread").start()
for _ in range(10):
    time.sleep(0.25)
    progress.update(10**5)
message("freqanalysis", "in between")
progress.close()
"""


def test_lines_in_a_log_file():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stderr.splitlines()
    assert done.stdout == ""
    assert lines[0] == "rayspy <freqanalysis> INFO: 10 blocks on 1 thread"
    assert lines[-1] == "rayspy <freqanalysis> INFO: in between"
    assert len(lines) >= 4
    pattern = r"rayspy <freqanalysis> INFO: \d+ of 10 blocks, 0\.\d+ MB/s, 0:0\d elapsed(, about 0:0\d left)?"
    assert all(re.fullmatch(pattern, line) for line in lines[1:-1])


def on_terminal(code, columns=120):
    """What a program shows on a pseudo-terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=follower, stderr=follower, stdin=follower)
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
    return shown.decode()


@pytest.mark.parametrize("columns", [120, 0])
def test_a_bar_in_a_terminal(columns):
    text = on_terminal(PROGRAM, columns)
    assert "rayspy <freqanalysis>:" in text
    assert re.search(r"\d+/10 blocks", text)
    assert " 0/10 blocks" in text
    assert "MB/s" in text
    assert text.count("in between") == 1


SILENT = """
import time
from rayspy import progress
from rayspy.frontends.call import frontend_without_cfg

progress._SILENCE = 0.2
end = time.monotonic() + 20

def wait():
    while progress._life is not None and progress._life._line is None and time.monotonic() < end:
        time.sleep(0.01)

@frontend_without_cfg
def slow():
    wait()
    progress.message("slow", "it begins")
    wait()
    time.sleep(0.3)
    raise KeyError

try:
    slow()
except KeyError:
    print("over", flush=True)
"""


def test_a_call_is_never_silent_for_long():
    before, after = on_terminal(SILENT).split("rayspy <slow> INFO: it begins")
    assert "rayspy <slow>: working .." in before
    assert "rayspy <slow>: working .." in after
    assert re.search(r" {20}\r\s*over", after)  # the line is gone
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "rayspy <slow> INFO: it begins\n"


@pytest.mark.parametrize(("n_bytes", "level"), [(2, "DEBUG"), (2**24, "INFO")])
def test_short_runs_are_told_of_if_they_are_large(caplog, n_bytes, level):
    with caplog.at_level(logging.DEBUG, logger="rayspy"), spy.config.using(progress=True):
        progress = Progress("f", 2, n_bytes, intro="2 blocks").start()
        progress.update(1)
        progress.update(1)
        progress.close()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (level, f"rayspy <f> {level}: 2 blocks")
    ]


def test_nothing_is_estimated_from_the_first_block():
    now = time.monotonic()
    progress = Progress("f", 100, 10**8, _done=1, _bytes=10**7, _began=now - 600, _first=(now, 10**7))
    assert progress.line() == "1 of 100 blocks, 0.017 MB/s, 10:00 elapsed"
    progress = Progress("f", 100, 10**8, _done=11, _bytes=10**8, _began=now - 600, _first=(now - 20, 10**7))
    assert progress.line() == "11 of 100 blocks, 4.5 MB/s, 10:00 elapsed, about 2:58 left"


@pytest.mark.parametrize(
    ("number", "text"), [(1234.5, "1234"), (99.94, "99.9"), (0.125, "0.125"), (0.00421, "0.0042"), (0, "0")]
)
def test_rates_have_digits_that_say_something(number, text):
    assert _digits(number) == text


IN_FILE = """
import logging, time
import rayspy as spy
from rayspy.progress import message, waiting
spy.config.progress_interval = 0.5
with waiting("f", "starting Ray"):
    time.sleep(2.2)
logging.getLogger("rayspy").addHandler(logging.NullHandler())
message("f", "for the handler of the user only")
"""


def test_waiting_is_told_at_once_and_with_the_time_in_files(tmp_path):
    with (tmp_path / "log").open("w") as log:
        subprocess.run([sys.executable, "-c", IN_FILE], stderr=log, timeout=60, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d rayspy <f> INFO: starting Ray \.\.", lines[0])
    assert all(re.search(r"starting Ray, \d s so far \.\.$", line) for line in lines[1:])
    assert len(lines) > 1


def test_ctrl_c_shows_the_line_of_the_user():
    code = """
import signal, threading, time
import rayspy as spy
from rayspy.executors import driver
driver._execute = lambda *_: signal.raise_signal(signal.SIGINT)
data = spy.white_noise(nTrials=2)
spy.freqanalysis(data, parallel=False)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "KeyboardInterrupt" in done.stderr
    assert done.stderr.count("  File ") == 1
    assert 'File "<string>", line 7' in done.stderr


def test_other_errors_are_shown_as_ever():
    """After a Ctrl-C that was caught."""
    code = """
import signal
import rayspy as spy
from rayspy.executors import driver
run, driver._execute = driver._execute, lambda *_: signal.raise_signal(signal.SIGINT)
data = spy.white_noise(nTrials=2)
for _ in range(2):
    try:
        spy.freqanalysis(data, parallel=False)
    except KeyboardInterrupt:
        pass
driver._execute = run
spy.freqanalysis(data, foilim=[1, 2000])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "InvalidValueError" in done.stderr
    assert "call.py" in done.stderr


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
