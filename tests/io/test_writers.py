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
