"""500 trials x 32 channels in time and frequency with a memory budget of 2 GB; see README.md."""

import argparse
import contextlib
import os
import tempfile
import threading
import time

import numpy as np
import psutil

import rayspy as spy


def watch(before, peaks, done):
    """Note the largest resident size of this process and all below it, ten times a second."""
    while not done.wait(0.1):
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                size = process.memory_info().rss
                before.setdefault(process.pid, size)
                peaks[process.pid] = max(peaks.get(process.pid, 0), size)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--budget", default="2GB")
    parser.add_argument("--method", default="wavelet", choices=("wavelet", "superlet", "mtmconvol"))
    parser.add_argument("--ray", action="store_true", help="on Ray actors instead of local threads")
    options = parser.parse_args()
    settings = {"method": options.method, "foilim": [5, 100]}
    settings |= {"superlet": {"order_max": 3}, "mtmconvol": {"t_ftimwin": 0.5, "toi": "all"}}.get(
        options.method, {}
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as folder:
        spy.config.scratch_dir, spy.config.memory_budget = folder, options.budget
        data = spy.synthdata.white_noise(
            nTrials=options.trials, nSamples=options.samples, nChannels=options.channels, seed=1
        )
        spy.freqanalysis(data, select={"trials": [0]}, parallel=options.ray or None, **settings)
        print(spy.explain(spy.freqanalysis, data, parallel=options.ray or None, **settings), flush=True)
        before, peaks, done = {os.getpid(): psutil.Process().memory_info().rss}, {}, threading.Event()
        watcher = threading.Thread(target=watch, args=(before, peaks, done))
        watcher.start()
        began = time.perf_counter()
        result = spy.freqanalysis(data, parallel=options.ray or None, **settings)
        seconds = time.perf_counter() - began
        done.set()
        watcher.join()
        size = int(np.prod(result.data.shape)) * result.data.dtype.itemsize
        above = sum(peak - before[pid] for pid, peak in peaks.items())
        print(f"result {size / 1e9:.2f} GB in {seconds:.1f} s, all processes together {above / 1e9:.3f} GB "
              f"above their start, budget {spy.config.memory_budget / 1e9:.2f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
