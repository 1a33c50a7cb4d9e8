"""Files that were forged or damaged: whatever is read must end in an error of ours, or in what was written.

A case is a seed: it picks a target, damages its files and uses them. ``python -m tests.fuzz 20000`` runs so
many cases, ``python -m tests.fuzz 1 --first SEED`` one of them; seeds of a test are those of its targets.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import rayspy as spy
from rayspy.errors import RayspyError
from rayspy.io import container
from rayspy.storage import packs
from rayspy.storage.sources import TABLE
from tests import fuzz_recordings as recordings

MOST_BYTES = 200 * 2**20
"""Memory that a case may take."""
MOST_ADDRESSES = 2**33
"""Memory that a campaign may ask for, with what libraries reserve: what asks for more than all is seen."""
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**62, 2**64, 10**400, 1.5, float("nan"), float("inf"), "", "x",
    "../outside/secret", "/etc/passwd", "..", "a\0b", "O", "V8", "<f8", "x" * 5000, [], {}, [[]], [1, [2]],
    [0] * 1000, {"a": {}},
)  # fmt: skip


# -- damages ------------------------------------------------------------------------------------------------


def mangled(content: bytes, rng: random.Random) -> bytes:
    """Change some bytes, cut or repeat some of them."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        at, n = rng.randrange(len(data) + 1), rng.choice([1, 2, 4, 8, 64])
        kind = rng.randrange(6)
        if kind == 0:
            data[at : at + n] = rng.randbytes(min(n, len(data) - at))
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at : at + n]
        elif kind == 3:
            data[at:at] = data[at : at + n]
        elif kind == 4:
            number = rng.choice([0, 1, -1, 2**31 - 1, -(2**31), 2**62, -(2**62)])
            data[at : at + 8] = number.to_bytes(8, "little", signed=True)[: max(0, len(data) - at)]
        else:
            del data[at:]
    return bytes(data)


def forged(told: Any, rng: random.Random) -> Any:
    """Replace, remove or repeat something anywhere in a description."""
    if isinstance(told, dict) and told and rng.random() < 0.85:
        key = rng.choice(sorted(told))
        if rng.random() < 0.1:
            return {name: value for name, value in told.items() if name != key}
        if rng.random() < 0.05:
            return {**told, str(rng.choice(ODD)): told[key]}
        return {**told, key: forged(told[key], rng)}
    if isinstance(told, list) and told and rng.random() < 0.8:
        k = rng.randrange(len(told))
        if rng.random() < 0.1:
            return told[:k] + told[k + 1 :]
        if rng.random() < 0.1:
            return [*told, told[k]]
        return [*told[:k], forged(told[k], rng), *told[k + 1 :]]
    if isinstance(told, (int, float)) and rng.random() < 0.4:
        return told + rng.choice([-1, 1, 2**32, 0.5])
    return rng.choice(ODD)


def forged_text(content: bytes, rng: random.Random) -> bytes:
    """The same of a file; now and then something nested too deep."""
    if rng.random() < 0.03:
        return b"[" * 200_000
    return json.dumps(forged(json.loads(content), rng)).encode()


def sealed(folder: Path) -> None:
    """Make size and checksum of every file, and that of the description, what they are now."""
    path = folder / "object.json"
    with contextlib.suppress(LookupError, ValueError, AttributeError, TypeError, RecursionError):
        told = json.loads(path.read_bytes())
        for name, entry in told["files"].items():
            if ".." not in name and "\0" not in name and (folder / name).is_file():
                content = (folder / name).read_bytes()
                entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        path.write_text(json.dumps(told))
    (folder / "object.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


# -- targets ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """Something that is read.

    Parameters
    ----------
    make : callable
        Writes it into a folder and returns its path.
    read : callable
        Reads it.
    same : callable
        Tells whether what was read is what was written.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    same: Callable[[Any], bool] = lambda found: True


def values(n: int = 40) -> np.ndarray[Any, Any]:
    return np.arange(n * 3, dtype="f4").reshape(n, 3) / 7


def recording() -> spy.AnalogData:
    trl = np.array([[0, 10, -5, 1], [10, 20, -5, 2], [20, 40, 0, 3]], dtype=float)
    return spy.AnalogData(values(), samplerate=10, trialdefinition=trl, channel=["a", "b", "c"])


def _container(folder: Path) -> Path:
    with spy.config.using(inmemory_bytes=100, block_bytes=200):
        recording().save(filename=folder / "x")
    return folder / "x.analog"


def _packed(folder: Path) -> Path:
    """With a table of parts: sealed, only checks of structure are left."""
    with mock.patch.object(packs, "_MOST_PARTS", 1), mock.patch.object(container, "_PART_BYTES", 100):
        recording().save(filename=folder / "x")
    assert (folder / "x.analog" / TABLE).is_file()
    return folder / "x.analog"


def _spikes(folder: Path) -> Path:
    rows = np.array([[1, 0, 0], [3, 1, 0], [3, 1, 1], [9, 0, 2]])
    data = spy.SpikeData(rows, samplerate=10, trialdefinition=np.array([[0, 5, 0], [5, 10, 0]], dtype=float))
    data.save(filename=folder / "x")
    return folder / "x.spike"


def _spectra(folder: Path) -> Path:
    data = spy.SpectralData(np.ones((2, 1, 3, 2), "f4"), freq=[1.0, 2.0, 4.0], samplerate=1.0)
    data.metadata = {"fit": {"a": [np.arange(3.0), np.arange(4)], "b": np.ones((2, 2), bool)}}
    data.save(filename=folder / "x")
    return folder / "x.spectral"


def _npy(folder: Path) -> Path:
    np.save(folder / "x.npy", values())
    return folder / "x.npy"


def _test(folder: Path) -> Path:
    array = np.ones((1, 2))
    found = spy.StatData(
        dimord=("freq", "channel"), coords={"freq": np.array([1.0]), "channel": np.array(["a", "b"])},
        stat=array, prob=array, mask=array > 0, settings={"alpha": 0.05, "correctm": "cluster"}, words="a",
        df=(3,), n_permutations=4, cluster=array.astype(int), rows=[{"p": 0.5}], distribution=np.arange(4.0),
    )  # fmt: skip
    return Path(found.save(folder / "x.stat"))


def _coupling(folder: Path) -> Path:
    array = np.ones((1, 2))
    data = spy.CouplingData(
        dimord=("a", "b"), coords={"a": np.array([1.0]), "b": np.array([1.0, 2.0])}, value=array, phase=array,
        surrogate_mean=array, surrogate_std=array, prob=array, settings={"n_surrogates": 0},
        shares=None, cfg={},
    )  # fmt: skip
    return Path(data.save(folder / "x"))


def _used(data: Any) -> Any:
    """Do with an object what users do first."""
    assert str(data)
    assert data.data is not None
    data.data[()]
    for k in range(len(data.trials)):
        data.trials[k]
        if data.time is not None:
            data.time[k]
    return data


def _same_recording(data: Any) -> bool:
    return np.array_equal(data.data[()], values()) and np.array_equal(
        data.trialdefinition, recording().trialdefinition
    )


TARGETS: dict[str, Target] = {
    "container": Target(_container, lambda path: _used(spy.load(path, checksum=True)), _same_recording),
    "unchecked": Target(_container, lambda path: _used(spy.load(path, checksum=False))),
    "packed": Target(_packed, lambda path: _used(spy.load(path, checksum=True)), _same_recording),
    "spikes": Target(_spikes, lambda path: _used(spy.load(path))),
    "spectra": Target(_spectra, lambda path: _used(spy.load(path))),
    "npy": Target(_npy, lambda path: _used(spy.AnalogData(path))),
    "test": Target(_test, lambda path: spy.StatData.load(path)),
    "coupling": Target(_coupling, lambda path: spy.CouplingData.load(path)),
}


def _recording(name: str) -> Target:
    options = recordings.OPTIONS.get(name, {})
    return Target(recordings.WRITERS[name], lambda path: recordings.used(spy.read(path, **options)))


RECORDINGS = {name: _recording(name) for name in recordings.WRITERS}


# -- cases --------------------------------------------------------------------------------------------------


@cache
def _template(name: str) -> tuple[str, dict[str, bytes]]:
    """What of a target is read, and its files by name."""
    target = TARGETS.get(name) or RECORDINGS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = target.make(Path(folder))
        files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
        return str(path.relative_to(folder)), {str(p.relative_to(folder)): p.read_bytes() for p in files}


def run(seed: int, folder: Path, targets: dict[str, Target]) -> str:
    """Run one case; returns what is wrong, or ''."""
    rng = random.Random(seed)
    name = rng.choice(sorted(targets))
    target, (read, files) = targets[name], _template(name)
    shutil.rmtree(folder, ignore_errors=True)
    for file, content in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").write_bytes(b"secret" * 100)
    path, others = folder / read, recordings.outside_of(folder)
    if name in RECORDINGS:
        recordings.damage([folder / file for file in files], rng, mangled)
        is_sealed = True
    else:
        is_sealed = _damage(path, rng)
    recordings.untouched(others)
    before = _peak_from_here()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = target.read(path)
        if not is_sealed and not target.same(found):
            return f"{name}: differs silently"
    except RayspyError:
        pass
    except Exception:
        return f"{name}: {traceback.format_exc(limit=-8)}"
    if name in RECORDINGS and (found := recordings.touched(others)):
        return f"{name}: {', '.join(found)} outside was read"
    grown = _peak() - before
    return f"{name}: {grown / 2**20:.0f} MB" if grown > MOST_BYTES else ""


def _damage(path: Path, rng: random.Random) -> bool:
    """Damage a file or some files of a folder; returns whether checksums were made to fit again."""
    if path.is_file():
        path.write_bytes(mangled(path.read_bytes(), rng))
        return True
    every = sorted(p for p in path.rglob("*") if p.is_file())
    for _ in range(rng.choice([1, 1, 2])):
        victim = rng.choice(every)
        kind = rng.random()
        if not victim.exists() or kind < 0.03:
            victim.unlink(missing_ok=True)
        elif kind < 0.08:
            victim.unlink()
            victim.symlink_to(path.parent.parent / "outside" / "secret")
        elif victim.suffix == ".json" and kind < 0.8:
            with contextlib.suppress(ValueError, RecursionError):
                victim.write_bytes(forged_text(victim.read_bytes(), rng))
        elif not victim.is_symlink():
            victim.write_bytes(mangled(victim.read_bytes(), rng))
    if rng.random() < 0.75:
        if (path / "object.json").is_file():
            with contextlib.suppress(OSError):
                sealed(path)
        return True
    return False


def _status(field: str) -> int:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), 0)


def _peak_from_here() -> int:
    """Begin to look for the largest memory anew; returns what is used now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def faults(seeds: range, folder: Path, targets: dict[str, Target]) -> Iterator[str]:
    """Run cases and yield what is wrong with any of them."""
    for name in targets:
        _template(name)
    for seed in seeds:
        wrong = run(seed, folder / "case", targets)
        if wrong:
            yield f"case {seed}: {wrong}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int, help="number of cases")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", default="", help="targets whose names begin so")
    asked = parser.parse_args()
    there = {name: one for name, one in RECORDINGS.items() if find_spec(recordings.NEEDS.get(name, "rayspy"))}
    every = {**TARGETS, **there}
    targets = {name: target for name, target in every.items() if name.startswith(asked.only)}
    spy.set_loglevel("ERROR")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    with tempfile.TemporaryDirectory() as folder:
        found = 0
        for wrong in faults(range(asked.first, asked.first + asked.n), Path(folder), targets):
            found += 1
            print(wrong, flush=True)
    print(f"{asked.n} cases, {found} faults")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
