"""Run a script written for Syncopy on rayspy: ``python -m rayspy_compat script.py args``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from rayspy_compat.alias import install_as_syncopy


def main(arguments: list[str]) -> None:
    """Run a script as ``__main__``, with its own arguments and its folder on the path."""
    if not arguments or arguments[0] in ("-h", "--help"):
        raise SystemExit("usage: python -m rayspy_compat SCRIPT [ARGUMENT ...]")
    script = Path(arguments[0])
    if not script.is_file():
        raise SystemExit(f"python -m rayspy_compat: {script} does not exist")
    install_as_syncopy()
    sys.argv = arguments
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
