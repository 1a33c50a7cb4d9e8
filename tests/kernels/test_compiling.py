"""How loops are compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rayspy.kernels.loops.compiling import compiled

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
