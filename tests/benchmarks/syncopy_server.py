"""Runs in Syncopy's environment: reads commands from standard input, prints seconds.

Each line is ``sequential`` or ``dask``, or a line of settings as JSON that makes new data.
"""

import contextlib
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def timed(spy, data, parallel):
    began = time.perf_counter()
    result = spy.freqanalysis(data, parallel=parallel)
    seconds = time.perf_counter() - began
    if result.data.shape[0] != len(data.trials):
        raise RuntimeError("Syncopy returned something else")
    return seconds


def main():
    """Answer until the input ends."""
    import dask.distributed as dd
    import syncopy as spy

    client, data = None, None
    for line in sys.stdin:
        command = line.strip()
        if command.startswith("{"):
            data, answer = spy.synthdata.white_noise(seed=1, **json.loads(command)), 0.0
        elif command == "sequential":
            answer = timed(spy, data, False)
        else:
            client = client or dd.Client(dd.LocalCluster(n_workers=2, threads_per_worker=1))
            answer = timed(spy, data, None)
        print(answer, file=answers, flush=True)
    with contextlib.suppress(Exception):
        client.close()


if __name__ == "__main__":
    main()
