"""One long recording (128 channels, 1 kHz, raw int16 with a factor) filtered and resampled; see README.md."""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import rayspy as spy
from tests.benchmarks.short_trials import memory, watch

RATE, CHANNELS, SCALE = 1000, 128, 0.195
BAND = {"freq": [20, 40], "filter_type": "bp"}
JOBS = {
    "but": ("preprocessing", BAND),
    "firws": ("preprocessing", {**BAND, "filter_class": "firws"}),
    "resample": ("resampledata", {"resamplefs": 300}),
    "downsample": ("resampledata", {"resamplefs": 250, "method": "downsample", "lpfreq": 100}),
    "notch": ("notchfilter", {"freq": 50, "n_harmonics": 2}),
}


def make(path, minutes):
    """Write the raw file minute by minute: noise on a slow drift."""
    rng = np.random.default_rng(0)
    noise = rng.integers(-500, 500, (60 * RATE, CHANNELS), dtype=np.int16)
    with path.open("wb") as file:
        for minute in range(minutes):
            file.write(noise + np.int16(8000 * np.sin(minute / 5)))


def work(job, path, parallel):
    """One job in this process."""
    spy.set_loglevel("WARNING")
    raw = spy.raw_binary(path, "int16", CHANNELS, scale=SCALE)
    data = spy.AnalogData(raw, samplerate=RATE)
    function, settings = JOBS[job]
    before, peaks, done = {}, {}, threading.Event()
    watcher = threading.Thread(target=watch, args=(before, peaks, done))
    watcher.start()
    began = time.perf_counter()
    result = getattr(spy, function)(data, parallel=parallel, **settings)
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    peaks[os.getpid()] = memory("VmHWM")
    size = " x ".join(map(str, result.data.shape))
    print(f"  {job:10s} -> {size}: {seconds:.1f} s, largest process {max(peaks.values()):.3f} GiB in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--ray", action="store_true", help="on Ray actors instead of local threads")
    parser.add_argument("--job", choices=tuple(JOBS))
    parser.add_argument("--path", type=Path)
    options = parser.parse_args()
    if options.path:
        work(options.job, options.path, options.ray or None)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("RAYSPY_TMPDIR")) as folder:
        path = Path(folder) / "recording.dat"
        make(path, options.minutes)
        print(f"{path.stat().st_size / 2**30:.2f} GiB", flush=True)
        for job in [options.job] if options.job else JOBS:
            command = [sys.executable, "-m", "tests.benchmarks.long_recording", "--job", job]
            command += ["--path", str(path)] + (["--ray"] if options.ray else [])
            subprocess.run(command, check=True, env={**os.environ, "RAYSPY_TMPDIR": folder})


if __name__ == "__main__":
    main()
