"""Plots: what is drawn where, what is refused, and that nothing global changes."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, MissingPackageError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def warnings_of(monkeypatch):
    """Warnings that plotting gave."""
    found = []
    for module in ("rayspy.plotting.panels", "rayspy.plotting.views"):
        monkeypatch.setattr(f"{module}.warn", lambda function, text: found.append(text))
    return found


@pytest.fixture
def analog():
    values = np.random.default_rng(3).normal(size=(300, 4)).astype("f4")
    trl = np.array([[0, 100, -20], [100, 300, -50]])
    return spy.AnalogData(values, samplerate=100, trialdefinition=trl, channel=["a", "b", "c", "d"])


@pytest.fixture
def spectral(analog):
    return spy.freqanalysis(analog, foilim=[2, 40], parallel=False)


@pytest.fixture
def resolved():
    values = np.random.default_rng(4).random((30, 2, 5, 3)).astype("f4") + 0.5
    made = spy.SpectralData(values, samplerate=50, freq=[1.0, 2.0, 4.0, 8.0, 16.0])
    made.quantity = "power"
    return made


def test_recording_as_lines(analog):
    fig, ax = analog.singlepanelplot(trials=1, channel=["c", "a"], shifted=False)
    assert [line.get_label() for line in ax.lines] == ["c", "a"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), analog.trials[1][:, 2])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), analog.time[1])
    assert ax.get_xlabel() == "time (s)"
    assert tuple(fig.get_size_inches()) == (6.4, 4.2)


def test_recording_stacked_without_overlap(analog):
    _, ax = spy.singlepanelplot(analog, trials=0)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c", "d"]
    drawn = [line.get_ydata() for line in ax.lines]
    assert all(upper.min() > lower.max() for upper, lower in pairwise(drawn))
    assert len({line.get_color() for line in ax.lines}) == 1
    np.testing.assert_allclose(np.diff(drawn[1]), np.diff(analog.trials[0][:, 1]), rtol=1e-3, atol=1e-5)


def test_stacked_with_constant_and_missing_values():
    values = np.zeros((20, 3))
    values[:, 1], values[:, 2] = np.nan, np.arange(20)
    _, ax = spy.AnalogData(values, samplerate=10).singlepanelplot()
    assert np.isfinite(ax.get_ylim()).all()
    assert len(set(ax.get_yticks())) == 3


def test_latency_and_one_channel(analog):
    _, ax = analog.singlepanelplot(trials=0, channel="d", latency=[0, 0.5])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), analog.trials[0][20:71, 3])
    assert ax.lines[0].get_xdata()[0] == 0


def test_other_order_of_dimensions(analog):
    twin = spy.AnalogData(
        analog.data[:].T.copy(),
        samplerate=100,
        dimord=["channel", "time"],
        trialdefinition=analog.trialdefinition,
    )
    _, ax = twin.singlepanelplot(trials=1, channel=[1, 3], shifted=False)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), analog.trials[1][:, 3])


def test_recording_in_panels(analog):
    fig, axs = spy.multipanelplot(analog, trials=0, channel=["a", "b", "c"])
    assert axs.shape == (2, 2)
    assert [ax.lines[0].get_label() for ax in fig.axes] == ["a", "b", "c"]


def test_spectra_in_decibels(spectral):
    _, ax = spectral.singlepanelplot(trials=1, channel=[0, 2])
    np.testing.assert_allclose(
        ax.lines[1].get_ydata(), 10 * np.log10(spectral.show(trials=1, channel=2)), rtol=1e-6
    )
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), spectral.freq)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("frequency (Hz)", "power (dB)")
    _, ax = spectral.singlepanelplot(trials=1, logscale=False)
    np.testing.assert_array_equal(ax.lines[3].get_ydata(), spectral.show(trials=1)[:, 3])
    assert ax.get_ylabel() == "power (a.u.)"


def test_other_outputs_and_no_history(analog):
    _, ax = spy.freqanalysis(analog, output="abs", parallel=False).singlepanelplot(trials=0)
    assert ax.get_ylabel() == "amplitude (a.u.)"
    _, ax = spy.freqanalysis(analog, output="angle", parallel=False).singlepanelplot(trials=0)
    assert ax.get_ylabel() == "phase (rad)"
    _, ax = spy.SpectralData(np.ones((1, 1, 5, 2))).singlepanelplot()
    assert ax.get_ylabel() == "value (a.u.)"


def test_spectra_in_panels(spectral):
    fig, axs = spectral.multipanelplot(trials=0)
    assert axs.shape == (2, 2)
    assert len(fig.axes) == 4


def test_tapers_of_one_channel(analog, warnings_of):
    tapers = spy.freqanalysis(analog, tapsmofrq=4, keeptapers=True, parallel=False)
    _, ax = tapers.singlepanelplot(trials=1, channel="b")
    assert len(ax.lines) == len(tapers.taper) > 1
    expected = 10 * np.log10(tapers.show(trials=1, channel="b"))
    np.testing.assert_allclose(ax.lines[1].get_ydata(), expected[1], rtol=1e-6)
    assert tapers.singlepanelplot(trials=1) == (None, None)
    assert "single taper or a single channel" in warnings_of[0]
    fig, _ = tapers.multipanelplot(trials=1)
    assert len(fig.axes[0].lines) == len(tapers.taper)


def test_time_frequency_image(resolved, warnings_of):
    fig, ax = resolved.singlepanelplot(channel=1, taper=0)
    mesh = ax.collections[0]
    expected = 10 * np.log10(resolved.data[:, 0, :, 1].T)
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(5, 30), expected, rtol=1e-5)
    assert ax.get_title() == "channel2"
    assert len(fig.axes) == 2
    assert resolved.singlepanelplot(taper=0) == (None, None)
    assert resolved.multipanelplot() == (None, None)
    assert len(warnings_of) == 2


def test_time_frequency_panels_share_colours(resolved):
    fig, _ = resolved.multipanelplot(taper=1)
    limits = {ax.collections[0].get_clim() for ax in fig.axes[:3]}
    assert len(limits) == 1


@pytest.mark.parametrize("plot", [spy.singlepanelplot, spy.multipanelplot])
def test_several_trials_are_refused_with_a_warning(analog, spectral, plot, warnings_of):
    assert plot(analog) == (None, None)
    assert plot(spectral) == (None, None)
    assert len(warnings_of) == 2
    assert "single trial" in warnings_of[0]


def test_number_of_panels(analog, spectral, resolved, warnings_of):
    for data, select in ((analog, {"trials": 0}), (spectral, {"trials": 0}), (resolved, {"taper": 0})):
        _, axs = data.multipanelplot(channel=0, **select)
        assert axs.shape == (1, 1)
        assert axs[0, 0].lines or axs[0, 0].collections
    assert not warnings_of
    assert spy.AnalogData(np.zeros((50, 26))).multipanelplot() == (None, None)
    assert "not 26" in warnings_of[0]


@pytest.mark.parametrize("names", [["_a", "b", "_c", "d"], ["$x_$", "a$b", "_$", "%"]])
def test_names_are_written_as_they_are(analog, names):
    analog.channel = names
    power = spy.freqanalysis(analog, tapsmofrq=4, keeptapers=True, parallel=False)
    power.taper = ["_first", *power.taper[1:]]
    _, ax = analog.singlepanelplot(trials=0, shifted=False)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names
    _, ax = power.singlepanelplot(trials=0, taper=0)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names
    fig, axs = power.multipanelplot(trials=0)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == power.taper.tolist()
    assert [ax.get_title() for ax in axs.flat] == names
    _, ax = analog.singlepanelplot(trials=0)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()


@pytest.mark.parametrize("plot", [spy.singlepanelplot, spy.multipanelplot])
def test_a_trial_without_samples_is_told(analog, plot, warnings_of):
    analog.trialdefinition = np.array([[0, 100, -20], [100, 100, 0]])
    power = spy.SpectralData(np.ones((3, 1, 2, 2)), trialdefinition=np.array([[1, 1, 0]]))
    assert plot(analog, trials=1) == plot(power) == (None, None)
    assert "trial 1 has no samples" in warnings_of[0]
    assert "trial 0 has no samples" in warnings_of[1]


def test_uneven_times(analog):
    toi = [0.0, 0.1, 0.4, 0.7]
    found = spy.freqanalysis(
        analog, method="wavelet", foi=[10.0, 20.0, 30.0], toi=toi, select={"trials": [1]}, parallel=False
    )
    assert found.samplerate is None
    _, ax = found.singlepanelplot(channel=0)
    edges = np.asarray(ax.collections[0].get_coordinates())[0, :, 0]
    np.testing.assert_allclose(edges[1:-1], [0.05, 0.25, 0.55])
    assert ax.get_xlabel() == "time (s)"
    fig, axs = found.multipanelplot()
    np.testing.assert_allclose(
        np.asarray(axs[0, 0].collections[0].get_coordinates())[0, 1:-1, 0], edges[1:-1]
    )
    assert fig.get_supxlabel() == "time (s)"


@pytest.mark.parametrize("unit", [1e-16, 1.0, 1e12])
def test_pictures_have_no_scale_of_their_own(unit):
    """The same picture in any unit: channels that are flat take up no more room than others."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(100, 4))
    values[:, 1:3] = 0
    data = spy.AnalogData(values * unit, samplerate=100)
    fig, ax = data.singlepanelplot()
    span = np.ptp(ax.get_ylim()) / unit
    assert 2 * np.ptp(values[:, 0]) < span < 6 * np.ptp(values[:, 0])
    _, plain = spy.AnalogData(values, samplerate=100).singlepanelplot()
    np.testing.assert_allclose(np.array(ax.get_ylim()) / unit, plain.get_ylim(), rtol=1e-6)
    fig.canvas.draw()
    power = spy.freqanalysis(data, foilim=[2, 40], parallel=False, select={"channel": [0, 3]})
    one = spy.freqanalysis(spy.AnalogData(values, samplerate=100), foilim=[2, 40], parallel=False)
    _, ax = power.singlepanelplot()
    wanted = 10 * np.log10(one.show(channel=0)) + 20 * np.log10(unit)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), wanted, rtol=1e-4)


def test_complex_and_latency(analog, spectral, warnings_of):
    assert spy.freqanalysis(analog, output="fourier", parallel=False).singlepanelplot(trials=0) == (
        None,
        None,
    )
    assert spectral.singlepanelplot(trials=0, latency=[0, 1])[0] is not None
    assert "complex" in warnings_of[0]
    assert "latency" in warnings_of[1]


def test_selection_of_the_object_counts_and_stays(analog):
    analog.selectdata(trials=1, channel=["b", "d"], inplace=True)
    before = analog.selection
    _, ax = analog.singlepanelplot(shifted=False)
    assert [line.get_label() for line in ax.lines] == ["b", "d"]
    np.testing.assert_array_equal(analog.selection.trial_ids, before.trial_ids)
    with pytest.raises(InvalidValueError, match="active selection"):
        analog.singlepanelplot(trials=0)
    np.testing.assert_array_equal(analog.selection.trial_ids, before.trial_ids)


def test_wrong_arguments(analog):
    with pytest.raises(InvalidTypeError, match="data"):
        spy.singlepanelplot(np.ones(3))
    with pytest.raises(InvalidTypeError, match="data"):
        spy.multipanelplot(None)
    with pytest.raises(InvalidValueError, match="frequency"):
        analog.singlepanelplot(frequency=3)
    with pytest.raises(InvalidTypeError, match="shifted"):
        analog.singlepanelplot(trials=0, shifted="yes")
    with pytest.raises(InvalidValueError, match="empty"):
        spy.AnalogData().singlepanelplot()
    assert analog.selection is None


def test_style_is_left_alone(analog):
    before = dict(matplotlib.rcParams)
    analog.singlepanelplot(trials=0)
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib(analog, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingPackageError, match=r"rayspy\[plot\]"):
        analog.singlepanelplot(trials=0)


def test_import_does_not_import_matplotlib():
    code = "import sys, rayspy; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
