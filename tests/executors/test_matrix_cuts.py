"""One long trial on many cores: runs of frequencies and pieces along time have the bits of the whole."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rayspy as spy
from rayspy.executors.driver import run_plan
from rayspy.executors.run import run_block
from rayspy.methods.base import Part
from rayspy.planning.projection import block_peak, worker_peak
from rayspy.storage import scratch
from rayspy.storage.leftovers import RESUME
from rayspy.storage.sources import read_all
from tests.contract import plan_of_call
from tests.helpers import run_on

FEW = [float(f) for f in range(5, 41)]
MANY = np.geomspace(2, 45, 150).tolist()
TIMES = np.arange(1, 17, 0.02).round(2).tolist()
UNEVEN = [*TIMES[:300], *TIMES[301::3]]
DENSE = np.arange(1, 180, 0.01).round(2).tolist()
WINDOWS = {"method": "mtmconvol", "t_ftimwin": 1.0}
BANDS = {
    "wavelet": {"method": "wavelet", "foi": FEW},
    "wavelet-many": {"method": "wavelet", "foi": MANY, "polyremoval": 1},
    "wavelet-fourier": {"method": "wavelet", "foi": FEW, "output": "fourier", "toi": TIMES, "edges": "nan"},
    "wavelet-real": {"method": "wavelet", "foi": FEW, "wavelet": "Ricker", "output": "real"},
    "wavelet-uneven": {"method": "wavelet", "foi": MANY, "toi": UNEVEN, "output": "angle"},
    "superlet": {"method": "superlet", "foi": FEW, "order_max": 3},
    "superlet-adaptive": {"method": "superlet", "foi": FEW, "order_max": 9, "adaptive": True},
    "superlet-fourier": {"method": "superlet", "foi": FEW, "order_max": 3, "output": "fourier", "toi": TIMES},
    "mtmconvol": {**WINDOWS, "foi": FEW[::2], "toi": "all"},
    "mtmconvol-tapers": {**WINDOWS, "foi": FEW[::2], "toi": "all", "tapsmofrq": 5},
    "mtmconvol-keep": {
        **WINDOWS, "foi": FEW[::2], "toi": "all", "tapsmofrq": 5, "keeptapers": True, "edges": "nan",
    },
    "mtmconvol-fourier": {**WINDOWS, "foi": FEW[::2], "toi": DENSE[:1600], "output": "fourier"},
}  # fmt: skip
PIECES = {
    "windows": {**WINDOWS, "toi": 0.99},
    "windows-toi": {**WINDOWS, "toi": DENSE, "output": "fourier"},
    "windows-uneven": {**WINDOWS, "toi": [*DENSE[:9000], *DENSE[9001::2]], "polyremoval": 1},
    "windows-keep": {**WINDOWS, "toi": 0.99, "tapsmofrq": 1.5, "keeptapers": True},
}
CASES = {**BANDS, **PIECES}


def small_blocks(**other):
    return spy.config.using(block_bytes=30_000, **other)


def long_enough(case):
    return 18_100 if case in PIECES else 1800


def make(lengths=(1800,), n_channels=1, rate=100.0):
    rng = np.random.default_rng(3)
    trials = (rng.standard_normal((n, n_channels)).astype(np.float32) + 3 for n in lengths)
    data = spy.AnalogData(trials, samplerate=rate)
    trl = data.trialdefinition.copy()
    trl[:, 2] = -7 * np.arange(len(lengths))
    data.definetrial(trl)
    return data


def plan_of(data, **settings):
    return plan_of_call(spy.freqanalysis, data, **settings)


def whole(plan, k=0):
    """Result of trial k from a single call of the kernel for all of it."""
    start, length = int(plan.spec.trialdefinition[k, 0]), int(plan.spec.lengths[k])
    x = np.asarray(read_all(plan.source))[start : start + length]
    x = np.ascontiguousarray(x[:, plan.index["channel"]] if "channel" in plan.index else x)[np.newaxis]
    return x, plan.method.kernel(Part(length, variant_of(plan, k)))(x)[0]


def variant_of(plan, k=0):
    return 0 if plan.spec.variants is None else int(plan.spec.variants[k])


def in_bands(plan):
    return sum(block.stop_freq is not None for block in plan.blocks)


def in_pieces(plan):
    return sum(block.stop_piece is not None for block in plan.blocks)


def is_cut(plan):
    return in_bands(plan) + in_pieces(plan)


@pytest.fixture(scope="module")
def wholes():
    return {name: whole(plan_of(make((long_enough(name),)), **CASES[name]))[1] for name in CASES}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("executor", ["local-1", "local-2", "ray-2"])
def test_one_trial_of_one_channel_has_the_bits_of_the_whole(executor, case, wholes, request):
    data = make((long_enough(case),))
    with small_blocks():
        plan = plan_of(data, **CASES[case])
        assert (in_bands if case in BANDS else in_pieces)(plan) == plan.n_blocks >= 2
        with run_on(executor, request) as options:
            got = spy.freqanalysis(data, **CASES[case], **options)
    np.testing.assert_array_equal(got.data[()], wholes[case])


@pytest.mark.parametrize("case", CASES)
def test_unequal_trials_selections_and_disk_have_the_bits_of_the_whole(case):
    long, settings = long_enough(case), CASES[case]
    short = long if isinstance(settings.get("toi"), list) else 250
    data = make((long + 400, short + 50, long, long + 400), n_channels=3)
    settings = {**settings, "select": {"trials": [3, 1, 0, 2], "channel": [2, 0]}}
    plan = plan_of(data, **settings)
    assert len(set(plan.output.rows)) == (1 if short == long else 3)
    wanted = np.concatenate([whole(plan, k)[1] for k in range(4)])
    for chan_per_worker, limit in ((None, 2**30), (1, 2**30), (None, 100), (1, 100)):
        with small_blocks(inmemory_bytes=limit, num_cpus=2):
            plan = plan_of(data, chan_per_worker=chan_per_worker, **settings)
            got = spy.freqanalysis(data, chan_per_worker=chan_per_worker, **settings)
        assert (in_bands if case in BANDS else in_pieces)(plan)
        assert got.source.in_memory == (limit > 100)
        np.testing.assert_array_equal(got.data[()], wanted)


@pytest.mark.parametrize("case", ["wavelet", "windows"])
def test_averages_and_welch_are_not_cut(case):
    with spy.config.using(block_bytes=300_000):
        assert not is_cut(plan_of(make(), keeptrials=False, **CASES[case]))
    with small_blocks():
        assert not in_pieces(plan_of(make(), keeptrials=False, **CASES[case]))
        assert not is_cut(plan_of(make((90_000,)), method="welch", t_ftimwin=0.2, toi=0.9))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(BANDS)), st.data())
def test_a_frequency_has_the_same_bits_in_every_run(wholes, case, draw):
    plan = plan_of(make(), **BANDS[case])
    first = draw.draw(st.integers(0, plan.n_freq - 1))
    stop = draw.draw(st.integers(first + 1, plan.n_freq))
    x = only_trial(plan)
    got = plan.method.kernel(Part(x.shape[1], variant_of(plan), freqs=range(first, stop)))(x)
    np.testing.assert_array_equal(got[0], wholes[case][:, :, first:stop])


def only_trial(plan):
    start, length = int(plan.spec.trialdefinition[0, 0]), int(plan.spec.lengths[0])
    return np.asarray(read_all(plan.source))[np.newaxis, start : start + length]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(PIECES)), st.data())
def test_a_window_has_the_same_bits_in_every_piece(wholes, case, draw):
    plan = plan_of(make((long_enough(case),)), **PIECES[case])
    rows, length = int(plan.output.rows[0]), int(plan.spec.lengths[0])
    first = draw.draw(st.integers(0, rows - 1))
    stop = draw.draw(st.integers(first + 1, min(rows, first + 500)))
    part = Part(length, variant_of(plan), rows=range(first, stop))
    low, high = plan.method.samples(part)
    x = only_trial(plan)[:, low:high]
    got = plan.method.kernel(part)(np.ascontiguousarray(x))
    np.testing.assert_array_equal(got[0], wholes[case][first:stop])


# -- how much is cut ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", ["wavelet", "wavelet-real", "superlet", "superlet-adaptive", "mtmconvol", "windows"]
)
def test_a_long_trial_of_one_channel_makes_at_least_eight_blocks(case):
    freqs = [float(f) for f in range(2, 122, 2)]
    settings = {**CASES[case], **({} if case == "windows" else {"foi": freqs})}
    plan = plan_of(make((200_000,), rate=1000.0), **settings)
    assert is_cut(plan) == plan.n_blocks
    assert 8 <= plan.n_blocks <= 64
    assert np.prod(plan.result_shape) == sum(np.prod(plan.block_shape(block)) for block in plan.blocks)
    assert sum(plan.samples_of(block) for block in plan.blocks) == pytest.approx(200_000, rel=1e-3)


def test_nothing_is_cut_where_trials_and_channels_are_many():
    with small_blocks():
        assert not is_cut(plan_of(make((1800,) * 64), **BANDS["wavelet"]))
        assert not is_cut(plan_of(make(n_channels=64), chan_per_worker=1, **BANDS["wavelet"]))
    assert plan_of(make(), **BANDS["wavelet"]).n_blocks == 1


def test_runs_have_about_the_same_work_and_little_of_it_twice():
    method = plan_of(make((200_000,)), **BANDS["superlet-adaptive"]).method
    edges = method.band_edges(200_000, 1000, 1)
    orders = [sum(1 for _ in some) for some in method.members]
    work = [sum(orders[low:high]) for low, high in pairwise(edges)]
    assert max(work) <= 2.5 * min(work)
    assert edges[1] > edges[-1] - edges[-2], "frequencies of low orders are more per run"
    assert len(method.band_edges(200_000, 3, 1)) == 4
    assert method.band_edges(200_000, 1, 1) == [0, len(FEW)]
    coarse = plan_of(make((200_000,)), method="wavelet", foi=FEW, toi=np.arange(1, 1900, 0.5).tolist()).method
    assert coarse.band_edges(190_000, 1000, 10_000) == [0, len(FEW)], "only the transform is much work"
    assert len(coarse.band_edges(190_000, 1000, 1)) > 4, "filters are made once"


# -- what follows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n_channels", [1, 20])
def test_measured_memory_of_each_run_is_at_most_the_projected(case, n_channels):
    data = make((100_000 if n_channels == 1 else 18_100,), n_channels)
    settings = {**CASES[case], **({"foi": FEW[::4]} if n_channels > 1 and case in BANDS else {})}
    with spy.config.using(block_bytes=10**6):
        plan = plan_of(data, **settings)
    blocks = [plan.blocks[0], *plan.blocks[1 : plan.n_blocks : max(1, plan.n_blocks // 3)]]
    for block in blocks:
        number = list(plan.blocks).index(block)
        run_block(plan, number)
        tracemalloc.start()
        run_block(plan, number)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= block_peak(plan, block) + 100_000
        assert block_peak(plan, block) <= plan.memory.per_worker


@pytest.mark.parametrize("case", ["wavelet", "superlet-adaptive", "mtmconvol"])
@pytest.mark.parametrize("lengths", [(1800,), (2500, 900, 1900, 300), (1000, 40_000, 20_000), (300,) * 40])
def test_no_block_is_projected_to_need_more_than_a_worker_has(case, lengths):
    for block_bytes in (10_000, 100_000, 1_000_000):
        with spy.config.using(block_bytes=block_bytes):
            plan = plan_of(make(lengths, 2), **BANDS[case])
        assert worker_peak(plan, plan.blocks) == plan.memory.per_worker


def test_runs_need_less_memory_than_the_whole():
    settings, data = {**BANDS["wavelet"], "keeptrials": True}, make((300_000,))
    plan = plan_of(data, **settings)
    uncut = replace(plan.blocks[0], first_freq=0, stop_freq=None)
    assert is_cut(plan)
    assert plan.memory.per_worker < 0.7 * block_peak(plan, uncut)


@pytest.mark.parametrize("case", ["superlet-adaptive", "mtmconvol-keep", "windows-keep"])
@pytest.mark.parametrize("limit", [100, 2**30])
def test_an_interrupted_run_goes_on_with_its_runs_of_frequencies(case, limit, wholes, monkeypatch, caplog):
    computed = []

    def until_the_third(plan, i, payload=None):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(i)
        return run_block(plan, i, payload)

    data = make((long_enough(case),))
    with small_blocks(inmemory_bytes=limit, resume_after=0):
        plan = plan_of(data, **CASES[case])
        with monkeypatch.context() as patch:
            patch.setattr("rayspy.executors.local.run_block", until_the_third)
            with pytest.raises(KeyboardInterrupt):
                run_plan(plan, False)
        with caplog.at_level("INFO", logger="rayspy"):
            got = spy.freqanalysis(data, parallel=False, **CASES[case])
    assert f"resuming: 2 of {plan.n_blocks} blocks done" in caplog.text
    np.testing.assert_array_equal(got.data[()], wholes[case])
    assert not list((scratch.scratch_root() / RESUME).iterdir())


def test_explain_measures_one_run_of_frequencies():
    data = make()
    with small_blocks():
        told = spy.explain(spy.freqanalysis, data, parallel=False, **BANDS["superlet-adaptive"])
        plan = plan_of(data, **BANDS["superlet-adaptive"])
    assert told.n_blocks == plan.n_blocks > 3
    assert told.seconds > 2 * told.block_seconds
    assert f"frequencies 0 to {plan.blocks[0].stop_freq - 1}" in str(plan.blocks[0])
