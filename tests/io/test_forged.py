"""Containers that were forged: right checksums, and contents that nobody should be made to read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError, InvalidValueError
from rayspy.storage.npy import read_archive
from rayspy.storage.parts import open_parts, refuse_link
from rayspy.storage.tables import read_table
from tests import fuzz

SHAPE = (40, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A container whose array has ten parts."""
    return fuzz._container(tmp_path)


def change(folder: Path, file: str, how: Callable[[Any], Any]) -> None:
    """Change a description and make all checksums fit again."""
    told = json.loads((folder / file).read_text())
    how(told)
    (folder / file).write_text(json.dumps(told))
    fuzz.sealed(folder)


def refused(folder: Path, words: str, checksum: bool | None = None) -> None:
    with pytest.raises(DamagedDataError, match=words):
        spy.load(folder, checksum=checksum)


# -- parts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        lambda m: m["parts"][1].update(start=m["parts"][0]["start"]),
        lambda m: m["parts"][1].update(start=[m["parts"][0]["start"][0] + 1, 0]),
        lambda m: (m["parts"].pop(), m["parts"].append(dict(m["parts"][0]))),
        lambda m: m.update(shape=[2**62, 4], parts=[]),
        lambda m: m.update(shape=[-40, -3]),
        lambda m: m.update(shape=[1e999, 3]),
        lambda m: m.update(shape=[]),
        lambda m: m.update(dtype="(1,"),
    ],
    ids=["overlap", "partly", "twice", "huge", "negative", "infinite", "none", "syntax"],
)
def test_parts_that_do_not_make_up_the_array(folder: Path, how: Any) -> None:
    change(folder, "meta.json", how)
    refused(folder, r"meta\.json is damaged")


@pytest.mark.parametrize(
    "how",
    [
        lambda m: m.update(dtype="<f8"),
        lambda m: (m.update(shape=[12]), m["parts"][0].update(start=[0], shape=[12])),
    ],
)
def test_tables_of_spikes(how: Any, tmp_path: Path) -> None:
    """Of numbers that are no whole ones, or without columns."""
    folder = fuzz._spikes(tmp_path)
    change(folder, "meta.json", how)
    refused(folder, "damaged")


def test_parts_in_two_directions(tmp_path: Path) -> None:
    """Overlaps are looked for along the axis with the most parts."""
    from rayspy.storage.parts import write_meta, write_part

    array = np.arange(60, dtype="f4").reshape(4, 5, 3)
    parts = [
        write_part(str(tmp_path), (i, j, 0), array[i : i + 2, j : j + 1]) for i in (0, 2) for j in range(5)
    ]
    write_meta(str(tmp_path), array.shape, array.dtype, parts)
    with open_parts(tmp_path).reader() as read:
        np.testing.assert_array_equal(read((slice(0, 4), slice(0, 5), slice(0, 3))), array)
    told = json.loads((tmp_path / "meta.json").read_text())
    told["parts"][3]["start"] = told["parts"][4]["start"]
    (tmp_path / "meta.json").write_text(json.dumps(told))
    with pytest.raises(DamagedDataError, match="do not make up"):
        open_parts(tmp_path)


@pytest.mark.parametrize("file", ["meta.json", "trials.arrow", "object.json", "object.sha256", "part"])
def test_links_are_not_followed(file: str, folder: Path, tmp_path: Path) -> None:
    victim = next(folder.glob("part-*")) if file == "part" else folder / file
    victim.rename(tmp_path / "outside")
    victim.symlink_to(tmp_path / "outside")
    refused(folder, "points out")


@pytest.mark.parametrize("file", ["meta.json", "trials.arrow", "part"])
def test_files_without_a_checksum_are_not_used(file: str, folder: Path) -> None:
    def leave_out(told: dict[str, Any]) -> None:
        told["files"].pop(next(name for name in told["files"] if name.startswith(file)))

    change(folder, "object.json", leave_out)
    refused(folder, "is not listed")


# -- descriptions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [float("nan"), -1, 0, "fast", [1], True, 1e999])
def test_samplerates(folder: Path, rate: Any) -> None:
    change(folder, "object.json", lambda d: d.update(samplerate=rate))
    refused(folder, "samplerate")


def put_trials(folder: Path, table: Any, **options: Any) -> None:
    with (
        pa.OSFile(str(folder / "trials.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer,
    ):
        writer.write_table(table)
    fuzz.sealed(folder)


@pytest.mark.parametrize(
    "rows",
    [
        [[0, math.nan, 0]],
        [[0, 41, 0]],
        [[-1, 10, 0]],
        [[10, 0, 0]],
        [[0.5, 10, 0]],
        np.empty((0, 3)),
        [[0, 10]],
        [[0, 10, math.inf]],
    ],
    ids=["nan", "beyond", "before", "turned", "half", "empty", "columns", "offset"],
)
def test_trials(folder: Path, rows: Any) -> None:
    rows = np.array(rows, dtype=float)
    put_trials(folder, pa.table({f"c{k}": rows[:, k] for k in range(rows.shape[1])}))
    refused(folder, "sampleinfo|trialdefinition")


def test_nested_too_deep(folder: Path) -> None:
    (folder / "object.json").write_bytes(b"[" * 200_000)
    fuzz.sealed(folder)
    refused(folder, r"object\.json is damaged")


@pytest.mark.parametrize("values", [["a"], [[1], [2, 3]], [None] * 3, [{}] * 3, "abc"])
def test_labels(folder: Path, values: Any) -> None:
    change(folder, "object.json", lambda d: d["labels"].update(channel=values))
    refused(folder, "damaged")


# -- tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_tables(folder: Path, compression: str) -> None:
    """8 MB of zeros from some kB: read, they would take as much memory as anybody likes."""
    put_trials(folder, pa.table({f"c{k}": np.zeros(300_000) for k in range(3)}), compression=compression)
    refused(folder, "compressed")
    text = pa.array(["x" * 1000] * 1000).dictionary_encode()
    put_trials(folder, pa.table({"c": text}), compression=compression)
    refused(folder, "compressed")


@pytest.mark.parametrize(
    "column", [pa.array(["a", "b", "c"]), pa.array([1, 2, 3]), pa.array([1.0, None, 3.0]), pa.nulls(3)]
)
def test_columns_of_another_type(folder: Path, column: Any) -> None:
    put_trials(folder, pa.table({"start": column, "stop": [1.0, 2.0, 3.0], "offset": [0.0, 0.0, 0.0]}))
    refused(folder, r"trials\.arrow is damaged")


@pytest.mark.parametrize("cut", [slice(0, -1), slice(1, None), slice(0, 0), slice(0, 100)])
def test_tables_that_are_cut(folder: Path, cut: slice) -> None:
    content = (folder / "trials.arrow").read_bytes()
    (folder / "trials.arrow").write_bytes(content[cut])
    with pytest.raises((ValueError, OSError)):
        read_table(folder / "trials.arrow")


# -- without checksums --------------------------------------------------------------------------------------


def test_structure_is_checked_without_checksums_too(folder: Path) -> None:
    """Whatever is damaged: `checksum=False` lets other numbers in, nothing else."""
    right = spy.load(folder)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        for at in range(0, len(content), max(1, len(content) // 40)):
            path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            if path.name.startswith("part-"):
                found = spy.load(folder, checksum=False)
                np.testing.assert_array_equal(found.trialdefinition, right.trialdefinition)
                assert (found.data.shape, found.samplerate) == (SHAPE, 10)
            else:
                refused(folder, "altered|damaged", checksum=False)
        path.write_bytes(content)


# -- NumPy's files ------------------------------------------------------------------------------------------


def header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(100),
        header("(5, 3)"),
        header("(2000000000, 2000000000)") + bytes(60),
        header("(-5, -3)") + bytes(60),
        header("(5, 3") + bytes(60),
        header("(5, 3)", "(1,") + bytes(60),
        header("(" * 500) + bytes(60),
        header("'a', 3") + bytes(60),
        header("(5, 3))") + bytes(60),
    ],
)
def test_npy_headers(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(InvalidValueError, match=r"x\.npy"):
        spy.AnalogData(tmp_path / "x.npy")


def test_archives(tmp_path: Path) -> None:
    import zipfile

    np.savez_compressed(
        tmp_path / "x.npz", a=np.asfortranarray(np.arange(6.0).reshape(2, 3)), b=np.array("t")
    )
    found = read_archive(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    assert str(found["b"]) == "t"
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("a.npy", header("(1000000000000,)") + bytes(60))
    with pytest.raises(ValueError, match="bytes for"):
        read_archive(tmp_path / "y.npz")
    np.savez_compressed(tmp_path / "z.npz", a=np.zeros(10_000))
    with spy.config.using(memory_budget=1000), pytest.raises(ValueError, match="do not fit into memory"):
        read_archive(tmp_path / "z.npz")
    with pytest.raises(InvalidValueError, match=r"numpy\.load.*npz"):
        spy.AnalogData(tmp_path / "x.npz")


# -- saving a copy ------------------------------------------------------------------------------------------


def test_a_copy_that_is_saved_leaves_the_original_usable(tmp_path: Path) -> None:
    original = fuzz.recording()
    original.save(container=tmp_path / "x")
    before = original.data[()]
    twin = original.copy()
    twin.info["more"] = 1
    twin.channel = ["x", "y", "z"]
    twin.save()
    np.testing.assert_array_equal(original.data[()], before)
    assert list(spy.load(tmp_path / "x").channel) == ["x", "y", "z"]
    original.save()
    np.testing.assert_array_equal(twin.data[()], before)


def test_names_that_are_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedDataError, match="too long"):
        refuse_link(tmp_path / ("x" * 5000))
