"""Which trials, times and labels of two objects belong together: by name, never silently by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.selection import SAMPLE_SLACK
from rayspy.errors import InvalidValueError
from rayspy.frontends.pointwise import Stacked
from rayspy.progress import message
from rayspy.storage.derived import RunsSource

Labels = NDArray[Any]
Indices = NDArray[np.int64]
_RTOL = 1e-6
"""Frequencies that differ by less than this, relative to the larger one, are the same."""


def apart(base: BaseData, other: BaseData, own: Stacked, theirs: Stacked) -> str:
    """Say in what the times of two objects differ, where they have a time axis, or return ''."""
    rate = base.samplerate
    if rate is None:
        uneven, found = base.info.get("toi"), other.info.get("toi")
        return "" if np.array_equal(uneven or [], found or []) else f"times {found} instead of {uneven}"
    shifts = theirs.trialdefinition[:, 2] - own.trialdefinition[:, 2]
    off = np.flatnonzero(np.abs(shifts) > SAMPLE_SLACK)
    if not len(off) or (own.lengths.max() == 1 and "freq" in own.labels):
        return ""
    k = int(off[0])
    begins = [rows.trialdefinition[k, 2] / rate for rows in (theirs, own)]
    return f"trial {k} begins at {begins[0]:g} s instead of {begins[1]:g} s"


def reordered(
    own: Stacked, other: Stacked, dims: tuple[str, ...], function: str, varname: str, beside: str = ""
) -> Stacked:
    """Bring another object's labels into the order of the first one's.

    Parameters
    ----------
    own, other : Stacked
        What is selected of the two objects.
    dims : tuple of str
        Their dimensions.
    function, varname : str
        Front-end and parameter, for messages.
    beside : str
        Dimension along which the objects are put side by side: its labels do not
        matter, those of all others have to be the same.

    Returns
    -------
    Stacked
        Reads the second object in the order of the first. As many names, of which
        none is in common, stay as they are.

    Raises
    ------
    InvalidValueError
        Only some names are the same, or frequencies differ; the message names them.
    """
    index: dict[int, Indices] = {}
    labels = dict(other.labels)
    for dim in (dim for dim in own.labels if dim != beside):
        places = _places(own.labels[dim], other.labels[dim], dim, varname, strict=bool(beside))
        if places is not None:
            message(function, f"the order of `{dim}` differs between the objects: matched by name")
            index[dims.index(dim)] = places
            labels[dim] = other.labels[dim][places]
    if not index:
        return other
    rows = np.array([0]), np.array([other.source.shape[dims.index("time")]])
    return replace(other, source=RunsSource(other.source, dims.index("time"), *rows, index), labels=labels)


def _places(own: Labels, other: Labels, dim: str, varname: str, strict: bool) -> Indices | None:
    """Where each of the first labels is among the others; None if they are not to be moved."""
    numbers = own.dtype.kind != "U"
    if len(own) == len(other) and _same(own, other, numbers):
        return None
    order, rank = np.argsort(own, kind="stable"), np.argsort(other, kind="stable")
    if len(own) == len(other) and _same(own[order], other[rank], numbers) and len(np.unique(own)) == len(own):
        places = np.empty(len(own), np.int64)
        places[order] = rank
        return places
    if strict or numbers or len(own) != len(other) or set(own.tolist()) & set(other.tolist()):
        legal = f"object with the same {len(own)} {dim} labels"
        raise InvalidValueError(legal, varname, f"{len(other)}, {differences(own, other)}")
    return None


def _same(own: Labels, other: Labels, numbers: bool) -> bool:
    return bool(np.allclose(own, other, rtol=_RTOL, atol=0) if numbers else np.array_equal(own, other))


def differences(own: Labels, other: Labels) -> str:
    """Say which labels only one of two objects has."""
    only = [[x for x in a.tolist() if x not in set(b.tolist())] for a, b in ((own, other), (other, own))]
    if not any(only):
        return f"names that occur more than once, in another order: {_some(other.tolist())}"
    return "; ".join(
        f"only in the {which} object: {_some(names)}"
        for which, names in zip(("first", "second"), only, strict=True)
        if names
    )


def _some(names: list[Any], most: int = 8) -> str:
    shown = ", ".join(f"{name:g}" if isinstance(name, float) else str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} ... ({len(names)})"


def combined_labels(own: Mapping[str, Labels], other: Mapping[str, Labels], sign: str) -> dict[str, Labels]:
    """Labels of a result: those of both where they are the same, ``a-b`` where they are not."""
    return {
        dim: labels
        if labels.dtype.kind != "U" or np.array_equal(labels, other[dim])
        else np.array([f"{a}{sign}{b}" for a, b in zip(labels, other[dim], strict=True)])
        for dim, labels in own.items()
    }
