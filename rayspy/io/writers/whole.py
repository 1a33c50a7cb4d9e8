"""Files that appear under their names only when they are complete."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rayspy.checks import check_path
from rayspy.config import config
from rayspy.errors import MemoryBudgetError, PathError
from rayspy.limits import available_memory
from rayspy.progress import Progress

Seen = Callable[[NDArray[Any]], NDArray[Any]]
_MB = 10**6


def target(path: Any, suffix: str, overwrite: bool, name: str = "path") -> Path:
    """Full name of a file that may be written.

    Raises
    ------
    InvalidTypeError
        Not a path.
    PathError
        It exists and is not to be replaced, or its folder cannot be made.
    """
    full = check_path(path, name, "name of a file").absolute()
    full = full if full.suffix.lower() == suffix else full.with_name(full.name + suffix)
    if full.exists() and not (overwrite and full.is_file()):
        raise PathError(full, exists=True, hint="use overwrite=True to replace it")
    try:
        full.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(full.parent, hint=error.strerror or str(error)) from error
    return full


def check_memory(needed: float, what: str, hint: str) -> None:
    """Refuse what would not fit into the memory budget.

    Raises
    ------
    MemoryBudgetError
        The message names sizes and what to do.
    """
    budget = config.memory_budget or available_memory() // 2
    if needed > budget:
        sizes = f"{what} needs {needed / 1e9:.2f} GB, the memory budget is {budget / 1e9:.2f} GB"
        raise MemoryBudgetError(f"{sizes}; {hint}")


@contextmanager
def building(*finals: Path) -> Iterator[list[Path]]:
    """Yield temporary names beside the final ones; they are renamed at the end, or removed after an error."""
    token = secrets.token_hex(4)
    parts = [final.with_name(f".{token}.{final.name}") for final in finals]
    try:
        yield parts
        for part, final in zip(parts, finals, strict=True):
            part.replace(final)
    except OSError as error:
        raise PathError(finals[0], hint=error.strerror or str(error)) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


@contextmanager
def telling(function: str, n_bytes: float) -> Iterator[Seen]:
    """Show how far the writing of so many bytes is; yields what each array passes through."""
    progress = Progress(function, max(1, round(n_bytes / _MB)), round(n_bytes), unit="MB")
    progress.intro = f"writes {n_bytes / _MB:.0f} MB"
    counted = 0

    def seen(array: NDArray[Any]) -> NDArray[Any]:
        nonlocal counted
        before = counted // _MB
        counted += array.nbytes
        progress.update(array.nbytes, counted // _MB - before)
        return array

    progress.start()
    try:
        yield seen
    finally:
        progress.close()


def bytes_of(source: Any) -> int:
    """Size of an array."""
    return int(math.prod(source.shape) * source.dtype.itemsize)
