"""The operators of data objects: ``+ - * / **`` with objects, arrays and numbers, and ``==``."""

from __future__ import annotations

from typing import Any, ClassVar

from rayspy.data import actions


class Operators:
    """Arithmetic trial by trial; see `rayspy.frontends.handling.arithmetic`."""

    __array_ufunc__: ClassVar[None] = None
    """Keeps NumPy from taking an object apart where an array stands on its left."""

    def __add__(self, other: Any) -> Any:
        return actions.call("arithmetic", "+", self, other)

    def __radd__(self, other: Any) -> Any:
        return actions.call("arithmetic", "+", other, self)

    def __sub__(self, other: Any) -> Any:
        return actions.call("arithmetic", "-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return actions.call("arithmetic", "-", other, self)

    def __mul__(self, other: Any) -> Any:
        return actions.call("arithmetic", "*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return actions.call("arithmetic", "*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return actions.call("arithmetic", "/", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return actions.call("arithmetic", "/", other, self)

    def __pow__(self, other: Any) -> Any:
        return actions.call("arithmetic", "**", self, other)

    def __rpow__(self, other: Any) -> Any:
        return actions.call("arithmetic", "**", other, self)

    def __eq__(self, other: object) -> bool:
        equal: bool = actions.call("equal", self, other)
        return equal

    __hash__ = None  # type: ignore[assignment]  # objects can change and are compared by value
