"""The engine's own limit: blocks per second through the driver with a kernel that does nothing."""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import psutil

import rayspy as spy
from rayspy import cluster
from rayspy.executors.local import LocalExecutor
from rayspy.executors.ray_actors import RayExecutor, release_actors
from rayspy.frontends.compute import plan_for, selected
from rayspy.methods.copying import Copying
from rayspy.methods.reductions import Mean

SAMPLES = 10


@dataclass(frozen=True)
class Idle(Copying):
    """Returns without looking at its input."""

    name: ClassVar[str] = "idle"

    def kernel(self, part):
        return lambda x, out=None: out if out is not None else x


def plan_of(n_blocks, folder):
    """One block per trial of ten samples."""
    path = Path(folder, f"{n_blocks}.dat")
    with path.open("wb") as file:
        file.truncate(4 * SAMPLES * n_blocks)
    data = spy.AnalogData(spy.raw_binary(path, "float32", 1), samplerate=1.0)
    stops = np.arange(1, n_blocks + 1) * SAMPLES
    data.definetrial(np.column_stack([stops - SAMPLES, stops, np.zeros_like(stops)]))
    with spy.config.using(block_bytes=4 * SAMPLES):
        return plan_for("idle", data, Idle(), selected(data, None), Mean())


def rate(executor, plan):
    executor.run(plan, range(min(2000, plan.n_blocks)), lambda receipt: None)
    began = time.perf_counter()
    executor.run(plan, range(plan.n_blocks), lambda receipt: None)
    return plan.n_blocks / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=20_000)
    parser.add_argument("--actors", type=int, nargs="+", default=[2, 50])
    parser.add_argument("--planned", type=int, default=1_000_000)
    options = parser.parse_args()
    spy.set_loglevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        plan_of(10, folder)
        before = psutil.Process().memory_info().rss
        began = time.perf_counter()
        plan = plan_of(options.planned, folder)
        seconds = time.perf_counter() - began
        used = (psutil.Process().memory_info().rss - before) / 1e6
        print(f"{plan.n_blocks} blocks planned in {seconds:.1f} s, {used:.0f} MB")
        plan = plan_of(options.blocks, folder)
        print(f"local, 2 threads: {rate(LocalExecutor(2), plan):.0f} blocks per second")
        for n in options.actors:
            cluster.start_local_ray(num_cpus=n, dashboard=False)
            print(f"Ray, {n} actors: {rate(RayExecutor(n), plan):.0f} blocks per second")
            release_actors()
            cluster.shutdown_local_ray()


if __name__ == "__main__":
    main()
