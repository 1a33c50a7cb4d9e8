"""Objects of other libraries and files for other programs: what goes out comes back."""

import json

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError, PathError

RNG = np.random.default_rng(11)


@pytest.fixture
def data():
    made = spy.AnalogData(RNG.normal(size=(400, 3)).astype("f4"), samplerate=100, channel=["Fz", "Cz", "STI"])
    starts = np.arange(4) * 100
    made.trialdefinition = np.column_stack([starts, starts + 100, np.full(4, -20), [1, 2, 1, 2]])
    made.unit = ["µV", "mV", ""]
    made.info["channel_types"] = {"Fz": "eeg", "Cz": "eeg", "STI": "stim"}
    return made


@pytest.fixture
def spikes():
    table = np.array([[1, 0, 5], [7, 1, 5], [9, 0, 6], [130, 0, 5]])
    trl = np.array([[0, 100, -10], [100, 200, -10.0]])
    return spy.SpikeData(table, samplerate=100, trialdefinition=trl, unit=["u", "v"], channel=["a", "b"])


def test_xarray_of_equal_trials(data):
    pytest.importorskip("xarray")
    made = spy.to_xarray(data)
    assert made.dims == ("trial", "time", "channel")
    assert made.shape == (4, 100, 3)
    np.testing.assert_array_equal(made.values, np.stack(list(data.trials)))
    np.testing.assert_allclose(made.time, data.time[0])
    assert made.trialinfo0.values.tolist() == [1, 2, 1, 2]
    assert made.unit.values.tolist() == ["µV", "mV", ""]
    every = np.stack(list(data.trials))
    np.testing.assert_array_equal(made.isel(trial=2, time=slice(5, 50, 3)), every[2, 5:50:3])
    np.testing.assert_array_equal(made.isel(trial=[3, 1], channel=[2, 0]), every[[3, 1]][:, :, [2, 0]])
    np.testing.assert_array_equal(made.isel(time=7, channel=1), every[:, 7, 1])
    np.testing.assert_array_equal(made.sel(channel="Cz", time=0, method=None), every[:, 20, 1])
    again = spy.read(made.isel(trial=1))
    np.testing.assert_array_equal(again.data[:], every[1])
    np.testing.assert_allclose(again.time[0], data.time[1])


def test_xarray_reads_nothing_unasked(data, monkeypatch):
    pytest.importorskip("xarray")
    from rayspy.storage import sources

    read = []
    inner = sources.MemorySource.reader
    monkeypatch.setattr(sources.MemorySource, "reader", lambda self: read.append(1) or inner(self))
    made = spy.to_xarray(data)
    repr(made.isel(trial=0))
    assert made.dims[0] == "trial"
    n = len(read)
    made.isel(trial=0).values  # noqa: B018
    assert n == 0
    assert read


def test_xarray_of_other_trials_and_spectra(data):
    pytest.importorskip("xarray")
    uneven = data.copy()
    uneven.trialdefinition = np.array([[0, 100, -20, 5], [150, 300, 0, 6]])
    made = spy.to_xarray(uneven)
    assert made.dims == ("time", "channel")
    assert made.trial.values[[0, 99, 100, 150, 299, 300]].tolist() == [0, 0, -1, 1, 1, -1]
    np.testing.assert_allclose(made.time.values[150:300], uneven.time[1])
    assert np.isnan(made.time.values[120])
    spec = spy.freqanalysis(data, foilim=[5, 20], tapsmofrq=4, keeptapers=True, output="fourier")
    made = spy.to_xarray(spec)
    assert made.dims == ("trial", "time", "taper", "freq", "channel")
    np.testing.assert_array_equal(made.values, np.stack(list(spec.trials)))
    np.testing.assert_array_equal(made.freq, spec.freq)
    assert json.loads(made.attrs["cfg"])["freqanalysis"]["tapsmofrq"] == 4


def test_mne_raw_and_epochs(data):
    mne = pytest.importorskip("mne")
    epochs = spy.to_mne(data)
    assert isinstance(epochs, mne.EpochsArray)
    expected = np.stack(list(data.trials)).transpose(0, 2, 1) * np.array([1e-6, 1e-3, 1])[:, None]
    np.testing.assert_allclose(epochs.get_data(verbose="error"), expected, rtol=1e-6)
    np.testing.assert_allclose(epochs.times, data.time[0], atol=1e-12)
    assert epochs.get_channel_types() == ["eeg", "eeg", "stim"]
    assert epochs.events[:, 2].tolist() == [1, 2, 1, 2]
    back = spy.mne_epochs_to_tldata(epochs)
    np.testing.assert_array_equal(back.trialdefinition, data.trialdefinition)
    one = data.copy()
    one.trialdefinition = np.array([[0, 400, 0]])
    rows, columns = np.array([[5, 3, 10], [300, 4, 0]]), ["sample", "eventid", "duration"]
    one.events = spy.EventData(rows, samplerate=100, dimord=columns)
    one.events.info["names"] = {"go": 3}
    one.info["bad_channels"] = ["Cz"]
    raw = spy.raw_adata_to_mne_raw(one)
    np.testing.assert_allclose(raw.get_data(), data.data[:].T * np.array([[1e-6], [1e-3], [1]]), rtol=1e-6)
    assert raw.annotations.description.tolist() == ["go", "4"]
    np.testing.assert_allclose(raw.annotations.onset, [0.05, 3.0])
    assert raw.info["bads"] == ["Cz"]
    again = spy.read(raw, unit="uV")
    np.testing.assert_allclose(again.data[:, 0], one.data[:, 0], rtol=1e-6)
    with pytest.raises(InvalidValueError, match="one trial"):
        spy.raw_adata_to_mne_raw(data)
    with pytest.raises(InvalidTypeError):
        spy.to_mne(one.events)
    with pytest.raises(InvalidValueError, match="measured in µV"):
        spy.to_mne(data, "mag")
    with spy.config.using(memory_budget=1000), pytest.raises(MemoryBudgetError, match="MNE"):
        spy.to_mne(data)


@pytest.mark.parametrize("wrong", [True, 0, "text", "", ["eeg"], ["eeg", 1], [["eeg"], "eeg"], int, {"a": 1}])
def test_types_that_mne_does_not_have(data, wrong):
    pytest.importorskip("mne")
    with pytest.raises((InvalidTypeError, InvalidValueError), match="ch_types"):
        spy.to_mne(data, ch_types=wrong)


def test_mne_spectra_and_averages(data):
    mne = pytest.importorskip("mne")
    picked = data.selectdata(channel=["Fz", "Cz"])
    spec = spy.freqanalysis(picked, foilim=[5, 20])
    made = spy.to_mne(spec, "eeg")
    assert isinstance(made, mne.time_frequency.EpochsSpectrumArray)
    np.testing.assert_array_equal(made.get_data(), np.stack([t[0, 0].T for t in spec.trials]))
    np.testing.assert_array_equal(made.freqs, spec.freq)
    mean = spy.to_mne(spy.freqanalysis(picked, foilim=[5, 20], keeptrials=False), "eeg")
    assert isinstance(mean, mne.time_frequency.SpectrumArray)
    tfr = spy.freqanalysis(picked, method="mtmconvol", foi=[10, 20], t_ftimwin=0.2, toi=[0.0, 0.1, 0.2])
    made = spy.to_mne(tfr, "eeg")
    assert isinstance(made, mne.time_frequency.EpochsTFRArray)
    np.testing.assert_array_equal(made.data, np.stack([t[:, 0].transpose(2, 1, 0) for t in tfr.trials]))
    np.testing.assert_allclose(made.times, tfr.time[0])
    evoked = spy.to_mne(spy.timelockanalysis(picked), "eeg")
    assert isinstance(evoked, mne.EvokedArray)
    assert evoked.nave == 4
    np.testing.assert_allclose(evoked.times, data.time[0], atol=1e-12)


@pytest.mark.parametrize("trials", [False, True])
def test_mne_connectivity(data, trials):
    con = pytest.importorskip("mne_connectivity")
    spec = {"foilim": [5, 20], "tapsmofrq": 4, "parallel": False}
    coh = spy.connectivityanalysis(data, method="csd" if trials else "coh", keeptrials=trials, **spec)
    made = spy.to_mne(coh)
    assert type(made) is (con.EpochSpectralConnectivity if trials else con.SpectralConnectivity)
    dense = made.get_data("dense")
    expected = np.stack([t[0].transpose(1, 2, 0) for t in coh.trials])
    np.testing.assert_array_equal(dense, expected if trials else expected[0])
    assert made.names == list(coh.channel_i)
    np.testing.assert_allclose(made.freqs, coh.freq)


def test_mne_connectivity_of_other_shapes(data):
    con = pytest.importorskip("mne_connectivity")
    values = RNG.normal(size=(1, 3, 2, 2))
    names = {"channel_i": ["a", "b"], "channel_j": ["b", "c"], "freq": [5.0, 6.0, 7.0]}
    made = spy.to_mne(spy.CrossSpectralData(values, samplerate=1, **names))
    assert made.names == ["a", "b", "c"]
    assert [list(one) for one in made.indices] == [[0, 0, 1, 1], [1, 2, 1, 2]]
    np.testing.assert_array_equal(made.get_data(), values[0].transpose(1, 2, 0).reshape(4, 3))
    listed = spy.CrossSpectralData(
        values[..., 0], samplerate=1, channelcmb=["a--b", "b--c"], freq=[5.0, 6.0, 7.0],
        dimord=["time", "freq", "channelcmb"],
    )  # fmt: skip
    made = spy.to_mne(listed)
    assert [list(one) for one in made.indices] == [[0, 1], [1, 2]]
    np.testing.assert_array_equal(made.get_data(), values[0, :, :, 0].T)
    lags = spy.connectivityanalysis(data, method="corr", parallel=False)
    made = spy.to_mne(lags)
    assert type(made) is con.TemporalConnectivity
    np.testing.assert_array_equal(made.get_data("dense"), lags.trials[0][:, 0].transpose(1, 2, 0))
    np.testing.assert_allclose(made.times, lags.time[0])


def test_fif_comes_back(data, tmp_path):
    mne = pytest.importorskip("mne")
    rows, columns = np.array([[5, 3, 10], [300, 4, 0]]), ["sample", "eventid", "duration"]
    data.events = spy.EventData(rows, samplerate=100, dimord=columns)
    data.events.info["names"] = {"go": 3}
    data.info["bad_channels"] = ["Cz"]
    spy.to_fif(data, tmp_path / "x_raw")
    again = spy.read(tmp_path / "x_raw.fif")
    np.testing.assert_allclose(again.data[:], data.data[:] * np.array([1e-6, 1e-3, 1]), rtol=1e-6)
    assert list(again.unit) == ["V", "V", ""]
    assert again.info["bad_channels"] == ["Cz"]
    names = {code: label for label, code in again.events.info["names"].items()}
    found = [(int(s), names[int(c)], int(d)) for s, c, d in again.events.data[:]]
    assert found[:3] == [(0, "trial 0", 100), (5, "go", 10), (100, "trial 1", 100)]
    raw = mne.io.read_raw_fif(tmp_path / "x_raw.fif", preload=True, verbose="error")
    np.testing.assert_array_equal(raw.get_data().T, again.data[:])
    with pytest.raises(PathError, match="overwrite"):
        spy.to_fif(data, tmp_path / "x_raw.fif")
    with pytest.raises(InvalidTypeError, match="to_mne"):
        spy.to_fif(data.events, tmp_path / "y")
    double = spy.AnalogData(RNG.normal(size=(50, 2)), samplerate=10)
    spy.to_fif(double, tmp_path / "x_raw.fif", overwrite=True)
    np.testing.assert_array_equal(spy.read(tmp_path / "x_raw.fif").data[:], double.data[:])
    assert [path.name for path in tmp_path.iterdir()] == ["x_raw.fif"]


def test_tables(data, spikes, tmp_path):
    import pandas as pd

    frame = spy.to_pandas(data)
    assert list(frame.columns) == ["trial", "time", "Fz", "Cz", "STI"]
    np.testing.assert_array_equal(frame[["Fz", "Cz", "STI"]], data.data[:])
    np.testing.assert_allclose(frame.time[100:200], data.time[1])
    assert frame.trial.tolist() == np.repeat(np.arange(4), 100).tolist()
    spec = spy.freqanalysis(data, foilim=[5, 6])
    long = spy.to_pandas(spec)
    value = long[(long.trial == 2) & (long.freq == 6) & (long.channel == "Cz")].value
    assert value.tolist() == [spec.show(trials=2, channel="Cz", frequency=6)]
    assert len(long) == 4 * 2 * 3
    events = spy.to_pandas(spikes)
    assert events.unit.tolist() == ["u", "u", "v", "u"]
    assert events.channel.tolist() == ["a", "b", "a", "a"]
    assert events.trial.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(events.time, [-0.09, -0.03, -0.01, 0.2])
    for one, frame in ((data, spy.to_pandas(data)), (spec, long), (spikes, events)):
        spy.to_parquet(one, tmp_path / "x", overwrite=True)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "x.parquet"), frame)
    with pytest.raises(PathError, match="overwrite"):
        spy.to_parquet(data, tmp_path / "x")
    with spy.config.using(memory_budget=1000), pytest.raises(MemoryBudgetError, match="to_parquet"):
        spy.to_pandas(data)
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


# -- files --------------------------------------------------------------------------------------


def test_fieldtrip_raw_comes_back(data, tmp_path, monkeypatch):
    from rayspy.io.writers import fieldtrip

    monkeypatch.setattr(fieldtrip, "_PIECE_BYTES", 500)
    uneven = data.copy()
    uneven.trialdefinition = np.array([[0, 100, -20, 5, 1.5], [150, 300, 0, 6, 2.5]])
    spy.to_fieldtrip(uneven, tmp_path / "x")
    again = spy.read(tmp_path / "x.mat")
    assert again.data.dtype == np.float32
    for k in (0, 1):
        np.testing.assert_array_equal(again.trials[k], uneven.trials[k])
        np.testing.assert_allclose(again.time[k], uneven.time[k], atol=1e-12)
    np.testing.assert_array_equal(again.trialinfo, uneven.trialinfo)
    assert list(again.channel) == list(data.channel)
    assert again.info["channel_types"] == data.info["channel_types"]
    assert list(again.unit) == ["µV", "mV", ""]
    assert (tmp_path / "x.mat").read_bytes()[124:128] == b"\x00\x02IM"
    more = spy.load_ft_raw(tmp_path / "x.mat", include_fields=["sampleinfo"])["data"]
    assert more.info["sampleinfo"] == [[1, 100], [151, 300]]
    with pytest.raises(PathError, match="overwrite"):
        spy.to_fieldtrip(uneven, tmp_path / "x")
    with pytest.raises(InvalidValueError, match="MATLAB"):
        spy.to_fieldtrip(uneven, tmp_path / "y", name="1x")
    assert [path.name for path in tmp_path.iterdir()] == ["x.mat"]


def test_fieldtrip_structures(data, spikes, tmp_path):
    h5py = pytest.importorskip("h5py")
    from rayspy.io.readers import matlab

    def written(one):
        spy.to_fieldtrip(one, tmp_path / "x", overwrite=True)
        with h5py.File(tmp_path / "x.mat") as file:
            return matlab.plain(file, file["data"], tmp_path / "x.mat")

    spec = spy.freqanalysis(data, foilim=[5, 20])
    made = written(spec)
    assert made["dimord"] == "rpt_chan_freq"
    assert made["label"] == list(data.channel)
    np.testing.assert_array_equal(made["powspctrm"], np.stack([t[0, 0].T for t in spec.trials]))
    np.testing.assert_array_equal(made["freq"].ravel(), spec.freq)
    np.testing.assert_array_equal(made["trialinfo"].ravel(), data.trialinfo.ravel())
    tapers = spy.freqanalysis(data, foilim=[5, 20], tapsmofrq=4, keeptapers=True, output="fourier")
    spy.to_fieldtrip(tapers, tmp_path / "x", overwrite=True)
    with h5py.File(tmp_path / "x.mat") as file:
        node = file["data/fourierspctrm"][()]
        values = (node["real"] + 1j * node["imag"]).T
        assert matlab.text(file["data/dimord"]) == "rpttap_chan_freq"
    expected = np.concatenate([t[0].transpose(0, 2, 1) for t in tapers.trials])
    np.testing.assert_array_equal(values, expected)
    made = written(spy.timelockanalysis(data))
    np.testing.assert_allclose(made["avg"], np.mean([t.T for t in data.trials], axis=0), atol=1e-6)
    np.testing.assert_array_equal(made["trial"], np.stack([t.T for t in data.trials]))
    made = written(spikes)
    assert made["label"] == ["u", "v"]
    np.testing.assert_array_equal(made["trial"][0].ravel(), [1, 1, 2])
    np.testing.assert_allclose(made["time"][0].ravel(), [-0.09, -0.03, 0.2])
    np.testing.assert_allclose(made["trialtime"], [[-0.1, 0.9], [-0.1, 0.9]])
    names = {"channel_i": ["a", "b"], "channel_j": ["a", "b"], "freq": [5.0, 6.0, 7.0]}
    coh = spy.CrossSpectralData(RNG.normal(size=(1, 3, 2, 2)), samplerate=1, **names)
    made = written(coh)
    assert made["dimord"] == "chan_chan_freq"
    np.testing.assert_array_equal(made["cohspctrm"], coh.data[0].transpose(1, 2, 0))


def test_brainvision_comes_back(data, tmp_path):
    mne = pytest.importorskip("mne")
    data.events = spy.EventData(np.array([[5, 3], [150, 4]]), samplerate=100)
    data.events.info["names"] = {"go, now": 3}
    spy.to_brainvision(data, tmp_path / "x")
    again = spy.read(tmp_path / "x.vhdr")
    np.testing.assert_array_equal(again.data[:], data.data[:])
    np.testing.assert_array_equal(again.trialdefinition[:, :3], data.trialdefinition[:, :3])
    assert (again.samplerate, list(again.channel)) == (100, list(data.channel))
    assert list(again.unit)[:2] == ["µV", "mV"]
    names = {code: label for label, code in again.events.info["names"].items()}
    rows = [(int(s), names[int(c)]) for s, c, _ in again.events.data[:] if names[int(c)].startswith("Stim")]
    assert rows == [(5, "Stimulus/go, now"), (150, "Stimulus/S  4")]
    raw = mne.io.read_raw_brainvision(tmp_path / "x.vhdr", preload=True, verbose="error")
    np.testing.assert_allclose(raw.get_data()[:2], data.data[:, :2].T * [[1e-6], [1e-3]], rtol=1e-6)
    uneven = data.copy()
    uneven.trialdefinition = np.array([[0, 100, -20], [150, 300, 0]])
    spy.to_brainvision(uneven, tmp_path / "x", overwrite=True)
    again = spy.read(tmp_path / "x.vhdr")
    np.testing.assert_array_equal(again.trialdefinition, [[0, 100, 0], [100, 250, 0]])
    np.testing.assert_array_equal(again.trials[1], uneven.trials[1])
    with pytest.raises(InvalidTypeError):
        spy.to_brainvision(uneven.events, tmp_path / "y")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("description", None),
        ("description", "a\0b"),
        ("session_start_time", 0),
        ("session_start_time", "today"),
    ],
)
def test_what_nwb_does_not_take(data, name, wrong, tmp_path):
    pytest.importorskip("pynwb")
    with pytest.raises(InvalidTypeError, match=name):
        spy.to_nwb(data, tmp_path / "x", **{name: wrong})
    assert list(tmp_path.iterdir()) == []


def test_nwb_comes_back(data, spikes, tmp_path):
    pynwb = pytest.importorskip("pynwb")
    picked = data.selectdata(channel=["Fz", "Cz"])
    picked.events = spy.EventData(np.array([[5, 3], [150, 4]]), samplerate=100)
    spy.to_nwb(picked, tmp_path / "x")
    again = spy.read(tmp_path / "x.nwb")
    np.testing.assert_allclose(again.data[:], picked.data[:] * [1e-6, 1e-3], rtol=1e-6)
    np.testing.assert_array_equal(again.trialdefinition, picked.trialdefinition)
    assert (again.samplerate, list(again.channel), again.unit) == (100, ["Fz", "Cz"], "V")
    assert again.events.data[:, :2].tolist() == [[5, 3], [150, 4]]
    with pynwb.NWBHDF5IO(tmp_path / "x.nwb", "r") as io:
        series = io.read().acquisition["ElectricalSeries"]
        np.testing.assert_array_equal(series.data[:], picked.data[:])
    spy.to_nwb(spikes, tmp_path / "y")
    back = spy.load_nwb(tmp_path / "y.nwb", default_spike_data_samplerate=100)["spikes"]
    assert back.data[:, 0].tolist() == [1, 7, 9, 130]
    assert list(back.unit) == ["u", "v"]
    with pytest.raises(InvalidValueError, match="voltages"):
        spy.to_nwb(back_in_tesla(picked), tmp_path / "z")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.nwb", "y.nwb"]


def back_in_tesla(data):
    made = data.copy()
    made.unit = "T"
    return made


@pytest.mark.parametrize(("n", "rate"), [(400, 100), (997, 250), (1024, 512.5), (3, 1000)])
def test_edf_comes_back(tmp_path, n, rate):
    mne = pytest.importorskip("mne")
    made = spy.AnalogData(RNG.normal(size=(n, 3)) * [1, 1000, 1e-3], samplerate=rate, channel=["a", "b", "c"])
    made.unit = "µV"
    made.events = spy.EventData(np.array([[1, 3], [2, 4]]), samplerate=rate)
    made.events.info["names"] = {"go": 3}
    spy.to_edf(made, tmp_path / "x")
    again = spy.read(tmp_path / "x.edf")
    step = (made.data[:].max(axis=0) - made.data[:].min(axis=0)) / 65535
    error = np.abs(again.data[:n] - made.data[:])
    assert (error <= 0.55 * step + [1e-6, 1e-3, 1e-7]).all()
    np.testing.assert_array_equal(again.data[n:], np.broadcast_to(again.data[n - 1], again.data[n:].shape))
    assert again.samplerate == pytest.approx(rate)
    assert (list(again.channel), again.unit) == (["a", "b", "c"], "µV")
    assert again.events.data[:, 0].tolist() == [1, 2]
    assert again.events.info["names"] == {"go": 10001, "S  4": 4}
    raw = mne.io.read_raw_edf(tmp_path / "x.edf", preload=True, verbose="error")
    difference = np.abs(raw.get_data().T * 1e6 - again.data[:])
    assert (difference <= 2e-7 * np.abs(again.data[:]).max(axis=0)).all()  # a digit is 1.5e-5 at least
    assert raw.annotations.description.tolist() == ["go", "S  4"]


WRONG_IN_EDF = (
    ([np.nan, 1.0], "finite"),
    ([1e12, 2e12], "convert the unit"),
    ([1e-13, 2e-13], "smaller unit"),
    ([1e-13, 1e-13], "smaller unit"),
)


def test_edf_refuses_what_it_cannot_hold(data, tmp_path):
    for values, words in WRONG_IN_EDF:
        with pytest.raises(InvalidValueError, match=words):
            spy.to_edf(spy.AnalogData(np.array(values)[:, None], samplerate=10), tmp_path / "y")
    spy.to_edf(data, tmp_path / "x")
    names = spy.read(tmp_path / "x.edf").events.info["names"]
    assert set(names) == {"trial 0", "trial 1", "trial 2", "trial 3"}
    assert [path.name for path in tmp_path.iterdir()] == ["x.edf"]


def test_neo_comes_back(data, spikes):
    pytest.importorskip("neo")
    block = spy.to_neo(data.selectdata(channel=["Fz", "Cz"]))
    found = spy.read(block)
    assert len(found) == 2
    for name, one in zip(("Fz", "Cz"), found.values(), strict=True):
        np.testing.assert_array_equal(one.data[:, 0], data.data[:, list(data.channel).index(name)])
        assert list(one.channel) == [name]
        assert len(one.trials) == 4
    assert [one.unit for one in found.values()] == ["µV", "mV"]
    trains = spy.to_neo(spikes).segments
    assert [len(train) for segment in trains for train in segment.spiketrains] == [2, 1, 1, 0]
    np.testing.assert_allclose(trains[0].spiketrains[0].magnitude, [-0.09, -0.03])
    events = spy.EventData(np.array([[5, 3], [9, 4]]), samplerate=100)
    np.testing.assert_allclose(spy.to_neo(events).segments[0].events[0].magnitude, [0, 0.04])


def test_pynapple(data, spikes):
    nap = pytest.importorskip("pynapple")
    frame = spy.to_pynapple(data)
    np.testing.assert_array_equal(frame.values, data.data[:])
    np.testing.assert_array_equal(spy.read(frame).data[:], data.data[:])
    group = spy.to_pynapple(spikes)
    assert isinstance(group, nap.TsGroup)
    np.testing.assert_allclose(group[5].times(), [0.01, 0.07, 1.3])


def test_spikeinterface(data, spikes):
    core = pytest.importorskip("spikeinterface.core")
    picked = data.selectdata(channel=["Fz", "Cz"])
    recording = spy.to_spikeinterface(picked)
    assert isinstance(recording, core.BaseRecording)
    again = spy.read(recording)
    np.testing.assert_allclose(again.data[:], picked.data[:] * [1, 1000], rtol=1e-6)
    assert (again.unit, len(again.trials)) == ("µV", 4)
    sorting = spy.to_spikeinterface(spikes)
    assert sorting.get_unit_spike_train("u", segment_index=1).tolist() == [30]


# -- what all files have in common ------------------------------------------------------------------

FILES = {
    "to_edf": "x.edf", "to_brainvision": "x.vhdr", "to_fieldtrip": "x.mat", "to_nwb": "x.nwb",
    "to_fif": "x_raw.fif", "to_parquet": "x.parquet", "to_syncopy": "x.analog", "save": "x.analog",
}  # fmt: skip


def write(name, data, path):
    if name in ("to_syncopy", "save"):
        getattr(spy, name)(data, filename=str(path))
    else:
        getattr(spy, name)(data, path)


@pytest.mark.parametrize("name", FILES)
def test_progress_counts_every_byte(data, tmp_path, monkeypatch, name):
    from rayspy.io.writers import whole

    picked, counted = data.selectdata(channel=["Fz", "Cz"]), []
    update = whole.Progress.update
    monkeypatch.setattr(whole.Progress, "update", lambda s, n, m=1: counted.append(n) or update(s, n, m))
    write(name, picked, tmp_path / FILES[name])
    assert picked.data.nbytes <= sum(counted)
    if name != "save":  # which reads what it wrote once more
        assert sum(counted) <= picked.data.nbytes + 64  # pynwb looks at one number twice


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_left_of_a_file_that_cannot_be_finished(data, tmp_path, monkeypatch, name):
    from rayspy.io.writers import whole

    def full(*_):
        raise OSError(28, "No space left on device")

    picked = data.selectdata(channel=["Fz", "Cz"])
    monkeypatch.setattr(whole.Progress, "update", full)
    with pytest.raises(PathError, match="No space"):
        write(name, picked, tmp_path / FILES[name])
    assert not list(tmp_path.iterdir())
