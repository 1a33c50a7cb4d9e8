"""Pictures of pairs show the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rayspy as spy

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def closed() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data() -> Any:
    return spy.synthdata.white_noise(nTrials=6, nSamples=60, nChannels=3, samplerate=100, seed=1)


def run(data: Any, method: str, **settings: Any) -> Any:
    return spy.connectivityanalysis(data, method=method, parallel=False, **settings)


def test_a_pair_is_a_line_with_its_error(data: Any) -> None:
    found = run(data, "coh", jackknife=True)
    _, ax = spy.singlepanelplot(found, channel_i="channel1", channel_j=2)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found.data[0, :, 0, 2])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), found.freq)
    assert ax.get_ylabel() == "coh"
    assert len(ax.collections) == 1
    top = ax.collections[0].get_paths()[0].vertices[:, 1].max()
    np.testing.assert_allclose(top, (found.data[()] + 1.96 * found.jack_se)[0, :, 0, 2].max(), rtol=1e-6)
    _, ax = run(data, "granger", channelcmb=[(0, 1)]).singlepanelplot()
    assert "channel1 -> channel2" in ax.get_legend_handles_labels()[1]


def test_all_pairs_are_a_matrix(data: Any) -> None:
    found = run(data, "granger", tapsmofrq=5, foilim=[10, 30])
    _, ax = found.singlepanelplot(frequency=[20, 30])
    chosen = found.data[0][found.freq >= 20].mean(axis=0)
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), chosen, rtol=1e-6)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("from", "to")
    assert "20 to 30 Hz" in ax.get_title()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["channel1", "channel2", "channel3"]


def test_correlations_over_lags(data: Any) -> None:
    found = run(data, "corr", lags="all")
    _, ax = found.singlepanelplot(channel_i=0, channel_j=1)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), found.time[0])
    assert ax.get_xlabel() == "lag (s)"


def test_time_frequency_picture_and_grids(data: Any) -> None:
    spectra = spy.freqanalysis(
        data, method="mtmconvol", t_ftimwin=0.1, toi=0.5, foi=[20, 30, 40], output="fourier", parallel=False
    )
    found = run(spectra, "ppc")
    _, ax = found.singlepanelplot(channel_i=0, channel_j=1)
    np.testing.assert_array_equal(np.asarray(ax.collections[0].get_array()), found.data[:, :, 0, 1].T)
    _, axs = found.multipanelplot()
    assert [ax.get_title() for ax in axs.flat if ax.get_title()][:2] == [
        "channel1 - channel2",
        "channel1 - channel3",
    ]
    _, axs = run(data, "plv").multipanelplot(channel_i=[0], channel_j=[1, 2])
    assert len([ax for ax in axs.flat if ax.lines]) == 2


def test_what_cannot_be_drawn(data: Any, caplog: Any) -> None:
    assert run(data, "csd").singlepanelplot() == (None, None)
    assert "complex" in caplog.text
    assert run(data, "coh").multipanelplot(channel_i=0, channel_j=1) == (None, None)
    assert "2 to 25 pairs" in caplog.text
    plain = spy.CrossSpectralData(np.random.default_rng(0).normal(size=(1, 4, 2, 2)))
    _, ax = plain.singlepanelplot(channel_i=0, channel_j=1)
    assert ax.get_ylabel() == "value"
