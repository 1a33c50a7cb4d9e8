"""Time-frequency methods against Syncopy, MNE and bare loops; see README.md."""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.fft import fft, ifft, next_fast_len, rfft

import rayspy as spy
from tests.benchmarks.spectra import Syncopy

RATE, SAMPLES = 1000.0, 2000
FOI = [float(f) for f in range(5, 105, 5)]
WINDOW = {"t_ftimwin": 0.2, "toi": 0.5}
CASES = {
    "superlet, order_max 2": (3, 4, {"method": "superlet", "order_max": 2}),
    "superlet, order_max 4": (3, 4, {"method": "superlet", "order_max": 4}),
    "superlet, order_max 8": (3, 4, {"method": "superlet", "order_max": 8}),
    "mtmconvol": (0, 8, {"method": "mtmconvol", **WINDOW}),
    "welch": (0, 8, {"method": "welch", **WINDOW}),
    "wavelet": (0, 8, {"method": "wavelet", "foi": FOI}),
    "wavelet, every 10 ms": (
        0,
        8,
        {"method": "wavelet", "foi": FOI, "toi": [k / 100 for k in range(200)]},
    ),
    "mtmconvol, every sample": (
        -10,
        8,
        {"method": "mtmconvol", "t_ftimwin": 0.2, "toi": "all", "foi": FOI, "tapsmofrq": 5},
    ),
}
"""Trials (0: as many as asked for, -10: a tenth), channels, settings."""


def tell(text):
    print(text, file=sys.stderr, flush=True)


# -- bare loops: the necessary transforms and writes, in two processes ------------------------------


def filters(settings):
    """Spectra of all filters per frequency, with one length of transform each; made before the clock runs."""
    from rayspy.kernels.spectral.wavelets import (
        automatic_periods,
        fourier_factor,
        sampled_superlet,
        sampled_wavelet,
    )

    if settings["method"] == "wavelet":
        factor = fourier_factor("Morlet", 6)
        taps = [[sampled_wavelet("Morlet", 6.0, 1 / (f * factor), RATE, SAMPLES - 1)] for f in FOI]
    else:
        orders = range(1, settings["order_max"] + 1)
        scales = automatic_periods(RATE, SAMPLES, 2 * np.pi) / (2 * np.pi)
        taps = [[sampled_superlet(3 * k, s, RATE, SAMPLES - 1) for k in orders] for s in scales]
    return [[spectrum(h, first, step_of(settings)) for h, first in some] for some in taps]


def step_of(settings):
    """Samples from one result to the next."""
    return round((settings["toi"][1] - settings["toi"][0]) * RATE) if "toi" in settings else 1


def spectrum(taps, first, step):
    n = step * next_fast_len(-(-(SAMPLES + max(-first, len(taps) + first - 1)) // step))
    wrapped = np.zeros(n, np.complex128)
    wrapped[(first + np.arange(len(taps))) % n] = taps
    return fft(wrapped).astype(np.complex64)


def bare_filters(x, bank, step, file):
    """Wavelet and superlet power of trials x samples x channels."""
    for trial in x:
        lines = (trial - trial.mean(axis=0)).T
        spectra = {n: fft(lines, n).astype(np.complex64) for n in {len(h) for some in bank for h in some}}
        n_rows = -(-SAMPLES // step)
        out = np.empty((n_rows, len(bank), len(lines)), np.float32)
        for f, some in enumerate(bank):
            power = 1
            for h in some:
                product = spectra[len(h)] * h
                if step > 1:
                    product = product.reshape(len(lines), step, -1).sum(axis=1) / step
                power = power * np.abs(ifft(product, overwrite_x=True)[:, :n_rows])
            out[:, f] = (power ** (2 / len(some)) if len(some) != 2 else power).T
        file.write(out)


def bare_windows(x, settings, file):
    """Power of tapered windows, all or averaged, of trials x samples x channels."""
    n, hop = 200, 1 if settings["toi"] == "all" else 100
    window = np.hanning(n)
    taper = (window * np.sqrt(8 / 3 / (n * window.sum()))).astype(np.float32)[:, None]
    padded = np.pad(x, ((0, 0), (n // 2, n), (0, 0)))
    bins = slice(1, 21) if "foi" in settings else slice(None)
    for trial in padded:
        every = np.lib.stride_tricks.sliding_window_view(trial, n, axis=0)[:SAMPLES:hop]
        for k in range(0, len(every), 100):
            some = every[k : k + 100].transpose(0, 2, 1)
            some = (some - some.mean(axis=1, keepdims=True)) * taper
            power = np.abs(rfft(some, axis=1)[:, bins]) ** 2
            file.write(power if settings["method"] == "mtmconvol" else power.mean(axis=0))


def bare_half(task):
    path, half, settings, target = task
    trials = np.load(path, mmap_mode="r")
    lines = len(trials) * trials.shape[2]
    if len(trials) < 10:  # few trials: each process takes half of the channels
        part = trials[:, :, half * trials.shape[2] // 2 : (half + 1) * trials.shape[2] // 2]
    else:
        part = trials[half * len(trials) // 2 : (half + 1) * len(trials) // 2]
    bank = BANKS.get(json.dumps(settings))
    with Path(f"{target}.{half}").open("wb") as file:
        if bank is None:
            bare_windows(np.asarray(part), settings, file)
        else:
            bare_filters(np.asarray(part), bank, step_of(settings), file)
    Path(f"{target}.{half}").unlink()
    return lines


BANKS = {}


def clock(run):
    began = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - began
    del result
    return seconds


# -- MNE --------------------------------------------------------------------------------------------


def mne_run(trials, settings):
    """The same frequencies with MNE, two processes; power."""
    from mne.time_frequency import tfr_array_morlet, tfr_array_multitaper

    epochs, freqs = trials.transpose(0, 2, 1).astype(float), np.array(FOI)
    if settings["method"] == "wavelet":
        scaled = freqs * 6 / (2 * np.pi) * 4 * np.pi / (6 + np.sqrt(38))
        return tfr_array_morlet(
            epochs, RATE, scaled, n_cycles=6, zero_mean=False, output="power", decim=step_of(settings),
            n_jobs=2, verbose="ERROR",
        )  # fmt: skip
    return tfr_array_multitaper(
        epochs, RATE, freqs, n_cycles=freqs * 0.2, time_bandwidth=2.0, zero_mean=False, output="power",
        n_jobs=2, verbose="ERROR",
    )  # fmt: skip


def runs_of(data, trials, settings, path, pool, folder, syncopy):
    runs = {
        "rayspy local": lambda: clock(lambda: spy.freqanalysis(data, **settings)),
        "bare loop": lambda: clock(
            lambda: pool.map(bare_half, [(path, half, settings, str(folder / "out")) for half in (0, 1)], 1)
        ),
    }
    if syncopy:
        runs["Syncopy sequential"] = lambda: syncopy.ask(json.dumps({"run": settings}))
        runs["Syncopy Dask"] = lambda: syncopy.ask(json.dumps({"run": settings, "dask": True}))
    if "foi" in settings:
        runs["MNE, n_jobs=2"] = lambda: clock(lambda: mne_run(trials, settings))
    return runs


def measure(runs, repeats, slow):
    times = {name: [] for name in runs}
    for name, run in runs.items():
        tell(f"    warm-up: {name}")
        run()
    for k in range(repeats):
        for name, run in runs.items():
            if k < slow or not name.startswith(("Syncopy", "MNE")):
                times[name].append(run())
    return times


def report(name, shape, times, deviations):
    print(f"\n{name}: {shape[0]} trials x {shape[1]} samples x {shape[2]} channels")
    mine = statistics.median(times["rayspy local"])
    for other, values in times.items():
        median = statistics.median(values)
        ratio = "" if other == "rayspy local" else f"   {median / mine:8.2f} x rayspy local"
        print(f"  {other:20s} {median:9.4f} s  ({min(values):.4f} to {max(values):.4f}){ratio}")
    pairs = zip(times["rayspy local"], times["bare loop"], strict=True)
    print(f"  rayspy local / bare loop, pair by pair: {statistics.median(a / b for a, b in pairs):.2f}")
    for other, deviation in deviations.items():
        print(f"  largest deviation from {other}, relative to the largest value: {deviation:.2g}")
    sys.stdout.flush()


def deviations_of(data, trials, settings, syncopy, folder, runs):
    """Compare the first trial."""
    mine = spy.freqanalysis(data, select={"trials": [0]}, **settings).data[()]
    found = {}
    if syncopy:
        target = str(folder / "first.npy")
        command = {"run": {**settings, "select": {"trials": [0]}}, "save": target}
        syncopy.ask(json.dumps(command))
        theirs = np.load(target)
        found["Syncopy"] = np.abs(mine - theirs).max() / np.abs(theirs).max()
    if "MNE, n_jobs=2" in runs:
        theirs = mne_run(trials[:1], settings)[0].transpose(2, 1, 0)[:, None]
        inner = slice(len(mine) * 3 // 20, -len(mine) * 3 // 20)
        scale = mine[inner].mean(axis=(0, 3), keepdims=True) / theirs[inner].mean(axis=(0, 3), keepdims=True)
        found["MNE (scaled per frequency)"] = np.abs(mine - scale * theirs)[inner].max() / mine[inner].max()
    return found


def prepare(name, n_trials, folder):
    n, channels, settings = CASES[name]
    n = n if n > 0 else max(1, n_trials // 10) if n < 0 else n_trials
    data = spy.synthdata.white_noise(nTrials=n, nSamples=SAMPLES, nChannels=channels, seed=1, samplerate=RATE)
    data.trialdefinition = data.trialdefinition * [1, 1, 0]  # the first sample is at 0 s
    trials = data.data[()].reshape(n, SAMPLES, channels)
    path = str(folder / "trials.npy")
    np.save(path, trials)
    if settings["method"] in ("wavelet", "superlet"):
        BANKS[json.dumps(settings)] = filters(settings)
    return data, trials, path, settings


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncopy", help="Python of an environment with Syncopy")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--slow-repeats", type=int, default=3, help="of Syncopy and MNE")
    parser.add_argument("--only", help="part of the name of a case")
    parser.add_argument("--ray", action="store_true", help="afterwards, the same on Ray actors")
    options = parser.parse_args()
    spy.set_loglevel("WARNING")
    spy.config.num_cpus, spy.config.progress = 2, False
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as name:
        folder = Path(name)
        spy.config.scratch_dir = str(folder)
        syncopy = Syncopy(options.syncopy, folder, "syncopy_methods.py") if options.syncopy else None
        chosen = [case for case in CASES if (options.only or "") in case]
        local = {}
        for case in chosen:
            tell(f"{case}: making data")
            data, trials, path, settings = prepare(case, options.trials, folder)
            if syncopy:
                np.savez(folder / "trials.npz", trials=trials, samplerate=RATE)
                syncopy.ask(json.dumps({"data": str(folder / "trials.npz")}))
            with multiprocessing.get_context("fork").Pool(2) as pool:
                runs = runs_of(data, trials, settings, path, pool, folder, syncopy)
                times = measure(runs, options.repeats, options.slow_repeats)
            local[case] = statistics.median(times["rayspy local"])
            report(case, trials.shape, times, deviations_of(data, trials, settings, syncopy, folder, runs))
        if syncopy:
            syncopy.close()
        if options.ray:
            on_ray(chosen, options, folder, local)


def on_ray(chosen, options, folder, local):
    from rayspy import cluster

    print("\non Ray actors (a Ray of 2 CPUs that is up)")
    for case in chosen:
        tell(f"{case}: Ray")
        data, _, _, settings = prepare(case, options.trials, folder)
        spy.freqanalysis(data, parallel=True, **settings)
        times = [
            clock(lambda d=data, s=settings: spy.freqanalysis(d, parallel=True, **s))
            for _ in range(options.repeats)
        ]
        median = statistics.median(times)
        print(f"  {case:26s} {median:9.4f} s   {median / local[case]:.2f} x local threads")
    cluster.shutdown_local_ray()


if __name__ == "__main__":
    main()
