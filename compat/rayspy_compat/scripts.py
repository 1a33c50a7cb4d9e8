"""Scripts written for Syncopy, run on rayspy as they are."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

from rayspy_compat.alias import install_as_syncopy


def main(arguments: list[str]) -> None:
    """Run a script as ``__main__``, with its own arguments and its folder on the path.

    Processes that it starts, such as Dask's workers, do not import the script
    again, so that it needs no ``if __name__ == "__main__":``. If it has one it is
    imported there as usual.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        raise SystemExit("usage: python -m rayspy_compat SCRIPT [ARGUMENT ...]")
    script = Path(arguments[0])
    if not script.is_file():
        raise SystemExit(f"python -m rayspy_compat: {script} does not exist")
    install_as_syncopy()
    sys.argv = arguments
    sys.path[0] = str(script.resolve().parent)
    tree = ast.parse(script.read_bytes(), filename=str(script))
    if _has_guard(tree):
        runpy.run_path(str(script), run_name="__main__")
    else:
        _run_here(script, tree)


def _has_guard(tree: ast.Module) -> bool:
    """Whether the script has an ``if __name__ == ...``."""
    tests = [node.test for node in ast.walk(tree) if isinstance(node, ast.If)]
    names = [node for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)]
    return any(node.id == "__name__" for node in names)


def _run_here(script: Path, tree: ast.Module) -> None:
    """Run a script in the module ``__main__``, whose spec goes on to say that it is ``rayspy_compat``."""
    module = sys.modules["__main__"]
    for name in [name for name in vars(module) if not name.startswith("__")]:
        delattr(module, name)
    vars(module).update(__file__=str(script), __doc__=ast.get_docstring(tree))
    exec(compile(tree, str(script), "exec"), vars(module))
