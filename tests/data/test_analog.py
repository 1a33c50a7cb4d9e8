from __future__ import annotations

import gc
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import (
    DamagedDataError,
    InvalidTypeError,
    InvalidValueError,
    PathError,
    SourceChangedError,
)

RNG = np.random.default_rng(0)
ARRAY = RNG.normal(size=(60, 3)).astype(np.float32)
DTYPES = [
    "int8",
    "uint8",
    "int16",
    "int32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    ">f4",
]


def h5_file(folder: Path) -> Any:
    path = folder / "one.h5"
    with h5py.File(path, "w") as file:
        file["anything"] = ARRAY
    return str(path)


def h5_two(folder: Path) -> Any:
    path = folder / "two.h5"
    with h5py.File(path, "w") as file:
        file["group/data"] = ARRAY[:5]
        file["data"] = ARRAY
    return path


def h5_named(folder: Path) -> Any:
    h5_two(folder)
    with h5py.File(folder / "two.h5", "r+") as file:
        file["group/other"] = ARRAY.astype(">f4")
    return spy.hdf5_dataset(folder / "two.h5", "group/other")


def npy(folder: Path) -> Any:
    np.save(folder / "c.npy", ARRAY)
    return folder / "c.npy"


def npy_fortran(folder: Path) -> Any:
    np.save(folder / "f.npy", np.asfortranarray(ARRAY))
    return str(folder / "f.npy")


def raw(folder: Path) -> Any:
    (folder / "raw.bin").write_bytes(b"head" + ARRAY.tobytes())
    return spy.raw_binary(folder / "raw.bin", "float32", 3, offset=4)


def raw_fortran(folder: Path) -> Any:
    (folder / "raw_f.bin").write_bytes(ARRAY.astype(">f4").tobytes("F"))
    return spy.raw_binary(folder / "raw_f.bin", ">f4", 3, order="F")


def saved(folder: Path) -> Any:
    spy.AnalogData(ARRAY).save(filename=folder / "saved")
    return str(folder / "saved.analog")


KINDS: dict[str, Callable[[Path], Any]] = {
    "array": lambda folder: ARRAY,
    "array in Fortran order": lambda folder: np.asfortranarray(ARRAY),
    "big-endian array": lambda folder: ARRAY.astype(">f4"),
    "generator": lambda folder: (ARRAY[k : k + 20] for k in (0, 20, 40)),
    "list": lambda folder: [ARRAY[:20], ARRAY[20:40], ARRAY[40:]],
    "object": lambda folder: spy.AnalogData(ARRAY),
    "list of objects": lambda folder: [
        spy.AnalogData(ARRAY[:20]),
        spy.AnalogData(),
        spy.AnalogData(ARRAY[20:]),
    ],
    "HDF5 file": h5_file,
    "HDF5 file with two datasets": h5_two,
    "HDF5 dataset by name": h5_named,
    "npy file": npy,
    "npy file in Fortran order": npy_fortran,
    "raw binary": raw,
    "raw binary by channel": raw_fortran,
    "saved object": saved,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("small", [True, False])
def test_every_kind_of_data(kind: str, small: bool, tmp_path: Path) -> None:
    with spy.config.using(inmemory_bytes=2**20 if small else 100, block_bytes=100):
        data = spy.AnalogData(KINDS[kind](tmp_path), samplerate=100)
    gc.collect()
    assert (data.data.shape, data.data.dtype, data.samplerate) == ((60, 3), np.float32, 100)
    assert data.data.dtype.isnative
    np.testing.assert_array_equal(data.data[()], ARRAY)
    np.testing.assert_array_equal(data.data[10:30:2, [2, 0]], ARRAY[10:30:2, [2, 0]])
    np.testing.assert_array_equal(np.concatenate(list(data.trials)), ARRAY)
    expected = {"generator": 3, "list": 3, "list of objects": 2}.get(kind, 1)
    assert len(data.trials) == expected
    start = -1.0 if kind in ("generator", "list") else 0.0
    np.testing.assert_allclose(data.trialintervals[:, 0], start)
    twin = pickle.loads(pickle.dumps(data.source))
    with twin.reader() as read:
        np.testing.assert_array_equal(read((slice(3, 40), slice(1, 3))), ARRAY[3:40, 1:3])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [10, 10**6])
def test_every_dtype_is_kept(dtype: str, limit: int) -> None:
    array = np.arange(120).reshape(40, 3).astype(dtype)
    if array.dtype.kind == "c":
        array *= 1 + 1j
    with spy.config.using(inmemory_bytes=limit, block_bytes=64):
        data = spy.AnalogData(array)
        trials = spy.AnalogData(iter([array, array[:7]]))
    assert data.data.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(data.data[()], array)
    np.testing.assert_array_equal(trials.trials[1], array[:7])
    assert (data.filename is None) == (limit > 1000)


@pytest.mark.parametrize("dtype", ["U3", "O", "bool", "longdouble", "clongdouble", "datetime64[s]"])
def test_types_that_are_no_numbers(dtype: str) -> None:
    with pytest.raises(InvalidTypeError, match="data"):
        spy.AnalogData(np.zeros((3, 2)).astype(dtype))


def test_channels_first(tmp_path: Path) -> None:
    flipped = ["channel", "time"]
    trials = [ARRAY[:20], ARRAY[20:40], ARRAY[40:]]
    reference = spy.AnalogData(trials, samplerate=10)
    np.save(tmp_path / "flipped.npy", ARRAY.T)
    for limit in (10, 10**6):
        for value in ([t.T for t in trials], (t.T for t in trials), ARRAY.T, tmp_path / "flipped.npy"):
            with spy.config.using(inmemory_bytes=limit, block_bytes=64):
                data = spy.AnalogData(value, dimord=flipped, samplerate=10)
            data.trialdefinition = reference.trialdefinition
            assert data.dimord == flipped
            np.testing.assert_array_equal(data.channel, reference.channel)
            for a, b in zip(data.trials, reference.trials, strict=True):
                np.testing.assert_array_equal(a, b.T)
    joined = spy.AnalogData([data, data])
    np.testing.assert_array_equal(joined.data[()], np.concatenate([ARRAY.T, ARRAY.T], axis=1))
    assert (joined.dimord, len(joined.trials)) == (flipped, 6)


def test_trials_of_a_generator_may_differ_in_length_and_reuse_memory() -> None:
    def reused() -> Iterator[Any]:
        buffer = np.empty((30, 2))
        for k in range(1, 6):
            buffer[:] = k
            yield buffer[: 5 * k]

    with spy.config.using(inmemory_bytes=300, block_bytes=100):
        data = spy.AnalogData(reused(), samplerate=10)
    assert [len(t) for t in data.trials] == [5, 10, 15, 20, 25]
    assert all((t == k).all() for k, t in enumerate(data.trials, 1))
    np.testing.assert_array_equal(data.trialdefinition[:, 2], -10)


def test_trialdefinition_counts_for_lists_and_generators() -> None:
    table = np.array([[0, 30, -3], [30, 60, -3]])
    for value in ([ARRAY[:20], ARRAY[20:40], ARRAY[40:]], iter([ARRAY])):
        data = spy.AnalogData(value, trialdefinition=table, samplerate=10)
        np.testing.assert_array_equal(data.trialdefinition, table)


def test_joined_objects_keep_offsets_and_trialinfo() -> None:
    first = spy.AnalogData(
        ARRAY, trialdefinition=np.array([[10, 30, -5, 1]]), samplerate=10, channel=list("abc")
    )
    second = spy.AnalogData(
        ARRAY, trialdefinition=np.array([[0, 20, -7, 2, 9]]), samplerate=10, channel=list("abc")
    )
    joined = spy.AnalogData([first, second])
    np.testing.assert_array_equal(joined.trialdefinition, [[10, 30, -5, 1], [60, 80, -7, 2]])
    np.testing.assert_array_equal(joined.trials[1], ARRAY[:20])
    assert joined.channel.tolist() == list("abc")
    assert joined.samplerate == 10
    joined.channel = ["x", "y", "z"]
    assert first.channel.tolist() == list("abc")
    assert spy.AnalogData([first, second], samplerate=20).samplerate == 20


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (spy.AnalogData(ARRAY, samplerate=11), "samplerate"),
        (spy.AnalogData(ARRAY, samplerate=10, channel=list("abd")), "channel"),
        (spy.AnalogData(ARRAY[:, :2], samplerate=10), "channel"),
        (spy.AnalogData(ARRAY.T, samplerate=10, dimord=["channel", "time"]), "dimord"),
    ],
)
def test_objects_that_do_not_fit_together(other: Any, word: str) -> None:
    first = spy.AnalogData(ARRAY, samplerate=10)
    with pytest.raises(InvalidValueError, match=word):
        spy.AnalogData([first, other])


def test_joining_with_something_else() -> None:
    spectra = spy.SpectralData(np.zeros((2, 1, 3, 4)))
    with pytest.raises(InvalidTypeError, match="AnalogData"):
        spy.AnalogData([spy.AnalogData(ARRAY), spectra])
    with pytest.raises(InvalidTypeError, match="AnalogData"):
        spy.AnalogData(spectra)
    with pytest.raises(InvalidTypeError, match="AnalogData"):
        spy.AnalogData([spy.AnalogData()])


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"data": np.zeros(3)}, InvalidValueError, "data"),
        ({"data": np.zeros((3, 2, 2))}, InvalidValueError, "data"),
        ({"data": np.zeros((0, 2))}, InvalidValueError, "data"),
        ({"data": [np.zeros((3, 2)), np.zeros((4, 2))]}, InvalidValueError, "data"),
        ({"data": [np.zeros((3, 2)), 3]}, InvalidValueError, "data"),
        ({"data": [np.zeros((3, 2)), np.full((3, 2), np.inf)]}, InvalidValueError, "data"),
        ({"data": [np.zeros((3, 2)), np.zeros((3, 2), complex)]}, InvalidValueError, "data"),
        ({"data": [[1, 2], [3, 4]]}, InvalidTypeError, "data"),
        ({"data": []}, InvalidValueError, "data"),
        ({"data": iter([])}, InvalidValueError, "data"),
        ({"data": iter([np.zeros((3, 2)), np.zeros((3, 3))])}, InvalidValueError, "data"),
        ({"data": iter([3])}, InvalidTypeError, "data: trial 0"),
        ({"data": 3}, InvalidTypeError, "data"),
        ({"data": {"a": 1}}, InvalidTypeError, "data"),
        ({"data": (ARRAY, ARRAY)}, InvalidTypeError, "data"),
        ({"data": ARRAY, "trialdefinition": np.zeros((1, 2))}, InvalidValueError, "trialdefinition"),
        ({"data": ARRAY, "trialdefinition": [[0, 1, 0]]}, InvalidTypeError, "trialdefinition"),
        ({"trialdefinition": np.array([[0, 1, 0]])}, InvalidValueError, "trialdefinition"),
        ({"data": ARRAY, "channel": "a"}, InvalidTypeError, "channel"),
        ({"data": ARRAY, "channel": ["a", "b"]}, InvalidValueError, "channel"),
        ({"data": ARRAY, "channel": [1, 2, 3]}, InvalidValueError, "channel"),
        ({"data": ARRAY, "channel": ["a", "b", 3]}, InvalidValueError, "channel"),
        ({"channel": ["a"]}, InvalidValueError, "channel"),
        ({"data": ARRAY, "dimord": ["chan", "time"]}, InvalidValueError, "dimord"),
        ({"data": ARRAY, "dimord": ["channel", "time", "time"]}, InvalidValueError, "dimord"),
        ({"data": ARRAY, "dimord": "time"}, InvalidTypeError, "dimord"),
        ({"data": ARRAY, "samplerate": -1}, InvalidValueError, "samplerate"),
        ({"data": ARRAY, "samplerate": 0}, InvalidValueError, "samplerate"),
        ({"data": ARRAY, "samplerate": "1"}, InvalidTypeError, "samplerate"),
        ({"data": ARRAY, "samplerate": np.nan}, InvalidValueError, "samplerate"),
        ({"data": spy.AnalogData(ARRAY), "dimord": ["channel", "time"]}, InvalidValueError, "dimord"),
    ],
)
def test_wrong_arguments(settings: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=f"`{name}`"):
        spy.AnalogData(**settings)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"nope\.h5"):
        spy.AnalogData(str(tmp_path / "nope.h5"))
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DamagedDataError, match=r"text\.h5"):
        spy.AnalogData(tmp_path / "text.h5")
    (tmp_path / "text.npy").write_text("no npy")
    with pytest.raises(InvalidValueError, match=r"text\.npy"):
        spy.AnalogData(tmp_path / "text.npy")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"], file["b"] = ARRAY, ARRAY
    with pytest.raises(InvalidValueError, match="datasets a, b"):
        spy.AnalogData(tmp_path / "two.h5")
    with pytest.raises(InvalidValueError, match="name of a dataset"):
        spy.hdf5_dataset(tmp_path / "two.h5", "c")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    with pytest.raises(InvalidValueError, match="2d-array"):
        spy.AnalogData(tmp_path / "flat.npy")
    np.save(tmp_path / "words.npy", np.array([["a"]]))
    with pytest.raises(InvalidTypeError, match="data"):
        spy.AnalogData(tmp_path / "words.npy")
    with h5py.File(tmp_path / "two.h5", "r") as file:
        dataset = file["a"]
    with pytest.raises(InvalidValueError, match="closed"):
        spy.AnalogData(dataset)


@pytest.mark.parametrize("mode", ["r", "r+", "w"])
def test_dataset_that_the_user_has_open(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "open.h5"
    if mode != "w":
        with h5py.File(path, "w") as file:
            file["x"] = ARRAY
    with h5py.File(path, mode) as file:
        if mode == "w":
            file["x"] = ARRAY
        dataset = file["x"]
        data = spy.AnalogData(dataset, samplerate=10)
        np.testing.assert_array_equal(data.data[5:9], ARRAY[5:9])
        power = spy.freqanalysis(data, parallel=False)
        assert power.data.shape[-1] == 3
        np.testing.assert_array_equal(dataset[()], ARRAY)
        if mode != "r":
            dataset[0] = 7
            file.flush()
            assert (data.data[0] == 7).all()
    np.testing.assert_array_equal(data.data[1:], ARRAY[1:])


def test_dataset_that_changed(tmp_path: Path) -> None:
    data = spy.AnalogData(h5_file(tmp_path))
    with h5py.File(tmp_path / "one.h5", "r+") as file:
        del file["anything"]
        file["anything"] = ARRAY[:3]
    with pytest.raises(SourceChangedError, match=r"one\.h5"):
        data.data[0]
    with h5py.File(tmp_path / "one.h5", "r+") as file:
        del file["anything"]
        file.create_group("anything")
    with pytest.raises(SourceChangedError, match=r"one\.h5"):
        data.data[0]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("int16", "f4"), (">i2", "f4"), ("<f4", "f4"), ("<i4", "f8"), ("<u4", "f8"), (">f8", "f8")],
)
def test_raw_binary_with_scale(tmp_path: Path, order: Any, dtype: str, wanted: str) -> None:
    counts = RNG.integers(0, 1000, size=(50, 4)).astype(dtype)
    counts[0, 0] = 2**24 + 1 if wanted == "f8" else 3
    (tmp_path / "x.raw").write_bytes(b"12345678" + counts.tobytes(order))
    data = spy.AnalogData(spy.raw_binary(tmp_path / "x.raw", dtype, 4, order, 8, scale=0.195))
    assert data.data.dtype == wanted
    np.testing.assert_allclose(data.data[()], counts * 0.195, rtol=1e-6 if wanted == "f4" else 1e-15)
    plain = spy.AnalogData(spy.raw_binary(tmp_path / "x.raw", dtype, 4, order, 8))
    assert plain.data.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(plain.data[7:20, 1:3], counts[7:20, 1:3])


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"dtype": "U1"}, InvalidValueError, "dtype"),
        ({"dtype": "foo"}, InvalidValueError, "dtype"),
        ({"dtype": "longdouble"}, InvalidValueError, "dtype"),
        ({"channels": 0}, InvalidValueError, "channels"),
        ({"channels": "a"}, InvalidTypeError, "channels"),
        ({"channels": 7}, InvalidValueError, "raw binary file"),
        ({"order": "A"}, InvalidValueError, "order"),
        ({"offset": -1}, InvalidValueError, "offset"),
        ({"offset": "a"}, InvalidTypeError, "offset"),
        ({"offset": 10_000}, InvalidValueError, "raw binary file"),
        ({"scale": "a"}, InvalidTypeError, "scale"),
        ({"scale": np.inf}, InvalidValueError, "scale"),
        ({"scale": 1.0, "dtype": "complex64"}, InvalidValueError, "scale"),
    ],
)
def test_raw_binary_arguments(tmp_path: Path, settings: Any, error: type[Exception], name: str) -> None:
    (tmp_path / "x.raw").write_bytes(ARRAY.tobytes())
    with pytest.raises(error, match=f"`{name}`"):
        spy.raw_binary(tmp_path / "x.raw", **{"dtype": "float32", "channels": 3, **settings})
    with pytest.raises(PathError, match=r"y\.raw"):
        spy.raw_binary(tmp_path / "y.raw", "int16", 3)


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("i2", "f4"), ("u1", "f4"), ("i4", "f8"), ("f4", "f4"), ("f8", "f8"), ("c8", "c8")]
)
@pytest.mark.parametrize("limit", [100, 10**6])
@pytest.mark.parametrize("way", ["array", "list", "generator", "assigned"])
def test_what_is_masked_is_nan(
    dtype: str, wanted: str, limit: int, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    trials = [np.ma.array(RNG.integers(1, 99, size=(20, 3)).astype(dtype)) for _ in range(2)]
    trials[1][3:5, 1] = np.ma.masked
    expected = np.concatenate([np.asarray(t.astype(wanted).filled(np.nan)) for t in trials])
    assert np.isnan(expected).sum() == 2
    with spy.config.using(inmemory_bytes=limit, block_bytes=80):
        if way == "array":
            data = spy.AnalogData(np.ma.concatenate(trials))
        elif way == "assigned":
            data = spy.AnalogData(np.zeros((40, 3), dtype))
            data.data = np.ma.concatenate(trials)
        else:
            data = spy.AnalogData(trials if way == "list" else iter(trials))
    assert data.data.dtype == wanted
    np.testing.assert_array_equal(data.data[()], expected)
    assert [text for text in caplog.messages if "masked" in text] == [
        "rayspy <data> WARNING: 2 masked values become NaN"
    ]


def test_arrays_of_which_nothing_is_masked_stay_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    assert spy.AnalogData(np.ma.array(np.ones((5, 2), "i2"))).data.dtype == "i2"
    events = spy.EventData(np.ma.array(np.array([[1, 2], [3, 4]])))
    assert events.data[()].tolist() == [[1, 2], [3, 4]]
    assert not caplog.messages
    with pytest.raises(InvalidTypeError, match="integer"):
        spy.EventData(np.ma.array(np.array([[1, 2], [3, 4]]), mask=[[0, 0], [1, 0]]))


def test_masked_operands_are_nan(caplog: pytest.LogCaptureFixture) -> None:
    data = spy.AnalogData(np.ones((4, 3)))
    mask = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    for found in (data + mask, mask + data):
        np.testing.assert_array_equal(found.data[0], [2, np.nan, 4])
    assert caplog.text.count("1 masked values become NaN") == 2


def test_more_channels_than_samples_are_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    array = RNG.normal(size=(4, 1000))
    np.save(tmp_path / "x.npy", array)
    turned = [
        lambda: spy.AnalogData(array),
        lambda: spy.AnalogData(tmp_path / "x.npy"),
        lambda: spy.AnalogData([array, array]),
        lambda: spy.AnalogData(iter([array] * 300)),
        lambda: spy.AnalogData(array.T, dimord=["channel", "time"]),
        lambda: spy.AnalogData(array, trialdefinition=np.array([[0, 2, 0], [2, 4, 0]])),
    ]
    for make in turned:
        make()
        assert "1000 channels of 4 samples" in caplog.text
        caplog.clear()
    data = spy.AnalogData(array.T)
    cut = spy.AnalogData(array.T, trialdefinition=np.array([[0, 2, 0], [2, 4, 0]]))
    spy.AnalogData([data, data])
    spy.AnalogData(array.T.copy())
    spy.AnalogData(array, channel=[f"c{k}" for k in range(1000)])
    spy.selectdata(cut, trials=0, parallel=False)
    assert not caplog.messages


@pytest.mark.parametrize("dimord", [None, ["channel", "time"]])
@pytest.mark.parametrize("limit", [100, 10**6])
def test_numpy_gets_the_numbers(dimord: Any, limit: int) -> None:
    array = RNG.normal(size=(50, 3))
    with spy.config.using(inmemory_bytes=limit):
        data = spy.AnalogData(array.T if dimord else array, dimord=dimord, samplerate=10)
    found = np.asarray(data)
    np.testing.assert_array_equal(found, array.T if dimord else array)
    found[0, 0] = 7
    np.testing.assert_array_equal(np.asarray(data, dtype="f4"), (array.T if dimord else array).astype("f4"))
    power = spy.freqanalysis(data, parallel=False)
    np.testing.assert_array_equal(np.asarray(power), power.data[()])
    np.testing.assert_array_equal(np.asarray(spy.EventData(np.array([[1, 2], [3, 4]]))), [[1, 2], [3, 4]])
    with pytest.raises(InvalidValueError, match="data"):
        np.asarray(spy.AnalogData())


def test_an_array_is_taken_by_value() -> None:
    array = ARRAY.copy()
    for limit in (10, 10**6):
        with spy.config.using(inmemory_bytes=limit):
            data = spy.AnalogData(array)
        array[0] = 99
        assert not (data.data[0] == 99).any()
        array[:] = ARRAY


def test_many_trials_cost_nothing_until_they_are_touched() -> None:
    n = 200_000
    starts = np.arange(n)
    table = np.column_stack([starts, starts + 1, np.zeros(n), starts])
    began = time.process_time()
    data = spy.AnalogData(np.zeros((n, 1), np.int8), trialdefinition=table, samplerate=1000)
    assert (len(data.trials), len(data.time)) == (n, n)
    text = repr(data)
    selected = data.selectdata(trials=[199_999, 5], parallel=False)
    assert time.process_time() - began < 2
    assert "200000 trials of length 1" in text
    np.testing.assert_array_equal(selected.trialinfo[:, 0], [199_999, 5])


def test_results_outlive_what_they_came_from() -> None:
    with spy.config.using(inmemory_bytes=100):
        view = spy.AnalogData(ARRAY).data
        trials = spy.AnalogData(ARRAY).trials
        part = spy.AnalogData(ARRAY).selectdata(channel=[0, 1], parallel=False).data
        chained = spy.AnalogData([spy.AnalogData(ARRAY), spy.AnalogData(ARRAY)]).copy().data
    gc.collect()
    np.testing.assert_array_equal(view[()], ARRAY)
    np.testing.assert_array_equal(trials[0], ARRAY)
    np.testing.assert_array_equal(part[()], ARRAY[:, :2])
    np.testing.assert_array_equal(chained[60:], ARRAY)


def test_copies_are_independent() -> None:
    table = np.array([[0, 30, 0, 1], [30, 60, 0, 2]])
    data = spy.AnalogData(ARRAY, trialdefinition=table, samplerate=10, channel=list("abc"))
    data.cfg["x"] = spy.StructDict(values=[1, 2])
    data.info["note"] = {"deep": [1]}
    data.selection = {"trials": [0]}
    before = len(data.log)
    for twin in (data.copy(), spy.copy(data), spy.AnalogData(data)):
        assert twin.selection is None
        twin.cfg["x"]["values"].append(3)
        twin.info["note"]["deep"].append(2)
        twin.log = "changed"
        twin.channel[0] = "z"
        twin.samplerate = 20
        twin.trialdefinition = table[:1]
        twin.data = ARRAY * 2
    assert data.cfg["x"] == {"values": [1, 2]}
    assert data.info == {"note": {"deep": [1]}}
    assert len(data.log) == before
    assert data.channel.tolist() == list("abc")
    assert (data.samplerate, len(data.trials)) == (10, 2)
    np.testing.assert_array_equal(data.data[()], ARRAY)
    result = spy.selectdata(data, parallel=False)
    result.channel[0] = "q"
    assert data.channel[0] == "a"
    with pytest.raises(InvalidTypeError, match="spydata"):
        spy.copy(3)


def test_assigning_data() -> None:
    data = spy.AnalogData(samplerate=10)
    assert (data.data, data.trials, data.time, data.channel, data.sampleinfo) == (None,) * 5
    assert len(data) == 0
    data.data = ARRAY
    data.channel = ["a", "b", "c"]
    data.data = ARRAY * 2
    np.testing.assert_array_equal(data.data[0], ARRAY[0] * 2)
    assert data.channel.tolist() == ["a", "b", "c"]
    with pytest.raises(InvalidValueError, match=r"shape \(60, 3\)"):
        data.data = ARRAY[:3]
    with pytest.raises(InvalidValueError, match="type float32"):
        data.data = ARRAY.astype(float)
    data.mode = "r"
    with pytest.raises(InvalidValueError, match="mode"):
        data.data = ARRAY
    data.mode = "w"
    data.selection = {"channel": [2]}
    data.data = iter([ARRAY[:5, :2]])
    assert data.selection is None
    assert data.channel.tolist() == ["channel1", "channel2"]
    assert data.time[0][0] == -1
    data.data = None
    assert (data.data, data.trials, data.channel, data.filename) == (None,) * 4
    with pytest.raises(InvalidValueError, match="object with data"):
        data.trialdefinition = np.array([[0, 1, 0]])


@pytest.mark.parametrize(("n", "first"), [(3, "channel1"), (10, "channel01"), (100, "channel001")])
def test_default_labels_are_padded(n: int, first: str) -> None:
    data = spy.AnalogData(np.zeros((2, n)))
    assert data.channel[0] == first
    assert data.channel[-1] == f"channel{n}"
    data.channel = [f"c{k}" for k in range(n)]
    data.channel = None
    assert data.channel[0] == first


def test_mode_info_cfg_log() -> None:
    data = spy.AnalogData(ARRAY)
    for mode, kept in (("r", "r"), ("r+", "r+"), ("w", "r+"), ("c", "c")):
        data.mode = mode
        assert data.mode == kept
    with pytest.raises(InvalidValueError, match="mode"):
        data.mode = "foo"
    with pytest.raises(InvalidTypeError, match="mode"):
        data.mode = 3
    data.info["a"] = np.arange(3)
    data.info.update(b=np.float32(2.5), c=range(2))
    assert data.info == {"a": [0, 1, 2], "b": 2.5, "c": [0, 1]}
    assert data.info.setdefault("d", np.int64(3)) == 3
    for wrong in (np, {1, 2}, object()):
        with pytest.raises(InvalidTypeError, match="serializable"):
            data.info["x"] = wrong
        with pytest.raises(InvalidTypeError, match="serializable"):
            data.info.update(x=wrong)
        with pytest.raises(InvalidTypeError, match="serializable"):
            data.info = {"x": wrong}
    assert "x" not in data.info
    with pytest.raises(InvalidTypeError, match="dictionary"):
        data.info = 3
    with pytest.raises(InvalidTypeError, match="dictionary"):
        data.cfg = [1]
    data.cfg = {"freqanalysis": {"foi": [1.0]}}
    assert data.cfg["freqanalysis"]["foi"] == [1.0]
    data.log = "first note"
    assert "first note" in data.log
    assert "\tfirst note" in str(data.log)
    with pytest.raises(InvalidTypeError, match="log"):
        data.log = 3


def test_repr() -> None:
    data = spy.AnalogData([ARRAY, ARRAY], samplerate=100, channel=["<a>", "b", "c"])
    text = repr(data)
    assert "rayspy AnalogData object with fields" in text
    assert "2 trials of length 60 defined on [120 x 3] float32" in text
    assert "time by channel" in text
    assert "log" not in [line.split(":")[0].strip() for line in text.splitlines()]
    names = [line.split(" : ")[0].strip() for line in text.splitlines() if " : " in line]
    expected = (
        "cfg channel container data dimord filename info is_time_locked mode quantity sampleinfo samplerate "
        "selection"
    )
    assert names == [
        *expected.split(),
        "tag",
        "time",
        "trial_ids",
        "trialinfo",
        "trialintervals",
        "trials",
        "unit",
    ]
    html = data._repr_html_()
    assert "<table>" in html
    assert "&lt;a&gt;" in html
    assert "<a>" not in html
    unequal = spy.AnalogData(iter([ARRAY, ARRAY[:5]]))
    assert "2 trials defined on" in repr(unequal)
    assert "1 trial of length" in repr(spy.AnalogData(ARRAY))
    assert "data : None" in repr(spy.AnalogData())
    assert "None" in spy.AnalogData()._repr_html_()


def test_unit_is_kept_by_copies_selections_joining_and_saving(tmp_path):
    data = spy.AnalogData(np.arange(12.0).reshape(4, 3), samplerate=10, channel=["a", "b", "c"])
    assert data.unit is None
    data.unit = ["µV", "µV", "mV"]
    assert list(data.copy().unit) == ["µV", "µV", "mV"]
    assert list(data.selectdata(channel=["c", "a"]).unit) == ["mV", "µV"]
    assert data.selectdata(channel=[0, 1]).unit == "µV"
    assert list(spy.AnalogData([data, data]).unit) == ["µV", "µV", "mV"]
    assert list(spy.concat(data, data).unit) == ["µV", "µV", "mV"] * 2
    data.events = spy.EventData(np.array([[1, 7], [3, 8]]), samplerate=10)
    data.save(filename=tmp_path / "kept")
    again = spy.load(tmp_path / "kept.analog")
    assert list(again.unit) == ["µV", "µV", "mV"]
    assert again.events == data.events


def test_wrong_units():
    data = spy.AnalogData(np.ones((4, 3)), samplerate=10)
    other = data.copy()
    with pytest.raises(InvalidTypeError, match="unit"):
        data.unit = 3
    with pytest.raises(InvalidValueError, match="unit"):
        data.unit = ["mV"]
    data.unit, other.unit = "mV", "V"
    with pytest.raises(InvalidValueError, match="unit V instead of mV"):
        spy.AnalogData([data, other])
    with pytest.raises(InvalidTypeError, match="events"):
        data.events = [1]
