"""Recordings read through MNE and Neo, BIDS side files, and objects of other libraries."""

import json
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import rayspy as spy
from rayspy.errors import (
    DamagedDataError,
    InvalidTypeError,
    InvalidValueError,
    MissingPackageError,
    SourceChangedError,
)
from rayspy.storage import reading
from tests.helpers import run_on
from tests.io.rigs import WIDE, neuroscope, openephys, spikeglx

RNG = np.random.default_rng(9)
VALUES = RNG.normal(size=(1000, 4)) * 1e-5


@pytest.fixture
def mne():
    return pytest.importorskip("mne")


@pytest.fixture
def neo():
    return pytest.importorskip("neo")


def raw_of(mne):
    info = mne.create_info(["F1", "M1", "G1", "STI"], 250.0, ["eeg", "mag", "grad", "stim"])
    values = VALUES.T.copy()
    values[3] = 0
    values[3, 100:103], values[3, 500:] = 5, 9
    raw = mne.io.RawArray(values, info, first_samp=77, verbose="error")
    raw.info["bads"] = ["M1"]
    raw.info["chs"][0]["loc"][:3] = [0.01, 0.02, 0.03]
    return raw


def saved(mne, path, annotations=()):
    raw = raw_of(mne)
    if annotations:
        raw.set_annotations(mne.Annotations(*zip(*annotations, strict=True)))
    raw.save(path, fmt="double", verbose="error")
    return mne.io.read_raw_fif(path, preload=True, verbose="error")


def test_fif(mne, tmp_path):
    raw = saved(mne, tmp_path / "x_raw.fif")
    data = spy.read(tmp_path / "x_raw.fif")
    np.testing.assert_array_equal(data.data[:], raw.get_data().T)
    np.testing.assert_array_equal(data.data[123:777, 1:3], raw.get_data().T[123:777, 1:3])
    assert list(data.unit) == ["V", "T", "T/m", ""]
    assert data.info["bad_channels"] == ["M1"]
    assert data.info["channel_types"]["G1"] == "grad"
    np.testing.assert_allclose(data.info["positions"]["F1"], [0.01, 0.02, 0.03], rtol=1e-6)
    assert data.events.data[:].tolist() == [[100, 5, 0], [500, 9, 0]]
    micro = spy.read(tmp_path / "x_raw.fif", unit="uV")
    assert list(micro.unit) == ["µV", "T", "T/m", ""]
    np.testing.assert_allclose(micro.data[:], raw.get_data().T * [1e6, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize("piece", [1, 200, 2_000])
def test_pieces_are_put_together(mne, tmp_path, monkeypatch, piece):
    """Channels in rows (MNE), and samples in rows (Neo)."""
    raw = saved(mne, tmp_path / "x_raw.fif")
    monkeypatch.setattr(reading, "_PIECE_BYTES", piece)
    data = spy.read(tmp_path / "x_raw.fif")
    array = data.data[3:877, 1:3]
    np.testing.assert_array_equal(array, raw.get_data().T[3:877, 1:3])
    assert array.flags.c_contiguous
    (tmp_path / "x.fake").write_bytes(b"x")
    found = next(iter(spy.read(tmp_path / "x.fake").values()))
    np.testing.assert_array_equal(found.data[100:333, 1:3], found.data[:][100:333, 1:3])


def test_annotations_of_fif(mne, tmp_path):
    texts = [(1.0, 0.2, "go 3"), (2.0, 0.5, "BAD_ACQ_SKIP"), (3.0, 0.4, "BAD move")]
    saved(mne, tmp_path / "x_raw.fif", texts)
    data = spy.read(tmp_path / "x_raw.fif", bad="trials")
    rows = data.events.data[:]
    assert rows[:, 0].tolist() == [250, 500, 750]
    assert rows[0].tolist() == [250, 3, 50]
    np.testing.assert_array_equal(data.trialdefinition, [[0, 500, 0], [625, 750, 625], [850, 1000, 850]])


def test_epochs(mne, tmp_path):
    epochs = mne.EpochsArray(
        VALUES.reshape(10, 100, 4).transpose(0, 2, 1),
        mne.create_info(4, 200.0, "eeg"),
        events=np.column_stack([np.arange(10) * 200, np.zeros(10, int), np.arange(10) % 2 + 1]),
        tmin=-0.1,
        event_id={"left": 1, "right": 2},
        verbose="error",
    )
    epochs.save(tmp_path / "x-epo.fif", fmt="double", verbose="error")
    for data in (spy.read(tmp_path / "x-epo.fif"), spy.read(epochs)):
        np.testing.assert_allclose(data.data[:], VALUES, rtol=1e-12)
        np.testing.assert_allclose(data.data[150:330, 2], VALUES[150:330, 2], rtol=1e-12)
        np.testing.assert_array_equal(data.trialdefinition[3], [300, 400, -20, 2])
        assert data.info["event_id"] == {"left": 1, "right": 2}


@pytest.mark.parametrize("executor", ["local-2", "ray-2"])
def test_generic_source_on_executors(mne, tmp_path, executor, request):
    saved(mne, tmp_path / "x_raw.fif")
    data = spy.read(tmp_path / "x_raw.fif")
    data.trialdefinition = np.array([[3, 203, 0], [400, 600, 0], [777, 977, 0]])
    plain = spy.AnalogData(data.data[:], samplerate=250, trialdefinition=data.trialdefinition)
    expected = spy.freqanalysis(plain, parallel=False).data[:]
    with run_on(executor, request) as how, spy.config.using(block_bytes=5000):
        np.testing.assert_array_equal(spy.freqanalysis(data, **how).data[:], expected)


def test_header_travels_and_changes_are_noticed(mne, tmp_path):
    saved(mne, tmp_path / "x_raw.fif")
    source = spy.read(tmp_path / "x_raw.fif").source
    assert source.header
    twin = pickle.loads(pickle.dumps(source))
    reading._open.clear()
    with twin.reader() as read:
        np.testing.assert_array_equal(read((slice(5, 9), slice(0, 1))), VALUES[5:9, :1])
    assert len(reading._open) == 1
    saved(mne, tmp_path / "y_raw.fif", [(0.5, 0.1, "x")])
    (tmp_path / "y_raw.fif").replace(tmp_path / "x_raw.fif")
    with pytest.raises(SourceChangedError, match="replaced"):
        source.opened()


class Mapped:
    """What is open is a memory map of a file."""

    def __init__(self, path):
        self.map = np.memmap(path, "u1", "r")

    def read(self, first, stop, channels):
        return np.array(self.map[first:stop, None][:, channels])


def test_only_headers_travel(tmp_path, monkeypatch):
    """Not what libraries have mapped of a file, which may be larger than memory."""
    (tmp_path / "x.bin").write_bytes(bytes(range(256)) * 64)
    opened = Mapped(tmp_path / "x.bin")
    made = (
        opened,
        (2**14, 1),
        "u1",
        str(tmp_path / "x.bin"),
        "rayspy.io.readers.neo_reader",
        "open_part",
        {},
    )
    small = reading.reader_source(*made)
    monkeypatch.setattr(reading, "_HEADER_BYTES", 2**13)
    large = reading.reader_source(*made)
    assert len(small.header) > 2**14
    assert large.header == b""
    with large.reader() as read:
        assert read((slice(255, 257), slice(0, 1))).tolist() == [[255], [0]]


def test_missing_library_is_named(mne, tmp_path, monkeypatch):
    saved(mne, tmp_path / "x_raw.fif")
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(MissingPackageError, match="pip install mne"):
        spy.read(tmp_path / "x_raw.fif")
    monkeypatch.setitem(sys.modules, "neo", None)
    (tmp_path / "x.plx").write_bytes(b"x")
    with pytest.raises(MissingPackageError, match="pip install neo"):
        spy.read(tmp_path / "x.plx")


# -- Neo ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [spikeglx, neuroscope, openephys])
def test_layouts_that_neo_describes_are_read_without_it(neo, tmp_path, made):
    path, stored, rate, gain = made(tmp_path)
    found = spy.read(path)
    data = next(iter(found.values())) if isinstance(found, dict) else found
    assert data.samplerate == rate
    np.testing.assert_allclose(data.data[:], stored * gain, rtol=1e-5)
    np.testing.assert_array_equal(data.data[100:333, 1:3], data.data[:][100:333, 1:3])
    program = (
        "import pickle, sys; sys.modules['neo'] = None\n"
        "source = pickle.loads(sys.stdin.buffer.read())\n"
        "with source.reader() as read: print(float(read((slice(7, 8), slice(1, 2)))[0, 0]))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=pickle.dumps(data.source), capture_output=True, check=True)
    assert float(done.stdout) == data.data[7, 1]


@pytest.mark.parametrize(
    ("made", "suffix", "stated", "name"),
    [
        (neuroscope, ".xml", "<nChannels>{}<", "x.dat"),
        (spikeglx, ".meta", "nSavedChans={}", "run_g0_t0.imec0.ap.bin"),
    ],
)
def test_numbers_of_channels_that_no_recording_has(neo, tmp_path, made, suffix, stated, name):
    made(tmp_path)
    description = next(one for one in tmp_path.iterdir() if one.suffix == suffix)
    text = description.read_text()
    assert stated.format(4) in text
    description.write_text(text.replace(stated.format(4), stated.format(5_000_000)))
    with pytest.raises(DamagedDataError, match="5000000 channels"):
        spy.read(tmp_path / name)


@pytest.mark.parametrize("place", ["../outside", "/", "deeper/../../x"])
def test_open_ephys_folders_lead_nowhere_else(neo, tmp_path, place):
    folder, *_ = openephys(tmp_path / "inner")
    description = next(folder.rglob("structure.oebin"))
    told = json.loads(description.read_text())
    told["continuous"][0]["folder_name"] = place
    description.write_text(json.dumps(told))
    with pytest.raises(InvalidValueError, match=r"structure\.oebin: folder_name"):
        spy.read(folder)


def test_neo_chunks_segments_events_and_spikes(neo, tmp_path):
    (tmp_path / "x.fake").write_bytes(b"x")
    raw = neo.rawio.ExampleRawIO(filename=str(tmp_path / "x.fake"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw.parse_header()
        found = spy.read(tmp_path / "x.fake")
    assert "spikes" in found
    assert len(found) == raw.signal_streams_count() + 1
    data = next(iter(found.values()))
    parts = [(b, s) for b in range(raw.block_count()) for s in range(raw.segment_count(b))]
    chunks = [raw.get_analogsignal_chunk(b, s, None, None, 0) for b, s in parts]
    scaled = [raw.rescale_signal_raw_to_float(chunk, "float64", 0) for chunk in chunks]
    np.testing.assert_allclose(data.data[:], np.concatenate(scaled), rtol=1e-5)
    assert len(data.trials) == len(parts)
    edge = len(chunks[0])
    np.testing.assert_allclose(
        data.data[edge - 7 : edge + 5, 1], np.concatenate(scaled)[edge - 7 : edge + 5, 1]
    )
    expected = []
    for (b, s), start in zip(parts, np.cumsum([0, *map(len, chunks)]), strict=False):
        stamps, _, _ = raw.get_event_timestamps(b, s, event_channel_index=0)
        times = raw.rescale_event_timestamp(stamps, "float64", 0) - raw.get_signal_t_start(b, s, 0)
        samples = np.round(times * data.samplerate)
        expected += (samples[samples < len(chunks[0])] + start).tolist()
    assert expected
    assert set(expected) <= set(data.events.sample.tolist())
    rate = max(one.samplerate for name, one in found.items() if name != "spikes")
    starts = [raw.get_signal_t_start(b, s, 0) for b, s in parts]
    edges = np.cumsum([0, *(raw.get_signal_size(b, s, 0) for b, s in parts)])
    expected = []
    for (b, s), start, edge in zip(parts, starts, edges, strict=False):
        times = raw.rescale_spike_timestamp(raw.get_spike_timestamps(b, s, 1), "float64")
        expected += [round(float(t - start) * rate) + int(edge) for t in times]
    name = str(raw.header["spike_channels"][1]["name"])
    spikes = found["spikes"]
    code = spikes.unit_idx[list(spikes.unit).index(name)]
    assert spikes.data[:][spikes.data[:, 2] == code, 0].tolist() == sorted(set(expected))


# -- BIDS ---------------------------------------------------------------------------------------


def bids(tmp_path):
    folder = tmp_path / "sub-01" / "ses-a" / "ieeg"
    folder.mkdir(parents=True)
    (tmp_path / "dataset_description.json").write_text("{}")
    for run in ("01", "02"):
        stem = f"sub-01_ses-a_task-grip_run-{run}"
        lines = [
            "Brain Vision Data Exchange Header File Version 1.0",
            "[Common Infos]",
            f"DataFile={stem}_ieeg.eeg",
            "DataOrientation=MULTIPLEXED",
            "DataFormat=BINARY",
            "NumberOfChannels=4",
            "SamplingInterval=2000",
            "[Binary Infos]",
            "BinaryFormat=INT_16",
            "[Channel Infos]",
            *(f"Ch{k}=c{k},,0.5,µV" for k in range(1, 5)),
        ]
        (folder / f"{stem}_ieeg.vhdr").write_text("\n".join(lines), encoding="utf-8")
        (folder / f"{stem}_ieeg.eeg").write_bytes((WIDE + int(run)).tobytes())
        (folder / f"{stem}_channels.tsv").write_text(
            "name\ttype\tunits\tstatus\nc1\tSEEG\tuV\tgood\nc2\tECOG\tuV\tbad\nc3\tMISC\tn/a\tgood\n"
        )
        (folder / f"{stem}_events.tsv").write_text(
            "onset\tduration\ttrial_type\tvalue\n0.1\t0.5\tgrip\t7\n1.0\tn/a\trest\tn/a\nx\t0\tno\t1\n"
        )
    (folder / "sub-01_ses-a_space-MNI_electrodes.tsv").write_text(
        "name\tx\ty\tz\nc1\t10\t20\t30\nc2\tn/a\tn/a\tn/a\n"
    )
    (folder / "sub-01_ses-a_space-MNI_coordsystem.json").write_text('{"iEEGCoordinateUnits": "mm"}')
    (tmp_path / "task-grip_ieeg.json").write_text('{"SamplingFrequency": 400, "PowerLineFrequency": 50}')


def test_bids(tmp_path):
    bids(tmp_path)
    data = spy.read(tmp_path / "sub-01", task="grip", run=2)
    np.testing.assert_array_equal(data.data[:], ((WIDE + 2) * 0.5).astype("f4"))
    assert data.info["channel_types"] == {"c1": "seeg", "c2": "ecog", "c3": "misc"}
    assert data.info["bad_channels"] == ["c2"]
    assert data.info["positions"] == {"c1": pytest.approx([0.01, 0.02, 0.03])}
    assert data.events.data[:].tolist() == [[50, 7, 250], [500, 10001, 0]]
    assert data.events.info["names"] == {"grip": 7, "rest": 10001}
    assert data.info["bids"]["PowerLineFrequency"] == 50
    notes = " ".join(data.info["notes"])
    assert "c4" in notes
    assert "without onset" in notes
    assert "400 Hz" in notes
    with pytest.raises(InvalidValueError, match="run-01"):
        spy.read(tmp_path / "sub-01", task="grip")
    with pytest.raises(InvalidValueError, match="run"):
        spy.read(tmp_path / "sub-01", run=3)


# -- objects ------------------------------------------------------------------------------------


def test_objects_of_mne_and_neo(mne, neo):
    raw = raw_of(mne)
    np.testing.assert_array_equal(spy.raw_mne_to_adata(raw).data[:], raw.get_data().T)
    with pytest.raises(InvalidTypeError, match=r"mne\.Epochs"):
        spy.mne_epochs_to_tldata(raw)
    pq = pytest.importorskip("quantities")
    block, segment = neo.Block(), neo.Segment()
    segment.analogsignals.append(
        neo.AnalogSignal(VALUES * 1e3, units="mV", sampling_rate=2 * pq.kHz, t_start=3 * pq.s)
    )
    segment.events.append(neo.Event([3.1, 3.2] * pq.s, labels=["S 1", "S 2"]))
    segment.spiketrains.append(
        neo.SpikeTrain([3.1, 3.25] * pq.s, t_start=3 * pq.s, t_stop=4 * pq.s, name="u")
    )
    block.segments.append(segment)
    found = spy.read(block, stream=None)
    data = next(iter(found.values()))
    np.testing.assert_array_equal(data.data[:], VALUES * 1e3)
    assert (data.samplerate, data.unit) == (2000, "mV")
    assert data.events.data[:].tolist() == [[200, 1, 0], [400, 2, 0]]
    assert found["spikes"].data[:, 0].tolist() == [200, 500]


def test_tables():
    times = np.arange(1000) / 500 - 0.2
    frame = pd.DataFrame(VALUES, index=times, columns=list("abcd"))
    data = spy.read(frame)
    np.testing.assert_array_equal(data.data[:], VALUES)
    assert (data.samplerate, list(data.channel)) == (500, list("abcd"))
    assert data.time[0][0] == pytest.approx(-0.2)
    gap = spy.read(frame.drop(frame.index[200:300]))
    np.testing.assert_array_equal(gap.trialdefinition, [[0, 200, -100], [200, 900, 200]])
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(VALUES.T, {"channel": list("abcd"), "time": times}, attrs={"units": "V"})
    data = spy.read(array)
    np.testing.assert_array_equal(data.data[:], VALUES)
    assert data.unit == "V"
    with pytest.raises(InvalidTypeError, match="path"):
        spy.read({"a": 1})
    with pytest.raises(InvalidValueError, match="irregular"):
        spy.read(pd.DataFrame(VALUES, index=np.cumsum(RNG.uniform(0.1, 9, 1000))))
