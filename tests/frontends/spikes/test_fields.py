"""Spikes with fields: numbers, samplerates, trials, every executor and cut, refusals."""

import numpy as np
import pytest

import rayspy as spy
from rayspy.errors import InvalidTypeError, InvalidValueError
from tests.helpers import run_on

FS, SPIKE_FS = 500, 20_000
N_TRIALS = 6


def make(seed=0, locked=True, spike_rate=SPIKE_FS):
    """Trials of two lengths with a 20 Hz rhythm; unit 0 follows its phase, unit 1 does not."""
    rng = np.random.default_rng(seed)
    signals, rows, trl, spike_trl = [], [], [], []
    begin = 0
    for k in range(N_TRIALS):
        n = 400 + 50 * (k % 2)
        t = (np.arange(n) - 100) / FS
        phase = rng.uniform(0, 2 * np.pi)
        wave = np.cos(2 * np.pi * 20 * t + phase)
        signals.append(np.column_stack([wave, -wave, 0 * wave]) + rng.normal(0, 0.3, (n, 3)))
        trl.append([begin, begin + n, -100, k])
        ratio = spike_rate // FS
        start = begin * ratio + 3
        spike_trl.append([start, start + n * ratio, -100 * ratio])
        times = np.arange(0, n * ratio, ratio)
        rate = 0.06 * (1 + (0.9 * wave if locked else 0))
        for unit, p in ((0, rate), (1, np.full(n, 0.05))):
            found = times[rng.random(n) < p]
            rows += [[start + s, 1, unit] for s in found.tolist()]
        begin += n
    table = np.array(sorted(rows))
    lfp = spy.AnalogData(
        np.concatenate(signals).astype("f4"), samplerate=FS, trialdefinition=np.array(trl, float),
        channel=["a", "b", "c"],
    )  # fmt: skip
    spikes = spy.SpikeData(
        table, samplerate=spike_rate, trialdefinition=np.array(spike_trl), unit=["locked", "free"]
    )
    return lfp, spikes


def at_spikes(lfp, spikes, unit):
    """Sample numbers of the spikes of a unit in each trial of the signals."""
    found = []
    for rows, times in zip(spikes.trials, spikes.time, strict=True):
        found.append(np.rint((times[rows[:, 2] == unit]) * FS).astype(int) + 100)
    return found


def test_average():
    lfp, spikes = make()
    got = spy.spiketriggeredaverage(lfp, spikes, timwin=[-0.02, 0.03])
    assert list(got.channel[:4]) == [
        "channel1_locked--a",
        "channel1_locked--b",
        "channel1_locked--c",
        "channel1_free--a",
    ]
    for unit in range(2):
        pieces = [
            trial[i - 10 : i + 16]
            for trial, at in zip(lfp.trials, at_spikes(lfp, spikes, unit), strict=True)
            for i in at if i >= 10 and i + 15 < len(trial)
        ]  # fmt: skip
        own = slice(3 * unit, 3 * unit + 3)
        assert (got.dof[:, own] == len(pieces)).all()
        np.testing.assert_allclose(got.avg[:, own], np.mean(np.asarray(pieces, float), axis=0), atol=1e-12)
        np.testing.assert_allclose(got.var[:, own], np.var(np.asarray(pieces, float), axis=0), atol=1e-12)
    np.testing.assert_allclose(got.time[0], np.arange(-10, 16) / FS)
    assert got.avg[10, 0] > 0.3


def test_phases():
    lfp, spikes = make()
    found = spy.spiketriggeredspectrum(
        lfp, spikes, foi=[20, 45], output=["ppc0", "ppc1", "ppc2", "plv", "ral", "ang"]
    )
    ppc = found["ppc1"]
    assert ppc.data.shape == (1, 2, 2, 3)
    assert ppc.channel_i.tolist() == ["channel1_locked", "channel1_free"]
    assert ppc.data[0, 0, 0, 0] > 0.1
    assert abs(ppc.data[0, 0, 1, 0]) < 0.02
    assert abs(ppc.data[0, 1, 0, 0]) < 0.02
    assert abs(found["ang"].data[0, 0, 0, 0]) < 0.3
    assert abs(abs(found["ang"].data[0, 0, 0, 1]) - np.pi) < 0.3
    assert found["ral"].data[0, 0, 0, 0] < 1e-6
    one = spy.spiketriggeredspectrum(
        spikes, lfp, foi=[20, 45], output="ppc1", unit="locked", select={"channel": "b"}
    )
    assert one.data.shape == (1, 2, 1, 1)
    np.testing.assert_array_equal(one.data[0, :, 0, 0], ppc.data[0, :, 0, 1])


def test_single_spikes_give_the_same_measures():
    lfp, spikes = make()
    each = spy.spiketriggeredspectrum(lfp, spikes, foi=[20], output="fourier", unit="locked")
    z = each.data[:, 0, 0, :].astype(complex)
    times = np.concatenate([t[r[:, 2] == 0] for r, t in zip(spikes.trials, spikes.time, strict=True)])
    np.testing.assert_allclose(each.info["spiketime"], times, atol=1e-9)
    assert set(each.info["cell"]) == {"channel1_locked"}
    z = z[np.isfinite(z[:, 0])]
    u = (z / np.abs(z)).sum(axis=0)
    ppc = (np.abs(u) ** 2 - len(z)) / (len(z) * (len(z) - 1))
    got = spy.spiketriggeredspectrum(lfp, spikes, foi=[20], output="ppc0", unit="locked")
    np.testing.assert_allclose(got.data[0, 0, 0], ppc, rtol=1e-5)
    assert got.info["n_spikes"] == [len(z)]
    assert [len(trial) for trial in each.trials] == [len(at) for at in at_spikes(lfp, spikes, 0)]


def test_spikes_between_samples_are_turned_on():
    lfp, spikes = make()
    fine = spikes.data[()] + np.array([SPIKE_FS // FS // 2 - 1, 0, 0])
    moved = spy.SpikeData(fine, samplerate=SPIKE_FS, trialdefinition=spikes.trialdefinition, unit=["l", "f"])
    before = spy.spiketriggeredspectrum(lfp, spikes, foi=[20], output="ang", unit=0).data[0, 0, 0, 0]
    after = spy.spiketriggeredspectrum(lfp, moved, foi=[20], output="ang", unit=0).data[0, 0, 0, 0]
    assert after - before == pytest.approx(2 * np.pi * 20 * (19 / SPIKE_FS), abs=1e-3)


def test_coherence():
    lfp, spikes = make()
    got = spy.spikefieldcoherence(lfp, spikes, foilim=[10, 60], tapsmofrq=4)
    assert got.freq[[0, -1]].tolist() == pytest.approx([10, 60])
    peak = int(np.abs(got.freq - 20).argmin())
    assert got.data[0, peak, 0, 0] > 0.6
    assert got.data[0, peak, 1, 0] < 0.5
    power = spy.spikefieldcoherence(lfp, spikes, foilim=[10, 60], tapsmofrq=4, output="pow")
    np.testing.assert_allclose(power.data[()], got.data[()] ** 2)
    angle = spy.spikefieldcoherence(lfp, spikes, foilim=[20, 21], tapsmofrq=4, output="angle")
    assert abs(angle.data[0, 0, 0, 0]) < 0.3
    lower = spy.spikefieldcoherence(lfp, spikes, foilim=[10, 60], tapsmofrq=4, rate=5.0)
    assert lower.data[0, peak, 0, 0] < got.data[0, peak, 0, 0]


def test_selections_of_trials_and_latency_go_by_trial_and_time():
    lfp, spikes = make()
    some = spy.spiketriggeredaverage(lfp, spikes, timwin=[-0.02, 0.02], select={"trials": [4, 1]})
    both = [data.selectdata(trials=[4, 1]) for data in (lfp, spikes)]
    np.testing.assert_allclose(spy.spiketriggeredaverage(*both, timwin=[-0.02, 0.02]).avg, some.avg)
    late = {"latency": [0.1, 0.5]}
    cut = spy.spiketriggeredaverage(lfp.selectdata(**late), spikes, timwin=[-0.02, 0.02])
    np.testing.assert_allclose(
        cut.avg, spy.spiketriggeredaverage(lfp, spikes, timwin=[-0.02, 0.02], select=late).avg
    )


CALLS = {
    "average": (spy.spiketriggeredaverage, {"timwin": [-0.02, 0.02]}),
    "phases": (spy.spiketriggeredspectrum, {"foi": [20, 45], "output": "ppc1"}),
    "each": (spy.spiketriggeredspectrum, {"foi": [20], "output": "fourier"}),
    "coherence": (spy.spikefieldcoherence, {"foilim": [5, 50], "output": "complex"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_same_bits_for_every_cut_and_from_files(call, tmp_path):
    function, kwargs = CALLS[call]
    lfp, spikes = make()
    np.save(tmp_path / "spikes.npy", spikes.data[()])
    stored = spy.SpikeData(
        tmp_path / "spikes.npy", samplerate=SPIKE_FS, trialdefinition=spikes.trialdefinition,
    )  # fmt: skip
    stored.unit = ["locked", "free"]
    lfp.data[()].tofile(tmp_path / "lfp.dat")
    raw = spy.AnalogData(
        spy.raw_binary(tmp_path / "lfp.dat", "float32", 3), samplerate=FS,
        trialdefinition=lfp.trialdefinition, channel=["a", "b", "c"],
    )  # fmt: skip
    with spy.config.using(block_bytes=12_000):
        wanted = function(lfp, spikes, parallel=False, **kwargs).data[()]
        assert (wanted != 0).any()
        for width in (1, 2, 3):
            got = function(raw, stored, chan_per_worker=width, **kwargs).data[()]
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("executor", ["local-2", "ray-3", "dask_on_ray-2", "dask-2"])
def test_same_bits_on_every_executor(executor, request):
    lfp, spikes = make()
    with spy.config.using(block_bytes=12_000):
        wanted = {c: f(lfp, spikes, parallel=False, **kwargs).data[()] for c, (f, kwargs) in CALLS.items()}
        with run_on(executor, request) as options:
            for call, (function, kwargs) in CALLS.items():
                np.testing.assert_array_equal(
                    function(lfp, spikes, **kwargs, **options).data[()], wanted[call]
                )


LFP, SPIKES = make()
OTHER_RATE = spy.SpikeData(SPIKES.data[()], samplerate=SPIKE_FS, trialdefinition=LFP.trialdefinition)
FEWER = SPIKES.selectdata(trials=[0, 1])


@pytest.mark.parametrize(
    ("function", "options", "error", "name"),
    [
        ("spiketriggeredaverage", {"data": 3}, InvalidTypeError, "data"),
        ("spiketriggeredaverage", {"spikes": 3}, InvalidTypeError, "spikes"),
        ("spiketriggeredaverage", {"spikes": None}, InvalidTypeError, "spikes"),
        ("spiketriggeredaverage", {"spikes": spy.SpikeData()}, InvalidValueError, "spikes"),
        ("spiketriggeredaverage", {"spikes": OTHER_RATE}, InvalidValueError, "spikes"),
        ("spiketriggeredaverage", {"spikes": FEWER}, InvalidValueError, "spikes"),
        ("spiketriggeredaverage", {"data": spy.AnalogData(np.ones((5, 2)))}, InvalidValueError, "data"),
        ("spiketriggeredaverage", {"data": LFP * 1j}, InvalidValueError, "data"),
        ("spiketriggeredaverage", {"timwin": 0.1}, InvalidTypeError, "timwin"),
        ("spiketriggeredaverage", {"timwin": [0.1, 0.2]}, InvalidValueError, "timwin"),
        ("spiketriggeredaverage", {"timwin": [-5, 5]}, InvalidValueError, "timwin"),
        ("spiketriggeredaverage", {"unit": "nobody"}, InvalidValueError, "select: unit"),
        ("spiketriggeredaverage", {"chan_per_worker": 0}, InvalidValueError, "chan_per_worker"),
        ("spiketriggeredspectrum", {}, InvalidValueError, "foi"),
        ("spiketriggeredspectrum", {"foi": [0, 20]}, InvalidValueError, "foi"),
        ("spiketriggeredspectrum", {"foi": [20, 300]}, InvalidValueError, "foi"),
        ("spiketriggeredspectrum", {"foi": [20], "t_ftimwin": [0.1, 0.2]}, InvalidValueError, "t_ftimwin"),
        ("spiketriggeredspectrum", {"foi": [20], "t_ftimwin": 3}, InvalidValueError, "t_ftimwin"),
        ("spiketriggeredspectrum", {"foi": [20], "t_ftimwin": 0.001}, InvalidValueError, "t_ftimwin"),
        ("spiketriggeredspectrum", {"foi": [20], "cycles": 0}, InvalidValueError, "cycles"),
        ("spiketriggeredspectrum", {"foi": [20], "taper": "foo"}, InvalidValueError, "taper"),
        ("spiketriggeredspectrum", {"foi": [20], "output": "coh"}, InvalidValueError, "output"),
        ("spiketriggeredspectrum", {"foi": [20], "output": []}, InvalidValueError, "output"),
        ("spiketriggeredspectrum", {"foi": [20], "output": ["plv", "fourier"]}, InvalidValueError, "output"),
        ("spikefieldcoherence", {"foilim": [20, 10]}, InvalidValueError, "foilim"),
        ("spikefieldcoherence", {"foilim": [20.1, 20.2]}, InvalidValueError, "foilim"),
        ("spikefieldcoherence", {"tapsmofrq": 0.1}, InvalidValueError, "tapsmofrq"),
        ("spikefieldcoherence", {"nTaper": 100}, InvalidValueError, "nTaper"),
        ("spikefieldcoherence", {"taper": "hann", "tapsmofrq": 4}, InvalidValueError, "taper"),
        ("spikefieldcoherence", {"output": "foo"}, InvalidValueError, "output"),
        ("spikefieldcoherence", {"rate": 0}, InvalidValueError, "rate"),
    ],
)
def test_wrong_arguments(function, options, error, name):
    with pytest.raises(error, match=f"`{name}`"):
        getattr(spy, function)(**{"data": LFP, "spikes": SPIKES, **options})
