"""Spikes: a table of 10^8 rows, one read per analysis; phase locking against Elephant; see README.md.

``tables`` times definetrial, rates, histograms and intervals of 500 units in 1,000 trials against bare
NumPy on the same file. ``ppc`` times pairwise phase consistency of 100 units x 64 channels x 40
frequencies over an hour at 1 kHz, and Elephant's loop over a small part of the same. CPU seconds count
where others use the machine.
"""

import argparse
import resource
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import rayspy as spy

RATE, UNITS, TRIALS, BIN = 30_000, 500, 1000, 0.05


@contextmanager
def timed(name):
    """Print wall and CPU seconds, and the largest memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {name:28s} {wall:7.2f} s, {cpu:7.2f} CPU s, {peak:.2f} GiB at most", flush=True)


def write_table(path, n):
    """Write a table of n spikes block by block, no two at the same sample."""
    rng = np.random.default_rng(0)
    last = 0
    with path.open("wb") as file:
        header = {"descr": "<i8", "fortran_order": False, "shape": (n, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, n, 2**20):
            rows = min(2**20, n - first)
            samples = last + np.cumsum(rng.integers(1, 22, rows))
            block = np.column_stack([samples, np.zeros(rows, int), rng.integers(0, UNITS, rows)])
            file.write(block.astype("<i8").tobytes())
            last = int(samples[-1])
    return last


def bare(path, trl, measure):
    """One pass in NumPy over the rows of all trials."""
    table = np.load(path, mmap_mode="r")
    bounds = np.searchsorted(table[:, 0], trl[:, :2].astype(np.int64))
    n_bins = int(np.ceil((trl[0, 1] - trl[0, 0]) / RATE / BIN))
    total = 0.0
    for (first, stop), start in zip(bounds, trl[:, 0].astype(int), strict=True):
        rows = np.fromfile(path, np.int64, (stop - first) * 3, offset=table.offset + first * 24).reshape(
            -1, 3
        )
        total = total + measure(rows, start, n_bins)
    return total


def rates(rows, start, n_bins):
    """Mean and mean square of counts."""
    counts = np.bincount(rows[:, 2], minlength=UNITS).astype(float)
    return np.stack([counts, counts**2])


def histogram(rows, start, n_bins):
    """Sum and sum of squares of counts per bin."""
    bins = (rows[:, 0] - start) // int(RATE * BIN)
    counts = np.bincount(bins * UNITS + rows[:, 2], minlength=n_bins * UNITS).astype(float)
    return np.stack([counts, counts**2])


def intervals(rows, start, n_bins):
    """Histogram, sum and sum of squares of intervals."""
    order = np.argsort(rows[:, 2].astype(np.uint16), kind="stable")
    units, gaps = rows[order, 2], np.diff(rows[order, 0])
    same = units[1:] == units[:-1]
    gaps, units = gaps[same], units[1:][same]
    places = np.minimum(gaps // 150, 200)
    counts = np.bincount(units * 201 + places, minlength=201 * UNITS).astype(float)
    sums = [np.bincount(units, weights=gaps**k, minlength=UNITS) for k in (1, 2)]
    return np.concatenate([counts, *sums])


def tables(n):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spikes.npy"
        last = write_table(path, n)
        edges = np.arange(TRIALS + 1) * (last // TRIALS)
        trl = np.column_stack([edges[:-1], edges[1:], np.zeros(TRIALS)])
        print(f"{n:.0e} spikes of {UNITS} units, {TRIALS} trials, {path.stat().st_size / 2**30:.2f} GiB")
        small = spy.SpikeData(np.array([[0, 0, 0], [5, 0, 0]]), samplerate=RATE)
        for function in (spy.spike_rate, spy.spike_psth, spy.spike_isi):
            function(small, parallel=False, **({"binsize": 1e-4} if function is spy.spike_psth else {}))
        spikes = spy.SpikeData(path, samplerate=RATE)
        with timed("definetrial"):
            spy.definetrial(spikes, trl)
        with timed("first look at the codes"):
            assert len(spikes.unit) == UNITS
        for parallel in (False, None):
            print(" one thread" if parallel is False else " all cores")
            with timed("rates"):
                spy.spike_rate(spikes, parallel=parallel)
            with timed("histograms"):
                spy.spike_psth(spikes, binsize=BIN, keeptrials=False, parallel=parallel)
            with timed("intervals"):
                spy.spike_isi(spikes, parallel=parallel)
        print(" bare NumPy")
        for measure in (rates, histogram, intervals):
            with timed(measure.__name__):
                bare(path, trl, measure)


def recording(seconds, n_channels, n_units):
    """Noise, and Poisson trains of 5 Hz."""
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((seconds * 1000, n_channels), dtype=np.float32)
    n = rng.poisson(5 * seconds * n_units)
    rows = np.column_stack(
        [rng.integers(0, seconds * 1000, n), np.zeros(n, int), rng.integers(0, n_units, n)]
    )
    trl = np.column_stack(
        [np.arange(seconds // 10) * 10_000, np.arange(1, seconds // 10 + 1) * 10_000, np.zeros(seconds // 10)]
    )
    lfp = spy.AnalogData(signals, samplerate=1000, trialdefinition=trl)
    return lfp, spy.SpikeData(np.unique(rows, axis=0), samplerate=1000, trialdefinition=trl)


def elephant_ppc(seconds, n_channels, n_units, freqs):
    """Hilbert phase at spikes, channel by channel and unit by unit, as its users write it."""
    import neo
    import quantities as pq
    from elephant.phase_analysis import spike_triggered_phase
    from elephant.signal_processing import butter, hilbert

    lfp, spikes = recording(seconds, n_channels, n_units)
    stop = seconds * pq.s
    trains = [neo.SpikeTrain(t * pq.s, t_stop=stop) for t in spy.spikes_to_times(spikes).values()]
    found = []
    with timed(f"Elephant, {n_units} x {n_channels} x {len(freqs)}, {seconds} s"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for channel in range(n_channels):
            signal = neo.AnalogSignal(np.array(lfp.data[:, channel]), units="mV", sampling_rate=1 * pq.kHz)
            for freq in freqs:
                analytic = hilbert(butter(signal, 0.8 * freq * pq.Hz, 1.2 * freq * pq.Hz))
                for train in trains:
                    phases, _, _ = spike_triggered_phase(analytic, train, interpolate=True)
                    u = np.exp(1j * np.asarray(phases[0])).sum()
                    n = len(phases[0])
                    found.append((abs(u) ** 2 - n) / (n * (n - 1)))
    return found


def ppc(seconds, n_channels, n_units):
    freqs = np.linspace(5, 83, 40)
    lfp, spikes = recording(seconds, n_channels, n_units)
    spy.spiketriggeredspectrum(*recording(20, 1, 1), foi=[20], parallel=False)
    for parallel in (False, None):
        threads = "one thread" if parallel is False else "all cores"
        with timed(f"rayspy, {n_units} x {n_channels} x 40, {seconds} s, {threads}"):
            spy.spiketriggeredspectrum(lfp, spikes, foi=freqs, output="ppc0", parallel=parallel)
    elephant_ppc(min(seconds, 60), 2, 4, freqs[::20])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=("tables", "ppc"))
    parser.add_argument("--spikes", type=float, default=1e8)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--units", type=int, default=100)
    options = parser.parse_args()
    spy.set_loglevel("WARNING")
    if options.job == "tables":
        tables(int(options.spikes))
    else:
        ppc(options.seconds, options.channels, options.units)


if __name__ == "__main__":
    main()
