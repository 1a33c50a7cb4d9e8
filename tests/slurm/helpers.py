"""What the tests on the SLURM fixture share: the example, its right result, scripts."""

import textwrap
import time
from pathlib import Path

import numpy as np

import rayspy as spy

ROOT = Path(__file__).parents[2]
SIZE = ("--trials", "24", "--channels", "6")
"""Of the example: small enough for every test."""
BLOCK_BYTES = "40000"


def expected():
    """What the example computes, on one thread."""
    data = spy.synthdata.white_noise(nTrials=24, nChannels=6, seed=1)
    return spy.freqanalysis(data, foilim=[1, 150], tapsmofrq=10, parallel=False).data[()]


def same_bits(path):
    np.testing.assert_array_equal(spy.load(path).data[()], expected())


def wait_until(condition, seconds=60.0, what="it", log=None):
    """Wait for something, twice as long as it should take; a log tells why it did not happen."""
    deadline = time.monotonic() + 2 * seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen\n{read(log) if log else ''}"
        time.sleep(0.1)


def read(path):
    return Path(path).read_text(errors="replace") if Path(path).exists() else ""


SLOW = """
    import sys
    sys.path.append({root!r})
    import numpy as np
    import rayspy as spy
    from rayspy.executors.choose import choose
    from rayspy.frontends.compute import plan_for, selected
    from tests.executors.test_run import Odd, noise

    data = noise({trials})
    with spy.config.using(block_bytes=2000):
        plan = plan_for("odd", data, Odd("slow"), selected(data, None))
    values, seen = np.empty(plan.result_shape, plan.output.dtype), []

    def collect(receipt):
        block = plan.blocks[receipt.block]
        corner = zip(plan.block_start(block), plan.block_shape(block), strict=True)
        values[tuple(slice(a, a + n) for a, n in corner)] = receipt.value
        seen.append(receipt.block)
        print("blocks:", len(seen), flush=True)

    choose(None, plan.memory, plan.name).executor.run(plan, range(plan.n_blocks), collect)
    assert sorted(seen) == list(range(plan.n_blocks))
    values = values.transpose(plan.output.stored)
    np.testing.assert_array_equal(values, data.data[()])
    print("the same bits", flush=True)
"""
"""A computation of 5 blocks per trial, 0.2 s per block, which tells how far it is."""


def slow_script(folder, trials):
    path = Path(folder) / "slow.py"
    path.write_text(textwrap.dedent(SLOW.format(root=str(ROOT), trials=trials)))
    return path


def blocks_done(log):
    return read(log).count("blocks: ")
