from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rayspy.data import view
from rayspy.data.view import ArrayView
from rayspy.errors import InvalidValueError
from rayspy.storage.sources import MemorySource, RawSource

SHAPE = (7, 4, 5)
ARRAY = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
VIEW = ArrayView(MemorySource(ARRAY.copy()))


def entries(n: int) -> st.SearchStrategy[Any]:
    bound = st.none() | st.integers(-n - 2, n + 2)
    step = st.none() | st.integers(1, 3) | st.integers(-3, -1)
    return st.one_of(
        st.integers(-n, n - 1),
        st.builds(slice, bound, bound, step),
        st.lists(st.integers(-n, n - 1), max_size=6),
        st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
    )


def expected(key: tuple[Any, ...]) -> Any:
    """Index every axis by itself."""
    out: Any = ARRAY
    for axis in reversed(range(len(key))):
        entry = np.array(key[axis], dtype=np.intp) if isinstance(key[axis], list) else key[axis]
        out = out[(slice(None),) * axis + (entry,)]
    return out


@settings(deadline=None, max_examples=300)
@given(st.tuples(*(entries(n) for n in SHAPE)), st.integers(0, 3))
def test_indexing_is_that_of_numpy(key: tuple[Any, ...], n_entries: int) -> None:
    key = key[:n_entries]
    found, wanted = VIEW[key], expected(key)
    np.testing.assert_array_equal(found, wanted)
    assert np.shape(found) == np.shape(wanted)
    assert np.asarray(found).dtype == ARRAY.dtype


@settings(deadline=None, max_examples=300)
@given(st.tuples(*(entries(n) for n in SHAPE)))
def test_indexing_in_runs_is_the_same(key: tuple[Any, ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view, "_LARGE_BYTES", 0)
        found = VIEW[key]
    np.testing.assert_array_equal(found, expected(key))
    assert np.shape(found) == np.shape(expected(key))


def test_what_lies_between_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.raw"
    with path.open("wb") as file:
        file.truncate(2**36)
    big = ArrayView(RawSource(str(path), np.dtype("i2"), (2**30, 32)))
    assert big[[5, 2**30 - 1, 7], :3].shape == (3, 3)
    assert big[:: 2**27, 4].shape == (8,)
    assert big[[0, -1], [1, 30]].shape == (2, 2)


@settings(deadline=None, max_examples=50)
@given(entries(7), entries(5))
def test_ellipsis(first: Any, last: Any) -> None:
    np.testing.assert_array_equal(VIEW[first, ..., last], expected((first, slice(None), last)))
    np.testing.assert_array_equal(VIEW[..., last], expected((slice(None), slice(None), last)))


@pytest.mark.parametrize("key", [7, -8, (0, 4), [0, 7], [-8], (0, 0, 0, 0), (..., ...)])
def test_out_of_bounds(key: Any) -> None:
    with pytest.raises(IndexError):
        VIEW[key]


@pytest.mark.parametrize("key", ["a", 1.5, [1.5], [[0, 1]], None, True, np.array([True, False])])
def test_indices_of_no_use(key: Any) -> None:
    with pytest.raises(InvalidValueError, match="index of axis 0"):
        VIEW[key]


def test_looks_like_an_array() -> None:
    assert (VIEW.shape, VIEW.ndim, VIEW.size, VIEW.nbytes, len(VIEW)) == (SHAPE, 3, 140, 560, 7)
    assert VIEW.dtype == np.float32
    assert "7 x 4 x 5" in repr(VIEW)
    assert "float32" in repr(VIEW)
    np.testing.assert_array_equal(np.asarray(VIEW), ARRAY)
    assert np.asarray(VIEW, dtype=np.float64).dtype == np.float64
    np.testing.assert_array_equal(np.sum(VIEW, axis=0), ARRAY.sum(axis=0))
    assert isinstance(VIEW[0, 0, 0], np.float32)
    with pytest.raises(ValueError, match="copy"):
        np.array(VIEW, copy=False)


def test_what_is_read_belongs_to_the_reader() -> None:
    for read in (VIEW[()], VIEW[0], VIEW[1:3], np.asarray(VIEW)):
        read[...] = -1
    np.testing.assert_array_equal(VIEW[()], ARRAY)
