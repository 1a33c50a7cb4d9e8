"""Coherence as channels double from 64 to 1024: seconds, nanoseconds per product, memory; see README.md.

Every number of channels has a process of its own.
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

import rayspy as spy

TRIALS, SAMPLES, BUDGET = 32, 500, 2e9


def largest():
    """Largest size of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def work(n_channels, method):
    spy.set_loglevel("WARNING")
    spy.config.memory_budget = int(BUDGET)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((TRIALS * SAMPLES, n_channels), dtype=np.float32)
    edges = np.arange(TRIALS + 1) * SAMPLES
    trl = np.column_stack([edges[:-1], edges[1:], np.zeros(TRIALS)])
    data = spy.AnalogData(noise, samplerate=1000.0, trialdefinition=trl)
    few = spy.AnalogData(noise[:, :4], samplerate=1000.0, trialdefinition=trl)
    spy.connectivityanalysis(few, method=method)
    start, began, cpu = largest(), time.perf_counter(), time.process_time()
    result = spy.connectivityanalysis(data, method=method)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    above = largest() - start
    n_products = TRIALS * n_channels * (n_channels + 1) // 2 * len(result.freq)
    print(
        f"  {n_channels:5d} channels x {len(result.freq)} bins: {seconds:7.2f} s, {cpu:7.2f} CPU s, "
        f"{cpu / n_products * 1e9:5.2f} ns per trial, pair and bin, {above:.2f} GiB above its start"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--method", default="coh")
    parser.add_argument("--one", type=int)
    options = parser.parse_args()
    if options.one:
        work(options.one, options.method)
        return
    print(f"{options.method}, {TRIALS} trials x {SAMPLES} samples, {BUDGET / 1e9:g} GB of memory", flush=True)
    for n in options.channels:
        command = [sys.executable, "-m", "tests.benchmarks.channels", "--one", str(n)]
        subprocess.run([*command, "--method", options.method], check=True)


if __name__ == "__main__":
    main()
