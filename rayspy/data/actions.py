"""Front-ends that are also methods of data objects.

Data objects stand below the front-ends in the import order. ``rayspy/__init__``
hands the functions in, so that ``obj.selectdata(...)`` can call them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_actions: dict[str, Callable[..., Any]] = {}


def register(**functions: Callable[..., Any]) -> None:
    """Make functions available under their names."""
    _actions.update(functions)


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a front-end by name."""
    return _actions[name](*args, **kwargs)
