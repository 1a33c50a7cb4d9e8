"""The connectivity example runs and finds what is known of the recording."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_on_this_machine(tmp_path):
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(EXAMPLES / "connectivity.py"), "--output", str(tmp_path / "x.png")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.png").stat().st_size > 10_000
    assert "19 segments" in done.stdout
    values = re.findall(r"^(\w+) .* Hz: ([\d.]+) \(95 % interval ([\d.]+) to ([\d.]+)\)", done.stdout, re.M)
    assert [name for name, *_ in values] == ["coh", "wpli_debiased", "granger"]
    for _, value, low, high in values:
        assert float(low) < float(value) < float(high)
    assert 0.4 < float(values[0][1]) < 0.7
