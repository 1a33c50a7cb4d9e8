"""EDF and BDF: files of edfio, against MNE's reader and against the numbers written."""

import pickle
import warnings

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidValueError, RayspyError
from rayspy.storage.sources import region_shape
from tests.helpers import run_on

edfio = pytest.importorskip("edfio")
RNG = np.random.default_rng(3)
VALUES = RNG.uniform(-90, 90, size=(20_000, 5))


def write(path, kind="edf", annotations=(), values=VALUES, rates=None, record=1.0):
    """Write a file; one signal per column."""
    signal = edfio.EdfSignal if kind == "edf" else edfio.BdfSignal
    rates = rates or [1000] * values.shape[1]
    signals = [
        signal(
            values[: 20 * rate, k],
            rate,
            label=f"EEG {k}",
            physical_dimension="uV",
            physical_range=(-100 - k, 100 + 2 * k),
        )
        for k, rate in enumerate(rates)
    ]
    marks = [edfio.EdfAnnotation(*one) for one in annotations]
    whole = (edfio.Edf if kind == "edf" else edfio.Bdf)(
        signals, annotations=marks, data_record_duration=record
    )
    whole.write(path)
    return path


def mne_reading(path):
    mne = pytest.importorskip("mne")
    reader = mne.io.read_raw_edf if path.suffix == ".edf" else mne.io.read_raw_bdf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(path, preload=True, verbose="error")


@pytest.mark.parametrize(("kind", "dtype"), [("edf", np.float32), ("bdf", np.float64)])
@pytest.mark.parametrize("record", [1.0, 0.25])
def test_equals_mne_and_what_was_written(tmp_path, kind, dtype, record):
    path = write(tmp_path / f"x.{kind}", kind, [(1.5, 0.25, "go"), (3.0, None, "stop")], record=record)
    data = spy.read(path)
    raw = mne_reading(path)
    assert data.data.shape == (20_000, 5)
    assert data.data.dtype == dtype
    assert (data.samplerate, data.unit, list(data.channel)) == (1000, "µV", raw.ch_names)
    np.testing.assert_allclose(data.data[:], raw.get_data().T * 1e6, rtol=2e-7, atol=2e-5)
    np.testing.assert_allclose(data.data[:], VALUES, atol=250 / 2**15 if kind == "edf" else 250 / 2**23)
    for region in [
        (slice(777, 3333), slice(1, 4)),
        (slice(0, 1), slice(4, 5)),
        (slice(999, 1001), slice(0, 5)),
    ]:
        with data.source.reader() as read:
            part = read(region)
        assert part.shape == region_shape(region)
        np.testing.assert_array_equal(part, data.data[:][region])
    assert data.events.data[:].tolist() == [[1500, 10001, 250], [3000, 10002, 0]]
    assert data.events.info["names"] == {"go": 10001, "stop": 10002}
    volts = spy.read(path, unit="V")
    assert volts.unit == "V"
    np.testing.assert_allclose(volts.data[:], raw.get_data().T, rtol=3e-7, atol=2e-11)


def test_signals_of_other_rates_are_other_streams(tmp_path):
    path = write(tmp_path / "x.edf", rates=[1000, 500, 1000, 100, 100])
    found = spy.read(path)
    assert {name: data.data.shape for name, data in found.items()} == {
        "1000 Hz": (20_000, 2), "500 Hz": (10_000, 1), "100 Hz": (2000, 2),
    }  # fmt: skip
    one = spy.read(path, stream="100 Hz")
    np.testing.assert_allclose(one.data[:], VALUES[:2000, 3:], atol=0.01)
    with pytest.raises(InvalidValueError, match="'500 Hz'"):
        spy.read(path, stream="50 Hz")


def test_status_of_bdf_becomes_events(tmp_path):
    codes = np.zeros(2000)
    codes[100:110], codes[500:600], codes[600:700] = 7, 300, 7
    signals = [edfio.BdfSignal(VALUES[:2000, 0], 500, label="A1", physical_range=(-100, 100))]
    signals.append(
        edfio.BdfSignal(
            codes, 500, label="Status", physical_range=(-8388608, 8388607), digital_range=(-8388608, 8388607)
        )
    )
    edfio.Bdf(signals).write(tmp_path / "x.bdf")
    data = spy.read(tmp_path / "x.bdf")
    assert data.events.data[:].tolist() == [[100, 7, 0], [500, 300, 0], [600, 7, 0]]
    assert data.info["channel_types"] == {"Status": "stim"}


def test_pauses_of_edf_plus_become_trials_or_nan(tmp_path):
    path = write(tmp_path / "x.edf", annotations=[(2.5, None, "S 4"), (12.5, 0.5, "BAD move")])
    content = bytearray(path.read_bytes())
    content[192:197] = b"EDF+D"
    place = content.find(b"+10\x14\x14")
    assert place > 0
    for second in range(10, 20):
        old, new = f"+{second}\x14\x14".encode(), f"+{second + 30}\x14\x14".encode()
        content[:] = content.replace(old, new)
    content[:] = content.replace(b"+12.5\x15", b"+42.5\x15")
    path.write_bytes(content)
    data = spy.read(path)
    np.testing.assert_array_equal(data.trialdefinition, [[0, 10_000, 0], [10_000, 20_000, 40_000]])
    assert data.events.data[:].tolist() == [[2500, 4, 0], [12_500, 10001, 500]]
    filled = spy.read(path, gaps="nan")
    assert filled.data.shape == (50_000, 5)
    assert np.isnan(filled.data[10_000:40_000]).all()
    np.testing.assert_array_equal(filled.data[40_000:], data.data[10_000:])
    assert filled.events.data[:].tolist() == [[2500, 4, 0], [42_500, 10001, 500]]
    cut = spy.read(path, bad="trials")
    np.testing.assert_array_equal(
        cut.trialdefinition,
        [[0, 10_000, 0], [10_000, 12_500, 40_000], [13_000, 20_000, 43_000]],
    )
    hidden = spy.read(path, bad="nan", gaps="nan").data[:]
    assert np.isnan(hidden[42_500:43_000]).all()
    assert np.isfinite(hidden[43_000:]).all()


@pytest.mark.parametrize("executor", ["local-2", "ray-2"])
def test_every_executor_reads(tmp_path, executor, request):
    data = spy.read(write(tmp_path / "x.edf"))
    data.trialdefinition = np.array([[5, 1234, 0], [3001, 4230, 0], [9000, 10_229, 0]])
    plain = spy.AnalogData(data.data[:], samplerate=1000, trialdefinition=data.trialdefinition)
    expected = spy.freqanalysis(plain, parallel=False).data[:]
    with run_on(executor, request) as how, spy.config.using(block_bytes=30_000):
        np.testing.assert_array_equal(spy.freqanalysis(data, **how).data[:], expected)


def test_source_travels(tmp_path):
    source = spy.read(write(tmp_path / "x.edf")).source
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize(
    ("place", "text", "note"),
    [
        ((236, 8), "30", "states 30 records; it has 20"),
        ((236, 8), "-1", ""),
        ((184, 8), "99", "states a length of '99'"),
    ],
)
def test_wrong_counts_are_told(tmp_path, place, text, note):
    path = write(tmp_path / "x.edf")
    whole = spy.read(path).data[:]
    content = bytearray(path.read_bytes())
    content[place[0] : sum(place)] = text.ljust(place[1]).encode()
    path.write_bytes(content)
    data = spy.read(path)
    np.testing.assert_array_equal(data.data[:], whole)
    assert note in str(data.info.get("notes", []))


def test_truncated_record_is_told(tmp_path):
    path = write(tmp_path / "x.edf")
    whole = spy.read(path).data[:]
    path.write_bytes(path.read_bytes()[:-100])
    data = spy.read(path)
    np.testing.assert_array_equal(data.data[:], whole[:19_000])
    assert any("last whole record" in note for note in data.info["notes"])


def test_headers_that_cannot_be_right(tmp_path):
    path = write(tmp_path / "x.edf")
    good = path.read_bytes()
    for at, text in [(252, "9999"), (252, "0"), (252, "-1"), (252, "x"), (244, "0"), (244, "nan")]:
        field = text.ljust(4 if at == 252 else 8).encode()
        path.write_bytes(good[:at] + field + good[at + len(field) :])
        with pytest.raises((DamagedDataError, InvalidValueError), match=r"x\.edf"):
            spy.read(path)
    path.write_bytes(good[:100])
    with pytest.raises(DamagedDataError, match="too few"):
        spy.read(path)


def test_any_header_gives_a_specific_error_or_numbers(tmp_path):
    """Random bytes in the header: an error of ours, or samples that can be read."""
    path = write(tmp_path / "x.edf", annotations=[(1.0, None, "go")])
    good = path.read_bytes()
    rng = np.random.default_rng(1)
    outcomes = set()
    for _ in range(150):
        content = bytearray(good)
        n = int(rng.integers(1, 6))
        for at in rng.integers(0, 256 * 7, n):
            content[at] = int(rng.choice([32, 45, 48, 57, 255, 0, int(rng.integers(256))]))
        path.write_bytes(content[: int(rng.integers(200, len(content)))] if rng.random() < 0.2 else content)
        try:
            found = spy.read(path)
        except RayspyError as error:
            outcomes.add("error" if "x.edf" in str(error) else str(error))
            continue
        for data in found.values() if isinstance(found, dict) else [found]:
            assert data.data[:3].shape[0] > 0
            outcomes.add("read")
    assert outcomes == {"error", "read"}
