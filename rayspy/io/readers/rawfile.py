"""Raw binary files, whose layout the user tells."""

from __future__ import annotations

from typing import Any

import numpy as np

from rayspy.checks import check_choice, check_integer, check_scalar
from rayspy.errors import InvalidValueError
from rayspy.io.readers.recording import Notes, Recording, Stream, existing, whole_rows
from rayspy.storage.sources import RawSource, is_storable, raw_source


def open_raw(
    path: Any,
    dtype: Any = None,
    channels: Any = None,
    samplerate: Any = None,
    order: str = "C",
    offset: int = 0,
    scale: Any = None,
    bias: Any = None,
    unit: str | None = None,
    channel: Any = None,
) -> Recording:
    """Describe a raw binary file of samples x channels.

    Parameters
    ----------
    path : path
        The file.
    dtype : data type
        Type of the numbers, for example ``"int16"`` or ``">f4"``.
    channels : int
        How many there are; follows from `channel`.
    samplerate : float
        Hz.
    order : {'C', 'F'}
        'C': all channels of a sample stand together, 'F': all samples of a channel.
    offset : int
        Bytes before the first number.
    scale, bias : float or sequence of float, optional
        Gain and offset from stored numbers to `unit`, one for all or one per channel.
    unit : str, optional
        Unit after that.
    channel : list of str, optional
        Names of the channels.
    """
    full = existing(path)
    if channels is None and channel is not None:
        channels = len(channel)
    for name, value in (("dtype", dtype), ("channels", channels), ("samplerate", samplerate)):
        if value is None:
            legal = f"{name}=, which a raw binary file does not state (dtype=, channels=, samplerate=)"
            raise InvalidValueError(legal, name, None)
    n = check_integer(channels, "channels", 1)
    source = raw_source_whole(full, dtype, n, order, check_integer(offset, "offset", 0), notes := Notes(full))
    width = len(str(n))
    names = [f"channel{k:0{width}d}" for k in range(1, n + 1)] if channel is None else list(channel)
    stream = Stream(
        name=full.stem,
        source=source,
        samplerate=check_scalar(samplerate, "samplerate"),
        channel=names,
        unit=[unit] * n if unit else None,
        scale=_not_zero(_factors(scale, n, "scale")),
        bias=_factors(bias, n, "bias"),
    )
    return Recording(str(full), "raw", [stream], notes)


def raw_source_whole(full: Any, dtype: Any, n: int, order: str, offset: int, notes: Notes) -> Any:
    """Source of the whole samples of a file; multiplexed files may end within one."""
    check_choice(order, "order", ("C", "F"))
    try:
        stored = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        stored = None
    if order != "C" or stored is None or not is_storable(stored):
        return raw_source(full, dtype, n, order, offset)
    return RawSource(
        str(full), stored, (whole_rows(full, offset, n * stored.itemsize, notes), n), "C", offset
    )


def _not_zero(factors: list[float] | None) -> list[float] | None:
    if factors is not None and 0 in factors:
        raise InvalidValueError("factors that are not 0", "scale", factors)
    return factors


def _factors(value: Any, n: int, name: str) -> list[float] | None:
    if value is None:
        return None
    factors = list(value) if hasattr(value, "__len__") else [value] * n
    if len(factors) != n:
        raise InvalidValueError(f"one number, or one for each of {n} channels", name, value)
    return [check_scalar(factor, name) for factor in factors]
