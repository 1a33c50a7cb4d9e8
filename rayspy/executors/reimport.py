"""A script without ``if __name__ == "__main__":`` that a process it started imports again."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path


def end_if_imported_again(function: str) -> None:
    """End a process that is only just importing the user's script, with two lines that say what to add."""
    if not getattr(multiprocessing.current_process(), "_inheriting", False):
        return
    sys.stderr.write(
        f"rayspy <{function}>: a process that this script started, e.g. a worker of Dask, runs it again;\n"
        '    put all but imports below `if __name__ == "__main__":`, or use '
        f"`python -m rayspy_compat {_name()}`\n"
    )
    raise SystemExit(1)


def _name() -> str:
    return Path(sys.argv[0]).name
