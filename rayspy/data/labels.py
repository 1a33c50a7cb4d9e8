"""Labels of dimensions: names of channels and tapers, frequencies in Hz."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import as_array, check_array
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.progress import warn

Labels = NDArray[Any]


@dataclass(frozen=True)
class LabelKind:
    """What the labels of a dimension are: how they are made by default and how they are checked."""

    default: Callable[[str, int], Labels]
    check: Callable[[Any, str, int], Labels]


def default_names(dim: str, n: int) -> Labels:
    """Names ``channel1 ...`` padded with zeros to equal length."""
    width = len(str(n))
    return np.array([f"{dim}{k:0{width}d}" for k in range(1, n + 1)])


def check_names(value: Any, dim: str, n: int) -> Labels:
    """Accept a list or array of n texts."""
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, dim, "list or array of str")
    if as_array(value, dim).ndim != 1 or not all(isinstance(name, str) for name in value):
        raise InvalidValueError("list or array of str", dim, value)
    if len(value) != n:
        raise InvalidValueError(f"{n} labels", dim, f"{len(value)} labels")
    return np.array(value, dtype=np.str_)


def check_frequencies(value: Any, dim: str, n: int) -> Labels:
    """Accept n different frequencies in Hz, 0 or more; says so if they do not ascend."""
    freqs = check_array(value, dim, 0, length=n)
    if len(np.unique(freqs)) < n:
        raise InvalidValueError("frequencies that differ from each other", dim, freqs.tolist())
    if (np.diff(freqs) < 0).any():
        warn(dim, "frequencies do not ascend; array.take(numpy.argsort(freq), axis) puts them in order")
    return freqs


NAMES = LabelKind(default_names, check_names)
NUMBERS = LabelKind(lambda dim, n: np.arange(n), check_frequencies)


def tell_repeated(labels: Labels, dim: str) -> None:
    """Warn of names that occur more than once: they cannot be chosen by name."""
    names, counts = np.unique(labels, return_counts=True)
    if labels.dtype.kind == "U" and (counts > 1).any():
        repeated = ", ".join(f"'{name}' ({n} times)" for name, n in zip(names, counts, strict=True) if n > 1)
        warn(dim, f"names that occur more than once can only be chosen by position: {repeated}")


def label_property(dim: str, doc: str, kind: LabelKind = NAMES) -> Any:
    """Make a property for the labels of a dimension.

    Parameters
    ----------
    dim : str
        Name of the dimension.
    doc : str
        What the labels are.
    kind : LabelKind
        `NAMES` or `NUMBERS`.
    """

    def get(data: Any) -> Labels | None:
        if data._source is None:
            return None
        if dim not in data._label_store:
            data._label_store[dim] = kind.default(dim, data._size_of(dim))
        labels: Labels = data._label_store[dim]
        return labels

    def assign(data: Any, value: Any) -> None:
        if data._source is None:
            raise InvalidValueError("data to be set before its labels", dim, "object without data")
        n = data._size_of(dim)
        labels = kind.default(dim, n) if value is None else kind.check(value, dim, n)
        tell_repeated(labels, dim)
        data._label_store[dim] = labels

    return property(get, assign, doc=doc)
