"""Runs in Syncopy's environment: reads commands from standard input, prints seconds.

Each line is ``sequential`` or ``dask``, or a line of settings as JSON that makes new data. Settings with a
``function`` choose what is timed from then on, ``freqanalysis`` without arguments to begin with.
"""

import contextlib
import functools
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def timed(run, data, parallel):
    began = time.perf_counter()
    result = run(data, parallel=parallel)
    seconds = time.perf_counter() - began
    if len(result.trials) != len(data.trials):
        raise RuntimeError("Syncopy returned something else")
    return seconds


def main():
    """Answer until the input ends."""
    import dask.distributed as dd
    import syncopy as spy

    client, data, run = None, None, spy.freqanalysis
    for line in sys.stdin:
        command = line.strip()
        settings = json.loads(command) if command.startswith("{") else {}
        if "function" in settings:
            function = getattr(spy, settings.pop("function"))
            run, answer = functools.partial(function, **settings), 0.0
        elif settings:
            data, answer = spy.synthdata.white_noise(seed=1, **settings), 0.0
        elif command == "sequential":
            answer = timed(run, data, False)
        else:
            client = client or dd.Client(dd.LocalCluster(n_workers=2, threads_per_worker=1))
            answer = timed(run, data, None)
        print(answer, file=answers, flush=True)
    with contextlib.suppress(Exception):
        client.close()


if __name__ == "__main__":
    main()
