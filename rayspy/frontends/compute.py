"""From a selection to a plan, and from what was computed to objects: what all front-ends share."""

from __future__ import annotations

from typing import Any

from rayspy.data.base import BaseData
from rayspy.data.classes import BY_NAME
from rayspy.data.quantity import Measured
from rayspy.data.selection import Selection, resolve
from rayspy.errors import InvalidValueError
from rayspy.frontends.call import Done, Steps
from rayspy.frontends.calling import check_chan_per_worker
from rayspy.frontends.missing import COUNTS, counts_in
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


def computed(plan: Plan, data: BaseData) -> Steps[Any]:
    """One step, which has one result: an object."""
    done = yield plan
    return object_of(done, data)


def object_of(done: Done, data: BaseData) -> Any:
    """Make an object of the one result of a step.

    Where trials are left out of an average, ``info["n_trials"]`` has their number per channel.
    """
    found = objects_of(done, data)
    counts = found.pop(COUNTS, None)
    (made,) = found.values()
    if counts is not None:
        made.info[COUNTS] = counts_in(counts)
    return made


def objects_of(done: Done, data: BaseData) -> dict[str, Any]:
    """Make an object of each result of a step: with quantity, unit and info, without history.

    Parameters
    ----------
    done : Done
        What came of the step.
    data : BaseData
        The input.
    """
    plan, found = done.plan, {}
    for name, out in plan.results.items():
        made = BY_NAME[out.kind].from_parts(
            done.sources[name], out.trialdefinition, out.samplerate, out.labels, out.dims
        )
        if isinstance(made, Measured) and isinstance(data, Measured):
            unit = data.unit_of(plan.index.get("channel"))
            made.quantity, unit = out.meaning.of(data.quantity, unit)
            made.unit = unit if unit is None or isinstance(unit, str) or "channel" in out.dims else None
        made.info.update(data.info)
        found[name] = made
    done.nan.tell(*found.values())
    return found
