"""Rasters show the spikes there are."""

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError

TABLE = np.array([[10, 0, 0], [12, 1, 1], [20, 0, 2], [22, 1, 1], [35, 0, 0], [40, 1, 1], [55, 0, 0]])
TRL = np.array([[10, 30, -5], [30, 60, -5]])


@pytest.fixture
def spikes():
    yield spy.SpikeData(TABLE, samplerate=10, trialdefinition=TRL, unit=["a", "b", "c"])
    plt.close("all")


def ticks(ax):
    return [[float(x[0, 0]) for x in lines.get_segments()] for lines in ax.collections]


def test_trials_of_a_unit(spikes):
    _, ax = spikes.singlepanelplot(unit="b")
    np.testing.assert_allclose(np.concatenate(ticks(ax)), [-0.3, 0.7, 0.5])
    assert (ax.get_title(), ax.get_ylabel(), ax.get_xlabel()) == ("b", "trials", "time (s)")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0", "1"]
    assert len(ax.lines) == 1
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_units_and_channels_of_a_trial(spikes):
    _, ax = spy.singlepanelplot(spikes, on_yaxis="unit", trials=1)
    np.testing.assert_allclose(ticks(ax)[0], [0, 2])
    np.testing.assert_allclose(ticks(ax)[1], [0.5])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    _, ax = spikes.singlepanelplot(on_yaxis="channel", trials=1, channel=1)
    np.testing.assert_allclose(ticks(ax), [[0.5]])


def test_panels(spikes):
    fig, _ = spikes.multipanelplot()
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c"]
    np.testing.assert_allclose(np.concatenate(ticks(fig.axes[0])), [-0.5, 0, 2])
    fig, _ = spy.multipanelplot(spikes, on_yaxis="unit", unit=[0, 1])
    assert [ax.get_title() for ax in fig.axes] == ["trial 0", "trial 1"]
    assert [len(ax.collections) for ax in fig.axes] == [2, 2]


def test_what_cannot_be_drawn(spikes, caplog):
    assert spikes.singlepanelplot() == (None, None)
    assert "single unit" in caplog.text
    assert spikes.singlepanelplot(on_yaxis="unit") == (None, None)
    assert "single trial" in caplog.text
    _, axs = spikes.multipanelplot(unit=0)
    assert axs.shape == (1, 1)
    with pytest.raises(InvalidValueError, match="`on_yaxis`"):
        spikes.singlepanelplot(on_yaxis="time")
    with pytest.raises(InvalidTypeError, match="`on_yaxis`"):
        spikes.singlepanelplot(on_yaxis=3)
    with pytest.raises(InvalidValueError):
        spy.singlepanelplot(spy.SpikeData())
