"""Settings: read once from the environment, changed through ``spy.config``.

Every field of `Settings` can be set by an environment variable ``RAYSPY_<FIELD>``
in capitals; ``scratch_dir`` also by ``RAYSPY_TMPDIR`` and Syncopy's ``SPYTMPDIR``,
``log_level`` by Syncopy's ``SPYLOGLEVEL``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rayspy.errors import InvalidTypeError, InvalidValueError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults; sizes in bytes, times in seconds."""

    scratch_dir: str = ""
    """Folder for results that do not fit into memory; default: the user's cache folder."""
    scratch_quota: int | None = None
    """Largest total size of one session's scratch data; None: what is free on the disk."""
    memory_budget: int | None = None
    """Memory that one process may use for blocks; None: half of what is available."""
    block_bytes: int = 16 * 2**20
    """Target size of one block."""
    inmemory_bytes: int = 64 * 2**20
    """Arrays up to this size stay in memory, larger ones go to the scratch folder; with a `memory_budget`
    that is given, also those above a quarter of it."""
    verify_bytes: int = 2**30
    """`load` compares checksums by itself for containers up to this size."""
    num_cpus: int | None = None
    """CPUs to use; None: all that this process may run on."""
    worker_timeout: float = 360.0
    """How long to wait for the first worker of a cluster."""
    dashboard: bool | None = None
    """Start Ray's dashboard with a Ray that is started here; None: where 4 GB of memory are available."""
    resume: bool = True
    """Go on with the finished blocks of the same call where it was killed or interrupted."""
    resume_after: float = 5.0
    """Runs shorter than this are simply run again."""
    resume_keep: float = 7 * 86400.0
    """How long finished blocks wait for that."""
    pickle_keep: float = 7 * 86400.0
    """How long results in the scratch folder wait for somebody to read a pickle of them."""
    progress: bool = True
    """Show progress."""
    progress_interval: float = 5.0
    """Seconds between progress lines where there is no terminal."""
    log_level: str = "INFO"
    """Level of the ``rayspy`` logger."""


def parse_bytes(value: Any, name: str) -> int | None:
    """Turn ``"4GB"``, ``"512 MiB"``, a number or None into bytes."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none")):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidTypeError(value, name, "size in bytes or text such as '4GB'")
    text = str(value).strip().upper().replace(" ", "")
    digits = text.rstrip("KMGTIB")
    try:
        size = float(digits) * _UNITS[text[len(digits) :]]
    except (ValueError, KeyError):
        raise InvalidValueError("size in bytes or text such as '4GB'", name, value) from None
    if not 0 < size < float("inf"):
        raise InvalidValueError("size greater than 0", name, value)
    return int(size)


def _parse_seconds(value: Any, name: str) -> float:
    """A time that may be infinite: never, or for ever."""
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = float(value)
    except (TypeError, ValueError):
        raise InvalidTypeError(value, name, "number of seconds") from None
    except OverflowError:
        raise InvalidValueError("number of seconds, 0 or more", name, value) from None
    if not seconds >= 0:
        raise InvalidValueError("number of seconds, 0 or more", name, value)
    return seconds


def _parse_patience(value: Any, name: str) -> float:
    """A time after which waiting ends."""
    seconds = _parse_seconds(value, name)
    if seconds > LONGEST_WAIT:
        raise InvalidValueError(f"number of seconds, up to {LONGEST_WAIT:g}", name, value)
    return seconds


LONGEST_WAIT = 30 * 86400.0
"""Seconds; longer waits are taken for mistakes."""


def _parse_bool(value: Any, name: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise InvalidValueError("True or False", name, value) from None


def _parse_choice(value: Any, name: str) -> bool | None:
    if value is None or str(value).strip().lower() in ("", "none"):
        return None
    return _parse_bool(value, name)


def _parse_count(value: Any, name: str) -> int | None:
    if value is None or str(value).strip().lower() in ("", "none"):
        return None
    try:
        count = int(str(value))
    except ValueError:
        raise InvalidTypeError(value, name, "whole number") from None
    if count < 1:
        raise InvalidValueError("whole number, 1 or more", name, value)
    return count


def _parse_level(value: Any, name: str) -> str:
    level = str(value).upper()
    if level not in ("DEBUG", "INFO", "IMPORTANT", "WARNING", "ERROR", "CRITICAL"):
        raise InvalidValueError("DEBUG, INFO, IMPORTANT, WARNING, ERROR or CRITICAL", name, value)
    return level


def _parse_size(value: Any, name: str) -> int:
    size = parse_bytes(value, name)
    if size is None:
        raise InvalidValueError("size in bytes or text such as '4GB'", name, value)
    return size


def _parse_folder(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidTypeError(value, name, "path of a folder")
    text = os.fspath(value)
    if not isinstance(text, str) or "\0" in text or max(map(len, text.split("/"))) > _LONGEST_NAME:
        raise InvalidValueError("path of a folder that can exist", name, repr(text)[:80])
    try:
        return str(Path(text).expanduser()) if text else ""
    except RuntimeError as error:
        raise InvalidValueError(f"path of a folder ({error})", name, text) from None


_LONGEST_NAME = 255


_PARSERS: dict[str, Any] = {
    "scratch_dir": _parse_folder,
    "scratch_quota": parse_bytes,
    "memory_budget": parse_bytes,
    "block_bytes": _parse_size,
    "inmemory_bytes": _parse_size,
    "verify_bytes": _parse_size,
    "num_cpus": _parse_count,
    "worker_timeout": _parse_patience,
    "dashboard": _parse_choice,
    "resume": _parse_bool,
    "resume_after": _parse_seconds,
    "resume_keep": _parse_seconds,
    "pickle_keep": _parse_seconds,
    "progress": _parse_bool,
    "progress_interval": _parse_seconds,
    "log_level": _parse_level,
}


def settings_from_environment(environ: Mapping[str, str]) -> Settings:
    """Read settings from ``RAYSPY_*`` variables.

    Parameters
    ----------
    environ : mapping of str to str
        Usually ``os.environ``.

    Raises
    ------
    InvalidValueError, InvalidTypeError
        A variable has a value that cannot be used; the message names the variable.
    """
    found = {}
    for field in fields(Settings):
        name = f"RAYSPY_{field.name.upper()}"
        if name in environ:
            found[field.name] = _PARSERS[field.name](environ[name], name)
    if "scratch_dir" not in found:
        for name in ("RAYSPY_TMPDIR", "SPYTMPDIR"):
            if environ.get(name):
                found["scratch_dir"] = _parse_folder(environ[name], name)
                break
    if "log_level" not in found and environ.get("SPYLOGLEVEL"):
        found["log_level"] = _parse_level(environ["SPYLOGLEVEL"], "SPYLOGLEVEL")
    return Settings(**found)


def default_scratch() -> str:
    """The scratch folder where none was chosen: in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(cache) / "rayspy" / "scratch")


class Config:
    """The current settings; assign to a name to change one, e.g. ``spy.config.memory_budget = "4GB"``.

    Assignments hold for the whole process, those in a ``with spy.config.using(...)`` block
    to its end and for what runs in it: threads that are started elsewhere see nothing of it.
    """

    _everywhere: Settings | None
    _here: ContextVar[Settings | None]

    def __init__(self, settings: Settings | None = None) -> None:
        object.__setattr__(self, "_everywhere", settings)
        object.__setattr__(self, "_here", ContextVar("rayspy settings", default=None))

    @property
    def settings(self) -> Settings:
        """The frozen settings, read from the environment at first use."""
        here = self._here.get()
        if here is not None:
            return here
        if self._everywhere is None:
            object.__setattr__(self, "_everywhere", settings_from_environment(os.environ))
        settings = self._everywhere
        if settings is None:  # pragma: no cover - set just above
            raise RuntimeError("settings could not be read")
        return settings

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "scratch_dir" and not self.settings.scratch_dir:
            with suppress(RuntimeError):  # no home folder
                return default_scratch()
        return getattr(self.settings, name)

    def __setattr__(self, name: str, value: Any) -> None:
        changed = _changed(self.settings, {name: value})
        if self._here.get() is None:
            object.__setattr__(self, "_everywhere", changed)
        else:
            self._here.set(changed)

    @contextmanager
    def using(self, **changes: Any) -> Iterator[Config]:
        """Change settings for the length of a ``with`` block, in this thread (or task) only."""
        before = self._here.get()
        self._here.set(_changed(self.settings, changes))
        try:
            yield self
        finally:
            self._here.set(before)

    def __repr__(self) -> str:
        lines = [f"    {f.name} = {getattr(self, f.name)!r}" for f in fields(Settings)]
        return "\n".join(["rayspy settings", *lines])


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The same settings but for some."""
    for name in changes:
        if name not in _PARSERS:
            raise InvalidValueError(f"one of {', '.join(_PARSERS)}", "spy.config setting", name)
    return replace(settings, **{name: _PARSERS[name](value, name) for name, value in changes.items()})


config = Config()
