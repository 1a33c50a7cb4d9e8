"""A result of very many blocks has few files, and is gone on with like any other."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

import rayspy as spy
from rayspy.errors import DamagedDataError
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.storage import leftovers as kept
from rayspy.storage import packs
from rayspy.storage.identity import fingerprint
from rayspy.storage.parts import META, PartsTarget, find_parts, open_parts, read_part
from rayspy.storage.region import overlap
from rayspy.storage.sources import TABLE, Part, Parts, PartsSource, read_all
from tests.executors import killed_packs
from tests.executors import test_resume as resuming
from tests.executors.test_resume import go_on, leftovers, run

calls = resuming.calls
N, SAMPLES = 1500, 4


@pytest.fixture
def packed(monkeypatch):
    """Arrays of more than five parts are packed, some ten parts to a pack."""
    monkeypatch.setattr(packs, "_MOST_PARTS", 5)
    monkeypatch.setattr(packs, "_LEAST_BYTES", 9000)


def files_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def many_blocks(parallel, folder):
    x = np.random.default_rng(0).standard_normal((N * SAMPLES, 2)).astype(np.float32)
    edges = np.arange(N + 1) * SAMPLES
    x.tofile(folder / "x.dat")
    data = spy.AnalogData(spy.raw_binary(folder / "x.dat", "float32", 2), samplerate=100.0)
    data.trialdefinition = np.column_stack([edges[:-1], edges[1:], np.zeros(N)])
    with spy.config.using(block_bytes=32, inmemory_bytes=10, num_cpus=2):
        plan = plan_for("copy", data, Copying(), selected(data, None))
        assert plan.n_blocks == N
        source, _ = run_plan(plan, parallel)
    return x, source


@pytest.mark.parametrize("parallel", [False, None])
def test_a_result_of_many_blocks_has_few_files(parallel, tmp_path):
    x, source = many_blocks(parallel, tmp_path)
    assert len(files_in(source.folder)) <= 2 + 2
    np.testing.assert_array_equal(read_all(source), x)
    with source.reader() as read:
        np.testing.assert_array_equal(read((slice(5, 4001), slice(1, 2))), x[5:4001, 1:])
    np.testing.assert_array_equal(read_all(open_parts(source.folder)), x)


def test_packs_are_full_before_there_are_too_many():
    n_bytes = 16 * 10**12
    assert n_bytes / packs.pack_bytes(10**6, n_bytes) <= 1000
    assert packs.pack_bytes(1000, n_bytes) == 0
    assert packs.pack_bytes(10**6, 10**6) == 64 * 2**20


def test_saved_packs_load_and_damage_is_found(tmp_path, packed):
    with spy.config.using(block_bytes=500, inmemory_bytes=10, num_cpus=1):
        result = spy.selectdata(resuming.data_of(), latency=[-1, -0.5])
    expected = result.data[:]
    spy.save(result, filename=str(tmp_path / "x.analog"))
    names = files_in(tmp_path / "x.analog")
    assert sum(name.startswith("pack-") for name in names) in (1, 2, 3)
    assert not any(name.startswith("part-") for name in names)
    np.testing.assert_array_equal(spy.load(str(tmp_path / "x.analog")).data[:], expected)
    pack = next((tmp_path / "x.analog").glob("pack-*"))
    whole = pack.read_bytes()
    for k in (0, 300, len(whole) // 2, len(whole) - 1):
        pack.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        with pytest.raises(DamagedDataError, match="checksum"):
            spy.load(str(tmp_path / "x.analog"), checksum=True)
    pack.write_bytes(whole[:-1])
    with pytest.raises(DamagedDataError, match="truncated"):
        spy.load(str(tmp_path / "x.analog"), checksum=False)
    with pytest.raises(DamagedDataError, match="truncated"):
        open_parts(tmp_path / "x.analog")


@pytest.mark.parametrize("way", ["disk", "memory"])
def test_only_what_was_not_finished_is_computed(way, calls, packed):
    with pytest.raises(KeyboardInterrupt):
        run(way, calls)
    (left,) = leftovers()
    assert len(list(left.glob("*.arrow"))) == 2
    go_on(calls)
    resumed = run(way, calls)
    assert len(list(calls.iterdir())) == 30 - 12
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(resumed, run(way, calls))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("way", ["disk", "memory"])
def test_parts_of_some_channels(way, n, calls, packed):
    with pytest.raises(KeyboardInterrupt):
        run(way, calls, chan_per_worker=n)
    (left,) = leftovers()
    assert {name.partition("-")[0] for name in files_in(left)} == {"pack", "resume.json"}
    go_on(calls)
    resumed = run(way, calls, chan_per_worker=n)
    assert len(list(calls.iterdir())) == 30 * -(-3 // n) - 12
    np.testing.assert_array_equal(resumed, read_all(resuming.data_of().source))


@dataclass(frozen=True)
class Filling(Copying):
    """Somebody else fills the disk in between."""

    disk: str
    name: ClassVar[str] = "filling"

    def kernel(self, part):
        return self._copy

    def _copy(self, x, out=None):
        with Path(self.disk, f"{time.monotonic_ns()}").open("wb") as file, contextlib.suppress(OSError):
            file.write(bytes(2**16))
        np.copyto(out, x)
        return out


@pytest.mark.parametrize("way", ["disk", "memory"])
def test_a_disk_that_is_full_while_packing(way, small_disk, packed, caplog):
    data = resuming.data_of()
    limit = 100 if way == "disk" else 2**20
    told = spy.config.using(
        scratch_dir=str(small_disk), block_bytes=720, inmemory_bytes=limit, resume_after=0
    )
    (small_disk / "others").mkdir()
    with told:
        plan = plan_for("filling", data, Filling(str(small_disk / "others")), selected(data, None))
        if way == "disk":
            with pytest.raises(spy.errors.ScratchSpaceError, match="no space left to write"):
                run_plan(plan, False)
        else:
            np.testing.assert_array_equal(read_all(run_plan(plan, False)[0]), read_all(data.source))
            assert caplog.text.count("cannot be gone on with") == 1
        assert len(list((small_disk / "others").iterdir())) > 10
        assert not list(small_disk.rglob("pack-*"))


@pytest.mark.parametrize("left_of_it", [0, 1, 100, 300, 975])
def test_what_a_writer_was_killed_at_does_not_count(left_of_it, calls, packed):
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    (left,) = leftovers()
    pack = min(left.glob("pack-*"), key=lambda path: path.stat().st_size)
    last = max(packs.parts_of_pack(pack, 4), key=lambda part: part.offset)
    end = last.offset + 720
    begin = end - 976  # header and numbers
    pack.write_bytes(pack.read_bytes()[: begin + left_of_it])
    go_on(calls)
    resumed = run("disk", calls)
    assert len(list(calls.iterdir())) == 30 - 11
    with spy.config.using(resume=False):
        np.testing.assert_array_equal(resumed, run("disk", calls))


def test_nothing_is_appended_behind_a_part_that_failed(tmp_path, monkeypatch):
    target = PartsTarget(str(tmp_path), 2**20)
    target.write((0, 0), np.full((1, 50), 1.0))

    def half(tensor, file):
        write(pa.Tensor.from_numpy(np.zeros(30)), file)
        raise OSError(28, "No space left on device")

    write = pa.ipc.write_tensor
    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc, "write_tensor", half)
        with pytest.raises(spy.errors.ScratchSpaceError):
            target.write((1, 0), np.full((1, 50), 2.0))
    target.write((2, 0), np.full((1, 50), 3.0))
    assert len(files_in(tmp_path)) == 2
    found = {part.start: read_part(str(tmp_path), part, np.dtype(float)) for part in find_parts(tmp_path, 8)}
    assert {start: set(values.ravel()) for start, values in found.items()} == {(0, 0): {1.0}, (2, 0): {3.0}}


@pytest.mark.parametrize("dtype", ["i1", "f4", "c8", ">f8"])
def test_every_thread_has_a_pack_of_its_own(dtype, tmp_path):
    building, array = tmp_path / "x.wip", (np.arange(60) * (1 + 2j)).astype("c8").reshape(20, 3)
    array = array if dtype == "c8" else array.real.astype(dtype)
    building.mkdir()
    target = PartsTarget(str(building), 2**20)
    parts = []

    def write(rows):
        parts.extend(target.write((k, 0), array[k : k + 1]) for k in rows)

    threads = [threading.Thread(target=write, args=(range(k, 20, 2),)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = find_parts(str(building), array.dtype.itemsize)
    assert sorted(found, key=str) == sorted(parts, key=str)
    target.commit(str(tmp_path / "x"), array.shape, array.dtype, sorted(parts, key=lambda p: p.start))
    assert len(files_in(tmp_path / "x")) == 2 + 2
    assert json.loads((tmp_path / "x" / META).read_text())["version"] == 3
    source = open_parts(tmp_path / "x", keep=len)
    np.testing.assert_array_equal(read_all(source), array)
    other = tmp_path / "y.wip"
    other.mkdir()
    again = [PartsTarget(str(other), 10).write((k, 0), array[k : k + 1]) for k in range(20)]
    assert len(files_in(other)) == 20
    PartsTarget(str(other)).commit(str(tmp_path / "y"), array.shape, array.dtype, again)
    assert fingerprint(open_parts(tmp_path / "y", keep=len)) == fingerprint(source)


@pytest.mark.parametrize("dtype", ["f4", "c16"])
def test_axes_of_length_1_with_any_stride(dtype, tmp_path):
    """Which is what transposing and a new axis leave; the place of such a part was lost."""
    rows = np.arange(6).astype(dtype)
    odd = [rows[np.newaxis], rows[:, np.newaxis, np.newaxis].transpose(1, 2, 0), rows[::-1][np.newaxis]]
    target = PartsTarget(str(tmp_path), 2**20)
    written = [target.write((7, *range(array.ndim - 1)), array) for array in odd]
    found = list(find_parts(str(tmp_path), rows.itemsize))
    assert found == written
    for part, array in zip(found, odd, strict=True):
        np.testing.assert_array_equal(read_part(str(tmp_path), part, rows.dtype), array)


def test_killed_processes(tmp_path):
    """Really, at moments that are chosen and at any: nothing that was finished is computed again."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    script = [sys.executable, "-m", killed_packs.__name__, str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, env=environment, timeout=600, check=False)
    stories = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = [[way, moment] for way in killed_packs.WAYS for moment in killed_packs.moments(way)]
    assert [told["story"] for told in stories] == wanted, done.stderr
    for told in stories:
        (way, moment), finished, computed = told["story"], told["finished"], told["computed"]
        n = killed_packs.WAYS[way]
        assert told["same"], (way, moment, done.stderr)
        assert told["left"] == [], (way, moment)
        if moment == "before the mark":
            assert computed == [n]
        elif moment == "two at once":
            assert computed[0] <= n - min(finished), told
        else:  # parts that two threads were writing may be whole
            assert 0 <= n - sum(finished) - computed[0] <= 2 * len(finished), told


def test_who_renames_a_leftover_has_it(calls, monkeypatch, tmp_path):
    """A run that ends removes what an earlier one left of less, unless a third one just goes on with that."""
    with pytest.raises(KeyboardInterrupt):
        run("disk", calls)
    (left,) = leftovers()
    before, more, taken = files_in(left), tmp_path / "more", tmp_path / "taken"
    shutil.copytree(left, more)
    (more / "part-0+1.arrow").write_bytes(bytes(100))
    remove, claimed = shutil.rmtree, []

    def take_and_remove(folder, **how):
        claimed.append(kept.claim(left.parent, left.name, taken))
        remove(taken if claimed[-1] and Path(folder) == left else folder, **how)  # it was opened before

    monkeypatch.setattr(shutil, "rmtree", take_and_remove)
    assert kept.keep(more, left.parent)
    assert claimed
    assert not any(claimed) or files_in(taken) == before
    assert len(files_in(left)) == len(before) + 1


def packed_array(folder, n=20):
    array = np.arange(n * 3, dtype="f4").reshape(n, 3)
    building = folder / "x.wip"
    building.mkdir()
    target = PartsTarget(str(building), 2**20)
    parts = [target.write((k, c), array[k : k + 1, c : c + w]) for k in range(n) for c, w in [(0, 2), (2, 1)]]
    target.commit(str(folder / "x"), array.shape, array.dtype, parts)
    return folder / "x", array, parts


def test_packs_that_are_listed_one_by_one(tmp_path):
    """As they were in version 2."""
    folder, array, parts = packed_array(tmp_path)
    told = json.loads((folder / META).read_text())
    assert told["version"] == 3
    names = ("file", "start", "shape", "offset")
    del told["files"]
    told |= {"version": 2, "parts": [{name: getattr(part, name) for name in names} for part in parts]}
    (folder / META).write_text(json.dumps(told))
    (folder / TABLE).unlink()
    np.testing.assert_array_equal(read_all(open_parts(folder)), array)


FORGED = {
    "another file": lambda rows: rows[0].__setitem__(0, 1),
    "no file": lambda rows: rows[0].__setitem__(0, -1),
    "before the file": lambda rows: rows[0].__setitem__(1, -8),
    "beyond the file": lambda rows: rows[0].__setitem__(1, 2**62),
    "before the array": lambda rows: rows[0].__setitem__(2, -1),
    "beyond the array": lambda rows: rows[0].__setitem__(2, 2**63 - 1),
    "too long": lambda rows: rows[0].__setitem__(4, 2**63 - 1),
    "negative": lambda rows: rows[0].__setitem__(4, -1),
    "twice": lambda rows: rows[2].__setitem__(slice(None), rows[0]),
    "half over another": lambda rows: rows[1].__setitem__(3, 1),
}


@pytest.mark.parametrize("what", FORGED)
def test_tables_that_were_forged(what, tmp_path):
    folder, _, _ = packed_array(tmp_path)
    rows = np.load(folder / TABLE)
    FORGED[what](rows)
    np.save(folder / TABLE, rows)
    with pytest.raises(DamagedDataError):
        open_parts(folder)


def test_tables_that_are_none(tmp_path):
    folder, _, _ = packed_array(tmp_path)
    rows, whole = np.load(folder / TABLE), (folder / TABLE).read_bytes()
    for other in (
        rows[:-1],
        rows[:, :-1],
        rows.astype(float),
        np.asfortranarray(rows),
        rows[0],
        rows.astype(object),
    ):
        np.save(folder / TABLE, other)
        with pytest.raises(DamagedDataError):
            open_parts(folder)
    for content in (whole[:-1], whole + b"x", b"", whole[:40]):
        (folder / TABLE).write_bytes(content)
        with pytest.raises(DamagedDataError):
            open_parts(folder)
    (folder / TABLE).unlink()
    with pytest.raises(DamagedDataError, match="missing"):
        open_parts(folder)
    (folder / TABLE).symlink_to("/etc/passwd")
    with pytest.raises(DamagedDataError, match="link"):
        open_parts(folder)


def test_the_table_of_a_saved_object_is_always_compared(tmp_path, packed):
    with spy.config.using(block_bytes=500, inmemory_bytes=10, num_cpus=1):
        result = spy.selectdata(resuming.data_of(), latency=[-1, -0.5])
    spy.save(result, filename=str(tmp_path / "x.analog"))
    path = tmp_path / "x.analog" / TABLE
    rows = np.load(path)
    assert len(rows) == 30
    np.save(path, rows[[1, 0, *range(2, 30)]])  # which is as good
    with pytest.raises(DamagedDataError, match="checksum"):
        spy.load(tmp_path / "x.analog", checksum=False)
    again = spy.save(result, filename=str(tmp_path / "x.analog"), overwrite=True)
    assert again is None
    loaded = spy.load(tmp_path / "x.analog")
    loaded.save(filename=str(tmp_path / "x.analog"), overwrite=True)
    np.testing.assert_array_equal(loaded.data[:], result.data[:])
    np.testing.assert_array_equal(spy.load(tmp_path / "x.analog").data[:], result.data[:])


@pytest.mark.parametrize("ordered", [True, False])
def test_parts_in_a_region(ordered):
    """Found by looking near it, or at all parts where they are in no order."""
    rng = np.random.default_rng(5)
    edges = np.unique([0, 40, *rng.integers(1, 40, 12)])
    parts = [Part("x", (int(a), c), (int(b - a), 2), 0) for a, b in pairwise(edges) for c in (0, 2)]
    wanted = Parts.of(parts, 2) if ordered else Parts.of([parts[k] for k in rng.permutation(len(parts))], 2)
    source = PartsSource("", (40, 4), np.dtype("f4"), wanted)
    for _ in range(50):
        a, b = sorted(rng.integers(0, 41, 2).tolist())
        c, d = sorted(rng.integers(0, 5, 2).tolist())
        region = slice(a, b + 1), slice(c, d + 1)
        found = source.parts_in(region)
        assert sorted(found, key=str) == sorted((p for p in parts if overlap(p.region, region)), key=str)
