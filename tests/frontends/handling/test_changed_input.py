"""Input files that are no longer what was opened: no front-end mixes old and new numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError
from rayspy.storage.identity import fingerprint
from rayspy.storage.sources import RawSource
from rayspy.storage.stamps import check_stamp, stamp_of

ARRAY = np.random.default_rng(0).normal(size=(600, 3))
TRL = np.array([[0, 200, -100], [200, 400, -100], [400, 600, -100]])
FORMATS = ["raw", "npy", "h5"]


def write(path: Path, array: np.ndarray[Any, Any]) -> None:
    if path.suffix == ".raw":
        array.tofile(path)
    elif path.suffix == ".npy":
        np.save(path, array)
    else:
        with h5py.File(path, "w") as file:
            file["data"] = array


def opened(path: Path) -> spy.AnalogData:
    write(path, ARRAY)
    source = spy.raw_binary(path, "f8", 3) if path.suffix == ".raw" else path
    return spy.AnalogData(source, samplerate=100, trialdefinition=TRL)


def later(path: Path, by: int = 1) -> None:
    """Set the time of change, so that the test does not depend on the clock's steps."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + by * 10**9))


USES: dict[str, Callable[[spy.AnalogData], Any]] = {
    "mtmfft": lambda data: spy.freqanalysis(data, parallel=False),
    "average": lambda data: spy.freqanalysis(data, keeptrials=False, parallel=False),
    "wavelet": lambda data: spy.freqanalysis(data, method="wavelet", foi=[10.0, 20.0], parallel=False),
    "preprocessing": lambda data: spy.preprocessing(data, freq=20, parallel=False),
    "resampledata": lambda data: spy.resampledata(data, 50, parallel=False),
    "linefilter": lambda data: spy.linefilter(data, freq=20, parallel=False),
    "rereference": lambda data: spy.rereference(data, parallel=False),
    "baseline": lambda data: spy.baseline(data, parallel=False),
    "arithmetic": lambda data: data - data * 2,
    "concat": lambda data: spy.concat(data, data),
    "selectdata": lambda data: data.selectdata(trials=[1], parallel=False),
    "show": lambda data: data.show(trials=0),
    "asarray": lambda data: np.asarray(data),
    "trials": lambda data: data.trials[0],
    "equal": lambda data: data == spy.AnalogData(ARRAY, samplerate=100, trialdefinition=TRL),
    "joined": lambda data: spy.AnalogData([data, data]).data[()],
}


@pytest.mark.parametrize("use", USES)
def test_a_file_that_was_written_to_is_refused(use: str, tmp_path: Path) -> None:
    data = opened(tmp_path / "x.raw")
    USES[use](data)
    write(tmp_path / "x.raw", -ARRAY)
    later(tmp_path / "x.raw")
    with pytest.raises(DamagedDataError, match=r"x\.raw was replaced or written to"):
        USES[use](data)


@pytest.mark.parametrize("kind", FORMATS)
def test_formats(kind: str, tmp_path: Path) -> None:
    """Replaced by a file of the same size, or of another type; open it again, and it is good."""
    path = tmp_path / f"x.{kind}"
    data = opened(path)
    write(tmp_path / f"y.{kind}", -ARRAY)
    later(tmp_path / f"y.{kind}")
    (tmp_path / f"y.{kind}").replace(path)
    with pytest.raises(DamagedDataError):
        data.data[0]
    source = spy.raw_binary(path, "f8", 3) if kind == "raw" else path
    np.testing.assert_array_equal(spy.AnalogData(source).data[()], -ARRAY)


def test_a_header_that_differs_is_seen_whatever_the_time(tmp_path: Path) -> None:
    """Another type in a file of the same size and time of change."""
    data = opened(tmp_path / "x.npy")
    before = (tmp_path / "x.npy").stat()
    np.save(tmp_path / "x.npy", ARRAY.view("i8"))
    os.utime(tmp_path / "x.npy", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (tmp_path / "x.npy").stat().st_size == before.st_size
    with pytest.raises(DamagedDataError, match=r"x\.npy was replaced"):
        data.data[0]


@pytest.mark.parametrize("executor", [False, None])
def test_a_change_in_mid_run_is_seen(
    executor: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    """After the second of many blocks the file has other numbers; nothing is left of the result."""
    data = opened(tmp_path / "x.raw")
    plain, calls = RawSource._read, []

    def read(self: RawSource, descriptor: int, region: Any) -> Any:
        calls.append(region)
        if len(calls) == 2:
            with (tmp_path / "x.raw").open("r+b") as file:
                file.write((-ARRAY).tobytes())
            later(tmp_path / "x.raw")
        return plain(self, descriptor, region)

    monkeypatch.setattr(RawSource, "_read", read)
    with (
        spy.config.using(block_bytes=1000, inmemory_bytes=100),
        pytest.raises(DamagedDataError, match=r"x\.raw was replaced or written to"),
    ):
        spy.freqanalysis(data, parallel=executor, chan_per_worker=1)
    assert len(calls) < 9
    assert not list(scratch.rglob("*.arrow"))


def test_a_dataset_that_this_process_writes_to_is_not_watched(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = ARRAY
        data = spy.AnalogData(file["data"], samplerate=100)
    later(tmp_path / "x.h5")
    np.testing.assert_array_equal(data.data[()], ARRAY)


def test_sources_travel_with_what_they_saw(tmp_path: Path) -> None:
    import pickle

    data = opened(tmp_path / "x.raw")
    text = pickle.dumps(data.source)
    write(tmp_path / "x.raw", -ARRAY)
    later(tmp_path / "x.raw")
    with pytest.raises(DamagedDataError), pickle.loads(text).reader():
        pass


def test_another_file_of_the_same_size_time_and_header(tmp_path: Path) -> None:
    data = opened(tmp_path / "x.raw")
    before = (tmp_path / "x.raw").stat()
    write(tmp_path / "y.raw", -ARRAY)
    os.utime(tmp_path / "y.raw", ns=(before.st_atime_ns, before.st_mtime_ns))
    (tmp_path / "y.raw").replace(tmp_path / "x.raw")
    with pytest.raises(DamagedDataError, match=r"x\.raw was replaced"):
        data.data[0]


def test_inodes_are_compared_on_the_host_that_saw_them(tmp_path: Path) -> None:
    """Some network file systems number files anew on each host."""
    data = opened(tmp_path / "x.raw")
    seen = data.source.stamp
    elsewhere = replace(data.source, stamp=seen._replace(host="elsewhere", inode=seen.inode + 1))
    with elsewhere.reader() as read:
        np.testing.assert_array_equal(read((slice(0, 600), slice(0, 3))), ARRAY)


def edf(path: Path, sign: int) -> None:
    """One channel, ten records of a second."""
    fields = ["0", "", "", "01.01.20", "00.00.00", "512", "", "10", "1", "1"]
    widths = [8, 80, 80, 8, 8, 8, 44, 8, 8, 4]
    of_channel = ["a", "", "uV", "-1", "1", "-32768", "32767", "", "100", ""]
    channel_widths = [16, 80, 8, 8, 8, 8, 8, 80, 8, 32]
    both = zip([*fields, *of_channel], [*widths, *channel_widths], strict=True)
    head = "".join(text.ljust(width) for text, width in both)
    path.write_bytes(head.encode() + (sign * np.arange(1000, dtype="<i2")).tobytes())


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_records_are_watched(how: str, tmp_path: Path) -> None:
    edf(tmp_path / "x.edf", 1)
    data = spy.read(tmp_path / "x.edf")
    data.data[0]
    edf(tmp_path / ("x.edf" if how == "written" else "y.edf"), -1)
    later(tmp_path / ("x.edf" if how == "written" else "y.edf"))
    if how == "replaced":
        (tmp_path / "y.edf").replace(tmp_path / "x.edf")
    with pytest.raises(DamagedDataError, match=r"x\.edf was replaced"):
        data.data[0]


def test_a_container_that_is_replaced_while_a_region_is_read(tmp_path: Path) -> None:
    """Between the first and the second of its files another object takes its place."""
    with spy.config.using(inmemory_bytes=100, block_bytes=600 * 8):
        spy.AnalogData(ARRAY, samplerate=100).save(filename=tmp_path / "x")
        data = spy.load(tmp_path / "x.analog")
        other = spy.AnalogData(-ARRAY, samplerate=100)
    with data.source.reader() as read:
        read((slice(0, 10), slice(0, 3)))
        other.save(filename=tmp_path / "x", overwrite=True)
        later(tmp_path / "x.analog" / "meta.json")
        with pytest.raises(DamagedDataError, match="was replaced"):
            read((slice(0, 600), slice(0, 3)))


def test_files_of_a_folder_are_watched_but_not_what_comes_to_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x" * 100)
    seen = stamp_of(str(tmp_path))
    (tmp_path / "result").write_bytes(b"x")
    check_stamp(str(tmp_path), seen)
    later(tmp_path / "a" / "b")
    with pytest.raises(DamagedDataError, match="was replaced"):
        check_stamp(str(tmp_path), seen)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_is_gone_on_with_only_if_the_file_is_what_was_opened(kind: str, tmp_path: Path) -> None:
    """The key of a run tells the file as it was opened, not as it is when the key is asked for."""

    def key(data: spy.AnalogData) -> str:
        return fingerprint(data.source)

    path = tmp_path / f"x.{kind}"
    first = opened(path)
    before = key(first)
    write(path, -ARRAY)
    later(path)
    assert key(first) == before
    source = spy.raw_binary(path, "f8", 3) if kind == "raw" else path
    assert key(spy.AnalogData(source)) != before
