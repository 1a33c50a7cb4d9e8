"""What the numbers of an object are: their quantity and their physical unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.data.base import BaseData
from rayspy.data.labels import check_names
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.storage.sources import ArraySource

Unit = str | NDArray[np.str_] | None
SAME, SQUARED = "=", "^2"
"""Units in terms of those of the input: its own, and its square."""
_CHANGES = ("change", "difference", "z score", "t value", "phase lag")
_PLAIN = ("", "1")


@dataclass(frozen=True)
class Meaning:
    """What the numbers of a result are, told in terms of those it is made from.

    Parameters
    ----------
    quantity : str
        'power', 'phase', 'coherence' ...; '' where it is that of the input, which also
        takes the place of ``{}``.
    unit : str
        `SAME` or `SQUARED`, or a unit: 'rad', 'dB', '1' for pure numbers, '' where there is none.
    """

    quantity: str = ""
    unit: str = SAME

    def of(self, quantity: str | None, unit: Unit) -> tuple[str | None, Unit]:
        """Quantity and unit of the result of an input with these."""
        found: Unit = self.unit or None
        if self.unit in (SAME, SQUARED):
            found = unit if self.unit == SAME else each_unit(unit, squared)
        return self.quantity.format(quantity or "value") or quantity, found


KEPT = Meaning()
SPECTRA: dict[str, Meaning] = {
    "pow": Meaning("power", SQUARED),
    "abs": Meaning("amplitude"),
    "fourier": Meaning("Fourier coefficient"),
    "complex": Meaning("Fourier coefficient"),
    "real": Meaning("real part"),
    "imag": Meaning("imaginary part"),
    "absreal": Meaning("|real part|"),
    "absimag": Meaning("|imaginary part|"),
    "angle": Meaning("phase", "rad"),
}
"""Per output of spectra and of analytic signals."""
BASELINES: dict[str, Meaning] = {
    "absolute": Meaning("change of {}"),
    "relative": Meaning("ratio to baseline", "1"),
    "relchange": Meaning("relative change", "1"),
    "normchange": Meaning("normalized change", "1"),
    "db": Meaning("change", "dB"),
    "zscore": Meaning("z score", "sd"),
}
"""Per mode of baselines."""


def each_unit(unit: Unit, function: Any) -> Unit:
    """Apply a function to one unit, or to that of each channel."""
    if isinstance(unit, np.ndarray):
        return merged_unit(np.array([function(str(one)) for one in unit]))
    return None if unit is None else str(function(unit))


def squared(unit: str) -> str:
    """``V -> V²``; what is no single symbol is put in brackets."""
    if unit in _PLAIN:
        return unit
    return f"{unit}²" if unit.isalpha() or unit[:1] == "µ" else f"({unit})²"


def merged_unit(units: NDArray[np.str_]) -> str | NDArray[np.str_]:
    """One text where all channels have the same unit."""
    if len(units) and (units == units[0]).all():
        return str(units[0])
    units.flags.writeable = False
    return units


def is_change(quantity: str | None) -> bool:
    """Whether zero is the middle of a quantity: differences, changes, z scores."""
    return quantity is not None and any(word in quantity for word in _CHANGES)


def combined(operation: str, left: Any, right: Any) -> tuple[str | None, Unit]:
    """Quantity and unit of a result of arithmetic.

    Parameters
    ----------
    operation : str
        '+', '-', '*', '/' or '**'.
    left, right : object or else
        What is combined; numbers and arrays are taken to be pure numbers in products, and to have the
        unit of the object in sums.
    """
    if not (isinstance(left, Measured) and isinstance(right, Measured)):
        return _with_number(operation, left, right)
    a, b = (left.quantity, left.unit), (right.quantity, right.unit)
    same = a[0] == b[0] and np.array_equal(_text(a[1]), _text(b[1]))
    if operation == "+":
        return a if same else (None, None)
    if operation == "-":
        return (_difference(a[0]), a[1]) if same else (None, None)
    if operation == "/" and same:
        return (f"ratio of {a[0]}" if a[0] else "ratio"), "1"
    return None, None


def _text(unit: Unit) -> Any:
    return "" if unit is None else unit


def _difference(quantity: str | None) -> str | None:
    if quantity is None or is_change(quantity):
        return quantity
    return f"difference of {quantity}"


def _with_number(operation: str, left: Any, right: Any) -> tuple[str | None, Unit]:
    """Scaled and shifted numbers keep what they are; other functions of them do not."""
    data = left if isinstance(left, Measured) else right
    if operation in ("+", "-", "*") or (operation == "/" and data is left):
        return data.quantity, data.unit
    if operation == "**" and data is left and np.isscalar(right) and right == 2:
        return (f"squared {data.quantity}" if data.quantity else None), each_unit(data.unit, squared)
    return None, None


class Measured(BaseData):
    """A data class whose numbers are of one quantity."""

    _quantity: str | None = None
    _unit: Unit = None

    @property
    def quantity(self) -> str | None:
        """What the numbers are: 'power', 'phase', 'coherence' ...; None if that is not known."""
        return self._quantity

    @quantity.setter
    def quantity(self, value: Any) -> None:
        if value is not None and not isinstance(value, str):
            raise InvalidTypeError(value, "quantity", "str or None;")
        self._quantity = value or None

    @property
    def unit(self) -> Unit:
        """Physical unit of the numbers: one for all, an array with one per channel, None if unknown."""
        return self._unit

    @unit.setter
    def unit(self, value: Any) -> None:
        if value is None or isinstance(value, str):
            self._unit = value
            return
        if not isinstance(value, (list, np.ndarray)):
            raise InvalidTypeError(value, "unit", "str, or list or array of str")
        if self._source is None:
            raise InvalidValueError("one text for an object without data", "unit", value)
        if "channel" not in self._dimord:
            raise InvalidValueError(f"one text for an object of {' x '.join(self._dimord)}", "unit", value)
        self._unit = merged_unit(check_names(value, "unit", self._size_of("channel")))

    def unit_of(self, channels: NDArray[np.int64] | None) -> Unit:
        """Unit of some channels, by their numbers; of all with None."""
        if channels is None or not isinstance(self._unit, np.ndarray):
            return self._unit
        return merged_unit(self._unit[channels])

    def _place(self, source: ArraySource) -> None:
        """Take over an array; units of other channels go."""
        super()._place(source)
        if isinstance(self._unit, np.ndarray) and len(self._unit) != self._size_of("channel"):
            self._unit = None

    def _mismatch(self, other: BaseData) -> str:
        problem = super()._mismatch(other)
        if problem or not isinstance(other, Measured):
            return problem
        for name in ("unit", "quantity"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is not None and theirs is not None and not np.array_equal(mine, theirs):
                return f"{name} {theirs} instead of {mine}"
        return ""
