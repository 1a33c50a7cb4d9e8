"""Names of physical units and factors between them."""

from __future__ import annotations

import re

from rayspy.errors import InvalidValueError

_PREFIXES = {
    "f": 1e-15, "p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "c": 1e-2, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9,
}  # fmt: skip
_BASES = ("V", "T", "A", "m", "g", "s", "Hz", "S", "Pa", "Ω", "rad", "M")
_WORDS = {
    "volt": "V", "volts": "V", "millivolt": "mV", "millivolts": "mV", "microvolt": "µV", "microvolts": "µV",
    "nanovolts": "nV", "tesla": "T", "ohm": "Ω", "ohms": "Ω", "seconds": "s", "microv": "µV", "n/a": "",
    "unknown": "", "uv": "µV", "mv": "mV", "v": "V",
}  # fmt: skip


def canonical(unit: str) -> str:
    """One spelling of a unit: ``uV``, ``μV`` and ``microvolts`` are ``µV``."""
    text = unit.strip().replace("\u03bc", "µ").replace("\u2126", "Ω")
    text = _WORDS.get(text.lower(), text) if text not in ("V", "mV", "MV") else text
    return re.sub(r"^u(?=[A-Z])", "µ", text)


def _parsed(unit: str) -> tuple[float, str] | None:
    """Factor to the unit without prefixes, and that unit; None if it is not understood."""
    factor, bases = 1.0, []
    for k, part in enumerate(canonical(unit).split("/")):
        found = re.fullmatch(rf"([{''.join(_PREFIXES)}]?)({'|'.join(_BASES)})", part)
        if found is None:
            return None
        factor *= _PREFIXES[found.group(1)] ** (-1 if k else 1)
        bases.append(found.group(2))
    return factor, "/".join(bases)


def conversion(old: str, new: str) -> float | None:
    """Factor from one unit to another; None if they measure different things."""
    one, other = _parsed(old), _parsed(new)
    if canonical(old) == canonical(new):
        return 1.0
    if one is None or other is None or one[1] != other[1]:
        return None
    ratio = one[0] / other[0]
    return float(f"{ratio:.12g}")


def check_unit(unit: str, name: str = "unit") -> str:
    """Accept what can be converted to.

    Raises
    ------
    InvalidValueError
        The unit is not understood.
    """
    if _parsed(unit) is None:
        raise InvalidValueError("unit such as 'V', 'mV', 'µV' (or 'uV'), 'T', 'fT'", name, unit)
    return canonical(unit)
