"""The call styles of front-ends: plain arguments, ``cfg``, or both."""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache, wraps
from operator import index
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from rayspy.data.base import BaseData
from rayspy.data.spike import SpikeData
from rayspy.data.structdict import StructDict, serializable
from rayspy.errors import InvalidTypeError, InvalidValueError
from rayspy.executors.choose import check_parallel
from rayspy.progress import message, warn

P = ParamSpec("P")
R = TypeVar("R")


Arguments = Callable[[tuple[Any, ...], dict[str, Any]], tuple[list[Any], dict[str, Any]]]
"""Positional and keyword arguments as a function gets them, from those that it was called with."""


def arguments_of_one(function: Callable[..., Any]) -> Arguments:
    """Arguments of a function of one data object, or of one beside spikes: all become keywords.

    They may come as a dictionary of settings in FieldTrip's manner, see
    `rayspy.frontends.call.frontend`.
    """
    names = list(inspect.signature(function).parameters)
    first = names[0]
    _options.update(names)

    def found(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        if "spikes" in names:
            args, kwargs = _spikes_by_name(args, kwargs)
        positional, keywords = _merged(function.__name__, args, kwargs)
        keywords = _with_positional(function.__name__, names, positional, _one_data(keywords, first))
        _refuse_unknown(function, keywords)
        if first not in keywords:
            raise TypeError(f"{function.__name__}() missing 1 required argument: '{first}'")
        if not isinstance(keywords[first], BaseData):
            raise InvalidTypeError(keywords[first], first, "rayspy data object;")
        return [], keywords

    return found


def _spikes_by_name(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Signals and spikes may be given by place, in either order."""
    spikes = [a for a in args if isinstance(a, SpikeData)]
    if not spikes or "spikes" in kwargs:
        return args, kwargs
    return tuple(a for a in args if a is not spikes[0]), {**kwargs, "spikes": spikes[0]}


def arguments_of_many(function: Callable[..., Any]) -> Arguments:
    """Arguments of a function of any number of objects, of which settings may come as a dictionary."""

    def found(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        positional, keywords = _merged(function.__name__, args, kwargs)
        if not _takes_any(function):
            _refuse_unknown(function, keywords)
        return positional, keywords

    return found


def accepts_cfg_only(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that makes data be called with a dictionary of settings, too."""
    arguments = arguments_of_many(function)

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> R:
        positional, keywords = arguments(args, kwargs)
        run: Callable[..., R] = function
        try:
            made = run(*positional, **keywords)
        except KeyboardInterrupt as error:
            __tracebackhide__ = True  # IPython heeds that
            raise cut_short(function.__name__, error) from None
        if isinstance(made, BaseData):
            settings = inspect.signature(function).bind(*positional, **keywords)
            settings.apply_defaults()
            made.record(function.__name__, settings.arguments, False)
        return made

    return called


def cut_short(function: str, error: KeyboardInterrupt) -> KeyboardInterrupt:
    """A Ctrl-C that shows the user's line; where it came upon us is told at level DEBUG."""
    message(function, "".join(traceback.format_exception(error)), logging.DEBUG)
    shown = KeyboardInterrupt(f"{function} was interrupted")
    vars(shown)[_OURS_HIDDEN] = True
    _hide_ours()
    return shown


_OURS_HIDDEN = "_rayspy_hides_its_frames"


def _hide_ours() -> None:
    """Until the next error that nobody catches: if it is such a Ctrl-C, it is shown without our frames."""
    before = sys.excepthook
    if getattr(before, _OURS_HIDDEN, False):
        return

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if sys.excepthook is hook:
            sys.excepthook = before
        if getattr(value, _OURS_HIDDEN, False):
            trace = value.__traceback__ = _users_frames(trace)
        before(kind, value, trace)

    vars(hook)[_OURS_HIDDEN] = True
    sys.excepthook = hook


def _users_frames(trace: TracebackType | None) -> TracebackType | None:
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").split(".")[0] == "rayspy":
        return None
    return TracebackType(_users_frames(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


_options: set[str] = set()
"""Options of all functions: one ``cfg`` may serve several of them, which warn of what they do not use."""


def _refuse_unknown(function: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """Refuse a keyword that no function has; the nearest one is named."""
    parameters = parameters_of(function)
    own = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    others = _options if _takes_any(function) else set()
    for name in keywords:
        if name not in own and name not in others:
            raise InvalidValueError(_nearest(name, own), f"option of {function.__name__}", name)


def _takes_any(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in parameters_of(function).values())


@lru_cache(maxsize=256)
def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a function by name; looking them up takes as long as planning a small call."""
    return inspect.signature(function).parameters


def _nearest(name: str, options: list[str]) -> str:
    folded = {option.lower().replace("_", ""): option for option in options}
    near = get_close_matches(name.lower().replace("_", ""), folded, n=1, cutoff=0.6)
    return f"`{folded[near[0]]}`?" if near else f"one of {', '.join(options)}"


def _merged(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Split off the cfg and merge it with the keywords."""
    cfgs = [a for a in args if isinstance(a, Mapping)]
    positional = [a for a in args if not isinstance(a, Mapping)]
    keywords = {k: v for k, v in kwargs.items() if k != "cfg"}
    if len(cfgs) > 1:
        raise InvalidValueError("single `cfg` input", "cfg", f"{len(cfgs)} dictionaries")
    if kwargs.get("cfg") is not None:
        if cfgs:
            raise InvalidValueError("`cfg` either as positional or keyword argument, not both", "cfg")
        if not isinstance(kwargs["cfg"], Mapping):
            raise InvalidTypeError(kwargs["cfg"], "cfg", "dictionary-like object;")
        cfgs = [kwargs["cfg"]]
    settings = dict(cfgs[0]) if cfgs else {}
    if isinstance(settings.get(name), Mapping):
        settings = dict(settings[name])
    for key, value in settings.items():
        if key in keywords and key != "parallel":  # the same on another engine
            raise InvalidValueError(
                f"`{key}` not set in both `cfg` and via explicit keyword", f"cfg/{key}", value
            )
    settings = {key: _yes_no(value) for key, value in settings.items()}
    return positional, {**settings, **keywords}


def _yes_no(value: Any) -> Any:
    """FieldTrip's 'yes' and 'no' are True and False."""
    return {"yes": True, "no": False}.get(value, value) if isinstance(value, str) else value


def _one_data(keywords: dict[str, Any], first: str) -> dict[str, Any]:
    """Give the data object the name of the first parameter, under whatever name it came."""
    keys = dict.fromkeys((first, "data", "dataset"))
    given = [key for key in keys if key in keywords]
    if len(given) > 1:
        raise InvalidValueError("either `data` or `dataset`", "data", " and ".join(given))
    if given and given != [first]:
        keywords[first] = keywords.pop(given[0])
    return keywords


def _with_positional(
    function: str, names: list[str], positional: list[Any], keywords: dict[str, Any]
) -> dict[str, Any]:
    """Give positional arguments their names; the data object may stand anywhere."""
    objects = [a for a in positional if isinstance(a, BaseData)]
    if len(objects) > 1:
        raise InvalidValueError("only one data object", "data", f"{len(objects)} objects")
    if objects:
        positional = [objects[0], *(a for a in positional if a is not objects[0])]
    if positional and names[0] in keywords and (objects or isinstance(keywords[names[0]], BaseData)):
        raise InvalidValueError("either data in `cfg`/keyword or as positional argument", "cfg/data", "both")
    order = names if names[0] not in keywords else names[1:]
    if len(positional) > len(order):
        raise TypeError(f"{function}() takes at most {len(names)} positional arguments")
    for name, value in zip(order, positional, strict=False):
        if name in keywords:
            raise TypeError(f"{function}() got multiple values for argument '{name}'")
        keywords[name] = value
    return keywords


def recorded(name: str, data: BaseData, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``cfg`` of a result: that of its input plus the settings of this call, ready to be replayed."""
    kept = {
        key: value
        for key, value in settings.items()
        if not (key in ("select", "chan_per_worker") and value is None)
    }
    entry = StructDict({key: serializable(value, key) for key, value in kept.items()})
    return {**{key: StructDict(value).copy() for key, value in data.cfg.items()}, name: entry}


def warn_unused(function: str, names: Mapping[str, Any]) -> None:
    """Warn of keywords that have no effect."""
    for name in names:
        warn(function, f"option `{name}` has no effect in `{function}`!")


def check_chan_per_worker(value: Any) -> int | None:
    """Accept None or a whole number of channels, 1 or more."""
    if value is None:
        return None
    try:
        width = index(value)
    except TypeError:
        raise InvalidTypeError(value, "chan_per_worker", "int;") from None
    if isinstance(value, bool):
        raise InvalidTypeError(value, "chan_per_worker", "int;")
    if width < 1:
        raise InvalidValueError("whole number, 1 or more", "chan_per_worker", value)
    return width


__all__ = [
    "Arguments",
    "accepts_cfg_only",
    "arguments_of_many",
    "arguments_of_one",
    "check_chan_per_worker",
    "check_parallel",
    "cut_short",
    "recorded",
    "warn_unused",
]
