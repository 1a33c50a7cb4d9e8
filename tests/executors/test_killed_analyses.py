"""Connectivity and tests of statistics go on after their process was killed, with the same bits."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rayspy as spy

SCRIPT = """
import sys, time
import numpy as np
import rayspy as spy
from rayspy.executors import local
from tests.executors.test_killed_analyses import ANALYSES, SETTINGS

def slowly(plan, i, run_block=local.run_block):
    time.sleep(0.03)
    return run_block(plan, i)

local.run_block = slowly
with spy.config.using(**SETTINGS):
    np.savez(sys.argv[2], **ANALYSES[sys.argv[1]]())
"""
SETTINGS = {"block_bytes": 2000, "resume_after": 0.1, "num_cpus": 2}


def coherence():
    trials = np.random.default_rng(2).standard_normal((60, 40, 4)).astype(np.float32)
    data = spy.AnalogData(list(trials), samplerate=100.0)
    found = spy.connectivityanalysis(data, method=["coh", "wpli_debiased"], tapsmofrq=5, jackknife=True)
    return {
        f"{name} {k}": a for name, one in found.items() for k, a in enumerate((one.data[()], one.jack_var))
    }


def clusters():
    spectra = [np.random.default_rng(k).standard_normal((12 * 5, 1, 4, 3)).astype(np.float32) for k in (0, 1)]
    data = [spy.SpectralData(x, samplerate=10, freq=[1.0, 2.0, 3.0, 4.0]) for x in spectra]
    for one in data:
        one.definetrial(np.array([[k, k + 5, 0] for k in range(0, 60, 5)]))
    found = spy.freqstatistics(*data, numrandomization=640)
    return {"distribution": found.distribution, "prob": found.prob}


ANALYSES = {"coherence": coherence, "clusters": clusters}


def start(name, scratch_dir, out):
    path = os.pathsep.join(["", *sys.path])
    environment = {**os.environ, "RAYSPY_TMPDIR": str(scratch_dir), "PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name, str(out)], env=environment, stderr=subprocess.PIPE, text=True
    )


def n_parts(folder):
    return sum(len(list(mark.parent.glob("**/part-*.arrow"))) for mark in folder.rglob("resume.json"))


@pytest.mark.parametrize("name", ANALYSES)
def test_a_killed_analysis_goes_on(name, tmp_path):
    process = start(name, tmp_path, tmp_path / "x.npz")
    deadline = time.monotonic() + 60
    while n_parts(tmp_path) < 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not (tmp_path / "x.npz").exists()
    second = start(name, tmp_path, tmp_path / "resumed.npz")
    errors = second.communicate(timeout=120)[1]
    assert second.returncode == 0, errors
    done, n_blocks = (int(n) for n in re.search(r"resuming: (\d+) of (\d+) blocks done", errors).groups())
    assert 0 < done < n_blocks
    with spy.config.using(**SETTINGS, resume=False):
        wanted = ANALYSES[name]()
    with np.load(tmp_path / "resumed.npz") as found:
        assert set(found) == set(wanted)
        for key, array in wanted.items():
            np.testing.assert_array_equal(found[key], array)
    assert [f for f in tmp_path.rglob("*") if f.suffix in (".arrow", ".json")] == []
