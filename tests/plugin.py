"""A method and a reduction made from outside of the package, as CONTRIBUTING.md tells."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rayspy.data.quantity import SQUARED, Meaning
from rayspy.frontends.call import Call, frontend
from rayspy.frontends.compute import computed, plan_for, selected
from rayspy.methods.base import InputSpec, Kernel, Method, OutputSpec, Part, Work
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Layout, Reduction, over_trials
from rayspy.methods.reductions.base import shape_of


def teager_energy(x, out=None):
    """x[n]^2 - x[n - 1] x[n + 1] (Kaiser 1990, equation 8); the ends repeat their neighbours."""
    wide = x.astype(np.float64)
    found = np.empty_like(wide)
    found[:, 1:-1] = wide[:, 1:-1] ** 2 - wide[:, :-2] * wide[:, 2:]
    found[:, 0], found[:, -1] = found[:, 1], found[:, -2]
    if out is None:
        return found.astype(np.float32)
    np.copyto(out, found, casting="same_kind")
    return out


@dataclass(frozen=True)
class Teager(Method):
    """Teager-Kaiser energy of each trial."""

    name: ClassVar[str] = "teager"

    def output(self, spec: InputSpec) -> OutputSpec:
        like = Copying().output(spec)
        energy = Meaning("Teager energy", SQUARED)
        return OutputSpec(
            like.kind, like.dims, np.dtype(np.float32), like.rows, like.trialdefinition, like.samplerate,
            like.labels, energy,
        )  # fmt: skip

    def kernel(self, part: Part) -> Kernel:
        return teager_energy

    def work(self, length: int, itemsize: int) -> Work:
        return Work(line_bytes=5 * 8 * length)


@dataclass(frozen=True)
class Largest(Reduction):
    """Largest value of all trials."""

    name: ClassVar[str] = "largest"

    def outputs(self, each: OutputSpec) -> dict[str, OutputSpec]:
        return {"": over_trials(each)}

    def state(self, each: OutputSpec) -> dict[str, Layout]:
        return {"any": Layout((1,), np.dtype(bool)), "most": Layout(shape_of(each), each.dtype)}

    def add(self, state, results, trials):
        self.merge(state, {"any": np.ones(1, bool), "most": results.max(axis=0)})

    def merge(self, state, later):
        first = not state["any"][0]
        state["most"][...] = later["most"] if first else np.maximum(state["most"], later["most"])
        state["any"] |= later["any"]

    def finalize(self, state, each):
        return {"": state["most"]}


@frontend
def teager(data, keeptrials=True, parallel=None, select=None, chan_per_worker=None):
    """Teager-Kaiser energy, of each trial or the largest of all."""
    reduction = None if keeptrials else Largest()
    plan = plan_for("teager", data, Teager(), selected(data, select), reduction, chan_per_worker)
    return Call("teager", data, computed(plan, data))
