"""`freqanalysis` with its defaults against Syncopy and against a bare loop; see README.md."""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.fft import rfft

import rayspy as spy

SAMPLES, CHANNELS = 1000, 32


class Syncopy:
    """Syncopy in a process and environment of its own."""

    def __init__(self, python, folder, server="syncopy_server.py"):
        environment = {**os.environ, "SPYTMPDIR": str(folder), "SPYDIR": str(folder), "SPYLOGLEVEL": "ERROR"}
        command = [python, str(Path(__file__).with_name(server))]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def ask(self, command):
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(120)


def bare_range(task):
    """The arithmetic and the input and output of some trials, nothing else."""
    source, target, first, stop, n, batch = task
    x = np.memmap(source, np.float32, "r", shape=(n, SAMPLES, CHANNELS))
    window = np.hanning(SAMPLES)
    taper = (window * np.sqrt(8 / 3 / (SAMPLES * window.sum()))).astype(np.float32)[:, None]
    with Path(f"{target}.{first}").open("wb") as file:
        for k in range(first, stop, batch):
            part = x[k : min(k + batch, stop)]
            tapered = part - part.mean(axis=1, keepdims=True)
            tapered *= taper
            spectra = rfft(tapered, axis=1)
            file.write(spectra.real**2 + spectra.imag**2)


def bare(pool, source, target, n, batch):
    half = n // 2
    pool.map(bare_range, [(source, target, 0, half, n, batch), (source, target, half, n, n, batch)])
    for first in (0, half):
        Path(f"{target}.{first}").unlink()


def say(name, seconds):
    print(f"    {name}: {seconds:.4f} s", file=sys.stderr, flush=True)
    return seconds


def clock(run):
    began = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - began
    del result
    return seconds


def report(title, times, slow, fast):
    print(f"\n{title}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"  {name:28s} median {median:9.4f} s   ({min(values):.4f} to {max(values):.4f})")
    for mine in fast:
        for other in slow:
            if times.get(other):
                ratios = [b / a for a, b in zip(times[mine], times[other], strict=False)]
                print(f"  {other} / {mine}: {statistics.median(ratios):.2f}")


def large(n, repeats, syncopy, pool, folder):
    data = spy.synthdata.white_noise(nTrials=n, nSamples=SAMPLES, nChannels=CHANNELS, seed=1)
    source = str(folder / "input.dat")
    with Path(source).open("wb") as file:
        for trial in data.trials:
            file.write(trial)
    if syncopy:
        syncopy.ask(json.dumps({"nTrials": n, "nSamples": SAMPLES, "nChannels": CHANNELS}))
    runs = {
        "rayspy local": lambda: clock(lambda: spy.freqanalysis(data)),
        "bare loop": lambda: clock(lambda: bare(pool, source, str(folder / "out"), n, 4)),
        "rayspy ray": lambda: clock(lambda: spy.freqanalysis(data, parallel=True)),
        "Syncopy sequential": lambda: syncopy.ask("sequential"),
        "Syncopy Dask": lambda: syncopy.ask("dask"),
    }
    times = interleaved(runs, repeats, syncopy, few=3)
    report(f"{n} trials x {SAMPLES} samples x {CHANNELS} channels, file to file", times,
           ["bare loop", "Syncopy sequential", "Syncopy Dask"], ["rayspy local", "rayspy ray"])  # fmt: skip


def interleaved(runs, repeats, syncopy, few):
    """All runs in turn; the local executor is measured before a Ray is connected in each round."""
    from rayspy import cluster

    times = {name: [] for name in runs if syncopy or not name.startswith("Syncopy")}
    for name in times:
        if name != "rayspy ray":
            runs[name]()
    for k in range(repeats):
        for name in times:
            if name.startswith("rayspy ray") or (name.startswith("Syncopy") and k >= few):
                continue
            times[name].append(say(name, runs[name]()))
    if "rayspy ray" in runs:
        runs["rayspy ray"]()
        pairs = [(say("rayspy ray", runs["rayspy ray"]()), runs["bare loop"]()) for _ in range(repeats)]
        times["rayspy ray"] = [pair[0] for pair in pairs]
        times["bare loop (beside ray)"] = [pair[1] for pair in pairs]
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"  rayspy ray / bare loop, pair by pair: {ratio:.2f}")
        local = statistics.median(
            a / b for a, b in zip(times["rayspy local"], times["bare loop"], strict=True)
        )
        print(f"  rayspy local / bare loop, pair by pair: {local:.2f}")
        cluster.shutdown_local_ray()
    return times


def small(repeats, syncopy):
    settings = {"nTrials": 10, "nSamples": 1000, "nChannels": 4}
    data = spy.synthdata.white_noise(seed=1, **settings)
    if syncopy:
        syncopy.ask(json.dumps(settings))
    runs = {
        "rayspy local": lambda: clock(lambda: spy.freqanalysis(data)),
        "Syncopy sequential": lambda: syncopy.ask("sequential"),
    }
    report("10 trials x 1000 samples x 4 channels", interleaved(runs, repeats, syncopy, few=repeats),
           ["Syncopy sequential"], ["rayspy local"])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--syncopy", help="Python of an environment with Syncopy")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    spy.set_loglevel("WARNING")
    spy.config.num_cpus = options.cpus
    spy.config.progress = False
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as name:
        folder = Path(name)
        spy.config.scratch_dir = str(folder)
        syncopy = Syncopy(options.syncopy, folder) if options.syncopy else None
        with multiprocessing.get_context("fork").Pool(2) as pool:
            small(50, syncopy)
            large(options.trials, options.repeats, syncopy, pool, folder)
        if syncopy:
            syncopy.close()


if __name__ == "__main__":
    main()
