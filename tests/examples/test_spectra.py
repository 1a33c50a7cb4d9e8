"""The seed example on this machine; tests/slurm runs it on a cluster, in every way its header tells."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_on_this_machine(tmp_path):
    output = tmp_path / "x.spectral"
    command = [
        sys.executable,
        EXAMPLES / "spectra.py",
        "--trials",
        "3",
        "--channels",
        "2",
        "--output",
        output,
    ]
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "no Ray or Dask is running" in done.stdout
    data = spy.synthdata.white_noise(nTrials=3, nChannels=2, seed=1)
    wanted = spy.freqanalysis(data, foilim=[1, 150], tapsmofrq=10, parallel=False)
    np.testing.assert_array_equal(spy.load(output).data[()], wanted.data[()])


@pytest.mark.parametrize("name", ["spectra", "spectra_connect", "spectra_dask_slurm"])
def test_the_header_tells_how_to_start_it(name):
    header = (EXAMPLES / f"{name}.py").read_text().split('"""')[1]
    files = [word for word in header.split() if word.endswith((".py", ".sbatch", ".sh"))]
    assert f"examples/{name}.py" in files
    assert all((EXAMPLES.parent / file).is_file() for file in files)
