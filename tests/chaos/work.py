"""A computation of some seconds that may be ended at any moment; see `tests.chaos.campaign`."""

from __future__ import annotations

import sys

from rayspy_compat import attach

import rayspy as spy
from rayspy.executors.driver import run_plan
from rayspy.frontends.compute import plan_for, selected
from rayspy.storage.sources import read_all
from tests.executors.test_run import Odd, noise

N_TRIALS = 8
"""Of 5 blocks, which take 0.2 s each."""


def main(way: str, place: str, address: str = "") -> int:
    """Compute; say whether the numbers are right, or which of our errors came."""
    spy.config.resume_after, spy.config.dashboard = 0.5, False
    spy.config.inmemory_bytes = 2**20 if place == "memory" else 100
    spy.config.worker_timeout = 20
    attach._force = {"nodes": "nodes", "dask": "dask"}.get(way, "")
    if address:
        import distributed

        client = distributed.Client(address)
    data = noise(N_TRIALS)
    with spy.config.using(block_bytes=2000):
        plan = plan_for("odd", data, Odd("slow"), selected(data, None))
    print("go", flush=True)
    try:
        source, _ = run_plan(plan, {"threads": None, "alone": False}.get(way, True))
        print("same", bool((read_all(source) == data.data[()]).all()), flush=True)
    except spy.errors.RayspyError as error:
        print("error", type(error).__name__, " ".join(str(error).split())[:160], flush=True)
        return 3
    finally:
        if address:
            client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
