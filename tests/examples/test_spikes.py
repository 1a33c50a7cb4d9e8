"""The example with spikes: what it finds in the receptor and in the simulated pair."""

import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "spikes.py"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pictures_and_what_is_in_them(tmp_path):
    mpl.use("agg")
    example = runpy.run_path(str(EXAMPLE))
    sound, spikes = example["grasshopper"]()
    intervals, average, coherence = example["draw_receptor"](sound, spikes, tmp_path / "receptor.png")
    assert spikes.data.shape == (929, 3)
    assert intervals.info["n"] == [929 - 10]
    assert 0.2 < intervals.info["cv"][0] < 1
    peak = average.time[0][average.avg[:, 0].argmax()]
    assert -0.015 < peak < 0, "receptors follow the sound within milliseconds"
    slow = coherence.data[0, (coherence.freq > 5) & (coherence.freq < 50), 0, 0]
    assert slow.mean() > 0.4
    ppc = example["draw_pair"](*example["locked_pair"](), tmp_path / "pair.png")
    at = int(np.flatnonzero(ppc.freq == 40)[0])
    assert ppc.data[0, at, 0, 0] > 0.05
    assert np.abs(ppc.data[0, :, 1]).max() < 0.02
    assert np.abs(ppc.data[0, :, :, 1]).max() < 0.02
    for name in ("receptor", "receptor_raster", "pair"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
