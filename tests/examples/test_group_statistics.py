"""The group example finds what it put in."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "group_statistics.py"


def test_the_table_of_clusters_tells_what_went_in(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(sys, "argv", ["x", "--subjects", "6", "--trials", "10", "--permutations", "500"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    told = {
        words[0]: words[1] for line in capsys.readouterr().out.splitlines() if len(words := line.split()) > 1
    }
    assert told["peak_channel"] == "E12"
    assert 0.3 <= float(told["peak_time"]) <= 0.6
    assert float(told["peak_freq"]) == 20.0
    assert float(told["p"]) == pytest.approx(2 / 64, abs=1e-5)
    assert {p.name for p in tmp_path.iterdir()} == {
        "group_statistics_channels.png",
        "group_statistics_source.png",
    }
