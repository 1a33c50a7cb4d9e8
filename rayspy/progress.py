"""Messages and progress: a bar in terminals and notebooks, plain lines in log files."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rayspy.config import config

_BAR_DELAY = 0.5
"""Runs shorter than this, in seconds, show nothing."""


def logger() -> logging.Logger:
    """Return the ``rayspy`` logger; it gets a handler at its first message unless the user set one up."""
    log = logging.getLogger("rayspy")
    if not log.handlers and not logging.getLogger().handlers:
        handler = _CurrentStderr()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.propagate = False
    if log.level == logging.NOTSET:
        log.setLevel(_LEVELS.get(config.log_level, logging.INFO))
    return log


_LEVELS = {"DEBUG": 10, "INFO": 20, "IMPORTANT": 25, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}


class _CurrentStderr(logging.StreamHandler[Any]):
    """Writes to whatever ``sys.stderr`` is now, clear of a progress bar."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        tqdm = sys.modules.get("tqdm")
        if tqdm is not None and in_terminal():
            tqdm.tqdm.write(self.format(record), file=sys.stderr)
        else:
            super().emit(record)


def message(function: str, text: str, level: int = logging.INFO) -> None:
    """Log ``rayspy <function> LEVEL: text``."""
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
    logger().setLevel(_LEVELS[config.log_level])


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

_TICK_SECONDS = 1.0


class _Ticker:
    """Calls a function every second, in a thread of its own, until it is stopped."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rayspy-progress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(_TICK_SECONDS):
            self._tick()

    def stop(self) -> None:
        """Returns when the function is not called any more."""
        self._end.set()
        self._thread.join()


@contextmanager
def waiting(function: str, text: str) -> Iterator[None]:
    """Say at once what is waited for in a ``with`` block, and then how long it has taken.

    A terminal shows one line that counts the seconds; elsewhere there is a line
    every ``spy.config.progress_interval`` seconds.
    """
    if in_terminal() and config.progress and logger().isEnabledFor(logging.INFO):
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

    ticker = _Ticker(tick)
    try:
        yield
    finally:
        ticker.stop()


@contextmanager
def _counting(text: str) -> Iterator[None]:
    """One line in the terminal, taken away at the end; messages go above it."""
    from tqdm import tqdm

    began = time.monotonic()
    bar = tqdm(bar_format="{desc}", desc=text, file=sys.stderr, leave=False)
    ticker = _Ticker(lambda: bar.set_description_str(f"{text} {time.monotonic() - began:.0f} s"))
    try:
        yield
    finally:
        ticker.stop()
        bar.close()


# --- progress ----------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """Progress of one run, shown only if it takes more than half a second.

    Parameters
    ----------
    function : str
        Front-end, for the label.
    n_blocks : int
        Number of blocks.
    n_bytes : int
        Bytes to read in all, for the rate.
    n_before : int
        Blocks that were done before.
    """

    function: str
    n_blocks: int
    n_bytes: int
    n_before: int = 0
    _done: int = 0
    _bytes: int = 0
    _began: float = field(default_factory=time.monotonic)
    _shown: float = 0.0
    _bar: Any = None

    def update(self, n_bytes: int) -> None:
        """Count one finished block."""
        self._done += 1
        self._bytes += n_bytes
        now = time.monotonic()
        if not config.progress or now - self._began < _BAR_DELAY:
            return
        if in_terminal() or in_notebook():
            self._update_bar()
        elif now - max(self._shown, self._began) >= config.progress_interval:
            self._shown = now
            message(self.function, self.line())

    def _update_bar(self) -> None:
        if self._bar is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=self.n_blocks,
                desc=f"rayspy <{self.function}>",
                unit="block",
                file=None if in_notebook() else sys.stderr,
                initial=self.n_before,
                leave=False,
            )
            self._bar.start_t -= time.monotonic() - self._began
        self._bar.set_postfix_str(f"{self.rate():.0f} MB/s", refresh=False)
        self._bar.update(self.n_before + self._done - self._bar.n)

    def rate(self) -> float:
        """Megabytes per second since the start."""
        return self._bytes / 1e6 / max(1e-9, time.monotonic() - self._began)

    def line(self) -> str:
        """One line for a log file."""
        elapsed = time.monotonic() - self._began
        total = self.n_before + self._done
        left = elapsed / max(1, self._done) * (self.n_blocks - total)
        return (
            f"{total} of {self.n_blocks} blocks, {self.rate():.0f} MB/s, "
            f"{_clock(elapsed)} elapsed, about {_clock(left)} left"
        )

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
