"""A call of a front-end as a value: checked and planned, run step by step, or explained.

A front-end checks its parameters and returns a `Call`. What it decorates, `frontend`,
merges ``cfg``, runs the call and writes into its results what they came from; `explain`
takes the same value and runs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from rayspy.data.base import BaseData
from rayspy.data.coupling import CouplingData
from rayspy.executors.choose import check_parallel
from rayspy.executors.driver import run_results, where
from rayspy.frontends.calling import Arguments, arguments_of_many, arguments_of_one, cut_short, recorded
from rayspy.frontends.missing import NanTrials
from rayspy.planning.plan import Plan
from rayspy.progress import at_work
from rayspy.storage.sources import ArraySource

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Done:
    """What came of one step.

    Attributes
    ----------
    plan : Plan
        What was computed.
    sources : mapping of str to ArraySource
        Its results by name, '' where there is only one.
    nan : NanTrials
        Which trials of its input have NaN.
    """

    plan: Plan
    sources: Mapping[str, ArraySource]
    nan: NanTrials

    @property
    def source(self) -> ArraySource:
        """The only result."""
        (source,) = self.sources.values()
        return source


Steps = Generator[Plan, Done, R]
"""Plans, one after the other; each gets what came of it, or the error, and the last one makes the result."""


@dataclass(frozen=True, eq=False)
class Call(Generic[R]):
    """A checked call, of which nothing was computed.

    Attributes
    ----------
    name : str
        Front-end.
    data : data object or None
        What the results continue the history of; None: they have none.
    steps : generator
        Gives plans, takes what came of them, returns the result: an object or a
        dictionary of objects.
    settings : mapping, optional
        What is recorded in ``cfg``; None: all that the front-end was called with.
    logged : mapping, optional
        What is recorded in the log; None: the settings.
    then : tuple of Plan
        Plans that are known to follow the first one, whose input is not there yet.
    replays : bool
        Whether results get a ``cfg`` with which the call can be repeated.
    about : str
        What the input is, where it is not trials x channels.
    at_once : bool
        Whether there is nothing to plan: the steps are `no_steps`.
    """

    name: str
    data: BaseData | None
    steps: Steps[R]
    settings: Mapping[str, Any] | None = None
    logged: Mapping[str, Any] | None = None
    then: tuple[Plan, ...] = ()
    replays: bool = True
    about: str = ""
    at_once: bool = False


def no_steps(make: Callable[[], R]) -> Steps[R]:
    """Steps of a call for which nothing has to be planned."""
    yield from ()
    return make()


@dataclass(frozen=True)
class Note:
    """How a step was computed, for the history."""

    method: str
    used_parallel: bool
    where: str


def run_steps(
    steps: Steps[R], parallel: bool | None, planned: Callable[[], None] | None = None
) -> tuple[R, list[Note]]:
    """Run steps to the end; returns the result and how each step was computed.

    `planned` is called when the first plan is there, before it runs.
    """
    notes: list[Note] = []
    try:
        plan = next(steps)
        if planned is not None:
            planned()
        while True:
            try:
                done = _computed(plan, parallel, notes)
            except Exception as error:
                plan = steps.throw(error)
            else:
                plan = steps.send(done)
                del done  # its results are not held while the next step runs
    except StopIteration as end:
        return end.value, notes
    finally:
        steps.close()


def _computed(plan: Plan, parallel: bool | None, notes: list[Note]) -> Done:
    nan = NanTrials(plan)
    sources, choice = run_results(plan, parallel, nan)
    used = choice.executor.n_workers > 1 or choice.executor.name != "local"
    notes.append(Note(plan.method.name, used, where(choice, plan.n_blocks)))
    return Done(plan, sources, nan)


def run(call: Call[R], given: Mapping[str, Any], parallel: bool | None) -> R:
    """Run a call and write into its results what they came from.

    Parameters
    ----------
    call : Call
        What to do.
    given : mapping
        What the front-end was called with.
    parallel : bool or None
        How to run.
    """
    settings = given if call.settings is None else call.settings
    replay: dict[str, Any] = {}

    def record() -> None:
        if call.data is not None and call.replays:
            replay.update(recorded(call.name, call.data, settings))

    result, notes = run_steps(call.steps, check_parallel(parallel), record)
    if not notes:
        record()
    if call.data is not None:
        logged = settings if call.logged is None else call.logged
        for made in result.values() if isinstance(result, dict) else [result]:
            _tell_origin(made, call.name, call.data, replay, logged, notes)
    return result


def _tell_origin(
    made: Any, name: str, data: BaseData, cfg: dict[str, Any], logged: Mapping[str, Any], notes: list[Note]
) -> None:
    """Write ``cfg`` and log into a result."""
    if isinstance(made, CouplingData):
        made.cfg.update(cfg)
    if isinstance(made, BaseData):
        made.cfg = cfg
        made.continue_log(data.log_entries())
        method = f" ({notes[0].method})" if notes else ""
        used = any(note.used_parallel for note in notes)
        made.record(f"{name}{method}", logged, used, notes[-1].where if notes else "")


# -- front-ends ------------------------------------------------------------------------------

Planner = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Call[Any], dict[str, Any]]]

_planners: dict[Callable[..., Any], Planner] = {}
"""Per front-end, what makes its call from arguments."""


def frontend(function: Callable[P, Call[R]]) -> Callable[P, R]:
    """Make a front-end of a function that takes one data object, or one beside spikes, first.

    All of ``f(data, key=value)``, ``f(cfg, data)``, ``f(data, cfg)``,
    ``f(data, cfg=cfg)`` and ``f(cfg)`` with ``cfg.data`` work. If `cfg` has an
    entry with the function's name, as the ``cfg`` of a result has, that entry is
    used. The parameters stay as written.
    """
    return _frontend(function, arguments_of_one(function))


def frontend_of_many(function: Callable[P, Call[R]]) -> Callable[P, R]:
    """Make a front-end of a function that takes any number of objects; settings may come as ``cfg``."""
    return _frontend(function, arguments_of_many(function))


def frontend_without_cfg(function: Callable[P, Call[R]]) -> Callable[P, R]:
    """Make a front-end of a function whose arguments are taken as they are."""
    return _frontend(function, lambda args, kwargs: (list(args), kwargs))


def _frontend(function: Callable[P, Call[R]], arguments: Arguments) -> Callable[P, R]:
    signature = inspect.signature(function)
    make: Callable[..., Call[R]] = function

    def planned(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call[R], dict[str, Any]]:
        positional, keywords = arguments(args, kwargs)
        bound = signature.bind(*positional, **keywords)
        bound.apply_defaults()
        check_parallel(bound.arguments.get("parallel"))
        return make(*positional, **keywords), bound.arguments

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with at_work(function.__name__):
                call, given = planned(args, kwargs)
                return run(call, _settings_in(given, signature), given.get("parallel"))
        except KeyboardInterrupt as error:
            __tracebackhide__ = True  # IPython heeds that
            raise cut_short(function.__name__, error) from None

    result = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    called.__signature__ = signature.replace(return_annotation=result)  # type: ignore[attr-defined]
    _planners[called] = planned
    return called


def _settings_in(given: Mapping[str, Any], signature: inspect.Signature) -> dict[str, Any]:
    """What of the arguments decides on the result, besides data."""
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    varying = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        name: value
        for name, value in given.items()
        if name != "parallel" and not isinstance(value, BaseData) and kinds[name] not in varying
    }


def is_frontend(function: Any) -> bool:
    """Whether a function is a front-end, whose calls are values."""
    return function in _planners


def call_of(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call[Any], bool | None]:
    """Check and plan a call of a front-end, which does not run; returns it and how it would run."""
    call, given = _planners[function](args, kwargs)
    return call, check_parallel(given.get("parallel"))
