"""Checks of user input; each raises a specific error that names the parameter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError
from rayspy.limits import memory_budget

SLACK = 1e-6
"""Relative tolerance of limits and ratios: sampling rates in files are rounded."""


def check_bool(value: Any, name: str) -> bool:
    """Accept a real bool only."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidTypeError(value, name, "Bool (True or False)")
    return bool(value)


def check_path(value: Any, name: str, what: str = "name of a file or folder") -> Path:
    """Accept a path that can exist, ``~`` expanded.

    Raises
    ------
    InvalidTypeError
        Neither text nor a path.
    InvalidValueError
        Empty, with a character or a length that no file system has, or in the home of nobody.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise InvalidTypeError(value, name, f"{what};")
    text = os.fspath(value)
    parts = [os.fsencode(part) for part in Path(text).parts] if "\0" not in text else []
    if not text or (not parts and text not in (".", "./")):
        raise InvalidValueError(f"{what}, not empty and without NUL", name, repr(text))
    if max(map(len, parts), default=0) > _LONGEST_NAME or len(os.fsencode(text)) > _LONGEST_PATH:
        short = f"{text[:40]}... of {len(text)} characters"
        raise InvalidValueError(f"{what} of at most {_LONGEST_NAME} bytes", name, short)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidValueError(f"{what} ({error})", name, text) from None


_LONGEST_NAME = 255
_LONGEST_PATH = 4095
"""Bytes of a file name and of a path that file systems have."""


def check_text(value: Any, name: str) -> str | None:
    """Accept text or None."""
    if value is not None and not isinstance(value, str):
        raise InvalidTypeError(value, name, "str;")
    return value


def check_names(value: Any, name: str, n: int | None = None) -> list[str]:
    """Accept a list, tuple or array of texts, of some length if that is given."""
    if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(np.asarray(value, dtype=object)) != 1:
        raise InvalidTypeError(value, name, "list of str;")
    if not all(isinstance(one, str) for one in value) or n not in (None, len(value)):
        raise InvalidValueError(f"{'' if n is None else f'{n} '}names (str)", name, value)
    return [str(one) for one in value]


def is_set(value: Any) -> bool:
    """Whether a parameter was given: neither None nor False, nothing empty."""
    return value is not None and value is not False and not (hasattr(value, "__len__") and len(value) == 0)


def check_room(n_bytes: float, name: str, value: Any, what: str) -> None:
    """Refuse a parameter from which more follows than fits into memory, before anything is made of it.

    Parameters
    ----------
    n_bytes : float
        Bytes that it takes at least.
    name : str
        The parameter.
    value : object
        What was given.
    what : str
        What takes them.

    Raises
    ------
    MemoryBudgetError
        Names the parameter.
    """
    room = memory_budget()
    if n_bytes > room:
        raise MemoryBudgetError(
            f"`{name}` = {value}: {what} would take {n_bytes / 1e9:.3g} GB, the memory budget is "
            f"{room / 1e9:.3g} GB (spy.config.memory_budget)"
        )


def check_choice(value: Any, name: str, choices: Sequence[str | None]) -> Any:
    """Accept one of several words."""
    if value is not None and not isinstance(value, str):
        raise InvalidTypeError(value, name, "str")
    if value not in choices:
        legal = ", ".join("None" if c is None else f"'{c}'" for c in choices)
        raise InvalidValueError(f"one of {legal}", name, value)
    return value


def is_number(value: Any) -> bool:
    """Whether a value is a real or complex number and no bool."""
    return isinstance(value, Number) and not isinstance(value, (bool, np.bool_))


def is_whole(value: Any) -> bool:
    """Whether a value is a whole real number, also as a float such as 3.0."""
    if not is_number(value) or isinstance(value, (complex, np.complexfloating)):
        return False
    return bool(np.isfinite(_float(value))) and float(value) == int(value)


def _float(value: Any) -> float:
    """Nearest float; infinity for whole numbers beyond all floats."""
    try:
        return float(value)
    except OverflowError:
        return np.inf


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Turn a list, whose rows have to be of equal length, into an array."""
    try:
        return np.asarray(value)
    except ValueError:
        raise InvalidValueError("array, or list with rows of equal length", name, value) from None


def check_scalar(value: Any, name: str, low: float | None = None, high: float | None = None) -> float:
    """Accept a finite real number within closed limits; one that is outside by rounding becomes the limit."""
    if not is_number(value) or isinstance(value, (complex, np.complexfloating)):
        raise InvalidTypeError(value, name, "scalar")
    number = _float(value)
    if not np.isfinite(number):
        raise InvalidValueError("finite number", name, value)
    number = float(_within(number, low, high))
    _check_limits(number, name, value, low, high)
    return number


def check_integer(value: Any, name: str, low: int | None = None, high: int | None = None) -> int:
    """Accept a whole number (also as a float such as 3.0) within closed limits."""
    if not is_number(value) or isinstance(value, (complex, np.complexfloating)):
        raise InvalidTypeError(value, name, "scalar")
    if not is_whole(value):
        raise InvalidValueError("int_like number", name, value)
    _check_limits(float(value), name, value, low, high)
    return int(value)


def _within(numbers: Any, low: float | None, high: float | None) -> Any:
    """Numbers that are outside of limits by no more than `SLACK` of these become the limits."""
    if low is not None:
        numbers = np.where((numbers < low) & (numbers >= low - SLACK * abs(low)), low, numbers)
    if high is not None:
        numbers = np.where((numbers > high) & (numbers <= high + SLACK * abs(high)), high, numbers)
    return numbers


def _check_limits(number: float, name: str, value: Any, low: float | None, high: float | None) -> None:
    if (low is not None and number < low) or (high is not None and number > high):
        parts = []
        if low is not None:
            parts.append(f"greater or equals {low:g}")
        if high is not None:
            parts.append(f"less or equals {high:g}")
        raise InvalidValueError(f"value to be {' and '.join(parts)}", name, value)


def check_array(
    value: Any,
    name: str,
    low: float | None = None,
    high: float | None = None,
    length: int | None = None,
) -> NDArray[np.float64]:
    """Accept a list or 1-d array of finite real numbers within closed limits, not empty.

    Numbers that are outside by rounding become the limits.
    """
    if not isinstance(value, (list, np.ndarray)):
        raise InvalidTypeError(value, name, "array_like (list or numpy.ndarray)")
    array = as_array(value, name)
    if array.dtype.kind not in "iuf":
        raise InvalidValueError("dtype = numeric", name, f"dtype = {array.dtype}")
    if array.ndim != 1 or array.size == 0:
        raise InvalidValueError("1d-array with at least one element", name, f"array of shape {array.shape}")
    if length is not None and array.size != length:
        raise InvalidValueError(f"array of shape ({length},)", name, f"array of shape {array.shape}")
    if np.isnan(array).any():
        raise InvalidValueError(
            "well-defined numerical array", name, f"array with {np.isnan(array).sum()} `NaN` entries"
        )
    if np.isinf(array).any():
        raise InvalidValueError(
            "finite numerical array", name, f"array with {np.isinf(array).sum()} `inf` entries"
        )
    array = _within(array, low, high)
    if (low is not None and array.min() < low) or (high is not None and array.max() > high):
        low_text = "-inf" if low is None else f"{low:g}"
        high_text = "inf" if high is None else f"{high:g}"
        raise InvalidValueError(
            f"all array elements to be bounded by {low_text} and {high_text}",
            name,
            f"array with range {array.min():g} to {array.max():g}",
        )
    return np.asarray(array, np.float64).copy()
