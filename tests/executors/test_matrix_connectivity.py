"""Connectivity has the same bits on every executor, however the work is cut, and after it was interrupted."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.executors.local import LocalExecutor
from tests.contract import plan_of_call
from tests.golden.test_connectivity import CASES, compare, run
from tests.helpers import EXECUTORS, run_on

METHODS = ["coh", "ppc", "wpli_debiased", "dpli", "granger"]
GOLDEN = [
    "coh_mix_unequal",
    "granger_padded",
    "ppc_time_frequency",
    "csd_keeptrials",
    "corr_odd",
    "coh_jackknife",
]


def make(n_trials=30, n_channels=6, n_samples=60):
    rng = np.random.default_rng(2)
    trials = rng.standard_normal((n_trials, n_samples, n_channels)).astype(np.float32)
    trials[:, 1:, 1] += trials[:, :-1, 0]
    return spy.AnalogData(list(trials), samplerate=100.0)


def arrays(results):
    found = results if isinstance(results, dict) else {"": results}
    return {
        (name, what): array
        for name, result in found.items()
        for what, array in {"": result.data[()], **result.jackknife}.items()
    }


def assert_same(got, wanted):
    assert got.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(got[key], array, err_msg=str(key))


def analysed(data, **settings):
    return spy.connectivityanalysis(data, **{"method": METHODS, "tapsmofrq": 5, **settings})


@pytest.mark.parametrize("executor", EXECUTORS)
def test_same_bits_on_every_executor(executor, request):
    data = make()
    with spy.config.using(block_bytes=6000):
        wanted = arrays(analysed(data, jackknife=True, parallel=False))
        with run_on(executor, request) as options:
            assert_same(arrays(analysed(data, jackknife=True, **options)), wanted)
            single = analysed(data, method="csd", keeptrials=True, **options)
    alone = analysed(data, method="csd", keeptrials=True, parallel=False)
    np.testing.assert_array_equal(single.data[()], alone.data[()])


@pytest.mark.parametrize("executor", ["local-2", "ray-2", "dask_on_ray-2"])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name, executor, request):
    case = next(case for case in CASES if case["id"] == name)
    with run_on(executor, request) as options, spy.config.using(block_bytes=20_000):
        compare(case, run(case, **options))


@pytest.mark.parametrize(
    ("methods", "given", "block_bytes"),
    [
        (["coh", "wpli_debiased", "ppc", "csd", "pcoh"], False, 6000),
        (["coh", "pcoh"], False, 10**6),
        (["coh", "pcoh"], True, 6000),
        (["coh", "ppc"], True, 10**6),
    ],
)
def test_ranges_of_frequencies_change_no_bit(methods, given, block_bytes, monkeypatch):
    data = make(70)
    if given:
        data = spy.freqanalysis(data, output="fourier", keeptapers=True, tapsmofrq=5)
    with spy.config.using(block_bytes=block_bytes):
        wanted = arrays(analysed(data, method=methods, parallel=False))
        monkeypatch.setattr("rayspy.planning.plan.largest_state", lambda: 4000)
        assert len(plan_of_call(analysed, data, method=methods).blocks.bands) > 2
        for memory in (10**7, 100):
            with spy.config.using(inmemory_bytes=memory):
                assert_same(arrays(analysed(data, method=methods, parallel=False)), wanted)


def test_time_frequency_spectra_in_blocks():
    data = make(n_samples=120)
    spectra = spy.freqanalysis(
        data, method="mtmconvol", t_ftimwin=0.3, toi=0.5, foi=[10, 20, 30], output="fourier", parallel=False
    )
    with spy.config.using(block_bytes=3000):
        wanted = arrays(spy.connectivityanalysis(spectra, method=["coh", "plv"], parallel=False))
        with spy.config.using(num_cpus=2):
            assert_same(arrays(spy.connectivityanalysis(spectra, method=["coh", "plv"])), wanted)


def test_same_bits_after_an_interruption(monkeypatch):
    data = make()
    with spy.config.using(block_bytes=6000, resume_after=0):
        wanted = arrays(analysed(data, parallel=False))
        whole, seen = LocalExecutor.run, []

        def interrupted(self, plan, blocks, collect):
            def count(receipt):
                collect(receipt)
                seen.append(receipt.block)
                if len(seen) == 3:
                    raise KeyboardInterrupt

            return whole(self, plan, blocks, count)

        monkeypatch.setattr(LocalExecutor, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            analysed(data, parallel=False)
        again = []

        def noted(self, plan, blocks, collect):
            again.extend(blocks)
            return whole(self, plan, blocks, collect)

        monkeypatch.setattr(LocalExecutor, "run", noted)
        assert_same(arrays(analysed(data, parallel=False)), wanted)
    assert again
    assert not set(seen) & set(again)
