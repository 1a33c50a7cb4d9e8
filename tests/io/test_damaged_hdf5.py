"""Damaged HDF5 files, read in a process of their own: the library is in C and might end it."""

import subprocess
import sys

import h5py
import numpy as np

import rayspy as spy
from tests.io.test_read_matlab import eeg, struct, write, write_set

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
import rayspy as spy
from rayspy.errors import RayspyError

spy.set_loglevel("ERROR")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for path in map(Path, sys.argv[1:]):
    good, rng = path.read_bytes(), np.random.default_rng(8)
    spy.read(path)
    before, counts = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [0, 0]
    for _ in range(60):
        content = bytearray(good)
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(len(good) if rng.random() < 0.5 else min(4096, len(good))))
            content[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
        path.write_bytes(content)
        try:
            found = spy.read(path)
            for one in found.values() if isinstance(found, dict) else [found]:
                one.data[:]
            counts[0] += 1
        except RayspyError as error:
            counts[1] += path.name in str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    print(path.name, *counts, grown, flush=True)
"""


def test_bytes_at_random_end_in_numbers_or_an_error_of_ours(tmp_path):
    paths = [
        write_set(tmp_path / "x.set", True, eeg(True, True, [("S 1", 10.0, 1.0)])),
        write(tmp_path / "x.mat", True, {"data": struct()}),
        tmp_path / "x.nwb",
        tmp_path / "x.h5",
    ]
    values = np.random.default_rng(0).normal(size=(400, 3))
    data = spy.AnalogData(values, samplerate=100)
    data.unit = "V"
    spy.to_nwb(data, paths[2])
    with h5py.File(paths[3], "w") as file:
        file.create_dataset("data", data=values, chunks=(50, 3), compression="gzip")
        file.attrs["samplerate"] = 100.0
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-2000:])
    for line in done.stdout.splitlines():
        name, read, errors, megabytes = line.split()
        assert int(read) + int(errors) == 60, line
        assert int(errors) >= 5, line
        assert int(megabytes) < 200, (name, megabytes)
    assert len(done.stdout.splitlines()) == 4
