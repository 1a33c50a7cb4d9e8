"""Regions read from every kind of source against NumPy."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.errors import DamagedDataError, PathError, SourceChangedError
from rayspy.storage import sources
from rayspy.storage.parts import PartsTarget, open_parts
from rayspy.storage.region import full_region, overlap, pieces, region_shape
from rayspy.storage.sources import (
    AbsentSource,
    ArraySource,
    ConcatSource,
    Hdf5Source,
    MemorySource,
    RawSource,
    read_all,
)

SHAPE = (13, 3, 8)
ARRAY = np.random.default_rng(0).normal(size=SHAPE)


def write_parts(folder: Path, array: Any, limit: int = 300) -> ArraySource:
    building = folder / "array.wip"
    building.mkdir()
    target = PartsTarget(str(building))
    cut = list(pieces(array.shape, array.dtype.itemsize, limit))
    parts = [target.write(tuple(s.start for s in region), array[region]) for region in cut]
    assert len(parts) > 1
    target.commit(str(folder / "array"), array.shape, array.dtype, parts)
    return open_parts(folder / "array")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ArraySource]:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "c.raw").write_bytes(b"0123456789ab" + ARRAY.tobytes())
    (folder / "f.raw").write_bytes(ARRAY.astype(">f8").tobytes("F"))
    with h5py.File(folder / "x.h5", "w") as file:
        file["chunked"] = file.create_dataset("a", data=ARRAY, chunks=(4, 2, 3), compression="gzip")
        file["big_endian"] = ARRAY.astype(">f8")
    parts = write_parts(folder, ARRAY)
    memory = MemorySource(ARRAY.copy())
    head, tail = MemorySource(ARRAY[:5].copy()), MemorySource(ARRAY[5:].copy())
    left, right = MemorySource(ARRAY[..., :2].copy()), MemorySource(ARRAY[..., 2:].copy())
    float64 = np.dtype(np.float64)
    return {
        "memory": memory,
        "raw": RawSource(str(folder / "c.raw"), float64, SHAPE, offset=12),
        "raw by column": RawSource(str(folder / "f.raw"), np.dtype(">f8"), SHAPE, order="F"),
        "HDF5": Hdf5Source(str(folder / "x.h5"), "chunked", SHAPE, float64),
        "HDF5 big-endian": Hdf5Source(str(folder / "x.h5"), "big_endian", SHAPE, float64),
        "parts": parts,
        "concatenated": ConcatSource((head, tail)),
        "concatenated along the last axis": ConcatSource((left, right), axis=2),
        "concatenated twice": ConcatSource((ConcatSource((head,)), ConcatSource((tail,)))),
    }


KINDS = [
    "memory",
    "raw",
    "raw by column",
    "HDF5",
    "HDF5 big-endian",
    "parts",
    "concatenated",
    "concatenated along the last axis",
    "concatenated twice",
]

regions = st.tuples(
    *(st.tuples(st.integers(0, n), st.integers(0, n)).map(lambda p: slice(min(p), max(p))) for n in SHAPE)
)


@pytest.mark.parametrize("kind", KINDS)
def test_regions_are_those_of_numpy(kind: str, every: dict[str, ArraySource]) -> None:
    source = every[kind]

    @settings(deadline=None, max_examples=60)
    @given(st.lists(regions, min_size=1, max_size=3))
    def check(wanted: list[Any]) -> None:
        with source.reader() as read:
            for region in wanted:
                found = read(region)
                np.testing.assert_array_equal(found, ARRAY[region])
                assert (found.dtype, found.shape) == (ARRAY.dtype, ARRAY[region].shape)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_sources_travel(kind: str, every: dict[str, ArraySource]) -> None:
    source = every[kind]
    assert isinstance(source, ArraySource)
    assert (source.shape, source.dtype) == (SHAPE, np.float64)
    np.testing.assert_array_equal(read_all(source), ARRAY)
    twin = pickle.loads(pickle.dumps(source))
    assert (twin.shape, twin.dtype, twin.location, twin.in_memory) == (
        source.shape,
        source.dtype,
        source.location,
        source.in_memory,
    )
    np.testing.assert_array_equal(read_all(twin), ARRAY)
    assert source.in_memory == (source.location == "")


def test_what_keeps_a_folder_alive_stays_at_home(every: dict[str, ArraySource]) -> None:
    parts = every["parts"]
    assert isinstance(parts, sources.PartsSource)
    kept = sources.PartsSource(parts.folder, parts.shape, parts.dtype, parts.parts, keep=lambda: None)
    both = ConcatSource((kept, MemorySource(np.zeros(parts.shape))))
    sent = pickle.loads(pickle.dumps(sources.without_keep(both))).sources[0]
    assert (sent.keep, sent.folder) == (None, kept.folder)
    assert both.sources[0] is kept


def test_a_source_in_memory_cannot_be_written_to() -> None:
    source = MemorySource(np.zeros(3))
    with source.reader() as read, pytest.raises(ValueError, match="read-only"):
        read((slice(0, 3),))[0] = 1


def test_joined_types() -> None:
    joined = ConcatSource(
        (MemorySource(np.zeros((2, 1), np.int16)), MemorySource(np.ones((2, 1), np.float32)))
    )
    assert joined.dtype == np.float32
    assert read_all(joined).dtype == np.float32
    assert joined.location == ""


def test_an_absent_array_says_so() -> None:
    absent = AbsentSource((3,), np.dtype(float))
    with pytest.raises(SourceChangedError, match="memory of another process"), absent.reader():
        pass


@pytest.mark.parametrize("shape", [(2000, 50), (3, 1, 100)])
def test_narrow_regions_are_read_by_mapping(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    (tmp_path / "x.raw").write_bytes(array.tobytes())
    source = RawSource(str(tmp_path / "x.raw"), array.dtype, shape)
    region = (slice(1, 3), *(slice(0, 1) for _ in shape[1:]))
    with source.reader() as read:
        found = read(region)
    np.testing.assert_array_equal(found, array[region])
    assert found.flags.owndata


@pytest.mark.parametrize("order", ["C", "F"])
def test_truncated_raw_file(tmp_path: Path, order: str) -> None:
    path = tmp_path / "cut.raw"
    path.write_bytes(ARRAY.tobytes())
    source = RawSource(str(path), ARRAY.dtype, SHAPE, order)
    path.write_bytes(ARRAY.tobytes()[:-1])
    with pytest.raises(DamagedDataError, match=r"cut\.raw is truncated"):
        read_all(source)
    with pytest.raises(DamagedDataError, match=r"cut\.raw is truncated"), source.reader():
        pass
    path.unlink()
    with pytest.raises(PathError, match=r"cut\.raw"):
        read_all(source)


@pytest.mark.parametrize("narrow", [True, False])
def test_file_truncated_while_it_is_open(tmp_path: Path, narrow: bool) -> None:
    path = tmp_path / "cut.raw"
    path.write_bytes(ARRAY.tobytes())
    with RawSource(str(path), ARRAY.dtype, SHAPE).reader() as read:
        path.write_bytes(b"1234")
        with pytest.raises(DamagedDataError, match=r"cut\.raw is truncated"):
            read((slice(0, 13), slice(0, 1), slice(0, 1)) if narrow else full_region(SHAPE))


def test_damaged_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=ARRAY, chunks=SHAPE, fletcher32=True)
        offset = file["x"].id.get_chunk_info(0).byte_offset
    source = Hdf5Source(str(path), "x", SHAPE, ARRAY.dtype)
    content = bytearray(path.read_bytes())
    content[offset + 5] ^= 255
    path.write_bytes(content)
    with pytest.raises(DamagedDataError, match=r"bad\.h5"):
        read_all(source)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedDataError, match=r"bad\.h5"):
        read_all(source)
    path.unlink()
    with pytest.raises(PathError, match=r"bad\.h5"):
        read_all(source)


@settings(deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 200))
def test_pieces_cover_an_array_once(shape: list[int], limit: int) -> None:
    seen = np.zeros(shape, int)
    for region in pieces(tuple(shape), 4, limit):
        seen[region] += 1
        assert seen[region].size * 4 <= max(limit, 4)
        assert region_shape(region) == seen[region].shape
    assert (seen == 1).all()


@settings(deadline=None)
@given(regions, regions)
def test_overlap(a: Any, b: Any) -> None:
    marked = np.zeros(SHAPE, int)
    marked[a] += 1
    marked[b] += 1
    common = overlap(a, b)
    if common is None:
        assert not (marked == 2).any()
    else:
        assert (marked[common] == 2).all()
        assert (marked == 2).sum() == marked[common].size


@pytest.mark.parametrize("at_once", [1, 100, 700])
@pytest.mark.parametrize("setting", [{}, {"_SMALL_SHARE": 1}, {"_SMALL_SHARE": 0}, {"_LONG_ROW": 1}], ids=str)
def test_narrow_regions_are_read_some_rows_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, setting: dict[str, Any]
) -> None:
    for name, value in {"_MAPPED_BYTES": at_once, "_READ_BYTES": at_once, **setting}.items():
        monkeypatch.setattr(sources, name, value)
    array = np.random.default_rng(0).normal(size=(50, 10))
    (tmp_path / "x.raw").write_bytes(b"12345678" + array.tobytes())
    source = RawSource(str(tmp_path / "x.raw"), array.dtype, array.shape, offset=8)
    with source.reader() as read:
        for region in ((slice(3, 47), slice(2, 5)), (slice(0, 50), slice(9, 10)), (slice(7, 8), slice(0, 1))):
            np.testing.assert_array_equal(read(region), array[region])


@pytest.mark.parametrize("setting", [{"_SMALL_SHARE": 1}, {"_SMALL_SHARE": 0}, {"_LONG_ROW": 1}], ids=str)
def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, Any]
) -> None:
    """It was mapped as one: this process would have ended."""
    for name, value in {"_MAPPED_BYTES": 10**5, "_READ_BYTES": 10**5, **setting}.items():
        monkeypatch.setattr(sources, name, value)
    path = tmp_path / "x.raw"
    path.write_bytes(bytes(80 * 20_000))
    fstat, preadv, seen = os.fstat, os.preadv, []

    def cut_off(function: Any) -> Any:
        def called(*args: Any) -> Any:
            seen.append(args)
            if len(seen) == 10:
                os.truncate(path, 10**4)
            return function(*args)

        return called

    with path.open("rb") as file:
        monkeypatch.setattr(os, "fstat", cut_off(fstat))
        monkeypatch.setattr(os, "preadv", cut_off(preadv))
        with pytest.raises(DamagedDataError, match="truncated"):
            sources.read_c_order(
                file.fileno(), str(path), np.dtype(float), (20_000, 10), 0, (slice(0, 20_000), slice(3, 5))
            )
    assert len(seen) >= 10
