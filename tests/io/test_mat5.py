"""MATLAB's files of level 5: as SciPy reads them, and no harm from damaged ones."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.errors import DamagedDataError
from rayspy.io.readers import mat5


def in_cells(values):
    made = np.empty((1, len(values)), object)
    made[0] = [None] * len(values)
    for k, value in enumerate(values):
        made[0, k] = value
    return made


def numbers(kind, shape):
    made = np.arange(np.prod(shape)).reshape(shape) * (1 + 2j if kind[0] == "c" else 3)
    return made.astype(kind)


NUMBERS = st.builds(
    numbers,
    st.sampled_from(["f8", "f4", "i2", "u1", "i4", "u8", "c16", "c8"]),
    st.lists(st.integers(0, 3), min_size=2, max_size=4),
)
TEXT = st.text("abcäµ ?\U0001f9e0", max_size=6)
NAMES = st.sampled_from(["a", "b_1", "label", "x" * 31])
VALUES = st.recursive(
    NUMBERS | TEXT | st.floats(allow_nan=False) | st.booleans(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(in_cells)
        | st.dictionaries(NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def expected(value):
    """What comes back of a value that was written."""
    if isinstance(value, dict):
        return {key: expected(one) for key, one in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [expected(one) for one in value.ravel()]
    if isinstance(value, np.ndarray):
        flat = value.squeeze()
        return np.empty(0, value.dtype) if not flat.size else flat.item() if flat.ndim == 0 else flat
    return value


def same(got, wanted):
    if isinstance(wanted, dict):
        assert list(got) == list(wanted)
        for key, one in wanted.items():
            same(got[key], one)
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for one, other in zip(got, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    else:
        assert got == wanted
        assert type(got) is type(wanted)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), st.booleans())
def test_values_come_back(tmp_path_factory, values, compressed):
    path = tmp_path_factory.mktemp("mat") / "x.mat"
    scipy.io.savemat(path, values, do_compression=compressed, long_field_names=True)
    same(mat5.load(path), {key: expected(value) for key, value in values.items()})


def test_arrays_of_structs_and_of_texts_and_what_is_left_out(tmp_path):
    import scipy.sparse

    rows = np.zeros((2,), [("type", "O"), ("latency", "O")])
    rows["type"], rows["latency"] = ["S 1", 5.0], [10.0, 20.5]
    texts = np.array(["ab ", "cde"])
    sparse = scipy.sparse.csc_matrix(np.eye(3))
    scipy.io.savemat(tmp_path / "x.mat", {"event": rows, "texts": texts, "sparse": sparse, "after": 7.0})
    got = mat5.load(tmp_path / "x.mat")
    assert got["event"] == [{"type": "S 1", "latency": 10.0}, {"type": 5.0, "latency": 20.5}]
    assert [one.strip() for one in got["texts"]] == ["ab", "cde"]
    assert got["sparse"] is None
    assert got["after"] == 7.0


def element(order, kind, data):
    return struct.pack(order + "2I", kind, len(data)) + data + bytes(-len(data) % 8)


@pytest.mark.parametrize(("order", "marks"), [("<", b"\x00\x01IM"), (">", b"\x01\x00MI")])
def test_both_orders_of_bytes_and_numbers_stored_in_smaller_types(tmp_path, order, marks):
    """MATLAB stores whole numbers of double precision in as few bytes as they need."""
    parts = element(order, 6, struct.pack(order + "2I", 6, 0)) + element(
        order, 5, struct.pack(order + "2i", 2, 2)
    )
    small = struct.pack(order + "I", (1 << 16) | 1) + b"x\0\0\0"
    stored = element(order, 3, struct.pack(order + "4h", 1, -2, 300, 4))
    content = bytes(124) + marks + element(order, 14, parts + small + stored)
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0" + content[10:])
    got = mat5.load(tmp_path / "x.mat")["x"]
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, [[1, 300], [-2, 4]])


def write_any(path, compressed):
    rows = np.zeros((3,), [("type", "O"), ("latency", "O")])
    rows["type"], rows["latency"] = ["S 1", 5.0, "b"], [10.0, 20.5, np.arange(6.0)]
    cells = in_cells(["a", np.arange(12).reshape(3, 4), in_cells([1.0, 2.0])])
    values = {"event": rows, "cells": cells, "deep": {"x": {"y": "text", "z": np.eye(4)}}}
    scipy.io.savemat(path, values, do_compression=compressed)


@pytest.mark.parametrize("compressed", [False, True])
def test_any_damage_gives_a_specific_error_or_values(tmp_path, compressed):
    path = tmp_path / "x.mat"
    write_any(path, compressed)
    good = path.read_bytes()
    rng = np.random.default_rng(5)
    outcomes = set()
    for _ in range(400):
        content = bytearray(good)
        for at in rng.integers(0, len(good), int(rng.integers(1, 5))):
            content[at] = int(rng.choice([0, 1, 14, 15, 127, 128, 255, int(rng.integers(256))]))
        stop = int(rng.integers(100, len(good))) if rng.random() < 0.2 else len(good)
        path.write_bytes(content[:stop])
        try:
            outcomes.add(type(mat5.load(path)))
        except DamagedDataError as error:
            outcomes.add("x.mat" in str(error))
    assert outcomes == {dict, True}


def test_nothing_without_bounds(tmp_path):
    """Shapes, counts and depths that no file of this size can have; bytes that expand without end."""
    order, head = "<", b"MATLAB 5.0".ljust(124, b" ") + b"\x00\x01IM"
    flags = [element(order, 6, struct.pack("<2I", kind, 0)) for kind in (1, 2, 6)]
    shape = element(order, 5, struct.pack("<2i", 2**31 - 1, 2**31 - 1))
    name = element(order, 1, b"x")
    bodies = [flags[0] + shape + name, flags[2] + shape + name + element(order, 9, bytes(64))]
    fields = element(order, 5, struct.pack("<i", 8)) + element(order, 1, b"a".ljust(8, b"\0"))
    bodies.append(flags[1] + shape + name + fields)
    bodies.append(flags[0] + element(order, 5, struct.pack("<2i", -1, 1)) + name)
    deep = element(
        order, 14, flags[2] + element(order, 5, struct.pack("<2i", 1, 1)) + name + element(order, 9, bytes(8))
    )
    for _ in range(60):
        deep = element(order, 14, flags[0] + element(order, 5, struct.pack("<2i", 1, 1)) + name + deep)
    files = [element(order, 14, body) for body in bodies] + [deep]
    files.append(struct.pack("<2I", 14, 2**32 - 1) + bytes(64))
    packed = zlib.compress(struct.pack("<2I", 14, 2**31) + bytes(10**6))
    files.append(struct.pack("<2I", 15, len(packed)) + packed)
    for k, content in enumerate(files):
        (tmp_path / "x.mat").write_bytes(head + content)
        with pytest.raises(DamagedDataError, match=r"x\.mat"):
            print(k, mat5.load(tmp_path / "x.mat"))
