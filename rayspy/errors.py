"""Exceptions of rayspy.

::

    RayspyError
     ├─ InvalidValueError (ValueError)          a parameter has a value that is not allowed
     ├─ InvalidTypeError (TypeError)            a parameter has the wrong type
     ├─ PathError (OSError)                     a path is missing, exists already or cannot be used
     ├─ DamagedDataError (ValueError)           a stored array is truncated or was altered
     │   └─ SourceChangedError (RuntimeError)   an input file changed while it was in use
     ├─ MemoryBudgetError (MemoryError)         the plan does not fit into the memory budget
     ├─ ScratchSpaceError (OSError)             the result does not fit into the scratch folder
     ├─ ParallelError (RuntimeError)            the parallel back end cannot be reached or was lost
     ├─ WorkerError (RuntimeError)              a block failed on a worker
     └─ MissingPackageError (ImportError)       an optional package is not installed

Every class can be pickled with all its fields, so an error raised on a worker
arrives in the user's session as what it was.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "DamagedDataError",
    "InvalidTypeError",
    "InvalidValueError",
    "MemoryBudgetError",
    "MissingPackageError",
    "ParallelError",
    "PathError",
    "RayspyError",
    "ScratchSpaceError",
    "SourceChangedError",
    "WorkerError",
]


class RayspyError(Exception):
    """Base class of all errors raised by rayspy."""


class InvalidValueError(RayspyError, ValueError):
    """A parameter has a value that is not allowed.

    Parameters
    ----------
    legal : str
        What would be accepted.
    varname : str
        Name of the parameter.
    actual : object
        What was given.
    """

    def __init__(self, legal: str, varname: str = "", actual: Any = "") -> None:
        self.legal = str(legal)
        self.varname = str(varname)
        self.actual = _short(actual)
        super().__init__(self.legal, self.varname, self.actual)

    def __str__(self) -> str:
        text = "Invalid value"
        if self.varname:
            text += f" of `{self.varname}`"
        if self.actual:
            text += f": '{self.actual}'"
        return f"{text}; expected {self.legal}" if self.legal else text


_MANY = 1000
_LONGEST = 10_000
"""Characters of a value that are told."""


def _short(value: Any) -> str:
    """Text of a value; of very many only the first and the last, as nobody reads them all."""
    if isinstance(value, (list, tuple)) and len(value) > _MANY:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)} values)"
    try:
        text = str(value)
    except ValueError:  # whole numbers of thousands of digits
        return f"number of {type(value).__name__} with thousands of digits"
    return text if len(text) <= _LONGEST else f"{text[:_MANY]}... ({len(text)} characters)"


class InvalidTypeError(RayspyError, TypeError):
    """A parameter has the wrong type.

    Parameters
    ----------
    var : object
        What was given. Only its type is kept.
    varname : str
        Name of the parameter.
    expected : str
        What would be accepted.
    """

    def __init__(self, var: Any, varname: str = "", expected: str = "") -> None:
        self.found = var.name if isinstance(var, _Found) else type(var).__name__
        self.varname = str(varname)
        self.expected = str(expected)
        super().__init__(_Found(self.found), self.varname, self.expected)

    def __str__(self) -> str:
        name = f" of `{self.varname}`" if self.varname else ""
        expected = f"expected {self.expected} " if self.expected else ""
        return f"Wrong type{name}: {expected}found {self.found}"


class _Found:
    """Name of a type, which survives pickling where the value itself may not."""

    def __init__(self, name: str) -> None:
        self.name = name


class PathError(RayspyError, OSError):
    """A path is missing, exists already or cannot be used.

    Parameters
    ----------
    path : str or os.PathLike
        The path.
    exists : bool or None
        True: it is in the way. False: it is missing. None: it cannot be accessed.
    hint : str
        What to do about it.
    """

    def __init__(self, path: Any, exists: bool | None = None, hint: str = "") -> None:
        self.path = str(path)
        self.exists = exists
        self.hint = hint
        super().__init__(self.path, exists, hint)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.exists, self.hint)

    def __str__(self) -> str:
        text = {
            True: f"Cannot write {self.path}: object already exists",
            False: f"Cannot read {self.path}: object does not exist",
            None: f"Cannot access {self.path}",
        }[self.exists]
        return f"{text}; {self.hint}" if self.hint else text


class _MessageError(RayspyError):
    def __init__(self, message: str = "") -> None:
        self.message = str(message)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class DamagedDataError(_MessageError, ValueError):
    """A stored array is truncated or was altered."""


class SourceChangedError(DamagedDataError, RuntimeError):
    """An input file changed while it was in use."""


class MemoryBudgetError(_MessageError, MemoryError):
    """The plan does not fit into the memory budget."""


class ScratchSpaceError(_MessageError, OSError):
    """The result does not fit into the scratch folder."""


class ParallelError(_MessageError, RuntimeError):
    """The parallel back end cannot be reached or was lost."""


class WorkerError(_MessageError, RuntimeError):
    """A block failed on a worker; the message ends with the worker's traceback."""


class MissingPackageError(_MessageError, ImportError):
    """An optional package is not installed; the message says how to install it."""
