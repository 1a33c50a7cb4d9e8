"""182,603 short trials: averaged spectrum and channel selection, time and peak memory; see README.md.

With --bare: the averaged spectrum in turn with a loop of two threads that only reads, transforms and adds.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from scipy.fft import rfft
from scipy.signal.windows import hann

import rayspy as spy

TRIALS, SAMPLES, CHANNELS = 182_603, 51, 220


def make(path, n_trials):
    """Write the raw file block by block."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((1000 * SAMPLES, CHANNELS), dtype=np.float32)
    with path.open("wb") as file:
        for first in range(0, n_trials, 1000):
            file.write(noise[: min(1000, n_trials - first) * SAMPLES])


def memory(field):
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{field}:")[1].split()[0]) / 2**20


def open_data(path, n_trials):
    stops = np.arange(1, n_trials + 1) * SAMPLES
    trl = np.column_stack([stops - SAMPLES, stops, np.full(n_trials, -10)])
    raw = spy.raw_binary(path, "float32", CHANNELS)
    return spy.AnalogData(raw, samplerate=1000.0, trialdefinition=trl)


def watch(before, peaks, done):
    """Note the largest resident size of this process and all below it, four times a second."""
    while not done.wait(0.25):
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                size = process.memory_info().rss / 2**30
                before.setdefault(process.pid, size)
                peaks[process.pid] = max(peaks.get(process.pid, 0.0), size)


def work(job, path, n_trials, parallel):
    """One job in this process."""
    spy.set_loglevel("WARNING")
    data = open_data(path, n_trials)
    spy.freqanalysis(data, select={"trials": [0]}, parallel=parallel)
    before, peaks, done = {os.getpid(): memory("VmRSS")}, {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(before, peaks, done))
    watcher.start()
    began = time.perf_counter()
    if job == "average":
        result = spy.freqanalysis(data, keeptrials=False, parallel=parallel)
    elif job == "pairs":
        found = spy.connectivityanalysis(data, method=["csd", "wpli_debiased"], parallel=parallel)
        result = found["wpli_debiased"]
    else:
        result = spy.selectdata(data, channel=list(range(0, CHANNELS, 2)), parallel=parallel)
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    peaks[os.getpid()] = memory("VmHWM")
    above = max(peak - before[pid] for pid, peak in peaks.items())
    size = " x ".join(map(str, result.data.shape))
    print(f"  {job:8s} {n_trials:7d} trials -> {size}: {seconds:.1f} s, peak {above:.3f} GiB above its start")


def bare(path, n_trials, together=400, few=64):
    """The same average by two threads that only read, transform and add."""
    taper = hann(SAMPLES, sym=False).astype(np.float32)[:, None]

    def summed(first):
        x = np.empty((min(together, n_trials - first), SAMPLES, CHANNELS), np.float32)
        with path.open("rb", buffering=0) as file:
            file.seek(first * SAMPLES * CHANNELS * x.itemsize)
            file.readinto(x)
        total = np.zeros((SAMPLES // 2 + 1, CHANNELS))
        for low in range(0, len(x), few):
            z = rfft(x[low : low + few] * taper, axis=1)
            total += (z.real**2 + z.imag**2).sum(axis=0, dtype=np.float64)
        return total

    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(summed, range(0, n_trials, together))) / n_trials


def compare(path, n_trials, repeats=5):
    """Wall and CPU time of the average as shares of those of the bare loop, in turn."""
    spy.set_loglevel("WARNING")
    data = open_data(path, n_trials)
    ratios = []
    for _ in range(repeats):
        marks = [(time.perf_counter(), time.process_time())]
        for run in (lambda: bare(path, n_trials), lambda: spy.freqanalysis(data, keeptrials=False)):
            run()
            marks.append((time.perf_counter(), time.process_time()))
        theirs, ours = np.diff(marks, axis=0)
        ratios.append(ours / theirs)
    wall, cpu = np.median(ratios, axis=0)
    print(f"  average of {n_trials} trials over the bare loop: wall {wall:.2f}, CPU {cpu:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("tenth", "full"), default="tenth")
    parser.add_argument("--ray", action="store_true", help="on Ray actors instead of local threads")
    parser.add_argument("--bare", action="store_true", help="compare the average with a bare loop")
    parser.add_argument("--pairs", action="store_true", help="csd and wpli_debiased of all pairs instead")
    parser.add_argument("--job", choices=("average", "select", "pairs"))
    parser.add_argument("--path", type=Path)
    parser.add_argument("--trials", type=int)
    options = parser.parse_args()
    if options.job:
        work(options.job, options.path, options.trials, options.ray or None)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as folder:
        environment = {**os.environ, "RAYSPY_TMPDIR": folder}
        for n_trials in (TRIALS // 10, TRIALS) if options.size == "full" else (TRIALS // 10,):
            path = Path(folder) / "trials.dat"
            make(path, n_trials)
            print(f"{path.stat().st_size / 2**30:.2f} GiB", flush=True)
            if options.bare:
                compare(path, n_trials)
                continue
            for job in ("pairs",) if options.pairs else ("average", "select"):
                command = [sys.executable, "-m", "tests.benchmarks.short_trials", "--job", job]
                command += ["--path", str(path), "--trials", str(n_trials)]
                command += ["--ray"] if options.ray else []
                subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
