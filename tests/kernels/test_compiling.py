"""How loops are compiled."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rayspy.kernels import loops
from rayspy.kernels.loops.compiling import compiled


def test_a_compiled_function_calls_none_of_another_file() -> None:
    """Which would be compiled into it and, where layouts differ, once more by itself."""
    from numba.core.dispatcher import Dispatcher

    n_compiled = 0
    for found in pkgutil.iter_modules(loops.__path__, f"{loops.__name__}."):
        module = importlib.import_module(found.name)
        own = [f for f in vars(module).values() if isinstance(f, Dispatcher) and f.__module__ == found.name]
        n_compiled += len(own)
        for f in own:
            called = [getattr(module, name, None) for name in f.py_func.__code__.co_names]
            others = [g.__name__ for g in called if isinstance(g, Dispatcher) and g.__module__ != found.name]
            assert not others, f"{f.__module__}.{f.__name__} calls {others}"
    assert n_compiled > 40


PROGRAM = """
import sys
from pathlib import Path
import loops
assert loops.double(3) == 6
print(len(list(Path(sys.argv[1]).rglob("*.nbi"))))
"""
MODULE = """
from rayspy.kernels.loops.compiling import compiled

@compiled
def double(x):
    return 2 * x
"""


def test_a_loop_without_a_file_is_compiled_all_the_same() -> None:
    names: dict[str, Any] = {}
    exec("def double(x):\n    return 2 * x\n", names)
    assert compiled(names["double"])(3) == 6


def test_what_is_compiled_is_kept_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(MODULE)
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environ = {**os.environ, "PYTHONPATH": paths}
    environ.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "1"


def test_products_and_sums_are_rounded_one_by_one() -> None:
    names: dict[str, Any] = {}
    exec("def product_and_sum(a, b, c):\n    return a * b + c\n", names)
    run = compiled(names["product_and_sum"])
    a = 1 + 2.0**-30
    assert run(a, a, -1.0) == (a * a) - 1.0
    assert run(a, a, -(a * a)) == 0.0


COUNTED = """
import sys
import numba.core.event as event
class Count(event.Listener):
    n = 0
    def on_start(self, e): Count.n += 1
    def on_end(self, e): pass
event.register("numba:compile", Count())
import loops
print(loops.double(3), Count.n)
"""


def started(folder: Path) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(folder), *filter(None, sys.path)])
    environ = {**os.environ, "PYTHONPATH": paths}
    environ.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", COUNTED]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> list[str]:
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    return text.split()


def test_what_is_compiled_is_renewed_when_another_file_changes(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(
        MODULE.replace("import compiled", "import compiled\nfrom other import factor").replace(
            "2 * x", "factor(x)"
        )
    )
    other = MODULE.replace("double", "factor")
    (tmp_path / "other.py").write_text(other)
    assert told(started(tmp_path)) == ["6", "2"]
    assert told(started(tmp_path)) == ["6", "0"]
    (tmp_path / "other.py").write_text(other.replace("2 * x", "5 * x"))
    assert told(started(tmp_path)) == ["15", "2"]


def test_of_processes_that_start_together_one_compiles(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(MODULE)
    found = [told(process) for process in [started(tmp_path) for _ in range(2)]]
    assert sorted(found) == [["6", "0"], ["6", "1"]]


def test_what_cannot_be_compiled_does_not_keep_others_waiting(tmp_path: Path, monkeypatch: Any) -> None:
    from rayspy.kernels.loops import compiling

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "faulty.py").write_text(MODULE.replace("2 * x", "x.no_such_thing"))
    import faulty  # type: ignore[import-not-found]
    from numba.core.errors import TypingError

    with pytest.raises(TypingError):
        faulty.double(3)
    assert compiling._turn._descriptor is None
    assert compiling._turn._depth == 0
    assert faulty.__name__ in sys.modules
    del sys.modules["faulty"]
