"""Results know what they hold: quantities and units, from analyses to files and pictures."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.data.quantity import is_change, squared
from rayspy.errors import InvalidTypeError, InvalidValueError


def recording(unit="V", n_channels=3):
    rng = np.random.default_rng(0)
    data = spy.AnalogData(
        [rng.standard_normal((200, n_channels)).astype("f4") for _ in range(4)], samplerate=100
    )
    data.unit = unit
    return data


def told(data):
    unit = data.unit
    return data.quantity, unit.tolist() if isinstance(unit, np.ndarray) else unit


OUTPUTS = [
    ("pow", "power", "V²"),
    ("abs", "amplitude", "V"),
    ("fourier", "Fourier coefficient", "V"),
    ("angle", "phase", "rad"),
    ("absimag", "|imaginary part|", "V"),
]


@pytest.mark.parametrize(("output", "quantity", "unit"), OUTPUTS)
@pytest.mark.parametrize("method", ["mtmfft", "mtmconvol", "wavelet"])
def test_spectra(method, output, quantity, unit):
    settings = {} if method == "mtmfft" else {"foi": [10, 20]}
    if method == "mtmconvol":
        settings |= {"t_ftimwin": 0.5, "toi": 0.5}
    for keeptrials in (True, False):
        found = spy.freqanalysis(recording(), method=method, output=output, keeptrials=keeptrials, **settings)
        assert told(found) == (quantity, unit)


def test_units_per_channel_go_through_selections_and_analyses():
    data = recording(["V", "uV", "V"])
    assert told(spy.freqanalysis(data)) == ("power", ["V²", "uV²", "V²"])
    assert told(spy.freqanalysis(data, select={"channel": [2, 0]})) == ("power", "V²")
    assert told(spy.selectdata(data, channel=[1])) == (None, "uV")
    assert told(spy.preprocessing(data, freq=10)) == (None, ["V", "uV", "V"])
    assert told(spy.freqanalysis(data).selectdata(channel=[1, 2])) == ("power", ["uV²", "V²"])


def test_what_is_not_known_stays_unknown():
    found = spy.freqanalysis(recording(None))
    assert told(found) == ("power", None)
    assert told(spy.AnalogData(np.zeros((5, 2)), samplerate=1)) == (None, None)


@pytest.mark.parametrize(
    ("mode", "quantity", "unit"),
    [
        ("absolute", "change of power", "V²"),
        ("relative", "ratio to baseline", "1"),
        ("relchange", "relative change", "1"),
        ("db", "change", "dB"),
        ("zscore", "z score", "sd"),
    ],
)
def test_baseline(mode, quantity, unit):
    power = spy.freqanalysis(recording(), method="wavelet", foi=[10, 20])
    found = spy.baseline(power, (-0.8, -0.2), mode)
    assert told(found) == (quantity, unit)
    assert is_change(quantity) == (mode != "relative")


def test_arithmetic():
    data = recording()
    power = spy.freqanalysis(data)
    assert told(power * 2) == told(power + 1) == told(2 * power) == told(power / 3) == ("power", "V²")
    assert told(power - power) == ("difference of power", "V²")
    assert told(power / power) == ("ratio of power", "1")
    assert told(power + power) == ("power", "V²")
    assert told(1 / power) == told(2**data) == (None, None)
    assert told(data**2) == (None, "V²")
    assert told(power + spy.freqanalysis(recording("mV"))) == (None, None)
    assert told(power * power) == (None, None)


def test_statistics_over_trials():
    power = spy.freqanalysis(recording())
    assert told(spy.mean(power, "trials")) == told(spy.median(power, "freq")) == ("power", "V²")
    assert told(spy.std(recording(), "trials")) == ("standard deviation of value", "V")
    assert told(spy.var(recording(), "time")) == ("variance of value", "V²")
    assert told(spy.var(power, "trials")) == ("variance of power", "(V²)²")
    fourier = spy.freqanalysis(recording(), output="fourier")
    assert told(spy.itc(fourier)) == ("inter-trial coherence", "1")
    assert told(spy.connectivityanalysis(recording(), method="coh")) == ("coherence", "1")
    assert told(spy.connectivityanalysis(recording(), method="csd")) == ("cross-spectral density", "V²")


def test_spikes_and_time_locking():
    data = recording()
    assert told(spy.timelockanalysis(data)) == (None, "V")
    spikes = spy.spikes_from_times({"a": np.arange(0.05, 7.9, 0.1)}, samplerate=1000)
    spikes.trialdefinition = data.trialdefinition * 10
    assert told(spy.spike_psth(spikes, binsize=0.2)) == ("firing rate", "spikes/s")
    assert told(spy.spike_psth(spikes, binsize=0.2, output="spikecount")) == ("spike count", "1")
    assert told(spy.spiketriggeredaverage(data, spikes, timwin=[-0.1, 0.1])) == (None, "V")
    assert told(spy.spikefieldcoherence(data, spikes)) == ("spike-field coherence", "1")


def test_saved_copied_shown_joined(tmp_path):
    power = spy.freqanalysis(recording(["V", "uV", "V"]))
    power.save(filename=str(tmp_path / "power"))
    assert told(spy.load(str(tmp_path / "power.spectral"))) == told(power) == told(power.copy())
    assert "quantity : power" in repr(power)
    assert "unit : " in repr(power)
    amplitude = spy.freqanalysis(recording(["V", "uV", "V"]), output="abs")
    with pytest.raises(InvalidValueError, match="instead of"):
        spy.SpectralData([power, amplitude])


def test_setting():
    data = recording()
    data.quantity = "potential"
    assert told(spy.preprocessing(data, freq=10)) == ("potential", "V")
    assert told(spy.preprocessing(data, freq=10, hilbert="abs")) == ("amplitude", "V")
    for value, name in ((3, "quantity"), (3, "unit")):
        with pytest.raises(InvalidTypeError, match=name):
            setattr(data, name, value)
    with pytest.raises(InvalidValueError, match="unit"):
        data.unit = ["V", "V"]
    assert squared("µV") == "µV²"
    assert squared("fT/cm") == "(fT/cm)²"


def test_pictures_follow_the_quantity():
    pytest.importorskip("matplotlib")
    power = spy.freqanalysis(recording(), method="wavelet", foi=[10, 20, 30])
    change = spy.baseline(power, (-0.8, -0.2), "db")
    fig, ax = change.singlepanelplot(trials=0, channel=0)
    image = ax.collections[0]
    np.testing.assert_array_equal(image.get_array().ravel(), change.show(trials=0, channel=0).T.ravel())
    low, high = image.get_clim()
    assert low == -high
    assert image.cmap.name == "RdBu_r"
    assert fig.axes[-1].get_ylabel() == "change (dB)"
    plain, ax = power.singlepanelplot(trials=0, channel=0)
    assert ax.collections[0].cmap.name == "magma"
    assert plain.axes[-1].get_ylabel() == "power (dB)"
    _, ax = power.singlepanelplot(trials=0, channel=0, logscale=False)
    assert ax.figure.axes[-1].get_ylabel() == "power (V²)"
    signals = recording()
    signals.quantity = "potential"
    _, ax = signals.singlepanelplot(trials=0, shifted=False)
    assert ax.get_ylabel() == "potential (V)"


def test_panels_of_very_different_ranges_have_their_own_colours():
    pytest.importorskip("matplotlib")
    power = spy.freqanalysis(recording(), method="wavelet", foi=[10, 20, 30])
    together, _ = power.multipanelplot(trials=0, logscale=False)
    assert len(together.axes) == 3 + 1
    apart, _ = (power * np.array([1, 100, 1])).multipanelplot(trials=0, logscale=False)
    assert len(apart.axes) == 3 + 3


def test_baseline_at_uneven_times():
    data = recording()
    times = [-0.9, -0.8, -0.6, -0.5, 0.1, 0.4]
    power = spy.freqanalysis(data, method="wavelet", foi=[10, 20], toi=times)
    assert power.samplerate is None
    found = spy.baseline(power, (-0.8, -0.5), "absolute")
    for k in range(4):
        x = power.trials[k].astype(np.float64)
        np.testing.assert_allclose(found.trials[k], x - x[1:4].mean(axis=0), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(found.time[2], times)
    with pytest.raises(InvalidValueError, match="baseline"):
        spy.baseline(power, (-0.75, -0.7))
    open_ended = spy.baseline(power, (None, -0.5), "absolute")
    x = power.trials[0].astype(np.float64)
    np.testing.assert_allclose(open_ended.trials[0], x - x[:4].mean(axis=0), rtol=1e-4, atol=1e-7)
