"""Arithmetic between data objects, arrays and numbers, `concat`, and comparison."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rayspy.checks import is_number
from rayspy.config import config
from rayspy.data.analog import AnalogData
from rayspy.data.base import BaseData
from rayspy.data.discrete import DiscreteData
from rayspy.data.labels import default_names
from rayspy.data.masked import n_masked, plain, real_dtype, tell_masked
from rayspy.data.quantity import Measured
from rayspy.data.quantity import combined as meaning_of
from rayspy.data.spectral import SpectralData
from rayspy.data.spike import SpikeData
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.frontends.call import Call, Steps, frontend_without_cfg, no_steps, run
from rayspy.frontends.compute import selected
from rayspy.frontends.handling.matching import apart, combined_labels, differences, reordered
from rayspy.frontends.pointwise import Stacked, like, pointwise_plan, runs_of, stacked
from rayspy.frontends.spikes.concat import concat_spikes
from rayspy.methods.copying import Copying
from rayspy.planning.plan import Plan
from rayspy.progress import warn
from rayspy.storage.derived import Computed, Constant, Operand, Repeated
from rayspy.storage.region import pieces
from rayspy.storage.sources import ArraySource, ConcatSource, is_storable

Array = NDArray[Any]
_EXPECTED = "rayspy object, scalar or array-like;"
_RTOL, _ATOL = 1e-5, 1e-8
"""Objects are equal up to this difference, relative to each number and to the largest one."""


def arithmetic(operation: str, left: Any, right: Any) -> BaseData:
    """Combine a data object with another one, an array or a number, trial by trial.

    Parameters
    ----------
    operation : {'+', '-', '*', '/', '**'}
        What to do.
    left, right : data object, number, list or ndarray
        At least one is a data object with AnalogData's or SpectralData's kind of
        array. Arrays are broadcast against each trial. Two objects must be of the
        same class, with the same dimord, samplerate, times, frequencies and shapes
        of trials. Channels and tapers of the same names in another order are
        matched by name. Active selections count.

    Returns
    -------
    data object
        Labels, trials, samplerate, info and history of the (left) object, no cfg.
        Channels that have no name in common are matched by position and called
        ``a-b``, with the sign of the operation.
        The type of the numbers follows NumPy's rules for real and complex ones;
        numbers that are no arrays do not widen it. Whole numbers never wrap: those
        of 8 and 16 bit count as float32, others as float64. Products and powers of
        real spectra are float64.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        The operand cannot be used; nothing was computed.
    """
    base, other = (left, right) if isinstance(left, BaseData) else (right, left)
    _check_base(base)
    if operation == "/" and base is left and is_number(other) and other == 0:
        raise InvalidValueError("non-zero number to divide by", "operand", other)
    own = stacked(base)
    found = _matching(other, base, own) if isinstance(other, BaseData) else None
    made = _operand(other, base, own) if found is None else found.source
    labels = own.labels if found is None else combined_labels(own.labels, found.labels, operation)
    first, second = (own.source, made) if base is left else (made, own.source)
    dtype = _result_type(operation, base, made, result_dtype(own.source.dtype, _kind(made, other)))
    source = Computed(operation, first, second, own.source.shape, dtype)
    settings = {"left": _text(left), "operation": operation, "right": _text(right)}
    plan = pointwise_plan("arithmetic", Copying(), base, source, labels)
    steps = _combined(plan, base, own, meaning_of(operation, left, right))
    return run(Call("arithmetic", base, steps, settings, replays=False), settings, None)


def _combined(plan: Plan, base: BaseData, own: Stacked, meaning: tuple[Any, Any]) -> Steps[BaseData]:
    """Trials and labels of the first operand, quantity and unit of the result of the operation."""
    done = yield plan
    labels = plan.spec.labels
    made: BaseData = like(base, done.source, own.trialdefinition, labels)
    if isinstance(made, Measured):
        made.quantity, unit = meaning
        fits = not isinstance(unit, np.ndarray) or len(unit) == len(labels["channel"])
        made.unit = unit if fits else None
    return made


def _text(operand: Any) -> str:
    """What an operand is, for the history."""
    if isinstance(operand, BaseData):
        sizes = " x ".join(map(str, operand.source.shape))
        return f"{type(operand).__name__} [{sizes}] {operand.source.dtype}"
    if isinstance(operand, (list, np.ndarray)):
        array = np.asarray(operand)
        return f"array of shape {array.shape} {array.dtype}"
    return str(operand)


# -- operands ------------------------------------------------------------------------


def _check_base(base: BaseData, name: str = "base") -> None:
    if isinstance(base, DiscreteData):
        raise InvalidTypeError(base, name, "AnalogData or SpectralData;")
    if base.data is None:
        raise InvalidValueError("object with data", name, f"empty {type(base).__name__}")


def _operand(other: Any, base: BaseData, own: Stacked) -> Operand:
    """Check the other operand and bring it into the form in which it is read."""
    if is_number(other):
        return Constant(_finite(other))
    if isinstance(other, (list, np.ndarray)):
        return _repeated(other, base, own)
    raise InvalidTypeError(other, "operand", _EXPECTED)


def _finite(value: Any) -> Any:
    """Accept a finite number of up to double precision."""
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, (int, float, complex)):
        raise InvalidTypeError(value, "operand", _EXPECTED)
    if isinstance(plain, int) and np.min_scalar_type(plain).kind == "O":
        raise InvalidValueError("number of up to 64 bit", "operand", value)
    if not np.isfinite(complex(plain)):
        raise InvalidValueError("finite number", "operand", value)
    return plain


def _matching(other: BaseData, base: BaseData, own: Stacked) -> Stacked:
    """Accept an object whose selected trials fit those of the base object; it is read in their order."""
    if type(other) is not type(base):
        raise InvalidTypeError(other, "operand", f"{type(base).__name__}, scalar or array-like;")
    _check_base(other, "operand")
    for what in ("dimord", "samplerate"):
        mine, theirs = getattr(base, what), getattr(other, what)
        if mine != theirs:
            raise InvalidValueError(f"object with {what} {mine}", "operand", theirs)
    found = stacked(other)
    if len(found.lengths) != len(own.lengths):
        raise InvalidValueError(
            f"object with {len(own.lengths)} trials", "operand", f"{len(found.lengths)} trials"
        )
    if (found.lengths != own.lengths).any():
        k = int(np.flatnonzero(found.lengths != own.lengths)[0])
        legal = f"trials of the same lengths ({own.lengths[k]} samples in trial {k})"
        raise InvalidValueError(legal, "operand", f"{found.lengths[k]} samples")
    if found.source.shape != own.source.shape:
        names = [
            f"{dim}s {differences(labels, found.labels[dim])}"
            for dim, labels in own.labels.items()
            if len(labels) != len(found.labels[dim])
        ]
        legal = f"array of shape {own.source.shape}, with the same labels"
        raise InvalidValueError(legal, "operand", f"shape {found.source.shape}: {'; '.join(names)}")
    if problem := apart(base, other, own, found):
        legal = "trials at the same times; spy.redefinetrial(data, offset=...) moves time zero"
        raise InvalidValueError(legal, "operand", problem)
    return reordered(own, found, tuple(base.dimord), "arithmetic", "operand")


def _repeated(other: Any, base: BaseData, own: Stacked) -> Repeated:
    """Accept an array that can be broadcast against each trial."""
    tell_masked(n_masked(other), "operand")
    try:
        array = np.asarray(plain(other))
    except ValueError:
        raise InvalidValueError(
            "rows of equal length", "operand", "list of lists of different lengths"
        ) from None
    if not is_storable(array.dtype):
        raise InvalidTypeError(
            array.dtype, "operand", f"{_EXPECTED} array of numbers, not dtype {array.dtype};"
        )
    axis, shape = base.dimord.index("time"), list(own.source.shape)
    shape[axis] = int(own.lengths[0])
    fits = array.ndim <= len(shape) and array.size > 0
    wide = array.reshape((1,) * (len(shape) - array.ndim) + array.shape) if fits else array
    if not fits or any(n not in (1, size) for n, size in zip(wide.shape, shape, strict=True)):
        legal = f"array that can be broadcast against trials of shape {tuple(shape)}"
        raise InvalidValueError(legal, "operand", f"array of shape {array.shape}")
    if wide.shape[axis] > 1 and (own.lengths != own.lengths[0]).any():
        legal = "array without a time axis, for trials of different lengths"
        raise InvalidValueError(legal, "operand", f"array of shape {array.shape}")
    return Repeated(np.array(wide, dtype=array.dtype.newbyteorder("=")), axis)


# -- types -----------------------------------------------------------------------------


def _result_type(operation: str, base: BaseData, operand: Operand, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Double precision where powers are squared: those of 1e-16 T have squares below single precision."""
    squares = operation == "**" or (operation == "*" and not isinstance(operand, Constant))
    of_power = isinstance(base, SpectralData) and base.source.dtype.kind == "f"
    return np.result_type(dtype, np.float64) if squares and of_power else dtype


def _kind(operand: Operand, given: Any) -> Any:
    """Type of an operand; plain numbers stand for themselves."""
    if isinstance(operand, Constant):
        return operand.value
    return operand.array.dtype if isinstance(operand, Repeated) else given.source.dtype


def result_dtype(own: np.dtype[Any], other: Any) -> np.dtype[Any]:
    """Type of the result of an operation, in which whole numbers are computed as real ones.

    Parameters
    ----------
    own : numpy.dtype
        Type of the data.
    other : numpy.dtype or number
        Type of the other array, or a plain number, which counts less.
    """
    real = real_dtype(own)
    if isinstance(other, np.dtype):
        return np.result_type(real, real_dtype(other))
    return np.result_type(real, other if _holds(real, other) else np.result_type(np.float64, type(other)))


def _holds(dtype: np.dtype[Any], value: complex) -> bool:
    """Whether a number is within the range of a real or complex type, and not lost in its gap around zero."""
    limits = np.finfo(dtype)
    return value == 0 or bool(limits.tiny <= abs(value) <= limits.max)


# -- concat -----------------------------------------------------------------------------


@frontend_without_cfg
def concat(spy_obj1: BaseData, spy_obj2: BaseData, dim: str = "channel") -> Call[Any]:
    """Put two objects side by side along a dimension, trial by trial.

    Parameters
    ----------
    spy_obj1, spy_obj2 : AnalogData, SpectralData or SpikeData
        Same class, dimord, samplerate, shapes of trials and labels except
        along `dim`; labels in another order are matched by name. Active selections
        count. Spikes must have the same trials; their channels and units stay apart.
    dim : str
        A dimension with labels: 'channel', for spectra also 'taper' and 'freq', for
        spikes 'channel' or 'unit'.
        Trials are put one behind the other with ``AnalogData([a, b])``.

    Returns
    -------
    data object
        Trials, times and samplerate of the first object. Labels of both if they are all
        different, else default labels.

    Raises
    ------
    InvalidTypeError, InvalidValueError
        The objects do not fit together; the message says why.
    """
    if isinstance(spy_obj1, SpikeData):
        beside = no_steps(partial(concat_spikes, spy_obj1, spy_obj2, dim))
        logged = {"spy_obj1": _text(spy_obj1), "spy_obj2": _text(spy_obj2), "dim": dim}
        return Call("concat", spy_obj1, beside, logged, replays=False, at_once=True)
    for data, name in ((spy_obj1, "spy_obj1"), (spy_obj2, "spy_obj2")):
        if not isinstance(data, BaseData):
            raise InvalidTypeError(data, name, "AnalogData or SpectralData;")
        _check_base(data, name)
    if type(spy_obj1) is not type(spy_obj2):
        raise InvalidTypeError(spy_obj2, "spy_obj2", f"{type(spy_obj1).__name__};")
    _check_dim(spy_obj1, dim)
    first, second = stacked(spy_obj1), stacked(spy_obj2)
    _check_beside(spy_obj1, spy_obj2, first, second)
    second = reordered(first, second, tuple(spy_obj1.dimord), "concat", "spy_obj2", beside=dim)
    source = ConcatSource((first.source, second.source), spy_obj1.dimord.index(dim))
    labels = {**first.labels, dim: _joined(first.labels[dim], second.labels[dim], dim)}
    settings = {"spy_obj1": _text(spy_obj1), "spy_obj2": _text(spy_obj2), "dim": dim}
    plan = pointwise_plan("concat", Copying(), spy_obj1, source, labels)
    steps = _beside(plan, spy_obj1, spy_obj2, first, len(second.labels[dim]), dim)
    return Call("concat", spy_obj1, steps, settings, replays=False)


def _beside(plan: Plan, a: BaseData, b: BaseData, first: Stacked, n_more: int, dim: str) -> Steps[Any]:
    done = yield plan
    made = like(a, done.source, first.trialdefinition, plan.spec.labels)
    if isinstance(made, AnalogData):
        made.unit = _joined_units(a, b, len(first.labels[dim]), n_more)
    return made


def _joined_units(a: Any, b: Any, *counts: int) -> Array | None:
    """Units of the channels of two objects, None where one is not known."""
    known = [
        data.unit_of(None if (s := data.selection) is None else s.index.get("channel")) for data in (a, b)
    ]
    if any(unit is None for unit in known):
        return None
    return np.concatenate([np.broadcast_to(unit, n) for unit, n in zip(known, counts, strict=True)])


def _check_dim(data: BaseData, dim: Any) -> None:
    if not isinstance(dim, str):
        raise InvalidTypeError(dim, "dim", "str;")
    if dim not in data.describe().labels:
        hint = (
            "; put trials one behind the other with AnalogData([a, b])" if dim in ("time", "trials") else ""
        )
        raise InvalidValueError(f"one of {', '.join(data.describe().labels)}{hint}", "dim", dim)


def _check_beside(a: BaseData, b: BaseData, first: Stacked, second: Stacked) -> None:
    for what in ("dimord", "samplerate"):
        if getattr(a, what) != getattr(b, what):
            legal = f"objects with equal {what} ({getattr(a, what)})"
            raise InvalidValueError(legal, "spy_obj2", getattr(b, what))
    if not np.array_equal(first.lengths, second.lengths):
        text = f"{len(second.lengths)} trials of {second.lengths.min()} to {second.lengths.max()} samples"
        raise InvalidValueError("matching shapes (trials of equal lengths)", "spy_obj2", text)
    if problem := apart(a, b, first, second):
        warn("concat", f"times differ, those of the first object are used: {problem}")


def _joined(first: Array, second: Array, dim: str) -> Array:
    both = np.concatenate([first, second])
    return (
        both if len(np.unique(both)) == len(both) or both.dtype.kind != "U" else default_names(dim, len(both))
    )


# -- comparison ---------------------------------------------------------------------------


def equal(one: BaseData, other: Any) -> bool:
    """Whether two objects have the same class, labels, trials, info and, up to rounding, numbers.

    Numbers are equal if they differ by no more than 1e-5 of their size or 1e-8 of
    the largest number nearby, whatever their unit; NaN equals NaN. History, cfg
    and what lies between trials do not count.

    Raises
    ------
    InvalidValueError
        One of the objects has an active selection.
    """
    if one is other:
        return True
    if not isinstance(other, BaseData) or type(other) is not type(one) or one.dimord != other.dimord:
        return False
    for data, name in ((one, "left"), (other, "right")):
        if data.selection is not None:
            raise InvalidValueError("object without an active selection", name, data.selection)
    if one.data is None or other.data is None:
        return one.data is None and other.data is None
    return _same_description(one, other) and _same_numbers(one, other)


def _same_description(one: BaseData, other: BaseData) -> bool:
    if one.samplerate != other.samplerate or one.info != other.info:
        return False
    if not np.array_equal(one.describe().trialdefinition, other.describe().trialdefinition, equal_nan=True):
        return False
    if isinstance(one, SpikeData) and not _same_cells(one, other):
        return False
    theirs = other.describe().labels
    return all(np.array_equal(labels, theirs[dim]) for dim, labels in one.describe().labels.items())


def _same_cells(one: SpikeData, other: Any) -> bool:
    """Whether spikes have the same codes and waveforms."""
    if not np.array_equal(one.pairs, other.pairs):
        return False
    a, b = one.waveform_source, other.waveform_source
    if a is None or b is None:
        return a is b
    return a is b or _same_arrays(a, b)


def _same_numbers(one: BaseData, other: BaseData) -> bool:
    a, b = (_compared(data) for data in (one, other))
    return a is b or _same_arrays(a, b)


def _same_arrays(a: ArraySource, b: ArraySource) -> bool:
    if a.shape != b.shape:
        return False
    limit = min(config.block_bytes, 2**22)
    with a.reader() as read_a, b.reader() as read_b:
        regions = pieces(a.shape, max(a.dtype.itemsize, b.dtype.itemsize), limit)
        return all(_close(read_a(region), read_b(region)) for region in regions)


def _compared(data: BaseData) -> ArraySource:
    """Trials of an object, or its table of events."""
    return data.source if isinstance(data, DiscreteData) else runs_of(data, selected(data, None))


def _close(a: Array, b: Array) -> bool:
    if np.array_equal(a, b):
        return True
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return False
    largest = float(np.nanmax(np.abs(b), initial=0, where=np.isfinite(b)))
    return np.allclose(a, b, rtol=_RTOL, atol=_ATOL * largest, equal_nan=True)
