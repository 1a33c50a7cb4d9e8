"""A run over spikes that was ended before its time goes on, with the bits it would have had."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rayspy as spy
from rayspy.methods.spikes.fields import Phases
from rayspy.methods.spikes.trains import Psth
from tests.frontends.spikes import test_fields, test_trains

CALLS = {
    "average": (
        Psth,
        lambda: spy.spike_psth(test_trains.make(), binsize=0.03, keeptrials=False, parallel=False),
    ),
    "trials": (Psth, lambda: spy.spike_psth(test_trains.make(), binsize=0.03, parallel=False)),
    "phases": (
        Phases,
        lambda: spy.spiketriggeredspectrum(*test_fields.make(), foi=[20, 45], output="ppc1", parallel=False),
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_finished_blocks_are_not_computed_again(call, monkeypatch, caplog):
    method, run = CALLS[call]
    computed, name = [], "of_rows" if method is Psth else "trial"
    original = getattr(method, name)

    def counted(self, k, *given):
        if len(computed) == limit:
            raise KeyboardInterrupt
        computed.append(k)
        return original(self, k, *given)

    monkeypatch.setattr(method, name, counted)
    with spy.config.using(block_bytes=2_000, resume_after=0):
        limit = 4
        with pytest.raises(KeyboardInterrupt):
            run()
        limit, computed = 1000, []
        with caplog.at_level("INFO", logger="rayspy"):
            resumed = run().data[()]
        assert "resuming" in caplog.text
        n_rest, computed = len(computed), []
        with spy.config.using(resume=False):
            np.testing.assert_array_equal(resumed, run().data[()])
        assert n_rest < len(computed)


SCRIPT = """
import sys, time
import numpy as np
import rayspy as spy
from rayspy.methods.spikes.trains import Psth
from tests.frontends.spikes import test_trains

original = Psth.of_rows

def slowly(self, k, rows):
    time.sleep(0.1)
    return original(self, k, rows)

Psth.of_rows = slowly
with spy.config.using(block_bytes=500, resume_after=0, num_cpus=2):
    result = spy.spike_psth(test_trains.make(), binsize=0.03, keeptrials=False)
np.save(sys.argv[1], np.concatenate([result.avg, result.var, result.dof]))
"""


def start(folder, out):
    paths = os.pathsep.join(["", *sys.path])
    environment = {**os.environ, "RAYSPY_TMPDIR": str(folder), "PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_process_goes_on(tmp_path):
    process = start(tmp_path, tmp_path / "x.npy")
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("part-*.arrow"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "x.npy").exists()
    second = start(tmp_path, tmp_path / "resumed.npy")
    errors = second.communicate(timeout=120)[1]
    assert second.returncode == 0, errors
    assert int(re.search(r"resuming: (\d+) of", errors)[1]) >= 1
    with spy.config.using(block_bytes=500):
        fresh = spy.spike_psth(test_trains.make(), binsize=0.03, keeptrials=False)
    wanted = np.concatenate([fresh.avg, fresh.var, fresh.dof])
    np.testing.assert_array_equal(np.load(tmp_path / "resumed.npy"), wanted)
