"""Files of amplifiers, written as their makers describe them, against what was written and against Neo."""

import pickle
import struct
import warnings

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidValueError
from rayspy.storage import reading
from tests.io.rigs import RATE, STORED, N, intan_groups, qstring, rhd, tdt

neo = pytest.importorskip("neo")
mne = pytest.importorskip("mne")


def own_reading(reader, **place):
    """Signals of each stream as Neo itself gives them, segments one behind the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = getattr(neo.rawio, reader)(**place)
        raw.parse_header()
        found = {}
        for k, header in enumerate(raw.header["signal_streams"]):
            chunks = [
                raw.rescale_signal_raw_to_float(
                    raw.get_analogsignal_chunk(0, s, None, None, k), "float64", stream_index=k
                )
                for s in range(raw.segment_count(0))
            ]
            found[str(header["name"])] = np.concatenate(chunks)
    return found


def same_as_neo(found, wanted):
    found = found if isinstance(found, dict) else {next(iter(wanted)): found}
    assert set(found) - {"spikes"} == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name].data[:], values, rtol=1e-5, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(found[name].data[77:1001, 1:], found[name].data[:][77:1001, 1:])


# -- Intan ----------------------------------------------------------------------------------------


def rhs(path, rate):
    """RHS2000 data file: blocks of 128 samples, a stimulation word beside each channel."""
    head = struct.pack("<Ihhfh8fhff", 0xD69127AC, 3, 0, rate, 1, 1, 1, 1, 7500, 1, 1, 1, 7500, 0, 1000, 1000)
    head += struct.pack("<hhfff", 0, 0, 1e-6, 1e-9, 0.0) + qstring("") * 3 + struct.pack("<hh", 0, 0)
    head += qstring("hardware") + intan_groups([(f"A-00{k}", 0) for k in range(3)], stim=True)
    shifted = (STORED.astype("i4") + 32768).astype("<u2")
    stim = np.zeros((N, 3), "<u2")
    stim[300:310, 1] = 5
    stim[310:320, 1] = 5 | 0x100  # bit 9: negative
    with path.open("wb") as file:
        file.write(head)
        for first in range(0, N, 128):
            file.write(np.arange(first, first + 128, dtype="<i4").tobytes())
            file.write(shifted[first : first + 128].T.tobytes() + stim[first : first + 128].T.tobytes())


def test_intan_rhd(tmp_path):
    aux, adc = rhd(tmp_path / "x.rhd", 20_000)
    found = spy.read(tmp_path / "x.rhd")
    data = found["RHD2000 amplifier channel"]
    assert (data.samplerate, list(data.channel), data.unit) == (20_000, ["A-000", "A-001", "A-002"], "µV")
    np.testing.assert_array_equal(data.data[:], STORED * np.float32(0.195))
    extra = found["RHD2000 auxiliary input channel"]
    assert (extra.samplerate, extra.unit) == (5000, "V")
    np.testing.assert_allclose(extra.data[:, 0], aux, rtol=1e-6)
    np.testing.assert_allclose(found["USB board ADC input channel"].data[:, 0], adc, rtol=1e-6)
    same_as_neo(found, own_reading("IntanRawIO", filename=tmp_path / "x.rhd"))
    (tmp_path / "session").mkdir()
    (tmp_path / "x.rhd").rename(tmp_path / "session" / "x.rhd")
    again = spy.read(tmp_path / "session", stream="RHD2000 amplifier channel")
    np.testing.assert_array_equal(again.data[:], STORED * np.float32(0.195))


def test_intan_rhs(tmp_path):
    rhs(tmp_path / "x.rhs", 30_000)
    found = spy.read(tmp_path / "x.rhs")
    np.testing.assert_array_equal(found["RHS2000 amplifier channel"].data[:], STORED * np.float32(0.195))
    stim = found["Stim channel"].data[:, 1]
    np.testing.assert_allclose(stim[295:325], [0] * 5 + [5e-6] * 10 + [-5e-6] * 10 + [0] * 5, atol=1e-12)
    same_as_neo(found, own_reading("IntanRawIO", filename=tmp_path / "x.rhs"))


def test_intan_in_several_files(tmp_path):
    """A folder with one file for each signal; the header is alone."""
    rhd(tmp_path / "whole.rhd", 20_000)
    raw = (tmp_path / "whole.rhd").read_bytes()
    (tmp_path / "whole.rhd").unlink()
    channels = [(f"A-00{k}", 0) for k in range(3)]
    (tmp_path / "info.rhd").write_bytes(
        raw[: raw.index(qstring("Port A")) - 2] + intan_groups(channels, stim=False)
    )
    (tmp_path / "time.dat").write_bytes(np.arange(N, dtype="<i4").tobytes())
    (tmp_path / "amplifier.dat").write_bytes(STORED.tobytes())
    for path in (tmp_path, tmp_path / "info.rhd"):
        data = spy.read(path)
        np.testing.assert_allclose(data.data[:], STORED * 0.195, rtol=1e-6)
    same_as_neo(data, own_reading("IntanRawIO", filename=tmp_path / "info.rhd"))


# -- Neuralynx --------------------------------------------------------------------------------------


def neuralynx(folder):
    """Cheetah 5.7.4: a file for each channel, records of 512 samples, a pause of a second in the middle."""
    for k in range(3):
        text = "\r\n".join([
            "######## Neuralynx Data File Header",
            "-FileType NCS",
            "-FileVersion 3.3.0",
            "-RecordSize 1044",
            "-HardwareSubSystemName AcqSystem1",
            "-HardwareSubSystemType DigitalLynxSX",
            "-SamplingFrequency 32000",
            "-ADMaxValue 32767",
            "-ADBitVolts 0.000000061037",
            f"-AcqEntName CSC{k + 1}",
            "-NumADChannels 1",
            f"-ADChannel {k}",
            "-InputRange 2000",
            "-InputInverted False",
            '-ApplicationName Cheetah "5.7.4"',
            "-TimeCreated 2017/02/16 17:56:04",
            "-TimeClosed 2017/02/16 18:01:18",
        ])  # fmt: skip
        with (folder / f"CSC{k + 1}.ncs").open("wb") as file:
            file.write(text.encode().ljust(2**14, b"\0"))
            for record in range(N // 512):
                stamp = 1_000_000 + record * 16_000 + (1_000_000 if record >= 2 else 0)
                file.write(struct.pack("<QIII", stamp, k, 32_000, 512))
                file.write(STORED[record * 512 : record * 512 + 512, k].tobytes())
    with (folder / "Events.nev").open("wb") as file:
        lines = [
            line for line in text.split("\r\n") if not line.startswith(("-AD", "-Acq", "-Input", "-Num"))
        ]
        file.write("\r\n".join(lines).replace("NCS", "Event").encode().ljust(2**14, b"\0"))
        for stamp, code in ((1_010_000, 3), (2_040_000, 7)):
            file.write(struct.pack("<3hQ5h8i128s", 0, 1, 2, stamp, 11, code, 0, 0, 0, *[0] * 8, b"go"))


def test_neuralynx(tmp_path):
    neuralynx(tmp_path)
    data = spy.read(tmp_path)
    assert (data.samplerate, list(data.channel), data.unit) == (32_000, ["CSC1", "CSC2", "CSC3"], "µV")
    np.testing.assert_allclose(data.data[:], STORED * 0.061037, rtol=1e-6)
    np.testing.assert_array_equal(data.trialdefinition, [[0, 1024, 0], [1024, 2048, 33_024]])
    assert data.events.sample.tolist() == [320, 1024 + 256]
    filled = spy.read(tmp_path, gaps="nan").data
    assert filled.shape == (2048 + 32_000, 3)
    np.testing.assert_allclose(filled[33_024:], STORED[1024:] * 0.061037, rtol=1e-6)
    assert np.isnan(filled[1024:33_024]).all()
    same_as_neo(data, own_reading("NeuralynxRawIO", dirname=tmp_path, gap_tolerance_ms=0.5))
    one = spy.read(tmp_path / "CSC2.ncs")
    assert list(one.channel) == ["CSC2"]
    np.testing.assert_array_equal(one.data[:, 0], data.data[:, 1])


# -- Blackrock --------------------------------------------------------------------------------------


def blackrock(folder, code_at):
    """File specification 2.3: a pause between two packets of data; spikes of two units and a digital code."""
    when = (2020, 1, 3, 15, 10, 0, 0, 0)
    head = struct.pack(
        "<8sBBI16s256sII8HI", b"NEURALCD", 2, 3, 314 + 3 * 66, b"30 kS/s", b"", 1, 30_000, *when, 3
    )
    for k in range(3):
        head += struct.pack(
            "<2sH16sBB4h16sIIHIIH", b"CC", k + 1, f"elec{k + 1}".encode(), 0, k, -8192, 8192, -2048, 2048,
            b"mV" if k == 2 else b"uV", 300, 1, 1, 7_500_000, 3, 1,
        )  # fmt: skip
    with (folder / "x.ns5").open("wb") as file:
        file.write(head)
        for stamp, part in ((0, STORED[:1000]), (60_000, STORED[1000:])):
            file.write(struct.pack("<BII", 1, stamp, len(part)) + part.tobytes())
    packet = 8 + 2 * 48
    waves = [
        struct.pack("<8sHBBHHhhBBH8s", b"NEUEVWAV", k + 1, 0, k, 250, 0, 0, -50, 1, 2, 48, b"")
        for k in range(2)
    ]
    head = struct.pack(
        "<8sBBHIIII8H32s256sI", b"NEURALEV", 2, 3, 1, 336 + 32 * 2, packet, 30_000, 30_000, *when, b"", b"", 2
    )
    with (folder / "x.nev").open("wb") as file:
        file.write(head + b"".join(waves))
        for stamp, electrode, unit in ((100, 1, 1), (250, 2, 1), (60_010, 1, 1)):
            file.write(struct.pack("<IHBB", stamp, electrode, unit, 0).ljust(packet, b"\1"))
            if stamp < code_at < 250 or code_at > stamp > 60_000:
                file.write(struct.pack("<IHBBH", code_at, 0, 1, 0, 9).ljust(packet, b"\0"))


def test_blackrock(tmp_path):
    blackrock(tmp_path, code_at=200)
    for path in (tmp_path / "x.ns5", tmp_path / "x.nev", tmp_path):
        found = spy.read(path)
        data = next(one for name, one in found.items() if name != "spikes")
        assert data.samplerate == 30_000
        assert list(data.channel) == ["elec1", "elec2", "elec3"]
        assert list(data.unit) == ["µV", "µV", "mV"]
        np.testing.assert_allclose(data.data[:], STORED / 4, rtol=1e-3)
    np.testing.assert_array_equal(data.trialdefinition, [[0, 1000, 0], [1000, 2048, 60_000]])
    assert data.events.sample.tolist() == [200]
    spikes = found["spikes"]
    assert spikes.samplerate == 30_000
    assert spikes.data[:, 0].tolist() == [100, 250, 1010]
    assert list(spikes.unit) == ["ch1#1", "ch2#1"]
    same_as_neo(found, own_reading("BlackrockRawIO", filename=tmp_path / "x.ns5"))


def test_blackrock_with_events_that_neo_cannot_place(tmp_path):
    """Neo 0.14 counts a pause once for spikes and once for digital codes behind it and gives up."""
    blackrock(tmp_path, code_at=60_030)
    data = spy.read(tmp_path / "x.ns5")
    np.testing.assert_allclose(data.data[:], STORED / 4, rtol=1e-3)
    assert data.events is None
    assert "left out" in " ".join(data.info["notes"])


# -- Plexon -----------------------------------------------------------------------------------------


def plexon(path):
    """PLX 106: blocks of 256 samples of each channel, spikes of two units and strobed events between them."""
    when = (2020, 1, 3, 15, 10, 0)
    head = struct.pack("<Ii128s14id", 0x58454C50, 106, b"", 40_000, 2, 1, 3, 4, 1, *when, 0, 40_000, 8192.0)
    head += struct.pack("<4B3H18s18s10s", 1, 1, 12, 16, 3000, 5000, 1000, b"", b"", b"")
    head = head.ljust(7504, b"\0")
    for k in range(2):
        head += struct.pack("<32s32s9i", f"sig{k + 1}".encode(), b"", k + 1, 0, 0, 0, 20, 0, 0, 0, 1).ljust(
            1020, b"\0"
        )
    head += struct.pack("<32si", b"Strobed", 257).ljust(296, b"\0")
    for k in range(3):
        head += struct.pack("<32s6i", f"FP{k + 1:02d}".encode(), k, 1000, 1, 1, 500, 0).ljust(296, b"\0")
    blocks = []
    for first in range(0, N, 256):
        for k in range(3):
            samples = STORED[first : first + 256, k].tobytes()
            blocks.append((first * 40, struct.pack("<2HI4H", 5, 0, first * 40, k, 0, 1, 256) + samples))
    for at, channel, unit in ((4000, 1, 1), (10_000, 2, 1), (60_000, 1, 1)):
        waveform = np.arange(4, dtype="<i2").tobytes()
        blocks.append((at, struct.pack("<2HI4H", 1, 0, at, channel, unit, 1, 4) + waveform))
    for at, code in ((8000, 7), (48_000, 9)):
        blocks.append((at, struct.pack("<2HI4H", 4, 0, at, 257, code, 0, 0)))
    path.write_bytes(head + b"".join(block for _, block in sorted(blocks, key=lambda one: one[0])))


def test_plexon(tmp_path):
    plexon(tmp_path / "x.plx")
    found = spy.read(tmp_path / "x.plx")
    name = next(one for one in found if one != "spikes")
    data = found[name]
    assert (data.samplerate, list(data.channel)) == (1000, ["FP01", "FP02", "FP03"])
    np.testing.assert_allclose(data.data[:], STORED * (5000 / (0.5 * 2**12 * 500)), rtol=1e-6)
    names = {code: label for label, code in data.events.info["names"].items()}
    rows = [(int(sample), names[int(code)]) for sample, code, _ in data.events.data[:]]
    assert rows == [(200, "Strobed/7"), (1200, "Strobed/9")]
    spikes = found["spikes"]
    assert spikes.samplerate == 1000
    assert [(int(s), list(spikes.unit)[int(u)]) for s, _, u in spikes.data[:]] == [
        (100, "sig1"), (250, "sig2"), (1500, "sig1"),
    ]  # fmt: skip
    own = own_reading("PlexonRawIO", filename=tmp_path / "x.plx", progress_bar=False)[name]
    np.testing.assert_allclose(
        data.data[: N - 256], own[:-256], rtol=1e-6
    )  # Neo 0.14 leaves the last block 0
    np.testing.assert_array_equal(data.data[1700:, 1:], data.data[:][1700:, 1:])


# -- TDT --------------------------------------------------------------------------------------------


def test_tdt_with_files_of_channels(tmp_path):
    folder, values = tdt(tmp_path / "tank" / "block")
    data = spy.load_tdt(folder, 3, 9)
    np.testing.assert_array_equal(data.data[:], values)
    np.testing.assert_array_equal(data.data[300:711, 1:], values[300:711, 1:])
    assert data.samplerate == pytest.approx(RATE)
    np.testing.assert_array_equal(data.trialdefinition, [[100, 400, 0], [900, 1400, 0]])
    assert data.info["Trigger_sample"] == [100, 400, 700, 900, 1400, 1800]
    assert data.info["Trigger_code"] == [3, 9, 3, 3, 9, 3]
    np.testing.assert_allclose(
        np.array(data.info["PDio_onset"] + data.info["PDio_offset"]) * RATE, [200, 260], atol=1e-3
    )
    assert data.info["duration"] == pytest.approx(N / RATE, abs=1e-6)
    names = {code: label for label, code in data.events.info["names"].items()}
    rows = [(int(sample), names[int(code)]) for sample, code, _ in data.events.data[:]]
    assert rows[:4] == [(100, "Mark/3"), (200, "PDio/1"), (260, "PDio/1 end"), (400, "Mark/9")]
    centred = spy.load_tdt(folder, subtract_median=True)
    np.testing.assert_allclose(centred.data[:], values - np.median(values, axis=0), rtol=1e-5, atol=1e-4)
    assert len(centred.trials) == 1
    again = spy.read(folder)
    np.testing.assert_array_equal(again.data[:], values)
    same_as_neo(again, own_reading("TdtRawIO", dirname=tmp_path / "tank"))
    for codes in ((3, None), (3, 77), (77, 9), (9, 1)):
        with pytest.raises(InvalidValueError, match="code"):
            spy.load_tdt(folder, *codes)


def test_tdt_with_one_file(tmp_path):
    folder, values = tdt(tmp_path / "tank" / "block", tev=True)
    for path in (folder, tmp_path / "tank"):
        data = spy.read(path, format="neo", reader="Tdt")
        np.testing.assert_array_equal(data.data[:], values)
    np.testing.assert_array_equal(spy.load_tdt(folder).data[:], values)
    with pytest.raises(InvalidValueError, match=r"\.sev"):
        spy.load_tdt(folder, 3, 9)


# -- layouts that Neo describes ---------------------------------------------------------------------


def test_raw_files_of_mcs(tmp_path):
    """A text, then whole numbers without sign."""
    head = (
        "MC_DataTool binary conversion\r\nVersion 2.6.15\r\nMC_REC file = x.mcd\r\nSample rate = 25000\r\n"
        "ADC zero = 32768\r\nEl = 0.0625µV/AD\r\nStreams = El_01;El_02;El_03\r\nEOH\r\n"
    )
    shifted = (STORED.astype("i4") + 32768).astype("<u2")
    (tmp_path / "x.raw").write_bytes(head.encode("cp1252") + shifted.tobytes())
    data = spy.read(tmp_path / "x.raw", format="neo", reader="RawMCS")
    assert (data.samplerate, list(data.channel), data.unit) == (25_000, ["El_01", "El_02", "El_03"], "µV")
    np.testing.assert_allclose(data.data[:], STORED * 0.0625, rtol=1e-6)
    same_as_neo(data, own_reading("RawMCSRawIO", filename=tmp_path / "x.raw"))


def test_elan(tmp_path):
    """Big-endian; the last two columns are events, which are in a text, too."""
    rows = np.hstack([STORED, np.zeros((N, 2), "i2")]).astype(">i2")
    (tmp_path / "x.eeg").write_bytes(rows.tobytes())
    names = ["Fp1", "Fp2", "Cz", "Num1", "Num2"]
    columns = [
        names, ["EEG"] * 5, ["microV"] * 3 + ["sans"] * 2, ["-3276.8"] * 5, ["3276.7"] * 5, ["-32768"] * 5,
        ["32767"] * 5, ["passe-haut"] * 5,
    ]  # fmt: skip
    lines = ["V3", "info", "info", "01-02-2020 10:11:12", "", "-1", "x", "-1", f"{1 / 512}", "5"]
    text = "\n".join([*lines, *(one for column in columns for one in column)]) + "\n"
    (tmp_path / "x.eeg.ent").write_text(text, encoding="ascii")
    (tmp_path / "x.eeg.pos").write_text("100  7  0\n900  9  0\n", encoding="ascii")
    data = spy.read(tmp_path / "x.eeg", format="neo", reader="Elan")
    assert (data.samplerate, list(data.channel)) == (512, names[:3])
    np.testing.assert_allclose(data.data[:], STORED * 0.1, rtol=1e-4, atol=1e-3)
    assert data.events.sample.tolist() == [100, 900]
    own = own_reading("ElanRawIO", filename=tmp_path / "x.eeg")
    same_as_neo(data, own)


# -- through MNE ------------------------------------------------------------------------------------


def test_egi_simple_binary(tmp_path):
    """Version 2: whole numbers of 16 bits, big-endian; a column for each code of an event."""
    codes = np.zeros((N, 1), int)
    codes[[100, 900]] = 1
    head = struct.pack(">i6hi5h", 2, 2011, 5, 17, 10, 30, 0, 0, 250, 3, 1, 16, 1000)
    rows = np.hstack([STORED, codes]).astype(">i2")
    (tmp_path / "x.raw").write_bytes(head + struct.pack(">ih4s", N, 1, b"stim") + rows.tobytes())
    data = spy.read(tmp_path / "x.raw", unit="uV")
    assert data.samplerate == 250
    np.testing.assert_allclose(data.data[:, :3], STORED * (1000 / 2**16) * 1e6, rtol=1e-6)
    assert data.events.sample.tolist() == [100, 900]
    raw = mne.io.read_raw_egi(tmp_path / "x.raw", preload=True, verbose="error")
    np.testing.assert_allclose(data.data[200:333, 1:3] * 1e-6, raw.get_data()[1:3, 200:333].T, rtol=1e-12)


def test_persyst(tmp_path):
    """Text beside whole numbers of 16 bits."""
    (tmp_path / "x.dat").write_bytes(STORED.tobytes())
    (tmp_path / "x.lay").write_text(
        "[FileInfo]\nFile=x.dat\nFileType=Interleaved\nSamplingRate=200\nHeaderLength=0\nCalibration=0.25\n"
        "WaveformCount=3\nDataType=0\n[ChannelMap]\nF3-Ref=1\nF4-Ref=2\nCz-Ref=3\n[SampleTimes]\n0=36000.0\n"
        "[Patient]\nFirst=x\nLast=y\nSex=Female\nHand=Right\nBirthDate=03/04/1980\nTestDate=01/02/2020\nTestTime=10:00:00\n[Comments]\n1.5,0.5,0,100,seizure\n"
    )
    for name in ("x.lay", "x.dat"):
        data = spy.read(tmp_path / name, unit="uV")
        assert (data.samplerate, list(data.channel)) == (200, ["F3", "F4", "CZ"])
        np.testing.assert_allclose(data.data[:], STORED * 0.25, rtol=1e-6)
    raw = mne.io.read_raw_persyst(tmp_path / "x.lay", preload=True, verbose="error")
    np.testing.assert_allclose(data.data[200:333, 1:] * 1e-6, raw.get_data()[1:, 200:333].T, rtol=1e-12)
    assert data.events.data[:, [0, 2]].tolist() == [[300, 100]]


def test_nihon_kohden(tmp_path):
    """EEG-1100C: a block of data behind a control block; events in the log beside it."""
    version, rate = b"EEG-1100C V01.00", 200
    head = bytearray(0x1800 + 0x27 + 3 * 10)
    for at, content in (
        (0, version),
        (0x81, version),
        (0x91, struct.pack("<BI", 1, 0x400)),
        (0x400 + 17, struct.pack("<BI", 1, 0x1800)),
        (0x17FE, b"\1"),
        (0x1800 + 0x1A, struct.pack("<HI", 0xC000 | rate, N * 10 // rate)),
        (0x1800 + 0x26, bytes([3])),
        *((0x1800 + 0x27 + 10 * k, bytes([code])) for k, code in enumerate((0, 4, 6))),
    ):
        head[at : at + len(content)] = content
    rows = np.hstack([STORED, np.zeros((N, 1), "i2")]).astype("i4") + 0x8000
    (tmp_path / "x.EEG").write_bytes(bytes(head) + rows.astype("<u2").tobytes())
    log = bytearray(0x200)
    for at, content in (
        (0, version),
        (0x91, struct.pack("<BI", 1, 0x100)),
        (0x101, version),
        (0x112, b"\1"),
        (0x114, b"go".ljust(20, b"\0") + b"000003"),
    ):
        log[at : at + len(content)] = content
    (tmp_path / "x.LOG").write_bytes(log)
    data = spy.read(tmp_path / "x.EEG", unit="uV")
    n = N * 10 // rate * rate // 10  # whole tenths of a second
    assert (data.samplerate, list(data.channel)) == (rate, ["FP1", "C3", "P3"])
    gain = (3199.902 + 3200) / 65535
    np.testing.assert_allclose(data.data[:], STORED[:n] * gain + (32768 * gain - 3200), rtol=1e-6, atol=1e-6)
    assert data.events.sample.tolist() == [600]
    raw = mne.io.read_raw_nihon(tmp_path / "x.EEG", preload=True, verbose="error")
    np.testing.assert_allclose(data.data[200:333, 1:] * 1e-6, raw.get_data()[1:, 200:333].T, rtol=1e-12)


def test_files_too_large_for_their_header_to_travel_are_opened_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_HEADER_BYTES", 0)
    plexon(tmp_path / "x.plx")
    rhd(tmp_path / "x.rhd", 20_000)
    (tmp_path / "more").mkdir()
    neuralynx(tmp_path / "more")
    for path in (tmp_path / "x.plx", tmp_path / "x.rhd", tmp_path / "more"):
        found = spy.read(path)
        data = found if not isinstance(found, dict) else next(iter(found.values()))
        expected, source = data.data[:], pickle.dumps(data.source)
        reading._open.clear()
        with pickle.loads(source).reader() as read:
            np.testing.assert_array_equal(read((slice(1500, N), slice(1, 3))), expected[1500:, 1:])
