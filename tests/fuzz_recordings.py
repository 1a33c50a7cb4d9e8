"""Recordings for `tests.fuzz`: written small, damaged as their kind allows, used as users do."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import rayspy as spy
from tests.io import rigs, small
from tests.io.rigs import neuroscope, openephys, spikeglx

VALUES = np.random.default_rng(2).normal(size=(200, 3)).astype("f4")
WORDS = (
    "-1", "0", "1", "3", "1e300", "-1e300", "nan", "inf", "99999999999", "2147483648", "1e-300", "", "x",
    "..", "\0", "%s%n", "x" * 5000, "INT_32", "VECTORIZED", "ASCII",
)  # fmt: skip
FILES = (
    "../outside/secret", "../outside/x.eeg", "../outside/", "../../../../outside/",
    "../../../../../../outside/", "/etc/passwd", "..", "\0", "OUTSIDE/secret", "OUTSIDE/x.eeg", "OUTSIDE/",
)  # fmt: skip
NUMBERS = (np.nan, np.inf, -1.0, 0.0, 1.0, 0.5, 2.0**31, 2.0**62, 1e300, 1e-300)
SHAPES: tuple[tuple[int, ...], ...] = (
    (), (0,), (0, 3), (3,), (200,), (5, 5, 5), (2**40, 3), (3, 2**40), (2**45,)
)  # fmt: skip
KINDS = ("f8", "f4", "i2", "u2", "u8", "S5", "?", "c16", h5py.string_dtype(), h5py.ref_dtype)
TEXTS = (".vhdr", ".vmrk", ".meta", ".xml", ".oebin", ".info", ".Tbk")
MOST = 2**24
"""Bytes of an array that is read as a whole."""
ODD_BYTES = (b"\x00", b"\xff", b"\x7f", b" ", b"-", b"9")


def recording() -> spy.AnalogData:
    """Two trials with a unit."""
    trl = np.array([[0, 100, -10], [100, 200, -10]], dtype=float)
    data = spy.AnalogData(VALUES, samplerate=100, trialdefinition=trl, channel=["a", "b", "c"])
    data.unit = "µV"
    return data


# -- files --------------------------------------------------------------------------------------------------


def npy(folder: Path) -> Path:
    np.save(folder / "x.npy", VALUES)
    return folder / "x.npy"


def raw(folder: Path) -> Path:
    VALUES.tofile(folder / "x.dat")
    return folder / "x.dat"


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("data", data=VALUES, chunks=(50, 3), compression="gzip").attrs["fs"] = 100.0
    return folder / "x.h5"


def syncopy(folder: Path) -> Path:
    spy.to_syncopy(recording(), filename=folder / "x")
    return folder / "x.analog"


def _written(name: str) -> Callable[[Path], Path]:
    return lambda folder: small.WRITERS[name](folder, recording())


def _first(made: Callable[[Path], Any]) -> Callable[[Path], Path]:
    return lambda folder: made(folder)[0]


def intan(folder: Path) -> Path:
    rigs.rhd(folder / "x.rhd", 20_000)
    return folder / "x.rhd"


def tdt(folder: Path) -> Path:
    made, _ = rigs.tdt(folder / "tank" / "block")
    return Path(made)


WRITERS: dict[str, Callable[[Path], Path]] = {
    **{name: _written(name) for name in small.WRITERS},
    "eeglab_in_one_file": lambda folder: small.eeglab_in_one_file(folder, recording(), compressed=True),
    **{one.__name__: one for one in (npy, raw, hdf5, syncopy, intan, tdt)},
    **{one.__name__: _first(one) for one in (neuroscope, openephys, spikeglx)},
}
NEEDS = {**small.NEEDS, **dict.fromkeys(("intan", "tdt", "neuroscope", "openephys", "spikeglx"), "neo")}
"""The library that a format is written or read with, where there is one."""
OPTIONS: dict[str, dict[str, Any]] = {
    "npy": {"samplerate": 100},
    "raw": {"dtype": "f4", "channels": 3, "samplerate": 100},
}


def used(found: Any) -> None:
    """Do with a recording what users do first."""
    for data in found.values() if isinstance(found, dict) else [found]:
        assert str(data)
        if data.data is None:
            continue
        parts = [data.data[:3], data.data[-3:]]
        if data.data.size * data.data.dtype.itemsize <= MOST:
            parts.append(data.data[:])
        assert all(part.ndim == len(data.data.shape) for part in parts)
        for k in range(min(len(data.trials), 5)):
            start, stop = data.trialdefinition[k, :2]
            if (stop - start) * data.data.shape[1] <= MOST // 8:
                data.trials[k]
        if isinstance(data, spy.AnalogData):
            assert len(data.channel) == data.data.shape[1]
            assert data.samplerate > 0
            if data.events is not None:
                data.events.data[:3]


# -- damages ------------------------------------------------------------------------------------------------


def outside_of(folder: Path) -> list[Path]:
    """Files in another folder that nobody may read."""
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    names = ("secret", "x.eeg", "x.fdt", "x.vmrk", "continuous.dat", "timestamps.npy", "x.dat")
    for name in names:
        if not (outside / name).exists():
            (outside / name).write_bytes(b"secret" * 400)
    if not (outside / "numbers.h5").exists():
        with h5py.File(outside / "numbers.h5", "w") as file:
            file["data"] = np.zeros((200, 3))
    return [outside / name for name in (*names, "numbers.h5")]


def untouched(files: list[Path]) -> None:
    """Make the time of the last access one that any access changes."""
    for file in files:
        os.utime(file, (0, file.stat().st_mtime))


def touched(files: list[Path]) -> list[str]:
    """Names of files that were read; none on a disk that notes no access."""
    return [file.name for file in files if file.stat().st_atime != 0]


def damage(files: list[Path], rng: random.Random, mangled: Callable[[bytes, random.Random], bytes]) -> None:
    """Damage one or two files of a recording."""
    for _ in range(rng.choice([1, 1, 2])):
        victim = rng.choice(files)
        content = victim.read_bytes() if victim.exists() else b""
        kind = rng.random()
        if kind < 0.03:
            victim.unlink(missing_ok=True)
        elif kind < 0.2:
            victim.write_bytes(content[: rng.randrange(len(content) + 1)])
        elif b"\x89HDF\r\n\x1a\n" in (content[:8], content[512:520]):
            with contextlib.suppress(Exception):  # what HDF5 itself does not take
                forge_tree(victim, rng)
        elif victim.suffix in TEXTS and kind < 0.95:
            victim.write_bytes(forged_words(content, victim, rng))
        else:
            begin = rng.choice([0, 0, 128, 256, 512, len(content)])
            head = mangled(content[:begin], rng) if begin else b""
            rest = content[begin:] if begin else mangled(content, rng)
            victim.write_bytes(_digits(head + rest, rng) if rng.random() < 0.5 else head + rest)


def _digits(content: bytes, rng: random.Random) -> bytes:
    """Write something else into numbers that a header spells out."""
    places = [at for at in range(min(len(content), 2000)) if 48 <= content[at] < 58]
    data = bytearray(content)
    for at in rng.sample(places, min(len(places), rng.choice([1, 2, 5]))):
        data[at : at + 1] = rng.choice(ODD_BYTES)
    return bytes(data)


def forged_words(content: bytes, path: Path, rng: random.Random) -> bytes:
    """Replace words, drop or repeat lines of a text."""
    text = content.decode("utf-8", "replace")
    for _ in range(rng.choice([1, 1, 2, 5])):
        words = list(re.finditer(r"[^\s=,:;<>\[\]{}\"()]+", text))
        lines = text.splitlines(keepends=True)
        if rng.random() < 0.15 and lines:
            k = rng.randrange(len(lines))
            lines[k] = rng.choice(["", lines[k] * 2])
            text = "".join(lines)
        elif words:
            files = [word for word in words if re.search(r"/|\.[a-z]", word.group())]
            is_file = bool(files) and rng.random() < 0.4
            word = rng.choice(files if is_file else words)
            outside = next(up / "outside" for up in path.parents if (up / "outside").is_dir())
            new = rng.choice(FILES if is_file else WORDS).replace("OUTSIDE", outside.as_posix())
            text = text[: word.start()] + new + text[word.end() :]
    return text.encode()


def forge_tree(path: Path, rng: random.Random) -> None:
    """Change objects of an HDF5 file, in ways that the library itself allows."""
    outside = path.parent.parent / "outside"
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(rng.choice([1, 1, 2, 4])):
            name = rng.choice(names)
            if name not in file:
                continue
            node, kind = file[name], rng.randrange(9)
            if getattr(node, "size", 0) > MOST:
                continue
            if kind == 0 and node.attrs:
                node.attrs[rng.choice(sorted(node.attrs))] = rng.choice([*NUMBERS, "x", b"\xff", np.zeros(5)])
            elif kind < 3 and isinstance(node, h5py.Dataset) and node.dtype.kind in "iuf":
                with np.errstate(all="ignore"):
                    node[...] = np.array(rng.choice(NUMBERS)).astype(node.dtype)
            elif kind < 4 and isinstance(node, h5py.Dataset) and node.dtype.kind == "O":
                node[...] = rng.choice([h5py.Reference(), "", "x" * 5000])
            else:
                attributes = dict(node.attrs)
                del file[name]
                _put(file, name, outside, rng)
                with contextlib.suppress(Exception):
                    file[name].attrs.update(attributes)


def _put(file: Any, name: str, outside: Path, rng: random.Random) -> None:
    """Put something else in the place of an object."""
    kind, shape = rng.randrange(8), rng.choice(SHAPES)
    other = rng.choice(["../outside/numbers.h5", str(outside / "numbers.h5"), "none.h5", "/etc/passwd"])
    if kind == 0:
        file.create_group(name)
    elif kind == 1:
        file[name] = h5py.SoftLink(rng.choice(["/", name, "/nowhere"]))
    elif kind == 2:
        file[name] = h5py.ExternalLink(other, rng.choice(["data", "/"]))
    elif kind == 3:
        secret = rng.choice(["../outside/secret", str(outside / "secret")])
        file.create_dataset(name, (200, 3), "f4", external=[(secret, 0, 2400)])
    elif kind == 4:
        layout = h5py.VirtualLayout((200, 3), "f8")
        layout[:] = h5py.VirtualSource(other, "data", (200, 3))
        file.create_virtual_dataset(name, layout)
    elif kind < 7:
        chunks = (
            tuple(min(n, 64) or 1 for n in shape) if shape and np.prod(shape, dtype=float) > 1e6 else None
        )
        file.create_dataset(name, shape, rng.choice(KINDS), chunks=chunks)
    else:
        file[name] = json.dumps({"a": [1]})
