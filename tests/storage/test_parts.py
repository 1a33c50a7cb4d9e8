from __future__ import annotations

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rayspy.errors import DamagedDataError, PathError, RayspyError, ScratchSpaceError, SourceChangedError
from rayspy.storage.parts import META, PartsTarget, open_parts, write_part
from rayspy.storage.sources import ConcatSource, PartsSource, RawSource, read_all

DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", ">i2", ">f4", ">c8"]


def stored(folder: Path, array: Any, n: int = 3) -> PartsSource:
    """Store an array as parts of n rows."""
    building = folder / "x.wip"
    building.mkdir(parents=True)
    target = PartsTarget(str(building))
    starts = range(0, len(array), n)
    parts = [target.write((k, *(0,) * (array.ndim - 1)), array[k : k + n]) for k in starts]
    target.commit(str(folder / "x"), array.shape, array.dtype, parts)
    assert not building.exists()
    return open_parts(folder / "x")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 3), (5,), (4, 1, 2, 3)])
def test_round_trip(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if array.dtype.kind == "c":
        array += (0.5j * array).astype(dtype)
    source = stored(tmp_path, array)
    assert source.dtype == array.dtype.newbyteorder("=")
    found = read_all(source)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("dtype", ["f4", "i1", "f2", "c8"])
def test_parts_can_be_read_with_arrow_alone(tmp_path: Path, dtype: str) -> None:
    array = (np.arange(21).reshape(7, 3) * (2 + 1j)).astype("c8")
    array = array if dtype == "c8" else array.real.astype(dtype)
    stored(tmp_path, array)
    meta = json.loads((tmp_path / "x" / META).read_text())
    assert meta["shape"] == [7, 3]
    for part in meta["parts"]:
        with pa.memory_map(str(tmp_path / "x" / part["file"])) as file:
            tensor = pa.ipc.read_tensor(file).to_numpy()
        if meta["complex_as_last_axis"]:
            tensor = np.ascontiguousarray(tensor).view(array.dtype)[..., 0]
        (row, column), (n, m) = part["start"], part["shape"]
        np.testing.assert_array_equal(tensor, array[row : row + n, column : column + m])


def test_transposed_and_empty_slices(tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(4, 6).T
    source = stored(tmp_path, array)
    np.testing.assert_array_equal(read_all(source), array)
    with source.reader() as read:
        assert read((slice(2, 2), slice(0, 4))).shape == (0, 4)


def damage(source: PartsSource, change: Any) -> None:
    path = Path(source.folder) / META
    meta = json.loads(path.read_text())
    change(meta)
    path.write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("shape"),
        lambda m: m.update(shape=[8, 3]),
        lambda m: m.update(shape=[7]),
        lambda m: m.update(dtype="O"),
        lambda m: m.update(dtype="nonsense"),
        lambda m: m.update(dtype="<f8"),
        lambda m: m.update(format="else"),
        lambda m: m.update(version=99),
        lambda m: m["parts"].pop(),
        lambda m: m["parts"][0].update(start=[-1, 0]),
        lambda m: m["parts"][2].update(start=[100, 0]),
        lambda m: m["parts"][0].update(file="../x/" + m["parts"][0]["file"]),
        lambda m: m["parts"][0].update(file=".."),
        lambda m: m["parts"][0].update(file="/etc/passwd"),
        lambda m: m["parts"][0].update(offset=-4),
        lambda m: m["parts"][0].update(offset=None),
        lambda m: m["parts"][0].update(shape=[-3, 3]),
        lambda m: m.update(parts=3),
    ],
)
def test_altered_description(tmp_path: Path, change: Any) -> None:
    source = stored(tmp_path, np.arange(21, dtype="f4").reshape(7, 3))
    damage(source, change)
    with pytest.raises(DamagedDataError) as caught:
        open_parts(source.folder)
    assert any(name in str(caught.value) for name in ("meta.json", "part", "format"))


@pytest.mark.parametrize("dtype", ["O", "U2", "V8", "M8[s]"])
def test_only_numbers_are_read(tmp_path: Path, dtype: str) -> None:
    source = stored(tmp_path, np.arange(21, dtype="f8").reshape(7, 3))
    damage(source, lambda m: m.update(dtype=dtype))
    with pytest.raises(DamagedDataError, match="are not stored"):
        open_parts(source.folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"3"])
def test_description_that_is_none(tmp_path: Path, content: bytes) -> None:
    source = stored(tmp_path, np.zeros((7, 3)))
    (Path(source.folder) / META).write_bytes(content)
    with pytest.raises(DamagedDataError, match=r"meta\.json"):
        open_parts(source.folder)


def test_truncated_and_missing_parts_are_named(tmp_path: Path) -> None:
    source = stored(tmp_path, np.zeros((7, 3)))
    path = Path(source.folder) / source.parts[1].file
    content = path.read_bytes()
    for changed, word in ((content[:-1], "truncated"), (content + b"x", "altered"), (b"", "truncated")):
        path.write_bytes(changed)
        with pytest.raises(DamagedDataError, match=word) as caught:
            open_parts(source.folder)
        assert path.name in str(caught.value)
    path.write_bytes(content[:-1])
    with pytest.raises(DamagedDataError, match="truncated"):
        read_all(source)
    path.unlink()
    with pytest.raises(DamagedDataError, match="missing"):
        open_parts(source.folder)
    with pytest.raises(PathError, match=r"part-3"):
        read_all(source)
    with pytest.raises(PathError, match="nowhere"):
        open_parts(tmp_path / "nowhere")


def test_a_folder_that_was_replaced_is_not_mixed_up(tmp_path: Path) -> None:
    old = stored(tmp_path, np.zeros((7, 3)))
    (tmp_path / "x").rename(tmp_path / "moved")
    new = stored(tmp_path, np.ones((7, 3)))
    with pytest.raises(SourceChangedError, match="replaced"):
        read_all(old)
    assert (read_all(new) == 1).all()
    (tmp_path / "x").rename(tmp_path / "moved again")
    with pytest.raises(RayspyError, match="removed"):
        read_all(new)


def test_a_part_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pa.ipc, "write_tensor", fail)
    with pytest.raises(ScratchSpaceError, match="no space left"):
        write_part(str(tmp_path), (0,), np.zeros(4))
    assert list(tmp_path.iterdir()) == []

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pa.ipc, "write_tensor", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_part(str(tmp_path), (0,), np.zeros(4))
    assert list(tmp_path.iterdir()) == []


def test_discard(tmp_path: Path) -> None:
    (tmp_path / "x.wip").mkdir()
    target = PartsTarget(str(tmp_path / "x.wip"))
    target.write((0,), np.zeros(3))
    target.discard()
    assert list(tmp_path.iterdir()) == []


@contextmanager
def limit(which: int, n: int) -> Iterator[None]:
    before = resource.getrlimit(which)
    resource.setrlimit(which, (n, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, before)


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    array = np.arange(200.0).reshape(100, 2)
    source = stored(tmp_path, array, 1)
    paths = [tmp_path / f"{k}.raw" for k in range(100)]
    for path in paths:
        array.tofile(path)
    joined = ConcatSource(tuple(RawSource(str(path), array.dtype, array.shape) for path in paths))
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    with limit(resource.RLIMIT_NOFILE, n_open + 16):
        np.testing.assert_array_equal(read_all(source), array)
        np.testing.assert_array_equal(read_all(joined), np.tile(array, (100, 1)))
        with source.reader() as read:
            for k in (*range(100), *range(100)):
                assert read((slice(k, k + 1), slice(1, 2))) == array[k, 1]
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open


def test_files_beyond_the_limit_of_size(tmp_path: Path) -> None:
    with (
        limit(resource.RLIMIT_FSIZE, 1000),
        pytest.raises(ScratchSpaceError, match="ulimit -f"),
    ):
        write_part(str(tmp_path), (0,), np.zeros(1000))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_removed_in_mid_run(tmp_path: Path) -> None:
    target = PartsTarget(str(tmp_path / "gone.wip"))
    with pytest.raises(PathError, match="was removed while it was in use"):
        target.write((0,), np.zeros(3))
    with pytest.raises(PathError, match="was removed while it was in use"):
        target.commit(str(tmp_path / "gone"), (3,), np.dtype("f8"), [])
