"""How much memory do writers take for data that are larger than the budget? Each in a process of its own.

    python -m tests.benchmarks.writing
    python -m tests.benchmarks.writing --megabytes 512 --budget 64 --only nwb edf

Data are 64 channels in a file, in trials of two seconds and as one long piece. Measured is the largest
memory that is not files, above what the process had after it wrote a small one: flat writers take what they
take for a quarter of the data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rayspy as spy
from tests.benchmarks.memory import MB, give_back, recording, watched

WRITERS: dict[str, Callable[[spy.AnalogData, Path], Any]] = {
    "container": lambda data, path: data.save(filename=path),
    "syncopy": lambda data, path: spy.to_syncopy(data, filename=path),
    "brainvision": lambda data, path: spy.to_brainvision(data, path),
    "edf": lambda data, path: spy.to_edf(data, path),
    "nwb": lambda data, path: spy.to_nwb(data, path),
    "fieldtrip": lambda data, path: spy.to_fieldtrip(data, path),
    "zarr": lambda data, path: spy.to_zarr(data, path),
    "netcdf": lambda data, path: spy.to_netcdf(data, path),
    "fif": lambda data, path: spy.to_fif(data, f"{path}_raw", "eeg"),
}


def one(asked: dict[str, Any]) -> None:
    """Write a small recording and two large ones; print the largest memory of each in bytes."""
    spy.set_loglevel("ERROR")
    writer = WRITERS[asked["writer"]]
    with tempfile.TemporaryDirectory() as folder:
        spy.config.scratch_dir = folder
        with spy.config.using(memory_budget=asked["budget"] * MB):
            found = []
            for k, megabytes in enumerate((2, asked["megabytes"] // 4, asked["megabytes"])):
                data = recording(asked["kind"], 64, megabytes, Path(folder, f"x{k}"))
                data.unit = "µV"
                give_back()
                with watched(None) as largest:
                    before = largest[0]
                    writer(data, Path(folder, f"y{k}"))
                found.append(largest[0] - before)
    print(json.dumps(found[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--budget", type=int, default=64)
    parser.add_argument("--kinds", nargs="+", default=["equal", "single"])
    parser.add_argument("--only", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(json.loads(asked.one))
        return
    print(f"budget {asked.budget} MB; MB for {asked.megabytes // 4} and for {asked.megabytes} MB of data")
    for writer in asked.only:
        for kind in asked.kinds:
            told = {"writer": writer, "kind": kind, "budget": asked.budget, "megabytes": asked.megabytes}
            command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.writing", "--one"]
            done = subprocess.run([*command, json.dumps(told)], capture_output=True, text=True, check=False)
            words = done.stderr.strip().splitlines()[-1:] or ["?"]
            if not done.returncode:
                words = [f"{size / MB:8.1f}" for size in json.loads(done.stdout.splitlines()[-1])]
            print(f"{writer:12} {kind:8} {' '.join(words)}", flush=True)


if __name__ == "__main__":
    main()
