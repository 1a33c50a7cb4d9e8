"""Messages and progress: a bar in terminals and notebooks, plain lines in log files."""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rayspy.config import config

_TELL_DELAY = 0.2
"""Runs shorter than this, in seconds, are not told of,"""
_TELL_BYTES = 16 * 2**20
"""unless they have so many bytes to read and write."""
_BAR_DELAY = 0.5
"""Runs shorter than this, in seconds, show no bar."""
_SILENCE = 1.5
"""A call that has shown nothing for so many seconds says that it is at work."""
IMPORTANT = 25
"""Syncopy's level between INFO and WARNING."""


def logger() -> logging.Logger:
    """Return the ``rayspy`` logger; it gets a handler at its first message.

    The handler keeps still as soon as the user has set up one here or at the root.
    """
    log = logging.getLogger("rayspy")
    if not any(isinstance(handler, _CurrentStderr) for handler in log.handlers):
        if logging.getLevelName(IMPORTANT) == f"Level {IMPORTANT}":
            logging.addLevelName(IMPORTANT, "IMPORTANT")
        log.addHandler(_CurrentStderr())
    if log.level == logging.NOTSET:
        log.setLevel(LEVELS.get(config.log_level, logging.INFO))
    return log


LEVELS = {"DEBUG": 10, "INFO": 20, "IMPORTANT": IMPORTANT, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class _CurrentStderr(logging.StreamHandler[Any]):
    """Writes to whatever ``sys.stderr`` is now, clear of a bar; in notebooks only warnings, as it is red."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._level = logging.NOTSET

    @property
    def stream(self) -> Any:
        return sys.stdout if self._level < logging.WARNING and in_notebook() else sys.stderr

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{time.strftime('%H:%M:%S')} {text}" if _in_file(self.stream) else text

    def emit(self, record: logging.LogRecord) -> None:
        if _user_listens():
            return
        self._level = record.levelno
        tqdm = sys.modules.get("tqdm")
        if tqdm is not None and in_terminal():
            tqdm.tqdm.write(self.format(record), file=sys.stderr)
        else:
            super().emit(record)


class LogFile(logging.FileHandler):
    """Writes to a file as well."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))


def _user_listens() -> bool:
    """Whether somebody has set up a handler."""
    handlers = (*logging.getLogger("rayspy").handlers, *logging.getLogger().handlers)
    return any(not isinstance(handler, (_CurrentStderr, LogFile)) for handler in handlers)


def _in_file(stream: Any) -> bool:
    try:
        return not in_notebook() and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False


def message(function: str, text: str, level: int = logging.INFO) -> None:
    """Log ``rayspy <function> LEVEL: text``."""
    if logger().isEnabledFor(level):
        _shows()
    logger().log(level, "rayspy <%s> %s: %s", function, logging.getLevelName(level), text)


def warn(function: str, text: str) -> None:
    """Log a warning."""
    message(function, text, logging.WARNING)


def set_loglevel(level: str) -> None:
    """Set the level of the ``rayspy`` logger.

    Parameters
    ----------
    level : str
        DEBUG, INFO, IMPORTANT, WARNING, ERROR or CRITICAL.
    """
    config.log_level = level
    logger().setLevel(LEVELS[config.log_level])


def in_terminal() -> bool:
    """Whether messages go to a terminal."""
    try:
        return bool(sys.stderr.isatty())
    except (AttributeError, ValueError):
        return False


def in_notebook() -> bool:
    """Whether this is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


# --- waiting -----------------------------------------------------------------------------------------------


class _Ticker:
    """Calls a function now and then, in the thread that all tickers share, until it is stopped."""

    def __init__(self, tick: Callable[[], None], first: float, seconds: float) -> None:
        self._tick = tick
        self._seconds = seconds
        self._next = time.monotonic() + first
        self._context = copy_context()
        self._lock = threading.Lock()
        self._ended = False
        _tickers.add(self)

    def look(self, now: float) -> None:
        """Call the function if it is time."""
        with self._lock:
            if now >= self._next and not self._ended:
                self._context.run(self._tick)
                self._next = time.monotonic() + self._seconds

    def stop(self) -> None:
        """Returns when the function is not called any more."""
        _tickers.remove(self)
        with self._lock:
            self._ended = True


class _Tickers:
    """The thread of all tickers, which ends when there have been none for a while.

    Starting and joining a thread for each of them would take a third of a small call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running: set[_Ticker] = set()
        self._thread: threading.Thread | None = None

    def add(self, ticker: _Ticker) -> None:
        with self._lock:
            self.running.add(ticker)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="rayspy-progress", daemon=True)
                self._thread.start()

    def remove(self, ticker: _Ticker) -> None:
        with self._lock:
            self.running.discard(ticker)

    def _run(self) -> None:
        used = time.monotonic()
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            with self._lock:
                tickers = list(self.running)
                used = now if tickers else used
                if now - used > _KEPT:
                    self._thread = None
                    return
            for ticker in tickers:
                ticker.look(now)


_LOOK, _KEPT = 0.05, 5.0
"""Seconds between looks of the thread, and for which it stays without anything to do."""
_tickers = _Tickers()


@contextmanager
def waiting(function: str, text: str) -> Iterator[None]:
    """Say at once what is waited for in a ``with`` block, and then how long it has taken.

    A terminal shows one line that counts the seconds; elsewhere there is a line
    every ``spy.config.progress_interval`` seconds.
    """
    if _on_screen() and logger().isEnabledFor(logging.INFO):
        with _counting(f"rayspy <{function}>: {text} .."):
            yield
        return
    message(function, f"{text} ..")
    began = shown = time.monotonic()

    def tick() -> None:
        nonlocal shown
        if time.monotonic() - shown >= config.progress_interval:
            shown = time.monotonic()
            message(function, f"{text}, {shown - began:.0f} s so far ..")

    ticker = _Ticker(tick, 1.0, 1.0)
    try:
        yield
    finally:
        ticker.stop()


def _on_screen() -> bool:
    """Whether a line can be shown that changes."""
    return bool(config.progress) and in_terminal()


def _columns() -> int | None:
    """Width of a terminal that does not know its own, where a bar would have none; None: let it be found."""
    try:
        return None if os.get_terminal_size(sys.stderr.fileno()).columns else 80
    except (AttributeError, OSError, ValueError):
        return None


@contextmanager
def _counting(text: str) -> Iterator[None]:
    """One line in the terminal, taken away at the end; messages go above it."""
    _shows()
    began, bar = time.monotonic(), _line(text)

    def tick() -> None:
        _shows()
        bar.set_description_str(f"{text} {time.monotonic() - began:.0f} s")

    ticker = _Ticker(tick, 1.0, 1.0)
    try:
        yield
    finally:
        ticker.stop()
        bar.close()


def _line(text: str) -> Any:
    from tqdm import tqdm

    return tqdm(bar_format="{desc}", desc=text, file=sys.stderr, leave=False, ncols=_columns())


# --- when there is nothing else to say ---------------------------------------------------------------------

_shown = 0.0
"""When something was shown."""


@contextmanager
def at_work(function: str) -> Iterator[None]:
    """Show a line in the terminal that counts the seconds of a ``with`` block when nothing else is shown.

    That is so e.g. while libraries are imported.
    """
    global _life
    if _life is not None or not _on_screen() or not logger().isEnabledFor(logging.INFO):
        yield
        return
    life = _life = _Life(function)
    ticker = _Ticker(life.look, _SILENCE, _SILENCE / 3)
    try:
        yield
    finally:
        ticker.stop()
        _life = None
        life.hide()


class _Life:
    """The line that a call shows when nothing else is shown."""

    def __init__(self, function: str) -> None:
        self._text = f"rayspy <{function}>: working .."
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._line: Any = None

    def look(self) -> None:
        """Show it, if it is time."""
        now = time.monotonic()
        with self._lock:
            if now - max(_shown, self._began) < _SILENCE:
                return
            if self._line is None:
                self._line = _line(self._text)
            self._line.set_description_str(f"{self._text} {now - self._began:.0f} s")

    def hide(self) -> None:
        """Take it away for something else."""
        with self._lock:
            line, self._line = self._line, None
            if line is not None:
                line.close()


_life: _Life | None = None


def _shows() -> None:
    """Something else is about to be shown."""
    global _shown
    _shown = time.monotonic()
    life = _life
    if life is not None:
        life.hide()


# --- progress ----------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """Progress of one run: from its start on, but not of runs that are over at once.

    Parameters
    ----------
    function : str
        Front-end, for the label.
    n_blocks : int
        Number of blocks.
    n_bytes : int
        Bytes to read and write in all.
    n_before : int
        Blocks that were done before.
    intro : str
        What is computed where. Said at once if there are many bytes, else if
        the run takes long enough to wonder.
    unit : str
        What is counted.
    """

    function: str
    n_blocks: int
    n_bytes: int
    n_before: int = 0
    intro: str = ""
    unit: str = "blocks"
    _done: int = 0
    _bytes: int = 0
    _began: float = field(default_factory=time.monotonic)
    _first: tuple[float, int] | None = None
    """When the first one was done, and its bytes: it takes longer than others."""
    _shown: float = 0.0
    _bar: Any = None
    _ticker: _Ticker | None = None

    def start(self) -> Progress:
        """Begin to tell."""
        if self.n_bytes >= _TELL_BYTES:
            self._tell()
        self._ticker = _Ticker(self._tick, _TELL_DELAY, _BAR_DELAY)
        return self

    def update(self, n_bytes: int, n_blocks: int = 1) -> None:
        """Count one, or several, that are done."""
        self._done += n_blocks
        self._bytes += n_bytes
        if self._first is None:
            self._first = time.monotonic(), n_bytes

    def _tell(self, level: int = logging.INFO) -> None:
        intro, self.intro = self.intro, ""
        if intro:
            message(self.function, intro, level)

    def _tick(self) -> None:
        self._tell()
        now = time.monotonic()
        if not config.progress or now - self._began < _BAR_DELAY:
            return
        if in_terminal() or in_notebook():
            self._update_bar()
        elif now - max(self._shown, self._began) >= config.progress_interval:
            self._shown = now
            message(self.function, self.line())

    def _update_bar(self) -> None:
        _shows()
        if self._bar is None:
            self._bar = _bar_class()(
                total=self.n_blocks,
                desc=f"rayspy <{self.function}>",
                file=sys.stdout if in_notebook() else sys.stderr,
                initial=self.n_before,
                leave=False,
                ncols=_columns(),
                bar_format=f"{{desc}}: {{bar}} {{n_fmt}}/{{total_fmt}} {self.unit}{{postfix}}",
            )
        self._bar.n = self.n_before + self._done
        self._bar.set_postfix_str(self._pace(), refresh=True)

    def rate(self) -> float:
        """Megabytes per second, the first block left out once there are others."""
        if self._first is not None and self._done > 1:
            return (self._bytes - self._first[1]) / 1e6 / max(1e-9, time.monotonic() - self._first[0])
        return self._bytes / 1e6 / max(1e-9, time.monotonic() - self._began)

    def left(self) -> float | None:
        """Seconds that are left; None before the second block: the first has compiled what all use."""
        if self._first is None or self._done < 2:
            return None
        each = (time.monotonic() - self._first[0]) / (self._done - 1)
        return each * (self.n_blocks - self.n_before - self._done)

    def _pace(self) -> str:
        left = self.left()
        rate = f"{_digits(self.rate())} MB/s, " if self._bytes else ""
        ahead = "" if left is None else f", about {_clock(left)} left"
        return f"{rate}{_clock(time.monotonic() - self._began)} elapsed{ahead}"

    def line(self) -> str:
        """One line for a log file."""
        return f"{self.n_before + self._done} of {self.n_blocks} {self.unit}, {self._pace()}"

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._ticker is not None:
            self._ticker.stop()
        self._tell(logging.INFO if time.monotonic() - self._began >= _TELL_DELAY else logging.DEBUG)
        if self._bar is not None:
            self._bar.close()


def _bar_class() -> Any:
    """A widget in notebooks that have them; text elsewhere."""
    if in_notebook() and importlib.util.find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as widget

        return widget
    from tqdm import tqdm

    return tqdm


def _digits(value: float) -> str:
    """Two or three digits that say something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.2g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
