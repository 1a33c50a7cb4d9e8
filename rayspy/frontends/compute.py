"""The way every front-end goes: selection, plan, run, wrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rayspy.data.base import BaseData
from rayspy.data.classes import BY_NAME
from rayspy.data.quantity import Measured
from rayspy.data.selection import Selection, resolve
from rayspy.errors import InvalidValueError
from rayspy.executors.driver import run_results, where
from rayspy.frontends.calling import check_chan_per_worker, check_parallel, recorded
from rayspy.frontends.missing import COUNTS, NanTrials, counts_in
from rayspy.methods.base import InputSpec, Method
from rayspy.methods.reductions import Reduction
from rayspy.planning.plan import Plan, make_plan


def selected(data: BaseData, select: Any) -> Selection:
    """Resolve `select`, or take the active in-place selection of the object."""
    if data.selection is not None:
        if select is not None:
            raise InvalidValueError(
                "no `select` while a selection is active; clear it with data.selectdata(clear=True)",
                "select",
                select,
            )
        return data.selection
    return resolve(select, data.describe())


def input_spec(data: BaseData, selection: Selection) -> InputSpec:
    """Describe the selected input for a method."""
    labels = {dim: selection.labels(dim) for dim in selection.description.labels}
    return InputSpec(
        kind=type(data).__name__,
        dims=tuple(data.dimord),
        dtype=data.source.dtype,
        samplerate=data.samplerate,
        trialdefinition=selection.trialdefinition,
        labels=labels,
        trial_ids=selection.trial_numbers,
    )


def plan_for(
    name: str,
    data: BaseData,
    method: Method,
    selection: Selection,
    reduction: Reduction | None = None,
    chan_per_worker: Any = None,
) -> Plan:
    """Make the plan of a front-end's call."""
    width = check_chan_per_worker(chan_per_worker)
    spec = input_spec(data, selection)
    return make_plan(name, method, data.source, spec, selection.index, reduction, width)


def compute(
    plan: Plan,
    data: BaseData,
    settings: Mapping[str, Any],
    parallel: Any = None,
    log_settings: Mapping[str, Any] | None = None,
) -> Any:
    """Run a plan that has one result and wrap it in a data object; see `compute_results`.

    Where trials are left out of an average, ``info["n_trials"]`` has their number per channel.
    """
    found = compute_results(plan, data, settings, parallel, log_settings)
    counts = found.pop(COUNTS, None)
    (made,) = found.values()
    if counts is not None:
        made.info[COUNTS] = counts_in(counts)
    return made


def compute_results(
    plan: Plan,
    data: BaseData,
    settings: Mapping[str, Any],
    parallel: Any = None,
    log_settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a plan and wrap each of its results in a data object.

    Parameters
    ----------
    plan : Plan
        What to compute.
    data : BaseData
        The input, for the history.
    settings : mapping
        The front-end's arguments, for ``cfg``.
    parallel : bool or None
        How to run.
    log_settings : mapping, optional
        What goes into the history; `settings` if left out.
    """
    cfg = recorded(plan.name, data, settings)
    missing = NanTrials(plan)
    sources, choice = run_results(plan, check_parallel(parallel), missing)
    used_parallel = choice.executor.n_workers > 1 or choice.executor.name != "local"
    cfg[plan.name]["parallel"] = parallel
    found = {}
    for name, out in plan.results.items():
        made = BY_NAME[out.kind].from_parts(
            sources[name], out.trialdefinition, out.samplerate, out.labels, out.dims
        )
        made.cfg = cfg
        if isinstance(made, Measured) and isinstance(data, Measured):
            unit = data.unit_of(plan.index.get("channel"))
            made.quantity, unit = out.meaning.of(data.quantity, unit)
            made.unit = unit if unit is None or isinstance(unit, str) or "channel" in out.dims else None
        made.info.update(data.info)
        made._log = list(data._log)
        shown, used = log_settings or settings, where(choice, plan.n_blocks)
        made.record(f"{plan.name} ({plan.method.name})", shown, used_parallel, used)
        found[name] = made
    missing.tell(*found.values())
    return found
