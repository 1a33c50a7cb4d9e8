"""A run over spikes that was ended before its time goes on, with the bits it would have had."""

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
