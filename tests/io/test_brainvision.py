"""BrainVision files: against MNE's reader, against arrays written here, and broken in every way."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidTypeError, InvalidValueError, PathError, RayspyError

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
RECORDING = next((EXAMPLES / "brainvision").glob("*.vhdr"))
CODES = {"INT_16": "i2", "INT_32": "i4", "IEEE_FLOAT_32": "f4"}


def write(folder, stored, channels=None, markers=(), codepage="UTF-8", first=None, **changes):
    """Write the three files; `changes` replace or (None) drop keys of the header."""
    kind = {"i2": "INT_16", "i4": "INT_32", "f4": "IEEE_FLOAT_32"}[stored.dtype.str[1:]]
    keys = {
        "Codepage": codepage,
        "DataFile": "rec.eeg",
        "MarkerFile": "$b.vmrk",
        "DataFormat": "BINARY",
        "DataOrientation": "MULTIPLEXED",
        "NumberOfChannels": stored.shape[1],
        "SamplingInterval": 2000,
        "BinaryFormat": kind,
        **changes,
    }
    channels = channels or [f"c{k},,0.5,µV" for k in range(stored.shape[1])]
    binary = ("BinaryFormat", "UseBigEndianOrder", "DataOffset", "ChannelOffset")
    lines = [
        first or "Brain Vision Data Exchange Header File Version 1.0",
        "; made for a test",
        "",
        "[Common Infos]",
    ]
    lines += [f"{k}={v}" for k, v in keys.items() if v is not None and k not in binary]
    lines += ["", "[Binary Infos]"]
    lines += [f"{k}={v}" for k, v in keys.items() if v is not None and k in binary]
    lines += ["", "[Channel Infos]", *(f"Ch{k}={c}" for k, c in enumerate(channels, 1))]
    lines += ["", "[Comment]", "free = text = here", "[brackets", "DataFile=elsewhere.eeg"]
    encoding = "cp1252" if codepage == "ANSI" else "utf-8"
    (folder / "rec.vhdr").write_bytes("\r\n".join(lines).encode(encoding))
    rows = [
        "Brain Vision Data Exchange Marker File, Version 1.0",
        "[Common Infos]",
        f"Codepage={codepage or 'UTF-8'}",
    ]
    rows += ["DataFile=rec.eeg", "[Marker Infos]", *(f"Mk{k}={m}" for k, m in enumerate(markers, 1))]
    (folder / "rec.vmrk").write_bytes("\r\n".join(rows).encode(encoding))
    order = "F" if keys["DataOrientation"] == "VECTORIZED" else "C"
    (folder / "rec.eeg").write_bytes(stored.tobytes(order=order))
    return folder / "rec.vhdr"


def numbers(dtype, shape=(300, 3)):
    return np.random.default_rng(7).integers(-3000, 3000, size=shape).astype(dtype)


def mne_reading(path):
    mne = pytest.importorskip("mne")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mne.io.read_raw_brainvision(path, preload=True, verbose="error")


def test_recording_equals_the_shipped_array():
    data = spy.load_brainvision(RECORDING)
    with np.load(EXAMPLES / "stn_ecog_grip.npz") as expected:
        np.testing.assert_array_equal(data.data[:], expected["data"])
        assert list(data.channel) == list(expected["channel"])
        assert data.samplerate == expected["samplerate"]
    assert data.info["markers"] == []
    assert data.unit == "µV"
    assert data.filename.endswith(".eeg")


def test_recording_equals_mne():
    raw = mne_reading(RECORDING)
    data = spy.load_brainvision(str(RECORDING))
    np.testing.assert_allclose(data.data[:], raw.get_data().T * 1e6, rtol=1e-6)
    assert list(data.channel) == raw.ch_names
    assert data.samplerate == raw.info["sfreq"]


@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
@pytest.mark.parametrize("kind", ["INT_16", "INT_32", "IEEE_FLOAT_32"])
def test_every_layout_equals_mne(tmp_path, kind, orientation):
    markers = ["New Segment,,1,1,0,20240102030405000000", "Stimulus,S  1,11,1,0", "Response,R  2,201,5,2"]
    channels = ["left\\1 deep,,0.5,µV", "right,REF,0.25,µV", "third,,10,µV"]
    stored = numbers(CODES[kind])
    path = write(tmp_path, stored, channels, markers, DataOrientation=orientation)
    data = spy.load_brainvision(path)
    assert list(data.channel) == ["left, deep", "right", "third"]
    assert data.samplerate == 500
    assert data.data.dtype == (np.float64 if kind == "INT_32" else np.float32)
    np.testing.assert_array_equal(data.data[:], (stored * [0.5, 0.25, 10]).astype(data.data.dtype))
    np.testing.assert_array_equal(data.data[100:110, 1], data.data[:][100:110, 1])
    raw = mne_reading(path)
    np.testing.assert_allclose(data.data[:], raw.get_data().T * 1e6, rtol=1e-6)
    found = [m["sample"] for m in data.info["markers"]]
    assert found == [0, 10, 200]
    assert found[1:] == [round(t * 500) for t in raw.annotations.onset]  # the first one dates the recording
    assert data.info["markers"][2] == {
        "type": "Response", "description": "R  2", "sample": 200, "size": 5, "channel": 2,
    }  # fmt: skip
    assert data.info["reference"] == ["", "REF", ""]


def test_resolution_one_keeps_the_stored_type(tmp_path):
    stored = numbers("i2")
    data = spy.load_brainvision(write(tmp_path, stored, ["a,,1,mV", "b", "c,,,"]))
    assert data.data.dtype == np.int16
    np.testing.assert_array_equal(data.data[:], stored)
    assert list(data.unit) == ["mV", "µV", "µV"]


def test_big_endian_with_offset(tmp_path):
    stored = numbers(">i2")
    path = write(tmp_path, stored, UseBigEndianOrder="YES", DataOffset=6)
    (tmp_path / "rec.eeg").write_bytes(b"header" + stored.tobytes())
    np.testing.assert_array_equal(spy.load_brainvision(path).data[:], (stored * 0.5).astype("f4"))


@pytest.mark.parametrize("codepage", ["UTF-8", "ANSI", None])
def test_code_pages(tmp_path, codepage):
    path = write(tmp_path, numbers("i2"), ["Müller,,1,µV", "b", "c"], ["Comment,später,5,1,0"], codepage)
    data = spy.load_brainvision(path)
    assert data.channel[0] == "Müller"
    assert data.info["markers"][0]["description"] == "später"


def test_without_code_page_in_windows_encoding(tmp_path):
    path = write(tmp_path, numbers("i2"), ["Müller,,1,µV", "b", "c"], codepage=None)
    path.write_bytes(path.read_bytes().decode().encode("cp1252"))
    assert spy.load_brainvision(path).channel[0] == "Müller"


def test_segments_become_trials(tmp_path):
    markers = [f"{kind},,{at},1,0" for start in (1, 101, 201) for kind, at in (("Time 0", start + 20),)]
    changes = {"SegmentationType": "MARKERBASED", "SegmentDataPoints": 100}
    data = spy.load_brainvision(write(tmp_path, numbers("i2"), None, markers, **changes))
    np.testing.assert_array_equal(data.trialdefinition, [[0, 100, -20], [100, 200, -20], [200, 300, -20]])
    assert data.time[0][20] == 0


def test_computes_and_survives_saving(tmp_path):
    data = spy.load_brainvision(
        write(tmp_path, numbers("i2"), ["a,,0.5", "b,,2", "c,,3"], ["Stimulus,S 1,11,1,0"])
    )
    spec = spy.freqanalysis(data, parallel=False)
    plain = spy.AnalogData(data.data[:], samplerate=500)
    np.testing.assert_array_equal(spec.data[:], spy.freqanalysis(plain, parallel=False).data[:])
    data.save(container=tmp_path / "kept")
    again = spy.load(tmp_path / "kept")
    np.testing.assert_array_equal(again.data[:], data.data[:])
    assert again.info["markers"] == data.info["markers"]


def test_source_of_many_scales_can_be_pickled(tmp_path):
    source = spy.load_brainvision(write(tmp_path, numbers("i2"), ["a,,0.5", "b,,2", "c,,3"])).source
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"NumberOfChannels": None}, "NumberOfChannels"),
        ({"NumberOfChannels": "many"}, "NumberOfChannels"),
        ({"NumberOfChannels": 2}, "Ch3"),
        ({"NumberOfChannels": 4}, "Ch4"),
        ({"SamplingInterval": None}, "SamplingInterval"),
        ({"SamplingInterval": 0}, "SamplingInterval"),
        ({"DataFormat": "ASCII"}, "DataFormat"),
        ({"DataType": "FREQUENCYDOMAIN"}, "DataType"),
        ({"DataOrientation": "SIDEWAYS"}, "DataOrientation"),
        ({"BinaryFormat": "INT_24"}, "BinaryFormat"),
        ({"BinaryFormat": None}, "BinaryFormat"),
        ({"UseBigEndianOrder": "maybe"}, "UseBigEndianOrder"),
        ({"ChannelOffset": 8}, "ChannelOffset"),
        ({"Codepage": "KOI-7"}, "Codepage"),
        ({"DataFile": None}, "DataFile"),
        ({"SegmentationType": "MARKERBASED"}, "SegmentDataPoints"),
        ({"SegmentationType": "MARKERBASED", "SegmentDataPoints": 77}, "SegmentDataPoints"),
        ({"channels": ["a,,x", "b", "c"]}, "Ch1"),
        ({"channels": ["a", ",,1", "c"]}, "Ch2"),
        ({"markers": ["Stimulus,S 1,zero,1,0"]}, "Mk1"),
        ({"markers": ["Stimulus"]}, "Mk1"),
        ({"first": "Some other file"}, "first line"),
        ({"channels": ["a", "b", "c\nCh1=twice"]}, "ch1"),
    ],
)
def test_errors_name_file_and_key(tmp_path, changes, words):
    path = write(tmp_path, numbers("i2"), **changes)
    with pytest.raises(InvalidValueError) as caught:
        spy.load_brainvision(path)
    assert words in str(caught.value)
    assert str(tmp_path / "rec.v") in str(caught.value)


@pytest.mark.parametrize("key", ["DataFile", "MarkerFile"])
def test_missing_file_of_the_recording(tmp_path, key):
    path = write(tmp_path, numbers("i2"), **{key: "gone.xyz"})
    with pytest.raises(PathError, match=rf"gone\.xyz.*{key}"):
        spy.load_brainvision(path)


def test_no_marker_file_stated(tmp_path):
    assert spy.load_brainvision(write(tmp_path, numbers("i2"), MarkerFile=None)).info["markers"] == []


def test_wrong_size(tmp_path, caplog):
    stored = numbers("i2")
    path = write(tmp_path, stored, DataPoints=301)
    (tmp_path / "rec.eeg").write_bytes(stored.tobytes() + b"abc")
    data = spy.load_brainvision(path)
    np.testing.assert_array_equal(data.data[:], (stored * 0.5).astype("f4"))
    assert "3 bytes behind the last whole sample of rec.eeg" in caplog.text
    assert "DataPoints=301" in data.info["notes"][1]
    (tmp_path / "rec.eeg").write_bytes(bytes(5))
    with pytest.raises(DamagedDataError, match=r"rec\.eeg"):
        spy.load_brainvision(path)
    path = write(tmp_path, stored, DataPoints=301, DataOrientation="VECTORIZED")
    with pytest.raises(DamagedDataError, match="DataPoints=301"):
        spy.load_brainvision(path)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"first": "Brain Vision V-Amp Data Header File Version 1.0"}, ""),
        ({"first": "; no first line"}, "does not begin"),
        ({"markers": ["Stimulus,S  3,0,1,-1"]}, "position 1 and all channels"),
        ({"SamplingInterval": "2000,0"}, ""),
    ],
)
def test_broken_headers_are_read(tmp_path, changes, note):
    stored = numbers("i2")
    data = spy.load_brainvision(write(tmp_path, stored, **changes))
    np.testing.assert_array_equal(data.data[:], (stored * 0.5).astype("f4"))
    assert data.samplerate == 500
    assert note in str(data.info.get("notes", ""))
    assert not note or data.info["notes"]
    if "markers" in changes:
        assert data.events.data[:].tolist() == [[0, 3, 1]]
        assert data.info["markers"][0]["channel"] == 0


def test_wrong_code_page_is_told(tmp_path):
    path = write(tmp_path, numbers("i2"), ["Müller,,1,µV", "b", "c"])
    path.write_bytes(path.read_bytes().decode().encode("cp1252"))
    data = spy.load_brainvision(path)
    assert data.channel[0] == "Müller"
    assert "code page UTF-8" in data.info["notes"][0]


def test_pauses_become_trials_at_their_times(tmp_path):
    dates = ["20240102030405000000", "20240102030415000000"]
    markers = [f"New Segment,,{at},1,0,{date}" for at, date in zip((1, 101), dates, strict=True)]
    stored = numbers("i2")
    data = spy.load_brainvision(write(tmp_path, stored, None, markers))
    np.testing.assert_array_equal(data.trialdefinition, [[0, 100, 0], [100, 300, 5000]])
    undated = spy.load_brainvision(write(tmp_path, stored, None, [m.rsplit(",", 1)[0] for m in markers]))
    np.testing.assert_array_equal(undated.trialdefinition, [[0, 100, 0], [100, 300, 0]])


def test_no_file_outside_of_the_folder_is_touched(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    path = write(inner, numbers("i2"), DataFile="../rec.eeg")
    (inner / "rec.eeg").rename(tmp_path / "rec.eeg")
    with pytest.raises(InvalidValueError, match="beside the header"):
        spy.load_brainvision(path)


def test_wrong_argument(tmp_path):
    with pytest.raises(PathError):
        spy.load_brainvision(tmp_path / "none.vhdr")
    with pytest.raises(InvalidTypeError, match="path"):
        spy.load_brainvision(3)
    with pytest.raises(InvalidValueError, match="vhdr"):
        spy.load_brainvision(RECORDING.with_suffix(".eeg"))


def test_any_header_gives_a_specific_error_or_numbers(tmp_path):
    """Random bytes and lines in header and markers: an error of ours, or samples that can be read."""
    path = write(tmp_path, numbers("i2"), None, ["Stimulus,S  1,11,1,0", "New Segment,,101,1,0"])
    texts = {name: (tmp_path / name).read_bytes() for name in ("rec.vhdr", "rec.vmrk")}
    rng = np.random.default_rng(4)
    outcomes = []
    for _ in range(200):
        for name, text in texts.items():
            content = bytearray(text)
            for at in rng.integers(0, len(content), int(rng.integers(0, 4))):
                content[at] = int(rng.choice([10, 44, 45, 48, 57, 61, 91, 255, int(rng.integers(256))]))
            if rng.random() < 0.1:
                lines = content.split(b"\n")
                del lines[int(rng.integers(len(lines)))]
                content = b"\n".join(lines)
            (tmp_path / name).write_bytes(content)
        try:
            data = spy.read(path)
        except RayspyError as error:
            outcomes.append(str(tmp_path) in str(error))
            continue
        assert data.data[:2].shape[0] == 2
    assert all(outcomes)
    assert 20 < len(outcomes) < 180


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NumberOfChannels", "99999999999"),
        ("DataPoints", "9" * 30),
        ("DataOffset", "99999999999999999999"),
        ("SamplingInterval", "1e400"),
        ("DataFile", "/etc/passwd"),
        ("MarkerFile", "../../etc/passwd"),
        ("DataFile", "a\0b"),
    ],
)
def test_huge_numbers_and_paths_that_lead_out(tmp_path, key, value):
    path = write(tmp_path, numbers("i2"), **{key: value})
    if key == "DataPoints":
        assert "DataPoints" in spy.read(path).info["notes"][0]
        return
    with pytest.raises((InvalidValueError, DamagedDataError), match=r"rec\."):
        spy.read(path)
