from __future__ import annotations

import subprocess
import sys
from typing import Any

HEAVY = [
    "ray",
    "dask",
    "distributed",
    "matplotlib",
    "numba",
    "scipy.fft",
    "scipy.linalg",
    "scipy.signal",
    "scipy.stats",
    "h5py",
    "pyarrow",
    "pandas",
    "psutil",
    "tqdm",
    "mne",
    "specparam",
]

PROGRAM = """
import sys
import rayspy
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def run(program: str, *arguments: str, **options: Any) -> list[str]:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, **options)
    return [*done.stdout.split("\n"), done.stderr]


def test_importing_loads_nothing_heavy() -> None:
    loaded, *_ = run(PROGRAM, *HEAVY)
    assert loaded == ""


def test_importing_has_no_side_effects(tmp_path: object) -> None:
    program = """
import sys, os, threading, numpy, logging
before = (sys.excepthook, numpy.get_printoptions(), logging.getLogger().handlers[:], os.listdir("."))
import rayspy
after = (sys.excepthook, numpy.get_printoptions(), logging.getLogger().handlers[:], os.listdir("."))
assert before == after and threading.active_count() == 1
"""
    assert "".join(run(program, cwd=str(tmp_path))) == ""


def test_public_names_exist() -> None:
    import rayspy

    assert sorted(set(rayspy.__all__)) == sorted(rayspy.__all__)
    assert all(hasattr(rayspy, name) for name in rayspy.__all__)
