"""Filters and resampling against Syncopy and against bare loops over SciPy; see README.md."""

import argparse
import functools
import json
import multiprocessing
import os
import tempfile
from pathlib import Path

import numpy as np
from scipy.signal import butter, firwin, oaconvolve, resample_poly, sosfiltfilt

import rayspy as spy
from tests.benchmarks.spectra import Syncopy, clock, interleaved, report

SAMPLES, CHANNELS = 10_000, 10
BAND = {"freq": [20, 40], "filter_type": "bp"}
CALLS = {
    "Butterworth": ("preprocessing", BAND),
    "windowed sinc": ("preprocessing", {**BAND, "filter_class": "firws"}),
    "resample": ("resampledata", {"resamplefs": 300}),
}


@functools.lru_cache(maxsize=1)
def designs():
    band = firwin(1001, 40, window="hamming", fs=1000) - firwin(1001, 20, window="hamming", fs=1000)
    sections = butter(4, [20, 40], "bandpass", fs=1000, output="sos")
    return sections, band.astype(np.float32)[:, None], firwin(1001, 0.1, window="hamming").astype(np.float32)


def single(name, trial):
    """The best call of SciPy for one trial."""
    sections, band, low = designs()
    if name == "Butterworth":
        return sosfiltfilt(sections, trial, axis=0).astype(np.float32)
    if name == "windowed sinc":
        return oaconvolve(oaconvolve(trial, band, "same", axes=0), band, "same", axes=0)
    return resample_poly(trial, 3, 10, axis=0, window=low)


def bare_range(task):
    """Read, compute and write some trials, nothing else."""
    name, source, target, first, stop, n = task
    x = np.memmap(source, np.float32, "r", shape=(n, SAMPLES, CHANNELS))
    with Path(f"{target}.{first}").open("wb") as file:
        for k in range(first, stop):
            file.write(np.ascontiguousarray(single(name, x[k]), np.float32))


def bare(pool, name, source, target, n):
    half = n // 2
    pool.map(bare_range, [(name, source, target, 0, half, n), (name, source, target, half, n, n)])
    for first in (0, half):
        Path(f"{target}.{first}").unlink()


def compare(name, data, source, options, syncopy, pool, folder):
    function, settings = CALLS[name]
    if syncopy:
        syncopy.ask(json.dumps({"function": function, **settings}))
    run = functools.partial(getattr(spy, function), data, **settings)
    n = len(data.trials)
    runs = {
        "rayspy local": lambda: clock(run),
        "bare loop": lambda: clock(lambda: bare(pool, name, source, str(folder / "out"), n)),
        "rayspy ray": lambda: clock(lambda: run(parallel=True)),
        "Syncopy sequential": lambda: syncopy.ask("sequential"),
        "Syncopy Dask": lambda: syncopy.ask("dask"),
    }
    print(f"\n== {name}")
    times = interleaved(runs, options.repeats, syncopy, few=options.few)
    report(f"{name}: {n} trials x {SAMPLES} samples x {CHANNELS} channels, file to file", times,
           ["bare loop", "Syncopy sequential", "Syncopy Dask"], ["rayspy local", "rayspy ray"])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncopy", help="Python of an environment with Syncopy")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--few", type=int, default=3, help="repetitions of Syncopy")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--call", choices=tuple(CALLS))
    options = parser.parse_args()
    spy.set_loglevel("WARNING")
    spy.config.num_cpus = options.cpus
    spy.config.progress = False
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as name:
        folder = Path(name)
        spy.config.scratch_dir = str(folder)
        syncopy = Syncopy(options.syncopy, folder) if options.syncopy else None
        settings = {"nTrials": options.trials, "nSamples": SAMPLES, "nChannels": CHANNELS}
        data = spy.synthdata.white_noise(seed=1, **settings)
        source = str(folder / "input.dat")
        with Path(source).open("wb") as file:
            for trial in data.trials:
                file.write(trial)
        if syncopy:
            syncopy.ask(json.dumps(settings))
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for call in [options.call] if options.call else CALLS:
                compare(call, data, source, options, syncopy, pool, folder)
        if syncopy:
            syncopy.close()


if __name__ == "__main__":
    main()
