"""Syncopy's logger, its level IMPORTANT and its log folder, for scripts that use them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from rayspy.errors import InvalidValueError
from rayspy.progress import IMPORTANT, LEVELS, LogFile, logger, message


def log(msg: str, level: str = "IMPORTANT", par: bool = False, caller: str | None = None) -> None:
    """Write a message to the log, as Syncopy's function of this name does; `par` has no effect."""
    if level not in LEVELS:
        raise InvalidValueError(f"one of {', '.join(LEVELS)}", "level", level)
    message(caller or "log", msg, LEVELS[level])


def share_logger() -> None:
    """Let the logger ``syncopy`` be that of rayspy; ``SPYLOGDIR`` names a folder for ``syncopy.log``."""
    shared, known = logger(), logging.Logger.manager.loggerDict.get("syncopy")
    if known is shared:
        return
    if isinstance(known, logging.Logger):
        for handler in known.handlers:
            shared.addHandler(handler)
        shared.setLevel(known.level or shared.level)
    logging.Logger.manager.loggerDict["syncopy"] = shared
    vars(logging).setdefault("IMPORTANT", IMPORTANT)
    folder = os.environ.get("SPYLOGDIR")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        shared.addHandler(LogFile(Path(folder) / "syncopy.log"))
