"""Runs in Syncopy's environment: reads commands from standard input, prints seconds.

Each line is JSON: ``{"data": file.npz}`` opens data, ``{"run": settings, "dask": bool,
"save": file}`` computes.
"""

import contextlib
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def opened(spy, np, path):
    """Return trials of equal length as an object."""
    with np.load(path) as file:
        trials, rate = file["trials"], float(file["samplerate"])
    n, length, channels = trials.shape
    stops = np.arange(1, n + 1) * length
    trl = np.column_stack([stops - length, stops, np.zeros(n)])
    data = spy.AnalogData(data=trials.reshape(-1, channels), samplerate=rate)
    data.trialdefinition = trl
    return data


def timed(spy, np, data, command):
    """Compute, and store the first trial's result if it is asked for."""
    parallel = None if command.get("dask") else False
    began = time.perf_counter()
    result = spy.freqanalysis(data, parallel=parallel, **command["run"])
    seconds = time.perf_counter() - began
    if command.get("save"):
        np.save(command["save"], result.trials[0])
    return seconds


def main():
    """Answer until the input ends."""
    import dask.distributed as dd
    import numpy as np
    import syncopy as spy

    client, data = None, None
    for line in sys.stdin:
        command, answer = json.loads(line), 0.0
        if "data" in command:
            data = opened(spy, np, command["data"])
        else:
            if command.get("dask") and client is None:
                client = dd.Client(dd.LocalCluster(n_workers=2, threads_per_worker=1))
            answer = timed(spy, np, data, command)
        print(answer, file=answers, flush=True)
    with contextlib.suppress(Exception):
        client.close()


if __name__ == "__main__":
    main()
