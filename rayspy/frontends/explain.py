"""`explain`: what a call would do, without doing it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from rayspy.errors import InvalidTypeError, InvalidValueError, MemoryBudgetError, PathError, ScratchSpaceError
from rayspy.executors.outlook import Outlook, advice, foresee
from rayspy.executors.run import results_in, run_block
from rayspy.frontends.call import call_of, is_frontend
from rayspy.limits import inmemory_limit
from rayspy.methods.base import Part
from rayspy.planning.memory import Memory
from rayspy.planning.plan import Plan, Receipt, make_plan
from rayspy.storage.scratch import check_space, free_bytes, new_target

_BRIEF = 1.0
"""Seconds: a block that is faster is measured again, without what happens only once."""


@dataclass(frozen=True)
class Explanation:
    """What a call would do; print it.

    Attributes
    ----------
    name, method : str
        Front-end and method.
    n_trials, n_channels : int
        What is selected.
    shape : tuple of int
        Shape of the result, (time, taper, freq, channel) or (time, channel).
    dtype : str
        Type of its numbers.
    bytes_read, bytes_written : int
        Size of the input and of the result.
    in_memory : bool
        Whether the result stays in memory; otherwise it goes to the scratch folder.
    scratch_free : int
        Bytes that can be written there.
    n_blocks : int
        Number of blocks.
    worker_bytes, driver_bytes : int
        Projected peak memory of each worker and of the calling process.
    executor : str
        Kind of executor.
    n_workers : int or None
        Blocks at the same time; None: as many as the cluster allows.
    reason : str
        Why this executor.
    block_seconds : float
        Measured: one block.
    seconds : float
        Estimated: all blocks on these workers, on one if their number is not known,
        and all fits.
    n_fits : int
        FOOOF outputs: number of spectra that models are fitted to, else 0.
    fit_seconds : float
        Measured: one fit.
    about : str
        What the input is, where it is not trials x channels.
    """

    name: str
    method: str
    n_trials: int
    n_channels: int
    shape: tuple[int, ...]
    dtype: str
    bytes_read: int
    bytes_written: int
    in_memory: bool
    scratch_free: int
    n_blocks: int
    worker_bytes: int
    driver_bytes: int
    executor: str
    n_workers: int | None
    reason: str
    block_seconds: float
    seconds: float
    n_fits: int = 0
    fit_seconds: float = 0.0
    about: str = ""

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        about = self.about or f"{self.n_trials} trials x {self.n_channels} channels"
        workers = "all workers" if self.n_workers is None else f"{self.n_workers} at a time"
        free = f"scratch folder, where {_size(self.scratch_free)} are free"
        lines = {
            "input": f"{about}, {_size(self.bytes_read)} to read",
            "result": f"[{shape}] {self.dtype}, {_size(self.bytes_written)}",
            "goes to": "memory" if self.in_memory else free,
            "runs on": f"{self.executor}, {workers} ({self.reason})",
            "blocks": f"{self.n_blocks}, one took {_time(self.block_seconds)}",
            "fits": f"{self.n_fits}, one took {_time(self.fit_seconds)}" if self.n_fits else "",
            "memory": f"{_size(self.worker_bytes)} per worker, {_size(self.driver_bytes)} in this process",
            "time": f"about {_time(self.seconds)}{' on one worker' if self.n_workers is None else ''}",
        }
        shown = (f"  {name:8s}: {text}" for name, text in lines.items() if text)
        return "\n".join([f"{self.name}, {self.method}", *shown])


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    """Tell what a call would do: on what, how large, where, how long.

    The call is checked and planned as usual, and one of its blocks is computed
    to measure the time, of FOOOF outputs also one of the fits; nothing else runs,
    nothing is kept or started. Of calls of several steps the first one is told.
    Tests and intervals read their observations, which are what they compute with.

    Parameters
    ----------
    function : callable
        `freqanalysis`, `selectdata` ...
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Explanation
        Frozen, prints as a table.

    Raises
    ------
    MemoryBudgetError, ScratchSpaceError
        The call is impossible; the message says what would fit.
    InvalidTypeError, InvalidValueError
        As the call itself would raise.

    Examples
    --------
    >>> import rayspy as spy
    >>> data = spy.synthdata.white_noise(nTrials=3, nSamples=200, nChannels=2, seed=1)
    >>> spy.explain(spy.freqanalysis, data, method="wavelet", foi=[20, 40]).shape
    (600, 1, 2, 2)
    """
    planned = _planned(function, args, kwargs)
    plan, memory, outlook = planned.plan, _memory(planned), _outlook(planned)
    in_memory = memory.output <= inmemory_limit()
    if not in_memory:
        _check_scratch(plan)
    result = next(iter(plan.results.values()))
    return Explanation(
        name=planned.name,
        method=plan.method.name,
        n_trials=len(plan.spec.trialdefinition),
        n_channels=plan.n_channels,
        shape=result.shape,
        dtype=str(result.dtype),
        bytes_read=memory.input,
        bytes_written=memory.output,
        in_memory=in_memory,
        scratch_free=_scratch_free(),
        n_blocks=plan.n_blocks,
        worker_bytes=memory.per_worker,
        driver_bytes=memory.driver,
        executor=outlook.executor,
        n_workers=outlook.n_workers,
        reason=outlook.reason,
        about=planned.about,
        **_times(planned, outlook, in_memory),
    )


@dataclass(frozen=True, eq=False)
class _Planned:
    """The first step of a call, and what is known to follow on its result."""

    name: str
    plan: Plan
    parallel: bool | None
    then: Plan | None
    about: str


def _planned(function: Any, args: Any, kwargs: Any) -> _Planned:
    """Check and plan a call of a front-end."""
    if not callable(function):
        raise InvalidTypeError(function, "function", "rayspy function;")
    if not is_frontend(function):
        name = getattr(function, "__name__", function)
        legal = "function that computes something from data objects, such as spy.freqanalysis"
        raise InvalidValueError(legal, "function", name)
    call, parallel = call_of(function, args, kwargs)
    plan = None if call.at_once else next(call.steps, None)
    call.steps.close()
    if plan is None:
        raise InvalidValueError("call that computes something", "function", call.name)
    return _Planned(call.name, plan, parallel, next(iter(call.then), None), call.about)


def _memory(planned: _Planned) -> Memory:
    """Sizes of a plan, and the largest peaks of it and what follows."""
    plans = [planned.plan] if planned.then is None else [planned.plan, planned.then]
    largest = {
        what: max(getattr(plan.memory, what) for plan in plans)
        for what in ("per_worker", "driver", "value", "payload")
    }
    return replace(planned.plan.memory, **largest)


def _outlook(planned: _Planned) -> Outlook:
    """Where a plan would run, and what would follow."""
    plan = planned.plan
    try:
        found = foresee(planned.parallel, _memory(planned), plan.name)
    except MemoryBudgetError as error:
        raise MemoryBudgetError(f"{error}. {_what_fits(plan, planned.parallel)}") from None
    hint = advice(planned.then or plan, found.executor, found.n_workers)
    return replace(found, reason=found.reason + hint)


def _at_a_time(plan: Plan, outlook: Outlook) -> int:
    """How many blocks are computed at the same time."""
    if outlook.executor == "local" and plan.method.holds_gil:
        return 1
    return min(outlook.n_workers or 1, plan.n_blocks)


def _what_fits(plan: Plan, parallel: bool | None) -> str:
    """Find the largest number of channels at a time, a half, a quarter ... of all, that fits."""
    width = plan.n_channels // 2
    while width >= 1:
        smaller = make_plan(
            plan.name, plan.method, plan.source, plan.spec, plan.index, plan.reduction, chan_per_worker=width
        )
        try:
            foresee(parallel, smaller.memory, plan.name)
        except MemoryBudgetError:
            width //= 2
            continue
        return f"chan_per_worker={width} would fit: {_size(smaller.memory.per_worker)} per worker"
    return "Not even one channel at a time would fit"


def _scratch_free() -> int:
    """Bytes that can be written to the scratch folder; 0 if there cannot be one."""
    with contextlib.suppress(PathError, ScratchSpaceError):
        return free_bytes()
    return 0


def _check_scratch(plan: Plan) -> None:
    try:
        check_space(plan.memory.output, f"the result of {plan.name}")
    except ScratchSpaceError as error:
        share = max(0, free_bytes()) / plan.memory.output
        n_trials, n_channels = len(plan.spec.trialdefinition), plan.n_channels
        raise ScratchSpaceError(
            f"{error}. About {int(share * n_trials)} of the {n_trials} trials, or {int(share * n_channels)} "
            f"of the {n_channels} channels, would fit; or average over trials with keeptrials=False"
        ) from None


def _times(planned: _Planned, outlook: Outlook, in_memory: bool) -> dict[str, Any]:
    """Measure and estimate; returns the fields of an explanation that are about time."""
    plan, fits = planned.plan, planned.then
    receipt = _measured(plan, in_memory or fits is not None)
    share = max(1, receipt.bytes_read) / plan.memory.input
    seconds = receipt.seconds * max(1.0, 1 / share / _at_a_time(plan, outlook))
    if fits is None:
        return {"block_seconds": receipt.seconds, "seconds": seconds}
    n, one = _n_fits(fits), _measured_fit(fits, _spectra(plan, receipt))
    seconds += one * max(1.0, n / _at_a_time(fits, outlook))
    return {"block_seconds": receipt.seconds, "seconds": seconds, "n_fits": n, "fit_seconds": one}


def _measured(plan: Plan, in_memory: bool) -> Receipt:
    """Compute one block, a brief one twice; what it wrote is gone then."""
    number = plan.n_blocks // 2
    target = None if in_memory else new_target()[0]
    bound = replace(plan, target=target)
    try:
        first = run_block(bound, number)
        again = first if first.seconds >= _BRIEF else run_block(bound, number)
        return min(first, again, key=lambda receipt: receipt.seconds)
    finally:
        if target is not None:
            target.discard()


def _spectra(plan: Plan, receipt: Receipt) -> Any:
    """What a block came to."""
    return None if receipt.value is None else results_in(plan, receipt.block, receipt.value)[""]


def _n_fits(fits: Plan) -> int:
    """Number of spectra: result without the frequency axis."""
    return math.prod(fits.result_shape) // len(fits.output.labels["freq"])


def _measured_fit(fits: Plan, spectra: Any) -> float:
    """Fit a model to the first of some spectra, (row, taper, freq, channel); returns the seconds it took."""
    fit = fits.method.kernel(Part(1))
    one = np.asarray(spectra[np.newaxis, :1, :1, :, :1], fits.spec.dtype)
    seconds = np.inf
    for _ in range(2):
        began = perf_counter()
        fit(one)
        seconds = min(seconds, perf_counter() - began)
        if seconds > _BRIEF:
            break
    return seconds


def _size(n: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if n >= factor:
            return f"{n / factor:.3g} {unit}"
    return f"{n} bytes"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
