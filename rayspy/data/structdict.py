"""Dictionaries with attribute access and with a check that they can be stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from rayspy.errors import InvalidTypeError, RayspyError


class StructDict(dict[str, Any]):
    """Dictionary whose keys are attributes too, as in MATLAB structs and FieldTrip's ``cfg``.

    Examples
    --------
    >>> cfg = StructDict(method="mtmfft")
    >>> cfg.tapsmofrq = 10
    >>> cfg["tapsmofrq"]
    10
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __copy__(self) -> StructDict:
        return StructDict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> StructDict:
        return StructDict({key: deepcopy(value, memo) for key, value in self.items()})

    def copy(self, deep: bool = True) -> StructDict:
        """Copy, by default with everything inside."""
        return deepcopy(self) if deep else StructDict(self)

    def deepcopy(self) -> StructDict:
        """Copy with everything inside."""
        return deepcopy(self)

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *(key for key in self if isinstance(key, str))]

    def __str__(self) -> str:
        if not self:
            return "{}"
        width = max(len(str(key)) for key in self) + 5
        lines = [f"{key!s:>{width}} : {value}" for key, value in self.items()]
        return "\n".join(
            ["rayspy StructDict", "", *lines, "", "Use `dict(cfg)` for copy-paste-friendly format"]
        )


def serializable(value: Any, name: str = "value") -> Any:
    """Turn a value into what JSON can store, exactly; NumPy arrays become lists.

    Raises
    ------
    InvalidTypeError
        The value cannot be stored.
    """
    if isinstance(value, np.ndarray):
        return value.tolist() if value.dtype.kind in "biufU" else serializable(value.tolist(), name)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, range):
        return list(value)
    if isinstance(value, Mapping):
        return {str(key): serializable(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [serializable(item, name) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InvalidTypeError(
        value, f"value of {name}", "serializable data type, e.g. number, str, list, dict or array"
    )


class SerializableDict(dict[str, Any]):
    """Dictionary that takes only what can be stored with the data."""

    def __setitem__(self, key: str, value: Any) -> None:
        try:
            plain = serializable(value, str(key))
            json.dumps(plain)
        except TypeError as error:
            if isinstance(error, RayspyError):
                raise
            raise InvalidTypeError(value, f"value of {key}", "serializable data type") from None
        super().__setitem__(key, plain)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add several entries, each checked."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return an entry, adding it first if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]
